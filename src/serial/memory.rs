//! How much of the heap a line takes at most.

use super::MOST_ENDED;
use super::packet::{Incoming, Outgoing};
use crate::config::{Limits, longest_unit};
use crate::connection::Connection;

impl Limits {
    /// How much of the heap a [`Line`](crate::serial::Line) of connections takes at most under these limits, in bytes: its two packets, the
    /// session that runs, and the candidate for its place.
    ///
    /// As with [`memory`](Self::memory), neither the allocator's own is in it nor the line's `size_of`.  A session that
    /// has ended keeps its own memory until [`poll_ended`](crate::serial::Line::poll_ended) has given it away and it was dropped, and
    /// the next one takes its own with [`Event::Connected`](crate::Event::Connected): so poll the ended ones first, and before
    /// the next bytes are handed in, or count one session more.
    ///
    /// ```
    /// use symbolon::Limits;
    ///
    /// const HEAP: usize = Limits::small().line_memory();
    /// assert!(HEAP > Limits::small().memory().most());
    /// ```
    #[must_use]
    pub const fn line_memory(&self) -> usize {
        let each = self.on_a_line();
        let packets = Incoming::most(longest_unit(self.max_frame)) + Outgoing::most(each.longest_sent());
        packets + each.memory_on_a_line() + MOST_ENDED * size_of::<Connection>()
    }
}
