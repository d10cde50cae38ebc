//! What came of a subscription and waits for its subscriber: whole publications, in their order, and gaps.

use std::collections::VecDeque;
use std::task::Waker;
use std::vec::Vec;

use bytes::Bytes;

use super::Ended;
use crate::Missed;
use crate::adapter::delivery::Delivery;

/// The receiving end of a subscription; what it holds is bounded by the credit it gave, and by the longest body that it
/// takes.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) items: VecDeque<Delivery>,
    coming: Option<Coming>,
    pub(super) accepted: bool,
    pub(super) ended: Option<Ended>,
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
    pub(super) fn take(&mut self, publication: crate::Publication<'_>) {
        let Some(total) = publication.total else {
            self.items.push_back(publication.into());
            return;
        };
        let first = publication.body;
        let delivery = crate::Publication { body: &[], ..publication }.into();
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        let mut coming = Coming { delivery, body: Vec::new(), total };
        coming.append(first);
        self.coming = Some(coming);
    }

    pub(super) fn go_on(&mut self, chunk: &[u8], cost: u32, more: bool) {
        let Some(coming) = &mut self.coming else { return };
        coming.append(chunk);
        if let Some(publication) = &mut coming.delivery.publication {
            publication.cost = publication.cost.saturating_add(cost.into());
        }
        if !more && let Some(coming) = self.coming.take() {
            self.items.push_back(coming.whole());
        }
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
            last.missed.add(missed.count.into());
            last.missed.unknown |= missed.unknown;
            return;
        }
        self.items.push_back(Delivery { missed, publication: None });
    }

    /// The end; of what only half came, too.
    pub(super) fn end(&mut self, ended: Ended) {
        self.abort();
        self.ended = Some(ended);
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
        inbox.take(begins(b"ab", 5, 3));
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
        inbox.take(begins(b"", 1 << 30, 0));
        assert_eq!(inbox.coming.as_ref().map(|coming| coming.body.capacity()), Some(0));
        inbox.take(begins(&[7; 1_000], 100_000, 0));
        for _ in 1..100 {
            let body = &inbox.coming.as_ref().unwrap().body;
            assert!(body.capacity() <= (2 * body.len()).min(100_000), "{}", body.capacity());
            inbox.go_on(&[7; 1_000], 1_000, true);
        }
        assert_eq!(inbox.coming.as_ref().unwrap().body.capacity(), 100_000);
    }

    /// PUB-10: what only half came is counted here, with what it counted itself, and gaps are one.
    #[test]
    fn what_only_half_came_is_counted() {
        let mut inbox = Inbox::default();
        for _ in 0..3 {
            inbox.take(begins(b"ab", 5, 2));
            inbox.abort();
        }
        inbox.take(begins(b"ab", 5, 0));
        inbox.end(Ended::Status(Status::OK));
        inbox.abort();
        let missed = Missed { count: 10, unknown: false };
        assert_eq!(inbox.items, [Delivery { missed, publication: None }]);
    }
}
