//! When a device that keeps a connection dials again.  SPEC §3

use std::time::Duration;

use crate::Instant;

/// From one try to the next: a second or so, then twice as long each time that nothing comes of it, up to a minute or so.
/// Each wait is shortened by up to a half, at random, so that devices which lose the same peer do not return all at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// Since a connection stood, or there was somewhere else to dial.
    tries: u32,
    due: Option<Instant>,
}

impl Backoff {
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(64);

    /// How long the next try still waits.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.due.map_or(Duration::ZERO, |due| due.saturating_since(now))
    }

    /// A try begins.
    pub(crate) fn on_try(&mut self, now: Instant) {
        let wait = Self::SHORTEST.saturating_mul(1 << self.tries.min(16)).min(Self::LONGEST);
        self.tries = self.tries.saturating_add(1);
        self.due = Some(now + shortened(wait));
    }

    /// A connection stands, whoever dialled.  One that ends at once is followed by the next no sooner than a failed try.
    pub(crate) fn on_connected(&mut self, now: Instant) {
        self.tries = 0;
        self.on_try(now);
    }

    /// There is somewhere else to dial: what was tried before says nothing about that.
    pub(crate) fn on_new_addresses(&mut self) {
        *self = Self::default();
    }
}

/// Between a half and all of it.
fn shortened(wait: Duration) -> Duration {
    // Where the operating system has no randomness nothing can be dialled either.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    wait / 2 + (wait / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_millis(1_000_000);

    /// Whether what is left lies between the half and the whole.
    fn is_about(backoff: &Backoff, seconds: u64) -> bool {
        let whole = Duration::from_secs(seconds);
        (whole / 2..=whole).contains(&backoff.left(START))
    }

    #[test]
    fn waits_grow_twofold_to_a_minute_and_begin_anew_with_a_connection() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.left(START), Duration::ZERO);
        for seconds in [1, 2, 4, 8, 16, 32, 64, 64, 64] {
            backoff.on_try(START);
            assert!(is_about(&backoff, seconds), "{backoff:?}");
        }
        backoff.on_connected(START);
        assert!(is_about(&backoff, 1), "one that ends at once is no reason to dial at once");
        backoff.on_try(START);
        assert!(is_about(&backoff, 2));
        backoff.on_new_addresses();
        assert_eq!(backoff.left(START), Duration::ZERO);
    }

    #[test]
    fn devices_do_not_return_all_at_once() {
        let waits: std::collections::HashSet<Duration> =
            (0..20).map(|_| shortened(Backoff::LONGEST)).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }

    #[test]
    fn no_number_of_tries_is_too_many() {
        let mut backoff = Backoff { tries: u32::MAX, due: None };
        backoff.on_try(START);
        assert!(is_about(&backoff, 64));
    }
}
