//! One direction of an established session: seals or opens in place, and rekeys by count.

use alloc::boxed::Box;
use core::fmt;

use zeroize::Zeroizing;

use crate::buffer::Buffer;
use crate::crypto::{Aead, KEY_LEN, Provider, Suite, TAG_LEN};

/// After this many frames of a direction its key is replaced. Both sides count, so no message says so.
pub(crate) const REKEY_INTERVAL: u64 = 65_536;

/// The cipher of one direction, with the number of frames it has handled.
pub(crate) struct CipherState {
    aead: Box<dyn Aead>,
    /// The nonce of the next frame.
    n: u64,
}

impl CipherState {
    /// `None` where the provider has not this suite.
    pub(super) fn new(provider: Provider, suite: Suite, key: &[u8; KEY_LEN]) -> Option<Self> {
        Some(Self { aead: provider.primitives().aead(suite, key)?, n: 0 })
    }

    /// Encrypts the beginning of `buf` in place and behind it `body`, which is not there yet; its last 16 bytes receive the
    /// tag.
    ///
    /// A buffer without room for both is a mistake of the caller's, and refused like an exhausted cipher.
    pub(crate) fn seal(&mut self, buf: &mut [u8], body: &[u8]) -> Result<(), Exhausted> {
        let n = self.usable_nonce()?;
        if buf.len() < body.len() + TAG_LEN {
            debug_assert!(false, "a frame ends in room for its tag");
            return Err(Exhausted);
        }
        self.aead.seal_gather(n, &[], buf, body);
        self.advance();
        Ok(())
    }

    /// Appends `body` to the text that begins at `start`, seals all of that, and appends the tag.
    pub(crate) fn seal_joined(
        &mut self,
        buf: &mut Buffer,
        start: usize,
        body: &[u8],
    ) -> Result<(), Exhausted> {
        buf.append(body.len() + TAG_LEN);
        self.seal(buf.get_mut(start..).unwrap_or_default(), body)
    }

    /// Decrypts `buf`, whose last 16 bytes are the tag, and returns the length of the plaintext.
    ///
    /// After an error the state is as it was, and `buf` holds nothing of the plaintext.
    pub(crate) fn open(&mut self, buf: &mut [u8]) -> Result<usize, OpenError> {
        let n = self.usable_nonce().map_err(|Exhausted| OpenError::Exhausted)?;
        let (text, tag) = buf.split_last_chunk_mut::<TAG_LEN>().ok_or(OpenError::TooShort)?;
        self.aead.open(n, &[], text, tag).map_err(|_| OpenError::Forged)?;
        let len = text.len();
        self.advance();
        Ok(len)
    }

    /// As [`open`](Self::open), into the beginning of `out`, which is as long as `sealed`: a copy that costs nothing.
    pub(crate) fn open_into(&mut self, sealed: &[u8], out: &mut [u8]) -> Result<usize, OpenError> {
        let n = self.usable_nonce().map_err(|Exhausted| OpenError::Exhausted)?;
        let (text, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(OpenError::TooShort)?;
        let out = out.get_mut(..text.len()).ok_or(OpenError::TooShort)?;
        self.aead.open_into(n, &[], text, out, tag).map_err(|_| OpenError::Forged)?;
        self.advance();
        Ok(text.len())
    }

    /// Whether `buf` is the frame that comes `later` frames after the next one, under the same key.
    ///
    /// The state stays as it is; `buf` holds the plaintext, or nothing that means anything.
    pub(crate) fn opens_later(&self, later: u64, buf: &mut [u8]) -> bool {
        let Some(n) = self.n.checked_add(later).filter(|n| *n < u64::MAX) else { return false };
        let Some((text, tag)) = buf.split_last_chunk_mut::<TAG_LEN>() else { return false };
        n / REKEY_INTERVAL == self.n / REKEY_INTERVAL && self.aead.open(n, &[], text, tag).is_ok()
    }

    /// Lets a test begin at any frame. The rekeys before it are left out.
    #[cfg(test)]
    pub(crate) fn start_at(&mut self, n: u64) {
        self.n = n;
    }

    /// Noise keeps the highest nonce for [`rekey`](Self::rekey).
    fn usable_nonce(&self) -> Result<u64, Exhausted> {
        if self.n == u64::MAX { Err(Exhausted) } else { Ok(self.n) }
    }

    /// Counts a frame that was handled, and rekeys where the next one has the next key.
    fn advance(&mut self) {
        self.n += 1;
        if self.n.is_multiple_of(REKEY_INTERVAL) {
            self.rekey();
        }
    }

    /// Noise §4.2, REKEY. The nonce goes on: it is also the count of frames.
    fn rekey(&mut self) {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        self.aead.seal(u64::MAX, &[], key.as_mut_slice());
        self.aead.set_key(&key);
    }
}

impl fmt::Debug for CipherState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CipherState").field("n", &self.n).finish_non_exhaustive()
    }
}

/// A direction has sealed as many frames as it has nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no nonce is left")]
pub(crate) struct Exhausted;

/// Why a frame was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("no nonce is left")]
    Exhausted,
    #[error("the frame was forged, garbled, repeated or left out")]
    Forged,
    #[error("the frame is shorter than its tag")]
    TooShort,
}
