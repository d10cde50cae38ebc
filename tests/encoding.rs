//! Deterministic CBOR and the rules of extension, as a peer that was let in meets them.  SPEC §8

mod common;

use common::Happened;
use common::attacker::{Attacker, Victim};
use common::cbor::{
    FALSE, NULL, TRUE, array, bytes, head, long_head, map, message, negative, raw_text, text, uint,
};
use proptest::prelude::*;
use symbolon::{EncodingError, PeerMisbehaved, Role, Status, WireError};

/// What this plaintext leads to.
fn fed(plaintext: &[u8]) -> (Attacker, Victim) {
    let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
    victim.feed(&attacker.seal(plaintext));
    (attacker, victim)
}

#[track_caller]
fn violates(plaintext: &[u8], error: WireError) {
    let (mut attacker, mut victim) = fed(plaintext);
    victim.assert_closed(&mut attacker, PeerMisbehaved::Message(error), 33);
}

/// Checks that this item is refused wherever it stands: as a message, within a field's place, and in elements that are
/// ignored.
#[track_caller]
fn refused(item: &[u8], error: EncodingError) {
    let error = WireError::Encoding(error);
    violates(item, error);
    violates(&message::of(20, &[item.to_vec()]), error);
    violates(&message::of(3, &[item.to_vec()]), error);
    violates(&message::of(3, &[uint(1), item.to_vec()]), error);
    violates(&message::of(23, &[uint(1), array(&[item.to_vec()])]), error);
    violates(&message::of(20, &[map(&[(uint(0), item.to_vec())])]), error);
}

#[track_caller]
fn ignored(plaintext: &[u8]) {
    let (mut attacker, mut victim) = fed(plaintext);
    assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
    victim.feed(&attacker.seal(&message::ping(1)));
    assert_eq!(attacker.open(&victim.written()), [message::pong(1)]);
}

/// ENC-1, C1: numbers and lengths in more bytes than they need.
#[test]
fn only_the_shortest_form_is_taken() {
    for (value, width) in [(0, 1), (23, 1), (0, 2), (255, 2), (0, 4), (65_535, 4), (0, 8), (0xffff_ffff, 8)] {
        for major in 0..6 {
            refused(&long_head(major, value, width), EncodingError::NotShortest);
        }
    }
    for (value, width) in [(24, 1), (256, 2), (65_536, 4), (1 << 32, 8)] {
        ignored(&message::of(20, &[long_head(0, value, width), long_head(1, value, width)]));
    }
}

/// ENC-1, C2
#[test]
fn indefinite_lengths_are_refused() {
    for item in
        [&b"\x5f\x41a\xff"[..], b"\x7f\x61a\xff", b"\x9f\xff", b"\x9f\x00\xff", b"\xbf\xff", b"\xbf\0\0\xff"]
    {
        refused(item, EncodingError::Indefinite);
    }
}

/// ENC-1, C3, C4: keys out of order, or twice; and keys that do not exist.
#[test]
fn map_keys_ascend_from_0_to_23() {
    let keyed = |keys: &[Vec<u8>]| map(&keys.iter().map(|key| (key.clone(), uint(0))).collect::<Vec<_>>());
    refused(&keyed(&[uint(1), uint(0)]), EncodingError::KeyOrder);
    refused(&keyed(&[uint(1), uint(1)]), EncodingError::KeyOrder);
    refused(&keyed(&[uint(0), uint(23), uint(22)]), EncodingError::KeyOrder);
    for key in [uint(24), uint(u64::MAX), negative(0), text("a"), bytes(b"a"), vec![NULL], array(&[])] {
        refused(&keyed(&[key]), EncodingError::KeyRange);
    }
    let all: Vec<_> = (0..24).map(uint).collect();
    ignored(&message::of(20, &[keyed(&all)]));
}

/// ENC-1, ENC-2, C5, C12: an item that ends early, wherever it is cut; of every kind.
#[test]
fn an_item_cut_short_is_refused() {
    let items = [
        message::of(20, &[uint(1 << 40), negative(70_000), bytes(&[0; 30]), text("text")]),
        message::of(20, &[map(&[(uint(0), array(&[uint(500)])), (uint(1), text("x"))])]),
    ];
    for item in items {
        for cut in 1..item.len() {
            violates(&item[..cut], WireError::Encoding(EncodingError::Truncated));
        }
    }
    // A whole message first: what is behind it is a message of its own.
    let (mut attacker, mut victim) = fed(&[message::ping(1), vec![0x82]].concat());
    let truncated = PeerMisbehaved::Message(WireError::Encoding(EncodingError::Truncated));
    victim.assert_closed(&mut attacker, truncated, 33);
}

/// ENC-1, C6, C7: reserved initial bytes, and a break where nothing is open.
#[test]
fn reserved_initial_bytes_are_refused() {
    for major in [0, 1, 2, 3, 4, 5, 7] {
        for info in 28..31 {
            refused(&[major << 5 | info], EncodingError::Reserved);
        }
    }
    refused(&[0xff], EncodingError::Break);
}

/// ENC-1, C8, C9: simple values, floats and tags; C8 names those below 32 in two bytes.
#[test]
fn only_false_true_and_null_are_taken() {
    for simple in (0xe0..0xf4).chain([0xf7]) {
        refused(&[simple], EncodingError::Simple);
    }
    for value in [0, 20, 24, 31, 32, 255] {
        refused(&[0xf8, value], EncodingError::Simple);
    }
    for float in [&b"\xf9\0\0"[..], b"\xf9\x7e\0", b"\xfa\0\0\0\0", b"\xfb\x7f\xf8\0\0\0\0\0\0"] {
        refused(float, EncodingError::Float);
    }
    for tag in [0, 1, 23, 24, 55_799, u64::MAX] {
        refused(&[head(6, tag), uint(0)].concat(), EncodingError::Tag);
    }
    ignored(&message::of(20, &[vec![FALSE], vec![TRUE], vec![NULL]]));
}

/// ENC-1, C10: bytes that are no UTF-8, among them surrogates and overlong forms.
#[test]
fn text_that_is_not_utf_8_is_refused() {
    let bad: [&[u8]; 7] =
        [b"\xff", b"a\x80", b"\xc3", b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"];
    for content in bad {
        refused(&raw_text(content), EncodingError::NotUtf8);
        let fields = [uint(2), uint(0), uint(0), raw_text(content), bytes(b"")];
        violates(&message::of(5, &fields), WireError::Encoding(EncodingError::NotUtf8));
    }
}

/// ENC-1, C11: four levels, the message counted; and no more, however many.
#[test]
fn nesting_ends_at_four_levels() {
    let arrays = |levels: usize| (1..levels).fold(array(&[]), |inner, _| array(&[inner]));
    let maps = |levels: usize| (1..levels).fold(map(&[]), |inner, _| map(&[(uint(0), inner)]));
    for item in [arrays(3), maps(3)] {
        ignored(&message::of(20, &[item]));
    }
    for item in [arrays(4), maps(4), arrays(5), maps(100)] {
        violates(&message::of(20, &[item]), WireError::Encoding(EncodingError::TooDeep));
    }
    let (mut attacker, mut victim) = fed(&vec![0x81; 16_000]);
    let too_deep = PeerMisbehaved::Message(WireError::Encoding(EncodingError::TooDeep));
    victim.assert_closed(&mut attacker, too_deep, 33);
}

/// ENC-1: an array has at most 32 elements, the message itself included.
#[test]
fn an_array_has_at_most_32_elements() {
    ignored(&message::of(20, &vec![uint(0); 31]));
    ignored(&message::of(20, &[array(&vec![uint(0); 32])]));
    let too_long = WireError::Encoding(EncodingError::ArrayTooLong);
    violates(&message::of(20, &vec![uint(0); 32]), too_long);
    violates(&message::of(20, &[array(&vec![uint(0); 33])]), too_long);
    violates(&message::of(3, &vec![uint(0); 32]), too_long);
}

/// ENC-2, C12: lengths far beyond the frame are refused, and cost no memory.
#[test]
fn a_length_beyond_the_frame_costs_nothing() {
    for len in [1, 24, 65_536, 1 << 32, u64::MAX] {
        for (major, error) in [
            (2, EncodingError::Truncated),
            (3, EncodingError::Truncated),
            (4, if len > 32 { EncodingError::ArrayTooLong } else { EncodingError::Truncated }),
            (5, EncodingError::Truncated),
        ] {
            let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
            victim.feed(&attacker.seal(&message::ping(1)));
            attacker.open(&victim.written());
            let before = victim.connection.buffered();
            victim.feed(&attacker.seal(&message::of(20, &[head(major, len)])));
            victim.assert_closed(&mut attacker, PeerMisbehaved::Message(WireError::Encoding(error)), 33);
            assert_eq!(victim.connection.buffered(), before);
        }
    }
}

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

/// The items of `content` written again in their only form, by way of another decoder; `None` where it finds something
/// that has none.
fn written_again(content: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = minicbor::Decoder::new(content);
    let mut again = Vec::new();
    while decoder.position() < content.len() {
        again.extend(item_again(&mut decoder)?);
    }
    Some(again)
}

fn item_again(decoder: &mut minicbor::Decoder<'_>) -> Option<Vec<u8>> {
    use minicbor::data::Type;
    Some(match decoder.datatype().ok()? {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => uint(decoder.u64().ok()?),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            negative((-1 - i128::from(decoder.int().ok()?)) as u64)
        }
        Type::Bytes => bytes(decoder.bytes().ok()?),
        Type::String => text(decoder.str().ok()?),
        Type::Bool => vec![if decoder.bool().ok()? { TRUE } else { FALSE }],
        Type::Null => {
            decoder.null().ok()?;
            vec![NULL]
        }
        Type::Array => {
            let len = decoder.array().ok()??;
            array(&(0..len).map(|_| item_again(decoder)).collect::<Option<Vec<_>>>()?)
        }
        Type::Map => {
            let len = decoder.map().ok()??;
            let pairs = (0..len).map(|_| Some((item_again(decoder)?, item_again(decoder)?)));
            map(&pairs.collect::<Option<Vec<_>>>()?)
        }
        _ => return None,
    })
}

/// Items of the profile, of at most three levels.
fn item() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        any::<(u64, u32)>().prop_map(|(value, shift)| uint(value >> (shift % 64))),
        any::<(u64, u32)>().prop_map(|(value, shift)| negative(value >> (shift % 64))),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|content| bytes(&content)),
        "\\PC{0,20}".prop_map(|content| text(&content)),
        Just(vec![TRUE]),
        Just(vec![NULL]),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| array(&items)),
            prop::collection::btree_map(0u64..24, inner, 0..5)
                .prop_map(|pairs| map(&pairs.into_iter().map(|(k, v)| (uint(k), v)).collect::<Vec<_>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// ENC-1, C15: what is accepted, also in elements that are ignored, has this one encoding and no other.
    #[test]
    fn what_is_accepted_has_one_encoding(
        item in item(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut changed = message::of(20, &[item]);
        for (at, byte) in &changes {
            let at = at.index(changed.len());
            changed[at] = *byte;
        }
        let (_, victim) = fed(&changed);
        if !victim.is_closed() {
            prop_assert_eq!(written_again(&changed), Some(changed));
        } else {
            prop_assert!(!changes.is_empty(), "an item of the profile is refused: {:02x?}", changed);
        }
    }
}
