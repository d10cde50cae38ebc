//! Placeholder for the messages, until they are merged.

/// One publication of a topic.  SPEC §14.2
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Point {
    /// The publisher's numbering, drawn anew each time it starts.
    pub epoch: u32,
    /// The publication's number in its topic, from 0.
    pub sequence: u64,
}
