//! What messages 2 and 3 carry, and message 1 does not.  SPEC §5.2

use core::time::Duration;

use symbolon::{EncodingError, HandshakeError, PayloadError, Role, SendError};

use crate::common::attacker::{Attacker, Knobs, Pairs};
use crate::common::cbor::{NULL, array, bytes, head, long_head, map, negative, text, uint};
use crate::{BOTH, refused, taken};

fn edited(edit: impl Fn(&mut Pairs) + 'static) -> Knobs {
    Knobs { edit: Box::new(edit), ..Knobs::default() }
}

fn rewritten(rewrite: impl Fn(Vec<u8>) -> Vec<u8> + 'static) -> Knobs {
    Knobs { rewrite: Box::new(rewrite), ..Knobs::default() }
}

/// HSK-6, H10: each key of 0 to 7 is required.
#[test]
fn a_missing_key_is_refused() {
    for key in 0..8u8 {
        let knobs = move || {
            edited(move |pairs| {
                pairs.remove(key.into());
            })
        };
        refused(knobs, HandshakeError::Payload(PayloadError::Missing(key)));
    }
    refused(|| edited(Vec::clear), HandshakeError::Payload(PayloadError::Missing(0)));
}

/// HSK-6, H10: each value of each other type.
#[test]
fn a_value_of_another_type_is_refused() {
    for key in 0..8u8 {
        let wrong = [
            uint(1_000),
            negative(0),
            bytes(&[0; 33]),
            bytes(&[0; 31]),
            bytes(&[0; 65]),
            bytes(&[0; 63]),
            bytes(b""),
            text("1000"),
            array(&[uint(1_000)]),
            map(&[(uint(0), uint(0))]),
            vec![NULL],
        ];
        let first = usize::from(key >= 2);
        for value in wrong.into_iter().skip(first) {
            let knobs = || {
                let value = value.clone();
                edited(move |pairs| pairs[usize::from(key)].1 = value.clone())
            };
            refused(knobs, HandshakeError::Payload(PayloadError::Value(key)));
        }
    }
}

/// HSK-6, H14: each number around its bounds.
#[test]
fn a_value_out_of_range_is_refused() {
    let below = |key| if key == 2 { vec![0, 1, 255] } else { vec![] };
    for (key, most) in [(2, 65_535), (3, 65_535), (4, 65_535), (5, 0xffff_ffff), (6, 0xffff_ffff)] {
        for number in below(key).into_iter().chain([most + 1, u64::MAX]) {
            let knobs = || edited(move |pairs| pairs[usize::from(key)].1 = uint(number));
            refused(knobs, HandshakeError::Payload(PayloadError::Value(key)));
        }
        taken(|| edited(move |pairs| pairs[usize::from(key)].1 = uint(most)));
        let least = if key == 2 { 256 } else { 0 };
        taken(|| edited(move |pairs| pairs[usize::from(key)].1 = uint(least)));
    }
}

/// HSK-6, H14: limits at their extremes overflow nothing, and 0 means none.
#[test]
fn extreme_limits_are_kept() {
    let most = || Knobs {
        max_requests: 65_535,
        max_subscriptions: 65_535,
        window: 0xffff_ffff,
        silence: 0xffff_ffff,
        ..Knobs::default()
    };
    for role in BOTH {
        let (_, mut victim) = Attacker::connected_with(role, most());
        victim.pass(Duration::from_secs(1_000));
        assert_eq!(victim.events(), []);

        let none = Knobs { max_frame: 256, max_requests: 0, max_subscriptions: 0, ..Knobs::default() };
        let (_, mut victim) = Attacker::connected_with(role, none);
        let now = victim.now;
        assert_eq!(victim.connection.request(now, "m", b"", None), Err(SendError::NoneTaken));
        assert_eq!(victim.connection.subscribe("m", 100, None), Err(SendError::NoneTaken));
    }
}

/// HSK-6, H10: keys that version 1 does not have.
#[test]
fn an_unknown_key_below_16_is_refused() {
    for key in 8..16 {
        let knobs = || edited(move |pairs| pairs.push((uint(key), uint(0))));
        refused(knobs, HandshakeError::Payload(PayloadError::Unknown(key)));
    }
}

/// HSK-7: keys that a later version may add.
#[test]
fn an_unknown_key_from_16_on_is_ignored() {
    for key in 16..24 {
        for value in [uint(0), bytes(&[7; 100]), array(&[map(&[(uint(0), vec![NULL])])])] {
            taken(|| {
                let value = value.clone();
                edited(move |pairs| pairs.push((uint(key), value.clone())))
            });
        }
    }
    taken(|| edited(|pairs| pairs.extend((16..24).map(|key| (uint(key), text("later"))))));
}

/// HSK-8: features that nobody knows.
#[test]
fn unknown_features_are_ignored() {
    for features in [1, 0x8000_0000_0000_0000, u64::MAX] {
        taken(|| Knobs { features, ..Knobs::default() });
    }
}

/// HSK-6, H10: anything but one map.
#[test]
fn a_payload_that_is_not_one_map_is_refused() {
    let payload = |error| HandshakeError::Payload(error);
    let truncated = payload(PayloadError::Encoding(EncodingError::Truncated));
    refused(|| rewritten(|_| vec![]), truncated);
    refused(|| rewritten(|_| uint(1)), payload(PayloadError::NotAMap));
    refused(|| rewritten(|map| array(&[map])), payload(PayloadError::NotAMap));
    refused(|| rewritten(|_| array(&[uint(0), uint(1)])), payload(PayloadError::NotAMap));
    refused(|| rewritten(|map| [map, uint(0)].concat()), payload(PayloadError::Trailing));
    refused(|| rewritten(|map| [map.clone(), map].concat()), payload(PayloadError::Trailing));
    refused(|| rewritten(|map| map[..map.len() - 1].to_vec()), truncated);
}

/// HSK-6, ENC-1, C1 to C4, C9, C11: the payload's encoding is as strict as that of messages.
#[test]
fn a_payload_in_another_encoding_is_refused() {
    let encoding = |error| HandshakeError::Payload(PayloadError::Encoding(error));
    refused(|| edited(|pairs| pairs[2].1 = long_head(0, 1_000, 4)), encoding(EncodingError::NotShortest));
    refused(|| edited(|pairs| pairs[3].0 = long_head(0, 3, 1)), encoding(EncodingError::NotShortest));
    refused(|| edited(|pairs| pairs.swap(3, 4)), encoding(EncodingError::KeyOrder));
    refused(|| edited(|pairs| pairs[4].0 = uint(3)), encoding(EncodingError::KeyOrder));
    refused(|| edited(|pairs| pairs.push((uint(24), uint(0)))), encoding(EncodingError::KeyRange));
    refused(|| edited(|pairs| pairs.push((text("x"), uint(0)))), encoding(EncodingError::KeyRange));
    refused(|| edited(|pairs| pairs[5].1 = vec![0xf9, 0, 0]), encoding(EncodingError::Float));
    refused(|| edited(|pairs| pairs[5].1 = [head(6, 1), uint(0)].concat()), encoding(EncodingError::Tag));
    let deep = || (0..4).fold(uint(0), |inner, _| array(&[inner]));
    refused(|| edited(move |pairs| pairs.push((uint(16), deep()))), encoding(EncodingError::TooDeep));
    let indefinite = |map: Vec<u8>| [vec![0xbf], map[1..].to_vec(), vec![0xff]].concat();
    refused(|| rewritten(indefinite), encoding(EncodingError::Indefinite));
}

/// FRM-1, H14: the longest payloads, and one byte more.
#[test]
fn the_longest_payload_is_taken() {
    for (role, most) in [(Role::Responder, 416), (Role::Initiator, 448)] {
        for (payload, fits) in [(most, true), (most + 1, false)] {
            let pad = move |pairs: &mut Pairs| {
                let room = payload - map(pairs).len() - 1 - 3;
                pairs.push((uint(16), bytes(&vec![0; room])));
            };
            let (mut attacker, mut victim) = Attacker::before_payload(role, edited(pad));
            assert_eq!(attacker.payload().len(), payload);
            victim.feed(&attacker.say());
            if fits {
                assert!(!victim.is_closed());
            } else {
                victim.assert_dropped(HandshakeError::FrameLength(513));
            }
        }
    }
}

/// HSK-2, H13: message 1 that carries something.
#[test]
fn message_1_with_a_payload_is_refused() {
    for payload in [vec![0], vec![0; 16], vec![7; 200]] {
        let len = 32 + payload.len() as u16;
        let (mut attacker, mut victim) = Attacker::dial(Knobs { payload_1: payload, ..Knobs::default() });
        victim.feed(&attacker.begin()[..8]);
        victim.written();
        victim.feed(&attacker.begin()[8..]);
        victim.assert_dropped(HandshakeError::FrameLength(len));
    }
}
