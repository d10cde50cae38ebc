//! A connection on a serial line, where packets come whole, twice, damaged or not at all.  SPEC §19
//!
//! What `handle_input` and `poll_transmit` are to a stream, [`Connection::handle_preamble`],
//! [`Connection::handle_frame`] and [`Connection::seal_packet`] are to [`serial`](crate::serial), and to
//! nobody else: whoever drives a line needs its rules as a whole.

use super::handshake::Failed;
use super::{Connection, State};
use crate::buffer::Buffer;
use crate::error::{CloseReason, HandshakeError};
use crate::status::Status;
use crate::time::Instant;
use crate::wire::frame;
use crate::wire::preamble::PREAMBLE_LEN;

/// What became of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// An event waits, or the application is asked whether to admit: it was not looked at.
    Blocked,
    /// It is not for this connection, which is as it was before.
    Foreign,
    /// It had its effect, which may be the connection's end.
    Taken,
}

impl Connection {
    /// Takes a preamble that came as a packet.
    pub(crate) fn handle_preamble(&mut self, now: Instant, preamble: [u8; PREAMBLE_LEN]) -> Fate {
        self.handle_timeout(now);
        let State::Handshake(handshake) = &mut self.state else { return Fate::Foreign };
        // SER-9
        if !handshake.takes_preamble(&preamble) {
            return Fate::Foreign;
        }
        let progress = handshake.on_preamble(preamble, self.wire.buffer());
        self.on_handshake_packet(progress)
    }

    /// Takes a frame that came as a packet, its length included.
    pub(crate) fn handle_frame(&mut self, now: Instant, packet: &[u8]) -> Fate {
        self.handle_timeout(now);
        self.advance();
        if self.ending.is_some() {
            return Fate::Foreign;
        }
        if self.is_blocked() {
            return Fate::Blocked;
        }
        let message = packet.get(frame::LENGTH_PREFIX..).unwrap_or_default();
        match &mut self.state {
            State::Handshake(handshake) => {
                // SER-9
                if !handshake.takes_length(message.len()) {
                    return Fate::Foreign;
                }
                let progress = handshake.on_message(message, self.wire.buffer());
                self.on_handshake_packet(progress)
            }
            State::Session(_) => self.open_packet(packet, message.len()),
            State::Failed(..) => Fate::Foreign,
        }
    }

    /// The line is gone: what was received is still looked at, and nothing can be sent.
    pub(crate) fn handle_line_gone(&mut self, now: Instant) {
        self.handle_eof(now);
        self.wire.clear();
        if self.ending.is_some() {
            // Also one that had ended before, whose `close` nobody will take now.
            self.fall_silent();
        }
    }

    /// What the handshake has for the line, if anything: a preamble, a frame, or both, each whole.
    pub(crate) fn handshake_packets(&self) -> Option<&[u8]> {
        self.wire.unsent()
    }

    /// Forgets them: the line has them.
    pub(crate) fn handshake_packets_sent(&mut self) {
        self.wire.clear();
    }

    /// Appends a sealed frame for the line, if anything waits.
    ///
    /// As [`poll_transmit`](Self::poll_transmit), but that an initiator seals nothing before `accept`: a
    /// responder that still decides drops what comes, lest it hold up the session that runs.  SER-12
    pub(crate) fn seal_packet(&mut self, now: Instant, line: &mut Buffer) {
        self.pass_to(now);
        let State::Session(session) = &mut self.state else { return self.stop_if_flushed() };
        if session.is_awaiting_accept() && self.ending.is_none() {
            return;
        }
        let before = line.len();
        let sealed = session.seal_frame(self.clock, line);
        self.on_sealed(sealed, line.len() > before);
    }

    /// Seals one frame at a time, and none while the application writes: lines are slow, and what is sealed cannot be
    /// overtaken any more; and SER-12 is kept where packets are polled, so that nothing may be sealed elsewhere.
    pub(crate) fn seal_singly(&mut self) {
        self.limits = self.limits.on_a_line();
        self.on_line = true;
        self.reserved = false;
    }

    /// Ends it at once and in silence: another one took its place on the line.  SER-13
    pub(crate) fn replace(&mut self) {
        self.end(CloseReason::Local(Status::REPLACED));
        self.fall_silent();
        // The next one takes as much, before what this one has left to tell is told.
        self.wire.shrink(0);
        if let State::Session(session) = &mut self.state {
            session.shrink(0);
        }
    }

    /// Whether it has ended, with nothing left to send.
    pub(crate) fn is_finished(&self) -> bool {
        self.ending.is_some() && self.wire.is_empty() && !self.has_unsealed()
    }

    /// Whether transport keys stand, so that frames may be as long as this side takes them.
    pub(crate) fn has_keys(&self) -> bool {
        self.ending.is_none() && matches!(self.state, State::Session(_))
    }

    /// Whether somebody decides, here or there, and another try would only disturb that.
    pub(crate) fn awaits_decision(&self) -> bool {
        self.is_deciding() || self.has_keys()
    }

    /// Whether this message of the handshake, by its number, is awaited.
    pub(crate) fn awaits_message(&self, number: u8) -> bool {
        matches!(&self.state, State::Handshake(handshake) if handshake.awaits_message(number))
    }

    /// Whether it ended because frames were lost.  SER-4
    pub(crate) fn has_lost_frames(&self) -> bool {
        matches!(self.ending, Some(CloseReason::FramesLost(_)))
    }

    /// Initiator, as long as there are no keys: its message 1.
    pub(crate) fn message_1(&self) -> Option<[u8; 32]> {
        let State::Handshake(handshake) = &self.state else { return None };
        handshake.message_1()
    }

    /// SER-10: what fails to authenticate or decode changes nothing, as long as it is not too much.
    fn on_handshake_packet(&mut self, progress: Result<super::handshake::Progress, Failed>) -> Fate {
        if let (Err(Failed::Fault(error)), State::Handshake(handshake)) = (&progress, &mut self.state)
            && may_be_noise(*error)
            && handshake.forgive()
        {
            return Fate::Foreign;
        }
        self.on_progress(progress);
        Fate::Taken
    }

    /// SER-3, SER-4
    fn open_packet(&mut self, packet: &[u8], len: usize) -> Fate {
        let State::Session(session) = &mut self.state else { return Fate::Foreign };
        if u16::try_from(len).map_or(true, |len| session.check_length(len).is_err()) {
            return Fate::Foreign;
        }
        self.reader.load(packet);
        let opened = session.open_frame(&mut self.reader, self.clock);
        if opened.is_ok() {
            self.on_frame();
            self.advance();
            return Fate::Taken;
        }
        let lost = session.frames_lost(packet, &mut self.reader);
        self.reader.restart(frame::LENGTH_PREFIX);
        match (opened, lost) {
            (Err(CloseReason::Exhausted), _) => self.end(CloseReason::Exhausted),
            (_, Some(lost)) => self.end(CloseReason::FramesLost(lost)),
            (_, None) => return Fate::Foreign,
        }
        Fate::Taken
    }
}

/// Whether noise on the line, or a frame of an older session, could have led to this.
const fn may_be_noise(error: HandshakeError) -> bool {
    use HandshakeError as Error;
    matches!(error, Error::Payload(_) | Error::Preamble | Error::Proof | Error::Unauthentic)
}
