//! The peer's subscriptions: what is owed to each, and what topics hold for it.

use alloc::vec::Vec;

use super::device::Device;
use crate::adapter::offers;
use crate::{Connection, Event, ExchangeId, LinkId, Missed, PeerId, SendError, Status};

/// The subscriptions of one peer, at most as many as [`Limits::subscriptions_in`](crate::Limits::subscriptions_in);
/// room for them is there from the start.
#[derive(Debug)]
pub(super) struct Served {
    link: LinkId,
    subscriptions: Vec<(ExchangeId, Owes)>,
}

/// What is to be said of a subscription.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Owes {
    Accept,
    Refusal(Status),
    /// It stands.
    Nothing,
    /// It was given up before its acceptance had left.
    AcceptAndEnd(Missed),
    End(Missed),
    /// All was said.
    Done,
}

impl Served {
    pub(super) fn new(device: &Device, link: LinkId) -> Self {
        let most = device.config().limits().subscriptions_in;
        Self { link, subscriptions: Vec::with_capacity(most.into()) }
    }

    /// Takes an event, if it is about these.
    pub(super) fn take(&mut self, device: &Device, peer: Option<PeerId>, event: &Event<'_>) -> bool {
        match *event {
            Event::Subscribe { id, filter, from } => {
                let subscribed = if device.may_subscribe(peer, filter) {
                    device.with_topics(|topics| topics.subscribe(self.link, id, filter, from))
                } else {
                    Err(Status::DENIED)
                };
                let owes = subscribed.map_or_else(Owes::Refusal, |()| Owes::Accept);
                self.subscriptions.push((id, owes));
                true
            }
            Event::Unsubscribe { id } => {
                let left = device.with_topics(|topics| topics.unsubscribe(self.link, id)).unwrap_or_default();
                if let Some((_, owes)) = self.subscriptions.iter_mut().find(|(served, _)| *served == id) {
                    *owes = match *owes {
                        Owes::Accept => Owes::AcceptAndEnd(left),
                        // Its end is the refusal.
                        Owes::Refusal(status) => Owes::Refusal(status),
                        _ => Owes::End(left),
                    };
                }
                true
            }
            _ => false,
        }
    }

    /// Says what is owed, and publishes, as far as there is room and credit.
    pub(super) fn settle(&mut self, device: &Device, connection: &mut Connection) {
        let mut at = 0;
        while let Some((id, owes)) = self.subscriptions.get_mut(at) {
            while let Some(next) = pay(connection, *id, *owes) {
                *owes = next;
            }
            if *owes == Owes::Done {
                self.subscriptions.swap_remove(at);
            } else {
                at += 1;
            }
        }
        // What finds no room is tried again in the next turn, as soon as something was sent.
        let _crowded = device.with_topics(|topics| offers::pump(topics, self.link, connection));
    }

    /// The connection has ended.
    pub(super) fn clear(&mut self, device: &Device) {
        self.subscriptions.clear();
        device.with_topics(|topics| topics.drop_link(self.link));
    }
}

/// Pays one thing, and gives what is owed then; `None` where there is no room, or nothing to pay.
fn pay(connection: &mut Connection, id: ExchangeId, owes: Owes) -> Option<Owes> {
    let (paid, next) = match owes {
        Owes::Nothing | Owes::Done => return None,
        Owes::Accept => (connection.accept_subscription(id), Owes::Nothing),
        Owes::AcceptAndEnd(missed) => (connection.accept_subscription(id), Owes::End(missed)),
        Owes::Refusal(status) => (connection.respond(id, status, &[]), Owes::Done),
        Owes::End(missed) if missed.is_any() => {
            (connection.publish_missed(id, missed), Owes::End(Missed::NONE))
        }
        Owes::End(_) => (connection.end_subscription(id, Status::CANCELLED), Owes::Done),
    };
    match paid {
        Err(SendError::Full) => None,
        Ok(()) => Some(next),
        // Nobody waits any more, or the connection is closing.
        Err(_) => Some(Owes::Done),
    }
}
