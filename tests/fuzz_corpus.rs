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
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..300 {
        let script: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8 | 0x80
        })
        .take(400)
        .collect();
        fuzz::connection(&script);
    }
}
