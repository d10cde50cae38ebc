//! Whole handshakes.  SPEC §5.1

use serde_json::{Value, json};
use symbolon::Role;

use crate::common::attacker::{Attacker, Knobs, suite};
use crate::messages::{encode, hex};
use crate::notation::{accept, close, ping, pong, request, response};
use crate::setups::{AES, CHACHA, Declared, MANDATORY, Preambles, Setup, USUAL, counting_from};

/// Two devices and what both declare.
#[derive(Clone, Copy)]
pub struct Base {
    pub id: &'static str,
    title: &'static str,
    /// From which all keys of the initiator, and of the responder, count up.
    firsts: [u8; 2],
    declared: Declared,
    pub preambles: Preambles,
}

pub const USUAL_BASE: Base = Base {
    id: "handshakes/usual",
    title: "two devices, and the first messages of both",
    firsts: [0x10, 0x80],
    declared: USUAL,
    preambles: MANDATORY,
};
/// Under the second suite.
pub const AES_BASE: Base = Base {
    id: "handshakes/aes",
    title: "both suites are offered, and the second is taken",
    preambles: Preambles { offered: CHACHA | AES, taken: AES },
    ..USUAL_BASE
};
/// Under the first, by a responder that has no other.
pub const DECLINED_BASE: Base = Base {
    id: "handshakes/aes-declined",
    title: "both suites are offered, and the responder has only the first",
    preambles: Preambles { offered: CHACHA | AES, taken: CHACHA },
    ..USUAL_BASE
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
        ..USUAL_BASE
    };
    let least = Base {
        id: "handshakes/least",
        title: "the smallest numbers, and the shortest payloads",
        firsts: [0x41, 0x9f],
        declared: LEAST,
        ..USUAL_BASE
    };
    let aes_most = Base {
        id: "handshakes/aes-most",
        title: "the largest numbers, and the longest payloads, under the second suite",
        preambles: AES_BASE.preambles,
        ..most
    };
    [USUAL_BASE, most, least, AES_BASE, aes_most, DECLINED_BASE].iter().map(Base::vector).collect()
}

impl Base {
    pub fn knobs(&self, role: Role) -> Knobs {
        let first = self.firsts[usize::from(!role.is_initiator())];
        Knobs {
            preamble: Some(self.preambles.of(role)),
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
        let (mut messages, hashes) = shake(&mut init, &mut resp);
        messages.extend(talk(&mut init, &mut resp));
        let without_length = |frame: &[u8]| hex(&frame[2..]);
        let messages: Vec<Value> = messages
            .iter()
            .map(|(payload, frame)| json!({ "payload": hex(payload), "ciphertext": without_length(frame) }))
            .collect();
        let (init_key, resp_key) = init.split.expect("a finished handshake");
        let [offer, answer] = [Role::Initiator, Role::Responder].map(|role| self.preambles.of(role));
        let prologue = hex(&[offer, answer].concat());
        let Declared { max_frame, max_requests, max_subscriptions, window, silence } = self.declared;
        json!({
            "id": self.id, "title": self.title, "spec": ["PRE-1", "HSK-1", "IDP-1", "§5.1", "§5.2", "§5.3"],
            "result": "accepted",
            "protocol_name": suite(&answer),
            "init_prologue": prologue, "init_static": hex(&init.knobs.static_private),
            "init_ephemeral": hex(&init.knobs.ephemeral_private),
            "resp_prologue": prologue, "resp_static": hex(&resp.knobs.static_private),
            "resp_ephemeral": hex(&resp.knobs.ephemeral_private),
            "init_identity": hex(&init.knobs.secret), "init_peer_id": hex(init.knobs.peer_id().as_bytes()),
            "resp_identity": hex(&resp.knobs.secret), "resp_peer_id": hex(resp.knobs.peer_id().as_bytes()),
            "init_preamble": hex(&offer), "resp_preamble": hex(&answer),
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

/// Payloads, or plaintexts, and the frames that they go in.
type Sent = Vec<(Vec<u8>, Vec<u8>)>;

/// The three messages, and the hash after each.
fn shake(init: &mut Attacker, resp: &mut Attacker) -> (Sent, Vec<String>) {
    let first = init.begin();
    resp.hear(&first);
    let answer = resp.begin();
    let mut messages = vec![(Vec::new(), first[8..].to_vec())];
    let mut hashes = vec![hex(&resp.hash)];
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
    (messages, hashes)
}

/// What they say to each other first.
fn talk(init: &mut Attacker, resp: &mut Attacker) -> Sent {
    let talk = [
        (false, accept()),
        (true, request(2, "echo", b"hello")),
        (false, response(2, 0, b"hello")),
        (true, ping(1)),
        (false, pong(1)),
        (true, close(0)),
        (false, close(0)),
    ];
    let sealed = talk.into_iter().map(|(by_initiator, message)| {
        let plaintext = encode(&[message]).expect("a message");
        let frame = if by_initiator { init.seal(&plaintext) } else { resp.seal(&plaintext) };
        (plaintext, frame)
    });
    sealed.collect()
}
