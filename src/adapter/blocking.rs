//! The adapter for programs without a runtime: sockets of the standard library, and threads.
//!
//! A [`Device`] is who you are: its identity, the methods it serves, the topics it publishes, and whom it lets
//! in, all in place before the first handshake.  Each connection has two threads, one that reads and one that
//! writes and lets time pass, and any number of [`Handle`]s to call, subscribe and close with.  Handlers run in
//! threads that come and go as they are needed.
//!
//! ```
//! use symbolon::{Identity, blocking::Device};
//!
//! let phone = Device::builder(Identity::generate()?).build()?;
//! let lamp = Device::builder(Identity::generate()?).trust([phone.peer_id()]); // nobody else is let in
//! let lamp = lamp.on_raw("lamp/set", |_, state| Ok(state)).build()?;
//! let server = lamp.listen("127.0.0.1:0")?.spawn()?;
//! let link = phone.connect(server.local_addr(), lamp.peer_id())?; // dialled by key: nobody else can answer
//! assert_eq!(link.call_raw("lamp/set", b"on", None)?, b"on"[..]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What blocks, and for how long
//!
//! | call | returns at the latest |
//! |---|---|
//! | [`Handle::call`], [`Handle::subscribe`], [`Device::publish`] | after [`Builder::call_timeout`] |
//! | [`Handle::call_timeout`], [`Handle::call_raw`], `recv_timeout` of a subscription | after the time given |
//! | [`Device::connect`], [`Device::dial`], [`Handle::connected`] | after the handshake's timeout |
//! | [`Handle::close`] | after the timeout of closing, twice at most |
//! | the next item of a subscription, [`Handle::closed`], [`Server::accept`], [`Listener::serve`] | when there is one, or the end |
//!
//! A peer that does not read holds up the thread that writes to it, and nothing else: timers go on, and calls
//! end by their deadlines.
//!
//! # Streams that are no sockets
//!
//! [`Device::attach`] takes any reader and writer.  What cannot be interrupted while it reads is said there.

mod arrivals;
mod builder;
mod core;
mod device;
mod drained;
mod handle;
mod handling;
mod line;
mod listener;
mod permit;
mod signal;
mod stream;
mod subscription;

pub use super::delivery::{Delivery, Gap, Publication, SubscribeOptions};
pub use super::error::{BuildError, CallError, ConnectError, Refusal, SubscribeError};
pub use device::{Context, Device, Handler};
pub use handle::Handle;
pub use line::SerialLine;
pub use listener::{Listener, Server};
pub use subscription::{RawSubscription, Subscription};

/// What a device serves and publishes, and whom it lets in; [`Builder::build`] makes the [`Device`].
pub type Builder = super::builder::Builder<Handler>;
