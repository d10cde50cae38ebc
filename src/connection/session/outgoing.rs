//! What leaves: waiting messages become the plaintext of one frame, which is sealed in place.  SPEC §7, §12

use alloc::vec::Vec;
use core::time::Duration;

use super::{Due, Frame, Session};
use crate::connection::exchanges::{Answer, Cancel, Exchanges};
use crate::connection::queue::{Entry, Role};
use crate::noise::Exhausted;
use crate::time::Instant;
use crate::wire::message::Message;
use crate::wire::{encode, frame};

/// One frame in sixteen begins with the lane that has waited.  SPEC §12 LAN-1
const FRAMES_PASSED_OVER: u8 = 15;

impl Frame<'_> {
    fn is_empty(&self) -> bool {
        self.bytes.len() == self.start
    }

    fn has_room(&self, len: usize) -> bool {
        self.bytes.len() - self.start + len <= self.max
    }

    /// Appends the message if it fits.
    fn push(&mut self, message: &Message<'_>) -> bool {
        let fits = self.has_room(message.encoded_len());
        if fits {
            message.encode(self.bytes);
        }
        fits
    }
}

impl Session {
    /// Appends one sealed frame with what waits, as much of it as fits; nothing if nothing waits.
    pub(crate) fn seal_frame(&mut self, now: Instant, wire: &mut Vec<u8>) -> Result<(), Exhausted> {
        // LAN-2: nothing before `accept`, nothing after `close`.
        if self.is_deciding() || self.control.close_sealed {
            return Ok(());
        }
        let header = wire.len();
        wire.extend_from_slice(&[0; frame::LENGTH_PREFIX]);
        let start = wire.len();
        let max = self.max_plaintext();
        self.fill(now, &mut Frame { bytes: wire, start, max });
        if wire.len() == start {
            wire.truncate(header);
            return Ok(());
        }
        wire.extend_from_slice(&[0; frame::TAG]);
        let sealed = self.send.seal(&mut wire[start..]);
        if sealed.is_err() {
            wire.truncate(header);
            return sealed;
        }
        // A frame is never longer than the peer's `max_frame`, which is a u16.
        let len = u16::try_from(wire.len() - start).unwrap_or(u16::MAX);
        wire[header..start].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }

    fn fill(&mut self, now: Instant, frame: &mut Frame<'_>) {
        let starved = self.passed_over >= FRAMES_PASSED_OVER;
        if starved && !self.control.accept {
            self.drain(Lane::Publications, now, frame, 1);
        }
        let whole = self.fill_control(frame)
            && self.drain(Lane::Calls, now, frame, usize::MAX)
            && self.drain(Lane::Publications, now, frame, usize::MAX);
        let waiting = !self.publications.is_empty();
        self.passed_over = if waiting && !whole && !starved { self.passed_over.saturating_add(1) } else { 0 };
        if whole {
            self.fill_close(frame);
        }
    }

    /// Appends what control has; `false` where the frame is full.
    fn fill_control(&mut self, frame: &mut Frame<'_>) -> bool {
        if self.control.accept {
            if !frame.push(&Message::Accept) {
                return false;
            }
            self.control.accept = false;
        }
        if let Some(token) = self.control.pong {
            if !frame.push(&Message::Pong { token }) {
                return false;
            }
            self.control.pong = None;
        }
        if let Some(token) = self.control.ping {
            if !frame.push(&Message::Ping { token }) {
                return false;
            }
            self.control.ping = None;
        }
        if let Some(last) = self.control.goaway {
            if !frame.push(&Message::Goaway { last }) {
                return false;
            }
            self.control.goaway = None;
        }
        while let Some(due) = self.control.due.front().copied() {
            if !self.fill_due(due, frame) {
                return false;
            }
            self.control.due.pop_front();
        }
        true
    }

    /// Appends what is due for one exchange, if the exchange still is.
    fn fill_due(&mut self, due: Due, frame: &mut Frame<'_>) -> bool {
        match due {
            Due::Cancel(id) => {
                let Some(opened) = self.exchanges.ours(id) else { return true };
                let Cancel::Due(status) = opened.cancel else { return true };
                let fits = frame.push(&Message::Cancel { id, status });
                if fits {
                    opened.cancel = Cancel::Sent;
                }
                fits
            }
            Due::Credit(id) => {
                let Some(opened) = self.exchanges.ours(id) else { return true };
                let Some(subscription) = &mut opened.subscription else { return true };
                let limit = subscription.allowance.next_limit();
                let fits = frame.push(&Message::Credit { id, limit });
                if fits {
                    subscription.allowance.announce(limit);
                }
                fits
            }
            Due::Last(id) => {
                let Some(taken) = self.exchanges.theirs(id) else { return true };
                let Answer::Due(status) = taken.answer else { return true };
                let fits = frame.push(&Message::Response { id, status, more: false, body: &[] });
                if fits {
                    seal_last(&mut self.exchanges, id);
                }
                fits
            }
        }
    }

    /// Appends up to `most` messages of a lane; `false` where the next one does not fit.
    fn drain(&mut self, lane: Lane, now: Instant, frame: &mut Frame<'_>, most: usize) -> bool {
        let exchanges = &mut self.exchanges;
        let queue = match lane {
            Lane::Calls => &mut self.calls,
            Lane::Publications => &mut self.publications,
        };
        for _ in 0..most {
            let Some((entry, bytes)) = queue.front() else { return true };
            match append(entry, bytes, exchanges, now, frame) {
                Appended::Full if frame.is_empty() => {
                    // Cannot be: commands check each length against a whole frame.  Dropped, so as not to stall.
                    debug_assert!(false, "a message fits an empty frame");
                }
                Appended::Full => return false,
                Appended::Yes | Appended::Obsolete => {}
            }
            queue.pop(entry);
        }
        true
    }

    fn fill_close(&mut self, frame: &mut Frame<'_>) {
        let Some(status) = self.control.close else { return };
        if frame.push(&Message::Close { status }) {
            self.control.close_sealed = true;
        }
    }
}

#[derive(Clone, Copy)]
enum Lane {
    Calls,
    Publications,
}

enum Appended {
    Full,
    /// The exchange has ended in the meantime.
    Obsolete,
    Yes,
}

/// Appends one queued message, and notes in the table that it has left.
fn append(
    entry: Entry,
    bytes: &[u8],
    exchanges: &mut Exchanges,
    now: Instant,
    frame: &mut Frame<'_>,
) -> Appended {
    let id = entry.id;
    match entry.role {
        Role::Request | Role::Subscribe => {
            let Some(opened) = exchanges.ours(id) else { return Appended::Obsolete };
            if opened.given_up {
                exchanges.close_ours(id);
                return Appended::Obsolete;
            }
            if entry.deadline.is_some_and(|deadline| deadline <= now) {
                // The deadline's timer, which is due, tells the application.
                opened.unsent = true;
                return Appended::Obsolete;
            }
            if exchanges.is_stopped() {
                return Appended::Obsolete;
            }
            let head = if entry.role == Role::Request { encode::REQUEST_HEAD_MAX } else { 0 };
            if !frame.has_room(head + bytes.len()) {
                return Appended::Full;
            }
            if entry.role == Role::Request {
                let left = entry.deadline.map_or(0, |deadline| whole_millis(deadline.saturating_since(now)));
                encode::request_head(id, left, frame.bytes);
            }
            frame.bytes.extend_from_slice(bytes);
            exchanges.sealed(id);
        }
        Role::Last | Role::Ongoing => {
            if exchanges.theirs(id).is_none() {
                return Appended::Obsolete;
            }
            if !frame.has_room(bytes.len()) {
                return Appended::Full;
            }
            frame.bytes.extend_from_slice(bytes);
            if entry.role == Role::Last {
                seal_last(exchanges, id);
            }
        }
    }
    Appended::Yes
}

/// The last message of the back direction has left.  SPEC §10.2
fn seal_last(exchanges: &mut Exchanges, id: u64) {
    let Some(taken) = exchanges.theirs(id) else { return };
    if taken.out_open {
        taken.answer = Answer::Sent;
    } else {
        exchanges.close_theirs(id);
    }
}

/// Rounded up and never 0, which would mean no deadline.
fn whole_millis(left: Duration) -> u32 {
    u32::try_from(left.as_micros().div_ceil(1_000).max(1)).unwrap_or(u32::MAX)
}
