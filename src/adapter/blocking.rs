//! The adapter for programs without a runtime: sockets of the standard library, and threads.
//!
//! A [`Device`] is who you are: its identity, the methods it serves, the topics it publishes, and whom it lets
//! in, all in place before the first handshake.  Each connection has two threads, one that reads and one that
//! writes and lets time pass, and any number of [`Handle`]s to call, subscribe and close with.  Handlers run in
//! threads that come and go as they are needed.  A [`Keeper`] makes a connection anew whenever it has ended, and a
//! subscription that goes on.
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
//! Each call that blocks has an end of its own: it is said at each, and for both host adapters in one table in
//! [`guide::cancellation`](crate::guide::cancellation).  What `Ok` means is in
//! [`guide::outcomes`](crate::guide::outcomes), what bounds memory and threads in
//! [`guide::limits`](crate::guide::limits).
//!
//! A peer that does not read holds up the thread that writes to it, and nothing else: timers go on, and calls
//! end by their deadlines.
//!
//! # Bodies in chunks
//!
//! What is longer than a frame, or not known yet, goes in a body of its own: [`Handle::open`] sends one with a request,
//! [`Handle::fetch`] gets one with the reply, and [`Builder::on_stream`] serves both.  A [`BodyReader`] and a
//! [`BodyWriter`] have the traits of `std::io`; a reader that pauses makes its writer wait, and nobody else.
//!
//! # Streams that are no sockets
//!
//! [`Device::attach`] takes any reader and writer.  What cannot be interrupted while it reads is said there.
//! [`Device::serial`] takes a line that loses and invents bytes, and gives a [`SerialLine`], over which sessions
//! come and go.

mod arrivals;
mod body;
mod builder;
mod core;
mod description;
mod device;
mod dial;
mod drained;
mod exchange;
mod handle;
mod handling;
mod keeper;
mod kept_subscription;
mod line;
mod listener;
mod permit;
mod pool;
mod signal;
mod stream;
mod subscription;

pub use super::error::{BodyError, Gap, SubscribeError};
pub use super::host::delivery::{Delivery, Publication};
pub use super::host::error::{BuildError, CallError, ConnectError, Refusal};
pub use super::host::topic_name::TopicName;
pub use crate::SubscribeOptions;
pub use body::{BodyReader, BodyWriter};
pub use device::{Context, Device, Handler};
pub use exchange::{Exchange, RawExchange, RawReply, RawResponder, Reply, Responder};
pub use handle::Handle;
pub use keeper::Keeper;
pub use kept_subscription::KeptSubscription;
pub use line::SerialLine;
pub use listener::{Listener, Server};
pub use subscription::{RawSubscription, Subscription};

/// What a device serves and publishes, and whom it lets in; [`Builder::build`] makes the [`Device`].
///
/// Its methods, with examples, stand at [`symbolon::Builder`](crate::Builder): [`trust`](Builder::trust) and
/// [`admit`](Builder::admit); [`on`](Builder::on), [`on_for`](Builder::on_for) and [`on_raw`](Builder::on_raw);
/// [`topic`](Builder::topic) and [`allow_subscribe`](Builder::allow_subscribe); [`name`](Builder::name) and
/// [`describe_method`](Builder::describe_method); [`limits`](Builder::limits), [`timeouts`](Builder::timeouts) and
/// [`call_timeout`](Builder::call_timeout).
pub type Builder = super::host::builder::Builder<Handler>;
