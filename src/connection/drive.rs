//! What moves a connection on: units that are complete, and timers that fire.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use super::handshake::{Failed, Progress};
use super::pending::Pending;
use super::session::{Received, Session};
use super::timer::{Slept, Timer, Wait};
use super::{Connection, State};
use crate::error::{CloseReason, HandshakeError, SendError, TimedOut};
use crate::noise::Exhausted;
use crate::role::Role;
use crate::time::Instant;
use crate::wire::frame;

/// How long a connection without keepalive is idle before the frame buffers and the queues shrink to `buffer_at_rest`.
const REST: Duration = Duration::from_secs(15);
/// They shrink where they have more than so many times that together: two frame buffers and two queues keep it each.
const REST_ABOVE: usize = 4;

impl Connection {
    /// The session, for a command, where it takes any.
    pub(super) fn session(&mut self) -> Result<&mut Session, SendError> {
        if self.ending.is_some() {
            return Err(SendError::Closed);
        }
        self.reserve();
        match &mut self.state {
            State::Session(session) => session.check_open().map(|()| &mut **session),
            State::Handshake(_) => Err(SendError::NotConnected),
            State::Failed(..) => Err(SendError::Closed),
        }
    }

    /// Takes the time from a caller, and says what time it is then: a clock that jumps back stands still.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn pass_to(&mut self, now: Instant) -> Instant {
        self.clock = self.clock.max(now);
        self.clock
    }

    pub(super) fn check_deciding(&self) -> Result<(), SendError> {
        if self.ending.is_some() {
            return Err(SendError::Closed);
        }
        if self.is_deciding() { Ok(()) } else { Err(SendError::NotConnected) }
    }

    pub(super) fn is_deciding(&self) -> bool {
        match &self.state {
            State::Handshake(handshake) => handshake.is_deciding(),
            State::Session(session) => session.is_deciding(),
            State::Failed(..) => false,
        }
    }

    /// Whether nothing is read until the application has acted.
    pub(super) fn is_blocked(&self) -> bool {
        self.has_event() || self.is_deciding()
    }

    /// Whether an event waits that comes before whatever the next message brings about.
    fn has_event(&self) -> bool {
        self.pending.is_some() || matches!(&self.state, State::Session(session) if session.holds())
    }

    /// Stores bytes of one unit, and acts on it when it is complete.
    pub(super) fn read(&mut self, input: &[u8]) -> usize {
        if let Some((taken, opened)) = self.read_whole_frame(input) {
            match opened {
                Ok(()) => self.on_frame(),
                Err(reason) => self.end(reason),
            }
            return taken;
        }
        let begins = self.reader.is_empty();
        let taken = self.reader.fill(input);
        // FRM-5
        let frame = match &self.state {
            State::Handshake(handshake) => !handshake.wants_preamble(),
            State::Session(_) => true,
            State::Failed(..) => false,
        };
        if begins && frame {
            self.arm(Timer::Frame, self.waits.frame);
        }
        let acted = match &self.state {
            State::Handshake(_) => self.read_handshake(),
            State::Session(_) => self.read_frame(),
            State::Failed(..) => Ok(()),
        };
        if let Err(reason) = acted {
            self.end(reason);
        }
        taken
    }

    /// Opens a frame that is all there straight into its place, and says how long it was; `None` where it is not.
    fn read_whole_frame(&mut self, input: &[u8]) -> Option<(usize, Result<(), CloseReason>)> {
        let State::Session(session) = &mut self.state else { return None };
        let (header, rest) = input.split_first_chunk().filter(|_| self.reader.is_empty())?;
        let len = u16::from_be_bytes(*header);
        if let Err(misbehaved) = session.check_length(len) {
            return Some((frame::LENGTH_PREFIX, Err(misbehaved.into())));
        }
        let sealed = rest.get(..len.into())?;
        let place = self.reader.place(*header, sealed.len());
        let opened = session.open_frame_into(sealed, place, self.clock);
        Some((frame::LENGTH_PREFIX + sealed.len(), opened))
    }

    pub(super) fn read_handshake(&mut self) -> Result<(), CloseReason> {
        let State::Handshake(handshake) = &mut self.state else { return Ok(()) };
        let unit = self.reader.unit();
        if handshake.wants_preamble() {
            if !handshake.magic_matches(unit) {
                return Err(HandshakeError::NotSymbolon.into());
            }
            let Ok(preamble) = unit.try_into() else { return Ok(()) };
            let progress = handshake.on_preamble(preamble, self.wire.buffer());
            self.reader.restart(frame::LENGTH_PREFIX);
            self.on_progress(progress);
            return Ok(());
        }
        if !self.reader.is_complete() {
            return Ok(());
        }
        if let (Some(len), frame::LENGTH_PREFIX) = (self.reader.frame_length(), unit.len()) {
            handshake.check_length(len)?;
            self.reader.extend_to(frame::LENGTH_PREFIX + usize::from(len));
            return Ok(());
        }
        self.timers.stop(Timer::Frame);
        self.slept = Slept::default();
        let progress = handshake.on_message(self.reader.noise_message(), self.wire.buffer());
        self.reader.restart(frame::LENGTH_PREFIX);
        self.on_progress(progress);
        Ok(())
    }

    pub(super) fn read_frame(&mut self) -> Result<(), CloseReason> {
        let State::Session(session) = &mut self.state else { return Ok(()) };
        if !self.reader.is_complete() {
            return Ok(());
        }
        if let (Some(len), frame::LENGTH_PREFIX) = (self.reader.frame_length(), self.reader.unit().len()) {
            session.check_length(len)?;
            self.reader.extend_to(frame::LENGTH_PREFIX + usize::from(len));
            return Ok(());
        }
        self.timers.stop(Timer::Frame);
        session.open_frame(&mut self.reader, self.clock)?;
        self.on_frame();
        Ok(())
    }

    /// A frame that authenticates: the peer is there.
    pub(super) fn on_frame(&mut self) {
        self.timers.stop(Timer::Probe);
        self.slept = Slept::default();
        self.arm_silence();
    }

    pub(super) fn on_progress(&mut self, progress: Result<Progress, Failed>) {
        match progress {
            Ok(Progress::Continue) => {}
            Ok(Progress::Ask(peer)) => self.pending = Some(Pending::Admission(peer)),
            Ok(Progress::Established(established)) => {
                let (peer, admitted) = (established.peer, established.admitted);
                let role = self.role();
                // The handshake's memory is there again before the session takes its own.
                self.state = State::Failed(role, Some(peer));
                let session = Session::new(role, established, self.limits, &self.waits);
                if self.limits.is_fixed() {
                    // A payload may be longer than a frame.
                    self.reader.shrink(self.limits.reader_at_rest());
                }
                self.state = State::Session(Box::new(session));
                match (self.role(), admitted) {
                    (Role::Initiator, _) => {}
                    (Role::Responder, Some(true)) => self.let_in(),
                    (Role::Responder, Some(false)) => self.end(CloseReason::NotAdmitted(peer)),
                    (Role::Responder, None) => self.pending = Some(Pending::Admission(peer)),
                }
            }
            Err(Failed::Fault(error)) => self.end(error.into()),
            Err(Failed::Refused(code)) => self.end(CloseReason::Refused(code)),
            Err(Failed::NotAdmitted(peer)) => self.end(CloseReason::NotAdmitted(peer)),
        }
    }

    /// Responder: the initiator is let in.
    pub(super) fn let_in(&mut self) {
        if let State::Session(session) = &mut self.state {
            session.admit();
            let peer = session.peer;
            self.timers.stop(Timer::Handshake);
            self.arm_silence();
            self.arm_keepalive();
            self.pending = Some(Pending::Connected(peer));
        }
    }

    /// Looks at what was received until an event waits, or all of it was looked at.
    pub(super) fn advance(&mut self) {
        while self.ending.is_none() && !self.is_blocked() {
            let State::Session(session) = &mut self.state else { break };
            if !session.has_plaintext() {
                if session.has_frame() {
                    session.stop_reading();
                    self.reader.restart(frame::LENGTH_PREFIX);
                }
                break;
            }
            let received = session.receive(&self.reader, &mut self.pending);
            self.arm_deadline();
            match received {
                Ok(Some(Received::Event)) => {
                    if matches!(self.pending, Some(Pending::Connected(_))) {
                        self.timers.stop(Timer::Handshake);
                        self.arm_keepalive();
                    }
                }
                Ok(Some(Received::Close(status))) => self.on_close(status),
                Ok(None) => {}
                Err(misbehaved) => self.end(misbehaved.into()),
            }
        }
        // Nobody need decide about a peer that has gone.
        if self.eof && self.ending.is_none() && (!self.has_event() || self.is_deciding()) {
            self.on_eof();
        }
    }

    pub(super) fn poll_local(&mut self) -> Option<Pending> {
        let State::Session(session) = &mut self.state else { return None };
        let ended = self.ending.is_some();
        session.poll_local().or_else(|| if ended { session.poll_ending() } else { None })
    }

    /// Bytes that wait to be sealed or written, those of bodies in chunks left out until they are sealed.
    #[cfg(feature = "tokio")] // the other adapters always write from the same place
    pub(crate) fn waiting(&self) -> usize {
        let unsealed = if let State::Session(session) = &self.state { session.waiting() } else { 0 };
        self.wire.len() + unsealed
    }

    /// Whether something small that no queue holds waits to be sealed, such as credit.
    #[cfg(feature = "tokio")]
    pub(crate) fn has_control(&self) -> bool {
        matches!(&self.state, State::Session(session) if session.has_control())
    }

    /// Seals one frame after the other, as long as there is something and the buffer has room for another, so that a
    /// busy stream is written in few large pieces.
    pub(super) fn seal_all(&mut self) {
        let mut sealed = 0;
        while self.wire.len() > sealed || sealed == 0 {
            sealed = self.wire.len();
            self.seal();
            if self.wire.is_empty() || !self.has_room_for_frame() {
                break;
            }
        }
    }

    fn has_room_for_frame(&self) -> bool {
        self.limits.transmit_buffer.saturating_sub(self.wire.len()) >= self.longest_frame()
    }

    /// Seals whole frames of a body straight from the application's bytes, where nothing else waits; how many bytes.
    pub(super) fn write_through(&mut self, id: u64, bytes: &[u8]) -> usize {
        let mut taken = 0;
        // Where something is on its way already, the stream takes no more for now; where flash is scarce, a second copy is
        // cheaper than the code that spares it.
        let idle = cfg!(not(target_os = "none")) && self.wire.is_empty() && self.ending.is_none();
        while idle && self.has_room_for_frame() {
            let State::Session(session) = &mut self.state else { break };
            match session.write_through(self.clock, id, &bytes[taken..], self.wire.buffer()) {
                Ok(0) => break,
                Ok(len) => taken += len,
                Err(_) => {
                    session.abort(None);
                    self.end(CloseReason::Exhausted);
                    return taken;
                }
            }
        }
        if taken > 0 {
            self.arm_keepalive();
        }
        taken
    }

    /// With its length.
    fn longest_frame(&self) -> usize {
        match &self.state {
            State::Session(session) => frame::LENGTH_PREFIX + session.longest_frame(),
            State::Handshake(_) | State::Failed(..) => usize::MAX,
        }
    }

    pub(super) fn seal(&mut self) {
        let State::Session(session) = &mut self.state else { return self.stop_if_flushed() };
        let sealed = session.seal_frame(self.clock, self.wire.buffer());
        self.on_sealed(sealed, !self.wire.is_empty());
    }

    /// What sealing has led to; whether there was anything to seal.
    pub(super) fn on_sealed(&mut self, sealed: Result<(), Exhausted>, any: bool) {
        if sealed.is_err() {
            if let State::Session(session) = &mut self.state {
                session.abort(None);
            }
            self.end(CloseReason::Exhausted);
        }
        if !any {
            self.stop_if_flushed();
        } else if self.ending.is_none() {
            self.arm_keepalive();
        }
    }

    pub(super) fn on_timer(&mut self, timer: Timer, due: Instant) {
        match timer {
            Timer::Handshake => self.end(CloseReason::TimedOut(TimedOut::Handshake)),
            Timer::Close => {
                if self.ending.is_none() {
                    self.conclude(CloseReason::TimedOut(TimedOut::Close));
                }
                self.fall_silent();
            }
            // TIM-4
            Timer::Frame if self.has_slept(timer, due, self.waits.frame) => {
                self.arm(Timer::Frame, self.waits.frame);
            }
            Timer::Frame => self.end(CloseReason::TimedOut(TimedOut::Frame)),
            // While an event waits for the application nothing is read, so the peer may well have spoken.
            Timer::Probe | Timer::Silence if self.is_blocked() => self.arm_silence(),
            // END-1: a `close` of ours is the last that can be sent, so no probe; the close timer bounds the wait.
            Timer::Probe | Timer::Silence if self.has_sealed_close() => {}
            Timer::Probe if !self.has_slept(timer, due, self.waits.probe) => {
                self.end(CloseReason::TimedOut(TimedOut::Silence));
            }
            Timer::Probe | Timer::Silence => {
                // TIM-2
                self.ping();
                self.arm(Timer::Probe, self.waits.probe);
            }
            Timer::Keepalive => {
                self.ping();
                self.shrink();
            }
            Timer::Rest => self.shrink(),
            Timer::Deadline => {
                if let State::Session(session) = &mut self.state
                    && let Some(next) = session.expire(self.clock)
                {
                    self.timers.set(Timer::Deadline, next);
                }
            }
        }
    }

    /// Whether a timer fires so late that this side, not the peer, was away.  TIM-4
    fn has_slept(&mut self, timer: Timer, due: Instant, length: Wait) -> bool {
        self.clock > due + length.half() && self.slept.is_first(timer)
    }

    pub(super) fn ping(&mut self) {
        if let State::Session(session) = &mut self.state {
            session.ping();
        }
    }

    /// Gives back memory that a busier time needed.
    pub(super) fn shrink(&mut self) {
        if self.limits.is_fixed() {
            return;
        }
        let at_rest = self.limits.buffer_at_rest;
        self.reader.shrink(at_rest);
        self.wire.shrink(at_rest);
        if let State::Session(session) = &mut self.state {
            session.shrink(at_rest);
        }
    }

    pub(super) fn arm_silence(&mut self) {
        if let State::Session(session) = &self.state
            && let Some(silence) = session.silence_of_peer()
        {
            self.arm(Timer::Silence, silence);
        }
    }

    pub(super) fn arm_keepalive(&mut self) {
        // Before `accept` the handshake's own timer watches.
        if !self.is_connected() {
            return;
        }
        match self.waits.silence {
            // TIM-1
            Some(silence) => self.arm(Timer::Keepalive, silence.half()),
            None if self.buffered() > REST_ABOVE * self.limits.buffer_at_rest => {
                self.arm(Timer::Rest, Wait::of(REST));
            }
            None => {}
        }
    }

    /// Has a timer fire in so long.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn arm(&mut self, timer: Timer, wait: Wait) {
        self.timers.set(timer, self.clock + wait);
    }

    pub(super) fn arm_deadline(&mut self) {
        if let State::Session(session) = &mut self.state
            && let Some(deadline) = session.take_earliest_deadline()
        {
            self.timers.advance_to(Timer::Deadline, deadline);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role())
            .field("peer", &self.peer())
            .field("connected", &self.is_connected())
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}
