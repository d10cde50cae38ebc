//! What a subscription gives.

use core::fmt;
use core::future::poll_fn;
use core::marker::PhantomData;
use core::mem;
use core::task::Poll;

use super::exchange::Exchange;
use super::slot::Head;
use super::watchers;
use crate::adapter::error::{BodyError, Gap, SubscribeError};
use crate::{Missed, Point, Topic};

/// What a subscription delivers: a publication, what was missed before it, or both.  SPEC §14.3
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Delivery<'b> {
    /// What was dropped since the last delivery, here or at the publisher.
    pub missed: Missed,
    /// The publication; `None` where there is only something missed to tell.
    pub publication: Option<Publication<'b>>,
}

/// A publication in the caller's buffer.  SPEC §14
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Publication<'b> {
    /// The topic's name.
    pub topic: &'b str,
    /// Its place among the publications of that topic.
    pub point: Point,
    /// Whether it is the value that the topic had on subscribing.
    pub retained: bool,
    /// The application's bytes.
    pub body: &'b [u8],
}

/// What waits next.
enum Next {
    Publication(Head),
    Missed(Missed),
}

/// A subscription to bare bytes.  Dropped, it is cancelled.
#[derive(Debug)]
pub struct RawSubscription<'d> {
    exchange: Exchange<'d>,
}

impl<'d> RawSubscription<'d> {
    pub(super) const fn new(exchange: Exchange<'d>) -> Self {
        Self { exchange }
    }

    /// Waits for the next delivery, whose topic and body are copied into `buffer`, one behind the other; one that does
    /// not fit counts as missed, and is gone.  `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub async fn next<'b>(&mut self, buffer: &'b mut [u8]) -> Option<Delivery<'b>> {
        let head = match self.wait().await? {
            Next::Missed(missed) => return Some(Delivery { missed, publication: None }),
            Next::Publication(head) => head,
        };
        let len = head.topic_len + head.body_len;
        let place = buffer.get_mut(..len);
        let mut table = self.exchange.link.table();
        let (slot, memory) = table.slot(self.exchange.index);
        let place = place.map(|place| {
            place.copy_from_slice(&slot.inward.bytes(memory)[Head::LEN..Head::LEN + len]);
            &*place
        });
        slot.took_publication(&head);
        table.wake_runner();
        let Some((topic, body)) = place.map(|place| place.split_at(head.topic_len)) else {
            let mut missed = head.missed;
            missed.add(1);
            return Some(Delivery { missed, publication: None });
        };
        let topic = core::str::from_utf8(topic).unwrap_or_default();
        let publication = Publication { topic, point: head.point, retained: head.retained, body };
        Some(Delivery { missed: head.missed, publication: Some(publication) })
    }

    /// Why it ended, once it has.
    pub fn ended(&self) -> Option<SubscribeError> {
        let mut table = self.exchange.link.table();
        let (slot, _) = table.slot(self.exchange.index);
        slot.read_end.map(|end| match end {
            Err(BodyError::Status(status)) => SubscribeError::Status(status),
            _ => SubscribeError::Disconnected,
        })
    }

    /// Waits for a publication, left where it is, or for a gap; `None` at the end.
    async fn wait(&self) -> Option<Next> {
        poll_fn(|task| {
            let mut table = self.exchange.link.table();
            let (slot, memory) = table.slot(self.exchange.index);
            if let Some(head) = slot.next_publication(memory) {
                return Poll::Ready(Some(Next::Publication(head)));
            }
            if slot.missed.is_any() {
                return Poll::Ready(Some(Next::Missed(mem::take(&mut slot.missed))));
            }
            if slot.read_end.is_some() {
                return Poll::Ready(None);
            }
            watchers::keep(&mut slot.reader, task.waker());
            Poll::Pending
        })
        .await
    }
}

/// A subscription: values, and gaps between them, that end with the subscription.  Dropped, it is cancelled.
pub struct Subscription<'d, T> {
    raw: RawSubscription<'d>,
    /// The gap before the next publication has been told: that comes now, whatever took its place meanwhile.
    told: bool,
    last: Option<Point>,
    value: PhantomData<fn() -> T>,
}

impl<'d, T: Topic> Subscription<'d, T> {
    pub(super) const fn new(raw: RawSubscription<'d>, from: Option<Point>) -> Self {
        Self { raw, told: false, last: from, value: PhantomData }
    }

    /// The next value, or the gap before it; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Gap`]: the subscription goes on behind it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub async fn next(&mut self) -> Option<Result<T, Gap>> {
        let head = match self.raw.wait().await? {
            Next::Missed(missed) => {
                // The publication whose gap was told has been superseded.
                self.told = false;
                return Some(Err(Gap::Missed(missed)));
            }
            Next::Publication(head) => head,
        };
        let exchange = &self.raw.exchange;
        if head.missed.is_any() && !mem::replace(&mut self.told, true) {
            let mut table = exchange.link.table();
            let (slot, memory) = table.slot(exchange.index);
            slot.told_missed(memory, &head);
            return Some(Err(Gap::Missed(head.missed)));
        }
        self.told = false;
        let (start, len) = (Head::LEN + head.topic_len, head.body_len);
        let value = exchange.lend(|bytes| crate::from_bytes(&bytes[start..start + len]));
        let mut table = exchange.link.table();
        let (slot, _) = table.slot(exchange.index);
        slot.took_publication(&head);
        // What was missed since the gap was told is told next.
        slot.missed.merge(head.missed);
        table.wake_runner();
        self.last = Some(head.point);
        Some(value.map_err(|_| Gap::BadBody))
    }

    /// The point of the last value given, or of the last that was not of the type: what
    /// [`SubscribeOptions::from`](super::SubscribeOptions::from) takes on the next connection, to go on behind it.
    /// Until there is one, the point that this subscription itself went on from; `None` where there was none, and then what
    /// is published from its end on until the next one stands is lost unless that goes on from
    /// [`Point::START`](crate::Point::START).  SPEC §14.4
    pub fn last(&self) -> Option<Point> {
        self.last
    }

    /// Why it ended, once it has.
    pub fn ended(&self) -> Option<SubscribeError> {
        self.raw.ended()
    }
}

impl<T> fmt::Debug for Subscription<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}
