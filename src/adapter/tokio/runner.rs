//! What drives a connection: reads, lets time pass, runs handlers; and the state that handles share with it.

use std::boxed::Box;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem::{self, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;
use std::vec::Vec;

use ::tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use ::tokio::task::AbortHandle;
use ::tokio::time::{self, Sleep};

use super::device::{Context, Device, Handler, Handling, Refusal, Reply};
use super::handle::Handle;
use crate::adapter::link::{Incoming, Link, lock};
use crate::adapter::trace;
use crate::connection::StopCause;
use crate::error::CloseReason;
use crate::exchange::ExchangeId;
use crate::status::Status;
use crate::time::Instant;

/// Any byte stream.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How much is read at once; on the stack, so that an idle connection holds no read buffer.
const READ_CHUNK: usize = 16 * 1024;
/// How long a socket is kept to let the last bytes arrive.  SPEC §16.3
const LINGER: Duration = Duration::from_millis(500);

/// One connection, shared by its runner, its handles and its handlers.
pub(super) struct Core {
    pub(super) device: Device,
    state: Mutex<State>,
}

/// All that is behind the one lock.  No code of the application runs while it is held, but for the device's
/// decisions about peers.
pub(super) struct State {
    pub(super) link: Link<Handler>,
    /// `None` once the runner has taken it back to end it.
    stream: Option<Box<dyn Stream>>,
    runner: Option<Waker>,
    /// When the runner wakes by itself.
    wakes_at: Option<Instant>,
    running: HashMap<ExchangeId, Running>,
}

/// A handler that has a task of its own.
#[derive(Default)]
struct Running {
    task: Option<AbortHandle>,
    /// Its caller has gone.
    stopping: bool,
}

impl Core {
    pub(super) fn new(device: Device, link: Link<Handler>, stream: Box<dyn Stream>) -> Self {
        let state =
            State { link, stream: Some(stream), runner: None, wakes_at: None, running: HashMap::new() };
        Self { device, state: Mutex::new(state) }
    }

    /// Runs `command` under the lock, and sends at once what it has made: in the task that asks, so that no
    /// other has to be woken for it.
    pub(super) fn with<R>(&self, command: impl FnOnce(&mut State, Instant) -> R) -> R {
        let now = self.device.now();
        let mut state = lock(&self.state);
        let result = command(&mut state, now);
        state.flush(now);
        result
    }

    /// Looks at the state, where that makes nothing to send.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut lock(&self.state))
    }

    /// Has the runner take a turn.
    pub(super) fn wake_runner(&self) {
        if let Some(runner) = &lock(&self.state).runner {
            runner.wake_by_ref();
        }
    }
}

impl State {
    /// Writes from whichever task this is; the stream wakes the runner when it can take more.
    fn flush(&mut self, now: Instant) {
        // Before the runner has run, nobody would be woken; it begins by writing.
        let Some(runner) = self.runner.clone() else { return };
        self.write(now, &mut TaskContext::from_waker(&runner));
        let timeout = self.link.connection.poll_timeout();
        let earlier = timeout.is_some_and(|at| self.wakes_at.is_none_or(|wakes_at| at < wakes_at));
        if earlier || self.link.connection.is_closed() {
            runner.wake();
        }
    }

    fn write(&mut self, now: Instant, task: &mut TaskContext<'_>) {
        let Some(stream) = &mut self.stream else { return };
        let mut wrote = false;
        while let Some(bytes) = self.link.connection.poll_transmit(now) {
            match Pin::new(&mut *stream).poll_write(task, bytes) {
                Poll::Ready(Ok(written)) if written > 0 => {
                    self.link.connection.advance_transmit(written);
                    wrote = true;
                }
                Poll::Ready(_) => return self.lose_stream(now),
                Poll::Pending => break,
            }
        }
        if wrote {
            if let Poll::Ready(Err(_)) = Pin::new(stream).poll_flush(task) {
                return self.lose_stream(now);
            }
            self.link.on_written();
        }
    }

    /// The stream takes no more: for the connection that is its end.
    fn lose_stream(&mut self, now: Instant) {
        self.stream = None;
        self.link.connection.handle_eof(now);
        if let Some(runner) = &self.runner {
            runner.wake_by_ref();
        }
    }

    /// Reads what has come, and lets the connection and the link act on it.
    fn read(&mut self, device: &Device, now: Instant, task: &mut TaskContext<'_>) {
        let mut chunk = [MaybeUninit::uninit(); READ_CHUNK];
        while let Some(stream) = &mut self.stream {
            let mut buffer = ReadBuf::uninit(&mut chunk);
            match Pin::new(stream).poll_read(task, &mut buffer) {
                Poll::Pending => return,
                Poll::Ready(Err(_)) => return self.lose_stream(now),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    self.link.connection.handle_eof(now);
                    return;
                }
                Poll::Ready(Ok(())) => self.feed(device, now, buffer.filled()),
            }
            if self.link.connection.is_closed() {
                return;
            }
        }
    }

    /// The link takes each event at once, so the connection is never blocked for longer than that.
    fn feed(&mut self, device: &Device, now: Instant, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.link.connection.handle_input(now, bytes);
            bytes = &bytes[taken..];
            self.link.absorb(device.shared(), now);
        }
    }

    fn is_flushed(&mut self, now: Instant) -> bool {
        self.stream.is_none() || self.link.connection.poll_transmit(now).is_none()
    }
}

/// What drives a connection until it ends; made by [`Device::attach`].
#[must_use = "a connection does nothing unless its runner runs"]
pub struct Runner {
    core: Arc<Core>,
    /// Filled under the lock, used outside of it.
    requests: VecDeque<Incoming<Handler>>,
    stops: VecDeque<(ExchangeId, StopCause)>,
    connected: bool,
}

impl Runner {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, requests: VecDeque::new(), stops: VecDeque::new(), connected: false }
    }

    /// Drives the connection until it has ended and its last bytes are sent; says why it ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the connection ends as if the stream had been cut: whoever waits is told.
    pub async fn run(mut self) -> CloseReason {
        let mut sleep = pin!(time::sleep(Duration::ZERO));
        let reason = poll_fn(|task| self.poll(task, sleep.as_mut())).await;
        let stream = lock(&self.core.state).stream.take();
        if let Some(stream) = stream {
            linger(stream).await;
        }
        reason
    }

    fn poll(&mut self, task: &mut TaskContext<'_>, mut sleep: Pin<&mut Sleep>) -> Poll<CloseReason> {
        loop {
            let (timeout, ended) = self.turn(task);
            let handled = self.start_handlers(task);
            self.stop_handlers();
            if handled {
                // What they answered goes out in the next turn, in one frame.
                continue;
            }
            if let Some(reason) = ended {
                return Poll::Ready(reason);
            }
            let Some(timeout) = timeout else { return Poll::Pending };
            let at = self.core.device.at(timeout);
            if sleep.deadline() != at {
                sleep.as_mut().reset(at);
            }
            if sleep.as_mut().poll(task).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// One turn under the lock: time, reading, writing.  Returns when to wake up, and why it is over.
    fn turn(&mut self, task: &mut TaskContext<'_>) -> (Option<Instant>, Option<CloseReason>) {
        let core = self.core.clone();
        let device = &core.device;
        let now = device.now();
        let mut guard = lock(&core.state);
        let state = &mut *guard;
        match &mut state.runner {
            Some(runner) => runner.clone_from(task.waker()),
            None => state.runner = Some(task.waker().clone()),
        }
        state.link.connection.handle_timeout(now);
        state.link.absorb(device.shared(), now);
        state.read(device, now, task);
        state.link.absorb(device.shared(), now);
        state.write(now, task);
        // What could not be written may have ended the connection, and room may have let more in.
        state.link.absorb(device.shared(), now);
        state.write(now, task);
        mem::swap(&mut self.requests, &mut state.link.requests);
        mem::swap(&mut self.stops, &mut state.link.stops);
        state.wakes_at = state.link.connection.poll_timeout();
        let timeout = state.wakes_at;
        let connected = !self.connected && state.link.connected;
        let ended = state.link.closed.filter(|_| state.is_flushed(now));
        let peer = state.link.connection.peer();
        drop(guard);
        device.on_drained();
        if let (true, Some(peer)) = (connected, peer) {
            self.connected = true;
            trace::connected(peer);
            for older in device.on_connected(peer, &core) {
                ::tokio::spawn(async move { older.retire(Status::REPLACED).await });
            }
        }
        (timeout, ended)
    }

    /// Polls each new handler once, here; only those that wait get a task of their own.
    fn start_handlers(&mut self, task: &mut TaskContext<'_>) -> bool {
        let any = !self.requests.is_empty();
        while let Some(Incoming { id, handler, body, deadline }) = self.requests.pop_front() {
            let Some(peer) = lock(&self.core.state).link.connection.peer() else { continue };
            let context = Context { handle: Handle::new(self.core.clone()), peer, deadline };
            let mut owed = Owed { core: self.core.clone(), id, answered: false };
            let first = catch_unwind(AssertUnwindSafe(|| {
                let mut handling: Handling = handler(context, body);
                match handling.as_mut().poll(task) {
                    Poll::Ready(reply) => Ok(reply),
                    Poll::Pending => Err(handling),
                }
            }));
            match first {
                Ok(Ok(reply)) => owed.pay_quietly(reply),
                Ok(Err(handling)) => self.spawn(owed, handling),
                // A panic: `owed` answers as it is dropped.
                Err(_) => drop(owed),
            }
        }
        any
    }

    fn spawn(&self, mut owed: Owed, handling: Handling) {
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

impl Drop for Runner {
    fn drop(&mut self) {
        let now = self.core.device.now();
        let (id, peer, reason, running) = {
            let mut state = lock(&self.core.state);
            // Nothing where it has ended already.
            state.link.connection.handle_eof(now);
            state.link.absorb(self.core.device.shared(), now);
            state.stream = None;
            let running = mem::take(&mut state.running);
            (state.link.id, state.link.connection.peer(), state.link.closed, running)
        };
        for task in running.into_values().filter_map(|running| running.task) {
            task.abort();
        }
        self.core.device.on_closed(peer, id, Arc::as_ptr(&self.core));
        self.core.device.on_drained();
        if let Some(reason) = reason {
            trace::closed(peer, reason);
        }
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

/// An answer that is owed: given when the handler is done, or when it is dropped or panics.
struct Owed {
    core: Arc<Core>,
    id: ExchangeId,
    answered: bool,
}

impl Owed {
    fn pay(&mut self, reply: Reply) {
        self.answered = true;
        let id = self.id;
        self.core.with(|state, _| {
            state.running.remove(&id);
            state.respond(id, reply);
        });
    }

    /// Leaves the sending to the runner, whose turn it is.
    fn pay_quietly(&mut self, reply: Reply) {
        self.answered = true;
        lock(&self.core.state).respond(self.id, reply);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let id = self.id;
        let stopped = self.core.with(|state, _| {
            let stopped = state.running.remove(&id).is_some_and(|running| running.stopping);
            let status = if stopped { Status::CANCELLED } else { Status::FAILED };
            state.link.respond(id, status, Vec::new());
            stopped
        });
        if !stopped {
            trace::handler_failed(lock(&self.core.state).link.connection.peer());
        }
    }
}

impl State {
    fn respond(&mut self, id: ExchangeId, reply: Reply) {
        match reply {
            Ok(body) => self.link.respond(id, Status::OK, body),
            Err(Refusal::Busy(retry)) => self.link.respond_busy(id, retry),
            Err(Refusal::Status(status)) => self.link.respond(id, status, Vec::new()),
        }
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
