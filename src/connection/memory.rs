//! How much of the heap a connection takes at most, counted from what it keeps; and when it takes it.

use super::bodies::Bodies;
use super::exchanges::{FILTER_AT_REST, Opened, Subscription, Taken};
use super::handshake::Handshake;
use super::queue::Queue;
use super::session::{LOCAL, Session};
use super::{Connection, State};
use crate::config::{Limits, larger, longest_unit};
use crate::name::NAME_MAX;
use crate::noise;
use crate::wire::frame;

/// Bytes of heap that one [`Connection`] takes at most, whatever the peer does: see [`Limits::memory`].
///
/// What an allocator adds, a few bytes for each of about a dozen pieces, is not in it; nor are the connection's own
/// `size_of`, the [`Admission`](crate::Admission) that is handed in, and what an adapter keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[non_exhaustive]
pub struct Memory {
    /// Until the peer has proven itself; nobody else can make this side take more.
    pub handshake: usize,
    /// From then on, without bodies in chunks: buffers full, and as many exchanges open as there may be.
    pub session: usize,
    /// What bodies in chunks add, on as many requests as there may be.
    pub bodies: usize,
}

impl Memory {
    /// The most at any time: a handshake or a session, since the one ends before the other begins.
    #[must_use]
    pub const fn most(&self) -> usize {
        larger(self.handshake, self.session + self.bodies)
    }
}

impl Limits {
    /// How much of the heap one connection takes at most under these limits, for this processor and the pure-Rust
    /// primitives.
    ///
    /// Where [`buffer_at_rest`](Self::buffer_at_rest) reserves everything, as in [`small`](Self::small), a session takes
    /// all of it when it begins, but for filters of its own subscriptions that are longer than 32 bytes, and takes nothing more; a
    /// body in chunks takes its part when it is opened.
    ///
    /// ```
    /// use symbolon::{Connection, Limits};
    ///
    /// const LIMITS: Limits = Limits::small();
    /// // Two connections without bodies in chunks, one of them perhaps in its handshake.
    /// const HEAP: usize = LIMITS.memory().session + LIMITS.memory().handshake;
    /// static ROOM: [u8; HEAP] = [0; HEAP];
    /// assert!(LIMITS.memory().session + size_of::<Connection>() < 4_096);
    /// # assert_eq!(ROOM.len(), HEAP);
    /// ```
    #[must_use]
    pub const fn memory(&self) -> Memory {
        let unit = frame::LENGTH_PREFIX + frame::HANDSHAKE_MAX;
        let (reader, wire) = (larger(unit, self.reader_at_first()), self.wire_of_handshake());
        Memory {
            handshake: wire + reader + self.handshake_memory(),
            session: larger(self.longest_sent(), wire) + self.session_memory(),
            bodies: self.body_memory(),
        }
    }

    /// The same for two sessions on a serial line, one that stands and one in its handshake.  Packets go past the reader of
    /// a handshake, and frames are sealed into the line's own buffer.
    pub(crate) const fn memory_on_a_line(&self) -> usize {
        self.session_memory() + self.body_memory() + self.wire_of_handshake() + self.handshake_memory()
    }

    /// Without its buffers.
    const fn handshake_memory(&self) -> usize {
        // Besides what is kept: a message that was sent is made again where a packet of a line has failed.
        size_of::<Handshake>() + frame::MIN_FRAME as usize + noise::HEAP_MAX
    }

    /// Without the frames to send.
    const fn session_memory(&self) -> usize {
        let (out, coming) = (self.exchanges_out(), self.exchanges_in());
        let fixed = self.is_fixed();
        let reader = if fixed { self.reader_at_rest() } else { longest_unit(self.max_frame) };
        let queues = Queue::most(self.call_queue, fixed) + Queue::most(self.publication_queue, fixed);
        let tables = self.table(out, size_of::<Opened>())
            + self.table(coming, size_of::<Taken>())
            + self.table(self.subscriptions_in as usize, size_of::<u64>())
            + self.table(out + coming, size_of::<u64>())
            + self.table(out + coming, LOCAL);
        let spare = if fixed { size_of::<usize>() } else { 0 };
        let filters = self.subscriptions_out as usize * (size_of::<Subscription>() + NAME_MAX + spare);
        size_of::<Session>() + 2 * noise::CIPHER + reader + queues + tables + filters
    }

    const fn body_memory(&self) -> usize {
        let requests = self.requests_in as usize + self.requests_out as usize;
        requests * (size_of::<Bodies>() + self.body_buffer) + 2 * doubled(requests, size_of::<u64>())
    }

    /// A table of so many entries.
    const fn table(&self, entries: usize, size: usize) -> usize {
        if self.is_fixed() { entries * size } else { doubled(entries, size) }
    }

    /// What the buffer of frames to send may have from the handshake, which writes less than the least `max_frame`.
    const fn wire_of_handshake(&self) -> usize {
        let (at_first, written) = (self.wire_at_first(), frame::MIN_FRAME as usize);
        if at_first < written { 2 * written } else { at_first }
    }

    /// What the buffer of frames to send begins with; where everything is reserved for a session, as much as a handshake
    /// writes, since there may be many of those that lead to none.
    pub(super) const fn wire_at_first(&self) -> usize {
        let at_rest = smaller(self.buffer_at_rest, self.longest_sent());
        if self.is_fixed() { frame::MIN_FRAME as usize } else { at_rest }
    }

    /// The same for the buffer of frames received.
    pub(super) const fn reader_at_first(&self) -> usize {
        if self.is_fixed() { 0 } else { self.reader_at_rest() }
    }

    /// What the buffer of frames received keeps.
    pub(super) const fn reader_at_rest(&self) -> usize {
        smaller(self.buffer_at_rest, frame::LENGTH_PREFIX + self.max_frame as usize)
    }
}

impl Connection {
    /// Takes all the memory that a session may need, where its limits say so: once it has been let in, or is commanded
    /// before.  So a peer that is not let in costs no more than its handshake, and on a line the session before has given
    /// back what it had.
    pub(super) fn reserve(&mut self) {
        if self.reserved {
            return;
        }
        let State::Session(session) = &mut self.state else { return };
        if self.limits.is_fixed() {
            session.reserve();
            self.reader.reserve(self.limits.reader_at_rest());
        }
        if self.on_line {
            // From now on frames are sealed into the line's own buffer.
            self.wire.shrink(0);
        } else {
            self.wire.reserve(self.limits.longest_sent());
        }
        self.reserved = true;
    }
}

/// A table that grows by doubling, from four entries.
const fn doubled(entries: usize, size: usize) -> usize {
    if entries == 0 { 0 } else { larger(4, entries.next_power_of_two()) * size }
}

const fn smaller(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

const _: () = assert!(FILTER_AT_REST <= NAME_MAX);

// What guide::limits and README.md say; .ci/run checks the library for such processors.
#[cfg(all(target_pointer_width = "32", target_os = "none"))]
const _: () = {
    let Memory { handshake, session, bodies } = Limits::small().memory();
    assert!(handshake == 3_055 && session == 2_856 && bodies == 2_080);
    assert!(size_of::<Connection>() == 352);
};
