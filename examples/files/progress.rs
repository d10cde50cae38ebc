//! How far a file has come: one line that is drawn again and again on a terminal, a line every ten percent elsewhere.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

/// How often a terminal is drawn on.
const PACE: Duration = Duration::from_millis(100);
/// A terminal is at least so wide; a longer line would wrap, and could not be drawn over.
const WIDTH: usize = 79;

pub struct Progress {
    what: String,
    from: u64,
    total: u64,
    begun: Instant,
    drawn: Instant,
    tenths: u64,
    terminal: bool,
}

impl Progress {
    /// Begins at `from` of `total` bytes; speed is counted from here.
    pub fn new(what: &str, from: u64, total: u64) -> Self {
        let (begun, terminal) = (Instant::now(), stderr().is_terminal());
        Self {
            what: what.to_owned(),
            from,
            total,
            begun,
            drawn: begun,
            tenths: tenths(from, total),
            terminal,
        }
    }

    pub fn at(&mut self, bytes: u64) {
        if cfg!(test) {
            return;
        }
        if self.terminal && self.drawn.elapsed() >= PACE {
            self.drawn = Instant::now();
            let line: String = self.line(bytes).chars().take(WIDTH).collect();
            let _drawn = write!(stderr(), "\r{line:<WIDTH$}");
        } else if !self.terminal && tenths(bytes, self.total) > self.tenths {
            self.tenths = tenths(bytes, self.total);
            let _written = writeln!(stderr(), "{}", self.line(bytes));
        }
    }

    /// What came since it began, at which speed.
    pub fn summary(&self) -> String {
        let seconds = self.begun.elapsed().as_secs_f64();
        let bytes = self.total - self.from;
        format!("{} in {seconds:.1} s, {}/s", size(bytes), size(per_second(bytes, seconds)))
    }

    fn line(&self, bytes: u64) -> String {
        let speed = per_second(bytes - self.from, self.begun.elapsed().as_secs_f64());
        let left = match (self.total - bytes).checked_div(speed) {
            Some(seconds) => format!("{}:{:02} left", seconds / 60, seconds % 60),
            None => "standing still".to_owned(),
        };
        let (percent, done, total) = (percent(bytes, self.total), size(bytes), size(self.total));
        format!("{percent:3} %  {done} of {total}  {}/s  {left}  {}", size(speed), self.what)
    }
}

/// The line goes away; what is said next stands in its place.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal {
            clear();
        }
    }
}

/// Prints a line of text, not behind one that is being drawn.
pub fn say(text: impl Display) {
    if cfg!(test) {
        return;
    }
    if stderr().is_terminal() {
        clear();
    }
    // Where nobody reads, the work goes on.
    let _said = writeln!(stdout(), "{text}");
}

pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

pub fn percent(bytes: u64, total: u64) -> u64 {
    (u128::from(bytes) * 100).checked_div(u128::from(total)).map_or(100, |percent| percent as u64)
}

fn tenths(bytes: u64, total: u64) -> u64 {
    percent(bytes, total) / 10
}

fn per_second(bytes: u64, seconds: f64) -> u64 {
    (bytes as f64 / seconds.max(0.001)) as u64
}

fn clear() {
    let _cleared = write!(stderr(), "\r{:WIDTH$}\r", "");
}
