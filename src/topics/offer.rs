//! What the table hands to a link, and what the link says about it.

use crate::Point;

/// What a link has to send next.  SPEC §14
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Offer<'a> {
    /// A publication.
    Publication {
        /// The exchange that it answers.
        subscription: u64,
        /// The topic's name.
        topic: &'a str,
        /// Which publication of the topic it is.
        point: Point,
        /// How many publications this subscription missed since it was last sent or told anything.  SPEC §14.3
        missed: u32,
        /// Whether `missed` is a lower bound.
        unknown: bool,
        /// Whether it is a state's value from before the subscription.
        retained: bool,
        /// The application's bytes.
        body: &'a [u8],
    },
    /// Publications were missed, and none waits that could tell.  SPEC §14.3
    Missed {
        /// The exchange whose publications they were.
        subscription: u64,
        /// How many.
        count: u32,
        /// Whether `count` is a lower bound.
        unknown: bool,
    },
}

/// What became of an [`Offer`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// The connection took it, all of it.
    Sent,
    /// The subscription has no credit for it: it stays, and this pump offers nothing more of the subscription.
    NoCredit,
    /// The connection takes nothing now: it stays, and the pump ends.
    Full,
    /// It can never be sent: it is dropped and counted as missed. (Of an [`Offer::Missed`] this means `NoCredit`.)
    TooLarge,
    /// The subscription has ended: all of it is forgotten.
    Gone,
}
