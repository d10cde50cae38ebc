//! One connection and what its application waits for: all that the host adapters (tokio and blocking) do without waiting.
//!
//! Nothing here knows a socket or a runtime.  Events become entries in tables that exchanges bound, and wake
//! whoever waits for them.

mod asks;
mod debts;
mod ending;
mod inbox;
mod own;
mod streams;
mod waiters;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::vec::Vec;

use bytes::Bytes;

use super::description::Words;
use super::error::{CallError, Refusal};
use crate::adapter::error::SubscribeError;
use crate::adapter::offers;
use crate::{
    CloseReason, Connection, Description, Event, ExchangeId, Failure, Instant, LinkId, PeerId, Point, Router,
    Status, StopCause, Topics,
};
pub(crate) use asks::Opening;
use debts::{Debts, Owed, pay};
use ending::Retiring;
use inbox::Inbox;
use own::Own;
use streams::Streams;
use waiters::Waiters;

/// What a device brings to all of its links.
pub(crate) struct Shared<H> {
    pub(crate) router: Router<H>,
    pub(crate) topics: Mutex<Topics>,
    pub(crate) admit: Admit,
    pub(crate) allow_subscribe: AllowSubscribe,
    /// What answers [`Description::METHOD`], where the device tells what it offers, and what it says for people.  SPEC §22
    pub(crate) describer: Option<H>,
    pub(crate) words: Words,
}

impl<H> Shared<H> {
    /// The handler of a method, or why this peer has none.
    fn route(&self, peer: PeerId, method: &str) -> Result<&H, Status> {
        match self.router.route(peer, method) {
            // Its name is reserved, so that no router has it.  SPEC §13
            Err(Status::NOT_FOUND) if method == Description::METHOD => {
                self.describer.as_ref().ok_or(Status::NOT_FOUND)
            }
            routed => routed,
        }
    }

    pub(crate) fn may_subscribe(&self, peer: PeerId, filter: &str) -> bool {
        decide(|| (self.allow_subscribe)(peer, filter))
    }
}

/// Whether a peer that has proven itself is let in.
pub(crate) type Admit = std::boxed::Box<dyn Fn(PeerId) -> bool + Send + Sync>;
/// Whether a peer may subscribe to a filter.
pub(crate) type AllowSubscribe = std::boxed::Box<dyn Fn(PeerId, &str) -> bool + Send + Sync>;

/// Takes a lock; a panic elsewhere does not spoil what it guards, since no code of applications runs inside, but for
/// the decisions about peers, `admit` and `allow_subscribe`, whose panics are caught (see `decide`).
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handler of an adapter.
pub(crate) trait Serve: Clone {
    /// Whether it takes a request whose body goes on, and may answer with one.
    fn takes_chunks(&self) -> bool;
}

/// How a call ended: with the bytes of its reply, or of the head of one that goes on.
pub(crate) type Answer = Result<Bytes, CallError>;
/// What a handler gives: the reply's bytes, or why not.
pub(crate) type Reply = Result<Bytes, Refusal>;

/// A call that waits.
#[derive(Debug)]
enum Call {
    Waiting(Option<Waker>),
    Answered(Answer),
}

/// A request for a handler.
pub(crate) struct Incoming<H> {
    pub(crate) id: ExchangeId,
    pub(crate) handler: H,
    pub(crate) body: Bytes,
    pub(crate) deadline: Option<Instant>,
}

/// A connection and all who wait for it.
pub(crate) struct Link<H> {
    pub(crate) connection: Connection,
    pub(crate) id: LinkId,
    calls: Own<Call>,
    inboxes: Own<Inbox>,
    streams: Streams,
    /// A publication that a newer one took the place of, and what it cost: to be released.
    superseded: Option<(ExchangeId, u64)>,
    owed: Debts,
    /// The peer's subscriptions that stand.
    served: Vec<ExchangeId>,
    /// Requests for handlers, and requests whose handlers should stop.
    pub(crate) requests: VecDeque<Incoming<H>>,
    pub(crate) stops: VecDeque<(ExchangeId, StopCause)>,
    /// Something found no room: what is owed, or a publication with credit.
    crowded: bool,
    /// Who waits for room in the queue, or for a free slot.
    requesting: Waiters,
    subscribing: Waiters,
    replying: Waiters,
    /// Who waits for a change of the link itself: proven, connected, closed.
    watchers: Waiters,
    /// To be woken once the lock is given back.
    pub(crate) woken: Vec<Waker>,
    pub(crate) connected: bool,
    retiring: Option<Retiring>,
    pub(crate) closed: Option<CloseReason>,
    /// Its last bytes have been written, or given up.
    finished: bool,
}

impl<H: Serve> Link<H> {
    pub(crate) fn new(connection: Connection, id: LinkId) -> Self {
        Self {
            connection,
            id,
            calls: Own::default(),
            inboxes: Own::default(),
            streams: Streams::default(),
            superseded: None,
            owed: Debts::default(),
            served: Vec::new(),
            requests: VecDeque::new(),
            stops: VecDeque::new(),
            crowded: false,
            requesting: Waiters::default(),
            subscribing: Waiters::default(),
            replying: Waiters::default(),
            watchers: Waiters::default(),
            woken: Vec::new(),
            connected: false,
            retiring: None,
            closed: None,
            finished: false,
        }
    }

    // What the connection reports

    /// Takes all events, settles what is owed as far as there is room, and closes what was to be closed when it
    /// is idle.
    pub(crate) fn absorb(&mut self, shared: &Shared<H>, now: Instant) {
        self.take_events(shared, now);
        self.settle(shared);
        self.close_if_retired(now);
    }

    /// Takes all events.
    pub(crate) fn take_events(&mut self, shared: &Shared<H>, now: Instant) {
        while self.absorb_one(shared, now) {}
    }

    fn absorb_one(&mut self, shared: &Shared<H>, now: Instant) -> bool {
        if let Some((id, cost)) = self.superseded.take() {
            self.release(id, cost);
        }
        let peer = self.connection.peer();
        let (inboxes, woken) = (&mut self.inboxes, &mut self.woken);
        let event = self.connection.poll_event();
        let Some(event) = &event else { return false };
        match *event {
            Event::Aborted { id } => change(inboxes, woken, id, Inbox::abort),
            Event::Admission { peer } => self.let_in_or_not(shared, peer, now),
            Event::Busy { id, retry } => self.on_answer(id, Err(CallError::Busy(retry)), false),
            Event::Closed { reason } => self.close(shared, reason),
            Event::Connected { .. } => {
                self.connected = true;
                self.watchers.wake_all(&mut self.woken);
            }
            Event::Continuation { id, chunk, cost, more } => {
                change(inboxes, woken, id, |inbox| {
                    self.superseded = inbox.go_on(chunk, cost, more).map(|cost| (id, cost));
                });
            }
            Event::Data { id, chunk, cost } => self.streams.on_data(id, chunk, cost, &mut self.woken),
            Event::End { id, status } => self.streams.on_end(id, status, &mut self.woken),
            Event::Failed { id, failure } => self.fail(id, failure),
            Event::GoingAway => self.wake_lines(),
            Event::Missed { id, missed } => change(inboxes, woken, id, |inbox| inbox.miss(missed)),
            Event::Publication { id, ref publication } => {
                change(inboxes, woken, id, |inbox| {
                    self.superseded = inbox.take(publication).map(|cost| (id, cost));
                });
                self.take_following(id);
            }
            Event::Request { id, method, body, deadline, more } => {
                let incoming = route(shared, peer, id, method, body, deadline, more);
                self.serve(id, incoming, more);
            }
            Event::Response { id, status, body, more } => {
                let body = Bytes::copy_from_slice(body);
                let answer = if status.is_ok() { Ok(body) } else { Err(CallError::Status(status, body)) };
                self.on_answer(id, answer, more);
            }
            Event::Stop { id, cause } => self.stop(id, cause),
            Event::Stopped { id, status } => self.streams.on_stopped(id, status, &mut self.woken),
            Event::Subscribe { id, filter, from } => {
                let subscribed = subscribe(shared, peer, (self.id, id), filter, from);
                self.on_subscribe(id, subscribed);
            }
            Event::Subscribed { id } => change(inboxes, woken, id, |inbox| inbox.accepted = true),
            Event::SubscriptionEnded { id, status } => self.end_inbox(id, SubscribeError::Status(status)),
            Event::Unsubscribe { id } => {
                self.served.retain(|served| *served != id);
                self.end_served(shared, id, Status::CANCELLED);
            }
        }
        true
    }

    /// Takes the publications that follow one, without an event for each.
    fn take_following(&mut self, id: ExchangeId) {
        let Some(inbox) = self.inboxes.get_mut(id) else { return };
        while self.superseded.is_none()
            && let Some(following) = self.connection.poll_following()
        {
            self.superseded = inbox.take_following(&following).map(|cost| (id, cost));
        }
    }

    fn let_in_or_not(&mut self, shared: &Shared<H>, peer: PeerId, now: Instant) {
        let decided = if decide(|| (shared.admit)(peer)) {
            self.connection.admit(now)
        } else {
            self.connection.refuse(now)
        };
        debug_assert!(decided.is_ok(), "the event asks for a decision");
    }

    /// Leaves a request to its handler, or answers it.
    fn serve(&mut self, id: ExchangeId, incoming: Result<Incoming<H>, Status>, more: bool) {
        match incoming {
            Ok(incoming) => {
                if incoming.handler.takes_chunks() {
                    self.streams.serve(id, more);
                }
                self.requests.push_back(incoming);
            }
            Err(status) => self.owed.push(Owed::Response(id, status, Bytes::new())),
        }
    }

    fn on_subscribe(&mut self, id: ExchangeId, subscribed: Result<(), Status>) {
        self.owed.push(match subscribed {
            Ok(()) => {
                self.served.push(id);
                Owed::Accept(id)
            }
            Err(status) => Owed::Response(id, status, Bytes::new()),
        });
    }

    /// The answer, or its head where its body goes on.
    fn on_answer(&mut self, id: ExchangeId, answer: Answer, more: bool) {
        self.answer(id, answer);
        if !more {
            self.streams.on_end(id, Status::OK, &mut self.woken);
        }
    }

    fn answer(&mut self, id: ExchangeId, answer: Answer) {
        if let Some(call) = self.calls.get_mut(id)
            && let Call::Waiting(waker) = call
        {
            self.woken.extend(waker.take());
            // It stands, also where the body that follows it fails.
            *call = Call::Answered(answer);
        }
    }

    fn fail(&mut self, id: ExchangeId, failure: Failure) {
        if self.inboxes.contains(id) {
            self.end_inbox(id, SubscribeError::Disconnected);
        } else {
            self.answer(id, Err(CallError::failed(failure)));
            self.streams.fail(id, failure.into(), &mut self.woken);
        }
        // One that had not left yet gives its slot back with this.
        self.wake_lines();
    }

    fn stop(&mut self, id: ExchangeId, cause: StopCause) {
        self.streams.on_stop(id, cause, &mut self.woken);
        match cause {
            // Nobody reads what it has answered, so the end waits for no credit.  EXC-13, EXC-18
            StopCause::Cancel(_) => self.reset_body(id, Status::CANCELLED),
            StopCause::Deadline | StopCause::Stalled => self.owed.void(id),
        }
        // One of those who wait to answer may be its handler.
        self.replying.wake_all(&mut self.woken);
        self.stops.push_back((id, cause));
    }

    pub(super) fn end_inbox(&mut self, id: ExchangeId, ended: SubscribeError) {
        change(&mut self.inboxes, &mut self.woken, id, |inbox| inbox.end(ended));
    }

    fn wake_lines(&mut self) {
        self.requesting.wake_next(&mut self.woken);
        self.subscribing.wake_next(&mut self.woken);
        self.replying.wake_next(&mut self.woken);
    }

    /// Notes that something has come or gone, so that there may be room in the queue, or a free slot.  The
    /// answer to a call that was given up frees its slot too, and no event tells.
    pub(crate) fn on_moved(&mut self) {
        self.wake_lines();
        self.wake_writers();
        if !self.connected && self.connection.is_open() {
            self.watchers.wake_all(&mut self.woken);
        }
    }

    /// Whether something is owed that found no room yet.
    #[cfg(feature = "tokio")] // the blocking writer settles in every turn
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// How many exchanges somebody here holds an end of, or waits for: none, where all is done.
    pub(crate) fn held(&self) -> usize {
        let streams = self.streams.ids().filter(|id| !self.calls.contains(**id));
        self.calls.len() + self.inboxes.len() + streams.count()
    }

    // What is owed to the peer

    /// Moves what is owed and what topics hold into the connection, as far as there is room and credit.
    pub(crate) fn settle(&mut self, shared: &Shared<H>) {
        self.crowded = !self.owed.pay(&mut self.connection);
        // Else topics hold nothing for it, and their lock is left to others.
        if !self.served.is_empty() {
            self.crowded |= offers::pump(&mut lock(&shared.topics), self.id, &mut self.connection);
        }
    }

    /// Answers a request of the peer's; never waits.  Gives back the reply's bytes, where they are needed no more: they are
    /// the application's to drop, once the lock is given back.
    pub(crate) fn respond(&mut self, id: ExchangeId, reply: Reply) -> Option<Bytes> {
        let reply = self.conclude(id, reply)?;
        self.owe(match reply {
            Ok(body) => Owed::Response(id, Status::OK, body),
            Err(Refusal::Busy(retry)) => Owed::Busy(id, retry),
            Err(Refusal::Status(status)) => Owed::Response(id, status, Bytes::new()),
        })
    }

    /// The same of those that were paid later, or will not be.
    pub(crate) fn take_spent(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.owed.spent)
    }

    fn owe(&mut self, mut owed: Owed) -> Option<Bytes> {
        if self.owed.is_empty() && pay(&mut self.connection, &mut owed) {
            return owed.take_body();
        }
        self.owed.push(owed);
        self.crowded |= !self.owed.pay(&mut self.connection);
        None
    }
}

/// Drops what is the application's; what it does at that, a panic too, is its own affair.
pub(crate) fn let_go(spent: impl Sized) {
    let _panicked = catch_unwind(AssertUnwindSafe(|| drop(spent)));
}

/// Has something done to what waits for a subscriber, and wakes it.
fn change(inboxes: &mut Own<Inbox>, woken: &mut Vec<Waker>, id: ExchangeId, change: impl FnOnce(&mut Inbox)) {
    if let Some(inbox) = inboxes.get_mut(id) {
        change(inbox);
        woken.extend(inbox.waker.take());
    }
}

/// The request for its handler; or why it has none that takes it.
fn route<H: Serve>(
    shared: &Shared<H>,
    peer: Option<PeerId>,
    id: ExchangeId,
    method: &str,
    body: &[u8],
    deadline: Option<Instant>,
    more: bool,
) -> Result<Incoming<H>, Status> {
    let handler = peer.map_or(Err(Status::DENIED), |peer| shared.route(peer, method))?;
    if more && !handler.takes_chunks() {
        return Err(Status::UNSUPPORTED);
    }
    Ok(Incoming { id, handler: handler.clone(), body: Bytes::copy_from_slice(body), deadline })
}

/// Subscribes a peer, if it may.
fn subscribe<H>(
    shared: &Shared<H>,
    peer: Option<PeerId>,
    (link, id): (LinkId, ExchangeId),
    filter: &str,
    from: Option<Point>,
) -> Result<(), Status> {
    if !peer.is_some_and(|peer| shared.may_subscribe(peer, filter)) {
        return Err(Status::DENIED);
    }
    lock(&shared.topics).subscribe(link, id, filter, from)
}

/// What an application's closure decides; one that panics lets nobody in.
fn decide(closure: impl FnOnce() -> bool) -> bool {
    catch_unwind(AssertUnwindSafe(closure)).unwrap_or(false)
}

impl<H> std::fmt::Debug for Link<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("id", &self.id)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
