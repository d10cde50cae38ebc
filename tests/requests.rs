//! Requests: ids, states, limits, answers, deadlines, cancelling, and that each ends exactly once.  SPEC §10

mod common;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use common::cbor::{array, bytes, message, text, uint};
use common::hostile::Hostile;
use common::{Happened, Pair, device_with};
use proptest::prelude::*;
use symbolon::{
    CloseReason, ExchangeId, Failure, PeerMisbehaved, RequestHead, Role, SendError, Status, StopCause,
    WireError,
};

const SECOND: Duration = Duration::from_secs(1);

/// `a` asks, and what `b` sees of it.
fn asked(pair: &mut Pair, method: &str, deadline: Option<Duration>) -> (ExchangeId, ExchangeId) {
    let ours = pair.a.request(pair.now, method, b"", deadline).unwrap();
    let Some(Happened::Request { id, .. }) = pair.events_b().pop() else { panic!("no request arrived") };
    (ours, id)
}

/// EXC-1: openings of either side rise from the first of their parity, whatever their kind.
#[test]
fn ids_rise_from_the_openers_parity() {
    let mut pair = Pair::connected();
    let ours = [
        pair.a.request(pair.now, "m", b"", None).unwrap().number(),
        pair.a.subscribe("t", 0, None).unwrap().number(),
        pair.a.request(pair.now, "m", b"", None).unwrap().number(),
    ];
    assert_eq!(ours, [2, 4, 6]);
    let theirs = [1, 3, 5].map(|_| pair.b.request(pair.now, "m", b"", None).unwrap().number());
    assert_eq!(theirs, [1, 3, 5]);
}

/// EXC-1: the receiver allows gaps.  EXC-2, R7: id 0, the wrong parity, and an id that is not above the highest
/// seen, live or over, end the connection.
#[test]
fn an_opening_needs_a_new_id_of_the_openers_parity() {
    let mut peer = Hostile::dialled();
    assert_eq!(peer.request(&message::request(2, 0, 0, "m", b"")).number(), 2);
    assert_eq!(peer.request(&message::request(1_000, 0, 0, "m", b"")).number(), 1_000);

    for (role, earlier, id) in [
        (Role::Initiator, 0, 0),
        (Role::Initiator, 0, 1),
        (Role::Responder, 0, 2),
        (Role::Initiator, 8, 8),
        (Role::Initiator, 8, 6),
        (Role::Responder, 9, 7),
        (Role::Initiator, 0, u64::MAX),
    ] {
        for opening in [message::request(id, 0, 0, "m", b""), message::subscribe(id, 0, "t", None)] {
            let mut peer = if role.is_initiator() { Hostile::dialled() } else { Hostile::listened() };
            if earlier > 0 {
                peer.request(&message::request(earlier, 0, 0, "m", b""));
            }
            peer.violates(&opening, PeerMisbehaved::OpeningId(id));
        }
    }
}

/// EXC-2: an id whose exchange is over is as used as one that lives.
#[test]
fn an_id_is_never_used_twice() {
    let mut peer = Hostile::dialled();
    let id = peer.request(&message::request(2, 0, 0, "m", b""));
    peer.victim.connection.respond(id, Status::OK, b"").unwrap();
    assert_eq!(peer.heard(), message::response(2, 0, 0, b""));
    peer.violates(&message::request(2, 0, 0, "m", b""), PeerMisbehaved::OpeningId(2));
}

/// The largest even id is taken like any other, and nothing above it exists.  R8
#[test]
fn the_last_id_is_an_id() {
    let mut peer = Hostile::dialled();
    let last = u64::MAX - 1;
    let id = peer.request(&message::request(last, 0, 0, "m", b""));
    assert_eq!(id.number(), last);
    peer.violates(&message::request(last, 0, 0, "m", b""), PeerMisbehaved::OpeningId(last));
}

/// EXC-3, R6: whatever is about id 0, or about an exchange that was never opened, ends the connection.
#[test]
fn messages_are_about_exchanges_that_were_opened() {
    // The attacker is the initiator: 2 would be his, 1 the victim's; neither was opened.
    let of_the_victim = |id| {
        vec![
            message::response(id, 0, 0, b""),
            message::busy(id, 0),
            message::publication(id, 0, 0, "t", 0, b"", None),
            message::continuation(id, 0, b""),
            message::missed(id, 0, 1),
            message::data(id, b""),
            message::end(id, 0),
            message::credit(id, 1),
        ]
    };
    let of_his_own = |id| {
        vec![message::cancel(id, 1), message::data(id, b""), message::end(id, 0), message::credit(id, 1)]
    };
    for (id, messages) in
        [(1, of_the_victim(1)), (u64::MAX, of_the_victim(u64::MAX)), (2, of_his_own(2)), (0, of_his_own(0))]
    {
        for message in messages {
            Hostile::dialled().violates(&message, PeerMisbehaved::UnknownExchange(id));
        }
    }
}

/// EXC-3: an opening that still waits to be sent was not opened for the peer.
#[test]
fn an_opening_that_was_not_sealed_does_not_exist_for_the_peer() {
    let mut peer = Hostile::dialled();
    let id = peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap();
    peer.say(&message::response(id.number(), 0, 0, b""));
    assert_eq!(
        peer.victim.events(),
        [
            Happened::Failed(id, Failure::NotExecuted),
            Happened::Closed(PeerMisbehaved::UnknownExchange(1).into())
        ]
    );
}

/// EXC-4, R2, R6: strays are ignored within the budget: 64, 4 more for each exchange that ended, at most 256;
/// the one beyond it ends the connection.
#[test]
fn strays_are_ignored_within_a_budget() {
    for (ended, budget) in [(1, 68), (3, 76), (48, 256), (60, 256)] {
        let mut peer = Hostile::dialled();
        for n in 1..=ended {
            let id = peer.request(&message::request(2 * n, 0, 0, "m", b""));
            peer.victim.connection.respond(id, Status::OK, b"").unwrap();
            peer.heard();
        }
        for n in 0..budget {
            assert_eq!(peer.tell(&message::cancel(2, 1)), [], "stray {n} of {budget}");
        }
        peer.violates(&message::cancel(2, 1), PeerMisbehaved::Strays);
    }
}

/// EXC-4: a gap is as over as an exchange that ended; strays of all kinds share one budget.
#[test]
fn strays_of_all_kinds_share_one_budget() {
    let mut peer = Hostile::dialled();
    peer.request(&message::request(100, 0, 0, "m", b""));
    let ours = peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap().number();
    peer.heard();
    peer.say(&message::response(ours, 0, 0, b""));
    peer.victim.events();
    let strays = [
        message::cancel(2, 1),
        message::end(4, 0),
        message::data(6, b"x"),
        message::response(ours, 0, 0, b""),
        message::busy(ours, 0),
        message::missed(ours, 0, 1),
        message::continuation(ours, 0, b""),
        message::publication(ours, 0, 0, "t", 0, b"", None),
    ];
    // 64, and 4 for the one that ended.
    for stray in strays.iter().cycle().take(68) {
        assert_eq!(peer.tell(stray), []);
        // Credit crosses an end in any amount, and counts for nothing.
        assert_eq!(peer.tell(&[message::credit(8, 1), message::credit(ours, 1)].concat()), []);
    }
    peer.violates(&strays[4], PeerMisbehaved::Strays);
}

/// EXC-5: who may send what is checked first, also where the exchange is over.
#[test]
fn messages_of_the_other_side_are_refused_also_as_strays() {
    let answerers = |id| {
        [
            message::response(id, 0, 0, b""),
            message::busy(id, 0),
            message::publication(id, 0, 0, "t", 0, b"", None),
            message::continuation(id, 0, b""),
            message::missed(id, 0, 1),
        ]
    };
    for over in [false, true] {
        for message in answerers(2) {
            let mut peer = Hostile::dialled();
            let id = peer.request(&message::request(2, 0, 0, "m", b""));
            if over {
                peer.victim.connection.respond(id, Status::OK, b"").unwrap();
                peer.heard();
            }
            peer.violates(&message, PeerMisbehaved::State(2));
        }
        // `cancel` is either side's; of a request without a body in chunks there is nothing to cancel for its answerer.
        let mut peer = Hostile::dialled();
        let ours = peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap();
        peer.heard();
        if over {
            peer.say(&message::response(ours.number(), 0, 0, b""));
            peer.victim.events();
        }
        assert_eq!(peer.tell(&message::cancel(1, 1)), []);
        assert_eq!((peer.heard(), peer.victim.is_closed()), (vec![], false));
        if !over {
            let response = peer.tell(&message::response(ours.number(), 0, 0, b""));
            assert!(matches!(response[..], [Happened::Response { .. }]), "as if nothing had been");
        }
    }
}

/// EXC-6, EXC-7: what the state of a request does not allow ends the connection, and the request with it.
#[test]
fn a_request_allows_only_what_answers_it() {
    for (before, bad) in [
        (None, message::data(1, b"x")),
        (None, message::end(1, 0)),
        (None, message::publication(1, 0, 0, "t", 0, b"", None)),
        (None, message::continuation(1, 0, b"")),
        (None, message::missed(1, 0, 1)),
        (None, message::response(1, 5, 1, b"")),
        (Some(message::response(1, 0, 1, b"")), message::response(1, 0, 0, b"")),
        (Some(message::response(1, 0, 1, b"")), message::response(1, 0, 1, b"")),
        (Some(message::response(1, 0, 1, b"")), message::busy(1, 0)),
        (Some(message::response(1, 0, 1, b"")), message::publication(1, 0, 0, "t", 0, b"", None)),
        (Some(message::response(1, 0, 1, b"")), message::missed(1, 0, 1)),
    ] {
        let mut peer = Hostile::dialled();
        let ours = peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap();
        assert_eq!(ours.number(), 1);
        peer.heard();
        let failure = if let Some(before) = before {
            peer.say(&before);
            Failure::Unsupported
        } else {
            Failure::Disconnected
        };
        peer.say(&bad);
        let end = CloseReason::Misbehaved(PeerMisbehaved::State(1));
        assert_eq!(
            peer.victim.events(),
            [Happened::Failed(ours, failure), Happened::Closed(end)],
            "{bad:02x?}"
        );
    }
}

/// EXC-6: on a direction that has ended, while the exchange lives, `data` and `end` are violations.
#[test]
fn nothing_follows_a_body_that_is_whole() {
    for bad in [message::data(2, b"x"), message::end(2, 0)] {
        let mut peer = Hostile::dialled();
        peer.request(&message::request(2, 0, 0, "m", b""));
        peer.violates(&bad, PeerMisbehaved::State(2));
    }
}

/// SPEC §10.4: where they are not taken, a body in chunks is answered with `unsupported`, its exchange lives until it ends, and no credit is
/// granted for it: a chunk, even an empty one, is beyond it.  R4, CRD-3
#[test]
fn a_body_in_chunks_is_not_taken() {
    let config = device_with(1, |limits, _| {
        limits.requests_in = 1;
        limits.window = 0;
    });
    let begun = || {
        let mut peer = Hostile::of(Role::Initiator, &config, Default::default());
        assert_eq!(peer.tell(&message::request(2, 0, 1, "m", b"x")), []);
        assert_eq!(peer.heard(), message::response(2, 9, 0, b""));
        peer
    };
    // The slot is taken until the other direction has ended as well.
    begun().violates(&message::request(4, 0, 0, "m", b""), PeerMisbehaved::TooManyRequests);
    begun().violates(&message::data(2, b""), PeerMisbehaved::CreditExceeded(2));
    let mut peer = begun();
    assert_eq!(peer.tell(&message::end(2, 1)), []);
    assert!(peer.victim.connection.is_idle());
    peer.request(&message::request(4, 0, 0, "m", b""));
}

/// SPEC §10.4: an answer in chunks is answered with `cancel`, status `unsupported`; the slot is taken until it ends.
#[test]
fn an_answer_in_chunks_is_not_taken() {
    let mut peer = Hostile::dialled();
    let ours = peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap();
    peer.heard();
    assert_eq!(peer.tell(&message::response(1, 0, 1, b"x")), [Happened::Failed(ours, Failure::Unsupported)]);
    assert_eq!(peer.heard(), message::cancel(1, 9));
    assert!(!peer.victim.connection.is_idle());
    assert_eq!(peer.tell(&message::end(1, 9)), []);
    assert!(peer.victim.connection.is_idle());
}

/// EXC-8: the peer's limit and one's own both hold; a slot is free again when the answer came.
#[test]
fn no_more_requests_are_opened_than_both_sides_allow() {
    for (own, peers) in [(2, 5), (5, 2), (0, 5), (5, 0)] {
        let a = device_with(1, |limits, _| limits.requests_out = own);
        let b = device_with(2, |limits, _| limits.requests_in = peers);
        let mut pair = Pair::connected_of(&a, &b);
        let most = own.min(peers);
        for _ in 0..most {
            pair.a.request(pair.now, "m", b"", None).unwrap();
        }
        let refused = if most == 0 { SendError::NoneTaken } else { SendError::TooMany };
        assert_eq!(pair.a.request(pair.now, "m", b"", None), Err(refused));
        let Some(Happened::Request { id, .. }) = pair.events_b().pop() else {
            assert_eq!(most, 0);
            continue;
        };
        pair.b.respond(id, Status::OK, b"").unwrap();
        pair.settle();
        pair.a.request(pair.now, "m", b"", None).unwrap();
        assert_eq!(pair.a.request(pair.now, "m", b"", None), Err(SendError::TooMany));
    }
}

/// EXC-9, R1, R9: the first request beyond the limit ends the connection, before anything of it is registered.
#[test]
fn a_request_beyond_the_limit_ends_the_connection() {
    for most in [0, 1, 4] {
        let config = device_with(1, |limits, _| limits.requests_in = most);
        let mut peer = Hostile::of(Role::Initiator, &config, Default::default());
        for n in 1..=u64::from(most) {
            peer.request(&message::request(2 * n, 0, 0, "m", b""));
        }
        peer.violates(&message::request(100, 0, 0, "m", b""), PeerMisbehaved::TooManyRequests);
    }
}

/// EXC-9, R2: a cancelled request keeps its slot until it is answered, so opening and cancelling gains nothing.
#[test]
fn cancelling_frees_no_slot() {
    let config = device_with(1, |limits, _| limits.requests_in = 3);
    let mut peer = Hostile::of(Role::Initiator, &config, Default::default());
    for n in 1..=3 {
        peer.request(&message::request(2 * n, 0, 0, "m", b""));
        assert_eq!(peer.tell(&message::cancel(2 * n, 1)).len(), 1);
        assert_eq!(peer.tell(&message::cancel(2 * n, 1)), [], "EXC-13: a second cancel is ignored");
    }
    peer.violates(&message::request(8, 0, 0, "m", b""), PeerMisbehaved::TooManyRequests);
}

/// EXC-10: exactly one message ends a request; the second answer is refused here, and nothing of it leaves.
#[test]
fn a_request_is_answered_once() {
    let mut pair = Pair::connected();
    let (ours, theirs) = asked(&mut pair, "m", None);
    pair.b.respond(theirs, Status::OK, b"1").unwrap();
    assert_eq!(pair.b.respond(theirs, Status::OK, b"2"), Err(SendError::UnknownExchange));
    assert_eq!(pair.b.respond_busy(theirs, SECOND), Err(SendError::UnknownExchange));
    assert_eq!(pair.events_a(), [Happened::Response { id: ours, status: Status::OK, body: b"1".to_vec() }]);
    assert_eq!(pair.b.respond(theirs, Status::OK, b"3"), Err(SendError::UnknownExchange));
    assert!(pair.a.is_idle() && pair.b.is_idle());
}

/// EXC-10: each kind of answer arrives as what it was.  ENC-8: a status nobody knows is a failure with its number.
#[test]
fn each_answer_arrives_as_it_was_given() {
    let mut pair = Pair::connected();
    for status in [Status::OK, Status::NOT_FOUND, Status::DENIED, Status::new(255), Status::new(65_535)] {
        let (ours, theirs) = asked(&mut pair, "m", None);
        pair.b.respond(theirs, status, b"body").unwrap();
        assert_eq!(pair.events_a(), [Happened::Response { id: ours, status, body: b"body".to_vec() }]);
    }
    for retry in [Duration::ZERO, SECOND, Duration::from_millis(u32::MAX.into())] {
        let (ours, theirs) = asked(&mut pair, "m", None);
        pair.b.respond_busy(theirs, retry).unwrap();
        assert_eq!(pair.events_a(), [Happened::Busy(ours, retry)]);
    }
    // R8: a longer one than the field holds is the longest.
    let (ours, theirs) = asked(&mut pair, "m", None);
    pair.b.respond_busy(theirs, Duration::MAX).unwrap();
    assert_eq!(pair.events_a(), [Happened::Busy(ours, Duration::from_millis(u32::MAX.into()))]);
}

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
    let mut pair = Pair::connected_of(&a, &common::device(2));
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

/// NAM-1, EXC-11: a name that is none is answered with `bad_request`, and the application never sees it.  A name
/// that is fine is the application's, `$` or not.  R9
#[test]
fn a_bad_name_is_answered_without_the_application() {
    for bad in ["", "/", "a/", "/a", "a//b", "a/+", "#", "a\u{0}", "a\u{7f}"] {
        let mut peer = Hostile::dialled();
        assert_eq!(peer.tell(&message::request(2, 0, 0, bad, b"")), [], "{bad:?}");
        assert_eq!(peer.heard(), message::response(2, 5, 0, b""), "{bad:?}");
        assert!(peer.victim.connection.is_idle());
    }
    let longest = "ä".repeat(64);
    for good in ["a", "a/b", "$sys/version", longest.as_str()] {
        let events = Hostile::dialled().tell(&message::request(2, 0, 0, good, b""));
        assert!(matches!(&events[..], [Happened::Request { method, .. }] if method == good));
    }
}

/// NAM-2: a name of more than 128 bytes ends the connection; ENC-1: so does one that is not UTF-8.
#[test]
fn a_name_that_is_too_long_ends_the_connection() {
    let long = "a".repeat(129);
    for opening in [message::request(2, 0, 0, &long, b""), message::subscribe(2, 0, &long, None)] {
        let mut peer = Hostile::dialled();
        peer.say(&opening);
        let CloseReason::Misbehaved(PeerMisbehaved::Message(error)) = peer.victim.closed() else { panic!() };
        assert!(!matches!(error, WireError::Encoding(_)), "{error:?}");
        assert_eq!(peer.heard(), message::close(33));
    }
}

/// MSG and ENC-3, R10: elements behind those defined are ignored in a request too.
#[test]
fn further_elements_of_a_request_are_ignored() {
    let fields = [uint(5), uint(2), uint(0), uint(0), text("m"), bytes(b"x"), text("later"), array(&[])];
    let events = Hostile::dialled().tell(&array(&fields));
    assert!(matches!(&events[..], [Happened::Request { body, .. }] if body == b"x"));
}

/// SPEC §16.4: how the request of an ended connection is told, by what the peer can have seen of it.
#[test]
fn the_end_of_the_connection_tells_what_was_not_executed() {
    // Sealed: nobody knows.
    let mut pair = Pair::connected();
    let (ours, _) = asked(&mut pair, "m", None);
    pair.b_to_a.end();
    assert_eq!(
        pair.events_a(),
        [Happened::Failed(ours, Failure::Disconnected), Happened::Closed(CloseReason::Truncated)]
    );
    // Not sealed.
    let mut pair = Pair::connected();
    let ours = pair.a.request(pair.now, "m", b"", None).unwrap();
    pair.a.handle_eof(pair.now);
    assert_eq!(
        pair.events_a(),
        [Happened::Failed(ours, Failure::NotExecuted), Happened::Closed(CloseReason::Truncated)]
    );
}

/// What an application may do to the pair in a random script.
#[derive(Clone, Debug)]
enum Step {
    Ask {
        by_a: bool,
        deadline_ms: Option<u16>,
        bodies: Option<bool>,
    },
    Answer {
        by_a: bool,
        which: usize,
        how: u8,
    },
    /// Something about a body, of an exchange that either side opened.
    Body {
        by_a: bool,
        which: u64,
        what: u8,
    },
    Cancel {
        by_a: bool,
        which: usize,
    },
    Goaway {
        by_a: bool,
    },
    Pass(u16),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), proptest::option::of(0..3_000_u16), any::<Option<bool>>())
            .prop_map(|(by_a, deadline_ms, bodies)| Step::Ask { by_a, deadline_ms, bodies }),
        6 => (any::<bool>(), 1..40_u64, 0..7_u8).prop_map(|(by_a, which, what)| Step::Body { by_a, which, what }),
        5 => (any::<bool>(), any::<usize>(), 0..6_u8)
            .prop_map(|(by_a, which, how)| Step::Answer { by_a, which, how }),
        2 => (any::<bool>(), any::<usize>()).prop_map(|(by_a, which)| Step::Cancel { by_a, which }),
        1 => proptest::bool::weighted(0.5).prop_map(|by_a| Step::Goaway { by_a }),
        3 => (0..2_000_u16).prop_map(Step::Pass),
        2 => Just(Step::Settle),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Finish {
    CloseA,
    CloseB,
    CloseBoth,
    Cut,
    Corrupt,
    Die,
}

fn finish() -> impl Strategy<Value = Finish> {
    proptest::sample::select(vec![
        Finish::CloseA,
        Finish::CloseB,
        Finish::CloseBoth,
        Finish::Cut,
        Finish::Corrupt,
        Finish::Die,
    ])
}

/// What the applications of one side keep.
#[derive(Default)]
struct Side {
    asked: HashSet<ExchangeId>,
    ended: HashMap<ExchangeId, Happened>,
    to_answer: Vec<ExchangeId>,
    closed: Option<CloseReason>,
}

impl Side {
    fn note(&mut self, event: Happened) {
        assert_eq!(self.closed, None, "nothing follows the end: {event:?}");
        match event {
            // Of theirs it is the end of a body.
            Happened::End(id, _) if !self.asked.contains(&id) => {}
            Happened::End(id, _)
            | Happened::Response { id, .. }
            | Happened::Busy(id, _)
            | Happened::Failed(id, _) => {
                assert!(self.asked.contains(&id), "of ours: {event:?}");
                let earlier = self.ended.insert(id, event.clone());
                assert_eq!(earlier, None, "ended twice, the second time by {event:?}");
            }
            Happened::Request { id, .. } | Happened::RequestGoesOn { id, .. } => self.to_answer.push(id),
            Happened::Data(id, ..) | Happened::ResponseGoesOn { id, .. } | Happened::Stopped(id, _) => {
                assert!(!self.ended.contains_key(&id), "behind the end: {event:?}");
            }
            Happened::Closed(reason) => self.closed = Some(reason),
            _ => {}
        }
    }
}

fn run(steps: Vec<Step>, end: Finish, latency: u16) {
    let mut pair = Pair::connected();
    pair.a_to_b.latency = Duration::from_millis(latency.into());
    pair.b_to_a.latency = Duration::from_millis(latency.into());
    let mut sides = [Side::default(), Side::default()];
    for step in steps {
        let now = pair.now;
        match step {
            Step::Ask { by_a, deadline_ms, bodies } => {
                let deadline = deadline_ms.map(|ms| Duration::from_millis(ms.into()));
                let connection = if by_a { &mut pair.a } else { &mut pair.b };
                let asked = match bodies {
                    None => connection.request(now, "m", b"body", deadline),
                    Some(more) => {
                        connection.open(now, &RequestHead { method: "m", body: b"", more, deadline })
                    }
                };
                if let Ok(id) = asked {
                    sides[usize::from(!by_a)].asked.insert(id);
                }
            }
            Step::Answer { by_a, which, how } => {
                let connection = if by_a { &mut pair.a } else { &mut pair.b };
                let waiting = &mut sides[usize::from(!by_a)].to_answer;
                if !waiting.is_empty() {
                    let id = waiting.swap_remove(which % waiting.len());
                    let _ = match how {
                        0 => connection.respond(id, Status::OK, b"done"),
                        1 => connection.respond(id, Status::FAILED, b""),
                        2 => connection.respond_busy(id, SECOND),
                        3 | 4 => connection.respond_more(now, id, b""),
                        // Never answered.
                        _ => Ok(()),
                    };
                }
            }
            Step::Body { by_a, which, what } => {
                let connection = if by_a { &mut pair.a } else { &mut pair.b };
                let id = ExchangeId::from_number(which);
                let _ = match what {
                    0 | 1 => connection.write(id, &[7; 100]).map(drop),
                    2 => connection.finish(id),
                    3 => connection.reset(id, Status::FAILED),
                    4 => connection.release(id, 100),
                    5 => connection.set_body_idle(now, id, Some(SECOND)),
                    // Of theirs it stops the body; ours are cancelled by the step of that name.
                    _ if sides[usize::from(!by_a)].asked.contains(&id) => Ok(()),
                    _ => connection.cancel(id),
                };
            }
            Step::Cancel { by_a, which } => {
                let connection = if by_a { &mut pair.a } else { &mut pair.b };
                let mut asked: Vec<_> = sides[usize::from(!by_a)].asked.iter().copied().collect();
                asked.sort();
                if !asked.is_empty() {
                    let _ = connection.cancel(asked[which % asked.len()]);
                }
            }
            Step::Goaway { by_a } => {
                let _ = if by_a { pair.a.goaway() } else { pair.b.goaway() };
            }
            Step::Pass(ms) => pair.pass(Duration::from_millis(ms.into())),
            Step::Settle => pair.settle(),
        }
        let (a, b) = pair.take_logs();
        a.into_iter().for_each(|event| sides[0].note(event));
        b.into_iter().for_each(|event| sides[1].note(event));
    }
    match end {
        Finish::CloseA => pair.a.close(pair.now, Status::OK),
        Finish::CloseB => pair.b.close(pair.now, Status::SHUTTING_DOWN),
        Finish::CloseBoth => {
            pair.a.close(pair.now, Status::OK);
            pair.b.close(pair.now, Status::OK);
        }
        Finish::Cut => {
            pair.a_to_b.end();
            pair.b_to_a.end();
        }
        Finish::Corrupt => {
            pair.a_to_b.corrupt_at = Some(pair.a_to_b.record.len() + 5);
            let _ = pair.a.request(pair.now, "m", b"", None).map(|id| sides[0].asked.insert(id));
            pair.settle();
            pair.b_to_a.end();
        }
        Finish::Die => {
            pair.a_to_b.stalled = true;
            pair.b_to_a.stalled = true;
        }
    }
    pair.pass(Duration::from_secs(120));
    if !pair.a.is_closed() || !pair.b.is_closed() {
        // A corrupt byte that never went out, because the sending side takes no more requests.
        pair.a.close(pair.now, Status::OK);
        pair.pass(Duration::from_secs(120));
    }
    let (a, b) = pair.take_logs();
    a.into_iter().for_each(|event| sides[0].note(event));
    b.into_iter().for_each(|event| sides[1].note(event));
    for side in &sides {
        assert!(side.closed.is_some(), "ended");
        assert_eq!(side.ended.len(), side.asked.len(), "each request has ended");
    }
    assert_eq!((pair.a.poll_timeout(), pair.b.poll_timeout()), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// Sentence 9, EXC-10, R13, R14: every request ends exactly once, and before its connection does.
    #[test]
    fn every_request_ends_exactly_once(
        steps in proptest::collection::vec(step(), 0..40),
        end in finish(),
        latency in prop_oneof![Just(0_u16), Just(40_u16), 0..1_500_u16],
    ) {
        run(steps, end, latency);
    }
}
