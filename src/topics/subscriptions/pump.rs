//! Handing what waits to a link, fairly.

use super::super::{Offer, Topic, Verdict};
use super::{LinkId, PairKey, SubscriptionKey, Subscriptions};
use crate::Point;
use crate::exchange::ExchangeId;
use crate::publication::{Missed, Outgoing};
use crate::topics::bodies::Bodies;

impl Subscriptions {
    /// Offers what waits for a link, one of each subscription in turn.
    pub(in super::super) fn pump(
        &mut self,
        link: LinkId,
        epoch: u32,
        topics: &[Topic],
        bodies: &mut Bodies,
        mut send: impl FnMut(Offer<'_>) -> Verdict,
    ) {
        let Some(&link) = self.by_link.get(&link) else {
            return;
        };
        while let Some(key) = self.links[link].line.first {
            let pair = self.next_ready(key);
            let verdict = send(self.offer(key, pair, epoch, topics, bodies));
            match (verdict, pair) {
                (Verdict::Sent, Some(pair)) => {
                    self.pass(pair, bodies);
                    self.all[key].missed = Missed::default();
                }
                (Verdict::Sent, None) => self.all[key].missed = Missed::default(),
                (Verdict::TooLarge, Some(pair)) => {
                    self.pass(pair, bodies);
                    self.all[key].missed.add(1);
                }
                // Telling what was missed is never too large; if it is said to be, it is kept for later.
                (Verdict::NoCredit, _) | (Verdict::TooLarge, None) => {
                    // Out of the line, so that those who wait for credit cost nothing until it comes.
                    self.leave_line(key);
                    continue;
                }
                (Verdict::Full, _) => break,
                (Verdict::Gone, _) => {
                    self.forget(key, bodies);
                    continue;
                }
            }
            self.leave_line(key);
            if self.has_something(key) {
                self.line_up(key);
            }
        }
        self.drop_idle_link(link);
    }

    /// Puts a subscription that has got credit back in the line, if it has anything to send or to tell.
    pub(in super::super) fn credited(&mut self, link: LinkId, id: ExchangeId) {
        let Some(&link) = self.by_link.get(&link) else {
            return;
        };
        let Some(&key) = self.links[link].subscriptions.get(&id) else {
            return;
        };
        if self.has_something(key) {
            self.line_up(key);
        }
    }

    fn has_something(&mut self, key: SubscriptionKey) -> bool {
        self.next_ready(key).is_some() || self.all[key].missed.is_any()
    }

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

    fn offer<'a>(
        &'a self,
        key: SubscriptionKey,
        pair: Option<PairKey>,
        epoch: u32,
        topics: &'a [Topic],
        bodies: &'a Bodies,
    ) -> Offer<'a> {
        let subscription = &self.all[key];
        let missed = subscription.missed;
        let next = pair.and_then(|pair| {
            let pair = &self.pairs[pair];
            Some((pair.topic, pair.queue.front()?))
        });
        match next {
            Some((topic, entry)) => Offer::Publication {
                subscription: subscription.id,
                publication: Outgoing {
                    topic: &topics[topic.index()].name,
                    point: Point { epoch, sequence: entry.sequence },
                    missed,
                    retained: entry.retained,
                    body: bodies.bytes(entry.body),
                },
            },
            None => Offer::Missed { subscription: subscription.id, missed },
        }
    }

    /// Takes the front of a pair at the front of its subscription's line; the pair goes to the back.
    fn pass(&mut self, key: PairKey, bodies: &mut Bodies) {
        let pair = &mut self.pairs[key];
        if let Some(entry) = pair.queue.pop_front() {
            bodies.release(entry.body);
        }
        pair.ready = !pair.queue.is_empty();
        let ready = &mut self.all[pair.subscription].ready;
        ready.pop_front();
        if pair.ready {
            ready.push_back(key);
        }
    }
}
