//! The device: identity, handlers and topics, shared by all of its connections.

mod builder;

use std::boxed::Box;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use std::vec::Vec;

use ::tokio::io::{AsyncRead, AsyncWrite};
use ::tokio::net::{TcpStream, ToSocketAddrs};
use ::tokio::sync::Notify;
use ::tokio::time;

pub use builder::Builder;

use super::error::ConnectError;
use super::handle::Handle;
use super::listener::Listener;
use super::runner::{Core, Runner};
use crate::adapter::link::{self, Shared, lock};
use crate::{
    Admission, Config, Connection, Identity, Instant, LinkId, PeerId, Point, PublishError, Role, Seed,
    Status, Timeouts, Topic, TopicId,
};

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
    /// handshake's timeout, once for the socket and once for the handshake.
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
        // The newest that still stands: looked at without the lock of the registry.
        let all = lock(&self.0.links).by_peer.get(&peer)?.clone();
        all.iter().rev().filter_map(Weak::upgrade).map(Handle::new).find(Handle::is_connected)
    }

    /// Publishes to all who have subscribed, on all connections; waits where a topic of the policy
    /// [`Overflow::Refuse`](crate::Overflow::Refuse) has a subscriber whose queue is full.
    ///
    /// `Ok` means that it is queued for each subscriber that has room for it and takes frames of its length; the
    /// others are told that they missed it.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: the topic was not declared, or the body is too long or not encodable.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it has not published.
    pub async fn publish<T: Topic>(&self, value: &T) -> Result<Point, PublishError> {
        let body = crate::to_bytes(value).map_err(|_| PublishError::TooLarge)?;
        self.publish_raw(T::TOPIC, &body).await
    }

    /// Publishes without waiting.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`PublishError::QueueFull`] where that would wait.
    pub fn try_publish<T: Topic>(&self, value: &T) -> Result<Point, PublishError> {
        let body = crate::to_bytes(value).map_err(|_| PublishError::TooLarge)?;
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

    /// Notes an accepted connection, and returns those that this side has to end for it: older ones, DUP-2, or
    /// the new one where the peer has as many as it may.  SPEC §18
    pub(super) fn on_connected(&self, peer: PeerId, core: &Arc<Core>) -> Vec<Handle> {
        let mut links = lock(&self.0.links);
        let connections = links.by_peer.entry(peer).or_default();
        connections.retain(|older| older.strong_count() > 0);
        if connections.len() >= CONNECTIONS_PER_PEER {
            return std::vec![Handle::new(core.clone())];
        }
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

/// How many connections one peer may have at once.  Two are one too many already (SPEC §18); the rest is for a
/// peer that restarts faster than its old connections are found dead.
const CONNECTIONS_PER_PEER: usize = 8;

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
            handle.close_now(Status::SHUTTING_DOWN);
        }
    }
}
