//! The adapter for the tokio runtime.
//!
//! A [`Device`] is who you are: its identity, the methods it serves, the topics it publishes, and whom it lets
//! in, all in place before the first handshake.  Each connection of it has two halves: a [`Handle`], cheap to
//! clone and safe to share, to call, subscribe and close with; and a [`Runner`], which drives the connection
//! until it ends.  [`Device::connect`] and [`Listener`] spawn the runner for you.  A [`Keeper`] makes a connection anew
//! whenever it has ended, and a subscription that goes on.
//!
//! ```
//! use symbolon::{Identity, tokio::Device};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let phone = Device::builder(Identity::generate()?).build()?;
//! let lamp = Device::builder(Identity::generate()?).trust([phone.peer_id()]); // nobody else is let in
//! let lamp = lamp.on_raw("lamp/set", |_, state| async move { Ok(state) }).build()?;
//! let listener = lamp.listen("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! tokio::spawn(listener.serve());
//! let link = phone.connect(address, lamp.peer_id()).await?; // dialled by key: nobody else can answer
//! assert_eq!(link.call_raw("lamp/set", b"on", None).await?, b"on"[..]);
//! # Ok(())
//! # }
//! ```
//!
//! # Cancel safety
//!
//! Every future here may be dropped at any await, without losing a byte of the connection or tearing its
//! state.  What dropping means for what was asked is said at each, and for both host adapters in one table in
//! [`guide::cancellation`](crate::guide::cancellation).  What `Ok` means is in
//! [`guide::outcomes`](crate::guide::outcomes), what bounds memory in [`guide::limits`](crate::guide::limits).
//!
//! # Bodies in chunks
//!
//! What is longer than a frame, or not known yet, goes in a body of its own: [`Handle::open`] sends one with a request,
//! [`Handle::fetch`] gets one with the reply, and [`Builder::on_stream`] serves both.  A [`BodyReader`] and a
//! [`BodyWriter`] have the traits of `tokio::io`; a reader that pauses makes its writer wait, and nobody else.
//!
//! # Calling and publishing inside a handler
//!
//! A handler may call, publish and subscribe, also on the connection that it serves: answers never wait for a
//! reader, and no lock is held while a handler runs.

mod body;
mod builder;
mod core;
mod description;
mod device;
mod dial;
mod exchange;
mod handle;
mod keeper;
mod kept_subscription;
mod listener;
mod runner;
mod subscription;
#[cfg(feature = "test-util")]
mod test_util;

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
pub use listener::Listener;
pub use runner::Runner;
pub use subscription::{RawSubscription, Subscription};
#[cfg(feature = "test-util")]
pub use test_util::{Meeting, meet};

/// What a device serves and publishes, and whom it lets in; [`Builder::build`] makes the [`Device`].
///
/// Its methods, with examples, stand at [`symbolon::Builder`](crate::Builder): [`trust`](Builder::trust) and
/// [`admit`](Builder::admit); [`on`](Builder::on), [`on_for`](Builder::on_for) and [`on_raw`](Builder::on_raw);
/// [`topic`](Builder::topic) and [`allow_subscribe`](Builder::allow_subscribe); [`name`](Builder::name) and
/// [`describe_method`](Builder::describe_method); [`limits`](Builder::limits), [`timeouts`](Builder::timeouts) and
/// [`call_timeout`](Builder::call_timeout).
pub type Builder = super::host::builder::Builder<Handler>;
