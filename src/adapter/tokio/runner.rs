//! What drives a connection: reads, lets time pass, runs handlers.

use std::boxed::Box;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;
use std::vec::Vec;

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::time::{self, Sleep};
use bytes::Bytes;

use super::core::{Core, Running, Sender, State, Stream};
use super::device::{Context, Handler, HandlerFn, Handling};
use super::exchange::RawExchange;
use super::handle::Handle;
use crate::adapter::host::base::Accepted;
use crate::adapter::host::defaults::LINGER;
use crate::adapter::host::error::Refusal;
use crate::adapter::host::link::{Incoming, Reply, let_go, lock};
use crate::adapter::host::owed::Owed;
use crate::adapter::trace;
use crate::{CloseReason, ExchangeId, Instant, PeerId, Status, StopCause};

/// How many handlers are started before what they answered is sent: the peer acts on that while the next are started,
/// where both sides would wait for each other's last one.
const HANDLED_AT_ONCE: usize = 16;

/// What drives a connection until it ends; made by [`Device::attach`](super::Device::attach).
#[must_use = "a connection does nothing unless its runner runs"]
pub struct Runner {
    core: Arc<Core>,
    /// Filled under the lock, used outside of it.
    requests: VecDeque<Incoming<Handler>>,
    stops: VecDeque<(ExchangeId, StopCause)>,
    woken: Vec<Waker>,
    peer: Option<PeerId>,
    connected: bool,
    /// Both sides take exchanges, as keepers have been told.
    usable: bool,
    finished: bool,
}

impl Runner {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            requests: VecDeque::new(),
            stops: VecDeque::new(),
            woken: Vec::new(),
            peer: None,
            connected: false,
            usable: false,
            finished: false,
        }
    }

    /// Drives the connection until it has ended and its last bytes are sent; says why it ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the connection ends as if the stream had been cut: whoever waits is told.
    pub async fn run(mut self) -> CloseReason {
        let mut sleep = pin!(time::sleep(Duration::ZERO));
        let reason = poll_fn(|task| self.poll(task, sleep.as_mut())).await;
        self.finish();
        let stream = lock(&self.core.state).stream.take();
        if let Some(stream) = stream {
            linger(stream).await;
        }
        reason
    }

    fn poll(&mut self, task: &mut TaskContext<'_>, mut sleep: Pin<&mut Sleep>) -> Poll<CloseReason> {
        let mut reads = true;
        loop {
            let (timeout, ended) = self.turn(task, mem::take(&mut reads));
            let handled = self.start_handlers(task);
            self.stop_handlers();
            if handled {
                // What they answered goes out in the next turn, in one frame.  Nothing more is read for that: of a peer that
                // always asks there would be no end, and other tasks would never run.
                continue;
            }
            if let Some(reason) = ended {
                return Poll::Ready(reason);
            }
            let Some(timeout) = timeout else { return Poll::Pending };
            let at = self.core.device.at(timeout);
            // One that fires too early stays: to wake once for nothing costs less than to set it anew for each message.
            if at < sleep.deadline() || sleep.is_elapsed() {
                sleep.as_mut().reset(at);
            }
            if sleep.as_mut().poll(task).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// One turn under the lock: time, writing, reading where it `reads`, writing.  Returns when to wake up, and why it is
    /// over.
    fn turn(&mut self, task: &mut TaskContext<'_>, reads: bool) -> (Option<Instant>, Option<CloseReason>) {
        let core = self.core.clone();
        let device = &core.device;
        let now = device.now();
        let mut guard = lock(&core.state);
        let state = &mut *guard;
        match &mut state.runner {
            Some(runner) => runner.clone_from(task.waker()),
            None => state.runner = Some(task.waker().clone()),
        }
        core.begin_turn(state);
        state.link.connection.handle_timeout(now);
        // What handlers answered does not wait for what is to be read.
        state.write_all(device, now, task);
        if reads {
            state.read_on(device, now, task);
        }
        state.link.absorb(device.shared(), now);
        // Before the peer is told: whoever is connected finds the connection with the device.
        let accepted = self.accepted(state);
        if let Some((_, Accepted::TooMany)) = accepted {
            // Before anybody here is told: no handler runs for it, and to its end it takes the place of a handshake.
            state.link.connection.abort(now, Status::UNAVAILABLE);
        }
        state.write_all(device, now, task);
        self.peer = state.link.connection.peer();
        if self.requests.is_empty() {
            mem::swap(&mut self.requests, &mut state.link.requests);
        } else {
            self.requests.append(&mut state.link.requests);
        }
        mem::swap(&mut self.stops, &mut state.link.stops);
        mem::swap(&mut self.woken, &mut state.link.woken);
        if self.woken.len() > 1 {
            // Each of them may have something to say next.
            state.sender = Sender::Runner { woken: false };
        }
        let timeout = state.link.next_timeout();
        state.wakes_at = timeout;
        let ended = state.link.closed.filter(|_| state.is_flushed(now));
        let spent = state.link.take_spent();
        let usable = state.link.takes_exchanges();
        let changed = usable != mem::replace(&mut self.usable, usable);
        drop(guard);
        self.woken.drain(..).for_each(Waker::wake);
        if let Some(peer) = self.peer.filter(|_| changed) {
            device.on_link_changed(peer);
        }
        device.on_drained();
        if let Some((peer, Accepted::Replaces(older))) = accepted {
            trace::connected(peer);
            older.iter().for_each(|older| older.retire(Status::REPLACED));
        }
        let_go(spent);
        (timeout, ended)
    }

    /// What the connection means for the device, once both sides have let each other in.
    fn accepted(&mut self, state: &State) -> Option<(PeerId, Accepted<Core>)> {
        // One that has ended already takes no other's place.
        if self.connected || !state.link.connected || state.link.closed.is_some() {
            return None;
        }
        let peer = state.link.connection.peer()?;
        self.connected = true;
        Some((peer, self.core.device.base().on_connected(peer, &self.core)))
    }

    /// Polls each new handler once, here; only those that wait get a task of their own.
    fn start_handlers(&mut self, task: &mut TaskContext<'_>) -> bool {
        let any = !self.requests.is_empty();
        // Whoever requests has proven who it is.
        let Some(peer) = self.peer.filter(|_| any) else { return false };
        // What does not wait is answered together, for the next turn to send.
        let mut replies: Vec<(ExchangeId, Reply)> = Vec::new();
        // A handler is stopped once it has been started, so those that are to be stopped do not wait.
        let most = if self.stops.is_empty() { HANDLED_AT_ONCE } else { usize::MAX };
        let mut room = self.room();
        for _ in 0..most {
            let Some(Incoming { id, handler, body, deadline }) = self.requests.pop_front() else { break };
            if room == 0 {
                replies.push((id, Err(Refusal::Busy(Duration::ZERO))));
                continue;
            }
            let context = Context { handle: Handle::new(self.core.clone()), peer, deadline };
            let first = catch_unwind(AssertUnwindSafe(|| {
                let mut handling: Handling = match &handler.0 {
                    HandlerFn::Call(handler) => handler(context, body),
                    HandlerFn::Stream(handler) => {
                        handler(context, body, RawExchange::new(self.core.clone(), id))
                    }
                };
                match handling.as_mut().poll(task) {
                    Poll::Ready(reply) => Ok(reply),
                    Poll::Pending => Err(handling),
                }
            }));
            match first {
                Ok(Ok(reply)) => replies.push((id, reply)),
                Ok(Err(handling)) => {
                    room -= 1;
                    self.spawn(Owed::new(self.core.clone(), id), handling);
                }
                // A panic: what is owed is answered as it is dropped.
                Err(_) => drop(Owed::new(self.core.clone(), id)),
            }
        }
        self.core.look(|state| {
            for (id, reply) in &mut replies {
                let given = mem::replace(reply, Ok(Bytes::new()));
                *reply = Ok(state.link.respond(*id, given).unwrap_or_default());
            }
        });
        let_go(replies);
        any
    }

    /// How many more handlers may have a task of their own.  There are as many as the peer may have requests open, and as many
    /// again that have answered and go on: an answer makes room for the next request, and a peer could otherwise have more
    /// and more of them.  Where there is none, no handler begins, not even one that would answer at once.
    fn room(&self) -> usize {
        let most = 2 * usize::from(self.core.device.base().config.limits().requests_in);
        most.saturating_sub(lock(&self.core.state).running.len())
    }

    fn spawn(&self, mut owed: Owed<Core>, handling: Handling) {
        let id = owed.id;
        // Before it is spawned: it may end on another thread at once, and takes its entry with it.
        lock(&self.core.state).running.insert(id, Running::default());
        let handler = ::tokio::spawn(async move {
            let reply = handling.await;
            owed.pay(reply);
        });
        if let Some(running) = lock(&self.core.state).running.get_mut(&id) {
            running.task = Some(handler.abort_handle());
        }
    }

    /// Drops the handlers whose callers have gone; each answers as it is dropped.
    fn stop_handlers(&mut self) {
        while let Some((id, _)) = self.stops.pop_front() {
            let task = lock(&self.core.state).running.get_mut(&id).and_then(|running| {
                running.stopping = true;
                running.task.clone()
            });
            // Otherwise it has answered already, and its answer stands.
            if let Some(task) = task {
                task.abort();
            }
        }
    }
}

impl Runner {
    /// Once the connection has ended: nothing of it stays with the device, and no handler goes on.
    fn finish(&mut self) {
        if mem::replace(&mut self.finished, true) {
            return;
        }
        let device = &self.core.device;
        let now = device.now();
        let (id, peer, reason, running) = self.core.look(|state| {
            // Nothing where it has ended already.
            state.link.connection.handle_eof(now);
            state.link.absorb(device.shared(), now);
            let link = &state.link;
            (link.id, link.connection.peer(), link.closed, mem::take(&mut state.running))
        });
        for task in running.into_values().filter_map(|running| running.task) {
            task.abort();
        }
        device.base().on_closed(peer, id, Arc::as_ptr(&self.core));
        if let Some(peer) = peer {
            device.on_link_changed(peer);
        }
        device.on_drained();
        if let Some(reason) = reason {
            trace::closed(peer, reason);
        }
        self.core.look(|state| state.link.finish());
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.finish();
        let ended = self.core.look(|state| (state.stream.take(), state.runner.take()));
        drop(ended);
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

/// Ends a stream so that what was sent last arrives: no more is written, and what still comes is discarded
/// for a while.  SPEC §16.3
async fn linger(mut stream: Box<dyn Stream>) {
    let mut discarded = [0; 1024];
    let drain = async {
        if stream.shutdown().await.is_ok() {
            while stream.read(&mut discarded).await.is_ok_and(|read| read > 0) {}
        }
    };
    // A peer that never ends its side is not waited for.
    let _elapsed = time::timeout(LINGER, drain).await;
}
