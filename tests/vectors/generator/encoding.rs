//! Plaintexts: the CBOR of SPEC §8.1, the extension rules of §8.2, and the fields of §9.

use serde_json::{Value, json};

use crate::common::cbor::{array, bytes, head, long_head, map, negative, raw_text, text, uint};
use crate::messages::{decode, encode, hex};
use crate::notation::{self, ping};
use crate::setups::RESPONDER;

pub fn file() -> Value {
    let mut vectors = items();
    vectors.extend(not_shortest());
    vectors.extend(outside());
    vectors.extend(forms());
    vectors.extend(fields());
    let begun = RESPONDER.begin();
    let setup = RESPONDER.json(&begun, &begun.steps);
    json!({ "protocol": 1, "kind": "encoding", "setups": { "responder": setup }, "vectors": vectors })
}

fn vector(id: &str, title: &str, spec: &[&str], plaintext: &[u8]) -> Value {
    json!({
        "id": format!("encoding/{id}"), "title": title, "spec": spec, "result": "accepted", "setup": "responder",
        "plaintext": hex(plaintext),
    })
}

fn accepted(id: &str, title: &str, spec: &[&str], plaintext: &[u8]) -> Value {
    let mut vector = vector(id, title, spec, plaintext);
    let messages = decode(plaintext).expect("messages");
    assert_eq!(hex(&encode(&messages).expect("messages")), hex(plaintext), "{id}: only one encoding");
    vector["messages"] = messages.into();
    vector
}

fn refused(id: &str, title: &str, spec: &[&str], plaintext: &[u8]) -> Value {
    refused_behind(id, title, spec, plaintext, 0)
}

fn refused_behind(id: &str, title: &str, spec: &[&str], plaintext: &[u8], first_bad: usize) -> Value {
    let mut vector = vector(id, title, spec, plaintext);
    vector["result"] = "refused".into();
    vector["first_bad"] = first_bad.into();
    vector
}

/// An ignorable message with this element.
fn around(item: &[u8]) -> Vec<u8> {
    array(&[uint(20), item.to_vec()])
}

const FORM: [&str; 2] = ["ENC-1", "§8.1"];

/// All that the profile has.
fn items() -> Vec<Value> {
    let mut all = Vec::new();
    let numbers = [
        ("0", 0),
        ("23", 23),
        ("24", 24),
        ("255", 255),
        ("256", 256),
        ("65535", 65_535),
        ("65536", 65_536),
        ("2-32-1", (1 << 32) - 1),
        ("2-32", 1 << 32),
        ("2-53", 1 << 53),
        ("2-64-1", u64::MAX),
    ];
    for (name, number) in numbers {
        all.push(accepted(&format!("unsigned-{name}"), "an unsigned integer", &FORM, &around(&uint(number))));
        all.push(accepted(
            &format!("negative-{name}"),
            "a negative integer",
            &FORM,
            &around(&negative(number)),
        ));
    }
    for len in [0, 1, 23, 24, 255, 256, 900] {
        all.push(accepted(
            &format!("bytes-{len}"),
            "a byte string",
            &FORM,
            &around(&bytes(&vec![0xa5; len])),
        ));
        all.push(accepted(&format!("text-{len}"), "a text", &FORM, &around(&text(&"x".repeat(len)))));
    }
    for (name, content) in
        [("two", "é"), ("three", "€"), ("four", "𝄞"), ("last", "\u{10ffff}"), ("nul", "\0")]
    {
        all.push(accepted(&format!("text-utf8-{name}"), "UTF-8", &FORM, &around(&text(content))));
    }
    for (name, byte) in [("false", 0xf4), ("true", 0xf5), ("null", 0xf6)] {
        all.push(accepted(&format!("simple-{name}"), "a simple value", &FORM, &around(&[byte])));
    }
    let elements = |n: usize| array(&[vec![uint(20)], vec![uint(0); n - 1]].concat());
    all.push(accepted("array-32", "as many elements as there may be", &FORM, &elements(32)));
    all.push(refused("array-33", "one element too many", &FORM, &elements(33)));
    all.push(refused(
        "array-33-within",
        "one element too many, within",
        &FORM,
        &around(&array(&vec![uint(0); 33])),
    ));
    all.push(accepted(
        "array-32-within",
        "as many as there may be, within",
        &FORM,
        &around(&array(&vec![uint(0); 32])),
    ));
    let keys = |n: u64| map(&(0..n).map(|key| (uint(key), uint(0))).collect::<Vec<_>>());
    all.push(accepted("map-24", "all keys that there are", &FORM, &around(&keys(24))));
    all.push(accepted("map-empty", "an empty map", &FORM, &around(&keys(0))));
    all.push(refused("map-key-24", "a key above 23", &FORM, &around(&keys(25))));
    let nested = |levels: usize| (1..levels).fold(uint(7), |inner, _| array(&[inner]));
    all.push(accepted("levels-4", "as many levels as there may be", &FORM, &around(&nested(4))));
    all.push(refused("levels-5", "one level too many", &FORM, &around(&nested(5))));
    all.push(refused(
        "levels-5-empty",
        "one level too many, empty",
        &FORM,
        &around(&(1..4).fold(array(&[]), |inner, _| array(&[inner]))),
    ));
    let maps = (1..5).fold(uint(7), |inner, _| map(&[(uint(0), inner)]));
    all.push(refused("levels-5-maps", "one level of maps too many", &FORM, &around(&maps)));
    let deep = [vec![0x81; 900], vec![0]].concat();
    all.push(refused("levels-900", "arrays without end", &FORM, &around(&deep)));
    all
}

/// Lengths and numbers in more bytes than they need.
fn not_shortest() -> Vec<Value> {
    let mut all = Vec::new();
    for (kind, major) in
        [("unsigned", 0), ("negative", 1), ("bytes", 2), ("text", 3), ("array", 4), ("map", 5)]
    {
        for (width, value) in [(1, 0_u64), (1, 23), (2, 255), (4, 65_535), (8, (1 << 32) - 1)] {
            let content = match major {
                2 | 3 if value < 256 => vec![b'x'; value as usize],
                4 if value < 32 => uint(0).repeat(value as usize),
                0 | 1 => Vec::new(),
                _ if value == 0 => Vec::new(),
                _ => continue,
            };
            let item = [long_head(major, value, width), content].concat();
            let id = format!("long-{kind}-{value}");
            all.push(refused(&id, "more bytes than it needs", &FORM, &around(&item)));
        }
    }
    let long_type = [&long_head(0, 20, 1)[..]].concat();
    all.push(refused("long-type", "a type in more bytes than it needs", &FORM, &array(&[long_type])));
    let long_message = [long_head(4, 1, 1), uint(20)].concat();
    all.push(refused("long-message", "a message's head in more bytes than it needs", &FORM, &long_message));
    let long_key = map(&[(long_head(0, 5, 1), uint(0))]);
    all.push(refused("long-key", "a key in more bytes than it needs", &FORM, &around(&long_key)));
    all
}

/// What CBOR has, and this profile does not; and what is no CBOR at all.
fn outside() -> Vec<Value> {
    let cases: &[(&str, &str, &[u8])] = &[
        ("indefinite-array", "an array of indefinite length", &[0x9f, 0x00, 0xff]),
        ("indefinite-map", "a map of indefinite length", &[0xbf, 0x00, 0x00, 0xff]),
        ("indefinite-bytes", "bytes of indefinite length", &[0x5f, 0x41, 0x00, 0xff]),
        ("indefinite-text", "a text of indefinite length", &[0x7f, 0x61, b'a', 0xff]),
        ("break", "a break", &[0xff]),
        ("tag", "a tag", &[0xc1, 0x00]),
        ("tag-cbor", "the tag of CBOR itself", &[0xd9, 0xd9, 0xf7, 0x00]),
        ("bignum", "a number by tag", &[0xc2, 0x41, 0x01]),
        ("half", "a floating-point number", &[0xf9, 0x00, 0x00]),
        ("single", "a floating-point number", &[0xfa, 0x00, 0x00, 0x00, 0x00]),
        ("double", "a floating-point number", &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("nan", "a floating-point number that is none", &[0xf9, 0x7e, 0x00]),
        ("undefined", "undefined", &[0xf7]),
        ("simple-0", "an unassigned simple value", &[0xe0]),
        ("simple-19", "an unassigned simple value", &[0xf3]),
        ("simple-32", "a simple value in two bytes", &[0xf8, 0x20]),
        ("simple-false-long", "false in two bytes", &[0xf8, 0x14]),
        ("reserved-28", "a reserved head", &[0x1c]),
        ("reserved-29", "a reserved head", &[0x5d]),
        ("reserved-30", "a reserved head", &[0x9e]),
        ("utf8-cut", "a text that ends within a character", &[0x61, 0xc3]),
        ("utf8-overlong", "a character in more bytes than it needs", &[0x62, 0xc0, 0x80]),
        ("utf8-surrogate", "half of a pair", &[0x63, 0xed, 0xa0, 0x80]),
        ("utf8-above", "a character above the last", &[0x64, 0xf4, 0x90, 0x80, 0x80]),
        ("utf8-byte", "a byte that UTF-8 never has", &[0x61, 0xff]),
        ("key-text", "a text as a key", &[0xa1, 0x61, b'a', 0x00]),
        ("key-negative", "a negative key", &[0xa1, 0x20, 0x00]),
        ("key-order", "keys in another order", &[0xa2, 0x01, 0x00, 0x00, 0x00]),
        ("key-twice", "a key twice", &[0xa2, 0x01, 0x00, 0x01, 0x00]),
        ("key-bytes", "bytes as a key", &[0xa1, 0x40, 0x00]),
    ];
    let mut all: Vec<Value> =
        cases.iter().map(|(id, title, item)| refused(id, title, &FORM, &around(item))).collect();
    let lengths: &[(&str, &[u8])] = &[
        ("bytes", &[0x44, 1, 2, 3]),
        ("bytes-2-32", &[0x5a, 0xff, 0xff, 0xff, 0xff, 0]),
        ("bytes-2-64", &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]),
        ("text", &[0x64, b'a', b'b', b'c']),
        ("text-2-64", &[0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, b'a']),
        ("array", &[0x83, 0, 0]),
        ("array-2-64", &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]),
        ("map", &[0xa2, 0, 0, 1]),
        ("map-2-64", &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]),
        ("head", &[0x19, 0x01]),
    ];
    for (name, item) in lengths {
        let title = "a length that exceeds what is left";
        all.push(refused(&format!("length-{name}"), title, &["ENC-2", "§8.1"], &around(item)));
    }
    all
}

/// What stands where a message should.
fn forms() -> Vec<Value> {
    let spec = ["ENC-9", "§8.2"];
    let one = encode(&[ping(1)]).expect("a message");
    let mut all = vec![
        refused("no-array", "a number", &spec, &uint(3)),
        refused("map", "a map", &spec, &map(&[(uint(0), uint(3))])),
        refused("bytes", "a byte string", &spec, &bytes(b"\x82\x03\x01")),
        refused("null", "null", &spec, &[0xf6]),
        refused("empty-array", "an array without a type", &spec, &array(&[])),
        refused("type-text", "a type that is a text", &spec, &array(&[text("ping")])),
        refused("type-negative", "a negative type", &spec, &array(&[negative(0)])),
        refused("type-array", "a type that is an array", &spec, &array(&[array(&[uint(3)])])),
        refused_behind(
            "bad-behind-good",
            "a good message, then none",
            &spec,
            &[&one[..], &uint(3)].concat(),
            1,
        ),
        refused_behind(
            "cut-behind-good",
            "a good message, then a part of one",
            &FORM,
            &[&one[..], &one[..2]].concat(),
            1,
        ),
        refused("cut", "a message that is cut off", &FORM, &one[..2]),
        accepted(
            "sequence",
            "several messages",
            &["ENC-1", "§7"],
            &[&one[..], &one, &array(&[uint(23)])].concat(),
        ),
    ];
    for kind in 20..=23_u64 {
        let message = array(&[uint(kind), map(&[(uint(3), text("?"))]), negative(9)]);
        all.push(accepted(&format!("ignorable-{kind}"), "an ignorable type", &["ENC-5", "§8.2"], &message));
    }
    for kind in [16, 17, 18, 19, 24, 255, 65_536, u64::MAX] {
        let message = array(&[uint(kind), uint(0)]);
        all.push(refused(&format!("unknown-{kind}"), "an unknown type", &["ENC-6", "§8.2"], &message));
    }
    all
}

/// Every type: as it should be, with more behind, and with each field missing, of another type, out of range.
fn fields() -> Vec<Value> {
    /// An encoded field, and the largest number that it takes where there is one.
    type Field = (Vec<u8>, Option<u64>);
    let name = text("a/b");
    let body = bytes(b"body");
    let id = uint(2);
    let table: Vec<(&str, u64, Vec<Field>)> = vec![
        ("accept", 0, vec![]),
        ("close", 1, vec![(uint(300), Some(65_535))]),
        ("goaway", 2, vec![(uint(4), None)]),
        ("ping", 3, vec![(uint(5), None)]),
        ("pong", 4, vec![(uint(5), None)]),
        (
            "request",
            5,
            vec![
                (id.clone(), None),
                (uint(9), Some(u32::MAX.into())),
                (uint(1), Some(1)),
                (name.clone(), None),
                (body.clone(), None),
            ],
        ),
        (
            "response",
            6,
            vec![(id.clone(), None), (uint(0), Some(65_535)), (uint(1), Some(1)), (body.clone(), None)],
        ),
        ("busy", 7, vec![(id.clone(), None), (uint(9), Some(u32::MAX.into()))]),
        ("cancel", 8, vec![(id.clone(), None), (uint(1), Some(65_535))]),
        ("data", 9, vec![(id.clone(), None), (body.clone(), None)]),
        ("end", 10, vec![(id.clone(), None), (uint(0), Some(65_535))]),
        ("credit", 11, vec![(id.clone(), None), (uint(900), None)]),
        ("subscribe", 12, vec![(id.clone(), None), (uint(900), None), (name.clone(), None)]),
        (
            "publication",
            13,
            vec![
                (id.clone(), None),
                (uint(0), Some(u32::MAX.into())),
                (uint(6), Some(7)),
                (name, None),
                (uint(7), Some(u32::MAX.into())),
                (uint(8), None),
                (body.clone(), None),
            ],
        ),
        ("continuation", 14, vec![(id.clone(), None), (uint(1), Some(3)), (body, None)]),
        ("missed", 15, vec![(id, None), (uint(2), Some(2)), (uint(3), Some(u32::MAX.into()))]),
    ];
    let mut all = Vec::new();
    for (name, kind, fields) in &table {
        let message = |fields: &[Vec<u8>]| array(&[&[uint(*kind)], fields].concat());
        let whole: Vec<Vec<u8>> = fields.iter().map(|(value, _)| value.clone()).collect();
        all.push(accepted(name, "as it should be", &["ENC-4", "§9"], &message(&whole)));
        // For a subscribe the elements behind are its point to resume from, and one alone is none.
        if *kind != 12 {
            let more = [&whole[..], &[map(&[]), text("later")]].concat();
            let title = "elements behind those that it has";
            all.push(accepted(&format!("{name}-longer"), title, &["ENC-3", "§8.2"], &message(&more)));
            let bad = [&whole[..], &[vec![0xf7]]].concat();
            let title = "what is ignored has to be well-formed";
            all.push(refused(
                &format!("{name}-longer-bad"),
                title,
                &["ENC-3", "ENC-1", "§8.2"],
                &message(&bad),
            ));
        }
        let spec = ["ENC-4", "§8.2", "§9"];
        for (place, (value, most)) in fields.iter().enumerate() {
            let title = "elements are missing";
            all.push(refused(&format!("{name}-without-{place}"), title, &spec, &message(&whole[..place])));
            let mut other = whole.clone();
            other[place] = if value[0] >> 5 == 0 { bytes(b"") } else { uint(0) };
            all.push(refused(
                &format!("{name}-type-{place}"),
                "a field of another type",
                &spec,
                &message(&other),
            ));
            other[place] = vec![0xf6];
            all.push(refused(
                &format!("{name}-null-{place}"),
                "null in the place of a field",
                &spec,
                &message(&other),
            ));
            if let Some(most) = most {
                other[place] = uint(most + 1);
                let flags = *most < 8;
                let (what, spec) = if flags {
                    ("a flag that it does not have", ["ENC-7", "§8.2", "§9"])
                } else {
                    ("a number above its range", spec)
                };
                all.push(refused(&format!("{name}-range-{place}"), what, &spec, &message(&other)));
                if !flags {
                    other[place] = uint(*most);
                    all.push(accepted(
                        &format!("{name}-most-{place}"),
                        "the end of its range",
                        &["ENC-4", "§9"],
                        &message(&other),
                    ));
                }
            }
        }
    }
    all.extend(special());
    all
}

fn special() -> Vec<Value> {
    let one = |value: Value| encode(&[value]).expect("a message");
    let body = json!({ "hex": "00" });
    let long_name = |len: usize| [head(3, len as u64), vec![b'x'; len]].concat();
    let named = |kind: u64, name: Vec<u8>| match kind {
        5 => array(&[uint(5), uint(2), uint(0), uint(0), name, bytes(b"")]),
        12 => array(&[uint(12), uint(2), uint(0), name]),
        _ => array(&[uint(13), uint(2), uint(0), uint(0), name, uint(0), uint(0), bytes(b"")]),
    };
    let mut all = vec![
        accepted(
            "subscribe-resuming",
            "a point to resume from",
            &["MSG-1", "§9"],
            &one(json!([12, 2, 9, "a", 7, 8])),
        ),
        accepted(
            "subscribe-resuming-longer",
            "with more behind",
            &["ENC-3", "§9"],
            &one(json!([12, 2, 9, "a", 7, 8, "?"])),
        ),
        refused(
            "subscribe-five",
            "an epoch and no sequence",
            &["MSG-1", "§9"],
            &one(json!([12, 2, 9, "a", 7])),
        ),
        refused(
            "subscribe-epoch-range",
            "an epoch above its range",
            &["ENC-4", "§9"],
            &one(json!([12, 2, 9, "a", 4_294_967_296_u64, 8])),
        ),
        refused(
            "subscribe-sequence-type",
            "a sequence of another type",
            &["ENC-4", "§9"],
            &one(json!([12, 2, 9, "a", 7, "8"])),
        ),
        accepted(
            "publication-total",
            "more, and the total",
            &["MSG-3", "§9"],
            &one(json!([13, 2, 0, 1, "a", 7, 8, body, 9])),
        ),
        refused(
            "publication-no-total",
            "more, and no total",
            &["ENC-4", "§9"],
            &one(json!([13, 2, 0, 1, "a", 7, 8, body])),
        ),
        refused(
            "publication-total-type",
            "a total of another type",
            &["ENC-4", "§9"],
            &one(json!([13, 2, 0, 1, "a", 7, 8, body, "9"])),
        ),
        accepted(
            "publication-ninth",
            "a ninth element where nothing goes on",
            &["MSG-3", "§9"],
            &one(json!([13, 2, 0, 0, "a", 7, 8, body, "9"])),
        ),
        refused("missed-more", "missed messages have no more", &["ENC-7", "§9"], &one(json!([15, 2, 1, 3]))),
        refused(
            "continuation-unknown",
            "a flag of another type of message",
            &["ENC-7", "§9"],
            &one(json!([14, 2, 4, body])),
        ),
        accepted(
            "request-empty-body",
            "an empty body",
            &["ENC-4", "§9"],
            &one(notation::request(2, "a", b"")),
        ),
        refused(
            "request-body-text",
            "a body that is a text",
            &["ENC-4", "§9"],
            &one(json!([5, 2, 0, 0, "a", "body"])),
        ),
        refused(
            "request-name-bytes",
            "a method that is bytes",
            &["ENC-4", "§9"],
            &one(json!([5, 2, 0, 0, body, body])),
        ),
        refused(
            "request-name-utf8",
            "a method that is no UTF-8",
            &["ENC-1", "§8.1"],
            &named(5, raw_text(&[0xff])),
        ),
    ];
    for (name, kind) in [("request", 5), ("subscribe", 12), ("publication", 13)] {
        let spec = ["NAM-2", "ENC-4", "§13"];
        all.push(accepted(
            &format!("{name}-name-128"),
            "a name of 128 bytes",
            &spec,
            &named(kind, long_name(128)),
        ));
        all.push(refused(
            &format!("{name}-name-129"),
            "a name of 129 bytes",
            &spec,
            &named(kind, long_name(129)),
        ));
        all.push(accepted(
            &format!("{name}-name-empty"),
            "an empty name is not for the decoder to refuse",
            &spec,
            &named(kind, long_name(0)),
        ));
    }
    all
}
