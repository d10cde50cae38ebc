//! The bytes of the program's own flash.

use core::arch::asm;

/// How many bytes of the flash belong to the image: memory.x has the same number.
pub const IMAGE_LEN: usize = 252 * 1024;

/// Copies bytes of the image from this address on, as many as there are up to its end, and says how many.
pub fn read(address: usize, into: &mut [u8]) -> usize {
    let len = into.len().min(IMAGE_LEN.saturating_sub(address));
    for (offset, byte) in into[..len].iter_mut().enumerate() {
        *byte = load(address + offset);
    }
    len
}

/// Flash begins at address 0, where no Rust pointer may point; so the load is not Rust's.
fn load(address: usize) -> u8 {
    assert!(address < IMAGE_LEN);
    let byte: u32;
    // SAFETY: there is flash at this address, reading it changes nothing, and no variable of the program is in there.
    unsafe {
        asm!("ldrb {byte}, [{address}]", address = in(reg) address, byte = out(reg) byte,
            options(nostack, preserves_flags, readonly));
    }
    byte as u8
}
