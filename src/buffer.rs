//! A buffer that is filled and emptied over and over.

use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

/// Bytes one behind the other, as in a `Vec<u8>`, but for what is behind their end: it keeps what it once held, so that
/// room which is about to be written is not cleared each time. Clearing a frame takes a tenth of what sealing it takes.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// All that was ever written of it since it grew.
    bytes: Vec<u8>,
    len: usize,
}

impl Buffer {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), len: 0 }
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Makes room for `more` bytes in a buffer that never needs more than `most`: by doubling, since a buffer that grew
    /// for each message would be moved for each, but not beyond the bound, so that the bound can be counted with.
    pub(crate) fn make_room(&mut self, more: usize, most: usize) {
        let needed = self.len + more;
        if needed > self.capacity() {
            self.reserve((2 * self.capacity()).min(most).max(needed));
        }
    }

    /// Has room for so many bytes from now on.
    pub(crate) fn reserve(&mut self, most: usize) {
        // What is behind the end need not be moved.
        self.bytes.truncate(self.len);
        self.bytes.reserve_exact(most.saturating_sub(self.len));
    }

    /// Appends room for so many bytes, to be written by the caller: what is in it means nothing.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn append(&mut self, len: usize) -> &mut [u8] {
        let (start, end) = (self.len, self.len + len);
        if self.bytes.len() < end {
            self.extend_to(end);
        }
        self.len = end;
        &mut self.bytes[start..end]
    }

    #[cold]
    fn extend_to(&mut self, end: usize) {
        self.bytes.resize(end, 0);
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.append(bytes.len()).copy_from_slice(bytes);
    }

    /// Forgets what is behind the first `len` bytes, if anything is.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Forgets the first bytes; those behind them move to the front.
    pub(crate) fn remove_front(&mut self, len: usize) {
        let len = len.min(self.len);
        self.bytes.copy_within(len..self.len, 0);
        self.len -= len;
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Gives back the memory that neither `most` bytes nor what it holds need.
    pub(crate) fn shrink_to(&mut self, most: usize) {
        self.bytes.truncate(self.len);
        self.bytes.shrink_to(most);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[cfg_attr(not(target_os = "none"), inline)]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl DerefMut for Buffer {
    #[cfg_attr(not(target_os = "none"), inline)]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Extend(Vec<u8>),
        Append(usize),
        Truncate(usize),
        RemoveFront(usize),
        Clear,
        Reserve(usize),
        MakeRoom(usize),
        Shrink(usize),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Step::Extend),
            (0_usize..20).prop_map(Step::Append),
            (0_usize..60).prop_map(Step::Truncate),
            (0_usize..60).prop_map(Step::RemoveFront),
            Just(Step::Clear),
            (0_usize..60).prop_map(Step::Reserve),
            (0_usize..60).prop_map(Step::MakeRoom),
            (0_usize..60).prop_map(Step::Shrink),
        ]
    }

    proptest! {
        /// It holds what a `Vec<u8>` would.
        #[test]
        fn it_is_a_vec(steps in proptest::collection::vec(any_step(), 0..60)) {
            let (mut buffer, mut model) = (Buffer::new(), Vec::<u8>::new());
            for step in steps {
                match step {
                    Step::Extend(bytes) => {
                        buffer.extend_from_slice(&bytes);
                        model.extend_from_slice(&bytes);
                    }
                    Step::Append(len) => {
                        buffer.append(len).fill(7);
                        model.resize(model.len() + len, 7);
                    }
                    Step::Truncate(len) => {
                        buffer.truncate(len);
                        model.truncate(len);
                    }
                    Step::RemoveFront(len) => {
                        buffer.remove_front(len);
                        model.drain(..len.min(model.len()));
                    }
                    Step::Clear => {
                        buffer.clear();
                        model.clear();
                    }
                    Step::Reserve(most) => {
                        buffer.reserve(most);
                        prop_assert!(buffer.capacity() >= most);
                    }
                    Step::MakeRoom(more) => {
                        let most = buffer.len() + more;
                        let before = buffer.capacity();
                        buffer.make_room(more, most);
                        prop_assert!(buffer.capacity() >= most);
                        prop_assert!(buffer.capacity() <= before.max(most));
                    }
                    Step::Shrink(most) => {
                        buffer.shrink_to(most);
                        prop_assert!(buffer.capacity() <= most.max(model.len()));
                    }
                }
                prop_assert_eq!(&*buffer, &*model);
            }
        }
    }

    /// What it once held stays, and is not cleared to be written again.
    #[test]
    fn room_is_not_cleared() {
        let mut buffer = Buffer::new();
        buffer.extend_from_slice(b"once");
        buffer.clear();
        assert_eq!(buffer.append(4), b"once");
    }
}
