//! The two ends of a body in chunks, as the host adapters (tokio and blocking) hold them.  SPEC §10.5

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::guard::Locked;
use crate::adapter::error::BodyError;
use crate::{ExchangeId, Status};

/// The reading end.  Dropped before the body was complete, it stops the body.
pub(crate) struct ReadEnd<C: Locked> {
    pub(crate) core: Arc<C>,
    pub(crate) id: ExchangeId,
    /// What was taken from the link and not from here.
    chunk: Bytes,
    /// How the body has ended, once all of it was read.
    ended: Option<Result<(), BodyError>>,
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

    /// Whether an error was given, which is given once.
    pub(crate) fn has_failed(&self) -> bool {
        self.ended.is_some_and(|ended| ended.is_err())
    }

    /// Hands on as much of a chunk as there is room for, and keeps the rest; says how many bytes.
    pub(crate) fn hand_on(&mut self, mut chunk: Bytes, room: usize, to: impl FnOnce(&[u8])) -> usize {
        let len = chunk.len().min(room);
        to(&chunk[..len]);
        chunk.advance(len);
        self.chunk = chunk;
        len
    }

    /// Stops the body with a status of its own.
    pub(crate) fn stop(mut self, status: Status) {
        self.status = status;
    }

    pub(crate) fn set_idle(&self, idle: Option<Duration>) {
        self.core.with_link(|link, now| link.set_body_idle(now, self.id, idle));
    }
}

impl<C: Locked> Drop for ReadEnd<C> {
    fn drop(&mut self) {
        self.core.with_link(|link, _| link.drop_reader(self.id, self.status));
    }
}

/// The writing end.  Dropped before it was finished, it gives the body up.
pub(crate) struct WriteEnd<C: Locked> {
    pub(crate) core: Arc<C>,
    pub(crate) id: ExchangeId,
}

impl<C: Locked> WriteEnd<C> {
    pub(crate) fn finish(&self) -> Result<(), BodyError> {
        self.core.with_link(|link, _| link.finish_body(self.id))
    }

    pub(crate) fn reset(&self, status: Status) {
        self.core.with_link(|link, _| link.reset_body(self.id, status));
    }

    pub(crate) fn set_idle(&self, idle: Option<Duration>) {
        self.core.with_link(|link, now| link.set_body_idle(now, self.id, idle));
    }
}

impl<C: Locked> Drop for WriteEnd<C> {
    fn drop(&mut self) {
        self.core.with_link(|link, _| link.drop_writer(self.id));
    }
}
