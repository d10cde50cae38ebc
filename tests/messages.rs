//! What single messages and the names in them may look like, as far as a peer sees it.  SPEC §9, §13

mod common;

use common::Happened;
use common::attacker::{Attacker, Victim};
use common::cbor::{NULL, array, bytes, map, message, text, uint};
use symbolon::{Missed, Outgoing, PeerMisbehaved, Point, Role, Status, WireError};

fn connected() -> (Attacker, Victim) {
    Attacker::connected(Role::Initiator)
}

/// A subscription of the victim's to this filter, which the attacker has accepted.
fn subscribed(filter: &str) -> (Attacker, Victim, u64) {
    let (mut attacker, mut victim) = connected();
    let id = victim.connection.subscribe(filter, 10_000, None).unwrap();
    attacker.open(&victim.written());
    victim.feed(&attacker.seal(&message::response(id.number(), 0, 1, b"")));
    assert_eq!(victim.events(), [Happened::Subscribed(id)]);
    (attacker, victim, id.number())
}

/// MSG-1: a subscribe has four elements, or six and more.
#[test]
fn a_subscribe_with_half_a_point_is_a_violation() {
    let (mut attacker, mut victim) = connected();
    victim.feed(&attacker.seal(&message::of(12, &[uint(2), uint(100), text("a"), uint(1)])));
    let half = PeerMisbehaved::Message(WireError::MissingField { message: 12, field: 5 });
    victim.assert_closed(&mut attacker, half, 33);

    let point = Some(Point { epoch: 1, sequence: 2 });
    for (fields, from) in [(0, None), (2, point), (9, point)] {
        let (mut attacker, mut victim) = connected();
        let point = [uint(1), uint(2), text("x"), vec![NULL], uint(5), uint(6), uint(7), uint(8), uint(9)];
        let from = from.or_else(|| (fields == 9).then_some(Point { epoch: 1, sequence: 2 }));
        victim.feed(
            &attacker.seal(&message::of(12, &[&[uint(2), uint(100), text("a")], &point[..fields]].concat())),
        );
        assert!(matches!(&victim.events()[..], [Happened::Subscribe { from: got, .. }] if *got == from));
    }
}

/// MSG-2, R11: each ping its pong; of several that wait, the newest, so that a flood costs one answer.
#[test]
fn the_newest_ping_is_answered() {
    for role in [Role::Initiator, Role::Responder] {
        let (mut attacker, mut victim) = Attacker::connected(role);
        for token in [0, 1, 23, 24, u64::MAX] {
            victim.feed(&attacker.seal(&message::ping(token)));
            assert_eq!(attacker.open(&victim.written()), [message::pong(token)]);
        }
        victim.feed(&attacker.seal(&[message::ping(5), message::ping(6)].concat()));
        victim.feed(&attacker.seal_each(&[message::ping(9), message::ping(7)]));
        assert_eq!(attacker.open(&victim.written()), [message::pong(7)]);
        assert_eq!(victim.written(), b"");
        assert_eq!(victim.events(), []);
    }
}

/// MSG-2: a pong that nobody waits for is ignored.
#[test]
fn a_pong_out_of_the_blue_is_ignored() {
    let (mut attacker, mut victim) = connected();
    victim.feed(&attacker.seal(&[message::pong(0), message::pong(u64::MAX)].concat()));
    assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
}

/// MSG-3: without `more` a ninth element is any element; and this side sends none.
#[test]
fn a_total_without_more_is_ignored() {
    let ninth = [uint(1), uint(u64::MAX), text("x"), vec![NULL], array(&[uint(1)]), bytes(b"x")];
    for element in ninth {
        let (mut attacker, mut victim, id) = subscribed("a");
        let fields = [uint(id), uint(0), uint(0), text("a"), uint(1), uint(0), bytes(b"x"), element];
        victim.feed(&attacker.seal(&message::of(13, &fields)));
        assert!(matches!(&victim.events()[..], [Happened::Publication { body, .. }] if body == b"x"));
    }

    let (mut attacker, mut victim) = connected();
    victim.feed(&attacker.seal(&message::subscribe(2, 1_000, "a", None)));
    let [Happened::Subscribe { id, .. }] = victim.events()[..] else { panic!() };
    victim.connection.accept_subscription(id).unwrap();
    let point = Point { epoch: 1, sequence: 3 };
    let missed = Missed { count: 2, unknown: true };
    let publication = Outgoing { topic: "a", point, missed, retained: true, body: b"x" };
    victim.connection.publish(id, &publication).unwrap();
    let expected = [message::response(2, 0, 1, b""), message::publication(2, 2, 6, "a", 3, b"x", None)];
    assert_eq!(attacker.open(&victim.written()), [expected.concat()]);
}

/// Names that break a rule of SPEC §13, and are not too long.
fn bad_names() -> Vec<String> {
    let mut names: Vec<String> =
        ["", "/", "a/", "/a", "a//b", "a+", "+a/b", "a#", "#a"].iter().map(|name| name.to_string()).collect();
    let control = (0u8..0x20).chain([0x7f]).map(char::from);
    names.extend(
        control.flat_map(|control| [format!("{control}"), format!("a{control}b"), format!("a/{control}")]),
    );
    names
}

/// The status with which an opening is answered that the application is not told of.
fn answered_unasked(opening: &[u8]) -> u16 {
    let (mut attacker, mut victim) = connected();
    victim.feed(&attacker.seal(opening));
    assert_eq!(victim.events(), []);
    let answer = attacker.open(&victim.written()).concat();
    let statuses = [Status::BAD_REQUEST, Status::UNSUPPORTED, Status::NOT_FOUND];
    let status = statuses
        .into_iter()
        .find(|status| answer == message::response(2, status.number().into(), 0, b""))
        .unwrap_or_else(|| panic!("an answer without a body: {answer:02x?}"));
    // The connection goes on.
    victim.feed(&attacker.seal(&message::request(4, 0, 0, "good", b"")));
    assert!(matches!(&victim.events()[..], [Happened::Request { .. }]));
    status.number()
}

/// NAM-1
#[test]
fn a_bad_method_gets_bad_request() {
    for name in bad_names().iter().map(String::as_str).chain(["+", "#", "a/+", "a/#", "+/a"]) {
        let status = answered_unasked(&message::request(2, 0, 0, name, b"body"));
        assert_eq!(status, Status::BAD_REQUEST.number(), "{name:?}");
    }
}

/// NAM-1
#[test]
fn a_bad_filter_gets_bad_request() {
    for filter in bad_names().iter().map(String::as_str).chain(["#/a", "a/#/b", "a/b+", "##", "++"]) {
        let status = answered_unasked(&message::subscribe(2, 1_000, filter, None));
        assert_eq!(status, Status::BAD_REQUEST.number(), "{filter:?}");
    }
}

/// NAM-1: names at their limits, and whatever else is one.
#[test]
fn every_name_is_taken() {
    let longest = ["x".repeat(128), "ä".repeat(64), "a/".repeat(63) + "ab"];
    let names = ["a", "a/b/c", "$sys/x", "ä/日本/🦀", " ", "\u{80}"];
    for name in longest.iter().map(String::as_str).chain(names) {
        assert!(name.len() <= 128);
        let (mut attacker, mut victim) = connected();
        let openings = [message::request(2, 0, 0, name, b""), message::subscribe(4, 1, name, None)];
        victim.feed(&attacker.seal_each(&openings));
        let events = victim.events();
        assert!(matches!(&events[0], Happened::Request { method, .. } if method == name));
        assert!(matches!(&events[1], Happened::Subscribe { filter, .. } if filter == name));
    }
    for name in ["+", "#", "a/+", "a/#", "+/+/#", "a/+/b", "$sys/#"] {
        let (mut attacker, mut victim) = connected();
        victim.feed(&attacker.seal(&message::subscribe(2, 1, name, None)));
        assert!(matches!(&victim.events()[..], [Happened::Subscribe { filter, .. }] if filter == name));
    }
}

/// NAM-2: more than 128 bytes, of whatever name.
#[test]
fn a_name_that_is_too_long_is_a_violation() {
    for len in [129, 130, 255, 256, 1_000] {
        let name = "x".repeat(len);
        let cases = [
            (5, message::request(2, 0, 0, &name, b"")),
            (12, message::subscribe(2, 1, &name, None)),
            (13, message::publication(1, 0, 0, &name, 0, b"", None)),
        ];
        for (kind, opening) in cases {
            let (mut attacker, mut victim) = connected();
            victim.feed(&attacker.seal(&opening));
            let too_long = PeerMisbehaved::Message(WireError::NameTooLong { message: kind });
            victim.assert_closed(&mut attacker, too_long, 33);
        }
    }
}

/// NAM-3: a publication whose topic its filter does not match, or which has no name.
#[test]
fn a_publication_outside_its_filter_is_a_violation() {
    let cases = [
        ("a", "b"),
        ("a", "A"),
        ("a", "a/b"),
        ("a/+", "a"),
        ("a/+", "a/b/c"),
        ("a/#", "b"),
        ("#", "$sys/x"),
        ("+/x", "$sys/x"),
        ("$sys/#", "$sys/$x"),
        ("ä", "a\u{308}"),
        ("#", ""),
        ("#", "a//b"),
        ("#", "a/+"),
        ("#", "#"),
        ("a/#", "a/\u{7f}"),
    ];
    for (filter, topic) in cases {
        let (mut attacker, mut victim, id) = subscribed(filter);
        victim.feed(&attacker.seal(&message::publication(id, 0, 0, topic, 0, b"", None)));
        victim.assert_closed_with_failures(&mut attacker, PeerMisbehaved::Topic(id), 33);
    }
}

/// NAM-3: and those that it matches arrive.
#[test]
fn a_publication_within_its_filter_arrives() {
    let cases =
        [("a", "a"), ("a/+", "a/b"), ("a/#", "a"), ("a/#", "a/b/c"), ("#", "x/y"), ("$sys/#", "$sys/x")];
    for (filter, topic) in cases {
        let (mut attacker, mut victim, id) = subscribed(filter);
        victim.feed(&attacker.seal(&message::publication(id, 0, 0, topic, 0, b"21", None)));
        assert!(matches!(&victim.events()[..], [Happened::Publication { topic: got, .. }] if got == topic));
    }
}

/// MSG-1, ENC-3: an element that is ignored may be a map or an array.
#[test]
fn elements_behind_the_point_are_ignored() {
    let (mut attacker, mut victim) = connected();
    let behind = [map(&[(uint(0), text("later"))]), array(&[])];
    let fields = [&[uint(2), uint(1), text("a"), uint(3), uint(4)], &behind[..]].concat();
    victim.feed(&attacker.seal(&message::of(12, &fields)));
    let point = Some(Point { epoch: 3, sequence: 4 });
    assert!(matches!(&victim.events()[..], [Happened::Subscribe { from, .. }] if *from == point));
}
