//! An event that waits for the application, by the places of its parts in the frame received.

use core::time::Duration;

use super::event::{Event, Failure, Publication, StopCause};
use super::reader::{Reader, Span};
use crate::exchange::ExchangeId;
use crate::identity::PeerId;
use crate::publication::Missed;
use crate::status::Status;
use crate::time::Instant;
use crate::wire::message::Point;

/// An [`Event`] without its borrow.
#[derive(Debug)]
pub(crate) enum Pending {
    Aborted {
        id: u64,
    },
    Admission(PeerId),
    Busy {
        id: u64,
        retry: Duration,
    },
    Connected(PeerId),
    Continuation {
        id: u64,
        chunk: Span,
        cost: u32,
        more: bool,
    },
    Data {
        id: u64,
        chunk: Span,
        cost: u32,
    },
    End {
        id: u64,
        status: Status,
    },
    Failed {
        id: u64,
        failure: Failure,
    },
    GoingAway,
    Missed {
        id: u64,
        missed: Missed,
    },
    Publication {
        id: u64,
        topic: Span,
        point: Point,
        missed: Missed,
        retained: bool,
        body: Span,
        cost: u32,
        /// Short, since a connection has one of these: what is longer is not taken.
        total: Option<u32>,
    },
    Request {
        id: u64,
        method: Span,
        body: Span,
        deadline: Option<Instant>,
        more: bool,
    },
    Response {
        id: u64,
        status: Status,
        body: Span,
        more: bool,
    },
    Stop {
        id: u64,
        cause: StopCause,
    },
    Stopped {
        id: u64,
        status: Status,
    },
    Subscribe {
        id: u64,
        filter: Span,
        from: Option<Point>,
    },
    Subscribed {
        id: u64,
    },
    SubscriptionEnded {
        id: u64,
        status: Status,
    },
    Unsubscribe {
        id: u64,
    },
}

impl Pending {
    /// The event, lent from the reader's unit.
    pub(crate) fn lend<'a>(&self, reader: &'a Reader) -> Event<'a> {
        let part = |span: Span| reader.part(span);
        match *self {
            Self::Aborted { id } => Event::Aborted { id: ExchangeId::from_number(id) },
            Self::Admission(peer) => Event::Admission { peer },
            Self::Busy { id, retry } => Event::Busy { id: ExchangeId::from_number(id), retry },
            Self::Connected(peer) => Event::Connected { peer },
            Self::Continuation { id, chunk, cost, more } => {
                Event::Continuation { id: ExchangeId::from_number(id), chunk: part(chunk), cost, more }
            }
            Self::Data { id, chunk, cost } => {
                Event::Data { id: ExchangeId::from_number(id), chunk: part(chunk), cost }
            }
            Self::End { id, status } => Event::End { id: ExchangeId::from_number(id), status },
            Self::Failed { id, failure } => Event::Failed { id: ExchangeId::from_number(id), failure },
            Self::GoingAway => Event::GoingAway,
            Self::Missed { id, missed } => Event::Missed { id: ExchangeId::from_number(id), missed },
            Self::Publication { id, topic, point, missed, retained, body, cost, total } => {
                Event::Publication {
                    id: ExchangeId::from_number(id),
                    publication: Publication {
                        topic: text(part(topic)),
                        point,
                        missed,
                        retained,
                        body: part(body),
                        cost,
                        total: total.map(u64::from),
                    },
                }
            }
            Self::Request { id, method, body, deadline, more } => Event::Request {
                id: ExchangeId::from_number(id),
                method: text(part(method)),
                body: part(body),
                deadline,
                more,
            },
            Self::Response { id, status, body, more } => {
                Event::Response { id: ExchangeId::from_number(id), status, body: part(body), more }
            }
            Self::Stop { id, cause } => Event::Stop { id: ExchangeId::from_number(id), cause },
            Self::Stopped { id, status } => Event::Stopped { id: ExchangeId::from_number(id), status },
            Self::Subscribe { id, filter, from } => {
                Event::Subscribe { id: ExchangeId::from_number(id), filter: text(part(filter)), from }
            }
            Self::Subscribed { id } => Event::Subscribed { id: ExchangeId::from_number(id) },
            Self::SubscriptionEnded { id, status } => {
                Event::SubscriptionEnded { id: ExchangeId::from_number(id), status }
            }
            Self::Unsubscribe { id } => Event::Unsubscribe { id: ExchangeId::from_number(id) },
        }
    }
}

/// A name that the decoder has checked to be UTF-8.
fn text(name: &[u8]) -> &str {
    core::str::from_utf8(name).unwrap_or_default()
}
