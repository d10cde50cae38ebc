//! Each MUST of SPEC.md, and each error of the library, has its vectors.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::files;

/// Rules that no vector refuses, and why.
const WITHOUT_REFUSAL: &[(&str, &str)] = &[
    ("ADM-4", "about what its own side reports"),
    ("CRD-1", "a lower limit is ignored"),
    ("CRD-2", "about what is sent"),
    ("CRD-4", "about what is sent"),
    ("DSC-3", "about what is ignored"),
    ("ENC-5", "about what is ignored"),
    ("ENC-8", "about what is handed on"),
    ("END-2", "about what is ignored"),
    ("END-4", "about what is sent"),
    ("EXC-1", "about what is sent"),
    ("EXC-8", "about what is sent"),
    ("EXC-10", "about what is sent"),
    ("EXC-11", "about what is sent"),
    ("EXC-12", "about what is sent"),
    ("EXC-13", "about what is sent"),
    ("EXC-14", "about what is sent"),
    ("EXC-16", "about what is sent"),
    ("EXC-17", "about what is sent"),
    ("EXC-18", "about what is sent"),
    ("EXC-19", "about what is sent"),
    ("FRM-2", "about what is sent"),
    ("FRM-4", "each script runs in pieces"),
    ("HSK-7", "about what is ignored"),
    ("HSK-8", "about what is ignored"),
    ("MSG-2", "about what is sent"),
    ("MSG-3", "about what is ignored"),
    ("PRE-1", "about what is sent"),
    ("PRE-6", "about what is ignored"),
    ("PRE-7", "about when something is sent"),
    ("PUB-3", "about what is sent"),
    ("PUB-5", "about what is sent"),
    ("PUB-8", "about what is granted"),
    ("PUB-9", "about what is sent"),
    ("PUB-10", "about what is counted"),
    ("SER-5", "about who answers"),
    ("SER-6", "about what is sent"),
    ("SER-7", "about what is taken"),
    ("SER-10", "about what is dropped without any effect"),
    ("SER-12", "about what is sent"),
    ("SER-13", "about what its own side reports"),
    ("SER-14", "about what is sent"),
    ("TIM-1", "about what is sent"),
    ("TIM-3", "about the order of two events at one moment"),
    ("TRN-2", "about the key"),
    ("TRN-5", "about what is sent"),
];

/// Rules that say only what is refused: what they let pass, every other conversation shows.
const ONLY_REFUSED: &[&str] = &[
    "ADM-5", "ENC-2", "ENC-6", "ENC-7", "ENC-9", "END-3", "EXC-3", "EXC-5", "EXC-7", "FRM-1", "HSK-2",
    "HSK-3", "HSK-4", "IDP-3", "IDP-4", "PRE-2", "PRE-3", "PRE-4", "PUB-7", "SER-3", "SER-4", "SER-11",
    "TIM-4", "TRN-4",
];

/// Rules that are about more than one connection, or about a choice that no script can see.
const WITHOUT_VECTORS: &[(&str, &str)] = &[
    ("PUB-1", "numbers are the application's, and a receiver does not check them; src/topics/tests.rs"),
    ("PUB-2", "what was dropped, nobody sees; src/topics/tests.rs"),
    ("TRN-3", "a script of 2⁶⁴ frames has no end; src/noise/tests/transport.rs"),
    ("DSC-1", "the application's answer; tests/adapters/descriptions.rs"),
    ("DSC-2", "65,537 bytes are many; src/description/tests.rs, tests/adapters/descriptions.rs"),
    ("DUP-1", "about two connections; tests/tokio/connections.rs"),
    ("DUP-2", "about two connections; tests/tokio/connections.rs"),
    ("HSK-5", "a key that is given is not fresh; tests/handshake"),
    ("LAN-1", "how often is only seen under load; tests/lanes.rs"),
    ("LAN-3", "what overtakes is only seen under load; tests/lanes.rs"),
    ("MDN-1", "about a network; tests/mdns.rs"),
    ("MDN-2", "about a network; tests/mdns.rs"),
    ("MDN-3", "about a network; tests/mdns.rs"),
    ("MDN-4", "about a network; tests/mdns_flood.rs"),
];

fn all_vectors() -> Vec<Value> {
    let files = files::all();
    files.iter().flat_map(|(_, file)| file["vectors"].as_array().cloned().unwrap_or_default()).collect()
}

fn rules_of_the_specification() -> BTreeSet<String> {
    let spec = include_str!("../../../SPEC.md");
    let brackets = spec.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
    let is_rule = |name: &str| {
        name.split_once('-').is_some_and(|(letters, number)| {
            letters.len() == 3
                && letters.bytes().all(|byte| byte.is_ascii_uppercase())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    brackets.map(|(name, _)| name.to_owned()).filter(|name| is_rule(name)).collect()
}

#[test]
fn each_rule_has_an_accepted_and_a_refused_vector() {
    let mut named: BTreeMap<String, [bool; 2]> = BTreeMap::new();
    for vector in all_vectors() {
        let refused = vector["result"] == "refused";
        for name in vector["spec"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            named.entry(name.to_owned()).or_default()[usize::from(refused)] = true;
        }
    }
    let has = |list: &[(&str, &str)], rule: &str| list.iter().any(|(name, _)| *name == rule);
    let mut missing = Vec::new();
    for rule in rules_of_the_specification() {
        let [accepted, refused] = named.get(&rule).copied().unwrap_or_default();
        let without = has(WITHOUT_VECTORS, &rule);
        let [only_accepted, only_refused] =
            [has(WITHOUT_REFUSAL, &rule), ONLY_REFUSED.contains(&rule.as_str())];
        // A list that says more than there is, is as wrong as one that says less.
        if [accepted, refused] != [!without && !only_refused, !without && !only_accepted] {
            missing.push(format!("{rule}: accepted {accepted}, refused {refused}, and listed otherwise"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// What a peer can bring about, by the library's names.
#[test]
fn each_error_has_a_vector() {
    const ERRORS: &[&str] = &[
        "AbortForm",
        "Accept",
        "Chunks",
        "CreditExceeded",
        "FrameLength",
        "FramesLost",
        "Message",
        "NotAdmitted",
        "NotSymbolon",
        "OpeningId",
        "OwnIdentity",
        "Payload",
        "Preamble",
        "Proof",
        "Refused",
        "Remote",
        "State",
        "Strays",
        "TimedOut(Close)",
        "TimedOut(Frame)",
        "TimedOut(Handshake)",
        "TimedOut(Silence)",
        "TooManyRequests",
        "TooManySubscriptions",
        "Topic",
        "Truncated",
        "Unauthentic",
        "UnknownExchange",
    ];
    let named: BTreeSet<String> =
        all_vectors().iter().filter_map(|vector| vector["error"].as_str().map(str::to_owned)).collect();
    for error in ERRORS {
        assert!(named.iter().any(|name| name.starts_with(error)), "no vector ends by {error}");
    }
}

#[test]
fn ids_are_used_once() {
    let mut seen = BTreeSet::new();
    for vector in all_vectors() {
        let id = vector["id"].as_str().expect("an id").to_owned();
        assert!(seen.insert(id.clone()), "{id} twice");
    }
    assert!(seen.len() > 600, "{} vectors", seen.len());
}
