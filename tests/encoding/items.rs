//! Deterministic CBOR, and nothing else.  SPEC §8.1

use symbolon::{EncodingError, PeerMisbehaved, Role, WireError};

use crate::common::attacker::Attacker;
use crate::common::cbor::{
    FALSE, NULL, TRUE, array, bytes, head, long_head, map, message, negative, raw_text, text, uint,
};
use crate::{fed, ignored, refused, violates};

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
