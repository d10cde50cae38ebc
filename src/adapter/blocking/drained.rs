//! Publishers that wait for a slow subscriber.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::adapter::host::link::lock;

/// Told when a subscriber has taken something.
#[derive(Debug, Default)]
pub(super) struct Drained {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    told: u64,
    waiting: usize,
}

impl Drained {
    pub(super) fn tell(&self) {
        let mut state = lock(&self.state);
        if state.waiting > 0 {
            state.told += 1;
            self.changed.notify_all();
        }
    }

    /// Tries now, and again whenever something was taken, until it gives something or the time is over.
    pub(super) fn retry<R>(&self, within: Duration, mut attempt: impl FnMut() -> Option<R>) -> Option<R> {
        if let Some(result) = attempt() {
            return Some(result);
        }
        let begun = Instant::now();
        // Before trying again, so that what is taken in between is not overlooked.
        let mut told = {
            let mut state = lock(&self.state);
            state.waiting += 1;
            state.told
        };
        let result = loop {
            let result = attempt();
            let left = within.saturating_sub(begun.elapsed());
            if result.is_some() || left.is_zero() {
                break result;
            }
            let state = lock(&self.state);
            let waited = self.changed.wait_timeout_while(state, left, |state| state.told == told);
            told = waited.unwrap_or_else(PoisonError::into_inner).0.told;
        };
        lock(&self.state).waiting -= 1;
        result
    }
}
