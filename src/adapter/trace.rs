//! What the adapters tell `tracing`, where the feature is on: who came and went, and why.  Never a key other
//! than the peer's public one, never a body.

#[cfg(feature = "tracing")]
mod on {
    use super::{CloseReason, PeerId};

    pub(crate) fn connected(peer: PeerId) {
        tracing::debug!(peer = %peer.short(), "connected");
    }

    pub(crate) fn closed(peer: Option<PeerId>, reason: CloseReason) {
        match peer {
            Some(peer) => tracing::debug!(peer = %peer.short(), %reason, "closed"),
            None => tracing::debug!(%reason, "closed before the peer had proven itself"),
        }
    }

    #[cfg(feature = "std")]
    pub(crate) fn handler_failed(peer: Option<PeerId>) {
        if let Some(peer) = peer {
            tracing::warn!(peer = %peer.short(), "a handler panicked, or gave no answer");
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use super::{CloseReason, PeerId};

    pub(crate) fn connected(_peer: PeerId) {}

    pub(crate) fn closed(_peer: Option<PeerId>, _reason: CloseReason) {}

    #[cfg(feature = "std")]
    pub(crate) fn handler_failed(_peer: Option<PeerId>) {}
}

use crate::{CloseReason, PeerId};
#[cfg(all(feature = "std", not(feature = "tracing")))]
pub(crate) use off::handler_failed;
#[cfg(not(feature = "tracing"))]
pub(crate) use off::{closed, connected};
#[cfg(all(feature = "std", feature = "tracing"))]
pub(crate) use on::handler_failed;
#[cfg(feature = "tracing")]
pub(crate) use on::{closed, connected};
