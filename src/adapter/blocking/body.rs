//! The two ends of a body in chunks.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::core::Core;
use crate::adapter::error::BodyError;
use crate::adapter::host::body::{ReadEnd, WriteEnd};
use crate::{ExchangeId, Status};

/// The other side's body: bytes to read, in the order in which they were written.  SPEC §10.5
///
/// It is a [`Read`], good for `std::io::copy`, and an iterator over chunks as they came, without a copy.  Both block.
/// What is not read holds its credit: a reader who pauses bounds what is held to
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
    /// nothing.  It waits as long as something moves
    /// ([`Timeouts::body_idle`](crate::Timeouts::body_idle)).
    ///
    /// # Errors
    ///
    /// [`BodyError`], also where part of the body was read.
    pub fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        if let Some(buffered) = self.0.buffered() {
            return buffered;
        }
        let id = self.0.id;
        let next = self.0.core.wait(|state, _, waker| state.link.poll_chunk(id, waker));
        self.0.note(&next);
        next
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

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(chunk) = self.chunk()? else { return Ok(0) };
        Ok(self.0.hand_on(chunk, buffer.len(), |bytes| buffer[..bytes.len()].copy_from_slice(bytes)))
    }
}

impl Iterator for BodyReader {
    type Item = Result<Bytes, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.has_failed() {
            return None;
        }
        self.chunk().transpose()
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").field("id", &self.0.id).finish_non_exhaustive()
    }
}

/// This side's body: bytes to write, which arrive in their order.  SPEC §10.5
///
/// It is a [`Write`] that blocks, good for `std::io::copy`.  Up to
/// [`Limits::body_buffer`](crate::Limits::body_buffer) bytes wait here, and no more than the other side gives credit for
/// are on their way: a writer waits for its reader, as long as something moves
/// ([`Timeouts::body_idle`](crate::Timeouts::body_idle)).
///
/// [`finish`](Self::finish) says that it is complete.  Dropped before, it is given up: the reader gets an error, never an end
/// of file.  A reply's writer that is dropped takes effect when the handler returns, with the handler's error;
/// [`reset`](Self::reset) takes effect at once.
pub struct BodyWriter(WriteEnd<Core>);

impl BodyWriter {
    pub(super) fn new(core: Arc<Core>, id: ExchangeId) -> Self {
        Self(WriteEnd { core, id })
    }

    /// Writes all of it, waiting for room as often as it must; its own, so that the error is a [`BodyError`].
    ///
    /// # Errors
    ///
    /// [`BodyError`]: the reader takes no more, or is out of reach.  Any part of it may have been written.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), BodyError> {
        while !bytes.is_empty() {
            let taken = self.take(bytes)?;
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
        self.0.finish()
    }

    /// Gives the body up, as dropping does, with a status for the reader.
    pub fn reset(self, status: Status) {
        self.0.reset(status);
    }

    /// As [`BodyReader::set_idle`].
    pub fn set_idle(&self, idle: Option<Duration>) {
        self.0.set_idle(idle);
    }

    /// As many of the bytes as there is room for, at least one.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        let id = self.0.id;
        self.0.core.wait(|state, _, waker| state.link.poll_write(id, bytes, waker))
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.take(bytes)?)
    }

    /// Nothing is held back, so there is nothing to flush.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").field("id", &self.0.id).finish_non_exhaustive()
    }
}
