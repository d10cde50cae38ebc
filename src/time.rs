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
        let (millis, micros) = by_thousand(self.0.get().saturating_sub(earlier.0.get()));
        let (seconds, millis) = by_thousand(millis);
        Duration::new(seconds, (millis * 1_000 + micros) * 1_000)
    }

    /// So many microseconds later; saturates.
    // Where flash is scarce one function, as below.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn after(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// What [`saturating_since`](Self::saturating_since) gives in milliseconds, rounded up; saturates.
    pub(crate) fn millis_since(self, earlier: Self) -> u32 {
        let (millis, micros) = by_thousand(self.0.get().saturating_sub(earlier.0.get()));
        u32::try_from(millis + u64::from(micros > 0)).unwrap_or(u32::MAX)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    #[cfg_attr(target_os = "none", inline(never))]
    fn add(self, duration: Duration) -> Self {
        self.after(micros_of(duration))
    }
}

/// How many microseconds a duration has; saturates.
// Where flash is scarce one function: it multiplies 64 bits.
#[cfg_attr(target_os = "none", inline(never))]
pub(crate) fn micros_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The earlier of two moments, of which there may be none.
#[cfg_attr(target_os = "none", inline(never))]
pub(crate) fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

/// A thousandth of a number, and what is left of it.
///
/// As one divides by hand, digit by digit: the division of 64 bits is a kilobyte of code where the processor has none.
const fn by_thousand(number: u64) -> (u64, u32) {
    if cfg!(target_pointer_width = "64") {
        return (number / 1_000, (number % 1_000) as u32);
    }
    by_digits(number)
}

#[cfg_attr(target_os = "none", inline(never))]
const fn by_digits(number: u64) -> (u64, u32) {
    let digits = number.to_be_bytes();
    let (mut quotient, mut rest, mut at) = (0, 0, 0);
    while at < digits.len() {
        let part = rest << 8 | digits[at] as u32;
        (quotient, rest) = (quotient << 8 | (part / 1_000) as u64, part % 1_000);
        at += 1;
    }
    (quotient, rest)
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.as_micros();
        write!(f, "{}.{:06}s", micros / 1_000_000, micros % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_thousandth_by_hand_is_a_thousandth(number in any::<u64>(), shift in 0..64_u32) {
            let number = number >> shift;
            prop_assert_eq!(by_digits(number), (number / 1_000, (number % 1_000) as u32));
        }

        #[test]
        fn a_difference_is_a_duration(a in 0..u64::MAX, b in 0..u64::MAX, shift in 0..64_u32) {
            let (earlier, later) = (a.min(b) >> shift, a.max(b) >> shift);
            let [from, to] = [earlier, later].map(Instant::from_micros);
            prop_assert_eq!(to.saturating_since(from), Duration::from_micros(later - earlier));
            let millis = (later - earlier).div_ceil(1_000).min(u32::MAX.into());
            prop_assert_eq!(u64::from(to.millis_since(from)), millis);
            prop_assert_eq!(from.millis_since(to), 0);
        }
    }
}
