//! One turn of the loop: bytes between a transport and what speaks the protocol, and the time.

use core::convert::Infallible;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_time::Timer;

use super::transport::{Buffers, Ports};
use crate::{Connection, Instant};

/// A transport at work: what [`Buffers::transport`] gives, pinned.
pub(super) type Transport<'a> = Pin<&'a mut dyn Future<Output = Infallible>>;

/// The time as the protocol counts it: that of embassy's clock, since the start.
pub(super) fn now() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}

/// The earlier of two moments, of which there may be none.
// The core has the same for itself; a linker that folds makes one function of both.
#[cfg_attr(target_os = "none", inline(never))]
pub(super) fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

/// What speaks the protocol on a transport: a connection, or a line with its sessions.
pub(super) trait Speaker {
    fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> usize;
    fn handle_eof(&mut self, now: Instant);
    fn poll_transmit(&mut self, now: Instant) -> Option<&[u8]>;
    fn advance_transmit(&mut self, written: usize);
    /// Whether bytes that come may cost a handshake's operations, each of which is long.
    fn is_shaking_hands(&mut self) -> bool;
}

impl Speaker for Connection {
    fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.handle_input(now, bytes)
    }

    fn handle_eof(&mut self, now: Instant) {
        self.handle_eof(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<&[u8]> {
        self.poll_transmit(now)
    }

    fn advance_transmit(&mut self, written: usize) {
        self.advance_transmit(written);
    }

    fn is_shaking_hands(&mut self) -> bool {
        !self.is_connected()
    }
}

/// What a turn has come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// Something moved: there may be events.
    Moved,
    /// Something moved, and others are to have their turn first.
    Yield,
    /// Nothing moves until something wakes the task.
    Still,
}

/// How many turns may move bytes in before other tasks have theirs: a peer that never stops sending must not keep them
/// from running.
const TURNS: u8 = 8;

/// The transport, and when to wake up.
pub(super) struct Drive<'a> {
    ports: &'a dyn Ports,
    io: Transport<'a>,
    /// The stream's end, or the transport's failure, has been told.
    ended: bool,
    turns: u8,
    timer: Option<(Instant, Timer)>,
}

impl<'a> Drive<'a> {
    pub(super) fn new(buffers: &'a Buffers<'_>, io: Transport<'a>) -> Self {
        Self { ports: buffers, io, ended: false, turns: 0, timer: None }
    }

    /// Moves bytes out and in, once.
    pub(super) fn turn(&mut self, task: &mut Context<'_>, speaker: &mut impl Speaker, now: Instant) -> Turn {
        let wrote = self.ports.write(&mut |buffer| fill(buffer, speaker, now));
        let writing = !self.ports.is_written();
        let _: Poll<Infallible> = self.io.as_mut().poll(task);
        // A write that had waited is done: the next turn has more for the transport, or lets it flush.
        let wrote = wrote || (writing && self.ports.is_written());
        let shaking = speaker.is_shaking_hands();
        let read = self.ports.read(&mut |bytes| speaker.handle_input(now, bytes));
        if !self.ended && self.ports.is_over() {
            // All that had arrived was taken: it may say why, and be all that was asked for.  SPEC §16.3
            self.ended = true;
            speaker.handle_eof(now);
            return Turn::Moved;
        }
        if !read {
            return if wrote { Turn::Moved } else { Turn::Still };
        }
        self.turns += 1;
        if shaking || self.turns >= TURNS {
            self.turns = 0;
            return Turn::Yield;
        }
        Turn::Moved
    }

    /// Whether all bytes have left, or never will.
    pub(super) fn is_flushed(&self) -> bool {
        self.ports.is_written()
    }

    /// Sleeps until this instant; ready when it has come.
    pub(super) fn sleep(&mut self, task: &mut Context<'_>, until: Option<Instant>) -> Poll<()> {
        self.turns = 0;
        let Some(until) = until else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = match &mut self.timer {
            Some((at, timer)) if *at == until => timer,
            timer => {
                // Rounded up by a tick: a timer that fires early would be asked again at once.
                let at = embassy_time::Instant::from_micros(until.as_micros())
                    + embassy_time::Duration::from_ticks(1);
                &mut timer.insert((until, Timer::at(at))).1
            }
        };
        let slept = Pin::new(timer).poll(task);
        if slept.is_ready() {
            self.timer = None;
        }
        slept
    }
}

/// Puts bytes that wait into the buffer, as many as fit.
fn fill(buffer: &mut [u8], speaker: &mut impl Speaker, now: Instant) -> usize {
    let mut filled = 0;
    while filled < buffer.len()
        && let Some(bytes) = speaker.poll_transmit(now)
    {
        let len = bytes.len().min(buffer.len() - filled);
        buffer[filled..filled + len].copy_from_slice(&bytes[..len]);
        speaker.advance_transmit(len);
        filled += len;
    }
    filled
}

impl fmt::Debug for Drive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").field("ended", &self.ended).finish_non_exhaustive()
    }
}
