//! Who does what when: rounds in rotated order, each slot in a process of its own.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::child::Child;
use crate::contestants::{self, BASELINE, Contestant};
use crate::load::Ticks;
use crate::measure::{Figures, Measure};
use crate::options::Options;
use crate::report::{self, Results, Row};

/// Beyond what it is told to measure, a slot may take this long: to start, to connect, to let queues drain.
const GRACE: Duration = Duration::from_secs(15);
/// How long all of the memory of one contestant may take.
const MEMORY: Duration = Duration::from_secs(30);
/// Until buffers that only traffic needs have been given back.
const REST: Duration = Duration::from_millis(1_500);
/// Who fails so often is not asked again: a contest has an end.
const FAILURES: usize = 2;

pub fn run(options: &Options) -> Result<()> {
    let (contestants, mut rows) = entries(options)?;
    let (begun, before) = (Instant::now(), Ticks::now()?);
    for round in 0..options.rounds {
        for turn in 0..contestants.len() {
            // Each is first once, and never twice behind the same one that left the machine hot.
            let at = (turn + round) % contestants.len();
            let outcome = (rows[at].failures.len() < FAILURES).then(|| slot(&contestants[at], options));
            rows[at].add(outcome);
        }
        eprintln!("round {} of {}, {} s", round + 1, options.rounds, begun.elapsed().as_secs());
    }
    if options.memory {
        for (contestant, row) in contestants.iter().zip(&mut rows) {
            match memory(contestant) {
                Ok(bytes) => row.memory = Some(bytes / 1024.0),
                Err(error) => row.failures.push(format!("memory: {error:#}")),
            }
        }
        eprintln!("memory, {} s", begun.elapsed().as_secs());
    }
    let others = Ticks::now()?.others_since(before);
    let results = Results { rows, rounds: options.rounds, span: options.plan.span, others };
    println!("{}", report::table::markdown(&results));
    if let Some(folder) = &options.out {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("table.md"), report::table::markdown(&results))?;
        fs::write(folder.join("ratios.svg"), report::svg::plot(&results))?;
    }
    Ok(())
}

/// Who takes part, and a row for each.
fn entries(options: &Options) -> Result<(Vec<Contestant>, Vec<Row>)> {
    let mut contestants = contestants::all();
    if let Some(only) = &options.only {
        let known = |name: &String| contestants.iter().any(|contestant| contestant.name == name);
        let unknown = only.iter().find(|name| !known(name));
        ensure!(unknown.is_none(), "no contestant is named {}", unknown.map_or("", String::as_str));
        contestants.retain(|contestant| only.iter().any(|name| name == contestant.name));
    }
    for contestant in &contestants {
        if let Some(why) = contestant.absent {
            eprintln!("{} does not take part: {why}", contestant.name);
        }
    }
    contestants.retain(|contestant| contestant.absent.is_none());
    ensure!(contestants.iter().any(|contestant| contestant.name == BASELINE), "ratios need `{BASELINE}`");
    let row = |contestant: &Contestant| Row::new(contestant.name, contestant.sealed, contestant.idle);
    let rows = contestants.iter().map(row).collect();
    Ok((contestants, rows))
}

fn slot(contestant: &Contestant, options: &Options) -> Result<Figures> {
    let plan = options.plan;
    let arguments = [
        "slot".to_owned(),
        contestant.name.to_owned(),
        plan.connections.to_string(),
        plan.span.as_millis().to_string(),
    ];
    let mut child = Child::start(&arguments, 8 * plan.span + GRACE)?;
    let mut figures = Figures::new();
    while let Some(line) = child.line()? {
        let (key, value) = line.split_once(' ').with_context(|| format!("said {line}"))?;
        let measure = Measure::from_key(key).with_context(|| format!("said {line}"))?;
        figures.insert(measure, value.parse()?);
    }
    child.end()?;
    Ok(figures)
}

/// Bytes that the server holds for each idle connection.
fn memory(contestant: &Contestant) -> Result<f64> {
    let until = Instant::now() + MEMORY;
    let mut server = Child::start(&["serve".to_owned(), contestant.name.to_owned()], MEMORY)?;
    let address = server.answer("listens")?;
    let arguments = ["hold", contestant.name, &address, &contestant.idle.to_string()].map(str::to_owned);
    let mut client = Child::start(&arguments, until.saturating_duration_since(Instant::now()))?;
    let mut held = || -> Result<f64> {
        client.answer("held")?;
        std::thread::sleep(REST);
        server.tell("memory")?;
        let bytes = server.answer("memory")?.parse()?;
        client.tell("on")?;
        Ok(bytes)
    };
    let (before, after) = (held()?, held()?);
    client.end()?;
    server.tell("end")?;
    server.end()?;
    Ok((after - before) / contestant.idle as f64)
}
