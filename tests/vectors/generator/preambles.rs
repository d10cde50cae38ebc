//! SPEC §3.

use serde_json::json;

use crate::common::attacker::{ANSWER, OFFER};
use crate::script::{Accepted, Refused, Script};
use crate::setups::{INITIATOR_FIRST, RESPONDER_FIRST};

pub fn scripts() -> Vec<Script> {
    let mut all = offers();
    all.extend(magics());
    all.extend(answers());
    all
}

fn offers() -> Vec<Script> {
    vec![
        answered("preambles/offer", "version 1, suite 1", OFFER, &["PRE-1", "PRE-7", "§3"]),
        answered(
            "preambles/higher-version",
            "a later version is offered: 1 is chosen",
            *b"symb\x09\0\0\x01",
            &["§3"],
        ),
        answered(
            "preambles/unknown-suites",
            "unknown suites are ignored",
            *b"symb\x01\0\xff\xfd",
            &["PRE-6", "§3"],
        ),
        answered(
            "preambles/both-suites",
            "the optional suite is offered as well: who has only the first takes it",
            *b"symb\x01\0\0\x03",
            &["PRE-1", "§3"],
        ),
        refused("preambles/version", "a version below all that are spoken", *b"symb\0\0\0\x01", 1),
        refused("preambles/profile", "another profile", *b"symb\x01\x01\0\x01", 2),
        refused("preambles/suites", "no common suite", *b"symb\x01\0\x80\0", 3),
        refused("preambles/second-suite", "only the optional suite", *b"symb\x01\0\0\x02", 3),
        refused("preambles/no-suites", "no suite at all", *b"symb\x01\0\0\0", 3),
        refused(
            "preambles/lowest-code",
            "where several codes apply, the lowest is sent",
            *b"symb\0\x01\0\0",
            1,
        ),
    ]
}

/// What is not symbolon.
fn magics() -> Vec<Script> {
    let mut all = Vec::new();
    for place in 0..4 {
        let mut bytes = OFFER[..=place].to_vec();
        bytes[place] ^= 0x20;
        all.push(silence(&format!("preambles/offer-magic-{place}"), &bytes));
        let mut bytes = ANSWER[..=place].to_vec();
        bytes[place] ^= 0x20;
        all.push(no_answer(
            &format!("preambles/answer-magic-{place}"),
            "another magic",
            &bytes,
            "NotSymbolon",
            "PRE-3",
        ));
    }
    all.push(silence("preambles/http", b"GET / HTTP/1.1\r\n\r\n"));
    all.push(silence("preambles/tls", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"));
    all
}

fn answers() -> Vec<Script> {
    let mut all = Vec::new();
    let answers: [(&str, &str, [u8; 8]); 9] = [
        ("code-5", "a code that the table does not have", *b"olon\x01\x05\0\x01"),
        ("code-255", "a code that the table does not have", *b"olon\x01\xff\0\x01"),
        ("version-0", "accepted with version 0", *b"olon\0\0\0\x01"),
        ("version-2", "accepted with a version above the offer", *b"olon\x02\0\0\x01"),
        ("no-suite", "accepted without a suite", *b"olon\x01\0\0\0"),
        ("two-suites", "accepted with two suites", *b"olon\x01\0\0\x03"),
        ("suite-not-offered", "accepted with a suite that was not offered", *b"olon\x01\0\0\x02"),
        ("unknown-suite", "accepted with an unknown suite", *b"olon\x01\0\x80\0"),
        ("high-suite", "accepted with an unknown suite", *b"olon\x01\0\x01\0"),
    ];
    for (name, title, bytes) in answers {
        all.push(no_answer(&format!("preambles/answer-{name}"), title, &bytes, "Preamble", "PRE-5"));
    }
    for code in 1..=4_u8 {
        // Whatever stands beside the code only informs.
        let bytes = [b"olon\x07".as_slice(), &[code], &[0xab, code]].concat();
        let (id, title) =
            (format!("preambles/refused-{code}"), format!("the responder refuses with code {code}"));
        let script = Script::new(&INITIATOR_FIRST, &id, &title, &["PRE-4", "PRE-5", "§3"], Refused);
        let script = script.sends(&first_flight()).hears_bytes(&bytes).error("Refused");
        all.push(script.tells("closed", json!({ "reason": "refused", "code": code })).closes());
    }
    all
}

/// What the subject begins with where it dials.
fn first_flight() -> Vec<u8> {
    INITIATOR_FIRST.sides().0.begin()
}

fn answered(id: &str, title: &str, offer: [u8; 8], spec: &[&str]) -> Script {
    // PRE-7: before message 1 has come.
    Script::new(&RESPONDER_FIRST, id, title, spec, Accepted).hears_bytes(&offer).sends(&ANSWER)
}

fn refused(id: &str, title: &str, offer: [u8; 8], code: u8) -> Script {
    let answer = [b"olon\x01".as_slice(), &[code], &[0, 1]].concat();
    let script = Script::new(&RESPONDER_FIRST, id, title, &["PRE-4", "§3"], Refused);
    script.hears_bytes(&offer).sends(&answer).drops("Refused")
}

fn silence(id: &str, bytes: &[u8]) -> Script {
    let script = Script::new(&RESPONDER_FIRST, id, "not symbolon: silence", &["PRE-2", "§3", "§20"], Refused);
    script.hears_bytes(bytes).drops("NotSymbolon")
}

fn no_answer(id: &str, title: &str, bytes: &[u8], error: &str, rule: &str) -> Script {
    let script = Script::new(&INITIATOR_FIRST, id, title, &[rule, "§3"], Refused);
    script.sends(&first_flight()).hears_bytes(bytes).drops(error)
}
