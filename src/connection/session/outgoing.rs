//! What leaves: waiting messages become the plaintext of one frame, which is sealed in place.  SPEC §7, §12

use super::{Frame, Session};
use crate::buffer::Buffer;
use crate::connection::exchanges::{Answer, Cancel, Exchanges};
use crate::connection::queue::{Entry, OnSeal};
use crate::noise::Exhausted;
use crate::time::Instant;
use crate::wire::encode::{self, Measured};
use crate::wire::frame;
use crate::wire::message::Message;

/// One frame in sixteen begins with the lane that has waited.  SPEC §12 LAN-1
const FRAMES_PASSED_OVER: u8 = 15;

impl Frame<'_> {
    fn is_empty(&self) -> bool {
        self.bytes.len() == self.start
    }

    pub(super) fn room(&self) -> usize {
        self.max - (self.bytes.len() - self.start)
    }

    fn has_room(&self, len: usize) -> bool {
        len <= self.room()
    }

    /// Before so much is appended.
    pub(super) fn make_room(&mut self, len: usize) {
        self.bytes.make_room(len + frame::TAG, self.most);
    }

    /// Appends the message if it fits.
    pub(super) fn push(&mut self, message: Message<'_>) -> bool {
        let rest = self.begin(&message.measured());
        self.bytes.extend_from_slice(rest.unwrap_or_default());
        rest.is_some()
    }

    /// Appends the message, if it fits, but for the bytes that end it, for which there is room then.
    pub(super) fn begin<'a>(&mut self, message: &Measured<'a>) -> Option<&'a [u8]> {
        let len = message.len();
        if !self.has_room(len) {
            return None;
        }
        self.make_room(len);
        Some(message.begin(self.bytes))
    }
}

impl Session {
    /// Appends one sealed frame with what waits, as much of it as fits; nothing if nothing waits.
    pub(crate) fn seal_frame(&mut self, now: Instant, wire: &mut Buffer) -> Result<(), Exhausted> {
        // LAN-2: nothing before `accept`, nothing after `close`.
        if self.is_deciding() || self.control.close_sealed {
            return Ok(());
        }
        self.seal_with(wire, |session, frame| {
            session.fill(now, frame);
            &[]
        })
    }

    /// Appends one sealed frame with what `fill` puts into it, and behind that with what it gives, for which it has made
    /// room; nothing if that is nothing.
    pub(super) fn seal_with<'a>(
        &mut self,
        wire: &mut Buffer,
        fill: impl FnOnce(&mut Self, &mut Frame<'_>) -> &'a [u8],
    ) -> Result<(), Exhausted> {
        let mut frame = self.begin_frame(wire);
        let (rest, start) = (fill(self, &mut frame), frame.start);
        self.end_frame(wire, start, rest)
    }

    /// An empty frame behind what is in `wire`.
    #[cfg_attr(not(target_os = "none"), inline)]
    fn begin_frame<'a>(&self, wire: &'a mut Buffer) -> Frame<'a> {
        let most = self.limits.longest_sent();
        wire.make_room(frame::LENGTH_PREFIX, most);
        wire.extend_from_slice(&[0; frame::LENGTH_PREFIX]);
        Frame { start: wire.len(), max: self.max_plaintext(), most, bytes: wire }
    }

    /// Seals it with `rest` at its end; takes it back if there is nothing in it.
    #[cfg_attr(not(target_os = "none"), inline)]
    fn end_frame(&mut self, wire: &mut Buffer, start: usize, rest: &[u8]) -> Result<(), Exhausted> {
        let header = start - frame::LENGTH_PREFIX;
        if wire.len() == start {
            wire.truncate(header);
            return Ok(());
        }
        let sealed = self.send.seal_joined(wire, start, rest);
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
        let starved = self.passed_over.starved().filter(|_| !self.control.accept);
        if let Some(lane) = starved {
            self.drain(lane, now, frame, 1);
        }
        let above = self.fill_control(now, frame) && self.drain(Lane::Calls, now, frame, usize::MAX);
        let before = frame.room();
        let publications = above && self.drain(Lane::Publications, now, frame, usize::MAX);
        let between = frame.room();
        let all = publications && self.drain(Lane::Bulk, now, frame, usize::MAX);
        // A lane whose first message did not fit behind the lanes above went without as well.
        let publications_wait = !self.publications.is_empty() && between == before;
        let bulk_waits = !self.bulk.is_empty() && frame.room() == between;
        self.passed_over.count(starved, publications_wait, bulk_waits);
        if all {
            self.fill_close(frame);
        }
    }

    /// Appends what control has; `false` where the frame is full.
    fn fill_control(&mut self, now: Instant, frame: &mut Frame<'_>) -> bool {
        if self.control.accept {
            if !frame.push(Message::Accept) {
                return false;
            }
            self.control.accept = false;
        }
        if let Some(token) = self.control.pong {
            if !frame.push(Message::Pong { token }) {
                return false;
            }
            self.control.pong = None;
        }
        if let Some(token) = self.control.ping {
            if !frame.push(Message::Ping { token }) {
                return false;
            }
            self.control.ping = None;
        }
        if let Some(last) = self.control.goaway {
            if !frame.push(Message::Goaway { last }) {
                return false;
            }
            self.control.goaway = None;
        }
        while let Some(id) = self.control.due.front().copied() {
            if !self.fill_due(id, now, frame) {
                return false;
            }
            self.control.due.pop_front();
            if let Some(due) = self.exchanges.due_mut(id) {
                *due = false;
            }
        }
        true
    }

    /// Appends what is due for one exchange, if the exchange still is.
    fn fill_due(&mut self, id: u64, now: Instant, frame: &mut Frame<'_>) -> bool {
        if let Some(cancel) = self.exchanges.cancel_mut(id)
            && let Cancel::Due(status) = *cancel
        {
            if !frame.push(Message::Cancel { id, status }) {
                return false;
            }
            *cancel = Cancel::Sent;
        }
        let wanted = self.exchanges.is_wanted(id);
        if let Some(receive_credit) =
            self.exchanges.receive_credit(id).filter(|receive_credit| wanted && receive_credit.is_due())
        {
            let limit = receive_credit.next_limit();
            if !frame.push(Message::Credit { id, limit }) {
                return false;
            }
            receive_credit.announce(limit);
            if let Some(bodies) = self.exchanges.bodies(id) {
                bodies.moved = now;
            }
        }
        if !self.exchanges.is_ours(id)
            && let Some(taken) = self.exchanges.theirs(id)
            && let Answer::Due(status) = taken.answer
        {
            if !frame.push(Message::Response { id, status, more: false, body: &[] }) {
                return false;
            }
            seal_last(&mut self.exchanges, id);
        }
        true
    }

    /// Appends up to `most` messages of a lane; `false` where the next one does not fit.
    #[cfg_attr(not(target_os = "none"), inline)]
    fn drain(&mut self, lane: Lane, now: Instant, frame: &mut Frame<'_>, most: usize) -> bool {
        // Most frames have messages of one lane.
        let is_empty = match lane {
            Lane::Calls => self.calls.is_empty(),
            Lane::Publications => self.publications.is_empty(),
            Lane::Bulk => self.bulk.is_empty(),
        };
        is_empty || self.drain_waiting(lane, now, frame, most)
    }

    #[cfg_attr(not(target_os = "none"), inline(never))]
    fn drain_waiting(&mut self, lane: Lane, now: Instant, frame: &mut Frame<'_>, most: usize) -> bool {
        for _ in 0..most {
            let queue = match lane {
                Lane::Calls => &mut self.calls,
                Lane::Publications => &mut self.publications,
                Lane::Bulk => return self.fill_bulk(now, frame, most),
            };
            let Some((entry, bytes)) = queue.front() else { return true };
            let appended = append(entry, bytes, &mut self.exchanges, now, frame);
            match appended {
                Appended::Full if frame.is_empty() => {
                    // Cannot be: commands check each length against a whole frame.  Dropped, so as not to stall.
                    debug_assert!(false, "a message fits an empty frame");
                }
                Appended::Full => return false,
                Appended::Yes | Appended::Obsolete => {}
            }
            queue.pop(entry);
            // LAN-3: what was not opened after all has no body, and a last message has none behind it.
            let may_go_on = lane == Lane::Calls && entry.on_seal != OnSeal::Last;
            if may_go_on && matches!(appended, Appended::Yes) {
                self.begin_outbound(entry.id, now);
            }
        }
        true
    }

    fn fill_close(&mut self, frame: &mut Frame<'_>) {
        let Some(status) = self.control.close else { return };
        if frame.push(Message::Close { status }) {
            self.control.close_sealed = true;
        }
    }
}

/// SPEC §12; control has no queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lane {
    Calls,
    Publications,
    Bulk,
}

/// Frames sealed while a lane waited and got nothing.  SPEC §12 LAN-1
#[derive(Debug, Default)]
pub(super) struct PassedOver {
    publications: u8,
    bulk: u8,
}

impl PassedOver {
    /// The lane whose turn it is to begin a frame: the one that went without longest.
    fn starved(&self) -> Option<Lane> {
        let (lane, frames) = if self.bulk > self.publications {
            (Lane::Bulk, self.bulk)
        } else {
            (Lane::Publications, self.publications)
        };
        (frames >= FRAMES_PASSED_OVER).then_some(lane)
    }

    fn count(&mut self, begun: Option<Lane>, publications_wait: bool, bulk_waits: bool) {
        for (lane, waits, passed) in [
            (Lane::Publications, publications_wait, &mut self.publications),
            (Lane::Bulk, bulk_waits, &mut self.bulk),
        ] {
            *passed = if waits && begun != Some(lane) { passed.saturating_add(1) } else { 0 };
        }
    }
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
    match entry.on_seal {
        OnSeal::Request | OnSeal::Subscribe => {
            let stopped = exchanges.is_stopped();
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
            if stopped {
                return Appended::Obsolete;
            }
            let head = if entry.on_seal == OnSeal::Request { encode::REQUEST_HEAD_MAX } else { 0 };
            if !frame.has_room(head + bytes.len()) {
                return Appended::Full;
            }
            frame.make_room(head + bytes.len());
            if entry.on_seal == OnSeal::Request {
                // Never 0, which would mean no deadline.
                let left = entry.deadline.map_or(0, |deadline| deadline.millis_since(now).max(1));
                encode::request_head(id, left, frame.bytes);
            }
            frame.bytes.extend_from_slice(bytes);
            opened.sealed = true;
            exchanges.note_sealed(id);
        }
        OnSeal::Last | OnSeal::Ongoing => {
            if exchanges.theirs(id).is_none() {
                return Appended::Obsolete;
            }
            if !frame.has_room(bytes.len()) {
                return Appended::Full;
            }
            frame.make_room(bytes.len());
            frame.bytes.extend_from_slice(bytes);
            if entry.on_seal == OnSeal::Last {
                seal_last(exchanges, id);
            }
        }
    }
    Appended::Yes
}

/// The last message of the back direction has left.  SPEC §10.2
pub(super) fn seal_last(exchanges: &mut Exchanges, id: u64) {
    let Some(taken) = exchanges.theirs(id) else { return };
    if taken.is_out_open() {
        taken.answer = Answer::Sent;
    } else {
        exchanges.close_theirs(id);
    }
}
