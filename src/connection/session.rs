//! A connection once it has transport keys: what both sides may ask, answer and publish.
//!
//! What arrives is in `incoming`, what the application commands in `commands`, what leaves in `outgoing`; what is about
//! subscriptions alone in `subscribing`, ours, and `publishing`, theirs, and about bodies in chunks in `bodies`; this
//! file holds the state that all share.  SPEC §7 to §16

mod bodies;
mod commands;
mod incoming;
mod outgoing;
mod publishing;
#[cfg(not(target_os = "none"))] // where flash is scarce, one by one
mod series;
mod subscribing;

use alloc::collections::VecDeque;
use core::mem;

use super::event::{Failure, StopCause};
use super::exchanges::{Exchanges, Opened};
use super::handshake::Established;
use super::pending::Pending;
use super::queue::Queue;
use super::timer::{Wait, Waits};
use crate::buffer::Buffer;
use crate::config::Limits;
use crate::identity::PeerId;
use crate::noise::CipherState;
use crate::role::Role;
use crate::status::Status;
use crate::time::{Instant, sooner};
use crate::wire::frame;
use crate::wire::payload::PeerLimits;

use bodies::Bulk;
pub(crate) use incoming::Received;
use outgoing::PassedOver;
pub(crate) use publishing::Through;
#[cfg(not(target_os = "none"))]
use series::Series;

/// The state that exists from Split to the last byte.
pub(crate) struct Session {
    pub(crate) role: Role,
    pub(crate) peer: PeerId,
    pub(crate) hash: [u8; 32],
    /// What the other side declared.
    theirs: PeerLimits,
    limits: Limits,
    answer_within: Option<Wait>,
    body_idle: Option<Wait>,
    send: CipherState,
    receive: CipherState,
    accept_state: AcceptState,
    exchanges: Exchanges,
    control: Control,
    calls: Queue,
    publications: Queue,
    bulk: Bulk,
    passed_over: PassedOver,
    /// What is left to read of the frame in the reader.
    plaintext: Plaintext,
    /// Events of this side's own making; at most one or two for each exchange.
    local: VecDeque<(u64, Local)>,
    /// `local` has events which the last message caused; they are told before the next is read.
    holds: bool,
    /// Openings above this are ignored: `goaway` was sent.  SPEC §16.2
    goaway_sent: Option<u64>,
    goaway_received: Option<u64>,
    /// Initiator: the responder closed without `accept`.  SPEC §16.4
    refused: bool,
    /// Set by each deadline that is armed, for the timer.
    earliest_deadline: Option<Instant>,
}

/// How far the two sides have let each other in.  SPEC §6
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum AcceptState {
    /// Initiator: `accept` has not come yet.
    AwaitingAccept,
    /// Responder: the application has not decided yet.
    Deciding,
    Done,
}

/// What leaves ahead of all queues, without a buffer: each of these exists once, or once for an exchange.
#[derive(Debug, Default)]
struct Control {
    accept: bool,
    ping: Option<u64>,
    pong: Option<u64>,
    goaway: Option<u64>,
    /// Exchanges with something due, a `cancel`, a `credit` or the last message, each once; the table says what.
    due: VecDeque<u64>,
    close: Option<Status>,
    close_sealed: bool,
    pings: u64,
}

impl Control {
    fn is_empty(&self) -> bool {
        let single = self.accept || self.close.is_some();
        !single && self.ping.or(self.pong).or(self.goaway).is_none() && self.due.is_empty()
    }
}

/// An event of this side's own making, about an exchange.
#[derive(Clone, Copy, Debug)]
enum Local {
    /// One of ours.
    Failed(Failure),
    /// One of theirs.
    Stop(StopCause),
}

/// How much one of them takes, with its exchange.
pub(crate) const LOCAL: usize = size_of::<(u64, Local)>();

/// The opened part of the reader's unit that has not been looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Plaintext {
    at: usize,
    end: usize,
    /// When the frame's last byte came: deadlines count from here, however late it is looked at.  SPEC §10.4
    arrived: Instant,
    /// What the message before began with, where the next may begin alike.
    #[cfg(not(target_os = "none"))]
    series: Option<Series>,
}

impl Session {
    pub(crate) fn new(role: Role, established: Established, limits: Limits, waits: &Waits) -> Self {
        let accept_state = match (role, established.admitted) {
            (Role::Initiator, _) => AcceptState::AwaitingAccept,
            (Role::Responder, _) => AcceptState::Deciding,
        };
        Self {
            role,
            peer: established.peer,
            hash: established.ciphers.hash,
            theirs: established.limits,
            limits,
            answer_within: waits.answer,
            body_idle: waits.body_idle,
            send: established.ciphers.send,
            receive: established.ciphers.receive,
            accept_state,
            exchanges: Exchanges::new(role),
            control: Control::default(),
            calls: Queue::new(limits.call_queue, limits.is_fixed()),
            publications: Queue::new(limits.publication_queue, limits.is_fixed()),
            bulk: Bulk::default(),
            passed_over: PassedOver::default(),
            plaintext: Plaintext::default(),
            local: VecDeque::new(),
            holds: false,
            goaway_sent: None,
            goaway_received: None,
            refused: false,
            earliest_deadline: None,
        }
    }

    /// Takes all the memory that its limits allow, where they say so; once.
    pub(crate) fn reserve(&mut self) {
        let exchanges = self.limits.exchanges_out() + self.limits.exchanges_in();
        self.exchanges.reserve(&self.limits);
        self.control.due.reserve_exact(exchanges);
        self.local.reserve_exact(exchanges);
        self.calls.reserve();
        self.publications.reserve();
    }

    /// How long the peer may be silent, if it says so.
    pub(crate) fn silence_of_peer(&self) -> Option<Wait> {
        Wait::from_millis(self.theirs.silence_ms)
    }

    pub(crate) fn is_deciding(&self) -> bool {
        self.accept_state == AcceptState::Deciding
    }

    /// Initiator: `accept` has not come yet.
    pub(crate) fn is_awaiting_accept(&self) -> bool {
        self.accept_state == AcceptState::AwaitingAccept
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.accept_state == AcceptState::Done
    }

    pub(crate) fn is_going_away(&self) -> bool {
        self.goaway_sent.or(self.goaway_received).is_some()
    }

    /// Responder: lets the initiator in.  SPEC §6 ADM-2
    pub(crate) fn admit(&mut self) {
        self.accept_state = AcceptState::Done;
        self.control.accept = true;
    }

    /// The next event of this side's own making.
    pub(crate) fn poll_local(&mut self) -> Option<Pending> {
        let (id, local) = self.local.pop_front()?;
        self.holds &= !self.local.is_empty();
        Some(match local {
            Local::Failed(failure) => Pending::Failed { id, failure },
            Local::Stop(cause) => Pending::Stop { id, cause },
        })
    }

    /// Whether a message has ended exchanges of ours, and [`poll_local`](Self::poll_local) has still to say so.  That is
    /// told before the next message is looked at, so that it makes no difference whether both came in one piece.  FRM-4
    pub(crate) fn holds(&self) -> bool {
        self.holds
    }

    /// The next subscription of theirs that was accepted or got credit.
    pub(crate) fn poll_credited(&mut self) -> Option<u64> {
        self.exchanges.poll_credited()
    }

    /// At the end of the connection: what became of the oldest exchange of ours that nobody was told of.
    /// SPEC §16.4
    pub(crate) fn poll_ending(&mut self) -> Option<Pending> {
        let refused = self.refused;
        while let Some(opened) = self.exchanges.pop_ours() {
            if opened.is_awaited() {
                return Some(ending_of(&opened, refused));
            }
        }
        None
    }

    /// Whether no exchange is open in either direction.
    pub(crate) fn is_idle(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// The longest frame that the peer takes and this side has room for.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn longest_frame(&self) -> usize {
        usize::from(self.theirs.max_frame).min(self.limits.longest_sent() - frame::LENGTH_PREFIX)
    }

    /// The most plaintext of such a frame.  SPEC §4 FRM-2
    fn max_plaintext(&self) -> usize {
        self.longest_frame() - frame::TAG
    }

    /// Asks for a ping.  SPEC §9
    pub(crate) fn ping(&mut self) {
        self.control.pings = self.control.pings.wrapping_add(1);
        self.control.ping = Some(self.control.pings);
    }

    /// Has something sent for an exchange, ahead of all queues.
    fn fall_due(&mut self, id: u64) {
        if let Some(due) = self.exchanges.due_mut(id)
            && !mem::replace(due, true)
        {
            self.control.due.push_back(id);
        }
    }

    /// The deadline armed since last asked.
    pub(crate) fn take_earliest_deadline(&mut self) -> Option<Instant> {
        self.earliest_deadline.take()
    }

    fn arm_deadline(&mut self, deadline: Option<Instant>) {
        self.earliest_deadline = sooner(self.earliest_deadline, deadline);
    }

    /// Gives memory back while nothing happens.
    pub(crate) fn shrink(&mut self, at_rest: usize) {
        self.calls.shrink(at_rest);
        self.publications.shrink(at_rest);
        if self.local.is_empty() {
            self.local.shrink_to(0);
        }
    }

    pub(crate) fn queue_capacity(&self) -> usize {
        self.calls.capacity() + self.publications.capacity() + self.exchanges.body_capacity()
    }

    /// Drops what waits to be sent, except one `close` with this status.  SPEC §16.3
    pub(crate) fn abort(&mut self, status: Option<Status>) {
        self.calls.clear();
        self.publications.clear();
        self.bulk.clear();
        // ADM-2: an initiator that is not let in learns no more than that, whatever the reason.
        let status = if self.is_deciding() { status.map(|_| Status::REFUSED) } else { status };
        self.accept_state = AcceptState::Done;
        let close_sealed = self.control.close_sealed;
        // The peer that was let in hears of it first: without `accept` it would take what it asked as not executed.  ADM-2
        let accept = self.control.accept && status.is_some();
        self.control = Control { accept, close: status, close_sealed, ..Control::default() };
        self.stop_reading();
    }

    /// Looks at nothing of what has been received any more.
    pub(crate) fn stop_reading(&mut self) {
        self.plaintext = Plaintext::default();
    }

    /// Whether the reader's unit is a frame that was opened.
    pub(crate) fn has_frame(&self) -> bool {
        self.plaintext.end > 0
    }

    /// Sends `close` with this status behind all that is queued.  SPEC §16.1
    pub(crate) fn close_after_queues(&mut self, status: Status) {
        if self.control.close.is_none() {
            self.control.close = Some(status);
        }
    }

    /// The peer's `close` came: nothing more is opened, and it is answered behind what is queued.  SPEC §16.1
    pub(crate) fn on_close(&mut self) {
        self.refused = self.accept_state == AcceptState::AwaitingAccept;
        self.exchanges.stop();
        self.close_after_queues(Status::OK);
    }

    /// Whether a `close` of ours is queued or sent: no command may follow it.
    pub(crate) fn is_closing(&self) -> bool {
        self.control.close.is_some() || self.control.close_sealed
    }

    /// The status of the `close` of ours that is queued or sent.
    pub(crate) fn close_status(&self) -> Option<Status> {
        self.control.close
    }

    /// Whether a `close` of ours has left, so that nothing more can.
    pub(crate) fn has_sealed_close(&self) -> bool {
        self.control.close_sealed
    }

    /// Bytes of messages that wait to be sealed, those of bodies in chunks left out.
    #[cfg(feature = "tokio")]
    pub(crate) fn waiting(&self) -> usize {
        self.calls.len() + self.publications.len()
    }

    /// Whether something of control waits to be sealed.
    #[cfg(feature = "tokio")]
    pub(crate) fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// Whether a `close` of ours has not been sealed yet.
    pub(crate) fn has_unsealed(&self) -> bool {
        self.control.close.is_some() && !self.control.close_sealed
    }

    /// Gives up the exchanges whose deadline has passed.  SPEC §10.4
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Instant> {
        // In one pass: both tables are sorted by id.
        let mut id = 0;
        while let Some((overdue, why)) = self.exchanges.overdue_ours(id, now) {
            id = overdue;
            self.give_up(id, why.failure(), why.status());
        }
        let mut id = 0;
        while let Some((overdue, why)) = self.exchanges.overdue_theirs(id, now) {
            id = overdue;
            // EXC-12
            self.end_without_application(id, why.status());
            self.local.push_back((id, Local::Stop(why.cause())));
        }
        self.exchanges.next_deadline()
    }
}

fn ending_of(opened: &Opened, refused: bool) -> Pending {
    let failure = if refused || !opened.sealed { Failure::NotExecuted } else { Failure::Disconnected };
    Pending::Failed { id: opened.id, failure }
}

/// The plaintext of one frame on its way out; never longer than the peer takes.
struct Frame<'a> {
    bytes: &'a mut Buffer,
    start: usize,
    max: usize,
    /// How much the buffer may have.
    most: usize,
}
