//! Which handler an interrupt is for: the chip's part of the vector table.
//!
//! The chip's register crate would bring it ready-made.  What the processor itself raises and nobody expects waits for ever in
//! cortex-m-rt's own handler, but for faults, which are in `fault`.

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

#[cfg(feature = "net")]
use super::ethernet;
use super::fault;
#[cfg(feature = "uart")]
use super::uart;

/// The interrupts that are used.
#[derive(Clone, Copy)]
#[repr(u16)]
pub enum Irq {
    #[cfg(feature = "uart")]
    Uart1 = 6,
    #[cfg(feature = "net")]
    Ethernet = 42,
}

// SAFETY: these are the numbers in the chip's vector table, and they never change.
unsafe impl InterruptNumber for Irq {
    fn number(self) -> u16 {
        self as u16
    }
}

/// Lets this interrupt through.
pub fn enable(irq: Irq) {
    // SAFETY: its handler below only touches what is made for that; no critical section relies on a masked interrupt.
    unsafe { NVIC::unmask(irq) }
}

/// How many interrupts the chip has.
const INTERRUPTS: usize = 44;

type Handler = extern "C" fn();

// SAFETY: cortex-m-rt puts this behind the processor's own vectors, in the order of the interrupts' numbers.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [Handler; INTERRUPTS] = {
    let mut handlers: [Handler; INTERRUPTS] = [unexpected; INTERRUPTS];
    #[cfg(feature = "uart")]
    {
        handlers[Irq::Uart1 as usize] = uart::handle_interrupt;
    }
    #[cfg(feature = "net")]
    {
        handlers[Irq::Ethernet as usize] = ethernet::handle_interrupt;
    }
    handlers
};

extern "C" fn unexpected() {
    fault::stop("nobody expected this interrupt")
}
