//! Handlers: a thread for each that is at work, from a pool of the device.

use std::boxed::Box;
use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::ToString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::core::Core;
use super::device::{Context, Handler};
use super::handle::Handle;
use crate::adapter::link::{Incoming, Reply, lock};
use crate::adapter::trace;
use crate::{ExchangeId, Status};

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// Threads that come as they are needed, up to a limit, and go when they are not.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    line: Mutex<Line>,
    work: Condvar,
    most: usize,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Pool {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Inner { line: Mutex::default(), work: Condvar::new(), most: most.max(1) }))
    }

    /// Runs a job as soon as a thread is free for it.  Where there is none and none can be made, the job is
    /// dropped.
    fn run(&self, job: Job) {
        let mut line = lock(&self.0.line);
        line.waiting.push_back(job);
        if line.idle >= line.waiting.len() {
            drop(line);
            self.0.work.notify_one();
            return;
        }
        if line.threads >= self.0.most {
            return;
        }
        line.threads += 1;
        drop(line);
        let inner = self.0.clone();
        let spawned = thread::Builder::new().name("symbolon-handler".to_string()).spawn(move || inner.work());
        if spawned.is_err() {
            let mut line = lock(&self.0.line);
            line.threads -= 1;
            // Otherwise one of the others gets to it.
            let lost = if line.threads == 0 { mem::take(&mut line.waiting) } else { VecDeque::new() };
            drop(line);
            drop(lost);
        }
    }
}

impl Inner {
    fn work(&self) {
        let mut line = lock(&self.line);
        loop {
            if let Some(job) = line.waiting.pop_front() {
                drop(line);
                // What a handler leaves behind by a panic is its own; its caller is answered as the job is dropped.
                let _panicked = catch_unwind(AssertUnwindSafe(job));
                line = lock(&self.line);
                continue;
            }
            line.idle += 1;
            let waited = self.work.wait_timeout(line, IDLE).unwrap_or_else(PoisonError::into_inner);
            line = waited.0;
            line.idle -= 1;
            if waited.1.timed_out() && line.waiting.is_empty() {
                line.threads -= 1;
                return;
            }
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("most", &self.0.most).finish_non_exhaustive()
    }
}

/// Hands a request to its handler, which `stop` tells that nobody waits any more.
pub(super) fn start(core: &Arc<Core>, request: Incoming<Handler>, stop: Arc<AtomicBool>) {
    let Incoming { id, handler, body, deadline } = request;
    let peer = core.look(|state| state.link.connection.peer());
    let mut owed = Owed { core: core.clone(), id, stop: stop.clone(), answered: false };
    let Some(peer) = peer else { return };
    let context = Context { handle: Handle::new(core.clone()), peer, deadline, stop };
    core.device.pool().run(Box::new(move || {
        if !context.is_cancelled() {
            let reply = (handler.0)(context, body);
            owed.pay(reply);
        }
    }));
}

/// An answer that is owed: given when the handler is done, or when it is dropped or panics.
struct Owed {
    core: Arc<Core>,
    id: ExchangeId,
    stop: Arc<AtomicBool>,
    answered: bool,
}

impl Owed {
    fn pay(&mut self, reply: Reply) {
        self.answered = true;
        let id = self.id;
        self.core.with(|state, _| {
            state.running.remove(&id);
            state.link.respond(id, reply);
        });
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let stopped = self.stop.load(Ordering::Relaxed);
        self.pay(Err(if stopped { Status::CANCELLED } else { Status::FAILED }.into()));
        if !stopped {
            trace::handler_failed(self.core.look(|state| state.link.connection.peer()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn more_jobs_than_threads_wait_and_all_are_done() {
        let pool = Pool::new(2);
        let (at_work, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (begun, begins) = mpsc::channel();
        let gate = Arc::new(Mutex::new(()));
        let closed = lock(&gate);
        for number in 0..10 {
            let (begun, gate, at_work, most) = (begun.clone(), gate.clone(), at_work.clone(), most.clone());
            pool.run(Box::new(move || {
                most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                begun.send(number).expect("the test waits");
                drop(lock(&gate));
                at_work.fetch_sub(1, Ordering::SeqCst);
                assert!(number % 3 > 0, "meant: a panic costs no thread");
            }));
        }
        let first: [i32; 2] = std::array::from_fn(|_| begins.recv_timeout(PATIENCE).expect("two begin"));
        assert_eq!(first[0] + first[1], 1, "the first two");
        assert_eq!(lock(&pool.0.line).waiting.len(), 8);
        drop(closed);
        for _ in 2..10 {
            begins.recv_timeout(PATIENCE).expect("the rest follow");
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert_eq!(lock(&pool.0.line).threads, 2);
    }
}
