//! How a connection ends: in order, at once, or with its stream.  SPEC §16

use super::pending::Pending;
use super::timer::Timer;
use super::{Connection, State};
use crate::error::{CloseReason, SendError};
use crate::status::Status;
use crate::time::Instant;

/// C. Commands, continued
impl Connection {
    /// Announces that this side takes no more exchanges.  Those it took go on; once
    /// [`is_idle`](Self::is_idle), [`close`](Self::close) loses nothing.  SPEC §16.2
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], [`SendError::NotConnected`].
    pub fn goaway(&mut self) -> Result<(), SendError> {
        self.session()?.goaway()
    }

    /// Closes, behind what is queued; then waits for the peer's `close`.  SPEC §16.1
    ///
    /// Requests of ours that are open may still be answered until then.  In a handshake it ends at once.
    pub fn close(&mut self, now: Instant, status: Status) {
        self.pass_to(now);
        match &mut self.state {
            _ if self.ending.is_some() => {}
            State::Session(session) if !session.is_deciding() => {
                if !session.is_closing() {
                    session.close_after_queues(status);
                    self.arm(Timer::Close, self.waits.close);
                }
            }
            State::Session(_) | State::Handshake(_) | State::Failed(..) => {
                self.end(CloseReason::Local(status))
            }
        }
    }

    /// Ends with this status now: what is queued and not sealed is dropped, and nobody waits for the peer's `close`.
    /// SPEC §16.3
    ///
    /// Exchanges that are open end as they do where the connection is lost.  Where a [`close`](Self::close) has left
    /// already, its status stays the one that the peer is told; one that was not let in yet is told
    /// [`Status::REFUSED`], as always.  Once it has ended, nothing happens.
    pub fn abort(&mut self, now: Instant, status: Status) {
        self.pass_to(now);
        let told = match &self.state {
            State::Session(session) if session.has_sealed_close() => session.close_status(),
            _ => None,
        };
        self.end(CloseReason::Local(told.unwrap_or(status)));
    }
}

impl Connection {
    /// The peer's `close`: it is answered behind what is queued.  SPEC §16.1
    pub(super) fn on_close(&mut self, status: Status) {
        let State::Session(session) = &mut self.state else { return };
        let reason = match session.close_status() {
            Some(own) => CloseReason::Local(own),
            None => CloseReason::Remote(status),
        };
        session.on_close();
        self.conclude(reason);
    }

    pub(super) fn on_eof(&mut self) {
        // END-3: also where a `close` of ours is on its way, since nobody has answered it.
        self.end(CloseReason::Truncated);
    }

    /// Ends the connection now; of what is queued only the status is told, if there is a way.  SPEC §16.3
    pub(super) fn end(&mut self, reason: CloseReason) {
        if self.ending.is_some() {
            return;
        }
        let peer = self.peer();
        match &mut self.state {
            State::Session(session) => session.abort(reason.status()),
            State::Handshake(_) => {
                // What answers bytes before the fault still goes out: how they were cut makes no difference.
                if matches!(reason, CloseReason::Local(_)) {
                    self.wire.clear();
                }
                self.state = State::Failed(self.role(), peer);
            }
            State::Failed(..) => {}
        }
        // Any other event stays: it may be the one end of a request.
        if matches!(self.pending, Some(Pending::Admission(_))) {
            self.pending = None;
        }
        self.conclude(reason);
    }

    /// Notes the reason, and leaves a while for the last bytes.
    pub(super) fn conclude(&mut self, reason: CloseReason) {
        if let State::Session(session) = &mut self.state {
            session.stop_reading();
        }
        self.ending = Some(reason);
        self.timers.stop_all();
        self.arm(Timer::Close, self.waits.close);
        if self.on_line && self.eof {
            // Nobody will take the last bytes.
            self.fall_silent();
        }
        self.stop_if_flushed();
    }

    /// Sends nothing more, not even what is on its way.
    pub(super) fn fall_silent(&mut self) {
        self.wire.clear();
        if let State::Session(session) = &mut self.state {
            session.abort(None);
        }
        self.timers.stop_all();
    }

    pub(super) fn stop_if_flushed(&mut self) {
        if self.ending.is_some() && self.wire.is_empty() && !self.has_unsealed() {
            self.timers.stop_all();
        }
    }

    pub(super) fn has_unsealed(&self) -> bool {
        matches!(&self.state, State::Session(session) if session.has_unsealed())
    }

    pub(super) fn has_sealed_close(&self) -> bool {
        matches!(&self.state, State::Session(session) if session.has_sealed_close())
    }
}
