//! Serial lines: sessions that come and go over one reader and one writer.  SPEC §19

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::ToString;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant as Clock};
use std::vec::Vec;

use super::core::{Carrier, Core, HangUp};
use super::device::Device;
use super::handle::Handle;
use super::permit::Door;
use super::signal::Signal;
use super::stream::{READ_CHUNK, WOULD_BLOCK, is_passing};
use crate::adapter::defaults::BETWEEN_OFFERS;
use crate::adapter::host::link::{Link, lock};
use crate::serial::{Line, Redial, Session};
use crate::{Admission, CloseReason, Connection, Instant, PeerId, Role};

/// A serial line of a [`Device`], at work in two threads; made by [`Device::serial`].
///
/// A line outlives what is said over it: noise, or a restart of either side, ends a session, and a new one takes
/// its place.  [`session`](Self::session) gives the one that stands.  Cheap to clone; dropped, the line goes on, and
/// [`close`](Self::close) ends it.
#[derive(Clone)]
pub struct SerialLine {
    inner: Arc<Inner>,
}

struct Inner {
    device: Device,
    /// Whom this side dials; `None`: it only answers.
    dial: Option<PeerId>,
    state: Mutex<State>,
    /// Wakes the thread that writes.
    writer: Arc<Signal>,
    /// Tells those who wait for a session.
    changed: Condvar,
    hang_up: HangUp,
}

/// Behind a lock that is taken before that of a session, never after it.
struct State {
    line: Line<Shared>,
    redial: Redial,
    /// When the other side's last offer was taken.
    offered: Option<Instant>,
    /// No session is to come any more.
    closing: bool,
    /// The line is of no more use, or is not to be used any more.
    over: bool,
}

/// A session of the line, which handles share with it.
struct Shared(Arc<Core>);

impl Session for Shared {
    fn with<R>(&mut self, run: impl FnOnce(&mut Connection) -> R) -> R {
        self.0.look(|state| run(&mut state.link.connection))
    }
}

/// Takes a line into use.
pub(super) fn spawn(
    device: Device,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    hang_up: HangUp,
    dial: Option<PeerId>,
) -> io::Result<SerialLine> {
    let line = Line::new(device.base().config.limits());
    let inner = Arc::new(Inner {
        device,
        dial,
        state: Mutex::new(State {
            line,
            redial: Redial::default(),
            offered: None,
            closing: false,
            over: false,
        }),
        writer: Arc::default(),
        changed: Condvar::new(),
        hang_up,
    });
    let reader = inner.clone();
    // A port's panic is the end of it, like its error.
    thread::Builder::new().name("symbolon-read".to_string()).spawn(move || {
        let _panicked = catch_unwind(AssertUnwindSafe(|| reader.read(input)));
        reader.end();
    })?;
    let writer = inner.clone();
    let spawned = thread::Builder::new().name("symbolon-write".to_string()).spawn(move || {
        let _panicked = catch_unwind(AssertUnwindSafe(|| writer.write(output)));
        writer.end();
    });
    if let Err(error) = spawned {
        inner.end();
        return Err(error);
    }
    Ok(SerialLine { inner })
}

impl SerialLine {
    /// The session that stands; waits for one, at most as long as said.  `None` also once the line is over.
    pub fn session(&self, timeout: Duration) -> Option<Handle> {
        let begun = Clock::now();
        let mut state = lock(&self.inner.state);
        loop {
            let running = state.line.running().map(|session| session.0.clone());
            if let Some(handle) = running.map(Handle::new).filter(Handle::is_connected) {
                return Some(handle);
            }
            let left = timeout.checked_sub(begun.elapsed()).filter(|left| !left.is_zero() && !state.over)?;
            let waited = self.inner.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many packets were dropped because they were damaged, or for nobody here: a measure of the noise.
    pub fn dropped(&self) -> u64 {
        lock(&self.inner.state).line.dropped()
    }

    /// Whether the line is still at work: neither closed, nor has reading or writing failed.
    pub fn is_open(&self) -> bool {
        !lock(&self.inner.state).over
    }

    /// Ends the session that stands without losing anything, as [`Handle::close`] does, and then the line.  Says
    /// why the session has ended, where there was one.
    pub fn close(&self) -> Option<CloseReason> {
        lock(&self.inner.state).closing = true;
        let reason = self.session(Duration::ZERO).map(|session| session.close());
        self.inner.end();
        reason
    }
}

impl Inner {
    fn read(self: &Arc<Self>, mut input: impl Read) {
        let mut chunk = std::vec![0; READ_CHUNK];
        while !lock(&self.state).over {
            match input.read(&mut chunk) {
                Ok(0) => break,
                Ok(len) => self.feed(&chunk[..len]),
                Err(error) if is_passing(&error) => {
                    // The writer, which does this otherwise, may be held up.
                    self.pass_time();
                    thread::sleep(WOULD_BLOCK);
                }
                Err(_) => break,
            }
        }
    }

    fn pass_time(self: &Arc<Self>) {
        let ((), sessions) = self.enter(|state, now| state.line.handle_timeout(now));
        sessions.serve(self);
    }

    fn feed(self: &Arc<Self>, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (taken, sessions) = self.enter(|State { line, offered, closing, .. }, now| {
                line.handle_input(now, bytes, || {
                    if *closing || offered.is_some_and(|last| now.saturating_since(last) < BETWEEN_OFFERS) {
                        return None;
                    }
                    *offered = Some(now);
                    self.session(Role::Responder).ok()
                })
            });
            bytes = &bytes[taken..];
            sessions.serve(self);
        }
        self.writer.give();
    }

    /// Writes, lets time pass and dials, until the line is over.
    fn write(self: &Arc<Self>, mut output: impl Write) {
        let mut bytes = Vec::new();
        let mut unflushed = false;
        loop {
            self.pass_time();
            let done = match self.next(&mut bytes) {
                Next::Over => return,
                Next::Write => output.write(&bytes).map(|written| {
                    unflushed = true;
                    lock(&self.state).line.advance_transmit(written);
                    written > 0
                }),
                Next::Wait(_) if unflushed => output.flush().map(|()| {
                    unflushed = false;
                    true
                }),
                Next::Wait(within) => {
                    self.writer.wait(within);
                    Ok(true)
                }
            };
            match done {
                Ok(true) => {}
                Err(error) if is_passing(&error) => thread::sleep(WOULD_BLOCK),
                Ok(false) | Err(_) => return,
            }
        }
    }

    fn next(&self, bytes: &mut Vec<u8>) -> Next {
        let now = self.device.now();
        let state = &mut *lock(&self.state);
        if state.over {
            return Next::Over;
        }
        let dials = self.dial.is_some() && !state.closing && state.redial.poll_dial(now, &mut state.line);
        if dials && let Ok(session) = self.session(Role::Initiator) {
            state.line.dial(now, session);
        }
        bytes.clear();
        bytes.extend_from_slice(state.line.poll_transmit(now).unwrap_or_default());
        if !bytes.is_empty() {
            return Next::Write;
        }
        let redial = self.dial.and_then(|_| state.redial.poll_timeout());
        // Each session's own, which is more than the line knows: one may wait for its calls to end.
        let session = |session: &mut Shared| session.0.look(|state| state.link.next_timeout());
        let sessions = [state.line.running().and_then(session), state.line.candidate().and_then(session)];
        let wakes_at = sessions.into_iter().flatten().chain(redial).min();
        Next::Wait(wakes_at.map(|at| at.saturating_since(now)))
    }

    /// Works on the line, and says whom that may have given something to do.
    fn enter<R>(&self, work: impl FnOnce(&mut State, Instant) -> R) -> (R, Sessions) {
        let now = self.device.now();
        let mut state = lock(&self.state);
        let result = work(&mut state, now);
        let line = &mut state.line;
        let running = line.running().map(|session| session.0.clone());
        let candidate = line.candidate().map(|session| session.0.clone());
        let mut ended = Vec::new();
        while let Some(Shared(core)) = line.poll_ended() {
            ended.push(core);
        }
        (result, Sessions { standing: [running, candidate], ended })
    }

    /// A new session for the line.
    fn session(&self, role: Role) -> io::Result<Shared> {
        // On a line there is one device at the other end: who dials it, expects it in either role.
        let admission = self.dial.map_or(Admission::Ask, Admission::expect);
        let base = self.device.base();
        let link = Link::new(base.connection(role, admission, self.device.now())?, base.next_link());
        let id = link.id;
        let (device, writer) = (self.device.clone(), self.writer.clone());
        let core = Arc::new(Core::new(device, link, writer, Carrier::Line, Door::default()));
        base.add(id, &core);
        Ok(Shared(core))
    }

    /// The line is over, and its sessions with it.
    fn end(self: &Arc<Self>) {
        let ((), sessions) = self.enter(|state, now| {
            state.over = true;
            state.line.handle_eof(now);
        });
        sessions.serve(self);
        self.writer.give();
        (self.hang_up)(Shutdown::Both);
    }
}

/// What the thread that writes does next.
enum Next {
    Over,
    Wait(Option<Duration>),
    Write,
}

/// The sessions of a line that may have something to tell.
struct Sessions {
    standing: [Option<Arc<Core>>; 2],
    ended: Vec<Arc<Core>>,
}

impl Sessions {
    /// Lets each take its events, and act on them.
    fn serve(self, line: &Inner) {
        for core in self.standing.iter().flatten().chain(&self.ended) {
            // A packet may have come or gone, and with it a slot, or room.
            core.turn(|state, _| state.link.on_moved());
        }
        for core in self.ended {
            let reason = core.look(|state| state.link.closed);
            core.finish(reason.unwrap_or(CloseReason::Truncated));
        }
        // With the lock: who has just looked, and found none, is waiting by then.
        let _looked = lock(&line.state);
        line.changed.notify_all();
    }
}

impl fmt::Debug for SerialLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SerialLine").field("dial", &self.inner.dial).finish_non_exhaustive()
    }
}
