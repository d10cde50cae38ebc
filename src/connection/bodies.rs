//! Bodies that go on in chunks: what waits to be sent of one, and what may still come of the other.  SPEC §10.5

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::credit::{ReceiveCredit, SendCredit};
use super::timer::Wait;
use crate::status::Status;
use crate::time::Instant;
use crate::wire::message::Message;

/// The two bodies of one exchange, each until it has ended.
#[derive(Debug)]
pub(crate) struct Bodies {
    /// This side's.
    pub(crate) outbound: Option<Outbound>,
    /// The other side's.
    pub(crate) inbound: Option<ReceiveCredit>,
    /// When something of them moved last.
    pub(crate) moved: Instant,
    /// How long nothing of them may move.
    pub(crate) idle: Option<Wait>,
}

impl Bodies {
    pub(crate) fn new(now: Instant, idle: Option<Wait>) -> Box<Self> {
        Box::new(Self { outbound: None, inbound: None, moved: now, idle })
    }

    /// Notes that something has moved; what is looked at late does not make it earlier.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn touch(&mut self, at: Instant) {
        self.moved = self.moved.max(at);
    }

    /// When they have stood still for too long, unless something moves.
    pub(crate) fn stalls_at(&self) -> Option<Instant> {
        let is_open = self.outbound.is_some() || self.inbound.is_some();
        self.idle.filter(|_| is_open).map(|idle| self.moved + idle)
    }
}

/// A body on its way out: bytes that wait, in one buffer of a fixed size, and how it ends.
#[derive(Debug)]
pub(crate) struct Outbound {
    waiting: VecDeque<u8>,
    max: usize,
    pub(crate) send_credit: SendCredit,
    /// The message that begins it has left, so chunks may follow.  SPEC §12 LAN-3
    begun: bool,
    /// Behind what waits.
    end: Option<Status>,
    /// It was given up, and says so with the first status that anybody named.
    given_up: bool,
    /// Whether the line of bodies has it.
    pub(crate) lined_up: bool,
    /// How much of its turn is left, in bytes of messages.
    pub(crate) share: usize,
    /// It was full, and nobody has been told since that there is room.
    full: bool,
}

impl Outbound {
    /// Nothing of a body yet; its buffer is there from the start where it is `fixed`.
    pub(crate) fn new(window: u32, max: usize, fixed: bool) -> Self {
        Self {
            waiting: VecDeque::with_capacity(if fixed { max } else { 0 }),
            max,
            send_credit: SendCredit::new(window.into()),
            begun: false,
            end: None,
            given_up: false,
            lined_up: false,
            share: 0,
            full: false,
        }
    }

    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether nothing can be appended any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.end.is_some()
    }

    /// Takes as much as there is room for.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.max - self.waiting.len());
        if self.waiting.capacity() - self.waiting.len() < taken {
            // Small bodies take little, and none ever takes more than `max`.
            let want = (self.waiting.len() + taken).max(self.waiting.capacity() * 2).min(self.max);
            self.waiting.reserve_exact(want - self.waiting.len());
        }
        self.waiting.extend(&bytes[..taken]);
        self.full |= self.waiting.len() == self.max;
        taken
    }

    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < self.max
    }

    /// Ends the body behind what waits.
    pub(crate) fn finish(&mut self) {
        self.end.get_or_insert(Status::OK);
    }

    /// Gives the body up: what waits is not sent.  `false` where that was done before.
    pub(crate) fn abort(&mut self, status: Status) -> bool {
        if self.given_up {
            return false;
        }
        self.given_up = true;
        self.waiting = VecDeque::new();
        // EXC-15: with 0 the peer would take the part for the whole.
        self.end = Some(if status.is_ok() { Status::CANCELLED } else { status });
        true
    }

    /// Whether it was given up before all of it had left.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// Whether a message of this cost may leave with what waits and with bytes that do not.
    pub(crate) fn takes_through(&self, cost: u64) -> bool {
        self.begun && self.end.is_none() && cost <= self.send_credit.left()
    }

    /// Whether something can leave now, credit allowing.
    pub(crate) fn is_ready(&self) -> bool {
        let can_pay = self.send_credit.left() > DATA_HEAD_MAX;
        self.begun && (self.next_end().is_some() || (can_pay && !self.waiting.is_empty()))
    }

    /// How it ends, where nothing waits before that.
    pub(crate) fn next_end(&self) -> Option<Status> {
        self.end.filter(|_| self.waiting.is_empty())
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The first bytes that wait, in two parts.
    pub(crate) fn front(&self, len: usize) -> (&[u8], &[u8]) {
        let (first, second) = self.waiting.as_slices();
        let split = len.min(first.len());
        (&first[..split], &second[..len - split])
    }

    /// Forgets bytes that have left in a message of this cost.
    pub(crate) fn sent(&mut self, len: usize, cost: u64) {
        self.waiting.drain(..len);
        let paid = self.send_credit.spend(cost);
        debug_assert!(paid, "asked before");
    }

    /// Whether to say that there is room again: half of the buffer, or what there is where nothing moves without credit.
    pub(crate) fn takes_again(&mut self) -> bool {
        let has_room = self.waiting.len() <= self.max / 2
            || (self.waiting.len() < self.max && self.send_credit.left() <= DATA_HEAD_MAX);
        let takes_again = self.full && has_room && self.end.is_none();
        self.full &= !takes_again;
        takes_again
    }

    pub(crate) fn capacity(&self) -> usize {
        self.waiting.capacity()
    }
}

/// How long a `data` message of this exchange is at most without its chunk.
pub(crate) fn data_head_max(id: u64) -> usize {
    // A chunk has a length of up to three bytes, where an empty one has one.
    Message::Data { id, chunk: &[] }.encoded_len() + 2
}

/// The same of any exchange.
const DATA_HEAD_MAX: u64 = 1 + 1 + 9 + 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_exchange_has_a_longer_head() {
        assert_eq!(data_head_max(u64::MAX) as u64, DATA_HEAD_MAX);
    }
}
