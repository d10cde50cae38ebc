//! What arrives: one message at a time, each with all of its effect or none.  SPEC §7 TRN-4, §9, §10

use core::time::Duration;

#[cfg(not(target_os = "none"))]
use super::series::Series;
use super::{AcceptState, Local, Plaintext, Session};
use crate::connection::bodies::Bodies;
use crate::connection::credit::{ReceiveCredit, SendCredit, cost_of};
use crate::connection::event::{Failure, StopCause};
use crate::connection::exchanges::{Answer, Cancel, OpenedKind, Taken, TakenKind};
use crate::connection::pending::Pending;
use crate::connection::reader::{Reader, Span};
use crate::connection::timer::Wait;
use crate::error::{CloseReason, PeerMisbehaved};
use crate::name;
use crate::noise::OpenError;
use crate::publication::Missed;
use crate::status::Status;
use crate::time::{Instant, sooner};
use crate::wire::frame;
use crate::wire::message::{Message, Point};

/// What a message led to.
pub(crate) enum Received {
    /// The application is told of what was put where it looks.
    Event,
    /// The peer's `close`.
    Close(Status),
}

/// How many frames later one is looked for.  SPEC §19.4
const LOOK_AHEAD: u16 = 16;

pub(super) type Outcome = Result<Option<Received>, PeerMisbehaved>;

impl Session {
    /// Checks a frame's length before a byte of it is stored.  SPEC §4 FRM-3
    pub(crate) fn check_length(&self, len: u16) -> Result<(), PeerMisbehaved> {
        if usize::from(len) < frame::FRAME_MIN || len > self.limits.max_frame {
            return Err(PeerMisbehaved::FrameLength(len));
        }
        Ok(())
    }

    /// Opens the complete frame in the reader, in place.  SPEC §7 TRN-1
    pub(crate) fn open_frame(&mut self, reader: &mut Reader, now: Instant) -> Result<(), CloseReason> {
        let len = self.receive.open(reader.noise_message()).map_err(reason_of)?;
        self.note_plaintext(len, now);
        Ok(())
    }

    /// Opens a complete frame that is not in the reader, into it.  SPEC §7 TRN-1
    pub(crate) fn open_frame_into(
        &mut self,
        sealed: &[u8],
        reader: &mut [u8],
        now: Instant,
    ) -> Result<(), CloseReason> {
        let len = self.receive.open_into(sealed, reader).map_err(reason_of)?;
        self.note_plaintext(len, now);
        Ok(())
    }

    fn note_plaintext(&mut self, len: usize, now: Instant) {
        let start = frame::LENGTH_PREFIX;
        self.plaintext = Plaintext {
            at: start,
            end: start + len,
            arrived: now,
            #[cfg(not(target_os = "none"))]
            series: None,
        };
    }

    /// How many frames were lost just before the one in this packet, if it is one of the next sixteen.
    /// Nothing is changed.  SPEC §19.4 SER-4
    pub(crate) fn frames_lost(&self, packet: &[u8], reader: &mut Reader) -> Option<u16> {
        (1..=LOOK_AHEAD).find(|lost| {
            // A failed attempt may leave anything in its buffer.
            reader.load(packet);
            self.receive.opens_later(u64::from(*lost), reader.noise_message())
        })
    }

    /// Whether messages of the frame in the reader are still to be looked at.
    pub(crate) fn has_plaintext(&self) -> bool {
        self.plaintext.at < self.plaintext.end
    }

    /// Takes messages until one has something to tell, which is put into `told`, or the frame is used up.
    pub(crate) fn receive(&mut self, reader: &Reader, told: &mut Option<Pending>) -> Outcome {
        while self.has_plaintext() && !self.holds {
            let unit = reader.unit();
            let rest = unit.get(self.plaintext.at..self.plaintext.end).unwrap_or_default();
            let (message, len) = Message::decode(rest).map_err(PeerMisbehaved::Message)?;
            self.plaintext.at += len;
            #[cfg(not(target_os = "none"))]
            if self.has_plaintext() {
                self.plaintext.series = Series::of(unit, rest, &message);
            }
            let known = self.local.len();
            let received = self.on_message(unit, message, len, told)?;
            self.holds |= self.local.len() > known;
            if received.is_some() {
                return Ok(received);
            }
        }
        Ok(None)
    }

    fn on_message(
        &mut self,
        unit: &[u8],
        message: Message<'_>,
        len: usize,
        told: &mut Option<Pending>,
    ) -> Outcome {
        self.check_accept(&message)?;
        match message {
            Message::Accept => {
                self.accept_state = AcceptState::Done;
                event(Pending::Connected(self.peer), told)
            }
            Message::Close { status } => {
                self.stop_reading();
                Ok(Some(Received::Close(status)))
            }
            Message::Goaway { last } => self.on_goaway(last, told),
            Message::Ping { token } => {
                // MSG-2: only the newest is answered, so a flood costs one answer for each frame of ours.
                self.control.pong = Some(token);
                Ok(None)
            }
            Message::Pong { .. } | Message::Ignorable => Ok(None),
            Message::Request { id, deadline_ms, more, method, body } => {
                let asked = self.asked(deadline_ms);
                let deadline = self.deadline_of(asked, more);
                let request = Pending::Request {
                    id,
                    method: Span::of(unit, method.as_bytes()),
                    body: Span::of(unit, body),
                    deadline,
                    more,
                };
                self.on_request(id, asked, deadline, method, request, told)
            }
            Message::Response { id, status, more, body } => {
                let body = Span::of(unit, body);
                self.on_response(id, status, more, Pending::Response { id, status, body, more }, told)
            }
            Message::Busy { id, retry_ms } => {
                let retry = Duration::from_millis(retry_ms.into());
                self.on_response(id, Status::UNAVAILABLE, false, Pending::Busy { id, retry }, told)
            }
            Message::Cancel { id, status } => self.on_cancel(id, status, told),
            Message::Data { id, chunk } => self.on_data(unit, id, chunk, cost_of(len), told),
            Message::End { id, status } => self.on_end(id, status, told),
            Message::Credit { id, limit } => self.on_credit(id, limit),
            Message::Subscribe { id, limit, filter, from } => {
                let pending = Pending::Subscribe { id, filter: Span::of(unit, filter.as_bytes()), from };
                self.on_subscribe(id, limit, filter, from, pending, told)
            }
            Message::Publication(publication) => self.on_publication(unit, publication, cost_of(len), told),
            Message::Continuation(continuation) => {
                self.on_continuation(unit, continuation, cost_of(len), told)
            }
            Message::Missed { id, unknown, count } => self.on_missed(id, Missed { count, unknown }, told),
        }
    }

    /// SPEC §6 ADM-5
    fn check_accept(&self, message: &Message<'_>) -> Result<(), PeerMisbehaved> {
        let awaited = self.accept_state == AcceptState::AwaitingAccept;
        match message {
            Message::Accept if awaited => Ok(()),
            Message::Close { .. } => Ok(()),
            Message::Accept => Err(PeerMisbehaved::Accept),
            _ if awaited => Err(PeerMisbehaved::Accept),
            _ => Ok(()),
        }
    }

    /// Deadlines count from receipt.
    fn asked(&self, deadline_ms: u32) -> Option<Instant> {
        Wait::from_millis(deadline_ms).map(|within| self.plaintext.arrived + within)
    }

    /// This side's own limit holds as well, once the request is complete.  SPEC §10.4
    fn deadline_of(&self, asked: Option<Instant>, more: bool) -> Option<Instant> {
        sooner(asked, self.own_deadline().filter(|_| !more))
    }

    /// What that limit is for a request that was complete with the last message.
    pub(super) fn own_deadline(&self) -> Option<Instant> {
        self.answer_within.map(|within| self.plaintext.arrived + within)
    }

    /// SPEC §10.1, §10.3; `false` where this side has sent `goaway` and ignores the opening.
    fn take(&mut self, taken: Taken) -> Result<bool, PeerMisbehaved> {
        self.exchanges.check_opening(taken.id)?;
        // END-5
        if self.goaway_sent.is_some_and(|last| taken.id > last) {
            self.exchanges.pass_over(taken.id);
            return Ok(false);
        }
        // EXC-9: checked before anything is registered.
        match taken.kind {
            TakenKind::Request if self.exchanges.their_requests() >= self.limits.requests_in => {
                Err(PeerMisbehaved::TooManyRequests)
            }
            TakenKind::Subscription { .. }
                if self.exchanges.their_subscriptions() >= self.limits.subscriptions_in =>
            {
                Err(PeerMisbehaved::TooManySubscriptions)
            }
            _ => {
                self.exchanges.take(taken);
                Ok(true)
            }
        }
    }

    fn on_request(
        &mut self,
        id: u64,
        asked: Option<Instant>,
        deadline: Option<Instant>,
        method: &str,
        request: Pending,
        told: &mut Option<Pending>,
    ) -> Outcome {
        let more = matches!(request, Pending::Request { more: true, .. });
        let bodies = more.then(|| {
            let mut bodies = Bodies::new(self.plaintext.arrived, self.body_idle);
            bodies.inbound = Some(ReceiveCredit::new(self.limits.window));
            bodies
        });
        let stalls = bodies.as_ref().and_then(|bodies| bodies.stalls_at());
        let taken = Taken {
            id,
            deadline,
            asked,
            kind: TakenKind::Request,
            answer: Answer::Owed,
            cancelled: false,
            stop_body: Cancel::No,
            due: false,
            bodies,
        };
        if !self.take(taken)? {
            return Ok(None);
        }
        if name::check_name(method).is_err() {
            // NAM-1
            self.answer_without_body(id, Status::BAD_REQUEST);
            return Ok(None);
        }
        if more && self.limits.window == 0 {
            // Bodies in chunks are not taken here.  EXC-11: after what is wrong with the name.
            self.answer_without_body(id, Status::UNSUPPORTED);
            return Ok(None);
        }
        self.arm_deadline(deadline);
        self.arm_deadline(stalls);
        event(request, told)
    }

    fn on_subscribe(
        &mut self,
        id: u64,
        limit: u64,
        filter: &str,
        from: Option<Point>,
        pending: Pending,
        told: &mut Option<Pending>,
    ) -> Outcome {
        let taken = Taken {
            id,
            deadline: None,
            asked: None,
            kind: TakenKind::Subscription {
                accepted: false,
                send_credit: SendCredit::new(limit),
                credited: false,
                unsent: 0,
            },
            answer: Answer::Owed,
            cancelled: false,
            stop_body: Cancel::No,
            due: false,
            bodies: None,
        };
        if !self.take(taken)? {
            return Ok(None);
        }
        // NAM-1, PUB-4
        if name::check_filter(filter).is_err() || (from.is_some() && name::has_wildcards(filter)) {
            self.answer_without_body(id, Status::BAD_REQUEST);
            return Ok(None);
        }
        event(pending, told)
    }

    /// A response or `busy` for an exchange of ours.  SPEC §10.2
    fn on_response(
        &mut self,
        id: u64,
        status: Status,
        more: bool,
        pending: Pending,
        told: &mut Option<Pending>,
    ) -> Outcome {
        let Some(opened) = self.exchanges.ours_or_stray(id)? else { return Ok(None) };
        // EXC-6, EXC-7
        if opened.answering || opened.ended || (more && !status.is_ok()) {
            return Err(PeerMisbehaved::State(id));
        }
        let (given_up, subscription) = (opened.given_up, opened.is_subscription());
        if more {
            opened.answering = true;
            let takes_more = !matches!(opened.kind, OpenedKind::Request) && self.limits.window > 0;
            if !subscription {
                self.begin_inbound(id);
            }
            if given_up {
                return Ok(None);
            }
            if subscription {
                return event(Pending::Subscribed { id }, told);
            }
            if takes_more {
                return event(pending, told);
            }
            self.give_up(id, Failure::Unsupported, Status::UNSUPPORTED);
            return Ok(None);
        }
        self.on_back_ended(id);
        if given_up {
            return Ok(None);
        }
        event(if subscription { Pending::SubscriptionEnded { id, status } } else { pending }, told)
    }

    fn on_cancel(&mut self, id: u64, status: Status, told: &mut Option<Pending>) -> Outcome {
        if self.is_passed_over(id) {
            return Ok(None);
        }
        if self.exchanges.is_ours(id) {
            return self.on_cancel_of_ours(id, status, told);
        }
        let Some(taken) = self.exchanges.theirs_or_stray(id)? else { return Ok(None) };
        // A second one, or one that an answer has crossed, changes nothing.
        if taken.cancelled || !taken.is_owed() {
            return Ok(None);
        }
        taken.cancelled = true;
        if matches!(taken.kind, TakenKind::Subscription { .. }) {
            return event(Pending::Unsubscribe { id }, told);
        }
        if self.drop_finished(id) {
            return Ok(None);
        }
        event(Pending::Stop { id, cause: StopCause::Cancel(status) }, told)
    }

    fn on_end(&mut self, id: u64, status: Status, told: &mut Option<Pending>) -> Outcome {
        if self.is_passed_over(id) {
            return Ok(None);
        }
        if !self.exchanges.is_ours(id) {
            return self.on_end_of_theirs(id, status, told);
        }
        let Some(opened) = self.exchanges.ours_or_stray(id)? else { return Ok(None) };
        if !opened.answering || opened.ended {
            return Err(PeerMisbehaved::State(id));
        }
        let (given_up, subscription) = (opened.given_up, opened.is_subscription());
        self.on_back_ended(id);
        if given_up {
            return Ok(None);
        }
        if subscription {
            event(Pending::SubscriptionEnded { id, status }, told)
        } else {
            event(Pending::End { id, status }, told)
        }
    }

    /// SPEC §11 CRD-1
    fn on_credit(&mut self, id: u64, granted: u64) -> Outcome {
        if self.is_passed_over(id) {
            return Ok(None);
        }
        // EXC-4: never a stray, since it crosses the end that it knows nothing of.
        self.exchanges.check_opened(id)?;
        match self.exchanges.theirs(id).map(|taken| &mut taken.kind) {
            Some(TakenKind::Subscription { send_credit, .. }) => {
                if send_credit.raise(granted) {
                    self.exchanges.on_credited(id);
                }
            }
            _ => self.on_credit_for_body(id, granted),
        }
        Ok(None)
    }

    /// SPEC §16.2: those above `last` were not executed, and their slots are free.
    fn on_goaway(&mut self, last: u64, told: &mut Option<Pending>) -> Outcome {
        let first = self.goaway_received.is_none();
        if self.goaway_received.is_some_and(|earlier| last >= earlier) {
            return Ok(None);
        }
        self.goaway_received = Some(last);
        // END-4: what still waits in the queue is not opened any more, whatever `last` says.
        let last = last.min(self.exchanges.highest_sealed());
        while let Some(id) = self.exchanges.newest_above(last) {
            if self.exchanges.close_ours(id) {
                self.local.push_back((id, Local::Failed(Failure::NotExecuted)));
            }
        }
        if first { event(Pending::GoingAway, told) } else { Ok(None) }
    }

    /// Whether this is about an opening that was ignored after `goaway`.  END-5
    pub(super) fn is_passed_over(&self, id: u64) -> bool {
        let beyond = self.goaway_sent.is_some_and(|last| id > last);
        beyond && !self.exchanges.is_ours(id) && id <= self.exchanges.highest_taken()
    }

    /// Ends an exchange of ours for the application, and asks the peer to stop.  SPEC §10.4
    pub(super) fn give_up(&mut self, id: u64, failure: Failure, status: Status) {
        let Some(opened) = self.exchanges.ours(id) else { return };
        opened.given_up = true;
        let unsent = opened.unsent;
        if opened.sealed && opened.cancel == Cancel::No {
            opened.cancel = Cancel::Due(status);
            self.fall_due(id);
        }
        // EXC-17; where nothing was sealed there is nobody to tell, and nothing more is taken.
        self.abort_body(id, status);
        if unsent {
            self.exchanges.close_ours(id);
        }
        self.local.push_back((id, Local::Failed(failure)));
    }

    /// Ends the back direction of an exchange of theirs with a message that needs no room.
    pub(super) fn answer_without_body(&mut self, id: u64, status: Status) {
        if let Some(taken) = self.exchanges.theirs(id) {
            taken.answer = Answer::Due(status);
            self.fall_due(id);
        }
    }

    /// Ends the back direction of an exchange of theirs in the application's place, however far its answer has come.
    pub(super) fn end_without_application(&mut self, id: u64, status: Status) {
        match self.exchanges.theirs(id).map(|taken| taken.answer) {
            Some(Answer::Started) => {
                if let Some(taken) = self.exchanges.theirs(id) {
                    taken.answer = Answer::Queued;
                }
                self.abort_body(id, status);
            }
            _ => self.answer_without_body(id, status),
        }
    }
}

fn reason_of(error: OpenError) -> CloseReason {
    match error {
        OpenError::Exhausted => CloseReason::Exhausted,
        OpenError::Forged | OpenError::TooShort => PeerMisbehaved::Unauthentic.into(),
    }
}

/// Tells the application.  A pending event is written where it will be looked for, since one that is handed from function
/// to function is copied by each.
#[inline]
pub(super) fn event(pending: Pending, told: &mut Option<Pending>) -> Outcome {
    *told = Some(pending);
    Ok(Some(Received::Event))
}
