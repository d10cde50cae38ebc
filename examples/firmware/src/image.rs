//! Bodies that are longer than the memory: an image that comes in, and one that goes out.

use sha2::{Digest, Sha256};
use symbolon::{Connection, ExchangeId, SendError};

use crate::board::flash;

/// How long a hash is.
pub const HASH_LEN: usize = 32;

/// The hash of an image.  What it is made of is in the flash once, not wherever an image is hashed.
struct Hash(Sha256);

impl Hash {
    #[inline(never)]
    fn new() -> Self {
        Self(Sha256::new())
    }

    #[inline(never)]
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    #[inline(never)]
    fn finish(&mut self) -> [u8; HASH_LEN] {
        self.0.finalize_reset().into()
    }
}

/// An image that comes in, of which only its hash is kept.  A real one would go to the other half of the flash.
pub struct Incoming {
    /// The exchange that it comes in.
    pub id: ExchangeId,
    expected: [u8; HASH_LEN],
    hash: Hash,
}

impl Incoming {
    /// An image that is announced by its hash; none, where that is no hash.
    pub fn new(id: ExchangeId, head: &[u8]) -> Option<Self> {
        Some(Self { id, expected: head.try_into().ok()?, hash: Hash::new() })
    }

    /// Takes the next bytes.
    pub fn take(&mut self, chunk: &[u8]) {
        self.hash.update(chunk);
    }

    /// The answer: whether it is what was announced, and what it is.
    pub fn finish(&mut self) -> [u8; 1 + HASH_LEN] {
        let hash = self.hash.finish();
        let mut answer = [0; 1 + HASH_LEN];
        answer[0] = (hash == self.expected).into();
        answer[1..].copy_from_slice(&hash);
        answer
    }
}

/// An image that goes out, straight from the flash: the beginning of this very program.
pub struct Outgoing {
    /// The exchange that it goes out in.
    pub id: ExchangeId,
    len: usize,
    written: usize,
}

impl Outgoing {
    /// How many bytes can be asked for.
    const MAX_LEN: usize = 128 * 1024;

    /// So many bytes as the head of the request says, four bytes; none, where it is not, or says too many.
    pub fn new(id: ExchangeId, head: &[u8]) -> Option<Self> {
        let len = u32::from_be_bytes(head.try_into().ok()?) as usize;
        (len <= Self::MAX_LEN).then_some(Self { id, len, written: 0 })
    }

    /// The hash of all of it.
    // A function of its own: what it needs of the stack is not there while connections do their work.
    #[inline(never)]
    pub fn hash(&self) -> [u8; HASH_LEN] {
        let mut hash = Hash::new();
        let mut chunk = [0; 64];
        let mut at = 0;
        while at < self.len {
            let wanted = chunk.len().min(self.len - at);
            let read = flash::read(at, &mut chunk[..wanted]);
            hash.update(&chunk[..read]);
            at += read;
        }
        hash.finish()
    }

    /// Writes as much as the connection has room for; whether that was the last of it.
    ///
    /// # Errors
    ///
    /// The exchange is over: nobody wants the rest.
    pub fn write(&mut self, connection: &mut Connection) -> Result<bool, SendError> {
        let mut chunk = [0; 256];
        while self.written < self.len {
            let wanted = chunk.len().min(self.len - self.written);
            let read = flash::read(self.written, &mut chunk[..wanted]);
            match connection.write(self.id, &chunk[..read]) {
                Ok(taken) => self.written += taken,
                Err(SendError::Full) => return Ok(false),
                Err(over) => return Err(over),
            }
        }
        connection.finish(self.id)?;
        Ok(true)
    }
}
