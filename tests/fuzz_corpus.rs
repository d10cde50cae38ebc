//! The corpus of the fuzz targets, replayed on any compiler; what a campaign finds is added to it and stays found.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

#[test]
fn the_corpus_of_connection_breaks_no_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/connection");
    let mut scripts = 0;
    for entry in fs::read_dir(folder).expect("the corpus") {
        let path = entry.expect("an entry").path();
        // Captured by the harness, and shown where the script fails.
        println!("{}", path.display());
        fuzz::connection(&fs::read(&path).expect("a script"));
        scripts += 1;
    }
    assert!(scripts >= 20, "the corpus has {scripts} scripts");
}

/// Scripts from a fixed generator, so that also those who never fuzz have tried a few.
#[test]
fn random_scripts_break_no_promise() {
    /// What moves a conversation on: bytes both ways, and events.
    const USUAL: [u8; 4] = [0x80, 0x90, 0xc0, 0xc8];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as usize
    };
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
