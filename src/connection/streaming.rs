//! Commands about bodies in chunks, of both sides.  SPEC §10.5

use core::time::Duration;

use super::exchanges::OpenedKind;
use super::{Connection, RequestHead};
use crate::error::SendError;
use crate::exchange::ExchangeId;
use crate::status::Status;
use crate::time::Instant;

/// C. Commands, continued
impl Connection {
    /// As [`request`](Self::request), with bodies that may go on in chunks: this side's where `head.more` says so, by
    /// [`write`](Self::write) up to [`finish`](Self::finish); and the answer's, in [`Event::Data`](super::Event::Data) up to
    /// [`Event::End`](super::Event::End).  A deadline is for all of it.  SPEC §10.5
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub fn open(&mut self, now: Instant, head: &RequestHead<'_>) -> Result<ExchangeId, SendError> {
        let now = self.pass_to(now);
        let id = self.session()?.request(now, OpenedKind::Open, head)?;
        self.arm_deadline();
        Ok(ExchangeId::from_number(id))
    }

    /// Appends to this side's body of an exchange, and says how many bytes were taken.  They leave in chunks of any
    /// length, as the peer gives credit.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] until [`poll_writable`](Self::poll_writable) names it; [`SendError::UnknownExchange`] where
    /// this side has no body there, or it has ended.
    pub fn write(&mut self, id: ExchangeId, bytes: &[u8]) -> Result<usize, SendError> {
        let id = id.number();
        let taken = self.write_through(id, bytes);
        match self.session()?.write(id, &bytes[taken..]) {
            Err(SendError::Full) if taken > 0 => Ok(taken),
            rest => rest.map(|more| taken + more),
        }
    }

    /// Ends this side's body, behind what was written.  The other side's may go on.
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownExchange`] where this side has no body there, or it has ended.
    pub fn finish(&mut self, id: ExchangeId) -> Result<(), SendError> {
        self.session()?.finish(id.number())
    }

    /// Gives this side's body up: what waits is not sent, and the peer gets `status`, or [`Status::CANCELLED`] in the
    /// place of [`Status::OK`], which says that all was sent.
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownExchange`] where this side has no body there, its end has left, or it was given up before.
    pub fn reset(&mut self, id: ExchangeId, status: Status) -> Result<(), SendError> {
        self.session()?.reset(id.number(), status)
    }

    /// How long nothing of the bodies of an exchange may move, counted from now; `None` for ever, as for what is live
    /// and may pause.  Without this it is [`Timeouts::body_idle`](crate::Timeouts::body_idle).
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownExchange`] where there is no exchange with bodies in chunks.
    pub fn set_body_idle(
        &mut self,
        now: Instant,
        id: ExchangeId,
        idle: Option<Duration>,
    ) -> Result<(), SendError> {
        let now = self.pass_to(now);
        self.session()?.set_idle(id.number(), now, idle)?;
        self.arm_deadline();
        Ok(())
    }

    /// Answers a request of theirs with [`Status::OK`] and a body that goes on, by [`write`](Self::write) up to
    /// [`finish`](Self::finish).  The opener takes it only where it asked by [`open`](Self::open); else it cancels.
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond).
    pub fn respond_more(&mut self, now: Instant, id: ExchangeId, body: &[u8]) -> Result<(), SendError> {
        let now = self.pass_to(now);
        self.session()?.respond_more(now, id.number(), body)?;
        self.arm_deadline();
        Ok(())
    }
}
