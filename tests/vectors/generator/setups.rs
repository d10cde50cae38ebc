//! The subject and its peer, and how they come to the point at which a script begins.

use serde_json::{Value, json};
use symbolon::Role;

use crate::common::attacker::{ANSWER, Attacker, Knobs, OFFER};
use crate::messages::{encode, hex};
use crate::notation::accept;

/// 32 bytes that nobody takes for random.
pub fn counting_from(first: u8) -> [u8; 32] {
    std::array::from_fn(|i| first + i as u8)
}

/// What a side declares.  SPEC §5.2
#[derive(Clone, Copy)]
pub struct Declared {
    pub max_frame: u64,
    pub max_requests: u64,
    pub max_subscriptions: u64,
    pub window: u64,
    pub silence: u64,
}

/// SPEC §15, in ms.
#[derive(Clone, Copy)]
pub struct Timers {
    pub handshake: u64,
    pub frame: u64,
    pub probe: u64,
    pub close: u64,
    pub body: u64,
}

/// The suites that the initiator offers, and the one that the responder takes.  SPEC §3
#[derive(Clone, Copy)]
pub struct Preambles {
    pub offered: u16,
    pub taken: u16,
}

impl Preambles {
    pub fn of(&self, role: Role) -> [u8; 8] {
        let (mut preamble, suites) =
            if role.is_initiator() { (OFFER, self.offered) } else { (ANSWER, self.taken) };
        preamble[6..].copy_from_slice(&suites.to_be_bytes());
        preamble
    }
}

/// How far the setup goes.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Upto {
    /// Nothing was said.
    Nothing,
    /// The preambles, message 1 and message 2 went over: the subject as responder awaits message 3.
    Message3,
    /// Message 3 went over, and the responder has not decided.
    Shaken,
    Connected,
}

#[derive(Clone, Copy)]
pub struct Setup {
    pub name: &'static str,
    /// The subject's.
    pub role: Role,
    /// The subject asks its application whom to let in.
    pub asks: bool,
    pub subject: Declared,
    pub peer: Declared,
    pub timers: Timers,
    /// All that the subject has.
    pub suites: u16,
    pub preambles: Preambles,
    pub upto: Upto,
}

pub const USUAL: Declared =
    Declared { max_frame: 1_024, max_requests: 4, max_subscriptions: 4, window: 64, silence: 0 };
pub const DEFAULTS: Timers =
    Timers { handshake: 10_000, frame: 10_000, probe: 5_000, close: 3_000, body: 60_000 };

/// The suite that everybody has, and the one beside it, by their bits.
pub const CHACHA: u16 = 1;
pub const AES: u16 = 2;
pub const MANDATORY: Preambles = Preambles { offered: CHACHA, taken: CHACHA };

/// The subject was dialled.
pub const RESPONDER: Setup = Setup {
    name: "responder",
    role: Role::Responder,
    asks: false,
    subject: USUAL,
    peer: USUAL,
    timers: DEFAULTS,
    suites: CHACHA,
    preambles: MANDATORY,
    upto: Upto::Connected,
};
/// The subject has dialled.
pub const INITIATOR: Setup = Setup { name: "initiator", role: Role::Initiator, ..RESPONDER };

/// The same before anything was said.
pub const RESPONDER_FIRST: Setup =
    Setup { name: "responder, before anything", upto: Upto::Nothing, ..RESPONDER };
pub const INITIATOR_FIRST: Setup =
    Setup { name: "initiator, before anything", upto: Upto::Nothing, ..INITIATOR };

/// A setup that was gone through: its steps, and both sides as snow has them.
pub struct Begun {
    pub steps: Vec<Value>,
    pub peer: Attacker,
    pub subject: Attacker,
}

impl Setup {
    fn knobs(&self, role: Role, first: u8, declared: &Declared) -> Knobs {
        Knobs {
            preamble: Some(self.preambles.of(role)),
            secret: counting_from(first),
            static_private: counting_from(first + 0x20),
            ephemeral_private: counting_from(first + 0x40),
            ..Self::declaring(declared)
        }
    }

    /// Keys that nobody has set, and these limits.
    pub fn declaring(declared: &Declared) -> Knobs {
        Knobs {
            max_frame: declared.max_frame,
            max_requests: declared.max_requests,
            max_subscriptions: declared.max_subscriptions,
            window: declared.window,
            silence: declared.silence,
            ..Knobs::default()
        }
    }

    pub fn subject_knobs(&self) -> Knobs {
        self.knobs(self.role, 0x10, &self.subject)
    }

    pub fn peer_knobs(&self) -> Knobs {
        self.knobs(!self.role, 0x80, &self.peer)
    }

    /// Both sides, before anything was said.
    pub fn sides(&self) -> (Attacker, Attacker) {
        (Attacker::new(self.role, self.subject_knobs()), Attacker::new(!self.role, self.peer_knobs()))
    }

    /// Up to where it goes.
    pub fn begin(&self) -> Begun {
        self.begin_with(self.peer_knobs())
    }

    /// The same with another peer.
    pub fn begin_with(&self, peer: Knobs) -> Begun {
        let (subject, _) = self.sides();
        let mut begun = Begun { steps: Vec::new(), peer: Attacker::new(!self.role, peer), subject };
        if self.upto != Upto::Nothing {
            if self.role.is_initiator() { begun.dial(self) } else { begun.answer(self) }
        }
        begun
    }

    /// As the files have it.
    pub fn json(&self, begun: &Begun, steps: &[Value]) -> Value {
        let Declared { max_frame, max_requests, max_subscriptions, window, silence } = self.subject;
        let Timers { handshake, frame, probe, close, body } = self.timers;
        let (ours, theirs) = (&begun.subject.knobs, &begun.peer.knobs);
        let expect = if self.asks { Value::Null } else { hex(theirs.peer_id().as_bytes()).into() };
        let role = if self.role.is_initiator() { "initiator" } else { "responder" };
        let mut setup = json!({
            "binding": "stream", "role": role,
            "identity": hex(&ours.secret), "static": hex(&ours.static_private),
            "ephemeral": hex(&ours.ephemeral_private), "expect": expect,
            "max_frame": max_frame, "max_requests": max_requests, "max_subscriptions": max_subscriptions,
            "window": window, "silence": silence,
            "timers": { "handshake": handshake, "frame": frame, "probe": probe, "close": close, "body": body },
            "peer": {
                "identity": hex(&theirs.secret), "static": hex(&theirs.static_private),
                "ephemeral": hex(&theirs.ephemeral_private), "max_frame": self.peer.max_frame,
                "window": self.peer.window,
            },
        });
        if let Some(split) = begun.subject.split {
            setup["keys"] = keys(self.role, split, self.preambles.taken);
        }
        write_suites(&mut setup, self.suites);
        setup["steps"] = steps.into();
        setup
    }
}

/// What comes of Split, as the files have it.
pub fn keys(subject: Role, (initiator, responder): ([u8; 32], [u8; 32]), suite: u16) -> Value {
    let (inward, outward) =
        if subject.is_initiator() { (responder, initiator) } else { (initiator, responder) };
    let mut keys = json!({ "in": hex(&inward), "out": hex(&outward) });
    if suite != CHACHA {
        keys["suite"] = suite.into();
    }
    keys
}

/// Into a setup, where they are not those that it has anyway.
pub fn write_suites(setup: &mut Value, suites: u16) {
    if suites != CHACHA {
        setup["suites"] = suites.into();
    }
}

impl Begun {
    /// The subject dials.
    fn dial(&mut self, setup: &Setup) {
        let first = self.subject.begin();
        self.peer.hear(&first);
        self.step(json!({ "out": hex(&first) }));
        let preamble = self.peer.begin();
        let second = self.peer.say();
        self.subject.hear(&[&preamble[..], &second].concat());
        self.step(json!({ "in": hex(&preamble) }));
        self.step(json!({ "in": hex(&second) }));
        self.admit(setup);
        let third = self.subject.say();
        self.step(json!({ "out": hex(&third) }));
        self.peer.hear(&third);
        if setup.upto == Upto::Connected {
            let frame = self.peer.seal(&encode(&[accept()]).expect("a message"));
            self.step(json!({ "in": hex(&frame), "messages": [accept()] }));
            self.connected();
        }
    }

    /// The subject is dialled.
    fn answer(&mut self, setup: &Setup) {
        let first = self.peer.begin();
        let (offer, message_1) = first.split_at(8);
        self.step(json!({ "in": hex(offer) }));
        let preamble = self.subject.begin();
        self.step(json!({ "out": hex(&preamble) }));
        self.subject.hear(&first);
        self.step(json!({ "in": hex(message_1) }));
        let second = self.subject.say();
        self.step(json!({ "out": hex(&second) }));
        self.peer.hear(&[&preamble[..], &second].concat());
        if setup.upto == Upto::Message3 {
            return;
        }
        let third = self.peer.say();
        self.subject.hear(&third);
        self.step(json!({ "in": hex(&third) }));
        if setup.upto == Upto::Connected {
            self.admit(setup);
            self.connected();
            self.step(json!({ "says": [accept()] }));
        }
    }

    fn admit(&mut self, setup: &Setup) {
        if setup.asks && setup.upto == Upto::Connected {
            self.step(json!({ "event": "admission", "peer": hex(self.peer.knobs.peer_id().as_bytes()) }));
            self.step(json!({ "do": "admit" }));
        }
    }

    fn connected(&mut self) {
        self.step(json!({ "event": "connected", "peer": hex(self.peer.knobs.peer_id().as_bytes()) }));
    }

    fn step(&mut self, step: Value) {
        self.steps.push(step);
    }
}
