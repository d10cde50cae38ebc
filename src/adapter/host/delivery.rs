//! What subscriptions give.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem;

use bytes::Bytes;

use super::topic_name::TopicName;
use crate::adapter::error::Gap;
use crate::{Following, Missed, Point, Topic};

/// A publication that owns its parts, as subscriptions of adapters give it.  SPEC §14
///
/// [`symbolon::Publication`](crate::Publication) is the same as the core lends it, in an event.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Publication {
    /// The topic's name.
    pub topic: TopicName,
    /// Its place among the publications of that topic.
    pub point: Point,
    /// Whether it is the value that the topic had on subscribing.
    pub retained: bool,
    /// The application's bytes; cheap to clone, for those that hand them on.
    pub body: Bytes,
    /// Of all its messages; a body in several of them may cost more than one of them can.
    pub(crate) cost: u64,
}

/// What a subscription delivers: a publication, what was missed before it, or both.  SPEC §14.3
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// What was dropped since the last delivery.
    pub missed: Missed,
    /// The publication; `None` where there is only something missed to tell.
    pub publication: Option<Publication>,
}

impl Delivery {
    /// A publication of this topic, by what it has of its own.
    pub(crate) fn new(topic: TopicName, publication: &Following<'_>) -> Self {
        let Following { point, missed, retained, body, cost } = *publication;
        // First, so that it is not copied on right after it was made.
        let body = Bytes::copy_from_slice(body);
        Self { missed, publication: Some(Publication { topic, point, retained, body, cost: cost.into() }) }
    }

    /// The credit that it holds until it is read.
    pub(crate) fn cost(&self) -> u64 {
        self.publication.as_ref().map_or(0, |publication| publication.cost)
    }
}

/// Deliveries that their subscriber has taken together, so that one look under the lock does for many.
///
/// What was read frees its credit at the next look, which is due with the last of them, so that nobody who has read all
/// holds any back; and before that once an eighth of the window was read, so that a publisher need not wait for the last.
/// SPEC §11 CRD-4
#[derive(Debug)]
pub(crate) struct Batch {
    items: VecDeque<Delivery>,
    freed: u64,
    /// With how much freed a look is due.
    enough: u64,
}

impl Batch {
    /// An empty one, of a subscription with such a window.
    pub(crate) fn new(window: u32) -> Self {
        Self { items: VecDeque::new(), freed: 0, enough: u64::from(window / 8) }
    }

    /// The next delivery, where no look is due with it.
    pub(crate) fn next_unlooked(&mut self) -> Option<Delivery> {
        let freed = self.freed + self.items.front()?.cost();
        if self.items.len() < 2 || freed >= self.enough { None } else { self.next() }
    }

    /// The next delivery.
    pub(crate) fn next(&mut self) -> Option<Delivery> {
        let delivery = self.items.pop_front()?;
        self.freed += delivery.cost();
        Some(delivery)
    }

    /// Where to put more, once there are none.
    pub(crate) fn refill(&mut self) -> Option<&mut VecDeque<Delivery>> {
        self.items.is_empty().then_some(&mut self.items)
    }

    /// What was freed since the last look.
    pub(crate) fn take_freed(&mut self) -> u64 {
        mem::take(&mut self.freed)
    }
}

/// Deliveries as values of one type, and gaps between them.
pub(crate) struct Values<T> {
    /// A publication whose gap has just been told.
    behind_gap: Option<Publication>,
    /// What was missed with nothing behind it yet.
    held: Missed,
    /// Where whoever resumes goes on.
    last: Option<Point>,
    value: PhantomData<fn() -> T>,
}

impl<T: Topic> Values<T> {
    /// Those behind this point, if any.
    pub(crate) fn new(from: Option<Point>) -> Self {
        Self { behind_gap: None, held: Missed::NONE, last: from, value: PhantomData }
    }

    /// The point of the last publication given; until there is one, that from which it went on.
    pub(crate) fn last(&self) -> Option<Point> {
        self.last
    }

    /// What is to be given before anything else is read.
    pub(crate) fn take_waiting(&mut self) -> Option<Result<T, Gap>> {
        let publication = self.behind_gap.take()?;
        Some(self.give(&publication))
    }

    /// What a delivery gives first.
    pub(crate) fn take(&mut self, delivery: Delivery) -> Result<T, Gap> {
        let Delivery { missed, publication } = delivery;
        if missed.is_any() {
            self.behind_gap = publication;
            return Err(Gap::Missed(missed));
        }
        publication.map_or(Err(Gap::Missed(missed)), |publication| self.give(&publication))
    }

    /// As `take`, but for a gap with nothing behind it: that is held, since where this is the end the next subscription may
    /// still give what was missed.
    pub(crate) fn take_or_hold(&mut self, mut delivery: Delivery) -> Option<Result<T, Gap>> {
        self.held.merge(delivery.missed);
        delivery.publication.as_ref()?;
        delivery.missed = mem::take(&mut self.held);
        Some(self.take(delivery))
    }

    /// The gap that is held.
    pub(crate) fn take_held(&mut self) -> Option<Gap> {
        let held = mem::take(&mut self.held);
        held.is_any().then_some(Gap::Missed(held))
    }

    /// One that is not of the type counts as given: sent again on resuming, it would be no other.
    fn give(&mut self, publication: &Publication) -> Result<T, Gap> {
        self.last = Some(publication.point);
        crate::from_bytes(&publication.body).map_err(|_| Gap::BadBody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn delivery(cost: u64) -> Delivery {
        let point = Point { epoch: 1, sequence: 0 };
        let publication =
            Publication { topic: TopicName::new(""), point, retained: false, body: Bytes::new(), cost };
        Delivery { missed: Missed::default(), publication: Some(publication) }
    }

    /// CRD-4: a look is due before more than an eighth of the window is held back, and with the last one.
    #[test]
    fn credit_is_freed_before_a_publisher_waits_for_it() {
        let mut batch = Batch::new(800);
        batch.refill().unwrap().extend((0..5).map(|_| delivery(40)));
        assert!(batch.refill().is_none(), "not before it is empty");
        let mut freed = Vec::new();
        for _ in 0..5 {
            if batch.next_unlooked().is_none() {
                assert!(batch.next().is_some());
                freed.push(batch.take_freed());
            }
        }
        assert_eq!(freed, [120, 80]);
        assert!(batch.next().is_none() && batch.refill().is_some());
        // Where little is an eighth, each is looked at.
        let mut batch = Batch::new(7);
        batch.refill().unwrap().extend([delivery(0), delivery(0)]);
        assert!(batch.next_unlooked().is_none());
    }
}
