//! Requests with bodies in chunks, as the caller and as the handler see them.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use super::body::{BodyReader, BodyWriter};
use super::runner::Core;
use crate::adapter::error::{BodyError, CallError};
use crate::adapter::guard::Place;
use crate::adapter::link::Opening;
use crate::{BadBody, Body, ExchangeId};

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
    /// It waits for as long as the peer does and something moves; a total deadline is named when the request is made.
    ///
    /// # Errors
    ///
    /// [`CallError`] says whether the peer may have executed it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request is cancelled; the peer may have executed it.
    pub async fn wait(self) -> Result<(Bytes, BodyReader), CallError> {
        let answer = poll_fn(|task| {
            let answer = self.0.0.core.look(|state| state.link.poll_answer(self.0.0.id, task.waker()));
            answer.map_or(Poll::Pending, Poll::Ready)
        });
        let (status, head) = answer.await?;
        if status.is_ok() { Ok((head, self.0)) } else { Err(CallError::Status(status, head)) }
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
        self.core.with(|state, _| state.link.send_reply(self.id, reply));
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
        poll_fn(|task| {
            self.core.with(|state, now| {
                let started = state.link.poll_start(now, self.id, head, &mut place.number, task.waker());
                started.map_or(Poll::Pending, Poll::Ready)
            })
        })
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
    /// The reply's own `Encode` has failed; nothing was answered.
    pub fn send(self, reply: &T) -> Result<(), BadBody> {
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
        let head = crate::to_bytes(head).map_err(|_| BodyError::Encode)?;
        self.raw.start(&head).await
    }
}

impl<T> fmt::Debug for Responder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}
