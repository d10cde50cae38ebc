//! The core's own idea of time: a number that the caller hands in.

use core::fmt;
use core::num::NonZeroU64;
use core::ops::Add;
use core::time::Duration;

/// A moment, in microseconds since a moment of the caller's choosing.
///
/// The core reads no clock.  An adapter takes any monotonic clock, and keeps one origin for as long as a
/// connection lives.  A clock that jumps back is taken as standing still; arithmetic saturates, at 2⁶⁴−2.
///
/// ```
/// use core::time::Duration;
/// use symbolon::Instant;
///
/// let now = Instant::from_millis(1_500);
/// assert_eq!((now + Duration::from_millis(500)).saturating_since(now), Duration::from_millis(500));
/// assert_eq!(now.saturating_since(now + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant(
    /// One more than the number: a connection has dozens of instants that may be none, and none takes no room so.
    NonZeroU64,
);

impl Default for Instant {
    fn default() -> Self {
        Self::from_micros(0)
    }
}

impl Instant {
    /// The moment this many microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(micros))
    }

    /// The moment this many milliseconds after the origin; saturates.
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_micros(millis.saturating_mul(1_000))
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0.get() - 1
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.as_micros();
        write!(f, "{}.{:06}s", micros / 1_000_000, micros % 1_000_000)
    }
}
