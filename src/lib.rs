//! Devices that talk to each other directly.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod name;
mod status;
mod wire;

pub use name::{
    NAME_MAX, NameError, check_filter, check_name, has_wildcards, is_reserved, matches,
};
pub use status::Status;
pub use wire::{EncodingError, Point, RefusalCode, WireError};
