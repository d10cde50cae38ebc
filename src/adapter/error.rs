//! How bodies and subscriptions fail, whatever the adapter.

use crate::{EncodeError, Failure, Missed, SendError, Status};

/// Why a body in chunks can be read or written no further.  SPEC §10.5
///
/// Where a reader or writer is used through `std::io` or `tokio::io`, the error of those holds this as its source.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The request was answered, so no more of its body is taken: its writer is told, who waits for the reply to know
    /// why, and a reader who outlives the answer.
    #[error("the request was answered, and no more of it is taken")]
    Answered,
    /// It was given up here, or the caller of a handler is gone.
    #[error("cancelled")]
    Cancelled,
    /// The deadline of the exchange has passed.
    #[error("the deadline passed")]
    DeadlinePassed,
    /// The connection ended first: what was read is not all, and nobody knows how much of what was written arrived.
    #[error("disconnected")]
    Disconnected,
    /// The head's own `Encode` has failed; nothing was answered.
    #[error("the head could not be encoded")]
    Encode,
    /// Writing behind the end.
    #[error("the body is finished")]
    Finished,
    /// Nothing moved for too long; see [`Timeouts::body_idle`](crate::Timeouts::body_idle).
    #[error("stalled: nothing moved for too long")]
    Stalled,
    /// The peer gave its body up, or takes no more of this side's, with this status.
    #[error("stopped by the peer: {0}")]
    Status(Status),
    /// A head that does not fit a frame; nothing was answered.
    #[error("the head does not fit a frame")]
    TooLarge,
    /// The peer has executed the request, but its answer came in chunks, which this side does not take; the connection
    /// still stands.
    #[error("the answer is not of a kind that this side takes")]
    Unsupported,
}

impl From<EncodeError> for BodyError {
    fn from(_: EncodeError) -> Self {
        Self::Encode
    }
}

impl From<Failure> for BodyError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Cancelled => Self::Cancelled,
            Failure::DeadlinePassed => Self::DeadlinePassed,
            Failure::Stalled => Self::Stalled,
            Failure::Disconnected | Failure::NotExecuted => Self::Disconnected,
            Failure::Unsupported => Self::Unsupported,
        }
    }
}

/// A body that was given up never passes for one that is complete.  EXC-15
pub(crate) fn no_success(status: Status) -> Status {
    if status.is_ok() { Status::CANCELLED } else { status }
}

/// Why a subscription does not stand, or ended.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The connection ended.
    #[error("disconnected")]
    Disconnected,
    /// It could not be sent.
    #[error("not sent: {0}")]
    Send(#[from] SendError),
    /// The publisher has refused or ended it with this status; with `OK` or [`Status::SHUTTING_DOWN`] it is an orderly
    /// end, and with [`Status::SUPERSEDED`], which may be this side's word as well, there is a newer connection to subscribe on.
    #[error("the publisher has refused or ended it: {0}")]
    Status(Status),
    /// The publisher has not accepted in time; the subscription is cancelled.
    #[error("the publisher has not answered in time")]
    TimedOut,
}

/// What a subscription could not give; it goes on behind it.  SPEC §14.3
///
/// For a [`State`](crate::Kind::State) a gap is no harm: the next value is the latest.  Who needs each event takes it as
/// a reason to ask the publisher for the whole.
///
/// ```
/// use symbolon::Missed;
/// use symbolon::blocking::Gap;
///
/// let known = Gap::Missed(Missed { count: 3, unknown: false });
/// assert_eq!(known.to_string(), "missed 3 publications");
/// let unknown = Gap::Missed(Missed { count: 3, unknown: true });
/// assert_eq!(unknown.to_string(), "missed at least 3 publications");
/// ```
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Gap {
    /// A publication's body is not of the type expected.
    #[error("a publication is not of the expected type")]
    BadBody,
    /// Publications were dropped.
    #[error("missed {}{} publications", if .0.unknown { "at least " } else { "" }, .0.count)]
    Missed(Missed),
}
