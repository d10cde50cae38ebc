//! Packets: COBS and zero bytes in both directions.  SPEC §19.1

use cobs::{DecodeResult, DecoderState};

use crate::buffer::Buffer;
use crate::wire::frame;
use crate::wire::preamble::PREAMBLE_LEN;

/// Put around each packet.
const DELIMITER: u8 = 0;
/// The longest packet of a handshake that this side writes: message 2.
const WRITTEN_MAX: usize = frame::MIN_FRAME as usize;
/// What a buffer begins with.
const LEAST: usize = 64;

/// A packet, by its form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Packet<'a> {
    /// Eight bytes, perhaps a preamble; no frame has eight bytes and a preamble's magic as its length.
    Preamble([u8; PREAMBLE_LEN]),
    /// A frame, its length included.
    Frame(&'a [u8]),
}

impl<'a> Packet<'a> {
    /// SER-1; whether eight bytes are a preamble is for those to say who know the magic.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let (length, message) = bytes.split_first_chunk::<{ frame::LENGTH_PREFIX }>()?;
        if usize::from(u16::from_be_bytes(*length)) == message.len() {
            return Some(Self::Frame(bytes));
        }
        bytes.try_into().ok().map(Self::Preamble)
    }
}

/// The packet that is coming in.
#[derive(Debug)]
pub(super) struct Incoming {
    bytes: Buffer,
    state: DecoderState,
    /// Longer than the bound: forgotten up to the next zero byte.
    too_long: bool,
}

impl Incoming {
    /// How much the buffer may have where packets have at most `max` bytes.
    pub(super) const fn most(max: usize) -> usize {
        if max > LEAST { max } else { LEAST }
    }

    pub(super) fn new(at_rest: usize) -> Self {
        Self { bytes: Buffer::with_capacity(at_rest), state: DecoderState::Idle, too_long: false }
    }

    /// Takes a byte other than zero into a packet of at most `max` bytes.  SER-8
    pub(super) fn push(&mut self, byte: u8, max: usize) {
        // A byte that is not zero is never wrong in itself.
        let Ok(DecodeResult::DataContinue(byte)) = self.state.feed(byte) else { return };
        self.too_long |= self.bytes.len() >= max;
        if self.too_long {
            self.bytes.clear();
            return;
        }
        if self.bytes.len() == self.bytes.capacity() {
            let more = LEAST.saturating_sub(self.bytes.len()).max(1);
            self.bytes.make_room(more, Self::most(max));
        }
        self.bytes.extend_from_slice(&[byte]);
    }

    /// Whether nothing has come since the last zero byte.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.state, DecoderState::Idle)
    }

    /// The packet that a zero byte would end here; `None` where it would end none.
    pub(super) fn whole(&self) -> Option<Packet<'_>> {
        let ends = matches!(self.state, DecoderState::Grab(0) | DecoderState::GrabChain(0));
        if ends && !self.too_long { Packet::of(&self.bytes) } else { None }
    }

    /// Forgets the packet: a zero byte has come.
    pub(super) fn restart(&mut self) {
        self.bytes.clear();
        self.state = DecoderState::Idle;
        self.too_long = false;
    }

    pub(super) fn shrink(&mut self, at_rest: usize) {
        if self.is_empty() {
            self.bytes.shrink_to(at_rest);
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Packets on their way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Buffer,
    sent: usize,
    /// How far in front of its place a packet is written: what its encoding adds at most.
    ahead: usize,
    /// How much the buffer may have.
    most: usize,
}

impl Outgoing {
    /// With room for one packet of this length; none is longer than `longest`.
    pub(super) fn new(at_rest: usize, longest: usize) -> Self {
        let bytes = Buffer::with_capacity(encoded_len_max(at_rest.min(longest)));
        Self { bytes, sent: 0, ahead: encoded_len_max(longest) - longest, most: Self::most(longest) }
    }

    /// How much the buffer may have where packets have at most this length; the handshake's come in pairs.
    pub(super) const fn most(longest: usize) -> usize {
        let (one, pair) =
            (encoded_len_max(longest), encoded_len_max(PREAMBLE_LEN) + encoded_len_max(WRITTEN_MAX));
        if one > pair { one } else { pair }
    }

    pub(super) fn unsent(&self) -> Option<&[u8]> {
        self.bytes.get(self.sent..).filter(|unsent| !unsent.is_empty())
    }

    pub(super) fn advance(&mut self, written: usize) {
        self.sent = self.sent.saturating_add(written).min(self.bytes.len());
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        }
    }

    /// Appends this packet.
    pub(super) fn push(&mut self, packet: &[u8]) {
        self.bytes.make_room(self.ahead + packet.len(), self.most);
        self.push_with(|bytes| bytes.extend_from_slice(packet));
    }

    /// Appends a packet that `write` appends, in zero bytes: the one before it ends what noise has left at the receiver.
    /// Nothing where it appends nothing; whether it did.  SER-6
    ///
    /// The packet is encoded where it lies, so that a frame is sealed into the very memory that it leaves from: `write`
    /// finds room for the longest ahead of it.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Buffer)) -> bool {
        let start = self.bytes.len();
        let packet = start + self.ahead;
        self.bytes.make_room(self.ahead, self.most);
        self.bytes.append(self.ahead).fill(DELIMITER);
        write(&mut self.bytes);
        if self.bytes.len() == packet {
            self.bytes.truncate(start);
            return false;
        }
        let end = encode(&mut self.bytes, start + 1, packet);
        self.bytes.truncate(end);
        self.bytes.extend_from_slice(&[DELIMITER]);
        true
    }

    pub(super) fn shrink(&mut self, at_rest: usize) {
        if self.bytes.is_empty() {
            self.bytes.shrink_to(encoded_len_max(at_rest));
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Encodes the packet at the end of these bytes, in them, from `start` on; where its encoding ends.  SER-7
///
/// What is written never reaches what is still to be read, as long as the two are so far apart as the encoding adds.
fn encode(bytes: &mut [u8], start: usize, packet: usize) -> usize {
    let (mut block, mut to) = (start, start + 1);
    for from in packet..bytes.len() {
        let byte = bytes[from];
        // Not before something follows: a full block that ends the packet is its last.
        if to - block == usize::from(u8::MAX) {
            bytes[block] = u8::MAX;
            (block, to) = (to, to + 1);
        }
        if byte == DELIMITER {
            bytes[block] = (to - block) as u8;
            block = to;
        }
        bytes[to] = byte;
        to += 1;
    }
    bytes[block] = (to - block) as u8;
    to
}

/// What a packet takes on the line, with its zero bytes.
#[cfg_attr(target_os = "none", inline(never))]
const fn encoded_len_max(len: usize) -> usize {
    cobs::max_encoding_length(len) + 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn whole(incoming: &mut Incoming, bytes: &[u8], max: usize) -> Option<Vec<u8>> {
        for byte in bytes {
            incoming.push(*byte, max);
        }
        let packet = incoming.whole().map(|packet| match packet {
            Packet::Preamble(preamble) => preamble.to_vec(),
            Packet::Frame(frame) => frame.to_vec(),
        });
        incoming.restart();
        packet
    }

    fn frame(content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("a short frame").to_be_bytes();
        [&length[..], content].concat()
    }

    /// SER-1, SER-6, SER-7, SER-8: `tests/vectors/cobs.json`.
    #[test]
    fn vectors() {
        for vector in crate::tests::vectors("cobs") {
            if vector.has("packet") {
                let (packet, encoded) = (vector.bytes("packet"), vector.bytes("encoded"));
                let mut outgoing = Outgoing::new(0, 2_000);
                outgoing.push(&packet);
                let line = outgoing.unsent().expect("a packet");
                if vector.field("canonical") == true {
                    assert_eq!(line.strip_prefix(&[DELIMITER]).unwrap_or(line), encoded, "{}", vector.id());
                }
                let mut incoming = Incoming::new(64);
                encoded[..encoded.len() - 1].iter().for_each(|byte| incoming.push(*byte, 2_000));
                assert_eq!(*incoming.bytes, *packet, "{}", vector.id());
                continue;
            }
            let max = usize::try_from(vector.number("max")).expect("a length");
            let packets = vector.field("packets").as_array().expect("a list");
            let mut expected = packets.iter().map(crate::tests::unhex);
            let mut incoming = Incoming::new(64);
            for byte in vector.bytes("stream") {
                if byte != 0 {
                    incoming.push(byte, max);
                    continue;
                }
                let taken = match incoming.whole() {
                    Some(Packet::Frame(frame)) => Some(frame.to_vec()),
                    // What is a preamble, the line sees by its magic.
                    Some(Packet::Preamble(preamble)) => Some(preamble.to_vec())
                        .filter(|preamble| preamble.starts_with(b"symb") || preamble.starts_with(b"olon")),
                    None => None,
                };
                if let Some(taken) = taken {
                    assert_eq!(Some(taken), expected.next(), "{}", vector.id());
                }
                incoming.restart();
            }
            assert_eq!(expected.next(), None, "{}", vector.id());
        }
    }

    /// SER-7: around the length of a full block, with and without an empty block behind.
    #[test]
    fn full_blocks() {
        for len in 240..520 {
            let frame = frame(&vec![7; len]);
            let mut outgoing = Outgoing::new(0, 1_000);
            outgoing.push(&frame);
            let sent = outgoing.unsent().expect("a packet");
            assert!(sent.len() <= frame.len() + frame.len().div_ceil(254) + 2);
            let blocks = &sent[1..sent.len() - 1];
            assert!(!blocks.contains(&0));
            let mut incoming = Incoming::new(0);
            assert_eq!(whole(&mut incoming, blocks, 600).as_ref(), Some(&frame));
            // The length's zero, or the 1 in its place, makes a block of its own or begins the first run.
            let run = frame.iter().rev().take_while(|byte| **byte != 0).count();
            let longer = whole(&mut incoming, &[blocks, &[1]].concat(), 600);
            assert_eq!(longer.is_some(), run % 254 == 0, "{len}");
            assert!(longer.is_none_or(|packet| packet == frame));
        }
    }

    /// SER-8: exactly the bound still fits.
    #[test]
    fn the_bound() {
        let frame = frame(&[0; 400]);
        let mut outgoing = Outgoing::new(0, 1_000);
        outgoing.push(&frame);
        let sent = outgoing.unsent().expect("a packet");
        let mut incoming = Incoming::new(0);
        assert_eq!(whole(&mut incoming, &sent[1..sent.len() - 1], 402).as_ref(), Some(&frame));
        assert_eq!(whole(&mut incoming, &sent[1..sent.len() - 1], 401), None);
        assert!(incoming.capacity() <= 402);
        assert_eq!(whole(&mut incoming, &sent[1..sent.len() - 1], 402).as_ref(), Some(&frame));
    }

    proptest! {
        /// SER-6
        #[test]
        fn there_and_back(contents in proptest::collection::vec(proptest::collection::vec(0_u8..4, 0..700), 1..4)) {
            let mut outgoing = Outgoing::new(0, 1_000);
            contents.iter().for_each(|content| outgoing.push(&frame(content)));
            let sent = outgoing.unsent().expect("packets").to_vec();
            let mut incoming = Incoming::new(0);
            let blocks = sent.split(|byte| *byte == 0).filter(|blocks| !blocks.is_empty());
            let packets: Vec<_> = blocks.map(|blocks| whole(&mut incoming, blocks, 1_000)).collect();
            let frames: Vec<_> = contents.iter().map(|content| Some(frame(content))).collect();
            prop_assert_eq!(packets, frames);
            outgoing.advance(sent.len() + 1);
            prop_assert!(outgoing.unsent().is_none());
        }

        #[test]
        fn any_bytes(bytes: Vec<u8>, max in 0_usize..100) {
            let mut incoming = Incoming::new(0);
            for byte in bytes {
                if byte == 0 {
                    let _ = incoming.whole();
                    incoming.restart();
                } else {
                    incoming.push(byte, max);
                }
                prop_assert!(incoming.capacity() <= max.max(LEAST));
            }
        }
    }
}
