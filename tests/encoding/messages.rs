//! The fields of messages, and what a later version may add.  SPEC §8, §9

use symbolon::{PeerMisbehaved, Role, Status, WireError};

use crate::common::Happened;
use crate::common::attacker::Attacker;
use crate::common::cbor::{FALSE, NULL, array, bytes, map, message, negative, text, uint};
use crate::{fed, ignored, violates};

/// The fields of a type, as SPEC §9 lists them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Bytes,
    /// With these bits defined.
    Flags(u64),
    Name,
    /// A number up to this one.
    Number(u64),
}

use Field::{Bytes, Flags, Name, Number};

const U16: Field = Number(0xffff);
const U32: Field = Number(0xffff_ffff);
const U64: Field = Number(u64::MAX);

const TYPES: [(u8, &[Field]); 15] = [
    (1, &[U16]),
    (2, &[U64]),
    (3, &[U64]),
    (4, &[U64]),
    (5, &[U64, U32, Flags(1), Name, Bytes]),
    (6, &[U64, U16, Flags(1), Bytes]),
    (7, &[U64, U32]),
    (8, &[U64, U16]),
    (9, &[U64, Bytes]),
    (10, &[U64, U16]),
    (11, &[U64, U64]),
    (12, &[U64, U64, Name]),
    (13, &[U64, U32, Flags(6), Name, U32, U64, Bytes]),
    (14, &[U64, Flags(3), Bytes]),
    (15, &[U64, Flags(2), U32]),
];

fn valid(field: Field) -> Vec<u8> {
    match field {
        Bytes => bytes(b"x"),
        Flags(_) => uint(0),
        Name => text("a"),
        Number(_) => uint(1),
    }
}

fn fields_of(fields: &[Field]) -> Vec<Vec<u8>> {
    fields.iter().map(|field| valid(*field)).collect()
}

/// ENC-4, C14: each type with each of its last fields missing.
#[test]
fn a_missing_field_is_a_violation() {
    for (kind, fields) in TYPES {
        for present in 0..fields.len() {
            let error = WireError::MissingField { message: kind, field: present as u8 + 1 };
            violates(&message::of(kind.into(), &fields_of(&fields[..present])), error);
        }
    }
    // `total` is required where `more` is set.
    let with_more = [uint(1), uint(0), uint(1), text("a"), uint(1), uint(0), bytes(b"")];
    violates(&message::of(13, &with_more), WireError::MissingField { message: 13, field: 8 });
}

/// ENC-4, C13, C14: each field of each other type, and numbers below zero.
#[test]
fn a_field_of_another_type_is_a_violation() {
    for (kind, fields) in TYPES {
        for (at, field) in fields.iter().enumerate() {
            let wrong = [
                uint(0),
                negative(0),
                negative(u64::MAX),
                bytes(b"a"),
                text("a"),
                array(&[uint(0)]),
                map(&[(uint(0), uint(0))]),
                vec![FALSE],
                vec![NULL],
            ];
            let right = match field {
                Bytes => 3,
                Name => 4,
                Flags(_) | Number(_) => 0,
            };
            for (n, value) in wrong.into_iter().enumerate().filter(|(n, _)| *n != right) {
                let mut encoded = fields_of(fields);
                encoded[at] = value;
                let error = WireError::WrongType { message: kind, field: at as u8 + 1 };
                let (mut attacker, mut victim) = fed(&message::of(kind.into(), &encoded));
                assert_eq!(
                    victim.events(),
                    [Happened::Closed(PeerMisbehaved::Message(error).into())],
                    "{kind} {at} {n}"
                );
                assert_eq!(attacker.open(&victim.written()), [message::close(33)]);
            }
        }
    }
}

/// ENC-4, C13: each number that is too large for its field.
#[test]
fn a_number_out_of_range_is_a_violation() {
    for (kind, fields) in TYPES {
        for (at, field) in fields.iter().enumerate() {
            let Number(most) = *field else { continue };
            let Some(above) = most.checked_add(1) else { continue };
            for number in [above, u64::MAX] {
                let mut encoded = fields_of(fields);
                encoded[at] = uint(number);
                let error = WireError::OutOfRange { message: kind, field: at as u8 + 1 };
                violates(&message::of(kind.into(), &encoded), error);
            }
        }
    }
}

/// ENC-7: each undefined bit of each field of flags.
#[test]
fn an_undefined_flag_is_a_violation() {
    for (kind, fields) in TYPES {
        for (at, field) in fields.iter().enumerate() {
            let Flags(defined) = *field else { continue };
            // `more` of a publication is defined as well; it needs a `total`.
            let defined = if kind == 13 { 7 } else { defined };
            for flags in
                (0..64).map(|bit| 1u64 << bit).chain([u64::MAX]).filter(|flags| flags & !defined != 0)
            {
                let mut encoded = fields_of(fields);
                encoded[at] = uint(flags);
                violates(&message::of(kind.into(), &encoded), WireError::UndefinedFlags { message: kind });
            }
        }
    }
}

/// ENC-3: whatever stands behind the fields of a type is ignored, if it is well-formed.
#[test]
fn elements_behind_the_fields_are_ignored() {
    let extra =
        [uint(0), negative(5), bytes(b"x"), text("x"), array(&[map(&[(uint(0), uint(1))])]), vec![NULL]];
    let with_extra = |kind: u64, fields: &[Vec<u8>]| message::of(kind, &[fields, &extra[..]].concat());

    let (mut attacker, mut victim) = fed(&with_extra(3, &[uint(7)]));
    assert_eq!(attacker.open(&victim.written()), [message::pong(7)]);
    ignored(&with_extra(4, &[uint(7)]));

    let (_, mut victim) = fed(&with_extra(5, &[uint(2), uint(0), uint(0), text("m"), bytes(b"b")]));
    assert!(
        matches!(&victim.events()[..], [Happened::Request { method, body, .. }] if method == "m" && body == b"b")
    );

    let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
    let id = victim.connection.request(victim.now, "m", b"", None).unwrap();
    attacker.open(&victim.written());
    victim.feed(&attacker.seal(&with_extra(6, &[uint(id.number()), uint(0), uint(0), bytes(b"b")])));
    assert_eq!(victim.events(), [Happened::Response { id, status: Status::OK, body: b"b".to_vec() }]);

    let (mut attacker, mut victim) = fed(&with_extra(1, &[uint(300)]));
    assert_eq!(victim.closed(), symbolon::CloseReason::Remote(Status::new(300)));
    assert_eq!(attacker.open(&victim.written()), [message::close(0)]);

    let (mut attacker, mut victim) = Attacker::listen(Default::default());
    attacker.handshake(&mut victim);
    victim.feed(&attacker.seal(&with_extra(0, &[])));
    assert_eq!(victim.events(), [Happened::Connected(attacker.knobs.peer_id())]);
}

/// ENC-5: types that a receiver ignores where it does not know them.
#[test]
fn ignorable_types_are_ignored() {
    for kind in 20..24 {
        ignored(&message::of(kind, &[]));
        ignored(&message::of(kind, &[uint(1), text("later"), map(&[(uint(3), bytes(b"x"))])]));
        ignored(&[message::of(kind, &[bytes(&[0; 10_000])]), message::of(kind, &[])].concat());
    }
}

/// ENC-6
#[test]
fn every_other_unknown_type_is_a_violation() {
    for kind in (16..20).chain(24..300).chain([65_536, 1 << 32, u64::MAX]) {
        violates(&message::of(kind, &[]), WireError::UnknownType(kind));
    }
    violates(&message::of(256 + 3, &[uint(1)]), WireError::UnknownType(256 + 3));
}

/// ENC-8: a status that nobody knows is a failure, and its number is told.
#[test]
fn an_unknown_status_is_handed_on() {
    for number in [11, 31, 32, 100, 255, 256, 65_535] {
        let status = Status::new(number as u16);
        let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
        let id = victim.connection.request(victim.now, "m", b"", None).unwrap();
        attacker.open(&victim.written());
        victim.feed(&attacker.seal(&message::response(id.number(), number, 0, b"why")));
        assert_eq!(victim.events(), [Happened::Response { id, status, body: b"why".to_vec() }]);
        assert!(!status.is_ok());

        let (_, mut victim) = fed(&message::close(number));
        assert_eq!(victim.closed(), symbolon::CloseReason::Remote(status));
    }
}

/// ENC-9: what is no array with a number at its head.
#[test]
fn what_is_not_a_message_is_a_violation() {
    let items = [
        uint(3),
        negative(0),
        bytes(b"x"),
        text("x"),
        vec![NULL],
        map(&[(uint(0), uint(3))]),
        array(&[]),
        array(&[negative(2), uint(1)]),
        array(&[text("ping"), uint(1)]),
        array(&[array(&[uint(3)]), uint(1)]),
        array(&[vec![NULL]]),
    ];
    for item in items {
        violates(&item, WireError::NotAMessage);
    }
}

/// ENC-1: strictness ends at bodies.
#[test]
fn a_body_may_hold_anything() {
    let anything: Vec<u8> = (0..=255).collect();
    for body in [&anything[..], b"\xff", b"\x9f\xff", b""] {
        let (_, mut victim) = fed(&message::request(2, 0, 0, "m", body));
        assert!(matches!(&victim.events()[..], [Happened::Request { body: got, .. }] if got == body));
    }
}
