//! Which handler an interrupt is for.
//!
//! Without the chip's register crate, cortex-m-rt sends every interrupt to the default handler, with its number.

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;

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

#[exception]
unsafe fn DefaultHandler(irq: i16) {
    match irq {
        #[cfg(feature = "uart")]
        6 => uart::handle_interrupt(),
        #[cfg(feature = "net")]
        42 => ethernet::handle_interrupt(),
        _ => fault::stop("nobody expected this interrupt"),
    }
}
