//! SPEC §5.2, where it takes what it does not know, and §6.

use serde_json::{Value, json};

use crate::common::attacker::{Knobs, Pairs};
use crate::common::cbor::{map, text, uint};
use crate::messages::hex;
use crate::notation::{accept, close, padding, ping, request};
use crate::script::{Accepted, Refused, Script, Verdict};
use crate::setups::{INITIATOR, INITIATOR_FIRST, RESPONDER, Setup, Upto};

const SHAKEN_RESPONDER: Setup =
    Setup { name: "responder, that asks", asks: true, upto: Upto::Shaken, ..RESPONDER };
const ASKING_INITIATOR: Setup = Setup { name: "initiator, that asks", asks: true, ..INITIATOR_FIRST };
/// The subject has sent message 3.
const WAITING: Setup = Setup { name: "initiator, before accept", upto: Upto::Shaken, ..INITIATOR };

fn peer_id(setup: &Setup) -> String {
    hex(setup.peer_knobs().peer_id().as_bytes())
}

pub fn scripts() -> Vec<Script> {
    [payloads(), initiators(), responders()].concat_all()
}

trait ConcatAll {
    fn concat_all(self) -> Vec<Script>;
}

impl<const N: usize> ConcatAll for [Vec<Script>; N] {
    fn concat_all(self) -> Vec<Script> {
        self.into_iter().flatten().collect()
    }
}

/// Handshakes whose payloads have what version 1 does not know, or numbers at the ends of their ranges.
fn payloads() -> Vec<Script> {
    let unknown = |pairs: &mut Pairs| {
        pairs.push((uint(16), text("later")));
        pairs.push((uint(23), map(&[(uint(0), vec![0xf6])])));
    };
    let mut all = Vec::new();
    for (name, role) in [("at-responder", RESPONDER), ("at-initiator", INITIATOR)] {
        let edited = |name: &str, change: &dyn Fn(&mut Knobs)| {
            let mut knobs = role.peer_knobs();
            change(&mut knobs);
            let named: &'static str = Box::leak(format!("{}, {name}", role.name).into_boxed_str());
            (Setup { name: named, ..role }, knobs)
        };
        let cases: [(&str, &str, &str, (Setup, Knobs)); 3] = [
            (
                "unknown-keys",
                "keys 16 to 23 that nobody knows",
                "HSK-7",
                edited("unknown keys", &|knobs| knobs.edit = Box::new(unknown)),
            ),
            (
                "unknown-features",
                "all bits of features",
                "HSK-8",
                edited("unknown features", &|knobs| knobs.features = u64::MAX),
            ),
            (
                "least",
                "the least of all numbers",
                "HSK-6",
                edited("the least", &|knobs| {
                    (knobs.max_frame, knobs.max_requests, knobs.max_subscriptions) = (256, 0, 0);
                    (knobs.window, knobs.silence) = (0, 0);
                }),
            ),
        ];
        for (case, title, rule, (setup, knobs)) in cases {
            let id = format!("admission/{case}-{name}");
            let begun = setup.begin_with(knobs);
            all.push(Script::begun(&setup, begun, &id, title, &[rule, "§5.2"], Accepted).lives());
        }
        let (setup, knobs) = edited("the most", &|knobs| {
            (knobs.max_frame, knobs.max_requests, knobs.max_subscriptions) = (65_535, 65_535, 65_535);
            (knobs.window, knobs.silence) = (u32::MAX.into(), u32::MAX.into());
        });
        let (id, title) = (format!("admission/most-{name}"), "the most of all numbers");
        let script = Script::begun(&setup, setup.begin_with(knobs), &id, title, &["HSK-6", "§5.2"], Accepted);
        all.push(script.lives());
    }
    all
}

/// The subject has dialled.
fn initiators() -> Vec<Script> {
    let waiting =
        |id: &str, title: &str, spec: &[&str], verdict| Script::new(&WAITING, id, title, spec, verdict);
    let connected = json!({ "peer": peer_id(&WAITING) });
    // Message 2 has come, and message 3 is the subject's to send, or not.
    let asked = |id: &str, title: &str, verdict| {
        let (mut subject, mut peer) = ASKING_INITIATOR.sides();
        let first = subject.begin();
        peer.hear(&first);
        let (answer, second) = (peer.begin(), peer.say());
        subject.hear(&[&answer[..], &second].concat());
        let third = subject.say();
        let script = Script::new(&ASKING_INITIATOR, id, title, &["ADM-1", "§6"], verdict);
        let script = script.sends(&first).hears_bytes(&answer).hears_bytes(&second);
        (script.tells("admission", json!({ "peer": peer_id(&ASKING_INITIATOR) })), third)
    };
    let (refusing, _) = asked("admission/initiator-refuses", "it sends no message 3", Refused);
    let (admitting, third) =
        asked("admission/initiator-admits", "it decides before it sends message 3", Accepted);
    let stranger = {
        let mut knobs = INITIATOR_FIRST.peer_knobs();
        knobs.secret = [0x77; 32];
        let mut peer = crate::common::attacker::Attacker::new(!INITIATOR_FIRST.role, knobs);
        let first = INITIATOR_FIRST.sides().0.begin();
        peer.hear(&first);
        let (answer, second) = (peer.begin(), peer.say());
        let (id, title) = ("admission/another-responder", "not the one that was expected: no message 3");
        let script = Script::new(&INITIATOR_FIRST, id, title, &["ADM-1", "IDP-3", "§6"], Refused);
        let script = script.sends(&first).hears_bytes(&answer).hears_bytes(&second).error("NotAdmitted");
        script.tells("closed", json!({ "reason": "not_admitted" })).closes()
    };
    let call = json!({ "method": "a", "body": "" });
    vec![
        refusing
            .does("refuse", json!({}))
            .error("NotAdmitted")
            .tells("closed", json!({ "reason": "not_admitted" }))
            .closes(),
        admitting.does("admit", json!({})).sends(&third),
        stranger,
        waiting(
            "admission/accepted",
            "connected when accept comes, and not before",
            &["ADM-4", "§6"],
            Accepted,
        )
        .at(1_000)
        .hears(&[accept()])
        .tells("connected", connected.clone()),
        waiting("admission/early-request", "a request right behind message 3", &["ADM-4", "§6"], Accepted)
            .does("request", call.clone())
            .says(&[request(2, "a", b"")])
            .hears(&[accept(), crate::notation::response(2, 0, b"x")])
            .tells("connected", connected)
            .tells("response", json!({ "id": 2, "status": 0, "body": "78", "more": false })),
        waiting(
            "admission/not-let-in",
            "what was opened was not executed",
            &["ADM-2", "ADM-5", "§6", "§16.4"],
            Refused,
        )
        .does("request", call)
        .says(&[request(2, "a", b"")])
        .hears(&[close(32)])
        .error("Remote")
        .may_say(&[close(0)])
        .tells("failed", json!({ "id": 2, "how": "not_executed" }))
        .tells("closed", json!({ "reason": "remote", "status": 32 })),
        waiting("admission/ping-first", "something else before accept", &["ADM-5", "§6"], Refused)
            .hears(&[ping(1), accept()])
            .violation("Accept"),
        waiting("admission/padding-first", "something to ignore before accept", &["ADM-5", "§6"], Refused)
            .hears(&[padding(1), accept()])
            .violation("Accept"),
        Script::new(&INITIATOR, "admission/accept-twice", "accept comes again", &["ADM-5", "§6"], Refused)
            .hears(&[accept()])
            .violation("Accept"),
        Script::new(
            &RESPONDER,
            "admission/accept-by-initiator",
            "accept from the initiator",
            &["ADM-5", "§6"],
            Refused,
        )
        .hears(&[accept()])
        .violation("Accept"),
        waiting("admission/never-accepted", "the handshake timer", &["§6", "§15"], Refused)
            .at(9_999)
            .at(10_000)
            .error("TimedOut(Handshake)")
            .says(&[close(32)])
            .tells("closed", json!({ "reason": "handshake" }))
            .closes(),
    ]
}

/// The subject was dialled, and its application is asked.
fn responders() -> Vec<Script> {
    let admission: Value = json!({ "peer": peer_id(&SHAKEN_RESPONDER) });
    let asked = |id: &str, title: &str, spec: &[&str], verdict| {
        Script::new(&SHAKEN_RESPONDER, id, title, spec, verdict).tells("admission", admission.clone())
    };
    let early = [request(2, "a", b"early")];
    let refused = |script: Script, error: &str, reason: &str| {
        script.error(error).says(&[close(32)]).tells("closed", json!({ "reason": reason })).closes()
    };
    vec![
        asked("admission/admitted", "accept is the first message", &["ADM-2", "LAN-2", "§6"], Accepted)
            .does("admit", json!({}))
            .tells("connected", admission.clone())
            .says(&[accept()]),
        asked("admission/nothing-before", "nothing is done before the decision", &["ADM-3", "§6"], Accepted)
            .hears(&early)
            .does("admit", json!({}))
            .tells("connected", admission.clone())
            .says(&[accept()])
            .tells("request", json!({ "id": 2, "method": "a", "body": "6561726c79" })),
        accept_before_close(asked, &admission, &early),
        refused(
            asked(
                "admission/refused",
                "close with refused is the only message",
                &["ADM-2", "ADM-3", "§6"],
                Refused,
            )
            .hears(&early)
            .does("refuse", json!({})),
            "NotAdmitted",
            "not_admitted",
        ),
        refused(
            asked(
                "admission/never-decided",
                "undecided until the handshake timer",
                &["ADM-2", "§6", "§15"],
                Refused,
            )
            .hears(&early)
            .at(9_999)
            .at(10_000),
            "TimedOut(Handshake)",
            "handshake",
        ),
        stranger(),
    ]
}

/// A frame that does not authenticate, behind one that the subject acts on as soon as it has decided.
fn accept_before_close(
    asked: impl Fn(&str, &str, &[&str], Verdict) -> Script,
    admission: &Value,
    early: &[Value],
) -> Script {
    let title = "who was let in hears of it, whatever ends it at once";
    let spec = ["ADM-2", "LAN-2", "§6", "§16.3"];
    let mut script = asked("admission/accept-before-close", title, &spec, Refused).hears(early);
    let mut bad = script.seal(&[ping(1)]);
    bad[5] ^= 1;
    script
        .hears_bytes(&bad)
        .does("admit", json!({}))
        .tells("connected", admission.clone())
        .tells("request", json!({ "id": 2 }))
        .error("Unauthentic")
        .says(&[accept(), close(33)])
        .tells("closed", json!({ "reason": "violation" }))
        .closes()
}

/// Somebody dials who is not in the set of those let in.
fn stranger() -> Script {
    const SETUP: Setup = Setup { name: "responder, before message 3", upto: Upto::Message3, ..RESPONDER };
    let mut begun = SETUP.begin();
    begun.peer.knobs.secret = [0x77; 32];
    let third = begun.peer.say();
    begun.subject.hear(&third);
    begun.peer.knobs.secret = SETUP.peer_knobs().secret;
    let (id, title) = ("admission/stranger", "a proven identity that is not let in");
    let script = Script::begun(&SETUP, begun, id, title, &["ADM-2", "§6", "§20"], Refused);
    let script = script.hears_bytes(&third).error("NotAdmitted").says(&[close(32)]);
    script.tells("closed", json!({ "reason": "not_admitted" })).closes()
}
