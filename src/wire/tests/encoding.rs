//! SPEC §8.1, in tables of hexadecimal.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::hex;
use crate::wire::cbor::{EncodingError, Sink, item_len};

fn all_refused(error: EncodingError, table: &[&str]) {
    for text in table {
        assert_eq!(item_len(&hex(text)), Err(error), "{text}");
    }
}

/// ENC-1: what the profile allows, at its edges, and nothing behind the item is looked at
#[test]
fn accepted() {
    for text in [
        "00",
        "17",
        "1818",
        "18ff",
        "190100",
        "19ffff",
        "1a00010000",
        "1affffffff",
        "1b0000000100000000",
        "1bffffffffffffffff",
        "20",
        "37",
        "3818",
        "3bffffffffffffffff",
        "40",
        "43ff00f8",
        "60",
        "62c3a9",
        "64f09f9880",
        "80",
        "8301f6f5",
        "f4",
        "f5",
        "f6",
        "a0",
        "a20001 17a0",
        "81818180",
        "81a100818101", // four levels, mixed
    ] {
        let mut bytes = hex(text);
        let len = bytes.len();
        assert_eq!(item_len(&bytes), Ok(len), "{text}");
        bytes.extend([0xff, 0x1c, 0xf9]);
        assert_eq!(item_len(&bytes), Ok(len), "{text} and more");
    }
}

/// ENC-1; attack C1: numbers, lengths and counts that are not in the shortest form
#[test]
fn c1_not_shortest() {
    all_refused(
        EncodingError::NotShortest,
        &[
            "1800",
            "1817",
            "190000",
            "1900ff",
            "1a00000000",
            "1a0000ffff",
            "1b0000000000000000",
            "1b00000000ffffffff",
            "3817",
            "3900ff",
            "580100",
            "5900ff",
            "780161",
            "980100",
            "b8010000",
            "a1180000",
            "811800",
        ],
    );
}

/// ENC-1; attack C2: indefinite lengths
#[test]
fn c2_indefinite() {
    all_refused(
        EncodingError::Indefinite,
        &["5f4100ff", "7f6161ff", "9fff", "9f01ff", "bfff", "819f01ff", "a1009fff"],
    );
}

/// ENC-1; attacks C3 (keys out of order) and C4 (a key twice)
#[test]
fn c3_c4_key_order() {
    all_refused(
        EncodingError::KeyOrder,
        &["a201000000", "a200000000", "a3000002000100", "a200a0 00a0", "a217001700"],
    );
}

/// ENC-1: keys of other types, or above 23
#[test]
fn keys_of_other_types() {
    all_refused(
        EncodingError::KeyRange,
        &["a1181800", "a12000", "a1616100", "a14000", "a18000", "a1a000", "a1f500", "a1f600"],
    );
}

/// Attack C5: what stands behind an item is not part of it; the callers decide
#[test]
fn c5_trailing() {
    assert_eq!(item_len(&hex("8100 00")), Ok(2));
}

/// ENC-1; attack C6: the initial bytes that CBOR reserves
#[test]
fn c6_reserved() {
    all_refused(
        EncodingError::Reserved,
        &["1c", "1d", "1e", "1f", "3c", "3f", "5c", "7d", "9e", "bc", "fc", "fd", "fe", "811c"],
    );
}

/// ENC-1; attack C7: breaks where nothing is open
#[test]
fn c7_break() {
    all_refused(EncodingError::Break, &["ff", "81ff", "8201ff", "a100ff", "a1ff00"]);
}

/// ENC-1; attacks C8 and C9: simple values, undefined among them
#[test]
fn c8_c9_simple() {
    all_refused(
        EncodingError::Simple,
        &["e0", "f3", "f7", "f800", "f814", "f816", "f81f", "f820", "f8ff", "81f7"],
    );
}

/// ENC-1; attack C9: floating-point numbers and tags
#[test]
fn c9_floats_and_tags() {
    all_refused(EncodingError::Float, &["f90000", "f97e00", "fa7fc00000", "fb7ff8000000000000", "81f93c00"]);
    all_refused(EncodingError::Tag, &["c000", "c11a514b67b0", "d81820", "d9d9f780", "81c000", "a100c240"]);
}

/// ENC-1; attack C10: overlong forms, surrogates, beyond U+10FFFF, cut short
#[test]
fn c10_not_utf8() {
    all_refused(
        EncodingError::NotUtf8,
        &["61ff", "6180", "62c080", "63eda080", "64f4908080", "61c3", "63e28228", "8161c3"],
    );
}

/// ENC-1; attack C11: four levels pass, five and sixty thousand do not
#[test]
fn c11_depth() {
    all_refused(
        EncodingError::TooDeep,
        &["8181818180", "a100a100a100a100a0", "81a10081a10080", "8400008181818000"],
    );
    for initial in [0x81, 0x82, 0x98] {
        let deep = [initial].repeat(60_000);
        assert!(item_len(&deep).is_err());
    }
    assert_eq!(item_len(&[0x81].repeat(60_000)), Err(EncodingError::TooDeep));
}

/// ENC-1: 32 elements in an array, and not one more; a map's keys are its limit
#[test]
fn widths() {
    let array = |count: u8| [&[0x98, count][..], &[0].repeat(count.into())].concat();
    assert_eq!(item_len(&array(32)), Ok(34));
    assert_eq!(item_len(&array(33)), Err(EncodingError::ArrayTooLong));
    let mut map = [0xb8, 24].to_vec();
    (0..24).for_each(|key| map.extend([key, 0xf6]));
    assert_eq!(item_len(&map), Ok(50));
    map[1] = 25;
    map.extend([0x18, 0x18, 0xf6]);
    assert_eq!(item_len(&map), Err(EncodingError::KeyRange));
}

/// ENC-2; attack C12: lengths beyond what is there, up to 2⁶⁴−1
#[test]
fn c12_lengths_beyond_the_end() {
    all_refused(
        EncodingError::Truncated,
        &[
            "",
            "18",
            "19ff",
            "1a000100",
            "1b00000001000000",
            "41",
            "43aabb",
            "5bffffffffffffffff",
            "5affffffff00",
            "61",
            "7bffffffffffffffff61",
            "81",
            "8200",
            "a1",
            "a100",
            "a20000",
            "bbffffffffffffffff",
            "bbffffffffffffffff0000",
        ],
    );
    all_refused(EncodingError::ArrayTooLong, &["9bffffffffffffffff", "9affffffff00"]);
}

#[derive(Clone, Debug)]
enum Value {
    Array(Vec<Self>),
    Bytes(Vec<u8>),
    Head(u8, u64),
    Map(Vec<(u8, Self)>),
    Simple(u8),
    Text(alloc::string::String),
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            out.array(items.len() as u64);
            items.iter().for_each(|item| write(item, out));
        }
        Value::Bytes(content) => out.bytes(content),
        Value::Head(major, number) => out.head(*major, *number),
        Value::Map(pairs) => {
            out.map(pairs.len() as u64);
            for (key, item) in pairs {
                out.unsigned((*key).into());
                write(item, out);
            }
        }
        Value::Simple(number) => out.put(&[0xe0 | number]),
        Value::Text(content) => out.text(content),
    }
}

/// Any value of the profile.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (0u8..2, super::number()).prop_map(|(major, number)| Value::Head(major, number)),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        "\\PC{0,12}".prop_map(Value::Text),
        (20u8..23).prop_map(Value::Simple),
    ];
    leaf.prop_recursive(4, 60, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::btree_map(0u8..24, inner, 0..6)
                .prop_map(|map| Value::Map(map.into_iter().collect())),
        ]
    })
}

/// Reads the first item with an independent, lenient decoder, and writes it in the shortest form.
fn rewritten(decoder: &mut minicbor::Decoder<'_>, out: &mut minicbor::Encoder<&mut Vec<u8>>) {
    use minicbor::data::Type;
    match decoder.datatype().unwrap() {
        Type::Array => {
            let count = decoder.array().unwrap().unwrap();
            out.array(count).unwrap();
            (0..count).for_each(|_| rewritten(decoder, out));
        }
        Type::Bool => drop(out.bool(decoder.bool().unwrap()).unwrap()),
        Type::Bytes => drop(out.bytes(decoder.bytes().unwrap()).unwrap()),
        Type::Map => {
            let count = decoder.map().unwrap().unwrap();
            out.map(count).unwrap();
            (0..2 * count).for_each(|_| rewritten(decoder, out));
        }
        Type::Null => {
            decoder.null().unwrap();
            out.null().unwrap();
        }
        Type::String => drop(out.str(decoder.str().unwrap()).unwrap()),
        _ => drop(out.int(decoder.int().unwrap()).unwrap()),
    }
}

proptest! {
    /// ENC-1, ENC-2: what the profile can say is accepted whole, and refused when cut short
    #[test]
    fn every_value_of_the_profile(value in value()) {
        let mut bytes = Vec::new();
        write(&value, &mut bytes);
        prop_assert_eq!(item_len(&bytes), Ok(bytes.len()));
        for len in 0..bytes.len() {
            prop_assert_eq!(item_len(&bytes[..len]).is_err(), true);
        }
    }

    /// ENC-1; attack C15: what is accepted is what another encoder writes for the same value
    #[test]
    fn c15_accepted_is_canonical(value in value(), at: prop::sample::Index, byte: u8) {
        let mut bytes = Vec::new();
        write(&value, &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(len) = item_len(&bytes) {
            let mut again = Vec::new();
            rewritten(&mut minicbor::Decoder::new(&bytes), &mut minicbor::Encoder::new(&mut again));
            prop_assert_eq!(&bytes[..len], &again[..]);
        }
    }

    /// Never a panic, and never more than there is
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        if let Ok(len) = item_len(&bytes) {
            prop_assert!((1..=bytes.len()).contains(&len));
        }
    }
}
