//! What came out, and the statistics on it.

pub mod svg;
pub mod table;

use std::time::Duration;

use anyhow::Result;

use crate::contestants::BASELINE;
use crate::measure::{Figures, Measure};

pub struct Results {
    pub rows: Vec<Row>,
    pub rounds: usize,
    pub span: Duration,
    /// The share of the machine that others took meanwhile.
    pub others: f64,
}

/// One contestant.
pub struct Row {
    pub name: &'static str,
    /// Whether it encrypts, and both sides prove who they are.
    pub sealed: bool,
    /// How many idle connections its memory was measured with.
    pub idle: usize,
    /// By round; `None` where it has failed or was not asked.
    rounds: Vec<Option<Figures>>,
    pub memory: Option<f64>,
    /// Why it failed, each time.
    pub failures: Vec<String>,
}

impl Row {
    pub fn new(name: &'static str, sealed: bool, idle: usize) -> Self {
        Self { name, sealed, idle, rounds: Vec::new(), memory: None, failures: Vec::new() }
    }

    /// What a round has given; `None` where it was not asked.
    pub fn add(&mut self, outcome: Option<Result<Figures>>) {
        self.rounds.push(match outcome {
            Some(Ok(figures)) => Some(figures),
            Some(Err(error)) => {
                eprintln!("{}: {error:#}", self.name);
                self.failures.push(format!("{error:#}"));
                None
            }
            None => None,
        });
    }

    fn figure(&self, round: usize, measure: Measure) -> Option<f64> {
        self.rounds.get(round)?.as_ref()?.get(&measure).copied()
    }
}

impl Results {
    pub fn median(&self, row: &Row, measure: Measure) -> Option<f64> {
        if measure == Measure::Memory {
            return row.memory;
        }
        median((0..self.rounds).filter_map(|round| row.figure(round, measure)).collect())
    }

    /// To the baseline, round by round, so that a machine that slows down for a while slows both.
    pub fn ratio(&self, row: &Row, measure: Measure) -> Option<f64> {
        let baseline = self.rows.iter().find(|row| row.name == BASELINE)?;
        if measure == Measure::Memory {
            return Some(row.memory? / baseline.memory?);
        }
        let paired = |round| Some(row.figure(round, measure)? / baseline.figure(round, measure)?);
        median((0..self.rounds).filter_map(paired).collect())
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
