//! How long a request may take, and how it is cancelled.

use std::time::Duration;

use symbolon::{Failure, Role, SendError, Status, StopCause};

use super::common::cbor::message;
use super::common::hostile::Hostile;
use super::common::{Happened, Pair, device, device_with};
use super::{SECOND, asked};

/// EXC-12: what travels is the time left when the frame is sealed, counted anew from its last byte.
#[test]
fn the_deadline_that_travels_is_what_is_left() {
    let mut pair = Pair::connected();
    pair.a_to_b.latency = Duration::from_millis(300);
    let asked_at = pair.now;
    pair.a.request(asked_at, "m", b"", Some(SECOND)).unwrap();
    // Sealed 200 ms later.
    pair.now = asked_at + Duration::from_millis(200);
    pair.pass(Duration::from_millis(300));
    let events = pair.events_b();
    let [Happened::Request { deadline, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*deadline, Some(asked_at + Duration::from_millis(200 + 300 + 800)));
}

/// EXC-12: the deadline counts from the last byte of the frame, however late the application takes its events.
#[test]
fn a_deadline_counts_from_the_frame_not_from_its_reading() {
    let mut pair = Pair::connected();
    pair.reading_b = false;
    pair.a.request(pair.now, "first", b"", None).unwrap();
    pair.a.request(pair.now, "second", b"", Some(SECOND)).unwrap();
    let sent = pair.now;
    pair.pass(SECOND / 2);
    pair.reading_b = true;
    let events = pair.events_b();
    let [_, Happened::Request { deadline, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*deadline, Some(sent + SECOND));
}

/// EXC-12, R8: on the wire the deadline is rounded up, never 0, and at most 2³²−1.
#[test]
fn a_deadline_fits_its_field() {
    let longest = Duration::from_millis(u32::MAX.into());
    for (deadline, field) in [
        (None, 0),
        (Some(Duration::from_micros(1)), 1),
        (Some(Duration::from_micros(1_001)), 2),
        (Some(longest), u64::from(u32::MAX)),
        (Some(longest + SECOND), u64::from(u32::MAX)),
        // No clock reaches it.
        (Some(Duration::MAX), 0),
    ] {
        let mut peer = Hostile::dialled();
        peer.victim.connection.request(peer.victim.now, "m", b"", deadline).unwrap();
        assert_eq!(peer.heard(), message::request(1, field, 0, "m", b""), "{deadline:?}");
    }
}

/// EXC-11, NAM-1: where a name is bad and the body in chunks as well, the name is what is told.
#[test]
fn of_several_statuses_the_first_is_told() {
    let config = device_with(1, |limits, _| limits.window = 0);
    let mut peer = Hostile::of(Role::Initiator, &config, Default::default());
    assert_eq!(peer.tell(&message::request(2, 0, 1, "a//b", b"")), []);
    assert_eq!(peer.heard(), message::response(2, 5, 0, b""));
    assert_eq!(peer.tell(&message::request(4, 0, 1, "a/b", b"")), []);
    assert_eq!(peer.heard(), message::response(4, 9, 0, b""));
}

/// EXC-12: a deadline of zero has passed before the request could leave, so it does not.
#[test]
fn a_deadline_of_zero_has_passed() {
    let mut peer = Hostile::dialled();
    let ours = peer.victim.connection.request(peer.victim.now, "m", b"", Some(Duration::ZERO)).unwrap();
    assert_eq!(peer.heard(), b"");
    assert_eq!(peer.victim.connection.poll_timeout(), Some(peer.victim.now), "nobody sleeps over it");
    peer.victim.connection.handle_timeout(peer.victim.now);
    assert_eq!(peer.victim.events(), [Happened::Failed(ours, Failure::DeadlinePassed)]);
    assert!(peer.victim.connection.is_idle());
}

/// EXC-12, R13: a handler that gives no answer in time is answered for, at the deadline and not before; its slot is
/// free, and its own answer comes too late.
#[test]
fn a_passed_deadline_is_answered_for_the_handler() {
    let mut peer = Hostile::dialled();
    let id = peer.request(&message::request(2, 250, 0, "m", b""));
    peer.pass(Duration::from_millis(249));
    assert_eq!((peer.victim.events(), peer.heard()), (vec![], vec![]));
    peer.pass(Duration::from_millis(1));
    assert_eq!(peer.victim.events(), [Happened::Stop(id, StopCause::Deadline)]);
    assert_eq!(peer.victim.connection.respond(id, Status::OK, b""), Err(SendError::UnknownExchange));
    assert_eq!(peer.heard(), message::response(2, 2, 0, b""));
    assert!(peer.victim.connection.is_idle());
}

/// EXC-12: an answer that was queued before the deadline is the one answer.
#[test]
fn an_answer_that_was_queued_in_time_stands() {
    let mut peer = Hostile::dialled();
    let id = peer.request(&message::request(2, 250, 0, "m", b""));
    peer.victim.connection.respond(id, Status::OK, b"in time").unwrap();
    peer.pass(SECOND);
    assert_eq!(peer.victim.events(), []);
    assert_eq!(peer.heard(), message::response(2, 0, 0, b"in time"));
}

/// EXC-12, R8, R13: this side's own limit holds where the peer names no deadline, or a longer one.
#[test]
fn a_handler_has_no_longer_than_its_own_side_allows() {
    for (asked, own, given) in [
        (0, Some(SECOND), Some(SECOND)),
        (u64::from(u32::MAX), Some(SECOND), Some(SECOND)),
        (400, Some(SECOND), Some(Duration::from_millis(400))),
        (400, None, Some(Duration::from_millis(400))),
        (0, None, None),
    ] {
        let config = device_with(1, |_, timeouts| {
            timeouts.answer = own;
            timeouts.silence = None;
        });
        let mut peer = Hostile::of(Role::Initiator, &config, Default::default());
        let now = peer.victim.now;
        let events = peer.tell(&message::request(2, asked, 0, "m", b""));
        let [Happened::Request { deadline, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(*deadline, given.map(|given| now + given));
        assert_eq!(peer.victim.connection.poll_timeout(), *deadline);
    }
}

/// EXC-12, EXC-13: the opener reports a passed deadline by its own clock, asks the peer to stop, and ignores the
/// answer that still comes; the slot is free only then.
#[test]
fn the_opener_reports_a_passed_deadline_once() {
    let a = device_with(1, |limits, _| limits.requests_out = 1);
    let mut pair = Pair::connected_of(&a, &device(2));
    pair.b_to_a.latency = SECOND;
    let (ours, theirs) = asked(&mut pair, "m", Some(SECOND / 2));
    pair.pass(SECOND / 4);
    pair.b.respond(theirs, Status::OK, b"late").unwrap();
    pair.pass(SECOND / 4);
    assert_eq!(pair.events_a(), [Happened::Failed(ours, Failure::DeadlinePassed)]);
    assert_eq!(pair.a.request(pair.now, "m", b"", None), Err(SendError::TooMany));
    pair.pass(SECOND);
    assert_eq!(pair.take_logs(), (vec![], vec![]), "neither the late answer nor the cancel that crossed it");
    pair.a.request(pair.now, "m", b"", None).unwrap();
}

/// EXC-13: cancel asks; the opener is told at once, the answerer is asked, and still owes the one answer.
#[test]
fn cancel_asks() {
    let mut pair = Pair::connected();
    let (ours, theirs) = asked(&mut pair, "m", None);
    pair.a.cancel(ours).unwrap();
    assert_eq!(pair.a.cancel(ours), Err(SendError::UnknownExchange));
    assert_eq!(pair.events_a(), [Happened::Failed(ours, Failure::Cancelled)]);
    assert_eq!(pair.events_b(), [Happened::Stop(theirs, StopCause::Cancel(Status::CANCELLED))]);
    assert!(!pair.a.is_idle() && !pair.b.is_idle());
    pair.b.respond(theirs, Status::CANCELLED, b"").unwrap();
    assert_eq!((pair.events_a(), pair.events_b()), (vec![], vec![]));
    assert!(pair.a.is_idle() && pair.b.is_idle());
}

/// EXC-13: an opening that was not sealed yet is removed; the peer never hears of it.
#[test]
fn what_was_not_sealed_is_cancelled_without_a_word() {
    let mut peer = Hostile::dialled();
    let connection = &mut peer.victim.connection;
    let first = connection.request(peer.victim.now, "first", b"", None).unwrap();
    let second = connection.request(peer.victim.now, "second", b"", None).unwrap();
    connection.cancel(first).unwrap();
    assert_eq!(peer.victim.events(), [Happened::Failed(first, Failure::Cancelled)]);
    assert_eq!(peer.heard(), message::request(second.number(), 0, 0, "second", b""));
    assert_eq!(peer.tell(&message::response(second.number(), 0, 0, b"")).len(), 1);
    assert!(peer.victim.connection.is_idle());
}
