//! Why the table refused.

use crate::name::NameError;
#[cfg(doc)]
use crate::{Overflow, TopicLimits};

/// Why a topic was not declared. Nothing changed.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeclareError {
    /// It is not a name.  SPEC §13
    #[error(transparent)]
    Name(#[from] NameError),
    /// A level begins with `$`: reserved for the protocol.  SPEC §13
    #[error("names with a level that begins with `$` are reserved")]
    Reserved,
    /// The topic exists with another kind.
    #[error("the topic was declared with another kind")]
    OtherKind,
    /// The depth is 0, or above [`TopicLimits::depth`].
    #[error("the depth is 0 or above the limit")]
    BadDepth,
    /// [`TopicLimits::topics`] or [`TopicLimits::matches`] is reached.
    #[error("no room for another topic")]
    Full,
}

/// Why nothing was published. Nothing changed.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The value's own `Encode` has failed. Only the typed `publish` of an adapter says so; `Topics` never does.
    #[error("the value could not be encoded")]
    Encode,
    /// No such topic in this table.
    #[error("no such topic")]
    UnknownTopic,
    /// The body is above [`TopicLimits::body`].
    #[error("the body is above the limit")]
    TooLarge,
    /// A subscription's queue is full, and the topic refuses then.  [`Overflow::Refuse`]
    #[error("a subscription's queue is full")]
    QueueFull,
    /// What topics keep fills [`TopicLimits::bytes`]. A slow subscriber is never the cause.
    #[error("what topics keep leaves no room for the body")]
    NoRoom,
    /// The topic's sequence is used up.
    #[error("the topic's numbers are used up")]
    Exhausted,
}
