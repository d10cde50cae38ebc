//! The ciphers of one connection, in the place of its other side.  SPEC §7

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, Key, KeyInit, Nonce};

const TAG: usize = 16;
/// After so many frames the key changes.  TRN-2
const REKEY: u64 = 65_536;

/// One direction.
#[derive(Clone)]
pub struct Cipher {
    key: [u8; 32],
    n: u64,
}

impl Cipher {
    pub fn new(key: [u8; 32]) -> Self {
        Self { key, n: 0 }
    }

    /// One frame, with its length.
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let sealed = seal(&self.key, self.n, plaintext);
        self.count();
        let len = u16::try_from(sealed.len()).expect("a frame is below 64 KiB");
        [&len.to_be_bytes(), &sealed[..]].concat()
    }

    /// What a frame holds, without its length.
    pub fn open(&mut self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (text, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        let mut plaintext = text.to_vec();
        let tag = tag.try_into().ok()?;
        let cipher = ChaCha20Poly1305::new(&Key::from(self.key));
        cipher.decrypt_inout_detached(&nonce(self.n), &[], plaintext.as_mut_slice().into(), tag).ok()?;
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
            let sealed = seal(&self.key, u64::MAX, &[0; 32]);
            self.key.copy_from_slice(&sealed[..32]);
        }
    }
}

fn seal(key: &[u8; 32], n: u64, plaintext: &[u8]) -> Vec<u8> {
    let mut sealed = plaintext.to_vec();
    let cipher = ChaCha20Poly1305::new(&Key::from(*key));
    let tag = cipher.encrypt_inout_detached(&nonce(n), &[], sealed.as_mut_slice().into());
    sealed.extend_from_slice(&tag.expect("short enough"));
    sealed
}

fn nonce(n: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&n.to_le_bytes());
    Nonce::from(nonce)
}
