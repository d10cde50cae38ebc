//! What the application asks of a link, and waits for.

use std::task::Waker;

use super::waiters::Waiters;
use super::{Answer, Call, Inbox, Link, Serve};
use crate::adapter::error::SubscribeError;
use crate::adapter::host::delivery::{Batch, Delivery};
use crate::adapter::host::error::CallError;
use crate::{CloseReason, ExchangeId, Instant, SendError, SubscribeOptions};

/// What is opened; each kind has slots of its own, and a line of those who wait for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Opening {
    /// The answer of a handler, which finds room in its turn.
    Reply,
    Request,
    Subscription,
}

impl<H: Serve> Link<H> {
    /// Opens a request that is over by `until`, whose answer [`Link::poll_answer`] gives; `waker`, if there is one, is kept
    /// until it is there.
    pub(crate) fn request(
        &mut self,
        now: Instant,
        method: &str,
        body: &[u8],
        until: Option<Instant>,
        waker: Option<&Waker>,
    ) -> Result<ExchangeId, SendError> {
        let left = until.map(|until| until.saturating_since(now));
        let id = self.connection.request(now, method, body, left)?;
        self.calls.insert(id, Call::Waiting(waker.cloned()));
        Ok(id)
    }

    /// The answer, once; until then `waker` is kept.
    pub(crate) fn poll_answer(&mut self, id: ExchangeId, waker: &Waker) -> Option<Answer> {
        match self.calls.get_mut(id) {
            Some(Call::Waiting(slot)) => {
                keep(slot, waker);
                None
            }
            Some(Call::Answered(_)) => match self.calls.remove(id) {
                Some(Call::Answered(answer)) => Some(answer),
                _ => None,
            },
            None => Some(Err(CallError::Disconnected)),
        }
    }

    /// Forgets a call; one that is still open is cancelled on the wire.
    pub(crate) fn drop_call(&mut self, id: ExchangeId) {
        if let Some(Call::Waiting(_)) = self.calls.remove(id) {
            // Refused where it has just ended: then there is nothing to cancel.
            let _ended = self.connection.cancel(id);
        }
    }

    /// Opens a subscription.
    pub(crate) fn subscribe(
        &mut self,
        filter: &str,
        options: &SubscribeOptions,
    ) -> Result<ExchangeId, SendError> {
        let id = self.connection.subscribe_with(filter, options)?;
        self.inboxes.insert(id, Inbox::new(options.latest));
        Ok(id)
    }

    /// Whether the peer has accepted the subscription; until then `waker` is kept.
    pub(crate) fn poll_accepted(
        &mut self,
        id: ExchangeId,
        waker: &Waker,
    ) -> Option<Result<(), SubscribeError>> {
        let Some(inbox) = self.inboxes.get_mut(id) else {
            return Some(Err(SubscribeError::Disconnected));
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

    /// The next delivery of `batch`, which takes all that came where it has none, and frees the credit of what was read;
    /// `Some(Err)` at the end; until then `waker` is kept.
    pub(crate) fn poll_delivery(
        &mut self,
        id: ExchangeId,
        batch: &mut Batch,
        waker: &Waker,
    ) -> Option<Result<Delivery, SubscribeError>> {
        let mut delivery = batch.next();
        let inbox = self.inboxes.get_mut(id);
        if let (Some(items), Some(inbox)) = (batch.refill(), inbox) {
            inbox.hand_over(items);
            delivery = delivery.or_else(|| batch.next());
        }
        self.release(id, batch.take_freed());
        if let Some(delivery) = delivery {
            return Some(Ok(delivery));
        }
        match self.inboxes.get_mut(id) {
            None => Some(Err(SubscribeError::Disconnected)),
            Some(Inbox { ended: Some(ended), .. }) => Some(Err(*ended)),
            Some(inbox) => {
                keep(&mut inbox.waker, waker);
                None
            }
        }
    }

    /// Frees the credit of what was taken, or superseded.
    pub(super) fn release(&mut self, id: ExchangeId, mut cost: u64) {
        while cost > 0 {
            let most = u32::try_from(cost).unwrap_or(u32::MAX);
            // Refused where the subscription has ended, which needs no credit.
            let _released = self.connection.release(id, most);
            cost -= u64::from(most);
        }
    }

    /// Forgets a subscription; one that is still open is cancelled on the wire.
    pub(crate) fn drop_inbox(&mut self, id: ExchangeId) {
        if self.inboxes.remove(id).is_some_and(|inbox| inbox.ended.is_none()) {
            let _ended = self.connection.cancel(id);
        }
    }

    /// Opens an exchange by `command`, or keeps `waker` until that has its turn: those who found no room, or no
    /// free slot, go first.
    pub(crate) fn poll_open(
        &mut self,
        kind: Opening,
        place: &mut Option<u64>,
        waker: &Waker,
        command: impl FnOnce(&mut Self) -> Result<ExchangeId, SendError>,
    ) -> Option<Result<ExchangeId, SendError>> {
        if self.line(kind).is_next(*place) {
            match command(self) {
                Err(SendError::Full | SendError::TooMany) => {}
                opened => return Some(opened),
            }
        }
        self.line(kind).wait(place, waker);
        None
    }

    /// Gives a place in the line up, having had its turn or not.
    pub(crate) fn leave(&mut self, kind: Opening, place: u64) {
        let mut woken = std::mem::take(&mut self.woken);
        self.line(kind).leave(place, &mut woken);
        self.woken = woken;
    }

    fn line(&mut self, kind: Opening) -> &mut Waiters {
        match kind {
            Opening::Reply => &mut self.replying,
            Opening::Request => &mut self.requesting,
            Opening::Subscription => &mut self.subscribing,
        }
    }

    /// Whether the link has come so far, or why it never will; until then `waker` is kept.
    pub(crate) fn poll_reached(
        &mut self,
        place: &mut Option<u64>,
        waker: &Waker,
        reached: impl FnOnce(&Self) -> bool,
    ) -> Option<Result<(), CloseReason>> {
        if let Some(reason) = self.closed {
            return Some(Err(reason));
        }
        if reached(self) {
            return Some(Ok(()));
        }
        self.watchers.wait(place, waker);
        None
    }

    /// Stops waiting for that.
    pub(crate) fn unwatch(&mut self, place: u64) {
        self.watchers.forget(place);
    }
}

pub(super) fn keep(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(kept) => kept.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
