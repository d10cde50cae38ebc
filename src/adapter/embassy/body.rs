//! The two ends of a body in chunks.  SPEC §10.5

use core::fmt;
use core::future::poll_fn;
use core::num::NonZeroU32;
use core::task::Poll;
use core::time::Duration;

use embedded_io_async::{ErrorType, Read, Write};

use super::exchange::Exchange;
use super::link::Link;
use super::slot::{Bodies, Slot};
use super::watchers;
use crate::adapter::error::{BodyError, no_success};
use crate::{Connection, ExchangeId, Instant, Status};

/// The reading end of a body; reading gives the peer credit for more.
///
/// Dropped before the end, it gives the exchange up.
#[derive(Debug)]
pub struct BodyReader<'d> {
    exchange: Exchange<'d>,
}

impl<'d> BodyReader<'d> {
    pub(super) const fn new(exchange: Exchange<'d>) -> Self {
        Self { exchange }
    }

    /// Waits for bytes and copies them, as many as there are and fit; 0 where the body is complete.
    ///
    /// # Errors
    ///
    /// [`BodyError`]: the body was cut short, and why.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, BodyError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        poll_fn(|task| {
            let mut table = self.exchange.link.table();
            let (slot, memory) = table.slot(self.exchange.index);
            if slot.inward.is_empty() {
                if let Some(end) = slot.read_end {
                    return Poll::Ready(end.map(|()| 0));
                }
                watchers::keep(&mut slot.reader, task.waker());
                return Poll::Pending;
            }
            let bytes = slot.inward.bytes(memory);
            let len = bytes.len().min(buffer.len());
            buffer[..len].copy_from_slice(&bytes[..len]);
            slot.took_bytes(len);
            table.wake_runner();
            Poll::Ready(Ok(len))
        })
        .await
    }

    /// Stops the body, as dropping does, with a status for the writer; [`Status::OK`] says [`Status::CANCELLED`], so that no
    /// body passes for one that was taken as a whole.
    pub fn stop(self, status: Status) {
        self.exchange.link.table().slot(self.exchange.index).0.given_up = Some(no_success(status));
    }

    /// How long nothing of the exchange's bodies may move, counted from when the runner has its next turn; `None` for ever,
    /// as for what is live and may pause.  In milliseconds, rounded up, at least one, and for ever from 49 days on.  Without
    /// this it is [`Timeouts::body_idle`](crate::Timeouts::body_idle).
    ///
    /// This holds for this side; the other has a time of its own, so for a body that pauses both sides set it.
    pub fn set_idle(&self, idle: Option<Duration>) {
        self.exchange.link.table().set_idle(self.exchange.index, idle);
    }
}

impl ErrorType for BodyReader<'_> {
    type Error = BodyError;
}

impl Read for BodyReader<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, BodyError> {
        self.read(buffer).await
    }
}

/// The writing end of a body: bytes leave as the peer gives credit.
///
/// Dropped before [`finish`](Self::finish), the body is given up.
pub struct BodyWriter<'d> {
    link: &'d Link,
    index: usize,
}

impl<'d> BodyWriter<'d> {
    pub(super) const fn new(link: &'d Link, index: usize) -> Self {
        Self { link, index }
    }

    /// Takes as many bytes as there is room for, at least one of those there are; waits for it.
    ///
    /// # Errors
    ///
    /// [`BodyError`]: no more is taken, and why.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing was written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        poll_fn(|task| {
            let mut table = self.link.table();
            let (slot, memory) = table.slot(self.index);
            if let Some(error) = slot.write_end {
                return Poll::Ready(Err(error));
            }
            // Until it is handed over, the request itself lies there.
            let len = if slot.id().is_some() { bytes.len().min(slot.out.room()) } else { 0 };
            if len == 0 && !bytes.is_empty() {
                watchers::keep(&mut slot.writer, task.waker());
                return Poll::Pending;
            }
            slot.out.push(memory, &bytes[..len]);
            table.wake_runner();
            Poll::Ready(Ok(len))
        })
        .await
    }

    /// Ends the body as complete, behind what was written.  It does not wait; the reply says whether all has arrived.
    ///
    /// # Errors
    ///
    /// [`BodyError`]: it had ended before.
    pub fn finish(self) -> Result<(), BodyError> {
        let mut table = self.link.table();
        let (slot, _) = table.slot(self.index);
        if let Some(error) = slot.write_end {
            return Err(error);
        }
        slot.finishing = true;
        slot.write_end = Some(BodyError::Finished);
        Ok(())
    }

    /// Gives the body up, as dropping does, with a status for the reader; [`Status::OK`] says [`Status::CANCELLED`], so that
    /// no body passes for one that is complete.
    pub fn reset(self, status: Status) {
        let mut table = self.link.table();
        table.slot(self.index).0.reset = Some(no_success(status));
    }

    /// As [`BodyReader::set_idle`].
    pub fn set_idle(&self, idle: Option<Duration>) {
        self.link.table().set_idle(self.index, idle);
    }
}

impl Drop for BodyWriter<'_> {
    fn drop(&mut self) {
        self.link.table().drop_writer(self.index);
    }
}

impl ErrorType for BodyWriter<'_> {
    type Error = BodyError;
}

impl Write for BodyWriter<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        self.write(bytes).await
    }

    /// Has nothing to do: what was taken leaves by itself.
    async fn flush(&mut self) -> Result<(), BodyError> {
        Ok(())
    }
}

impl fmt::Debug for BodyWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").field("index", &self.index).finish_non_exhaustive()
    }
}

pub(super) static BODIES: Bodies = Bodies { open: Connection::open, move_on };

/// Hands over to the connection what was written, whether that is all, or given up, and how long it may stand still.
fn move_on(slot: &mut Slot, memory: &[u8], connection: &mut Connection, id: ExchangeId, now: Instant) {
    // Each refused where the exchange, or its body, has just ended: its event tells.
    if let Some(idle) = slot.idle.take() {
        let idle = (idle != NonZeroU32::MAX).then(|| Duration::from_millis(idle.get().into()));
        let _ended = connection.set_body_idle(now, id, idle);
    }
    if let Some(status) = slot.reset.take() {
        slot.write_end.get_or_insert(BodyError::Cancelled);
        slot.out.clear();
        let _ended = connection.reset(id, status);
        return;
    }
    if !slot.out.is_empty()
        && let Ok(taken) = connection.write(id, slot.out.bytes(memory))
    {
        slot.out.advance(taken);
        if let Some(writer) = slot.writer.take() {
            writer.wake();
        }
    }
    if slot.finishing && slot.out.is_empty() {
        slot.finishing = false;
        let _ended = connection.finish(id);
    }
}
