//! One connection and what its application waits for: all that an adapter does without waiting.
//!
//! Nothing here knows a socket or a runtime.  Events become entries in tables that exchanges bound, and wake
//! whoever waits for them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;
use std::vec::Vec;

use crate::connection::{Connection, Event, Failure, StopCause};
use crate::error::{CloseReason, SendError};
use crate::exchange::ExchangeId;
use crate::identity::PeerId;
use crate::publication::Missed;
use crate::router::Router;
use crate::status::Status;
use crate::time::Instant;
use crate::topics::{LinkId, Offer, Topics, Verdict};
use crate::wire::Point;

/// What a device brings to all of its links.
pub(crate) struct Shared<H> {
    pub(crate) router: Router<H>,
    pub(crate) topics: Mutex<Topics>,
    pub(crate) admit: Admit,
    pub(crate) allow_subscribe: AllowSubscribe,
}

/// Whether a peer that has proven itself is let in.
pub(crate) type Admit = std::boxed::Box<dyn Fn(PeerId) -> bool + Send + Sync>;
/// Whether a peer may subscribe to a filter.
pub(crate) type AllowSubscribe = std::boxed::Box<dyn Fn(PeerId, &str) -> bool + Send + Sync>;

/// Takes a lock; a panic elsewhere does not spoil what it guards, since no code of applications runs inside.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a call ended.
pub(crate) type Answer = Result<(Status, Vec<u8>), NoAnswer>;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoAnswer {
    Busy(Duration),
    Failed(Failure),
}

/// One publication, or a gap, on its way to the application.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Item {
    pub(crate) missed: Missed,
    pub(crate) publication: Option<Publication>,
}

/// A publication that owns its parts.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Publication {
    /// The topic's name.
    pub topic: std::string::String,
    /// Its place among the publications of that topic.
    pub point: Point,
    /// Whether it is the value that the topic had on subscribing.
    pub retained: bool,
    /// The application's bytes.
    pub body: Vec<u8>,
    pub(crate) cost: u32,
}

/// A call that waits.
#[derive(Debug)]
enum Call {
    Waiting(Option<Waker>),
    Answered(Answer),
}

/// The receiving end of a subscription; what it holds is bounded by the credit it gave.
#[derive(Debug, Default)]
struct Inbox {
    items: VecDeque<Item>,
    accepted: bool,
    ended: Option<Ended>,
    waker: Option<Waker>,
}

/// How a subscription ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    Failed(Failure),
    Status(Status),
}

/// A request for a handler.
pub(crate) struct Incoming<H> {
    pub(crate) id: ExchangeId,
    pub(crate) handler: H,
    pub(crate) body: Vec<u8>,
    pub(crate) deadline: Option<Instant>,
}

/// What is owed to the peer and found no room in the connection's queue yet; at most one for an exchange.
#[derive(Debug)]
enum Owed {
    Accept(ExchangeId),
    End(ExchangeId, Missed, Status),
    Response(ExchangeId, Status, Vec<u8>),
    Busy(ExchangeId, Duration),
}

/// A connection and all who wait for it.
pub(crate) struct Link<H> {
    pub(crate) connection: Connection,
    pub(crate) id: LinkId,
    calls: HashMap<ExchangeId, Call>,
    inboxes: HashMap<ExchangeId, Inbox>,
    owed: VecDeque<Owed>,
    /// The peer's subscriptions that stand.
    served: Vec<ExchangeId>,
    /// Requests for handlers, and requests whose handlers should stop.
    pub(crate) requests: VecDeque<Incoming<H>>,
    pub(crate) stops: VecDeque<(ExchangeId, StopCause)>,
    /// Who waits for room in the queue, or for a free slot.
    room: Vec<Waker>,
    /// Who waits for a change of the link itself: connected, idle, closed.
    watchers: Vec<Waker>,
    pub(crate) connected: bool,
    pub(crate) closed: Option<CloseReason>,
}

impl<H: Clone> Link<H> {
    pub(crate) fn new(connection: Connection, id: LinkId) -> Self {
        Self {
            connection,
            id,
            calls: HashMap::new(),
            inboxes: HashMap::new(),
            owed: VecDeque::new(),
            served: Vec::new(),
            requests: VecDeque::new(),
            stops: VecDeque::new(),
            room: Vec::new(),
            watchers: Vec::new(),
            connected: false,
            closed: None,
        }
    }

    // What the connection reports

    /// Takes all events, and settles what is owed as far as there is room.
    pub(crate) fn absorb(&mut self, shared: &Shared<H>, now: Instant) {
        while self.absorb_one(shared, now) {}
        self.settle(shared);
    }

    fn absorb_one(&mut self, shared: &Shared<H>, now: Instant) -> bool {
        let peer = self.connection.peer();
        let Some(event) = self.connection.poll_event() else { return false };
        match event {
            Event::Admission { peer } => {
                let decided = if (shared.admit)(peer) {
                    self.connection.admit(now)
                } else {
                    self.connection.refuse(now)
                };
                debug_assert!(decided.is_ok(), "the event asks for a decision");
            }
            Event::Busy { id, retry } => self.answer(id, Err(NoAnswer::Busy(retry))),
            Event::Closed { reason } => self.close(shared, reason),
            Event::Connected { .. } => {
                self.connected = true;
                wake_all(&mut self.watchers);
            }
            Event::Failed { id, failure } => self.fail(id, failure),
            Event::GoingAway => wake_all(&mut self.room),
            Event::Missed { id, missed } => self.deliver(id, Item { missed, publication: None }),
            Event::Publication { id, publication } => {
                let item = Item {
                    missed: publication.missed,
                    publication: Some(Publication {
                        topic: publication.topic.into(),
                        point: publication.point,
                        retained: publication.retained,
                        body: publication.body.into(),
                        cost: publication.cost,
                    }),
                };
                self.deliver(id, item);
            }
            Event::Request { id, method, body, deadline } => {
                let routed = peer.map_or(Err(Status::DENIED), |peer| shared.router.route(peer, method));
                match routed {
                    Ok(handler) => {
                        let handler = handler.clone();
                        self.requests.push_back(Incoming { id, handler, body: body.into(), deadline });
                    }
                    Err(status) => self.owed.push_back(Owed::Response(id, status, Vec::new())),
                }
            }
            Event::Response { id, status, body } => {
                let body = body.into();
                self.answer(id, Ok((status, body)));
            }
            Event::Stop { id, cause } => self.stops.push_back((id, cause)),
            Event::Subscribe { id, filter, from } => {
                let allowed = peer.is_some_and(|peer| (shared.allow_subscribe)(peer, filter));
                let subscribed = if allowed {
                    lock(&shared.topics).subscribe(self.id, id, filter, from)
                } else {
                    Err(Status::DENIED)
                };
                self.owed.push_back(match subscribed {
                    Ok(()) => {
                        self.served.push(id);
                        Owed::Accept(id)
                    }
                    Err(status) => Owed::Response(id, status, Vec::new()),
                });
            }
            Event::Subscribed { id } => {
                if let Some(inbox) = self.inboxes.get_mut(&id) {
                    inbox.accepted = true;
                    wake(&mut inbox.waker);
                }
            }
            Event::SubscriptionEnded { id, status } => self.end_inbox(id, Ended::Status(status)),
            Event::Unsubscribe { id } => {
                self.served.retain(|served| *served != id);
                self.end_served(shared, id, Status::CANCELLED);
            }
        }
        true
    }

    fn answer(&mut self, id: ExchangeId, answer: Answer) {
        if let Some(call) = self.calls.get_mut(&id) {
            if let Call::Waiting(waker) = call {
                wake(waker);
            }
            *call = Call::Answered(answer);
        }
        // A slot is free again.
        wake_all(&mut self.room);
        self.wake_if_idle();
    }

    fn fail(&mut self, id: ExchangeId, failure: Failure) {
        if self.inboxes.contains_key(&id) {
            self.end_inbox(id, Ended::Failed(failure));
        } else {
            self.answer(id, Err(NoAnswer::Failed(failure)));
        }
    }

    fn deliver(&mut self, id: ExchangeId, item: Item) {
        if let Some(inbox) = self.inboxes.get_mut(&id) {
            inbox.push(item);
            wake(&mut inbox.waker);
        }
    }

    fn end_inbox(&mut self, id: ExchangeId, ended: Ended) {
        if let Some(inbox) = self.inboxes.get_mut(&id) {
            inbox.ended = Some(ended);
            wake(&mut inbox.waker);
        }
        self.wake_if_idle();
    }

    fn close(&mut self, shared: &Shared<H>, reason: CloseReason) {
        lock(&shared.topics).drop_link(self.id);
        self.closed = Some(reason);
        self.owed.clear();
        self.requests.clear();
        wake_all(&mut self.room);
        wake_all(&mut self.watchers);
    }

    // What is owed to the peer

    fn end_served(&mut self, shared: &Shared<H>, id: ExchangeId, status: Status) {
        let left = lock(&shared.topics).unsubscribe(self.id, id);
        self.owed.push_back(Owed::End(id, left.unwrap_or_default(), status));
    }

    /// Takes no more exchanges, and ends the subscriptions of both sides; calls go on.
    pub(crate) fn retire(&mut self, shared: &Shared<H>) -> Result<(), SendError> {
        self.connection.goaway()?;
        for id in std::mem::take(&mut self.served) {
            self.end_served(shared, id, Status::SHUTTING_DOWN);
        }
        for (id, inbox) in &self.inboxes {
            if inbox.ended.is_none() {
                let _ended = self.connection.cancel(*id);
            }
        }
        self.settle(shared);
        Ok(())
    }

    /// Moves what is owed and what topics hold into the connection, as far as there is room and credit.
    pub(crate) fn settle(&mut self, shared: &Shared<H>) {
        while let Some(owed) = self.owed.pop_front() {
            if let Some(left) = self.pay(owed) {
                self.owed.push_front(left);
                break;
            }
        }
        let mut topics = lock(&shared.topics);
        if !topics.has_backlog(self.id) {
            return;
        }
        let connection = &mut self.connection;
        topics.pump(self.id, |offer| verdict(send_offer(connection, offer)));
    }

    /// Gives the debt back where there is no room for it yet.
    fn pay(&mut self, owed: Owed) -> Option<Owed> {
        let paid = match &owed {
            Owed::Accept(id) => self.connection.accept_subscription(*id),
            Owed::End(id, missed, status) => {
                if missed.is_any()
                    && let Err(SendError::Full) = self.connection.publish_missed(*id, *missed)
                {
                    return Some(owed);
                }
                let ended = self.connection.end_subscription(*id, *status);
                if ended == Err(SendError::Full) {
                    return Some(Owed::End(*id, Missed::NONE, *status));
                }
                ended
            }
            Owed::Response(id, status, body) => match self.connection.respond(*id, *status, body) {
                Err(SendError::TooLarge { .. }) => self.connection.respond(*id, Status::TOO_LARGE, &[]),
                other => other,
            },
            Owed::Busy(id, retry) => self.connection.respond_busy(*id, *retry),
        };
        match paid {
            Err(SendError::Full) => Some(owed),
            // Nobody waits any more, or the connection is closing: the debt is void.
            Ok(()) | Err(_) => None,
        }
    }

    /// Answers a request of the peer's; never waits.
    pub(crate) fn respond(&mut self, id: ExchangeId, status: Status, body: Vec<u8>) {
        if let Some(left) = self.pay(Owed::Response(id, status, body)) {
            self.owed.push_back(left);
        }
    }

    /// Answers that there is no capacity right now; never waits.
    pub(crate) fn respond_busy(&mut self, id: ExchangeId, retry: Duration) {
        if let Some(left) = self.pay(Owed::Busy(id, retry)) {
            self.owed.push_back(left);
        }
    }

    // What the application asks

    /// Opens a request whose answer [`Link::poll_answer`] gives.
    pub(crate) fn request(
        &mut self,
        now: Instant,
        method: &str,
        body: &[u8],
        deadline: Option<Duration>,
    ) -> Result<ExchangeId, SendError> {
        let id = self.connection.request(now, method, body, deadline)?;
        self.calls.insert(id, Call::Waiting(None));
        Ok(id)
    }

    /// The answer, once; until then `waker` is kept.
    pub(crate) fn poll_answer(&mut self, id: ExchangeId, waker: &Waker) -> Option<Answer> {
        match self.calls.get_mut(&id) {
            Some(Call::Waiting(slot)) => {
                keep(slot, waker);
                None
            }
            Some(Call::Answered(_)) => match self.calls.remove(&id) {
                Some(Call::Answered(answer)) => Some(answer),
                _ => None,
            },
            None => Some(Err(NoAnswer::Failed(Failure::Disconnected))),
        }
    }

    /// Forgets a call; one that is still open is cancelled on the wire.
    pub(crate) fn drop_call(&mut self, id: ExchangeId) {
        if let Some(Call::Waiting(_)) = self.calls.remove(&id) {
            // Refused where it has just ended: then there is nothing to cancel.
            let _ended = self.connection.cancel(id);
        }
    }

    /// Opens a subscription.
    pub(crate) fn subscribe(
        &mut self,
        filter: &str,
        window: u32,
        from: Option<Point>,
    ) -> Result<ExchangeId, SendError> {
        let id = self.connection.subscribe(filter, window, from)?;
        self.inboxes.insert(id, Inbox::default());
        Ok(id)
    }

    /// Whether the peer has accepted the subscription; until then `waker` is kept.
    pub(crate) fn poll_accepted(&mut self, id: ExchangeId, waker: &Waker) -> Option<Result<(), Ended>> {
        let Some(inbox) = self.inboxes.get_mut(&id) else {
            return Some(Err(Ended::Failed(Failure::Disconnected)));
        };
        match inbox.ended {
            _ if inbox.accepted => Some(Ok(())),
            Some(ended) => Some(Err(ended)),
            None => {
                keep(&mut inbox.waker, waker);
                None
            }
        }
    }

    /// The next item, which frees its credit; `Some(Err)` at the end; until then `waker` is kept.
    pub(crate) fn poll_item(&mut self, id: ExchangeId, waker: &Waker) -> Option<Result<Item, Ended>> {
        let Some(inbox) = self.inboxes.get_mut(&id) else {
            return Some(Err(Ended::Failed(Failure::Disconnected)));
        };
        if let Some(item) = inbox.items.pop_front() {
            let cost = item.publication.as_ref().map_or(0, |publication| publication.cost);
            // Refused where the subscription has ended, which needs no credit.
            let _released = self.connection.release(id, cost);
            return Some(Ok(item));
        }
        if let Some(ended) = inbox.ended {
            return Some(Err(ended));
        }
        keep(&mut inbox.waker, waker);
        None
    }

    /// Forgets a subscription; one that is still open is cancelled on the wire.
    pub(crate) fn drop_inbox(&mut self, id: ExchangeId) {
        if self.inboxes.remove(&id).is_some_and(|inbox| inbox.ended.is_none()) {
            let _ended = self.connection.cancel(id);
        }
    }

    /// Has `waker` woken when a command that was refused for lack of room may do.
    pub(crate) fn wait_for_room(&mut self, waker: &Waker) {
        watch(&mut self.room, waker);
    }

    /// Has `waker` woken when the link is connected, idle or closed.
    pub(crate) fn watch(&mut self, waker: &Waker) {
        watch(&mut self.watchers, waker);
    }

    /// Notes that bytes have left, so that there is room again.
    pub(crate) fn on_written(&mut self) {
        wake_all(&mut self.room);
        self.wake_if_idle();
    }

    fn wake_if_idle(&mut self) {
        if !self.watchers.is_empty() && self.connection.is_idle() {
            wake_all(&mut self.watchers);
        }
    }
}

impl Inbox {
    /// Appends an item; gaps without a publication are added up, so that they cannot pile up.
    fn push(&mut self, item: Item) {
        if item.publication.is_none()
            && let Some(last) = self.items.back_mut().filter(|last| last.publication.is_none())
        {
            last.missed.add(item.missed.count.into());
            last.missed.unknown |= item.missed.unknown;
            return;
        }
        self.items.push_back(item);
    }
}

fn send_offer(connection: &mut Connection, offer: Offer<'_>) -> Result<(), SendError> {
    match offer {
        Offer::Publication { subscription, publication } => connection.publish(subscription, &publication),
        Offer::Missed { subscription, missed } => connection.publish_missed(subscription, missed),
    }
}

fn verdict(sent: Result<(), SendError>) -> Verdict {
    match sent {
        Ok(()) => Verdict::Sent,
        // Not accepted yet: the acceptance is owed, and goes first.
        Err(SendError::NoCredit | SendError::UnknownExchange) => Verdict::NoCredit,
        Err(SendError::TooLarge { .. }) => Verdict::TooLarge,
        Err(_) => Verdict::Full,
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn wake_all(wakers: &mut Vec<Waker>) {
    for waker in wakers.drain(..) {
        waker.wake();
    }
}

fn keep(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(kept) => kept.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}

fn watch(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|kept| kept.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}

impl<H> std::fmt::Debug for Link<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("id", &self.id)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
