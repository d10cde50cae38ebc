//! SPEC §10.5 and §11: bodies in chunks, and credit.

use serde_json::json;

use crate::messages::hex;
use crate::notation::{answering, cancel, credit, data, end, last_data, opening, response, some_data};
use crate::script::{Accepted, Refused, Script, Verdict};
use crate::setups::{Declared, RESPONDER, Setup, USUAL};

const NO_BODIES: Setup =
    Setup { name: "responder, takes no bodies", subject: Declared { window: 0, ..USUAL }, ..RESPONDER };
/// A body of the subject's that needs more credit than there is at first.
fn body() -> [u8; 200] {
    [0x5a; 200]
}

/// What a chunk costs beside its bytes, for ids below 24 and chunks of 24 to 255 bytes.
const HEAD: usize = 5;
const CHUNK: [u8; 64 - HEAD] = [7; 64 - HEAD];

pub fn scripts() -> Vec<Script> {
    let mut all = conversations();
    all.extend(endings());
    all.extend(stops());
    all.extend(credits());
    all.extend(idle());
    all
}

fn new(id: &str, title: &str, spec: &[&str], verdict: Verdict) -> Script {
    Script::new(&RESPONDER, &format!("bodies/{id}"), title, spec, verdict)
}

/// The peer has begun a request with a body, of the id 2.
fn begun(script: Script) -> Script {
    let event = json!({ "id": 2, "method": "a", "body": "68", "more": true });
    script.hears(&[opening(2, "a", b"h")]).tells("request", event)
}

/// The subject has begun a request with a body, of the id 1.
fn beginning(script: Script) -> Script {
    let fields = json!({ "method": "a", "body": "68", "more": true, "chunks": true });
    script.does("request", fields).says(&[opening(1, "a", b"h")])
}

fn conversations() -> Vec<Script> {
    let spec = ["§10.5"];
    vec![
        begun(new("taken", "a body in chunks, and an answer", &["EXC-15", "§10.5"], Accepted))
            .hears(&[data(2, b"one"), data(2, b""), data(2, b"two")])
            .tells("data", json!({ "id": 2, "bytes": "6f6e6574776f" }))
            .hears(&[end(2, 0)])
            .tells("end", json!({ "id": 2, "status": 0 }))
            .does("respond", json!({ "id": 2, "status": 0, "body": "78" }))
            .says(&[response(2, 0, b"x")]),
        begun(new("both", "the answer ends before the request's body", &spec, Accepted))
            .does("respond_more", json!({ "id": 2, "body": "78" }))
            .says(&[answering(2, b"x")])
            .does("write", json!({ "id": 2, "bytes": "0102" }))
            .says(&[data(2, &[1, 2])])
            .does("finish", json!({ "id": 2 }))
            .says(&[end(2, 0)])
            .hears(&[data(2, b"crosses"), end(2, 1)])
            .lives(),
        beginning(new("sent", "a body of the subject's, and an answer in chunks", &spec, Accepted))
            .does("write", json!({ "id": 1, "bytes": "0102" }))
            .says(&[data(1, &[1, 2])])
            .hears(&[answering(1, b"r"), data(1, b"ab")])
            .tells("response", json!({ "id": 1, "status": 0, "body": "72", "more": true }))
            .tells("data", json!({ "id": 1, "bytes": "6162" }))
            .does("finish", json!({ "id": 1 }))
            .says(&[end(1, 0)])
            .hears(&[data(1, b"cd"), end(1, 0)])
            .tells("data", json!({ "id": 1, "bytes": "6364" }))
            .tells("end", json!({ "id": 1, "status": 0 })),
        Script::new(&NO_BODIES, "bodies/unsupported", "a side that takes none", &["§10.4"], Accepted)
            .hears(&[opening(2, "a", b"")])
            .says(&[response(2, 9, b"")])
            .hears(&[end(2, 1)])
            .lives(),
    ]
}

fn endings() -> Vec<Script> {
    let given_up = |id: &str, status: u16| {
        begun(new(id, "a body that was given up is not complete", &["EXC-15", "§10.5"], Accepted))
            .hears(&[data(2, b"one"), end(2, status)])
            .tells("data", json!({ "id": 2, "bytes": "6f6e65" }))
            .tells("end", json!({ "id": 2, "status": status }))
            .does("respond", json!({ "id": 2, "status": 6, "body": "" }))
            .says(&[response(2, 6, b"")])
    };
    let after = |id: &str, title: &str| {
        begun(new(id, title, &["EXC-6", "§10.5", "§20"], Refused))
            .hears(&[end(2, 0)])
            .tells("end", json!({ "id": 2, "status": 0 }))
    };
    vec![
        given_up("given-up", 6),
        given_up("given-up-cancelled", 1),
        given_up("given-up-unknown", 300),
        after("data-after-end", "data behind the end").hears(&[data(2, b"x")]).violation("State(2)"),
        after("second-end", "a second end").hears(&[end(2, 0)]).violation("State(2)"),
        beginning(new(
            "answered-early",
            "the answer ends while the body goes on: it is ended at once",
            &["EXC-14", "§10.5"],
            Accepted,
        ))
        .does("write", json!({ "id": 1, "bytes": hex(&body()) }))
        .says(&[some_data(1, &body())])
        .hears(&[response(1, 0, b"")])
        .tells("response", json!({ "id": 1, "more": false }))
        .says(&[end(1, 1)])
        .hears(&[credit(1, 10_000)])
        .lives(),
        beginning(new("reset", "an end that gives up waits for no credit", &["EXC-18", "§10.5"], Accepted))
            .does("write", json!({ "id": 1, "bytes": hex(&body()) }))
            .says(&[some_data(1, &body())])
            .does("reset", json!({ "id": 1, "status": 6 }))
            .says(&[end(1, 6)])
            .hears(&[response(1, 6, b"")])
            .tells("response", json!({ "id": 1, "status": 6 })),
        begun(new("cut", "the stream ends amid a body", &["EXC-15", "END-3", "§16.1"], Refused))
            .hears(&[data(2, b"one")])
            .tells("data", json!({ "id": 2, "bytes": "6f6e65" }))
            .eof()
            .error("Truncated")
            .tells("closed", json!({ "reason": "truncated" }))
            .closes(),
    ]
}

fn stops() -> Vec<Script> {
    vec![
        beginning(new(
            "stopped",
            "the peer wants no more: an end with its status, and the answer comes",
            &["EXC-16", "§10.5"],
            Accepted,
        ))
        .does("write", json!({ "id": 1, "bytes": hex(&body()) }))
        .says(&[some_data(1, &body())])
        .hears(&[cancel(1, 300), cancel(1, 301)])
        .says(&[end(1, 300)])
        .tells("stopped", json!({ "id": 1, "status": 300 }))
        .hears(&[response(1, 0, b"")])
        .tells("response", json!({ "id": 1 })),
        beginning(new(
            "stopped-with-ok",
            "a cancel of status 0 does not make a body complete",
            &["EXC-16", "§10.5"],
            Accepted,
        ))
        .hears(&[cancel(1, 0)])
        .says(&[end(1, 1)])
        .tells("stopped", json!({ "id": 1 }))
        .hears(&[response(1, 0, b"")])
        .tells("response", json!({ "id": 1 })),
        begun(new("stops", "the subject wants no more: what crosses is discarded", &["§10.5"], Accepted))
            .does("cancel", json!({ "id": 2, "status": 300 }))
            .says(&[cancel(2, 300)])
            .hears(&[data(2, b"crosses")])
            .hears(&[end(2, 300)])
            .tells("end", json!({ "id": 2, "status": 300 }))
            .does("respond", json!({ "id": 2, "status": 0, "body": "" }))
            .says(&[response(2, 0, b"")]),
        beginning(new("cancel", "who cancels ends its own body", &["EXC-17", "§10.5"], Accepted))
            .does("write", json!({ "id": 1, "bytes": hex(&body()) }))
            .says(&[some_data(1, &body())])
            .does("cancel", json!({ "id": 1, "status": 1 }))
            .says_any_order(&[cancel(1, 1), end(1, 1)])
            .tells("failed", json!({ "id": 1, "how": "cancelled" }))
            .hears(&[response(1, 1, b"")])
            .lives(),
        begun(new(
            "cancelled-amid-answer",
            "an answer that goes on is ended without waiting for credit",
            &["EXC-19", "EXC-18", "§10.5"],
            Accepted,
        ))
        .does("respond_more", json!({ "id": 2, "body": "" }))
        .says(&[answering(2, b"")])
        .does("write", json!({ "id": 2, "bytes": hex(&body()) }))
        .says(&[some_data(2, &body())])
        .hears(&[end(2, 1), cancel(2, 1)])
        .tells("end", json!({ "id": 2, "status": 1 }))
        .tells("stop", json!({ "id": 2, "cause": "cancel", "status": 1 }))
        .does("finish", json!({ "id": 2 }))
        .says(&[end(2, 1)]),
    ]
}

fn credits() -> Vec<Script> {
    let spec = ["CRD-3", "§11"];
    let beyond = |id: &str, title: &str| begun(new(id, title, &spec, Refused));
    vec![
        begun(new("window", "as much as the window", &["CRD-3", "CRD-4", "§11"], Accepted))
            .hears(&[data(2, &CHUNK)])
            .tells("data", json!({ "id": 2 }))
            .has_granted(2, 128)
            .hears(&[data(2, &CHUNK)])
            .tells("data", json!({ "id": 2 }))
            .has_granted(2, 192),
        beyond("beyond-window", "one byte more than the window")
            .hears(&[data(2, &[7; 64 - HEAD + 1])])
            .violation("CreditExceeded(2)"),
        beyond("empty-chunks", "empty chunks cost credit")
            .does("hold", json!({}))
            .hears(&vec![data(2, b""); 16])
            .tells("data", json!({ "id": 2, "bytes": "" }))
            .hears(&[data(2, b"")])
            .violation("CreditExceeded(2)"),
        beyond("not-taken", "nothing is granted for what the application has not taken")
            .does("hold", json!({}))
            .hears(&[data(2, &CHUNK)])
            .tells("data", json!({ "id": 2 }))
            .hears(&[data(2, b"")])
            .violation("CreditExceeded(2)"),
        begun(new("taken-later", "credit comes when the application takes", &["CRD-4", "§11"], Accepted))
            .does("hold", json!({}))
            .hears(&[data(2, &CHUNK)])
            .tells("data", json!({ "id": 2 }))
            .at(1_000)
            .does("take", json!({}))
            .has_granted(2, 128),
        begun(new("discarded-counts", "data that is discarded counts as well", &["CRD-3", "§10.5"], Refused))
            .does("cancel", json!({ "id": 2, "status": 1 }))
            .says(&[cancel(2, 1)])
            .hears(&[data(2, &CHUNK)])
            .hears(&[data(2, b"")])
            .violation("CreditExceeded(2)"),
        beginning(new("waits", "it sends no more than its credit", &["CRD-2", "CRD-1", "§11"], Accepted))
            .does("write", json!({ "id": 1, "bytes": hex(&body()) }))
            .says(&[some_data(1, &body())])
            .hears(&[credit(1, 64), credit(1, 10)])
            .lives()
            .hears(&[credit(1, 128)])
            .says(&[some_data(1, &body()[50..])])
            .hears(&[credit(1, 128)])
            .hears(&[credit(1, u64::MAX)])
            .says(&[last_data(1, &body())])
            .does("finish", json!({ "id": 1 }))
            .says(&[end(1, 0)]),
    ]
}

/// Bodies of which nothing moves.
fn idle() -> Vec<Script> {
    let spec = ["§10.5", "§15"];
    vec![
        begun(new("stalled", "the answerer gives it up", &spec, Accepted))
            .hears(&[data(2, b"one")])
            .tells("data", json!({ "id": 2 }))
            .at(59_999)
            .at(60_000)
            .tells("stop", json!({ "id": 2, "cause": "stalled" }))
            .says(&[response(2, 11, b"")]),
        beginning(new("own-stalled", "the opener gives it up", &spec, Accepted))
            .at(59_999)
            .at(60_000)
            .tells("failed", json!({ "id": 1, "how": "stalled" }))
            .says_any_order(&[cancel(1, 11), end(1, 11)]),
        begun(new("moves", "something moves", &spec, Accepted))
            .at(59_999)
            .hears(&[data(2, b"one")])
            .tells("data", json!({ "id": 2 }))
            .at(119_998)
            .hears(&[end(2, 0)])
            .tells("end", json!({ "id": 2, "status": 0 }))
            .at(300_000),
    ]
}
