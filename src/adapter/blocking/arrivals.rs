//! Connections that came through a server, until somebody asks for them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::core::Core;
use crate::adapter::host::link::lock;

/// Accepted connections, oldest first.  Those that have ended make way for others, so that nobody need ask.
pub(super) struct Arrivals {
    queue: Mutex<Queue>,
    changed: Condvar,
    most: usize,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Weak<Core>>,
    over: bool,
}

impl Arrivals {
    /// For a server with at most so many connections at once.
    pub(super) fn new(most: usize) -> Self {
        Self { queue: Mutex::default(), changed: Condvar::new(), most }
    }

    pub(super) fn add(&self, core: &Arc<Core>) {
        let mut queue = lock(&self.queue);
        if queue.waiting.len() >= self.most {
            // Of those that stand, this one included, there are never more.
            queue.waiting.retain(|core| core.upgrade().is_some_and(|core| core.stands()));
        }
        queue.waiting.push_back(Arc::downgrade(core));
        drop(queue);
        self.changed.notify_one();
    }

    /// The next that still stands; blocks until there is one or, where there is a limit, for so long.
    pub(super) fn next(&self, within: Option<Duration>) -> Result<Arc<Core>, RecvTimeoutError> {
        let begun = Instant::now();
        let mut queue = lock(&self.queue);
        loop {
            while let Some(core) = queue.waiting.pop_front() {
                if let Some(core) = core.upgrade().filter(|core| core.stands()) {
                    return Ok(core);
                }
            }
            if queue.over {
                return Err(RecvTimeoutError::Disconnected);
            }
            queue = match within.map(|within| within.saturating_sub(begun.elapsed())) {
                Some(Duration::ZERO) => return Err(RecvTimeoutError::Timeout),
                Some(left) => {
                    self.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// No more will come: who waits is told.
    pub(super) fn end(&self) {
        lock(&self.queue).over = true;
        self.changed.notify_all();
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").field("most", &self.most).finish_non_exhaustive()
    }
}
