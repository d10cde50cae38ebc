//! What else the machine was doing: figures from a busy machine are worth little, and say so.

use std::fs;

use anyhow::{Context, Result};

/// Ticks of all processors since the machine was started.
#[derive(Clone, Copy)]
pub struct Ticks {
    busy: u64,
    all: u64,
    /// Those of the children of this process that have ended, and of its own.
    ours: u64,
}

impl Ticks {
    pub fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().context("/proc/stat has a first line")?;
        // User, nice, system, idle, wait, interrupts twice, and what the host took; guests are counted in the first.
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).map_while(|tick| tick.parse().ok()).collect();
        let idle = ticks.get(3..5).context("/proc/stat has eight fields")?.iter().sum::<u64>();
        let all = ticks.iter().sum();
        let text = fs::read_to_string("/proc/self/stat")?;
        let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ours = fields.skip(11).take(4).map_while(|tick| tick.parse::<u64>().ok()).sum();
        Ok(Self { busy: all - idle, all, ours })
    }

    /// The share of all processors that others took since then.
    pub fn others_since(self, before: Self) -> f64 {
        let others = (self.busy - before.busy).saturating_sub(self.ours - before.ours);
        others as f64 / (self.all - before.all).max(1) as f64
    }
}
