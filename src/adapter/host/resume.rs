//! Whether a subscription that has ended, or was not accepted, goes on.

use std::time::Duration;

use crate::adapter::error::SubscribeError;
use crate::{SendError, Status};

/// What its subscriber does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Resume {
    /// Tries once more, on this connection after a while, or on another one.
    Again,
    /// Gives up: the publisher does not want it.
    No,
    /// Subscribes on the next connection: this one is going to end.
    OnAnother,
}

impl Resume {
    /// Behind this end.
    pub(crate) const fn behind(ended: SubscribeError) -> Self {
        match ended {
            SubscribeError::Disconnected
            | SubscribeError::Send(SendError::Closed | SendError::GoingAway | SendError::NotConnected)
            | SubscribeError::Status(Status::SHUTTING_DOWN | Status::SUPERSEDED) => Self::OnAnother,
            SubscribeError::TimedOut
            | SubscribeError::Send(SendError::Full | SendError::TooMany)
            | SubscribeError::Status(Status::UNAVAILABLE) => Self::Again,
            SubscribeError::Send(_) | SubscribeError::Status(_) => Self::No,
        }
    }

    /// How long another connection is waited for, before the same one is tried again if it still stands.  `closing` is what
    /// the closing of one takes at most.
    pub(crate) fn patience(self, closing: Duration) -> Duration {
        match self {
            Self::OnAnother => closing * 2,
            Self::Again | Self::No => Duration::from_secs(1),
        }
    }
}
