//! The topics of a device: one table, shared by all of its links.  SPEC §14

mod bodies;
mod error;
mod filters;
mod kind;
mod offer;
mod slab;
mod sorted;
mod subscriptions;
#[cfg(test)]
mod tests;

use crate::exchange::ExchangeId;
use crate::publication::Missed;
pub use error::{DeclareError, PublishError};
pub use kind::{Kind, Overflow, TopicLimits};
pub use offer::{Behind, Offer, Verdict};

use crate::{Point, Status, name};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bodies::BodyPool;
use core::{fmt, iter};
use subscriptions::{Entry, SubscriptionKey, Subscriptions};

/// The topics of a device and who subscribed to them: one table for all links, so that each body is stored once.  SPEC §14
///
/// It reads no clock and does no I/O. An adapter calls [`subscribe`](Self::subscribe) when a peer does,
/// [`credited`](Self::credited) when a subscription got credit, asks [`wake`](Self::wake) after publishing which links
/// have something new, and lets [`pump`](Self::pump) hand it out.
/// A subscription that does not keep up loses publications of its own, by the topic's [`Kind`], and is told how many;
/// it takes nothing from others, unless the topic was declared with [`Overflow::Refuse`].
///
/// Publications of one topic keep their order in a subscription. Those of several topics take turns.
///
/// Memory is bounded by [`TopicLimits`]; buffers are used again, so that publishing allocates nothing once they are
/// as many as are needed at the same time. No method panics, except as allocating does.
///
/// ```
/// use symbolon::{ExchangeId, Kind, LinkId, Offer, TopicLimits, Topics, Verdict};
///
/// // The epoch has to be random: a subscriber tells by it that numbering began anew.
/// let mut topics = Topics::new(0x5eed_1234, TopicLimits::default());
/// let temperature = topics.declare("oven/temperature", Kind::State)?;
///
/// let link = LinkId(1);
/// assert_eq!(topics.subscribe(link, ExchangeId::from_number(2), "oven/#", None), Ok(()));
/// topics.publish(temperature, b"180")?;
/// topics.publish(temperature, b"181")?;
/// assert_eq!(topics.wake().collect::<Vec<_>>(), [link]);
///
/// let mut got = Vec::new();
/// topics.pump(link, |offer| {
///     if let Offer::Publication { publication, .. } = offer {
///         got.push((publication.topic.to_owned(), publication.missed.count, publication.body.to_vec()));
///     }
///     Verdict::Sent
/// });
/// assert_eq!(got, [("oven/temperature".to_owned(), 1, b"181".to_vec())]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Topics {
    epoch: u32,
    limits: TopicLimits,
    topics: Vec<Topic>,
    /// In the order of their names.
    by_name: Vec<TopicId>,
    subscriptions: Subscriptions,
    bodies: BodyPool,
}

struct Topic {
    name: Box<str>,
    kind: Kind,
    /// The next publication's.  SPEC §14.2
    sequence: u64,
    /// The last `depth` publications, oldest first.
    kept: VecDeque<Entry>,
}

/// One link of a device, by a number that its adapter chose.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LinkId(pub u64);

/// A topic declared in a [`Topics`]. It means nothing in another one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct TopicId(u32);

impl TopicId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Topics {
    /// An empty table. `epoch` has to be drawn at random each time the device starts: a subscriber that resumes
    /// takes an equal epoch for the same numbering.  SPEC §14.2
    pub fn new(epoch: u32, limits: TopicLimits) -> Self {
        Self {
            epoch,
            limits,
            topics: Vec::new(),
            by_name: Vec::new(),
            subscriptions: Subscriptions::default(),
            bodies: BodyPool::new(limits.bytes),
        }
    }

    /// Declares a topic, which stays for good. Declaring it again with the same kind gives the same id.
    ///
    /// Subscriptions whose filters match get what is published from now on. Only filters that begin as the name does
    /// are looked at, each at most once.
    ///
    /// # Errors
    ///
    /// See [`DeclareError`]; nothing changed then.
    pub fn declare(&mut self, name: &str, kind: Kind) -> Result<TopicId, DeclareError> {
        name::check_name(name)?;
        if name::is_reserved(name) {
            return Err(DeclareError::Reserved);
        }
        let place = match self.place_of(name) {
            Ok(place) => return self.declared_as(self.by_name[place], kind),
            Err(place) => place,
        };
        if let Kind::Event { depth, .. } = kind
            && !(1..=self.limits.depth).contains(&depth)
        {
            return Err(DeclareError::BadDepth);
        }
        let id = u32::try_from(self.topics.len())
            .ok()
            .filter(|&number| number < self.limits.topics)
            .map(TopicId)
            .ok_or(DeclareError::Full)?;
        let matching = self.subscriptions.matching(name);
        if !self.subscriptions.has_room_for_pairs(matching.len(), &self.limits) {
            return Err(DeclareError::Full);
        }
        self.topics.push(Topic { name: name.into(), kind, sequence: 0, kept: VecDeque::new() });
        self.by_name.insert(place, id);
        self.subscriptions.add_topic(id, &matching);
        Ok(id)
    }

    fn declared_as(&self, id: TopicId, kind: Kind) -> Result<TopicId, DeclareError> {
        if self.topics[id.index()].kind == kind { Ok(id) } else { Err(DeclareError::OtherKind) }
    }

    /// The topic of this name, if it was declared.
    pub fn find(&self, name: &str) -> Option<TopicId> {
        self.place_of(name).ok().map(|place| self.by_name[place])
    }

    /// The topics that were declared, in the ascending order of their names, each with its kind: what a device tells that it
    /// publishes.  SPEC §22
    pub fn declared(&self) -> impl Iterator<Item = (&str, Kind)> + Clone {
        self.by_name.iter().map(|id| (self.name(*id), self.topics[id.index()].kind))
    }

    fn place_of(&self, name: &str) -> Result<usize, usize> {
        self.by_name.binary_search_by(|id| self.name(*id).cmp(name))
    }

    /// Publishes a body: stores it once, and queues it for each subscriber of the topic.
    ///
    /// Where [`TopicLimits::bytes`] would be exceeded, publications that topics keep no more and that only wait for
    /// slow subscribers are dropped first, and counted as missed by those; then such that are half sent are given up.
    ///
    /// # Errors
    ///
    /// See [`PublishError`]; nothing changed then, and no number was used.
    pub fn publish(&mut self, topic: TopicId, body: &[u8]) -> Result<Point, PublishError> {
        let kind = self.check_publish(topic, body)?;
        let depth = kind.depth();
        if kind == Kind::State {
            self.subscriptions.outdate(topic, &mut self.bodies);
        }
        if kind.drops_oldest() {
            self.subscriptions.drop_oldest(topic, depth, &mut self.bodies);
        }
        let declared = &mut self.topics[topic.index()];
        if let Some(oldest) = declared.leaving() {
            declared.kept.pop_front();
            self.bodies.unkeep(oldest.body);
        }
        self.make_room(topic, body.len());

        let declared = &mut self.topics[topic.index()];
        let entry = Entry { sequence: declared.sequence, body: self.bodies.keep(body) };
        declared.sequence += 1;
        declared.kept.push_back(entry);
        self.subscriptions.queue_for_all(topic, entry, depth, &mut self.bodies);
        Ok(Point { epoch: self.epoch, sequence: entry.sequence })
    }

    /// Whether it may be published; nothing changes.
    fn check_publish(&self, topic: TopicId, body: &[u8]) -> Result<Kind, PublishError> {
        let declared = self.topics.get(topic.index()).ok_or(PublishError::UnknownTopic)?;
        if body.len() > self.limits.body {
            return Err(PublishError::TooLarge);
        }
        // The last number stays unused, so that the next one always exists.
        if declared.sequence == u64::MAX {
            return Err(PublishError::Exhausted);
        }
        let depth = declared.kind.depth();
        if declared.kind.refuses() && self.subscriptions.is_any_full(topic, depth) {
            return Err(PublishError::QueueFull);
        }
        let leaving = declared.leaving().map(|entry| entry.body);
        if !self.bodies.can_keep(body.len(), leaving) {
            return Err(PublishError::NoRoom);
        }
        Ok(declared.kind)
    }

    /// Drops what only slow subscribers hold until a body of `len` bytes fits, beginning with those of its own topic.
    /// `can_keep` said that it will.
    fn make_room(&mut self, topic: TopicId, len: usize) {
        if self.bodies.make_room(len) {
            return;
        }
        let others = (0..self.topics.len()).map(|number| TopicId(number as u32));
        let all = iter::once(topic).chain(others);
        for topic in all.clone() {
            if self.subscriptions.drop_unkept(topic, len, &mut self.bodies) {
                return;
            }
        }
        // Last, since part of it was sent for nothing then.
        for topic in all {
            if self.subscriptions.give_up_unkept(topic, len, &mut self.bodies) {
                return;
            }
        }
    }

    /// Opens a subscription of a link, with the id of its exchange.
    ///
    /// Of each state topic that matches it gets the latest value, marked `retained`; of event topics what is
    /// published from now on. With `from`, it gets what is kept after that point; what is kept no more counts as
    /// missed, by an unknown number if the epoch is another one or the point lies ahead of the topic.  SPEC §14.4
    ///
    /// # Errors
    ///
    /// The status to answer the peer with; nothing changed then.
    ///
    /// - [`Status::BAD_REQUEST`]: `filter` is none, or it has wildcards and comes with `from`, or the link has a
    ///   subscription of this id.
    /// - [`Status::UNAVAILABLE`]: [`TopicLimits`] leaves no room.
    pub fn subscribe(
        &mut self,
        link: LinkId,
        subscription: ExchangeId,
        filter: &str,
        from: Option<Point>,
    ) -> Result<(), Status> {
        let has_wildcards = name::has_wildcards(filter);
        if name::check_filter(filter).is_err() || (from.is_some() && has_wildcards) {
            return Err(Status::BAD_REQUEST);
        }
        let matching = self.matching(filter);
        self.subscriptions.check_room(link, subscription, matching.len(), &self.limits)?;

        let key = self.subscriptions.add(link, subscription, filter);
        for &topic in &matching {
            self.subscriptions.join(key, topic);
            self.queue_kept(topic, key, from);
        }
        if from.is_some() && matching.is_empty() {
            // The topic that it had is not here: what there was since, nobody knows.  SPEC §14.4
            self.subscriptions.add_missed(key, UNKNOWN);
        }
        Ok(())
    }

    /// The topics that a filter matches. Looks only at those that begin as it does up to its first wildcard.
    fn matching(&self, filter: &str) -> Vec<TopicId> {
        let wildcard = filter.bytes().position(|byte| matches!(byte, b'+' | b'#')).unwrap_or(filter.len());
        // Without the code that says where a text cannot be cut, which is 3 KB.
        let (literal, wildcards) = filter.split_at_checked(wildcard).unwrap_or((filter, ""));
        let exact = match wildcards {
            "" => Some(filter),
            // `a/#` matches `a` as well, which does not begin with `a/`.  SPEC §13
            "#" => literal.strip_suffix("/"),
            _ => None,
        };
        let mut matching = Vec::new();
        matching.extend(exact.and_then(|name| self.find(name)));
        if wildcards.is_empty() {
            return matching;
        }
        // Names are sorted: those that begin like that come one behind the other.
        let first = self.place_of(literal).unwrap_or_else(|place| place);
        for topic in &self.by_name[first..] {
            let name = self.name(*topic);
            if !name.starts_with(literal) {
                break;
            }
            if name::matches(filter, name) {
                matching.push(*topic);
            }
        }
        matching
    }

    fn name(&self, topic: TopicId) -> &str {
        &self.topics[topic.index()].name
    }

    /// Queues what a new subscriber gets of what a topic keeps.
    fn queue_kept(&mut self, topic: TopicId, key: SubscriptionKey, from: Option<Point>) {
        let declared = &self.topics[topic.index()];
        let is_state = declared.kind == Kind::State;
        let (first, missed) = match from {
            Some(from) => declared.resume(self.epoch, from),
            None if is_state => (0, Missed::default()),
            None => return,
        };
        let kept = declared.kept.iter().copied().filter(|entry| entry.sequence >= first);
        let retained = if is_state { declared.sequence } else { 0 };
        self.subscriptions.queue_for_newest(topic, kept, retained, &mut self.bodies);
        self.subscriptions.add_missed(key, missed);
    }

    /// Closes a subscription, and returns what it was not told of, if anything: to be sent before its `end`
    /// (SPEC §14.3, PUB-3). What was still queued for it counts; what is half sent does not, since its subscriber counts
    /// it by that `end`. `None` also if there is no such subscription.
    pub fn unsubscribe(&mut self, link: LinkId, subscription: ExchangeId) -> Option<Missed> {
        self.subscriptions.remove(link, subscription, &mut self.bodies)
    }

    /// Closes all subscriptions of a link, which is gone.
    pub fn drop_link(&mut self, link: LinkId) {
        self.subscriptions.remove_link(link, &mut self.bodies);
    }

    /// Whether [`pump`](Self::pump) has anything to offer for this link.
    pub fn has_backlog(&self, link: LinkId) -> bool {
        self.subscriptions.has_backlog(link)
    }

    /// Offers what waits for a link, until nothing does or `send` takes no more. Subscriptions take turns, and so do
    /// the topics within one; a body that is taken in parts has a turn for each. Where nothing else has its turn, one offer
    /// shows what waits behind it too, and [`Verdict::Several`] takes that with it.
    ///
    /// A call continues where the last one stopped: an adapter calls it when a link was named by [`wake`](Self::wake),
    /// when a full connection has room again, and after [`credited`](Self::credited). A subscription refused with
    /// [`Verdict::NoCredit`] is passed over until then, or until there is something new for it, so that as many as
    /// like may stand still and cost the others nothing.
    pub fn pump(&mut self, link: LinkId, send: impl FnMut(Offer<'_>) -> Verdict) {
        self.subscriptions.pump(link, self.epoch, &self.topics, &mut self.bodies, send);
    }

    /// Notes that a subscription may have got credit, as [`Connection::poll_credited`](crate::Connection::poll_credited)
    /// says, so that the next [`pump`](Self::pump) offers again what it has; one that is not there is ignored.
    pub fn credited(&mut self, link: LinkId, subscription: ExchangeId) {
        self.subscriptions.credited(link, subscription);
    }

    /// The links for which something was queued since they were last named here, each once, in no order. Those not
    /// taken from the iterator are named the next time.
    pub fn wake(&mut self) -> impl Iterator<Item = LinkId> {
        iter::from_fn(|| self.subscriptions.next_woken())
    }

    /// Leaves a link that [`wake`](Self::wake) has named to somebody who is going to [`pump`](Self::pump) it: until then it
    /// is not named again.
    #[cfg(feature = "std")]
    pub(crate) fn hand_over(&mut self, link: LinkId) {
        self.subscriptions.hand_over(link);
    }

    /// Of the links that were handed over, those that cannot wait: they have no room for another publication of this topic.
    #[cfg(feature = "std")]
    pub(crate) fn crowded(&self, topic: TopicId) -> impl Iterator<Item = LinkId> {
        self.subscriptions.crowded(topic, self.topics[topic.index()].kind.depth())
    }
}

impl Topic {
    /// What the next publication pushes out.
    fn leaving(&self) -> Option<Entry> {
        let is_full = self.kept.len() >= self.kind.depth();
        self.kept.front().copied().filter(|_| is_full)
    }

    /// The first sequence that a subscriber which has all up to `from` needs, and what it misses.  SPEC §14.4
    fn resume(&self, epoch: u32, from: Point) -> (u64, Missed) {
        if from.epoch != epoch || from.sequence >= self.sequence {
            return (0, UNKNOWN);
        }
        let first = from.sequence + 1;
        let oldest = self.kept.front().map_or(self.sequence, |entry| entry.sequence);
        let mut missed = Missed::default();
        missed.add(oldest.saturating_sub(first));
        (first, missed)
    }
}

const UNKNOWN: Missed = Missed { count: 0, unknown: true };

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics")
            .field("epoch", &self.epoch)
            .field("topics", &self.topics.len())
            .finish_non_exhaustive()
    }
}
