//! Serial lines: many sessions, one after the other, on two wires that lose, change and invent bytes.  SPEC §19
//!
//! A line (UART, RS-485 between two devices, a USB serial port) has no connections of its own: nobody is told when
//! the other side starts, stops or was never there.  So [`Line`] cuts the bytes into packets, and gives each packet to
//! the [`Connection`] that it is for: the *running* session, or the *candidate* that would take its place.
//! A [`Connection`] is called a session here, since the line outlives it.
//!
//! No socket, no clock and no randomness, as everywhere in the core.  The loop of an adapter:
//!
//! ```
//! # use symbolon::serial::{Line, Redial};
//! # use symbolon::{Admission, Config, Connection, Event, Identity, Instant, SecretKey, Seed};
//! # fn seed(n: u8) -> Seed { Seed::new(core::array::from_fn(|i| n ^ i as u8)).unwrap() }
//! # let config = Config::new(Identity::new(&SecretKey::from_bytes([1; 32]), seed(1)));
//! # let now = Instant::from_millis(1);
//! # let (read, mut written) = (&[0_u8; 4][..], Vec::new());
//! # let mut seeds = (2..).map(seed);
//! let mut line = Line::new(config.limits());
//! let mut redial = Redial::default(); // where this side dials
//! # for _ in 0..1 {
//! // 1. Is it time to dial?
//! if redial.poll_dial(now, &mut line) {
//!     line.dial(now, Connection::initiator(&config, Admission::Ask, seeds.next().unwrap(), now));
//! }
//! // 2. Bytes in, events out, until all bytes are taken.
//! let mut bytes = read;
//! while !bytes.is_empty() {
//!     let mut fresh = || Some(Connection::responder(&config, Admission::Ask, seeds.next()?, now));
//!     let taken = line.handle_input(now, bytes, &mut fresh);
//!     bytes = &bytes[taken..];
//!     while let Some(mut gone) = line.poll_ended() {
//!         while let Some(event) = gone.poll_event() { /* … */ }
//!     }
//!     while let Some(event) = line.running().and_then(Connection::poll_event) { /* … */ }
//!     if let Some(Event::Admission { peer }) = line.candidate().and_then(Connection::poll_event) { /* … */ }
//! }
//! // 3. Bytes out.
//! while let Some(bytes) = line.poll_transmit(now) {
//!     written.extend_from_slice(bytes);
//!     let len = bytes.len();
//!     line.advance_transmit(len);
//! }
//! // 4. Sleep until bytes come, somebody commands, or this instant.
//! let wake = [line.poll_timeout(), redial.poll_timeout()].into_iter().flatten().min();
//! # let _ = wake;
//! # }
//! # assert!(!written.is_empty());
//! ```

mod memory;
mod packet;
mod redial;
mod session;

use alloc::collections::VecDeque;
use core::fmt;

pub use redial::Redial;
pub use session::Session;

use packet::{Incoming, Outgoing, Packet};

use crate::config::{Limits, longest_unit};
use crate::connection::Connection;
use crate::connection::packets::Fate;
use crate::time::{Instant, sooner};
use crate::wire::frame;
use crate::wire::preamble::{InitiatorPreamble, PREAMBLE_LEN};

/// The first frame of an initiator as a packet: its length and a key.
const MESSAGE_1_PACKET: usize = frame::LENGTH_PREFIX + 32;

/// How many sessions wait at most for [`Line::poll_ended`], where it is polled as it is to be: with none waiting there are
/// two on the line, and no call begins more than one before those that have ended are polled.  Room for them is there from
/// the start, so that nothing is allocated when one ends.
const MOST_ENDED: usize = 3;

/// One serial line: packets, and which session each of them is for.
///
/// It holds at most two sessions: the one that *runs*, which both sides have let in, and a *candidate*, whose
/// handshake is on its way.  When the candidate is let in, it takes the place of the running one, which ends with
/// [`Status::REPLACED`](crate::Status::REPLACED) here and in silence on the line.  Until then nothing that the line
/// says disturbs the running session.
///
/// The sessions are driven by the line: their bytes, time and packets.  Their events and commands are the caller's,
/// through [`running`](Self::running) and [`candidate`](Self::candidate), or by whatever way `S` has.  Neither
/// [`Connection::handle_input`] nor [`Connection::poll_transmit`] may be called on them.
///
/// Like [`Connection`], it never waits, never fails and never panics on what it is handed; **after any call, drain
/// the events, the sessions that ended, and the bytes to send; then sleep until the instant named.**
///
/// It holds one packet received, within `max_frame` of [`Limits`] (514 bytes until a session has keys), and one to
/// send.  Both buffers begin with `buffer_at_rest`, and go back to it when a session leaves.
pub struct Line<S> {
    running: Option<Slot<S>>,
    candidate: Option<Slot<S>>,
    /// Those that have left, for [`Line::poll_ended`]; at most [`MOST_ENDED`] where that is polled as said above.
    ended: VecDeque<S>,
    incoming: Incoming,
    outgoing: Outgoing,
    /// The candidate has sent last.
    candidate_sent: bool,
    max_frame: u16,
    at_rest: usize,
    dropped: u64,
    /// The latest instant handed in.
    clock: Instant,
}

/// A session on the line.
struct Slot<S> {
    session: S,
    /// Whether its preamble has left: what a session sends first is one, and all else is frames.
    introduced: bool,
    /// Initiator: its message 1.
    message_1: Option<[u8; 32]>,
    /// Initiator: the other side's offer, whose message 1 is still to come.  SER-5
    rival: Option<[u8; PREAMBLE_LEN]>,
    /// Initiator: the other side dials as well, and is to answer this one.  SER-5
    contested: bool,
    /// When it was begun, or last took a packet.
    heard: Instant,
}

/// Where a packet went.
enum Routed {
    Blocked,
    Dropped,
    Taken,
}

impl<S: Session> Line<S> {
    /// A line without a session; `limits` are those of the [`Config`](crate::Config) of its sessions.
    pub fn new(limits: &Limits) -> Self {
        Self {
            running: None,
            candidate: None,
            ended: VecDeque::with_capacity(MOST_ENDED),
            incoming: Incoming::new(limits.buffer_at_rest.min(longest_unit(limits.max_frame))),
            outgoing: Outgoing::new(limits.buffer_at_rest, limits.on_a_line().longest_sent()),
            candidate_sent: false,
            max_frame: limits.max_frame,
            at_rest: limits.buffer_at_rest,
            dropped: 0,
            clock: Instant::default(),
        }
    }

    // A. Getters

    /// The session that both sides have let in, if there is one.  It may be closing, or wait to say its last.
    pub fn running(&mut self) -> Option<&mut S> {
        self.settle();
        self.running.as_mut().map(|slot| &mut slot.session)
    }

    /// The session that is not let in yet, if there is one: the one that asks
    /// [`Event::Admission`](crate::Event::Admission).
    ///
    /// Whatever comes over the line may put another in its place: answer the question before more bytes are handed
    /// in, or compare [`Connection::peer`] with whom the question was about.
    pub fn candidate(&mut self) -> Option<&mut S> {
        self.settle();
        self.candidate.as_mut().map(|slot| &mut slot.session)
    }

    /// How many packets were dropped, because they were damaged, too long or meant for nobody here.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes of heap in the buffers of the line; those of the sessions are theirs.
    pub fn buffered(&self) -> usize {
        self.incoming.capacity() + self.outgoing.capacity()
    }

    // B. Inputs

    /// Takes bytes that came, and says how many.
    ///
    /// Fewer than all means that an event of the running session waits, or that a session has ended: poll the events
    /// and [`poll_ended`](Self::poll_ended), then hand the rest in again.
    ///
    /// `offered` is called where the other side dials, and gives a fresh [`Connection::responder`]; `None` where
    /// this side takes no session now, and then nothing is answered.  It is called once for each offer, so it is the
    /// place to bound how many are taken in a while: each costs a few operations on a curve.
    #[must_use = "what was not taken must be handed in again"]
    pub fn handle_input(
        &mut self,
        now: Instant,
        bytes: &[u8],
        mut offered: impl FnMut() -> Option<S>,
    ) -> usize {
        self.handle_timeout(now);
        let mut max = self.max_packet();
        for (place, byte) in bytes.iter().enumerate() {
            if *byte != 0 {
                self.incoming.push(*byte, max);
                continue;
            }
            if self.incoming.is_empty() {
                continue;
            }
            // Whoever ends is told before another can, so that they never pile up.
            if !self.ended.is_empty() {
                return place;
            }
            match self.route(&mut offered) {
                // The zero byte is not taken: it will end the packet once more.
                Routed::Blocked => return place,
                Routed::Dropped => self.dropped += 1,
                Routed::Taken => {}
            }
            self.incoming.restart();
            self.settle();
            max = self.max_packet();
        }
        bytes.len()
    }

    /// The port is gone, unplugged say: all sessions end, as [`CloseReason::Truncated`](crate::CloseReason::Truncated).
    pub fn handle_eof(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        self.each(|connection| connection.handle_line_gone(now));
        self.incoming.restart();
        self.outgoing.advance(usize::MAX);
        self.settle();
    }

    /// Lets time pass, for the sessions as well.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        self.each(|connection| connection.handle_timeout(now));
        self.settle();
    }

    // C. Commands

    /// Makes this fresh [`Connection::initiator`] the candidate; an earlier one ends.
    ///
    /// [`Redial`] says when.  Not while sessions wait for [`poll_ended`](Self::poll_ended): each keeps its memory until then.
    pub fn dial(&mut self, now: Instant, mut initiator: S) {
        self.clock = self.clock.max(now);
        self.settle();
        let message_1 = initiator.with(|connection| connection.message_1());
        self.nominate(initiator, message_1);
    }

    // D. Outputs

    /// Bytes for the line, if any: one packet, or two that belong together.  Tell by
    /// [`advance_transmit`](Self::advance_transmit) how many were written.
    ///
    /// The running session and the candidate take turns, packet by packet.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<&[u8]> {
        self.clock = self.clock.max(now);
        self.settle();
        if self.outgoing.unsent().is_none() {
            let candidate_first = !self.candidate_sent;
            if self.pack(candidate_first) {
                self.candidate_sent = candidate_first;
            } else {
                self.pack(!candidate_first);
                self.candidate_sent = !candidate_first;
            }
            self.settle();
        }
        self.outgoing.unsent()
    }

    /// Notes that this many bytes of [`poll_transmit`](Self::poll_transmit) were written.
    pub fn advance_transmit(&mut self, written: usize) {
        self.outgoing.advance(written);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    #[must_use]
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let mut first = None;
        self.each(|connection| first = sooner(first, connection.poll_timeout()));
        first
    }

    /// A session that has left the line: it has ended, was replaced, or its handshake failed.  Its last events are
    /// still to be polled, the last of them [`Event::Closed`](crate::Event::Closed).
    #[must_use]
    pub fn poll_ended(&mut self) -> Option<S> {
        self.settle();
        self.ended.pop_front()
    }

    // What the line does

    /// Gives the packet that has come to whom it is for.  SPEC §19.2
    fn route(&mut self, offered: &mut impl FnMut() -> Option<S>) -> Routed {
        match self.incoming.whole() {
            Some(Packet::Preamble(preamble)) if InitiatorPreamble::magic_matches(&preamble) => {
                self.on_offer(preamble, offered)
            }
            Some(Packet::Preamble(preamble)) => self.on_answer(preamble),
            Some(Packet::Frame(_)) => self.on_frame(offered),
            None => Routed::Dropped,
        }
    }

    /// An initiator's preamble.  SPEC §19.3
    fn on_offer(&mut self, preamble: [u8; PREAMBLE_LEN], offered: &mut impl FnMut() -> Option<S>) -> Routed {
        if let Some(slot) = self.candidate.as_mut().filter(|slot| slot.message_1.is_some())
            && slot.session.with(|connection| !connection.is_closed())
        {
            // SER-5: who stays initiator is seen from message 1.
            slot.rival = Some(preamble);
            return Routed::Taken;
        }
        let Some(responder) = offered() else { return Routed::Dropped };
        // SER-2
        self.nominate(responder, None);
        self.on_answer(preamble)
    }

    /// A preamble for the candidate.
    fn on_answer(&mut self, preamble: [u8; PREAMBLE_LEN]) -> Routed {
        let now = self.clock;
        let Some(slot) = &mut self.candidate else { return Routed::Dropped };
        let fate = slot.session.with(|connection| connection.handle_preamble(now, preamble));
        slot.note(fate, now)
    }

    /// A frame: the running session's, else the candidate's.  SPEC §19.2
    fn on_frame(&mut self, offered: &mut impl FnMut() -> Option<S>) -> Routed {
        let now = self.clock;
        let Some(Packet::Frame(packet)) = self.incoming.whole() else { return Routed::Dropped };
        if let Some(slot) = &mut self.running {
            // SER-3
            match slot.session.with(|connection| connection.handle_frame(now, packet)) {
                Fate::Foreign => {}
                fate => return slot.note(fate, now),
            }
        }
        let Some(slot) = &mut self.candidate else { return Routed::Dropped };
        match slot.session.with(|connection| connection.handle_frame(now, packet)) {
            Fate::Taken => {
                slot.rival = None;
                return slot.note(Fate::Taken, now);
            }
            // While it decides nothing that matters is for it, SER-12.
            Fate::Blocked | Fate::Foreign => {}
        }
        let (Some(rival), Some(own), Ok(packet)) =
            (slot.rival, slot.message_1, <&[u8; MESSAGE_1_PACKET]>::try_from(packet))
        else {
            return Routed::Dropped;
        };
        slot.rival = None;
        let rivals = &packet[frame::LENGTH_PREFIX..];
        // SER-5: where both are equal, this is what this side sent itself.  An offer behind message 2 says that the
        // other side has given this handshake up.
        let stays = slot.session.with(|connection| connection.awaits_message(2)) && *rivals > own[..];
        slot.contested |= stays;
        if stays || *rivals == own[..] {
            return Routed::Dropped;
        }
        let packet = *packet;
        self.yield_to(rival, &packet, offered)
    }

    /// Answers the other side's offer instead of waiting for an answer to one's own.  SER-5
    fn yield_to(
        &mut self,
        preamble: [u8; PREAMBLE_LEN],
        message_1: &[u8],
        offered: &mut impl FnMut() -> Option<S>,
    ) -> Routed {
        let now = self.clock;
        let Some(responder) = offered() else { return Routed::Dropped };
        self.nominate(responder, None);
        if let Some(slot) = &mut self.candidate {
            slot.session.with(|connection| {
                connection.handle_preamble(now, preamble);
                connection.handle_frame(now, message_1);
            });
        }
        Routed::Taken
    }

    /// Puts a session into the candidate's place.
    fn nominate(&mut self, mut session: S, message_1: Option<[u8; 32]>) {
        session.with(Connection::seal_singly);
        let slot =
            Slot { session, introduced: false, message_1, rival: None, contested: false, heard: self.clock };
        if let Some(earlier) = self.candidate.replace(slot) {
            self.retire(earlier);
        }
    }

    /// Takes a session off the line: it ends now, if it has not ended, and has no more to say.  SER-13
    fn retire(&mut self, mut slot: Slot<S>) {
        slot.session.with(Connection::replace);
        self.ended.push_back(slot.session);
    }

    /// Does this with both sessions.
    fn each(&mut self, mut act: impl FnMut(&mut Connection)) {
        if let Some(slot) = &mut self.running {
            slot.session.with(&mut act);
        }
        if let Some(slot) = &mut self.candidate {
            slot.session.with(&mut act);
        }
    }

    /// Moves each session to the place that is now its own: admission and endings happen between calls.
    fn settle(&mut self) {
        let admitted = |slot: &mut Slot<S>| slot.session.with(|connection| connection.is_connected());
        if let Some(slot) = self.candidate.take_if(admitted)
            && let Some(earlier) = self.running.replace(slot)
        {
            self.retire(earlier);
        }
        let lost = |slot: &mut Slot<S>| slot.session.with(|connection| connection.has_lost_frames());
        if self.candidate.as_mut().is_some_and(lost)
            && let Some(earlier) = self.running.take()
        {
            // SER-4: the other side has accepted the candidate, and dropped this one.
            self.retire(earlier);
        }
        let finished = |slot: &mut Slot<S>| slot.session.with(|connection| connection.is_finished());
        while let Some(slot) = self.running.take_if(finished).or_else(|| self.candidate.take_if(finished)) {
            self.retire(slot);
            // What the next one needs is not known yet.
            self.incoming.shrink(self.at_rest);
            self.outgoing.shrink(self.at_rest);
        }
    }

    /// The longest packet that is stored.  SER-8
    #[cfg_attr(target_os = "none", inline(never))]
    fn max_packet(&mut self) -> usize {
        let mut has_keys = false;
        self.each(|connection| has_keys |= connection.has_keys());
        longest_unit(if has_keys { self.max_frame } else { 0 })
    }

    /// Makes packets of what one of the sessions has to send; whether there was anything.
    fn pack(&mut self, candidate: bool) -> bool {
        let (now, outgoing) = (self.clock, &mut self.outgoing);
        let Some(slot) = (if candidate { &mut self.candidate } else { &mut self.running }) else {
            return false;
        };
        let introduced = &mut slot.introduced;
        slot.session.with(|connection| {
            let Some(mut bytes) = connection.handshake_packets() else {
                return outgoing.push_with(|line| connection.seal_packet(now, line));
            };
            while !bytes.is_empty() {
                let unit = if *introduced { frame_len(bytes) } else { PREAMBLE_LEN };
                let (packet, rest) = bytes.split_at(unit.min(bytes.len()));
                outgoing.push(packet);
                (*introduced, bytes) = (true, rest);
            }
            connection.handshake_packets_sent();
            true
        })
    }
}

impl<S> Slot<S> {
    fn note(&mut self, fate: Fate, now: Instant) -> Routed {
        match fate {
            Fate::Blocked => Routed::Blocked,
            Fate::Foreign => Routed::Dropped,
            Fate::Taken => {
                self.heard = now;
                Routed::Taken
            }
        }
    }
}

impl<S> fmt::Debug for Line<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("running", &self.running.is_some())
            .field("candidate", &self.candidate.is_some())
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

/// How long the first of these frames is, its length included.
fn frame_len(frames: &[u8]) -> usize {
    let length = frames.first_chunk().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
    frame::LENGTH_PREFIX + length
}
