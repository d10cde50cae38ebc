//! How many times longer one thing takes than another, on a machine that may be busy.

#![allow(dead_code, reason = "each bench uses its part")]

use std::time::{Duration, Instant};

/// Short rounds, many of them: on a busy machine most of them are left alone.
const ROUNDS: usize = 101;

/// Does something so many times, and says how long that took.
pub type Timed = Box<dyn FnMut(u64) -> Duration>;

/// All of it is timed.
pub fn timed(mut run: impl FnMut() + 'static) -> Timed {
    Box::new(move |times| {
        let start = Instant::now();
        (0..times).for_each(|_| run());
        start.elapsed()
    })
}

/// `run` says itself how long the part took that is of interest.
pub fn timed_part(mut run: impl FnMut() -> Duration + 'static) -> Timed {
    Box::new(move |times| (0..times).map(|_| run()).sum())
}

/// One thing that the library does, beside what it cannot do without.
pub struct Beside {
    pub name: String,
    /// The most that it may cost of the other, where the project has set itself a bound.
    pub bound: Option<f64>,
    /// Bytes of the application that one run moves.
    pub bytes: u64,
    /// Runs of a round: together they take some milliseconds.
    pub times: u64,
    pub ours: Timed,
    pub bare: Timed,
}

impl Beside {
    /// Measures and prints the ratio.
    pub fn print(&mut self) {
        let ratio = ratio_of(self.times, &mut self.ours, &mut self.bare);
        let bound = self.bound.map(|bound| format!(" (bound {bound})")).unwrap_or_default();
        println!("ratio {} {ratio:.2}{bound}", self.name);
    }
}

/// The median, over rounds that take turns, of how much longer `whole` takes than `bare`, each run so many times.
pub fn ratio(times: u64, mut whole: impl FnMut(), mut bare: impl FnMut()) -> f64 {
    let mut whole = |times| time(times, &mut whole);
    let mut bare = |times| time(times, &mut bare);
    ratio_of(times, &mut whole, &mut bare)
}

fn time(times: u64, run: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..times).for_each(|_| run());
    start.elapsed()
}

fn ratio_of(
    times: u64,
    whole: &mut dyn FnMut(u64) -> Duration,
    bare: &mut dyn FnMut(u64) -> Duration,
) -> f64 {
    // What takes no time at all would divide by zero.
    let seconds =
        |run: &mut dyn FnMut(u64) -> Duration| run(times).max(Duration::from_nanos(1)).as_secs_f64();
    let mut ratios: Vec<f64> = (0..ROUNDS).map(|_| seconds(whole) / seconds(bare)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ROUNDS / 2]
}
