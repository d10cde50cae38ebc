//! What a topic does with its publications, and how much a table may hold.  SPEC §14.2

/// What a topic keeps and what it does for a subscriber that does not keep up. Only the publisher knows it.  SPEC §14.2
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// The latest value counts. A subscriber gets it on subscribing, marked `retained`. A newer value takes the
    /// place of one that still waits (in the line too, so that a topic which changes all the time is still sent),
    /// and the one replaced counts as missed. One that is half sent is finished, however many come meanwhile, unless its
    /// subscriber has stalled: where no part of it found credit between two newer values, it is given up, but never two
    /// in a row, so that a subscriber far away gets one of each two.
    State,
    /// Each publication counts.
    Event {
        /// How many publications may wait for one subscription, and how many are kept for subscribers that resume;
        /// from 1 to [`TopicLimits::depth`].
        depth: u32,
        /// What happens when that many wait already.
        overflow: Overflow,
    },
}

impl Kind {
    pub(super) const fn depth(self) -> usize {
        match self {
            Self::State => 1,
            Self::Event { depth, .. } => depth as usize,
        }
    }

    /// Whether the oldest that waits makes way for a newer one.
    pub(super) const fn drops_oldest(self) -> bool {
        matches!(self, Self::State | Self::Event { overflow: Overflow::DropOldest, .. })
    }

    pub(super) const fn refuses(self) -> bool {
        matches!(self, Self::Event { overflow: Overflow::Refuse, .. })
    }
}

/// What happens to a publication when a subscription's queue for its topic is full.  SPEC §14.2
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Overflow {
    /// That subscription's oldest of the topic is dropped, and counted as missed.
    DropOldest,
    /// The new one is not queued for that subscription, and counted as missed.
    DropNewest,
    /// Publishing fails for all: [`PublishError::QueueFull`](crate::PublishError::QueueFull). The only policy with
    /// which one slow subscriber holds up the others.
    Refuse,
}

/// How much a [`Topics`](crate::Topics) may hold. What would exceed it is refused, and changes nothing.
///
/// A limit of 0 refuses all. The defaults are for a host; a microcontroller sets them much lower.
///
/// ```
/// use symbolon::TopicLimits;
///
/// let mut limits = TopicLimits::default();
/// limits.bytes = 64 << 10;
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct TopicLimits {
    /// Topics declared. Default 256.
    pub topics: u32,
    /// Subscriptions of all links together. Each costs a few hundred bytes, and its filter twice. Default 16384.
    pub subscriptions: u32,
    /// Subscriptions of one link. Default 256.
    pub subscriptions_per_link: u32,
    /// Pairs of a subscription and a topic that its filter matches. Each costs some tens of bytes, and 16 bytes or
    /// so for each publication that waits in it (up to the topic's depth). Default 65536.
    pub matches: u32,
    /// Such pairs of one link when it subscribes, so that one peer cannot take them all. Default 4096.
    pub matches_per_link: u32,
    /// The depth of an event topic, in publications. Default 1024.
    pub depth: u32,
    /// One body, in bytes. A subscriber that takes none so long gets a gap instead. Default 1 MiB, which is also what
    /// subscribers of adapters take by default.
    pub body: usize,
    /// All bodies together, in bytes, whether a topic keeps them, a queue does, or one is half sent; each counts as the
    /// next power of two, at least 16 (an empty one as 0). Buffers no longer in use count too, until their room is
    /// needed. Nothing is allocated before it is published. Default 16 MiB.
    pub bytes: usize,
}

impl Default for TopicLimits {
    fn default() -> Self {
        Self {
            topics: 256,
            subscriptions: 16_384,
            subscriptions_per_link: 256,
            matches: 65_536,
            matches_per_link: 4_096,
            depth: 1024,
            body: 1 << 20,
            bytes: 16 << 20,
        }
    }
}
