//! What the application needs of the microcontroller, an LM3S6965 as QEMU models it.
//!
//! All that is about this one chip is in here, and all unsafe code.  Another chip brings most of it ready-made in its
//! `embassy-…` crate: serial ports, Ethernet, the timer.
//!
//! QEMU's model needs no clock, no pin and no baud rate to be set up, so nothing here sets one up.

mod bytes;
pub mod console;
pub mod entropy;
#[cfg(feature = "net")]
pub mod ethernet;
mod executor;
pub mod fault;
pub mod flash;
pub mod heap;
mod irq;
pub mod provisioning;
pub mod stack;
mod time;
#[cfg(feature = "uart")]
pub mod uart;

use cortex_m::Peripherals;
use embassy_executor::{SpawnToken, Spawner};
use embassy_time::{Duration, Instant};

/// Frequency of the processor, and of SysTick, which counts its cycles.
const CORE_HZ: u32 = 12_500_000;

/// Sets up the heap and the clock, starts the task that `first` makes, and runs tasks for ever.
pub fn run<S>(first: impl FnOnce(Spawner) -> SpawnToken<S>) -> ! {
    let mut peripherals = Peripherals::take().expect("this is called once, at reset");
    heap::init();
    time::start(&mut peripherals.SYST);
    executor::run(first)
}

/// Starts the device anew.
pub fn reset() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

/// Keeps the processor busy for so long, and lets nobody else have it.
pub fn stall(duration: Duration) {
    let until = Instant::now() + duration;
    while Instant::now() < until {}
}

/// One register of a peripheral.
#[derive(Clone, Copy)]
struct Register(usize);

impl Register {
    /// # Safety
    ///
    /// The address is that of a register of the chip, 32 bits wide.
    const unsafe fn new(address: usize) -> Self {
        Self(address)
    }

    fn read(self) -> u32 {
        // SAFETY: whoever made this promised that a register is there; no memory of the program lies there.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    fn write(self, value: u32) {
        // SAFETY: as above.  None of the registers used makes the chip write to memory.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }

    /// Changes some bits while no interrupt handler can.
    fn modify(self, change: impl FnOnce(u32) -> u32) {
        critical_section::with(|_| self.write(change(self.read())));
    }
}
