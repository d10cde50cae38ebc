//! Sessions on a serial line, written down step by step.

use serde_json::{Value, json};
use symbolon::Role;

use crate::cobs_packets;
use crate::common::attacker::{Attacker, Knobs};
use crate::messages::{encode, hex};
use crate::notation::{accept, ping, pong};
use crate::script::Verdict;
use crate::setups::{
    AES, CHACHA, DEFAULTS, MANDATORY, Preambles, RESPONDER, Setup, counting_from, keys, write_suites,
};

pub const SETUP: Setup = RESPONDER;

/// One session: the subject's side of it and its peer's.
pub struct Session {
    pub subject: Attacker,
    pub peer: Attacker,
}

impl Session {
    /// The session in which each side has its ephemeral key of this number.
    pub fn new(subject: Role, number: u8) -> Self {
        Self::under(&MANDATORY, subject, number)
    }

    pub fn under(preambles: &Preambles, subject: Role, number: u8) -> Self {
        let side = |role, knobs: Knobs, first| {
            let (preamble, ephemeral_private) = (Some(preambles.of(role)), counting_from(first + number));
            Attacker::new(role, Knobs { preamble, ephemeral_private, ..knobs })
        };
        Self {
            subject: side(subject, SETUP.subject_knobs(), 0x50),
            peer: side(!subject, SETUP.peer_knobs(), 0xc0),
        }
    }
}

/// The ephemeral keys of the subject, in order.
pub fn ephemeral(number: u8) -> [u8; 32] {
    counting_from(0x50 + number)
}

pub struct Line {
    pub vector: Value,
    pub role: Role,
    pub asks: bool,
    pub suites: u16,
    pub preambles: Preambles,
    pub sessions: Vec<Session>,
    pub steps: Vec<Value>,
    /// How many ephemeral keys the subject is given.
    pub keys: u8,
}

impl Line {
    pub fn new(role: Role, id: &str, title: &str, spec: &[&str], verdict: Verdict) -> Self {
        let id = format!("lines/{id}");
        let spec: Vec<&str> = spec.iter().copied().chain(["§19"]).collect();
        let vector = json!({ "id": id, "title": title, "spec": spec, "result": verdict.word(), "setup": id });
        let (sessions, steps) = (Vec::new(), Vec::new());
        Self { vector, role, asks: false, suites: CHACHA, preambles: MANDATORY, sessions, steps, keys: 1 }
    }

    pub fn finish(mut self) -> (String, Value, Value) {
        let (ours, theirs) = (SETUP.subject_knobs(), SETUP.peer_knobs());
        let keys: Vec<Value> =
            self.sessions.iter().filter_map(|session| session.keys(self.preambles.taken)).collect();
        let expect = if self.asks { Value::Null } else { hex(theirs.peer_id().as_bytes()).into() };
        let mut setup = json!({
            "binding": "line", "role": if self.role.is_initiator() { "initiator" } else { "responder" },
            "identity": hex(&ours.secret), "static": hex(&ours.static_private),
            "ephemeral": (0..self.keys).map(|number| hex(&ephemeral(number))).collect::<Vec<_>>(),
            "expect": expect,
            "max_frame": SETUP.subject.max_frame, "max_requests": SETUP.subject.max_requests,
            "max_subscriptions": SETUP.subject.max_subscriptions, "window": SETUP.subject.window,
            "silence": SETUP.subject.silence,
            "timers": {
                "handshake": DEFAULTS.handshake, "frame": DEFAULTS.frame, "probe": DEFAULTS.probe,
                "close": DEFAULTS.close, "body": DEFAULTS.body,
            },
            "peer": {
                "identity": hex(&theirs.secret), "static": hex(&theirs.static_private),
                "max_frame": SETUP.peer.max_frame, "window": SETUP.peer.window,
            },
            "keys": keys, "steps": [],
        });
        write_suites(&mut setup, self.suites);
        self.vector["steps"] = self.steps.into();
        let name = self.vector["setup"].as_str().expect("a name").to_owned();
        (name, setup, self.vector)
    }

    pub fn step(mut self, step: Value) -> Self {
        self.steps.push(step);
        self
    }

    pub fn error(mut self, error: &str) -> Self {
        self.vector["error"] = error.into();
        self
    }

    /// These bytes as they are.
    pub fn hears_bytes(self, bytes: &[u8]) -> Self {
        self.step(json!({ "in": hex(bytes) }))
    }

    /// Packets, each between zero bytes.
    pub fn hears(self, packets: &[&[u8]]) -> Self {
        let bytes: Vec<u8> =
            packets.iter().flat_map(|packet| [vec![0], cobs_packets::encode(packet)].concat()).collect();
        self.hears_bytes(&bytes)
    }

    /// The subject sends these packets.
    pub fn sends(self, packets: &[&[u8]]) -> Self {
        self.step(json!({ "out": hex(&packets.concat()) }))
    }

    pub fn says(self, session: usize, messages: &[Value]) -> Self {
        self.step(json!({ "says": messages, "session": session }))
    }

    pub fn tells(self, event: Value) -> Self {
        self.step(event)
    }

    /// The peer's frame with these messages.
    pub fn seal(&mut self, session: usize, messages: &[Value]) -> Vec<u8> {
        self.sessions[session].peer.seal(&encode(messages).expect("messages"))
    }

    pub fn frame(mut self, session: usize, messages: &[Value]) -> Self {
        let frame = self.seal(session, messages);
        self.hears(&[&frame])
    }

    pub fn lives(self, session: usize) -> Self {
        self.frame(session, &[ping(0x77)]).says(session, &[pong(0x77)])
    }

    pub fn connected(self) -> Self {
        let peer = hex(SETUP.peer_knobs().peer_id().as_bytes());
        self.tells(json!({ "event": "connected", "peer": peer }))
    }

    /// The peer dials, and message 2 is out.
    pub fn dialled(mut self, number: u8) -> Self {
        let mut session = Session::under(&self.preambles, Role::Responder, number);
        self.keys = number + 1;
        let first = session.peer.begin();
        session.subject.hear(&first);
        let answer = session.subject.begin();
        let second = session.subject.say();
        session.peer.hear(&[&answer[..], &second].concat());
        self.sessions.push(session);
        // Both directly behind each other, as SPEC §19.3 says.
        self.hears(&[&first[..8], &first[8..]]).sends(&[&answer, &second])
    }

    /// Both sides have both suites, and AES is taken.
    pub fn with_aes(self) -> Self {
        Self { suites: CHACHA | AES, preambles: Preambles { offered: CHACHA | AES, taken: AES }, ..self }
    }

    /// Message 3 of the last session.
    pub fn third(&mut self) -> Vec<u8> {
        let session = self.sessions.last_mut().expect("a session");
        let third = session.peer.say();
        session.subject.hear(&third);
        third
    }

    /// The peer has dialled, and is let in.
    pub fn answering(self) -> Self {
        let mut this = self.dialled(0);
        let third = this.third();
        this.hears(&[&third]).connected().says(0, &[accept()])
    }

    /// The subject dials; its offer and message 1 are out.
    pub fn dials(mut self, number: u8) -> Self {
        let mut session = Session::under(&self.preambles, Role::Initiator, number);
        self.keys = self.keys.max(number + 1);
        let first = session.subject.begin();
        session.peer.hear(&first);
        self.sessions.push(session);
        self.sends(&[&first[..8], &first[8..]])
    }

    /// What the peer answers in the last session, and message 3 of the subject.
    pub fn answers(&mut self) -> (Vec<u8>, Vec<u8>) {
        let session = self.sessions.last_mut().expect("a session");
        let answer = session.peer.begin();
        let second = session.peer.say();
        session.subject.hear(&[&answer[..], &second].concat());
        let third = session.subject.say();
        session.peer.hear(&third);
        (second, third)
    }
}

impl Session {
    /// Where its handshake went through.
    pub fn keys(&self, suite: u16) -> Option<Value> {
        let split = self.subject.split.or(self.peer.split)?;
        Some(keys(self.subject.role, split, suite))
    }
}
