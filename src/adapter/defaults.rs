//! What adapters do alike where a program says nothing else: how long they wait.

use core::time::Duration;

/// How soon after an offer on a serial line another one is taken: each costs operations on a curve, and noise costs
/// nothing.
pub(super) const BETWEEN_OFFERS: Duration = Duration::from_millis(50);

/// How long a call waits, unless its device is told otherwise.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
