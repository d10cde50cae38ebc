//! What the protocol costs on top of its cryptography: each thing stands beside the same operations done bare.
//!
//! After criterion's groups the ratios are measured in rounds that take turns, so that a machine that slows down for a
//! while slows both sides of the division, and printed beside the bounds that the project has set itself.
//!
//! `cargo bench --bench core`, or `-- --quick`; `-- frame` measures only what has that in its name.

mod bounds;
mod codec;
mod fan_out;
mod frames;
mod handshakes;
#[path = "../paths/mod.rs"]
mod paths;
#[path = "../primitives/mod.rs"]
mod primitives;
#[path = "../ratio/mod.rs"]
mod ratio;
mod streams;

use std::env;

use criterion::{Criterion, Throughput};
use primitives::Primitives;
use ratio::Beside;

/// Each makes what it measures, which is gone before the next one is made.
const SUBJECTS: &[fn(&Primitives) -> Vec<Beside>] = &[
    handshakes::subjects,
    frames::of_one_message,
    frames::of_requests,
    frames::of_many_publications,
    streams::subjects,
    fan_out::subjects,
];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    each(|beside| group(&mut criterion, beside));
    criterion.final_summary();
    // `cargo test --benches` only looks whether everything runs.
    if env::args().any(|argument| argument == "--bench") {
        let wanted = env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
        each(|beside| {
            if beside.name.contains(&wanted) {
                beside.print();
            }
        });
    }
}

fn each(mut measure: impl FnMut(&mut Beside)) {
    codec::subjects().iter_mut().for_each(&mut measure);
    for primitives in primitives::ALL {
        for subjects in SUBJECTS {
            for mut beside in subjects(primitives) {
                beside.name = format!("{}/{}", beside.name, primitives.name);
                measure(&mut beside);
            }
        }
    }
}

fn group(criterion: &mut Criterion, beside: &mut Beside) {
    let mut group = criterion.benchmark_group(beside.name.as_str());
    if beside.bytes > 0 {
        group.throughput(Throughput::Bytes(beside.bytes));
    }
    group.bench_function("symbolon", |bencher| bencher.iter_custom(|times| (beside.ours)(times)));
    group.bench_function("bare", |bencher| bencher.iter_custom(|times| (beside.bare)(times)));
    group.finish();
}
