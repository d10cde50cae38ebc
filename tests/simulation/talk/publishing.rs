//! Subscriptions of the peer's, served by the device's table of topics.

use symbolon::{ExchangeId, Missed, Point, SendError, Status, Verdict};

use super::{Context, Talk};
use crate::common::topics::send;
use crate::ledger::Feed;

/// One that was accepted by the table.
#[derive(Debug)]
pub struct Served;

/// What found no room yet; an acceptance goes before its end.
#[derive(Debug)]
pub enum Owed {
    Accept(ExchangeId),
    End(ExchangeId, Missed, Status),
    Refuse(ExchangeId, Status),
}

impl Talk {
    pub(super) fn on_subscribe(
        &mut self,
        context: &mut Context<'_>,
        id: ExchangeId,
        filter: &str,
        from: Option<Point>,
    ) {
        let (first, unknown) = context.device.beginnings(context.ledger, filter, from);
        match context.device.topics.subscribe(self.link, id, filter, from) {
            Ok(()) => {
                let (epoch, filter) = (context.device.epoch, filter.to_owned());
                let feed = Feed { epoch, filter, first, unknown, ended: None };
                let key = self.key(id);
                assert!(context.ledger.feeds.insert(key, feed).is_none(), "exchange {id} again");
                self.feeding.insert(id, Served);
                self.publications.push_back(Owed::Accept(id));
            }
            Err(status) => self.publications.push_back(Owed::Refuse(id, status)),
        }
    }

    pub(super) fn on_unsubscribe(&mut self, context: &mut Context<'_>, id: ExchangeId) {
        self.end_feed(context, id, Status::CANCELLED);
    }

    fn end_feed(&mut self, context: &mut Context<'_>, id: ExchangeId, status: Status) {
        // It may have been ended or refused by this side, a moment ago.
        if self.feeding.remove(&id).is_none() {
            return;
        }
        context.ledger.end_feed(self.key(id));
        let left = context.device.topics.unsubscribe(self.link, id);
        self.publications.push_back(Owed::End(id, left.unwrap_or_default(), status));
    }

    /// Ends all of them in order.
    pub fn end_feeds(&mut self, context: &mut Context<'_>) {
        let ids: Vec<ExchangeId> = self.feeding.keys().copied().collect();
        for id in ids {
            self.end_feed(context, id, Status::SHUTTING_DOWN);
        }
    }

    pub(super) fn end_some_feed(&mut self, context: &mut Context<'_>) {
        if let Some(id) = context.rng.pick(self.feeding.keys().copied()) {
            self.end_feed(context, id, Status::SUPERSEDED);
        }
    }

    /// Hands out what waits; whether anything moved.
    pub(super) fn feed(&mut self, context: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Some(owed) = self.publications.pop_front() {
            if let Err(owed) = self.pay_publication(owed) {
                self.publications.push_front(owed);
                break;
            }
            moved = true;
        }
        let (connection, topics) = (&mut self.connection, &mut context.device.topics);
        while let Some(id) = connection.poll_credited() {
            topics.credited(self.link, id);
        }
        topics.pump(self.link, |offer| {
            let verdict = match send(connection, offer) {
                Ok(verdict) => verdict,
                // Not accepted yet: the acceptance is owed, and counts as credit.
                Err(SendError::NoCredit | SendError::UnknownExchange) => Verdict::NoCredit,
                Err(SendError::TooLarge { .. }) => Verdict::TooLarge,
                Err(SendError::Full | SendError::Closed) => Verdict::Full,
                Err(other) => panic!("the table and the connection disagree: {other:?}"),
            };
            moved |= matches!(verdict, Verdict::Sent | Verdict::Part(1..));
            verdict
        });
        moved
    }

    /// Gives it back where there is no room for it.
    fn pay_publication(&mut self, owed: Owed) -> Result<(), Owed> {
        let paid = match owed {
            Owed::Accept(id) => self.connection.accept_subscription(id),
            Owed::End(id, missed, status) => {
                if missed.is_any() && self.connection.publish_missed(id, missed) == Err(SendError::Full) {
                    return Err(owed);
                }
                let ended = self.connection.end_subscription(id, status);
                if ended == Err(SendError::Full) {
                    return Err(Owed::End(id, Missed::NONE, status));
                }
                ended
            }
            Owed::Refuse(id, status) => self.connection.respond(id, status, b""),
        };
        match paid {
            Err(SendError::Full) => Err(owed),
            Ok(()) | Err(SendError::Closed) => Ok(()),
            Err(other) => panic!("{owed:?}: {other:?}"),
        }
    }
}
