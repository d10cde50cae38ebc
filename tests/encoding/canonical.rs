//! Whatever is accepted has one encoding.

use proptest::prelude::*;

use crate::common::cbor::{FALSE, NULL, TRUE, array, bytes, map, message, negative, text, uint};
use crate::fed;

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
