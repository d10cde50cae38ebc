//! Devices that talk to each other directly.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod crypto;
mod identity;
mod noise;
mod role;

pub use crypto::Provider;
#[cfg(feature = "std")]
pub use identity::EntropyError;
pub use identity::{ConstantSeed, Identity, ParsePeerIdError, PeerId, SecretKey, Seed};
pub use role::Role;
