//! Handing what waits to a link, fairly.
//!
//! Each publication goes through most of this, for each of its subscribers: where flash is not scarce, it may be put
//! where it is called from.

use super::super::{Behind, Offer, Topic, Verdict};
use super::under_way::Rest;
use super::{Entry, LinkId, PairKey, Subscription, SubscriptionKey, Subscriptions};
use crate::Point;
use crate::exchange::ExchangeId;
use crate::publication::{Missed, Outgoing};
use crate::topics::bodies::{BodyKey, BodyPool};

/// What is next for a subscription.
#[derive(Clone, Copy)]
enum Next {
    /// What was half sent was given up.
    Abort,
    Missed,
    /// The front of this pair, whose body is so long.
    Publication(PairKey, usize),
    /// The rest of this body: behind how much of it, and how long it is.
    Rest(BodyKey, usize, usize),
}

impl Subscriptions {
    /// Offers what waits for a link, one of each subscription in turn.
    pub(in super::super) fn pump(
        &mut self,
        link: LinkId,
        epoch: u32,
        topics: &[Topic],
        bodies: &mut BodyPool,
        mut send: impl FnMut(Offer<'_>) -> Verdict,
    ) {
        let Some(&link) = self.by_link.get(&link) else {
            return;
        };
        self.links[link].handed_over = false;
        while let Some(key) = self.links[link].queue.first {
            let next = self.next(key, bodies);
            match send(self.offer(key, next, epoch, topics, bodies)) {
                Verdict::Full => break,
                Verdict::Gone => {
                    self.forget(key, bodies);
                }
                verdict => {
                    // Out of the queue where it has no credit, so that those who wait for that cost nothing until it
                    // comes.
                    if self.has_taken(key, next, verdict, bodies) && self.has_something(key) {
                        self.requeue(key);
                    } else {
                        self.dequeue(key);
                    }
                }
            }
        }
        self.drop_idle_link(link);
    }

    /// Does what a verdict means; `false` where there was no credit.
    #[cfg_attr(not(target_os = "none"), inline)]
    fn has_taken(
        &mut self,
        key: SubscriptionKey,
        next: Next,
        verdict: Verdict,
        bodies: &mut BodyPool,
    ) -> bool {
        let taken = match verdict {
            Verdict::Sent | Verdict::Several(_) => usize::MAX,
            Verdict::Part(taken) => taken,
            Verdict::TooLarge => return self.drop_next(key, next, bodies),
            Verdict::NoCredit | Verdict::Full | Verdict::Gone => {
                self.starve(key, true);
                return false;
            }
        };
        match next {
            Next::Abort => self.end_under_way(key),
            Next::Missed => self.all[key].missed = Missed::default(),
            Next::Publication(_, len) | Next::Rest(_, _, len) if taken == 0 && len > 0 => {
                self.starve(key, true);
                return false;
            }
            Next::Publication(pair, len) => {
                if taken < len {
                    self.begin(key, pair, taken, bodies);
                }
                let behind = match verdict {
                    Verdict::Several(most) if self.is_alone(key) => most,
                    _ => 0,
                };
                self.pass(pair, behind, bodies);
                self.all[key].missed = Missed::default();
            }
            Next::Rest(..) => self.go_on(key, taken, bodies),
        }
        true
    }

    /// What can never be sent. Telling what was missed is never too large, nor is giving up; if they are said to be, they
    /// are kept for later.
    fn drop_next(&mut self, key: SubscriptionKey, next: Next, bodies: &mut BodyPool) -> bool {
        match next {
            Next::Abort | Next::Missed => return false,
            Next::Publication(pair, _) => {
                self.pass(pair, 0, bodies);
                self.all[key].missed.add(1);
            }
            Next::Rest(..) => self.give_up(key, bodies),
        }
        true
    }

    /// Puts a subscription that has got credit back in the queue, if it has anything to send or to tell.
    pub(in super::super) fn credited(&mut self, link: LinkId, id: ExchangeId) {
        let Some(&link) = self.by_link.get(&link) else {
            return;
        };
        let Some(&key) = self.links[link].subscriptions.get(&id) else {
            return;
        };
        self.starve(key, false);
        if self.has_something(key) {
            self.enqueue(key);
        }
    }

    fn has_something(&mut self, key: SubscriptionKey) -> bool {
        let subscription = &self.all[key];
        subscription.under_way.is_some() || subscription.missed.is_any() || self.next_ready(key).is_some()
    }

    /// What a subscription has to be sent, if it has anything.
    #[cfg_attr(not(target_os = "none"), inline)]
    fn next(&mut self, key: SubscriptionKey, bodies: &BodyPool) -> Next {
        match self.rest(key) {
            Some(Rest::Body(body, sent)) => return Next::Rest(body, sent, bodies.bytes(body).len() - sent),
            Some(Rest::GivenUp) => return Next::Abort,
            None => {}
        }
        match self.next_ready(key).and_then(|pair| Some((pair, self.pairs[pair].queue.front()?.body))) {
            Some((pair, body)) => Next::Publication(pair, bodies.bytes(body).len()),
            None => Next::Missed,
        }
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    fn next_ready(&mut self, key: SubscriptionKey) -> Option<PairKey> {
        let ready = &mut self.all[key].ready;
        while let Some(&pair) = ready.front() {
            if !self.pairs[pair].queue.is_empty() {
                return Some(pair);
            }
            self.pairs[pair].ready = false;
            ready.pop_front();
        }
        None
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    fn offer<'a>(
        &'a self,
        key: SubscriptionKey,
        next: Next,
        epoch: u32,
        topics: &'a [Topic],
        bodies: &'a BodyPool,
    ) -> Offer<'a> {
        let Subscription { id: subscription, missed, .. } = self.all[key];
        match next {
            Next::Abort => Offer::Abort { subscription },
            Next::Missed => Offer::Missed { subscription, missed },
            Next::Publication(next, _) => {
                let pair = &self.pairs[next];
                let Some(entry) = pair.queue.front() else {
                    return Offer::Missed { subscription, missed };
                };
                let publication = Outgoing {
                    topic: &topics[pair.topic.index()].name,
                    point: Point { epoch, sequence: entry.sequence },
                    missed,
                    retained: entry.sequence < pair.retained,
                    body: bodies.bytes(entry.body),
                };
                let behind = self.behind(key, next, bodies);
                Offer::Publication { subscription, publication, behind }
            }
            Next::Rest(body, sent, _) => {
                Offer::Rest { subscription, rest: bodies.bytes(body).get(sent..).unwrap_or_default() }
            }
        }
    }

    /// What may leave with the front of a pair, which is next for this subscription.
    #[cfg_attr(not(target_os = "none"), inline)]
    fn behind<'a>(&'a self, key: SubscriptionKey, pair: PairKey, bodies: &'a BodyPool) -> Behind<'a> {
        // A state has nothing behind it, and nothing else is `retained`.
        Behind::new(&self.pairs[pair].queue, if self.is_alone(key) { usize::MAX } else { 1 }, bodies)
    }

    /// Whether nothing else has its turn: where another subscription waits, or another topic of this one, each has it.
    #[cfg_attr(not(target_os = "none"), inline)]
    fn is_alone(&self, key: SubscriptionKey) -> bool {
        let subscription = &self.all[key];
        subscription.behind.is_none() && subscription.ready.len() == 1
    }

    /// Takes the front of a pair at the front of its subscription's line, and up to so many behind it whose numbers follow;
    /// the pair goes to the back.
    #[cfg_attr(not(target_os = "none"), inline)]
    fn pass(&mut self, key: PairKey, mut behind: usize, bodies: &mut BodyPool) {
        let pair = &mut self.pairs[key];
        while let Some(entry) = pair.queue.pop_front() {
            bodies.release(entry.body);
            let follows = |next: &Entry| next.sequence == entry.sequence + 1;
            if behind == 0 || !pair.queue.front().is_some_and(follows) {
                break;
            }
            behind -= 1;
        }
        pair.ready = !pair.queue.is_empty();
        let ready = &mut self.all[pair.subscription].ready;
        if pair.ready && ready.len() == 1 {
            return;
        }
        ready.pop_front();
        if pair.ready {
            ready.push_back(key);
        }
    }
}
