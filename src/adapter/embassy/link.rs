//! What a runner and its handles share: the exchanges that handles have open.

use core::cell::{RefCell, RefMut};
use core::fmt;
use core::mem;
use core::num::NonZeroU32;
use core::task::{Poll, Waker};
use core::time::Duration;

use super::device::Device;
use super::drive::sooner;
use super::handle::Handle;
use super::owed::Owed;
use super::slot::{Answer, Ask, Slot, State};
use super::store::Store;
use super::watchers::{self, Watchers};
use crate::adapter::error::BodyError;
use crate::{
    Connection, Event, ExchangeId, Failure, Instant, LinkId, PeerId, RequestHead, SendError, Status,
    StopCause, SubscribeOptions,
};

/// How many exchanges handles may have open on one link, whatever memory there is.
pub(super) const SLOTS: usize = 4;

/// The place of one connection after the other: it outlives them, and tasks reach the one that stands through its
/// [`Handle`]s.
///
/// Each exchange that a handle has open has a share of the memory, for what it sends and for what comes until it is
/// read: a call the method's name and the longer of the request and the reply; a subscription twice what may wait (half of
/// the share is its window, at most), where each publication takes 27 bytes beside its topic and body; a body in chunks at least
/// [`Limits::window`](crate::Limits::window), and where this side writes one as well, twice that.  What does not fit is
/// refused with an error that says so.
///
/// A program of one loop, which uses a [`Runner`](super::Runner) alone, gives no memory: [`Link::none`].
pub struct Link {
    table: RefCell<Table>,
}

pub(super) struct Table {
    memory: &'static mut [u8],
    /// None where nobody holds one.
    slots: [Option<Slot>; SLOTS],
    /// Exchanges that were given up, so that their slots are free already, and with which status where the connection does
    /// not know yet.
    left: [Option<(ExchangeId, Option<Status>)>; SLOTS],
    /// How many of the slots there is memory for.
    count: usize,
    /// Whose link it is.
    owner: Option<LinkId>,
    runner: Option<Waker>,
    pub(super) peer: Option<PeerId>,
    /// How many connections have ended here: an answer to a request of one of them is not for the next.
    pub(super) session: u32,
    pub(super) close: Option<Status>,
    pub(super) watchers: Watchers,
    pub(super) owed: Owed,
    /// How much may come of a body before it is read.
    window: usize,
    pub(super) call_timeout: Duration,
}

impl Link {
    /// A link with this memory for as many exchanges at once; at most 4, and at most one for each byte.
    ///
    /// As many futures may wait for a connection, or for its end, before the heap is asked for more room.
    pub fn new(memory: &'static mut [u8], exchanges: usize) -> Self {
        let count = exchanges.min(SLOTS).min(memory.len());
        let table = Table {
            memory,
            slots: Default::default(),
            left: Default::default(),
            count,
            owner: None,
            runner: None,
            peer: None,
            session: 0,
            close: None,
            watchers: Watchers::new(count),
            owed: Owed::default(),
            window: 0,
            call_timeout: Duration::ZERO,
        };
        Self { table: RefCell::new(table) }
    }

    /// A link without exchanges of handles.
    pub fn none() -> Self {
        Self::new(&mut [], 0)
    }

    /// To call, subscribe and close with, from any task of the same executor.
    pub const fn handle(&self) -> Handle<'_> {
        Handle::new(self)
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn table(&self) -> RefMut<'_, Table> {
        self.table.borrow_mut()
    }

    /// The table, for the runner that has the link; none for one that another has taken it from.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn owned_by(&self, owner: LinkId) -> Option<RefMut<'_, Table>> {
        let table = self.table();
        (table.owner == Some(owner)).then_some(table)
    }

    /// A new runner has the link; what an earlier one left is over.
    pub(super) fn begin(&self, owner: LinkId, device: &Device) {
        let mut table = self.table();
        table.on_closed();
        table.owner = Some(owner);
        let limits = device.config().limits();
        table.owed.reserve(limits.requests_in.into());
        table.window = limits.window as usize;
        table.call_timeout = device.call_timeout();
    }

    /// The runner is gone.
    pub(super) fn leave(&self, owner: LinkId) {
        if let Some(mut table) = self.owned_by(owner) {
            table.on_closed();
            (table.owner, table.runner) = (None, None);
        }
    }
}

impl Table {
    // What handles do

    /// Has the runner look at what was asked.
    pub(super) fn wake_runner(&self) {
        if let Some(runner) = &self.runner {
            runner.wake_by_ref();
        }
    }

    /// Places a command, and says where; its parts lie one behind the other.  `halves`: this side writes a body.
    pub(super) fn ask(
        &mut self,
        ask: Ask,
        (name, body): (&str, &[u8]),
        deadline: Option<Instant>,
        halves: bool,
    ) -> Result<usize, SendError> {
        if self.peer.is_none() {
            return Err(SendError::NotConnected);
        }
        // Those first that the peer waits for.
        let first = if matches!(ask, Ask::Respond { .. }) { 0 } else { self.owed.waiting() };
        let mut places = (0..self.count).filter(|index| self.slots[*index].is_none());
        let index = places.nth(first).ok_or(SendError::TooMany)?;
        let share = self.memory.len() / self.count;
        let (from, to) = (index * share, (index + 1) * share);
        let middle = if halves { from + share / 2 } else { from };
        if matches!(ask, Ask::Open { .. }) && to - middle < self.window {
            return Err(SendError::TooLarge { len: self.window, max: to - middle });
        }
        let mut out = Store::new(from, to);
        if !out.push(self.memory, name.as_bytes()) || !out.push(self.memory, body) {
            return Err(SendError::TooLarge { len: name.len() + body.len(), max: share });
        }
        let slot = held(&mut self.slots[index]);
        slot.state = State::Asked(ask);
        (slot.out, slot.inward) = (out, Store::new(middle, to));
        (slot.name_len, slot.deadline, slot.window) = (name.len(), deadline, self.window);
        (slot.reading, slot.writing) = (true, halves);
        self.wake_runner();
        Ok(index)
    }

    /// A task is to answer this request; says of which connection it is. None where that has ended.
    pub(super) fn owe(&mut self, to: ExchangeId) -> Option<u32> {
        self.peer?;
        self.owed.add(to);
        Some(self.session)
    }

    /// Places an answer that is owed; waits where all exchanges are taken.
    pub(super) fn poll_respond(
        &mut self,
        (to, status): (ExchangeId, Status),
        body: &[u8],
        waker: &Waker,
    ) -> Poll<Result<usize, SendError>> {
        if !self.owed.contains(to) {
            return Poll::Ready(Err(SendError::UnknownExchange));
        }
        let placed = self.ask(Ask::Respond { to, status }, ("", body), None, false);
        let waits = placed == Err(SendError::TooMany) && self.count > 0;
        self.owed.wait(to, waits.then_some(waker));
        if waits { Poll::Pending } else { Poll::Ready(placed) }
    }

    /// A slot and the memory in which its bytes lie.
    pub(super) fn slot(&mut self, index: usize) -> (&mut Slot, &mut [u8]) {
        (held(&mut self.slots[index]), self.memory)
    }

    /// A reply of so many bytes was read; what follows it is its body.
    pub(super) fn took_reply(&mut self, index: usize, len: usize) {
        let slot = held(&mut self.slots[index]);
        slot.inward.advance(len);
        if slot.inward.is_empty() {
            // Empty chunks that came behind it are taken as well.  CRD-4
            slot.took_bytes(0);
            self.wake_runner();
        }
    }

    /// How long nothing of an exchange's bodies may move.
    pub(super) fn set_idle(&mut self, index: usize, idle: Option<Duration>) {
        let millis = |idle: Duration| u32::try_from(idle.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX);
        let idle = idle.map_or(u32::MAX, millis);
        held(&mut self.slots[index]).idle = Some(NonZeroU32::new(idle).unwrap_or(NonZeroU32::MIN));
        self.wake_runner();
    }

    /// The reading end is gone, and with it the exchange, unless that is over.
    pub(super) fn drop_reader(&mut self, index: usize) {
        let slot = held(&mut self.slots[index]);
        slot.reading = false;
        slot.given_up.get_or_insert(Status::CANCELLED);
        slot.write_end.get_or_insert(BodyError::Cancelled);
        self.tidy(index);
    }

    /// The writing end is gone: a body that was not finished is given up.
    pub(super) fn drop_writer(&mut self, index: usize) {
        let slot = held(&mut self.slots[index]);
        slot.writing = false;
        if slot.write_end.is_none() {
            slot.reset.get_or_insert(Status::CANCELLED);
        }
        self.tidy(index);
    }

    /// Frees a slot that nobody holds; what is open is given up beside it.
    fn tidy(&mut self, index: usize) {
        let place = &mut self.slots[index];
        let Some(slot) = place else { return };
        if !slot.reading && !slot.writing {
            let left = self.left.iter_mut().find(|left| left.is_none());
            match (slot.id(), left) {
                (None, _) => *place = None,
                (Some(id), Some(left)) => {
                    *left = Some((id, slot.given_up.or(Some(Status::CANCELLED))));
                    *place = None;
                }
                // So many are under way that this one has to wait in its slot.
                (Some(_), None) => {}
            }
            self.owed.wake();
        }
        self.wake_runner();
    }

    // What the runner does

    pub(super) fn set_runner(&mut self, waker: &Waker) {
        watchers::keep(&mut self.runner, waker);
    }

    pub(super) fn on_connected(&mut self, peer: PeerId) {
        self.peer = Some(peer);
        self.watchers.wake();
    }

    /// The connection has ended, and with it all that was open or asked.
    pub(super) fn on_closed(&mut self) {
        self.peer = None;
        self.close = None;
        self.session = self.session.wrapping_add(1);
        for place in &mut self.slots {
            let Some(slot) = place else { continue };
            match slot.state {
                State::Over => {}
                State::Asked(_) => slot.end(Answer::Failed(Failure::NotExecuted), BodyError::Disconnected),
                State::Open(..) => slot.end(Answer::Failed(Failure::Disconnected), BodyError::Disconnected),
            }
            if slot.is_done() {
                *place = None;
            }
        }
        self.left = Default::default();
        self.owed.clear();
        self.watchers.wake();
    }

    /// Takes an event that is for a handle; `false` where it is not.
    pub(super) fn take(&mut self, event: &Event<'_>) -> bool {
        if let Event::Stop { id, cause: StopCause::Deadline | StopCause::Stalled } = *event {
            self.owed.settle(id);
        }
        let Some(id) = exchange_of_ours(event) else { return false };
        if let Some(left) = self.left.iter_mut().find(|left| left.is_some_and(|(left, _)| left == id)) {
            left.take_if(|_| is_last(event));
            return true;
        }
        for place in &mut self.slots {
            let Some(slot) = place.as_mut().filter(|slot| slot.id() == Some(id)) else { continue };
            slot.take(self.memory, event);
            if slot.is_done() {
                *place = None;
                self.owed.wake();
            }
            return true;
        }
        false
    }

    /// Hands over what handles have asked, as far as the connection takes it.
    pub(super) fn settle(&mut self, connection: &mut Connection, now: Instant) {
        if let Some(status) = self.close.take() {
            connection.close(now, status);
        }
        for (id, untold) in self.left.iter_mut().flatten() {
            if let Some(status) = untold.take() {
                // Refused where it has just ended: its event tells.
                let _ended = connection.cancel_with(*id, status);
            }
        }
        for slot in self.slots.iter_mut().flatten() {
            match slot.state {
                State::Asked(ask) => hand_over(slot, self.memory, &mut self.owed, connection, ask, now),
                State::Open(id, _) => move_on(slot, self.memory, connection, id, now),
                State::Over => {}
            }
        }
        self.owed.pay(connection);
    }

    /// Whether this exchange is a handle's.
    pub(super) fn owns(&self, id: ExchangeId) -> bool {
        self.slots.iter().flatten().any(|slot| slot.id() == Some(id))
    }

    /// When a command is too late that waits for its turn, or a subscription that was not accepted.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.slots.iter().flatten().filter(|slot| slot.answer.is_none());
        waiting.fold(None, |first, slot| sooner(first, slot.deadline))
    }
}

/// The link's memory, taken out of the table: the application's code may run on it, and use the table meanwhile.  Dropped,
/// it is put back, also where that code has panicked.
pub(super) struct Lent<'d> {
    link: &'d Link,
    pub(super) memory: &'static mut [u8],
}

impl<'d> Lent<'d> {
    /// With where the bytes of a slot lie in it: those that go out, and those that came.
    pub(super) fn of(link: &'d Link, index: usize) -> (Self, Store, Store) {
        let mut table = link.table();
        let memory = mem::take(&mut table.memory);
        let slot = held(&mut table.slots[index]);
        (Self { link, memory }, slot.out, slot.inward)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.link.table().memory = mem::take(&mut self.memory);
    }
}

/// The slot that a handle holds, or takes.
// Two dozen fields: one function where flash is scarce.
#[cfg_attr(target_os = "none", inline(never))]
fn held(place: &mut Option<Slot>) -> &mut Slot {
    place.get_or_insert_default()
}

/// Gives a command to the connection, or keeps it where there is no room.
fn hand_over(
    slot: &mut Slot,
    memory: &[u8],
    owed: &mut Owed,
    connection: &mut Connection,
    ask: Ask,
    now: Instant,
) {
    let left = slot.deadline.map(|deadline| deadline.saturating_since(now));
    if left.is_some_and(|left| left.is_zero()) {
        return slot.end(Answer::Failed(Failure::DeadlinePassed), BodyError::DeadlinePassed);
    }
    let (name, body) = slot.out.bytes(memory).split_at(slot.name_len);
    let name = core::str::from_utf8(name).unwrap_or_default();
    let opened = match ask {
        Ask::Call => connection.request(now, name, body, left),
        Ask::Open { more, travels, bodies } => {
            let deadline = left.filter(|_| travels);
            (bodies.open)(connection, now, &RequestHead { method: name, body, more, deadline })
        }
        Ask::Subscribe { from } => {
            let window = u32::try_from(slot.window.min(slot.inward.room() / 2)).unwrap_or(u32::MAX);
            let options = SubscribeOptions { window, largest: 0, latest: false, from };
            connection.subscribe_with(name, &options)
        }
        Ask::Respond { to, status } => match connection.respond(to, status, body) {
            Ok(()) => {
                owed.settle(to);
                return slot.end(Answer::Sent, BodyError::Answered);
            }
            Err(error) => Err(error),
        },
    };
    match opened {
        Ok(id) => {
            // The connection keeps the time of a request, and of nothing else that is waited for.
            let (bodies, mine) = match ask {
                Ask::Open { more, travels, bodies } => (Some(bodies), !more && !travels),
                _ => (None, matches!(ask, Ask::Subscribe { .. })),
            };
            slot.state = State::Open(id, bodies);
            slot.deadline.take_if(|_| !mine);
            // Where the request lay there is room for the body now.
            slot.out = slot.out.up_to(&slot.inward);
            slot.wake();
        }
        Err(SendError::Full | SendError::TooMany) => {}
        Err(error) => slot.end(Answer::Refused(error), BodyError::Disconnected),
    }
}

/// Moves what a handle writes, reads and gives up.
fn move_on(slot: &mut Slot, memory: &[u8], connection: &mut Connection, id: ExchangeId, now: Instant) {
    if slot.answer.is_none() && slot.deadline.is_some_and(|deadline| deadline <= now) {
        // Its handle gives it up, and has it cancelled so.
        slot.answer = Some(Answer::Failed(Failure::DeadlinePassed));
        slot.wake();
    }
    // Each refused where the exchange, or its body, has just ended: its event tells.
    if slot.release > 0 {
        let _ended = connection.release(id, mem::take(&mut slot.release));
    }
    if let Some(status) = slot.given_up.take() {
        let _ended = connection.cancel_with(id, status);
        return;
    }
    if let State::Open(_, Some(bodies)) = slot.state {
        (bodies.move_on)(slot, memory, connection, id, now);
    }
}

/// The exchange of ours that an event is about.
fn exchange_of_ours(event: &Event<'_>) -> Option<ExchangeId> {
    match *event {
        Event::Aborted { id }
        | Event::Busy { id, .. }
        | Event::Continuation { id, .. }
        | Event::Data { id, .. }
        | Event::End { id, .. }
        | Event::Failed { id, .. }
        | Event::Missed { id, .. }
        | Event::Publication { id, .. }
        | Event::Response { id, .. }
        | Event::Stopped { id, .. }
        | Event::Subscribed { id }
        | Event::SubscriptionEnded { id, .. } => Some(id),
        _ => None,
    }
}

/// Whether nothing more comes of an exchange.
fn is_last(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Busy { .. }
            | Event::End { .. }
            | Event::Failed { .. }
            | Event::Response { more: false, .. }
            | Event::SubscriptionEnded { .. }
    )
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
