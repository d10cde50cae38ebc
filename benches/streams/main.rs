//! Bodies in chunks over the loopback interface: how fast against the bare cipher, what a call notices of them, how
//! fairly they share, and how much memory they take.
//!
//! `cargo bench --features tokio --bench streams`; `benches/shaped` runs it on an interface of 100 Mbit/s.

mod bare;
#[path = "../../tests/common/meter.rs"]
mod meter;
mod pair;
#[path = "../primitives/mod.rs"]
mod primitives;

use std::env;
use std::io::Write;
use std::time::{Duration, Instant};

use pair::{Blocking, Tokio};
use primitives::{ALL, Primitives};
use symbolon::{Limits, Provider};

/// A transfer reaches at least this much of what the bare cipher does over the same kind of socket.
const BARE_BOUND: f64 = 0.85;
/// The slowest of ten bodies gets at least this much of their mean.
const FAIR_BOUND: f64 = 0.8;

#[global_allocator]
static METER: meter::Meter = meter::Meter;

/// How much is moved, and how often.
struct Size {
    round: u64,
    rounds: usize,
    whole: u64,
    calls: usize,
}

impl Size {
    fn chosen() -> Self {
        let mebibytes = |variable: &str, usual: u64| {
            env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual) << 20
        };
        // `cargo test --benches` only looks whether everything runs.
        if env::args().any(|argument| argument == "--bench") {
            let calls = env::var("CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000);
            Self {
                round: mebibytes("ROUND_MIB", 256),
                rounds: 7,
                whole: mebibytes("WHOLE_MIB", 1_024),
                calls,
            }
        } else {
            Self { round: 4 << 20, rounds: 1, whole: 8 << 20, calls: 50 }
        }
    }
}

fn main() {
    let size = Size::chosen();
    ALL.iter().for_each(|primitives| throughput(primitives, &size));
    memory_of_one(&size);
    calls_beside(&size);
    ten_at_once(&size);
}

/// Rounds that take turns, so that a machine that slows down for a while slows all.
fn throughput(primitives: &Primitives, size: &Size) {
    let Primitives { name, provider, .. } = primitives;
    let (tokio, blocking) = (Tokio::new(provider()), Blocking::new(provider()));
    let mut ratios = [const { Vec::new() }; 2];
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..size.rounds {
        let bare = bare::transfer(primitives, size.round);
        let ours = [tokio.upload(size.round), blocking.upload(size.round)];
        rates[0].push(size.round as f64 / bare.as_secs_f64());
        for (at, took) in ours.into_iter().enumerate() {
            ratios[at].push(bare.as_secs_f64() / took.as_secs_f64());
            rates[at + 1].push(size.round as f64 / took.as_secs_f64());
        }
    }
    let [bare, on_tokio, on_threads] = rates.map(|rates| median(rates) / 1e6);
    println!(
        "{name}: bare cipher over a socket pair {bare:.0} MB/s, tokio {on_tokio:.0} MB/s, blocking {on_threads:.0} MB/s"
    );
    let [on_tokio, on_threads] = ratios.map(median);
    println!("ratio stream tokio/{name} {on_tokio:.2} (bound {BARE_BOUND})");
    println!("ratio stream blocking/{name} {on_threads:.2} (bound {BARE_BOUND})");
}

/// One long transfer: what both ends together hold at most, beyond what they held before.
fn memory_of_one(size: &Size) {
    let limits = Limits::default();
    // Both windows' worth of unread and unsent bytes, frames and queues included.
    let bound = 2 * (limits.window as usize + limits.body_buffer) + (1 << 20);
    let blocking = Blocking::new(Provider::default());
    blocking.upload(1 << 20);
    let before = meter::mark();
    let took = blocking.upload(size.whole);
    let peak = meter::peak_since(before);
    let rate = size.whole as f64 / took.as_secs_f64() / 1e6;
    println!(
        "memory of both ends during {} MiB at {rate:.0} MB/s: at most {} KiB more than before (bound {} KiB)",
        size.whole >> 20,
        peak >> 10,
        bound >> 10
    );
    assert!(peak <= bound, "{peak} bytes");
}

/// A call of 64 bytes alone, and while a body takes all that the link has.
fn calls_beside(size: &Size) {
    let tokio = Tokio::new(Provider::default());
    let idle = tokio.calls(size.calls);
    let begun = Instant::now();
    let (busy, moved) = tokio.calls_beside_a_stream(size.calls);
    let rate = moved as f64 / begun.elapsed().as_secs_f64();
    let window = Duration::from_secs_f64(f64::from(Limits::default().window) / rate);
    let show = |name: &str, calls: &[Duration]| {
        println!("call of 64 bytes {name}: p50 {:?}, p99 {:?}", at(calls, 500), at(calls, 990));
    };
    show("alone", &idle);
    show("beside a stream", &busy);
    println!("the stream moved {:.0} MB/s; one window takes {window:?}", rate / 1e6);
    let ratio = at(&busy, 990).as_secs_f64() / (at(&idle, 990) + window).as_secs_f64();
    println!("ratio call beside a stream {ratio:.2} (bound 1)");
}

/// Ten bodies on one link, each with all that it can write.
fn ten_at_once(size: &Size) {
    let moved = Tokio::new(Provider::default())
        .many(10, Duration::from_millis(if size.calls < 1_000 { 100 } else { 3_000 }));
    let mean = moved.iter().sum::<u64>() as f64 / moved.len() as f64;
    let slowest = moved.iter().copied().min().unwrap_or_default() as f64;
    println!("ratio slowest of ten streams to their mean {:.2} (at least {FAIR_BOUND})", slowest / mean);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn at(sorted: &[Duration], of_thousand: usize) -> Duration {
    sorted[sorted.len() * of_thousand / 1_000]
}

/// Writes so many bytes of nothing in particular.
fn fill(mut writer: impl Write, len: u64) {
    let block = [0x5a; 64 * 1024];
    let mut left = len;
    while left > 0 {
        let some = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        writer.write_all(&block[..some]).expect("a reader");
        left -= some as u64;
    }
}
