//! How much heap a connection may take, known before there is one.

use core::mem::size_of;

use super::Connection;
use super::bodies::Bodies;
use super::exchanges::{Opened, Subscription, Taken};
use super::pending::Pending;
use super::session::{DUE_LEN, Session};
use crate::config::Limits;
use crate::wire::frame;

/// What a handshake holds beside the two frames: its own state and snow's, and what is read and written.
const HANDSHAKE: usize = 2_816;
/// What is left of it when the session is made.
const HANDING_OVER: usize = 1_024;
/// The longest filter.  SPEC §13
const FILTER: usize = 255;

impl Connection {
    /// The most bytes of heap that a connection with these limits ever holds, its handshake included; the connection
    /// itself, [`size_of::<Connection>()`](core::mem::size_of), comes beside them, and so does what the allocator keeps for
    /// itself.
    ///
    /// Bodies in chunks are counted as if each request that may be open had one each way, which is what `window` and
    /// `body_buffer` of [`Limits`] allow.  Without them, and with limits whose buffers are all there from the start, most of
    /// it is in use from the handshake on.
    ///
    /// ```
    /// use symbolon::{Connection, Limits};
    ///
    /// const LIMITS: Limits = Limits::small();
    /// // For a sensor with two connections.
    /// const HEAP: usize = 2 * (Connection::heap_bound(&LIMITS) + size_of::<Connection>());
    /// assert!(HEAP < 48 * 1024);
    /// ```
    pub const fn heap_bound(limits: &Limits) -> usize {
        let (ours, theirs) = limits.exchanges();
        let frames = frames(limits);
        let records = ours * size_of::<Opened>() + theirs * (size_of::<Taken>() + size_of::<u64>());
        let due = larger(ours, theirs) * DUE_LEN;
        // One or two events of this side's own making for each exchange.
        let local = 2 * (ours + theirs) * size_of::<Pending>();
        let requests = limits.requests_in as usize + limits.requests_out as usize;
        let bodies = requests * (size_of::<Bodies>() + limits.body_buffer + 4 * size_of::<u64>());
        let subscriptions = limits.subscriptions_out as usize * (size_of::<Subscription>() + FILTER);
        let queues = limits.call_queue + limits.publication_queue;
        // What grows does so by doubling, and queues hold as much again of what was sent.
        let (queues, tables) = if limits.is_fixed() {
            (queues, records + due + local)
        } else {
            (4 * queues, 2 * (records + due + local))
        };
        let session = size_of::<Session>() + queues + tables + bodies + subscriptions + HANDING_OVER;
        frames + larger(session, HANDSHAKE)
    }
}

/// The frame that comes, and those that leave.
const fn frames(limits: &Limits) -> usize {
    let longest = limits.max_frame as usize + frame::LENGTH_PREFIX;
    let incoming =
        larger(larger(limits.buffer_at_rest, longest), frame::HANDSHAKE_MAX + frame::LENGTH_PREFIX);
    if limits.is_fixed() {
        return 2 * incoming;
    }
    2 * (incoming + larger(limits.transmit_buffer, u16::MAX as usize))
}

const fn larger(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}
