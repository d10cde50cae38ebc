//! What an attacker may do otherwise.

use ed25519_dalek::SigningKey;
use symbolon::PeerId;

use super::Pairs;

/// Everything that an attacker may do otherwise than SPEC.md says; the default does nothing otherwise.
pub struct Knobs {
    /// What is sent as preamble, instead of `OFFER` or `ANSWER`.
    pub preamble: Option<[u8; 8]>,
    /// What is hashed, instead of both preambles.
    pub prologue: Option<Vec<u8>>,
    /// The Ed25519 secret.
    pub secret: [u8; 32],
    /// X25519 private keys.
    pub static_private: [u8; 32],
    pub ephemeral_private: [u8; 32],
    /// What is sent in place of the public keys; a Diffie-Hellman result is then what the private key yields...
    pub static_public: Option<[u8; 32]>,
    pub ephemeral_public: Option<[u8; 32]>,
    /// ...or, where this is set and a public key was replaced, 32 zero bytes.
    pub zero_secrets: bool,
    /// What message 1 carries.
    pub payload_1: Vec<u8>,
    /// The identity that the payload names, instead of that of `secret`.
    pub identity: Option<Vec<u8>>,
    /// The whole proof...
    pub proof: Option<Vec<u8>>,
    /// ...or the parts of what is signed.
    pub proof_domain: Vec<u8>,
    pub proof_role: Option<u8>,
    pub proof_hash: Option<[u8; 32]>,
    pub proof_static: Option<[u8; 32]>,
    /// Who signs, if it is not `secret`.
    pub signer: Option<[u8; 32]>,
    /// Keys 2 to 7 of the payload.
    pub max_frame: u64,
    pub max_requests: u64,
    pub max_subscriptions: u64,
    pub window: u64,
    pub silence: u64,
    pub features: u64,
    /// Changes the pairs of the payload before they are encoded.
    pub edit: Box<dyn Fn(&mut Pairs)>,
    /// Changes the encoded payload.
    pub rewrite: Box<dyn Fn(Vec<u8>) -> Vec<u8>>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            preamble: None,
            prologue: None,
            secret: [66; 32],
            static_private: std::array::from_fn(|i| 5 + 3 * i as u8),
            ephemeral_private: std::array::from_fn(|i| 9 + 5 * i as u8),
            static_public: None,
            ephemeral_public: None,
            zero_secrets: false,
            payload_1: Vec::new(),
            identity: None,
            proof: None,
            proof_domain: b"symbolon-identity-v1".to_vec(),
            proof_role: None,
            proof_hash: None,
            proof_static: None,
            signer: None,
            max_frame: 65_535,
            max_requests: 64,
            max_subscriptions: 64,
            window: 0,
            silence: 0,
            features: 0,
            edit: Box::new(|_| {}),
            rewrite: Box::new(|payload| payload),
        }
    }
}

impl Knobs {
    /// The identity that `secret` makes.
    pub fn peer_id(&self) -> PeerId {
        PeerId::from_bytes(SigningKey::from_bytes(&self.secret).verifying_key().to_bytes())
    }
}
