//! What tasks call, subscribe and close with.

use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use super::drive::now;
use super::error::CallError;
use super::exchange::Exchange;
use super::link::{Link, Table};
use super::slot::{Answer, Ask};
use super::subscription::{RawSubscription, Subscription};
use crate::adapter::error::SubscribeError;
use crate::{ExchangeId, PeerId, Request, SendError, Status, SubscribeOptions, Topic};

/// Reaches the connection that stands on a [`Link`], from any task of the same executor.  Cheap to copy; it outlives
/// connections.
///
/// Nothing here waits for a connection but [`connected`](Self::connected): without one, calls fail at once.  As many
/// exchanges may be open as the link has memory for.
#[derive(Clone, Copy)]
pub struct Handle<'d> {
    pub(super) link: &'d Link,
}

impl<'d> Handle<'d> {
    pub(super) const fn new(link: &'d Link) -> Self {
        Self { link }
    }

    /// The peer of the connection that stands.
    pub fn peer(self) -> Option<PeerId> {
        self.link.table().peer
    }

    /// Waits until both sides of a connection have let each other in, and says who the peer is.  One that has ended again
    /// before this task has its turn is not told.
    ///
    /// Any number of tasks may wait; each takes three words, of the heap where more wait than the link has exchanges.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing has changed.
    pub async fn connected(self) -> PeerId {
        self.watch(|table| table.peer).await
    }

    /// Waits until the connection has ended that stands when this is first polled; does not wait where none does.
    ///
    /// Any number of tasks may wait, as for [`connected`](Self::connected).
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing has changed.
    pub async fn disconnected(self) {
        // The next one may stand already when this task has its turn.
        let session = self.link.table().session;
        self.watch(|table| (table.peer.is_none() || table.session != session).then_some(())).await;
    }

    async fn watch<R>(self, seen: impl Fn(&Table) -> Option<R>) -> R {
        let place = Watching { link: self.link, number: self.link.table().watchers.enter() };
        poll_fn(|task| {
            let mut table = self.link.table();
            if let Some(result) = seen(&table) {
                return Poll::Ready(result);
            }
            table.watchers.watch(place.number, task.waker());
            Poll::Pending
        })
        .await
    }

    /// Closes the connection that stands, behind what is queued; the runner says when it has ended.  SPEC §16.1
    ///
    /// It waits for nothing, and what is open is lost: `close` of the host adapters takes no more requests and waits for
    /// those that are open, which here would cost each connection memory and flash.  To leave without losing anything, the
    /// runner's task says [`goaway`](crate::Connection::goaway), and closes once the connection
    /// [`is_idle`](crate::Connection::is_idle).
    pub fn close_now(self, status: Status) {
        let mut table = self.link.table();
        if table.peer.is_some() {
            table.close = Some(status);
            table.wake_runner();
        }
    }

    /// Asks the peer, and waits for the reply; at most as long as
    /// [`Device::with_call_timeout`](super::Device::with_call_timeout) says.  The request is encoded in the link's memory, and
    /// the reply decoded from it; nothing is allocated but by types that own memory themselves.
    ///
    /// # Errors
    ///
    /// [`CallError`] says whether the peer may have executed it.  A request that the link's memory for one exchange does not
    /// hold beside its method's name is [`SendError::TooLarge`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it is cancelled on the wire; the peer may have executed it.
    ///
    /// ```
    /// use minicbor::{Decode, Encode};
    /// use symbolon::Request;
    /// use symbolon::embassy::{CallError, Handle};
    ///
    /// #[derive(Encode, Decode)]
    /// struct SetLamp(#[n(0)] bool);
    ///
    /// impl Request for SetLamp {
    ///     const METHOD: &'static str = "lamp/set";
    ///     type Reply = bool;
    /// }
    ///
    /// async fn light(peer: Handle<'_>) -> Result<bool, CallError> {
    ///     peer.connected().await;
    ///     peer.call(&SetLamp(true)).await
    /// }
    /// ```
    pub async fn call<R: Request>(self, request: &R) -> Result<R::Reply, CallError> {
        let call = self.begin(Ask::Call, R::METHOD, &[], self.call_timeout())?;
        call.encode(request)?;
        call.decoded_reply().await
    }

    /// As [`call`](Self::call), with bare bytes, and a timeout of its own, which travels along, as the deadline of the
    /// request, rounded up to milliseconds; without one it waits as long as the connection stands.  The reply is copied
    /// into `reply`.  Nothing is allocated.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call); [`CallError::NoRoom`] where `reply` is too short.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_raw<'r>(
        self,
        method: &str,
        body: &[u8],
        reply: &'r mut [u8],
        timeout: Option<Duration>,
    ) -> Result<&'r [u8], CallError> {
        let call = self.begin(Ask::Call, method, body, timeout)?;
        call.reply_into(reply).await
    }

    /// Subscribes, and waits until the publisher has accepted; at most as long as
    /// [`Device::with_call_timeout`](super::Device::with_call_timeout) says.
    ///
    /// `Ok` means that the subscription stands: what is published from now on arrives, or is counted.  Of a
    /// [`State`](crate::Kind::State) the latest value comes first.  The topic need not exist yet.  Publications that are
    /// longer than one frame do not come, and count as missed.  SPEC §14
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]; where it is [`TimedOut`](SubscribeError::TimedOut), it was cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it is cancelled.
    pub async fn subscribe<T: Topic>(self) -> Result<Subscription<'d, T>, SubscribeError> {
        self.subscribe_with(SubscribeOptions::default()).await
    }

    /// As [`subscribe`](Self::subscribe), with options:
    ///
    /// - [`window`](SubscribeOptions::window) counts where it is less than half of what the link has for an exchange; the
    ///   memory is the same.
    /// - [`largest`](SubscribeOptions::largest) makes no difference.
    /// - [`latest`](SubscribeOptions::latest): only the newest of each topic waits here, in the place of the one before.
    /// - [`from`](SubscribeOptions::from): a point to go on behind (SPEC §14.4).
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
    /// use symbolon::embassy::{Handle, SubscribeError, SubscribeOptions, Subscription};
    ///
    /// /// Goes on with a new connection where `before` ended: what is kept no more is told as a gap.
    /// async fn again<'d, T: Topic>(
    ///     peer: Handle<'d>,
    ///     before: &Subscription<'_, T>,
    /// ) -> Result<Subscription<'d, T>, SubscribeError> {
    ///     let mut options = SubscribeOptions::default();
    ///     // Where it gave nothing, nobody knows what came before: all that is kept.
    ///     options.from = before.last().or(Some(Point::START));
    ///     peer.subscribe_with(options).await
    /// }
    /// ```
    pub async fn subscribe_with<T: Topic>(
        self,
        options: SubscribeOptions,
    ) -> Result<Subscription<'d, T>, SubscribeError> {
        Ok(Subscription::new(self.subscribe_raw(T::TOPIC, options).await?, options.from))
    }

    /// As [`subscribe_with`](Self::subscribe_with), to all topics that a filter matches (SPEC §13), as bare bytes.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancel safety
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn subscribe_raw(
        self,
        filter: &str,
        options: SubscribeOptions,
    ) -> Result<RawSubscription<'d>, SubscribeError> {
        let begun = self.begin_subscription(filter, &options)?;
        match begun.answer().await {
            Answer::Subscribed => Ok(RawSubscription::new(begun)),
            answer => Err(answer.into()),
        }
    }

    fn begin_subscription(
        self,
        filter: &str,
        options: &SubscribeOptions,
    ) -> Result<Exchange<'d>, SubscribeError> {
        let ask = Ask::Subscribe { from: options.from };
        let begun = self.begin(ask, filter, &[], self.call_timeout()).map_err(|error| match error {
            CallError::Send(error) => SubscribeError::Send(error),
            _ => SubscribeError::Disconnected,
        })?;
        // The runner has not had its turn since.
        let mut table = self.link.table();
        let (slot, _) = table.slot(begun.index);
        (slot.window, slot.latest) = (usize::try_from(options.window).unwrap_or(usize::MAX), options.latest);
        Ok(begun)
    }

    pub(super) fn call_timeout(self) -> Option<Duration> {
        Some(self.link.table().call_timeout)
    }

    /// Places what is asked; for the runner to see in its next turn.
    pub(super) fn begin(
        self,
        ask: Ask,
        name: &str,
        body: &[u8],
        timeout: Option<Duration>,
    ) -> Result<Exchange<'d>, CallError> {
        let halves = matches!(ask, Ask::Open { more: true, .. });
        let deadline = timeout.map(|timeout| now() + timeout);
        let index = self.link.table().ask(ask, (name, body), deadline, halves)?;
        Ok(Exchange::new(self.link, index))
    }
}

/// Answers one request of the peer's from another task than the one that runs the connection; made by
/// [`Runner::responder`](super::Runner::responder).
///
/// Dropped, the request is answered with [`Status::FAILED`], by the runner and without an exchange of the link's memory.
#[derive(Debug)]
#[must_use = "the peer waits for an answer"]
pub struct Responder<'d> {
    link: &'d Link,
    /// The connection that the request is of; none where the handles reach another runner's.
    connection: Option<u32>,
    id: ExchangeId,
    /// What is answered where nothing is.
    otherwise: Status,
}

impl<'d> Responder<'d> {
    pub(super) const fn new(link: &'d Link, connection: Option<u32>, id: ExchangeId) -> Self {
        Self { link, connection, id, otherwise: Status::FAILED }
    }

    /// Answers; waits for an exchange of the link's memory, and for room in the connection's queue, for as long as the peer
    /// waits for the answer.  Answers come before what handles ask, which is refused while all exchanges that are free are
    /// for answers.
    ///
    /// An exchange that is open for long, as a subscription is, is not free: give the link one more than those.
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownExchange`]: nobody waits any more, or the connection was another one;
    /// [`SendError::TooLarge`]: the body does not fit, and [`Status::TOO_LARGE`] is the answer;
    /// [`SendError::TooMany`]: the link has no exchanges, and [`Status::FAILED`] is; otherwise as
    /// [`Connection::respond`](crate::Connection::respond).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request has been answered so, or is with [`Status::FAILED`].
    pub async fn respond(mut self, status: Status, body: &[u8]) -> Result<(), SendError> {
        let mut exchange = None;
        poll_fn(|task| {
            let answered = self.poll(&mut exchange, status, body, task);
            if matches!(answered, Poll::Ready(Err(SendError::TooLarge { .. }))) {
                self.otherwise = Status::TOO_LARGE;
            }
            answered
        })
        .await
    }

    fn poll(
        &self,
        exchange: &mut Option<Exchange<'d>>,
        status: Status,
        body: &[u8],
        task: &Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        let exchange = match exchange {
            Some(exchange) => exchange,
            None => {
                let mut table = self.link.table();
                if self.connection != Some(table.session) {
                    return Poll::Ready(Err(SendError::UnknownExchange));
                }
                let index = ready!(table.poll_respond((self.id, status), body, task.waker()))?;
                exchange.insert(Exchange::new(self.link, index))
            }
        };
        exchange.poll(task).map(|answer| match answer {
            Answer::Sent => Ok(()),
            Answer::Refused(error) => Err(error),
            _ => Err(SendError::Closed),
        })
    }
}

impl Drop for Responder<'_> {
    fn drop(&mut self) {
        let mut table = self.link.table();
        if self.connection == Some(table.session) {
            table.owed.abandon(self.id, self.otherwise);
            table.wake_runner();
        }
    }
}

/// A place among those who wait for a connection, or for its end.
struct Watching<'d> {
    link: &'d Link,
    number: u32,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.link.table().watchers.leave(self.number);
    }
}

impl fmt::Debug for Handle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("peer", &self.peer()).finish_non_exhaustive()
    }
}
