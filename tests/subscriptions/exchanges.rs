//! A subscription as an exchange: opened, refused, accepted, ended.  SPEC §10

use symbolon::name::NameError;
use symbolon::{Connection, Failure, PeerMisbehaved, Point, Role, SendError, Status};

use crate::common::attacker::Knobs;
use crate::common::cbor::message;
use crate::common::hostile::Hostile;
use crate::common::{Happened, Pair, device_with};
use crate::{MORE, WINDOW, breaks, outgoing, publisher, subscribed};

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
