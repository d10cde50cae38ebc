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
