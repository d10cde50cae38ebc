//! The clock and the timers of `embassy-time`, on SysTick.
//!
//! SysTick interrupts each millisecond, which is how exactly timers fire: never early, up to a millisecond late.
//! The time itself is read to the microsecond, out of SysTick's counter.

use core::cell::RefCell;
use core::task::Waker;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::exception;
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

use super::CORE_HZ;

const INTERRUPTS_PER_SECOND: u32 = 1_000;
const RELOAD: u32 = CORE_HZ / INTERRUPTS_PER_SECOND - 1;
const MICROS_PER_INTERRUPT: u64 = 1_000_000 / INTERRUPTS_PER_SECOND as u64;
const _: () = assert!(TICK_HZ == 1_000_000, "the time is told in microseconds");

struct SysTickClock {
    state: Mutex<RefCell<State>>,
}

struct State {
    /// Time at the last interrupt, in microseconds.
    base: u64,
    /// When the first timer fires.
    next: u64,
    timers: Queue,
}

embassy_time_driver::time_driver_impl!(static CLOCK: SysTickClock = SysTickClock {
    state: Mutex::new(RefCell::new(State { base: 0, next: u64::MAX, timers: Queue::new() })),
});

/// Starts the clock at 0.
pub fn start(systick: &mut SYST) {
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(RELOAD);
    systick.clear_current();
    systick.enable_interrupt();
    systick.enable_counter();
}

impl Driver for SysTickClock {
    // Asked in a dozen places, of which none is in a hurry.
    #[inline(never)]
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.state.borrow_ref(cs).now(cs))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let state = &mut *self.state.borrow_ref_mut(cs);
            if state.timers.schedule_wake(at, waker) {
                state.fire(state.base);
            }
        });
    }
}

impl State {
    fn now(&self, _: CriticalSection<'_>) -> u64 {
        let mut count = SYST::get_current();
        let mut base = self.base;
        // The counter may have begun anew while interrupts are held up: then that millisecond is not counted yet, and
        // the counter is read again, since it is not known on which side of the beginning it was.
        if SCB::is_pendst_pending() {
            count = SYST::get_current();
            base += MICROS_PER_INTERRUPT;
        }
        // Less than a millisecond, so that 32 bits hold it in thousandths of a cycle.
        base + u64::from(RELOAD.saturating_sub(count) * 1_000 / (CORE_HZ / 1_000))
    }

    /// Wakes those whose time has come.
    fn fire(&mut self, now: u64) {
        self.next = self.timers.next_expiration(now);
    }
}

#[exception]
fn SysTick() {
    critical_section::with(|cs| {
        let state = &mut *CLOCK.state.borrow_ref_mut(cs);
        state.base += MICROS_PER_INTERRUPT;
        if state.base >= state.next {
            state.fire(state.base);
        }
    });
}
