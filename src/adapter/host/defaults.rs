//! What the host adapters do alike where a program says nothing else: how many strangers they take, and how long they wait.

use std::time::Duration;

/// How many handshakes a listener has on their way at once, unless its `with_handshakes` says otherwise.
pub(crate) const HANDSHAKES: usize = 64;

/// How long a stream is kept to let the last bytes arrive.  SPEC §16.3
pub(crate) const LINGER: Duration = Duration::from_millis(500);

/// How long a listener waits where the operating system has no more sockets.
pub(crate) const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// How many addresses of a peer are tried at most; a name may have any number.
pub(crate) const ADDRESSES: usize = 16;

/// How many of them were only heard of, at most.
#[cfg(feature = "mdns")]
pub(crate) const HEARD: usize = ADDRESSES / 2;
