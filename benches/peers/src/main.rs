//! symbolon beside its peers: the same work for each, one after the other, in turns.  README.md says how.

mod child;
mod contest;
mod contestants;
mod credentials;
mod entrant;
mod load;
mod measure;
mod mux;
mod options;
mod parent;
mod report;
mod stage;

use std::env;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use contestants::Contestant;
use measure::Plan;
use options::{Options, USAGE};
use parent::Parent;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--help" | "-h"] => println!("{USAGE}"),
        ["--list"] => contestants::all().iter().for_each(|contestant| println!("{}", contestant.name)),
        ["slot", name, connections, span] => {
            let plan = Plan { connections: connections.parse()?, span: options::millis(span)? };
            let parent = Parent::listen();
            for (measure, value) in find(name)?.entrant.slot(plan)? {
                parent.say(&format!("{} {value}", measure.key()));
            }
        }
        ["serve", name] => {
            allow_many_files()?;
            find(name)?.entrant.serve(&Parent::listen())?;
        }
        ["hold", name, address, connections] => {
            allow_many_files()?;
            find(name)?.entrant.hold(address.parse()?, connections.parse()?, &Parent::listen())?;
        }
        _ => contest::run(&Options::parse(arguments.into_iter())?)?,
    }
    Ok(())
}

fn find(name: &str) -> Result<Contestant> {
    let found = contestants::all().into_iter().find(|contestant| contestant.name == name);
    found.with_context(|| format!("no contestant is named {name}"))
}

/// A thousand connections want more files than a process may usually have.
fn allow_many_files() -> Result<()> {
    const FILES: u64 = 8_192;
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(FILES).min(FILES);
    if most < FILES {
        bail!("at most {most} files may be open, and {FILES} are needed");
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum })?)
}
