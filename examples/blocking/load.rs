//! How busy this machine is, as its operating system says.

use std::process::Command;
use std::{fs, thread};

use crate::Failure;

/// Measures from one reading to the next.
pub struct Meter {
    /// Busy and total processor time since the machine started, in ticks; `None` where there is no such count.
    before: Option<(u64, u64)>,
}

impl Meter {
    pub fn start() -> Self {
        Self { before: ticks() }
    }

    /// In percent of all processors, since the last time.
    pub fn read(&mut self) -> Result<u8, Failure> {
        let Some((now, before)) = ticks().zip(self.before) else { return sum_of_programs() };
        self.before = Some(now);
        let (busy, total) = (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
        Ok((busy * 100 / total.max(1)).min(100) as u8)
    }
}

/// The first line of Linux's `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn ticks() -> Option<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> =
        stat.lines().next()?.split_whitespace().skip(1).take(8).filter_map(|n| n.parse().ok()).collect();
    let [user, nice, system, idle, iowait, irq, softirq, steal] = ticks[..] else { return None };
    let busy = user + nice + system + irq + softirq + steal;
    Some((busy, busy + idle + iowait))
}

/// Elsewhere: what each program has of a processor just now.
fn sum_of_programs() -> Result<u8, Failure> {
    let listed = Command::new("ps").args(["-A", "-o", "pcpu="]).output()?;
    let text = String::from_utf8_lossy(&listed.stdout).replace(',', ".");
    let sum: f64 = text.split_whitespace().filter_map(|word| word.parse::<f64>().ok()).sum();
    Ok((sum / processors() as f64).clamp(0.0, 100.0) as u8)
}

/// How many threads it takes to keep this machine busy.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
