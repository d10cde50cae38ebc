//! The rules of the house, held by machine: who may import whom, and how SPEC.md, the code, the tests and the other
//! documents hang together.
//!
//! CONTRIBUTING.md explains the rules; here they are tables, and a test for each.  A package leaves this out: what it
//! holds together is the repository.

mod attacks;
mod documents;
mod layers;
mod proofs;
mod spec;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use layers::{TEST_ATTRIBUTE, blanked, without};

/// One file of `src`.
struct Source {
    /// As in `src/wire/cbor.rs`.
    name: String,
    /// As in `wire/cbor`.
    module: String,
    text: String,
}

impl Source {
    fn top(&self) -> &str {
        self.module.split('/').next().unwrap_or_default()
    }

    fn is_in(&self, module: &str) -> bool {
        self.module.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn is_test(&self) -> bool {
        self.module.split('/').any(|part| part == "tests")
    }

    /// The program: without tests, comments and the contents of strings.
    fn code(&self) -> String {
        without(&blanked(&self.text), TEST_ATTRIBUTE)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All files of `src` that are not tests as a whole.
fn sources() -> Vec<Source> {
    all_sources().into_iter().filter(|source| !source.is_test()).collect()
}

fn all_sources() -> Vec<Source> {
    let source = |(name, text): (String, String)| {
        let module = name.trim_start_matches("src/").trim_end_matches(".rs").to_owned();
        Source { name, module, text }
    };
    files_under("src").into_iter().map(source).collect()
}

/// Every Rust file of the repository that somebody wrote, this program left out.
fn rust_files() -> Vec<(String, String)> {
    let folders = ["src", "tests", "benches", "examples", "fuzz/src", "fuzz/fuzz_targets"];
    let files = folders.into_iter().flat_map(files_under);
    files.filter(|(name, _)| !name.starts_with("tests/house/")).collect()
}

fn files_under(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        for path in paths {
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("under the root").components();
                let name: Vec<_> = name.map(|part| part.as_os_str().to_string_lossy()).collect();
                let name = name.join("/");
                let text = read(&name);
                found.push((name, text));
            }
        }
    }
    found
}

fn report(what: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{what}: {}\n  {}", complaints.len(), complaints.join("\n  "));
}
