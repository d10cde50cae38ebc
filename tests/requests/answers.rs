//! What answers a request, and how many there may be.

use std::time::Duration;

use symbolon::{CloseReason, Failure, PeerMisbehaved, Role, SendError, Status, WireError};

use super::common::cbor::{array, bytes, message, text, uint};
use super::common::hostile::Hostile;
use super::common::{Happened, Pair, device_with};
use super::{SECOND, asked};

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
