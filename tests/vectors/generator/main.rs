//! The test vectors: written anew here, compared with the files above this folder, and played against the library.
//!
//! `UPDATE=1 cargo test --test vectors` writes the files.  What is in them comes from snow, ed25519-dalek and code of
//! the tests; the library takes no part in it, and is only held against the result.

#![allow(clippy::std_instead_of_core, clippy::alloc_instead_of_core, reason = "tests have std")]

#[path = "../../common/mod.rs"]
mod common;

#[path = "../../../examples/conformance/account.rs"]
mod account;
#[allow(dead_code, reason = "a report by section is for others")]
#[path = "../../../examples/conformance/cases.rs"]
mod cases;
#[path = "../../../examples/conformance/cipher.rs"]
mod cipher;
#[path = "../../../examples/conformance/messages.rs"]
mod messages;
#[path = "../../../examples/conformance/play.rs"]
mod play;
#[allow(dead_code, reason = "here the subject is in the same process")]
#[path = "../../../examples/conformance/process.rs"]
mod process;

/// The library's core behind the adapter protocol.
#[path = "../../../examples/conformance/adapter"]
mod adapter {
    pub mod application;
    pub mod events;
    pub mod link;
    pub mod subject;
}

mod admission;
mod bodies;
mod cobs_packets;
mod descriptions;
mod encoding;
mod endings;
mod exchanges;
mod files;
mod framing;
mod handshakes;
mod identity;
mod line;
mod lines;
mod notation;
mod payloads;
mod preambles;
mod publications;
mod refusals;
mod rules;
mod script;
mod setups;
mod suites;
mod timers;
mod transport;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Once;

use adapter::subject::Subject;
use cases::Outcome;
use process::Adapter;
use serde_json::Value;
use symbolon::Provider;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Writes the files where that is asked for, once, and before any test looks at them.
fn update() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
            for (name, file) in files::all() {
                std::fs::write(folder().join(name), files::print(&file)).expect("the file is writable");
            }
        }
    });
}

#[test]
fn the_files_are_what_is_written_today() {
    update();
    let written: BTreeSet<String> = files::all().iter().map(|(name, _)| (*name).to_owned()).collect();
    let entries = std::fs::read_dir(folder()).expect("the folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let there: BTreeSet<String> =
        names.filter(|name| name.ends_with(".json") && name != "schema.json").collect();
    assert_eq!(there, written, "files that nobody writes any more, or that are missing");
    for (name, file) in files::all() {
        let path = folder().join(name);
        let text = files::print(&file);
        let present = std::fs::read_to_string(&path).unwrap_or_default();
        for (line, (present, new)) in present.lines().zip(text.lines()).enumerate() {
            assert_eq!(present, new, "{name}, line {}; UPDATE=1 writes it anew", line + 1);
        }
        assert!(present == text, "{name} has another length; UPDATE=1 writes it anew");
    }
}

impl Adapter for Subject {
    fn ask(&mut self, command: &Value) -> Result<Value, String> {
        // As over a pipe.
        let command = serde_json::from_str(&command.to_string()).map_err(|error| error.to_string())?;
        Ok(self.answer(&command))
    }
}

/// Each script, with its input whole and in pieces, against the core.
#[test]
fn the_library_does_what_the_vectors_say() {
    let of_both_suites = play_all(Provider::rust_crypto());
    assert!(of_both_suites > 0 || !only().is_empty(), "no vector asks for the second suite");
}

/// The same by AWS-LC, and what asks for the second suite.
#[cfg(feature = "aws-lc")]
#[test]
fn the_library_does_so_by_aws_lc_as_well() {
    let left_out = play_all(Provider::aws_lc());
    if left_out > 0 {
        eprintln!("the processor has no AES: {left_out} vectors that ask for the second suite were left out");
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq") {
        assert_eq!(left_out, 0, "the processor has AES");
    }
}

/// For whoever looks for a fault: `ONLY=lines/`, say.
fn only() -> String {
    std::env::var("ONLY").unwrap_or_default()
}

/// How many vectors were left out because the provider has only one suite.
fn play_all(provider: Provider) -> usize {
    update();
    let mut failures = Vec::new();
    let mut tried = 0;
    let mut left_out = 0;
    let only = only();
    for case in cases::read(&folder()).expect("the files").iter().filter(|case| case.id.contains(&only)) {
        let mut errors = Vec::new();
        let outcome = case.run(&mut Subject::new(provider), &mut |error| errors.push(error.to_owned()));
        tried += 1;
        match outcome {
            Outcome::Passed => {
                let named = |error: &String| case.error.as_ref().is_none_or(|name| error.contains(name));
                if case.error.is_some() && (errors.is_empty() || !errors.iter().all(named)) {
                    failures.push(format!("{}: ended by {errors:?}, not {:?}", case.id, case.error));
                }
            }
            Outcome::Failed(what) => failures.push(format!("{} ({}): {what}", case.id, case.title)),
            Outcome::NotTried(_) if case.asks_for_both_suites() => left_out += 1,
            Outcome::NotTried(why) => failures.push(format!("{}: not tried: {why}", case.id)),
        }
    }
    assert!(failures.is_empty(), "{} of {tried}:\n{}", failures.len(), failures.join("\n"));
    assert!(!only.is_empty() || tried - left_out >= 600, "only {tried} cases, without {left_out} of them");
    left_out
}
