//! The device: identity, handlers and topics, shared by all of its connections.

use std::boxed::Box;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::string::String;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use std::vec::Vec;

use ::tokio::io::{AsyncRead, AsyncWrite};
use ::tokio::net::{TcpStream, ToSocketAddrs};
use ::tokio::sync::Notify;
use ::tokio::time;

use super::error::{BuildError, ConnectError};
use super::handle::Handle;
use super::listener::Listener;
use super::runner::{Core, Runner};
use crate::adapter::link::{self, Admit, AllowSubscribe, Shared, lock};
use crate::config::{Admission, Config, Limits, Timeouts};
use crate::connection::Connection;
use crate::identity::{Identity, PeerId, Seed};
use crate::role::Role;
use crate::router::{Allow, Router};
use crate::status::Status;
use crate::time::Instant;
use crate::topics::{Kind, LinkId, PublishError, TopicId, TopicLimits, Topics};
use crate::typed::{self, Request, Topic};
use crate::wire::Point;

/// What a handler gives: the reply's bytes, or why not.
pub(super) type Reply = Result<Vec<u8>, Refusal>;
pub(super) type Handling = Pin<Box<dyn Future<Output = Reply> + Send>>;
pub(super) type Handler = Arc<dyn Fn(Context, Vec<u8>) -> Handling + Send + Sync>;

/// Why a handler has no reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// No capacity right now; try again after this (zero: no hint).
    Busy(Duration),
    /// Any other status; applications use 256 and above.
    Status(Status),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// What a handler knows about the request it serves.
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

/// What a device serves and publishes, and whom it lets in; [`Builder::build`] makes the device.
///
/// A mistake (a bad name, a method twice) is told by `build`.
pub struct Builder {
    identity: Identity,
    limits: Limits,
    timeouts: Timeouts,
    call_timeout: Duration,
    admit: Admit,
    allow_subscribe: AllowSubscribe,
    router: Router<Handler>,
    topic_limits: TopicLimits,
    topics: Vec<(String, Kind)>,
    error: Option<BuildError>,
}

impl Builder {
    fn new(identity: Identity) -> Self {
        Self {
            identity,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            call_timeout: Duration::from_secs(10),
            admit: Box::new(|_| false),
            allow_subscribe: Box::new(|_, _| true),
            router: Router::new(),
            topic_limits: TopicLimits::default(),
            topics: Vec::new(),
            error: None,
        }
    }

    /// Lets these peers in when they dial.  Without this, and without [`admit`](Self::admit), nobody is.
    #[must_use]
    pub fn trust(self, peers: impl IntoIterator<Item = PeerId>) -> Self {
        let mut peers: Vec<PeerId> = peers.into_iter().collect();
        peers.sort_unstable();
        self.admit(move |peer| peers.binary_search(&peer).is_ok())
    }

    /// Asks `admit` about each peer that dials and has proven its identity.  It must not block.
    #[must_use]
    pub fn admit(mut self, admit: impl Fn(PeerId) -> bool + Send + Sync + 'static) -> Self {
        self.admit = Box::new(admit);
        self
    }

    /// Asks `allow` about each subscription of a peer, by its filter; without this all who were let in may
    /// subscribe to everything.  It must not block.
    #[must_use]
    pub fn allow_subscribe(mut self, allow: impl Fn(PeerId, &str) -> bool + Send + Sync + 'static) -> Self {
        self.allow_subscribe = Box::new(allow);
        self
    }

    /// Serves a request.  State is what the closure captures.
    ///
    /// A handler that panics answers [`Status::FAILED`].  One whose caller has cancelled, or whose time is up,
    /// is dropped at its next await.
    #[must_use]
    pub fn on<R, F, Fut>(self, handler: F) -> Self
    where
        R: Request + Send + 'static,
        F: Fn(Context, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Reply, Refusal>> + Send + 'static,
    {
        self.on_for::<R, F, Fut>(Allow::Anyone, handler)
    }

    /// Serves a request of these peers only; others get [`Status::DENIED`] before its body is decoded.
    #[must_use]
    pub fn on_for<R, F, Fut>(self, allow: Allow, handler: F) -> Self
    where
        R: Request + Send + 'static,
        F: Fn(Context, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Reply, Refusal>> + Send + 'static,
    {
        self.route(R::METHOD, allow, move |context, body| {
            let handling = typed::from_bytes::<R>(&body).map(|request| handler(context, request));
            Box::pin(async move {
                let reply = handling.map_err(|_| Status::BAD_REQUEST)?.await?;
                typed::to_bytes(&reply).map_err(|_| Status::FAILED.into())
            })
        })
    }

    /// Serves a method with bare bytes.
    #[must_use]
    pub fn on_raw<F, Fut>(self, method: &str, handler: F) -> Self
    where
        F: Fn(Context, Vec<u8>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<u8>, Refusal>> + Send + 'static,
    {
        self.route(method, Allow::Anyone, move |context, body| Box::pin(handler(context, body)))
    }

    fn route(
        mut self,
        method: &str,
        allow: Allow,
        handler: impl Fn(Context, Vec<u8>) -> Handling + Send + Sync + 'static,
    ) -> Self {
        if let Err(error) = self.router.on_for(method, allow, Arc::new(handler)) {
            self.error.get_or_insert_with(|| error.into());
        }
        self
    }

    /// Declares a topic.
    #[must_use]
    pub fn topic<T: Topic>(self) -> Self {
        self.topic_raw(T::TOPIC, T::KIND)
    }

    /// Declares a topic with bare bytes.
    #[must_use]
    pub fn topic_raw(mut self, name: &str, kind: Kind) -> Self {
        self.topics.push((name.into(), kind));
        self
    }

    /// With these limits for each connection.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With these limits for the table of topics.
    #[must_use]
    pub fn topic_limits(mut self, limits: TopicLimits) -> Self {
        self.topic_limits = limits;
        self
    }

    /// With these timeouts for each connection.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How long a call waits that names no deadline of its own; 10 s without this.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// The device.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the first mistake.
    pub fn build(self) -> Result<Device, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let config = Config::new(self.identity).with_limits(self.limits)?.with_timeouts(self.timeouts)?;
        let mut epoch = [0; 4];
        getrandom::fill(&mut epoch).map_err(|_| BuildError::Entropy)?;
        let mut topics = Topics::new(u32::from_le_bytes(epoch), self.topic_limits);
        for (name, kind) in self.topics {
            topics.declare(&name, kind)?;
        }
        let shared = Shared {
            router: self.router,
            topics: Mutex::new(topics),
            admit: self.admit,
            allow_subscribe: self.allow_subscribe,
        };
        Ok(Device(Arc::new(Inner {
            config,
            shared,
            call_timeout: self.call_timeout,
            origin: time::Instant::now(),
            next_link: AtomicU64::new(0),
            links: Mutex::new(Links::default()),
            drained: Notify::new(),
        })))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// A device: cheap to clone, shared by all of its connections.
#[derive(Clone)]
pub struct Device(Arc<Inner>);

struct Inner {
    config: Config,
    shared: Shared<Handler>,
    call_timeout: Duration,
    /// The moment that [`Instant`]s are counted from.
    origin: time::Instant,
    next_link: AtomicU64,
    links: Mutex<Links>,
    /// Told when a subscriber has taken something, for publishers that wait.
    drained: Notify,
}

#[derive(Default)]
struct Links {
    all: HashMap<LinkId, Weak<Core>>,
    /// The connections that both sides have accepted, newest last.
    by_peer: HashMap<PeerId, Vec<Weak<Core>>>,
}

impl Device {
    /// Begins a device with this identity.
    pub fn builder(identity: Identity) -> Builder {
        Builder::new(identity)
    }

    /// Who this device is.
    pub fn peer_id(&self) -> PeerId {
        self.0.config.identity().peer_id()
    }

    /// Dials, and waits until both sides have let each other in.  The peer must be exactly this one.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: the socket; a peer that is somebody else, or does not let this device in; or the
    /// handshake's timeout, which covers dialling as well.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes what it has begun.
    pub async fn connect(&self, address: impl ToSocketAddrs, peer: PeerId) -> Result<Handle, ConnectError> {
        let handle = self.dial(address, peer).await?;
        let guard = CloseOnDrop(Some(handle.clone()));
        handle.connected().await?;
        guard.disarm();
        Ok(handle)
    }

    /// Dials, and waits only until the peer has proven who it is: what is asked on the handle leaves with the
    /// last message of the handshake, so that the first reply is back after two round trips.  If the peer
    /// does not let this device in, all of it ends as not executed.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), but for being let in.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes what it has begun.
    pub async fn dial(&self, address: impl ToSocketAddrs, peer: PeerId) -> Result<Handle, ConnectError> {
        let dialling = time::timeout(self.0.config.timeouts().handshake, TcpStream::connect(address));
        let stream = dialling.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        let (handle, runner) = self.attach(stream, Role::Initiator, Admission::expect(peer))?;
        let guard = CloseOnDrop(Some(handle.clone()));
        ::tokio::spawn(runner.run());
        handle.proven().await?;
        guard.disarm();
        Ok(handle)
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
    /// As responder use [`Admission::Ask`] to have [`Builder::admit`] or [`Builder::trust`] decide.
    ///
    /// # Errors
    ///
    /// The operating system gives no randomness.
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
        let seed = Seed::random().map_err(|_| io::Error::other("no randomness from the operating system"))?;
        let mut connection = match role {
            Role::Initiator => Connection::initiator(&self.0.config, admission, seed, self.now()),
            Role::Responder => Connection::responder(&self.0.config, admission, seed, self.now()),
        };
        prepare(&mut connection);
        let id = LinkId(self.0.next_link.fetch_add(1, Ordering::Relaxed));
        let core = Arc::new(Core::new(self.clone(), link::Link::new(connection, id), Box::new(stream)));
        lock(&self.0.links).all.insert(id, Arc::downgrade(&core));
        Ok((Handle::new(core.clone()), Runner::new(core)))
    }

    /// The connection with this peer on which to ask, the one accepted last, if there is one.
    pub fn link(&self, peer: PeerId) -> Option<Handle> {
        let links = lock(&self.0.links);
        links.by_peer.get(&peer)?.last()?.upgrade().map(Handle::new)
    }

    /// Publishes to all who have subscribed, on all connections; waits where a topic of the policy
    /// [`Overflow::Refuse`](crate::Overflow::Refuse) has a subscriber whose queue is full.
    ///
    /// `Ok` means that it is queued for each subscriber.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: the topic was not declared, or the body is too long or not encodable.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it has not published.
    pub async fn publish<T: Topic>(&self, value: &T) -> Result<Point, PublishError> {
        let body = typed::to_bytes(value).map_err(|_| PublishError::TooLarge)?;
        self.publish_raw(T::TOPIC, &body).await
    }

    /// Publishes without waiting.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`PublishError::QueueFull`] where that would wait.
    pub fn try_publish<T: Topic>(&self, value: &T) -> Result<Point, PublishError> {
        let body = typed::to_bytes(value).map_err(|_| PublishError::TooLarge)?;
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
            let mut drained = std::pin::pin!(self.0.drained.notified());
            // Before trying, so that what drains in between is not overlooked.
            drained.as_mut().enable();
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
        let (point, woken) = {
            let mut topics = lock(&self.0.shared.topics);
            let topic: TopicId = topics.find(topic).ok_or(PublishError::UnknownTopic)?;
            let point = topics.publish(topic, body)?;
            (point, topics.wake().collect::<Vec<_>>())
        };
        for link in woken {
            let core = lock(&self.0.links).all.get(&link).and_then(Weak::upgrade);
            if let Some(core) = core {
                core.with(|state, _| state.link.settle(&self.0.shared));
            }
        }
        Ok(point)
    }

    pub(super) fn shared(&self) -> &Shared<Handler> {
        &self.0.shared
    }

    pub(super) fn timeouts(&self) -> &Timeouts {
        self.0.config.timeouts()
    }

    pub(super) fn call_timeout(&self) -> Duration {
        self.0.call_timeout
    }

    pub(super) fn now(&self) -> Instant {
        let elapsed = self.0.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// The runtime's name for a moment of the core's.
    pub(super) fn at(&self, instant: Instant) -> time::Instant {
        self.0.origin + Duration::from_micros(instant.as_micros())
    }

    /// Tells publishers that wait to try again.
    pub(super) fn on_drained(&self) {
        self.0.drained.notify_waiters();
    }

    /// Notes an accepted connection, and returns those that this side has to end for it.  SPEC §18 DUP-2
    pub(super) fn on_connected(&self, peer: PeerId, core: &Arc<Core>) -> Vec<Handle> {
        let mut links = lock(&self.0.links);
        let connections = links.by_peer.entry(peer).or_default();
        connections.retain(|older| older.strong_count() > 0);
        let older = connections.iter().filter_map(Weak::upgrade).map(Handle::new).collect();
        connections.push(Arc::downgrade(core));
        if self.peer_id() < peer { older } else { Vec::new() }
    }

    /// Forgets a connection that has ended.
    pub(super) fn on_closed(&self, peer: Option<PeerId>, id: LinkId, core: *const Core) {
        let mut links = lock(&self.0.links);
        links.all.remove(&id);
        if let Some(peer) = peer
            && let Some(connections) = links.by_peer.get_mut(&peer)
        {
            connections.retain(|kept| !std::ptr::eq(kept.as_ptr(), core) && kept.strong_count() > 0);
            if connections.is_empty() {
                links.by_peer.remove(&peer);
            }
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("peer_id", &self.peer_id()).finish_non_exhaustive()
    }
}

/// Closes a connection whose making was given up.
struct CloseOnDrop(Option<Handle>);

impl CloseOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.close_now(Status::CANCELLED);
        }
    }
}
