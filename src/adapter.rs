//! What plugs the core into a runtime.  Each adapter is one folder: it holds what waits, and nothing else.
//!
//! What does not wait is here, once for all: `base` and `builder` make a device, `link` is one of its
//! connections, `body` holds the two ends of a body in chunks, `delivery` what subscriptions give, `error` how things
//! fail, `guard` what is taken back when a wait is given up, `socket` what is asked of TCP.

#![allow(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "adapters are where std is at home"
)]

mod base;
pub mod blocking;
mod body;
mod builder;
mod delivery;
mod error;
mod guard;
mod link;
mod socket;
#[cfg(feature = "tokio")]
pub mod tokio;
mod trace;

pub use builder::Builder;
