//! A bounded queue of encoded messages: one lane on its way out.  SPEC §12

use crate::buffer::Buffer;
use crate::time::Instant;
use crate::wire::encode::Measured;

/// What sealing a message means for its exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OnSeal {
    /// Opens a request: its head, with the time left, is encoded at sealing.
    Request,
    /// Opens a subscription.
    Subscribe,
    /// Ends the back direction of an exchange.
    Last,
    /// Belongs to an exchange that goes on.
    Ongoing,
}

impl OnSeal {
    /// What `as u8` made of one.
    const fn from_u8(byte: u8) -> Self {
        const REQUEST: u8 = OnSeal::Request as u8;
        const SUBSCRIBE: u8 = OnSeal::Subscribe as u8;
        const LAST: u8 = OnSeal::Last as u8;
        match byte {
            REQUEST => Self::Request,
            SUBSCRIBE => Self::Subscribe,
            LAST => Self::Last,
            _ => Self::Ongoing,
        }
    }
}

/// One message that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) on_seal: OnSeal,
    /// The exchange.
    pub(crate) id: u64,
    pub(crate) deadline: Option<Instant>,
    len: usize,
}

/// First in, first out; entries lie one behind the other in one buffer.
///
/// ```text
///  0         head                                   bytes.len()
///  ├─ sent ──┼─ header ─ message ─┬─ header ─ message ─┤
/// ```
#[derive(Debug)]
pub(crate) struct Queue {
    bytes: Buffer,
    head: usize,
    max: usize,
    /// How much the buffer may have.
    most: usize,
}

const HEADER: usize = 1 + 4 + 8 + 8;
/// The last instant there is never comes.
const NO_DEADLINE: u64 = Instant::from_micros(u64::MAX).as_micros();

impl Queue {
    /// An empty queue that never holds more than `max` bytes; where it is `fixed`, its buffer is to be reserved.
    pub(crate) const fn new(max: usize, fixed: bool) -> Self {
        Self { bytes: Buffer::new(), head: 0, max, most: Self::most(max, fixed) }
    }

    /// Has all the room from now on that it may ever need.
    pub(crate) fn reserve(&mut self) {
        self.bytes.reserve(self.max);
    }

    /// How much the buffer of such a queue may have.
    pub(crate) const fn most(max: usize, fixed: bool) -> usize {
        if fixed { max } else { max.saturating_mul(2) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head == self.bytes.len()
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    /// The longest message that fits when the queue is empty.
    pub(crate) const fn longest(&self) -> usize {
        self.max.saturating_sub(HEADER)
    }

    /// Whether a message of this length fits now.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.len() + HEADER + len <= self.max
    }

    /// Appends a message without a deadline.  The caller has asked [`Queue::has_room`].
    pub(crate) fn push(&mut self, on_seal: OnSeal, id: u64, message: &Measured<'_>) {
        message.encode_into(self.place(on_seal, id, None, message.len()));
    }

    /// Appends room for a message, to be written by the caller, who has asked [`Queue::has_room`].
    pub(crate) fn place(
        &mut self,
        on_seal: OnSeal,
        id: u64,
        deadline: Option<Instant>,
        len: usize,
    ) -> &mut [u8] {
        self.compact();
        self.bytes.make_room(HEADER + len, self.most);
        let room = self.bytes.append(HEADER + len);
        let Some((header, place)) = room.split_first_chunk_mut::<HEADER>() else { return &mut [] };
        header[0] = on_seal as u8;
        header[1..5].copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        header[5..13].copy_from_slice(&id.to_le_bytes());
        header[13..].copy_from_slice(&deadline.map_or(NO_DEADLINE, Instant::as_micros).to_le_bytes());
        place
    }

    /// The oldest message.
    pub(crate) fn front(&self) -> Option<(Entry, &[u8])> {
        let (header, rest) = self.bytes[self.head..].split_first_chunk::<HEADER>()?;
        let (on_seal, header) = header.split_first()?;
        let (len, header) = header.split_first_chunk()?;
        let (id, header) = header.split_first_chunk()?;
        let deadline = u64::from_le_bytes(*header.first_chunk()?);
        let len = u32::from_le_bytes(*len) as usize;
        let entry = Entry {
            on_seal: OnSeal::from_u8(*on_seal),
            id: u64::from_le_bytes(*id),
            deadline: (deadline != NO_DEADLINE).then_some(Instant::from_micros(deadline)),
            len,
        };
        Some((entry, rest.get(..len)?))
    }

    /// Forgets the message that [`Queue::front`] gave.
    pub(crate) fn pop(&mut self, entry: Entry) {
        self.head = (self.head + HEADER + entry.len).min(self.bytes.len());
        if self.is_empty() {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.head = 0;
    }

    /// Gives memory back, if nothing waits.
    pub(crate) fn shrink(&mut self, at_rest: usize) {
        if self.is_empty() {
            self.bytes.shrink_to(at_rest);
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Moves what waits to the front once more than half of the buffer has been sent: each byte moves
    /// less than once on average, and the buffer stays within twice its bound.  One that is to have no more than
    /// its bound moves what waits each time; it is short.
    fn compact(&mut self) {
        let left = if self.most > self.max { self.bytes.len() / 2 } else { 0 };
        if self.head > left {
            self.bytes.remove_front(self.head);
            self.head = 0;
        }
    }
}
