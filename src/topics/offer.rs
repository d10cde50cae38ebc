//! What the table hands to a link, and what the link says about it.

use crate::exchange::ExchangeId;
use crate::publication::{Missed, Outgoing};

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

/// What became of an [`Offer`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// The connection took it, all of it.
    Sent,
    /// The connection took this many bytes of the body; the rest is offered next, and no other publication of this
    /// subscription before. As many as there are, or more, are all of it; 0 of some mean `NoCredit`.
    Part(usize),
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
