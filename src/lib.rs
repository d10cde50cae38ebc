//! Devices that talk to each other directly.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod status;

pub use status::Status;
