//! The half of a connection that programs hold: to call, to subscribe, to close.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use ::tokio::time;
use bytes::Bytes;

use super::core::Core;
use super::device::{Device, Handler};
use super::subscription::{RawSubscription, Subscription};
use crate::adapter::error::SubscribeError;
use crate::adapter::host::error::CallError;
use crate::adapter::host::guard::{Call, Place};
use crate::adapter::host::link::{Link, Opening};
use crate::{
    CloseReason, ExchangeId, Instant, PeerId, Point, PublishError, Request, SendError, Status,
    SubscribeOptions, Topic,
};

/// One connection, cheap to clone, to be used from any task.
///
/// Dropping handles closes nothing: the connection goes on serving.  [`close`](Self::close) ends it.
#[derive(Clone)]
pub struct Handle {
    pub(super) core: Arc<Core>,
}

impl Handle {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The device whose connection this is.
    pub fn device(&self) -> &Device {
        &self.core.device
    }

    /// The other side, once it has proven who it is.
    pub fn peer(&self) -> Option<PeerId> {
        self.core.look(|state| state.link.connection.peer())
    }

    /// Whether both sides have let each other in, and the connection has not ended.
    pub fn is_connected(&self) -> bool {
        self.core.look(|state| state.link.connection.is_connected())
    }

    /// Whether both sides take exchanges on it.
    pub(super) fn takes_exchanges(&self) -> bool {
        self.core.look(|state| state.link.takes_exchanges())
    }

    /// The hash of the handshake, once there are keys: the same at both ends, and at no other connection.  Good for
    /// comparing by eye, or for binding another protocol to this connection (Noise, section 11.2).
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        self.core.look(|state| state.link.connection.channel_binding())
    }

    /// Calls a method of the peer, and waits for the reply: at most as long as
    /// [`Builder::call_timeout`](super::Builder::call_timeout) says.
    ///
    /// `Ok` means that the peer's handler has run and given this reply.  Where the queue is full, or as many
    /// calls are open as the peer takes, it waits for its turn within the same time.  SPEC §10
    ///
    /// # Errors
    ///
    /// [`CallError`] says whether the peer may have executed it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it is cancelled on the wire; the peer may have executed it.
    ///
    /// ```
    /// use minicbor::{Decode, Encode};
    /// use symbolon::{Identity, Request, Status, tokio::{CallError, Device}};
    ///
    /// #[derive(Encode, Decode)]
    /// struct Dim(#[n(0)] u8);
    ///
    /// impl Request for Dim {
    ///     const METHOD: &'static str = "lamp/dim";
    ///     type Reply = u8; // how bright it is now
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let phone = Device::builder(Identity::generate()?).build()?;
    /// let lamp = Device::builder(Identity::generate()?).trust([phone.peer_id()]);
    /// let lamp = lamp.on(|_, Dim(percent)| async move {
    ///     if percent <= 100 { Ok(percent) } else { Err(Status::new(300))? }
    /// });
    /// # let lamp = lamp.build()?;
    /// # let listener = lamp.listen("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # tokio::spawn(listener.serve());
    /// let link = phone.connect(address, lamp.peer_id()).await?;
    /// assert_eq!(link.call(&Dim(40)).await?, 40);
    /// match link.call(&Dim(140)).await {
    ///     Err(CallError::Status(status, _)) => assert_eq!(status.number(), 300), // the lamp's own
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Reply, CallError> {
        self.call_timeout(request, self.device().base().call_timeout).await
    }

    /// As [`call`](Self::call), with a timeout of its own; it travels along, as the deadline of the request, rounded up to
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_timeout<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Reply, CallError> {
        let body = crate::to_bytes(request)?;
        let reply = self.call_raw(R::METHOD, &body, Some(timeout)).await?;
        Ok(crate::from_bytes(&reply)?)
    }

    /// As [`call_timeout`](Self::call_timeout), with bare bytes; without a timeout it waits for as long as the peer does.
    /// A reply of another status than OK is an error that carries its bytes.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), but for `BadBody` and `Encode`.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_raw(
        &self,
        method: &str,
        body: &[u8],
        timeout: Option<Duration>,
    ) -> Result<Bytes, CallError> {
        let until = timeout.map(|timeout| self.device().now() + timeout);
        let opening = self.open_exchange(Opening::Request, |link, now, waker| {
            link.request(now, method, body, until, Some(waker))
        });
        let id = match timeout {
            Some(timeout) => {
                time::timeout(timeout, opening).await.map_err(|_| CallError::DeadlinePassed)??
            }
            None => opening.await?,
        };
        let mut call = Call::new(&*self.core, id);
        // The same task as has just opened it: it is woken.
        let mut opened = true;
        poll_fn(|task| {
            if mem::take(&mut opened) {
                return Poll::Pending;
            }
            let answer = self.core.look(|state| call.poll(&mut state.link, task.waker()));
            answer.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Publishes to all who have subscribed, on all connections of this device; see [`Device::publish`].
    ///
    /// # Errors
    ///
    /// As [`Device::publish`].
    ///
    /// # Cancel safety
    ///
    /// As [`Device::publish`].
    pub async fn publish<T: Topic>(&self, value: &T) -> Result<Point, PublishError> {
        self.device().publish(value).await
    }

    /// Publishes without waiting; see [`Device::try_publish`].
    ///
    /// # Errors
    ///
    /// As [`Device::try_publish`].
    pub fn try_publish<T: Topic>(&self, value: &T) -> Result<Point, PublishError> {
        self.device().try_publish(value)
    }

    /// Publishes bare bytes; see [`Device::publish_raw`].
    ///
    /// # Errors
    ///
    /// As [`Device::publish_raw`].
    ///
    /// # Cancel safety
    ///
    /// As [`Device::publish_raw`].
    pub async fn publish_raw(&self, topic: &str, body: &[u8]) -> Result<Point, PublishError> {
        self.device().publish_raw(topic, body).await
    }

    /// Publishes bare bytes without waiting; see [`Device::try_publish_raw`].
    ///
    /// # Errors
    ///
    /// As [`Device::try_publish_raw`].
    pub fn try_publish_raw(&self, topic: &str, body: &[u8]) -> Result<Point, PublishError> {
        self.device().try_publish_raw(topic, body)
    }

    /// Subscribes to a topic of the peer, and waits until the peer has accepted: at most as long as
    /// [`Builder::call_timeout`](super::Builder::call_timeout) says.
    ///
    /// `Ok` means that the subscription stands: what is published from now on arrives, or is counted.  Of a
    /// [`State`](crate::Kind::State) the latest value comes first.  The topic need not exist yet.  SPEC §14
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: the subscription does not stand.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the subscription is cancelled.
    ///
    /// ```
    /// use minicbor::{Decode, Encode};
    /// use symbolon::{Identity, Kind, Topic, tokio::Device};
    ///
    /// #[derive(Debug, PartialEq, Encode, Decode)]
    /// struct Temperature(#[n(0)] i16);
    ///
    /// impl Topic for Temperature {
    ///     const TOPIC: &'static str = "oven/temperature";
    ///     const KIND: Kind = Kind::State;
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let phone = Device::builder(Identity::generate()?).build()?;
    /// let oven = Device::builder(Identity::generate()?).trust([phone.peer_id()]).topic::<Temperature>().build()?;
    /// # let listener = oven.listen("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # tokio::spawn(listener.serve());
    /// oven.publish(&Temperature(180)).await?;
    /// let link = phone.connect(address, oven.peer_id()).await?;
    /// let mut temperatures = link.subscribe::<Temperature>().await?; // a stream as well
    /// assert_eq!(temperatures.next().await, Some(Ok(Temperature(180))));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn subscribe<T: Topic>(&self) -> Result<Subscription<T>, SubscribeError> {
        self.subscribe_with(SubscribeOptions::default()).await
    }

    /// As [`subscribe`](Self::subscribe), with bounds of its own, or behind what this side has already.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancel safety
    ///
    /// As [`subscribe`](Self::subscribe).
    ///
    /// ```
    /// use symbolon::{Point, Topic};
    /// use symbolon::tokio::{Handle, SubscribeError, SubscribeOptions, Subscription};
    ///
    /// /// Goes on with a new connection where `before` ended: what is kept no more is told as a gap.
    /// async fn again<T: Topic>(link: &Handle, before: &Subscription<T>) -> Result<Subscription<T>, SubscribeError> {
    ///     let mut options = SubscribeOptions::default();
    ///     // Where it gave nothing, nobody knows what came before: all that is kept.
    ///     options.from = before.last().or(Some(Point::START));
    ///     link.subscribe_with(options).await
    /// }
    /// ```
    pub async fn subscribe_with<T: Topic>(
        &self,
        options: SubscribeOptions,
    ) -> Result<Subscription<T>, SubscribeError> {
        Ok(Subscription::new(self.subscribe_raw(T::TOPIC, options).await?, options.from))
    }

    /// Subscribes to all topics that `filter` matches, with bare bytes: `+` stands for one level, `#` at the end for
    /// the rest.  SPEC §13
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancel safety
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn subscribe_raw(
        &self,
        filter: &str,
        options: SubscribeOptions,
    ) -> Result<RawSubscription, SubscribeError> {
        let standing = async {
            let opening =
                self.open_exchange(Opening::Subscription, |link, _, _| link.subscribe(filter, &options));
            let id = opening.await?;
            let subscription = RawSubscription::new(self.core.clone(), id, options.window);
            self.core.watch(|state, waker| state.link.poll_accepted(id, waker)).await?;
            Ok(subscription)
        };
        let within = self.device().base().call_timeout;
        time::timeout(within, standing).await.unwrap_or(Err(SubscribeError::TimedOut))
    }

    /// Waits until both sides have let each other in; the handshake's timeout bounds it while the runner runs.
    ///
    /// # Errors
    ///
    /// Why the connection ended instead.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing happens.
    pub async fn connected(&self) -> Result<(), CloseReason> {
        self.wait_for(|link| link.connected).await
    }

    /// Waits until the peer has proven who it is, and commands are taken.
    pub(super) async fn proven(&self) -> Result<(), CloseReason> {
        self.wait_for(|link| link.connection.is_open()).await
    }

    /// Waits until the connection has ended and its last bytes are written or given up, and says why.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing happens.
    pub async fn closed(&self) -> CloseReason {
        let mut place = Place::beside(&*self.core);
        self.core.watch(|state, waker| state.link.poll_finished(&mut place.number, waker)).await
    }

    /// Ends the connection without losing anything: takes no more requests, waits for those that are open, in
    /// both directions, and closes.  Subscriptions end at once.  What is still open after
    /// [`Timeouts::close`](crate::Timeouts::close) is given up, and the peer's own `close` is waited for as long again.
    /// SPEC §16.1, §16.2
    ///
    /// A handler that waits for this is itself one that is waited for: it uses [`begin_close`](Self::begin_close).
    ///
    /// `Local(OK)` means that the peer has had all that was sent; with any other reason nobody knows.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the closing goes on.
    pub async fn close(&self) -> CloseReason {
        self.begin_close();
        self.closed().await
    }

    /// Begins what [`close`](Self::close) does, and returns at once; [`closed`](Self::closed) tells the end.  In a
    /// handler: its own request is answered first.
    pub fn begin_close(&self) {
        self.core.retire(Status::OK);
    }

    /// Opens an exchange; waits for its turn, and for room or a free slot where there is none.
    pub(super) async fn open_exchange(
        &self,
        kind: Opening,
        mut command: impl FnMut(&mut Link<Handler>, Instant, &Waker) -> Result<ExchangeId, SendError>,
    ) -> Result<ExchangeId, SendError> {
        let mut place = Place::in_line(&*self.core, kind);
        self.core
            .wait(|state, now, waker| {
                state.link.poll_open(kind, &mut place.number, waker, |link| command(link, now, waker))
            })
            .await
    }

    async fn wait_for(&self, reached: impl Fn(&Link<Handler>) -> bool) -> Result<(), CloseReason> {
        let mut place = Place::beside(&*self.core);
        self.core.watch(|state, waker| state.link.poll_reached(&mut place.number, waker, &reached)).await
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.core.look(|state| state.link.held());
        f.debug_struct("Handle").field("peer", &self.peer()).field("held", &held).finish_non_exhaustive()
    }
}
