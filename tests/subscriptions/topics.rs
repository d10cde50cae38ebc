//! Publications out of a table of topics.  SPEC §14

use symbolon::{Kind, LinkId, Missed, Overflow, Point, Status, TopicLimits, Topics};

use crate::common::topics::pump;
use crate::common::{Happened, Pair};
use crate::{WINDOW, subscribed};

/// PUB-2, PUB-3, R12, sentence 10: a subscriber that reads nothing loses publications of its own; with those it
/// gets, the numbers of those it missed add up to what was published.  Another on the same link loses nothing.
#[test]
fn what_a_slow_subscriber_misses_adds_up() {
    let link = LinkId(1);
    let mut topics = Topics::new(1, TopicLimits::default());
    let topic = topics.declare("t", Kind::Event { depth: 4, overflow: Overflow::DropOldest }).unwrap();
    let mut pair = Pair::connected();
    let (slow, slow_at_b) = subscribed(&mut pair, "t", 60);
    let (fast, fast_at_b) = subscribed(&mut pair, "#", 1_000_000);
    topics.subscribe(link, slow_at_b, "t", None).unwrap();
    topics.subscribe(link, fast_at_b, "#", None).unwrap();

    let (mut slow_got, mut fast_got, mut costs) = (0, 0, 0);
    for n in 0..100_u8 {
        topics.publish(topic, &[n]).unwrap();
        pump(&mut topics, link, &mut pair.b);
        for event in pair.events_a() {
            let Happened::Publication { id, missed, cost, .. } = event else { panic!("{event:?}") };
            if id == slow {
                slow_got += 1 + missed.count;
                costs += cost;
            } else {
                assert_eq!((id, missed), (fast, Missed::NONE));
                fast_got += 1;
            }
        }
        if n % 40 == 39 {
            // It has woken up for once.
            pair.a.release(slow, costs).unwrap();
            costs = 0;
            pair.settle();
        }
    }
    assert_eq!(fast_got, 100);
    assert!((1..100).contains(&slow_got), "{slow_got}");
    // PUB-3: what is left to tell goes before the end, with what still waits.
    pair.a.cancel(slow).unwrap();
    let missed = topics.unsubscribe(link, slow_at_b).unwrap();
    assert_eq!(slow_got + missed.count, 100);
    assert!(!missed.unknown);
    pair.b.publish_missed(slow_at_b, missed).unwrap();
    pair.b.end_subscription(slow_at_b, Status::CANCELLED).unwrap();
    pair.settle();
    assert!(!pair.a.is_closed());
}

/// SPEC §14.2: a state's latest value arrives on subscribing, marked; PUB-5: who resumes at a point of this epoch
/// gets what came after it, and who comes with another epoch is told that nobody knows.
#[test]
fn topics_are_resumed_over_a_connection() {
    let link = LinkId(1);
    let mut topics = Topics::new(1, TopicLimits::default());
    let state = topics.declare("state", Kind::State).unwrap();
    let events = topics.declare("event", Kind::Event { depth: 3, overflow: Overflow::DropOldest }).unwrap();
    topics.publish(state, b"old").unwrap();
    topics.publish(state, b"new").unwrap();
    for n in 0..6_u8 {
        topics.publish(events, &[n]).unwrap();
    }
    let mut run = |filter: &str, from: Option<Point>| {
        let mut pair = Pair::connected();
        pair.a.subscribe(filter, WINDOW, from).unwrap();
        let Some(Happened::Subscribe { id, filter, from }) = pair.events_b().pop() else { panic!() };
        topics.subscribe(link, id, &filter, from).unwrap();
        pair.b.accept_subscription(id).unwrap();
        pump(&mut topics, link, &mut pair.b);
        topics.drop_link(link);
        pair.events_a().split_off(1)
    };
    let events = run("state", None);
    assert!(
        matches!(&events[..], [Happened::Publication { retained: true, body, .. }] if body == b"new"),
        "{events:?}"
    );
    assert_eq!(run("state", Some(Point { epoch: 1, sequence: 1 })), []);
    let at = |sequence| Some(Point { epoch: 1, sequence });
    assert_eq!(got(&run("event", at(3))), [(vec![4], 0), (vec![5], 0)]);
    assert_eq!(got(&run("event", at(0))), [(vec![3], 2), (vec![4], 0), (vec![5], 0)]);
    for from in [Point { epoch: 2, sequence: 3 }, Point { epoch: 1, sequence: 6 }] {
        let events = run("event", Some(from));
        let Happened::Publication { missed, .. } = &events[0] else { panic!("{events:?}") };
        assert!(missed.unknown, "{events:?}");
        assert_eq!(got(&events).len(), 3);
    }
    // The topic is gone with the publisher's restart: told by a message of its own.
    let events = run("gone", at(0));
    assert!(matches!(&events[..], [Happened::Missed(_, Missed { unknown: true, .. })]), "{events:?}");
}

/// What a subscriber got: of each publication its body and what was missed before it.
fn got(events: &[Happened]) -> Vec<(Vec<u8>, u32)> {
    let publication = |event: &Happened| match event {
        Happened::Publication { body, missed, .. } => Some((body.clone(), missed.count)),
        _ => None,
    };
    events.iter().filter_map(publication).collect()
}
