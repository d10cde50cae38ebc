//! Payloads by form: what a decoder takes.  SPEC §5.2

use serde_json::{Value, json};

use crate::common::cbor::{NULL, array, bytes, long_head, map, negative, text, uint};
use crate::messages::{hex, uint as number};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

const NAMES: [&str; 6] = ["max_frame", "max_requests", "max_subscriptions", "window", "silence", "features"];

fn pairs(numbers: [u64; 6]) -> Pairs {
    let mut pairs = vec![(uint(0), bytes(&[0x11; 32])), (uint(1), bytes(&[0x22; 64]))];
    pairs.extend((2..).zip(numbers).map(|(key, value)| (uint(key), uint(value))));
    pairs
}

const USUAL: [u64; 6] = [1_024, 4, 4, 64, 30_000, 0];

fn accepted(id: &str, title: &str, rule: &str, numbers: [u64; 6], extra: Pairs) -> Value {
    let mut all = pairs(numbers);
    all.extend(extra);
    let mut fields = json!({ "identity": hex(&[0x11; 32]), "proof": hex(&[0x22; 64]) });
    for (name, value) in NAMES.iter().zip(numbers) {
        fields[*name] = number(value);
    }
    json!({
        "id": format!("payloads/{id}"), "title": title, "spec": [rule, "§5.2"], "result": "accepted",
        "payload": hex(&map(&all)), "fields": fields,
    })
}

fn refused(id: &str, title: &str, payload: &[u8]) -> Value {
    json!({
        "id": format!("payloads/{id}"), "title": title, "spec": ["HSK-6", "§5.2", "§8.1"], "result": "refused",
        "payload": hex(payload),
    })
}

pub fn vectors() -> Vec<Value> {
    let nested = array(&[map(&[(uint(0), array(&[vec![NULL]]))])]);
    let mut all = vec![
        accepted("usual", "what a device may declare", "HSK-6", USUAL, Vec::new()),
        accepted("least", "the least", "HSK-6", [256, 0, 0, 0, 0, 0], Vec::new()),
        accepted(
            "most",
            "the most",
            "HSK-6",
            [65_535, 65_535, 65_535, u32::MAX.into(), u32::MAX.into(), u64::MAX],
            Vec::new(),
        ),
        accepted(
            "unknown-keys",
            "unknown keys from 16 on",
            "HSK-7",
            USUAL,
            vec![(uint(16), bytes(b"x")), (uint(19), negative(4)), (uint(23), vec![NULL])],
        ),
        accepted(
            "unknown-nested",
            "an unknown key with all levels that there may be",
            "HSK-7",
            USUAL,
            vec![(uint(20), nested.clone())],
        ),
    ];
    for key in 0..8_usize {
        let mut without = pairs(USUAL);
        without.remove(key);
        all.push(refused(&format!("without-{key}"), "a key is missing", &map(&without)));
        let mut other = pairs(USUAL);
        other[key].1 = if key < 2 { text("no") } else { bytes(b"") };
        all.push(refused(&format!("type-{key}"), "a value of another type", &map(&other)));
    }
    let values: [(&str, usize, Vec<u8>); 9] = [
        ("identity-31", 0, bytes(&[1; 31])),
        ("identity-33", 0, bytes(&[1; 33])),
        ("proof-63", 1, bytes(&[1; 63])),
        ("max-frame-255", 2, uint(255)),
        ("max-frame-65536", 2, uint(65_536)),
        ("max-requests-65536", 3, uint(65_536)),
        ("window-2-32", 5, uint(1 << 32)),
        ("negative", 6, negative(0)),
        ("not-shortest", 3, long_head(0, 4, 1)),
    ];
    for (name, key, value) in values {
        let mut other = pairs(USUAL);
        other[key].1 = value;
        all.push(refused(name, "a value of another size, range or form", &map(&other)));
    }
    for key in [8, 15, 24, 255] {
        let mut more = pairs(USUAL);
        more.push((uint(key), uint(0)));
        all.push(refused(&format!("unknown-{key}"), "a key that nobody may ignore", &map(&more)));
    }
    let mut swapped = pairs(USUAL);
    swapped.swap(2, 3);
    let mut twice = pairs(USUAL);
    twice.insert(3, twice[2].clone());
    let mut deep = pairs(USUAL);
    deep.push((uint(20), array(&[nested])));
    let mut text_key = pairs(USUAL);
    text_key.push((text("a"), uint(0)));
    let whole = map(&pairs(USUAL));
    let open_ended = [&[0xbf][..], &whole[1..], &[0xff]].concat();
    all.extend([
        refused("order", "keys in another order", &map(&swapped)),
        refused("twice", "a key twice", &map(&twice)),
        refused("too-deep", "one level too many, in what is ignored", &map(&deep)),
        refused("text-key", "a key that is no number", &map(&text_key)),
        refused("empty", "nothing", b""),
        refused("no-map", "an array", &array(&[])),
        refused("empty-map", "a map without keys", &map(&[])),
        refused("behind", "a byte behind the map", &[&whole[..], &[0]].concat()),
        refused("cut", "a byte less", &whole[..whole.len() - 1]),
        refused("indefinite", "a map of indefinite length", &open_ended),
    ]);
    all
}
