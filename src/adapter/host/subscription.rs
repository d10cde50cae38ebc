//! A subscription, as the host adapters (tokio and blocking) hold it.  SPEC §14

use std::sync::Arc;

use super::delivery::{Batch, Delivery};
use super::guard::Locked;
use crate::ExchangeId;
use crate::adapter::error::SubscribeError;

/// The end of its subscriber.  Dropped, the subscription is cancelled.
pub(crate) struct Deliveries<C: Locked> {
    pub(crate) core: Arc<C>,
    pub(crate) id: ExchangeId,
    /// What was taken from the link and not from here; the link fills it.
    pub(crate) batch: Batch,
    /// Why it ended, once that was given.
    pub(crate) ended: Option<SubscribeError>,
}

impl<C: Locked> Deliveries<C> {
    pub(crate) fn new(core: Arc<C>, id: ExchangeId, window: u32) -> Self {
        Self { core, id, batch: Batch::new(window), ended: None }
    }

    /// What is to be given before the link is asked for more; `Some(None)` at the end.
    pub(crate) fn buffered(&mut self) -> Option<Option<Delivery>> {
        if self.ended.is_some() { Some(None) } else { self.batch.next_unlooked().map(Some) }
    }

    /// Notes what the link gave; `None` at the end.
    pub(crate) fn note(&mut self, next: Result<Delivery, SubscribeError>) -> Option<Delivery> {
        next.map_err(|reason| self.ended = Some(reason)).ok()
    }
}

impl<C: Locked> Drop for Deliveries<C> {
    fn drop(&mut self) {
        self.core.with_link(|link, _| link.drop_inbox(self.id));
    }
}
