//! One connection, shared by its two threads, its handles and its handlers.

use std::boxed::Box;
use std::fmt;
use std::mem;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;
use std::vec::Vec;

use super::device::{Device, Handler};
use super::handling::Requests;
use super::permit::Door;
use super::signal::{Parker, Signal};
use crate::adapter::host::base::Accepted;
use crate::adapter::host::defaults::LINGER;
use crate::adapter::host::guard::{Locked, Place};
use crate::adapter::host::link::{Link, let_go, lock};
use crate::adapter::trace;
use crate::{CloseReason, ExchangeId, Instant, Status, TimedOut};

/// How a stream is ended while one of the threads may be reading or writing.
pub(super) type HangUp = Box<dyn Fn(Shutdown) + Send + Sync>;

/// How long after a timer was due a thread that waits for the connection looks for itself: the writer, which
/// fires timers, may be held up by a peer that does not read.
pub(super) const BACKUP: Duration = Duration::from_millis(100);

pub(super) struct Core {
    pub(super) device: Device,
    state: Mutex<State>,
    /// Wakes the thread that writes.
    writer: Arc<Signal>,
    /// The writer has been woken, or writes, and has not begun its next turn.
    awaited: AtomicBool,
    carrier: Carrier,
}

/// What carries the bytes of a connection.
pub(super) enum Carrier {
    /// A stream of its own.
    Stream(HangUp),
    /// A serial line, which takes the bytes itself, by rules of its own.
    Line,
}

/// All that is behind the one lock.  No code of the application runs while it is held, but for the device's
/// decisions about peers.
pub(super) struct State {
    pub(super) link: Link<Handler>,
    pub(super) requests: Requests,
    /// When the writer wakes by itself; `None` while it is at work.
    wakes_at: Option<Instant>,
    stage: Stage,
    /// The stream has taken something, and nobody has been told yet that there is room.
    moved: bool,
    /// The device was told that both sides have let each other in.
    told: bool,
    /// Both sides take exchanges, as keepers have been told.
    usable: bool,
    door: Door,
    /// The reader has met the end of the stream.
    pub(super) drained: bool,
    /// When the connection ended.
    ended: Option<Instant>,
    /// The writer has gone, or nothing frees it.
    pub(super) writer_gone: bool,
}

/// Where in the stream the writer is; there it may be held up by a peer that does not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Idle,
    Flushing,
    Writing,
}

impl Core {
    pub(super) fn new(
        device: Device,
        link: Link<Handler>,
        writer: Arc<Signal>,
        carrier: Carrier,
        door: Door,
    ) -> Self {
        let state = State {
            link,
            requests: Requests::default(),
            wakes_at: None,
            stage: Stage::Idle,
            moved: false,
            told: false,
            usable: false,
            door,
            drained: false,
            ended: None,
            writer_gone: false,
        };
        Self { device, state: Mutex::new(state), writer, awaited: AtomicBool::new(false), carrier }
    }

    /// Runs `command` under the lock, and has the writer send what it has made.
    pub(super) fn with<R>(&self, command: impl FnOnce(&mut State, Instant) -> R) -> R {
        let result = self.enter(command);
        if matches!(self.carrier, Carrier::Line) {
            self.writer.give();
        }
        result
    }

    fn enter<R>(&self, work: impl FnOnce(&mut State, Instant) -> R) -> R {
        let now = self.device.now();
        let mut state = lock(&self.state);
        let result = work(&mut state, now);
        let signal = match self.carrier {
            Carrier::Stream(_) => {
                let sendable = state.link.connection.poll_transmit(now).is_some();
                // Those of this side's own making: nothing but this may have a reason to look for them.
                state.link.take_events(self.device.shared(), now);
                let needed = state.needs_writer(sendable);
                if needed || state.stage != Stage::Idle {
                    self.awaited.store(true, Ordering::SeqCst);
                }
                needed
            }
            Carrier::Line => {
                state.link.take_events(self.device.shared(), now);
                false
            }
        };
        if state.link.closed.is_some() {
            state.ended.get_or_insert(now);
        }
        let (woken, spent) = (mem::take(&mut state.link.woken), state.link.take_spent());
        drop(state);
        if signal {
            self.writer.give();
        }
        woken.into_iter().for_each(Waker::wake);
        let_go(spent);
        result
    }

    /// Whether the writer is going to settle and send without being woken again.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::SeqCst)
    }

    /// Looks at the state, where that makes nothing to send.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        let mut state = lock(&self.state);
        let result = look(&mut state);
        let (woken, spent) = (mem::take(&mut state.link.woken), state.link.take_spent());
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        let_go(spent);
        result
    }

    /// Whether both sides have let each other in, and it has not ended.
    pub(super) fn stands(&self) -> bool {
        self.look(|state| state.link.connection.is_connected())
    }

    /// A turn of one of the connection's own threads: time passes, `work` is done, and all that follows from it
    /// but the writing.
    pub(super) fn turn<R>(self: &Arc<Self>, work: impl FnOnce(&mut State, Instant) -> R) -> R {
        let shared = self.device.shared();
        let most = usize::from(self.device.base().config.limits().requests_in);
        let (result, asked, accepted, changed) = self.enter(|state, now| {
            state.link.connection.handle_timeout(now);
            state.link.absorb(shared, now);
            let result = work(state, now);
            state.link.absorb(shared, now);
            // Under the lock: whoever is told that it is connected finds it with the device.
            let peer = state.link.connection.peer().filter(|_| state.has_just_connected());
            let accepted = peer.map(|peer| (peer, self.device.base().on_connected(peer, self)));
            match accepted {
                // Before anybody here is told: no handler runs for it, and to its end it takes the place of a handshake.
                Some((_, Accepted::TooMany)) => {
                    state.link.connection.abort(now, Status::UNAVAILABLE);
                    state.link.absorb(shared, now);
                }
                Some(_) => state.door.handshake = None,
                None => {}
            }
            let State { link, requests, .. } = state;
            // A request may come with its cancel.
            let tell = requests.take(link, most);
            requests.stop(link);
            let (peer, usable) = (link.connection.peer(), link.takes_exchanges());
            let changed = usable != mem::replace(&mut state.usable, usable);
            (result, peer.filter(|_| tell), accepted, peer.filter(|_| changed))
        });
        if let Some(peer) = asked {
            self.device.pool().run(peer, self.clone());
        }
        if let Some((peer, Accepted::Replaces(older))) = accepted {
            trace::connected(peer);
            if let Some(arrivals) = self.look(|state| state.door.arrivals.take()) {
                arrivals.add(self);
            }
            older.iter().for_each(|older| older.retire(Status::REPLACED));
        }
        if let Some(peer) = changed {
            self.device.on_link_changed(peer);
        }
        self.device.on_drained();
        result
    }

    /// Gives what came to the connection.  The link takes each event at once, so that nothing is ever blocked
    /// for longer than that.
    pub(super) fn feed(self: &Arc<Self>, mut bytes: &[u8]) {
        self.turn(|state, now| {
            while !bytes.is_empty() {
                let taken = state.link.connection.handle_input(now, bytes);
                bytes = &bytes[taken..];
                state.link.absorb(self.device.shared(), now);
            }
            state.link.on_moved();
        });
    }

    /// The stream has ended, or is of no more use.
    pub(super) fn lose_stream(self: &Arc<Self>) {
        self.turn(|state, now| {
            state.drained = true;
            state.link.connection.handle_eof(now);
        });
        self.writer.give();
    }

    /// Copies what is to be written, to be written without the lock; says when to look again where there is
    /// nothing, and why it is over where it is.
    pub(super) fn poll_bytes(self: &Arc<Self>, bytes: &mut Vec<u8>, unflushed: bool) -> Next {
        bytes.clear();
        self.turn(|state, now| {
            // Settled behind this: whoever publishes from now on is to wake it again.
            self.awaited.store(false, Ordering::SeqCst);
            state.stage = Stage::Idle;
            bytes.extend_from_slice(state.link.connection.poll_transmit(now).unwrap_or_default());
            // Behind sealing, which is what makes room: who is woken before finds none, and is not woken again.
            if mem::take(&mut state.moved) {
                state.link.on_moved();
            }
            if !bytes.is_empty() {
                (state.stage, state.wakes_at) = (Stage::Writing, None);
                return Next::Write;
            }
            if unflushed {
                (state.stage, state.wakes_at) = (Stage::Flushing, None);
                return Next::Flush(state.link.closed);
            }
            if let Some(reason) = state.link.closed {
                return Next::Over(reason);
            }
            state.wakes_at = state.link.next_timeout();
            Next::Wait(state.wakes_at.map(|at| at.saturating_since(now)))
        })
    }

    /// Notes what the stream has taken.
    pub(super) fn wrote(&self, written: usize) {
        self.look(|state| {
            state.link.connection.advance_transmit(written);
            state.moved = true;
        });
    }

    /// Blocks until `poll` gives something.
    pub(super) fn wait<R>(
        self: &Arc<Self>,
        mut poll: impl FnMut(&mut State, Instant, &Waker) -> Option<R>,
    ) -> R {
        loop {
            // Once around: without a limit it ends only by having something.
            if let Some(ready) = self.wait_until(None, &mut poll) {
                return ready;
            }
        }
    }

    /// Blocks until `poll` gives something or, where there is a limit, until that.
    pub(super) fn wait_until<R>(
        self: &Arc<Self>,
        until: Option<Instant>,
        mut poll: impl FnMut(&mut State, Instant, &Waker) -> Option<R>,
    ) -> Option<R> {
        let parker = Parker::of_this_thread();
        loop {
            let polled = self.with(|state, now| {
                let wakes_at = state.next_look(now).into_iter().chain(until).min();
                let ready = poll(state, now, &parker.waker);
                ready.ok_or_else(|| wakes_at.map(|at| at.saturating_since(now)))
            });
            let within = match polled {
                Ok(ready) => return Some(ready),
                Err(within) => within,
            };
            parker.park(within);
            let now = self.device.now();
            if until.is_some_and(|until| now >= until) {
                self.tick();
                return self.with(|state, now| poll(state, now, &parker.waker));
            }
            if within.is_some() {
                self.tick();
            }
        }
    }

    /// Waits until the writer is done, and lets time pass for it: it may be held up in its last bytes.
    pub(super) fn watch_writer(self: &Arc<Self>) {
        while self.finished_until(None).is_none() {}
    }

    /// Why the connection has ended, once its last bytes are written or given up; waits for it, at most until then.
    pub(super) fn finished_until(self: &Arc<Self>, until: Option<Instant>) -> Option<CloseReason> {
        let mut place = Place::beside(&**self);
        self.wait_until(until, |state, _, waker| state.link.poll_finished(&mut place.number, waker))
    }

    /// Lets time pass, in a thread that waits for something else.
    pub(super) fn tick(self: &Arc<Self>) {
        if self.turn(|state, now| state.is_writer_stuck(now)) {
            self.hang_up(Shutdown::Both);
            // Where that does not free the writer, nobody need wait for it.
            self.look(|state| {
                state.writer_gone = true;
                state.link.finish();
            });
        }
        if matches!(self.carrier, Carrier::Line) {
            self.finish_on_line();
            self.writer.give();
        }
    }

    /// On a line whose writer is held up: nobody need wait for bytes that were given up.
    fn finish_on_line(&self) {
        let now = self.device.now();
        self.look(|state| {
            if state.link.closed.is_some() && state.link.connection.poll_transmit(now).is_none() {
                state.link.finish();
            }
        });
    }

    /// Ends the stream's directions; what is being read or written returns.
    pub(super) fn hang_up(&self, how: Shutdown) {
        if let Carrier::Stream(hang_up) = &self.carrier {
            hang_up(how);
        }
    }

    /// Takes no more exchanges; closes once those that are open have ended, or took too long.
    pub(super) fn retire(&self, status: Status) {
        let within = self.device.base().config.timeouts().close;
        self.with(|state, now| state.link.retire(self.device.shared(), now, within, status));
    }

    /// Once the connection has ended: nothing of it stays with the device, and its handlers are told.
    pub(super) fn finish(self: &Arc<Self>, reason: CloseReason) {
        let (id, peer, requests) = self.look(|state| {
            let link = &state.link;
            (link.id, link.connection.peer(), mem::take(&mut state.requests))
        });
        requests.end();
        self.device.base().on_closed(peer, id, Arc::as_ptr(self));
        if let Some(peer) = peer {
            self.device.on_link_changed(peer);
        }
        self.device.on_drained();
        trace::closed(peer, reason);
        self.look(|state| state.link.finish());
    }

    /// Ends a connection whose threads could not be made.
    pub(super) fn abandon(self: &Arc<Self>) {
        self.lose_stream();
        self.finish(CloseReason::Truncated);
        self.hang_up(Shutdown::Both);
        self.leave();
    }

    /// Once its threads end as well: others may come.
    pub(super) fn leave(&self) {
        let door = self.look(|state| {
            state.writer_gone = true;
            mem::take(&mut state.door)
        });
        drop(door);
    }
}

impl Locked for Core {
    type Handler = Handler;

    fn with_link<R>(&self, command: impl FnOnce(&mut Link<Handler>, Instant) -> R) -> R {
        self.with(|state, now| command(&mut state.link, now))
    }

    fn end_handler<R>(&self, id: ExchangeId, command: impl FnOnce(&mut Link<Handler>, bool) -> R) -> R {
        self.with(|state, _| {
            let stopped = state.requests.done(id);
            command(&mut state.link, stopped)
        })
    }
}

/// What the writer does next.
pub(super) enum Next {
    Write,
    /// Passes on what the stream has taken; of a connection that has ended, only for a while.
    Flush(Option<CloseReason>),
    /// Nothing, until a signal or for so long.
    Wait(Option<Duration>),
    Over(CloseReason),
}

impl State {
    /// Whether there is something that only the writer does.
    fn needs_writer(&self, sendable: bool) -> bool {
        // While it writes, it looks again by itself.
        if self.stage != Stage::Idle {
            return false;
        }
        let link = &self.link;
        let earlier =
            link.next_timeout().is_some_and(|at| self.wakes_at.is_none_or(|wakes_at| at < wakes_at));
        let handlers = !link.requests.is_empty() || !link.stops.is_empty();
        sendable || earlier || handlers || link.has_retired() || link.connection.is_closed()
    }

    /// When a thread that waits looks for itself: at timers that the writer did not fire, and at a writer that has
    /// last bytes to write.
    fn next_look(&self, now: Instant) -> Option<Instant> {
        let timeout = self.link.next_timeout().map(|at| at + BACKUP);
        let ended = self.ended.map(|ended| (ended + LINGER).max(now + BACKUP));
        timeout.into_iter().chain(ended).min()
    }

    /// Whether the connection has ended and the writer is held up by a peer that will not read.
    fn is_writer_stuck(&mut self, now: Instant) -> bool {
        let timed_out = |what| self.link.closed == Some(CloseReason::TimedOut(what));
        let gone = timed_out(TimedOut::Silence) || timed_out(TimedOut::Close);
        match self.stage {
            Stage::Idle => false,
            _ if gone => true,
            // What it flushes may be the last bytes, which have their time.  SPEC §16.3
            Stage::Flushing => self.ended.is_some_and(|ended| now.saturating_since(ended) >= LINGER),
            // The bytes at which it is are given up, unless it has just written them.
            Stage::Writing => {
                let connection = &mut self.link.connection;
                !self.moved && connection.is_closed() && connection.poll_transmit(now).is_none()
            }
        }
    }

    /// Whether both sides have let each other in since this was asked last.
    fn has_just_connected(&mut self) -> bool {
        // One that has ended already takes no other's place.
        let connected = !self.told && self.link.connected && self.link.closed.is_none();
        if connected {
            self.told = true;
        }
        connected
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Admission, Identity, Role};

    /// A connection whose stream has ended while its writer was at work.
    fn ended() -> Arc<Core> {
        let identity = Identity::generate().expect("randomness");
        let device = Device::builder(identity).build().expect("it is complete");
        let base = device.base();
        let connection = base.connection(Role::Responder, Admission::Ask, device.now()).expect("randomness");
        let link = Link::new(connection, base.next_link());
        let carrier = Carrier::Stream(Box::new(|_| {}));
        let core = Arc::new(Core::new(device, link, Arc::default(), carrier, Door::default()));
        core.lose_stream();
        core
    }

    #[test]
    fn a_writer_that_has_just_written_is_not_stuck() {
        let core = ended();
        core.look(|state| state.stage = Stage::Writing);
        core.wrote(0);
        core.tick();
        assert!(!core.look(|state| state.writer_gone), "it looks again by itself");
        core.look(|state| state.moved = false);
        core.tick();
        assert!(core.look(|state| state.writer_gone));
    }

    #[test]
    fn a_flush_has_its_time_and_no_more() {
        let core = ended();
        core.look(|state| state.stage = Stage::Flushing);
        let ended = core.look(|state| state.ended).expect("the stream has");
        let stuck = |at| core.look(|state| state.is_writer_stuck(at));
        assert!(!stuck(ended));
        assert!(stuck(ended + LINGER));
    }
}
