//! The device: identity, handlers and topics, shared by all of its connections.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::string::ToString;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use ::tokio::io::{AsyncRead, AsyncWrite};
use ::tokio::net::ToSocketAddrs;
use ::tokio::sync::Notify;
use ::tokio::time;
use bytes::Bytes;

use super::Builder;
use super::core::Core;
use super::exchange::RawExchange;
use super::handle::Handle;
use super::keeper::{self, Keeper, Keepers};
use super::listener::Listener;
use super::runner::Runner;
use crate::adapter::host::base::Base;
use crate::adapter::host::builder::Builder as Parts;
use crate::adapter::host::link::{self, Reply, Serve, Shared};
use crate::{Admission, Connection, Identity, Instant, PeerId, Point, PublishError, Role, Topic};

pub(super) type Handling = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// A handler of this adapter; [`Builder`]'s methods make it of a closure, and programs need not name it.
#[derive(Clone)]
pub struct Handler(pub(super) HandlerFn);

#[derive(Clone)]
pub(super) enum HandlerFn {
    Call(Arc<dyn Fn(Context, Bytes) -> Handling + Send + Sync>),
    Stream(Arc<dyn Fn(Context, Bytes, RawExchange) -> Handling + Send + Sync>),
}

impl Serve for Handler {
    fn takes_chunks(&self) -> bool {
        matches!(self.0, HandlerFn::Stream(_))
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

/// What a handler knows about the request it serves.
///
/// ```
/// use minicbor::{Decode, Encode};
/// use symbolon::{Identity, Request, tokio::{BuildError, Device}};
///
/// #[derive(Encode, Decode)]
/// struct Ring;
///
/// impl Request for Ring {
///     const METHOD: &'static str = "bell/ring";
///     type Reply = ();
/// }
///
/// // A handler may call back, on the connection that it serves.
/// fn bell(identity: Identity) -> Result<Device, BuildError> {
///     Device::builder(identity)
///         .on_raw("bell/push", |context, _| async move {
///             let left = context.time_left().unwrap_or_default();
///             context.handle().call_timeout(&Ring, left / 2).await?;
///             Ok(context.peer().short().to_string().into())
///         })
///         .build()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    pub(super) handle: Handle,
    pub(super) peer: PeerId,
    pub(super) deadline: Option<Instant>,
}

impl Context {
    /// Who asks, proven.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// How long the caller still waits; `None`: for as long as it takes.  When it is over, the handler is
    /// dropped.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_since(self.handle.device().now()))
    }

    /// The connection on which it was asked, to call back on.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// A device: cheap to clone, shared by all of its connections.  It may dial and listen at the same time.
///
/// Dropping it ends nothing: connections that stand go on serving.  [`close`](Self::close) ends them.
#[derive(Clone)]
pub struct Device(Arc<Inner>);

struct Inner {
    base: Base<Handler, Core>,
    /// The moment that [`Instant`]s are counted from.
    origin: time::Instant,
    /// Told when a subscriber has taken something, for publishers that wait.
    drained: Notify,
    keepers: Keepers,
}

impl Device {
    /// Begins a device with this identity; [`Builder::build`](super::Builder::build) makes it.
    pub fn builder(identity: Identity) -> Builder {
        Parts::new(identity)
    }

    pub(super) fn new(base: Base<Handler, Core>) -> Self {
        let (drained, keepers) = (Notify::new(), Keepers::default());
        Self(Arc::new(Inner { base, origin: time::Instant::now(), drained, keepers }))
    }

    /// Who this device is.
    pub fn peer_id(&self) -> PeerId {
        self.0.base.peer_id()
    }

    /// Keeps a connection with this peer, from now on until the [`Keeper`] is dropped: dials it at any of these addresses,
    /// each a host and a port, and again whenever the connection has ended.  It does not wait for the first one.
    ///
    /// A device has one keeper for each peer: asked for another one, it gives the same, and has it take these addresses, if
    /// there are any, as [`Keeper::set_addresses`] does.  Without any it waits until the peer dials.
    pub async fn keep<A: ToString>(&self, peer: PeerId, addresses: impl IntoIterator<Item = A>) -> Keeper {
        let keeper = Keeper::new(self, &self.0.keepers, peer);
        let mut addresses = addresses.into_iter().peekable();
        if addresses.peek().is_some() {
            keeper.set_addresses(addresses);
        }
        keeper
    }

    /// Listens on a TCP address.
    ///
    /// # Errors
    ///
    /// That of binding the socket.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> io::Result<Listener> {
        Listener::bind(self.clone(), address).await
    }

    /// A connection over any byte stream.  Nothing happens until the runner runs.
    ///
    /// The stream is taken as it is.  A socket should send at once and hold little that has not left
    /// (`TCP_NODELAY`, and on Linux `TCP_NOTSENT_LOWAT`), as those of [`connect`](Self::connect) and
    /// [`listen`](Self::listen) do: a call overtakes bodies here, and nothing below.
    ///
    /// As responder use [`Admission::Ask`] to have [`Builder::admit`](super::Builder::admit) or
    /// [`Builder::trust`](super::Builder::trust) decide.
    ///
    /// # Errors
    ///
    /// The operating system gives no randomness.
    ///
    /// ```
    /// use symbolon::{Admission, Identity, Role, tokio::Device};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let phone = Device::builder(Identity::generate()?).build()?;
    /// let lamp = Device::builder(Identity::generate()?).trust([phone.peer_id()]).build()?;
    /// let (here, there) = tokio::io::duplex(1024); // or a pipe, a serial port, a stream of another protocol
    /// let (link, runner) = phone.attach(here, Role::Initiator, Admission::expect(lamp.peer_id()))?;
    /// let (_, other) = lamp.attach(there, Role::Responder, Admission::Ask)?;
    /// tokio::spawn(runner.run());
    /// tokio::spawn(other.run());
    /// link.connected().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn attach<S>(&self, stream: S, role: Role, admission: Admission) -> io::Result<(Handle, Runner)>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.attach_with(stream, role, admission, |_| {})
    }

    pub(super) fn attach_with<S>(
        &self,
        stream: S,
        role: Role,
        admission: Admission,
        prepare: impl FnOnce(&mut Connection),
    ) -> io::Result<(Handle, Runner)>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut connection = self.0.base.connection(role, admission, self.now())?;
        prepare(&mut connection);
        let id = self.0.base.next_link();
        let core = Arc::new(Core::new(self.clone(), link::Link::new(connection, id), Box::new(stream)));
        self.0.base.add(id, &core);
        Ok((Handle::new(core.clone()), Runner::new(core)))
    }

    /// The newest connection with this peer that stands.
    pub fn link(&self, peer: PeerId) -> Option<Handle> {
        self.0.base.links_with(peer).map(Handle::new).find(Handle::is_connected)
    }

    /// The newest connection with this peer on which exchanges are taken.
    pub(super) fn usable_link(&self, peer: PeerId) -> Option<Handle> {
        self.0.base.links_with(peer).map(Handle::new).find(Handle::takes_exchanges)
    }

    /// All connections that stand, in no particular order: those that both sides have accepted and that have not ended; one
    /// that is closing counts until then.
    pub fn links(&self) -> Vec<Handle> {
        self.0.base.accepted().into_iter().map(Handle::new).filter(Handle::is_connected).collect()
    }

    /// Closes all connections that stand, for the end of a program: each as [`Handle::close`] does, with
    /// [`Status::OK`](crate::Status::OK), and all at the same time.  Returns once they have ended, and so after twice
    /// [`Timeouts::close`](crate::Timeouts) at most: for what is open, and for the peers' own `close`.  SPEC §16.1, §16.2
    ///
    /// Subscriptions of peers end as *shutting down*.  Why each connection has ended is told by [`Handle::closed`] of
    /// those that [`links`](Self::links) gave before.
    ///
    /// Nothing else is stopped: whatever is accepted later stands.  A [`Listener`] goes on, and is dropped first; where a
    /// task serves it, that task is aborted.  A [`Keeper`] goes on as well, and would dial again: it is dropped first.
    /// Connections whose handshake is on its way go on, dialled here or by others; a dial is given up by dropping its future.
    /// After the close the device may dial and listen as before.
    ///
    /// A handler that waits for this is itself one that is waited for: it uses [`Handle::begin_close`] of each of
    /// [`links`](Self::links).  A connection made by [`attach`](Self::attach) ends while its runner runs, or is dropped.
    ///
    /// # Errors
    ///
    /// None: a connection that fails has ended as well.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the closing goes on.
    ///
    /// ```
    /// use symbolon::{CloseReason, Identity, Status, tokio::Device};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let phone = Device::builder(Identity::generate()?).build()?;
    /// let lamp = Device::builder(Identity::generate()?).trust([phone.peer_id()]).build()?;
    /// let listener = lamp.listen("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let serving = tokio::spawn(listener.serve());
    /// let link = phone.connect(address, lamp.peer_id()).await?;
    ///
    /// // At the end of the lamp's program:
    /// serving.abort();
    /// lamp.close().await;
    /// assert!(lamp.links().is_empty());
    /// assert_eq!(link.closed().await, CloseReason::Remote(Status::OK));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn close(&self) {
        let closing: Vec<Handle> = self.0.base.accepted().into_iter().map(Handle::new).collect();
        closing.iter().for_each(Handle::begin_close);
        for handle in closing {
            handle.closed().await;
        }
    }

    /// Publishes to all who have subscribed, on all connections; waits where a topic of the policy
    /// [`Overflow::Refuse`](crate::Overflow::Refuse) has a subscriber whose queue is full, for as long as that is so.
    /// SPEC §14
    ///
    /// `Ok` means that it is queued for each subscriber that has room for it and takes frames of its length; the
    /// others are told that they missed it.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: the topic was not declared, or the body is too long or not encodable.  Nothing was
    /// published then, to anybody.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it has not published.
    ///
    /// ```
    /// use minicbor::{Decode, Encode};
    /// use symbolon::{Identity, Kind, Topic, tokio::Device};
    ///
    /// #[derive(Encode, Decode)]
    /// struct Temperature(#[n(0)] i16);
    ///
    /// impl Topic for Temperature {
    ///     const TOPIC: &'static str = "oven/temperature";
    ///     const KIND: Kind = Kind::State;
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let oven = Device::builder(Identity::generate()?).topic::<Temperature>().build()?;
    /// let first = oven.publish(&Temperature(180)).await?;
    /// let second = oven.publish(&Temperature(181)).await?; // also where nobody has subscribed: the latest is kept
    /// assert_eq!(second.sequence, first.sequence + 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn publish<T: Topic>(&self, value: &T) -> Result<Point, PublishError> {
        let body = crate::to_bytes(value)?;
        self.publish_raw(T::TOPIC, &body).await
    }

    /// Publishes without waiting.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`PublishError::QueueFull`] where that would wait.
    pub fn try_publish<T: Topic>(&self, value: &T) -> Result<Point, PublishError> {
        let body = crate::to_bytes(value)?;
        self.try_publish_raw(T::TOPIC, &body)
    }

    /// As [`publish`](Self::publish), with bare bytes.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_raw(&self, topic: &str, body: &[u8]) -> Result<Point, PublishError> {
        loop {
            match self.try_publish_raw(topic, body) {
                Err(PublishError::QueueFull) => {}
                outcome => return outcome,
            }
            let mut drained = std::pin::pin!(self.0.drained.notified());
            drained.as_mut().enable();
            // Again, so that what has drained in between is not overlooked.
            match self.try_publish_raw(topic, body) {
                Err(PublishError::QueueFull) => drained.await,
                outcome => return outcome,
            }
        }
    }

    /// As [`try_publish`](Self::try_publish), with bare bytes.
    ///
    /// # Errors
    ///
    /// As [`try_publish`](Self::try_publish).
    pub fn try_publish_raw(&self, topic: &str, body: &[u8]) -> Result<Point, PublishError> {
        let shared = &self.0.base.shared;
        let settle = |core: &Core| core.with(|state, _| state.link.settle(shared));
        self.0.base.publish(topic, body, Core::is_awaited, settle)
    }

    /// A connection with this peer takes exchanges, or takes no more.
    pub(super) fn on_link_changed(&self, peer: PeerId) {
        keeper::on_change(&self.0.keepers, peer);
    }

    pub(super) fn base(&self) -> &Base<Handler, Core> {
        &self.0.base
    }

    pub(super) fn shared(&self) -> &Shared<Handler> {
        &self.0.base.shared
    }

    pub(super) fn now(&self) -> Instant {
        let elapsed = self.0.origin.elapsed();
        // As `as_micros` has it, without a division of 128 bits.
        let micros = elapsed.as_secs().saturating_mul(1_000_000);
        Instant::from_micros(micros.saturating_add(elapsed.subsec_micros().into()))
    }

    /// The runtime's name for a moment of the core's.
    pub(super) fn at(&self, instant: Instant) -> time::Instant {
        self.0.origin + Duration::from_micros(instant.as_micros())
    }

    /// Tells publishers that wait to try again.
    pub(super) fn on_drained(&self) {
        self.0.drained.notify_waiters();
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("peer_id", &self.peer_id()).finish_non_exhaustive()
    }
}
