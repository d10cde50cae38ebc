//! Runs tasks, and lets the processor sleep when there is nothing to do.
//!
//! It is embassy's executor for Cortex-M with WFI, which wakes at an interrupt, where embassy's own sleeps with WFE.  For
//! QEMU WFE is no sleep at all, and a device that waits would keep a processor of the host busy.

use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::{asm, interrupt};
use embassy_executor::raw::Executor;
use embassy_executor::{SpawnToken, Spawner};
use static_cell::StaticCell;

static EXECUTOR: StaticCell<Executor> = StaticCell::new();
/// A task has been woken since the executor looked last.
static WOKEN: AtomicBool = AtomicBool::new(true);

/// What the executor calls when a task is woken, perhaps in an interrupt.
// SAFETY: embassy-executor asks for a function of this name and signature, exactly once in a program.
#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {
    WOKEN.store(true, Ordering::Release);
}

/// Starts the task that `first` makes, and runs tasks for ever.
pub fn run<S>(first: impl FnOnce(Spawner) -> SpawnToken<S>) -> ! {
    let executor = EXECUTOR.init(Executor::new(ptr::null_mut()));
    let spawner = executor.spawner();
    spawner.spawn(first(spawner));
    loop {
        if WOKEN.swap(false, Ordering::Acquire) {
            // SAFETY: this is the only place that polls, so it is never called within itself.
            unsafe { executor.poll() }
        }
        // With interrupts disabled WFI still ends when one arrives.  Without, one that arrives between the question
        // and the sleep would be slept over.
        interrupt::disable();
        if !WOKEN.load(Ordering::Acquire) {
            asm::wfi();
        }
        // SAFETY: it is not within a critical section.
        unsafe { interrupt::enable() }
    }
}
