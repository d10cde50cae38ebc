//! What the application commands.  A refused command changes nothing.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use super::{Due, Session};
use crate::connection::RequestHead;
use crate::connection::bodies::{Bodies, Outbound};
use crate::connection::credit::{Allowance, Budget};
use crate::connection::event::Failure;
use crate::connection::exchanges::{Answer, OpenedKind, Subscription, Taken, TakenKind};
use crate::connection::queue::Role;
use crate::error::SendError;
use crate::name;
use crate::publication::{Missed, Outgoing};
use crate::status::Status;
use crate::time::Instant;
use crate::wire::encode;
use crate::wire::message::{self, Message, Point};

impl Session {
    pub(crate) fn request(
        &mut self,
        now: Instant,
        kind: OpenedKind,
        head: &RequestHead<'_>,
    ) -> Result<u64, SendError> {
        let RequestHead { method, body, more, deadline } = *head;
        self.check_opening()?;
        name::check_name(method)?;
        let most = self.limits.requests_out.min(self.theirs.max_requests);
        if most == 0 {
            return Err(SendError::NoneTaken);
        }
        if self.exchanges.our_requests() >= most {
            return Err(SendError::TooMany);
        }
        let len = encode::request_len_max(method, body);
        self.check_call(len)?;
        let deadline = deadline.map(|deadline| now + deadline);
        let bodies = more.then(|| {
            let mut bodies = Bodies::new(now, self.body_idle);
            bodies.outbound = Some(Outbound::new(self.theirs.window, self.limits.body_buffer));
            bodies
        });
        let stalls = bodies.as_ref().and_then(|bodies| bodies.stalls_at());
        let id = self.exchanges.open(deadline, kind, bodies);
        self.calls.push(Role::Request, id, deadline, |out| {
            encode::request_tail(more, method, body, out);
        });
        self.arm_deadline(deadline);
        self.arm_deadline(stalls);
        Ok(id)
    }

    pub(crate) fn subscribe(
        &mut self,
        filter: &str,
        window: u32,
        from: Option<Point>,
    ) -> Result<u64, SendError> {
        self.check_opening()?;
        name::check_filter(filter)?;
        // PUB-4
        if from.is_some() && name::has_wildcards(filter) {
            return Err(SendError::PointWithWildcards);
        }
        let most = self.limits.subscriptions_out.min(self.theirs.max_subscriptions);
        if most == 0 {
            return Err(SendError::NoneTaken);
        }
        if self.exchanges.our_subscriptions() >= most {
            return Err(SendError::TooMany);
        }
        let limit = u64::from(window);
        let len = Message::Subscribe { id: u64::MAX, limit, filter, from }.encoded_len();
        self.check_call(len)?;
        let id = self.exchanges.open(
            None,
            OpenedKind::Subscription(Box::new(Subscription {
                filter: String::from(filter),
                allowance: Allowance::new(window),
                discarding: None,
            })),
            None,
        );
        self.calls.push(Role::Subscribe, id, None, |out| {
            Message::Subscribe { id, limit, filter, from }.encode(out);
        });
        Ok(id)
    }

    /// Gives up an exchange of ours, or the opener's body in one of theirs.  SPEC §10.4, §10.5
    pub(crate) fn cancel(&mut self, id: u64, status: Status) -> Result<(), SendError> {
        self.check_open()?;
        if !self.exchanges.is_ours(id) {
            return self.stop_body(id, status);
        }
        match self.exchanges.ours(id) {
            Some(opened) if opened.is_awaited() => {
                self.give_up(id, Failure::Cancelled, status);
                Ok(())
            }
            _ => Err(SendError::UnknownExchange),
        }
    }

    /// Ends the back direction of an exchange of theirs with a response.
    pub(crate) fn respond(&mut self, id: u64, status: Status, body: &[u8]) -> Result<(), SendError> {
        let response = Message::Response { id, status, more: false, body };
        self.answer(id, |_| true, response)
    }

    pub(crate) fn busy(&mut self, id: u64, retry: Duration) -> Result<(), SendError> {
        let retry_ms = u32::try_from(retry.as_millis()).unwrap_or(u32::MAX);
        self.answer(id, |kind| matches!(kind, TakenKind::Request), Message::Busy { id, retry_ms })
    }

    pub(crate) fn accept_subscription(&mut self, id: u64) -> Result<(), SendError> {
        self.check_open()?;
        let response = Message::Response { id, status: Status::OK, more: true, body: &[] };
        let len = response.encoded_len();
        let taken = self.exchanges.theirs(id).filter(|taken| taken.answer == Answer::Owed);
        let Some(Taken { kind: TakenKind::Subscription { accepted, .. }, .. }) = taken else {
            return Err(SendError::UnknownExchange);
        };
        if *accepted {
            return Err(SendError::UnknownExchange);
        }
        // In the lane of what follows it, so that no publication overtakes it.  LAN-3
        if !self.publications.has_room(len) {
            return Err(SendError::Full);
        }
        *accepted = true;
        self.publications.push(Role::Ongoing, id, None, |out| response.encode(out));
        self.exchanges.on_credited(id);
        Ok(())
    }

    /// Ends a subscription of theirs, behind the publications that wait.
    pub(crate) fn end_subscription(&mut self, id: u64, status: Status) -> Result<(), SendError> {
        self.check_open()?;
        let accepted = match self.exchanges.theirs(id) {
            Some(Taken { kind: TakenKind::Subscription { accepted, .. }, answer: Answer::Owed, .. }) => {
                *accepted
            }
            _ => return Err(SendError::UnknownExchange),
        };
        if !accepted {
            return self.respond(id, status, &[]);
        }
        let end = Message::End { id, status };
        if !self.publications.has_room(end.encoded_len()) {
            return Err(SendError::Full);
        }
        self.publications.push(Role::Last, id, None, |out| end.encode(out));
        if let Some(taken) = self.exchanges.theirs(id) {
            taken.answer = Answer::Queued;
        }
        Ok(())
    }

    /// Queues a publication for a subscription of theirs, and spends its credit.  SPEC §11 CRD-2
    pub(crate) fn publish(&mut self, id: u64, publication: &Outgoing<'_>) -> Result<(), SendError> {
        self.check_open()?;
        let Outgoing { topic, point, missed, retained, body } = *publication;
        name::check_name(topic)?;
        let message = Message::Publication(message::Publication {
            id,
            missed: missed.count,
            unknown: missed.unknown,
            retained,
            topic,
            point,
            chunk: body,
            total: None,
        });
        let len = message.encoded_len();
        let max = self.max_plaintext().min(self.publications.longest());
        let room = self.publications.has_room(len);
        let budget = self.publishing(id)?;
        if len > max {
            return Err(SendError::TooLarge { len, max });
        }
        let cost = len as u64;
        if cost > budget.left() {
            return Err(SendError::NoCredit);
        }
        if !room {
            return Err(SendError::Full);
        }
        budget.spend(cost);
        self.publications.push(Role::Ongoing, id, None, |out| message.encode(out));
        Ok(())
    }

    /// Tells a subscriber what was dropped, with nothing behind it.  SPEC §14.3
    pub(crate) fn missed(&mut self, id: u64, missed: Missed) -> Result<(), SendError> {
        self.check_open()?;
        self.publishing(id)?;
        let message = Message::Missed { id, unknown: missed.unknown, count: missed.count };
        if !self.publications.has_room(message.encoded_len()) {
            return Err(SendError::Full);
        }
        self.publications.push(Role::Ongoing, id, None, |out| message.encode(out));
        Ok(())
    }

    /// Notes that the application has taken publications or data of this cost.  SPEC §11
    pub(crate) fn release(&mut self, id: u64, cost: u32) -> Result<(), SendError> {
        self.check_open()?;
        self.exchanges.allowance(id).ok_or(SendError::UnknownExchange)?.release(cost);
        self.grant(id);
        Ok(())
    }

    /// Has new credit sent where some has fallen due.
    pub(super) fn grant(&mut self, id: u64) {
        let one_message = u64::from(self.limits.max_frame);
        if self.exchanges.is_wanted(id)
            && let Some(allowance) = self.exchanges.allowance(id)
            && allowance.falls_due(one_message)
        {
            self.control.due.push_back(Due::Credit(id));
        }
    }

    /// Takes no more openings.  SPEC §16.2
    pub(crate) fn goaway(&mut self) -> Result<(), SendError> {
        self.check_open()?;
        if self.goaway_sent.is_none() {
            let last = self.exchanges.highest_taken();
            self.goaway_sent = Some(last);
            self.control.goaway = Some(last);
        }
        Ok(())
    }

    /// Whether an exchange can be answered, and with how much.
    fn answer(
        &mut self,
        id: u64,
        fits: impl FnOnce(&TakenKind) -> bool,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        self.check_open()?;
        let len = message.encoded_len();
        let waits = |taken: &&mut Taken| {
            let accepted = matches!(taken.kind, TakenKind::Subscription { accepted: true, .. });
            taken.answer == Answer::Owed && !accepted && fits(&taken.kind)
        };
        if self.exchanges.theirs(id).filter(waits).is_none() {
            return Err(SendError::UnknownExchange);
        }
        self.check_call(len)?;
        self.calls.push(Role::Last, id, None, |out| message.encode(out));
        if let Some(taken) = self.exchanges.theirs(id) {
            taken.answer = Answer::Queued;
        }
        Ok(())
    }

    /// The credit of an accepted subscription of theirs.
    fn publishing(&mut self, id: u64) -> Result<&mut Budget, SendError> {
        match self.exchanges.theirs(id) {
            Some(Taken {
                kind: TakenKind::Subscription { accepted: true, budget, .. },
                answer: Answer::Owed,
                ..
            }) => Ok(budget),
            _ => Err(SendError::UnknownExchange),
        }
    }

    pub(super) fn check_open(&self) -> Result<(), SendError> {
        if self.is_closing() {
            return Err(SendError::Closed);
        }
        if self.is_deciding() {
            return Err(SendError::NotConnected);
        }
        Ok(())
    }

    fn check_opening(&self) -> Result<(), SendError> {
        self.check_open()?;
        // END-4
        if self.goaway_received.is_some() {
            return Err(SendError::GoingAway);
        }
        Ok(())
    }

    /// Whether a message of this length can go through the queue of calls, now.
    pub(super) fn check_call(&self, len: usize) -> Result<(), SendError> {
        let max = self.max_plaintext().min(self.calls.longest());
        if len > max {
            return Err(SendError::TooLarge { len, max });
        }
        if !self.calls.has_room(len) {
            return Err(SendError::Full);
        }
        Ok(())
    }
}
