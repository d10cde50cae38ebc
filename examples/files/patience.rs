//! How long to go on trying.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// Waits that double, and an end to them where nothing comes of it.
pub struct Patience {
    /// How long without anything that moves.
    most: Duration,
    moved: Instant,
    wait: Duration,
}

impl Patience {
    pub fn new(most: Duration) -> Self {
        Self { most, moved: Instant::now(), wait: FIRST }
    }

    /// Something has moved, so it is worth beginning anew.
    pub fn renew(&mut self) {
        *self = Self::new(self.most);
    }

    /// How long to wait before the next attempt; `None`: it is enough.
    pub fn next_wait(&mut self) -> Option<Duration> {
        let left = self.most.checked_sub(self.moved.elapsed()).filter(|left| !left.is_zero())?;
        let wait = self.wait.min(left);
        self.wait = (self.wait * 2).min(LONGEST);
        Some(wait)
    }
}
