//! Whether a subscription that has ended, or was not accepted, goes on.

use std::time::Duration;

use crate::adapter::error::SubscribeError;
use crate::{SendError, Status};

/// How soon it is tried again on the same connection.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

/// What its subscriber does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Resume {
    /// Tries once more, on this connection after a while, or on another one.
    Again,
    /// Gives up: the publisher does not want it.
    No,
    /// Subscribes on the next connection: this one is of no more use.
    OnAnother,
}

impl From<SubscribeError> for Resume {
    fn from(ended: SubscribeError) -> Self {
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
}
