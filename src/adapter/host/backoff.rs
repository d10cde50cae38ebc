//! When a device that keeps a connection dials again.  SPEC §3

use std::time::Duration;

use crate::Instant;

/// From the end of one try to the next: a second or so, then twice as long each time that nothing comes of it, up to a minute
/// or so.  All waits are shortened at random, so that devices which lose the same peer do not return all at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// Since a connection stood for a while, or there was somewhere else to dial.
    tries: u32,
    due: Option<Instant>,
    /// Since when a connection stands.
    since: Option<Instant>,
}

impl Backoff {
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(64);
    /// One that ends sooner is as good as none.
    const STEADY: Duration = Duration::from_secs(10);

    /// How long the next try still waits.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.due.map_or(Duration::ZERO, |due| due.saturating_since(now))
    }

    /// Nothing has come of a try.
    pub(crate) fn on_failed(&mut self, now: Instant) {
        let wait = Self::SHORTEST.saturating_mul(1 << self.tries.min(16)).min(Self::LONGEST);
        self.tries = self.tries.saturating_add(1);
        self.due = Some(now + wait / 2 + random(wait / 2));
    }

    /// A connection stands, whoever dialled.
    pub(crate) fn on_standing(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// None stands.
    pub(crate) fn on_gone(&mut self, now: Instant) {
        let Some(since) = self.since.take() else { return };
        if now.saturating_since(since) < Self::STEADY {
            return self.on_failed(now);
        }
        (self.tries, self.due) = (0, Some(now + random(Self::SHORTEST)));
    }

    /// There is somewhere else to dial: what was tried before says nothing about that.
    pub(crate) fn on_new_addresses(&mut self) {
        (self.tries, self.due) = (0, None);
    }
}

/// Between nothing and all of it.
fn random(most: Duration) -> Duration {
    // Where the operating system has no randomness nothing can be dialled either.
    let number = getrandom::u32().unwrap_or(u32::MAX);
    most.mul_f64(f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_millis(1_000_000);

    /// Whether what is left lies between the half and the whole.
    fn is_about(backoff: &Backoff, now: Instant, seconds: u64) -> bool {
        let whole = Duration::from_secs(seconds);
        (whole / 2..=whole).contains(&backoff.left(now))
    }

    #[test]
    fn waits_grow_twofold_to_a_minute_and_begin_anew_behind_a_steady_connection() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.left(START), Duration::ZERO);
        for seconds in [1, 2, 4, 8, 16, 32, 64, 64, 64] {
            backoff.on_failed(START);
            assert!(is_about(&backoff, START, seconds), "{backoff:?}");
        }
        let later = START + Backoff::STEADY;
        backoff.on_standing(START);
        backoff.on_standing(later);
        backoff.on_gone(later);
        assert!(backoff.left(later) <= Backoff::SHORTEST, "{backoff:?}");
        backoff.on_gone(later);
        backoff.on_failed(later);
        assert!(is_about(&backoff, later, 1), "{backoff:?}");
        backoff.on_new_addresses();
        assert_eq!(backoff.left(later), Duration::ZERO);
    }

    #[test]
    fn a_connection_that_ends_soon_is_as_good_as_none() {
        let mut backoff = Backoff::default();
        for seconds in [1, 2, 4] {
            backoff.on_standing(START);
            backoff.on_gone(START + Backoff::STEADY / 2);
            assert!(is_about(&backoff, START + Backoff::STEADY / 2, seconds), "{backoff:?}");
        }
    }

    #[test]
    fn devices_do_not_return_all_at_once() {
        let waits: std::collections::HashSet<Duration> = (0..20).map(|_| random(Backoff::SHORTEST)).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }

    #[test]
    fn no_number_of_tries_is_too_many() {
        let mut backoff = Backoff { tries: u32::MAX, ..Backoff::default() };
        backoff.on_failed(START);
        assert!(is_about(&backoff, START, 64));
    }
}
