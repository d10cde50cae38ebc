//! Scripts, written down step by step: what the peer sends is sealed here, by snow.

use serde_json::{Value, json};

use crate::messages::{encode, hex};
use crate::notation::close;
use crate::setups::{Begun, Setup};

pub struct Script {
    setup: Setup,
    /// The steps of the setup.
    before: Vec<Value>,
    begun: Begun,
    vector: Value,
    steps: Vec<Value>,
}

/// Whether the subject takes what its peer does.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Verdict {
    Accepted,
    Refused,
}

pub use Verdict::{Accepted, Refused};

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Accepted => "accepted",
            Refused => "refused",
        }
    }
}

impl Script {
    pub fn new(setup: &Setup, id: &str, title: &str, spec: &[&str], verdict: Verdict) -> Self {
        Self::begun(setup, setup.begin(), id, title, spec, verdict)
    }

    /// Where the setup was gone through by hand.
    pub fn begun(
        setup: &Setup,
        mut begun: Begun,
        id: &str,
        title: &str,
        spec: &[&str],
        verdict: Verdict,
    ) -> Self {
        let vector =
            json!({ "id": id, "title": title, "spec": spec, "result": verdict.word(), "setup": setup.name });
        let before = std::mem::take(&mut begun.steps);
        Self { setup: *setup, before, begun, vector, steps: Vec::new() }
    }

    /// The name of the setup, the setup, and the vector.
    pub fn finish(mut self) -> (String, Value, Value) {
        let setup = self.setup.json(&self.begun, &self.before);
        self.vector["steps"] = self.steps.into();
        (self.setup.name.to_owned(), setup, self.vector)
    }

    fn step(mut self, step: Value) -> Self {
        self.steps.push(step);
        self
    }

    /// The peer sends these messages, in one frame.
    pub fn hears(mut self, messages: &[Value]) -> Self {
        let frame = self.begun.peer.seal(&encode(messages).expect("messages"));
        self.step(json!({ "in": hex(&frame), "messages": messages }))
    }

    /// The peer sends these bytes as the plaintext of a frame.
    pub fn hears_plaintext(mut self, plaintext: &[u8]) -> Self {
        let frame = self.begun.peer.seal(plaintext);
        self.step(json!({ "in": hex(&frame) }))
    }

    /// The peer sends each of these in a frame of its own, and all in one piece.
    pub fn hears_frames(mut self, frames: &[Value]) -> Self {
        let sealed: Vec<u8> = frames
            .iter()
            .flat_map(|message| {
                let plaintext = encode(std::slice::from_ref(message)).expect("a message");
                self.begun.peer.seal(&plaintext)
            })
            .collect();
        self.step(json!({ "in": hex(&sealed), "messages": frames }))
    }

    /// The peer sends these bytes as they are.
    pub fn hears_bytes(self, bytes: &[u8]) -> Self {
        self.step(json!({ "in": hex(bytes) }))
    }

    /// The frame with these messages, for scripts that send it in part or damaged.
    pub fn seal(&mut self, messages: &[Value]) -> Vec<u8> {
        self.begun.peer.seal(&encode(messages).expect("messages"))
    }

    /// With which the peer seals.
    pub fn key(&self) -> [u8; 32] {
        let (initiator, responder) = self.begun.peer.split.expect("a finished handshake");
        if self.begun.peer.role.is_initiator() { initiator } else { responder }
    }

    pub fn repeats(self, times: u64, messages: &[Value]) -> Self {
        self.step(json!({ "in_repeat": times, "messages": messages }))
    }

    pub fn eof(self) -> Self {
        self.step(json!({ "eof": true }))
    }

    pub fn at(self, time: u64) -> Self {
        self.step(json!({ "at": time }))
    }

    /// The subject was away until then.
    pub fn wakes(self, time: u64) -> Self {
        self.step(json!({ "wakes": time }))
    }

    /// The application's command, with its fields.
    pub fn does(self, command: &str, fields: Value) -> Self {
        let mut step = json!({ "do": command });
        for (name, value) in fields.as_object().into_iter().flatten() {
            step[name] = value.clone();
        }
        self.step(step)
    }

    /// The same, and the subject refuses it.
    pub fn may_not(self, command: &str, mut fields: Value) -> Self {
        fields["refused"] = true.into();
        self.does(command, fields)
    }

    pub fn says(self, messages: &[Value]) -> Self {
        self.step(json!({ "says": messages }))
    }

    /// In whatever order.
    pub fn says_any_order(self, messages: &[Value]) -> Self {
        self.step(json!({ "says": messages, "any_order": true }))
    }

    /// Or not.
    pub fn may_say(self, messages: &[Value]) -> Self {
        self.step(json!({ "may_say": messages }))
    }

    pub fn sends(self, bytes: &[u8]) -> Self {
        self.step(json!({ "out": hex(bytes) }))
    }

    pub fn has_granted(self, id: u64, limit: u64) -> Self {
        self.step(json!({ "credit": [id, limit] }))
    }

    pub fn tells(self, event: &str, fields: Value) -> Self {
        let mut step = json!({ "event": event });
        for (name, value) in fields.as_object().into_iter().flatten() {
            step[name] = value.clone();
        }
        self.step(step)
    }

    /// Or not.
    pub fn may_tell(self, event: &str, fields: Value) -> Self {
        let mut told = json!({ "event": event });
        for (name, value) in fields.as_object().into_iter().flatten() {
            told[name] = value.clone();
        }
        self.step(json!({ "may_tell": [told] }))
    }

    pub fn closes(self) -> Self {
        self.step(json!({ "closed": true }))
    }

    /// The name that the reference implementation has for the refusal.
    pub fn error(mut self, error: &str) -> Self {
        self.vector["error"] = error.into();
        self
    }

    /// The end without a word.
    pub fn drops(self, error: &str) -> Self {
        self.error(error).tells("closed", json!({ "reason": "handshake" })).closes()
    }

    /// The end with `violation`; `pending` ends as *disconnected* before.
    pub fn violation(self, error: &str) -> Self {
        self.violation_with(error, &[])
    }

    pub fn violation_with(self, error: &str, pending: &[u64]) -> Self {
        let mut this = self.error(error).says(&[close(33)]);
        for id in pending {
            this = this.tells("failed", json!({ "id": id, "how": "disconnected" }));
        }
        this.tells("closed", json!({ "reason": "violation" })).closes()
    }

    /// Its side of a conversation that went on: a ping is answered.
    pub fn lives(self) -> Self {
        let token = 0x1122;
        self.hears(&[crate::notation::ping(token)]).says(&[crate::notation::pong(token)])
    }
}

impl Script {
    /// A frame of the subject's own, as it would come back from a mirror.
    pub fn reflected(&mut self) -> Vec<u8> {
        self.begun.subject.sending = 1;
        self.begun.subject.seal(&encode(&[crate::notation::ping(5)]).expect("a message"))
    }
}
