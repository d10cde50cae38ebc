//! One of the two devices: the connection of the crate, and beside it snow, which is told the same.

use ed25519_dalek::SigningKey;
use minicbor::Encoder;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::{HandshakeState, types};
use symbolon::{Connection, Instant, Seed, Timeouts};

use crate::common::Happened;
use crate::{WINDOW, limits};

/// One device, and what is known of it outside the crate.
pub struct Side {
    pub name: &'static str,
    /// The role as the proof has it.
    pub role: u8,
    pub identity: SigningKey,
    pub static_private: [u8; 32],
    pub ephemeral_private: [u8; 32],
    pub connection: Connection,
    /// snow's view of the handshake; its static and ephemeral keys are the same.
    pub noise: Option<HandshakeState>,
    /// Frames it has sealed.
    pub n: u64,
}

impl Side {
    pub fn seed(bytes: [u8; 32]) -> Seed {
        Seed::new(bytes).expect("bytes that differ")
    }

    pub fn static_public(&self) -> [u8; 32] {
        x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(self.static_private)).to_bytes()
    }

    pub fn noise(&mut self) -> &mut HandshakeState {
        self.noise.as_mut().expect("a handshake")
    }

    pub fn hash(&mut self) -> Vec<u8> {
        self.noise().get_handshake_hash().to_vec()
    }

    /// SPEC §5.3
    pub fn signed(&mut self, hash: &[u8]) -> Vec<u8> {
        [b"symbolon-identity-v1", &[self.role][..], hash, &self.static_public()].concat()
    }

    /// SPEC §5.2
    pub fn payload(&self, proof: &[u8]) -> Vec<u8> {
        let (limits, timeouts) = (limits(), Timeouts::default());
        let mut cbor = Encoder::new(Vec::new());
        let mut write = || {
            cbor.map(8)?.u8(0)?.bytes(self.identity.verifying_key().as_bytes())?;
            cbor.u8(1)?.bytes(proof)?;
            cbor.u8(2)?.u16(limits.max_frame)?;
            cbor.u8(3)?.u16(limits.requests_in)?;
            cbor.u8(4)?.u16(limits.subscriptions_in)?;
            cbor.u8(5)?.u32(WINDOW)?;
            cbor.u8(6)?.u64(timeouts.silence.map_or(0, |silence| silence.as_millis() as u64))?;
            cbor.u8(7)?.u64(0)?;
            Ok::<_, minicbor::encode::Error<_>>(())
        };
        write().expect("memory");
        cbor.into_writer()
    }

    pub fn events(&mut self) -> Vec<Happened> {
        core::iter::from_fn(|| self.connection.poll_event().map(Happened::from)).collect()
    }

    /// All that it has to write at the moment.
    pub fn written(&mut self, now: Instant) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = self.connection.poll_transmit(now) {
            all.extend_from_slice(bytes);
            let len = bytes.len();
            self.connection.advance_transmit(len);
        }
        all
    }

    pub fn reads(&mut self, now: Instant, bytes: &[u8]) {
        assert_eq!(self.connection.handle_input(now, bytes), bytes.len());
    }
}

/// snow with primitives of its own, and a generator that gives the ephemeral key.
struct Reference([u8; 32]);

impl CryptoResolver for Reference {
    fn resolve_rng(&self) -> Option<Box<dyn types::Random>> {
        Some(Box::new(Self(self.0)))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn types::Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn types::Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn types::Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

impl types::Random for Reference {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        dest.copy_from_slice(&self.0);
        Ok(())
    }
}

pub fn reference(side: &Side, prologue: &[u8]) -> HandshakeState {
    let name = "Noise_XX_25519_ChaChaPoly_SHA256".parse().expect("a name of Noise");
    let resolver = Box::new(Reference(side.ephemeral_private));
    let builder = snow::Builder::with_resolver(name, resolver);
    let builder = builder.prologue(prologue).unwrap().local_private_key(&side.static_private).unwrap();
    if side.role == 1 { builder.build_initiator() } else { builder.build_responder() }.unwrap()
}
