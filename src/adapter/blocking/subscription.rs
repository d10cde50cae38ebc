//! Subscriptions as iterators.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::core::Core;
use crate::adapter::error::{Gap, SubscribeError};
use crate::adapter::host::delivery::{Delivery, Values};
use crate::adapter::host::subscription::Deliveries;
use crate::{ExchangeId, Instant, Point, Topic};

/// A subscription, with bare bytes: an iterator over [`Delivery`] that blocks, and ends with the subscription.
///
/// Dropped, it is cancelled.  What was not read yet holds its credit, so that a reader who pauses bounds what
/// is held: the window, with about a hundred bytes for each publication in it, and one that is longer, of which nothing
/// is given before it is whole.  See [`SubscribeOptions`](super::SubscribeOptions).
pub struct RawSubscription(Deliveries<Core>);

impl RawSubscription {
    pub(super) fn new(core: Arc<Core>, id: ExchangeId, window: u32) -> Self {
        Self(Deliveries::new(core, id, window))
    }

    /// The next delivery, if it comes in time.
    ///
    /// # Errors
    ///
    /// `Timeout`, behind which it goes on; `Disconnected` at the end: [`ended`](Self::ended) says why.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Delivery, RecvTimeoutError> {
        let until = self.0.core.device.now() + timeout;
        self.recv(Some(until)).ok_or(RecvTimeoutError::Timeout)?.ok_or(RecvTimeoutError::Disconnected)
    }

    /// Why it ended, once it has.
    pub fn ended(&self) -> Option<SubscribeError> {
        self.0.ended
    }

    /// The next delivery, `Some(None)` at the end; `None` where it does not come in time.
    fn recv(&mut self, until: Option<Instant>) -> Option<Option<Delivery>> {
        if let Some(buffered) = self.0.buffered() {
            return Some(buffered);
        }
        let Deliveries { core, id, batch, .. } = &mut self.0;
        let next = core.wait_until(until, |state, _, waker| state.link.poll_delivery(*id, batch, waker))?;
        Some(self.0.note(next))
    }
}

impl Iterator for RawSubscription {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        self.recv(None)?
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

/// A subscription: an iterator over values, and gaps between them, that blocks, and ends with the subscription.
///
/// Dropped, it is cancelled.
///
/// ```
/// # use minicbor::{Decode, Encode};
/// use std::{sync::mpsc::RecvTimeoutError, time::Duration};
/// use symbolon::{Kind, Overflow, Topic, blocking::{Gap, Subscription}};
///
/// #[derive(Encode, Decode)]
/// struct Knock(#[n(0)] u32);
///
/// impl Topic for Knock {
///     const TOPIC: &'static str = "door/knock";
///     const KIND: Kind = Kind::Event { depth: 16, overflow: Overflow::DropOldest };
/// }
///
/// fn listen(mut knocks: Subscription<Knock>) {
///     loop {
///         match knocks.recv_timeout(Duration::from_secs(60)) {
///             Ok(Ok(Knock(times))) => println!("{times} times"),
///             Ok(Err(Gap::Missed(missed))) => println!("and {} that were missed", missed.count),
///             Ok(Err(gap)) => println!("{gap}"),
///             Err(RecvTimeoutError::Timeout) => println!("nobody, for a minute"),
///             Err(RecvTimeoutError::Disconnected) => break,
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

    /// The next value, or the gap before it, if it comes in time.
    ///
    /// # Errors
    ///
    /// As [`RawSubscription::recv_timeout`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Result<T, Gap>, RecvTimeoutError> {
        match self.values.take_waiting() {
            Some(value) => Ok(value),
            None => self.raw.recv_timeout(timeout).map(|delivery| self.values.take(delivery)),
        }
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

    /// The next, `Some(None)` at the end, `None` where it does not come in time; but a gap that the end comes with is left to
    /// [`take_gap`](Self::take_gap).
    pub(super) fn recv_resumable(&mut self, until: Option<Instant>) -> Option<Option<Result<T, Gap>>> {
        if let Some(value) = self.values.take_waiting() {
            return Some(Some(value));
        }
        let mut until = until;
        loop {
            let Some(next) = self.raw.recv(until) else {
                return self.take_gap().map(|gap| Some(Err(gap)));
            };
            let Some(delivery) = next else { return Some(None) };
            let taken = self.values.take_or_hold(delivery);
            if taken.is_some() {
                return Some(taken);
            }
            // What has come with the gap is there already.
            until = Some(Instant::from_micros(0));
        }
    }

    pub(super) fn take_gap(&mut self) -> Option<Gap> {
        self.values.take_held()
    }
}

impl<T: Topic> Iterator for Subscription<T> {
    type Item = Result<T, Gap>;

    fn next(&mut self) -> Option<Result<T, Gap>> {
        match self.values.take_waiting() {
            Some(value) => Some(value),
            None => self.raw.next().map(|delivery| self.values.take(delivery)),
        }
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}
