//! A peer that does the cryptography of a handshake, and gets one thing wrong: a key, a proof, a payload; or nothing.

use std::ops::RangeInclusive;
use std::time::Duration;

use ed25519_dalek::{Signature, VerifyingKey};
use symbolon::{Admission, CloseReason, Connection, Instant, Role};

use super::common::attacker::{ANSWER, Attacker, Knobs, OFFER, Pairs};
use super::common::cbor::uint;
use super::compose::{item, spoil};
use super::script::{byte, choice, number, take};
use super::side::Side;
use super::strict::{self, Value};
use super::{devices, seed};

/// Public keys that lead to 32 zero bytes, whatever they meet.  HSK-3
const LOW_ORDER: [[u8; 32]; 3] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
];

/// Runs one handshake as the script says, and then compares what the victim made of it with what SPEC.md says.
pub fn stranger(options: u8, mut script: &[u8]) {
    let script = &mut script;
    let role = if options & 1 == 0 { Role::Initiator } else { Role::Responder };
    let victim = usize::from(options >> 1 & 1);
    let mut knobs = Knobs::default();
    let mut spoilt = None;
    // One thing is wrong, or two.
    for _ in 0..=(options >> 2 & 1) {
        turn(&mut knobs, role, &mut spoilt, script);
    }
    let config = &devices()[victim];
    let expected = options & 0x18 != 0x08;
    let admission = match (expected, options & 0x18) {
        (false, _) => Admission::expect(config.identity().peer_id()),
        (true, 0x10) => Admission::Ask,
        _ => Admission::expect(knobs.peer_id()),
    };
    let now = Instant::from_millis(1_000_000);
    let connection = match role {
        Role::Initiator => Connection::responder(config, admission, seed(3), now),
        Role::Responder => Connection::initiator(config, admission, seed(3), now),
    };
    let mut meeting = Meeting {
        attacker: Attacker::new(role, knobs),
        victim: Side::new(connection, config.limits()),
        own: *config.identity().peer_id().as_bytes(),
        now,
        payload: None,
        spoilt,
    };
    let holds = meeting.run();
    meeting.judge(holds, expected);
}

/// Turns one knob.
fn turn(knobs: &mut Knobs, role: Role, spoilt: &mut Option<Vec<u8>>, script: &mut &[u8]) {
    let key = |script: &mut &[u8]| {
        let mut key = [0; 32];
        let bytes = take(script, 32);
        key[..bytes.len()].copy_from_slice(bytes);
        key
    };
    let public = |script: &mut &[u8]| match byte(script) {
        at @ 0..=0x7f => LOW_ORDER[usize::from(at) % LOW_ORDER.len()],
        _ => key(script),
    };
    match byte(script) % 17 {
        0 => {}
        1 => {
            let mut preamble = if role.is_initiator() { OFFER } else { ANSWER };
            let fields = take(script, 4);
            preamble[4..4 + fields.len()].copy_from_slice(fields);
            knobs.preamble = Some(preamble);
        }
        2 => knobs.prologue = Some([OFFER, ANSWER].concat()[..usize::from(byte(script)) % 17].to_vec()),
        3 => (knobs.static_public, knobs.zero_secrets) = (Some(public(script)), byte(script) & 1 == 0),
        4 => (knobs.ephemeral_public, knobs.zero_secrets) = (Some(public(script)), byte(script) & 1 == 0),
        5 => knobs.payload_1 = take(script, 3).to_vec(),
        6 => {
            let len = byte(script).into();
            knobs.identity = Some(take(script, len).to_vec());
        }
        7 => {
            let len = byte(script).into();
            knobs.proof = Some(take(script, len).to_vec());
        }
        8 => spoil(&mut knobs.proof_domain, script),
        9 => knobs.proof_role = Some(byte(script)),
        10 => knobs.proof_hash = Some(key(script)),
        11 => knobs.proof_static = Some(key(script)),
        12 => knobs.signer = Some(key(script)),
        13 => {
            let number = number(script);
            let knob = match byte(script) % 6 {
                0 => &mut knobs.max_frame,
                1 => &mut knobs.max_requests,
                2 => &mut knobs.max_subscriptions,
                3 => &mut knobs.window,
                4 => &mut knobs.silence,
                _ => &mut knobs.features,
            };
            *knob = number;
        }
        // The victim's own identity, or that of a device that it knows.
        14 => knobs.secret = [1 + byte(script) % 3; 32],
        15 => {
            let (how, place, key) =
                (byte(script), usize::from(byte(script)), choice(script, &[8, 15, 16, 23, 24]));
            let value = item(script, 3);
            knobs.edit = Box::new(move |pairs| edit(pairs, how, place, key, value.clone()));
        }
        _ => *spoilt = Some(take(script, 64).to_vec()),
    }
}

/// Removes, replaces or adds a pair of the payload.
fn edit(pairs: &mut Pairs, how: u8, place: usize, key: u64, value: Vec<u8>) {
    let place = place % pairs.len();
    match how % 4 {
        0 => drop(pairs.remove(place)),
        1 => pairs[place].1 = value,
        2 => pairs.push((uint(key), value)),
        _ => pairs.insert(place, (uint(place as u64), value)),
    }
}

struct Meeting {
    attacker: Attacker,
    victim: Side,
    /// The victim's own identity.
    own: [u8; 32],
    now: Instant,
    /// What message 2 or 3 carries, and what its proof should cover.
    payload: Option<(Vec<u8>, Vec<u8>)>,
    /// How the payload is spoilt once it is encoded.
    spoilt: Option<Vec<u8>>,
}

impl Meeting {
    /// Goes as far as it goes, and says whether all that was said holds.
    fn run(&mut self) -> bool {
        let initiator = self.attacker.role.is_initiator();
        let knobs = &self.attacker.knobs;
        let (offer, answer) = match (initiator, knobs.preamble) {
            (true, preamble) => (preamble.unwrap_or(OFFER), ANSWER),
            (false, preamble) => (OFFER, preamble.unwrap_or(ANSWER)),
        };
        // SPEC §3
        let spoken = offer[4] >= 1 && offer[5] == 0 && offer[7] & 1 == 1 && answer[4..] == ANSWER[4..];
        let prologue = [offer, answer].concat();
        let genuine = spoken
            && knobs.prologue.as_ref().is_none_or(|given| *given == prologue)
            && knobs.static_public.is_none()
            && knobs.ephemeral_public.is_none()
            && (knobs.payload_1.is_empty() || !initiator);

        let begin = self.attacker.begin();
        let mut heard = self.victim_says();
        self.tell(&begin);
        if initiator {
            heard = self.victim_says();
            let low = self.attacker.knobs.ephemeral_public.is_some_and(|key| LOW_ORDER.contains(&key));
            assert!(!low || heard.len() <= 8, "HSK-3: message 2 for a key of low order");
        }
        if self.victim.connection.is_closed() || !self.attacker.hear(&heard) {
            assert!(!genuine, "the victim does not answer what is right");
            return false;
        }
        let signed = [
            b"symbolon-identity-v1",
            &[if initiator { 1 } else { 2 }][..],
            &self.attacker.hash,
            &self.attacker.static_public(),
        ]
        .concat();
        let mut payload = self.attacker.payload();
        if let Some(mut how) = self.spoilt.as_deref() {
            spoil(&mut payload, &mut how);
        }
        let message = self.attacker.say_payload(&payload);
        let fits = message.len() <= 514;
        let holds = genuine && fits && self.holds(&payload, &signed);
        self.payload = Some((payload, signed));
        self.tell(&message);
        holds
    }

    /// HSK-6, IDP-1, IDP-2, IDP-4: whether a payload is one, of somebody who is who he says.
    fn holds(&self, payload: &[u8], signed: &[u8]) -> bool {
        let Some((Value::Map(pairs), len)) = strict::item(payload) else { return false };
        let value = |key: u64| {
            let pair = pairs.iter().find(|(found, _)| *found == Value::Unsigned(key));
            pair.map(|(_, value)| value.clone())
        };
        let bytes = |key| match value(key) {
            Some(Value::Bytes(content)) => Some(content),
            _ => None,
        };
        let within = |key, range: RangeInclusive<u64>| match value(key) {
            Some(Value::Unsigned(number)) => range.contains(&number),
            _ => false,
        };
        let numbers = within(2, 256..=65_535)
            && within(3, 0..=65_535)
            && within(4, 0..=65_535)
            && within(5, 0..=u64::from(u32::MAX))
            && within(6, 0..=u64::from(u32::MAX))
            && within(7, 0..=u64::MAX);
        let known = pairs.iter().all(|(key, _)| !matches!(key, Value::Unsigned(8..=15)));
        let identity = bytes(0).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let proof = bytes(1).and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let (Some(identity), Some(proof)) = (identity, proof) else { return false };
        let proven = VerifyingKey::from_bytes(&identity)
            .is_ok_and(|key| key.verify_strict(signed, &Signature::from_bytes(&proof)).is_ok());
        len == payload.len() && numbers && known && proven && identity != self.own
    }

    fn tell(&mut self, bytes: &[u8]) {
        let taken = self.victim.take(self.now, bytes);
        assert!(taken == bytes.len() || self.victim.asked);
    }

    fn victim_says(&mut self) -> Vec<u8> {
        self.victim.collect(self.now);
        self.victim.outgoing.drain(..).collect()
    }

    /// Whoever proves what he says is let in, or told why not; whoever does not is told nothing.
    fn judge(mut self, holds: bool, expected: bool) {
        let initiator = self.attacker.role.is_initiator();
        while self.victim.event() {}
        let said = self.victim_says();
        if !holds {
            assert!(!self.victim.knows_peer && !self.victim.connected, "IDP-3: an event about a stranger");
            assert_eq!(said, b"", "HSK-4: something is said to a stranger");
            let reason = self.victim.reason;
            assert!(matches!(reason, None | Some(CloseReason::Handshake(_) | CloseReason::Refused(_))));
        } else if !expected {
            assert!(!self.victim.knows_peer && !self.victim.connected);
            assert!(matches!(self.victim.reason, Some(CloseReason::NotAdmitted(_))));
            // ADM-1, ADM-2
            let told = if initiator { self.attacker.open(&said).concat() } else { said };
            assert_eq!(told, if initiator { &[0x82, 1, 0x18, 32][..] } else { b"" });
        } else {
            let mut said = said;
            if self.victim.asked {
                assert_eq!(said, b"", "ADM-3");
                self.victim.asked = false;
                self.victim.connection.admit(self.now).expect("it asks");
                while self.victim.event() {}
                said = self.victim_says();
            }
            assert!(self.victim.reason.is_none(), "{:?}: what holds is refused", self.victim.reason);
            if initiator {
                assert_eq!(self.attacker.open(&said), [[0x81, 0]], "no accept");
                assert!(self.victim.connected);
            } else {
                assert!(self.attacker.hear(&said), "no message 3");
                let accept = self.attacker.seal(&[0x81, 0]);
                self.tell(&accept);
                while self.victim.event() {}
                assert!(self.victim.connected);
            }
        }
        self.victim.ends(self.now, self.now + Duration::from_secs(1 << 20));
        if !holds {
            assert!(!self.victim.knows_peer && self.victim.connection.peer().is_none());
        }
    }
}
