//! Bodies in chunks: what came of each and was not read yet, and who waits to read or to write.  SPEC §10.5

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::task::Waker;
use std::time::Duration;
use std::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::asks::keep;
use super::{Call, Link, Owed, Reply, Serve};
use crate::adapter::error::{BodyError, Refusal};
use crate::{ExchangeId, Instant, RequestHead, SendError, Status};

/// Chunks below this are joined, so that many small ones cost no more memory than their bytes.
const SMALL: usize = 2 * 1024;
/// How long joined ones become.
const JOINED: usize = 16 * 1024;

/// The exchanges with bodies in chunks whose ends somebody holds here.
#[derive(Debug, Default)]
pub(super) struct Streams(HashMap<ExchangeId, Stream>);

/// Both bodies of one exchange.
#[derive(Debug, Default)]
struct Stream {
    inbox: Chunks,
    /// How the other side's body has ended.
    read_end: Option<Result<(), BodyError>>,
    /// Why nothing more can be written.
    write_end: Option<BodyError>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Whether somebody holds that end.
    reading: bool,
    writing: bool,
    theirs: bool,
    /// A handler is at work; whether it has answered.
    serving: Option<bool>,
}

/// What came and was not read yet; bounded by the credit that this side gave.
#[derive(Debug, Default)]
struct Chunks {
    whole: VecDeque<(Bytes, u32)>,
    /// Small ones, joined; empty ones leave nothing but their cost.
    tail: BytesMut,
    tail_cost: u32,
}

impl Chunks {
    fn push(&mut self, chunk: &[u8], cost: u32) {
        if chunk.len() < SMALL {
            if self.tail.len() + chunk.len() > JOINED {
                self.close_tail();
            }
            self.tail.extend_from_slice(chunk);
            self.tail_cost = self.tail_cost.saturating_add(cost);
            return;
        }
        self.close_tail();
        self.whole.push_back((Bytes::copy_from_slice(chunk), cost));
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.whole.push_back((self.tail.split().freeze(), mem::take(&mut self.tail_cost)));
        }
    }

    /// The next bytes, none where only empty chunks came, and what they cost.
    fn pop(&mut self) -> Option<(Bytes, u32)> {
        self.whole.pop_front().or_else(|| {
            let cost = mem::take(&mut self.tail_cost);
            (cost > 0).then(|| (self.tail.split().freeze(), cost))
        })
    }
}

impl Stream {
    fn end_both(&mut self, error: BodyError, woken: &mut Vec<Waker>) {
        self.read_end.get_or_insert(Err(error));
        self.write_end.get_or_insert(error);
        woken.extend(self.reader.take());
        woken.extend(self.writer.take());
    }

    fn is_held(&self) -> bool {
        self.reading || self.writing || self.serving.is_some()
    }
}

impl Streams {
    /// A request for a handler that takes bodies in chunks.
    pub(super) fn serve(&mut self, id: ExchangeId, more: bool) {
        let read_end = (!more).then_some(Ok(()));
        self.0.insert(id, Stream { read_end, theirs: true, serving: Some(false), ..Stream::default() });
    }

    pub(super) fn on_data(&mut self, id: ExchangeId, chunk: &[u8], cost: u32, woken: &mut Vec<Waker>) {
        let Some(stream) = self.0.get_mut(&id).filter(|stream| stream.is_held()) else { return };
        stream.inbox.push(chunk, cost);
        woken.extend(stream.reader.take());
    }

    pub(super) fn on_end(&mut self, id: ExchangeId, status: Status, woken: &mut Vec<Waker>) {
        let Some(stream) = self.0.get_mut(&id) else { return };
        stream.read_end.get_or_insert(if status.is_ok() { Ok(()) } else { Err(BodyError::Status(status)) });
        woken.extend(stream.reader.take());
        if !stream.theirs {
            // The exchange is over with this.  EXC-14
            stream.write_end.get_or_insert(BodyError::Answered);
            woken.extend(stream.writer.take());
        }
    }

    pub(super) fn on_stopped(&mut self, id: ExchangeId, status: Status, woken: &mut Vec<Waker>) {
        let Some(stream) = self.0.get_mut(&id) else { return };
        stream.write_end.get_or_insert(BodyError::Status(status));
        woken.extend(stream.writer.take());
    }

    pub(super) fn fail(&mut self, id: ExchangeId, error: BodyError, woken: &mut Vec<Waker>) {
        if let Some(stream) = self.0.get_mut(&id) {
            stream.end_both(error, woken);
        }
    }

    /// The peer has been answered: where no handler has begun, none needs to know of it.
    pub(super) fn void(&mut self, id: ExchangeId) {
        if self.0.get(&id).is_some_and(|stream| !stream.reading && !stream.writing) {
            self.0.remove(&id);
        }
    }

    /// The connection has ended.
    pub(super) fn end(&mut self, woken: &mut Vec<Waker>) {
        for stream in self.0.values_mut() {
            stream.end_both(BodyError::Disconnected, woken);
        }
    }
}

impl<H: Serve> Link<H> {
    /// Opens a request whose bodies may go on; [`Link::poll_answer`] gives the head of the reply.
    pub(crate) fn open(&mut self, now: Instant, head: &RequestHead<'_>) -> Result<ExchangeId, SendError> {
        let id = self.connection.open(now, head)?;
        self.calls.insert(id, Call::Waiting(None));
        self.streams.0.insert(id, Stream { reading: true, writing: head.more, ..Stream::default() });
        Ok(id)
    }

    /// Wakes those whose bodies have room again.
    pub(super) fn wake_writers(&mut self) {
        while let Some(id) = self.connection.poll_writable() {
            if let Some(stream) = self.streams.0.get_mut(&id) {
                self.woken.extend(stream.writer.take());
            }
        }
    }

    // What readers and writers ask

    /// The next bytes of the other side's body, which frees their credit; `Some(Ok(None))` where it is complete;
    /// until then `waker` is kept.
    pub(crate) fn poll_chunk(
        &mut self,
        id: ExchangeId,
        waker: &Waker,
    ) -> Option<Result<Option<Bytes>, BodyError>> {
        let Some(stream) = self.streams.0.get_mut(&id) else { return Some(Err(BodyError::Disconnected)) };
        while let Some((chunk, cost)) = stream.inbox.pop() {
            // Refused where the body has ended, which needs no credit.
            let _released = self.connection.release(id, cost);
            if !chunk.is_empty() {
                return Some(Ok(Some(chunk)));
            }
        }
        if let Some(end) = stream.read_end {
            return Some(end.map(|()| None));
        }
        keep(&mut stream.reader, waker);
        None
    }

    /// Appends to this side's body; where there is no room, `waker` is kept.
    pub(crate) fn poll_write(
        &mut self,
        id: ExchangeId,
        bytes: &[u8],
        waker: &Waker,
    ) -> Option<Result<usize, BodyError>> {
        let Some(stream) = self.streams.0.get_mut(&id) else { return Some(Err(BodyError::Disconnected)) };
        if let Some(error) = stream.write_end {
            return Some(Err(error));
        }
        match self.connection.write(id, bytes) {
            Ok(taken) => Some(Ok(taken)),
            Err(SendError::Full) => {
                keep(&mut stream.writer, waker);
                None
            }
            // It is closing.
            Err(_) => Some(Err(BodyError::Disconnected)),
        }
    }

    /// Ends this side's body as complete.
    pub(crate) fn finish_body(&mut self, id: ExchangeId) -> Result<(), BodyError> {
        let Some(stream) = self.streams.0.get_mut(&id) else { return Err(BodyError::Disconnected) };
        match stream.write_end {
            Some(BodyError::Finished) => return Ok(()),
            Some(error) => return Err(error),
            None => {}
        }
        self.connection.finish(id).map_err(|_| BodyError::Disconnected)?;
        stream.write_end = Some(BodyError::Finished);
        Ok(())
    }

    /// Gives this side's body up.
    pub(crate) fn reset_body(&mut self, id: ExchangeId, status: Status) {
        if let Some(stream) = self.streams.0.get_mut(&id) {
            stream.write_end.get_or_insert(BodyError::Cancelled);
        }
        // Refused where it has ended.
        let _ended = self.connection.reset(id, status);
    }

    /// How long nothing of the exchange's bodies may move.
    pub(crate) fn set_body_idle(&mut self, now: Instant, id: ExchangeId, idle: Option<Duration>) {
        // Refused where the exchange has ended.
        let _ended = self.connection.set_body_idle(now, id, idle);
    }

    /// Nobody reads the other side's body any more: a request of ours is cancelled, of theirs its body is stopped.
    pub(crate) fn drop_reader(&mut self, id: ExchangeId, status: Status) {
        let Some(stream) = self.streams.0.get_mut(&id) else { return };
        stream.reading = false;
        stream.inbox = Chunks::default();
        if stream.read_end.is_none() {
            let _ended = self.connection.cancel_with(id, status);
        }
        self.calls.remove(&id);
        self.forget_stream(id);
    }

    /// Nobody writes this side's body any more.
    pub(crate) fn drop_writer(&mut self, id: ExchangeId) {
        let Some(stream) = self.streams.0.get_mut(&id) else { return };
        stream.writing = false;
        if stream.write_end.is_none() {
            let _ended = self.connection.reset(id, Status::CANCELLED);
        }
        self.forget_stream(id);
    }

    fn forget_stream(&mut self, id: ExchangeId) {
        if self.streams.0.get(&id).is_some_and(|stream| !stream.is_held()) {
            self.streams.0.remove(&id);
        }
    }

    // What handlers answer

    /// A handler begins, and holds the reader.
    pub(crate) fn begin_serving(&mut self, id: ExchangeId) {
        if let Some(stream) = self.streams.0.get_mut(&id) {
            stream.reading = true;
        }
    }

    /// Answers a request with a body that goes on, which the caller then writes.
    pub(crate) fn start_reply(&mut self, now: Instant, id: ExchangeId, head: &[u8]) -> Result<(), SendError> {
        self.connection.respond_more(now, id, head)?;
        if let Some(stream) = self.streams.0.get_mut(&id) {
            (stream.serving, stream.writing) = (stream.serving.map(|_| true), true);
        }
        Ok(())
    }

    /// Answers a request whose handler takes bodies in chunks, without one.
    pub(crate) fn send_reply(&mut self, id: ExchangeId, reply: Bytes) {
        if let Some(stream) = self.streams.0.get_mut(&id) {
            stream.serving = stream.serving.map(|_| true);
        }
        self.owe(Owed::Response(id, Status::OK, reply));
    }

    /// The handler of such a request is done; gives back what is still to be answered.
    pub(super) fn conclude(&mut self, id: ExchangeId, reply: Reply) -> Option<Reply> {
        let Some(answered) = self.streams.0.get_mut(&id).and_then(|stream| stream.serving.take()) else {
            return Some(reply);
        };
        self.forget_stream(id);
        match reply {
            Ok(_) if answered => None,
            Ok(_) => Some(Err(Status::FAILED.into())),
            Err(refusal) if answered => {
                let status = match refusal {
                    Refusal::Busy(_) => Status::UNAVAILABLE,
                    Refusal::Status(status) => status,
                };
                // Refused where its body has ended.
                let _ended = self.connection.reset(id, status);
                None
            }
            Err(refusal) => Some(Err(refusal)),
        }
    }
}
