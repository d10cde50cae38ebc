//! How threads wait: for work, and for answers.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::adapter::host::link::lock;

/// Wakes the one thread that works on something.  A signal given while it is awake is kept.
#[derive(Debug, Default)]
pub(super) struct Signal {
    given: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    pub(super) fn give(&self) {
        *lock(&self.given) = true;
        self.changed.notify_one();
    }

    /// Returns at the next signal, or after the time given.
    pub(super) fn wait(&self, within: Option<Duration>) {
        let given = lock(&self.given);
        let mut given = match within {
            Some(within) => {
                let waited = self.changed.wait_timeout_while(given, within, |given| !*given);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(given, |given| !*given).unwrap_or_else(PoisonError::into_inner),
        };
        *given = false;
    }
}

/// A thread that waits for one thing at a time, as the waker that links keep.
struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

std::thread_local! {
    /// Made once for a thread, so that waiting allocates nothing.
    static PARKED: RefCell<Option<(Arc<Parked>, Waker)>> = const { RefCell::new(None) };
}

/// This thread's waker, and a way to sleep until it is used.
pub(super) struct Parker {
    parked: Arc<Parked>,
    pub(super) waker: Waker,
}

impl Parker {
    pub(super) fn of_this_thread() -> Self {
        let (parked, waker) = PARKED.with(|slot| {
            slot.borrow_mut()
                .get_or_insert_with(|| {
                    let parked =
                        Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
                    (parked.clone(), Waker::from(parked))
                })
                .clone()
        });
        Self { parked, waker }
    }

    /// Sleeps until the waker is used; at most as long as said.
    pub(super) fn park(&self, within: Option<Duration>) {
        let begun = std::time::Instant::now();
        while !self.parked.woken.swap(false, Ordering::Acquire) {
            match within {
                None => thread::park(),
                Some(within) => match within.checked_sub(begun.elapsed()) {
                    Some(left) if !left.is_zero() => thread::park_timeout(left),
                    _ => return,
                },
            }
        }
    }
}
