//! Publications that are half sent: begun, gone on with, finished or given up.  SPEC §14.5

use super::{PairKey, SubscriptionKey, Subscriptions};
use crate::topics::TopicId;
use crate::topics::bodies::{BodyKey, BodyPool};

/// A publication that is half sent. A subscription has one at most: no other of it may come between the parts.
pub(super) struct UnderWay {
    pair: PairKey,
    /// `None` where it was given up, which its subscriber is still to be told.
    body: Option<BodyKey>,
    sent: usize,
    /// The next part waits for credit.
    starved: bool,
    /// A newer value came while it did.
    outdated: bool,
}

/// What is left of a publication that is half sent.
pub(super) enum Rest {
    /// The body, and how much of it has left.
    Body(BodyKey, usize),
    /// It was given up, and its subscriber is to be told.
    GivenUp,
}

impl Subscriptions {
    /// What is left of what is half sent, if anything is.
    pub(super) fn rest(&self, key: SubscriptionKey) -> Option<Rest> {
        let under_way = self.all[key].under_way.as_ref()?;
        Some(under_way.body.map_or(Rest::GivenUp, |body| Rest::Body(body, under_way.sent)))
    }

    /// Notes that so much of the front of a pair has left, which the caller takes out of its queue.
    pub(super) fn begin(&mut self, key: SubscriptionKey, pair: PairKey, sent: usize, bodies: &mut BodyPool) {
        let Some(entry) = self.pairs[pair].queue.front() else {
            return;
        };
        bodies.hold(entry.body);
        let body = Some(entry.body);
        self.all[key].under_way = Some(UnderWay { pair, body, sent, starved: false, outdated: false });
        self.half_sent += 1;
    }

    /// Notes that so much more has left.
    pub(super) fn go_on(&mut self, key: SubscriptionKey, more: usize, bodies: &mut BodyPool) {
        let subscription = &mut self.all[key];
        let Some(UnderWay { body: Some(body), sent, starved, outdated, .. }) = &mut subscription.under_way
        else {
            return;
        };
        *sent = sent.saturating_add(more);
        (*starved, *outdated) = (false, false);
        if *sent >= bodies.bytes(*body).len() {
            bodies.release(*body);
            subscription.spared = false;
            self.end_under_way(key);
        }
    }

    /// Notes that the next part waits for credit, or does so no more.
    pub(super) fn starve(&mut self, key: SubscriptionKey, starved: bool) {
        if let Some(under_way) = &mut self.all[key].under_way {
            under_way.starved = starved;
        }
    }

    /// The last of it has left, or that it was given up.
    pub(super) fn end_under_way(&mut self, key: SubscriptionKey) {
        if self.all[key].under_way.take().is_some() {
            self.half_sent -= 1;
        }
    }

    /// Gives up what is half sent, if anything; its subscriber is told next.
    pub(super) fn give_up(&mut self, key: SubscriptionKey, bodies: &mut BodyPool) {
        let under_way = self.all[key].under_way.as_mut();
        if let Some(body) = under_way.and_then(|under_way| under_way.body.take()) {
            bodies.release(body);
        }
    }

    /// A newer value of this state is about to come. What is half sent of it is given up where it waited for credit
    /// already when the last newer one came: its subscriber does not read, and shall have the newest when it does.
    ///
    /// Where the round trip is longer than the time between two values it only looks so. The one behind a given up one
    /// is therefore spared, and such a subscriber gets at least every other one that is begun.
    pub(in crate::topics) fn outdate(&mut self, topic: TopicId, bodies: &mut BodyPool) {
        if self.half_sent == 0 {
            return;
        }
        for place in 0.. {
            let Some(pair) = self.pair_of(topic, place) else { break };
            let key = self.pairs[pair].subscription;
            let subscription = &mut self.all[key];
            let Some(under_way) = &mut subscription.under_way else { continue };
            if under_way.pair != pair || !under_way.starved || under_way.body.is_none() {
                continue;
            }
            if !under_way.outdated {
                under_way.outdated = true;
            } else if !subscription.spared {
                subscription.spared = true;
                self.give_up(key, bodies);
            }
        }
    }

    /// Gives up what is half sent of this topic and nobody else keeps, until there is room for a body of `len` bytes.
    pub(in crate::topics) fn give_up_unkept(
        &mut self,
        topic: TopicId,
        len: usize,
        bodies: &mut BodyPool,
    ) -> bool {
        if self.half_sent == 0 {
            return false;
        }
        for place in 0.. {
            let Some(pair) = self.pair_of(topic, place) else { break };
            let key = self.pairs[pair].subscription;
            let body = self.all[key].under_way.as_ref().filter(|under_way| under_way.pair == pair);
            if body.and_then(|under_way| under_way.body).is_none_or(|body| bodies.is_kept(body)) {
                continue;
            }
            self.give_up(key, bodies);
            self.wait(key);
            if bodies.make_room(len) {
                return true;
            }
        }
        false
    }
}
