//! The primitives, behind a value chosen at run time.
//!
//! Nothing outside `crypto/` names a crate of primitives, save for the key of [`SigningKey`]. A host with a faster
//! library becomes another implementation of [`Primitives`] and another constructor of [`Provider`].

use alloc::boxed::Box;
use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};

#[cfg(feature = "aws-lc")]
mod aws_lc;
mod key_pair;
mod rustcrypto;
#[cfg(test)]
mod tests;

pub(crate) use key_pair::KeyPair;

/// The length of a public or private key, of a hash and of an AEAD key.
pub(crate) const KEY_LEN: usize = 32;
/// The length of an AEAD tag, in every suite.
pub(crate) const TAG_LEN: usize = 16;
/// The length of an Ed25519 signature.
pub(crate) const SIGNATURE_LEN: usize = 64;

/// Bytes of heap of an [`Aead`], in every suite, without what a library in C takes for itself.
#[cfg(not(feature = "aws-lc"))]
pub(crate) const AEAD: usize = size_of::<rustcrypto::ChaChaPoly>();
/// Bytes of heap of an [`Aead`], in every suite, without what a library in C takes for itself.
#[cfg(feature = "aws-lc")]
pub(crate) const AEAD: usize = {
    let rust = size_of::<rustcrypto::ChaChaPoly>();
    if rust > aws_lc::AEAD { rust } else { aws_lc::AEAD }
};
/// Bytes of heap of a [`KeyPair`], without what a library in C takes for itself.
#[cfg(not(feature = "aws-lc"))]
pub(crate) const PREPARED: usize = 0;
/// Bytes of heap of a [`KeyPair`], without what a library in C takes for itself.
#[cfg(feature = "aws-lc")]
pub(crate) const PREPARED: usize = aws_lc::PREPARED;
/// Bytes of heap of a [`Hash256`].
pub(crate) const HASH: usize = size_of::<rustcrypto::Sha256Stream>();

/// Where the cryptographic primitives come from: how fast they are, and whether AES is among them.
///
/// Each speaks to each: a device with one and a device with another agree about a suite that both have.  Where both offer
/// AES-256-GCM, which a provider does on a processor with instructions for it, that is what is spoken; else
/// ChaCha20-Poly1305.  SPEC §3
///
/// [`Config::with_provider`](crate::Config::with_provider) takes one; without it, it is [`Provider::default`].
#[derive(Clone, Copy)]
pub struct Provider {
    primitives: &'static dyn Primitives,
    /// Of the suites that the primitives have, those that are spoken.
    allowed: u16,
}

impl Provider {
    /// The pure Rust implementations: no C, no assembler, no operating system.  ChaCha20-Poly1305 alone.
    #[must_use]
    pub const fn rust_crypto() -> Self {
        Self::from_primitives(&rustcrypto::RustCrypto)
    }

    /// The ciphers and the key exchange of AWS-LC, which is C and assembler; the rest as [`rust_crypto`](Self::rust_crypto).
    ///
    /// On x86-64 a small message is sealed and opened six times as fast, a long one nearly twice in ChaCha20-Poly1305 and six
    /// times in AES-256-GCM; a handshake takes three fifths (`cargo bench --bench core`).  Each connection takes about 1.2 KiB
    /// more, outside of Rust's allocator.
    #[cfg(feature = "aws-lc")]
    #[must_use]
    pub const fn aws_lc() -> Self {
        Self::from_primitives(&aws_lc::AwsLc)
    }

    /// The same without AES-256-GCM, whatever the processor has: for peers or rules that want one cipher everywhere.
    #[must_use]
    pub const fn without_aes(mut self) -> Self {
        self.allowed &= !Suite::AesGcm.bit();
        self
    }

    pub(crate) const fn from_primitives(primitives: &'static dyn Primitives) -> Self {
        Self { primitives, allowed: u16::MAX }
    }

    pub(crate) fn primitives(self) -> &'static dyn Primitives {
        self.primitives
    }

    /// The bitmap of the suites to offer and to take.  SPEC §3
    pub(crate) fn suites(self) -> u16 {
        self.primitives.suites() & self.allowed
    }
}

/// The fastest there is: `aws_lc` with the feature of that name, else [`Provider::rust_crypto`].
impl Default for Provider {
    fn default() -> Self {
        #[cfg(feature = "aws-lc")]
        return Self::aws_lc();
        #[cfg(not(feature = "aws-lc"))]
        return Self::rust_crypto();
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.primitives.name()).finish()
    }
}

/// A cipher suite: what the preambles agree about, before anything is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    ChaChaPoly,
    AesGcm,
}

impl Suite {
    /// This suite's bit in the bitmap of a preamble.
    pub(crate) const fn bit(self) -> u16 {
        match self {
            Self::ChaChaPoly => 0x0001,
            Self::AesGcm => 0x0002,
        }
    }

    /// The suite that this one bit stands for, if it stands for one.
    pub(crate) const fn from_bit(bit: u16) -> Option<Self> {
        match bit {
            0x0001 => Some(Self::ChaChaPoly),
            0x0002 => Some(Self::AesGcm),
            _ => None,
        }
    }

    /// The suite to choose among those that both sides speak: where both have AES in hardware, it is faster.  SPEC §3
    pub(crate) const fn best_of(bits: u16) -> Option<Self> {
        if bits & Self::AesGcm.bit() != 0 {
            Some(Self::AesGcm)
        } else {
            Self::from_bit(bits & Self::ChaChaPoly.bit())
        }
    }

    /// The full name of the Noise protocol, which is hashed into every handshake.
    pub(crate) const fn noise_name(self) -> &'static str {
        match self {
            Self::ChaChaPoly => "Noise_XX_25519_ChaChaPoly_SHA256",
            Self::AesGcm => "Noise_XX_25519_AESGCM_SHA256",
        }
    }
}

/// What a provider of primitives supplies.
pub(crate) trait Primitives: RefUnwindSafe + Send + Sync {
    /// A name for `Debug` and for logs.
    fn name(&self) -> &'static str;

    /// The bitmap of the suites that [`aead`](Self::aead) knows, on this processor.
    fn suites(&self) -> u16;

    /// The key pair of X25519 with this private key.
    fn key_pair(&self, private: &[u8; KEY_LEN]) -> KeyPair;

    /// The shared secret of X25519, or an error where it is all zero.  The pair may be another provider's.
    fn x25519(&self, own: &KeyPair, public: &[u8; KEY_LEN]) -> Result<[u8; KEY_LEN], LowOrder>;

    /// A cipher with its key; `None` where it has none for the suite.
    fn aead(&self, suite: Suite, key: &[u8; KEY_LEN]) -> Option<Box<dyn Aead>>;

    /// An empty SHA-256.
    fn sha256(&self) -> Box<dyn Hash256>;

    /// An Ed25519 signature.
    fn sign(&self, key: &SigningKey, message: &[u8]) -> [u8; SIGNATURE_LEN];

    /// Whether an Ed25519 signature holds by the strict rules: the public key canonical and of large order, R of large
    /// order, S reduced.
    fn verify(&self, public: &[u8; KEY_LEN], message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool;
}

/// How a cipher gathers that cannot, or for which a copy costs less.
fn seal_copied<A: Aead + ?Sized>(cipher: &A, nonce: u64, ad: &[u8], buf: &mut [u8], body: &[u8]) {
    let Some((text, tag)) = buf.split_last_chunk_mut() else { return };
    let head = text.len().saturating_sub(body.len());
    text[head..].copy_from_slice(body);
    *tag = cipher.seal(nonce, ad, text);
}

/// An authenticated cipher, keyed, that works where the bytes lie. The key is wiped on drop.
pub(crate) trait Aead: Send + Sync + UnwindSafe {
    /// Replaces the key without a new allocation, and wipes the old one.
    fn set_key(&mut self, key: &[u8; KEY_LEN]);

    /// Encrypts `buf` in place.
    ///
    /// No caller may give a nonce twice under one key.
    fn seal(&self, nonce: u64, ad: &[u8], buf: &mut [u8]) -> [u8; TAG_LEN];

    /// Encrypts the beginning of `buf` in place, and behind it `body`, which is not there yet; the last 16 bytes, for
    /// which there is room as well, receive the tag.
    fn seal_gather(&self, nonce: u64, ad: &[u8], buf: &mut [u8], body: &[u8]) {
        seal_copied(self, nonce, ad, buf, body);
    }

    /// Decrypts `buf` in place. On an error the content of `buf` is unspecified, but no plaintext.
    fn open(&self, nonce: u64, ad: &[u8], buf: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), BadTag>;

    /// Decrypts `sealed` into `out`, which is as long. On an error the content of `out` is unspecified, but no plaintext.
    fn open_into(
        &self,
        nonce: u64,
        ad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), BadTag>;
}

/// SHA-256, piece by piece.
pub(crate) trait Hash256: Send + Sync {
    /// Takes more input.
    fn update(&mut self, data: &[u8]);

    /// The hash of all input since the last reset, and a reset.
    fn finalize(&mut self) -> [u8; KEY_LEN];

    /// Forgets all input.
    fn reset(&mut self);
}

/// An Ed25519 secret with its public key worked out once.
///
/// A signature needs the public key too; to derive it each time would double the price of signing.
#[derive(Clone)]
pub(crate) struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    pub(crate) fn from_secret(secret: &[u8; KEY_LEN]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(secret))
    }

    pub(crate) fn public(&self) -> [u8; KEY_LEN] {
        self.0.verifying_key().to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// An authentication tag was not the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the authentication tag does not match")]
pub(crate) struct BadTag;

/// A public key led to the all-zero secret, which would be known to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the public key is of low order")]
pub(crate) struct LowOrder;
