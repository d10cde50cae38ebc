//! One connection and what its application does with it: the events that come, and what follows from them.

mod asking;
mod publishing;
mod serving;
mod subscribing;
mod workload;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use symbolon::serial::Session;
use symbolon::{CloseReason, Connection, ExchangeId, Instant, Limits, LinkId, PeerId, Status};

use crate::common::Happened;
use crate::counts::Kind;
use crate::device::Device;
use crate::invariants::Terms;
use crate::ledger::{FeedKey, Ledger, Outcome};
use crate::random::Rng;

use asking::Asking;
use publishing::Served as Feeding;
use serving::Serving;
use subscribing::Inbox;

/// What the world lends to an application while it acts.
pub struct Context<'a> {
    pub device: &'a mut Device,
    pub ledger: &'a mut Ledger,
    pub rng: &'a mut Rng,
    pub now: u64,
    /// The workload is over: whatever is open is brought to its end.
    pub calm: bool,
}

impl Context<'_> {
    pub fn local(&self) -> Instant {
        self.device.clock.show(self.now)
    }
}

/// How an application is.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Microseconds from one action to the next, on average.
    pub pace: u64,
    /// It takes what came only now and then.
    pub slow: bool,
    /// Percent of its actions that end the connection.
    pub fickle: usize,
}

pub struct Talk {
    pub connection: Connection,
    pub link: LinkId,
    pub habits: Habits,
    asking: BTreeMap<ExchangeId, Asking>,
    serving: BTreeMap<ExchangeId, Serving>,
    /// Requests of the peer's of which nothing is left to do.
    served: BTreeSet<ExchangeId>,
    inboxes: BTreeMap<ExchangeId, Inbox>,
    feeding: BTreeMap<ExchangeId, Feeding>,
    /// What found no room yet, in the order of each lane.
    calls: VecDeque<serving::Owed>,
    publications: VecDeque<publishing::Owed>,
    /// What came and was not taken yet.
    held: VecDeque<(ExchangeId, u32)>,
    connected: bool,
    /// The world has not been told so yet.
    news: bool,
    pub closed: bool,
    /// The peer takes no more, or this side leaves: nothing more is opened.
    pub going: bool,
    /// This side leaves then at the latest, with this status.
    leaving: Option<(u64, Status)>,
    decide_at: Option<u64>,
    pub paused_until: u64,
    next_action: u64,
    /// The latest instant that the connection was told.
    pub latest: Instant,
}

impl Session for Talk {
    fn with<R>(&mut self, run: impl FnOnce(&mut Connection) -> R) -> R {
        run(&mut self.connection)
    }
}

impl Talk {
    pub fn new(connection: Connection, link: LinkId, habits: Habits, now: u64) -> Self {
        Self {
            connection,
            link,
            habits,
            asking: BTreeMap::new(),
            serving: BTreeMap::new(),
            served: BTreeSet::new(),
            inboxes: BTreeMap::new(),
            feeding: BTreeMap::new(),
            calls: VecDeque::new(),
            publications: VecDeque::new(),
            held: VecDeque::new(),
            connected: false,
            news: false,
            closed: false,
            going: false,
            leaving: None,
            decide_at: None,
            paused_until: 0,
            next_action: now + habits.pace / 2,
            latest: Instant::default(),
        }
    }

    /// Whom it is connected with.
    pub fn peer(&self) -> Option<PeerId> {
        self.connection.peer().filter(|_| self.connected && !self.closed)
    }

    /// Whether it has become connected; says so once.
    pub fn take_connected(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    fn key(&self, id: ExchangeId) -> FeedKey {
        (self.connection.channel_binding().expect("a session"), id)
    }

    /// Everything that the application does at this moment; whether it did anything.
    pub fn live(&mut self, context: &mut Context<'_>, terms: Terms) -> bool {
        self.latest = self.latest.max(context.local());
        let mut moved = self.drain(context, terms);
        if context.now >= self.paused_until {
            self.check_deadlines();
            self.check_limits(context.device.config.limits());
        }
        if context.now >= self.next_action && !context.calm && !self.closed {
            self.act(context, terms);
            moved = true;
        }
        moved |= self.work(context);
        let limits = *context.device.config.limits();
        context.ledger.check_memory(self.connection.buffered(), &limits);
        moved
    }

    /// No more exchanges are open than the limits of this side say, once all events were taken.  EXC-8, EXC-9
    fn check_limits(&self, limits: &Limits) {
        let served = self.serving.values().filter(|serving| !serving.is_over()).count();
        let counts = [
            (self.asking.len(), limits.requests_out),
            (served, limits.requests_in),
            (self.inboxes.len(), limits.subscriptions_out),
            (self.feeding.len(), limits.subscriptions_in),
        ];
        for (open, most) in counts {
            assert!(open <= usize::from(most), "{open} exchanges of a kind are open: {counts:?}");
        }
    }

    /// Takes all events, unless the application is away.
    fn drain(&mut self, context: &mut Context<'_>, terms: Terms) -> bool {
        let mut moved = false;
        while context.now >= self.paused_until
            && let Some(event) = self.connection.poll_event().map(Happened::from)
        {
            assert!(!self.closed, "an event behind the end: {event:?}");
            let number = context.device.number;
            context.ledger.tell(context.now, || format!("device {number}: {}", brief(&event)));
            self.hear(context, terms, event);
            moved = true;
        }
        moved
    }

    /// Whether bytes may rightly be left untaken.
    pub fn is_blocked(&self, now: u64) -> bool {
        now < self.paused_until || self.decide_at.is_some()
    }

    fn hear(&mut self, context: &mut Context<'_>, terms: Terms, event: Happened) {
        // Sentence 11: who is not admitted gets nothing, and nobody hears of him.  SPEC §6
        let allowed = matches!(event, Happened::Admission(_) | Happened::Closed(_) | Happened::Failed(..));
        assert!(!terms.stranger || allowed, "a stranger gets {event:?}");
        match event {
            Happened::Admission(_) => {
                let most = if context.ledger.peaceful { 900 } else { 12_000 };
                let wait = if context.rng.percent(70) { 0 } else { context.rng.between(0, most) * 1_000 };
                self.decide_at = Some(context.now + wait);
            }
            Happened::Connected(peer) => {
                assert!(!self.connected, "connected twice");
                let number = context.device.number;
                context.ledger.tell(context.now, || format!("device {number} is connected with {peer}"));
                context.ledger.count(Kind::Connected);
                (self.connected, self.news) = (true, true);
            }
            Happened::GoingAway => {
                context.ledger.count(Kind::GoingAway);
                self.going = true;
            }
            Happened::Closed(reason) => {
                self.closed = true;
                // One that ran, and not a candidate that was given up.
                if terms.line && self.connected && reason == CloseReason::Local(Status::REPLACED) {
                    context.ledger.count(Kind::ReplacedOnLine);
                }
                context.ledger.close(context.now, context.device.number, reason, terms);
                context.device.topics.drop_link(self.link);
                // Told last: whatever was open has ended before.  Sentences 2 and 9
                assert!(self.asking.is_empty(), "requests without an end: {:?}", self.asking);
                assert!(self.inboxes.is_empty(), "subscriptions without an end");
                self.calls.clear();
                self.publications.clear();
            }
            event => self.hear_exchange(context, event),
        }
    }

    fn hear_exchange(&mut self, context: &mut Context<'_>, event: Happened) {
        assert!(self.connected || matches!(event, Happened::Failed(..)), "not connected: {event:?}");
        match event {
            Happened::Request { id, method, body, .. } => {
                self.on_request(context, id, &method, &body, false);
            }
            Happened::RequestGoesOn { id, method, body, .. } => {
                self.on_request(context, id, &method, &body, true);
            }
            Happened::Data(id, chunk, cost) => {
                if !self.on_data_of_answer(context, id, &chunk) {
                    self.on_data_of_request(context, id, &chunk);
                }
                self.held.push_back((id, cost));
            }
            Happened::End(id, status) => {
                if !self.on_end_of_answer(context, id, status) {
                    self.on_end_of_request(context, id, status);
                }
            }
            Happened::Stop(id, cause) => self.on_stop(context, id, cause),
            Happened::Stopped(id, _) => self.on_stopped(context, id),
            Happened::Busy(id, _) => self.on_busy(context, id),
            Happened::Response { id, status, body } => self.on_response(context, id, status, &body),
            Happened::ResponseGoesOn { id, body } => self.on_response_more(context, id, &body),
            Happened::Failed(id, failure) if self.inboxes.contains_key(&id) => {
                self.on_inbox_failed(context, id, failure);
            }
            Happened::Failed(id, failure) => self.on_failed(context, id, failure),
            Happened::Subscribe { id, filter, from } => self.on_subscribe(context, id, &filter, from),
            Happened::Unsubscribe(id) => self.on_unsubscribe(context, id),
            event => self.hear_inbox(context, event),
        }
    }

    /// What is due by itself; whether anything was.
    fn work(&mut self, context: &mut Context<'_>) -> bool {
        if self.closed {
            return false;
        }
        let mut moved = false;
        if self.decide_at.is_some_and(|at| at <= context.now || context.calm) {
            self.decide_at = None;
            let friend = self.connection.peer().is_some_and(|peer| context.device.friends.contains(&peer));
            let local = context.local();
            // Refused where the handshake's time is over.
            let _ = if friend { self.connection.admit(local) } else { self.connection.refuse(local) };
            moved = true;
        }
        moved |= self.serve(context);
        moved |= self.write_bodies(context, context.calm);
        moved |= self.feed(context);
        if !self.habits.slow || context.calm {
            moved |= !self.held.is_empty();
            while self.take_one() {}
        }
        self.leave_if_idle(context);
        moved
    }

    /// Takes the oldest of what came, so that more may come.
    fn take_one(&mut self) -> bool {
        let Some((id, cost)) = self.held.pop_front() else { return false };
        // Refused where it has ended.
        let _ = self.connection.release(id, cost);
        true
    }

    /// Takes no more exchanges, ends subscriptions, and closes once it is idle.  SPEC §16.2
    pub fn leave(&mut self, context: &mut Context<'_>, status: Status) {
        if self.connection.goaway().is_err() || self.leaving.is_some() {
            return;
        }
        self.going = true;
        self.end_feeds(context);
        let ids: Vec<ExchangeId> = self.inboxes.keys().copied().collect();
        for id in ids {
            // Refused where the event that ends it waits.
            let _ = self.connection.cancel(id);
        }
        self.leaving = Some((context.now + 3_000_000, status));
    }

    fn leave_if_idle(&mut self, context: &mut Context<'_>) {
        if let Some((until, status)) = self.leaving
            && (context.now >= until || self.connection.is_idle())
        {
            self.leaving = None;
            self.connection.close(context.local(), status);
        }
    }

    /// When the application does something by itself.
    pub fn due(&self, now: u64, calm: bool) -> Option<u64> {
        let paused = (self.paused_until > now).then_some(self.paused_until);
        if self.closed {
            return paused;
        }
        let leaving = self.leaving.map(|(until, _)| until);
        let action = (!calm).then_some(self.next_action);
        [paused, leaving, action, self.decide_at, self.next_answer()].into_iter().flatten().min()
    }

    /// Its device has crashed.
    pub fn forget(&mut self, ledger: &mut Ledger) {
        for (_, asking) in std::mem::take(&mut self.asking) {
            ledger.end(asking.tag, Outcome::Forgotten);
        }
    }

    /// What must hold once the workload is over and all has come to rest.
    pub fn check_rest(&self, ledger: &mut Ledger) {
        assert!(self.asking.is_empty(), "never answered: {:?}", self.asking);
        assert!(self.held.is_empty() && self.calls.is_empty() && self.publications.is_empty());
        assert!(self.serving.values().all(Serving::is_over), "{:?}", self.serving);
        self.check_inboxes(ledger);
    }

    pub fn check_no_inbox(&self) {
        assert!(self.inboxes.is_empty(), "never ended: {:?}", self.inboxes);
    }
}

/// An event in a line.
fn brief(event: &Happened) -> String {
    let mut text = format!("{event:?}");
    if let Some((end, _)) = text.char_indices().nth(160) {
        text.truncate(end);
    }
    text
}
