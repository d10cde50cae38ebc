//! The corpus of the fuzz targets, replayed on any compiler; what a campaign finds is added to it and stays found.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::{Path, PathBuf};

/// A target's name, its function and its least number of scripts.
type Target = (&'static str, fn(&[u8]), usize);

const TARGETS: [Target; 6] = [
    ("authenticated", fuzz::authenticated, 60),
    ("connection", fuzz::connection, 30),
    ("description", fuzz::description, 50),
    ("framing", fuzz::framing, 38),
    ("handshake", fuzz::handshake, 70),
    ("line", fuzz::line, 10),
];

#[test]
fn the_corpus_of_authenticated_breaks_no_promise() {
    replay("authenticated");
}

#[test]
fn the_corpus_of_connection_breaks_no_promise() {
    replay("connection");
}

#[test]
fn the_corpus_of_description_breaks_no_promise() {
    replay("description");
}

#[test]
fn the_corpus_of_framing_breaks_no_promise() {
    replay("framing");
}

#[test]
fn the_corpus_of_handshake_breaks_no_promise() {
    replay("handshake");
}

#[test]
fn the_corpus_of_line_breaks_no_promise() {
    replay("line");
}

#[test]
fn each_target_is_replayed_and_run() {
    let mut programs: Vec<String> = names("fuzz/fuzz_targets");
    let mut corpora = names("fuzz/corpus");
    programs.sort();
    corpora.sort();
    let known: Vec<_> = TARGETS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(programs, known.iter().map(|name| format!("{name}.rs")).collect::<Vec<_>>());
    assert_eq!(corpora, known);
    // `.ci/run` takes them from the manifest.
    let manifest = fs::read_to_string(folder("fuzz/Cargo.toml")).expect("a manifest");
    for name in known {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}

fn replay(target: &str) {
    let (_, check, at_least) = TARGETS.iter().find(|(name, ..)| *name == target).expect("a target");
    let scripts = names(&format!("fuzz/corpus/{target}"));
    for name in &scripts {
        // Captured by the harness, and shown where the script fails.
        println!("{name}");
        let script = fs::read(folder(&format!("fuzz/corpus/{target}/{name}"))).expect("a script");
        assert!(target == "line" || script.len() < 2_048, "{name} is long");
        check(&script);
    }
    assert!(scripts.len() >= *at_least, "the corpus has {} scripts", scripts.len());
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names(of: &str) -> Vec<String> {
    let entries = fs::read_dir(folder(of)).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

/// Scripts from a fixed generator, so that also those who never fuzz have tried a few.
#[test]
fn random_scripts_break_no_promise() {
    /// What moves a conversation on: bytes both ways, and events.
    const USUAL: [u8; 4] = [0x80, 0x90, 0xc0, 0xc8];
    let mut random = generator();
    for run in 0..100 {
        let mut script = vec![run as u8 & 1];
        script.extend([0x80, 0x90].repeat(5));
        for _ in 0..400 {
            script.push(match random() % 64 {
                // Rare, since they end the conversation: damage, the end of the stream, great leaps.
                0 => 0xa0 | random() as u8,
                1..=32 => USUAL[random() % USUAL.len()],
                33..=48 => 0xd0 | (random() % 11) as u8,
                _ => 0xe0 | (random() % 11) as u8,
            });
        }
        fuzz::connection(&script);
    }
}

/// The same about bodies in chunks: command 15 with an operand that names one.
#[test]
fn random_scripts_of_bodies_break_no_promise() {
    const USUAL: [u8; 4] = [0x80, 0x90, 0xc0, 0xc8];
    let mut random = generator();
    for run in 0..200 {
        let mut script = vec![run as u8 & 1];
        script.extend([0x80, 0x90].repeat(5));
        for _ in 0..400 {
            match random() % 128 {
                0 => script.push(0xa0 | (random() % 8) as u8),
                1 => script.push(0xb8),
                2 => script.extend([0xd0 + (random() % 16) as u8, random() as u8]),
                3..=63 => script.push(USUAL[random() % USUAL.len()]),
                64..=95 => script.extend([0xdf, random() as u8]),
                _ => script.extend([0xef, random() as u8]),
            }
        }
        fuzz::connection(&script);
    }
}

#[test]
fn random_scripts_on_a_line_break_no_promise() {
    let mut random = generator();
    for _ in 0..40 {
        let mut script = Vec::new();
        for _ in 0..300 {
            match random() % 32 {
                // Time, dialling, restarts, losses, damage; noise with zero bytes in it.
                0..=3 => script.push(0xa0 + random() as u8 % 0x60),
                4..=7 => script.extend([3, random() as u8, 0, random() as u8 | 1, 0]),
                8..=11 => script.push(0xb0 + random() as u8 % 0x10),
                12..=20 => script.push(0x80 + random() as u8 % 0x20),
                _ => script.extend([0x80, 0x90]),
            }
        }
        fuzz::line(&script);
    }
}

/// What a peer says that was let in: messages of all kinds, few of them spoilt, and an application that mostly listens.
#[test]
fn random_plaintexts_break_no_promise() {
    let mut random = generator();
    for run in 0..150 {
        let mut script = vec![run as u8 & 7, random() as u8];
        for _ in 0..80 {
            match random() % 16 {
                0 => script.extend([0xd0 + (random() % 16) as u8, random() as u8]),
                1 => script.push(0xa0 + (random() % 32) as u8),
                2..=5 => script.push([0x80, 0x88, 0x90, 0x81][random() % 4]),
                _ => {
                    // A message, with operands that are most often small.
                    script.extend([0x40, (random() % 24) as u8]);
                    script.extend((0..8).map(|_| operand(&mut random)));
                }
            }
        }
        fuzz::authenticated(&script);
    }
}

#[test]
fn random_handshakes_break_no_promise() {
    let mut random = generator();
    for run in 0..300 {
        let mut script = vec![run as u8];
        script.extend((0..40).map(|_| random() as u8 | if run % 2 == 0 { 0x80 } else { 0 }));
        fuzz::handshake(&script);
    }
}

#[test]
fn random_cuts_make_no_difference() {
    let mut random = generator();
    for run in 0..150 {
        let mut script = vec![(run % 4) as u8 | if run % 3 == 0 { 0x80 } else { 0 }, 2, random() as u8, 3];
        for _ in 0..30 {
            script.extend([0x60 + (random() % 64) as u8, (random() % 24) as u8]);
            script.extend((0..6).map(|_| operand(&mut random)));
        }
        fuzz::framing(&script);
    }
}

/// One of the corpus, of which a few bytes are others.
#[test]
fn random_descriptions_break_no_promise() {
    let mut random = generator();
    for name in names("fuzz/corpus/description") {
        let script = fs::read(folder(&format!("fuzz/corpus/description/{name}"))).expect("a script");
        for run in 0..200 {
            let mut spoilt = script.clone();
            for _ in 0..run % 4 {
                let place = random() % spoilt.len().max(1);
                spoilt.get_mut(place).into_iter().for_each(|byte| *byte = random() as u8);
            }
            fuzz::description(&spoilt);
        }
    }
}

/// Most often the smallest.
fn operand(random: &mut impl FnMut() -> usize) -> u8 {
    if random().is_multiple_of(8) { random() as u8 } else { 0 }
}

/// Numbers that are the same in every run.
fn generator() -> impl FnMut() -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as usize
    }
}
