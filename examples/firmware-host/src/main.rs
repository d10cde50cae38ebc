//! Tests the firmware from outside: it starts the board in QEMU, and talks to it over its UART, with symbolon's adapter for
//! std, and over TCP, with the one for tokio; as a friend, as a stranger, and as whoever sends what nobody should.
//!
//! ```text
//! symbolon-firmware-host uart FIRMWARE           the serial line
//! symbolon-firmware-host tcp FIRMWARE            sockets, both ways
//! symbolon-firmware-host memory FIRMWARE         what the serial line takes of its memory
//! symbolon-firmware-host dies FIRMWARE TEXT      the firmware ends with status 1, and says this
//! ```
//!
//! It prints a line for each scenario, and ends with status 0 only where all went as it should.  It always ends.

mod board;
mod hostile;
// What the board and its callers share is written once.
#[path = "../../firmware/src/messages.rs"]
mod messages;
mod tcp;
mod uart;

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use board::Board;
use symbolon::{Identity, SecretKey, Seed};

pub type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// All of it may take so long.
const LIMIT: Duration = Duration::from_secs(150);

/// Who is who, by the bytes of their secret keys.
pub const BOARD: u8 = 1;
pub const FRIEND: u8 = 2;
pub const STRANGER: u8 = 66;

/// The identity with this key.
pub fn identity(key: u8) -> Identity {
    let seed = Seed::random().expect("the operating system has randomness");
    Identity::new(&SecretKey::from_bytes([key; 32]), seed)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // The board is killed with its last handle, so not by this: QEMU sees its parent gone.
    board::end_after(LIMIT);
    let done = match arguments[..] {
        ["uart", firmware] => Board::start(Path::new(firmware)).and_then(|board| uart::run(&board)),
        ["tcp", firmware] => Board::start(Path::new(firmware)).and_then(|board| tcp::run(&board)),
        ["memory", firmware] => Board::start(Path::new(firmware)).and_then(|board| uart::memory_used(&board)),
        ["dies", firmware, text] => board::dies(Path::new(firmware), text),
        _ => Err("usage: uart FIRMWARE | tcp FIRMWARE | memory FIRMWARE | dies FIRMWARE TEXT".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a scenario, and says how long it took.
pub fn scenario(name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    run().map_err(|error| format!("{name}: {error}"))?;
    println!("{:>7.2} s  {name}", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Fails with what was expected.
pub fn check(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(what().into()) }
}

/// Asks the board by `board/call` to call our `echo` so many times.
pub fn order(count: u32) -> Vec<u8> {
    [&count.to_be_bytes()[..], b"echo"].concat()
}

/// Bytes of an image that nobody has seen before.
pub fn image(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 32);
    while bytes.len() < len {
        bytes.extend_from_slice(&random());
    }
    bytes.truncate(len);
    bytes
}

/// 32 random bytes.
fn random() -> [u8; 32] {
    use std::io::Read;
    let mut bytes = [0; 32];
    let urandom = std::fs::File::open("/dev/urandom");
    urandom.and_then(|mut urandom| urandom.read_exact(&mut bytes)).expect("the host has /dev/urandom");
    bytes
}
