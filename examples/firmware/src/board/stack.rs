//! How much of the stack was ever used, and how much static memory there is.
//!
//! The stack is painted at reset, by cortex-m-rt; where the paint is gone, it was used.  memory.x says where it lies, and
//! why it cannot grow into anything.

use core::ptr;

use cortex_m_rt::STACK_PAINT_VALUE;

use super::heap;

// Their addresses are what they say; there is nothing in them.
unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
    static __sdata: u32;
    static __euninit: u32;
}

/// The most bytes of the stack that were ever used.
pub fn peak() -> u32 {
    let (mut lowest, top) = (&raw const _stack_end, &raw const _stack_start);
    // SAFETY: all of it is memory of the stack, from its end up to its start; volatile, since what is live on it changes
    // without the compiler knowing.
    while lowest < top && unsafe { ptr::read_volatile(lowest) } == STACK_PAINT_VALUE {
        lowest = lowest.wrapping_add(1);
    }
    (top as usize - lowest as usize) as u32
}

/// Bytes of all static memory but the heap: variables and tasks.
pub fn static_ram() -> u32 {
    (&raw const __euninit as usize - &raw const __sdata as usize - heap::SIZE) as u32
}
