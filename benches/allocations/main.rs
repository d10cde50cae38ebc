//! What is allocated, and how much of it stays: in the core, and with the feature `tokio` in its adapter.
//!
//! `cargo bench --bench allocations`, or with `--features tokio`.  It fails where the core allocates for a message.

mod core;
#[path = "../../tests/common/meter.rs"]
mod meter;
#[path = "../paths/mod.rs"]
mod paths;
#[cfg(feature = "tokio")]
mod tokio;

use meter::{Meter, metered, reset, usage};
use symbolon::Provider;

#[global_allocator]
static METER: Meter = Meter;

fn main() {
    println!("| | allocations | bytes that stay | most bytes at once |");
    println!("|---|---|---|---|");
    core::rows();
    #[cfg(feature = "tokio")]
    tokio::rows();
}

/// All that it allocates is seen; what AWS-LC does, is not.
fn provider() -> Provider {
    Provider::rust_crypto()
}

/// Prints what this thread has used, as that of so many.
fn row(name: &str, of: usize) {
    let usage = usage();
    let each = |value: usize| {
        let text = format!("{:.1}", value as f64 / of as f64);
        text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
    };
    let bytes = |value: isize| each(usize::try_from(value).unwrap_or(0));
    println!("| {name} | {} | {} | {} |", each(usage.count), bytes(usage.live), usage.peak);
}

/// Runs this so many times, and prints what one of them uses.
fn rows_of(name: &str, times: usize, mut run: impl FnMut()) {
    reset();
    metered(|| (0..times).for_each(|_| run()));
    row(name, times);
}
