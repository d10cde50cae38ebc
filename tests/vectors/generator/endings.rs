//! SPEC §16.

use serde_json::json;

use crate::notation::{answering, close, goaway, ping, request, response, subscribe};
use crate::script::{Accepted, Refused, Script, Verdict};
use crate::setups::{INITIATOR, RESPONDER};

fn new(id: &str, title: &str, spec: &[&str], verdict: Verdict) -> Script {
    Script::new(&RESPONDER, &format!("endings/{id}"), title, spec, verdict)
}

fn ask(script: Script, id: u64) -> Script {
    script.does("request", json!({ "method": "a", "body": "" })).says(&[request(id, "a", b"")])
}

fn failed(id: u64, how: &str) -> serde_json::Value {
    json!({ "id": id, "how": how })
}

pub fn scripts() -> Vec<Script> {
    let mut all = closing();
    all.extend(goaways());
    all.extend(streams());
    all
}

fn closing() -> Vec<Script> {
    let closes = |id: &str, title: &str, spec: &[&str], verdict| {
        new(id, title, spec, verdict).does("close", json!({ "status": 0 })).says(&[close(0)])
    };
    let both = |script: Script| script.tells("closed", json!({ "reason": "local", "status": 0 })).closes();
    vec![
        both(
            closes("closes", "it goes on reading until the peer has closed", &["END-1", "§16.1"], Accepted)
                .at(2_999)
                .hears(&[close(0)]),
        ),
        closes(
            "closes-alone",
            "the peer does not close: the close timer",
            &["END-1", "END-3", "§15"],
            Refused,
        )
        .at(2_999)
        .at(3_000)
        .error("TimedOut(Close)")
        .tells("closed", json!({ "reason": "timed_out" }))
        .closes(),
        closes(
            "closes-cut",
            "the stream ends instead: a truncation, also after its own close",
            &["END-3", "§16.1"],
            Refused,
        )
        .eof()
        .error("Truncated")
        .tells("closed", json!({ "reason": "truncated" }))
        .closes(),
        both(
            closes(
                "closes-late-request",
                "requests behind its close get no answer",
                &["LAN-2", "§16.1"],
                Accepted,
            )
            .hears(&[request(2, "a", b""), ping(3)])
            .may_tell("request", json!({ "id": 2 }))
            .hears(&[close(0)]),
        ),
        both(
            ask(
                new(
                    "closes-pending",
                    "its own requests may still be answered",
                    &["END-1", "§16.1"],
                    Accepted,
                ),
                1,
            )
            .does("close", json!({ "status": 0 }))
            .says(&[close(0)])
            .hears(&[response(1, 0, b"x")])
            .tells("response", json!({ "id": 1, "body": "78" }))
            .hears(&[close(0)]),
        ),
        ask(
            new(
                "closed",
                "the peer closes: its own close, and what is open ends",
                &["END-2", "§16.1", "§16.4"],
                Accepted,
            ),
            1,
        )
        .hears(&[close(0)])
        .says(&[close(0)])
        .tells("failed", failed(1, "disconnected"))
        .tells("closed", json!({ "reason": "remote", "status": 0 }))
        .closes(),
        new("closed-with-status", "with a status of its application", &["§16.3", "§17"], Accepted)
            .hears(&[close(300)])
            .says(&[close(0)])
            .tells("closed", json!({ "reason": "remote", "status": 300 }))
            .closes(),
        new(
            "behind-close",
            "bytes behind a close are ignored, whatever they are",
            &["END-2", "§16.1", "§20"],
            Accepted,
        )
        .hears_frames(&[close(0), request(0, "", b"")])
        .says(&[close(0)])
        .tells("closed", json!({ "reason": "remote", "status": 0 }))
        .closes()
        .hears_bytes(&[0xff; 40]),
        new("behind-close-in-frame", "also in the same frame", &["END-2", "§16.1"], Accepted)
            .hears(&[close(0), json!([19])])
            .says(&[close(0)])
            .tells("closed", json!({ "reason": "remote", "status": 0 }))
            .closes(),
        closes(
            "violation-after-close",
            "a violation after its own close just closes the stream",
            &["§16.1", "§20"],
            Refused,
        )
        .hears(&[request(1, "a", b"")])
        .error("OpeningId(1)")
        .tells("closed", json!({ "reason": "violation" }))
        .closes(),
    ]
}

fn goaways() -> Vec<Script> {
    let asked = |script: Script, id: u64| {
        script.hears(&[request(id, "a", b"")]).tells("request", json!({ "id": id }))
    };
    let leaving = |id: &str, title: &str, spec: &[&str], verdict| {
        asked(new(id, title, spec, verdict), 2).does("goaway", json!({})).says(&[goaway(2)])
    };
    let going = |id: &str, title: &str, last: u64| {
        ask(ask(new(id, title, &["END-4", "§16.2"], Accepted), 1), 3).hears(&[goaway(last)])
    };
    let answer = |script: Script, id: u64| {
        script.does("respond", json!({ "id": id, "status": 0, "body": "" })).says(&[response(id, 0, b"")])
    };
    vec![
        going("goaway", "it opens no more; what was not taken was not executed", 1)
            .tells("going_away", json!({}))
            .tells("failed", failed(3, "not_executed"))
            .may_not("request", json!({ "method": "a", "body": "" }))
            .hears(&[response(1, 0, b"x")])
            .tells("response", json!({ "id": 1, "body": "78" })),
        ask(
            ask(
                new(
                    "goaway-and-answer",
                    "an answer right behind a goaway",
                    &["FRM-4", "END-4", "§16.2"],
                    Accepted,
                ),
                1,
            ),
            3,
        )
        .hears(&[goaway(1), response(1, 0, b"x")])
        .tells("going_away", json!({}))
        .tells("failed", failed(3, "not_executed"))
        .tells("response", json!({ "id": 1, "body": "78" })),
        going("goaway-all", "a number above all that was opened takes all", 99)
            .tells("going_away", json!({}))
            .hears(&[response(1, 0, b""), response(3, 0, b"")])
            .tells("response", json!({ "id": 1 }))
            .tells("response", json!({ "id": 3 })),
        going("goaway-other-parity", "a number of the other parity means all up to it", 2)
            .tells("going_away", json!({}))
            .tells("failed", failed(3, "not_executed")),
        going("goaway-lower", "a second one counts where it is lower", 3)
            .tells("going_away", json!({}))
            .hears(&[goaway(9)])
            .hears(&[goaway(1)])
            .tells("failed", failed(3, "not_executed")),
        going("goaway-none", "0: none was taken", 0)
            .tells("going_away", json!({}))
            .tells("failed", failed(1, "not_executed"))
            .tells("failed", failed(3, "not_executed")),
        answer(
            leaving(
                "leaving",
                "openings above are ignored, and all about them; those taken go on",
                &["END-5", "§16.2"],
                Accepted,
            )
            .hears(&[request(4, "a", b""), json!([5, 6, 0, 1, "b", { "hex": "" }])])
            .hears(&[json!([9, 6, { "hex": "00" }]), json!([8, 4, 1]), subscribe(8, 10, "a")]),
            2,
        )
        .lives(),
        leaving("leaving-bad-id", "ids are still checked", &["END-5", "EXC-2", "§16.2"], Refused)
            .hears(&[request(4, "a", b""), request(4, "a", b"")])
            .violation("OpeningId(4)"),
        new("leaving-none", "nothing was taken yet", &["END-5", "§16.2"], Accepted)
            .does("goaway", json!({}))
            .says(&[goaway(0)])
            .hears(&[request(2, "a", b"")])
            .lives(),
    ]
}

fn streams() -> Vec<Script> {
    let cut =
        |script: Script| script.error("Truncated").tells("closed", json!({ "reason": "truncated" })).closes();
    let mut amid = new("cut-in-frame", "the stream ends within a frame", &["END-3", "§16.1", "§20"], Refused);
    let frame = amid.seal(&[ping(1)]);
    vec![
        cut(new("cut", "the stream ends without a close", &["END-3", "§16.1", "§20"], Refused).eof()),
        cut(amid.hears_bytes(&frame[..9]).eof()),
        cut(ask(new("cut-pending", "nobody knows about what was open", &["END-3", "§16.4"], Refused), 1)
            .does("subscribe", json!({ "filter": "a", "limit": 100 }))
            .says(&[subscribe(3, 100, "a")])
            .hears(&[answering(3, b"")])
            .tells("subscribed", json!({ "id": 3 }))
            .eof()
            .tells("failed", failed(1, "disconnected"))
            .tells("failed", failed(3, "disconnected"))),
        Script::new(
            &INITIATOR,
            "endings/refused-later",
            "a close with refused after accept is like any other",
            &["§16.3"],
            Accepted,
        )
        .hears(&[close(32)])
        .says(&[close(0)])
        .tells("closed", json!({ "reason": "remote", "status": 32 }))
        .closes(),
    ]
}
