//! What the application commands.  A refused command changes nothing.

use core::time::Duration;

use super::Session;
use crate::connection::RequestHead;
use crate::connection::bodies::Bodies;
use crate::connection::event::Failure;
use crate::connection::exchanges::{Answer, OpenedKind, Taken, TakenKind};
use crate::connection::queue::OnSeal;
use crate::error::SendError;
use crate::name;
use crate::status::Status;
use crate::time::Instant;
use crate::wire::encode;
use crate::wire::message::Message;

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
        let len = encode::request_tail_len(method, body);
        self.check_call(encode::REQUEST_HEAD_MAX + len)?;
        let deadline = deadline.map(|deadline| now + deadline);
        let bodies = more.then(|| {
            let mut bodies = Bodies::new(now, self.body_idle);
            bodies.outbound = Some(self.outbound());
            bodies
        });
        let stalls = bodies.as_ref().and_then(|bodies| bodies.stalls_at());
        let id = self.exchanges.open(deadline, kind, bodies);
        encode::request_tail(more, method, body, self.calls.place(OnSeal::Request, id, deadline, len));
        self.arm_deadline(deadline);
        self.arm_deadline(stalls);
        Ok(id)
    }

    /// Gives up an exchange of ours, or the opener's body in one of theirs.  SPEC §10.4, §10.5
    pub(crate) fn cancel(&mut self, id: u64, status: Status) -> Result<(), SendError> {
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

    /// Notes that the application has taken publications or data of this cost.  SPEC §11
    pub(crate) fn release(&mut self, id: u64, cost: u32) -> Result<(), SendError> {
        let one_message = u64::from(self.limits.max_frame);
        let receive_credit = self.exchanges.receive_credit(id).ok_or(SendError::UnknownExchange)?;
        receive_credit.release(cost);
        // Mostly nothing is: then nobody looks whether it is wanted.
        if receive_credit.would_fall_due(one_message) {
            self.grant(id);
        }
        Ok(())
    }

    /// Has new credit sent where some has fallen due.
    pub(super) fn grant(&mut self, id: u64) {
        let one_message = u64::from(self.limits.max_frame);
        if self.exchanges.is_wanted(id)
            && let Some(receive_credit) = self.exchanges.receive_credit(id)
            && receive_credit.falls_due(one_message)
        {
            self.fall_due(id);
        }
    }

    /// Takes no more openings.  SPEC §16.2
    pub(crate) fn goaway(&mut self) -> Result<(), SendError> {
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
        let message = message.measured();
        let len = message.len();
        let waits = |taken: &&mut Taken| {
            let accepted = matches!(taken.kind, TakenKind::Subscription { accepted: true, .. });
            taken.answer == Answer::Owed && !accepted && fits(&taken.kind)
        };
        if self.exchanges.theirs(id).filter(waits).is_none() {
            return Err(SendError::UnknownExchange);
        }
        self.check_call(len)?;
        self.calls.push(OnSeal::Last, id, &message);
        if let Some(taken) = self.exchanges.theirs(id) {
            taken.answer = Answer::Queued;
        }
        Ok(())
    }

    /// Whether commands are taken at all.
    pub(crate) fn check_open(&self) -> Result<(), SendError> {
        if self.is_closing() {
            return Err(SendError::Closed);
        }
        if self.is_deciding() {
            return Err(SendError::NotConnected);
        }
        Ok(())
    }

    pub(super) fn check_opening(&self) -> Result<(), SendError> {
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
