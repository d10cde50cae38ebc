//! Tests of the decoders, each against the clause that it names.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::cbor::Sink;
use super::message::Message;

mod encoding;
mod messages;
mod payloads;
mod round_trips;
mod vectors;

/// Bytes from hexadecimal; spaces are for the reader.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter(|c| *c != ' ').map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A message, in a buffer of its own.
fn encoded(message: Message<'_>) -> Vec<u8> {
    let message = message.measured();
    let mut out = vec![0; message.len()];
    message.encode_into(&mut out);
    out
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Numbers of every length, as likely as each other.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(number, shift)| number >> shift)
}
