//! What is tried: the vectors that an adapter can be held against, as scripts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::cipher::Cipher;
use crate::messages::{encode, hex, kind, unhex};
use crate::play::{Fault, Play};
use crate::process::Adapter;

/// One vector, as one or more scripts.
pub struct Case {
    pub id: String,
    pub title: String,
    pub spec: Vec<String>,
    /// The reference implementation's name for the refusal.
    pub error: Option<String>,
    scripts: Vec<(Value, Value)>,
}

pub enum Outcome {
    Passed,
    Failed(String),
    NotTried(String),
}

/// How the peer's bytes are cut: whole, in sevens, one by one.  FRM-4
const CHUNKS: [usize; 3] = [0, 7, 1];

impl Case {
    /// Whether its subject has to have the second suite, too.
    pub fn asks_for_both_suites(&self) -> bool {
        self.scripts.iter().any(|(setup, _)| setup["suites"].as_u64().is_some_and(|suites| suites != 1))
    }

    /// `ended` is handed what the adapter says, beyond its duty, of how each script ended.
    pub fn run(&self, adapter: &mut dyn Adapter, ended: &mut dyn FnMut(&str)) -> Outcome {
        for (setup, steps) in &self.scripts {
            for chunk in CHUNKS {
                match play(adapter, setup, steps, chunk) {
                    Ok(error) => error.iter().for_each(|error| ended(error)),
                    Err(Fault::Failed(what)) if chunk == 0 => return Outcome::Failed(what),
                    Err(Fault::Failed(what)) => {
                        return Outcome::Failed(format!("in pieces of {chunk}: {what}"));
                    }
                    Err(Fault::Unsupported(why)) => return Outcome::NotTried(why),
                }
            }
        }
        Outcome::Passed
    }
}

fn play(
    adapter: &mut dyn Adapter,
    setup: &Value,
    steps: &Value,
    chunk: usize,
) -> Result<Option<String>, Fault> {
    let mut play = Play::open(adapter, setup, chunk)?;
    play.run(&setup["steps"])?;
    play.run(steps)?;
    play.end()?;
    Ok(play.error)
}

/// All cases of the vectors in this folder, by their files' names.
pub fn read(folder: &Path) -> Result<Vec<Case>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files = BTreeMap::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let file: Value =
                serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            files.insert(path, file);
        }
    }
    let handshakes: Vec<Value> =
        files.values().filter(|file| file["kind"] == "handshake").flat_map(vectors).collect();
    let cases = |file: &Value| {
        let case = |vector: Value| {
            let scripts = scripts(file, &vector, &handshakes);
            (!scripts.is_empty()).then(|| case(&vector, scripts))
        };
        vectors(file).into_iter().filter_map(case).collect::<Vec<_>>()
    };
    Ok(files.values().flat_map(cases).collect())
}

fn vectors(file: &Value) -> Vec<Value> {
    file["vectors"].as_array().cloned().unwrap_or_default()
}

fn case(vector: &Value, scripts: Vec<(Value, Value)>) -> Case {
    let text = |field: &str| vector[field].as_str().unwrap_or_default().to_owned();
    let spec = vector["spec"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let error = vector["error"].as_str().map(str::to_owned);
    Case { id: text("id"), title: text("title"), spec: spec.map(str::to_owned).collect(), error, scripts }
}

/// As setups and steps.
fn scripts(file: &Value, vector: &Value, handshakes: &[Value]) -> Vec<(Value, Value)> {
    let setup = || file["setups"][vector["setup"].as_str().unwrap_or("responder")].clone();
    match file["kind"].as_str() {
        Some("script") => vec![(setup(), vector["steps"].clone())],
        Some("encoding") => plaintext(&setup(), vector).map(|steps| (setup(), steps)).into_iter().collect(),
        Some("handshake") => ["initiator", "responder"].map(|role| genuine(vector, role)).to_vec(),
        Some("mutation") => {
            let base = handshakes.iter().find(|handshake| handshake["id"] == vector["base"]);
            base.map(|base| mutations(base, vector)).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// The plaintext in a frame of the peer's, behind one that shows that frames are opened and answered.  What is accepted
/// is only played where nothing comes of it, whatever the state: messages that are ignored.
fn plaintext(setup: &Value, vector: &Value) -> Option<Value> {
    const PING: u64 = 3;
    let mut peer = Cipher::of(&setup["keys"], "in").ok()?;
    let ping = |token: u64, peer: &mut Cipher| {
        let frame = peer.seal(&encode(&[json!([PING, token])]).unwrap_or_default());
        [json!({ "in": hex(&frame) }), json!({ "says": [[4, token]] })]
    };
    let mut steps = ping(0x51, &mut peer).to_vec();
    steps.push(json!({ "in": hex(&peer.seal(&unhex(vector["plaintext"].as_str()?))) }));
    if vector["result"] == "refused" {
        // What stands before the bad message takes effect, and its answer may still leave.
        steps.push(json!({ "may_say": [[4, { "any": true }]] }));
        steps.push(json!({ "says": [[1, 33]] }));
        steps.push(json!({ "event": "closed", "reason": "violation" }));
        steps.push(json!({ "closed": true }));
    } else {
        let ignored = |message: &Value| message[0].as_u64().is_some_and(|kind| kind >= kind::PADDING);
        if !vector["messages"].as_array()?.iter().all(ignored) {
            return None;
        }
        steps.extend(ping(0x52, &mut peer));
    }
    Some(Value::Array(steps))
}

/// One side of a handshake as the subject, before anything was said.
fn subject(handshake: &Value, role: &str) -> Value {
    let ours = if role == "initiator" { "init" } else { "resp" };
    let theirs = if role == "initiator" { "resp" } else { "init" };
    let limits = &handshake["limits"];
    // An initiator has what it offers, a responder what it takes, and the first suite anyway.
    let preamble = unhex(handshake[format!("{ours}_preamble")].as_str().unwrap_or_default());
    let suites = preamble.last().copied().unwrap_or_default() | 1;
    json!({
        "binding": "stream", "role": role, "suites": suites,
        "identity": handshake[format!("{ours}_identity")], "static": handshake[format!("{ours}_static")],
        "ephemeral": handshake[format!("{ours}_ephemeral")],
        "expect": handshake[format!("{theirs}_peer_id")],
        "max_frame": limits["max_frame"], "max_requests": limits["max_requests"],
        "max_subscriptions": limits["max_subscriptions"], "window": limits["window"], "silence": limits["silence"],
        "timers": { "handshake": 10_000, "frame": 10_000, "probe": 5_000, "close": 3_000, "body": 60_000 },
    })
}

/// What each side sends in a handshake, with its length.
fn sent(handshake: &Value, message: usize) -> String {
    match message {
        0 => handshake["init_preamble"].as_str().unwrap_or_default().to_owned(),
        1 => handshake["resp_preamble"].as_str().unwrap_or_default().to_owned(),
        _ => framed(handshake["messages"][message - 2]["ciphertext"].as_str().unwrap_or_default()),
    }
}

fn framed(message: &str) -> String {
    format!("{:04x}{message}", message.len() / 2)
}

/// The steps of one side, up to the last message of a handshake that comes in or goes out.
fn genuine(handshake: &Value, role: &str) -> (Value, Value) {
    let [init, resp] = [sent(handshake, 0), sent(handshake, 1)];
    let [first, second, third] = [2, 3, 4].map(|message| sent(handshake, message));
    let steps = if role == "initiator" {
        json!([{ "out": init + &first }, { "in": resp }, { "in": second }, { "out": third }])
    } else {
        let peer = handshake["init_peer_id"].clone();
        json!([
            { "in": init }, { "out": resp }, { "in": first }, { "out": second }, { "in": third },
            { "event": "connected", "peer": peer }, { "out": framed_transport(handshake) },
        ])
    };
    (subject(handshake, role), steps)
}

/// `accept`, the responder's first frame, which is the fourth message.
fn framed_transport(handshake: &Value) -> String {
    sent(handshake, 5)
}

/// Each way in which the message is changed, from the side that has to refuse.
fn mutations(base: &Value, vector: &Value) -> Vec<(Value, Value)> {
    let number = |field: &str| vector[field].as_u64().unwrap_or(0) as usize;
    let genuine_frame = sent(base, number("message") + 1);
    let refuser = vector["refused_by"].as_str().unwrap_or_default();
    let mut frames = Vec::new();
    if let Some(frame) = vector["frame"].as_str() {
        frames.push(frame.to_owned());
    }
    for offset in vector["flip"].as_array().into_iter().flatten().filter_map(Value::as_u64) {
        let mut bytes = unhex(&genuine_frame);
        bytes[2 + offset as usize] ^= 1;
        frames.push(hex(&bytes));
    }
    for len in vector["truncate"].as_array().into_iter().flatten().filter_map(Value::as_u64) {
        frames.push(framed(&genuine_frame[4..4 + 2 * len as usize]));
    }
    let steps = |frame: String| {
        let [init, resp] = [sent(base, 0), sent(base, 1)];
        let closed = [json!({ "event": "closed", "reason": "handshake" }), json!({ "closed": true })];
        let mut steps = match (refuser, number("message")) {
            ("initiator", 2) => {
                vec![json!({ "out": init + &sent(base, 2) }), json!({ "in": resp }), json!({ "in": frame })]
            }
            ("responder", 1) => vec![json!({ "in": init }), json!({ "out": resp }), json!({ "in": frame })],
            ("responder", 3) => vec![
                json!({ "in": init }),
                json!({ "out": resp }),
                json!({ "in": sent(base, 2) }),
                json!({ "out": sent(base, 3) }),
                json!({ "in": frame }),
            ],
            (side, message) => vec![json!({ "not_played": { "refused_by": side, "message": message } })],
        };
        steps.extend(closed);
        (subject(base, refuser), Value::Array(steps))
    };
    frames.into_iter().map(steps).collect()
}
