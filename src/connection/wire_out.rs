//! Bytes on their way to the socket: the handshake's, or sealed frames.

use crate::buffer::Buffer;

/// Bytes that leave in order, as the socket takes them.
#[derive(Debug)]
pub(crate) struct WireOut {
    bytes: Buffer,
    sent: usize,
}

impl WireOut {
    pub(crate) fn new(at_rest: usize) -> Self {
        Self { bytes: Buffer::with_capacity(at_rest), sent: 0 }
    }

    /// Has room for this much from now on.
    pub(crate) fn reserve(&mut self, most: usize) {
        self.bytes.reserve(most);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// How much is on its way.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Where to append.
    pub(crate) fn buffer(&mut self) -> &mut Buffer {
        if self.is_empty() {
            self.clear();
        }
        &mut self.bytes
    }

    /// Where to append so much behind what is on its way. What has left makes room for it, where the buffer would have
    /// more than `most` bytes otherwise.
    pub(crate) fn buffer_for(&mut self, more: usize, most: usize) -> &mut Buffer {
        if self.bytes.len() + more > most {
            self.bytes.remove_front(self.sent);
            self.sent = 0;
        }
        self.buffer()
    }

    pub(crate) fn unsent(&self) -> Option<&[u8]> {
        self.bytes.get(self.sent..).filter(|unsent| !unsent.is_empty())
    }

    /// Forgets what was written; more than there is counts as all.
    pub(crate) fn advance(&mut self, written: usize) {
        self.sent = self.sent.saturating_add(written).min(self.bytes.len());
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }

    /// Gives back what is above `at_rest`, if nothing is on its way.
    pub(crate) fn shrink(&mut self, at_rest: usize) {
        if self.is_empty() {
            self.clear();
            self.bytes.shrink_to(at_rest);
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}
