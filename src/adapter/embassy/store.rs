//! Bytes in a part of the caller's memory, in their order.

/// A region of some memory, and the bytes in it: appended at their end, taken from their front, always in one piece.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Store {
    from: usize,
    to: usize,
    start: usize,
    end: usize,
}

impl Store {
    /// An empty one, of this region.
    pub(super) const fn new(from: usize, to: usize) -> Self {
        Self { from, to, start: from, end: from }
    }

    /// An empty one, of what lies before another.
    pub(super) const fn up_to(&self, next: &Self) -> Self {
        Self::new(self.from, next.from)
    }

    pub(super) const fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.end == self.start
    }

    pub(super) const fn room(&self) -> usize {
        self.to - self.from - self.len()
    }

    /// Appends these bytes, all or none.
    pub(super) fn push(&mut self, memory: &mut [u8], bytes: &[u8]) -> bool {
        let place = self.insert(memory, self.len(), bytes.len());
        place.map(|place| place.copy_from_slice(bytes)).is_some()
    }

    /// Makes a place of this length behind the first `at` bytes, all of which there are; none where there is no room.
    pub(super) fn insert<'m>(&mut self, memory: &'m mut [u8], at: usize, len: usize) -> Option<&'m mut [u8]> {
        if len > self.room() {
            return None;
        }
        if len > self.to - self.end {
            memory.copy_within(self.start..self.end, self.from);
            (self.start, self.end) = (self.from, self.from + self.len());
        }
        let place = self.start + at;
        memory.copy_within(place..self.end, place + len);
        self.end += len;
        Some(&mut memory[place..place + len])
    }

    pub(super) fn bytes<'m>(&self, memory: &'m [u8]) -> &'m [u8] {
        &memory[self.start..self.end]
    }

    /// The room behind the bytes, for somebody who writes there, and then has them [taken](Self::took).
    pub(super) fn rest<'m>(&self, memory: &'m mut [u8]) -> &'m mut [u8] {
        &mut memory[self.end..self.to]
    }

    /// Has as many bytes more, which were written into the [`rest`](Self::rest).
    pub(super) fn took(&mut self, len: usize) {
        self.end = (self.end + len).min(self.to);
    }

    pub(super) fn bytes_mut<'m>(&self, memory: &'m mut [u8]) -> &'m mut [u8] {
        &mut memory[self.start..self.end]
    }

    /// Forgets as many from behind the first `at`, all of which there are.
    pub(super) fn cut(&mut self, memory: &mut [u8], at: usize, len: usize) {
        self.bytes_mut(memory).copy_within(at + len.., at);
        self.end -= len;
    }

    /// Forgets as many from the front.
    pub(super) fn advance(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
        if self.is_empty() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (self.from, self.from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_in_one_piece_and_in_their_region() {
        let mut memory = [0xee; 12];
        let mut store = Store::new(2, 10);
        assert!(store.push(&mut memory, b"abcdef"));
        store.advance(4);
        assert!(!store.push(&mut memory, b"1234567"), "all or none");
        assert_eq!(store.bytes(&memory), b"ef");
        assert!(store.push(&mut memory, b"123456"));
        assert_eq!((store.bytes(&memory), store.room()), (&b"ef123456"[..], 0));
        store.advance(3);
        assert!(store.rest(&mut memory).is_empty());
        store.took(1);
        assert_eq!(store.bytes(&memory), b"23456", "no more than there is");
        store.advance(100);
        assert!(store.is_empty());
        store.rest(&mut memory)[..2].copy_from_slice(b"xy");
        store.took(2);
        assert_eq!(store.bytes(&memory), b"xy");
        assert_eq!((memory[..2].len(), &memory[10..]), (2, &[0xee; 2][..]));
    }
}
