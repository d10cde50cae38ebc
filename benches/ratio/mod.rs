//! How many times longer one thing takes than another, on a machine that may be busy.

use std::time::{Duration, Instant};

/// Short rounds, many of them: on a busy machine most of them are left alone.
const ROUNDS: usize = 101;

/// The median, over rounds that take turns, of how much longer `whole` takes than `bare`, each run so many times.
pub fn ratio(times: u32, mut whole: impl FnMut(), mut bare: impl FnMut()) -> f64 {
    let mut ratios: Vec<f64> =
        (0..ROUNDS).map(|_| time(times, &mut whole) / time(times, &mut bare)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ROUNDS / 2]
}

/// How long so many runs take, in seconds; never 0.
fn time(times: u32, run: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..times).for_each(|_| run());
    start.elapsed().max(Duration::from_nanos(1)).as_secs_f64()
}
