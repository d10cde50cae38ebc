//! The system's allocator, counting: what one thread allocates while it is asked to, and what all of them have.

#![allow(dead_code, reason = "each program uses its part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

pub struct Meter;

/// What this thread has allocated while [`metered`] ran.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    on: bool,
    /// Calls that gave or moved memory.
    pub count: usize,
    pub live: isize,
    pub peak: isize,
}

thread_local! {
    static USAGE: Cell<Usage> = const { Cell::new(Usage { on: false, count: 0, live: 0, peak: 0 }) };
}

/// Of all threads, always.
static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

/// Runs this with the meter of this thread on.
pub fn metered<T>(run: impl FnOnce() -> T) -> T {
    let set = |on| USAGE.with(|cell| cell.set(Usage { on, ..cell.get() }));
    set(true);
    let result = run();
    set(false);
    result
}

pub fn usage() -> Usage {
    USAGE.with(Cell::get)
}

/// Begins anew.
pub fn reset() {
    USAGE.with(|cell| cell.set(Usage::default()));
}

/// Counts the peak from what there is.
pub fn reset_peak() {
    USAGE.with(|cell| cell.set(Usage { peak: cell.get().live, ..cell.get() }));
}

/// How much heap all threads have.
pub fn live() -> isize {
    LIVE.load(Relaxed)
}

/// The same, and the peak is counted from here.
pub fn mark() -> isize {
    let live = live();
    PEAK.store(live, Relaxed);
    live
}

/// The most that all threads had beyond `before`.
pub fn peak_since(before: isize) -> usize {
    usize::try_from(PEAK.load(Relaxed) - before).unwrap_or(0)
}

fn note(given: bool, bytes: isize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    if bytes > 0 {
        PEAK.fetch_max(live, Relaxed);
    }
    // Where the thread is ending there is nobody left to count for.
    let _ = USAGE.try_with(|cell| {
        let mut usage = cell.get();
        if usage.on {
            usage.count += usize::from(given);
            usage.live += bytes;
            usage.peak = usage.peak.max(usage.live);
            cell.set(usage);
        }
    });
}

// SAFETY: every call is handed to the system's allocator unchanged, with the arguments and under the conditions
// that the caller answers for; counting touches only atomics and a thread-local cell that needs no allocation.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(true, layout.size() as isize);
        // SAFETY: see above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(false, -(layout.size() as isize));
        // SAFETY: see above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(true, size as isize - layout.size() as isize);
        // SAFETY: see above.
        unsafe { System.realloc(at, layout, size) }
    }
}
