//! The provider for hosts: ciphers and key exchange of AWS-LC, in C and assembler; all else as the pure Rust one has it.
//!
//! Chosen by measurement.  *ring* is as fast at ChaCha20-Poly1305 and about two thirds as fast at AES-256-GCM, and cannot
//! take a private key from outside, so its handshakes would stay with the slower curve.  Signatures are dalek's here too:
//! AWS-LC verifies no faster, and by other rules than the strict ones; what it would save of signing, it would spend on
//! reading the key.  SHA-256 of the handshake's short inputs is faster in Rust.

use alloc::boxed::Box;
use alloc::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};

use super::rustcrypto::RustCrypto;
use super::{
    Aead, BadTag, Hash256, KEY_LEN, KeyPair, LowOrder, Primitives, SIGNATURE_LEN, SigningKey, Suite, TAG_LEN,
    seal_copied,
};

/// Bytes of heap of either cipher, without AWS-LC's own.
pub(super) const AEAD: usize = size_of::<LessSafeKey>();

pub(super) struct AwsLc;

/// Bytes of heap of a [`Prepared`], without AWS-LC's own: the two counts of an `Arc` stand before it.
pub(super) const PREPARED: usize = 2 * size_of::<usize>() + size_of::<PrivateKey>();

/// A private key as AWS-LC keeps it: to read one costs a third of a key exchange.
#[derive(Clone)]
pub(super) struct Prepared(Arc<PrivateKey>);

impl Prepared {
    /// The key, and the public key that belongs to it.
    pub(super) fn new(private: &[u8; KEY_LEN]) -> (Self, [u8; KEY_LEN]) {
        let key = PrivateKey::from_private_key(&X25519, private)
            .expect("invariant: any 32 bytes are a private key");
        let public = key.compute_public_key().expect("invariant: a private key of X25519 has a public one");
        let public = public.as_ref().try_into().expect("invariant: a public key has 32 bytes");
        (Self(Arc::new(key)), public)
    }
}

impl Primitives for AwsLc {
    fn name(&self) -> &'static str {
        "aws-lc"
    }

    fn suites(&self) -> u16 {
        let aes = if has_aes() { Suite::AesGcm.bit() } else { 0 };
        Suite::ChaChaPoly.bit() | aes
    }

    fn x25519(&self, own: &KeyPair, public: &[u8; KEY_LEN]) -> Result<[u8; KEY_LEN], LowOrder> {
        let read;
        let key = match own.prepared() {
            Some(prepared) => prepared,
            None => {
                (read, _) = Prepared::new(own.private());
                &read
            }
        };
        // The only error there is: AWS-LC refuses the all-zero secret.
        agree(&key.0, UnparsedPublicKey::new(&X25519, public), LowOrder, |shared| {
            shared.try_into().map_err(|_| LowOrder)
        })
    }

    fn key_pair(&self, private: &[u8; KEY_LEN]) -> KeyPair {
        let (prepared, public) = Prepared::new(private);
        KeyPair::from_parts(*private, public).with_prepared(prepared)
    }

    fn aead(&self, suite: Suite, key: &[u8; KEY_LEN]) -> Option<Box<dyn Aead>> {
        Some(match suite {
            Suite::ChaChaPoly => Box::new(ChaChaPoly(keyed(&CHACHA20_POLY1305, key))),
            Suite::AesGcm => Box::new(AesGcm(keyed(&AES_256_GCM, key))),
        })
    }

    fn sha256(&self) -> Box<dyn Hash256> {
        RustCrypto.sha256()
    }

    fn sign(&self, key: &SigningKey, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        RustCrypto.sign(key, message)
    }

    fn verify(&self, public: &[u8; KEY_LEN], message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        RustCrypto.verify(public, message, signature)
    }
}

/// Whether the processor has instructions for AES and for GCM's product.  Without, AES is slow, or tells its key by how
/// long it takes: suite 2 is neither offered nor chosen then.  SPEC §3
fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

fn keyed(algorithm: &'static Algorithm, key: &[u8; KEY_LEN]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(algorithm, key).expect("invariant: both ciphers take keys of 32 bytes"))
}

/// With the nonce of Noise: four zero bytes and a little-endian counter.
pub(super) struct ChaChaPoly(LessSafeKey);

/// With the nonce of Noise: four zero bytes and a big-endian counter.
pub(super) struct AesGcm(LessSafeKey);

/// The two differ in nothing else.  AWS-LC clears the output where a tag does not match.
macro_rules! aead {
    ($cipher:ident, $algorithm:ident, $counter:ident, gathers: $gathers:literal) => {
        impl Aead for $cipher {
            fn set_key(&mut self, key: &[u8; KEY_LEN]) {
                self.0 = keyed(&$algorithm, key);
            }

            fn seal(&self, nonce: u64, ad: &[u8], buf: &mut [u8]) -> [u8; TAG_LEN] {
                self.0
                    .seal_in_place_separate_tag(noise_nonce(nonce.$counter()), Aad::from(ad), buf)
                    .ok()
                    .and_then(|tag| tag.as_ref().try_into().ok())
                    .expect("invariant: a message is shorter than the 64 GiB of one nonce")
            }

            fn seal_gather(&self, nonce: u64, ad: &[u8], buf: &mut [u8], body: &[u8]) {
                if !$gathers || body.is_empty() {
                    return seal_copied(self, nonce, ad, buf, body);
                }
                let nonce = noise_nonce(nonce.$counter());
                let (head, sealed) = buf.split_at_mut(buf.len() - body.len() - TAG_LEN);
                self.0
                    .seal_in_place_scatter(nonce, Aad::from(ad), head, body, sealed)
                    .expect("invariant: a message is shorter than the 64 GiB of one nonce");
            }

            fn open(&self, nonce: u64, ad: &[u8], buf: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), BadTag> {
                let nonce = noise_nonce(nonce.$counter());
                self.0
                    .open_in_place_separate_tag(nonce, Aad::from(ad), tag, buf)
                    .map(drop)
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
                let nonce = noise_nonce(nonce.$counter());
                self.0.open_separate_gather(nonce, Aad::from(ad), sealed, tag, out).map_err(|_| BadTag)
            }
        }
    };
}

// AWS-LC takes what follows a ChaCha20 text for a few bytes, and is slow at it.
aead!(ChaChaPoly, CHACHA20_POLY1305, to_le_bytes, gathers: false);
aead!(AesGcm, AES_256_GCM, to_be_bytes, gathers: true);

fn noise_nonce(counter: [u8; 8]) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter);
    Nonce::assume_unique_for_key(nonce)
}
