//! What the fuzz targets check.  `tests/fuzz_corpus.rs` replays the corpus through the same functions, on any compiler.
//!
//! A script is a list of steps, one byte each, some with bytes behind it.  Any bytes are a script, and a script is the
//! same in every version of every library, so a corpus keeps its meaning.

#![allow(dead_code, unreachable_pub, reason = "a test includes this file as a module")]

/// The independent peer, and messages by hand: one copy, which the tests have as well.
#[allow(clippy::new_without_default, reason = "in the tests it is private")]
#[path = "../../tests/common/mod.rs"]
pub mod common;

mod authenticated;
mod cobs;
mod commands;
mod compose;
mod connection;
mod description;
mod framing;
mod handshake;
mod line;
mod packets;
mod script;
mod side;
mod stranger;
mod strict;

use std::sync::OnceLock;

use symbolon::{Config, Identity, Limits, Provider, SecretKey, Seed};

pub use authenticated::authenticated;
pub use connection::connection;
pub use description::description;
pub use framing::framing;
pub use handshake::handshake;
pub use line::line;

/// A device with room for little, and one with the defaults.
fn devices() -> &'static [Config; 2] {
    static DEVICES: OnceLock<[Config; 2]> = OnceLock::new();
    DEVICES.get_or_init(|| {
        // The same on each processor: a corpus keeps its meaning.
        let device = |n: u8| {
            let identity = Identity::new(&SecretKey::from_bytes([n; 32]), seed(n));
            Config::new(identity).with_provider(Provider::rust_crypto())
        };
        [device(1).with_limits(Limits::small()).expect("limits in range"), device(2)]
    })
}

fn seed(n: u8) -> Seed {
    Seed::new(std::array::from_fn(|i| n ^ i as u8)).expect("bytes that differ")
}

/// How many bytes go over at once.
fn piece(number: usize) -> usize {
    if number == 0 { usize::MAX } else { 1 << (number - 1) }
}
