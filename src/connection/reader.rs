//! Collects the bytes of one unit, a preamble or a frame, however they are cut.  SPEC §4

use crate::buffer::Buffer;
use crate::wire::frame;

/// One unit of known length on its way in.
///
/// The length is set before a byte is stored, by a caller that has checked it against its limit.
#[derive(Debug)]
pub(crate) struct Reader {
    /// What has come of it.
    bytes: Buffer,
    target: usize,
    /// The longest unit there may be.
    most: usize,
}

/// Where a name or body lies in the reader's unit: a frame with its length, so that 32 bits are plenty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// That of `part`, which is a slice of `unit`.
    pub(crate) fn of(unit: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(unit.as_ptr() as usize) as u32;
        Self { start, end: start.wrapping_add(part.len() as u32) }
    }

    /// The part of this unit that it is.
    pub(crate) fn in_unit(self, unit: &[u8]) -> &[u8] {
        unit.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl Reader {
    /// A reader that wants a unit of `target` bytes, with room for `at_rest`, of units of at most `most` bytes.
    pub(crate) fn new(target: usize, at_rest: usize, most: usize) -> Self {
        Self { bytes: Buffer::with_capacity(at_rest.min(most).max(target)), target, most }
    }

    /// Has room for this much from now on.
    pub(crate) fn reserve(&mut self, at_rest: usize) {
        self.bytes.reserve(at_rest);
    }

    /// Forgets the unit and waits for the next, of which `target` bytes are wanted first.
    pub(crate) fn restart(&mut self, target: usize) {
        self.bytes.clear();
        self.extend_to(target);
    }

    /// Takes a unit that came in one piece, which the caller has checked against its limit.
    pub(crate) fn load(&mut self, unit: &[u8]) {
        self.restart(unit.len());
        self.fill(unit);
    }

    /// Makes room for a frame whose content is put there from elsewhere, and lends it.
    pub(crate) fn place(&mut self, header: [u8; frame::LENGTH_PREFIX], len: usize) -> &mut [u8] {
        self.restart(frame::LENGTH_PREFIX + len);
        self.bytes.extend_from_slice(&header);
        self.bytes.append(len)
    }

    /// Wants the unit to go on until it has `target` bytes.
    pub(crate) fn extend_to(&mut self, target: usize) {
        self.target = target;
        self.bytes.make_room(target.saturating_sub(self.bytes.len()), self.most);
    }

    /// Takes what belongs to the unit and says how much that was.
    pub(crate) fn fill(&mut self, input: &[u8]) -> usize {
        let taken = input.len().min(self.target.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(&input[..taken]);
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether all that was wanted has come.
    pub(crate) fn is_complete(&self) -> bool {
        self.bytes.len() == self.target
    }

    /// What has come of the unit.
    pub(crate) fn unit(&self) -> &[u8] {
        &self.bytes
    }

    /// The length in the frame's header, once its two bytes are in.
    pub(crate) fn frame_length(&self) -> Option<u16> {
        let header = self.unit().first_chunk::<{ frame::LENGTH_PREFIX }>()?;
        Some(u16::from_be_bytes(*header))
    }

    /// The Noise message of a complete frame.
    pub(crate) fn noise_message(&mut self) -> &mut [u8] {
        self.bytes.get_mut(frame::LENGTH_PREFIX..).unwrap_or_default()
    }

    /// Part of an opened frame's plaintext, by its place in [`Reader::unit`].
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn part(&self, span: Span) -> &[u8] {
        span.in_unit(&self.bytes)
    }

    /// Gives back what is above `at_rest`, if no unit is on its way.
    pub(crate) fn shrink(&mut self, at_rest: usize) {
        if self.is_empty() {
            self.bytes.shrink_to(at_rest.max(self.target));
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}
