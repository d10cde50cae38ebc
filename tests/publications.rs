//! What a subscriber gets of a device's topics, over a connection: by each policy, each form of filter, and at the
//! limits.  SPEC §13, §14

mod common;

use common::attacker::Knobs;
use common::cbor::message;
use common::hostile::Hostile;
use common::topics::Publisher;
use common::{Happened, Pair, device_with};
use symbolon::name::{self, NameError};
use symbolon::{
    DeclareError, ExchangeId, Kind, LinkId, Missed, Outgoing, Overflow, PeerMisbehaved, Point, PublishError,
    Role, SendError, Status, TopicLimits,
};

const WIDE: u32 = 1_000_000;

const fn event(depth: u32, overflow: Overflow) -> Kind {
    Kind::Event { depth, overflow }
}

fn publisher() -> Publisher {
    Publisher::new(1, Pair::connected())
}

/// What one publication of the tests here costs of a window: a topic of one letter, a body of one byte, and numbers
/// below 24.
fn cost_of_one() -> u32 {
    message::publication(2, 0, 0, "t", 0, b"x", None).len() as u32
}

/// Of each publication its first byte, what was missed before it, and whether it was retained; what else was told.
fn got(events: &[Happened]) -> Vec<(Option<u8>, Missed)> {
    let one = |event: &Happened| match event {
        Happened::Publication { body, missed, .. } => Some((body.first().copied(), *missed)),
        Happened::Missed(_, missed) => Some((None, *missed)),
        Happened::Subscribed(_) => None,
        other => panic!("{other:?}"),
    };
    events.iter().filter_map(one).collect()
}

fn told(body: u8, count: u32) -> (Option<u8>, Missed) {
    (Some(body), Missed { count, unknown: false })
}

/// PUB-1, PUB-2: a subscriber with credit for two gets these two; of ten, its queue holds three, which ones the policy
/// says; the other five are counted in the next that it gets, and nothing after.
#[test]
fn each_policy_counts_exactly_what_it_drops() {
    let cases = [
        (Overflow::DropOldest, [told(7, 5), told(8, 0), told(9, 0)]),
        (Overflow::DropNewest, [told(2, 5), told(3, 0), told(4, 0)]),
    ];
    for (overflow, late) in cases {
        let mut publisher = publisher();
        let topic = publisher.topics.declare("t", event(3, overflow)).unwrap();
        let id = publisher.subscribe("t", 2 * cost_of_one(), None);
        publisher.settle();
        for n in 0..10 {
            publisher.publish(topic, &[n]).unwrap();
        }
        assert_eq!(got(&publisher.events()), [told(0, 0), told(1, 0)], "{overflow:?}");
        publisher.pair.a.release(id, 2 * cost_of_one()).unwrap();
        let mut events = publisher.events();
        publisher.pair.a.release(id, 2 * cost_of_one()).unwrap();
        events.extend(publisher.events());
        assert_eq!(got(&events), late, "{overflow:?}");
        publisher.publish(topic, &[10]).unwrap();
        assert_eq!(got(&publisher.events()), [told(10, 0)], "{overflow:?}");
        // PUB-3: what waits when it ends is told before.
        publisher.pair.a.release(id, 2 * cost_of_one()).unwrap();
        publisher.settle();
        for n in 11..16 {
            publisher.publish(topic, &[n]).unwrap();
        }
        assert_eq!(got(&publisher.events()), [told(11, 0), told(12, 0)], "{overflow:?}");
        publisher.end(id, Status::SUPERSEDED);
        let left = Missed { count: 3, unknown: false };
        let end = [Happened::Missed(id, left), Happened::SubscriptionEnded(id, Status::SUPERSEDED)];
        assert_eq!(publisher.events(), end, "{overflow:?}");
    }
}

/// SPEC §14.2: a topic that refuses loses nothing and skips no number; who publishes waits for the slowest.
#[test]
fn a_topic_that_refuses_loses_nothing() {
    let mut publisher = publisher();
    let topic = publisher.topics.declare("t", event(3, Overflow::Refuse)).unwrap();
    let slow = publisher.subscribe("t", 2 * cost_of_one(), None);
    let fast = publisher.subscribe("#", WIDE, None);
    publisher.settle();
    let (mut of_slow, mut of_fast) = (Vec::new(), Vec::new());
    let mut refused = 0;
    let mut next = 0;
    while next < 20 {
        match publisher.publish(topic, &[next]) {
            Ok(point) => {
                assert_eq!(point.sequence, next.into());
                next += 1;
            }
            Err(error) => {
                assert_eq!(error, PublishError::QueueFull);
                refused += 1;
                publisher.pair.a.release(slow, 2 * cost_of_one()).unwrap();
            }
        }
        for event in publisher.events() {
            match &event {
                Happened::Publication { id, .. } if *id == fast => of_fast.extend(got(&[event])),
                _ => of_slow.extend(got(&[event])),
            }
        }
    }
    let all: Vec<_> = (0..20).map(|n| told(n, 0)).collect();
    assert_eq!(of_fast, all);
    assert_eq!(of_slow, all[..of_slow.len()]);
    assert!(of_slow.len() >= 15 && refused > 3, "{} {refused}", of_slow.len());
}

/// PUB-2, SPEC §14.2: a state that changes a thousand times for each look at it costs nobody more than its latest
/// value, which always arrives; what it replaced is counted.
#[test]
fn a_state_faster_than_its_readers_arrives_with_its_last_value() {
    let mut publisher = publisher();
    let topic = publisher.topics.declare("t", Kind::State).unwrap();
    let other = publisher.topics.declare("o", Kind::State).unwrap();
    let id = publisher.subscribe("#", 64, None);
    publisher.settle();
    let (mut total, mut settled) = (0_u32, 0);
    for round in 0..50_u8 {
        for _ in 0..1_000 {
            publisher.publish(topic, &[round]).unwrap();
        }
        publisher.publish(other, &[round]).unwrap();
        total += 1_001;
        let mut last = [None, None];
        // Until nothing more comes, whatever is read.
        loop {
            let events = publisher.events();
            let mut costs = 0;
            for event in events {
                let Happened::Publication { topic, missed, body, cost, .. } = event else { continue };
                assert!(!missed.unknown);
                settled += 1 + missed.count;
                costs += cost;
                last[usize::from(topic == "o")] = Some(body[0]);
            }
            if costs == 0 {
                break;
            }
            publisher.pair.a.release(id, costs).unwrap();
        }
        assert_eq!(last, [Some(round), Some(round)]);
        assert_eq!(settled, total);
    }
}

/// PUB-5: a publisher that starts again has another epoch; whoever goes on where it was is told that nobody knows what
/// it missed, whether the topic is back already or comes later, and then loses nothing.
#[test]
fn a_publisher_that_starts_again_is_told_from_one_that_did_not() {
    let kind = event(4, Overflow::DropOldest);
    let mut publisher = publisher();
    let topic = publisher.topics.declare("t", kind).unwrap();
    publisher.subscribe("t", WIDE, None);
    publisher.settle();
    publisher.publish(topic, &[0]).unwrap();
    let events = publisher.events();
    let Some(Happened::Publication { point, .. }) = events.last() else { panic!("{events:?}") };
    let from = Some(*point);

    // It did not start again: one came meanwhile, and nothing is missed.
    publisher.publish(topic, &[1]).unwrap();
    publisher.reconnect();
    publisher.subscribe("t", WIDE, from);
    assert_eq!(got(&publisher.events()), [told(1, 0)]);

    let unknown = Missed { count: 0, unknown: true };
    // It did, and has published as often as before.
    let mut again = Publisher::new(2, Pair::connected());
    let topic = again.topics.declare("t", kind).unwrap();
    again.publish(topic, &[5]).unwrap();
    again.publish(topic, &[6]).unwrap();
    again.subscribe("t", WIDE, from);
    assert_eq!(got(&again.events()), [(Some(5), unknown), told(6, 0)]);
    again.publish(topic, &[7]).unwrap();
    assert_eq!(got(&again.events()), [told(7, 0)]);

    // It did, and has nothing yet: told at once, not with what may never come.
    for declared in [true, false] {
        let mut again = Publisher::new(3, Pair::connected());
        if declared {
            again.topics.declare("t", kind).unwrap();
        }
        again.subscribe("t", WIDE, from);
        assert_eq!(got(&again.events()), [(None, unknown)]);
        let topic = again.topics.declare("t", kind).unwrap();
        again.publish(topic, &[8]).unwrap();
        assert_eq!(got(&again.events()), [told(8, 0)]);
    }
}

/// NAM-3, SPEC §13: each form of filter gets the topics that it matches and no others, whether they were there before
/// or came after; nothing is published below `$`.
#[test]
fn each_filter_gets_what_it_matches() {
    let names = ["a", "a/b", "a/b/c", "a/d/c", "b", "b/c", "ab", "a b", "x$/a", "é/b"];
    let filters = [
        ("#", 10),
        ("+", 4),
        ("+/+", 4),
        ("+/+/+", 2),
        ("+/#", 10),
        ("a", 1),
        ("a/#", 4),
        ("a/+", 1),
        ("a/b/#", 2),
        ("a/+/c", 2),
        ("a/+/#", 3),
        ("+/b", 2),
        ("+/b/+", 1),
        ("+/c", 1),
        ("x$/+", 1),
        ("é/#", 1),
        ("a/b/c/#", 1),
        ("a/b/c/+", 0),
        ("A", 0),
        ("$sys/#", 0),
        ("$sys/x", 0),
        ("+/$x", 0),
    ];
    let mut publisher = publisher();
    let mut topics = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        if at == 5 {
            for (filter, _) in filters {
                publisher.subscribe(filter, WIDE, None);
            }
            publisher.settle();
        }
        topics.push(publisher.topics.declare(name, event(1, Overflow::DropOldest)).unwrap());
    }
    for reserved in ["$sys", "$sys/x", "a/$x"] {
        assert_eq!(publisher.topics.declare(reserved, Kind::State), Err(DeclareError::Reserved));
    }
    let mut counts = [0; 22];
    for (topic, name) in topics.into_iter().zip(names) {
        publisher.publish(topic, b"").unwrap();
        for event in publisher.events() {
            let Happened::Publication { id, topic, missed: Missed::NONE, .. } = event else { continue };
            assert_eq!(topic, name);
            let of = (id.number() / 2 - 1) as usize;
            assert!(name::matches(filters[of].0, name), "{} {name}", filters[of].0);
            counts[of] += 1;
        }
    }
    assert_eq!(counts, filters.map(|(_, count)| count));
    assert!(!publisher.pair.a.is_closed());
}

/// SPEC §13: a wildcard never matches a level that begins with `$`, at the publisher's end nor at the subscriber's,
/// which takes a publication of such a topic only where it named that level.
#[test]
fn no_wildcard_gets_what_is_reserved() {
    for (filter, topic, fits) in [
        ("#", "$sys/x", false),
        ("+/x", "$sys/x", false),
        ("a/#", "a/$x", false),
        ("$sys/+", "$sys/$x", false),
        ("$sys/#", "$sys/x/$y", false),
        ("$sys/#", "$sys/x", true),
        ("$sys/$x/+", "$sys/$x/y", true),
    ] {
        let mut pair = Pair::connected();
        pair.a.subscribe(filter, WIDE, None).unwrap();
        let Some(Happened::Subscribe { id, .. }) = pair.events_b().pop() else { panic!("nobody subscribed") };
        pair.b.accept_subscription(id).unwrap();
        let point = Point { epoch: 1, sequence: 0 };
        let outgoing = Outgoing { topic, point, missed: Missed::NONE, retained: false, body: b"" };
        pair.b.publish(id, &outgoing).unwrap();
        let events = pair.events_a();
        let came = events.iter().any(|event| matches!(event, Happened::Publication { .. }));
        assert_eq!((came, pair.a.is_closed()), (fits, !fits), "{filter} {topic}");
    }
}

/// NAM-1, NAM-2: 128 bytes are a name and a filter, all the way; 129 are refused where they are said, before anything
/// is sent.
#[test]
fn names_of_128_bytes_and_of_129() {
    let longest = ["n".repeat(128), vec!["n"; 64].join("/") + "n", "é".repeat(64)];
    for name in &longest {
        assert_eq!(name.len(), 128);
        let mut publisher = publisher();
        let topic = publisher.topics.declare(name, Kind::State).unwrap();
        publisher.subscribe(name, WIDE, None);
        publisher.settle();
        publisher.publish(topic, b"!").unwrap();
        let events = publisher.events();
        assert!(matches!(&events[..], [.., Happened::Publication { topic, .. }] if topic == name));

        let longer = format!("{name}n");
        let link = LinkId(7);
        let id = ExchangeId::from_number(2);
        assert_eq!(
            publisher.topics.declare(&longer, Kind::State),
            Err(DeclareError::Name(NameError::TooLong))
        );
        assert_eq!(publisher.topics.subscribe(link, id, &longer, None), Err(Status::BAD_REQUEST));
        assert_eq!(publisher.topics.find(&longer), None);
        let too_long = Err(SendError::Name(NameError::TooLong));
        assert_eq!(publisher.pair.a.subscribe(&longer, WIDE, None), too_long);
        let point = Point { epoch: 1, sequence: 0 };
        let outgoing = Outgoing { topic: &longer, point, missed: Missed::NONE, retained: false, body: b"" };
        assert_eq!(publisher.pair.b.publish(id, &outgoing), too_long.map(|_: ExchangeId| ()));
    }
    let filters = ["+/".repeat(63) + "++", "+/".repeat(63) + "nn", "+/".repeat(63) + "#"];
    for (filter, stands) in filters.iter().zip([false, true, true]) {
        let mut peer = Hostile::dialled();
        let events = peer.tell(&message::subscribe(2, 0, filter, None));
        assert_eq!(matches!(&events[..], [Happened::Subscribe { .. }]), stands, "{filter}");
        assert!(!peer.victim.is_closed());
    }
}

/// SPEC §10.3: a peer that opens ten thousand subscriptions gets as many as the table has room for and `unavailable`
/// for the rest, on a connection that goes on; what it gives back it can have again.
#[test]
fn ten_thousand_subscriptions_of_one_peer() {
    let many = 10_000;
    let mut room = TopicLimits::default();
    room.subscriptions_per_link = many.into();
    for (limits, most) in [(TopicLimits::default(), 256), (room, usize::from(many))] {
        let a = device_with(1, |limits, _| limits.subscriptions_out = many);
        let b = device_with(2, |limits, _| limits.subscriptions_in = many);
        let mut publisher = Publisher::with(1, limits, Pair::connected_of(&a, &b));
        let topic = publisher.topics.declare("t", Kind::State).unwrap();
        let (mut stood, mut refused) = (Vec::new(), 0);
        for n in 0..many {
            // A tenth matches the topic, in each way.
            let filter = match n % 30 {
                0 => "t".to_owned(),
                1 => "#".to_owned(),
                2 => "+".to_owned(),
                _ => format!("x/{n}/+"),
            };
            publisher.subscribe(&filter, 500, None);
            for event in publisher.events() {
                match event {
                    Happened::Subscribed(id) => stood.push(id),
                    Happened::SubscriptionEnded(_, Status::UNAVAILABLE) => refused += 1,
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!((stood.len(), refused), (most, usize::from(many) - most));
        publisher.publish(topic, b"!").unwrap();
        let told = publisher.events().len();
        assert_eq!(told, (0..most).filter(|n| n % 30 < 3).count());
        for id in &stood {
            publisher.pair.a.cancel(*id).unwrap();
            publisher.settle();
        }
        publisher.events();
        assert!(publisher.pair.a.is_idle() && publisher.pair.b.is_idle());
        let again = publisher.subscribe("t", 500, None);
        assert_eq!(publisher.events()[0], Happened::Subscribed(again));
    }
}

/// EXC-9: one beyond what was declared ends the connection, also where that is many.
#[test]
fn the_ten_thousand_and_first_is_a_violation() {
    let config = device_with(1, |limits, _| limits.subscriptions_in = 10_000);
    let mut peer = Hostile::of(Role::Initiator, &config, Knobs::default());
    for hundred in 0..100_u64 {
        let ids = (1..=100).map(|n| 2 * (100 * hundred + n));
        let openings: Vec<_> = ids.map(|id| message::subscribe(id, 0, "+/#", None)).collect();
        assert_eq!(peer.tell(&openings.concat()).len(), 100);
    }
    peer.violates(&message::subscribe(20_002, 0, "t", None), PeerMisbehaved::TooManySubscriptions);
}
