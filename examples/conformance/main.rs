//! A conformance runner: plays the test vectors against a peer in any language, and reports by section of SPEC.md.
//!
//! ```text
//! cargo run --example conformance -- [--strict] [--junit FILE] [--only TEXT] [--vectors FOLDER] COMMAND [ARGUMENT ...]
//! ```
//!
//! `COMMAND` is an adapter: it speaks JSON on its standard input and output, as `tests/vectors/README.md` says.
//! `examples/conformance/README.md` shows how to begin.

mod account;
#[allow(dead_code, reason = "what the library calls an error is for its own tests")]
mod cases;
mod cipher;
mod messages;
mod play;
mod process;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use process::Process;
use report::Report;

const USAGE: &str =
    "usage: conformance [--strict] [--junit FILE] [--only TEXT] [--vectors FOLDER] COMMAND [ARGUMENT ...]";

struct Options {
    /// What was not tried counts as failed.
    strict: bool,
    junit: Option<String>,
    only: String,
    vectors: PathBuf,
    command: Vec<String>,
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything that was tried is as it should be.
fn run(options: &Options) -> Result<bool, String> {
    let mut peer = Process::start(&options.command)?;
    let mut report = Report::of(peer.name());
    let all = cases::read(&options.vectors)?;
    for case in all.iter().filter(|case| case.id.contains(&options.only)) {
        report.add(case, case.run(&mut peer, &mut |_| {}));
        if peer.is_gone() {
            peer = Process::start(&options.command)?;
        }
    }
    print!("{report}");
    if let Some(path) = &options.junit {
        std::fs::write(path, report.junit()).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(report.is_good(options.strict))
}

fn options() -> Option<Options> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut options =
        Options { strict: false, junit: None, only: String::new(), vectors, command: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--strict" => options.strict = true,
            "--junit" => options.junit = Some(arguments.next()?),
            "--only" => options.only = arguments.next()?,
            "--vectors" => options.vectors = arguments.next()?.into(),
            other if other.starts_with('-') => return None,
            _ => {
                options.command.push(argument);
                options.command.extend(arguments.by_ref());
            }
        }
    }
    (!options.command.is_empty()).then_some(options)
}
