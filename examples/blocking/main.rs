//! Two devices, each a process of its own, without any async runtime: a sensor that works hard and says how busy
//! the machine is, and a fan that has a thermostat.  They hold one connection, over which each is client and server
//! at once.
//!
//! ```text
//!            ──── room/load, published ────►
//!            ◄─── sensor/pace, called ──────
//!   sensor                                     fan
//!            ◄─── fan/state, published ─────
//!            ──── fan/set, called ─────────►
//! ```
//!
//! The fan tells the sensor how often to measure, hears of the load and switches itself on; the sensor hears of
//! that, stops its hard work, has the fan switched off and takes its leave.  Run it:
//!
//! ```text
//! cargo run --example blocking
//! ```

mod fan;
mod introduction;
mod load;
mod messages;
mod pair;
mod sensor;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

/// What any part of the example may fail with.
type Failure = Box<dyn Error + Send + Sync>;

/// How long the load may take to cross the threshold.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        None => pair::run(),
        Some("sensor") => sensor::run(),
        Some("fan") => fan::run(),
        Some(other) => Err(format!("no device is called {other}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("blocking: {failure}");
            ExitCode::FAILURE
        }
    }
}
