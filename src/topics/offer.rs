//! What the table hands to a link, and what the link says about it.

use crate::exchange::ExchangeId;
use crate::publication::{Missed, Outgoing};

/// What a link has to send next.  SPEC §14
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Offer<'a> {
    /// A publication.
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
}

/// What became of an [`Offer`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// The connection took it, all of it.
    Sent,
    /// The subscription has no credit for it: it stays, and nothing of the subscription is offered until
    /// [`Topics::credited`](crate::Topics::credited), or until something is published for it.
    NoCredit,
    /// The connection takes nothing now: it stays, and the pump ends.
    Full,
    /// It can never be sent: it is dropped and counted as missed. (Of an [`Offer::Missed`] this means `NoCredit`.)
    TooLarge,
    /// The subscription has ended: all of it is forgotten.
    Gone,
}
