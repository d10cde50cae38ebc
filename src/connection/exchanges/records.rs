//! What is known of one open exchange.  SPEC §10.2

use alloc::boxed::Box;
use alloc::string::String;

use super::super::bodies::Bodies;
use super::super::credit::{ReceiveCredit, SendCredit};
use super::super::event::{Failure, StopCause};
use crate::status::Status;
use crate::time::{Instant, sooner};

/// What a table has one of for each exchange, in the order of ids.
pub(super) trait Record {
    fn id(&self) -> u64;

    fn bodies(&self) -> Option<&Bodies>;

    /// When it ends for want of time, or of movement.
    fn ends_at(&self) -> Option<(Instant, Overdue)>;
}

impl Record for Opened {
    fn id(&self) -> u64 {
        self.id
    }

    fn bodies(&self) -> Option<&Bodies> {
        self.bodies.as_deref()
    }

    fn ends_at(&self) -> Option<(Instant, Overdue)> {
        self.is_awaited().then(|| Overdue::first(self.deadline, self.bodies()))?
    }
}

impl Record for Taken {
    fn id(&self) -> u64 {
        self.id
    }

    fn bodies(&self) -> Option<&Bodies> {
        self.bodies.as_deref()
    }

    fn ends_at(&self) -> Option<(Instant, Overdue)> {
        self.is_owed().then(|| Overdue::first(self.deadline, self.bodies()))?
    }
}

/// An exchange that this side opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) id: u64,
    pub(crate) deadline: Option<Instant>,
    /// Its opening has left in a frame.
    pub(crate) sealed: bool,
    /// Its opening was taken out of the queue instead, since its deadline had passed.
    pub(crate) unsent: bool,
    /// The application has been told its end; what still comes is ignored.  SPEC §10.4
    pub(crate) given_up: bool,
    pub(crate) cancel: Cancel,
    /// Whether the line of what is due has it.
    pub(crate) due: bool,
    /// The peer has answered with `more`.
    pub(crate) answering: bool,
    /// The back direction has ended; the `end` of this side's body is still to leave.
    pub(crate) ended: bool,
    pub(crate) kind: OpenedKind,
    /// Boxed: most exchanges have none.
    pub(crate) bodies: Option<Box<Bodies>>,
}

/// What was opened, and so what may come back.
#[derive(Debug)]
pub(crate) enum OpenedKind {
    /// A request that is answered by one message.
    Request,
    /// A request whose answer may go on in chunks.
    Open,
    /// Boxed: most exchanges are requests.
    Subscription(Box<Subscription>),
}

impl Opened {
    pub(crate) fn subscription(&mut self) -> Option<&mut Subscription> {
        match &mut self.kind {
            OpenedKind::Subscription(subscription) => Some(subscription),
            OpenedKind::Open | OpenedKind::Request => None,
        }
    }

    pub(crate) fn is_subscription(&self) -> bool {
        matches!(self.kind, OpenedKind::Subscription(_))
    }

    /// Whether the application still waits for its end.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.given_up && !self.ended
    }
}

/// Why an exchange ends without a word of the peer's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Overdue {
    /// Its deadline has passed.
    Deadline,
    /// Its bodies have stood still for too long.
    Stalled,
}

impl Overdue {
    /// What comes first of the two, and when.
    fn first(deadline: Option<Instant>, bodies: Option<&Bodies>) -> Option<(Instant, Self)> {
        let stalls = bodies.and_then(Bodies::stalls_at);
        let first = sooner(deadline, stalls)?;
        Some((first, if deadline == Some(first) { Self::Deadline } else { Self::Stalled }))
    }

    /// What the peer is told.
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Deadline => Status::DEADLINE_PASSED,
            Self::Stalled => Status::STALLED,
        }
    }

    /// What the application is told of one of ours.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Deadline => Failure::DeadlinePassed,
            Self::Stalled => Failure::Stalled,
        }
    }

    /// What the application is told of one of theirs.
    pub(crate) fn cause(self) -> StopCause {
        match self {
            Self::Deadline => StopCause::Deadline,
            Self::Stalled => StopCause::Stalled,
        }
    }
}

/// Whether the peer is asked to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cancel {
    No,
    Due(Status),
    Sent,
}

/// The receiving end of a subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) filter: String,
    /// Whether the filter has any.
    pub(crate) wildcards: bool,
    pub(crate) receive_credit: ReceiveCredit,
    /// The longest body that is taken in several messages; 0 for none.
    pub(crate) largest: u32,
    /// A publication that goes on.
    pub(crate) coming: Option<Coming>,
}

impl Subscription {
    /// One without a filter, which has room for one of this length.
    pub(crate) fn spare(filter: usize) -> Box<Self> {
        Box::new(Self {
            filter: String::with_capacity(filter),
            wildcards: false,
            receive_credit: ReceiveCredit::new(0),
            largest: 0,
            coming: None,
        })
    }
}

/// How long a filter may be for which nothing is allocated where a connection has reserved all that it needs.
pub(crate) const FILTER_AT_REST: usize = 32;

/// What is still to come of a publication.  SPEC §14.5
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Coming {
    pub(crate) rest: u64,
    /// The application is told; if not, it is discarded.
    pub(crate) wanted: bool,
}

/// An exchange that the peer opened.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) id: u64,
    pub(crate) deadline: Option<Instant>,
    /// The part of it that the opener asked for; this side's own limit holds only until it answers.
    pub(crate) asked: Option<Instant>,
    pub(crate) kind: TakenKind,
    pub(crate) answer: Answer,
    /// The peer has asked to stop.
    pub(crate) cancelled: bool,
    /// Whether the peer is asked to end its body.
    pub(crate) stop_body: Cancel,
    /// Whether the line of what is due has it.
    pub(crate) due: bool,
    /// Boxed: most exchanges have none.
    pub(crate) bodies: Option<Box<Bodies>>,
}

impl Taken {
    /// Whether the opener's body goes on.
    pub(crate) fn is_out_open(&self) -> bool {
        self.bodies.as_ref().is_some_and(|bodies| bodies.inbound.is_some())
    }

    /// Whether the message that ends the back direction is still to be made.
    pub(crate) fn is_owed(&self) -> bool {
        matches!(self.answer, Answer::Owed | Answer::Started)
    }
}

#[derive(Debug)]
pub(crate) enum TakenKind {
    Request,
    Subscription {
        /// The application has accepted it.
        accepted: bool,
        send_credit: SendCredit,
        /// Whether `credited` has it.
        credited: bool,
        /// How much of a publication's body is still to be sent; 0 where none is half sent.  SPEC §14.5
        unsent: usize,
    },
}

/// How far the one message that ends the back direction has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// The application owes it.
    Owed,
    /// A response with `more` has left or waits; its body goes on.
    Started,
    /// This side gives it itself, without a body.
    Due(Status),
    /// It waits in a queue.
    Queued,
    /// It has left; the opener's body goes on.
    Sent,
}
