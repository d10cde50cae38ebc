//! One hot path of the core, run as often as is said: for callgrind, which counts its instructions.
//!
//! `count.py` beside it builds it, takes the difference of two runs, and compares it with what is committed.

#[path = "../paths/mod.rs"]
mod paths;

use std::env;

use paths::{Chunks, Conversation, Devices, Publications, Publishers, Subscribing};
use symbolon::Provider;

/// Links of the fan-out: enough that what each costs is most of it.
const LINKS: u64 = 50;

/// A name, and what makes the path ready to be run.
type Path = (&'static str, fn(Provider) -> Box<dyn FnMut()>);

const PATHS: &[Path] = &[
    ("handshake", |provider| {
        let devices = Devices::new(provider);
        Box::new(move || drop(devices.handshake()))
    }),
    ("request-64", |provider| {
        let mut conversation = Conversation::new(provider);
        Box::new(move || _ = conversation.run())
    }),
    ("publications-64", |provider| {
        let mut publications = Publications::filling(provider, 64);
        Box::new(move || _ = publications.run())
    }),
    ("publication-16k", |provider| {
        let mut publications = Publications::longest(provider);
        Box::new(move || _ = publications.run())
    }),
    ("chunk-16k", |provider| {
        let mut chunks = Chunks::new(provider, Chunks::OF_A_FRAME);
        Box::new(move || _ = chunks.run())
    }),
    ("subscribe", |provider| {
        let mut subscribing = Subscribing::new(provider);
        Box::new(move || _ = subscribing.run())
    }),
    ("fan-out-50", |provider| {
        let mut publishers = Publishers::new(provider, LINKS);
        Box::new(move || _ = publishers.run())
    }),
];

fn main() {
    // Always the same, whatever is the default.
    let provider = Provider::rust_crypto();
    let arguments: Vec<String> = env::args().skip(1).collect();
    // `cargo bench` and `cargo test --benches` only look whether everything runs.
    let [name, times] = arguments.as_slice() else {
        for (name, path) in PATHS {
            path(provider)();
            println!("{name}");
        }
        return;
    };
    let (_, path) = PATHS.iter().find(|(known, _)| known == name).expect("the name of a path");
    let mut path = path(provider);
    for _ in 0..times.parse().expect("how often") {
        path();
    }
}
