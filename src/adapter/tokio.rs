//! The adapter for the tokio runtime.
//!
//! A [`Device`] is who you are: its identity, the methods it serves, the topics it publishes, and whom it lets
//! in, all in place before the first handshake.  Each connection of it has two halves: a [`Handle`], cheap to
//! clone and safe to share, to call, subscribe and close with; and a [`Runner`], which drives the connection
//! until it ends.  [`Device::connect`] and [`Listener`] spawn the runner for you.
//!
//! # Cancel safety
//!
//! Every future here may be dropped at any await, without losing a byte of the connection or tearing its
//! state.  What dropping means for what was asked:
//!
//! | future | dropped |
//! |---|---|
//! | [`Handle::call`], [`Handle::call_timeout`], [`Handle::call_raw`] | the call is cancelled on the wire; the peer may have executed it |
//! | [`Handle::subscribe`], [`Handle::subscribe_raw`] | the subscription is cancelled |
//! | [`Subscription`]'s next item | nothing is lost |
//! | [`Handle::close`] | the closing goes on |
//! | [`Handle::connected`], [`Handle::closed`] | nothing |
//! | [`Device::publish`] | not published |
//! | [`Device::connect`], [`Device::dial`] | the connection is closed |
//! | [`Listener::accept`] | nothing is lost: handshakes go on |
//! | [`Runner::run`] | the connection ends, as if the stream had |
//!
//! # Calling and publishing inside a handler
//!
//! A handler may call, publish and subscribe, also on the connection that it serves: answers never wait for a
//! reader, and no lock is held while a handler runs.

mod builder;
mod device;
mod handle;
mod listener;
mod owed;
mod runner;
mod subscription;
#[cfg(feature = "test-util")]
mod test_util;

pub use super::delivery::{Delivery, Gap, Publication, SubscribeOptions};
pub use super::error::{BuildError, CallError, ConnectError, Refusal, SubscribeError};
pub use device::{Context, Device, Handler};
pub use handle::Handle;
pub use listener::Listener;
pub use runner::Runner;
pub use subscription::{RawSubscription, Subscription};
#[cfg(feature = "test-util")]
pub use test_util::{Meeting, meet};

/// What a device serves and publishes, and whom it lets in; [`Builder::build`] makes the [`Device`].
pub type Builder = super::builder::Builder<Handler>;
