//! COBS in a few lines, from the description in SPEC §19.1 alone; and an attacker who speaks it.

use std::time::Duration;

use symbolon::{Instant, Role};

use crate::common::attacker::{Attacker, Knobs};
use crate::world::{Side, Talk};

/// The packet as blocks, without a zero byte behind.
pub fn encode(packet: &[u8]) -> Vec<u8> {
    let (mut out, mut block) = (Vec::new(), Vec::new());
    let mut open = true;
    for (place, byte) in packet.iter().enumerate() {
        open = true;
        if *byte != 0 {
            block.push(*byte);
        }
        let full = block.len() == 254;
        if *byte == 0 || full {
            out.push(block.len() as u8 + 1);
            out.append(&mut block);
            open = !full || place + 1 < packet.len();
        }
    }
    if open {
        out.push(block.len() as u8 + 1);
        out.append(&mut block);
    }
    out
}

/// The packet, or `None` where it breaks off within a block.
pub fn decode(mut blocks: &[u8]) -> Option<Vec<u8>> {
    let mut packet = Vec::new();
    while let Some((code, rest)) = blocks.split_first() {
        let (bytes, rest) = rest.split_at_checked(usize::from(*code) - 1)?;
        packet.extend_from_slice(bytes);
        if *code < 255 && !rest.is_empty() {
            packet.push(0);
        }
        blocks = rest;
    }
    Some(packet)
}

/// As it goes over the line.
pub fn on_the_line(packet: &[u8]) -> Vec<u8> {
    [encode(packet), vec![0]].concat()
}

/// All packets of these bytes, the empty ones left out.
pub fn packets(bytes: &[u8]) -> Vec<Vec<u8>> {
    assert!(bytes.is_empty() || bytes.ends_with(&[0]), "a packet without its zero byte");
    let blocks = bytes.split(|byte| *byte == 0).filter(|blocks| !blocks.is_empty());
    blocks.map(|blocks| decode(blocks).expect("whole blocks")).collect()
}

/// The attacker of the other tests at one end of a line, and a device that lets him in at the other.
pub struct OnLine {
    pub attacker: Attacker,
    pub side: Side,
    pub now: Instant,
}

impl OnLine {
    /// The device has number 1, and lets the attacker in.
    pub fn new(role: Role, knobs: Knobs) -> Self {
        let mut side = Side::new(1, 2, 7);
        side.peer = knobs.peer_id();
        Self { attacker: Attacker::new(role, knobs), side, now: Instant::from_millis(1_000) }
    }

    /// A session by the book, with everything said and heard; its packets, in order, are the attacker's.
    pub fn connected(role: Role) -> Self {
        let mut this = Self::new(role, Knobs::default());
        if role.is_initiator() {
            let first = this.attacker.begin();
            this.say(&first[..8]);
            this.say(&first[8..]);
            assert!(this.hear_handshake());
            let message_3 = this.attacker.say();
            this.say(&message_3);
            assert_eq!(this.heard(), [crate::common::cbor::message::accept()]);
        } else {
            this.side.dial(this.now);
            let answer = this.attacker.begin();
            this.hear_handshake();
            this.say(&answer);
            let message_2 = this.attacker.say();
            this.say(&message_2);
            assert!(this.hear_handshake());
            let accept = this.attacker.seal(&crate::common::cbor::message::accept());
            this.say(&accept);
        }
        assert!(this.side.is_connected());
        this
    }

    /// Sends one packet.
    pub fn say(&mut self, packet: &[u8]) {
        self.side.hear(self.now, &on_the_line(packet));
    }

    /// What the device sent, packet by packet.
    pub fn packets(&mut self) -> Vec<Vec<u8>> {
        packets(&self.side.say(self.now))
    }

    /// The attacker takes the device's handshake packets; whether a message of it opened.
    pub fn hear_handshake(&mut self) -> bool {
        let stream = self.packets().concat();
        self.attacker.hear(&stream)
    }

    /// The plaintexts of the frames that the device sent.
    pub fn heard(&mut self) -> Vec<Vec<u8>> {
        let stream = self.packets().concat();
        self.attacker.open(&stream)
    }

    pub fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.side.wake(self.now);
    }

    pub fn running(&mut self) -> &mut Talk {
        self.side.running()
    }
}
