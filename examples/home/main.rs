//! A home without a hub: four devices, each a process of its own, that meet over TCP, prove who they are, and
//! do their work together.
//!
//! ```text
//!            room/load                      fan/set
//!   sensor ────────────► thermostat ─────────────────────► fan
//!      │                      │                             │
//!      └──────────────────────┴────► display ◄──────────────┘
//!          room/load, thermostat/state, fan/state
//! ```
//!
//! The sensor measures how busy this machine is and makes it busy; the thermostat sees the load cross its
//! threshold and has the fan switched on; the sensor hears of the fan and calms down.  Run it:
//!
//! ```text
//! cargo run --features tokio --example home
//! ```

mod display;
mod fan;
mod house;
mod load;
mod member;
mod messages;
mod sensor;
mod thermostat;

use std::error::Error;
use std::process::ExitCode;

/// What any part of the example may fail with.
type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        None => house::run().await,
        Some("sensor") => sensor::run().await,
        Some("fan") => fan::run().await,
        Some("thermostat") => thermostat::run().await,
        Some("display") => display::run().await,
        Some(other) => Err(format!("no device is called {other}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("home: {failure}");
            ExitCode::FAILURE
        }
    }
}
