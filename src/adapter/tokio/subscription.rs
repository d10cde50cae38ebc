//! Subscriptions as streams.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::error::SubscribeError;
use super::runner::Core;
use crate::adapter::link::Publication;
use crate::{ExchangeId, Missed, Point, Topic};

/// How to subscribe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SubscribeOptions {
    /// How many bytes of publications may be on their way or wait here; 64 KiB by default.  A publication that is longer
    /// never arrives, and is counted as missed at the latest when the subscription ends.
    pub window: u32,
    /// The last publication that this side has, to get those after it; the filter must have no wildcards.
    pub from: Option<Point>,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self { window: 64 * 1024, from: None }
    }
}

/// What a subscription delivers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// What was dropped since the last delivery.
    pub missed: Missed,
    /// The publication; `None` where there is only something missed to tell.
    pub publication: Option<Publication>,
}

/// A subscription, with bare bytes: a stream of [`Delivery`] that ends with the subscription.
///
/// Dropped, it is cancelled.  What was not read yet holds its credit, so that a reader who pauses bounds what
/// is held: the window, and about a hundred bytes for each publication in it.
pub struct RawSubscription {
    core: Arc<Core>,
    id: ExchangeId,
    ended: Option<SubscribeError>,
}

impl RawSubscription {
    pub(super) fn new(core: Arc<Core>, id: ExchangeId) -> Self {
        Self { core, id, ended: None }
    }

    pub(super) fn poll_accepted(&self, task: &mut Context<'_>) -> Poll<Result<(), SubscribeError>> {
        let accepted = self.core.look(|state| state.link.poll_accepted(self.id, task.waker()));
        accepted.map_or(Poll::Pending, |accepted| Poll::Ready(accepted.map_err(SubscribeError::from)))
    }

    /// The next delivery; `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|task| Pin::new(&mut *self).poll_next(task)).await
    }

    /// Why it ended, once it has.
    pub fn ended(&self) -> Option<SubscribeError> {
        self.ended
    }
}

impl Stream for RawSubscription {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if self.ended.is_some() {
            return Poll::Ready(None);
        }
        // Sends the credit that taking an item may have freed.
        let item = self.core.with(|state, _| state.link.poll_item(self.id, task.waker()));
        match item {
            None => Poll::Pending,
            Some(Ok(item)) => {
                Poll::Ready(Some(Delivery { missed: item.missed, publication: item.publication }))
            }
            Some(Err(ended)) => {
                self.ended = Some(ended.into());
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for RawSubscription {
    fn drop(&mut self) {
        self.core.with(|state, _| state.link.drop_inbox(self.id));
    }
}

impl fmt::Debug for RawSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSubscription")
            .field("id", &self.id)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// What a subscription could not give; it goes on behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Gap {
    /// A publication's body is not of the type expected.
    #[error("a publication is not of the expected type")]
    BadBody,
    /// Publications were dropped.
    #[error("missed {}{} publications", if .0.unknown { "at least " } else { "" }, .0.count)]
    Missed(Missed),
}

/// A subscription: a stream of values, and of gaps between them, that ends with the subscription.
///
/// Dropped, it is cancelled.
pub struct Subscription<T> {
    raw: RawSubscription,
    /// A publication whose gap has just been told.
    next: Option<Publication>,
    value: PhantomData<fn() -> T>,
}

impl<T: Topic> Subscription<T> {
    pub(super) fn new(raw: RawSubscription) -> Self {
        Self { raw, next: None, value: PhantomData }
    }

    /// The next value, or the gap before it; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Gap`]: the stream goes on behind it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub async fn next(&mut self) -> Option<Result<T, Gap>> {
        std::future::poll_fn(|task| Pin::new(&mut *self).poll_next(task)).await
    }

    /// Why it ended, once it has.
    pub fn ended(&self) -> Option<SubscribeError> {
        self.raw.ended()
    }
}

impl<T: Topic> Stream for Subscription<T> {
    type Item = Result<T, Gap>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<T, Gap>>> {
        let decode =
            |publication: &Publication| crate::from_bytes(&publication.body).map_err(|_| Gap::BadBody);
        if let Some(publication) = self.next.take() {
            return Poll::Ready(Some(decode(&publication)));
        }
        let Poll::Ready(delivery) = Pin::new(&mut self.raw).poll_next(task) else { return Poll::Pending };
        let Some(Delivery { missed, publication }) = delivery else { return Poll::Ready(None) };
        if missed.is_any() {
            self.next = publication;
            return Poll::Ready(Some(Err(Gap::Missed(missed))));
        }
        Poll::Ready(Some(publication.as_ref().map_or(Err(Gap::Missed(missed)), decode)))
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}
