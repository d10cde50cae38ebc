//! The sans-IO core: one link to one peer.

mod bodies;
mod credit;
mod drive;
mod ending;
mod event;
mod exchanges;
mod handshake;
mod memory;
pub(crate) mod packets;
mod pending;
mod publishing;
mod queue;
mod reader;
mod session;
mod streaming;
mod timer;
mod wire_out;

use alloc::boxed::Box;
use core::time::Duration;

pub use event::{Event, Failure, Following, Publication, RequestHead, StopCause};

pub use memory::Memory;

use exchanges::OpenedKind;
use handshake::Handshake;
use pending::Pending;
use reader::Reader;
use session::Session;
use timer::{Slept, Timer, Timers, Waits};
use wire_out::WireOut;

use crate::config::{self, Admission, Config, Limits};
use crate::error::{CloseReason, SendError};
use crate::exchange::ExchangeId;
use crate::identity::{PeerId, Seed};
use crate::role::Role;
use crate::status::Status;
use crate::time::Instant;
use crate::wire::payload::PeerLimits;
use crate::wire::preamble::PREAMBLE_LEN;

/// One link to one peer, without a socket, a clock or a source of randomness.
///
/// Methods come in four kinds, in this order below:
///
/// - **A**, getters, `&self`;
/// - **B**, inputs, `handle_*`: bytes, the end of the stream, the time.  They never fail; the connection does;
/// - **C**, commands of the application.  A refused command leaves the connection exactly as it was;
/// - **D**, outputs, `poll_*`: events, bytes to write, the next wake-up.
///
/// **After any B or C, drain D: events until there are none, then bytes until there are none; then sleep
/// until the instant named.**  Nothing breaks if that is done late or in another order; it only comes later.
///
/// A clock that jumps back is taken as standing still.
///
/// ```
/// use symbolon::{Admission, Config, Connection, Event, Identity, Instant, SecretKey, Seed, Status};
///
/// # fn seed(n: u8) -> Seed { Seed::new(core::array::from_fn(|i| n ^ i as u8)).unwrap() }
/// let lamp = Config::new(Identity::new(&SecretKey::from_bytes([1; 32]), seed(1)));
/// let phone = Config::new(Identity::new(&SecretKey::from_bytes([2; 32]), seed(2)));
/// let lamp_id = lamp.identity().peer_id();
///
/// let now = Instant::default();
/// let mut a = Connection::initiator(&phone, Admission::expect(lamp_id), seed(3), now);
/// let mut b = Connection::responder(&lamp, Admission::Ask, seed(4), now);
/// let mut answer = None;
/// for _ in 0..4 {
///     // What an adapter does with a socket in between.
///     while let Some(bytes) = a.poll_transmit(now) {
///         let taken = b.handle_input(now, bytes);
///         a.advance_transmit(taken);
///         match b.poll_event() {
///             Some(Event::Admission { .. }) => b.admit(now).unwrap(),
///             Some(Event::Request { id, method: "lamp/on", .. }) => b.respond(id, Status::OK, b"lit").unwrap(),
///             _ => {}
///         }
///     }
///     while let Some(bytes) = b.poll_transmit(now) {
///         let taken = a.handle_input(now, bytes);
///         b.advance_transmit(taken);
///         match a.poll_event() {
///             Some(Event::Connected { .. }) => drop(a.request(now, "lamp/on", b"", None)),
///             Some(Event::Response { body, .. }) => answer = Some(body.to_vec()),
///             _ => {}
///         }
///     }
/// }
/// assert_eq!(answer.as_deref(), Some(&b"lit"[..]));
/// ```
pub struct Connection {
    state: State,
    reader: Reader,
    wire: WireOut,
    timers: Timers,
    /// The latest instant handed in.
    clock: Instant,
    limits: Limits,
    waits: Waits,
    /// Nothing is read while it waits.
    pending: Option<Pending>,
    ending: Option<CloseReason>,
    reported: bool,
    /// The timers that have fired late, and were begun anew, since the last complete frame.
    slept: Slept,
    /// The stream has ended behind the frame in the reader.
    eof: bool,
    /// Nothing is left to reserve: it has been, or buffers grow as they need.
    reserved: bool,
    /// On a serial line, which has the buffer that frames are sealed into.
    on_line: bool,
}

enum State {
    Handshake(Box<Handshake>),
    Session(Box<Session>),
    /// A handshake that failed.
    Failed(Role, Option<PeerId>),
}

impl Connection {
    /// The side that dials.  Its first bytes wait in [`poll_transmit`](Self::poll_transmit).
    ///
    /// `seed`, which becomes the ephemeral key, must be fresh: see [`Seed`].
    pub fn initiator(config: &Config, admission: Admission, seed: Seed, now: Instant) -> Self {
        Self::new(Role::Initiator, config, admission, &seed, now)
    }

    /// The side that was dialled.
    ///
    /// `seed` must be fresh, as above.
    pub fn responder(config: &Config, admission: Admission, seed: Seed, now: Instant) -> Self {
        Self::new(Role::Responder, config, admission, &seed, now)
    }

    fn new(role: Role, config: &Config, admission: Admission, seed: &Seed, now: Instant) -> Self {
        let (limits, timeouts) = (config.limits, config.timeouts);
        let mut wire = WireOut::new(limits.wire_at_first());
        let declared = PeerLimits {
            max_frame: limits.max_frame,
            max_requests: limits.requests_in,
            max_subscriptions: limits.subscriptions_in,
            window: limits.window,
            silence_ms: timeouts.silence.map_or(0, |d| u32::try_from(d.as_millis()).unwrap_or(u32::MAX)),
            features: 0,
        };
        let mut timers = Timers::default();
        let (state, ending) = match Handshake::new(role, config, admission, declared, seed, wire.buffer()) {
            Ok(handshake) => {
                timers.set(Timer::Handshake, now + timeouts.handshake);
                (State::Handshake(Box::new(handshake)), None)
            }
            Err(error) => (State::Failed(role, None), Some(error.into())),
        };
        Self {
            state,
            reader: Reader::new(
                PREAMBLE_LEN,
                limits.reader_at_first(),
                config::longest_unit(limits.max_frame),
            ),
            wire,
            timers,
            clock: now,
            limits,
            waits: Waits::of(&timeouts),
            pending: None,
            ending,
            reported: false,
            slept: Slept::default(),
            eof: false,
            reserved: !limits.is_fixed(),
            on_line: false,
        }
    }

    // A. Getters

    /// Which side this is.
    pub fn role(&self) -> Role {
        match &self.state {
            State::Handshake(handshake) => handshake.role(),
            State::Session(session) => session.role,
            State::Failed(role, _) => *role,
        }
    }

    /// The peer, once it has proven its identity; whether it is let in is another question.
    pub fn peer(&self) -> Option<PeerId> {
        match &self.state {
            State::Handshake(handshake) => handshake.peer(),
            State::Session(session) => Some(session.peer),
            State::Failed(_, peer) => *peer,
        }
    }

    /// Whether both sides have let each other in, and the connection has not ended.
    pub fn is_connected(&self) -> bool {
        self.ending.is_none() && matches!(&self.state, State::Session(session) if session.is_connected())
    }

    /// Whether one of both sides takes no more exchanges, and has said so; a connection that is closing, or has ended, counts.
    /// SPEC §16.2
    pub fn is_going_away(&self) -> bool {
        !self.is_open() || matches!(&self.state, State::Session(session) if session.is_going_away())
    }

    /// Whether commands are taken.  An initiator may command as soon as the responder has proven itself and
    /// was let in here: what it asks goes out behind message 3, and the first answer is back after two
    /// round trips.  SPEC §6
    pub fn is_open(&self) -> bool {
        let open = |session: &Session| !session.is_deciding() && !session.is_closing();
        self.ending.is_none() && matches!(&self.state, State::Session(session) if open(session))
    }

    /// Whether the connection has ended; bytes may still wait to be written.
    pub fn is_closed(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether no exchange is open in either direction: nothing would be lost by closing now.
    pub fn is_idle(&self) -> bool {
        let State::Session(session) = &self.state else { return matches!(self.state, State::Failed(..)) };
        session.is_idle()
    }

    /// The hash of the handshake: the same 32 bytes at both ends, and at no other connection.  Good for
    /// comparing by eye, or for binding another protocol to this connection.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        let State::Session(session) = &self.state else { return None };
        Some(session.hash)
    }

    /// Bytes of heap in buffers.
    pub fn buffered(&self) -> usize {
        let queues = match &self.state {
            State::Session(session) => session.queue_capacity(),
            State::Handshake(_) | State::Failed(..) => 0,
        };
        self.reader.capacity() + self.wire.capacity() + queues
    }

    // B. Inputs

    /// Takes bytes that came from the peer, and says how many; fewer than all means that an event waits, or
    /// that the application is asked whether to admit.  After the end all are taken, and ignored.
    #[must_use = "what was not taken must be handed in again"]
    pub fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.handle_timeout(now);
        let mut taken = 0;
        loop {
            self.advance();
            if self.ending.is_some() {
                return bytes.len();
            }
            if self.is_blocked() || taken == bytes.len() {
                return taken;
            }
            taken += self.read(&bytes[taken..]);
        }
    }

    /// Takes the end of the peer's stream, after all of its bytes.
    pub fn handle_eof(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.eof = true;
        self.advance();
    }

    /// Lets time pass.  Calls that come early or late do no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pass_to(now);
        for timer in Timer::ALL {
            if let Some(due) = self.timers.expire(timer, self.clock) {
                self.on_timer(timer, due);
            }
        }
    }

    // C. Commands

    /// Lets the peer in that [`Event::Admission`] named.
    ///
    /// # Errors
    ///
    /// [`SendError::NotConnected`] where nobody asks.
    pub fn admit(&mut self, now: Instant) -> Result<(), SendError> {
        self.pass_to(now);
        self.check_deciding()?;
        // Answered, whether it was heard or not.
        self.pending = None;
        match &mut self.state {
            State::Handshake(handshake) => {
                let progress = handshake.finish_initiator(self.wire.buffer());
                self.on_progress(progress);
            }
            State::Session(_) => self.let_in(),
            State::Failed(..) => {}
        }
        Ok(())
    }

    /// Does not let the peer in that [`Event::Admission`] named; the connection ends.
    ///
    /// # Errors
    ///
    /// [`SendError::NotConnected`] where nobody asks.
    pub fn refuse(&mut self, now: Instant) -> Result<(), SendError> {
        self.pass_to(now);
        self.check_deciding()?;
        if let Some(peer) = self.peer() {
            self.end(CloseReason::NotAdmitted(peer));
        }
        Ok(())
    }

    /// Responder: answers a valid preamble with *busy*, because too many handshakes are on their way.
    /// Whoever does not speak symbolon still gets silence.  SPEC §3
    pub fn turn_away(&mut self) {
        if let State::Handshake(handshake) = &mut self.state {
            handshake.turn_away();
        }
    }

    /// Asks the peer for `method`.  It ends exactly once: by [`Event::Response`], [`Event::Busy`] or
    /// [`Event::Failed`].
    ///
    /// The deadline is at most 2³²−1 ms, and travels along; `None` waits for as long as the peer does.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the most common are `Full` and `TooMany`, which pass.
    pub fn request(
        &mut self,
        now: Instant,
        method: &str,
        body: &[u8],
        deadline: Option<Duration>,
    ) -> Result<ExchangeId, SendError> {
        let now = self.pass_to(now);
        let head = RequestHead { method, body, more: false, deadline };
        let id = self.session()?.request(now, OpenedKind::Request, &head)?;
        self.arm_deadline();
        Ok(ExchangeId::from_number(id))
    }

    /// Gives up a request or subscription of ours: it ends at once here, by [`Event::Failed`], and the peer
    /// is asked to stop.
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownExchange`] where it has ended already.
    pub fn cancel(&mut self, id: ExchangeId) -> Result<(), SendError> {
        self.cancel_with(id, Status::CANCELLED)
    }

    /// As [`cancel`](Self::cancel), with a status for the peer.  Of a request of theirs it stops the peer's body, and
    /// nothing more: its [`Event::End`] follows, and the answer is owed as before.  SPEC §10.4, §10.5
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownExchange`] where it has ended already, or was stopped before.
    pub fn cancel_with(&mut self, id: ExchangeId, status: Status) -> Result<(), SendError> {
        self.session()?.cancel(id.number(), status)
    }

    /// Answers a request of theirs, or refuses a subscription of theirs with a status other than OK.
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownExchange`] where nobody waits (any more), [`SendError::TooLarge`] where the body
    /// does not fit: answer with [`Status::TOO_LARGE`] instead; [`SendError::Full`] until something was sent:
    /// the answer is still owed then; [`SendError::Closed`].
    pub fn respond(&mut self, id: ExchangeId, status: Status, body: &[u8]) -> Result<(), SendError> {
        self.session()?.respond(id.number(), status, body)
    }

    /// Answers a request of theirs: no capacity right now, try again after `retry` (zero: no hint).
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond).
    pub fn respond_busy(&mut self, id: ExchangeId, retry: Duration) -> Result<(), SendError> {
        self.session()?.busy(id.number(), retry)
    }

    /// Says that the application has taken publications or data of this cost, so that more may come.  SPEC §11
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownExchange`] where the subscription or body has ended.
    pub fn release(&mut self, id: ExchangeId, cost: u32) -> Result<(), SendError> {
        self.session()?.release(id.number(), cost)
    }

    // D. Outputs

    /// The next event, lent until the next call.  `None` until something else happens.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event<'_>> {
        self.advance();
        if self.pending.is_none() {
            self.pending = self.poll_local();
        }
        if matches!(self.pending, Some(Pending::Connected(_))) {
            self.reserve();
        }
        if let Some(pending) = &self.pending {
            let event = pending.lend(&self.reader);
            self.pending = None;
            return Some(event);
        }
        let reason = self.ending.filter(|_| !self.reported)?;
        self.reported = true;
        Some(Event::Closed { reason })
    }

    /// The next publication, where it begins as the one does that [`poll_event`](Self::poll_event) has just given or this
    /// method has, and came behind it in one frame: a shorter way for those who take many small ones of one topic.
    ///
    /// `None` says nothing of what comes next: `poll_event` gives all that this does not, and never gives what this has.
    /// On targets without an operating system, where flash is scarce, it is always `None`.
    #[must_use]
    pub fn poll_following(&mut self) -> Option<Following<'_>> {
        #[cfg(not(target_os = "none"))]
        if let State::Session(session) = &mut self.state
            && self.pending.is_none()
            && self.ending.is_none()
        {
            return session.poll_following(self.reader.unit());
        }
        None
    }

    /// The event that [`poll_event`](Self::poll_event) gives next, left where it is: for those who look whom it is for
    /// before they take it.
    #[must_use]
    pub fn peek_event(&mut self) -> Option<Event<'_>> {
        self.advance();
        if self.pending.is_none() {
            self.pending = self.poll_local();
        }
        match &self.pending {
            Some(pending) => Some(pending.lend(&self.reader)),
            None => self.ending.filter(|_| !self.reported).map(|reason| Event::Closed { reason }),
        }
    }

    /// A subscription of theirs that was accepted or got credit since it was last named here, each once: what
    /// [`publish`](Self::publish) refused of it may pass now.  `None` until something else happens.
    #[must_use]
    pub fn poll_credited(&mut self) -> Option<ExchangeId> {
        let State::Session(session) = &mut self.state else { return None };
        session.poll_credited().map(ExchangeId::from_number)
    }

    /// A body of this side's that was full and has room again, each once.  `None` until something else happens.
    #[must_use]
    pub fn poll_writable(&mut self) -> Option<ExchangeId> {
        let State::Session(session) = &mut self.state else { return None };
        session.poll_writable().map(ExchangeId::from_number)
    }

    /// Bytes for the peer, one frame or several, if any; tell by [`advance_transmit`](Self::advance_transmit) how many were written.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<&[u8]> {
        // Fires no timer: that could make an event, after a caller has drained them and before it sleeps.
        self.pass_to(now);
        if self.wire.is_empty() {
            self.seal_all();
        }
        self.wire.unsent()
    }

    /// Notes that this many bytes of [`poll_transmit`](Self::poll_transmit) were written.
    pub fn advance_transmit(&mut self, written: usize) {
        self.wire.advance(written);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; never in the past by more than
    /// the caller is late.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }
}
