//! What plugs the core into a runtime.  Each adapter is one folder: it holds what waits, and nothing else.
//!
//! What does not wait is here, once for all: `base` and `builder` make a device, `link` is one of its
//! connections, `body` holds the two ends of a body in chunks, `defaults` what is the same everywhere, `delivery` what subscriptions give, `error` how things
//! fail, `guard` what is taken back when a wait is given up, `offers` what topics hold for a connection, `socket` what is
//! asked of TCP.  `embassy` shares what needs no std.

#![cfg_attr(
    feature = "std",
    allow(
        clippy::std_instead_of_alloc,
        clippy::std_instead_of_core,
        reason = "adapters are where std is at home"
    )
)]

#[cfg(feature = "std")]
mod base;
#[cfg(feature = "std")]
pub mod blocking;
#[cfg(feature = "std")]
mod body;
#[cfg(feature = "std")]
mod builder;
mod defaults;
#[cfg(feature = "std")]
mod delivery;
#[cfg(feature = "embedded-io-async-v0_7")]
pub mod embassy;
mod error;
#[cfg(feature = "std")]
mod guard;
#[cfg(feature = "std")]
mod link;
mod offers;
#[cfg(feature = "std")]
mod socket;
#[cfg(feature = "tokio")]
pub mod tokio;
mod trace;

#[cfg(feature = "std")]
pub use builder::Builder;
