//! One connection, and an application that keeps in mind what it was told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use symbolon::{CloseReason, Connection, Event, ExchangeId, Instant, Limits, SendError, Status};

/// The longest body that is taken in parts.
pub const LARGEST: u32 = 1_500;

/// One connection, and what a careful application keeps in mind about it.
pub struct Side {
    pub connection: Connection,
    most_buffered: usize,
    /// The application was asked whether to admit, and has not answered.
    pub asked: bool,
    /// It was told who the peer is.
    pub knows_peer: bool,
    pub connected: bool,
    /// It was told of the end.
    pub reason: Option<CloseReason>,
    /// Ours that have not ended.
    pub open: BTreeSet<ExchangeId>,
    /// Those of ours that may stand for ever.
    pub subscriptions: BTreeSet<ExchangeId>,
    /// How much is still to come of what goes on.
    coming: BTreeMap<ExchangeId, u64>,
    /// How long the body is that is half sent into a subscription of theirs, and how much of it has left.
    pub half_sent: BTreeMap<ExchangeId, (usize, usize)>,
    /// Theirs, ended or not: commands about exchanges that are gone are refused.
    pub theirs: Vec<ExchangeId>,
    /// Theirs of which something may still be due, and those that are to be ended.
    owed: BTreeSet<ExchangeId>,
    unsubscribed: BTreeSet<ExchangeId>,
    /// What was taken and not released.
    taken: BTreeMap<ExchangeId, u32>,
    pub outgoing: VecDeque<u8>,
}

impl Side {
    pub fn new(connection: Connection, limits: &Limits) -> Self {
        Self {
            connection,
            most_buffered: limits.memory().most(),
            asked: false,
            knows_peer: false,
            connected: false,
            reason: None,
            open: BTreeSet::new(),
            subscriptions: BTreeSet::new(),
            coming: BTreeMap::new(),
            half_sent: BTreeMap::new(),
            theirs: Vec::new(),
            owed: BTreeSet::new(),
            unsubscribed: BTreeSet::new(),
            taken: BTreeMap::new(),
            outgoing: VecDeque::new(),
        }
    }

    /// What holds at any time.
    pub fn check(&self) {
        let held = self.connection.buffered();
        assert!(held <= self.most_buffered, "{held} bytes are held, of at most {}", self.most_buffered);
        assert!(self.reason.is_none() || self.connection.is_closed(), "ended and yet open");
        assert!(self.theirs.len() < 1 << 16, "exchanges without end");
    }

    /// Hands bytes in until they are taken, or the connection waits for its application.
    pub fn take(&mut self, now: Instant, bytes: &[u8]) -> usize {
        let taken = self.connection.handle_input(now, bytes);
        assert!(taken <= bytes.len(), "more taken than there was");
        if taken < bytes.len() && !self.asked {
            assert!(self.event(), "bytes are left, and no event waits");
        }
        taken
    }

    /// Takes one event; whether there was one.
    pub fn event(&mut self) -> bool {
        let Some(event) = self.connection.poll_event() else { return false };
        assert!(self.reason.is_none(), "an event after the end: {event:?}");
        match event {
            Event::Admission { .. } => (self.asked, self.knows_peer) = (true, true),
            Event::Connected { .. } => {
                assert!(!self.connected, "connected twice");
                (self.connected, self.knows_peer) = (true, true);
            }
            Event::Closed { reason } => self.reason = Some(reason),
            Event::Request { id, .. } | Event::Subscribe { id, .. } => {
                self.theirs.push(id);
                self.owed.insert(id);
            }
            Event::Unsubscribe { id } => drop(self.unsubscribed.insert(id)),
            Event::Busy { id, .. }
            | Event::Failed { id, .. }
            | Event::Response { id, more: false, .. }
            | Event::SubscriptionEnded { id, .. } => self.ended(id),
            // Of theirs it is the end of a body; of ours, of all.
            Event::End { id, .. } if !self.theirs.contains(&id) => self.ended(id),
            Event::Data { id, cost, .. } => {
                assert!(
                    self.open.contains(&id) || self.theirs.contains(&id),
                    "data of {id}, which has ended"
                );
                *self.taken.entry(id).or_default() += cost;
            }
            Event::Response { id, .. }
            | Event::Stopped { id, .. }
            | Event::Missed { id, .. }
            | Event::Subscribed { id } => self.check_open(id),
            Event::Publication { id, publication } => {
                let (len, cost, total) = (publication.body.len(), publication.cost, publication.total);
                self.published(id, cost, len as u64, total);
                while let Some(next) = self.connection.poll_following() {
                    let (len, cost) = (next.body.len(), next.cost);
                    self.published(id, cost, len as u64, None);
                }
            }
            Event::Continuation { id, chunk, more, cost } => {
                let len = chunk.len() as u64;
                self.published_on(id, cost, len, more);
            }
            Event::Aborted { id } => {
                self.check_open(id);
                assert!(self.coming.remove(&id).is_some(), "nothing to give up");
            }
            _ => {}
        }
        true
    }

    fn check_open(&self, id: ExchangeId) {
        assert!(self.open.contains(&id), "news of {id}, which has ended");
    }

    fn ended(&mut self, id: ExchangeId) {
        assert!(self.open.remove(&id), "{id} ended twice");
        self.coming.remove(&id);
        self.subscriptions.remove(&id);
    }

    /// `total`: of one that goes on.
    fn published(&mut self, id: ExchangeId, cost: u32, len: u64, total: Option<u64>) {
        self.check_open(id);
        assert!(!self.coming.contains_key(&id), "one amid another");
        *self.taken.entry(id).or_default() += cost;
        if let Some(total) = total {
            let left = total.checked_sub(len).expect("no more than its total");
            assert!(total <= LARGEST.into(), "more than is taken");
            self.coming.insert(id, left);
        }
    }

    fn published_on(&mut self, id: ExchangeId, cost: u32, len: u64, more: bool) {
        self.check_open(id);
        *self.taken.entry(id).or_default() += cost;
        let left = self.coming.remove(&id).expect("it has begun");
        let left = left.checked_sub(len).expect("no more than its total");
        assert!(more || left == 0, "the last, and not all");
        if more {
            self.coming.insert(id, left);
        }
    }

    /// Moves what waits to be sent to `outgoing`, and says how much it was.
    pub fn collect(&mut self, now: Instant) -> usize {
        let mut len = 0;
        while let Some(bytes) = self.connection.poll_transmit(now) {
            assert!(!bytes.is_empty(), "nothing to send, and yet something");
            self.outgoing.extend(bytes);
            let written = bytes.len();
            self.connection.advance_transmit(written);
            len += written;
            assert!(len < 1 << 20, "sending without end");
        }
        len
    }

    /// Reads all events and does what is due: admits, answers, ends, gives credit.  Whether there was anything to do.
    pub fn serve(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while self.event() {
            moved = true;
        }
        if self.asked {
            self.asked = false;
            moved |= self.connection.admit(now).is_ok();
        }
        for (id, cost) in std::mem::take(&mut self.taken) {
            moved |= self.connection.release(id, cost).is_ok();
        }
        for id in std::mem::take(&mut self.unsubscribed) {
            match self.connection.end_subscription(id, Status::CANCELLED) {
                Err(SendError::Full) => drop(self.unsubscribed.insert(id)),
                result => moved |= result.is_ok(),
            }
        }
        for id in std::mem::take(&mut self.owed) {
            let accepted = self.connection.accept_subscription(id);
            let answered = self.connection.respond(id, Status::OK, b"");
            let ended = self.connection.finish(id);
            moved |= [accepted, answered, ended].iter().any(Result::is_ok);
            if [accepted, answered].contains(&Err(SendError::Full)) {
                self.owed.insert(id);
            }
        }
        for id in &self.open {
            moved |= self.connection.finish(*id).is_ok();
        }
        let half_sent: Vec<_> = self.half_sent.keys().copied().collect();
        for id in half_sent {
            moved |= self.publish_rest(id);
        }
        moved
    }

    /// Once the stream has ended and time has gone by, it has ended as well, and said so once.
    pub fn ends(&mut self, now: Instant, later: Instant) {
        self.connection.handle_eof(now);
        while self.event() {}
        self.connection.handle_timeout(later);
        self.has_ended(later);
    }

    /// Sentences 2 and 9: it has ended, with nothing left open, and nothing wakes it again.
    pub fn has_ended(&mut self, now: Instant) {
        while self.event() {}
        self.check();
        assert!(self.reason.is_some(), "no end was reported");
        assert!(self.open.is_empty(), "exchanges without an end: {:?}", self.open);
        let taken = self.connection.handle_input(now, b"more");
        assert_eq!(taken, 4, "what comes after the end is taken and ignored");
        assert!(!self.event(), "an event after the end");
        assert!(self.collect(now) < 1 << 20, "sending without end");
        assert_eq!(self.connection.poll_timeout(), None, "nothing is left to wait for");
    }

    /// Lets time pass until it has ended, by its own timers alone, since its peer is gone without a word.
    pub fn ends_alone(&mut self, mut now: Instant) {
        for _ in 0..100 {
            self.serve(now);
            self.collect(now);
            if self.reason.is_some() {
                break;
            }
            let named = self.connection.poll_timeout().expect("something to wait for");
            now = now.max(named);
            self.connection.handle_timeout(now);
        }
        self.has_ended(now);
    }
}
