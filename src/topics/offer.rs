//! What the table hands to a link, and what the link says about it.

use super::bodies::BodyPool;
use super::subscriptions::Entry;
use crate::exchange::ExchangeId;
use crate::publication::{Missed, Outgoing};
use alloc::collections::VecDeque;
use core::fmt;

/// What a link has to send next.  SPEC §14
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Offer<'a> {
    /// What is half sent is given up: what is left of it will never be offered.  SPEC §14.5
    Abort {
        /// The subscription into which it was published.
        subscription: ExchangeId,
    },
    /// A publication, the body of which may be taken in parts: [`Verdict::Part`].
    Publication {
        /// The subscription that it answers.
        subscription: ExchangeId,
        /// What to send.
        publication: Outgoing<'a>,
        /// What may be sent with it: [`Verdict::Several`].
        behind: Behind<'a>,
    },
    /// Publications were missed, and none waits that could tell.  SPEC §14.3
    Missed {
        /// The subscription whose publications they were.
        subscription: ExchangeId,
        /// How many.
        missed: Missed,
    },
    /// All that is left of the body of the publication that is half sent.  SPEC §14.5
    Rest {
        /// The subscription into which it was published.
        subscription: ExchangeId,
        /// What to send; as much of it as can be.
        rest: &'a [u8],
    },
}

/// The publications of the same topic that wait for the same subscription behind one that is offered, as far as they are
/// numbered on from it, and where nothing else of the link would have its turn between them.
#[derive(Clone, Copy)]
pub struct Behind<'a> {
    queue: &'a VecDeque<Entry>,
    /// How many of the queue it may be, the one that is offered included.
    most: usize,
    bodies: &'a BodyPool,
}

impl<'a> Behind<'a> {
    /// Those behind the front of this queue, of whose first `most` it is one.
    pub(super) const fn new(queue: &'a VecDeque<Entry>, most: usize, bodies: &'a BodyPool) -> Self {
        Self { queue, most, bodies }
    }

    /// Their bodies, in their order.
    pub fn bodies(self) -> impl Iterator<Item = &'a [u8]> {
        self.entries().map(move |entry| self.bodies.bytes(entry.body))
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.entries().next().is_none()
    }

    pub(super) fn entries(self) -> impl Iterator<Item = &'a Entry> {
        let first = self.queue.front().map_or(0, |entry| entry.sequence);
        let numbered = self.queue.iter().take(self.most).zip(first..).skip(1);
        numbered.take_while(|(entry, number)| entry.sequence == *number).map(|(entry, _)| entry)
    }
}

impl fmt::Debug for Behind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.bodies()).finish()
    }
}

impl PartialEq for Behind<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bodies().eq(other.bodies())
    }
}

impl Eq for Behind<'_> {}

/// What became of an [`Offer`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// The connection took it, all of it.
    Sent,
    /// The connection took this many bytes of the body; the rest is offered next, and no other publication of this
    /// subscription before. As many as there are, or more, are all of it; 0 of some mean `NoCredit`.
    Part(usize),
    /// The connection took it, all of it, and so many of those [`behind`](Offer::Publication::behind) it. As many as there
    /// are, or more, are all of them.
    Several(usize),
    /// The subscription has no credit for it: it stays, and nothing of the subscription is offered until
    /// [`Topics::credited`](crate::Topics::credited), or until something is published for it.
    NoCredit,
    /// The connection takes nothing now: it stays, and the pump ends.
    Full,
    /// It can never be sent: it is dropped and counted as missed; what is half sent is given up. (Of an
    /// [`Offer::Missed`] and an [`Offer::Abort`] this means `NoCredit`.)
    TooLarge,
    /// The subscription has ended: all of it is forgotten.
    Gone,
}
