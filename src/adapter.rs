//! What plugs the core into a runtime.  Each adapter is one folder: it holds what waits, and nothing else.
//!
//! What does not wait is here, once for all.  `host` is what `tokio` and `blocking` share; what `embassy`, which has no std,
//! shares with them stands beside it: `defaults` is what is the same everywhere, `error` how bodies and subscriptions fail,
//! `offers` what topics hold for a connection, `trace` what a logger is told.  `mdns` finds devices for both host adapters.

#![cfg_attr(
    feature = "std",
    allow(
        clippy::std_instead_of_alloc,
        clippy::std_instead_of_core,
        reason = "adapters are where std is at home"
    )
)]

#[cfg(feature = "std")]
pub mod blocking;
mod defaults;
#[cfg(feature = "embedded-io-async-v0_7")]
pub mod embassy;
mod error;
#[cfg(feature = "std")]
mod host;
#[cfg(feature = "mdns")]
pub mod mdns;
mod offers;
#[cfg(feature = "tokio")]
pub mod tokio;
mod trace;

#[cfg(feature = "std")]
pub use host::builder::Builder;
