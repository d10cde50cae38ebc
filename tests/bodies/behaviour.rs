//! What each side is told, and what it sends, message by message.

use std::time::Duration;

use symbolon::{ExchangeId, Failure, RequestHead, Role, SendError, Status, StopCause};

use crate::common::attacker::Knobs;
use crate::common::cbor::message;
use crate::common::hostile::Hostile;
use crate::common::{Happened, Pair, device, device_with};

pub const SECOND: Duration = Duration::from_secs(1);
pub const OWN: Status = Status::new(300);

pub fn head(more: bool) -> RequestHead<'static> {
    RequestHead { method: "m", body: b"head", more, deadline: None }
}

/// A peer that takes bodies of this window; the victim answers him, or is answered, by id 1 or 2.
pub fn peer_with(
    window: u64,
    change: impl FnOnce(&mut symbolon::Limits, &mut symbolon::Timeouts),
) -> Hostile {
    let config = device_with(1, change);
    Hostile::of(Role::Initiator, &config, Knobs { window, ..Knobs::default() })
}

pub fn peer(window: u64) -> Hostile {
    peer_with(window, |_, _| {})
}

/// The attacker's request 2 with a body that goes on.
pub fn begun(peer: &mut Hostile) -> ExchangeId {
    let events = peer.tell(&message::request(2, 0, 1, "m", b"head"));
    let [Happened::RequestGoesOn { id, .. }] = events[..] else { panic!("{events:?}") };
    id
}

/// The victim's request 1 with a body that goes on, which has left.
pub fn opened(peer: &mut Hostile) -> ExchangeId {
    let id = peer.victim.connection.open(peer.victim.now, &head(true)).expect("room");
    assert_eq!(peer.heard(), message::request(1, 0, 1, "m", b"head"));
    id
}

/// The chunks of the data in these events, joined, and the other events.
pub fn joined(events: Vec<Happened>) -> (Vec<u8>, Vec<Happened>) {
    let (mut bytes, mut others) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Happened::Data(_, chunk, _) => bytes.extend(chunk),
            other => others.push(other),
        }
    }
    (bytes, others)
}

/// SPEC §10.5: both bodies go on at the same time, apart from their heads; each ends by itself.
#[test]
fn both_bodies_go_on_at_the_same_time() {
    let mut pair = Pair::connected();
    let ours = pair.a.open(pair.now, &head(true)).unwrap();
    let events = pair.events_b();
    let [Happened::RequestGoesOn { id, ref body, .. }] = events[..] else { panic!("{events:?}") };
    assert_eq!(body, b"head");
    // The answer begins before the request's body has, and half of each goes by the other.
    pair.b.respond_more(pair.now, id, b"and back").unwrap();
    for (n, text) in ["one", "two", "three"].iter().enumerate() {
        assert_eq!(pair.a.write(ours, text.as_bytes()), Ok(text.len()));
        assert_eq!(pair.b.write(id, text.as_bytes()), Ok(text.len()));
        let (at_b, none) = joined(pair.events_b());
        assert_eq!((at_b, none), (text.as_bytes().to_vec(), vec![]));
        let (at_a, others) = joined(pair.events_a());
        assert_eq!(at_a, text.as_bytes());
        let begins = Happened::ResponseGoesOn { id: ours, body: b"and back".to_vec() };
        assert_eq!(others, if n == 0 { vec![begins] } else { vec![] });
    }
    // Half-close: the request's body has ended, the answer's goes on.
    pair.a.finish(ours).unwrap();
    assert_eq!(pair.events_b(), [Happened::End(id, Status::OK)]);
    assert_eq!(pair.a.write(ours, b"x"), Err(SendError::UnknownExchange));
    assert_eq!(pair.b.write(id, b"four"), Ok(4));
    pair.b.finish(id).unwrap();
    let (at_a, others) = joined(pair.events_a());
    assert_eq!((at_a, others), (b"four".to_vec(), vec![Happened::End(ours, Status::OK)]));
    assert!(pair.a.is_idle() && pair.b.is_idle());
}

/// EXC-14: when the back direction ends, by whatever message, the opener ends its body at once, `cancelled`, and drops what waited;
/// until then the slot is taken, data that crosses is discarded, and no credit comes for it.
#[test]
fn an_answer_ends_the_request_s_body() {
    for how in 0..3 {
        let mut pair = Pair::connected_of(
            &device(1),
            &device_with(2, |limits, _| {
                limits.window = 100;
                limits.requests_in = 1;
            }),
        );
        let ours = pair.a.open(pair.now, &head(true)).unwrap();
        let Some(Happened::RequestGoesOn { id, .. }) = pair.events_b().pop() else { panic!() };
        pair.a.write(ours, &[7; 5_000]).unwrap();
        let (first, _) = joined(pair.events_b());
        match how {
            0 => pair.b.respond(id, Status::OK, b"early").unwrap(),
            1 => pair.b.respond_busy(id, SECOND).unwrap(),
            _ => {
                pair.b.respond_more(pair.now, id, b"").unwrap();
                pair.b.finish(id).unwrap();
            }
        }
        pair.events_b();
        let events = pair.events_a();
        let expected = match how {
            0 => vec![Happened::Response { id: ours, status: Status::OK, body: b"early".to_vec() }],
            1 => vec![Happened::Busy(ours, SECOND)],
            _ => vec![Happened::ResponseGoesOn { id: ours, body: vec![] }, Happened::End(ours, Status::OK)],
        };
        assert_eq!(events, expected);
        assert!(first.len() < 100 && pair.a.write(ours, b"x") == Err(SendError::UnknownExchange));
        assert!(pair.a.is_idle() && pair.b.is_idle(), "{how}");
        assert_eq!(pair.echo(b"next"), b"next");
    }
    // Byte by byte.
    let mut peer = peer(100);
    let ours = opened(&mut peer);
    peer.victim.connection.write(ours, &[7; 5_000]).unwrap();
    peer.heard();
    peer.say(&message::response(1, 0, 0, b""));
    assert!(!peer.victim.connection.is_idle(), "the slot is taken until the end has left");
    assert_eq!(peer.heard(), message::end(1, 1));
    assert!(peer.victim.connection.is_idle());
}

/// EXC-14: the answerer's side of it: the slot is taken until the opener's `end`, what crosses is discarded within the credit.
#[test]
fn after_its_answer_an_answerer_discards_what_crosses() {
    let mut peer = peer_with(0, |limits, _| {
        limits.window = 50;
        limits.requests_in = 1;
    });
    let id = begun(&mut peer);
    peer.victim.connection.respond(id, Status::OK, b"").unwrap();
    assert_eq!(peer.heard(), message::response(2, 0, 0, b""));
    assert_eq!(peer.tell(&message::data(2, &[7; 30])), []);
    assert_eq!(peer.heard(), b"", "no credit for it");
    assert!(!peer.victim.connection.is_idle());
    assert_eq!(peer.tell(&message::end(2, 1)), []);
    assert!(peer.victim.connection.is_idle());
    assert!(matches!(peer.tell(&message::request(4, 0, 0, "m", b""))[..], [Happened::Request { .. }]));
}

/// EXC-15: only `end` with status 0 makes a body complete; every other end says what it was.
#[test]
fn only_end_with_status_0_is_complete() {
    for status in [0, 1, 6, 10, 300] {
        let mut peer = peer(0);
        let id = begun(&mut peer);
        let (bytes, others) = joined(peer.tell(&[message::data(2, b"x"), message::end(2, status)].concat()));
        assert_eq!((bytes, others), (b"x".to_vec(), vec![Happened::End(id, Status::new(status as u16))]));
    }
    // The end of the connection is none, nor is a deadline, a stall or a violation.
    let mut peer = peer(0);
    begun(&mut peer);
    peer.say(&message::data(2, b"x"));
    peer.victim.feed_eof();
    let (_, others) = joined(peer.victim.events());
    assert!(!others.iter().any(|event| matches!(event, Happened::End(..))), "{others:?}");
    // What an application gives up never leaves with status 0, whatever status it names.
    for cancel in [false, true] {
        let mut peer = self::peer(100);
        let ours = opened(&mut peer);
        peer.victim.connection.write(ours, &[7; 500]).unwrap();
        peer.heard();
        if cancel {
            peer.victim.connection.cancel_with(ours, Status::OK).unwrap();
            assert_eq!(peer.heard(), [message::cancel(1, 0), message::end(1, 1)].concat());
        } else {
            peer.victim.connection.reset(ours, Status::OK).unwrap();
            assert_eq!(peer.heard(), message::end(1, 1));
        }
    }
}

/// EXC-16: `cancel` by the answerer ends the opener's body at once with its status, dropping what was queued; the exchange goes on
/// and the answer is owed.  A second one is ignored, as is one where the end has left or no body was in chunks.
#[test]
fn an_answerer_stops_the_opener_s_body() {
    let mut peer = peer(100);
    let ours = opened(&mut peer);
    peer.victim.connection.write(ours, &[7; 500]).unwrap();
    peer.heard();
    let twice = [message::cancel(1, 300), message::cancel(1, 5)].concat();
    assert_eq!(peer.tell(&twice), [Happened::Stopped(ours, OWN)]);
    assert_eq!(peer.heard(), message::end(1, 300));
    assert_eq!(peer.tell(&message::cancel(1, 5)), []);
    assert_eq!(peer.victim.connection.write(ours, b"x"), Err(SendError::UnknownExchange));
    let events = peer.tell(&message::response(1, 0, 0, b"all the same"));
    assert!(matches!(&events[..], [Happened::Response { body, .. }] if body == b"all the same"));
    assert!(peer.victim.connection.is_idle());

    // The end has left, or it waits behind nothing.
    let mut peer = self::peer(100);
    let ours = opened(&mut peer);
    peer.victim.connection.finish(ours).unwrap();
    assert_eq!(peer.heard(), message::end(1, 0));
    assert_eq!(peer.tell(&message::cancel(1, 5)), []);
    assert_eq!(peer.heard(), b"");
    // A status of 0 does not make it complete.
    let mut peer = self::peer(100);
    let ours = opened(&mut peer);
    assert_eq!(peer.tell(&message::cancel(1, 0)), [Happened::Stopped(ours, Status::OK)]);
    assert_eq!(peer.heard(), message::end(1, 1));
    // Who has given its body up already is not told again, and the first status stands.
    let mut peer = self::peer(100);
    let ours = opened(&mut peer);
    peer.victim.connection.reset(ours, OWN).unwrap();
    assert_eq!(peer.tell(&message::cancel(1, 5)), []);
    assert_eq!(peer.heard(), message::end(1, 300));
}

/// EXC-16 from the answerer's side: once, only while the body goes on; what crosses is discarded, and its end told.
#[test]
fn what_crosses_a_stop_is_discarded() {
    let mut peer = peer_with(0, |limits, _| limits.window = 100);
    let id = begun(&mut peer);
    peer.victim.connection.cancel_with(id, OWN).unwrap();
    assert_eq!(peer.victim.connection.cancel_with(id, OWN), Err(SendError::UnknownExchange));
    assert_eq!(peer.heard(), message::cancel(2, 300));
    assert_eq!(peer.tell(&message::data(2, &[7; 60])), []);
    assert_eq!(peer.heard(), b"", "and gets no credit");
    assert_eq!(peer.tell(&message::end(2, 300)), [Happened::End(id, OWN)]);
    assert_eq!(peer.victim.connection.cancel(id), Err(SendError::UnknownExchange));
    peer.victim.connection.respond(id, Status::OK, b"").unwrap();
    assert_eq!(peer.heard(), message::response(2, 0, 0, b""));
    assert!(peer.victim.connection.is_idle());
}

/// EXC-17, EXC-18: an opener that cancels ends its body as well, at once, with the same status, without a byte of credit.
#[test]
fn an_opener_that_cancels_ends_its_body() {
    let mut peer = peer(20);
    let ours = opened(&mut peer);
    peer.victim.connection.write(ours, &[7; 500]).unwrap();
    peer.heard();
    peer.victim.connection.write(ours, &[7; 500]).unwrap();
    assert_eq!(peer.heard(), b"", "no credit");
    peer.victim.connection.cancel_with(ours, OWN).unwrap();
    assert_eq!(peer.victim.connection.reset(ours, Status::CANCELLED), Err(SendError::UnknownExchange));
    assert_eq!(peer.heard(), [message::cancel(1, 300), message::end(1, 300)].concat());
    assert_eq!(peer.victim.events(), [Happened::Failed(ours, Failure::Cancelled)]);
    assert!(!peer.victim.connection.is_idle(), "until the back direction has ended");
    assert_eq!(peer.tell(&message::response(1, 1, 0, b"")), []);
    assert!(peer.victim.connection.is_idle());
    // Before its opening has left it is just removed, and takes no more.
    let ours = peer.victim.connection.open(peer.victim.now, &head(true)).unwrap();
    peer.victim.connection.cancel(ours).unwrap();
    assert_eq!(peer.victim.connection.write(ours, b"x"), Err(SendError::UnknownExchange));
    assert_eq!(peer.heard(), b"");
    assert!(peer.victim.connection.is_idle());
}

/// EXC-18: a body given up ends without credit, at either side, also behind `finish`; what waited is not sent.
#[test]
fn giving_a_body_up_needs_no_credit() {
    let mut peer = peer(20);
    let id = begun(&mut peer);
    peer.victim.connection.respond_more(peer.victim.now, id, b"").unwrap();
    peer.victim.connection.write(id, &[7; 500]).unwrap();
    peer.victim.connection.finish(id).unwrap();
    peer.heard();
    peer.victim.connection.reset(id, OWN).unwrap();
    assert_eq!(peer.heard(), message::end(2, 300));
    peer.say(&message::end(2, 0));
    assert!(peer.victim.connection.is_idle());
    // Not so a complete one: it comes behind what waits.
    let ours = peer.victim.connection.open(peer.victim.now, &head(true)).unwrap();
    peer.victim.connection.write(ours, &[7; 50]).unwrap();
    peer.victim.connection.finish(ours).unwrap();
    peer.heard();
    assert_eq!(peer.heard(), b"");
    peer.say(&message::credit(1, 1_000));
    assert!(peer.heard().ends_with(&message::end(1, 0)));
}

/// EXC-13, EXC-19: to an opener that has cancelled, an answer in chunks ends by `end`; one that was finished before does not wait for credit
/// that nobody gives any more.
#[test]
fn a_cancelled_answer_ends() {
    for finished in [false, true] {
        let mut peer = peer(20);
        let id = begun(&mut peer);
        peer.victim.connection.respond_more(peer.victim.now, id, b"").unwrap();
        peer.victim.connection.write(id, &[7; 500]).unwrap();
        if finished {
            peer.victim.connection.finish(id).unwrap();
        }
        peer.heard();
        let events = peer.tell(&[message::cancel(2, 1), message::end(2, 1)].concat());
        if finished {
            assert_eq!(events, [Happened::End(id, Status::CANCELLED)]);
        } else {
            let stop = Happened::Stop(id, StopCause::Cancel(Status::CANCELLED));
            assert_eq!(events, [stop, Happened::End(id, Status::CANCELLED)]);
            // Finished behind it, it waits no longer either.
            peer.victim.connection.finish(id).unwrap();
        }
        assert_eq!(peer.heard(), message::end(2, 1));
        assert!(peer.victim.connection.is_idle());
    }
}

/// EXC-12: a deadline that passes while the answer goes on ends it by `end`, and the request's body with it.
#[test]
fn a_deadline_passes_while_the_answer_goes_on() {
    let mut peer = peer(20);
    let events = peer.tell(&message::request(2, 2_000, 1, "m", b""));
    let [Happened::RequestGoesOn { id, deadline: Some(_), .. }] = events[..] else { panic!("{events:?}") };
    peer.victim.connection.respond_more(peer.victim.now, id, b"").unwrap();
    peer.victim.connection.write(id, &[7; 500]).unwrap();
    peer.heard();
    peer.pass(SECOND * 2 - Duration::from_millis(1));
    assert_eq!((peer.heard(), peer.victim.events()), (vec![], vec![]));
    peer.pass(Duration::from_millis(1));
    assert_eq!(peer.victim.events(), [Happened::Stop(id, StopCause::Deadline)]);
    assert_eq!(peer.victim.connection.finish(id), Err(SendError::UnknownExchange));
    assert_eq!(peer.heard(), message::end(2, 2));
    assert_eq!(peer.tell(&message::end(2, 2)), []);
    assert!(peer.victim.connection.is_idle());
    // The opener's own clock: it cancels, and ends its body with the same status.
    let with_deadline = RequestHead { deadline: Some(SECOND), ..head(true) };
    let ours = peer.victim.connection.open(peer.victim.now, &with_deadline).unwrap();
    peer.victim.connection.write(ours, &[7; 500]).unwrap();
    peer.heard();
    peer.pass(SECOND);
    assert_eq!(peer.victim.events(), [Happened::Failed(ours, Failure::DeadlinePassed)]);
    assert_eq!(peer.heard(), [message::cancel(1, 2), message::end(1, 2)].concat());
}

/// EXC-12, EXC-3: a request whose deadline passed before it could leave was never opened, and nothing of its body leaves.
#[test]
fn a_request_that_never_left_has_no_body() {
    let mut peer = peer(1_000);
    let with_deadline = RequestHead { deadline: Some(SECOND), ..head(true) };
    let ours = peer.victim.connection.open(peer.victim.now, &with_deadline).unwrap();
    peer.victim.connection.write(ours, b"never").unwrap();
    // Bytes are asked for before the timer has its turn.
    peer.victim.now = peer.victim.now + SECOND * 2;
    assert_eq!(peer.heard(), b"");
    peer.pass(Duration::ZERO);
    assert_eq!(peer.victim.events(), [Happened::Failed(ours, Failure::DeadlinePassed)]);
    assert!(peer.victim.connection.is_idle());
}

/// SPEC §10.4: this side's own limit counts from the end of the request's body to the beginning of the answer's.
#[test]
fn the_answerer_s_own_limit_leaves_bodies_alone() {
    let mut peer = peer_with(1_000, |_, timeouts| {
        timeouts.answer = Some(SECOND);
        timeouts.body_idle = None;
    });
    let id = begun(&mut peer);
    peer.pass(SECOND * 5);
    assert_eq!(peer.victim.events(), [], "the body may take its time");
    peer.say(&message::end(2, 0));
    peer.pass(SECOND / 2);
    assert_eq!(peer.victim.events(), [Happened::End(id, Status::OK)]);
    peer.victim.connection.respond_more(peer.victim.now, id, b"").unwrap();
    peer.pass(SECOND * 5);
    assert_eq!(peer.victim.events(), [], "and so may the answer's");
    peer.victim.connection.finish(id).unwrap();
    peer.heard();
    // An answer that does not begin is late.
    let events = peer.tell(&[message::request(4, 0, 1, "m", b""), message::end(4, 0)].concat());
    let [Happened::RequestGoesOn { id, .. }, _] = events[..] else { panic!("{events:?}") };
    peer.pass(SECOND);
    assert_eq!(peer.victim.events(), [Happened::Stop(id, StopCause::Deadline)]);
    assert_eq!(peer.heard(), message::response(4, 2, 0, b""));
}

/// SPEC §10.4: an opener whose window is 0 takes no answer in chunks, as one that asked by `request`.
#[test]
fn an_opener_without_a_window_takes_no_answer_in_chunks() {
    let mut peer = peer_with(0, |limits, _| limits.window = 0);
    let ours = peer.victim.connection.open(peer.victim.now, &head(false)).unwrap();
    peer.heard();
    let events = peer.tell(&message::response(1, 0, 1, b""));
    assert_eq!(events, [Happened::Failed(ours, Failure::Unsupported)]);
    assert_eq!(peer.heard(), message::cancel(1, 9));
    assert_eq!(peer.tell(&message::end(1, 1)), []);
    assert!(peer.victim.connection.is_idle());
}

/// SPEC §10.5: zero-length bodies, and writes of nothing.
#[test]
fn a_body_may_be_empty() {
    let mut peer = peer(100);
    let ours = opened(&mut peer);
    assert_eq!(peer.victim.connection.write(ours, b""), Ok(0));
    assert_eq!(peer.heard(), b"", "nothing is no chunk");
    peer.victim.connection.finish(ours).unwrap();
    assert_eq!(peer.victim.connection.finish(ours), Err(SendError::UnknownExchange));
    assert_eq!(peer.heard(), message::end(1, 0));
    // Empty chunks of the other side's are told, and cost.
    let empty = [message::response(1, 0, 1, b""), message::data(1, b""), message::end(1, 0)].concat();
    let cost = message::data(1, b"").len() as u32;
    assert_eq!(
        peer.tell(&empty),
        [
            Happened::ResponseGoesOn { id: ours, body: vec![] },
            Happened::Data(ours, vec![], cost),
            Happened::End(ours, Status::OK)
        ]
    );
    assert!(peer.victim.connection.is_idle());
}

/// `Full` changes nothing, and `poll_writable` tells of room once, when there is some.
#[test]
fn room_is_told_once() {
    let mut peer = peer_with(1_000, |limits, _| limits.body_buffer = 100);
    let ours = opened(&mut peer);
    let connection = &mut peer.victim.connection;
    assert_eq!(connection.poll_writable(), None);
    assert_eq!(connection.write(ours, &[7; 150]), Ok(100));
    assert_eq!(connection.write(ours, &[8; 1]), Err(SendError::Full));
    assert_eq!(connection.write(ours, b""), Ok(0));
    assert_eq!(connection.poll_writable(), None, "nothing has left");
    assert_eq!(peer.heard(), message::data(1, &[7; 100]));
    assert_eq!(peer.victim.connection.poll_writable(), Some(ours));
    assert_eq!(peer.victim.connection.poll_writable(), None);
    // Who did not ask and has filled it again is told when there is room again, and not before.
    peer.victim.connection.write(ours, &[7; 100]).unwrap();
    peer.heard();
    peer.victim.connection.write(ours, &[7; 100]).unwrap();
    assert_eq!(peer.victim.connection.poll_writable(), None);
    peer.heard();
    assert_eq!(peer.victim.connection.poll_writable(), Some(ours));
    // A body that has ended meanwhile is not named.
    peer.victim.connection.write(ours, &[7; 100]).unwrap();
    peer.heard();
    peer.victim.connection.reset(ours, OWN).unwrap();
    assert_eq!(peer.victim.connection.poll_writable(), None);
    // Nor is one that was never full.
    peer.heard();
    peer.say(&message::response(1, 0, 0, b""));
    let ours = peer.victim.connection.open(peer.victim.now, &head(true)).unwrap();
    peer.victim.connection.write(ours, &[7; 99]).unwrap();
    peer.heard();
    assert_eq!(peer.victim.connection.poll_writable(), None);
}
