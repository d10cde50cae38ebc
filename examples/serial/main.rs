//! A gateway and a sensor on a serial line: a real pseudo-terminal, in raw mode, between two processes.
//!
//! The gateway reads temperatures, then spoils the line with noise, then kills the sensor in the middle of its
//! work and starts it again.  Nothing of that has to be told to symbolon: sessions end, and new ones begin.
//!
//! ```text
//! cargo run --example serial
//! ```

#[cfg(unix)]
mod gateway;
#[cfg(unix)]
mod messages;
#[cfg(unix)]
mod port;
#[cfg(unix)]
mod sensor;

use std::process::ExitCode;

/// What any part of the example may fail with.
#[cfg(unix)]
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[cfg(unix)]
fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1) {
        None => gateway::run(),
        Some(port) => sensor::run(&port),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("serial: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    eprintln!("serial: pseudo-terminals are a thing of Unix");
    ExitCode::FAILURE
}
