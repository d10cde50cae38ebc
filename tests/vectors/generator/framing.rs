//! SPEC §4, and what of §7 is about whole frames.

use serde_json::json;

use crate::common::attacker::{ANSWER, OFFER};
use crate::messages::encode;
use crate::notation::{any, bytes, close, padding, ping, pong, request};
use crate::script::{Accepted, Refused, Script};
use crate::setups::{Declared, INITIATOR_FIRST, RESPONDER, RESPONDER_FIRST, Setup, Timers, USUAL};

/// The handshake may take longer than a frame.
const PATIENT: Timers = Timers { handshake: 60_000, ..crate::setups::DEFAULTS };
const PATIENT_RESPONDER: Setup =
    Setup { name: "responder, before anything, patient", timers: PATIENT, ..RESPONDER_FIRST };
/// The peer takes the shortest frames that there may be.
const SMALL: Declared = Declared { max_frame: 256, window: 100_000, ..USUAL };
const SMALL_PEER: Setup = Setup { name: "responder, the peer's frames are short", peer: SMALL, ..RESPONDER };
const LARGE: Declared = Declared { max_frame: 65_535, ..USUAL };
const LARGE_FRAMES: Setup =
    Setup { name: "responder, long frames", subject: LARGE, peer: LARGE, ..RESPONDER };

pub fn scripts() -> Vec<Script> {
    let mut all = Vec::new();
    for (name, length) in [("0", [0, 0]), ("513", [2, 1]), ("65535", [255, 255])] {
        let script =
            first(&format!("framing/handshake-{name}-at-responder"), "before a byte of its content is there");
        all.push(script.hears_bytes(&OFFER).sends(&ANSWER).hears_bytes(&length).drops("FrameLength"));
        let (id, spec) = (format!("framing/handshake-{name}-at-initiator"), ["FRM-1", "§4"]);
        let title = "before a byte of its content is there";
        let script = Script::new(&INITIATOR_FIRST, &id, title, &spec, Refused);
        let flight = INITIATOR_FIRST.sides().0.begin();
        all.push(script.sends(&flight).hears_bytes(&ANSWER).hears_bytes(&length).drops("FrameLength"));
    }
    all.push(
        Script::new(
            &PATIENT_RESPONDER,
            "framing/unfinished-handshake",
            "a frame begun and not finished",
            &["FRM-5", "§4", "§15"],
            Refused,
        )
        .hears_bytes(&OFFER)
        .sends(&ANSWER)
        .hears_bytes(&[0, 32, 1, 2, 3])
        .at(9_999)
        .at(10_000)
        .error("TimedOut")
        .tells("closed", json!({ "reason": any() }))
        .closes(),
    );
    all.extend(lengths());
    all.extend(times());
    all.extend(ciphertexts());
    all
}

fn first(id: &str, title: &str) -> Script {
    Script::new(&RESPONDER_FIRST, id, title, &["FRM-1", "§4"], Refused)
}

/// After the handshake.
fn lengths() -> Vec<Script> {
    let new = |id: &str, title: &str, verdict| Script::new(&RESPONDER, id, title, &["FRM-3", "§4"], verdict);
    let full = encode(&[padding(1_024 - 16 - 5)]).expect("a message").len();
    assert_eq!(full, 1_024 - 16, "the longest frame");
    let longest = |id: &str, setup: &Setup, len: usize| {
        Script::new(setup, id, "as long as the subject declared", &["FRM-2", "FRM-3", "§4"], Accepted)
            .hears(&[padding(len)])
            .lives()
    };
    let mut small = Script::new(
        &SMALL_PEER,
        "framing/shortest-max-frame",
        "no frame is longer than the peer takes: an answer too long for one is refused, another goes",
        &["FRM-2", "§4"],
        Accepted,
    );
    small = small.hears(&[request(2, "a", b"")]).tells("request", json!({ "id": 2, "method": "a" }));
    small = small.may_not("respond", json!({ "id": 2, "status": 0, "body": "00".repeat(240) }));
    small = small.does("respond", json!({ "id": 2, "status": 0, "body": "00".repeat(200) }));
    small = small.says(&[json!([6, 2, 0, 0, bytes(&[0; 200])])]);
    vec![
        longest("framing/longest", &RESPONDER, 1_024 - 16 - 5),
        longest("framing/longest-of-all", &LARGE_FRAMES, 65_535 - 16 - 5),
        new("framing/16", "no room for a plaintext", Refused)
            .hears_bytes(&[0, 16])
            .violation("FrameLength(16)"),
        new("framing/0", "nothing at all", Refused).hears_bytes(&[0, 0]).violation("FrameLength(0)"),
        new("framing/1025", "one more than the subject declared", Refused)
            .hears_bytes(&[4, 1])
            .violation("FrameLength(1025)"),
        small,
        Script::new(
            &RESPONDER,
            "framing/many-messages",
            "many messages in a frame",
            &["TRN-5", "FRM-4", "§7"],
            Accepted,
        )
        .hears(&[request(2, "a", b"1"), padding(3), request(4, "b", b"2"), ping(1)])
        .says(&[pong(1)])
        .tells("request", json!({ "id": 2, "method": "a", "body": "31" }))
        .tells("request", json!({ "id": 4, "method": "b", "body": "32" })),
    ]
}

fn times() -> Vec<Script> {
    let new =
        |id: &str, title: &str, verdict| Script::new(&RESPONDER, id, title, &["FRM-5", "§4", "§15"], verdict);
    let mut late = new("framing/finished-in-time", "a frame that takes just less than the timer", Accepted);
    let frame = late.seal(&[ping(5)]);
    let late = late.hears_bytes(&frame[..3]).at(9_999).hears_bytes(&frame[3..]).says(&[pong(5)]);
    let mut never = new("framing/unfinished", "a frame that is begun and not finished", Refused);
    let frame = never.seal(&[ping(5)]);
    let timed_out = |script: Script| {
        let script = script.error("TimedOut(Frame)").says(&[close(34)]);
        script.tells("closed", json!({ "reason": "timed_out" })).closes()
    };
    let never = timed_out(never.hears_bytes(&frame[..frame.len() - 1]).at(10_000));
    let mut slept = Script::new(
        &RESPONDER,
        "framing/unfinished-while-away",
        "a frame timer that fires more than half of its length late begins anew, once",
        &["TIM-4", "§15"],
        Refused,
    );
    let frame = slept.seal(&[ping(5)]);
    let slept = timed_out(slept.hears_bytes(&frame[..1]).wakes(15_001).at(25_000).at(25_001));
    let mut little = Script::new(
        &RESPONDER,
        "framing/unfinished-a-little-late",
        "one that fires half of its length late counts",
        &["TIM-4", "§15"],
        Refused,
    );
    let frame = little.seal(&[ping(5)]);
    let little = timed_out(little.hears_bytes(&frame[..1]).wakes(15_000));
    vec![late, never, slept, little]
}

/// SPEC §7.
fn ciphertexts() -> Vec<Script> {
    let new = |id: &str, title: &str, verdict| Script::new(&RESPONDER, id, title, &["TRN-1", "§7"], verdict);
    let mut all = Vec::new();
    for (name, place) in [("first", 2_usize), ("last", 21), ("tag", 10)] {
        let id = format!("framing/tampered-{name}");
        let mut script = new(&id, "a frame of which a byte was changed", Refused);
        let mut frame = script.seal(&[ping(5)]);
        let place = place.min(frame.len() - 1);
        frame[place] ^= 1;
        all.push(script.hears_bytes(&frame).violation("Unauthentic"));
    }
    let mut replayed = new("framing/replayed", "a frame that came before", Refused);
    let frame = replayed.seal(&[ping(5)]);
    all.push(replayed.hears_bytes(&frame).says(&[pong(5)]).hears_bytes(&frame).violation("Unauthentic"));
    let mut skipped = new("framing/one-missing", "a frame behind one that never came", Refused);
    let _lost = skipped.seal(&[ping(5)]);
    let frame = skipped.seal(&[ping(6)]);
    all.push(skipped.hears_bytes(&frame).violation("Unauthentic"));
    let mut reflected = new("framing/reflected", "the subject's own frame, sent back", Refused);
    let frame = reflected.reflected();
    all.push(reflected.hears_bytes(&frame).violation("Unauthentic"));
    let new = |id: &str, title: &str, verdict| Script::new(&RESPONDER, id, title, &["TRN-4", "§7"], verdict);
    all.push(
        new("framing/bad-behind-good", "what stands before the bad message takes effect", Refused)
            .hears(&[request(2, "a", b""), json!([19]), request(4, "b", b"")])
            .tells("request", json!({ "id": 2 }))
            .violation("UnknownType"),
    );
    all.push(
        new("framing/cut-off", "a message does not span frames", Refused)
            .hears_plaintext(&encode(&[request(2, "a", b"body")]).expect("a message")[..9])
            .violation("Message"),
    );
    let spec = ["TRN-2", "§7"];
    all.push(
        Script::new(&RESPONDER, "framing/rekey", "the key changes after 65,536 frames", &spec, Accepted)
            .repeats(65_536, &[padding(0)])
            .repeats(1, &[ping(9)])
            .says(&[pong(9)]),
    );
    all
}
