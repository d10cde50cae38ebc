//! The two ends of a body in chunks, as the host adapters (tokio and blocking) hold them.  SPEC §10.5

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::guard::Locked;
use crate::adapter::error::BodyError;
use crate::{ExchangeId, Instant, Status};

/// The reading end.  Dropped before the body was complete, it stops the body.
pub(crate) struct ReadEnd<C: Locked> {
    pub(crate) core: Arc<C>,
    pub(crate) id: ExchangeId,
    /// What was taken from the link and not from here.
    chunk: Bytes,
    /// How the body has ended, once all of it was read.
    pub(crate) ended: Option<Result<(), BodyError>>,
    status: Status,
}

impl<C: Locked> ReadEnd<C> {
    pub(crate) fn new(core: Arc<C>, id: ExchangeId) -> Self {
        Self { core, id, chunk: Bytes::new(), ended: None, status: Status::CANCELLED }
    }

    /// What is to be read before anything else is asked for.
    pub(crate) fn buffered(&mut self) -> Option<Result<Option<Bytes>, BodyError>> {
        if !self.chunk.is_empty() {
            return Some(Ok(Some(std::mem::take(&mut self.chunk))));
        }
        self.ended.map(|ended| ended.map(|()| None))
    }

    /// Notes what the link gave.
    pub(crate) fn note(&mut self, next: &Result<Option<Bytes>, BodyError>) {
        match next {
            Ok(Some(_)) => {}
            Ok(None) => self.ended = Some(Ok(())),
            Err(error) => self.ended = Some(Err(*error)),
        }
    }

    /// Gives back what was not taken of a chunk.
    pub(crate) fn put_back(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    /// Stops the body with a status of its own.
    pub(crate) fn stop(mut self, status: Status) {
        self.status = status;
    }

    pub(crate) fn set_idle(&self, now: Instant, idle: Option<Duration>) {
        self.core.with_link(|link| link.set_body_idle(now, self.id, idle));
    }
}

impl<C: Locked> Drop for ReadEnd<C> {
    fn drop(&mut self) {
        self.core.with_link(|link| link.drop_reader(self.id, self.status));
    }
}

/// Copies from a chunk, and says how many bytes.
pub(crate) fn copy(chunk: &mut Bytes, buffer: &mut [u8]) -> usize {
    let len = chunk.len().min(buffer.len());
    chunk.copy_to_slice(&mut buffer[..len]);
    len
}

/// The writing end.  Dropped before it was finished, it gives the body up.
pub(crate) struct WriteEnd<C: Locked> {
    pub(crate) core: Arc<C>,
    pub(crate) id: ExchangeId,
}

impl<C: Locked> WriteEnd<C> {
    pub(crate) fn finish(&self) -> Result<(), BodyError> {
        self.core.with_link(|link| link.finish_body(self.id))
    }

    pub(crate) fn reset(&self, status: Status) {
        self.core.with_link(|link| link.reset_body(self.id, status));
    }

    pub(crate) fn set_idle(&self, now: Instant, idle: Option<Duration>) {
        self.core.with_link(|link| link.set_body_idle(now, self.id, idle));
    }
}

impl<C: Locked> Drop for WriteEnd<C> {
    fn drop(&mut self) {
        self.core.with_link(|link| link.drop_writer(self.id));
    }
}
