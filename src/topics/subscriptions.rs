//! Who subscribed to what, and what waits for whom.
//!
//! A *pair* joins a subscription and a topic that its filter matches; it holds the queue of what that subscription
//! still has to get of that topic. Pairs are made when either side comes, so that publishing matches no names.

mod pump;
mod ready_queue;
mod under_way;

use super::bodies::{BodyKey, BodyPool};
use super::filters::Filters;
use super::slab::{Key, Slab};
use super::sorted::Sorted;
use super::{LinkId, TopicId, TopicLimits};
use crate::Status;
use crate::exchange::ExchangeId;
use crate::publication::Missed;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use ready_queue::ReadyQueue;
use under_way::UnderWay;

pub(super) type SubscriptionKey = Key<Subscription>;
type PairKey = Key<Pair>;
type LinkKey = Key<Link>;

/// A publication that waits, or that a topic keeps.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) body: BodyKey,
}

#[derive(Default)]
struct Pair {
    subscription: SubscriptionKey,
    topic: TopicId,
    queue: VecDeque<Entry>,
    /// Publications below this number are marked `retained`.  SPEC §14.2
    retained: u64,
    /// Where `of_topic` has it.
    place: usize,
    /// Whether it is in its subscription's `ready`.
    ready: bool,
}

#[derive(Default)]
pub(super) struct Subscription {
    link: LinkKey,
    id: ExchangeId,
    filter: Box<str>,
    /// Where `filters` has it.
    place: usize,
    pairs: Vec<PairKey>,
    /// Pairs with something queued, each once; the front is next. One that was emptied may linger in it.
    ready: VecDeque<PairKey>,
    missed: Missed,
    /// The publication that is half sent; it is in no queue any more.
    under_way: Option<UnderWay>,
    /// Whether the one before was given up for a newer value, so that the next is not.
    spared: bool,
    /// Whether it is in its link's queue, and then between whom.
    waiting: bool,
    before: Option<SubscriptionKey>,
    behind: Option<SubscriptionKey>,
}

#[derive(Default)]
struct Link {
    id: LinkId,
    subscriptions: Sorted<ExchangeId, SubscriptionKey>,
    /// How many pairs they have together.
    pairs: usize,
    /// Subscriptions with something to send or to tell, but for those that wait for credit.
    queue: ReadyQueue,
    /// Whether it is in `woken`.
    woken: bool,
    /// Whether it is going to be pumped without having to be named again.
    handed_over: bool,
}

#[derive(Default)]
pub(super) struct Subscriptions {
    all: Slab<Subscription>,
    filters: Filters<SubscriptionKey>,
    pairs: Slab<Pair>,
    /// By number of the topic.
    of_topic: Vec<Vec<PairKey>>,
    links: Slab<Link>,
    /// Only links that have subscriptions.
    by_link: Sorted<LinkId, LinkKey>,
    /// How many subscriptions have a publication half sent.
    half_sent: usize,
    woken: Vec<LinkKey>,
}

impl Subscriptions {
    /// Whether one more may come, that matches so many topics.
    pub(super) fn check_room(
        &self,
        link: LinkId,
        id: ExchangeId,
        matching: usize,
        limits: &TopicLimits,
    ) -> Result<(), Status> {
        let link = self.by_link.get(&link).map(|&key| &self.links[key]);
        if link.is_some_and(|link| link.subscriptions.get(&id).is_some()) {
            return Err(Status::BAD_REQUEST);
        }
        let (of_link, pairs) = link.map_or((0, 0), |link| (link.subscriptions.len(), link.pairs));
        let has_room = self.all.len() < limits.subscriptions as usize
            && of_link < limits.subscriptions_per_link as usize
            && pairs + matching <= limits.matches_per_link as usize
            && self.has_room_for_pairs(matching, limits);
        if has_room { Ok(()) } else { Err(Status::UNAVAILABLE) }
    }

    pub(super) fn has_room_for_pairs(&self, more: usize, limits: &TopicLimits) -> bool {
        more <= (limits.matches as usize).saturating_sub(self.pairs.len())
    }

    /// Adds a subscription that `check_room` allowed.
    pub(super) fn add(&mut self, link: LinkId, id: ExchangeId, filter: &str) -> SubscriptionKey {
        let link_key = self.link_of(link);
        let key = self.all.insert();
        let place = self.filters.add(filter, key);
        let subscription = &mut self.all[key];
        (subscription.link, subscription.id, subscription.place) = (link_key, id, place);
        subscription.filter = filter.into();
        self.links[link_key].subscriptions.insert(id, key);
        key
    }

    fn link_of(&mut self, id: LinkId) -> LinkKey {
        if let Some(&key) = self.by_link.get(&id) {
            return key;
        }
        let key = self.links.insert();
        self.links[key].id = id;
        self.by_link.insert(id, key);
        let missing = self.links.len().saturating_sub(self.woken.len());
        self.woken.reserve(missing);
        key
    }

    /// The subscriptions that a topic of this name has, or would have.
    pub(super) fn matching(&self, topic: &str) -> Vec<SubscriptionKey> {
        self.filters.matching(topic)
    }

    /// Joins a new topic to those that match it. Topics are numbered in the order of these calls.
    pub(super) fn add_topic(&mut self, id: TopicId, matching: &[SubscriptionKey]) {
        self.of_topic.push(Vec::new());
        for &subscription in matching {
            self.join(subscription, id);
        }
    }

    pub(super) fn join(&mut self, subscription: SubscriptionKey, topic: TopicId) {
        let of_topic = &mut self.of_topic[topic.index()];
        let key = self.pairs.insert();
        let pair = &mut self.pairs[key];
        (pair.subscription, pair.topic, pair.place) = (subscription, topic, of_topic.len());
        of_topic.push(key);
        let subscription = &mut self.all[subscription];
        subscription.pairs.push(key);
        self.links[subscription.link].pairs += 1;
        // Now, so that publishing need not.
        subscription.ready.reserve(subscription.pairs.len().saturating_sub(subscription.ready.len()));
    }

    /// The pairs of a topic, one by one: what is done with one may be about all that is here.
    #[cfg_attr(target_os = "none", inline(never))]
    fn pair_of(&self, topic: TopicId, place: usize) -> Option<PairKey> {
        self.of_topic[topic.index()].get(place).copied()
    }

    pub(super) fn is_any_full(&self, topic: TopicId, depth: usize) -> bool {
        self.of_topic[topic.index()].iter().any(|&pair| self.pairs[pair].queue.len() >= depth)
    }

    /// Drops the oldest of a topic wherever its queue is full.
    pub(super) fn drop_oldest(&mut self, topic: TopicId, depth: usize, bodies: &mut BodyPool) {
        for &key in &self.of_topic[topic.index()] {
            let pair = &mut self.pairs[key];
            if pair.queue.len() >= depth
                && let Some(dropped) = pair.queue.pop_front()
            {
                bodies.release(dropped.body);
                self.all[pair.subscription].missed.add(1);
            }
        }
    }

    /// Drops, oldest first, what only queues of this topic hold, until there is room for a body of `len` bytes.
    pub(super) fn drop_unkept(&mut self, topic: TopicId, len: usize, bodies: &mut BodyPool) -> bool {
        // What a topic keeps is its newest, so the rest is at the front of each queue.
        for place in 0.. {
            let Some(key) = self.pair_of(topic, place) else { break };
            while let Some(&oldest) = self.pairs[key].queue.front()
                && !bodies.is_kept(oldest.body)
            {
                self.pairs[key].queue.pop_front();
                bodies.release(oldest.body);
                let subscription = self.pairs[key].subscription;
                self.all[subscription].missed.add(1);
                // What it has now may need less credit than what was refused, or none.
                self.wait(subscription);
                if bodies.make_room(len) {
                    return true;
                }
            }
        }
        false
    }

    /// Queues a publication for all subscribers of a topic whose queues have room; the others miss it.
    pub(super) fn queue_for_all(
        &mut self,
        topic: TopicId,
        entry: Entry,
        depth: usize,
        bodies: &mut BodyPool,
    ) {
        for place in 0.. {
            let Some(pair) = self.pair_of(topic, place) else { break };
            if self.pairs[pair].queue.len() < depth {
                self.queue(pair, entry, bodies);
            } else {
                self.all[self.pairs[pair].subscription].missed.add(1);
            }
        }
    }

    /// Queues what a topic keeps for a subscription that was just joined to it, `retained` where it is below that number.
    pub(super) fn queue_for_newest(
        &mut self,
        topic: TopicId,
        kept: impl Iterator<Item = Entry>,
        retained: u64,
        bodies: &mut BodyPool,
    ) {
        let Some(&pair) = self.of_topic[topic.index()].last() else { return };
        self.pairs[pair].retained = retained;
        kept.for_each(|entry| self.queue(pair, entry, bodies));
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    fn queue(&mut self, key: PairKey, entry: Entry, bodies: &mut BodyPool) {
        bodies.hold(entry.body);
        let pair = &mut self.pairs[key];
        pair.queue.push_back(entry);
        let subscription = pair.subscription;
        if !pair.ready {
            pair.ready = true;
            self.all[subscription].ready.push_back(key);
        }
        self.wait(subscription);
    }

    pub(super) fn add_missed(&mut self, key: SubscriptionKey, missed: Missed) {
        let tally = &mut self.all[key].missed;
        tally.merge(missed);
        if tally.is_any() {
            self.wait(key);
        }
    }

    /// Puts a subscription in its link's queue, and has the link named by `wake`.
    fn wait(&mut self, key: SubscriptionKey) {
        self.enqueue(key);
        let link_key = self.all[key].link;
        let link = &mut self.links[link_key];
        if !link.woken && !link.handed_over {
            link.woken = true;
            self.woken.push(link_key);
        }
    }

    pub(super) fn has_backlog(&self, link: LinkId) -> bool {
        self.by_link.get(&link).is_some_and(|&key| self.links[key].queue.first.is_some())
    }

    /// Names this link no more until it has been pumped.
    #[cfg(feature = "std")]
    pub(super) fn hand_over(&mut self, link: LinkId) {
        if let Some(&key) = self.by_link.get(&link) {
            self.links[key].handed_over = true;
        }
    }

    /// The links that were handed over and have no room for another publication of this topic.
    #[cfg(feature = "std")]
    pub(super) fn crowded(&self, topic: TopicId, depth: usize) -> impl Iterator<Item = LinkId> {
        let full = move |pair: &&PairKey| self.pairs[**pair].queue.len() >= depth;
        let link = |pair: &PairKey| &self.links[self.all[self.pairs[*pair].subscription].link];
        let of_topic = self.of_topic[topic.index()].iter().filter(full);
        of_topic.map(link).filter(|link| link.handed_over).map(|link| link.id)
    }

    pub(super) fn next_woken(&mut self) -> Option<LinkId> {
        let link = &mut self.links[self.woken.pop()?];
        link.woken = false;
        Some(link.id)
    }

    pub(super) fn remove(&mut self, link: LinkId, id: ExchangeId, bodies: &mut BodyPool) -> Option<Missed> {
        let link = *self.by_link.get(&link)?;
        let key = *self.links[link].subscriptions.get(&id)?;
        let missed = self.forget(key, bodies);
        self.drop_idle_link(link);
        missed.is_any().then_some(missed)
    }

    pub(super) fn remove_link(&mut self, link: LinkId, bodies: &mut BodyPool) {
        let Some(&link) = self.by_link.get(&link) else {
            return;
        };
        while let Some(&key) = self.links[link].subscriptions.last() {
            self.forget(key, bodies);
        }
        self.drop_idle_link(link);
    }

    /// Forgets a subscription. Returns what it was not told, with what it gets no more; its subscriber knows of what
    /// is half sent.
    fn forget(&mut self, key: SubscriptionKey, bodies: &mut BodyPool) -> Missed {
        self.dequeue(key);
        self.give_up(key, bodies);
        self.end_under_way(key);
        let subscription = self.all.take(key);
        if let Some(moved) = self.filters.remove(&subscription.filter, subscription.place) {
            self.all[moved].place = subscription.place;
        }
        let link = &mut self.links[subscription.link];
        link.subscriptions.remove(&subscription.id);
        link.pairs -= subscription.pairs.len();
        let mut missed = subscription.missed;
        for key in subscription.pairs {
            let pair = self.pairs.take(key);
            missed.add(pair.queue.len() as u64);
            for entry in pair.queue {
                bodies.release(entry.body);
            }
            let of_topic = &mut self.of_topic[pair.topic.index()];
            of_topic.swap_remove(pair.place);
            if let Some(&moved) = of_topic.get(pair.place) {
                self.pairs[moved].place = pair.place;
            }
            if of_topic.is_empty() {
                *of_topic = Vec::new();
            }
        }
        missed
    }

    fn drop_idle_link(&mut self, key: LinkKey) {
        if !self.links[key].subscriptions.is_empty() {
            return;
        }
        let link = self.links.take(key);
        self.by_link.remove(&link.id);
        if link.woken {
            self.woken.retain(|&woken| woken != key);
        }
        // Nobody subscribes: what the most at once took is given back.
        if self.by_link.is_empty() {
            let of_topic = core::mem::take(&mut self.of_topic);
            *self = Self { of_topic, ..Self::default() };
        }
    }
}
