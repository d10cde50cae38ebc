//! How calls of a handle fail.

use core::time::Duration;

use super::slot::Answer;
use crate::adapter::error::{BodyError, SubscribeError};
use crate::{BadBody, EncodeError, Failure, SendError, Status};

/// Why a call has no reply, and whether the peer may have executed it.  SPEC §16.4
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The reply is not of the type expected, so the peer has executed it.
    #[error(transparent)]
    BadBody(#[from] BadBody),
    /// The peer has no capacity right now, and did not execute it.
    #[error("busy; try again after {0:?}")]
    Busy(Duration),
    /// The request's own `Encode` has failed, and nothing was sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It ended without an answer.  With [`Failure::NotExecuted`] the peer has not executed it, with
    /// [`Failure::Unsupported`] it has; with any other it may have.
    #[error("no answer: {0}")]
    Failed(Failure),
    /// The reply has so many bytes, more than the caller's buffer or the link's memory for one exchange takes; the peer
    /// has executed it.
    #[error("a reply of {0} bytes, for which there is no room")]
    NoRoom(usize),
    /// It was not sent, so the peer has not executed it.  [`SendError::TooMany`]: as many exchanges of handles are open
    /// as the [`Link`](super::Link) has memory for; [`SendError::TooLarge`]: that memory is too small for it.
    #[error("not sent: {0}")]
    Send(#[from] SendError),
    /// The peer answered with another status than OK.
    #[error("the peer answered: {0}")]
    Status(Status),
}

impl CallError {
    /// Whether the peer's handler may have run, so that what is repeated may happen twice.  `false` is certain; an answer of
    /// the peer's counts as `true` whatever its [`Status`], since a handler may say any.  SPEC §16.4
    #[must_use]
    pub const fn may_have_executed(&self) -> bool {
        !matches!(self, Self::Busy(_) | Self::Encode(_) | Self::Failed(Failure::NotExecuted) | Self::Send(_))
    }
}

impl From<Answer> for CallError {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Busy(retry) => Self::Busy(retry),
            Answer::Failed(failure) => Self::Failed(failure),
            Answer::Refused(error) => Self::Send(error),
            Answer::Reply(status, _) => Self::Status(status),
            Answer::TooLong(len) => Self::NoRoom(len),
            // Of other kinds of exchanges.
            Answer::Subscribed | Answer::Sent => Self::Failed(Failure::Disconnected),
        }
    }
}

impl From<Answer> for SubscribeError {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Reply(status, _) => Self::Status(status),
            Answer::Refused(error) => Self::Send(error),
            Answer::Failed(Failure::DeadlinePassed) => Self::TimedOut,
            _ => Self::Disconnected,
        }
    }
}

/// For `embedded_io_async`.
impl embedded_io_async::Error for BodyError {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        use embedded_io_async::ErrorKind;
        match self {
            Self::Answered | Self::Finished => ErrorKind::BrokenPipe,
            Self::Encode | Self::TooLarge => ErrorKind::InvalidInput,
            Self::Cancelled => ErrorKind::ConnectionAborted,
            Self::DeadlinePassed | Self::Stalled => ErrorKind::TimedOut,
            Self::Disconnected => ErrorKind::NotConnected,
            Self::Status(_) => ErrorKind::ConnectionReset,
            Self::Unsupported => ErrorKind::Unsupported,
        }
    }
}
