//! One connection as its tasks share it: the link and its stream behind one lock; who writes, and who reads.

use std::boxed::Box;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::mem::{self, MaybeUninit};
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};
use std::vec::Vec;

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ::tokio::task::AbortHandle;

use super::device::{Device, Handler};
use crate::adapter::host::guard::Locked;
use crate::adapter::host::link::{Link, Shared, let_go, lock};
use crate::{ExchangeId, Instant, Status};

/// Any byte stream.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How much is read at once; on the stack, so that an idle connection holds no read buffer.
const READ_CHUNK: usize = 64 * 1024;
/// How much may wait for the runner to send it: there is a full frame of it then, and no use in waiting on.
const WORTH_SENDING: usize = 16 * 1024;
/// How often what the topics hold is written before other tasks have their turn: each time fills the queue of publications.
const WRITES_AT_ONCE: usize = 8;
/// How often a stream that takes no more is still read: more than a window of each of several bodies.
const LAST_READS: usize = 256;

/// One connection, shared by its runner, its handles and its handlers.
pub(super) struct Core {
    pub(super) device: Device,
    pub(super) state: Mutex<State>,
    /// The runner has been woken for what others have left to it, and has not begun its turn.
    awaited: AtomicBool,
}

impl Core {
    pub(super) fn new(device: Device, link: Link<Handler>, stream: Box<dyn Stream>) -> Self {
        let state = State {
            link,
            stream: Some(stream),
            runner: None,
            wakes_at: None,
            sender: Sender::Caller,
            running: HashMap::new(),
            unflushed: false,
            broken: false,
        };
        Self { device, state: Mutex::new(state), awaited: AtomicBool::new(false) }
    }

    /// Runs `command` under the lock, and has sent what it has made: at once, or with what others say at the same time.
    pub(super) fn with<R>(&self, command: impl FnOnce(&mut State, Instant) -> R) -> R {
        let now = self.device.now();
        self.look(|state| {
            let result = command(state, now);
            self.flush(state, now);
            result
        })
    }

    /// As `with`, for what hardly ever makes anything to send but a credit.
    pub(super) fn with_credit<R>(&self, command: impl FnOnce(&mut State) -> R) -> R {
        self.look(|state| {
            let result = command(state);
            if state.link.connection.has_control() {
                self.flush(state, self.device.now());
            }
            result
        })
    }

    fn flush(&self, state: &mut State, now: Instant) {
        state.flush(self.device.shared(), now);
        if state.sender == (Sender::Runner { woken: true }) {
            self.awaited.store(true, Ordering::SeqCst);
        }
    }

    /// Whether the runner is going to settle and send without being woken again.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::SeqCst)
    }

    /// The runner begins its turn: from now on it is to be woken again.
    pub(super) fn begin_turn(&self, state: &mut State) {
        state.sender = Sender::Caller;
        self.awaited.store(false, Ordering::SeqCst);
    }

    /// Looks at the state, where that makes nothing to send.  Whoever is to be woken is woken behind the lock, and the
    /// application's bytes are dropped there.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        let mut state = lock(&self.state);
        let result = look(&mut state);
        // Mostly it is one or none, and the table keeps its room.
        let one = state.link.woken.pop();
        let others = if state.link.woken.is_empty() { Vec::new() } else { mem::take(&mut state.link.woken) };
        let spent = state.link.take_spent();
        drop(state);
        if let Some(waker) = one {
            waker.wake();
        }
        others.into_iter().for_each(Waker::wake);
        let_go(spent);
        result
    }

    /// Waits until `poll` gives something, and has sent what that makes.
    pub(super) fn wait<R>(
        &self,
        mut poll: impl FnMut(&mut State, Instant, &Waker) -> Option<R>,
    ) -> impl Future<Output = R> {
        poll_fn(move |task| {
            let ready = self.with(|state, now| poll(state, now, task.waker()));
            ready.map_or(Poll::Pending, Poll::Ready)
        })
    }

    /// As `wait`, where that makes nothing to send.
    pub(super) fn watch<R>(
        &self,
        mut poll: impl FnMut(&mut State, &Waker) -> Option<R>,
    ) -> impl Future<Output = R> {
        poll_fn(move |task| {
            let ready = self.look(|state| poll(state, task.waker()));
            ready.map_or(Poll::Pending, Poll::Ready)
        })
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

    fn with_link<R>(&self, command: impl FnOnce(&mut Link<Handler>, Instant) -> R) -> R {
        self.with(|state, now| command(&mut state.link, now))
    }

    fn end_handler<R>(&self, id: ExchangeId, command: impl FnOnce(&mut Link<Handler>, bool) -> R) -> R {
        self.with(|state, _| {
            let stopping = state.running.remove(&id).is_some_and(|running| running.stopping);
            // With the connection, handlers end that have done nothing wrong.
            let stopped = stopping || state.link.closed.is_some();
            command(&mut state.link, stopped)
        })
    }
}

/// All that is behind the one lock.  No code of the application runs while it is held, but for the device's
/// decisions about peers.
pub(super) struct State {
    pub(super) link: Link<Handler>,
    /// `None` once the runner has taken it back to end it.
    pub(super) stream: Option<Box<dyn Stream>>,
    pub(super) runner: Option<Waker>,
    /// When the runner wakes by itself.
    pub(super) wakes_at: Option<Instant>,
    pub(super) sender: Sender,
    pub(super) running: HashMap<ExchangeId, Running>,
    /// The stream has taken bytes that it has not passed on yet.
    unflushed: bool,
    /// The stream takes no more; what has arrived is still to be read.
    broken: bool,
}

/// Who sends what a command has made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sender {
    /// The task that commands: to wake another one would take longer.
    Caller,
    /// The runner in its next turn: somebody has sent since its last one, so several are at it, and what they say goes
    /// out in one frame.
    Runner { woken: bool },
}

/// What came of reading once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Came {
    Nothing,
    /// Less than there was room for: most likely all that there is.
    Some,
    /// As much as there was room for.
    Chunk,
}

/// A handler that has a task of its own.
#[derive(Default)]
pub(super) struct Running {
    pub(super) task: Option<AbortHandle>,
    /// Its caller has gone.
    pub(super) stopping: bool,
}

impl State {
    pub(super) fn wake_runner(&mut self) {
        self.link.woken.extend(self.runner.clone());
    }

    /// Writes from whichever task this is, or leaves it to the runner; the stream wakes the runner when it can take more.
    fn flush(&mut self, shared: &Shared<Handler>, now: Instant) {
        let left = self.sender != Sender::Caller && self.link.connection.waiting() < WORTH_SENDING;
        if left && self.sender == (Sender::Runner { woken: true }) {
            // It does all that is done below.
            return;
        }
        // Before the runner has run, nobody would be woken; it begins by writing.
        let Some(runner) = self.runner.clone() else { return };
        let wrote = !left && self.write(now, &mut TaskContext::from_waker(&runner));
        if wrote && self.sender == Sender::Caller {
            self.sender = Sender::Runner { woken: false };
        }
        // Those of this side's own making: nothing but this may have a reason to look for them.
        self.link.take_events(shared, now);
        if left || self.needs_runner(wrote) {
            self.link.woken.push(runner);
            if left {
                self.sender = Sender::Runner { woken: true };
            }
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

    /// Settles and writes until there is no more, or the stream takes no more, or others are to have their turn.
    pub(super) fn write_all(&mut self, device: &Device, now: Instant, task: &mut TaskContext<'_>) {
        let mut writes = 0..WRITES_AT_ONCE;
        let more = writes.all(|_| {
            self.link.absorb(device.shared(), now);
            self.write(now, task)
        });
        if more {
            let_others_run(task);
        }
        if self.broken {
            // What arrived before may say why, and be all that was asked for.  SPEC §16.3
            let mut reads = 0..LAST_READS;
            while reads.next().is_some() && self.read(device, now, task) != Came::Nothing {}
            self.lose_stream(now);
        }
        self.link.absorb(device.shared(), now);
    }

    /// The stream is of no more use: for the connection that is its end.
    fn lose_stream(&mut self, now: Instant) {
        self.stream = None;
        self.link.connection.handle_eof(now);
    }

    /// Reads what has come, so much of it that others have their turn soon.
    pub(super) fn read_on(&mut self, device: &Device, now: Instant, task: &mut TaskContext<'_>) {
        let mut came = self.read(device, now, task);
        if came == Came::Some {
            // A socket has nothing more now, and wakes this task when it has: without a turn for that alone.
            came = self.read(device, now, task);
        }
        if came != Came::Nothing {
            // Handlers and others have their turn before more is read: a call does not wait for what came behind it.
            let_others_run(task);
        }
    }

    /// Reads what has come, once, and lets the connection and the link act on it.
    fn read(&mut self, device: &Device, now: Instant, task: &mut TaskContext<'_>) -> Came {
        let mut chunk = [MaybeUninit::uninit(); READ_CHUNK];
        let Some(stream) = &mut self.stream else { return Came::Nothing };
        let mut buffer = ReadBuf::uninit(&mut chunk);
        match Pin::new(stream).poll_read(task, &mut buffer) {
            Poll::Pending => return Came::Nothing,
            Poll::Ready(Err(_)) => {
                self.lose_stream(now);
                return Came::Nothing;
            }
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                self.link.connection.handle_eof(now);
                return Came::Nothing;
            }
            Poll::Ready(Ok(())) => self.feed(device, now, buffer.filled()),
        }
        if self.link.connection.is_closed() {
            Came::Nothing
        } else if buffer.remaining() > 0 {
            Came::Some
        } else {
            Came::Chunk
        }
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

    pub(super) fn is_flushed(&mut self, now: Instant) -> bool {
        self.stream.is_none() || self.link.connection.poll_transmit(now).is_none()
    }
}

/// Has this task run again behind the others that are ready, and behind those for whom sockets and timers have something:
/// whoever just wakes itself keeps the runtime from asking those.
fn let_others_run(task: &mut TaskContext<'_>) {
    let _: Poll<()> = pin!(::tokio::task::yield_now()).poll(task);
}
