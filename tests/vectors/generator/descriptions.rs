//! Descriptions of devices: what an asker takes.  SPEC §22

use serde_json::{Value, json};

use crate::common::cbor::{NULL, array, bytes, head, long_head, map, negative, raw_text, text, uint};
use crate::messages::hex;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn pair(key: u64, value: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    (uint(key), value)
}

/// An element with this name, and whatever else.
fn element(name: &str, more: Pairs) -> Vec<u8> {
    map(&[vec![pair(0, text(name))], more].concat())
}

fn method(name: &str) -> Vec<u8> {
    element(name, Vec::new())
}

fn topic(name: &str, kind: u64) -> Vec<u8> {
    element(name, vec![pair(1, uint(kind))])
}

/// Of these methods and topics, and with whatever stands behind them.
fn description(name: Option<&str>, methods: &[Vec<u8>], topics: &[Vec<u8>], behind: Pairs) -> Vec<u8> {
    let name = name.map(|name| pair(0, text(name)));
    let lists = vec![pair(1, array(methods)), pair(2, array(topics))];
    map(&[name.into_iter().collect(), lists, behind].concat())
}

/// `canonical`: a sender that tells the same sends these bytes.
fn accepted(id: &str, title: &str, rule: &str, canonical: bool, bytes: &[u8], fields: &Value) -> Value {
    json!({
        "id": format!("descriptions/{id}"), "title": title, "spec": [rule, "§22"], "result": "accepted",
        "description": hex(bytes), "canonical": canonical, "fields": fields,
    })
}

fn refused(id: &str, title: &str, bytes: &[u8]) -> Value {
    json!({
        "id": format!("descriptions/{id}"), "title": title, "spec": ["DSC-4", "§22"], "result": "refused",
        "description": hex(bytes),
    })
}

pub fn vectors() -> Vec<Value> {
    [taken(), ignored(), other_forms(), other_names(), other_texts(), other_encodings()].concat()
}

fn taken() -> Vec<Value> {
    let nothing = json!({ "methods": [], "topics": [] });
    let usual = description(
        Some("Lamp"),
        &[
            element("lamp/photo", vec![pair(1, uint(2)), pair(2, text("What it sees."))]),
            element("lamp/set", vec![pair(2, text("Switches the lamp."))]),
            element("lamp/update", vec![pair(1, uint(3))]),
        ],
        &[element("lamp/faults", vec![pair(1, uint(1)), pair(2, text("What broke."))]), topic("lamp/set", 0)],
        Vec::new(),
    );
    let told = json!({
        "name": "Lamp",
        "methods": [
            { "name": "lamp/photo", "chunks": 2, "text": "What it sees." },
            { "name": "lamp/set", "chunks": 0, "text": "Switches the lamp." },
            { "name": "lamp/update", "chunks": 3 },
        ],
        "topics": [{ "name": "lamp/faults", "kind": 1, "text": "What broke." }, { "name": "lamp/set", "kind": 0 }],
    });
    let (name, longest, words) = ("é".repeat(32), "n".repeat(128), "w".repeat(256));
    let longest_bytes =
        description(Some(&name), &[element(&longest, vec![pair(2, text(&words))])], &[], Vec::new());
    let longest_told = json!({
        "name": name, "methods": [{ "name": longest, "chunks": 0, "text": words }], "topics": [],
    });
    let numbers: Vec<String> = (10..43).map(|number| format!("n{number}")).collect();
    let many: Vec<_> = numbers.iter().map(|name| method(name)).collect();
    let many_told: Vec<_> = numbers.iter().map(|name| json!({ "name": name, "chunks": 0 })).collect();
    let order = ["A", "a", "a-b", "a/b", "ab", "é"];
    let ordered: Vec<_> = order.iter().map(|name| topic(name, 0)).collect();
    let ordered_told: Vec<_> = order.iter().map(|name| json!({ "name": name, "kind": 0 })).collect();
    let bare =
        |bytes: &[u8], told| accepted("nothing", "a device that offers nothing", "DSC-4", true, bytes, told);
    vec![
        bare(&description(None, &[], &[], Vec::new()), &nothing),
        accepted("usual", "what a device may tell", "DSC-4", true, &usual, &told),
        accepted(
            "longest",
            "a name and texts as long as they may be",
            "DSC-4",
            true,
            &longest_bytes,
            &longest_told,
        ),
        accepted(
            "thirty-three",
            "more elements than other arrays may have",
            "DSC-4",
            true,
            &description(None, &many, &[], Vec::new()),
            &json!({ "methods": many_told, "topics": [] }),
        ),
        accepted(
            "order",
            "names ascend as bytes",
            "DSC-4",
            true,
            &description(None, &[], &ordered, Vec::new()),
            &json!({ "methods": [], "topics": ordered_told }),
        ),
    ]
}

fn ignored() -> Vec<Value> {
    let deep = array(&[map(&[pair(0, array(&[vec![NULL]]))])]);
    let unknown_keys = description(None, &[], &[], vec![pair(3, negative(4)), pair(23, deep)]);
    let extra = vec![pair(3, array(&[vec![NULL], bytes(b"x")])), pair(23, text(""))];
    let in_elements = description(
        None,
        &[element("m", extra.clone())],
        &[element("t", [vec![pair(1, uint(1))], extra].concat())],
        Vec::new(),
    );
    let bits = description(None, &[element("m", vec![pair(1, uint(u64::MAX))])], &[], Vec::new());
    let zero = description(None, &[element("m", vec![pair(1, uint(0))])], &[], Vec::new());
    let told = json!({ "methods": [{ "name": "m", "chunks": 0 }], "topics": [{ "name": "t", "kind": 1 }] });
    let one = |chunks: u64| json!({ "methods": [{ "name": "m", "chunks": chunks }], "topics": [] });
    let nothing = json!({ "methods": [], "topics": [] });
    vec![
        accepted("unknown-keys", "unknown keys of the description", "DSC-3", false, &unknown_keys, &nothing),
        accepted("unknown-keys-within", "unknown keys of its elements", "DSC-3", false, &in_elements, &told),
        accepted("unknown-bits", "unknown bits of `chunks`", "DSC-3", false, &bits, &one(3)),
        accepted("no-bits", "`chunks` of 0, which need not be there", "DSC-4", false, &zero, &one(0)),
    ]
}

fn other_forms() -> Vec<Value> {
    let (none, lists) =
        (array(&[]), |methods: Vec<u8>, topics: Vec<u8>| map(&[pair(1, methods), pair(2, topics)]));
    let of_method = |method: Vec<u8>| description(None, &[method], &[], Vec::new());
    let of_topic = |topic: Vec<u8>| description(None, &[], &[topic], Vec::new());
    let names: Vec<_> = (1_000..2_025).map(|number| method(&format!("{number}"))).collect();
    vec![
        refused("empty", "no bytes", &[]),
        refused("array", "an array", &array(&[none.clone(), none.clone()])),
        refused(
            "behind",
            "bytes behind the map",
            &[description(None, &[], &[], Vec::new()), uint(0)].concat(),
        ),
        refused("without-methods", "no methods", &map(&[pair(2, none.clone())])),
        refused("without-topics", "no topics", &map(&[pair(1, none.clone())])),
        refused("methods-map", "methods that are a map", &lists(map(&[]), none.clone())),
        refused("topics-text", "topics that are a text", &lists(none, text("t"))),
        refused("method-text", "a method that is no map", &of_method(text("m"))),
        refused("method-without-name", "a method without a name", &of_method(map(&[pair(1, uint(1))]))),
        refused("method-name-bytes", "a name of bytes", &of_method(map(&[pair(0, bytes(b"m"))]))),
        refused("chunks-text", "`chunks` that is a text", &of_method(element("m", vec![pair(1, text("1"))]))),
        refused("chunks-negative", "`chunks` below 0", &of_method(element("m", vec![pair(1, negative(0))]))),
        refused("topic-without-kind", "a topic without a kind", &of_topic(method("t"))),
        refused("kind-2", "a kind that there is not", &of_topic(topic("t", 2))),
        refused("kind-text", "a kind that is a text", &of_topic(element("t", vec![pair(1, text("state"))]))),
        refused("too-many", "1,025 methods", &description(None, &names, &[], Vec::new())),
    ]
}

fn other_names() -> Vec<Value> {
    let of_methods = |names: &[&str]| {
        let methods: Vec<_> = names.iter().map(|name| method(name)).collect();
        description(None, &methods, &[], Vec::new())
    };
    let of_topics = |names: &[&str]| {
        let topics: Vec<_> = names.iter().map(|name| topic(name, 0)).collect();
        description(None, &[], &topics, Vec::new())
    };
    vec![
        refused("method-twice", "a method twice", &of_methods(&["a", "b", "b"])),
        refused("methods-unsorted", "methods out of order", &of_methods(&["b", "a"])),
        refused("topic-twice", "a topic twice", &of_topics(&["a", "a"])),
        refused("topics-unsorted", "topics out of order", &of_topics(&["a/b", "a-b"])),
        refused("name-empty", "an empty name", &of_methods(&[""])),
        refused("name-129", "a name of 129 bytes", &of_methods(&[&"n".repeat(129)])),
        refused("name-level", "an empty level", &of_methods(&["a//b"])),
        refused("name-wildcard", "a filter in the place of a name", &of_topics(&["a/#"])),
        refused("name-control", "a control character in a name", &of_topics(&["a\u{7f}"])),
        refused("reserved", "the method that is asked itself", &of_methods(&["$describe"])),
        refused("reserved-level", "a level that begins with `$`", &of_topics(&["a/$b"])),
    ]
}

fn other_texts() -> Vec<Value> {
    let named = |name: Vec<u8>| map(&[pair(0, name), pair(1, array(&[])), pair(2, array(&[]))]);
    let about = |text: Vec<u8>| description(None, &[element("m", vec![pair(2, text)])], &[], Vec::new());
    let about_topic = |text: Vec<u8>| {
        let topic = element("t", vec![pair(1, uint(0)), pair(2, text)]);
        description(None, &[], &[topic], Vec::new())
    };
    vec![
        refused("device-empty", "an empty name of the device", &named(text(""))),
        refused("device-65", "a name of the device of 65 bytes", &named(text(&"n".repeat(65)))),
        refused("device-bytes", "a name of the device of bytes", &named(bytes(b"Lamp"))),
        refused("device-control", "a name of the device with an escape", &named(text("\u{1b}[2J"))),
        refused("text-empty", "an empty text", &about(text(""))),
        refused("text-257", "a text of 257 bytes", &about(text(&"w".repeat(257)))),
        refused("text-number", "a text that is a number", &about(uint(7))),
        refused("text-control", "a text of two lines", &about_topic(text("a\nb"))),
        refused("text-not-utf8", "a text that is not UTF-8", &about_topic(raw_text(&[0xff]))),
    ]
}

fn other_encodings() -> Vec<Value> {
    let none = array(&[]);
    let extra = |value: Vec<u8>| description(None, &[], &[], vec![pair(3, value)]);
    let within = |value: Vec<u8>| description(None, &[element("m", vec![pair(3, value)])], &[], Vec::new());
    let levels = |count: usize| (0..count).fold(vec![NULL], |inner, _| array(&[inner]));
    let keys = |first: u64, second: u64| map(&[pair(first, none.clone()), pair(second, none.clone())]);
    let elements: Vec<_> = (0..33).map(|_| vec![NULL]).collect();
    vec![
        refused("keys-unsorted", "keys out of order", &keys(2, 1)),
        refused("key-twice", "a key twice", &keys(1, 1)),
        refused("key-24", "a key of 24", &description(None, &[], &[], vec![pair(24, vec![NULL])])),
        refused(
            "key-text",
            "a key that is a text",
            &map(&[(text("1"), none.clone()), pair(2, none.clone())]),
        ),
        refused(
            "count-not-shortest",
            "a count in more bytes than it needs",
            &[head(5, 2), uint(1), long_head(4, 0, 1), uint(2), none.clone()].concat(),
        ),
        refused(
            "indefinite",
            "an array of indefinite length",
            &[head(5, 2), uint(1), vec![0x9f, 0xff], uint(2), none].concat(),
        ),
        refused(
            "count-beyond",
            "more elements than there are bytes",
            &[head(5, 2), uint(1), head(4, 1_000)].concat(),
        ),
        refused(
            "cut",
            "a description that breaks off",
            &description(None, &[method("m")], &[], Vec::new())[..5],
        ),
        refused("float", "a floating-point number in what is ignored", &extra(vec![0xf9, 0, 0])),
        refused("levels", "more than four levels in what is ignored", &extra(levels(4))),
        refused("levels-within", "the same within an element", &within(levels(2))),
        refused("elements", "33 elements in what is ignored", &extra(array(&elements))),
    ]
}
