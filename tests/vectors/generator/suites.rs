//! The second suite: a subject that has it, and a peer that has it, or not.  SPEC §3, §7

use serde_json::json;
use symbolon::Role;

use crate::cipher::Suite;
use crate::messages::{encode, hex};
use crate::notation::{
    answering, cancel, close, end, padding, ping, pong, publication, request, response, subscribe,
};
use crate::script::{Accepted, Refused, Script, Verdict};
use crate::setups::{AES, CHACHA, INITIATOR, Preambles, RESPONDER, Setup, Upto};

const BOTH: u16 = CHACHA | AES;

/// It was offered both, and took the second.
const ANSWERS: Setup = Setup {
    name: "responder, both suites",
    suites: BOTH,
    preambles: Preambles { offered: BOTH, taken: AES },
    ..RESPONDER
};
/// It has offered both, and the second was taken.
const DIALS: Setup = Setup {
    name: "initiator, both suites",
    suites: BOTH,
    preambles: Preambles { offered: BOTH, taken: AES },
    ..INITIATOR
};
const ANSWERS_FIRST: Setup =
    Setup { name: "responder, both suites, before anything", upto: Upto::Nothing, ..ANSWERS };
const DIALS_FIRST: Setup =
    Setup { name: "initiator, both suites, before anything", upto: Upto::Nothing, ..DIALS };

pub fn scripts() -> Vec<Script> {
    let mut all = conversations();
    all.extend(frames());
    all.extend(preambles());
    all
}

fn new(setup: &Setup, id: &str, title: &str, spec: &[&str], verdict: Verdict) -> Script {
    Script::new(setup, &format!("suites/{id}"), title, spec, verdict)
}

/// Whatever the suite, what goes over it is the same.
fn conversations() -> Vec<Script> {
    // Nobody has to offer it, and nobody to take it.
    let declined = Preambles { offered: BOTH, taken: CHACHA };
    let plain = Preambles { offered: CHACHA, taken: CHACHA };
    // Against PRE-1, but there is nothing that a responder would have to say against it.
    let alone = Preambles { offered: AES, taken: AES };
    let setups = [
        ("answers", "offered both, the second is taken", ANSWERS),
        ("dials", "the second of both that were offered is taken", DIALS),
        (
            "dials-declined",
            "the first of both that were offered is taken",
            Setup { name: "initiator, both suites, the first taken", preambles: declined, ..DIALS },
        ),
        (
            "answers-first",
            "offered the first alone",
            Setup { name: "responder, both suites, offered the first", preambles: plain, ..ANSWERS },
        ),
        (
            "answers-second",
            "offered the second alone",
            Setup { name: "responder, both suites, offered the second", preambles: alone, ..ANSWERS },
        ),
    ];
    let talks = setups.iter().map(|(id, title, setup)| {
        let script = new(setup, id, title, &["PRE-1", "§3", "§7"], Accepted);
        let (own, theirs) = if setup.role == Role::Initiator { (2, 1) } else { (1, 2) };
        closes(publications(requests(script, own, theirs), own + 2, theirs + 2))
    });
    talks.collect()
}

/// A request each way.
fn requests(script: Script, own: u64, theirs: u64) -> Script {
    let body = hex(b"hello");
    script
        .does("request", json!({ "method": "echo", "body": body }))
        .says(&[request(own, "echo", b"hello")])
        .hears(&[response(own, 0, b"hello")])
        .tells("response", json!({ "id": own, "status": 0, "body": body, "more": false }))
        .hears(&[request(theirs, "echo", b"hello")])
        .tells("request", json!({ "id": theirs, "method": "echo", "body": body, "more": false }))
        .does("respond", json!({ "id": theirs, "status": 0, "body": body }))
        .says(&[response(theirs, 0, b"hello")])
}

/// A publication each way.
fn publications(script: Script, own: u64, theirs: u64) -> Script {
    let published = |id| {
        json!({
            "id": id, "topic": "a/b", "epoch": 7, "sequence": 0, "missed": 0, "unknown": false, "retained": false,
            "body": hex(b"value"),
        })
    };
    script
        .does("subscribe", json!({ "filter": "a/+", "limit": 200, "largest": 0 }))
        .says(&[subscribe(own, 200, "a/+")])
        .hears(&[answering(own, b"")])
        .tells("subscribed", json!({ "id": own }))
        .hears(&[publication(own, 0, "a/b", 0, b"value")])
        .tells("publication", published(own))
        .hears(&[subscribe(theirs, 200, "a/+")])
        .tells("subscribe", json!({ "id": theirs, "filter": "a/+" }))
        .does("accept", json!({ "id": theirs }))
        .says(&[answering(theirs, b"")])
        .does("publish", published(theirs))
        .says(&[publication(theirs, 0, "a/b", 0, b"value")])
        .hears(&[end(own, 0)])
        .tells("subscription_ended", json!({ "id": own, "status": 0 }))
        .hears(&[cancel(theirs, 1)])
        .tells("unsubscribe", json!({ "id": theirs }))
        .does("end", json!({ "id": theirs, "status": 1 }))
        .says(&[end(theirs, 1)])
}

fn closes(script: Script) -> Script {
    let end = json!({ "reason": "local", "status": 0 });
    script
        .does("close", json!({ "status": 0 }))
        .says(&[close(0)])
        .hears(&[close(0)])
        .tells("closed", end)
        .closes()
}

/// SPEC §7.
fn frames() -> Vec<Script> {
    let spec = ["TRN-1", "§7"];
    let mut changed = new(&ANSWERS, "changed", "a bit of a frame changed", &spec, Refused);
    let mut frame = changed.seal(&[ping(1)]);
    frame[2] ^= 1;
    let other = new(&DIALS, "other-cipher", "sealed by the cipher of the first suite", &spec, Refused);
    let plaintext = encode(&[ping(1)]).expect("a message");
    let sealed = Suite::ChaChaPoly.seal(&other.key(), 1, &plaintext);
    let length = (sealed.len() as u16).to_be_bytes();
    vec![
        changed.hears_bytes(&frame).violation("Unauthentic"),
        other.hears_bytes(&[&length[..], &sealed].concat()).violation("Unauthentic"),
        new(&ANSWERS, "rekey", "the key changes after 65,536 frames", &["TRN-2", "§7"], Accepted)
            .repeats(65_536, &[padding(0)])
            .repeats(1, &[ping(9)])
            .says(&[pong(9)]),
    ]
}

/// SPEC §3.
fn preambles() -> Vec<Script> {
    let answered = |id: &str, title: &str, spec: &[&str], offered: [u8; 8], taken: u16| {
        let answer = Preambles { offered: BOTH, taken }.of(Role::Responder);
        new(&ANSWERS_FIRST, id, title, spec, Accepted).hears_bytes(&offered).sends(&answer)
    };
    let refused = |id: &str, title: &str, answer: [u8; 8]| {
        let flight = DIALS_FIRST.sides().0.begin();
        let script = new(&DIALS_FIRST, id, title, &["PRE-5", "§3"], Refused);
        script.sends(&flight).hears_bytes(&answer).drops("Preamble")
    };
    vec![
        answered("offer", "both suites", &["PRE-7", "§3"], *b"symb\x01\0\0\x03", AES),
        answered(
            "unknown-suites",
            "unknown suites are ignored",
            &["PRE-6", "§3"],
            *b"symb\x01\0\xff\xff",
            AES,
        ),
        answered(
            "unknown-and-first",
            "unknown suites, and the first",
            &["PRE-6", "§3"],
            *b"symb\x01\0\xff\xfd",
            CHACHA,
        ),
        new(
            &ANSWERS_FIRST,
            "none-common",
            "a refusal says all suites that there are",
            &["PRE-4", "§3"],
            Refused,
        )
        .hears_bytes(b"symb\x01\0\xff\xfc")
        .sends(b"olon\x01\x03\0\x03")
        .drops("Refused"),
        refused("two-taken", "accepted with both of the two that were offered", *b"olon\x01\0\0\x03"),
        refused("none-taken", "accepted without a suite", *b"olon\x01\0\0\0"),
        refused("unknown-taken", "accepted with a suite that was not offered", *b"olon\x01\0\0\x04"),
    ]
}
