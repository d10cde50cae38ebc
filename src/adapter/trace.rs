//! What the adapters tell a logger, where one is chosen by a feature: who came and went, and why.  Never a key other than
//! the peer's public one, never a body.

use crate::{CloseReason, PeerId};

/// Tells each logger that is on; the same words for all of them.
macro_rules! tell {
    ($level:ident, $($said:tt)*) => {{
        #[cfg(feature = "tracing")]
        tracing::$level!($($said)*);
        #[cfg(feature = "log")]
        log::$level!($($said)*);
    }};
}

pub(crate) fn connected(peer: PeerId) {
    let _ = peer;
    tell!(debug, "connected with {}", peer.short());
    #[cfg(all(feature = "defmt", target_os = "none"))]
    defmt::debug!("connected with {}", peer);
}

pub(crate) fn closed(peer: Option<PeerId>, reason: CloseReason) {
    let _ = (peer, reason);
    if let Some(_peer) = peer {
        tell!(debug, "closed with {}: {reason}", _peer.short());
    } else {
        tell!(debug, "closed before the peer had proven itself: {reason}");
    }
    #[cfg(all(feature = "defmt", target_os = "none"))]
    defmt::debug!("closed with {}: {}", peer, reason);
}

#[cfg(feature = "std")]
pub(crate) fn handler_failed(peer: Option<PeerId>) {
    if let Some(_peer) = peer {
        tell!(warn, "a handler of {}'s request panicked, or gave no answer", _peer.short());
    }
}
