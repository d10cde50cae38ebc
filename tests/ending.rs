//! How a connection ends: `close`, `goaway`, a status, a cut.  SPEC §16

mod common;

use std::time::Duration;

use common::attacker::{Attacker, Knobs, Victim};
use common::cbor::message;
use common::hostile::Hostile;
use common::{Happened, Pair, device, device_with};
use symbolon::{
    Admission, CloseReason, Failure, Missed, Outgoing, PeerMisbehaved, Point, Role, SendError, Status,
    TimedOut,
};

const SECOND: Duration = Duration::from_secs(1);

/// END-1: who closed first goes on reading: requests of its own are still answered until the peer's `close`.
#[test]
fn who_closes_reads_on_until_the_peers_close() {
    let mut peer = Hostile::dialled();
    let now = peer.victim.now;
    let answered = peer.victim.connection.request(now, "m", b"", None).unwrap();
    let open = peer.victim.connection.request(now, "m", b"", None).unwrap();
    peer.victim.connection.close(now, Status::SHUTTING_DOWN);
    assert!(!peer.victim.connection.is_open() && !peer.victim.connection.is_closed());
    let heard = peer.heard();
    assert!(heard.ends_with(&message::close(36)), "close goes behind what is queued");
    peer.pass(SECOND);
    assert_eq!(
        peer.tell(&message::response(answered.number(), 0, 0, b"late")),
        [Happened::Response { id: answered, status: Status::OK, body: b"late".to_vec() }]
    );
    assert_eq!(
        peer.tell(&message::close(0)),
        [
            Happened::Failed(open, Failure::Disconnected),
            Happened::Closed(CloseReason::Local(Status::SHUTTING_DOWN))
        ]
    );
    assert_eq!(peer.victim.connection.poll_timeout(), None);
}

/// SPEC §16.3: who ends for a reason of its own says it, drops what it had queued, and waits for nobody; once.
#[test]
fn who_aborts_says_why_and_waits_for_nobody() {
    let mut peer = Hostile::dialled();
    let now = peer.victim.now;
    let sealed = peer.victim.connection.request(now, "m", b"", None).unwrap();
    peer.heard();
    let unsealed = peer.victim.connection.request(now, "n", b"", None).unwrap();
    peer.victim.connection.abort(now, Status::UNAVAILABLE);
    assert!(peer.victim.connection.is_closed());
    assert_eq!(peer.heard(), message::close(8));
    assert_eq!(
        peer.victim.events(),
        [
            Happened::Failed(sealed, Failure::Disconnected),
            Happened::Failed(unsealed, Failure::NotExecuted),
            Happened::Closed(CloseReason::Local(Status::UNAVAILABLE))
        ]
    );
    assert_eq!(peer.victim.connection.poll_timeout(), None);
    peer.victim.connection.abort(now, Status::OK);
    assert_eq!(peer.victim.connection.poll_transmit(now), None);
    assert_eq!(peer.victim.events(), []);
}

/// SPEC §16.1: who gets `close` sends what it has queued, then its own of status 0; what was not opened yet never is.
#[test]
fn a_close_is_answered_behind_what_is_queued() {
    for events_first in [false, true] {
        let mut peer = Hostile::dialled();
        let now = peer.victim.now;
        let asked = peer.request(&message::request(2, 0, 0, "m", b""));
        let sealed = peer.victim.connection.request(now, "m", b"", None).unwrap();
        peer.heard();
        let connection = &mut peer.victim.connection;
        connection.respond(asked, Status::OK, b"queued").unwrap();
        let request = connection.request(now, "m", b"", None).unwrap();
        let subscription = connection.subscribe("t", 0, None).unwrap();
        let frame = peer.attacker.seal(&message::close(36));
        assert_eq!(peer.victim.connection.handle_input(now, &frame), frame.len());
        let answer = [message::response(2, 0, 0, b"queued"), message::close(0)].concat();
        let expected = [
            Happened::Failed(sealed, Failure::Disconnected),
            Happened::Failed(request, Failure::NotExecuted),
            Happened::Failed(subscription, Failure::NotExecuted),
            Happened::Closed(CloseReason::Remote(Status::SHUTTING_DOWN)),
        ];
        if events_first {
            assert_eq!(peer.victim.events(), expected);
            assert_eq!(peer.heard(), answer);
        } else {
            assert_eq!(peer.heard(), answer);
            assert_eq!(peer.victim.events(), expected);
        }
        assert_eq!(peer.victim.connection.poll_timeout(), None);
    }
}

/// END-2, F8: bytes behind a `close` are ignored: in its frame, in frames behind it, and noise.
#[test]
fn bytes_behind_a_close_are_ignored() {
    let mut peer = Hostile::dialled();
    let behind = [message::close(0), message::request(2, 0, 0, "m", b""), vec![0xff]].concat();
    assert_eq!(peer.tell(&behind), [Happened::Closed(CloseReason::Remote(Status::OK))]);
    peer.say(&message::request(4, 0, 0, "m", b""));
    peer.victim.feed(&[0; 1_000]);
    assert_eq!(peer.victim.refused, 0, "all of it is taken, so that nobody waits");
    assert_eq!(peer.victim.events(), []);
    assert_eq!(peer.heard(), message::close(0));
    peer.victim.feed_eof();
    assert_eq!(peer.victim.events(), []);
}

/// END-3, sentence 10, F6: the end of the stream without `close` is a truncation: between frames, in a frame's
/// header or body, after one's own `close`, and in a handshake.
#[test]
fn a_truncated_stream_is_told_apart_from_a_closed_one() {
    for cut in [0, 1, 2, 10] {
        let mut peer = Hostile::dialled();
        let frame = peer.attacker.seal(&message::close(0));
        peer.victim.feed(&frame[..cut]);
        peer.victim.feed_eof();
        assert_eq!(peer.victim.closed(), CloseReason::Truncated, "{cut}");
        assert_eq!(peer.heard(), b"");

        let mut peer = Hostile::dialled();
        peer.victim.connection.close(peer.victim.now, Status::OK);
        assert_eq!(peer.heard(), message::close(0));
        let frame = peer.attacker.seal(&message::close(0));
        peer.victim.feed(&frame[..cut]);
        peer.victim.feed_eof();
        assert_eq!(peer.victim.closed(), CloseReason::Truncated, "after our close, {cut}");
    }
    let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
    for cut in [0, 1, 7, 8, 9, 20] {
        let mut victim = Victim::new(Role::Responder, &device(1), Admission::Ask);
        victim.feed(&attacker.begin()[..cut]);
        victim.written();
        victim.feed_eof();
        victim.assert_dropped(CloseReason::Truncated);
    }
    // A close, and then the end of the stream.
    let mut peer = Hostile::dialled();
    peer.say(&message::close(0));
    peer.victim.feed_eof();
    assert_eq!(peer.victim.closed(), CloseReason::Remote(Status::OK));
}

/// END-3: the end of the stream comes after all of its bytes, also those that wait for the application.
#[test]
fn the_end_of_the_stream_waits_for_what_is_before_it() {
    let mut pair = Pair::connected();
    pair.reading_b = false;
    for n in 0..3 {
        pair.a.request(pair.now, "m", &[n], None).unwrap();
    }
    pair.settle();
    pair.b.handle_eof(pair.now);
    pair.reading_b = true;
    let events = pair.events_b();
    assert_eq!(events.len(), 4);
    assert!(events[..3].iter().all(|event| matches!(event, Happened::Request { .. })));
    assert_eq!(events[3], Happened::Closed(CloseReason::Truncated));
}

/// SPEC §16.1: two that close at the same moment end in order, and nobody waits for a timer.
#[test]
fn both_may_close_at_once() {
    let mut pair = Pair::connected();
    pair.a_to_b.latency = SECOND;
    pair.b_to_a.latency = SECOND;
    pair.a.close(pair.now, Status::OK);
    pair.b.close(pair.now, Status::SHUTTING_DOWN);
    pair.pass(SECOND);
    assert_eq!(pair.events_a(), [Happened::Closed(CloseReason::Local(Status::OK))]);
    assert_eq!(pair.events_b(), [Happened::Closed(CloseReason::Local(Status::SHUTTING_DOWN))]);
    assert_eq!(pair.next_due(), None);
}

/// SPEC §16.1: what arrives behind one's own `close` is checked as always; a violation then just closes the stream.
#[test]
fn a_violation_behind_ones_own_close_ends_without_a_word() {
    let mut peer = Hostile::dialled();
    peer.victim.connection.close(peer.victim.now, Status::OK);
    assert_eq!(peer.heard(), message::close(0));
    peer.say(&message::request(3, 0, 0, "m", b""));
    assert_eq!(peer.victim.closed(), CloseReason::Misbehaved(PeerMisbehaved::OpeningId(3)));
    assert_eq!(peer.heard(), b"");
    assert_eq!(peer.victim.connection.poll_timeout(), None);
}

/// SPEC §16.3: what is queued is dropped for a violation, and `close` is the only thing that leaves.
#[test]
fn a_violation_is_told_and_nothing_else() {
    let mut peer = Hostile::dialled();
    let now = peer.victim.now;
    for _ in 0..3 {
        peer.victim.connection.request(now, "m", b"", None).unwrap();
    }
    peer.say(&[message::ping(1), message::accept()].concat());
    let events = peer.victim.events();
    assert_eq!(events.len(), 4);
    assert_eq!(events[3], Happened::Closed(PeerMisbehaved::Accept.into()));
    assert!(events[..3].iter().all(|event| matches!(event, Happened::Failed(_, Failure::NotExecuted))));
    assert_eq!(peer.heard(), message::close(33));
}

/// END-4: after `goaway` nothing is opened: what is above `last`, and what still waits in the queue, is not executed.
#[test]
fn who_got_goaway_opens_nothing() {
    for (last, failed) in [(0, 3), (1, 2), (3, 1), (2, 2), (u64::MAX, 1)] {
        let mut peer = Hostile::dialled();
        let now = peer.victim.now;
        let connection = &mut peer.victim.connection;
        let sealed = [1, 3].map(|_| connection.request(now, "m", b"", None).unwrap());
        peer.heard();
        let queued = peer.victim.connection.request(now, "m", b"", None).unwrap();
        let all = [sealed[0], sealed[1], queued];
        let mut expected = vec![Happened::GoingAway];
        let not_executed = |id| Happened::Failed(id, Failure::NotExecuted);
        expected.extend(all[3 - failed..].iter().rev().map(|id| not_executed(*id)));
        assert_eq!(peer.tell(&message::goaway(last)), expected, "{last}");
        assert_eq!(peer.heard(), b"", "{last}");
        let connection = &mut peer.victim.connection;
        assert_eq!(connection.request(now, "m", b"", None), Err(SendError::GoingAway));
        assert_eq!(connection.subscribe("t", 0, None), Err(SendError::GoingAway));
        // Those up to `last` go on to their end.
        for id in &all[..3 - failed] {
            assert_eq!(peer.tell(&message::response(id.number(), 0, 0, b"")).len(), 1);
        }
        assert!(peer.victim.connection.is_idle());
        assert!(!peer.victim.is_closed());
    }
}

/// SPEC §16.2: a second `goaway` counts only where its `last` is lower, and ends those between.
#[test]
fn a_second_goaway_may_only_lower() {
    let mut peer = Hostile::dialled();
    let now = peer.victim.now;
    let ids = [1, 3, 5].map(|_| peer.victim.connection.request(now, "m", b"", None).unwrap());
    peer.heard();
    assert_eq!(peer.tell(&message::goaway(5)), [Happened::GoingAway]);
    assert_eq!(peer.tell(&message::goaway(7)), []);
    assert_eq!(peer.tell(&message::goaway(5)), []);
    assert_eq!(peer.tell(&message::goaway(3)), [Happened::Failed(ids[2], Failure::NotExecuted)]);
    assert_eq!(peer.tell(&message::goaway(4)), []);
    assert_eq!(peer.tell(&message::response(3, 0, 0, b"")).len(), 1);
}

/// END-5: who sent `goaway` ignores openings above `last`, and all about them; their ids are still checked, and they
/// are no strays.  Those it took go on.
#[test]
fn who_sent_goaway_ignores_what_is_above_last() {
    let mut peer = Hostile::dialled();
    let taken = peer.request(&message::request(4, 0, 0, "m", b""));
    peer.victim.connection.goaway().unwrap();
    peer.victim.connection.goaway().unwrap();
    assert_eq!(peer.heard(), message::goaway(4), "a second one changes nothing");
    for n in 0..200 {
        let id = 6 + 2 * n;
        let about = [
            message::request(id, 0, 1, "m", b""),
            message::data(id, b"x"),
            message::end(id, 0),
            message::cancel(id, 1),
            message::credit(id, 9),
        ];
        assert_eq!(peer.tell(&about.concat()), []);
    }
    let subscribe = message::subscribe(1_000, 9, "t", None);
    assert_eq!(peer.tell(&subscribe), []);
    assert_eq!(peer.heard(), b"");
    peer.victim.connection.respond(taken, Status::OK, b"").unwrap();
    assert_eq!(peer.heard(), message::response(4, 0, 0, b""));
    assert!(peer.victim.connection.is_idle());
    // This side may still open.
    let ours = peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap();
    peer.heard();
    assert_eq!(peer.tell(&message::response(ours.number(), 0, 0, b"")).len(), 1);
    // EXC-2, EXC-3
    for bad in [subscribe, message::request(1_000, 0, 0, "m", b"")] {
        let mut other = Hostile::dialled();
        other.victim.connection.goaway().unwrap();
        other.say(&bad);
        other.violates(&bad, PeerMisbehaved::OpeningId(1_000));
    }
    peer.violates(&message::cancel(1_002, 1), PeerMisbehaved::UnknownExchange(1_002));
}

/// SPEC §16.2: goaway, then the last answers, then close: nothing is lost, and the peer knows what it may repeat.
#[test]
fn leaving_in_order_loses_nothing() {
    let mut pair = Pair::connected();
    pair.a_to_b.latency = SECOND;
    let taken = pair.a.request(pair.now, "m", b"", None).unwrap();
    pair.pass(SECOND);
    let Some(Happened::Request { id, .. }) = pair.events_b().pop() else { panic!() };
    let crossing = pair.a.request(pair.now, "m", b"", None).unwrap();
    pair.settle();
    pair.b.goaway().unwrap();
    pair.pass(SECOND);
    assert!(!pair.b.is_idle());
    pair.b.respond(id, Status::OK, b"done").unwrap();
    assert_eq!(
        pair.events_a(),
        [
            Happened::GoingAway,
            Happened::Failed(crossing, Failure::NotExecuted),
            Happened::Response { id: taken, status: Status::OK, body: b"done".to_vec() }
        ]
    );
    assert!(pair.b.is_idle() && pair.a.is_idle());
    pair.b.close(pair.now, Status::OK);
    pair.pass(SECOND);
    assert_eq!(pair.events_a(), [Happened::Closed(CloseReason::Remote(Status::OK))]);
    assert_eq!(pair.events_b(), [Happened::Closed(CloseReason::Local(Status::OK))]);
}

/// SPEC §16.4, §6: where the responder closes without `accept`, with whatever status, what the initiator opened was
/// not executed, also where its own `close` was on the way.
#[test]
fn without_accept_nothing_was_executed() {
    for status in [Status::REFUSED, Status::OK, Status::SHUTTING_DOWN] {
        for own_close in [false, true] {
            let mut peer = Hostile::shaken(Role::Responder, &device(1), Knobs::default());
            let now = peer.victim.now;
            let id = peer.victim.connection.request(now, "m", b"", None).unwrap();
            assert_eq!(peer.heard(), message::request(2, 0, 0, "m", b""));
            let mut reason = CloseReason::Remote(status);
            if own_close {
                peer.victim.connection.close(now, Status::CANCELLED);
                reason = CloseReason::Local(Status::CANCELLED);
                peer.heard();
            }
            peer.attacker.sending = 0;
            let number = match status {
                Status::OK => 0,
                Status::REFUSED => 32,
                _ => 36,
            };
            let frame = peer.attacker.seal(&message::close(number));
            // Nobody looks before the close timer has fired.
            let _ = peer.victim.connection.handle_input(now, &frame);
            peer.victim.connection.handle_timeout(now + 10 * SECOND);
            assert_eq!(
                peer.victim.events(),
                [Happened::Failed(id, Failure::NotExecuted), Happened::Closed(reason)]
            );
        }
    }
}

/// ADM-2: a responder that does not let somebody in says `refused`, whatever its reason, also where the application
/// just closes.
#[test]
fn closing_instead_of_deciding_says_refused() {
    for decide in [
        |victim: &mut Victim| victim.connection.refuse(victim.now).unwrap(),
        |victim: &mut Victim| victim.connection.close(victim.now, Status::new(300)),
    ] {
        let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
        let mut victim = Victim::new(Role::Responder, &device(1), Admission::Ask);
        attacker.handshake(&mut victim);
        victim.events();
        decide(&mut victim);
        assert_eq!(attacker.open(&victim.written()), [message::close(32)]);
        assert!(matches!(victim.closed(), CloseReason::NotAdmitted(_) | CloseReason::Local(_)));
    }
}

/// R14: closing in every step of a handshake ends it at once, without a byte but what was on its way.
#[test]
fn closing_in_a_handshake_ends_it() {
    for role in [Role::Initiator, Role::Responder] {
        let mut victim = Victim::new(role, &device(1), Admission::Ask);
        victim.connection.close(victim.now, Status::OK);
        victim.assert_dropped(CloseReason::Local(Status::OK));
    }
    let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
    let mut victim = Victim::new(Role::Responder, &device(1), Admission::Ask);
    victim.feed(&attacker.begin());
    assert!(attacker.hear(&victim.written()));
    victim.connection.close(victim.now, Status::OK);
    victim.assert_dropped(CloseReason::Local(Status::OK));
}

/// SPEC §17: statuses of `close` are open, and arrive with their number.
#[test]
fn any_status_may_close() {
    for number in [0, 1, 31, 37, 38, 255, 256, 65_535] {
        let mut peer = Hostile::dialled();
        peer.say(&message::close(number));
        let status = Status::new(u16::try_from(number).unwrap());
        assert_eq!(peer.victim.closed(), CloseReason::Remote(status));
        assert_eq!(peer.heard(), message::close(0));
    }
}

/// SPEC §16.1: `close` waits for what is queued, however many frames that takes, and does not wait for credit.
#[test]
fn close_goes_behind_publications_too() {
    let b = device_with(2, |limits, _| limits.max_frame = 256);
    let mut pair = Pair::connected_of(&device(1), &b);
    let theirs = pair.b.subscribe("t", 100_000, None).unwrap();
    let Some(Happened::Subscribe { id, .. }) = pair.events_a().pop() else { panic!() };
    pair.a.accept_subscription(id).unwrap();
    for sequence in 0..100 {
        let point = Point { epoch: 1, sequence };
        let publication =
            Outgoing { topic: "t", point, missed: Missed::NONE, retained: false, body: &[7; 100] };
        pair.a.publish(id, &publication).unwrap();
    }
    pair.a.close(pair.now, Status::OK);
    let events = pair.events_b();
    let arrived = events.iter().filter(|event| matches!(event, Happened::Publication { .. })).count();
    assert_eq!(arrived, 100);
    assert_eq!(
        events[events.len() - 2..],
        [Happened::Failed(theirs, Failure::Disconnected), Happened::Closed(CloseReason::Remote(Status::OK))]
    );
}

/// Every way to end is reported once, and last; then nothing comes, whatever is done.  R16
#[test]
fn the_end_is_reported_once() {
    type End = fn(&mut Pair);
    let ends: [(End, CloseReason); 4] = [
        (|pair| pair.a.close(pair.now, Status::OK), CloseReason::Local(Status::OK)),
        (|pair| pair.b.close(pair.now, Status::OK), CloseReason::Remote(Status::OK)),
        (|pair| pair.b_to_a.end(), CloseReason::Truncated),
        (
            |pair| {
                pair.b_to_a.stalled = true;
                pair.a.close(pair.now, Status::OK);
                pair.pass(3 * SECOND);
            },
            CloseReason::TimedOut(TimedOut::Close),
        ),
    ];
    for (end, reason) in ends {
        let mut pair = Pair::connected();
        end(&mut pair);
        assert_eq!(pair.events_a(), [Happened::Closed(reason)]);
        pair.a.close(pair.now, Status::OK);
        pair.a.handle_eof(pair.now);
        assert_eq!(pair.a.handle_input(pair.now, &[1; 10]), 10);
        pair.a.handle_timeout(pair.now + 100 * SECOND);
        assert_eq!(pair.a.request(pair.now, "m", b"", None), Err(SendError::Closed));
        assert_eq!(pair.a.poll_event(), None);
        assert_eq!(pair.a.poll_transmit(pair.now), None);
        assert_eq!(pair.a.poll_timeout(), None);
    }
}
