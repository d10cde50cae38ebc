//! The table of topics.

use symbolon::{ExchangeId, Kind, LinkId, Offer, Overflow, TopicLimits, Topics, Verdict};

use super::common::meter::{metered, reset, usage};

/// Sentence 7: nor is anything for each publication in the table of topics, whoever is slow.
#[test]
fn nothing_is_allocated_per_publication() {
    let mut topics = Topics::new(1, TopicLimits::default());
    let state = topics.declare("state", Kind::State).expect("room");
    let kind = Kind::Event { depth: 4, overflow: Overflow::DropOldest };
    let event = topics.declare("event", kind).expect("room");
    for link in 0..10 {
        for (id, filter) in [(2, "#"), (4, "event"), (6, "state")] {
            topics.subscribe(LinkId(link), ExchangeId::from_number(id), filter, None).expect("room");
        }
    }
    let mut woken = Vec::with_capacity(10);
    let (mut asked, mut sent) = (0_u32, 0);
    let mut round = |topics: &mut Topics| {
        topics.publish(state, &[7; 100]).expect("room");
        topics.publish(event, &[7; 100]).expect("room");
        woken.extend(topics.wake());
        for link in woken.drain(..) {
            topics.pump(link, |_| {
                asked += 1;
                match asked % 7 {
                    0 => Verdict::Full,
                    1 | 4 => Verdict::NoCredit,
                    2 => Verdict::TooLarge,
                    _ => {
                        sent += 1;
                        Verdict::Sent
                    }
                }
            });
        }
    };
    for _ in 0..64 {
        round(&mut topics);
    }
    reset();
    metered(|| (0..1_000).for_each(|_| round(&mut topics)));
    assert_eq!((usage().count, usage().live), (0, 0));
    assert!(sent > 10_000, "{sent}");
}

/// Sentence 7: nor for each part that the table hands out, given up or not.
#[test]
fn nothing_is_allocated_per_part_of_the_table() {
    let mut topics = Topics::new(1, TopicLimits::default());
    let state = topics.declare("state", Kind::State).expect("room");
    for link in 0..10 {
        topics.subscribe(LinkId(link), ExchangeId::from_number(2), "#", None).expect("room");
    }
    let body = vec![7; 100_000];
    let (mut asked, mut parts, mut aborted) = (0_u32, 0, 0);
    let mut round = |topics: &mut Topics| {
        topics.publish(state, &body).expect("room");
        for link in 0..10 {
            topics.credited(LinkId(link), ExchangeId::from_number(2));
            topics.pump(LinkId(link), |offer| {
                asked += 1;
                match offer {
                    Offer::Abort { .. } => aborted += 1,
                    _ if asked % 5 == 0 || link % 3 == 2 && asked % 2 == 0 => return Verdict::NoCredit,
                    _ => parts += 1,
                }
                Verdict::Part(16_000)
            });
            if link % 3 == 2 {
                // It stalls again.
                topics.publish(state, &body).expect("room");
                topics.pump(LinkId(link), |_| Verdict::NoCredit);
                topics.publish(state, &body).expect("room");
            }
        }
    };
    for _ in 0..64 {
        round(&mut topics);
    }
    reset();
    metered(|| (0..200).for_each(|_| round(&mut topics)));
    assert_eq!((usage().count, usage().live), (0, 0));
    assert!(parts > 5_000 && aborted > 100, "{parts} {aborted}");
}

/// Sentences 4 and 7: what a peer's subscriptions cost is bounded, however long and many their filters are, and comes back
/// when they end.
#[test]
fn subscriptions_cost_little_and_give_it_back() {
    let many = 10_000;
    let mut limits = TopicLimits::default();
    (limits.subscriptions, limits.subscriptions_per_link) = (many, many);
    (limits.matches, limits.matches_per_link) = (many, many);
    reset();
    let mut topics = metered(|| Topics::new(1, limits));
    let topic = metered(|| topics.declare("t", Kind::State)).expect("room");
    metered(|| topics.publish(topic, b"!")).expect("room");
    let before = usage().live;
    // 64 levels, no two filters alike and none of them a prefix of many: the worst for a tree of levels.
    let deep = |n: u32| {
        let level = |at: u32| if n >> (at % 16) & 1 == 0 { "+" } else { "x" };
        (0..63).map(level).collect::<Vec<_>>().join("/") + "/" + &format!("{:02}", n % 100)
    };
    for (round, filter) in [&deep as &dyn Fn(u32) -> String, &|_| "#".to_owned()].into_iter().enumerate() {
        for order in [|n| n, |n| 9_999 - n] {
            for n in 0..many {
                let (id, filter) = (ExchangeId::from_number(n.into()), filter(n));
                assert!(filter.len() <= 128);
                metered(|| topics.subscribe(LinkId(1), id, &filter, None)).expect("room");
            }
            let each = (usage().live - before) / many as isize;
            println!("filters of kind {round}: {each} B for each subscription");
            assert!(each <= 1_024, "{each}");
            for n in 0..many {
                let id = ExchangeId::from_number(u64::from(order(n)));
                metered(|| topics.unsubscribe(LinkId(1), id));
            }
            assert_eq!(usage().live, before);
        }
    }
}
