//! What a publication says, and what was missed before it.  SPEC §13, §14

use symbolon::{Missed, Outgoing, PeerMisbehaved, Point, SendError, Status};

use crate::common::cbor::message;
use crate::common::{Happened, Pair};
use crate::{RETAINED, UNKNOWN, WINDOW, breaks, outgoing, publisher, subscribed};

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
