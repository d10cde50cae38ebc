//! SPEC §10.1 to §10.4, and §13: requests without bodies in chunks.

use serde_json::{Value, json};

use crate::notation::{
    answering, busy, cancel, credit, data, end, ping, pong, publication, request, response, subscribe,
};
use crate::script::{Accepted, Refused, Script, Verdict};
use crate::setups::{Declared, INITIATOR, RESPONDER, Setup, USUAL};

const ONE: Declared = Declared { max_requests: 1, max_subscriptions: 1, ..USUAL };
const NONE: Declared = Declared { max_requests: 0, max_subscriptions: 0, ..USUAL };
const TAKES_ONE: Setup = Setup { name: "responder, takes one of each", subject: ONE, ..RESPONDER };
const TAKES_NONE: Setup = Setup { name: "responder, takes none", subject: NONE, ..RESPONDER };
const MAY_ONE: Setup = Setup { name: "responder, whose peer takes one of each", peer: ONE, ..RESPONDER };
const MAY_NONE: Setup = Setup { name: "responder, whose peer takes none", peer: NONE, ..RESPONDER };

pub fn scripts() -> Vec<Script> {
    let mut all = ids();
    all.extend(strays());
    all.extend(parties());
    all.extend(states());
    all.extend(limits());
    all.extend(answers());
    all.extend(deadlines());
    all.extend(cancels());
    all.extend(names());
    all
}

fn new(id: &str, title: &str, spec: &[&str], verdict: Verdict) -> Script {
    Script::new(&RESPONDER, &format!("exchanges/{id}"), title, spec, verdict)
}

/// The subject has one request open, of the id 1.
fn asking(id: &str, title: &str, spec: &[&str], verdict: Verdict) -> Script {
    ask(new(id, title, spec, verdict), 1)
}

fn ask(script: Script, id: u64) -> Script {
    script.does("request", json!({ "method": "a", "body": "" })).says(&[request(id, "a", b"")])
}

/// The peer has one request open, of this id.
fn asked(script: Script, id: u64) -> Script {
    script
        .hears(&[request(id, "a", b"x")])
        .tells("request", json!({ "id": id, "method": "a", "body": "78", "more": false }))
}

fn answer(script: Script, id: u64) -> Script {
    script.does("respond", json!({ "id": id, "status": 0, "body": "6f6b" })).says(&[response(id, 0, b"ok")])
}

fn ids() -> Vec<Script> {
    let spec = ["EXC-2", "§10.1"];
    let all_ids = |script: Script, first: u64| {
        let script = ask(script, first).hears(&[response(first, 0, b"")]);
        let script = script.tells("response", json!({ "id": first, "status": 0, "body": "", "more": false }));
        let script = ask(script, first + 2);
        script.hears(&[response(first + 2, 0, b"")]).tells("response", json!({ "id": first + 2 }))
    };
    let initiator =
        Script::new(&INITIATOR, "exchanges/even", "an initiator's ids", &["EXC-1", "§10.1"], Accepted);
    vec![
        all_ids(new("odd", "a responder's ids", &["EXC-1", "§10.1"], Accepted), 1),
        all_ids(initiator, 2),
        answer(asked(answer(asked(new("gap", "ids may leave gaps", &spec, Accepted), 2), 2), 10), 10),
        answer(asked(new("very-high", "a very high id", &spec, Accepted), (1 << 53) - 2), (1 << 53) - 2),
        new("wrong-parity", "an opening with the other side's parity", &spec, Refused)
            .hears(&[request(1, "a", b"")])
            .violation("OpeningId(1)"),
        Script::new(&INITIATOR, "exchanges/wrong-parity-even", "the same at an initiator", &spec, Refused)
            .hears(&[subscribe(2, 100, "a")])
            .violation("OpeningId(2)"),
        new("zero", "0 is never an exchange", &spec, Refused)
            .hears(&[request(0, "a", b"")])
            .violation("OpeningId(0)"),
        asked(new("again", "an id that is open", &spec, Refused), 4)
            .hears(&[request(4, "a", b"")])
            .violation("OpeningId(4)"),
        answer(asked(new("again-ended", "an id that has ended", &spec, Refused), 4), 4)
            .hears(&[request(4, "a", b"")])
            .violation("OpeningId(4)"),
        asked(new("lower", "an id below the highest", &spec, Refused), 4)
            .hears(&[subscribe(2, 100, "a")])
            .violation("OpeningId(2)"),
    ]
}

/// Messages about what was never opened, or has ended.
fn strays() -> Vec<Script> {
    let never = |id: &str, message: Value, error: &str| {
        let title = "about an exchange that was never opened";
        new(&format!("never-{id}"), title, &["EXC-3", "§10.1"], Refused).hears(&[message]).violation(error)
    };
    let spec = ["EXC-4", "§10.1"];
    let ended = |id: &str, title: &str, verdict| answer(asked(new(id, title, &spec, verdict), 2), 2);
    let repeated = |message: Value, times: usize| vec![message; times];
    vec![
        never("response", response(1, 0, b""), "UnknownExchange(1)"),
        never("data", data(2, b""), "UnknownExchange(2)"),
        never("cancel", cancel(2, 1), "UnknownExchange(2)"),
        never("credit", credit(2, 5), "UnknownExchange(2)"),
        never("cancel-zero", cancel(0, 1), "UnknownExchange(0)"),
        never("publication", publication(3, 0, "a", 0, b""), "UnknownExchange(3)"),
        ended("strays", "as many as the budget has", Accepted).hears(&repeated(cancel(2, 1), 68)).lives(),
        ended("strays-beyond", "one more", Refused).hears(&repeated(cancel(2, 1), 69)).violation("Strays"),
        ended("strays-credit", "credit about what has ended costs nothing", Accepted)
            .hears(&repeated(credit(2, 5), 100))
            .hears(&repeated(credit(2, 5), 100))
            .hears(&repeated(cancel(2, 1), 68))
            .lives(),
        ended("strays-gap", "an id in a gap counts as ended", Accepted)
            .hears(&[request(10, "b", b"")])
            .tells("request", json!({ "id": 10 }))
            .hears(&[cancel(6, 1), data(8, b"")])
            .lives(),
    ]
}

/// What only the opener, or only the answerer, may send.
fn parties() -> Vec<Script> {
    let own = |id: &str, message: Value| {
        let title = "of the peer's own request, what only its answerer may send";
        let script = asked(new(&format!("party-{id}"), title, &["EXC-5", "§10.1", "§9"], Refused), 2);
        script.hears(&[message]).violation("State(2)")
    };
    vec![
        own("response", response(2, 0, b"")),
        own("busy", busy(2, 0)),
        own("publication", publication(2, 0, "a", 0, b"")),
        own("missed", crate::notation::missed(2, 0, 1)),
        answer(asked(new("party-stray", "also where it has ended", &["EXC-5", "§10.1"], Refused), 2), 2)
            .hears(&[response(2, 0, b"")])
            .violation("State(2)"),
    ]
}

fn states() -> Vec<Script> {
    let spec = ["EXC-6", "§10.2"];
    let refused = |id: &str, title: &str, message: Value| {
        let script = asking(&format!("state-{id}"), title, &spec, Refused);
        script.hears(&[message]).violation_with("State(1)", &[1])
    };
    vec![
        refused("data", "data before a response with more", data(1, b"")),
        refused("end", "an end before a response with more", end(1, 0)),
        refused("publication", "a publication in a request's exchange", publication(1, 0, "a", 0, b"")),
        asking(
            "state-second-response",
            "a second response is a stray, since the first has ended it",
            &["EXC-4", "§10.2"],
            Accepted,
        )
        .hears(&[response(1, 0, b""), response(1, 0, b"")])
        .tells("response", json!({ "id": 1 }))
        .lives(),
        asking("more-with-status", "a response with more, and a status", &["EXC-7", "§10.2"], Refused)
            .hears(&[json!([6, 1, 6, 1, { "hex": "" }])])
            .violation_with("State(1)", &[1]),
        asked(
            new("state-data-of-whole", "data where the body has ended with the request", &spec, Refused),
            2,
        )
        .hears(&[data(2, b"")])
        .violation("State(2)"),
        asked(
            new("state-end-of-whole", "an end where the body has ended with the request", &spec, Refused),
            2,
        )
        .hears(&[end(2, 0)])
        .violation("State(2)"),
        asked(
            new("nothing-to-cancel-or-raise", "cancel and credit are allowed at any time", &spec, Accepted),
            2,
        )
        .hears(&[credit(2, 1_000), cancel(2, 1), cancel(2, 1)])
        .tells("stop", json!({ "id": 2, "cause": "cancel", "status": 1 }))
        .does("respond", json!({ "id": 2, "status": 1, "body": "" }))
        .says(&[response(2, 1, b"")]),
    ]
}

fn limits() -> Vec<Script> {
    let new = |setup: &Setup, id: &str, title: &str, rule: &str, verdict| {
        Script::new(setup, &format!("exchanges/{id}"), title, &[rule, "§10.3"], verdict)
    };
    let first = |script: Script| ask(script, 1).may_not("request", json!({ "method": "a", "body": "" }));
    vec![
        asked(new(&TAKES_ONE, "too-many-requests", "one more than the subject takes", "EXC-9", Refused), 2)
            .hears(&[request(4, "a", b"")])
            .violation("TooManyRequests"),
        new(&TAKES_ONE, "too-many-subscriptions", "one more than the subject takes", "EXC-9", Refused)
            .hears(&[subscribe(2, 0, "a")])
            .tells("subscribe", json!({ "id": 2, "filter": "a" }))
            .hears(&[subscribe(4, 0, "a")])
            .violation("TooManySubscriptions"),
        new(&TAKES_NONE, "no-requests", "0 means none", "EXC-9", Refused)
            .hears(&[request(2, "a", b"")])
            .violation("TooManyRequests"),
        answer(
            asked(
                answer(
                    asked(new(&TAKES_ONE, "slot-again", "an answer frees the slot", "EXC-9", Accepted), 2),
                    2,
                ),
                4,
            ),
            4,
        ),
        first(new(
            &MAY_ONE,
            "no-more-than-allowed",
            "it opens no more than the peer takes",
            "EXC-8",
            Accepted,
        ))
        .hears(&[response(1, 0, b"")])
        .tells("response", json!({ "id": 1 }))
        .does("request", json!({ "method": "a", "body": "" }))
        .says(&[request(3, "a", b"")]),
        new(
            &MAY_ONE,
            "no-more-subscriptions-than-allowed",
            "it subscribes no more often than the peer takes, and again when one has ended",
            "EXC-8",
            Accepted,
        )
        .does("subscribe", json!({ "filter": "a", "limit": 100 }))
        .says(&[subscribe(1, 100, "a")])
        .may_not("subscribe", json!({ "filter": "b", "limit": 100 }))
        .hears(&[response(1, 3, b"")])
        .tells("subscription_ended", json!({ "id": 1, "status": 3 }))
        .does("subscribe", json!({ "filter": "b", "limit": 100 }))
        .says(&[subscribe(3, 100, "b")]),
        new(&MAY_NONE, "none-allowed", "it opens none where the peer takes none", "EXC-8", Accepted)
            .may_not("request", json!({ "method": "a", "body": "" }))
            .may_not("subscribe", json!({ "filter": "a", "limit": 100 })),
    ]
}

fn answers() -> Vec<Script> {
    let mut all = vec![
        asked(new("echo", "a request and its answer", &["EXC-10", "§10.4"], Accepted), 2)
            .does("respond", json!({ "id": 2, "status": 0, "body": "78" }))
            .says(&[response(2, 0, b"x")])
            .may_not("respond", json!({ "id": 2, "status": 0, "body": "78" })),
        asked(new("answer-not-found", "a method that is not served", &["EXC-11", "§10.4"], Accepted), 2)
            .does("respond", json!({ "id": 2, "status": 3, "body": "" }))
            .says(&[response(2, 3, b"")]),
        asked(new("answer-denied", "a method that this peer may not use", &["EXC-11", "§10.4"], Accepted), 2)
            .does("respond", json!({ "id": 2, "status": 4, "body": "" }))
            .says(&[response(2, 4, b"")]),
        asked(new("answer-busy", "no capacity right now", &["EXC-10", "§10.3"], Accepted), 2)
            .does("busy", json!({ "id": 2, "retry": 500 }))
            .says(&[busy(2, 500)]),
        asking("busy", "the peer is busy", &["§10.3"], Accepted)
            .hears(&[busy(1, 500)])
            .tells("busy", json!({ "id": 1, "retry": 500 })),
        asking("out-of-order", "answers in another order", &["§10.4"], Accepted)
            .does("request", json!({ "method": "b", "body": "" }))
            .says(&[request(3, "b", b"")])
            .hears(&[response(3, 0, b"3")])
            .tells("response", json!({ "id": 3, "body": "33" }))
            .hears(&[response(1, 0, b"1")])
            .tells("response", json!({ "id": 1, "body": "31" })),
    ];
    for (name, status) in [("reserved", 77_u16), ("application", 300), ("highest", 65_535)] {
        let title = "an unknown status is a failure, and its number reaches the application";
        let script = asking(&format!("status-{name}"), title, &["ENC-8", "§8.2", "§17"], Accepted);
        let script = script.hears(&[response(1, status, b"why")]);
        all.push(script.tells("response", json!({ "id": 1, "status": status, "body": "776879" })));
    }
    all
}

fn deadlines() -> Vec<Script> {
    let spec = ["EXC-12", "§10.4", "§15"];
    let opening = json!([5, 2, 1000, 0, "a", { "hex": "" }]);
    let ours = |id: &str, title: &str| {
        new(id, title, &["§10.4", "§15"], Accepted)
            .does("request", json!({ "method": "a", "body": "", "deadline": 1_000 }))
            .says(&[json!([5, 1, 1000, 0, "a", { "hex": "" }])])
    };
    vec![
        new("deadline", "nobody answers in time", &spec, Accepted)
            .hears(std::slice::from_ref(&opening))
            .tells("request", json!({ "id": 2 }))
            .at(999)
            .at(1_000)
            .tells("stop", json!({ "id": 2, "cause": "deadline" }))
            .says(&[response(2, 2, b"")])
            .may_not("respond", json!({ "id": 2, "status": 0, "body": "" })),
        answer(
            new("deadline-met", "answered just in time", &spec, Accepted)
                .hears(&[opening])
                .tells("request", json!({ "id": 2 }))
                .at(999),
            2,
        )
        .at(2_000),
        ours("own-deadline", "the peer does not answer in time: a cancel, and the late answer is ignored")
            .at(999)
            .at(1_000)
            .tells("failed", json!({ "id": 1, "how": "deadline_passed" }))
            .says(&[cancel(1, 2)])
            .hears(&[response(1, 2, b"")])
            .lives(),
        ours("own-deadline-met", "the peer answers in time")
            .at(999)
            .hears(&[response(1, 0, b"")])
            .tells("response", json!({ "id": 1 }))
            .at(2_000),
        new("deadline-far", "a deadline of 2³²−1 ms", &spec, Accepted)
            .hears(&[json!([5, 2, 4_294_967_295_u32, 0, "a", { "hex": "" }])])
            .tells("request", json!({ "id": 2 }))
            .at(60_000),
    ]
}

fn cancels() -> Vec<Script> {
    let spec = ["EXC-13", "§10.4"];
    let stop = json!({ "id": 2, "cause": "cancel", "status": 1 });
    let cancelled = |id: &str, title: &str| {
        asked(new(id, title, &spec, Accepted), 2).hears(&[cancel(2, 1)]).tells("stop", stop.clone())
    };
    vec![
        cancelled("cancelled", "an answer is owed all the same")
            .does("respond", json!({ "id": 2, "status": 1, "body": "" }))
            .says(&[response(2, 1, b"")]),
        cancelled("cancelled-done", "the answer, where it was done")
            .hears(&[cancel(2, 1), ping(3)])
            .says(&[pong(3)])
            .does("respond", json!({ "id": 2, "status": 0, "body": "78" }))
            .says(&[response(2, 0, b"x")]),
        asking("cancel", "it asks, and keeps the slot until the answer comes", &["§10.4"], Accepted)
            .does("cancel", json!({ "id": 1, "status": 1 }))
            .says(&[cancel(1, 1)])
            .tells("failed", json!({ "id": 1, "how": "cancelled" }))
            .may_not("cancel", json!({ "id": 1, "status": 1 }))
            .hears(&[response(1, 0, b"late")])
            .lives(),
        ask(
            asking(
                "failure-before-next",
                "what a message brings about is told before what the next one does",
                &["FRM-4", "§10.4"],
                Accepted,
            ),
            3,
        )
        .hears(&[answering(1, b""), response(3, 0, b"x")])
        .tells("failed", json!({ "id": 1, "how": "unsupported" }))
        .tells("response", json!({ "id": 3, "body": "78" }))
        .says(&[cancel(1, 9)]),
        asking("cancel-unsupported", "an answer in chunks that nobody asked for", &["§10.4"], Accepted)
            .hears(&[answering(1, b"")])
            .says(&[cancel(1, 9)])
            .tells("failed", json!({ "id": 1, "how": "unsupported" }))
            .hears(&[end(1, 1)])
            .lives(),
    ]
}

fn names() -> Vec<Script> {
    let mut all = Vec::new();
    let bad = [
        ("empty", ""),
        ("slash-first", "/a"),
        ("slash-last", "a/"),
        ("slash-twice", "a//b"),
        ("plus", "a/+"),
        ("hash", "#"),
        ("plus-within", "a+b"),
        ("control", "a\u{1f}"),
        ("delete", "a\u{7f}"),
        ("nul", "\0"),
    ];
    for (name, method) in bad {
        let (id, title) = (format!("method-{name}"), "a method that is no name");
        let script = new(&id, title, &["NAM-1", "§13"], Refused).hears(&[request(2, method, b"")]);
        all.push(script.says(&[response(2, 5, b"")]).lives());
    }
    let bad = [
        ("empty", ""),
        ("hash-within", "a/#/b"),
        ("hash-not-alone", "a#"),
        ("plus-not-alone", "a/b+"),
        ("slash", "a//#"),
    ];
    for (name, filter) in bad {
        let (id, title) = (format!("filter-{name}"), "what is no filter");
        let script = new(&id, title, &["NAM-1", "§13"], Refused).hears(&[subscribe(2, 100, filter)]);
        all.push(script.says(&[response(2, 5, b"")]).lives());
    }
    let long = |len: usize| "é".repeat(len / 2) + &"x".repeat(len % 2);
    let good = [
        ("longest", long(128)),
        ("reserved", "$sys/x".to_owned()),
        ("del-is-not-80", "a\u{80}".to_owned()),
        ("spaces", " a /b".to_owned()),
    ];
    for (name, method) in good {
        let script = new(&format!("method-{name}"), "a name", &["NAM-1", "NAM-2", "§13"], Accepted);
        all.push(
            script.hears(&[request(2, &method, b"")]).tells("request", json!({ "id": 2, "method": method })),
        );
    }
    all.push(
        new("method-too-long", "a method of 129 bytes", &["NAM-2", "§13"], Refused)
            .hears(&[request(2, &long(129), b"")])
            .violation("Message"),
    );
    all.push(
        new("filter-too-long", "a filter of 129 bytes", &["NAM-2", "§13"], Refused)
            .hears(&[subscribe(2, 100, &long(129))])
            .violation("Message"),
    );
    all
}
