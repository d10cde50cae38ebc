//! Random runs against a table that does the same in the plainest way.

use super::*;
use crate::exchange::ExchangeId;
use crate::publication::{Missed, Outgoing};
use alloc::collections::BTreeMap;
use proptest::prelude::*;

const KINDS: [Kind; 4] =
    [Kind::State, event(2, Overflow::DropOldest), event(3, Overflow::DropNewest), event(4, Overflow::Refuse)];
const NAMES: [&str; 4] = ["a", "b/x", "b/y", "c"];
const FILTERS: [&str; 5] = ["#", "a", "b/+", "c", "b/x"];
const LINKS: u64 = 3;
/// How long each body is.
const LEN: usize = size_of::<u64>();

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    Subscribe(u64, usize),
    Unsubscribe(u64, usize),
    Pump(u64, Vec<u8>),
    Credit(u64, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..NAMES.len()).prop_map(Step::Publish),
        2 => (0..LINKS, 0..FILTERS.len()).prop_map(|(link, filter)| Step::Subscribe(link, filter)),
        1 => (0..LINKS, 0..FILTERS.len()).prop_map(|(link, filter)| Step::Unsubscribe(link, filter)),
        4 => (0..LINKS, prop::collection::vec(0..20_u8, 0..12))
            .prop_map(|(link, verdicts)| Step::Pump(link, verdicts)),
        2 => (0..LINKS, 0..FILTERS.len()).prop_map(|(link, filter)| Step::Credit(link, filter)),
    ]
}

/// What a subscription still has to get, by topic, and what it was not told of.
#[derive(Default)]
struct Subscriber {
    queues: [VecDeque<(u64, bool)>; NAMES.len()],
    missed: u32,
    /// Refused for want of credit, and nothing new since.
    stalled: bool,
    /// Published for it, and delivered or told missed.
    owed: u64,
    settled: u64,
    under_way: Option<UnderWay>,
    /// The last one that was half sent was given up for a newer value.
    spared: bool,
}

/// What is half sent: of which topic, which number, how much of it, and whether it was given up.
struct UnderWay {
    topic: usize,
    sequence: u64,
    sent: usize,
    starved: bool,
    outdated: bool,
    aborted: bool,
}

impl Subscriber {
    fn push(&mut self, topic: usize, sequence: u64, retained: bool) {
        self.owed += 1;
        if let Some(under_way) = &mut self.under_way
            && (under_way.topic, KINDS[topic]) == (topic, Kind::State)
            && under_way.starved
            && !under_way.aborted
        {
            let again = core::mem::replace(&mut under_way.outdated, true);
            if again && !self.spared {
                (under_way.aborted, self.spared) = (true, true);
            }
        }
        let queue = &mut self.queues[topic];
        if queue.len() == KINDS[topic].depth() {
            self.missed += 1;
            if !KINDS[topic].drops_oldest() {
                return;
            }
            queue.pop_front();
        }
        queue.push_back((sequence, retained));
        self.stalled = false;
    }

    fn queued(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    /// Checks what the table offers, and does to the model what the verdict does to the table.
    fn offered(&mut self, offer: Offer<'_>, verdict: Verdict) {
        assert!(!self.stalled);
        self.stalled = matches!(verdict, Verdict::NoCredit | Verdict::Part(0));
        if self.offered_more(offer, verdict) {
            return;
        }
        assert!(self.under_way.is_none());
        match offer {
            Offer::Publication { publication, behind, .. } => {
                let Outgoing { topic, point, missed: Missed { count: missed, .. }, retained, body } =
                    publication;
                let topic = NAMES.iter().position(|&name| name == topic).expect("ours");
                let front = (point.sequence, retained);
                assert_eq!(self.queues[topic].front(), Some(&front));
                assert_eq!(missed, self.missed);
                assert_eq!(body, point.sequence.to_be_bytes());
                // No other topic of it waits then; whether another subscription does is for the table to know.
                let behind: Vec<_> = behind.bodies().collect();
                assert!(behind.is_empty() || self.queued() == self.queues[topic].len());
                for (body, (place, entry)) in behind.iter().zip(self.queues[topic].iter().enumerate().skip(1))
                {
                    assert_eq!(*entry, (point.sequence + place as u64, retained));
                    assert_eq!(*body, entry.0.to_be_bytes());
                }
                if matches!(
                    verdict,
                    Verdict::Sent | Verdict::Several(_) | Verdict::TooLarge | Verdict::Part(1..)
                ) {
                    self.queues[topic].pop_front();
                }
                match verdict {
                    Verdict::Part(sent @ 1..LEN) => {
                        let sequence = point.sequence;
                        let (starved, outdated, aborted) = (false, false, false);
                        self.under_way = Some(UnderWay { topic, sequence, sent, starved, outdated, aborted });
                        self.settle(0);
                    }
                    Verdict::Sent | Verdict::Part(LEN..) => self.settle(1),
                    Verdict::Several(most) => {
                        let several = most.min(behind.len());
                        self.queues[topic].drain(..several);
                        self.settle(1 + several as u64);
                    }
                    Verdict::TooLarge => self.missed += 1,
                    _ => {}
                }
            }
            Offer::Missed { missed: Missed { count, .. }, .. } => {
                assert_eq!((self.queued(), count), (0, self.missed));
                assert!(count > 0);
                match verdict {
                    Verdict::Sent | Verdict::Several(_) | Verdict::Part(_) => self.settle(0),
                    Verdict::TooLarge => self.stalled = true,
                    _ => {}
                }
                self.stalled &= !matches!(verdict, Verdict::Part(_));
            }
            Offer::Abort { .. } | Offer::Rest { .. } => panic!("nothing is half sent"),
        }
    }

    /// The same about what is half sent, if anything.
    fn offered_more(&mut self, offer: Offer<'_>, verdict: Verdict) -> bool {
        let Some(under_way) = &mut self.under_way else { return false };
        match offer {
            Offer::Rest { rest, .. } => {
                assert!(!under_way.aborted);
                assert_eq!(rest, &under_way.sequence.to_be_bytes()[under_way.sent..]);
                match verdict {
                    Verdict::Sent | Verdict::Several(_) | Verdict::Part(1..) => {
                        under_way.sent += if let Verdict::Part(more) = verdict { more } else { LEN };
                        (under_way.starved, under_way.outdated) = (false, false);
                        if under_way.sent >= LEN {
                            (self.under_way, self.spared) = (None, false);
                            self.settled += 1;
                        }
                    }
                    Verdict::TooLarge => under_way.aborted = true,
                    Verdict::NoCredit | Verdict::Part(0) => under_way.starved = true,
                    Verdict::Full | Verdict::Gone => {}
                }
            }
            Offer::Abort { .. } => {
                assert!(under_way.aborted);
                match verdict {
                    Verdict::Sent | Verdict::Several(_) | Verdict::Part(_) => {
                        self.under_way = None;
                        self.stalled = false;
                        // The subscriber counts it.
                        self.settled += 1;
                    }
                    Verdict::TooLarge => self.stalled = true,
                    _ => {}
                }
            }
            other => panic!("between two parts: {other:?}"),
        }
        true
    }

    fn settle(&mut self, delivered: u64) {
        self.settled += delivered + u64::from(self.missed);
        self.missed = 0;
    }
}

struct Run {
    topics: Topics,
    ids: [TopicId; NAMES.len()],
    published: [u64; NAMES.len()],
    subscribers: BTreeMap<(u64, u64), Subscriber>,
}

impl Run {
    fn new() -> Self {
        let mut topics = table();
        let ids = core::array::from_fn(|at| declare(&mut topics, NAMES[at], KINDS[at]));
        Self { topics, ids, published: [0; NAMES.len()], subscribers: BTreeMap::new() }
    }

    fn matching(&mut self, topic: usize) -> impl Iterator<Item = &mut Subscriber> {
        self.subscribers
            .iter_mut()
            .filter(move |((_, filter), _)| name::matches(FILTERS[*filter as usize], NAMES[topic]))
            .map(|(_, subscriber)| subscriber)
    }

    fn publish(&mut self, topic: usize) {
        let sequence = self.published[topic];
        let depth = KINDS[topic].depth();
        let refused = KINDS[topic].refuses()
            && self.matching(topic).any(|subscriber| subscriber.queues[topic].len() == depth);
        let result = self.topics.publish(self.ids[topic], &sequence.to_be_bytes());
        if refused {
            assert_eq!(result, Err(PublishError::QueueFull));
            return;
        }
        assert_eq!(result.map(|point| point.sequence), Ok(sequence));
        self.published[topic] += 1;
        self.matching(topic).for_each(|subscriber| subscriber.push(topic, sequence, false));
    }

    fn subscribe(&mut self, link: u64, filter: usize) {
        let key = (link, filter as u64);
        let result =
            self.topics.subscribe(LinkId(link), ExchangeId::from_number(key.1), FILTERS[filter], None);
        if self.subscribers.contains_key(&key) {
            assert_eq!(result, Err(Status::BAD_REQUEST));
            return;
        }
        assert_eq!(result, Ok(()));
        let mut subscriber = Subscriber::default();
        // Only the first topic is a state.
        if self.published[0] > 0 && name::matches(FILTERS[filter], NAMES[0]) {
            subscriber.push(0, self.published[0] - 1, true);
        }
        self.subscribers.insert(key, subscriber);
    }

    fn unsubscribe(&mut self, link: u64, filter: usize) {
        let key = (link, filter as u64);
        let left = self.topics.unsubscribe(LinkId(link), ExchangeId::from_number(key.1));
        let expected = self
            .subscribers
            .remove(&key)
            .map_or(0, |subscriber| subscriber.missed as usize + subscriber.queued());
        assert_eq!(left.map_or(0, |left| left.count as usize), expected);
    }

    fn pump(&mut self, link: u64, verdicts: &[u8], otherwise: Verdict) {
        let mut verdicts = verdicts.iter();
        let subscribers = &mut self.subscribers;
        self.topics.pump(LinkId(link), |offer| {
            let verdict = match verdicts.next() {
                Some(0) => Verdict::TooLarge,
                Some(1..4) => Verdict::NoCredit,
                Some(4) => Verdict::Gone,
                Some(&several @ 5..8) => Verdict::Several(usize::from(several) - 4),
                Some(&part @ 10..) => Verdict::Part(usize::from(part) - 10),
                Some(_) => Verdict::Sent,
                None => otherwise,
            };
            let (Offer::Abort { subscription }
            | Offer::Missed { subscription, .. }
            | Offer::Publication { subscription, .. }
            | Offer::Rest { subscription, .. }) = offer;
            if verdict == Verdict::Gone {
                subscribers.remove(&(link, subscription.number()));
            } else if let Some(subscriber) = subscribers.get_mut(&(link, subscription.number())) {
                subscriber.offered(offer, verdict);
            } else {
                panic!("offered to {subscription}, which is not there");
            }
            verdict
        });
    }

    fn credit(&mut self, link: u64, filter: usize) {
        self.topics.credited(LinkId(link), ExchangeId::from_number(filter as u64));
        if let Some(subscriber) = self.subscribers.get_mut(&(link, filter as u64)) {
            subscriber.stalled = false;
            if let Some(under_way) = &mut subscriber.under_way {
                under_way.starved = false;
            }
        }
    }

    fn check(&self) {
        for link in 0..LINKS {
            let waits = self.subscribers.range((link, 0)..(link + 1, 0)).any(|(_, subscriber)| {
                !subscriber.stalled
                    && (subscriber.queued() > 0 || subscriber.missed > 0 || subscriber.under_way.is_some())
            });
            assert_eq!(self.topics.has_backlog(LinkId(link)), waits);
        }
        assert!(self.topics.bodies.held() <= self.topics.limits.bytes);
    }

    fn finish(&mut self) {
        for link in 0..LINKS {
            (0..FILTERS.len()).for_each(|filter| self.credit(link, filter));
            self.pump(link, &[], Verdict::Sent);
        }
        self.check();
        for subscriber in self.subscribers.values() {
            assert_eq!(subscriber.settled, subscriber.owed);
        }
        for link in 0..LINKS {
            self.topics.drop_link(LinkId(link));
        }
        let kept: usize = self.topics.topics.iter().map(|topic| topic.kept.len()).sum();
        assert_eq!(self.topics.bodies.stored(), kept);
        assert_eq!(self.topics.wake().count(), 0);
    }
}

fn check(steps: impl IntoIterator<Item = Step>) {
    let mut run = Run::new();
    for step in steps {
        match step {
            Step::Publish(topic) => run.publish(topic),
            Step::Subscribe(link, filter) => run.subscribe(link, filter),
            Step::Unsubscribe(link, filter) => run.unsubscribe(link, filter),
            Step::Credit(link, filter) => run.credit(link, filter),
            Step::Pump(link, verdicts) => run.pump(link, &verdicts, Verdict::Full),
        }
        run.check();
    }
    run.finish();
}

proptest! {
    /// Sentence 10, PUB-1, PUB-2, PUB-3: order is kept, and delivered and told missed are together what was published.
    #[test]
    fn does_what_the_naive_table_does(steps in prop::collection::vec(step(), 0..200)) {
        check(steps);
    }
}

/// What was given up as too large was not given up for a newer value: of the next one nothing is spared.
#[test]
fn a_value_that_is_too_large_spares_none() {
    let pump = |link, verdicts: &[u8]| Step::Pump(link, verdicts.into());
    let begun = [Step::Subscribe(0, 1), Step::Publish(0), pump(0, &[11]), pump(0, &[1])];
    let too_large = [Step::Publish(0), pump(0, &[0]), Step::Publish(0), pump(0, &[8, 11, 1])];
    check(begun.into_iter().chain(too_large).chain([Step::Publish(0), Step::Publish(0)]));
}
