//! Requests with bodies in chunks, as the caller and as the handler see them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::time;
use bytes::Bytes;

use super::body::{BodyReader, BodyWriter};
use super::core::Core;
use super::handle::Handle;
use crate::adapter::error::BodyError;
use crate::adapter::host::error::CallError;
use crate::adapter::host::guard::Place;
use crate::adapter::host::link::{Opening, let_go};
use crate::{Body, EncodeError, ExchangeId, Request};

impl Handle {
    /// Makes a request whose body goes on in chunks: gives the writer of that body, and the reply to wait for.
    ///
    /// The two go their own ways: the peer may answer before the body has ended, and the reply may have a body as well.
    /// Where as many requests are open as the peer takes, it waits for its turn, at most as long as
    /// [`Builder::call_timeout`](super::Builder::call_timeout) says; the body takes as long as something moves
    /// ([`Timeouts::body_idle`](crate::Timeouts::body_idle)), and the answer as [`Reply::wait`] says.  SPEC §10.5
    ///
    /// # Errors
    ///
    /// [`CallError`]: nothing was sent.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it is cancelled.
    pub async fn open<R: Request>(&self, request: &R) -> Result<(BodyWriter, Reply<R::Reply>), CallError> {
        let (writer, reply) = self.open_raw(R::METHOD, &crate::to_bytes(request)?, None).await?;
        Ok((writer, Reply::new(reply)))
    }

    /// As [`open`](Self::open), with bare bytes, and with a timeout for the whole exchange, bodies included, where one is
    /// named: it travels along, as the deadline of the request.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for `Encode`.
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Self::open).
    pub async fn open_raw(
        &self,
        method: &str,
        head: &[u8],
        timeout: Option<Duration>,
    ) -> Result<(BodyWriter, RawReply), CallError> {
        let id = self.begin(method, head, true, timeout).await?;
        let core = self.core.clone();
        Ok((BodyWriter::new(core.clone(), id), RawReply::new(core, id)))
    }

    /// Makes a request whose reply goes on in chunks, and waits for the head of the reply: at most as long as
    /// [`Builder::call_timeout`](super::Builder::call_timeout) says.  What follows takes as long as something moves.
    /// SPEC §10.5
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it is cancelled on the wire; the peer may have executed it.
    ///
    /// ```
    /// use minicbor::{Decode, Encode};
    /// use symbolon::{Identity, Request, tokio::Device};
    /// use tokio::io::AsyncReadExt;
    ///
    /// #[derive(Encode, Decode)]
    /// struct Photo { #[n(0)] number: u32 }
    ///
    /// impl Request for Photo {
    ///     const METHOD: &'static str = "camera/photo";
    ///     type Reply = u64; // its length
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let phone = Device::builder(Identity::generate()?).build()?;
    /// let camera = Device::builder(Identity::generate()?).trust([phone.peer_id()]);
    /// let camera = camera.on_stream(|_, Photo { number }, exchange| async move {
    ///     let photo = vec![number as u8; 100_000];
    ///     let mut body = exchange.reply.start(&(photo.len() as u64)).await?;
    ///     body.write_all(&photo).await?;
    ///     Ok(body.finish()?) // without this the photo is given up
    /// });
    /// # let camera = camera.build()?;
    /// # let listener = camera.listen("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # tokio::spawn(listener.serve());
    /// let link = phone.connect(address, camera.peer_id()).await?;
    /// let (length, mut body) = link.fetch(&Photo { number: 7 }).await?;
    /// let mut photo = Vec::new();
    /// body.read_to_end(&mut photo).await?; // an error, if the camera gives up
    /// assert_eq!((photo.len() as u64, photo[0]), (length, 7));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fetch<R: Request>(&self, request: &R) -> Result<(R::Reply, BodyReader), CallError> {
        let within = self.device().base().call_timeout;
        let body = crate::to_bytes(request)?;
        let fetching = self.fetch_raw(R::METHOD, &body, None);
        let (head, body) = time::timeout(within, fetching).await.map_err(|_| CallError::DeadlinePassed)??;
        Ok((crate::from_bytes(&head)?, body))
    }

    /// As [`fetch`](Self::fetch), with bare bytes, and with a timeout for the whole exchange, bodies included, where one is
    /// named: it travels along, as the deadline of the request.  Without one it waits for the head as long as the peer does.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch), but for `BadBody` and `Encode`.
    ///
    /// # Cancel safety
    ///
    /// As [`fetch`](Self::fetch).
    pub async fn fetch_raw(
        &self,
        method: &str,
        body: &[u8],
        timeout: Option<Duration>,
    ) -> Result<(Bytes, BodyReader), CallError> {
        let id = self.begin(method, body, false, timeout).await?;
        RawReply::new(self.core.clone(), id).wait().await
    }

    async fn begin(
        &self,
        method: &str,
        body: &[u8],
        more: bool,
        timeout: Option<Duration>,
    ) -> Result<ExchangeId, CallError> {
        let until = timeout.map(|timeout| self.device().now() + timeout);
        let within = self.device().base().turn_within(timeout);
        let opening =
            self.open_exchange(Opening::Request, |link, now, _| link.open(now, method, body, more, until));
        Ok(time::timeout(within, opening).await.map_err(|_| CallError::DeadlinePassed)??)
    }
}

/// The reply to a request with a body in chunks, which the peer may give at any time.
///
/// Dropped, the request is cancelled.
#[derive(Debug)]
pub struct RawReply(BodyReader);

impl RawReply {
    pub(super) fn new(core: Arc<Core>, id: ExchangeId) -> Self {
        Self(BodyReader::new(core, id))
    }

    /// The head of the reply, and the reader of what follows: nothing, where the reply is no more than its head.
    ///
    /// While this side's body goes on, it waits as long as something moves
    /// ([`Timeouts::body_idle`](crate::Timeouts)).  Behind that it waits for as long as the peer takes to answer, at most
    /// for what is left of the timeout that was named when the request was made.
    ///
    /// # Errors
    ///
    /// [`CallError`] says whether the peer may have executed it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request is cancelled; the peer may have executed it.
    pub async fn wait(self) -> Result<(Bytes, BodyReader), CallError> {
        let end = &self.0.0;
        let head = end.core.watch(|state, waker| state.link.poll_answer(end.id, waker)).await?;
        Ok((head, self.0))
    }
}

/// The reply to a request with a body in chunks, of the type that the request names.
///
/// Dropped, the request is cancelled.
pub struct Reply<T> {
    raw: RawReply,
    head: PhantomData<fn() -> T>,
}

impl<T: Body> Reply<T> {
    pub(super) fn new(raw: RawReply) -> Self {
        Self { raw, head: PhantomData }
    }

    /// The head of the reply, and the reader of what follows; see [`RawReply::wait`].
    ///
    /// # Errors
    ///
    /// As [`RawReply::wait`], and `BadBody`.
    ///
    /// # Cancel safety
    ///
    /// As [`RawReply::wait`].
    pub async fn wait(self) -> Result<(T, BodyReader), CallError> {
        let (head, body) = self.raw.wait().await?;
        Ok((crate::from_bytes(&head)?, body))
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}

/// What a handler of [`Builder::on_stream_raw`](super::Builder::on_stream_raw) has: the request's body, and the way to
/// answer.
#[derive(Debug)]
pub struct RawExchange {
    /// The request's body; it is at its end where the request is no more than its head.
    pub body: BodyReader,
    /// The answer that is owed.
    pub reply: RawResponder,
}

/// What a handler of [`Builder::on_stream`](super::Builder::on_stream) has: the request's body, and the way to answer
/// with a head of type `T`.
pub struct Exchange<T> {
    /// The request's body; it is at its end where the request is no more than its head.
    pub body: BodyReader,
    /// The answer that is owed.
    pub reply: Responder<T>,
}

impl<T> fmt::Debug for Exchange<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("body", &self.body).finish_non_exhaustive()
    }
}

impl RawExchange {
    pub(super) fn new(core: Arc<Core>, id: ExchangeId) -> Self {
        core.look(|state| state.link.begin_serving(id));
        Self { body: BodyReader::new(core.clone(), id), reply: RawResponder { core, id } }
    }

    pub(super) fn typed<T>(self) -> Exchange<T> {
        Exchange { body: self.body, reply: Responder { raw: self.reply, head: PhantomData } }
    }
}

/// Answers a request once, in one of two ways.
pub struct RawResponder {
    core: Arc<Core>,
    id: ExchangeId,
}

impl RawResponder {
    /// Answers with a reply that is no more than this.  It does not wait.  What the caller still writes of its body is
    /// stopped by it.
    pub fn send(self, reply: impl Into<Bytes>) {
        let reply = reply.into();
        let_go(self.core.with(|state, _| state.link.send_reply(self.id, reply)));
    }

    /// Answers with this where it fits into a frame; else gives itself back.
    pub(super) fn send_whole(self, reply: &Bytes) -> Option<Self> {
        let sent = self.core.with(|state, _| state.link.send_whole(self.id, reply));
        (!sent).then_some(self)
    }

    /// Answers with the head of a reply whose body follows; waits for room in the queue.
    ///
    /// # Errors
    ///
    /// [`BodyError`]: the caller has gone.  A head that does not fit a frame is [`BodyError::TooLarge`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing was answered.
    pub async fn start(self, head: &[u8]) -> Result<BodyWriter, BodyError> {
        let mut place = Place::in_line(&*self.core, Opening::Reply);
        self.core
            .wait(|state, now, waker| state.link.poll_start(now, self.id, head, &mut place.number, waker))
            .await?;
        Ok(BodyWriter::new(self.core.clone(), self.id))
    }
}

impl fmt::Debug for RawResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawResponder").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Answers a request once, in one of two ways, with a head of type `T`.
pub struct Responder<T> {
    raw: RawResponder,
    head: PhantomData<fn(T)>,
}

impl<T: Body> Responder<T> {
    /// As [`RawResponder::send`].
    ///
    /// # Errors
    ///
    /// [`EncodeError`]: the reply's own `Encode` has failed; nothing was answered.
    pub fn send(self, reply: &T) -> Result<(), EncodeError> {
        self.raw.send(crate::to_bytes(reply)?);
        Ok(())
    }

    /// As [`RawResponder::start`].
    ///
    /// # Errors
    ///
    /// As [`RawResponder::start`]; [`BodyError::Encode`] where the head's own `Encode` has failed.
    ///
    /// # Cancel safety
    ///
    /// As [`RawResponder::start`].
    pub async fn start(self, head: &T) -> Result<BodyWriter, BodyError> {
        let head = crate::to_bytes(head)?;
        self.raw.start(&head).await
    }
}

impl<T> fmt::Debug for Responder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}
