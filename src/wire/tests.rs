//! Tests of the decoders, each against the clause that it names.

use alloc::vec::Vec;

use proptest::prelude::*;

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
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

/// Numbers of every length, as likely as each other.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(number, shift)| number >> shift)
}
