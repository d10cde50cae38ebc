//! SPEC §15, where no other file has it.

use serde_json::{Value, json};

use crate::notation::{any, close, padding, ping, pong};
use crate::script::{Accepted, Refused, Script};
use crate::setups::{Declared, RESPONDER, Setup, USUAL};

const SILENT: Declared = Declared { silence: 8_000, ..USUAL };
/// The subject has promised not to be silent for longer than 8 s.
const TALKS: Setup = Setup { name: "responder, that promised to speak", subject: SILENT, ..RESPONDER };
/// Its peer has.
const LISTENS: Setup = Setup { name: "responder, whose peer promised to speak", peer: SILENT, ..RESPONDER };

fn probe() -> Value {
    json!([3, any()])
}

pub fn scripts() -> Vec<Script> {
    let listens = |id: &str, title: &str, rules: &[&str], verdict| {
        let spec: Vec<&str> = rules.iter().copied().chain(["§15"]).collect();
        Script::new(&LISTENS, &format!("timers/{id}"), title, &spec, verdict)
    };
    let timed_out = |script: Script| {
        let script = script.error("TimedOut(Silence)").says(&[close(34)]);
        script.tells("closed", json!({ "reason": "timed_out" })).closes()
    };
    vec![
        Script::new(
            &TALKS,
            "timers/keepalive",
            "a ping after half of what was promised",
            &["TIM-1", "§15"],
            Accepted,
        )
        .at(3_999)
        .at(4_000)
        .says(&[probe()])
        .hears(&[padding(0)])
        .at(7_999)
        .at(8_000)
        .says(&[probe()]),
        Script::new(&TALKS, "timers/keepalive-moved", "whatever is sent counts", &["TIM-1", "§15"], Accepted)
            .at(3_000)
            .hears(&[ping(7)])
            .says(&[pong(7)])
            .at(6_999)
            .at(7_000)
            .says(&[probe()]),
        timed_out(
            listens("silent", "a silent peer is probed, then given up", &["TIM-2"], Refused)
                .at(7_999)
                .at(8_000)
                .says(&[probe()])
                .at(12_999)
                .at(13_000),
        ),
        listens("silent-alive", "whatever comes ends the probe", &["TIM-2"], Accepted)
            .at(8_000)
            .says(&[probe()])
            .at(12_999)
            .hears(&[padding(1)])
            .at(20_998)
            .at(20_999)
            .says(&[probe()]),
        listens("speaks", "a peer that keeps its promise is not probed", &["TIM-2"], Accepted)
            .at(7_999)
            .hears(&[padding(1)])
            .at(15_998)
            .hears(&[padding(1)])
            .at(23_997),
        listens(
            "woke-late",
            "a silence that shows late is probed, and the bytes behind prove the peer alive",
            &["TIM-2", "TIM-3"],
            Accepted,
        )
        .wakes(60_000)
        .says(&[probe()])
        .hears(&[padding(1)])
        .at(67_999)
        .at(68_000)
        .says(&[probe()]),
        timed_out(
            listens(
                "woke-in-probe",
                "a probe that fires more than half of its length late begins anew, once",
                &["TIM-4"],
                Refused,
            )
            .at(8_000)
            .says(&[probe()])
            .wakes(15_501)
            .may_say(&[probe()])
            .at(20_500)
            .at(20_501),
        ),
        timed_out(
            listens("woke-in-probe-a-little-late", "half of its length late counts", &["TIM-4"], Refused)
                .at(8_000)
                .says(&[probe()])
                .wakes(15_500),
        ),
        Script::new(
            &RESPONDER,
            "timers/for-ever",
            "a silence of 0 has no timer",
            &["TIM-2", "§15"],
            Accepted,
        )
        .at(200_000),
        Script::new(
            &RESPONDER,
            "timers/ping",
            "a pong has the token of its ping",
            &["MSG-2", "§9"],
            Accepted,
        )
        .hears(&[ping(0)])
        .says(&[pong(0)])
        .hears(&[ping(u64::MAX)])
        .says(&[pong(u64::MAX)])
        .hears(&[ping(1), ping(2), ping(3)])
        .says(&[pong(3)]),
        Script::new(
            &RESPONDER,
            "timers/pong",
            "a pong that nobody waits for is ignored",
            &["MSG-2", "§9"],
            Accepted,
        )
        .hears(&[pong(77)])
        .lives(),
    ]
}
