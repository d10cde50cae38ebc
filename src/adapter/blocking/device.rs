//! The device: identity, handlers and topics, shared by all of its connections.

use std::boxed::Box;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::string::ToString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Clock};
use std::vec::Vec;

use bytes::Bytes;

use super::Builder;
use super::core::{BACKUP, Carrier, Core};
use super::drained::Drained;
use super::exchange::RawExchange;
use super::handle::Handle;
use super::keeper::{self, Keeper, Keepers};
use super::line::{self, SerialLine};
use super::listener::Listener;
use super::permit::Door;
use super::pool::Pool;
use super::signal::Signal;
use super::stream;
use crate::adapter::host::base::Base;
use crate::adapter::host::builder::Builder as Parts;
use crate::adapter::host::link::{Link, Reply, Serve, Shared};
use crate::adapter::host::socket;
use crate::{Admission, Connection, Identity, Instant, PeerId, Point, PublishError, Role, Status, Topic};

/// How many handlers may be at work at once in a device, half of them for one peer; further requests wait for one to
/// finish.
const HANDLERS: usize = 256;
/// How long a write to a socket may block before the connection looks at its timers.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// A handler of this adapter; [`Builder`]'s methods make it of a closure, and programs need not name it.
#[derive(Clone)]
pub struct Handler(pub(super) HandlerFn);

#[derive(Clone)]
pub(super) enum HandlerFn {
    Call(Arc<dyn Fn(Context, Bytes) -> Reply + Send + Sync>),
    Stream(Arc<dyn Fn(Context, Bytes, RawExchange) -> Reply + Send + Sync>),
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
/// use std::{thread, time::Duration};
/// use symbolon::{Identity, Status, blocking::Device};
///
/// let owner = Identity::generate()?;
/// let owner_id = owner.peer_id();
/// let lamp = Device::builder(Identity::generate()?).trust([owner_id]).on_raw("lamp/dim", move |context, _| {
///     if context.peer() != owner_id {
///         return Err(Status::DENIED)?; // as `on_for` does, before it decodes the body
///     }
///     for _ in 0..100 {
///         if context.is_cancelled() {
///             break; // nobody waits: what is returned goes nowhere
///         }
///         thread::sleep(Duration::from_millis(1)); // a step of the work
///     }
///     Ok("dark".into())
/// });
/// # let lamp = lamp.build()?;
/// # let server = lamp.listen("127.0.0.1:0")?.spawn()?;
/// # let link = Device::builder(owner).build()?.connect(server.local_addr(), lamp.peer_id())?;
/// # assert_eq!(link.call_raw("lamp/dim", b"", None)?, b"dark"[..]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    pub(super) handle: Handle,
    pub(super) peer: PeerId,
    pub(super) deadline: Option<Instant>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Context {
    /// Who asks, proven.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// How long the caller still waits; `None`: for as long as it takes.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_since(self.handle.device().now()))
    }

    /// Whether nobody waits for the reply any more: the caller has cancelled, its time is up, or the connection
    /// has ended.  A handler that works for long looks from time to time, and returns.
    pub fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
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
    origin: Clock,
    pool: Pool<Core>,
    drained: Drained,
    keepers: Keepers,
}

impl Device {
    /// Begins a device with this identity; [`Builder::build`](super::Builder::build) makes it.
    pub fn builder(identity: Identity) -> Builder {
        Parts::new(identity)
    }

    pub(super) fn new(base: Base<Handler, Core>) -> Self {
        let pool = Pool::new(HANDLERS);
        let (drained, keepers) = (Drained::default(), Keepers::default());
        Self(Arc::new(Inner { base, origin: Clock::now(), pool, drained, keepers }))
    }

    /// Who this device is.
    pub fn peer_id(&self) -> PeerId {
        self.0.base.peer_id()
    }

    /// Keeps a connection with this peer, from now on until the [`Keeper`] is dropped, in a thread of its own: dials it at any
    /// of these addresses, each a host and a port, and again whenever the connection has ended.  It does not wait for the
    /// first one.
    ///
    /// A device has one keeper for each peer: asked for another one, it gives the same, and has it take these addresses, if
    /// there are any, as [`Keeper::set_addresses`] does.  Without any it waits until the peer dials.
    ///
    /// # Errors
    ///
    /// That of making the thread.
    pub fn keep<A: ToString>(
        &self,
        peer: PeerId,
        addresses: impl IntoIterator<Item = A>,
    ) -> io::Result<Keeper> {
        let keeper = Keeper::new(self, &self.0.keepers, peer)?;
        let mut addresses = addresses.into_iter().peekable();
        if addresses.peek().is_some() {
            keeper.set_addresses(addresses);
        }
        Ok(keeper)
    }

    /// Listens on a TCP address.
    ///
    /// # Errors
    ///
    /// That of binding the socket.
    pub fn listen(&self, address: impl ToSocketAddrs) -> io::Result<Listener> {
        Listener::bind(self.clone(), address)
    }

    /// A connection over a socket that is open, in two threads of its own.
    ///
    /// As responder use [`Admission::Ask`] to have [`Builder::admit`](super::Builder::admit) or
    /// [`Builder::trust`](super::Builder::trust) decide.
    ///
    /// # Errors
    ///
    /// Those of the socket, of making threads, or the operating system gives no randomness.
    pub fn attach_tcp(&self, stream: TcpStream, role: Role, admission: Admission) -> io::Result<Handle> {
        self.attach_socket(stream, role, admission, Door::default(), |_| {})
    }

    pub(super) fn attach_socket(
        &self,
        stream: TcpStream,
        role: Role,
        admission: Admission,
        door: Door,
        prepare: impl FnOnce(&mut Connection),
    ) -> io::Result<Handle> {
        socket::prepare((&stream).into())?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let (input, output) = (stream.try_clone()?, stream.try_clone()?);
        let hang_up = move |how| {
            // Refused where it has been shut down already.
            let _ended = stream.shutdown(how);
        };
        let connection = self.0.base.connection(role, admission, self.now())?;
        self.start(connection, input, output, hang_up, door, prepare)
    }

    /// A connection over any byte stream, given as its two halves, in two threads of its own.
    ///
    /// The stream is taken as it is; sockets are better given to [`attach_tcp`](Self::attach_tcp), which has them hold
    /// little that has not left: a call overtakes bodies here, and nothing below.
    ///
    /// `hang_up` ends directions of the stream while the threads are reading and writing, as
    /// [`TcpStream::shutdown`] does: each must then return, with an end or an error.  It may be called more than
    /// once.  Where nothing can do that, pass `|_| {}`: the connection ends all the same, but its reading thread
    /// stays until `read` returns, which is when the other side speaks or hangs up.  A half that has a time-out
    /// of its own (`WouldBlock` or `TimedOut`) looks at the connection then, and so needs none.
    ///
    /// One of the halves should have one: where neither has, and `write` is held up by a peer that neither reads
    /// nor hangs up, its silence is noticed only while somebody waits for an answer or a delivery.
    ///
    /// # Errors
    ///
    /// Those of making threads, or the operating system gives no randomness.
    pub fn attach(
        &self,
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
        hang_up: impl Fn(Shutdown) + Send + Sync + 'static,
        role: Role,
        admission: Admission,
    ) -> io::Result<Handle> {
        let connection = self.0.base.connection(role, admission, self.now())?;
        self.start(connection, input, output, hang_up, Door::default(), |_| {})
    }

    /// A serial line over any reader and writer, in two threads of its own.  SPEC §19
    ///
    /// With `dial` this side dials that device, again and again until it answers, and whenever a session has
    /// ended; the device at the other end must be exactly that one.  Without, it only answers, and
    /// [`Builder::admit`](super::Builder::admit) or [`Builder::trust`](super::Builder::trust) decide.  Both sides
    /// may dial.
    ///
    /// `hang_up` is that of [`attach`](Self::attach).  A serial port should be *raw*: neither echo nor any
    /// translation of line ends.
    ///
    /// # Errors
    ///
    /// Those of making threads.
    pub fn serial(
        &self,
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
        hang_up: impl Fn(Shutdown) + Send + Sync + 'static,
        dial: Option<PeerId>,
    ) -> io::Result<SerialLine> {
        line::spawn(self.clone(), input, output, Box::new(hang_up), dial)
    }

    fn start(
        &self,
        mut connection: Connection,
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
        hang_up: impl Fn(Shutdown) + Send + Sync + 'static,
        door: Door,
        prepare: impl FnOnce(&mut Connection),
    ) -> io::Result<Handle> {
        prepare(&mut connection);
        let id = self.0.base.next_link();
        let signal = Arc::new(Signal::default());
        let link = Link::new(connection, id);
        let core =
            Arc::new(Core::new(self.clone(), link, signal.clone(), Carrier::Stream(Box::new(hang_up)), door));
        self.0.base.add(id, &core);
        if let Err(error) = stream::spawn(&core, &signal, input, output) {
            // Without threads nobody else would; a reader that was made already ends.
            core.abandon();
            return Err(error);
        }
        Ok(Handle::new(core))
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
    /// Nothing else is stopped: whatever is accepted later stands.  A [`Listener`] goes on, and is stopped first, by
    /// dropping its [`Server`](super::Server); so does a [`SerialLine`], which may begin its next session, and has a
    /// [`close`](SerialLine::close) of its own.  A [`Keeper`] goes on as well, and would dial again: it is dropped first.
    /// Connections whose handshake is on its way go on, dialled here or by others.  After the close the device may dial and
    /// listen as before.
    ///
    /// A handler that waits for this is itself one that is waited for: it uses [`Handle::begin_close`] of each of
    /// [`links`](Self::links).
    ///
    /// # Errors
    ///
    /// None: a connection that fails has ended as well.
    ///
    /// ```
    /// use symbolon::{CloseReason, Identity, Status, blocking::Device};
    ///
    /// let phone = Device::builder(Identity::generate()?).build()?;
    /// let lamp = Device::builder(Identity::generate()?).trust([phone.peer_id()]).build()?;
    /// let server = lamp.listen("127.0.0.1:0")?.spawn()?;
    /// let link = phone.connect(server.local_addr(), lamp.peer_id())?;
    ///
    /// // At the end of the lamp's program:
    /// drop(server);
    /// lamp.close();
    /// assert!(lamp.links().is_empty());
    /// assert_eq!(link.closed(), CloseReason::Remote(Status::OK));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        let closing = self.0.base.accepted();
        closing.iter().for_each(|core| core.retire(Status::OK));
        let mut rest = closing.as_slice();
        while let Some((first, others)) = rest.split_first() {
            // Time passes for the others as well: their writers may be held up.
            while first.finished_until(Some(self.now() + BACKUP)).is_none() {
                others.iter().for_each(Core::tick);
            }
            rest = others;
        }
    }

    /// Publishes to all who have subscribed, on all connections.  SPEC §14
    ///
    /// Where a topic of the policy
    /// [`Overflow::Refuse`](crate::Overflow::Refuse) has a subscriber whose queue is full, it waits: at most as
    /// long as [`Builder::call_timeout`](super::Builder::call_timeout) says.
    ///
    /// `Ok` means that it is queued for each subscriber that has room for it and takes frames of its length; the
    /// others are told that they missed it.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: the topic was not declared, the body is too long or not encodable, or the queue is
    /// still full.  Nothing was published then, to anybody.
    ///
    /// ```
    /// use minicbor::{Decode, Encode};
    /// use symbolon::{Identity, Kind, Topic, blocking::Device};
    ///
    /// #[derive(Encode, Decode)]
    /// struct Temperature(#[n(0)] i16);
    ///
    /// impl Topic for Temperature {
    ///     const TOPIC: &'static str = "oven/temperature";
    ///     const KIND: Kind = Kind::State;
    /// }
    ///
    /// let oven = Device::builder(Identity::generate()?).topic::<Temperature>().build()?;
    /// let first = oven.publish(&Temperature(180))?;
    /// let second = oven.publish(&Temperature(181))?; // also where nobody has subscribed: the latest is kept
    /// assert_eq!(second.sequence, first.sequence + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish<T: Topic>(&self, value: &T) -> Result<Point, PublishError> {
        let body = crate::to_bytes(value)?;
        self.publish_raw(T::TOPIC, &body)
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
    pub fn publish_raw(&self, topic: &str, body: &[u8]) -> Result<Point, PublishError> {
        self.0
            .drained
            .retry(self.0.base.call_timeout, || match self.try_publish_raw(topic, body) {
                Err(PublishError::QueueFull) => None,
                outcome => Some(outcome),
            })
            .unwrap_or(Err(PublishError::QueueFull))
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

    pub(super) fn base(&self) -> &Base<Handler, Core> {
        &self.0.base
    }

    pub(super) fn shared(&self) -> &Shared<Handler> {
        &self.0.base.shared
    }

    pub(super) fn pool(&self) -> &Pool<Core> {
        &self.0.pool
    }

    pub(super) fn now(&self) -> Instant {
        let elapsed = self.0.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// A connection with this peer takes exchanges, or takes no more.
    pub(super) fn on_link_changed(&self, peer: PeerId) {
        keeper::on_change(&self.0.keepers, peer);
    }

    /// Tells publishers that wait to try again.
    pub(super) fn on_drained(&self) {
        self.0.drained.tell();
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("peer_id", &self.peer_id()).finish_non_exhaustive()
    }
}
