//! What came of a subscription and waits for its subscriber: whole publications, in their order, and gaps.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::task::Waker;
use std::vec::Vec;

use bytes::Bytes;

use crate::adapter::error::SubscribeError;
use crate::adapter::host::delivery::Delivery;
use crate::adapter::host::topic_name::TopicName;
use crate::{Following, Missed};

/// The receiving end of a subscription; what it holds is bounded by the credit it gave, and by the longest body that it
/// takes.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) items: VecDeque<Delivery>,
    coming: Option<Coming>,
    /// The topic of the last one, whose name the next may share.
    topic: Option<TopicName>,
    /// Where only the newest of each topic waits: the number of its place.
    latest: Option<HashMap<TopicName, u64>>,
    /// How many have been given of those, so the number of the first place.
    given: u64,
    pub(super) accepted: bool,
    pub(super) ended: Option<SubscribeError>,
    pub(super) waker: Option<Waker>,
}

/// A publication that goes on.  SPEC §14.5
#[derive(Debug)]
struct Coming {
    /// All but its body.
    delivery: Delivery,
    body: Vec<u8>,
    /// How long that will be; the connection has checked it, and that no more comes.
    total: usize,
}

impl Inbox {
    pub(super) fn new(latest: bool) -> Self {
        Self { latest: latest.then(HashMap::new), ..Self::default() }
    }

    /// Takes a publication, or its beginning; gives what one cost that it took the place of.
    pub(super) fn take(&mut self, publication: &crate::Publication<'_>) -> Option<u64> {
        let topic = match &self.topic {
            Some(known) if known == publication.topic => known.clone(),
            _ => self.topic.insert(TopicName::new(publication.topic)).clone(),
        };
        let Some(total) = publication.total else {
            return self.queue(Delivery::new(topic, &publication.following()));
        };
        let first = publication.body;
        let delivery = Delivery::new(topic, &Following { body: &[], ..publication.following() });
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        let mut coming = Coming { delivery, body: Vec::new(), total };
        coming.append(first);
        self.coming = Some(coming);
        None
    }

    /// The same of one that follows the last.
    pub(super) fn take_following(&mut self, following: &Following<'_>) -> Option<u64> {
        let topic = self.topic.clone()?;
        self.queue(Delivery::new(topic, following))
    }

    /// Takes more of it, and gives what one cost that it took the place of.
    pub(super) fn go_on(&mut self, chunk: &[u8], cost: u32, more: bool) -> Option<u64> {
        let coming = self.coming.as_mut()?;
        coming.append(chunk);
        if let Some(publication) = &mut coming.delivery.publication {
            publication.cost = publication.cost.saturating_add(cost.into());
        }
        if more {
            return None;
        }
        let whole = self.coming.take()?.whole();
        self.queue(whole)
    }

    /// Hands over what waits: all of it, or the next one where a newer one may still take its place.
    pub(super) fn hand_over(&mut self, to: &mut VecDeque<Delivery>) {
        let Some(latest) = &mut self.latest else {
            mem::swap(&mut self.items, to);
            return;
        };
        let Some(delivery) = self.items.pop_front() else { return };
        if let Some(publication) = &delivery.publication {
            latest.remove(&publication.topic);
        }
        self.given += 1;
        to.push_back(delivery);
    }

    /// Appends a publication; where only the newest of each topic waits, in the place of an older one.
    fn queue(&mut self, mut delivery: Delivery) -> Option<u64> {
        let next = self.given + self.items.len() as u64;
        let older = match (&mut self.latest, &delivery.publication) {
            (Some(latest), Some(publication)) => match latest.get(&publication.topic) {
                Some(place) => usize::try_from(place - self.given).ok(),
                None => {
                    latest.insert(publication.topic.clone(), next);
                    None
                }
            },
            _ => None,
        };
        let Some(older) = older.and_then(|place| self.items.get_mut(place)) else {
            self.items.push_back(delivery);
            return None;
        };
        delivery.missed.add(1);
        delivery.missed.merge(older.missed);
        mem::replace(older, delivery).publication.map(|superseded| superseded.cost)
    }

    /// The one that goes on will never be whole, and nobody but its receiver counts it.  SPEC §14.5
    pub(super) fn abort(&mut self) {
        if let Some(Coming { delivery: Delivery { mut missed, .. }, .. }) = self.coming.take() {
            missed.add(1);
            self.miss(missed);
        }
    }

    /// Appends a gap; gaps with no publication between are added up, so that they cannot pile up.
    pub(super) fn miss(&mut self, missed: Missed) {
        if let Some(last) = self.items.back_mut().filter(|last| last.publication.is_none()) {
            last.missed.merge(missed);
            return;
        }
        self.items.push_back(Delivery { missed, publication: None });
    }

    /// The end, once; of what only half came, too.
    pub(super) fn end(&mut self, ended: SubscribeError) {
        self.abort();
        self.ended = self.ended.or(Some(ended));
    }
}

impl Coming {
    /// Room comes with the bytes, so that a length alone costs nothing; never for more than there will be.
    fn append(&mut self, chunk: &[u8]) {
        let len = self.body.len() + chunk.len();
        if len > self.body.capacity() {
            let room = (2 * len).min(self.total).max(len);
            self.body.reserve_exact(room - self.body.len());
        }
        self.body.extend_from_slice(chunk);
    }

    fn whole(self) -> Delivery {
        let Self { mut delivery, body, .. } = self;
        if let Some(publication) = &mut delivery.publication {
            publication.body = Bytes::from(body);
        }
        delivery
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Point, Status};

    fn begins(body: &[u8], total: u64, count: u32) -> crate::Publication<'_> {
        let missed = Missed { count, unknown: false };
        let point = Point { epoch: 1, sequence: 0 };
        crate::Publication { topic: "t", point, missed, retained: false, body, cost: 10, total: Some(total) }
    }

    /// PUB-6: one delivery of the whole, with what all its parts cost, and in the place where it ended.
    #[test]
    fn parts_become_one_delivery() {
        let mut inbox = Inbox::default();
        inbox.take(&begins(b"ab", 5, 3));
        inbox.go_on(b"", 4, true);
        inbox.miss(Missed { count: 1, unknown: false });
        inbox.go_on(b"cde", u32::MAX, false);
        assert_eq!(inbox.items.len(), 2);
        let Some(Delivery { missed, publication: Some(whole) }) = inbox.items.pop_back() else { panic!() };
        assert_eq!((&whole.body[..], whole.cost), (&b"abcde"[..], 14 + u64::from(u32::MAX)));
        assert_eq!(missed.count, 3);
    }

    /// Sentence 4: a length alone takes no memory, and nothing takes more than the length.
    #[test]
    fn room_comes_with_the_bytes() {
        let mut inbox = Inbox::default();
        inbox.take(&begins(b"", 1 << 30, 0));
        assert_eq!(inbox.coming.as_ref().map(|coming| coming.body.capacity()), Some(0));
        inbox.take(&begins(&[7; 1_000], 100_000, 0));
        for _ in 1..100 {
            let body = &inbox.coming.as_ref().unwrap().body;
            assert!(body.capacity() <= (2 * body.len()).min(100_000), "{}", body.capacity());
            inbox.go_on(&[7; 1_000], 1_000, true);
        }
        assert_eq!(inbox.coming.as_ref().unwrap().body.capacity(), 100_000);
    }

    /// A newer value takes the place of one of its topic that waits, counts it, and gives its credit back.
    #[test]
    fn the_latest_supersedes() {
        let mut inbox = Inbox::new(true);
        let value = |topic, body, count| crate::Publication { topic, total: None, ..begins(body, 0, count) };
        assert_eq!(inbox.take(&value("a", b"1", 2)), None);
        assert_eq!(inbox.take(&value("b", b"1", 0)), None);
        inbox.miss(Missed { count: 5, unknown: false });
        assert_eq!(inbox.take(&value("a", b"2", 1)), Some(10));
        assert_eq!(inbox.take(&begins(b"lo", 4, 0)), None);
        assert_eq!(inbox.go_on(b"ng", 7, false), None, "of another topic");
        let got: Vec<_> =
            inbox.items.iter().map(|item| (item.missed.count, item.publication.as_ref())).collect();
        let body = |at: usize| got[at].1.map(|publication| &publication.body[..]);
        assert_eq!((got[0].0, body(0)), (4, Some(&b"2"[..])));
        assert_eq!((got[1].0, body(1)), (0, Some(&b"1"[..])));
        assert_eq!((got[2].0, body(2)), (5, None));
        assert_eq!(body(3), Some(&b"long"[..]));
        // What was given leaves its topic's place, and the others' places are found behind it.
        let mut given = VecDeque::new();
        inbox.hand_over(&mut given);
        assert_eq!(given.iter().map(|given| given.missed.count).collect::<Vec<_>>(), [4], "one at a time");
        assert_eq!(inbox.take(&value("b", b"2", 0)), Some(10));
        assert_eq!(inbox.take(&value("a", b"3", 0)), None, "none of its topic waits any more");
        assert_eq!(inbox.take(&value("a", b"4", 0)), Some(10));
        assert_eq!(inbox.items.len(), 4);
        let mut all = Inbox::new(false);
        assert_eq!((all.take(&value("a", b"1", 0)), all.take(&value("a", b"2", 0))), (None, None));
        assert_eq!(all.items.len(), 2);
    }

    /// PUB-10: what only half came is counted here, with what it counted itself, and gaps are one.
    #[test]
    fn what_only_half_came_is_counted() {
        let mut inbox = Inbox::default();
        for _ in 0..3 {
            inbox.take(&begins(b"ab", 5, 2));
            inbox.abort();
        }
        inbox.take(&begins(b"ab", 5, 0));
        inbox.end(SubscribeError::Status(Status::OK));
        inbox.abort();
        let missed = Missed { count: 10, unknown: false };
        assert_eq!(inbox.items, [Delivery { missed, publication: None }]);
    }
}
