//! How the program ends when it cannot go on: it says why, and QEMU ends with status 1.
//!
//! A device in the field would note it down and start anew instead.

use core::arch::naked_asm;
use core::panic::PanicInfo;

use cortex_m::interrupt;
use cortex_m::peripheral::SCB;
use cortex_m_semihosting::{debug, hprintln};

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    interrupt::disable();
    hprintln!("{info}");
    give_up()
}

/// Ends the program, and says why.
pub fn stop(why: &str) -> ! {
    hprintln!("{why}");
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

extern "C" fn report(stack_pointer: usize) -> ! {
    // SAFETY: it only reads two status registers.
    let (configurable, hard) = unsafe { ((*SCB::PTR).cfsr.read(), (*SCB::PTR).hfsr.read()) };
    hprintln!("hard fault: SP {stack_pointer:#010x}, CFSR {configurable:#010x}, HFSR {hard:#010x}");
    if stack_pointer < &raw const _stack_end as usize + EXCEPTION_FRAME {
        hprintln!("the stack has overflowed");
    }
    give_up()
}

/// What the processor pushes when it takes an exception.
const EXCEPTION_FRAME: usize = 32;

unsafe extern "C" {
    static _stack_end: u32;
}
