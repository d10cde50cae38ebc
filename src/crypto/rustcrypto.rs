//! The provider in pure Rust: the RustCrypto and dalek crates.

use alloc::boxed::Box;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

use super::{
    Aead, BadTag, Hash256, KEY_LEN, KeyPair, LowOrder, Primitives, SIGNATURE_LEN, SigningKey, Suite, TAG_LEN,
};

pub(super) struct RustCrypto;

impl Primitives for RustCrypto {
    fn name(&self) -> &'static str {
        "rust-crypto"
    }

    fn suites(&self) -> u16 {
        Suite::ChaChaPoly.bit()
    }

    fn x25519(&self, own: &KeyPair, public: &[u8; KEY_LEN]) -> Result<[u8; KEY_LEN], LowOrder> {
        let shared = StaticSecret::from(*own.private()).diffie_hellman(&PublicKey::from(*public));
        // Noise leaves this check to the protocol. Nearly every other implementation refuses, so not to would tell
        // implementations apart.
        if shared.was_contributory() { Ok(shared.to_bytes()) } else { Err(LowOrder) }
    }

    fn key_pair(&self, private: &[u8; KEY_LEN]) -> KeyPair {
        KeyPair::from_parts(*private, PublicKey::from(&StaticSecret::from(*private)).to_bytes())
    }

    fn aead(&self, suite: Suite, key: &[u8; KEY_LEN]) -> Option<Box<dyn Aead>> {
        match suite {
            Suite::ChaChaPoly => Some(Box::new(ChaChaPoly(ChaCha20Poly1305::new(key.into())))),
            Suite::AesGcm => None,
        }
    }

    fn sha256(&self) -> Box<dyn Hash256> {
        Box::new(Sha256Stream(Sha256::new()))
    }

    fn sign(&self, key: &SigningKey, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        key.0.sign(message).to_bytes()
    }

    fn verify(&self, public: &[u8; KEY_LEN], message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(public) else {
            return false;
        };
        // A key of small order "signs" everything. A second encoding of one point would be a second name for one
        // device; `VerifyingKey` takes it, as ZIP-215 asks, and libsodium does not.
        !key.is_weak()
            && is_reduced(public)
            && key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

/// Whether the y coordinate of an encoded point lies below 2^255 - 19.
fn is_reduced(encoded: &[u8; KEY_LEN]) -> bool {
    let [low, middle @ .., high] = encoded;
    *low < 0xed || middle.iter().any(|byte| *byte != 0xff) || high & 0x7f != 0x7f
}

/// ChaCha20-Poly1305 with the nonce of Noise: four zero bytes and a little-endian counter.
///
/// The crate compares the tag before it decrypts, so a refused buffer still holds ciphertext.
pub(super) struct ChaChaPoly(ChaCha20Poly1305);

impl Aead for ChaChaPoly {
    fn set_key(&mut self, key: &[u8; KEY_LEN]) {
        self.0 = ChaCha20Poly1305::new(key.into());
    }

    fn seal(&self, nonce: u64, ad: &[u8], buf: &mut [u8]) -> [u8; TAG_LEN] {
        self.0
            .encrypt_inout_detached(&noise_nonce(nonce), ad, buf.into())
            .expect("invariant: a message is shorter than the 256 GiB of one nonce")
            .into()
    }

    fn open(&self, nonce: u64, ad: &[u8], buf: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), BadTag> {
        self.0
            .decrypt_inout_detached(&noise_nonce(nonce), ad, buf.into(), &Tag::from(*tag))
            .map_err(|_| BadTag)
    }

    fn open_into(
        &self,
        nonce: u64,
        ad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), BadTag> {
        let text = InOutBuf::new(sealed, out).map_err(|_| BadTag)?;
        self.0.decrypt_inout_detached(&noise_nonce(nonce), ad, text, &Tag::from(*tag)).map_err(|_| BadTag)
    }
}

fn noise_nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce.into()
}

pub(super) struct Sha256Stream(Sha256);

impl Hash256 for Sha256Stream {
    fn update(&mut self, data: &[u8]) {
        Digest::update(&mut self.0, data);
    }

    fn finalize(&mut self) -> [u8; KEY_LEN] {
        self.0.finalize_reset().into()
    }

    fn reset(&mut self) {
        Digest::reset(&mut self.0);
    }
}
