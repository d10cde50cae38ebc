//! What the table of topics costs as it grows, and what of a publication each subscriber pays for.
//!
//! `cargo bench --bench topics`, or `-- --quick`.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod paths;
mod ratio;

use std::env;
use std::hint::black_box;
use std::time::{Duration, Instant as Clock};

use criterion::{Criterion, criterion_group};
use paths::{FanOut, Publishers};
use ratio::ratio;
use symbolon::{
    DeclareError, ExchangeId, Kind, LinkId, Provider, TopicId, TopicLimits, Topics, Verdict, name,
};

/// Finding the subscriptions of a topic costs at most this much more among 10,000 than among 10.
const MATCHING_BOUND: f64 = 20.0;
/// One of 10,000 subscriptions of a link, all with something that waits, costs at most this much of one of ten.
const LEAVING_BOUND: f64 = 5.0;
/// A turn of a link whose 10,000 subscriptions have something but no credit costs at most this much of one with ten.
const STALLED_BOUND: f64 = 5.0;
/// A publication costs each of 1,000 subscribers at most this much of what it costs one alone.
const PUBLISHING_BOUND: f64 = 1.25;

const TOPIC: &str = "house/room-7/lamp/state";
const BODY: [u8; 64] = [0x55; 64];
const LINKS: u64 = 1_000;

/// As many as needed, so that the table is what is measured and not its limits.
fn limits() -> TopicLimits {
    let mut limits = TopicLimits::default();
    (limits.subscriptions, limits.subscriptions_per_link) = (20_000, 20_000);
    limits
}

/// A table with so many subscriptions of a hundred links, four of which match [`TOPIC`].
///
/// It has no room for a match, so that declaring that topic is refused once its subscriptions were found, and can be
/// measured again and again.
fn subscribed(count: u64) -> Topics {
    let mut limits = limits();
    limits.matches = 0;
    let mut topics = Topics::new(1, limits);
    for number in 0..count {
        let filter = match number {
            0 => "#".to_owned(),
            1 => "house/+/lamp/state".to_owned(),
            2 => "house/room-7/#".to_owned(),
            3 => TOPIC.to_owned(),
            _ => match number % 5 {
                0 => format!("house/room-{}/+/state", 1_000 + number),
                1 => format!("house/room-{}/#", 1_000 + number),
                2 => format!("garden/+/bed-{number}/+"),
                _ => format!("house/room-{}/lamp/state", 1_000 + number),
            },
        };
        let id = ExchangeId::from_number(number);
        topics.subscribe(LinkId(number % 100), id, &filter, None).expect("room");
    }
    topics
}

fn find_matching(topics: &mut Topics) {
    assert_eq!(topics.declare(black_box(TOPIC), Kind::State), Err(DeclareError::Full));
}

/// A table and the subscriptions of one link, which come, wait for a publication, and leave in another order.
struct Visitors {
    topics: Topics,
    topic: TopicId,
    count: u64,
}

impl Visitors {
    fn new(count: u64) -> Self {
        let mut limits = limits();
        (limits.matches, limits.matches_per_link) = (u32::MAX, u32::MAX);
        let mut topics = Topics::new(1, limits);
        let topic = topics.declare(TOPIC, Kind::State).expect("room");
        Self { topics, topic, count }
    }

    fn come_and_leave(&mut self) {
        for number in 0..self.count {
            let id = ExchangeId::from_number(number);
            self.topics.subscribe(LinkId(1), id, black_box(TOPIC), None).expect("room");
        }
        self.topics.publish(self.topic, &BODY).expect("room");
        for number in 0..self.count {
            // A prime that divides none of the counts, so that each leaves once and few that stand at an end.
            let id = ExchangeId::from_number(number * 6_007 % self.count);
            assert!(self.topics.unsubscribe(LinkId(1), id).is_some());
        }
    }
}

/// So many subscriptions of one link, all of which wait for credit.
fn stalled(count: u64) -> Topics {
    let Visitors { mut topics, topic, .. } = Visitors::new(count);
    for number in 0..count {
        topics.subscribe(LinkId(1), ExchangeId::from_number(number), TOPIC, None).expect("room");
    }
    topics.publish(topic, &BODY).expect("room");
    topics.pump(LinkId(1), |_| Verdict::NoCredit);
    topics
}

/// What each turn of a link does; then one of its subscriptions gets credit, but not enough.
fn take_a_turn(topics: &mut Topics) {
    topics.pump(black_box(LinkId(1)), |offer| panic!("nothing new: {offer:?}"));
    topics.credited(LinkId(1), black_box(ExchangeId::from_number(5)));
    let mut asked = 0;
    topics.pump(LinkId(1), |_| {
        asked += 1;
        Verdict::NoCredit
    });
    assert_eq!(asked, 1);
}

fn tables(c: &mut Criterion) {
    for count in [10, 10_000] {
        let mut topics = subscribed(count);
        c.bench_function(&format!("match_among_{count}"), |b| b.iter(|| find_matching(&mut topics)));
    }
    for links in [1, LINKS] {
        let mut fan_out = FanOut::new(links);
        c.bench_function(&format!("publish_to_{links}"), |b| b.iter(|| fan_out.run_alone()));
    }
}

/// How long each part of a publication takes for each of the links, in nanoseconds: the medians of many.
fn parts() -> [(&'static str, f64); 4] {
    // Always the same, whatever is the default.
    let mut publishers = Publishers::new(Provider::rust_crypto(), LINKS);
    let mut fan_out = FanOut::new(LINKS);
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..101 {
        let begun = Clock::now();
        fan_out.run_alone();
        let table = begun.elapsed();
        let begun = Clock::now();
        for _ in 0..LINKS {
            black_box(name::check_name(black_box(TOPIC))).expect("a name");
        }
        let names = begun.elapsed();
        let begun = Clock::now();
        publishers.queue();
        let queued = begun.elapsed();
        let begun = Clock::now();
        publishers.seal();
        let sealed = begun.elapsed();
        let encoded = queued.saturating_sub(table + names);
        for (times, time) in times.iter_mut().zip([table, names, encoded, sealed]) {
            times.push(time);
        }
    }
    let names = ["table", "name", "encoding and queue", "sealing"];
    let mut times = times.into_iter().map(|mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_nanos() as f64 / LINKS as f64
    });
    names.map(|name| (name, times.next().expect("one for each")))
}

criterion_group!(groups, tables);

fn main() {
    groups();
    Criterion::default().configure_from_args().final_summary();
    // `cargo test --benches` only looks whether everything runs.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (mut few, mut many) = (subscribed(10), subscribed(10_000));
    let matching = ratio(200, || find_matching(&mut many), || find_matching(&mut few));
    println!("ratio matching {matching:.2} (bound {MATCHING_BOUND})");

    let (mut few, mut many) = (Visitors::new(10), Visitors::new(10_000));
    let leaving = ratio(1, || many.come_and_leave(), || (0..1_000).for_each(|_| few.come_and_leave()));
    println!("ratio leaving {leaving:.2} (bound {LEAVING_BOUND})");

    let (mut few, mut many) = (stalled(10), stalled(10_000));
    let turn = ratio(200, || take_a_turn(&mut many), || take_a_turn(&mut few));
    println!("ratio stalled {turn:.2} (bound {STALLED_BOUND})");

    let (mut one, mut all) = (FanOut::new(1), FanOut::new(LINKS));
    let alone = || (0..LINKS).for_each(|_| one.run_alone());
    let publishing = ratio(1, || all.run_alone(), alone);
    println!("ratio publishing {publishing:.2} (bound {PUBLISHING_BOUND})");

    for (part, nanoseconds) in parts() {
        println!("each of {LINKS} subscribers: {part} {nanoseconds:.0} ns");
    }
}
