//! SPEC §8.2 and §9.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::{encoded, hex};
use crate::Status;
use crate::wire::cbor::{EncodingError, Sink, item_len};
use crate::wire::message::{Continuation, Message, Point, Publication, WireError};

/// One of each type, with all its fields, as in the table of SPEC §9; every field is different.
fn samples() -> Vec<(Message<'static>, &'static str)> {
    let (id, status, point) = (2, Status::NOT_FOUND, Point { epoch: 5, sequence: 6 });
    let (method, filter, topic, body, chunk) = ("m", "f", "t", &b"\xb0"[..], &b"\xc0"[..]);
    let whole =
        Publication { id, missed: 4, unknown: true, retained: true, topic, point, chunk, total: None };
    let first = Publication { unknown: false, total: Some(300), ..whole };
    [
        (Message::Accept, "8100"),
        (Message::Close { status: Status::VIOLATION }, "8201 1821"),
        (Message::Goaway { last: 7 }, "8202 07"),
        (Message::Ping { token: 8 }, "8203 08"),
        (Message::Pong { token: 9 }, "8204 09"),
        (Message::Request { id, deadline_ms: 1000, more: true, method, body }, "8605 02 1903e8 01 616d 41b0"),
        (Message::Response { id, status, more: false, body }, "8506 02 03 00 41b0"),
        (Message::Busy { id, retry_ms: 50 }, "8307 02 1832"),
        (Message::Cancel { id, status }, "8308 02 03"),
        (Message::Data { id, chunk }, "8309 02 41c0"),
        (Message::End { id, status }, "830a 02 03"),
        (Message::Credit { id, limit: 4096 }, "830b 02 191000"),
        (Message::Subscribe { id, limit: 4096, filter, from: None }, "840c 02 191000 6166"),
        (Message::Subscribe { id, limit: 4096, filter, from: Some(point) }, "860c 02 191000 6166 05 06"),
        (Message::Publication(whole), "880d 02 04 06 6174 05 06 41c0"),
        (Message::Publication(first), "890d 02 04 05 6174 05 06 41c0 19012c"),
        (Message::Continuation(Continuation { id, more: true, abort: false, chunk }), "840e 02 01 41c0"),
        (Message::Continuation(Continuation { id, more: false, abort: true, chunk: b"" }), "840e 02 02 40"),
        (Message::Missed { id, unknown: true, count: 9 }, "840f 02 02 09"),
        (Message::Ignorable, "8114"),
    ]
    .into()
}

fn all_refused(error: WireError, table: &[&str]) {
    for text in table {
        assert_eq!(Message::decode(&hex(text)), Err(error), "{text}");
    }
}

#[test]
fn bytes_of_each() {
    for (message, text) in samples() {
        let bytes = hex(text);
        assert_eq!(encoded(message), bytes, "{message:?}");
        assert_eq!(message.encoded_len(), bytes.len(), "{message:?}");
        assert_eq!(Message::decode(&bytes), Ok((message, bytes.len())), "{text}");
    }
}

/// Attack C5: what stands behind a message is the next one's
#[test]
fn c5_only_the_first_is_read() {
    assert_eq!(Message::decode(&hex("8203 08 ff")), Ok((Message::Ping { token: 8 }, 3)));
}

/// ENC-1: the encoding is checked first, and to the message's end
#[test]
fn encoding_is_checked_first() {
    all_refused(WireError::Encoding(EncodingError::Truncated), &["", "81", "8203", "8605 02"]);
    all_refused(WireError::Encoding(EncodingError::NotShortest), &["811800", "8203 1800", "9801 00"]);
    all_refused(WireError::Encoding(EncodingError::Tag), &["8210 c000", "8200 c000", "d9d9f78100"]);
    all_refused(WireError::Encoding(EncodingError::TooDeep), &["8200 81818180", "8214 81818180"]);
}

/// ENC-4: not an array that begins with an unsigned integer; attack C14
#[test]
fn c14_not_a_message() {
    all_refused(
        WireError::NotAMessage,
        &["00", "80", "a0", "40", "60", "f6", "8120", "81f5", "814100", "816161", "8180"],
    );
}

/// ENC-3: more elements than the type has, of any kind, up to 32 in all
#[test]
fn extra_elements_are_ignored() {
    for (message, text) in samples() {
        // A point would be missing its sequence, and a total is one; both have their own tests.
        if matches!(message, Message::Subscribe { from: None, .. }) {
            continue;
        }
        let mut malformed = hex(text);
        malformed[0] += 1;
        malformed.push(0xf7);
        let error = WireError::Encoding(EncodingError::Simple);
        assert_eq!(Message::decode(&malformed), Err(error), "ENC-1: {text}");
        for extra in ["00", "f6", "4100", "818180", "a100a0", "20", "6161"] {
            let mut bytes = hex(text);
            bytes[0] += 1;
            bytes.extend(hex(extra));
            assert_eq!(Message::decode(&bytes), Ok((message, bytes.len())), "{text} {extra}");
        }
    }
    let many = |count: u8| [&[0x98, count, 0][..], &[0].repeat(usize::from(count) - 1)].concat();
    assert_eq!(Message::decode(&many(32)), Ok((Message::Accept, 34)));
    assert_eq!(Message::decode(&many(33)), Err(EncodingError::ArrayTooLong.into()));
}

/// ENC-4: each field is required; attack C14
#[test]
fn c14_missing_fields() {
    for (_, text) in samples() {
        let bytes = hex(text);
        for elements in 1..bytes[0] & 0x1f {
            let mut bytes = bytes.clone();
            bytes[0] = 0x80 | elements;
            let (message, field) = (bytes[1], elements);
            let optional = message == 12 && elements == 4;
            let expected = (!optional).then_some(WireError::MissingField { message, field });
            assert_eq!(Message::decode(&bytes).err(), expected, "{elements} of {text}");
        }
    }
}

/// ENC-4: each field has its type; attacks C13 (negative), C14
#[test]
fn c13_c14_wrong_types() {
    for (_, text) in samples() {
        let whole = hex(text);
        for field in 1..whole[0] & 0x1f {
            for wrong in ["20", "f6", "f4", "80", "a0", "4100", "6161", "00"] {
                let (bytes, old) = replaced(&whole, field, &hex(wrong));
                if old >> 5 == hex(wrong)[0] >> 5 {
                    continue;
                }
                let error = WireError::WrongType { message: whole[1], field };
                assert_eq!(Message::decode(&bytes), Err(error), "{text}, {field}: {wrong}");
            }
        }
    }
}

/// ENC-4: each number has its range; attack C13
#[test]
fn c13_out_of_range() {
    let (above_u16, above_u32) = ("1a00010000", "1b0000000100000000");
    for (message, field, least) in [
        (1, 1, above_u16),
        (5, 2, above_u32),
        (6, 2, above_u16),
        (7, 2, above_u32),
        (8, 2, above_u16),
        (10, 2, above_u16),
        (12, 4, above_u32),
        (13, 2, above_u32),
        (13, 5, above_u32),
        (15, 3, above_u32),
    ] {
        let (_, text) = samples().into_iter().rfind(|(_, text)| hex(text)[1] == message).unwrap();
        for number in [least, "1bffffffffffffffff"] {
            let (bytes, _) = replaced(&hex(text), field, &hex(number));
            assert_eq!(
                Message::decode(&bytes),
                Err(WireError::OutOfRange { message, field }),
                "{text}: {number}"
            );
        }
        let highest = if least == above_u16 { "19ffff" } else { "1affffffff" };
        assert!(Message::decode(&replaced(&hex(text), field, &hex(highest)).0).is_ok());
    }
}

/// ENC-5: types 20 to 23 are ignored, whatever they hold, if it is well-formed
#[test]
fn ignorable() {
    for text in ["8114", "8115", "8116", "8117", "8214 4400000000", "8317 a0 f6"] {
        assert_eq!(Message::decode(&hex(text)), Ok((Message::Ignorable, hex(text).len())), "{text}");
    }
    all_refused(WireError::Encoding(EncodingError::Float), &["8214 f90000"]);
}

/// ENC-6: any other type that is not known
#[test]
fn unknown_types() {
    for number in (16..20).chain(24..300).chain([65536, u64::MAX]) {
        let mut bytes = Vec::new();
        bytes.array(1);
        bytes.unsigned(number);
        assert_eq!(Message::decode(&bytes), Err(WireError::UnknownType(number)));
    }
}

/// ENC-7: every flag that the type does not have
#[test]
fn undefined_flags() {
    for (message, field, defined) in [(5, 3, 1), (6, 3, 1), (13, 3, 7), (14, 2, 3), (15, 2, 2)] {
        // The last sample of each: where `more` may be set, a total is there.
        let (_, text) = samples().into_iter().rfind(|(_, text)| hex(text)[1] == message).unwrap();
        for flags in (0..256).chain([256, 1 << 32, u64::MAX]) {
            let mut value = Vec::new();
            value.unsigned(flags);
            let (bytes, _) = replaced(&hex(text), field, &value);
            let expected = (flags & !defined != 0).then_some(WireError::UndefinedFlags { message });
            assert_eq!(Message::decode(&bytes).err(), expected, "{text}: {flags:#x}");
        }
    }
}

/// ENC-8: every status is read, known or not
#[test]
fn statuses_are_open() {
    for number in [0, 11, 31, 39, 255, 256, 65535] {
        let message = Message::End { id: 2, status: Status::new(number) };
        assert_eq!(Message::decode(&encoded(message)).map(|(message, _)| message), Ok(message));
    }
}

/// MSG-1: a subscribe has four elements, or six and more
#[test]
fn half_a_point() {
    let half = WireError::MissingField { message: 12, field: 5 };
    all_refused(half, &["850c 02 03 6166 05"]);
    all_refused(
        WireError::WrongType { message: 12, field: 4 },
        &["850c 02 03 6166 f6", "860c 02 03 6166 f6 f6"],
    );
    assert!(Message::decode(&hex("840c 02 03 6166")).is_ok());
    assert!(Message::decode(&hex("870c 02 03 6166 05 06 f6")).is_ok());
}

/// SPEC §9: `total` is there if, and only if, `more` is set; without it a ninth element is one to ignore
#[test]
fn total_goes_with_more() {
    all_refused(WireError::MissingField { message: 13, field: 8 }, &["880d 02 04 01 6174 05 06 41c0"]);
    all_refused(WireError::WrongType { message: 13, field: 8 }, &["890d 02 04 01 6174 05 06 41c0 f6"]);
    for ninth in ["00", "f6", "19012c"] {
        let bytes = hex(&["890d 02 04 00 6174 05 06 41c0", ninth].concat());
        let Ok((Message::Publication(publication), _)) = Message::decode(&bytes) else { panic!("{ninth}") };
        assert_eq!(publication.total, None);
    }
}

/// NAM-2: more than 128 bytes are refused; NAM-1: what is wrong in other ways is left to others
#[test]
fn name_lengths() {
    let (longest, longer) = ("é".repeat(64), "a".repeat(129));
    let point = Point { epoch: 0, sequence: 0 };
    for (name, fits) in [(longest.as_str(), true), (&longer, false), ("", true), ("/+#\0", true)] {
        let publication = Publication {
            id: 1,
            missed: 0,
            unknown: false,
            retained: false,
            topic: name,
            point,
            chunk: b"",
            total: None,
        };
        for (kind, message) in [
            (5, Message::Request { id: 1, deadline_ms: 0, more: false, method: name, body: b"" }),
            (12, Message::Subscribe { id: 1, limit: 0, filter: name, from: None }),
            (13, Message::Publication(publication)),
        ] {
            let expected = (!fits).then_some(WireError::NameTooLong { message: kind });
            assert_eq!(Message::decode(&encoded(message)).err(), expected, "{name:?}");
        }
    }
}

/// The message with one element replaced, and the initial byte of the one that stood there.
fn replaced(whole: &[u8], field: u8, by: &[u8]) -> (Vec<u8>, u8) {
    let mut at = 1;
    for _ in 0..field {
        at += item_len(&whole[at..]).unwrap();
    }
    let len = item_len(&whole[at..]).unwrap();
    ([&whole[..at], by, &whole[at + len..]].concat(), whole[at])
}

proptest! {
    /// ENC-1, ENC-4, ENC-7: what the short way for publications takes, the way for all messages takes for the same; and it
    /// takes each one that is whole.
    #[test]
    fn a_publication_is_the_same_by_either_way(
        id: u64, missed: u32, unknown: bool, retained: bool, topic in "[a-z/]{0,100}é{0,14}", epoch: u32, sequence: u64,
        chunk in proptest::collection::vec(any::<u8>(), 0..300),
        changed in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let (topic, point) = (topic.as_str(), Point { epoch, sequence });
        let publication =
            Publication { id, missed, unknown, retained, topic, point, chunk: &chunk, total: None };
        let mut bytes = encoded(Message::Publication(publication));
        prop_assert_eq!(Publication::decode_whole(&bytes), Some((publication, bytes.len())));
        if let Some((at, byte)) = changed {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for cut in [bytes.len(), bytes.len() - 1] {
            let bytes = &bytes[..cut];
            let short = Publication::decode_whole(bytes);
            let short = short.map(|(publication, len)| (Message::Publication(publication), len));
            prop_assert!(short.is_none() || short == Message::decode_whole(bytes));
        }
    }
}
