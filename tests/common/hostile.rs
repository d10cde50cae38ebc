//! The attacker and his victim, connected by the book, in one value: for tests of what he may say from then on.

use std::time::Duration;

use symbolon::{Admission, CloseReason, Config, ExchangeId, PeerMisbehaved, Role};

use super::attacker::{Attacker, Knobs, VICTIM, Victim};
use super::{Happened, device};

pub struct Hostile {
    pub attacker: Attacker,
    pub victim: Victim,
}

impl Hostile {
    /// The attacker has dialled: his exchanges are 2, 4, ..., the victim's 1, 3, ...
    pub fn dialled() -> Self {
        Self::of(Role::Initiator, &device(VICTIM), Knobs::default())
    }

    /// The attacker was dialled: his exchanges are 1, 3, ..., the victim's 2, 4, ...
    pub fn listened() -> Self {
        Self::of(Role::Responder, &device(VICTIM), Knobs::default())
    }

    /// The attacker in this role, and a victim of this configuration.
    pub fn of(role: Role, config: &Config, knobs: Knobs) -> Self {
        let mut this = Self::shaken(role, config, knobs);
        if role.is_initiator() {
            assert_eq!(this.heard(), super::cbor::message::accept());
        } else {
            this.say(&super::cbor::message::accept());
        }
        assert_eq!(this.victim.events(), [Happened::Connected(this.attacker.knobs.peer_id())]);
        this
    }

    /// The same before `accept` was sent by whoever is the responder.
    pub fn shaken(role: Role, config: &Config, knobs: Knobs) -> Self {
        let admission = Admission::expect(knobs.peer_id());
        let mut attacker = Attacker::new(role, knobs);
        let mut victim = Victim::new(!role, config, admission);
        attacker.handshake(&mut victim);
        Self { attacker, victim }
    }

    /// Sends these messages in one frame.
    pub fn say(&mut self, plaintext: &[u8]) {
        let frame = self.attacker.seal(plaintext);
        self.victim.feed(&frame);
    }

    /// Sends these messages in one frame; what the victim's application is told.
    pub fn tell(&mut self, plaintext: &[u8]) -> Vec<Happened> {
        self.say(plaintext);
        self.victim.events()
    }

    /// All messages that the victim wants to send now, one behind the other.
    pub fn heard(&mut self) -> Vec<u8> {
        let written = self.victim.written();
        self.attacker.open(&written).concat()
    }

    /// The same, frame by frame.
    pub fn frames(&mut self) -> Vec<Vec<u8>> {
        let written = self.victim.written();
        self.attacker.open(&written)
    }

    /// Opens a request of the attacker's that the victim's application gets.
    #[track_caller]
    pub fn request(&mut self, message: &[u8]) -> ExchangeId {
        match self.tell(message).as_slice() {
            [Happened::Request { id, .. }] => *id,
            other => panic!("expected one request: {other:?}"),
        }
    }

    /// Opens a subscription of the attacker's that the victim's application gets.
    #[track_caller]
    pub fn subscribe(&mut self, message: &[u8]) -> ExchangeId {
        match self.tell(message).as_slice() {
            [Happened::Subscribe { id, .. }] => *id,
            other => panic!("expected one subscription: {other:?}"),
        }
    }

    /// Sends this, and asserts that the connection ends with `violation` for this reason and no other event.
    #[track_caller]
    pub fn violates(&mut self, plaintext: &[u8], reason: PeerMisbehaved) {
        let _ = self.heard();
        self.say(plaintext);
        self.victim.assert_closed(&mut self.attacker, CloseReason::Misbehaved(reason), 33);
    }

    pub fn pass(&mut self, duration: Duration) {
        self.victim.pass(duration);
    }
}
