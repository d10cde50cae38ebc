//! RustCrypto and dalek, as `Provider::rust_crypto` has them.

use std::hint::black_box;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use x25519_dalek::{PublicKey, StaticSecret};

use super::{Cipher, TAG, key};

pub struct ChaChaPoly(ChaCha20Poly1305);

impl ChaChaPoly {
    pub fn new(key: &[u8; 32]) -> Self {
        Self(ChaCha20Poly1305::new(key.into()))
    }
}

impl Cipher for ChaChaPoly {
    fn seal(&self, nonce: u64, text: &mut [u8]) -> [u8; TAG] {
        self.0.encrypt_inout_detached(&noise_nonce(nonce), b"", text.into()).expect("short enough").into()
    }

    fn open(&self, nonce: u64, text: &mut [u8], tag: &[u8; TAG]) {
        self.0
            .decrypt_inout_detached(&noise_nonce(nonce), b"", text.into(), tag.into())
            .expect("its own tag");
    }
}

fn noise_nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce.into()
}

/// At each side an ephemeral key, three key exchanges, a signature made and one verified.
pub fn handshake() -> Box<dyn FnMut()> {
    let statics = [1, 2].map(|n| StaticSecret::from(key(n)));
    let static_keys = [0, 1].map(|side: usize| PublicKey::from(&statics[side]));
    let signatures = Signatures::new();
    Box::new(move || {
        let ephemerals = [3, 4].map(|n| StaticSecret::from(black_box(key(n))));
        let ephemeral_keys = [0, 1].map(|side: usize| PublicKey::from(&ephemerals[side]));
        for (side, other) in [(0, 1), (1, 0)] {
            black_box(ephemerals[side].diffie_hellman(&ephemeral_keys[other]));
            black_box(ephemerals[side].diffie_hellman(&static_keys[other]));
            black_box(statics[side].diffie_hellman(&ephemeral_keys[other]));
        }
        signatures.run();
    })
}

/// The proofs of both sides.
pub struct Signatures([SigningKey; 2]);

impl Signatures {
    pub fn new() -> Self {
        Self([1, 2].map(|n| SigningKey::from_bytes(&key(n))))
    }

    /// Each is made, and verified by the other side.
    pub fn run(&self) {
        for signer in &self.0 {
            let message = black_box([7; 85]);
            let key = signer.verifying_key().to_bytes();
            let proof = signer.sign(&message).to_bytes();
            let key = VerifyingKey::from_bytes(black_box(&key)).expect("a key");
            key.verify_strict(&message, &Signature::from_bytes(&proof)).expect("a good proof");
        }
    }
}
