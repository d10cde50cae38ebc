//! How calls, connecting and handlers fail, and what is wrong with a device, where there is a heap to spare and an operating
//! system.

use std::io;
use std::string::String;
use std::time::Duration;

use bytes::Bytes;

use crate::adapter::error::{BodyError, SubscribeError};
use crate::{
    BadBody, CloseReason, ConfigError, DeclareError, DescriptionError, EncodeError, Failure, PublishError,
    RouteError, SendError, Status,
};

/// Why a call has no reply, and whether the peer may have executed it; see
/// [`guide::outcomes`](crate::guide::outcomes).  SPEC §16.4
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The reply is not of the type expected, so the peer has executed it.
    #[error(transparent)]
    BadBody(#[from] BadBody),
    /// The peer has no capacity right now, and did not execute it.
    #[error("busy; try again after {0:?}")]
    Busy(Duration),
    /// The deadline passed; the peer may have executed it.
    #[error("the deadline passed")]
    DeadlinePassed,
    /// The connection ended first; the peer may have executed it.
    #[error("disconnected; nobody knows whether it was executed")]
    Disconnected,
    /// The request's own `Encode` has failed, and nothing was sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The connection ended first, and the peer did not execute it.
    #[error("not executed: the connection ended first")]
    NotExecuted,
    /// It could not be sent, so the peer has not executed it.
    #[error("not sent: {0}")]
    Send(#[from] SendError),
    /// Nothing of the bodies moved for too long; the peer may have executed it.  SPEC §10.5
    #[error("stalled: nothing moved for too long")]
    Stalled,
    /// The peer answered with another status than OK; with the bytes that came along.
    #[error("the peer answered: {0}")]
    Status(Status, Bytes),
    /// The peer has executed it, but answered in chunks, which this side did not ask for or does not take
    /// ([`Limits::window`](crate::Limits::window) is 0).  SPEC §10.5
    #[error("executed, but the answer is not of a kind that this side takes")]
    Unsupported,
}

impl CallError {
    /// Whether the peer's handler may have run, so that what is repeated may happen twice.  `false` is certain; an answer of
    /// the peer's counts as `true` whatever its [`Status`], since a handler may say any.  SPEC §16.4
    ///
    /// ```
    /// use symbolon::SendError;
    /// use symbolon::blocking::CallError;
    ///
    /// assert!(!CallError::Send(SendError::Full).may_have_executed(), "it is safe to ask again");
    /// assert!(CallError::Disconnected.may_have_executed());
    /// ```
    #[must_use]
    pub const fn may_have_executed(&self) -> bool {
        match self {
            Self::Busy(_) | Self::Encode(_) | Self::NotExecuted | Self::Send(_) => false,
            Self::BadBody(_)
            | Self::DeadlinePassed
            | Self::Disconnected
            | Self::Stalled
            | Self::Status(..)
            | Self::Unsupported => true,
        }
    }

    /// Of an exchange that was opened.
    pub(crate) fn failed(failure: Failure) -> Self {
        match failure {
            Failure::DeadlinePassed => Self::DeadlinePassed,
            Failure::Stalled => Self::Stalled,
            Failure::NotExecuted => Self::NotExecuted,
            Failure::Unsupported => Self::Unsupported,
            Failure::Cancelled | Failure::Disconnected => Self::Disconnected,
        }
    }
}

/// With the body's own error as its source.
///
/// ```
/// use std::io;
/// use symbolon::Status;
/// use symbolon::blocking::BodyError;
///
/// let error = io::Error::from(BodyError::Status(Status::CANCELLED));
/// assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
/// let source = error.get_ref().and_then(|source| source.downcast_ref::<BodyError>());
/// assert_eq!(source, Some(&BodyError::Status(Status::CANCELLED)));
/// ```
impl From<BodyError> for io::Error {
    fn from(error: BodyError) -> Self {
        let kind = match error {
            BodyError::Answered | BodyError::Finished => io::ErrorKind::BrokenPipe,
            BodyError::Encode | BodyError::TooLarge => io::ErrorKind::InvalidInput,
            BodyError::Cancelled => io::ErrorKind::ConnectionAborted,
            BodyError::DeadlinePassed | BodyError::Stalled => io::ErrorKind::TimedOut,
            BodyError::Disconnected => io::ErrorKind::NotConnected,
            BodyError::Status(_) => io::ErrorKind::ConnectionReset,
            BodyError::Unsupported => io::ErrorKind::Unsupported,
        };
        Self::new(kind, error)
    }
}

/// So that a handler can end by `?`: what the caller is told where it was not told yet.
impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        Self::Status(match error {
            BodyError::Cancelled => Status::CANCELLED,
            BodyError::DeadlinePassed => Status::DEADLINE_PASSED,
            BodyError::Stalled => Status::STALLED,
            BodyError::Status(status) => status,
            BodyError::TooLarge => Status::TOO_LARGE,
            BodyError::Answered
            | BodyError::Disconnected
            | BodyError::Encode
            | BodyError::Finished
            | BodyError::Unsupported => Status::FAILED,
        })
    }
}

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The handshake failed, or one side did not let the other in.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// The socket, or the operating system's randomness.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ConnectError {
    /// Of two addresses that have failed, the one where something answered says more.
    pub(crate) fn or_later(earlier: Option<Self>, later: Self) -> Self {
        match (earlier, later) {
            (Some(closed @ Self::Closed(_)), Self::Io(_)) => closed,
            (_, later) => later,
        }
    }

    /// There is nothing to dial.
    pub(crate) fn nowhere() -> Self {
        io::Error::new(io::ErrorKind::InvalidInput, "no address").into()
    }
}

/// What is wrong with a device that was to be built.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Limits or timeouts.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The device's name, or a text for people.
    #[error("description of {about:?}: {error}")]
    Description {
        /// The name that was given, or that of the method or topic.
        about: String,
        /// Why it cannot be told.
        #[source]
        error: DescriptionError,
    },
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system")]
    Entropy,
    /// A method.
    #[error("method {name:?}: {error}")]
    Method {
        /// As it was given.
        name: String,
        /// Why it is not served.
        #[source]
        error: RouteError,
    },
    /// A topic.
    #[error("topic {name:?}: {error}")]
    Topic {
        /// As it was given.
        name: String,
        /// Why it was not declared.
        #[source]
        error: DeclareError,
    },
    /// A text is about a method that is not served, or a topic that was not declared.
    #[error("a text about {about:?}, which there is not")]
    Undeclared {
        /// As it was given.
        about: String,
    },
}

/// Why a handler has no reply.  Handlers give it by `?` from a [`Status`], or name it; by `?` from the errors of what they
/// call, publish, subscribe to or encode it is [`Status::FAILED`]. A [`BodyError`] gives the status that it has, which is
/// another peer's where the body is.
///
/// ```
/// use std::time::Duration;
/// use symbolon::Status;
/// use symbolon::blocking::Refusal;
///
/// const TOO_BRIGHT: Status = Status::new(300);
///
/// fn check(percent: u8, calls_waiting: usize) -> Result<u8, Refusal> {
///     match percent {
///         _ if calls_waiting > 3 => Err(Refusal::Busy(Duration::from_secs(1))),
///         0..=100 => Ok(percent),
///         _ => Err(TOO_BRIGHT)?,
///     }
/// }
/// assert_eq!(check(101, 0), Err(Refusal::Status(TOO_BRIGHT)));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// No capacity right now, and not executed; try again after this (zero: no hint).
    Busy(Duration),
    /// Any other status; applications use 256 and above.
    Status(Status),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// What a handler has asked for itself has failed: its caller hears [`Status::FAILED`], not what another has answered.
impl From<CallError> for Refusal {
    fn from(_: CallError) -> Self {
        Self::Status(Status::FAILED)
    }
}

/// As [`Status::FAILED`].
impl From<EncodeError> for Refusal {
    fn from(_: EncodeError) -> Self {
        Self::Status(Status::FAILED)
    }
}

/// As [`Status::FAILED`]: of what went wrong here, the caller learns nothing.
impl From<io::Error> for Refusal {
    fn from(_: io::Error) -> Self {
        Self::Status(Status::FAILED)
    }
}

/// As [`Status::FAILED`].
impl From<PublishError> for Refusal {
    fn from(_: PublishError) -> Self {
        Self::Status(Status::FAILED)
    }
}

/// As [`Status::FAILED`].
impl From<SubscribeError> for Refusal {
    fn from(_: SubscribeError) -> Self {
        Self::Status(Status::FAILED)
    }
}
