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

use super::device::{Context, Device, Handler, HandlerFn, Handling};
use super::exchange::RawExchange;
use super::handle::Handle;
use super::owed::Owed;
use crate::adapter::base::Accepted;
use crate::adapter::guard::Locked;
use crate::adapter::link::{Incoming, Link, Shared, lock};
use crate::adapter::trace;
use crate::{CloseReason, ExchangeId, Instant, PeerId, Status, StopCause};

/// Any byte stream.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How much is read at once; on the stack, so that an idle connection holds no read buffer.
const READ_CHUNK: usize = 64 * 1024;
/// How often a stream that takes no more is still read: more than a window of each of several bodies.
const LAST_READS: usize = 256;
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
    pub(super) running: HashMap<ExchangeId, Running>,
    /// The stream has taken bytes that it has not passed on yet.
    unflushed: bool,
    /// The stream takes no more; what has arrived is still to be read.
    broken: bool,
}

/// A handler that has a task of its own.
#[derive(Default)]
pub(super) struct Running {
    task: Option<AbortHandle>,
    /// Its caller has gone.
    pub(super) stopping: bool,
}

impl Core {
    pub(super) fn new(device: Device, link: Link<Handler>, stream: Box<dyn Stream>) -> Self {
        let state = State {
            link,
            stream: Some(stream),
            runner: None,
            wakes_at: None,
            running: HashMap::new(),
            unflushed: false,
            broken: false,
        };
        Self { device, state: Mutex::new(state) }
    }

    /// Runs `command` under the lock, and sends at once what it has made: in the task that asks, so that no
    /// other has to be woken for it.
    pub(super) fn with<R>(&self, command: impl FnOnce(&mut State, Instant) -> R) -> R {
        let now = self.device.now();
        self.look(|state| {
            let result = command(state, now);
            state.flush(self.device.shared(), now);
            result
        })
    }

    /// Looks at the state, where that makes nothing to send.  Whoever is to be woken is woken behind the lock.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        let mut state = lock(&self.state);
        let result = look(&mut state);
        let woken = mem::take(&mut state.link.woken);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        result
    }

    /// Closes at once, behind what is queued.
    pub(super) fn close_now(&self, status: Status) {
        self.with(|state, now| {
            state.link.connection.close(now, status);
            state.wake_runner();
        });
    }

    /// Takes no more exchanges; the runner closes once those that are open have ended, or took too long.
    pub(super) fn retire(&self, status: Status) {
        let within = self.device.base().config.timeouts().close;
        self.with(|state, now| {
            state.link.retire(self.device.shared(), now, within, status);
            state.wake_runner();
        });
    }
}

impl Locked for Core {
    type Handler = Handler;

    fn with_link<R>(&self, command: impl FnOnce(&mut Link<Handler>) -> R) -> R {
        self.with(|state, _| command(&mut state.link))
    }
}

impl State {
    fn wake_runner(&mut self) {
        self.link.woken.extend(self.runner.clone());
    }

    /// Writes from whichever task this is; the stream wakes the runner when it can take more.
    fn flush(&mut self, shared: &Shared<Handler>, now: Instant) {
        // Before the runner has run, nobody would be woken; it begins by writing.
        let Some(runner) = self.runner.clone() else { return };
        let wrote = self.write(now, &mut TaskContext::from_waker(&runner));
        // Those of this side's own making: nothing but this may have a reason to look for them.
        self.link.take_events(shared, now);
        if self.needs_runner(wrote) {
            self.link.woken.push(runner);
        }
    }

    /// Whether there is something that only the runner does.
    fn needs_runner(&self, wrote: bool) -> bool {
        let link = &self.link;
        let earlier =
            link.next_timeout().is_some_and(|at| self.wakes_at.is_none_or(|wakes_at| at < wakes_at));
        let handlers = !link.requests.is_empty() || !link.stops.is_empty();
        let room = wrote && link.is_crowded();
        earlier || handlers || room || link.has_retired() || self.broken || link.connection.is_closed()
    }

    /// Writes what there is, as far as the stream takes it; says whether it took any.
    fn write(&mut self, now: Instant, task: &mut TaskContext<'_>) -> bool {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.broken) else { return false };
        let mut wrote = false;
        while let Some(bytes) = self.link.connection.poll_transmit(now) {
            match Pin::new(&mut *stream).poll_write(task, bytes) {
                Poll::Ready(Ok(written)) if written > 0 => {
                    self.link.connection.advance_transmit(written);
                    wrote = true;
                }
                Poll::Ready(_) => {
                    self.broken = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        self.unflushed |= wrote;
        if self.unflushed && !self.broken {
            match Pin::new(stream).poll_flush(task) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(_)) => self.broken = true,
                // Tried again in the runner's next turn.
                Poll::Pending => {}
            }
        }
        if wrote {
            self.link.on_moved();
        }
        wrote
    }

    /// Settles and writes until there is no more, or the stream takes no more.
    fn write_all(&mut self, device: &Device, now: Instant, task: &mut TaskContext<'_>) {
        loop {
            self.link.absorb(device.shared(), now);
            if !self.write(now, task) {
                break;
            }
        }
        if self.broken {
            // What arrived before may say why, and be all that was asked for.  SPEC §16.3
            let mut reads = 0..LAST_READS;
            while reads.next().is_some() && self.read(device, now, task) {}
            self.lose_stream(now);
        }
        self.link.absorb(device.shared(), now);
    }

    /// The stream is of no more use: for the connection that is its end.
    fn lose_stream(&mut self, now: Instant) {
        self.stream = None;
        self.link.connection.handle_eof(now);
    }

    /// Reads what has come, once, and lets the connection and the link act on it; says whether more may be there.
    fn read(&mut self, device: &Device, now: Instant, task: &mut TaskContext<'_>) -> bool {
        let mut chunk = [MaybeUninit::uninit(); READ_CHUNK];
        let Some(stream) = &mut self.stream else { return false };
        let mut buffer = ReadBuf::uninit(&mut chunk);
        match Pin::new(stream).poll_read(task, &mut buffer) {
            Poll::Pending => return false,
            Poll::Ready(Err(_)) => {
                self.lose_stream(now);
                return false;
            }
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                self.link.connection.handle_eof(now);
                return false;
            }
            Poll::Ready(Ok(())) => self.feed(device, now, buffer.filled()),
        }
        !self.link.connection.is_closed()
    }

    /// The link takes each event at once, so the connection is never blocked for longer than that.
    fn feed(&mut self, device: &Device, now: Instant, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.link.connection.handle_input(now, bytes);
            bytes = &bytes[taken..];
            self.link.absorb(device.shared(), now);
        }
        self.link.on_moved();
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
    woken: Vec<Waker>,
    connected: bool,
    finished: bool,
}

impl Runner {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            requests: VecDeque::new(),
            stops: VecDeque::new(),
            woken: Vec::new(),
            connected: false,
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

    /// One turn under the lock: time, writing, reading, writing.  Returns when to wake up, and why it is over.
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
        // What handlers answered does not wait for what is to be read.
        state.write_all(device, now, task);
        if state.read(device, now, task) {
            // Handlers and others have their turn before more is read: a call does not wait for what came behind it.
            task.waker().wake_by_ref();
        }
        state.link.absorb(device.shared(), now);
        // Before the peer is told: whoever is connected finds the connection with the device.
        let accepted = self.accepted(state);
        state.write_all(device, now, task);
        mem::swap(&mut self.requests, &mut state.link.requests);
        mem::swap(&mut self.stops, &mut state.link.stops);
        mem::swap(&mut self.woken, &mut state.link.woken);
        state.wakes_at = state.link.next_timeout();
        let timeout = state.wakes_at;
        let ended = state.link.closed.filter(|_| state.is_flushed(now));
        drop(guard);
        self.woken.drain(..).for_each(Waker::wake);
        device.on_drained();
        if let Some((peer, accepted)) = accepted {
            trace::connected(peer);
            match accepted {
                Accepted::Replaces(older) => older.iter().for_each(|older| older.retire(Status::REPLACED)),
                Accepted::TooMany => core.close_now(Status::UNAVAILABLE),
            }
        }
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
        while let Some(Incoming { id, handler, body, deadline }) = self.requests.pop_front() {
            let Some(peer) = lock(&self.core.state).link.connection.peer() else { continue };
            let context = Context { handle: Handle::new(self.core.clone()), peer, deadline };
            let mut owed = Owed { core: self.core.clone(), id, answered: false };
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
