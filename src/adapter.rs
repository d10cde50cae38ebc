//! What plugs the core into a runtime.  Each adapter is one folder and one feature; what does not wait is in
//! `link`, once for all.

#![allow(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "adapters are where std is at home"
)]

mod link;
#[cfg(feature = "tokio")]
pub mod tokio;
mod trace;
