//! Bodies of which nothing moves.  SPEC §10.5, §15

use std::time::Duration;

use symbolon::{ExchangeId, Failure, Role, SendError, Status, StopCause};

use crate::behaviour::{SECOND, begun, head, opened, peer_with};
use crate::common::attacker::Knobs;
use crate::common::cbor::message;
use crate::common::hostile::Hostile;
use crate::common::{Happened, Pair, device_with};

fn peer(window: u64) -> Hostile {
    peer_with(window, |limits, timeouts| {
        limits.window = 100;
        timeouts.body_idle = Some(SECOND * 10);
        timeouts.silence = None;
        timeouts.answer = None;
    })
}

const ALMOST: Duration = Duration::from_millis(9_999);
const REST: Duration = Duration::from_millis(1);

/// The victim's request stalls: it fails, and the peer is told with `stalled`.  EXC-17
#[track_caller]
fn opener_stalls(peer: &mut Hostile, ours: ExchangeId) {
    peer.pass(REST);
    assert_eq!(peer.victim.events(), [Happened::Failed(ours, Failure::Stalled)]);
    assert_eq!(peer.heard(), [message::cancel(1, 11), message::end(1, 11)].concat());
}

/// An opener gives up after the time, and not before; from the opening on.
#[test]
fn an_opener_gives_up_what_stands_still() {
    let mut peer = peer(0);
    let ours = opened(&mut peer);
    peer.victim.connection.write(ours, b"waits").unwrap();
    peer.pass(ALMOST);
    assert_eq!((peer.victim.events(), peer.heard()), (vec![], vec![]));
    opener_stalls(&mut peer, ours);
    assert_eq!(peer.victim.connection.write(ours, b"x"), Err(SendError::UnknownExchange));
    assert!(!peer.victim.connection.is_idle());
    assert_eq!(peer.tell(&message::response(1, 1, 0, b"")), []);
    assert!(peer.victim.connection.is_idle());
}

/// Whatever moves arms it anew: data, credit and ends, sent and got, of either body.
#[test]
fn an_opener_s_time_begins_anew_with_each_movement() {
    let mut peer = peer(20);
    let ours = opened(&mut peer);
    let moves: [&dyn Fn(&mut Hostile); 6] = [
        // Sent data.
        &|peer| {
            peer.victim.connection.write(ours, &[7; 50]).unwrap();
            assert!(!peer.heard().is_empty());
        },
        // Got credit, and sent what it allows.
        &|peer| peer.say(&message::credit(1, 30)),
        // An answer has begun.
        &|peer| peer.say(&message::response(1, 0, 1, b"")),
        // Got data.
        &|peer| peer.say(&message::data(1, &[7; 60])),
        // Sent credit.
        &|peer| {
            peer.heard();
            peer.victim.connection.release(ours, 100).unwrap();
            assert!(!peer.heard().is_empty());
        },
        // Sent an end.
        &|peer| {
            peer.say(&message::credit(1, 1_000));
            peer.heard();
            peer.victim.connection.finish(ours).unwrap();
            assert_eq!(peer.heard(), message::end(1, 0));
        },
    ];
    for (n, act) in moves.iter().enumerate() {
        peer.pass(ALMOST);
        act(&mut peer);
        let failed = |event: &Happened| matches!(event, Happened::Failed(..));
        assert!(!peer.victim.events().iter().any(failed), "{n}");
    }
    peer.pass(ALMOST);
    // What moves nothing does not: credit that raises nothing, other exchanges, pings.
    peer.say(&[message::credit(1, 5), message::ping(1), message::request(2, 0, 0, "m", b"")].concat());
    peer.heard();
    peer.victim.events();
    peer.pass(REST);
    assert_eq!(peer.victim.events(), [Happened::Failed(ours, Failure::Stalled)]);
    assert_eq!(peer.heard(), message::cancel(1, 11), "its own body had ended");
}

/// An answerer ends the back direction with `stalled`: by `response` before it has answered, by `end` behind.
#[test]
fn an_answerer_gives_up_what_stands_still() {
    for answering in [false, true] {
        let mut peer = peer(0);
        let id = begun(&mut peer);
        peer.pass(ALMOST);
        if answering {
            peer.victim.connection.respond_more(peer.victim.now, id, b"").unwrap();
            peer.victim.connection.write(id, b"waits").unwrap();
            peer.heard();
            peer.pass(ALMOST);
        }
        assert_eq!(peer.victim.events(), []);
        peer.pass(REST);
        assert_eq!(peer.victim.events(), [Happened::Stop(id, StopCause::Stalled)]);
        let last = if answering { message::end(2, 11) } else { message::response(2, 11, 0, b"") };
        assert_eq!(peer.heard(), last);
        let late = peer.victim.connection.respond(id, Status::OK, b"");
        assert_eq!(late, Err(SendError::UnknownExchange));
        // The opener's end still frees the slot, also one that comes late.
        peer.pass(SECOND * 100);
        assert_eq!(peer.tell(&[message::data(2, b"x"), message::end(2, 1)].concat()), []);
        assert!(peer.victim.connection.is_idle());
    }
}

/// What is between the bodies is not idle: from the end of the request's to the beginning of the answer's.
#[test]
fn work_between_the_bodies_is_not_a_stall() {
    let mut peer = peer(100);
    let id = begun(&mut peer);
    peer.say(&message::end(2, 0));
    peer.pass(SECOND * 100);
    assert_eq!(peer.victim.events(), [Happened::End(id, Status::OK)]);
    peer.victim.connection.respond(id, Status::OK, b"").unwrap();
    assert_eq!(peer.heard(), message::response(2, 0, 0, b""));
    let ours = opened(&mut peer);
    peer.victim.connection.finish(ours).unwrap();
    peer.heard();
    peer.pass(SECOND * 100);
    assert_eq!(peer.victim.events(), []);
}

/// `set_body_idle`: longer, shorter, for ever and back, counted from then; refused where there are no bodies.
#[test]
fn each_exchange_may_have_its_own_time() {
    let mut peer = peer(0);
    let ours = opened(&mut peer);
    let set = |peer: &mut Hostile, idle| peer.victim.connection.set_body_idle(peer.victim.now, ours, idle);
    peer.pass(SECOND * 9);
    set(&mut peer, Some(SECOND * 20)).unwrap();
    peer.pass(SECOND * 19);
    set(&mut peer, None).unwrap();
    peer.pass(SECOND * 1_000);
    assert_eq!(peer.victim.events(), []);
    set(&mut peer, Some(SECOND)).unwrap();
    assert_eq!(peer.victim.connection.poll_timeout(), Some(peer.victim.now + SECOND));
    peer.pass(SECOND);
    assert_eq!(peer.victim.events(), [Happened::Failed(ours, Failure::Stalled)]);
    let plain = peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap();
    let refused = peer.victim.connection.set_body_idle(peer.victim.now, plain, None);
    assert_eq!(refused, Err(SendError::UnknownExchange));
}

/// A frame that is looked at late counts from when it came, but does not undo what has moved since.
#[test]
fn what_is_looked_at_late_makes_nothing_earlier() {
    let mut peer = peer(1_000);
    let ours = opened(&mut peer);
    peer.say(&message::response(1, 0, 1, b""));
    peer.victim.events();
    // Two chunks in one frame: the second waits while the application thinks about the first.
    let frame = peer.attacker.seal(&[message::data(1, b"a"), message::data(1, b"b")].concat());
    let start = peer.victim.now;
    let connection = &mut peer.victim.connection;
    assert_eq!(connection.handle_input(start, &frame), frame.len());
    let later = start + SECOND * 5;
    connection.handle_timeout(later);
    connection.write(ours, b"moves").unwrap();
    let len = connection.poll_transmit(later).expect("data").len();
    connection.advance_transmit(len);
    assert!(connection.poll_event().is_some() && connection.poll_event().is_some());
    connection.handle_timeout(start + SECOND * 14);
    assert!(connection.poll_event().is_none(), "nine seconds after the data");
    connection.handle_timeout(start + SECOND * 15);
    assert!(matches!(
        connection.poll_event(),
        Some(symbolon::Event::Failed { failure: Failure::Stalled, .. })
    ));
}

/// A reader that never reads, and one that does so slowly: each side's own time decides, and a slow one is none that stalls.
#[test]
fn a_slow_reader_does_not_stall() {
    let config = |n| {
        device_with(n, |limits, timeouts| {
            limits.window = 1_000;
            timeouts.body_idle = Some(SECOND * 10);
        })
    };
    let mut pair = Pair::connected_of(&config(1), &config(2));
    let ours = pair.a.open(pair.now, &head(true)).unwrap();
    pair.a.write(ours, &[7; 20_000]).unwrap();
    let mut heard = 0;
    let mut id = None;
    let mut costs = std::collections::VecDeque::new();
    for _ in 0..200 {
        for event in pair.events_b() {
            match event {
                Happened::RequestGoesOn { id: theirs, .. } => id = Some(theirs),
                Happened::Data(_, chunk, cost) => {
                    heard += chunk.len();
                    costs.push_back(cost);
                }
                other => panic!("{other:?}"),
            }
        }
        if let (Some(id), Some(cost)) = (id, costs.pop_front()) {
            pair.b.release(id, cost).unwrap();
        }
        pair.pass(SECOND * 9);
        assert_eq!(pair.events_a(), []);
        if heard == 20_000 {
            break;
        }
    }
    assert_eq!(heard, 20_000);
    pair.pass(SECOND * 30);
    let (a, b) = (pair.events_a(), pair.events_b());
    assert!(
        a.iter()
            .any(|event| matches!(event, Happened::Failed(_, Failure::Stalled) | Happened::Response { .. }))
    );
    assert!(b.iter().any(|event| matches!(event, Happened::Stop(..))), "{b:?}");
    assert!(pair.a.is_idle() && pair.b.is_idle());
}

/// An end that never comes: at both sides the slot is freed, or held by nobody but the one who owes the end.
#[test]
fn an_end_that_never_comes_holds_nothing_else() {
    let config = device_with(1, |limits, timeouts| {
        limits.window = 100;
        limits.requests_in = 2;
        timeouts.body_idle = Some(SECOND * 10);
        timeouts.silence = None;
    });
    let mut peer = Hostile::of(Role::Initiator, &config, Knobs::default());
    let id = begun(&mut peer);
    peer.say(&message::data(2, &[7; 20]));
    peer.pass(SECOND * 10);
    let (_, others) = crate::behaviour::joined(peer.victim.events());
    assert_eq!(others, [Happened::Stop(id, StopCause::Stalled)]);
    assert_eq!(peer.heard(), message::response(2, 11, 0, b""));
    let buffered = peer.victim.connection.buffered();
    // It still owes the end of its body: one slot is its own loss, the other serves.
    for n in 2..500 {
        assert_eq!(peer.tell(&message::request(2 * n, 0, 0, "m", b"")).len(), 1);
        let id = ExchangeId::from_number(2 * n);
        peer.victim.connection.respond(id, Status::OK, b"").unwrap();
        assert_eq!(peer.heard(), message::response(2 * n, 0, 0, b""));
    }
    assert!(peer.victim.connection.buffered() <= buffered + 1_024);
}
