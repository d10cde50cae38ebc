//! The clock that latencies are measured with.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970, as the operating system says (on Linux `CLOCK_REALTIME`).
///
/// All processes of one machine read the same clock, so that times of two of them may be compared.  Those of two machines
/// may not, unless something like PTP keeps their clocks together.
pub fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
