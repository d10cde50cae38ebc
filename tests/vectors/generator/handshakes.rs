//! Whole handshakes.  SPEC §5.1

use serde_json::{Value, json};
use symbolon::Role;

use crate::common::attacker::{ANSWER, Attacker, Knobs, OFFER, suite};
use crate::messages::{encode, hex};
use crate::notation::{accept, close, ping, pong, request, response};
use crate::setups::{Declared, Setup, USUAL, counting_from};

/// Two devices and what both declare.
#[derive(Clone, Copy)]
pub struct Base {
    pub id: &'static str,
    title: &'static str,
    /// From which all keys of the initiator, and of the responder, count up.
    firsts: [u8; 2],
    declared: Declared,
}

pub const USUAL_BASE: Base = Base {
    id: "handshakes/usual",
    title: "two devices, and the first messages of both",
    firsts: [0x10, 0x80],
    declared: USUAL,
};
const MOST: Declared = Declared {
    max_frame: 65_535,
    max_requests: 65_535,
    max_subscriptions: 65_535,
    window: u32::MAX as u64,
    silence: u32::MAX as u64,
};
const LEAST: Declared =
    Declared { max_frame: 256, max_requests: 0, max_subscriptions: 0, window: 0, silence: 0 };

pub fn vectors() -> Vec<Value> {
    let most = Base {
        id: "handshakes/most",
        title: "the largest numbers, and the longest payloads",
        firsts: [0x05, 0x90],
        declared: MOST,
    };
    let least = Base {
        id: "handshakes/least",
        title: "the smallest numbers, and the shortest payloads",
        firsts: [0x41, 0x9f],
        declared: LEAST,
    };
    [USUAL_BASE, most, least].iter().map(Base::vector).collect()
}

impl Base {
    pub fn knobs(&self, role: Role) -> Knobs {
        let first = self.firsts[usize::from(!role.is_initiator())];
        Knobs {
            secret: counting_from(first),
            static_private: counting_from(first + 0x20),
            ephemeral_private: counting_from(first + 0x40),
            ..Setup::declaring(&self.declared)
        }
    }

    pub fn side(&self, role: Role) -> Attacker {
        Attacker::new(role, self.knobs(role))
    }

    fn vector(&self) -> Value {
        let (mut init, mut resp) = (self.side(Role::Initiator), self.side(Role::Responder));
        let mut messages = Vec::new();
        let mut hashes = Vec::new();
        let first = init.begin();
        resp.hear(&first);
        let answer = resp.begin();
        messages.push((Vec::new(), first[8..].to_vec()));
        hashes.push(hex(&resp.hash));
        let payload = resp.payload();
        let second = resp.say();
        init.hear(&[&answer[..], &second].concat());
        messages.push((payload, second));
        hashes.push(hex(&resp.hash));
        let payload = init.payload();
        let third = init.say();
        resp.hear(&third);
        messages.push((payload, third));
        hashes.push(hex(&init.hash));
        assert_eq!(init.hash, resp.hash);
        let talk = [
            (false, accept()),
            (true, request(2, "echo", b"hello")),
            (false, response(2, 0, b"hello")),
            (true, ping(1)),
            (false, pong(1)),
            (true, close(0)),
            (false, close(0)),
        ];
        for (by_initiator, message) in talk {
            let plaintext = encode(&[message]).expect("a message");
            let frame = if by_initiator { init.seal(&plaintext) } else { resp.seal(&plaintext) };
            messages.push((plaintext, frame));
        }
        let without_length = |frame: &[u8]| hex(&frame[2..]);
        let messages: Vec<Value> = messages
            .iter()
            .map(|(payload, frame)| json!({ "payload": hex(payload), "ciphertext": without_length(frame) }))
            .collect();
        let (init_key, resp_key) = init.split.expect("a finished handshake");
        let prologue = hex(&[OFFER, ANSWER].concat());
        let Declared { max_frame, max_requests, max_subscriptions, window, silence } = self.declared;
        json!({
            "id": self.id, "title": self.title, "spec": ["PRE-1", "HSK-1", "IDP-1", "§5.1", "§5.2", "§5.3"],
            "result": "accepted",
            "protocol_name": suite(&ANSWER),
            "init_prologue": prologue, "init_static": hex(&init.knobs.static_private),
            "init_ephemeral": hex(&init.knobs.ephemeral_private),
            "resp_prologue": prologue, "resp_static": hex(&resp.knobs.static_private),
            "resp_ephemeral": hex(&resp.knobs.ephemeral_private),
            "init_identity": hex(&init.knobs.secret), "init_peer_id": hex(init.knobs.peer_id().as_bytes()),
            "resp_identity": hex(&resp.knobs.secret), "resp_peer_id": hex(resp.knobs.peer_id().as_bytes()),
            "init_preamble": hex(&OFFER), "resp_preamble": hex(&ANSWER),
            "limits": {
                "max_frame": max_frame, "max_requests": max_requests, "max_subscriptions": max_subscriptions,
                "window": window, "silence": silence,
            },
            "hashes": hashes, "handshake_hash": hex(&init.hash),
            "init_key": hex(&init_key), "resp_key": hex(&resp_key),
            "messages": messages,
        })
    }
}
