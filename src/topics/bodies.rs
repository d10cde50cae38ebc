//! The bodies of publications: each stored once, whoever still waits for it.

use super::slab::{Key, Slab};
use alloc::vec::Vec;

pub(super) type BodyKey = Key<Slot>;

/// Below this a buffer of its own size would cost more than it holds.
const SMALLEST: usize = 16;
/// One for empty bodies and one for each power of two.
const CLASSES: usize = usize::BITS as usize + 1;

#[derive(Default)]
pub(super) struct Slot {
    buffer: Vec<u8>,
    /// Queues that refer to it, and one more while `kept`.  Plain: everything here is behind `&mut`.
    holders: u32,
    /// Whether the topic itself keeps it.
    kept: bool,
}

/// Buffers of a power of two bytes, used again by bodies of the same class: once each class has as many as
/// are needed at the same time, nothing is allocated.
pub(super) struct BodyPool {
    /// Each with a buffer, and those that are not idle with a body in it.
    slots: Slab<Slot>,
    /// By the class of their buffers.
    idle: Vec<Vec<BodyKey>>,
    /// Bytes of all buffers, with a body or idle.
    held: usize,
    /// Bytes of the buffers whose bodies a topic keeps.
    kept: usize,
    limit: usize,
}

impl BodyPool {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            slots: Slab::default(),
            idle: (0..CLASSES).map(|_| Vec::new()).collect(),
            held: 0,
            kept: 0,
            limit,
        }
    }

    /// Whether the limit leaves room for `len` bytes beside all that topics keep, once `leaving` is kept no more.
    /// What only queues hold does not count: it can be dropped, so that no slow subscriber blocks a publisher.
    pub(super) fn can_keep(&self, len: usize, leaving: Option<BodyKey>) -> bool {
        let leaving = leaving.map_or(0, |key| size_of(self.bytes(key).len()));
        size_of(len) <= self.limit.saturating_sub(self.kept - leaving)
    }

    /// Whether `keep` would stay within the limit now, giving idle buffers back where it must.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(super) fn make_room(&mut self, len: usize) -> bool {
        let size = size_of(len);
        if !self.idle[class_of(len)].is_empty() {
            return true;
        }
        for class in (0..CLASSES).rev() {
            while size > self.limit.saturating_sub(self.held) {
                let Some(key) = self.idle[class].pop() else { break };
                self.slots.take(key);
                self.held -= size_of_class(class);
            }
        }
        size <= self.limit.saturating_sub(self.held)
    }

    /// Stores a body for its topic.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(super) fn keep(&mut self, body: &[u8]) -> BodyKey {
        let size = size_of(body.len());
        let key = self.idle[class_of(body.len())].pop().unwrap_or_else(|| {
            self.held += size;
            let key = self.slots.insert();
            self.slots[key].buffer.reserve_exact(size);
            key
        });
        let slot = &mut self.slots[key];
        slot.buffer.extend_from_slice(body);
        (slot.holders, slot.kept) = (1, true);
        self.kept += size;
        key
    }

    /// The topic keeps it no more.
    pub(super) fn unkeep(&mut self, key: BodyKey) {
        let slot = &mut self.slots[key];
        slot.kept = false;
        self.kept -= size_of(slot.buffer.len());
        self.release(key);
    }

    pub(super) fn hold(&mut self, key: BodyKey) {
        self.slots[key].holders += 1;
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    pub(super) fn release(&mut self, key: BodyKey) {
        let slot = &mut self.slots[key];
        slot.holders -= 1;
        if slot.holders == 0 {
            let class = class_of(slot.buffer.len());
            slot.buffer.clear();
            self.idle[class].push(key);
        }
    }

    pub(super) fn is_kept(&self, key: BodyKey) -> bool {
        self.slots[key].kept
    }

    /// Bytes of all buffers.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How many bodies there are.
    #[cfg(test)]
    pub(super) fn stored(&self) -> usize {
        self.slots.len() - self.idle.iter().map(Vec::len).sum::<usize>()
    }

    pub(super) fn bytes(&self, key: BodyKey) -> &[u8] {
        &self.slots[key].buffer
    }
}

fn class_of(len: usize) -> usize {
    match size_of(len) {
        0 => 0,
        size => size.trailing_zeros() as usize + 1,
    }
}

const fn size_of_class(class: usize) -> usize {
    match class {
        0 => 0,
        class => 1 << (class - 1),
    }
}

fn size_of(len: usize) -> usize {
    match len {
        0 => 0,
        // No slice is longer than `isize::MAX`, so its power of two fits.
        len => len.next_power_of_two().max(SMALLEST),
    }
}
