//! What a connection reports to its application.

use core::time::Duration;

use crate::error::CloseReason;
use crate::exchange::ExchangeId;
use crate::identity::PeerId;
use crate::publication::Missed;
use crate::status::Status;
use crate::time::Instant;
use crate::wire::message::Point;

/// Something that happened, lent until the next call.  Bodies and names point into the frame received.
///
/// Marked *ours* is what this side opened, *theirs* what the peer opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Ours: the rest of the publication that goes on will never come.  What came of it is to be forgotten, its credit
    /// has been given back, and it counts as missed: nobody else counts it.  SPEC §14.5
    Aborted {
        /// The subscription.
        id: ExchangeId,
    },
    /// The peer has proven its identity; [`admit`](crate::Connection::admit) or
    /// [`refuse`](crate::Connection::refuse) it.  Only with [`Admission::Ask`](crate::Admission::Ask).
    Admission {
        /// Who asks to be let in, or answers where this side dialled.
        peer: PeerId,
    },
    /// Theirs: the peer asks to stop a request, or its time is up.  After [`StopCause::Cancel`] an answer, or the end of
    /// one that was begun, is still owed; after any other cause the peer has been answered already.
    Stop {
        /// The request.
        id: ExchangeId,
        /// Why.
        cause: StopCause,
    },
    /// Ours: the peer's application has no capacity for the request right now.
    Busy {
        /// The request.
        id: ExchangeId,
        /// When to try again; zero: no hint.
        retry: Duration,
    },
    /// The connection has ended; nothing follows.
    Closed {
        /// Why.
        reason: CloseReason,
    },
    /// Both sides have let each other in.
    Connected {
        /// The other side.
        peer: PeerId,
    },
    /// Ours: more of the publication that goes on, with none of the same subscription between.  SPEC §14.5
    Continuation {
        /// The subscription.
        id: ExchangeId,
        /// The next bytes of its body; perhaps none.
        chunk: &'a [u8],
        /// What this message cost of the subscription's credit, in bytes; to be released once the application has
        /// taken the whole.
        cost: u32,
        /// Whether more comes; if not, all of [`Publication::total`] is here.
        more: bool,
    },
    /// Bytes of the other side's body, which may be none.  Once the application has taken them,
    /// [`release`](crate::Connection::release) their cost.  SPEC §10.5
    Data {
        /// The exchange.
        id: ExchangeId,
        /// The application's bytes; where one chunk ends and the next begins means nothing.
        chunk: &'a [u8],
        /// What they cost of the body's credit, in bytes.
        cost: u32,
    },
    /// The other side's body has ended: complete where the status is [`Status::OK`], else given up.  Where this side has
    /// stopped it, by [`cancel_with`](crate::Connection::cancel_with), what crossed was discarded, and OK says no more than
    /// that the peer had sent all.  SPEC §10.5
    End {
        /// The exchange.
        id: ExchangeId,
        /// How.
        status: Status,
    },
    /// Ours: a request or subscription ended without an answer.
    Failed {
        /// The exchange.
        id: ExchangeId,
        /// How.
        failure: Failure,
    },
    /// The peer takes no more exchanges; those that it did not take have failed as
    /// [`Failure::NotExecuted`].
    GoingAway,
    /// Ours: publications of this subscription were dropped, and nothing follows them yet.
    Missed {
        /// The subscription.
        id: ExchangeId,
        /// How many, since the last publication or the last such event.
        missed: Missed,
    },
    /// Ours: a publication, or how one begins, by its [`total`](Publication::total).  Once the application has taken
    /// it, [`release`](crate::Connection::release) its cost.
    Publication {
        /// The subscription.
        id: ExchangeId,
        /// What was published.
        publication: Publication<'a>,
    },
    /// Theirs: a request that waits for [`respond`](crate::Connection::respond).
    Request {
        /// The exchange.
        id: ExchangeId,
        /// The method's name.
        method: &'a str,
        /// The application's bytes.
        body: &'a [u8],
        /// When the peer, or this side's own limit, stops waiting.
        deadline: Option<Instant>,
        /// Whether its body goes on, in [`Event::Data`] up to [`Event::End`].
        more: bool,
    },
    /// Ours: the answer to a request.
    Response {
        /// The request.
        id: ExchangeId,
        /// How it went; only [`Status::OK`] is success.
        status: Status,
        /// The application's bytes.
        body: &'a [u8],
        /// Whether its body goes on, in [`Event::Data`] up to [`Event::End`]; only where
        /// [`Connection::open`](crate::Connection::open) has asked.
        more: bool,
    },
    /// Ours: the peer takes no more of a request's body, which was ended.  The answer still comes.  SPEC §10.5
    Stopped {
        /// The request.
        id: ExchangeId,
        /// Why.
        status: Status,
    },
    /// Theirs: a subscription that waits for [`accept_subscription`](crate::Connection::accept_subscription)
    /// or [`respond`](crate::Connection::respond).
    Subscribe {
        /// The exchange.
        id: ExchangeId,
        /// What it asks for.
        filter: &'a str,
        /// The last publication that the subscriber has.
        from: Option<Point>,
    },
    /// Ours: the subscription stands.
    Subscribed {
        /// The subscription.
        id: ExchangeId,
    },
    /// Ours: the subscription ended, or was refused.
    SubscriptionEnded {
        /// The subscription.
        id: ExchangeId,
        /// Why.
        status: Status,
    },
    /// Theirs: the peer wants no more publications; what is left to tell goes before
    /// [`end_subscription`](crate::Connection::end_subscription).
    Unsubscribe {
        /// The subscription.
        id: ExchangeId,
    },
}

/// A publication as it arrived, in an [`Event`]: it borrows from the frame received.  SPEC §14
///
/// Adapters hand out another type of this name, [`blocking::Publication`](crate::blocking::Publication), which owns its
/// topic and body.  What a publisher sends is an [`Outgoing`](crate::Outgoing).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Publication<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// Its place among the publications of that topic.
    pub point: Point,
    /// What was dropped before it.
    pub missed: Missed,
    /// Whether it is the value that the topic had on subscribing.
    pub retained: bool,
    /// The application's bytes, or the first of them, perhaps none.
    pub body: &'a [u8],
    /// What it cost of the subscription's credit, in bytes.
    pub cost: u32,
    /// How long the whole body will be, where it goes on in [`Event::Continuation`]; the last of them, or
    /// [`Event::Aborted`], or the end of the subscription ends it, which then counts as missed.  `None` where this is
    /// all of it.  Never above [`SubscribeOptions::largest`](crate::SubscribeOptions::largest).
    pub total: Option<u64>,
}

impl<'a> Publication<'a> {
    /// What it has of its own, beside its topic.
    #[cfg(feature = "std")]
    pub(crate) fn following(&self) -> Following<'a> {
        let Self { point, missed, retained, body, cost, .. } = *self;
        Following { point, missed, retained, body, cost }
    }
}

/// A publication that follows another one of the same topic, into the same subscription: what
/// [`Connection::poll_following`](crate::Connection::poll_following) lends.  SPEC §14
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Following<'a> {
    /// Its place among the publications of that topic.
    pub point: Point,
    /// What was dropped before it.
    pub missed: Missed,
    /// Whether it is the value that the topic had on subscribing.
    pub retained: bool,
    /// The application's bytes, all of them.
    pub body: &'a [u8],
    /// What it cost of the subscription's credit, in bytes.
    pub cost: u32,
}

/// The first message of a request whose bodies may go on in chunks, for [`Connection::open`](crate::Connection::open).
/// SPEC §10.5
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestHead<'a> {
    /// The method's name.
    pub method: &'a str,
    /// The application's bytes, which the peer gets apart from what follows.
    pub body: &'a [u8],
    /// Whether this side's body goes on.
    pub more: bool,
    /// How long the whole exchange may take, its bodies included: at most 2³²−1 ms; `None`: as long as something
    /// moves while a body goes on, and as long as the peer takes to answer.
    pub deadline: Option<Duration>,
}

/// How an exchange of ours ended without an answer.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// This side cancelled it; the peer may have executed it.
    #[error("cancelled")]
    Cancelled,
    /// Its deadline passed; the peer may have executed it.
    #[error("deadline passed")]
    DeadlinePassed,
    /// The connection ended first; the peer may have executed it, nobody knows.
    #[error("disconnected, outcome unknown")]
    Disconnected,
    /// The connection ended first, and the peer did not execute it.  SPEC §16.4
    #[error("not executed")]
    NotExecuted,
    /// Nothing of its bodies moved for too long; the peer may have executed it.  SPEC §10.5
    #[error("stalled: nothing moved for too long")]
    Stalled,
    /// The answer is longer than a frame, which this side does not take; the peer has executed it.
    #[error("the answer is not of a kind that this side takes")]
    Unsupported,
}

/// Why a handler should stop.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StopCause {
    /// The peer sent `cancel` with this status.
    Cancel(Status),
    /// The deadline passed.
    Deadline,
    /// Nothing of the bodies moved for too long.  SPEC §10.5
    Stalled,
}
