//! Subscriptions and publications on a connection, by hand and out of a table of topics.  SPEC §10, §13, §14

mod common;

use common::attacker::Knobs;
use common::cbor::message;
use common::hostile::Hostile;
use common::topics::pump;
use common::{Happened, Pair, device_with};
use symbolon::name::NameError;
use symbolon::{
    CloseReason, Connection, ExchangeId, Failure, Kind, LinkId, Missed, Outgoing, Overflow, PeerMisbehaved,
    Point, Role, SendError, Status, TopicLimits, Topics,
};

const WINDOW: u32 = 10_000;
/// SPEC §9: the flags of a publication and of a continuation.
const MORE: u64 = 1;
const UNKNOWN: u64 = 2;
const ABORT: u64 = 2;
const RETAINED: u64 = 4;

fn outgoing<'a>(topic: &'a str, sequence: u64, body: &'a [u8]) -> Outgoing<'a> {
    Outgoing { topic, point: Point { epoch: 1, sequence }, missed: Missed::NONE, retained: false, body }
}

/// `a` subscribes at `b`, which accepts: the ids at both sides.
fn subscribed(pair: &mut Pair, filter: &str, window: u32) -> (ExchangeId, ExchangeId) {
    let ours = pair.a.subscribe(filter, window, None).unwrap();
    let Some(Happened::Subscribe { id, .. }) = pair.events_b().pop() else { panic!("nobody subscribed") };
    pair.b.accept_subscription(id).unwrap();
    assert_eq!(pair.events_a(), [Happened::Subscribed(ours)]);
    (ours, id)
}

/// The victim subscribes at the attacker with exchange 1, which stands where `accepted`.
fn publisher(filter: &str, window: u32, accepted: bool) -> (Hostile, ExchangeId) {
    let mut peer = Hostile::dialled();
    let id = peer.victim.connection.subscribe(filter, window, None).unwrap();
    assert_eq!(peer.heard(), message::subscribe(1, window.into(), filter, None));
    if accepted {
        assert_eq!(peer.tell(&message::response(1, 0, 1, b"")), [Happened::Subscribed(id)]);
    }
    (peer, id)
}

/// Sends what ends a connection with an open subscription of the victim's.
#[track_caller]
fn breaks(peer: &mut Hostile, id: ExchangeId, bad: &[u8], reason: PeerMisbehaved) {
    peer.say(bad);
    let end = CloseReason::Misbehaved(reason);
    assert_eq!(
        peer.victim.events(),
        [Happened::Failed(id, Failure::Disconnected), Happened::Closed(end)],
        "{bad:02x?}"
    );
    assert_eq!(peer.heard(), message::close(33));
}

/// SPEC §14.1: each field of a subscription and of a publication arrives as it was sent, at its limits too.
#[test]
fn each_field_arrives() {
    let mut pair = Pair::connected();
    let from = Point { epoch: u32::MAX, sequence: u64::MAX };
    let ours = pair.a.subscribe("a/b", WINDOW, Some(from)).unwrap();
    let events = pair.events_b();
    let [Happened::Subscribe { id, filter, from: resumed }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((filter.as_str(), *resumed), ("a/b", Some(from)));
    pair.b.accept_subscription(*id).unwrap();
    let publication = Outgoing {
        topic: "a/b",
        point: from,
        missed: Missed { count: u32::MAX, unknown: true },
        retained: true,
        body: b"",
    };
    pair.b.publish(*id, &publication).unwrap();
    let cost = message::publication(2, u64::from(u32::MAX), 6, "a/b", u64::MAX, b"", None).len() as u32 + 4;
    assert_eq!(
        pair.events_a(),
        [
            Happened::Subscribed(ours),
            Happened::Publication {
                id: ours,
                topic: "a/b".into(),
                point: from,
                missed: publication.missed,
                retained: true,
                body: vec![],
                cost,
                total: None
            }
        ]
    );
}

/// EXC-8, EXC-9, R12: subscriptions have a limit of their own at both sides, and the first one beyond it ends the
/// connection.
#[test]
fn no_more_subscriptions_than_allowed() {
    for (own, peers) in [(2, 3), (3, 2), (0, 1), (1, 0)] {
        let a = device_with(1, |limits, _| limits.subscriptions_out = own);
        let b = device_with(2, |limits, _| limits.subscriptions_in = peers);
        let mut pair = Pair::connected_of(&a, &b);
        let ids: Vec<_> = (0..own.min(peers)).map(|_| pair.a.subscribe("t", 0, None).unwrap()).collect();
        let refused = if ids.is_empty() { SendError::NoneTaken } else { SendError::TooMany };
        assert_eq!(pair.a.subscribe("t", 0, None), Err(refused));
        pair.a.request(pair.now, "m", b"", None).unwrap();
        let Some(id) = ids.first() else { continue };
        pair.settle();
        pair.a.cancel(*id).unwrap();
        assert_eq!(pair.a.subscribe("t", 0, None), Err(SendError::TooMany), "the peer has not ended it yet");
        let unsubscribed = pair.events_b().into_iter().find_map(|event| match event {
            Happened::Unsubscribe(id) => Some(id),
            _ => None,
        });
        pair.b.end_subscription(unsubscribed.unwrap(), Status::CANCELLED).unwrap();
        pair.settle();
        pair.a.subscribe("t", 0, None).unwrap();
    }
    for most in [0, 1, 3] {
        let config = device_with(1, |limits, _| limits.subscriptions_in = most);
        let mut peer = Hostile::of(Role::Initiator, &config, Knobs::default());
        for n in 1..=u64::from(most) {
            peer.subscribe(&message::subscribe(2 * n, 0, "#", None));
        }
        peer.violates(&message::subscribe(100, 0, "#", None), PeerMisbehaved::TooManySubscriptions);
    }
}

/// SPEC §10.2, EXC-10: whatever else than `response` with `more` answers a subscription, ends it.
#[test]
fn any_other_answer_ends_a_subscription() {
    for (answer, status) in [
        (message::response(1, 0, 0, b"ignored"), Status::OK),
        (message::response(1, 3, 0, b""), Status::NOT_FOUND),
        (message::busy(1, 500), Status::UNAVAILABLE),
    ] {
        let (mut peer, id) = publisher("t", WINDOW, false);
        assert_eq!(peer.tell(&answer), [Happened::SubscriptionEnded(id, status)]);
        assert!(peer.victim.connection.is_idle());
    }
    let (mut peer, id) = publisher("t", WINDOW, true);
    assert_eq!(peer.tell(&message::end(1, 10)), [Happened::SubscriptionEnded(id, Status::SUPERSEDED)]);
}

/// SPEC §10.4: the application's ways to refuse, and to end what it accepted; each id is good for one of them.
#[test]
fn a_subscription_is_refused_or_accepted_and_ended() {
    let mut pair = Pair::connected();
    for refuse in [Connection::respond as fn(&mut _, _, _, &[u8]) -> _, |connection, id, status, _| {
        Connection::end_subscription(connection, id, status)
    }] {
        let ours = pair.a.subscribe("t", 0, None).unwrap();
        let Some(Happened::Subscribe { id, .. }) = pair.events_b().pop() else { panic!() };
        assert_eq!(pair.b.publish(id, &outgoing("t", 0, b"")), Err(SendError::UnknownExchange));
        assert_eq!(pair.b.respond_busy(id, std::time::Duration::ZERO), Err(SendError::UnknownExchange));
        refuse(&mut pair.b, id, Status::DENIED, b"").unwrap();
        assert_eq!(pair.b.accept_subscription(id), Err(SendError::UnknownExchange));
        assert_eq!(pair.events_a(), [Happened::SubscriptionEnded(ours, Status::DENIED)]);
    }
    let (ours, theirs) = subscribed(&mut pair, "t", WINDOW);
    assert_eq!(pair.b.accept_subscription(theirs), Err(SendError::UnknownExchange));
    assert_eq!(pair.b.respond(theirs, Status::OK, b""), Err(SendError::UnknownExchange));
    pair.b.publish(theirs, &outgoing("t", 0, b"last")).unwrap();
    pair.b.end_subscription(theirs, Status::SUPERSEDED).unwrap();
    assert_eq!(pair.b.publish(theirs, &outgoing("t", 1, b"")), Err(SendError::UnknownExchange));
    assert_eq!(pair.b.end_subscription(theirs, Status::OK), Err(SendError::UnknownExchange));
    let events = pair.events_a();
    assert!(matches!(&events[0], Happened::Publication { body, .. } if body == b"last"));
    assert_eq!(events[1..], [Happened::SubscriptionEnded(ours, Status::SUPERSEDED)]);
    assert!(pair.a.is_idle() && pair.b.is_idle());
}

/// SPEC §10.4, EXC-13: who unsubscribed hears no more of it, whatever crosses the `cancel`; the publisher still ends.
#[test]
fn what_crosses_an_unsubscribe_is_ignored() {
    let (mut peer, id) = publisher("t", WINDOW, true);
    peer.victim.connection.cancel(id).unwrap();
    assert_eq!(peer.victim.events(), [Happened::Failed(id, Failure::Cancelled)]);
    assert_eq!(peer.heard(), message::cancel(1, 1));
    for crossing in [
        message::publication(1, 3, 0, "t", 0, b"x", None),
        message::missed(1, 0, 1),
        // Of a long one, no part is a violation either.  R14
        message::publication(1, 0, MORE, "t", 1, b"x", Some(3)),
        message::continuation(1, MORE, b"x"),
        message::continuation(1, 0, b"x"),
        message::end(1, 1),
    ] {
        assert_eq!(peer.tell(&crossing), [], "{crossing:02x?}");
        assert!(!peer.victim.is_closed(), "{crossing:02x?}");
    }
    assert!(peer.victim.connection.is_idle());

    // The same where the answer had not come yet.
    let (mut peer, id) = publisher("t", WINDOW, false);
    peer.victim.connection.cancel(id).unwrap();
    peer.victim.events();
    for crossing in [message::response(1, 0, 1, b""), message::end(1, 1)] {
        assert_eq!(peer.tell(&crossing), []);
    }
    assert!(peer.victim.connection.is_idle());
}

/// EXC-6: what the state of a subscription does not allow.
#[test]
fn a_subscription_allows_only_what_publishes() {
    for early in [
        message::publication(1, 0, 0, "t", 0, b"", None),
        message::continuation(1, 0, b""),
        message::missed(1, 0, 1),
        message::end(1, 0),
        message::data(1, b""),
        message::response(1, 3, 1, b""),
    ] {
        let (mut peer, id) = publisher("t", WINDOW, false);
        breaks(&mut peer, id, &early, PeerMisbehaved::State(1));
    }
    for late in [
        message::response(1, 0, 1, b""),
        message::response(1, 0, 0, b""),
        message::busy(1, 0),
        message::data(1, b""),
    ] {
        let (mut peer, id) = publisher("t", WINDOW, true);
        breaks(&mut peer, id, &late, PeerMisbehaved::State(1));
    }
    // The subscriber's own direction ended with the opening.
    for bad in [message::data(2, b""), message::end(2, 0)] {
        let mut peer = Hostile::dialled();
        peer.subscribe(&message::subscribe(2, 100, "t", None));
        peer.violates(&bad, PeerMisbehaved::State(2));
    }
}

/// NAM-1, PUB-4: a filter that is none, and a point to resume from beside a wildcard, get `bad_request` from the
/// connection itself.
#[test]
fn a_bad_filter_is_answered_without_the_application() {
    for (filter, from) in [
        ("", None),
        ("a+", None),
        ("#/a", None),
        ("a/#b", None),
        ("a//b", None),
        ("a/+", Some((1, 1))),
        ("#", Some((0, 0))),
    ] {
        let mut peer = Hostile::dialled();
        assert_eq!(peer.tell(&message::subscribe(2, 100, filter, from)), [], "{filter}");
        assert_eq!(peer.heard(), message::response(2, 5, 0, b""), "{filter}");
        assert!(peer.victim.connection.is_idle());
    }
    let mut peer = Hostile::dialled();
    peer.subscribe(&message::subscribe(2, 100, "a/b", Some((1, 1))));
    // PUB-4 from the other side: it is not even sent.
    let mut pair = Pair::connected();
    let from = Some(Point { epoch: 1, sequence: 1 });
    for filter in ["a/+", "#"] {
        assert_eq!(pair.a.subscribe(filter, 100, from), Err(SendError::PointWithWildcards));
    }
    assert_eq!(pair.a.subscribe("a/#b", 100, from), Err(SendError::Name(NameError::Wildcard)));
    assert_eq!(pair.events_b(), []);
    assert!(pair.a.is_idle());
}

/// NAM-3: a publication's topic is a name, and its subscription's filter matches it.
#[test]
fn a_publication_outside_its_filter_ends_the_connection() {
    for (filter, topic) in [
        ("a/+", "a"),
        ("a/+", "a/b/c"),
        ("a/+", "b/c"),
        ("a/+", "a/+"),
        ("a/+", "a/$x"),
        ("a/#", "ab"),
        ("#", "$sys/x"),
        ("#", "#"),
        ("#", ""),
        ("#", "a//b"),
        ("A", "a"),
    ] {
        let (mut peer, id) = publisher(filter, WINDOW, true);
        let bad = message::publication(1, 0, 0, topic, 0, b"", None);
        breaks(&mut peer, id, &bad, PeerMisbehaved::Topic(1));
    }
    for (filter, topic) in [("a/#", "a"), ("a/+", "a/b"), ("$sys/#", "$sys/x"), ("ä", "ä")] {
        let (mut peer, _) = publisher(filter, WINDOW, true);
        let events = peer.tell(&message::publication(1, 0, 0, topic, 0, b"", None));
        assert!(matches!(&events[..], [Happened::Publication { topic: t, .. }] if t == topic));
    }
}

/// PUB-1: a receiver does not check sequences; it hands them on.
#[test]
fn sequences_are_handed_on_unchecked() {
    let (mut peer, _) = publisher("t", WINDOW, true);
    for sequence in [5, 5, 4, u64::MAX, 0] {
        let events = peer.tell(&message::publication(1, 0, 0, "t", sequence, b"", None));
        let [Happened::Publication { point, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(*point, Point { epoch: 1, sequence });
    }
}

/// PUB-2, PUB-3: what was missed arrives with the next publication, alone, or before the end; a `missed` that says
/// nothing tells nothing.
#[test]
fn what_was_missed_is_told() {
    let (mut peer, id) = publisher("t", WINDOW, true);
    let events = peer.tell(&message::publication(1, 7, UNKNOWN | RETAINED, "t", 0, b"", None));
    let [Happened::Publication { missed, retained: true, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*missed, Missed { count: 7, unknown: true });
    for (flags, count, told) in [
        (0, 3, Some(Missed { count: 3, unknown: false })),
        (UNKNOWN, 0, Some(Missed { count: 0, unknown: true })),
        (0, u64::from(u32::MAX), Some(Missed { count: u32::MAX, unknown: false })),
        (0, 0, None),
    ] {
        let told: Vec<_> = told.map(|missed| Happened::Missed(id, missed)).into_iter().collect();
        assert_eq!(peer.tell(&message::missed(1, flags, count)), told);
    }

    let mut pair = Pair::connected();
    let (ours, theirs) = subscribed(&mut pair, "t", WINDOW);
    let missed = Missed { count: 2, unknown: false };
    pair.b.publish(theirs, &Outgoing { missed, ..outgoing("t", 3, b"") }).unwrap();
    pair.b.publish_missed(theirs, missed).unwrap();
    pair.b.end_subscription(theirs, Status::OK).unwrap();
    assert_eq!(pair.b.publish_missed(theirs, missed), Err(SendError::UnknownExchange));
    let events = pair.events_a();
    assert!(matches!(&events[0], Happened::Publication { missed: of, .. } if *of == missed));
    assert_eq!(events[1..], [Happened::Missed(ours, missed), Happened::SubscriptionEnded(ours, Status::OK)]);
}

/// SPEC §14.5, R4, sentence 10: a publication longer than a frame is discarded and counted, once, whatever its
/// length; what follows it arrives.
#[test]
fn a_long_publication_is_discarded_and_counted() {
    for total in [0, 5, u64::from(u32::MAX), u64::MAX] {
        let (mut peer, id) = publisher("t", WINDOW, true);
        let first = message::publication(1, 4, MORE, "t", 0, b"", Some(total));
        let missed = Missed { count: 5, unknown: false };
        assert_eq!(peer.tell(&first), [Happened::Missed(id, missed)]);
        // Empty chunks are allowed, and `missed` may stand between.
        assert_eq!(peer.tell(&message::continuation(1, MORE, b"")), []);
        let between = Missed { count: 1, unknown: false };
        assert_eq!(peer.tell(&message::missed(1, 0, 1)), [Happened::Missed(id, between)]);
        let last = if total == 5 {
            assert_eq!(peer.tell(&message::continuation(1, MORE, b"12")), []);
            message::continuation(1, 0, b"345")
        } else if total == 0 {
            message::continuation(1, 0, b"")
        } else {
            message::continuation(1, ABORT, b"")
        };
        assert_eq!(peer.tell(&last), []);
        let events = peer.tell(&message::publication(1, 0, 0, "t", 1, b"next", None));
        assert!(matches!(&events[..], [Happened::Publication { body, .. }] if body == b"next"));
    }
    // A count at its limit becomes a lower bound.
    let (mut peer, id) = publisher("t", WINDOW, true);
    let first = message::publication(1, u64::from(u32::MAX), MORE, "t", 0, b"", Some(1));
    assert_eq!(peer.tell(&first), [Happened::Missed(id, Missed { count: u32::MAX, unknown: true })]);
    // `end` aborts.
    assert_eq!(peer.tell(&message::end(1, 0)), [Happened::SubscriptionEnded(id, Status::OK)]);
}

/// PUB-7: what does not fit together ends the connection.
#[test]
fn parts_of_a_long_publication_fit_together() {
    let first = message::publication(1, 0, MORE, "t", 0, b"1", Some(3));
    for (bad, reason) in [
        (message::publication(1, 0, 0, "t", 1, b"", None), PeerMisbehaved::State(1)),
        (message::publication(1, 0, MORE, "t", 1, b"", Some(3)), PeerMisbehaved::State(1)),
        (message::continuation(1, ABORT | MORE, b""), PeerMisbehaved::AbortForm),
        (message::continuation(1, ABORT, b"1"), PeerMisbehaved::AbortForm),
        (message::continuation(1, MORE, b"234"), PeerMisbehaved::Chunks(1)),
        (message::continuation(1, 0, b"234"), PeerMisbehaved::Chunks(1)),
        (message::continuation(1, 0, b"2"), PeerMisbehaved::Chunks(1)),
        (message::continuation(1, 0, b""), PeerMisbehaved::Chunks(1)),
    ] {
        let (mut peer, id) = publisher("t", WINDOW, true);
        assert_eq!(peer.tell(&first).len(), 1);
        breaks(&mut peer, id, &bad, reason);
    }
    for (bad, reason) in [
        (message::continuation(1, 0, b""), PeerMisbehaved::State(1)),
        (message::continuation(1, MORE, b""), PeerMisbehaved::State(1)),
        (message::continuation(1, ABORT, b""), PeerMisbehaved::State(1)),
        (message::publication(1, 0, MORE, "t", 0, b"1234", Some(3)), PeerMisbehaved::Chunks(1)),
    ] {
        let (mut peer, id) = publisher("t", WINDOW, true);
        breaks(&mut peer, id, &bad, reason);
        // Also once one has ended.
        let (mut peer, id) = publisher("t", WINDOW, true);
        peer.tell(&first);
        assert_eq!(peer.tell(&message::continuation(1, 0, b"23")), []);
        breaks(&mut peer, id, &bad, reason);
    }
}

/// R4: what is discarded gives its credit back, so a publisher may go on for ever and holds nothing here.
#[test]
fn discarding_gives_credit_back_and_holds_no_memory() {
    let (mut peer, _) = publisher("t", 1_000, true);
    let first = message::publication(1, 0, MORE, "t", 0, b"", Some(u64::MAX));
    peer.tell(&first);
    let chunk = message::continuation(1, MORE, &[7; 400]);
    let before = peer.victim.connection.buffered();
    let (mut spent, mut limit) = (first.len(), 1_000);
    for _ in 0..2_000 {
        spent += chunk.len();
        assert!(spent <= limit, "the credit comes back in time");
        assert_eq!(peer.tell(&chunk), []);
        let heard = peer.heard();
        if !heard.is_empty() {
            limit = 1_000 + spent;
            assert_eq!(heard, message::credit(1, limit as u64));
        }
    }
    assert!(spent > 800_000);
    assert!(peer.victim.connection.buffered() <= before + 1_024);
}

/// What a subscriber got: of each publication its body and what was missed before it.
fn got(events: &[Happened]) -> Vec<(Vec<u8>, u32)> {
    let publication = |event: &Happened| match event {
        Happened::Publication { body, missed, .. } => Some((body.clone(), missed.count)),
        _ => None,
    };
    events.iter().filter_map(publication).collect()
}

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
