//! Errors, each answering one question: why did it end, what did the peer do wrong, why was my command
//! refused.  All are `Copy`; none holds a string, a box or another crate's error.

use crate::identity::PeerId;
use crate::name::NameError;
use crate::status::Status;
use crate::wire::{PayloadError, RefusalCode, WireError};

/// Why a connection ended.  Reported once, last, by [`Event::Closed`](crate::Event::Closed).
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side used up a counter.  SPEC §7
    #[error("a counter of this connection is used up")]
    Exhausted,
    /// On a serial line: this many frames of the peer's were lost.  SPEC §19.4
    #[error("{0} frames were lost on the line")]
    FramesLost(u16),
    /// The handshake failed.
    #[error("handshake: {0}")]
    Handshake(#[from] HandshakeError),
    /// This side closed it with this status.
    #[error("closed here: {0}")]
    Local(Status),
    /// The other side broke a rule.
    #[error("the peer broke a rule: {0}")]
    Misbehaved(#[from] PeerMisbehaved),
    /// This side did not let the peer in.  SPEC §6
    #[error("the other side is {0}, which was not dialled or is not let in here")]
    NotAdmitted(PeerId),
    /// The responder refused before the handshake, which nothing authenticates.  SPEC §3
    #[error("refused before the handshake: {0}")]
    Refused(RefusalCode),
    /// The other side closed it with this status; [`Status::REFUSED`]: it did not let this device in.
    #[error("closed by the peer: {0}{meaning}", meaning = what_it_means(*.0))]
    Remote(Status),
    /// Something took too long.
    #[error("timed out: {0}")]
    TimedOut(TimedOut),
    /// The stream ended without a `close`: somebody may have cut it.  SPEC §16.1
    #[error("the stream ended without a close")]
    Truncated,
}

impl CloseReason {
    /// What the peer is told; `None` where there is nothing to tell, or no keys to tell it under.  SPEC §16.3
    pub const fn status(self) -> Option<Status> {
        match self {
            Self::Exhausted => Some(Status::EXHAUSTED),
            Self::FramesLost(_) => Some(Status::LOST),
            Self::Local(status) => Some(status),
            Self::Misbehaved(_) => Some(Status::VIOLATION),
            Self::NotAdmitted(_) | Self::TimedOut(TimedOut::Handshake) => Some(Status::REFUSED),
            Self::Remote(_) => Some(Status::OK),
            Self::TimedOut(TimedOut::Frame | TimedOut::Silence) => Some(Status::TIMED_OUT),
            Self::Handshake(_) | Self::Refused(_) | Self::TimedOut(TimedOut::Close) | Self::Truncated => None,
        }
    }
}

/// What a user has to know who reads it, of the one status that is about this device.
fn what_it_means(status: Status) -> &'static str {
    if status == Status::REFUSED { ", it does not let this device in, or not in time" } else { "" }
}

/// What took too long.  SPEC §15
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TimedOut {
    /// The answer to this side's `close`.
    #[error("the ending")]
    Close,
    /// A frame that was begun.
    #[error("a frame that was begun")]
    Frame,
    /// The handshake, or the decision whether to admit.
    #[error("the handshake")]
    Handshake,
    /// The peer was silent for longer than it declared, and did not answer a probe.
    #[error("the peer is silent")]
    Silence,
}

/// What was wrong in a handshake.  The peer is told nothing.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// SPEC §4: a handshake frame has 1 to 512 bytes; SPEC §5.1: message 1 has 32.
    #[error("a handshake frame of {0} bytes")]
    FrameLength(u16),
    /// SPEC §3: the bytes are not symbolon's; another protocol, or noise.
    #[error("the other side does not speak symbolon")]
    NotSymbolon,
    /// SPEC §5.4: the peer presented this device's own identity.
    #[error("the peer presented this device's own identity")]
    OwnIdentity,
    /// SPEC §5.2: the payload.
    #[error("payload: {0}")]
    Payload(PayloadError),
    /// SPEC §3: a responder's preamble that answers no offer of ours.
    #[error("a preamble that answers no offer")]
    Preamble,
    /// SPEC §5.3: the proof of the identity does not hold.
    #[error("the identity is not proven")]
    Proof,
    /// SPEC §3: this responder refused, and said why.
    #[error("refused the initiator's offer: {0}")]
    Refused(RefusalCode),
    /// SPEC §5.1: this side's own mistake, its seed was used before; nothing was sent.
    #[error("the seed of this connection was used before")]
    RepeatedSeed,
    /// SPEC §5.1: the message does not authenticate, or its key is of low order.
    #[error("a handshake message does not authenticate")]
    Unauthentic,
}

/// A rule of SPEC.md that the peer broke after the handshake.  The connection ends with `violation`.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// SPEC §14.5: an `abort` with `more` or with a chunk.
    #[error("an abort with more, or with a chunk")]
    AbortForm,
    /// SPEC §6: `accept` is the responder's first message, and occurs once.
    #[error("accept came twice or from the initiator, or something else came where it had to be first")]
    Accept,
    /// SPEC §14.5: the chunks of a publication are together exactly as long as it said.
    #[error("exchange {0}: chunks that do not add up")]
    Chunks(u64),
    /// SPEC §11: data beyond the credit.
    #[error("exchange {0}: more than its credit")]
    CreditExceeded(u64),
    /// SPEC §4: a frame's length is within 17 and what this side declared.
    #[error("a frame of {0} bytes")]
    FrameLength(u16),
    /// SPEC §8, §9: the encoding and form of messages.
    #[error("message: {0}")]
    Message(WireError),
    /// SPEC §10.1: openings have the opener's parity and rise.
    #[error("an opening with id {0}")]
    OpeningId(u64),
    /// SPEC §10.2: what an exchange allows in its state, and to whom.
    #[error("exchange {0}: a message that its state does not allow")]
    State(u64),
    /// SPEC §10.1: messages about exchanges that have ended, beyond the budget.
    #[error("too many messages about exchanges that have ended")]
    Strays,
    /// SPEC §10.3: no more requests than this side declared.
    #[error("more requests than allowed")]
    TooManyRequests,
    /// SPEC §10.3: no more subscriptions than this side declared.
    #[error("more subscriptions than allowed")]
    TooManySubscriptions,
    /// SPEC §13: a publication's topic matches its subscription's filter.
    #[error("exchange {0}: a topic that its filter does not match")]
    Topic(u64),
    /// SPEC §7: each frame authenticates.
    #[error("a frame does not authenticate")]
    Unauthentic,
    /// SPEC §10.1: messages are about exchanges that were opened.
    #[error("exchange {0} was never opened")]
    UnknownExchange(u64),
}

/// Why a command was refused.  The connection is exactly as it was before.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closing or closed.
    #[error("the connection is closed")]
    Closed,
    /// The queue is full; try again when something was sent.
    #[error("the send queue is full")]
    Full,
    /// The peer takes no more exchanges on this connection (`goaway`).  SPEC §16.2
    #[error("the peer takes no more exchanges")]
    GoingAway,
    /// A publication into this subscription is half sent: it goes on, or is given up, before another begins.  SPEC §14.5
    #[error("another publication is half sent")]
    HalfSent,
    /// The method, topic or filter breaks a rule of SPEC §13.
    #[error("name: {0}")]
    Name(#[from] NameError),
    /// The subscriber has given no credit for it yet; try again when it has read.  SPEC §11
    #[error("no credit")]
    NoCredit,
    /// The peer, or this side's own limits, allow no exchange of this kind at all.
    #[error("exchanges of this kind are not taken")]
    NoneTaken,
    /// The handshake has not come far enough.
    #[error("not connected yet")]
    NotConnected,
    /// No publication into this subscription is half sent, or not with so many bytes left: nothing goes on, and nothing
    /// is given up.  SPEC §14.5
    #[error("no publication is half sent, or not with so many bytes left")]
    NotHalfSent,
    /// A point to resume from is one topic's, and the filter has wildcards.  SPEC §14.4
    #[error("a point to resume from, with a filter that has wildcards")]
    PointWithWildcards,
    /// A message of `len` bytes does not fit; the other side, or a queue of this one, takes `max`.
    #[error("{len} bytes where at most {max} fit")]
    TooLarge {
        /// The encoded length.
        len: usize,
        /// The most that fits.
        max: usize,
    },
    /// As many exchanges of this kind are open as both sides allow; try again when one has ended.
    #[error("too many exchanges open")]
    TooMany,
    /// There is no such exchange here, or not in a state for this command.
    #[error("no such exchange, or it does not wait for this")]
    UnknownExchange,
}
