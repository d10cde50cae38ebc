//! Bodies in chunks, in both directions: what is written, what leaves, what comes, and how each ends.  SPEC §10.5

use alloc::collections::VecDeque;
use core::time::Duration;

use super::incoming::{Outcome, event};
use super::outgoing::seal_last;
use super::{Frame, Session};
use crate::buffer::Buffer;
use crate::connection::bodies::{Bodies, Outbound, data_head_max};
use crate::connection::credit::ReceiveCredit;
use crate::connection::exchanges::{self, Answer, Cancel, Taken, TakenKind};
use crate::connection::pending::Pending;
use crate::connection::queue::OnSeal;
use crate::connection::reader::Span;
use crate::connection::timer::Wait;
use crate::error::{PeerMisbehaved, SendError};
use crate::noise::Exhausted;
use crate::status::Status;
use crate::time::{Instant, sooner};
use crate::wire::encode;
use crate::wire::message::Message;

/// A chunk is not cut shorter than this for want of room in a frame that has something else already.
const SLIVER: usize = 64;

/// The lane of bodies: those with something that can leave, each once, in turn.  SPEC §12
#[derive(Debug, Default)]
pub(super) struct Bulk {
    line: VecDeque<u64>,
    /// Bodies that were full and have room again; those that have ended may linger.
    writable: VecDeque<u64>,
}

/// What became of a body's turn.
enum Turn {
    /// Nothing of it fits into this frame.
    Full,
    /// Something has left, and more can; whose turn is it then?
    More { again: bool },
    /// Nothing of it can leave, now or ever.
    Over,
}

impl Bulk {
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives a body its place in the line where something of it can leave.
    pub(super) fn line_up(&mut self, id: u64, body: &mut Outbound) {
        if !body.lined_up && body.is_ready() {
            body.lined_up = true;
            self.line.push_back(id);
        }
    }
}

impl Session {
    // What the application commands

    /// Answers a request of theirs with a body that goes on.
    pub(crate) fn respond_more(&mut self, now: Instant, id: u64, body: &[u8]) -> Result<(), SendError> {
        let response = Message::Response { id, status: Status::OK, more: true, body };
        let response = response.measured();
        let len = response.len();
        let waits =
            |taken: &&mut Taken| taken.answer == Answer::Owed && matches!(taken.kind, TakenKind::Request);
        if self.exchanges.theirs(id).filter(waits).is_none() {
            return Err(SendError::UnknownExchange);
        }
        self.check_call(len)?;
        self.calls.push(OnSeal::Ongoing, id, &response);
        let outbound = self.outbound();
        let idle = self.body_idle;
        let Some(taken) = self.exchanges.theirs(id) else { return Err(SendError::UnknownExchange) };
        taken.answer = Answer::Started;
        // This side's own limit was for the answer's beginning.  SPEC §10.4
        taken.deadline = taken.asked;
        let bodies = taken.bodies.get_or_insert_with(|| Bodies::new(now, idle));
        (bodies.outbound, bodies.moved) = (Some(outbound), now);
        let stalls = bodies.stalls_at();
        self.arm_deadline(stalls);
        Ok(())
    }

    /// A body on its way out, of which nothing waits yet.
    pub(super) fn outbound(&self) -> Outbound {
        Outbound::new(self.theirs.window, self.limits.body_buffer, self.limits.is_fixed())
    }

    /// Appends to this side's body, as much as there is room for.
    pub(crate) fn write(&mut self, id: u64, bytes: &[u8]) -> Result<usize, SendError> {
        let body = self.writing(id)?;
        let taken = body.write(bytes);
        if taken == 0 && !bytes.is_empty() {
            return Err(SendError::Full);
        }
        self.line_up(id);
        Ok(taken)
    }

    /// Seals one frame of this side's body straight from the application's bytes, behind what waits of it, where both
    /// fill it, nothing else waits and credit allows; how many bytes.  So what flows freely is copied once.
    pub(crate) fn write_through(
        &mut self,
        now: Instant,
        id: u64,
        bytes: &[u8],
        wire: &mut Buffer,
    ) -> Result<usize, Exhausted> {
        let head = data_head_max(id);
        let len = self.max_plaintext().saturating_sub(head);
        let cost = (head + len) as u64;
        if self.is_deciding() || self.is_closing() || self.others_wait(id) {
            return Ok(0);
        }
        let mut taken = 0;
        self.seal_with(wire, |session, frame| {
            let Some(bodies) = session.exchanges.bodies(id) else { return &[] };
            let Some(body) = bodies.outbound.as_mut().filter(|body| body.takes_through(cost)) else {
                return &[];
            };
            let waiting = body.waiting();
            let fresh = len.checked_sub(waiting).filter(|fresh| *fresh > 0);
            let Some(fresh) = fresh.and_then(|fresh| bytes.get(..fresh)) else { return &[] };
            push_data(id, body, waiting, fresh.len(), frame);
            bodies.touch(now);
            taken = fresh.len();
            fresh
        })?;
        Ok(taken)
    }

    /// Whether anything waits to be sent.
    pub(super) fn has_waiting(&self) -> bool {
        self.waits_above_bulk() || !self.bulk.is_empty()
    }

    /// Whether anything but this body waits to be sent.
    fn others_wait(&self, id: u64) -> bool {
        let line = &self.bulk.line;
        self.waits_above_bulk() || line.len() > 1 || line.front().is_some_and(|other| *other != id)
    }

    fn waits_above_bulk(&self) -> bool {
        !self.control.is_empty() || !self.calls.is_empty() || !self.publications.is_empty()
    }

    /// Ends this side's body behind what was written.
    pub(crate) fn finish(&mut self, id: u64) -> Result<(), SendError> {
        self.writing(id)?.finish();
        if self.exchanges.theirs(id).is_some_and(|taken| taken.cancelled) {
            self.drop_finished(id);
        }
        self.line_up(id);
        Ok(())
    }

    /// Gives this side's body up.
    pub(crate) fn reset(&mut self, id: u64, status: Status) -> Result<(), SendError> {
        // Also behind `finish`, as long as something waits.
        let body = self.exchanges.outbound(id).filter(|body| !body.is_given_up());
        body.ok_or(SendError::UnknownExchange)?;
        self.abort_body(id, status);
        Ok(())
    }

    /// How long nothing of the bodies of an exchange may move.
    pub(crate) fn set_idle(
        &mut self,
        id: u64,
        now: Instant,
        idle: Option<Duration>,
    ) -> Result<(), SendError> {
        let bodies = self.exchanges.bodies(id).ok_or(SendError::UnknownExchange)?;
        (bodies.idle, bodies.moved) = (idle.map(Wait::of), now);
        let stalls = bodies.stalls_at();
        self.arm_deadline(stalls);
        Ok(())
    }

    /// Asks the opener of an exchange of theirs to end its body.
    pub(super) fn stop_body(&mut self, id: u64, status: Status) -> Result<(), SendError> {
        let taken = self.exchanges.theirs(id).ok_or(SendError::UnknownExchange)?;
        if !taken.is_out_open() || taken.stop_body != Cancel::No {
            return Err(SendError::UnknownExchange);
        }
        taken.stop_body = Cancel::Due(status);
        self.fall_due(id);
        Ok(())
    }

    /// The next body that was full and has room again.
    pub(crate) fn poll_writable(&mut self) -> Option<u64> {
        while let Some(id) = self.bulk.writable.pop_front() {
            // One that was filled again meanwhile is named when it has room again.
            if self.exchanges.outbound(id).is_some_and(|body| !body.is_ending() && body.has_room()) {
                return Some(id);
            }
        }
        None
    }

    fn writing(&mut self, id: u64) -> Result<&mut Outbound, SendError> {
        let body = self.exchanges.outbound(id).filter(|body| !body.is_ending());
        body.ok_or(SendError::UnknownExchange)
    }

    /// Gives this side's body up, if it goes on; its `end` needs neither credit nor room.  EXC-18
    pub(super) fn abort_body(&mut self, id: u64, status: Status) -> bool {
        let aborted = self.exchanges.outbound(id).is_some_and(|body| body.abort(status));
        self.line_up(id);
        aborted
    }

    fn line_up(&mut self, id: u64) {
        if let Some(body) = self.exchanges.outbound(id) {
            self.bulk.line_up(id, body);
        }
    }

    // What comes

    pub(super) fn on_data(
        &mut self,
        unit: &[u8],
        id: u64,
        chunk: &[u8],
        cost: u32,
        told: &mut Option<Pending>,
    ) -> Outcome {
        if self.is_passed_over(id) {
            return Ok(None);
        }
        let (bodies, awaited) = if self.exchanges.is_ours(id) {
            let Some(opened) = self.exchanges.ours_or_stray(id)? else { return Ok(None) };
            let awaited = opened.is_awaited();
            (opened.bodies.as_deref_mut(), awaited)
        } else {
            let Some(taken) = self.exchanges.theirs_or_stray(id)? else { return Ok(None) };
            // Nobody takes what comes behind the answer, or behind the wish to get no more.
            let awaited = taken.is_owed() && taken.stop_body == Cancel::No;
            (taken.bodies.as_deref_mut(), awaited)
        };
        // EXC-6
        let bodies = bodies.ok_or(PeerMisbehaved::State(id))?;
        let inbound = bodies.inbound.as_mut().ok_or(PeerMisbehaved::State(id))?;
        // CRD-3
        if !inbound.spend(cost) {
            return Err(PeerMisbehaved::CreditExceeded(id));
        }
        bodies.touch(self.plaintext.arrived);
        if !awaited {
            return Ok(None);
        }
        event(Pending::Data { id, chunk: Span::of(unit, chunk), cost }, told)
    }

    /// The opener's body has ended.
    pub(super) fn on_end_of_theirs(
        &mut self,
        id: u64,
        status: Status,
        told: &mut Option<Pending>,
    ) -> Outcome {
        let arrived = self.plaintext.arrived;
        let own = self.own_deadline();
        let Some(taken) = self.exchanges.theirs_or_stray(id)? else { return Ok(None) };
        let bodies = taken.bodies.as_mut().filter(|bodies| bodies.inbound.is_some());
        let bodies = bodies.ok_or(PeerMisbehaved::State(id))?;
        bodies.inbound = None;
        bodies.touch(arrived);
        match taken.answer {
            Answer::Sent => {
                self.exchanges.close_theirs(id);
                return Ok(None);
            }
            Answer::Due(_) | Answer::Queued => return Ok(None),
            Answer::Started => {}
            // From here on this side's own limit counts.  SPEC §10.4
            Answer::Owed => {
                let deadline = sooner(taken.asked, own);
                taken.deadline = deadline;
                self.arm_deadline(deadline);
            }
        }
        event(Pending::End { id, status }, told)
    }

    /// The opener has cancelled: whether the answer's body was finished before.  What still waits of it would wait for
    /// ever, since nobody gives credit for it any more.  EXC-13
    pub(super) fn drop_finished(&mut self, id: u64) -> bool {
        let Some(body) = self.exchanges.outbound(id).filter(|body| body.is_ending()) else { return false };
        if body.next_end().is_none() {
            self.abort_body(id, Status::CANCELLED);
        }
        true
    }

    /// The answerer wants no more of this side's body.  EXC-16
    pub(super) fn on_cancel_of_ours(
        &mut self,
        id: u64,
        status: Status,
        told: &mut Option<Pending>,
    ) -> Outcome {
        let Some(opened) = self.exchanges.ours_or_stray(id)? else { return Ok(None) };
        let awaited = opened.is_awaited();
        // Nothing to be done about a body that has ended, or was given up: a second `cancel` is ignored.
        let aborted = self.abort_body(id, status);
        if aborted && awaited { event(Pending::Stopped { id, status }, told) } else { Ok(None) }
    }

    /// Credit for a body of this side's; without one it has no effect.  CRD-1
    pub(super) fn on_credit_for_body(&mut self, id: u64, limit: u64) {
        let arrived = self.plaintext.arrived;
        let Some(bodies) = self.exchanges.bodies(id) else { return };
        let Some(body) = &mut bodies.outbound else { return };
        // Before a body has begun there is nothing to raise.  SPEC §11
        if body.has_begun() && body.send_credit.raise(limit) {
            self.bulk.line_up(id, body);
            bodies.touch(arrived);
        }
    }

    /// An answer with `more`: its body begins.
    pub(super) fn begin_inbound(&mut self, id: u64) {
        let (window, idle, now) = (self.limits.window, self.body_idle, self.plaintext.arrived);
        let Some(opened) = self.exchanges.ours(id) else { return };
        let bodies = opened.bodies.get_or_insert_with(|| Bodies::new(now, idle));
        bodies.inbound = Some(ReceiveCredit::new(window));
        bodies.touch(now);
        let stalls = bodies.stalls_at();
        self.arm_deadline(stalls);
    }

    /// The back direction of an exchange of ours has ended: the slot is free, unless this side's body still has to
    /// end as well.  EXC-14
    pub(super) fn on_back_ended(&mut self, id: u64) {
        let Some(opened) = self.exchanges.ours(id) else { return };
        opened.ended = true;
        match &mut opened.bodies {
            Some(bodies) if bodies.outbound.is_some() => {
                bodies.inbound = None;
                self.abort_body(id, Status::CANCELLED);
            }
            _ => {
                self.exchanges.close_ours(id);
            }
        }
    }

    // What leaves

    /// Notes that the message that begins a body of this side's has left.
    pub(super) fn begin_outbound(&mut self, id: u64, now: Instant) {
        let Some(bodies) = self.exchanges.bodies(id) else { return };
        let Some(body) = &mut bodies.outbound else { return };
        body.begin();
        bodies.moved = now;
        self.bulk.line_up(id, body);
    }

    /// Appends up to `most` messages of bodies, one of each in turn; `false` where the next one does not fit.
    pub(super) fn fill_bulk(&mut self, now: Instant, frame: &mut Frame<'_>, most: usize) -> bool {
        let mut sent = 0;
        while sent < most {
            let Some(&id) = self.bulk.line.front() else { return true };
            let before = frame.room();
            match self.take_turn(id, now, frame) {
                Turn::Full => return false,
                Turn::More { again: true } => {}
                Turn::More { again: false } => {
                    self.bulk.line.pop_front();
                    self.bulk.line.push_back(id);
                }
                Turn::Over => drop(self.bulk.line.pop_front()),
            }
            // One that has ended and lingers takes nobody's turn.
            sent += usize::from(frame.room() < before);
        }
        true
    }

    fn take_turn(&mut self, id: u64, now: Instant, frame: &mut Frame<'_>) -> Turn {
        let whole_frame = self.max_plaintext();
        let Some(bodies) = self.exchanges.bodies(id) else { return Turn::Over };
        let Some(body) = &mut bodies.outbound else { return Turn::Over };
        body.lined_up = false;
        if !body.is_ready() {
            return Turn::Over;
        }
        body.lined_up = true;
        if let Some(status) = body.next_end() {
            if !frame.push(Message::End { id, status }) {
                return Turn::Full;
            }
            bodies.outbound = None;
            bodies.moved = now;
            self.on_outbound_ended(id);
            return Turn::Over;
        }
        if body.share < SLIVER {
            body.share += whole_frame;
        }
        let Some(len) = chunk_len(id, body, frame) else { return Turn::Full };
        let cost = push_data(id, body, len, 0, frame);
        let more = body.is_ready();
        body.lined_up = more;
        body.share = if more { body.share.saturating_sub(cost) } else { 0 };
        let again = body.share >= SLIVER;
        let takes_again = body.takes_again();
        bodies.touch(now);
        if takes_again && self.bulk.writable.iter().all(|known| *known != id) {
            let exchanges = &mut self.exchanges;
            exchanges::line_up(&mut self.bulk.writable, id, &mut |id| exchanges.outbound(id).is_some());
        }
        if more { Turn::More { again } } else { Turn::Over }
    }

    /// The `end` of this side's body has left.  SPEC §10.2
    fn on_outbound_ended(&mut self, id: u64) {
        if !self.exchanges.is_ours(id) {
            return seal_last(&mut self.exchanges, id);
        }
        if self.exchanges.ours(id).is_some_and(|opened| opened.ended) {
            self.exchanges.close_ours(id);
        }
    }
}

/// Appends one message of the first bytes that wait and of so many fresh ones, which the caller puts behind them, and pays
/// for it; what it cost.  CRD-2
fn push_data(id: u64, body: &mut Outbound, waiting: usize, fresh: usize, frame: &mut Frame<'_>) -> usize {
    let start = frame.bytes.len();
    frame.make_room(data_head_max(id) + waiting + fresh);
    encode::data_head(id, waiting + fresh, frame.bytes);
    let (first, second) = body.front(waiting);
    frame.bytes.extend_from_slice(first);
    frame.bytes.extend_from_slice(second);
    let cost = frame.bytes.len() - start + fresh;
    body.sent(waiting, cost as u64);
    cost
}

/// How long the next chunk is: what waits, as far as credit, its share and the frame go; `None` where the frame is too full.
fn chunk_len(id: u64, body: &Outbound, frame: &Frame<'_>) -> Option<usize> {
    let head = data_head_max(id);
    let room = frame.room().checked_sub(head)?;
    if room < body.waiting().min(SLIVER) {
        return None;
    }
    // One that is ready can pay for any head.
    let affordable =
        usize::try_from(body.send_credit.left().saturating_sub(head as u64)).unwrap_or(usize::MAX);
    Some(body.waiting().min(room).min(affordable).min(body.share.saturating_sub(head)))
}
