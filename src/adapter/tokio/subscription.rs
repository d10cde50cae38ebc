//! Subscriptions as streams.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::core::Core;
use crate::adapter::error::{Gap, SubscribeError};
use crate::adapter::host::delivery::{Delivery, Values};
use crate::adapter::host::subscription::Deliveries;
use crate::{ExchangeId, Point, Topic};

/// A subscription, with bare bytes: a stream of [`Delivery`] that ends with the subscription.
///
/// Dropped, it is cancelled.  What was not read yet holds its credit, so that a reader who pauses bounds what
/// is held: the window, with about a hundred bytes for each publication in it, and one that is longer, of which nothing
/// is given before it is whole.  See [`SubscribeOptions`](super::SubscribeOptions).
pub struct RawSubscription(Deliveries<Core>);

impl RawSubscription {
    pub(super) fn new(core: Arc<Core>, id: ExchangeId, window: u32) -> Self {
        Self(Deliveries::new(core, id, window))
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
        self.0.ended
    }
}

impl Stream for RawSubscription {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if let Some(buffered) = self.0.buffered() {
            return Poll::Ready(buffered);
        }
        let Deliveries { core, id, batch, .. } = &mut self.0;
        // Sends the credit that what was read may have freed.
        let next = core.with_credit(|state| state.link.poll_delivery(*id, batch, task.waker()));
        next.map_or(Poll::Pending, |next| Poll::Ready(self.0.note(next)))
    }
}

impl fmt::Debug for RawSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSubscription")
            .field("id", &self.0.id)
            .field("ended", &self.0.ended)
            .finish_non_exhaustive()
    }
}

/// A subscription: a stream of values, and of gaps between them, that ends with the subscription.
///
/// Dropped, it is cancelled.
///
/// ```
/// # use minicbor::{Decode, Encode};
/// use std::time::Duration;
/// use symbolon::{Kind, Overflow, Topic, tokio::{Gap, Subscription}};
///
/// #[derive(Encode, Decode)]
/// struct Knock(#[n(0)] u32);
///
/// impl Topic for Knock {
///     const TOPIC: &'static str = "door/knock";
///     const KIND: Kind = Kind::Event { depth: 16, overflow: Overflow::DropOldest };
/// }
///
/// async fn listen(mut knocks: Subscription<Knock>) {
///     loop {
///         // Dropping the wait for the next item loses nothing.
///         match tokio::time::timeout(Duration::from_secs(60), knocks.next()).await {
///             Ok(Some(Ok(Knock(times)))) => println!("{times} times"),
///             Ok(Some(Err(Gap::Missed(missed)))) => println!("and {} that were missed", missed.count),
///             Ok(Some(Err(gap))) => println!("{gap}"),
///             Err(_) => println!("nobody, for a minute"),
///             Ok(None) => break,
///         }
///     }
///     println!("it is over: {:?}", knocks.ended());
/// }
/// ```
pub struct Subscription<T> {
    raw: RawSubscription,
    values: Values<T>,
}

impl<T: Topic> Subscription<T> {
    pub(super) fn new(raw: RawSubscription, from: Option<Point>) -> Self {
        Self { raw, values: Values::new(from) }
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

    /// The point of the last value given, or of the last that was not of the type: what
    /// [`SubscribeOptions::from`](super::SubscribeOptions::from) takes on the next connection, to go on behind it.
    /// Until there is one, the point that this subscription itself went on from; `None` where there was none, and then what
    /// is published from its end on until the next one stands is lost unless that goes on from
    /// [`Point::START`](crate::Point::START).  SPEC §14.4
    pub fn last(&self) -> Option<Point> {
        self.values.last()
    }

    /// Why it ended, once it has.
    pub fn ended(&self) -> Option<SubscribeError> {
        self.raw.ended()
    }

    /// As `poll_next`; but a gap that the end comes with is left to [`take_gap`](Self::take_gap).
    pub(super) fn poll_resumable(&mut self, task: &mut Context<'_>) -> Poll<Option<Result<T, Gap>>> {
        if let Some(value) = self.values.take_waiting() {
            return Poll::Ready(Some(value));
        }
        loop {
            let Poll::Ready(next) = Pin::new(&mut self.raw).poll_next(task) else {
                return self.take_gap().map_or(Poll::Pending, |gap| Poll::Ready(Some(Err(gap))));
            };
            let Some(delivery) = next else { return Poll::Ready(None) };
            let taken = self.values.take_or_hold(delivery);
            if taken.is_some() {
                return Poll::Ready(taken);
            }
        }
    }

    pub(super) fn take_gap(&mut self) -> Option<Gap> {
        self.values.take_held()
    }
}

impl<T: Topic> Stream for Subscription<T> {
    type Item = Result<T, Gap>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<T, Gap>>> {
        if let Some(value) = self.values.take_waiting() {
            return Poll::Ready(Some(value));
        }
        let delivery = ready!(Pin::new(&mut self.raw).poll_next(task));
        Poll::Ready(delivery.map(|delivery| self.values.take(delivery)))
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}
