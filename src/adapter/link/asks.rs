//! What the application asks of a link, and waits for.

use std::task::Waker;
use std::time::Duration;

use super::waiters::Waiters;
use super::{Answer, Call, Delivery, Ended, Inbox, Link, NoAnswer};
use crate::{ExchangeId, Failure, Instant, Point, SendError};

/// What is opened; each kind has slots of its own, and a line of those who wait for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Opening {
    Request,
    Subscription,
}

impl<H: Clone> Link<H> {
    /// Opens a request whose answer [`Link::poll_answer`] gives.
    pub(crate) fn request(
        &mut self,
        now: Instant,
        method: &str,
        body: &[u8],
        deadline: Option<Duration>,
    ) -> Result<ExchangeId, SendError> {
        let id = self.connection.request(now, method, body, deadline)?;
        self.calls.insert(id, Call::Waiting(None));
        Ok(id)
    }

    /// The answer, once; until then `waker` is kept.
    pub(crate) fn poll_answer(&mut self, id: ExchangeId, waker: &Waker) -> Option<Answer> {
        match self.calls.get_mut(&id) {
            Some(Call::Waiting(slot)) => {
                keep(slot, waker);
                None
            }
            Some(Call::Answered(_)) => match self.calls.remove(&id) {
                Some(Call::Answered(answer)) => Some(answer),
                _ => None,
            },
            None => Some(Err(NoAnswer::Failed(Failure::Disconnected))),
        }
    }

    /// Forgets a call; one that is still open is cancelled on the wire.
    pub(crate) fn drop_call(&mut self, id: ExchangeId) {
        if let Some(Call::Waiting(_)) = self.calls.remove(&id) {
            // Refused where it has just ended: then there is nothing to cancel.
            let _ended = self.connection.cancel(id);
        }
    }

    /// Opens a subscription.
    pub(crate) fn subscribe(
        &mut self,
        filter: &str,
        window: u32,
        from: Option<Point>,
    ) -> Result<ExchangeId, SendError> {
        let id = self.connection.subscribe(filter, window, from)?;
        self.inboxes.insert(id, Inbox::default());
        Ok(id)
    }

    /// Whether the peer has accepted the subscription; until then `waker` is kept.
    pub(crate) fn poll_accepted(&mut self, id: ExchangeId, waker: &Waker) -> Option<Result<(), Ended>> {
        let Some(inbox) = self.inboxes.get_mut(&id) else {
            return Some(Err(Ended::Failed(Failure::Disconnected)));
        };
        match inbox.ended {
            _ if inbox.accepted => Some(Ok(())),
            Some(ended) => Some(Err(ended)),
            None => {
                keep(&mut inbox.waker, waker);
                None
            }
        }
    }

    /// The next delivery, which frees its credit; `Some(Err)` at the end; until then `waker` is kept.
    pub(crate) fn poll_delivery(&mut self, id: ExchangeId, waker: &Waker) -> Option<Result<Delivery, Ended>> {
        let Some(inbox) = self.inboxes.get_mut(&id) else {
            return Some(Err(Ended::Failed(Failure::Disconnected)));
        };
        if let Some(delivery) = inbox.items.pop_front() {
            let cost = delivery.publication.as_ref().map_or(0, |publication| publication.cost);
            // Refused where the subscription has ended, which needs no credit.
            let _released = self.connection.release(id, cost);
            return Some(Ok(delivery));
        }
        if let Some(ended) = inbox.ended {
            return Some(Err(ended));
        }
        keep(&mut inbox.waker, waker);
        None
    }

    /// Forgets a subscription; one that is still open is cancelled on the wire.
    pub(crate) fn drop_inbox(&mut self, id: ExchangeId) {
        if self.inboxes.remove(&id).is_some_and(|inbox| inbox.ended.is_none()) {
            let _ended = self.connection.cancel(id);
        }
    }

    /// Whether a command of this kind has its turn: those who found no room before go first.
    pub(crate) fn has_turn(&self, kind: Opening, place: Option<u64>) -> bool {
        self.line(kind).is_next(place)
    }

    /// Has `waker` woken when a command that was refused for lack of room has its turn.
    pub(crate) fn wait_for_turn(&mut self, kind: Opening, place: &mut Option<u64>, waker: &Waker) {
        match kind {
            Opening::Request => self.requesting.wait(place, waker),
            Opening::Subscription => self.subscribing.wait(place, waker),
        }
    }

    /// Gives a place in the line up, having had its turn or not.
    pub(crate) fn leave(&mut self, kind: Opening, place: u64) {
        match kind {
            Opening::Request => self.requesting.leave(place, &mut self.woken),
            Opening::Subscription => self.subscribing.leave(place, &mut self.woken),
        }
    }

    fn line(&self, kind: Opening) -> &Waiters {
        match kind {
            Opening::Request => &self.requesting,
            Opening::Subscription => &self.subscribing,
        }
    }

    /// Has `waker` woken when the link is proven, connected or closed.
    pub(crate) fn watch(&mut self, place: &mut Option<u64>, waker: &Waker) {
        self.watchers.wait(place, waker);
    }

    pub(crate) fn unwatch(&mut self, place: u64) {
        self.watchers.forget(place);
    }
}

fn keep(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(kept) => kept.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
