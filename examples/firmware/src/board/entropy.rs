//! Randomness: here from the host that runs QEMU, by semihosting.
//!
//! It stands in for the hardware random number generator that a device with keys of its own must have.  From a seed
//! comes the ephemeral key of a handshake, and the same seed makes the same key again: whoever can guess it reads what he
//! has recorded, and where both sides repeat theirs, two sessions are sealed alike, which gives both away.  A counter, the
//! time since reset and the serial number of the chip are no seeds; nor is anything that is the same at each start.

use cortex_m_semihosting::{nr, syscall};

use super::fault;

/// 32 fresh random bytes.  Where there are none the program ends: there is nothing to fall back on.
pub fn bytes() -> [u8; 32] {
    const PATH: &[u8] = b"/dev/urandom\0";
    let mut bytes = [0_u8; 32];
    // SAFETY: the path is as long as said and ends with a zero.
    let file = unsafe { syscall!(OPEN, PATH.as_ptr(), nr::open::R_BINARY, PATH.len() - 1) };
    if file == usize::MAX {
        fault::stop("the host has no /dev/urandom");
    }
    // SAFETY: that much is written to `bytes`, which is that long; nobody else looks at it meanwhile.
    let missing = unsafe { syscall!(READ, file, bytes.as_mut_ptr(), bytes.len()) };
    // SAFETY: it was opened above.
    unsafe { syscall!(CLOSE, file) };
    if missing != 0 {
        fault::stop("the host gave no random bytes");
    }
    bytes
}
