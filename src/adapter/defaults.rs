//! What adapters do alike where a program says nothing else: how long they wait, and how many strangers they take.

use core::time::Duration;

/// How long a call waits, unless its device is told otherwise.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How soon after an offer on a serial line another one is taken: each costs operations on a curve, and noise costs
/// nothing.
pub(super) const BETWEEN_OFFERS: Duration = Duration::from_millis(50);

/// How many handshakes a listener has on their way at once, unless its `with_handshakes` says otherwise.
#[cfg(feature = "std")]
pub(super) const HANDSHAKES: usize = 64;

/// How long a listener waits where the operating system has no more sockets.
#[cfg(feature = "std")]
pub(super) const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// How long a stream is kept to let the last bytes arrive.  SPEC §16.3
#[cfg(feature = "std")]
pub(super) const LINGER: Duration = Duration::from_millis(500);
