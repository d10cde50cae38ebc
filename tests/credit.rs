//! Credit: what a publisher may send, and what a subscriber lets it.  SPEC §11

mod common;

use common::cbor::message;
use common::hostile::Hostile;
use common::{Happened, Pair, device_with};
use proptest::prelude::*;
use symbolon::{
    CloseReason, ExchangeId, Failure, Missed, Outgoing, PeerMisbehaved, Point, Role, SendError, Status,
};

fn outgoing(body: &[u8]) -> Outgoing<'_> {
    Outgoing {
        topic: "t",
        point: Point { epoch: 1, sequence: 0 },
        missed: Missed::NONE,
        retained: false,
        body,
    }
}

/// What a publication of the attacker's costs.
fn publication(body: &[u8]) -> Vec<u8> {
    message::publication(1, 0, 0, "t", 0, body, None)
}

/// The victim publishes: the attacker's subscription 2 with this credit, accepted.
fn publishing(limit: u64) -> (Hostile, ExchangeId) {
    let mut peer = Hostile::dialled();
    let id = peer.subscribe(&message::subscribe(2, limit, "t", None));
    peer.victim.connection.accept_subscription(id).unwrap();
    assert_eq!(peer.heard(), message::response(2, 0, 1, b""));
    (peer, id)
}

/// The victim subscribes with exchange 1 and this window, and the attacker accepts.
fn subscribed(window: u32) -> (Hostile, ExchangeId) {
    let mut peer = Hostile::dialled();
    let id = peer.victim.connection.subscribe("t", window, None).unwrap();
    peer.heard();
    assert_eq!(peer.tell(&message::response(1, 0, 1, b"")), [Happened::Subscribed(id)]);
    (peer, id)
}

/// CRD-2: a publication costs its encoded length, the head included; one byte too little credit refuses it.
#[test]
fn a_publication_costs_its_encoded_length() {
    for body in [&b""[..], b"x", &[7; 23], &[7; 24], &[7; 300]] {
        let cost = message::publication(2, 0, 0, "t", 0, body, None).len() as u64;
        let (mut peer, id) = publishing(cost - 1);
        assert_eq!(peer.victim.connection.publish(id, &outgoing(body)), Err(SendError::NoCredit));
        let (mut peer, id) = publishing(cost);
        peer.victim.connection.publish(id, &outgoing(body)).unwrap();
        assert_eq!(peer.victim.connection.publish(id, &outgoing(b"")), Err(SendError::NoCredit));
        assert_eq!(peer.heard().len() as u64, cost);
    }
}

/// CRD-1, sentence 5: who waits with a publication need not try, but is told which subscription may take it: each once,
/// however often credit came, and none that has ended.
#[test]
fn subscriptions_that_got_credit_are_named_once() {
    let (mut peer, first) = publishing(2);
    let second = peer.subscribe(&message::subscribe(4, 2, "t", None));
    assert_eq!(peer.victim.connection.poll_credited(), Some(first));
    assert_eq!(peer.victim.connection.poll_credited(), None);
    peer.victim.connection.accept_subscription(second).unwrap();
    peer.heard();
    assert_eq!(peer.victim.connection.poll_credited(), Some(second));
    assert_eq!(peer.victim.connection.publish(second, &outgoing(b"")), Err(SendError::NoCredit));
    for limit in [2, 1] {
        peer.say(&message::credit(4, limit));
        assert_eq!(peer.victim.connection.poll_credited(), None);
    }
    for (id, limit) in [(4, 3), (2, 3), (4, 1_000), (2, 1_000)] {
        peer.say(&message::credit(id, limit));
    }
    peer.victim.connection.end_subscription(first, Status::OK).unwrap();
    peer.heard();
    assert_eq!(peer.victim.connection.poll_credited(), Some(second));
    assert_eq!(peer.victim.connection.poll_credited(), None);
    peer.victim.connection.publish(second, &outgoing(b"")).unwrap();
}

/// CRD-1: a lower or equal limit is ignored, a higher one counts from the start and not from now.
#[test]
fn credit_only_rises() {
    let cost = message::publication(2, 0, 0, "t", 0, b"x", None).len() as u64;
    let (mut peer, id) = publishing(cost);
    peer.victim.connection.publish(id, &outgoing(b"x")).unwrap();
    for limit in [0, cost - 1, cost, 2 * cost - 1] {
        assert_eq!(peer.tell(&message::credit(2, limit)), []);
        assert_eq!(peer.victim.connection.publish(id, &outgoing(b"x")), Err(SendError::NoCredit));
    }
    peer.say(&message::credit(2, 2 * cost));
    peer.say(&message::credit(2, 1));
    peer.victim.connection.publish(id, &outgoing(b"x")).unwrap();
    assert_eq!(peer.victim.connection.publish(id, &outgoing(b"x")), Err(SendError::NoCredit));
    // R8
    peer.say(&message::credit(2, u64::MAX));
    for _ in 0..100 {
        peer.victim.connection.publish(id, &outgoing(b"x")).unwrap();
    }
}

/// CRD-1, R8: credit may come before the answer, and for a request, where there is nothing to raise.
#[test]
fn credit_for_nothing_is_allowed() {
    let mut peer = Hostile::dialled();
    peer.request(&message::request(2, 0, 0, "m", b""));
    assert_eq!(peer.tell(&message::credit(2, u64::MAX)), []);
    let id = peer.subscribe(&message::subscribe(4, 0, "t", None));
    assert_eq!(peer.tell(&message::credit(4, 1_000)), []);
    peer.victim.connection.accept_subscription(id).unwrap();
    peer.victim.connection.publish(id, &outgoing(b"x")).unwrap();
    let ours = peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap();
    peer.heard();
    assert_eq!(peer.tell(&message::credit(ours.number(), u64::MAX)), []);
    assert!(!peer.victim.is_closed());
}

/// CRD-3: to the last byte of the credit, and one beyond it.
#[test]
fn a_publication_beyond_the_credit_ends_the_connection() {
    let cost = publication(b"x").len() as u32;
    for (window, fit) in [(cost - 1, 0), (cost, 1), (3 * cost, 3), (3 * cost + cost - 1, 3)] {
        let (mut peer, id) = subscribed(window);
        for _ in 0..fit {
            let events = peer.tell(&publication(b"x"));
            assert!(matches!(&events[..], [Happened::Publication { cost: told, .. }] if *told == cost));
        }
        peer.say(&publication(b"x"));
        let end = CloseReason::Misbehaved(PeerMisbehaved::CreditExceeded(1));
        assert_eq!(
            peer.victim.events(),
            [Happened::Failed(id, Failure::Disconnected), Happened::Closed(end)],
            "{window}"
        );
        assert_eq!(peer.heard(), message::close(33));
    }
}

/// CRD-3: continuations spend credit, also those that are discarded; `missed` and `end` cost nothing.
#[test]
fn what_costs_nothing_needs_no_credit() {
    let (mut peer, id) = subscribed(0);
    let missed = Missed { count: 1, unknown: false };
    assert_eq!(peer.tell(&message::missed(1, 0, 1)), [Happened::Missed(id, missed)]);
    assert_eq!(peer.tell(&message::end(1, 0)), [Happened::SubscriptionEnded(id, Status::OK)]);

    let (mut peer, id) = publishing(0);
    let connection = &mut peer.victim.connection;
    assert_eq!(connection.publish(id, &outgoing(b"")), Err(SendError::NoCredit));
    connection.publish_missed(id, missed).unwrap();
    connection.end_subscription(id, Status::OK).unwrap();
    assert_eq!(peer.heard(), [message::missed(2, 0, 1), message::end(2, 0)].concat());
}

/// CRD-4: nothing is granted before the application has taken something; then once half the window is free again,
/// and always up to the window beyond what it took.
#[test]
fn credit_comes_as_the_application_takes() {
    let cost = publication(&[7; 100]).len() as u32;
    let window = 400 * cost;
    let (mut peer, id) = subscribed(window);
    for _ in 0..400 {
        peer.tell(&publication(&[7; 100]));
    }
    assert_eq!(peer.heard(), b"", "nothing was taken yet");
    for n in 1..=399_u32 {
        peer.victim.connection.release(id, cost).unwrap();
        let heard = peer.heard();
        if n == 200 {
            assert_eq!(heard, message::credit(1, u64::from(window + 200 * cost)));
        } else {
            assert_eq!(heard, b"", "after {n}");
        }
    }
}

/// CRD-4: where all was taken, and what is left is below the window and below one frame, it is given back, so that
/// a long publication does not wait for ever.
#[test]
fn a_subscriber_that_has_taken_all_grants_room_for_a_long_one() {
    let cost = publication(b"x").len() as u32;
    let (mut peer, id) = subscribed(5_000);
    let _ = peer.tell(&publication(b"x"));
    let _ = peer.tell(&publication(b"x"));
    peer.victim.connection.release(id, cost).unwrap();
    assert_eq!(peer.heard(), b"", "one of two still waits");
    peer.victim.connection.release(id, cost).unwrap();
    assert_eq!(peer.heard(), message::credit(1, u64::from(5_000 + 2 * cost)));
    // Above one frame there is no need.
    let (mut peer, id) = subscribed(1_000_000);
    let _ = peer.tell(&publication(b"x"));
    peer.victim.connection.release(id, cost).unwrap();
    assert_eq!(peer.heard(), b"");
}

/// R8: an application that releases more than there was grants no more than its window.
#[test]
fn no_more_is_granted_than_the_window() {
    let (mut peer, id) = subscribed(100);
    let _ = peer.tell(&publication(b"x"));
    let cost = publication(b"x").len() as u64;
    peer.victim.connection.release(id, u32::MAX).unwrap();
    peer.victim.connection.release(id, u32::MAX).unwrap();
    assert_eq!(peer.heard(), message::credit(1, 100 + cost));
    peer.victim.connection.cancel(id).unwrap();
    peer.heard();
    peer.victim.connection.release(id, 1).unwrap();
    assert_eq!(peer.heard(), b"", "who unsubscribed grants nothing more");
}

/// The widest window there is.  R8
#[test]
fn the_widest_window_does_not_overflow() {
    let (mut peer, id) = subscribed(u32::MAX);
    for _ in 0..10 {
        let events = peer.tell(&publication(&[7; 16_000]));
        let [Happened::Publication { cost, .. }] = &events[..] else { panic!("{events:?}") };
        peer.victim.connection.release(id, *cost).unwrap();
    }
    assert!(!peer.victim.is_closed());
}

/// SPEC §11: calls, control and other subscriptions pass by a subscriber that takes nothing.
#[test]
fn nothing_else_waits_behind_a_slow_reader() {
    let mut pair = Pair::connected();
    let mut ids = Vec::new();
    for window in [50, 100_000] {
        let ours = pair.a.subscribe("t", window, None).unwrap();
        let Some(Happened::Subscribe { id, .. }) = pair.events_b().pop() else { panic!() };
        pair.b.accept_subscription(id).unwrap();
        ids.push((ours, id));
    }
    while pair.b.publish(ids[0].1, &outgoing(b"")).is_ok() {}
    assert_eq!(pair.b.publish(ids[0].1, &outgoing(b"")), Err(SendError::NoCredit));
    pair.b.publish(ids[1].1, &outgoing(b"x")).unwrap();
    assert_eq!(pair.echo(b"call"), b"call");
    pair.a.cancel(ids[0].0).unwrap();
    assert_eq!(pair.events_b(), [Happened::Unsubscribe(ids[0].1)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// CRD-2, CRD-4: whatever is published and however it is taken, the publisher never goes beyond its credit
    /// (the subscriber would end the connection), and one that waits for credit always gets it in the end, as
    /// long as its publication fits the window and a frame.
    #[test]
    fn a_reader_that_takes_all_never_leaves_a_publisher_waiting(
        window in 300_u32..40_000,
        frame in 256_u16..5_000,
        lengths in proptest::collection::vec(0_usize..5_000, 1..60),
        every in 1_usize..9,
    ) {
        let a = device_with(1, |limits, _| limits.max_frame = frame);
        let mut pair = Pair::connected_of(&a, &common::device(2));
        let ours = pair.a.subscribe("t", window, None).unwrap();
        let Some(Happened::Subscribe { id, .. }) = pair.events_b().pop() else { panic!() };
        pair.b.accept_subscription(id).unwrap();
        pair.settle();
        let body = vec![7; 5_000];
        let mut waiting = Vec::new();
        for length in lengths {
            let longest = usize::from(frame).min(window as usize) - 60;
            let body = &body[..length.min(longest)];
            loop {
                match pair.b.publish(id, &outgoing(body)) {
                    Ok(()) => break,
                    Err(SendError::NoCredit) => {
                        let taken: Vec<u32> = std::mem::take(&mut waiting);
                        prop_assert!(!taken.is_empty(), "all was taken, and yet there is no credit");
                        for cost in taken {
                            pair.a.release(ours, cost).unwrap();
                        }
                    }
                    Err(other) => prop_assert!(false, "{other:?}"),
                }
                pair.settle();
            }
            for event in pair.events_a() {
                match event {
                    Happened::Publication { cost, .. } => waiting.push(cost),
                    Happened::Subscribed(_) => {}
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            if waiting.len() >= every {
                for cost in waiting.drain(..) {
                    pair.a.release(ours, cost).unwrap();
                }
                pair.settle();
            }
        }
        prop_assert!(!pair.a.is_closed() && !pair.b.is_closed());
    }

    /// CRD-1, CRD-2: against any sequence of limits, what was sent never passes the highest of them.
    #[test]
    fn a_publisher_stays_within_the_highest_limit(
        limits in proptest::collection::vec(prop_oneof![0_u64..2_000, Just(u64::MAX / 2)], 1..20),
        lengths in proptest::collection::vec(0_usize..300, 1..20),
    ) {
        let mut peer = Hostile::of(Role::Initiator, &common::device(1), Default::default());
        let id = peer.subscribe(&message::subscribe(2, 100, "t", None));
        peer.victim.connection.accept_subscription(id).unwrap();
        peer.heard();
        let (mut highest, mut sent) = (100, 0);
        for (limit, length) in limits.iter().zip(&lengths) {
            peer.say(&message::credit(2, *limit));
            highest = highest.max(*limit);
            let body = vec![7; *length];
            let cost = message::publication(2, 0, 0, "t", 0, &body, None).len() as u64;
            let published = peer.victim.connection.publish(id, &outgoing(&body));
            prop_assert_eq!(published, if sent + cost <= highest { Ok(()) } else { Err(SendError::NoCredit) });
            sent += peer.heard().len() as u64;
            prop_assert!(sent <= highest);
        }
    }
}
