//! What is asked on the command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::measure::Plan;

pub const USAGE: &str = "\
benches/peers/run [options]

  --only a,b     these contestants; ratios need `raw` among them
  --rounds N     so many rounds (9)
  --span MS      each kind of traffic for so long (300)
  --quick        3 rounds of 120 ms, without memory
  --no-memory    without the memory of idle connections
  --out DIR      table.md and ratios.svg go there; without it a run of all contestants writes to results/
  --list         the names of the contestants

A run with options prints its tables, and leaves results/ as it is.";

#[derive(Clone, Debug)]
pub struct Options {
    pub only: Option<Vec<String>>,
    pub rounds: usize,
    pub plan: Plan,
    pub memory: bool,
    pub out: Option<PathBuf>,
}

impl Options {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            only: None,
            rounds: 9,
            plan: Plan { connections: 20, span: Duration::from_millis(300) },
            memory: true,
            out: None,
        };
        let mut is_usual = true;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} wants a value"));
            match argument.as_str() {
                "--only" => options.only = Some(value()?.split(',').map(str::to_owned).collect()),
                "--rounds" => options.rounds = value()?.parse().context("a number of rounds")?,
                "--span" => options.plan.span = millis(&value()?)?,
                "--quick" => {
                    (options.rounds, options.memory) = (3, false);
                    options.plan = Plan { connections: 10, span: Duration::from_millis(120) };
                }
                "--no-memory" => options.memory = false,
                "--out" => {
                    options.out = Some(value()?.into());
                    continue;
                }
                _ => bail!("{argument} is no option\n\n{USAGE}"),
            }
            is_usual = false;
        }
        if is_usual {
            options.out.get_or_insert_with(|| "results".into());
        }
        Ok(options)
    }
}

/// A span as it goes to a child.
pub fn millis(text: &str) -> Result<Duration> {
    Ok(Duration::from_millis(text.parse().context("a number of milliseconds")?))
}
