//! symbolon's own core behind the adapter protocol of `tests/vectors/README.md`: JSON lines in, JSON lines out.
//!
//! A model for adapters of other implementations: `cargo run --example conformance -- COMMAND` drives one.

mod application;
mod events;
mod link;
mod subject;

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};
use symbolon::Provider;

fn main() -> io::Result<()> {
    let mut subject = subject::Subject::new(Provider::default());
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let answer = match serde_json::from_str::<Value>(&line?) {
            Ok(command) if command["cmd"] == "quit" => break,
            Ok(command) => subject.answer(&command),
            Err(error) => json!({ "unsupported": error.to_string() }),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
