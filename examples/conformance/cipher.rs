//! The ciphers of one connection, in the place of its other side.  SPEC §7

use serde_json::Value;
use snow::params::CipherChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};

use crate::messages::unhex;

const TAG: usize = 16;
/// After so many frames the key changes.  TRN-2
const REKEY: u64 = 65_536;

/// A suite, by its bit.  SPEC §3
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Suite {
    ChaChaPoly = 1,
    AesGcm = 2,
}

impl Suite {
    pub fn of(bit: u64) -> Option<Self> {
        [Self::ChaChaPoly, Self::AesGcm].into_iter().find(|suite| *suite as u64 == bit)
    }

    /// snow's cipher with this key, which knows how Noise makes a nonce of n.
    fn keyed(self, key: &[u8; 32]) -> Box<dyn snow::types::Cipher> {
        let choice = match self {
            Self::ChaChaPoly => CipherChoice::ChaChaPoly,
            Self::AesGcm => CipherChoice::AESGCM,
        };
        let mut cipher = DefaultResolver.resolve_cipher(&choice).expect("a cipher that snow has");
        cipher.set(key);
        cipher
    }

    /// One Noise message, without any length.
    pub fn seal(self, key: &[u8; 32], n: u64, plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; plaintext.len() + TAG];
        let len = self.keyed(key).encrypt(n, &[], plaintext, &mut sealed);
        sealed.truncate(len);
        sealed
    }

    /// What `Rekey()` makes: the first half of 32 zero bytes, sealed under the last nonce.
    pub fn rekeyed(self, key: &[u8; 32]) -> [u8; 32] {
        self.seal(key, u64::MAX, &[0; 32])[..32].try_into().expect("48 bytes")
    }
}

/// One direction.
#[derive(Clone)]
pub struct Cipher {
    suite: Suite,
    key: [u8; 32],
    n: u64,
}

impl Cipher {
    /// From the `keys` of a setup: `in` or `out`.
    pub fn of(keys: &Value, direction: &str) -> Result<Self, String> {
        let key = unhex(keys[direction].as_str().unwrap_or_default()).try_into();
        let suite = keys.get("suite").map_or(Some(1), Value::as_u64).and_then(Suite::of);
        match (suite, key) {
            (Some(suite), Ok(key)) => Ok(Self { suite, key, n: 0 }),
            _ => Err(format!("the keys {keys}")),
        }
    }

    /// One frame, with its length.
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let sealed = self.suite.seal(&self.key, self.n, plaintext);
        self.count();
        let len = u16::try_from(sealed.len()).expect("a frame is below 64 KiB");
        [&len.to_be_bytes(), &sealed[..]].concat()
    }

    /// What a frame holds, without its length.
    pub fn open(&mut self, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut plaintext = vec![0; sealed.len().checked_sub(TAG)?];
        self.suite.keyed(&self.key).decrypt(self.n, &[], sealed, &mut plaintext).ok()?;
        self.count();
        Some(plaintext)
    }

    /// A frame that somebody else has sealed.
    pub fn skip(&mut self) {
        self.count();
    }

    fn count(&mut self) {
        self.n += 1;
        if self.n.is_multiple_of(REKEY) {
            self.key = self.suite.rekeyed(&self.key);
        }
    }
}
