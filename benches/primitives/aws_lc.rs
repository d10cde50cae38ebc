//! AWS-LC's ciphers and key exchange, and dalek's signatures, as `Provider::aws_lc` has them.

use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use symbolon::{Admission, Config, Connection, Identity, Instant, Provider, SecretKey, Seed};

use super::rust_crypto::Signatures;
use super::{Cipher, TAG, key};

/// That of the suite which two devices with this provider agree about.
pub fn cipher(provider: Provider, key: [u8; 32]) -> Box<dyn Cipher> {
    Box::new(if offers_aes(provider) { Aead::aes_gcm(&key) } else { Aead::chacha_poly(&key) })
}

/// A processor may have no AES; the preamble says what a device offers.  SPEC §3
fn offers_aes(provider: Provider) -> bool {
    let seed = |n| Seed::new(key(n)).expect("bytes that differ");
    let identity = Identity::new(&SecretKey::from_bytes(key(1)), seed(2));
    let admission = Admission::expect(identity.peer_id());
    let config = Config::new(identity).with_provider(provider);
    let now = Instant::from_millis(0);
    let mut connection = Connection::initiator(&config, admission, seed(3), now);
    let preamble = connection.poll_transmit(now).expect("a preamble");
    preamble[7] & 2 != 0
}

struct Aead {
    key: LessSafeKey,
    /// As it stands in Noise's nonce, behind four zero bytes.
    counter: fn(u64) -> [u8; 8],
}

impl Aead {
    fn aes_gcm(key: &[u8; 32]) -> Self {
        Self { key: keyed(&AES_256_GCM, key), counter: u64::to_be_bytes }
    }

    fn chacha_poly(key: &[u8; 32]) -> Self {
        Self { key: keyed(&CHACHA20_POLY1305, key), counter: u64::to_le_bytes }
    }

    fn nonce(&self, counter: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&(self.counter)(counter));
        Nonce::assume_unique_for_key(nonce)
    }
}

fn keyed(algorithm: &'static Algorithm, key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(algorithm, key).expect("32 bytes"))
}

impl Cipher for Aead {
    fn seal(&self, nonce: u64, text: &mut [u8]) -> [u8; TAG] {
        let tag = self.key.seal_in_place_separate_tag(self.nonce(nonce), Aad::empty(), text);
        tag.expect("short enough").as_ref().try_into().expect("16 bytes")
    }

    fn open(&self, nonce: u64, text: &mut [u8], tag: &[u8; TAG]) {
        self.key.open_in_place_separate_tag(self.nonce(nonce), Aad::empty(), tag, text).expect("its own tag");
    }
}

/// At each side an ephemeral key, read once, three key exchanges, a signature made and one verified.
pub fn handshake() -> Box<dyn FnMut()> {
    let statics = [1, 2].map(|n| private_key(&key(n)));
    let static_keys = [0, 1].map(|side: usize| public_key(&statics[side]));
    let signatures = Signatures::new();
    Box::new(move || {
        let ephemerals = [3, 4].map(|n| private_key(&black_box(key(n))));
        let ephemeral_keys = [0, 1].map(|side: usize| public_key(&ephemerals[side]));
        for (side, other) in [(0, 1), (1, 0)] {
            black_box(exchange(&ephemerals[side], &ephemeral_keys[other]));
            black_box(exchange(&ephemerals[side], &static_keys[other]));
            black_box(exchange(&statics[side], &ephemeral_keys[other]));
        }
        signatures.run();
    })
}

fn private_key(bytes: &[u8; 32]) -> PrivateKey {
    PrivateKey::from_private_key(&X25519, bytes).expect("any 32 bytes")
}

fn public_key(key: &PrivateKey) -> [u8; 32] {
    key.compute_public_key().expect("a key").as_ref().try_into().expect("32 bytes")
}

fn exchange(own: &PrivateKey, public: &[u8; 32]) -> [u8; 32] {
    let shared = |shared: &[u8]| Ok(shared.try_into().expect("32 bytes"));
    agree(own, UnparsedPublicKey::new(&X25519, public), (), shared).expect("no key of low order")
}
