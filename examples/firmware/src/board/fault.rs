//! How the program ends when it cannot go on: it says why, or where, and QEMU ends with status 1.
//!
//! A device in the field would note it down and start anew instead.

use core::arch::{asm, naked_asm};
use core::panic::PanicInfo;
use core::ptr;

use cortex_m::interrupt;
use cortex_m::peripheral::SCB;
use cortex_m_semihosting::debug;

use super::console::{Part, say};

/// Says from where it was called, the last call first: `llvm-symbolizer -e symbolon-firmware 0xADDRESS` names the line.
///
/// It does not look at what it is told, so the compiler leaves out the message and the line of each panic in the
/// program, and all that would format them: 17 KB of the flash.
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    interrupt::disable();
    say(&[Part::Text("panicked, called from")]);
    let mut frame: *const Frame;
    // SAFETY: it only reads the register that points to the frame of this function.
    unsafe { asm!("mov {}, r7", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    while let Some(Frame { caller, return_address }) = Frame::read(frame) {
        // It lies behind the call.
        say(&[Part::Bytes(&return_address.wrapping_sub(2).to_be_bytes())]);
        // The stack grows down, so a caller's frame lies above: this comes to an end.
        frame = if caller > frame { caller } else { ptr::null() };
    }
    give_up()
}

/// What a function saves when it is entered; on this processor all that Rust compiles do.
#[repr(C)]
struct Frame {
    caller: *const Frame,
    return_address: u32,
}

impl Frame {
    /// The frame at this address; none, where that is not on the stack, or the stack ends.
    fn read(address: *const Self) -> Option<Self> {
        let stack = &raw const _stack_end as usize..=&raw const _stack_start as usize - size_of::<Self>();
        if !address.is_aligned() || !stack.contains(&address.addr()) {
            return None;
        }
        // SAFETY: it is aligned and in the memory of the stack, of which any bytes are a pointer and a number.
        Some(unsafe { ptr::read_volatile(address) })
    }
}

/// Ends the program, and says why.
pub fn stop(why: &str) -> ! {
    say(&[Part::Text(why)]);
    give_up()
}

/// Ends the program with status 1.
fn give_up() -> ! {
    loop {
        debug::exit(debug::EXIT_FAILURE);
    }
}

/// What the processor does on a fault.
///
/// After the stack has overflowed there is none to run on, so it begins again at the top: nobody returns from here.
/// cortex-m-rt's attribute for handlers has no place for a naked function, which one that moves the stack must be.
// SAFETY: cortex-m-rt puts the function of this name into the vector table, where one without arguments is expected.
#[unsafe(naked)]
#[unsafe(export_name = "HardFault")]
extern "C" fn hard_fault() -> ! {
    naked_asm!(
        "mrs r0, msp",
        "ldr r1, =_stack_start",
        "msr msp, r1",
        "b {report}",
        report = sym report,
    )
}

extern "C" fn report(stack_pointer: u32) -> ! {
    // SAFETY: it only reads two status registers.
    let (configurable, hard) = unsafe { ((*SCB::PTR).cfsr.read(), (*SCB::PTR).hfsr.read()) };
    for (name, register) in [("hard fault: SP ", stack_pointer), ("CFSR ", configurable), ("HFSR ", hard)] {
        say(&[Part::Text(name), Part::Bytes(&register.to_be_bytes())]);
    }
    if (stack_pointer as usize) < &raw const _stack_end as usize + EXCEPTION_FRAME {
        stop("the stack has overflowed");
    }
    give_up()
}

/// What the processor pushes when it takes an exception.
const EXCEPTION_FRAME: usize = 32;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}
