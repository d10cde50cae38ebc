//! The corpus of the fuzz targets, replayed on any compiler; what a campaign finds is added to it and stays found.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

#[test]
fn the_corpus_of_authenticated_breaks_no_promise() {
    replay("authenticated", fuzz::authenticated, 0);
}

#[test]
fn the_corpus_of_connection_breaks_no_promise() {
    replay("connection", fuzz::connection, 20);
}

#[test]
fn the_corpus_of_framing_breaks_no_promise() {
    replay("framing", fuzz::framing, 0);
}

#[test]
fn the_corpus_of_handshake_breaks_no_promise() {
    replay("handshake", fuzz::handshake, 0);
}

#[test]
fn the_corpus_of_line_breaks_no_promise() {
    replay("line", fuzz::line, 8);
}

fn replay(target: &str, check: fn(&[u8]), at_least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut scripts = 0;
    for entry in fs::read_dir(folder).expect("the corpus") {
        let path = entry.expect("an entry").path();
        // Captured by the harness, and shown where the script fails.
        println!("{}", path.display());
        check(&fs::read(&path).expect("a script"));
        scripts += 1;
    }
    assert!(scripts >= at_least, "the corpus has {scripts} scripts");
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
