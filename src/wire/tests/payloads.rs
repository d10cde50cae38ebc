//! SPEC §5.2.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::hex;
use crate::buffer::Buffer;
use crate::wire::cbor::{EncodingError, Sink};
use crate::wire::payload::{PAYLOAD_MAX, PAYLOAD_MIN, Payload, PayloadError, PeerLimits};

fn sample() -> Payload {
    let limits = PeerLimits {
        max_frame: 4096,
        max_requests: 16,
        max_subscriptions: 8,
        window: 65536,
        silence_ms: 0,
        features: 0,
    };
    Payload { identity: [0x11; 32], proof: [0x22; 64], limits }
}

/// The sample, as pairs of key and encoded value.
fn pairs() -> Vec<(u64, Vec<u8>)> {
    let (mut identity, mut proof) = (Vec::new(), Vec::new());
    identity.bytes(&[0x11; 32]);
    proof.bytes(&[0x22; 64]);
    let numbers = ["191000", "10", "08", "1a00010000", "00", "00"];
    [identity, proof].into_iter().chain(numbers.map(hex)).zip(0..).map(|(value, key)| (key, value)).collect()
}

fn encoded(payload: Payload) -> Vec<u8> {
    let mut out = Buffer::new();
    payload.encode(&mut out);
    out.to_vec()
}

fn map(pairs: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    out.map(pairs.len() as u64);
    for (key, value) in pairs {
        out.unsigned(*key);
        out.put(value);
    }
    out
}

#[test]
fn bytes_of_a_payload() {
    let bytes = encoded(sample());
    assert_eq!(bytes, map(&pairs()));
    assert_eq!(Payload::decode(&bytes), Ok(sample()));
}

/// HSK-6: each key is required; attacks C14, H10
#[test]
fn c14_missing_keys() {
    for key in 0..8u8 {
        let mut without = pairs();
        without.remove(key.into());
        assert_eq!(Payload::decode(&map(&without)), Err(PayloadError::Missing(key)));
    }
    assert_eq!(Payload::decode(&hex("a0")), Err(PayloadError::Missing(0)));
}

/// HSK-6: types, sizes and ranges; attacks C13, C14, H10, H14
#[test]
fn c13_c14_wrong_values() {
    let bytes = |len: usize| {
        let mut out = Vec::new();
        out.bytes(&[7].repeat(len));
        out
    };
    for (key, value) in [
        (0, bytes(0)),
        (0, bytes(31)),
        (0, bytes(33)),
        (0, hex("01")),
        (0, [hex("7820"), [0x61; 32].to_vec()].concat()),
        (1, bytes(63)),
        (1, bytes(65)),
        (1, hex("80")),
        (2, hex("00")),
        (2, hex("18ff")),
        (2, hex("1a00010000")),
        (2, hex("20")),
        (3, hex("1a00010000")),
        (4, hex("1bffffffffffffffff")),
        (4, hex("f6")),
        (5, hex("1b0000000100000000")),
        (5, hex("4100")),
        (6, hex("1b0000000100000000")),
        (6, hex("20")),
        (7, hex("20")),
        (7, hex("a0")),
        (7, hex("6130")),
    ] {
        let mut changed = pairs();
        changed[usize::from(key)].1 = value;
        assert_eq!(Payload::decode(&map(&changed)), Err(PayloadError::Value(key)), "{changed:02x?}");
    }
}

/// HSK-6: unknown keys from 8 to 15; attack C14
#[test]
fn c14_unknown_keys_below_16() {
    for key in 8..16 {
        let more = [pairs(), [(key, hex("00"))].to_vec()].concat();
        assert_eq!(Payload::decode(&map(&more)), Err(PayloadError::Unknown(key)));
    }
    let two = [pairs(), [(15, hex("00")), (16, hex("00"))].to_vec()].concat();
    assert_eq!(Payload::decode(&map(&two)), Err(PayloadError::Unknown(15)));
}

/// HSK-7: unknown keys from 16 to 23, whatever their values, as long as those are well-formed (ENC-1)
#[test]
fn unknown_keys_from_16() {
    let values = ["00", "f6", "4100", "820102", "a100a0", "20", "6161", "81818180"].map(hex);
    let all = [pairs(), (16..24).zip(values).collect()].concat();
    assert_eq!(Payload::decode(&map(&all[..9])), Ok(sample()));
    assert_eq!(Payload::decode(&map(&all[..15])), Ok(sample()));
    // An array of three levels is the deepest that fits into the map; the last value has four.
    assert_eq!(Payload::decode(&map(&all)), Err(PayloadError::Encoding(EncodingError::TooDeep)));
    let float = [pairs(), [(16, hex("f90000"))].to_vec()].concat();
    assert_eq!(Payload::decode(&map(&float)), Err(PayloadError::Encoding(EncodingError::Float)));
}

/// HSK-8: unknown features are no error
#[test]
fn unknown_features() {
    let mut payload = sample();
    payload.limits.features = u64::MAX;
    let bytes = encoded(payload);
    assert_eq!(Payload::decode(&bytes), Ok(payload));
}

/// HSK-4; attacks C3, C4, C5, H1: nothing behind the map, keys in order, no other item
#[test]
fn c3_c4_c5_other_shapes() {
    let whole = map(&pairs());
    assert_eq!(Payload::decode(&[&whole[..], &[0]].concat()), Err(PayloadError::Trailing));
    for len in 0..whole.len() {
        assert_eq!(Payload::decode(&whole[..len]), Err(PayloadError::Encoding(EncodingError::Truncated)));
    }
    assert_eq!(Payload::decode(&hex("80")), Err(PayloadError::NotAMap));
    assert_eq!(Payload::decode(&hex("00")), Err(PayloadError::NotAMap));
    let mut twice = pairs();
    twice.insert(3, twice[3].clone());
    assert_eq!(Payload::decode(&map(&twice)), Err(PayloadError::Encoding(EncodingError::KeyOrder)));
    let mut swapped = pairs();
    swapped.swap(4, 5);
    assert_eq!(Payload::decode(&map(&swapped)), Err(PayloadError::Encoding(EncodingError::KeyOrder)));
}

fn payload() -> impl Strategy<Value = Payload> {
    let limits = (256..=u16::MAX, any::<(u16, u16)>(), any::<(u32, u32)>(), super::number());
    (any::<[u8; 32]>(), any::<([u8; 32], [u8; 32])>(), limits).prop_map(|(identity, halves, limits)| {
        let (max_frame, (max_requests, max_subscriptions), (window, silence_ms), features) = limits;
        let mut proof = [0; 64];
        proof[..32].copy_from_slice(&halves.0);
        proof[32..].copy_from_slice(&halves.1);
        let limits = PeerLimits { max_frame, max_requests, max_subscriptions, window, silence_ms, features };
        Payload { identity, proof, limits }
    })
}

proptest! {
    #[test]
    fn round_trip(payload in payload()) {
        let bytes = encoded(payload);
        prop_assert!((PAYLOAD_MIN..=PAYLOAD_MAX).contains(&bytes.len()));
        prop_assert_eq!(Payload::decode(&bytes), Ok(payload));
    }

    /// Attack C15, with one byte changed
    #[test]
    fn c15_accepted_is_canonical(payload in payload(), at: prop::sample::Index, byte: u8) {
        let mut bytes = encoded(payload);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(payload) = Payload::decode(&bytes) {
            prop_assert_eq!(encoded(payload), bytes);
        }
    }

    #[test]
    fn the_shortest(identity: [u8; 32], max_frame in 256..=u16::MAX, low in 0_u16..24) {
        let limits = PeerLimits {
            max_frame,
            max_requests: low,
            max_subscriptions: low,
            window: low.into(),
            silence_ms: low.into(),
            features: low.into(),
        };
        let bytes = encoded(Payload { identity, proof: [9; 64], limits });
        prop_assert_eq!(bytes.len(), PAYLOAD_MIN);
    }

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        prop_assert!(Payload::decode(&bytes).is_err());
    }
}
