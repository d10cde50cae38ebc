//! A publication on its way out, and how much of others a subscription did not get.  SPEC §14

use crate::wire::Point;

/// A publication to be sent.  SPEC §14
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outgoing<'a> {
    /// The topic's name; the subscription's filter must match it.
    pub topic: &'a str,
    /// Its place among the publications of that topic.
    pub point: Point,
    /// What was dropped before it, in this subscription.
    pub missed: Missed,
    /// Whether it is the value that the topic had on subscribing.
    pub retained: bool,
    /// The application's bytes.
    pub body: &'a [u8],
}

/// How to subscribe.
///
/// ```
/// use symbolon::{Point, SubscribeOptions};
///
/// // What came last, from before the connection broke: only what is newer is sent again, where it is kept.
/// let last = Point { epoch: 0x5eed_1234, sequence: 17 };
/// let mut options = SubscribeOptions::default();
/// options.from = Some(last);
/// assert_eq!((options.window, options.largest), (64 * 1024, 1024 * 1024));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// How many bytes of publications may be on their way or wait here; 64 KiB by default.  One publication
    /// longer than the window may be held beside it.  Where not even its topic's name fits, it never arrives, and is counted
    /// as missed at the latest when the subscription ends.  As much as fits may wait for a slow reader, and grow old; see `latest`.
    /// SPEC §11
    pub window: u32,
    /// The longest body that is taken in several messages, in bytes; 1 MiB by default, 0 for none at all.  A longer one
    /// is discarded and counted as missed; one that came in a single message is always taken.  With the window this
    /// bounds what waits here.  SPEC §14.5
    pub largest: u32,
    /// Whether only the newest of each topic waits for the reader, by default not: one that comes takes the place of one
    /// that was not read, which counts as missed.  So what a slow reader gets is never older than one of its own turns,
    /// and live video does not lag; what it misses has come all the same.  For [`Connection`](crate::Connection), which
    /// keeps nothing for readers, it makes no difference.
    pub latest: bool,
    /// The last publication that this side has, to get those after it that the topic keeps; the filter must have no
    /// wildcards.  What is kept no more counts as missed.  SPEC §14.4
    pub from: Option<Point>,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self { window: 64 * 1024, largest: 1024 * 1024, latest: false, from: None }
    }
}

/// Publications that a subscription did not get and was not told of yet.  SPEC §14.3
///
/// ```
/// use symbolon::Missed;
///
/// fn tell(missed: Missed) -> String {
///     match missed {
///         Missed::NONE => "all of them".into(),
///         Missed { count, unknown: false } => format!("all but {count}"),
///         Missed { count, unknown: true } => format!("all but {count} or more"),
///     }
/// }
/// assert_eq!(tell(Missed::default()), "all of them");
/// // A publisher that was started anew does not know what came between.
/// assert_eq!(tell(Missed { count: 0, unknown: true }), "all but 0 or more");
/// ```
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Missed {
    /// How many publications, up to `u32::MAX`.
    pub count: u32,
    /// Whether `count` is a lower bound, and nobody knows the number.
    pub unknown: bool,
}

impl Missed {
    /// Nothing was missed.
    pub const NONE: Self = Self { count: 0, unknown: false };

    /// Whether there is anything to tell.
    pub const fn is_any(self) -> bool {
        self.count > 0 || self.unknown
    }

    /// Adds what was missed behind that.
    pub(crate) fn merge(&mut self, more: Self) {
        self.add(more.count.into());
        self.unknown |= more.unknown;
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn add(&mut self, more: u64) {
        match u32::try_from(u64::from(self.count).saturating_add(more)) {
            Ok(count) => self.count = count,
            Err(_) => *self = Self { count: u32::MAX, unknown: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC §14.3: a count beyond 2³²−1 is sent as 2³²−1 with `unknown`.
    #[test]
    fn counts_beyond_the_field_become_a_lower_bound() {
        let mut missed = Missed::default();
        missed.add(u64::from(u32::MAX));
        assert_eq!((missed.count, missed.unknown), (u32::MAX, false));
        missed.add(1);
        assert_eq!((missed.count, missed.unknown), (u32::MAX, true));
        missed.add(u64::MAX);
        assert_eq!((missed.count, missed.unknown), (u32::MAX, true));
    }
}
