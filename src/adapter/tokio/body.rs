//! The two ends of a body in chunks.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use bytes::Bytes;
use futures_core::Stream;

use super::core::Core;
use crate::adapter::error::BodyError;
use crate::adapter::host::body::{ReadEnd, WriteEnd};
use crate::{ExchangeId, Status};

/// How many bytes a writer takes before others in its thread have their turn.
const TURN: usize = 64 * 1024;

/// The other side's body: bytes to read, in the order in which they were written.  SPEC §10.5
///
/// It is an [`AsyncRead`], good for `tokio::io::copy`, and a [`Stream`] of chunks as they came, without a copy.  What
/// is not read holds its credit: a reader who pauses bounds what is held to
/// [`Limits::window`](crate::Limits::window), and slows the writer, nobody else.
///
/// Its end is an end of file only where the writer has finished; a body that was given up, or whose connection was cut,
/// ends with an error ([`BodyError`]).  Dropped before, it stops the body: of a reply, the whole request is cancelled;
/// of a request, its writer is told.
pub struct BodyReader(pub(super) ReadEnd<Core>);

impl BodyReader {
    pub(super) fn new(core: Arc<Core>, id: ExchangeId) -> Self {
        Self(ReadEnd::new(core, id))
    }

    /// The next bytes, as they came, never none; `None` where the body is complete.  Where chunks begin and end means
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`BodyError`], also where part of the body was read.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        poll_fn(|task| self.poll_chunk(task)).await
    }

    fn poll_chunk(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        if let Some(buffered) = self.0.buffered() {
            return Poll::Ready(buffered);
        }
        let id = self.0.id;
        // Sends the credit that taking a chunk may have freed.
        let next = self.0.core.with(|state, _| state.link.poll_chunk(id, task.waker()));
        let Some(next) = next else { return Poll::Pending };
        self.0.note(&next);
        Poll::Ready(next)
    }

    /// Stops the body, as dropping does, with a status for the writer.
    pub fn stop(self, status: Status) {
        self.0.stop(status);
    }

    /// How long nothing of the exchange's bodies may move, counted from now; `None` for ever, as for what is live and may
    /// pause.  Without this it is [`Timeouts::body_idle`](crate::Timeouts::body_idle).
    ///
    /// This holds for this side; the other has a time of its own, so for a body that pauses both sides set it.
    pub fn set_idle(&self, idle: Option<Duration>) {
        self.0.set_idle(idle);
    }
}

impl AsyncRead for BodyReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(chunk) = ready!(self.poll_chunk(task))? {
            self.0.hand_on(chunk, buffer.remaining(), |bytes| buffer.put_slice(bytes));
        }
        Poll::Ready(Ok(()))
    }
}

impl Stream for BodyReader {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.0.has_failed() {
            return Poll::Ready(None);
        }
        Poll::Ready(ready!(self.poll_chunk(task)).transpose())
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").field("id", &self.0.id).finish_non_exhaustive()
    }
}

/// This side's body: bytes to write, which arrive in their order.  SPEC §10.5
///
/// It is an [`AsyncWrite`], good for `tokio::io::copy`.  Up to [`Limits::body_buffer`](crate::Limits::body_buffer) bytes
/// wait here, and no more than the other side gives credit for are on their way: a writer waits for its reader.
///
/// [`finish`](Self::finish), or `shutdown`, says that it is complete.  Dropped before, it is given up: the reader gets an error, never an end
/// of file.  A reply's writer that is dropped takes effect when the handler returns, with the handler's error;
/// [`reset`](Self::reset) takes effect at once.
pub struct BodyWriter {
    end: WriteEnd<Core>,
    /// Bytes taken since others in the runtime had their turn.
    taken: usize,
}

impl BodyWriter {
    pub(super) fn new(core: Arc<Core>, id: ExchangeId) -> Self {
        Self { end: WriteEnd { core, id }, taken: 0 }
    }

    /// Writes all of it, waiting for room as often as it must; its own, so that the error is a [`BodyError`].
    ///
    /// # Errors
    ///
    /// [`BodyError`]: the reader takes no more, or is out of reach.
    ///
    /// # Cancel safety
    ///
    /// Dropped, any part of it may have been written.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), BodyError> {
        while !bytes.is_empty() {
            let taken = poll_fn(|task| self.poll_take(task, bytes)).await?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Says that the body is complete; what was written still goes out.  It does not wait: the reply tells that all has
    /// arrived.  Repeated, it does nothing.  The end of a reply ends the exchange: a handler reads what it wants of
    /// the request first.
    ///
    /// # Errors
    ///
    /// [`BodyError`]: the reader takes no more, or is out of reach.
    pub fn finish(&mut self) -> Result<(), BodyError> {
        self.end.finish()
    }

    /// Gives the body up, as dropping does, with a status for the reader.
    pub fn reset(self, status: Status) {
        self.end.reset(status);
    }

    /// As [`BodyReader::set_idle`].
    pub fn set_idle(&self, idle: Option<Duration>) {
        self.end.set_idle(idle);
    }

    fn poll_take(&mut self, task: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, BodyError>> {
        if self.taken >= TURN {
            // A stream that flows freely is always ready: those who call beside it would wait for all of its credit.
            self.taken = 0;
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        let id = self.end.id;
        let taken = self.end.core.with(|state, _| state.link.poll_write(id, bytes, task.waker()));
        self.taken = match taken {
            Some(Ok(taken)) => self.taken + taken,
            _ => 0,
        };
        taken.map_or(Poll::Pending, Poll::Ready)
    }
}

impl AsyncWrite for BodyWriter {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_take(task, bytes).map_err(io::Error::from)
    }

    /// Nothing is held back, so there is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.finish().map_err(io::Error::from))
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").field("id", &self.end.id).finish_non_exhaustive()
    }
}
