//! SPEC §14, and §13 where it is about topics.

use serde_json::{Value, json};

use crate::notation::{
    answering, cancel, continuation, credit, data, end, first_part, missed, publication, response, subscribe,
};
use crate::script::{Accepted, Refused, Script, Verdict};
use crate::setups::{Declared, RESPONDER, Setup, USUAL};

const SHORT_FRAMES: Setup = Setup {
    name: "responder, the peer's frames are short",
    peer: Declared { max_frame: 256, ..USUAL },
    ..RESPONDER
};

pub fn scripts() -> Vec<Script> {
    let mut all = subscribing();
    all.extend(received());
    all.extend(parts());
    all.extend(published());
    all
}

fn new(id: &str, title: &str, spec: &[&str], verdict: Verdict) -> Script {
    Script::new(&RESPONDER, &format!("publications/{id}"), title, spec, verdict)
}

/// A subscription of the subject's stands, with the id 1; it takes up to 200 bytes at once.
fn standing(script: Script, filter: &str, largest: u32) -> Script {
    script
        .does("subscribe", json!({ "filter": filter, "limit": 200, "largest": largest }))
        .says(&[subscribe(1, 200, filter)])
        .hears(&[answering(1, b"")])
        .tells("subscribed", json!({ "id": 1 }))
}

/// A subscription of the peer's stands, with the id 2 and this much credit.
fn taken(script: Script, limit: u64) -> Script {
    script
        .hears(&[subscribe(2, limit, "a/+")])
        .tells("subscribe", json!({ "id": 2, "filter": "a/+" }))
        .does("accept", json!({ "id": 2 }))
        .says(&[answering(2, b"")])
}

fn told(topic: &str, sequence: u64, body: &str) -> Value {
    json!({
        "id": 1, "topic": topic, "epoch": 7, "sequence": sequence, "missed": 0, "unknown": false,
        "retained": false, "body": body,
    })
}

fn publish(sequence: u64, body: &str) -> Value {
    json!({
        "id": 2, "topic": "a/b", "epoch": 7, "sequence": sequence, "missed": 0, "unknown": false,
        "retained": false, "body": body,
    })
}

fn subscribing() -> Vec<Script> {
    let spec = ["§14.1"];
    let resume = |id: &str, filter: &str, verdict| {
        let title = "a point to resume from is one topic's";
        let script = new(id, title, &["PUB-4", "§14.4"], verdict);
        script.hears(&[json!([12, 2, 100, filter, 7, 41])])
    };
    vec![
        standing(
            new("unsubscribe", "the subject unsubscribes, and ignores what still comes", &spec, Accepted),
            "a/+",
            0,
        )
        .does("cancel", json!({ "id": 1, "status": 1 }))
        .says(&[cancel(1, 1)])
        .tells("failed", json!({ "id": 1, "how": "cancelled" }))
        .hears(&[publication(1, 0, "a/b", 0, b"late"), end(1, 1)])
        .lives(),
        taken(new("unsubscribed", "the peer unsubscribes", &["PUB-3", "§14.1"], Accepted), 100)
            .hears(&[cancel(2, 1)])
            .tells("unsubscribe", json!({ "id": 2 }))
            .does("missed", json!({ "id": 2, "count": 3, "unknown": false }))
            .says(&[missed(2, 0, 3)])
            .does("end", json!({ "id": 2, "status": 1 }))
            .says(&[end(2, 1)]),
        new("refuses", "any other answer ends it", &spec, Accepted)
            .hears(&[subscribe(2, 100, "a")])
            .tells("subscribe", json!({ "id": 2, "filter": "a" }))
            .does("respond", json!({ "id": 2, "status": 3, "body": "" }))
            .says(&[response(2, 3, b"")]),
        new("refused", "the peer has nothing to subscribe to", &spec, Accepted)
            .does("subscribe", json!({ "filter": "a", "limit": 200 }))
            .says(&[subscribe(1, 200, "a")])
            .hears(&[response(1, 3, b"")])
            .tells("subscription_ended", json!({ "id": 1, "status": 3 })),
        new("answered-ok", "status 0 without more ends it like any other", &["§10.2"], Accepted)
            .does("subscribe", json!({ "filter": "a", "limit": 200 }))
            .says(&[subscribe(1, 200, "a")])
            .hears(&[response(1, 0, b"")])
            .tells("subscription_ended", json!({ "id": 1, "status": 0 })),
        resume("resume", "a/b", Accepted)
            .tells("subscribe", json!({ "id": 2, "filter": "a/b", "epoch": 7, "sequence": 41 })),
        resume("resume-wildcard", "a/+", Refused).says(&[response(2, 5, b"")]).lives(),
        resume("resume-wildcards", "a/#", Refused).says(&[response(2, 5, b"")]).lives(),
        new("resumes", "the subject resumes, and what it missed is unknown", &["PUB-5", "§14.4"], Accepted)
            .may_not("subscribe", json!({ "filter": "a/+", "limit": 200, "epoch": 7, "sequence": 41 }))
            .does("subscribe", json!({ "filter": "a/b", "limit": 200, "epoch": 6, "sequence": 41 }))
            .says(&[json!([12, 1, 200, "a/b", 6, 41])])
            .hears(&[answering(1, b""), json!([13, 1, 0, 2, "a/b", 7, 3, { "hex": "" }])])
            .tells("subscribed", json!({ "id": 1 }))
            .tells(
                "publication",
                json!({ "id": 1, "epoch": 7, "sequence": 3, "missed": 0, "unknown": true }),
            ),
        new("five-elements", "an epoch without a sequence", &["MSG-1", "§9"], Refused)
            .hears(&[json!([12, 2, 100, "a", 7])])
            .violation("Message"),
        new("before-answer", "a publication before the subscription stands", &["EXC-6", "§10.2"], Refused)
            .does("subscribe", json!({ "filter": "a", "limit": 200 }))
            .says(&[subscribe(1, 200, "a")])
            .hears(&[publication(1, 0, "a", 0, b"")])
            .violation_with("State(1)", &[1]),
        standing(new("data", "data in a subscription", &["EXC-6", "§10.2"], Refused), "a", 0)
            .hears(&[data(1, b"")])
            .violation_with("State(1)", &[1]),
    ]
}

fn received() -> Vec<Script> {
    let matching = |id: &str, filter: &str, topic: &str| {
        let script = new(&format!("match-{id}"), "the filter matches", &["NAM-3", "§13"], Accepted);
        standing(script, filter, 0)
            .hears(&[publication(1, 0, topic, 0, b"x")])
            .tells("publication", told(topic, 0, "78"))
    };
    let other = |id: &str, filter: &str, topic: &str| {
        let script = new(&format!("mismatch-{id}"), "the filter does not match", &["NAM-3", "§13"], Refused);
        standing(script, filter, 0)
            .hears(&[publication(1, 0, topic, 0, b"x")])
            .violation_with("Topic(1)", &[1])
    };
    vec![
        standing(new("received", "publications, in order", &["§14.2"], Accepted), "a/b", 0)
            .hears(&[publication(1, 0, "a/b", 4, b"4"), publication(1, 4, "a/b", 5, b"5")])
            .tells("publication", told("a/b", 4, "34"))
            .tells("publication", json!({ "id": 1, "sequence": 5, "retained": true, "body": "35" })),
        standing(new("missed", "what was dropped is told once", &["§14.3"], Accepted), "a/b", 0)
            .hears(&[json!([13, 1, 3, 0, "a/b", 7, 9, { "hex": "" }]), missed(1, 2, 4)])
            .tells("publication", json!({ "id": 1, "sequence": 9, "missed": 3, "unknown": false }))
            .tells("missed", json!({ "id": 1, "count": 4, "unknown": true })),
        standing(
            new(
                "ended",
                "the publisher ends it, and says before what was left to tell",
                &["PUB-3", "§14.3"],
                Accepted,
            ),
            "a/b",
            0,
        )
        .hears(&[missed(1, 0, 2), end(1, 36)])
        .tells("missed", json!({ "id": 1, "count": 2, "unknown": false }))
        .tells("subscription_ended", json!({ "id": 1, "status": 36 })),
        standing(
            new("total-without-more", "a total where nothing goes on is ignored", &["MSG-3", "§9"], Accepted),
            "a/b",
            0,
        )
        .hears(&[json!([13, 1, 0, 0, "a/b", 7, 0, { "hex": "78" }, 99])])
        .tells("publication", told("a/b", 0, "78")),
        matching("plus", "a/+", "a/b"),
        matching("hash", "a/#", "a/b/c"),
        matching("hash-none", "a/#", "a"),
        matching("all", "#", "x/y/z"),
        matching("reserved", "$sys/#", "$sys/x"),
        other("plus-two", "a/+", "a/b/c"),
        other("plus-none", "a/+", "a"),
        other("other", "a/b", "a/c"),
        other("reserved-hash", "#", "$sys/x"),
        other("reserved-plus", "+/x", "$sys/x"),
        other("reserved-within", "a/#", "a/$x"),
        other("reserved-second", "$sys/#", "$sys/$x"),
        other("no-name", "#", "a//b"),
        other("empty", "#", ""),
        standing(new("beyond-credit", "one byte more than the credit", &["CRD-3", "§11"], Refused), "a", 0)
            .hears(&[publication(1, 0, "a", 0, &[0; 200 - 10])])
            .violation_with("CreditExceeded(1)", &[1]),
        standing(
            new(
                "all-credit",
                "as much as the credit; and more when it was taken",
                &["CRD-4", "§11"],
                Accepted,
            ),
            "a",
            0,
        )
        .hears(&[publication(1, 0, "a", 0, &[0; 200 - 11])])
        .tells("publication", json!({ "id": 1, "body": "00".repeat(189) }))
        .has_granted(1, 400),
    ]
}

/// SPEC §14.5, as a subscriber.
fn parts() -> Vec<Script> {
    let chunk = [5_u8; 150];
    let whole = |len: usize| "05".repeat(len);
    let refused = |id: &str, title: &str, rule: &str, messages: &[Value], error: &str| {
        let script = new(&format!("parts-{id}"), title, &[rule, "§14.5"], Refused);
        standing(script, "a", 1_000).hears(messages).violation_with(error, &[1])
    };
    let begun = first_part(1, "a", 0, b"12", 4);
    let half = |id: &str, title: &str, spec: &[&str]| {
        standing(new(&format!("parts-{id}"), title, spec, Accepted), "a", 1_000)
            .hears(std::slice::from_ref(&begun))
    };
    let gone = json!({ "id": 1, "count": 1, "unknown": false });
    vec![
        standing(
            new(
                "parts",
                "a body longer than the window: each part frees its credit",
                &["PUB-8", "PUB-6", "§14.5"],
                Accepted,
            ),
            "a",
            1_000,
        )
        .hears(&[first_part(1, "a", 0, &chunk, 450)])
        .has_granted(1, 300)
        .hears(&[continuation(1, 1, &chunk)])
        .has_granted(1, 450)
        .hears(&[continuation(1, 0, &chunk)])
        .tells("publication", told("a", 0, &whole(450))),
        standing(
            new("parts-empty", "parts of any length, missed between them", &["PUB-6", "§14.5"], Accepted),
            "a",
            1_000,
        )
        .hears(&[
            first_part(1, "a", 0, b"", 2),
            continuation(1, 1, b""),
            continuation(1, 1, &[5]),
            missed(1, 0, 2),
        ])
        .tells("missed", json!({ "id": 1, "count": 2, "unknown": false }))
        .hears(&[continuation(1, 1, &[5]), continuation(1, 0, b"")])
        .tells("publication", told("a", 0, "0505")),
        refused(
            "beyond",
            "more than its total",
            "PUB-6",
            &[begun.clone(), continuation(1, 1, b"345")],
            "Chunks(1)",
        ),
        refused(
            "short",
            "less than its total",
            "PUB-6",
            &[begun.clone(), continuation(1, 0, b"3")],
            "Chunks(1)",
        ),
        refused(
            "first-beyond",
            "a first part above its total",
            "PUB-6",
            &[first_part(1, "a", 0, b"12345", 4)],
            "Chunks(1)",
        ),
        refused("of-nothing", "a continuation of nothing", "PUB-7", &[continuation(1, 1, b"1")], "State(1)"),
        refused(
            "amid",
            "a publication amid another",
            "PUB-7",
            &[begun.clone(), publication(1, 0, "a", 1, b"")],
            "State(1)",
        ),
        refused(
            "abort-more",
            "an abort with more",
            "PUB-7",
            &[begun.clone(), continuation(1, 3, b"")],
            "AbortForm",
        ),
        refused(
            "abort-chunk",
            "an abort with a chunk",
            "PUB-7",
            &[begun.clone(), continuation(1, 2, b"3")],
            "AbortForm",
        ),
        refused("abort-nothing", "an abort of nothing", "PUB-7", &[continuation(1, 2, b"")], "State(1)"),
        half("aborted", "the publisher gives it up: the subscriber counts it", &["PUB-10", "§14.5"])
            .hears(&[continuation(1, 2, b"")])
            .tells("missed", gone.clone())
            .hears(&[publication(1, 0, "a", 1, b"x")])
            .tells("publication", told("a", 1, "78")),
        standing(
            new(
                "parts-too-long",
                "longer than the subscriber takes: discarded, and counted by it",
                &["PUB-8", "§14.5"],
                Accepted,
            ),
            "a",
            400,
        )
        .hears(&[first_part(1, "a", 0, &chunk, 450)])
        .tells("missed", gone)
        .has_granted(1, 300)
        .hears(&[continuation(1, 1, &chunk)])
        .has_granted(1, 450)
        .hears(&[continuation(1, 0, &chunk)])
        .hears(&[publication(1, 0, "a", 1, b"x")])
        .tells("publication", told("a", 1, "78")),
    ]
}

/// The subject is the publisher.
fn published() -> Vec<Script> {
    let sent = |sequence: u64, body: &[u8]| publication(2, 0, "a/b", sequence, body);
    let long = vec![9; 600];
    vec![
        taken(new("published", "publications of the subject's", &["§14.2"], Accepted), 1_000)
            .does("publish", publish(0, "78"))
            .says(&[sent(0, b"x")])
            .does("publish", json!({
                "id": 2, "topic": "a/c", "epoch": 7, "sequence": 3, "missed": 2, "unknown": true, "retained": true,
                "body": "79",
            }))
            .says(&[json!([13, 2, 2, 6, "a/c", 7, 3, { "hex": "79" }])]),
        taken(new("waits", "a publication waits for credit", &["CRD-2", "CRD-1", "§11"], Accepted), 0)
            .does("publish", publish(0, "78"))
            .hears(&[credit(2, 12)])
            .hears(&[credit(2, 13)])
            .says(&[sent(0, b"x")])
            .does("publish", publish(1, "78"))
            .hears(&[credit(2, 5)])
            .hears(&[credit(2, u64::MAX)])
            .says(&[sent(1, b"x")]),
        taken(
            Script::new(
                &SHORT_FRAMES,
                "publications/parts-sent",
                "longer than a frame: in parts, each within its credit",
                &["PUB-9", "PUB-6", "FRM-2", "§14.5"],
                Accepted,
            ),
            10_000,
        )
        .does("publish", publish(0, &"09".repeat(600)))
        .says(&[sent(0, &long)]),
        taken(new("cancelled", "the end needs no credit", &["PUB-3", "§14.1"], Accepted), 0)
            .does("end", json!({ "id": 2, "status": 10 }))
            .says(&[end(2, 10)]),
    ]
}
