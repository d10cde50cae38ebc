//! Bodies in chunks: what came of each and was not read yet, and who waits to read or to write.  SPEC §10.5

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::task::Waker;
use std::time::Duration;
use std::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::asks::keep;
use super::{Call, Link, Opening, Owed, Reply, Serve};
use crate::adapter::error::{BodyError, no_success};
use crate::adapter::host::error::Refusal;
use crate::{ExchangeId, Instant, RequestHead, SendError, Status, StopCause};

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
    /// How long nothing may move, where somebody has said so; perhaps before there was a body.
    idle: Option<Option<Duration>>,
    /// Until the handler is done.
    serving: Option<Serving>,
}

/// How far the handler of a request has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Serving {
    /// It has not begun.
    Waiting,
    Begun,
    /// It has answered with a head, and a body of which it holds the writer.
    Started,
    /// It has answered by one message.
    Sent,
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

    /// Nothing more comes of a body whose request is answered.  EXC-14
    fn end_reading(&mut self, woken: &mut Vec<Waker>) {
        self.read_end.get_or_insert(Err(BodyError::Answered));
        woken.extend(self.reader.take());
    }

    fn is_held(&self) -> bool {
        self.reading || self.writing || self.serving.is_some()
    }

    /// Whether what comes will be read.
    fn is_wanted(&self) -> bool {
        self.read_end.is_none() && (self.reading || self.serving == Some(Serving::Waiting))
    }

    /// Whether the writer was dropped before the body's end, which its handler's own end tells.
    fn was_left_unfinished(&self) -> bool {
        !self.writing && self.write_end.is_none()
    }
}

impl Streams {
    /// A request for a handler that takes bodies in chunks.
    pub(super) fn serve(&mut self, id: ExchangeId, more: bool) {
        let read_end = (!more).then_some(Ok(()));
        self.0.insert(
            id,
            Stream { read_end, theirs: true, serving: Some(Serving::Waiting), ..Stream::default() },
        );
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &ExchangeId> {
        self.0.keys()
    }

    pub(super) fn on_data(&mut self, id: ExchangeId, chunk: &[u8], cost: u32, woken: &mut Vec<Waker>) {
        let Some(stream) = self.0.get_mut(&id).filter(|stream| stream.is_wanted()) else { return };
        stream.inbox.push(chunk, cost);
        woken.extend(stream.reader.take());
    }

    pub(super) fn on_end(&mut self, id: ExchangeId, status: Status, woken: &mut Vec<Waker>) {
        let Some(stream) = self.0.get_mut(&id) else { return };
        let end = if status.is_ok() { Ok(()) } else { Err(BodyError::Status(status)) };
        stream.read_end.get_or_insert(end);
        woken.extend(stream.reader.take());
        if !stream.theirs {
            // The exchange is over with this.  EXC-14
            stream.write_end.get_or_insert(BodyError::Answered);
            woken.extend(stream.writer.take());
        }
    }

    pub(super) fn on_stopped(&mut self, id: ExchangeId, status: Status, woken: &mut Vec<Waker>) {
        let Some(stream) = self.0.get_mut(&id) else { return };
        let stopped = BodyError::Status(no_success(status));
        stream.write_end.get_or_insert(stopped);
        woken.extend(stream.writer.take());
    }

    pub(super) fn fail(&mut self, id: ExchangeId, error: BodyError, woken: &mut Vec<Waker>) {
        if let Some(stream) = self.0.get_mut(&id) {
            stream.end_both(error, woken);
        }
    }

    /// The peer asks to stop, or was answered in the handler's place.
    pub(super) fn on_stop(&mut self, id: ExchangeId, cause: StopCause, woken: &mut Vec<Waker>) {
        let error = match cause {
            StopCause::Cancel(Status::CANCELLED) => BodyError::Cancelled,
            StopCause::Cancel(Status::OK) => BodyError::Cancelled,
            StopCause::Cancel(status) => BodyError::Status(status),
            StopCause::Deadline => BodyError::DeadlinePassed,
            StopCause::Stalled => BodyError::Stalled,
        };
        self.fail(id, error, woken);
        // Answered before a handler has begun: none need be told, and blocking ones never begin.
        let answered = !matches!(cause, StopCause::Cancel(_));
        if answered && self.0.get(&id).is_some_and(|stream| stream.serving == Some(Serving::Waiting)) {
            self.0.remove(&id);
        }
    }

    /// The connection has ended.
    pub(super) fn end(&mut self, woken: &mut Vec<Waker>) {
        // Those for which no handler has begun: none will.
        self.0.retain(|_, stream| stream.serving != Some(Serving::Waiting));
        for stream in self.0.values_mut() {
            stream.end_both(BodyError::Disconnected, woken);
        }
    }
}

impl<H: Serve> Link<H> {
    /// Opens a request whose bodies may go on, and which is over by `until`; [`Link::poll_answer`] gives the head of the
    /// reply.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        method: &str,
        body: &[u8],
        more: bool,
        until: Option<Instant>,
    ) -> Result<ExchangeId, SendError> {
        let deadline = until.map(|until| until.saturating_since(now));
        let id = self.connection.open(now, &RequestHead { method, body, more, deadline })?;
        self.calls.insert(id, Call::Waiting(None));
        self.streams.0.insert(id, Stream { reading: true, writing: more, ..Stream::default() });
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
        let Some(stream) = self.streams.0.get_mut(&id) else { return Some(Err(BodyError::Cancelled)) };
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
        let Some(stream) = self.streams.0.get_mut(&id) else { return Some(Err(BodyError::Cancelled)) };
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
        let Some(stream) = self.streams.0.get_mut(&id) else { return Err(BodyError::Cancelled) };
        match stream.write_end {
            Some(BodyError::Finished) => return Ok(()),
            Some(error) => return Err(error),
            None => {}
        }
        self.connection.finish(id).map_err(|_| BodyError::Disconnected)?;
        stream.write_end = Some(BodyError::Finished);
        if stream.theirs {
            // The answer is complete with this: what of the request's body has not come yet may never come, and the
            // caller, which may have to read before it writes on, is told.
            if stream.read_end.is_none() {
                let _ended = self.connection.cancel_with(id, Status::CANCELLED);
            }
            stream.end_reading(&mut self.woken);
        }
        Ok(())
    }

    /// Gives this side's body up, and wakes who may be writing it.
    pub(crate) fn reset_body(&mut self, id: ExchangeId, status: Status) {
        if let Some(stream) = self.streams.0.get_mut(&id) {
            stream.write_end.get_or_insert(BodyError::Cancelled);
            self.woken.extend(stream.writer.take());
        }
        // Refused where it has ended.
        let _ended = self.connection.reset(id, no_success(status));
    }

    /// How long nothing of the exchange's bodies may move.
    pub(crate) fn set_body_idle(&mut self, now: Instant, id: ExchangeId, idle: Option<Duration>) {
        if let Some(stream) = self.streams.0.get_mut(&id) {
            stream.idle = Some(idle);
        }
        // Refused where the exchange has ended.
        let _ended = self.connection.set_body_idle(now, id, idle);
    }

    /// Nobody reads the other side's body any more: a request of ours is cancelled, of theirs its body is stopped.
    pub(crate) fn drop_reader(&mut self, id: ExchangeId, status: Status) {
        let Some(stream) = self.streams.0.get_mut(&id) else { return };
        stream.reading = false;
        stream.inbox = Chunks::default();
        if stream.read_end.is_none() {
            // Refused where it has just ended.
            let _ended = self.connection.cancel_with(id, no_success(status));
        }
        self.calls.remove(id);
        self.forget_stream(id);
    }

    /// Nobody writes this side's body any more.  While a handler is at work, its own end says why; see
    /// [`conclude`](Self::conclude).
    pub(crate) fn drop_writer(&mut self, id: ExchangeId) {
        let Some(stream) = self.streams.0.get_mut(&id) else { return };
        stream.writing = false;
        if stream.write_end.is_none() && stream.serving.is_none() {
            self.reset_body(id, Status::CANCELLED);
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
            (stream.serving, stream.reading) = (Some(Serving::Begun), true);
        }
    }

    /// Answers a request with a body that goes on, which the caller then writes; where there is no room yet, `waker`
    /// is kept.
    pub(crate) fn poll_start(
        &mut self,
        now: Instant,
        id: ExchangeId,
        head: &[u8],
        place: &mut Option<u64>,
        waker: &Waker,
    ) -> Option<Result<(), BodyError>> {
        if let Some(error) = self.streams.0.get(&id).and_then(|stream| stream.write_end) {
            return Some(Err(error));
        }
        let started = self.poll_open(Opening::Reply, place, waker, |link| {
            link.start_reply(now, id, head)?;
            Ok(id)
        })?;
        Some(started.map(drop).map_err(|refused| match refused {
            SendError::TooLarge { .. } => BodyError::TooLarge,
            SendError::UnknownExchange => BodyError::Cancelled,
            _ => BodyError::Disconnected,
        }))
    }

    fn start_reply(&mut self, now: Instant, id: ExchangeId, head: &[u8]) -> Result<(), SendError> {
        // Who took the responder out of its handler may be too late.
        let begun = |stream: &&mut Stream| stream.serving == Some(Serving::Begun);
        let stream = self.streams.0.get_mut(&id).filter(begun).ok_or(SendError::UnknownExchange)?;
        self.connection.respond_more(now, id, head)?;
        (stream.serving, stream.writing) = (Some(Serving::Started), true);
        if let Some(idle) = stream.idle {
            let _goes_on = self.connection.set_body_idle(now, id, idle);
        }
        Ok(())
    }

    /// Answers a request whose handler takes bodies in chunks, without one.  Gives back the reply's bytes, as `respond` does.
    pub(crate) fn send_reply(&mut self, id: ExchangeId, reply: Bytes) -> Option<Bytes> {
        let stream = self.streams.0.get_mut(&id).filter(|stream| stream.serving == Some(Serving::Begun));
        let Some(stream) = stream else { return Some(reply) };
        stream.serving = Some(Serving::Sent);
        stream.end_reading(&mut self.woken);
        self.owe(Owed::Response(id, Status::OK, reply))
    }

    /// The same where it fits into a frame, else `false`: then it goes in chunks.
    pub(crate) fn send_whole(&mut self, id: ExchangeId, reply: &Bytes) -> bool {
        let stream = self.streams.0.get_mut(&id).filter(|stream| stream.serving == Some(Serving::Begun));
        let Some(stream) = stream else { return true };
        match self.connection.respond(id, Status::OK, reply) {
            Err(SendError::TooLarge { .. }) => return false,
            Err(SendError::Full) => self.owed.push(Owed::Response(id, Status::OK, reply.clone())),
            // Or nobody waits any more.
            _ => {}
        }
        stream.serving = Some(Serving::Sent);
        stream.end_reading(&mut self.woken);
        true
    }

    /// Whether the handler of a request that takes bodies in chunks has given all of its answer.
    pub(crate) fn has_answered(&self, id: ExchangeId) -> bool {
        let finished = |stream: &Stream| stream.write_end == Some(BodyError::Finished);
        let answered = |stream: &Stream| stream.serving == Some(Serving::Sent) || finished(stream);
        self.streams.0.get(&id).is_some_and(answered)
    }

    /// The handler of such a request is done; gives back what is still to be answered.
    pub(super) fn conclude(&mut self, id: ExchangeId, reply: Reply) -> Option<Reply> {
        let stream = self.streams.0.get_mut(&id);
        let Some((serving, stream)) = stream.and_then(|stream| Some((stream.serving.take()?, stream))) else {
            return Some(reply);
        };
        let owed = match (serving, reply) {
            (Serving::Sent, _) => None,
            (Serving::Started, reply) => {
                let unfinished = stream.was_left_unfinished();
                let failed = reply.as_ref().err().filter(|_| stream.write_end.is_none());
                if unfinished || failed.is_some() {
                    self.reset_body(id, failed.map_or(Status::CANCELLED, |refusal| status_of(*refusal)));
                }
                None
            }
            (Serving::Begun | Serving::Waiting, reply) => {
                stream.end_reading(&mut self.woken);
                Some(reply.and(Err(Status::FAILED.into())))
            }
        };
        self.forget_stream(id);
        owed
    }
}

/// What the end of a body says of a handler's error.
fn status_of(refusal: Refusal) -> Status {
    match refusal {
        Refusal::Busy(_) => Status::UNAVAILABLE,
        Refusal::Status(status) => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it holds of the heap, and a bound for what each entry needs beside its bytes.
    fn weight(chunks: &Chunks) -> usize {
        let whole: usize = chunks.whole.iter().map(|(chunk, _)| chunk.len()).sum();
        whole + chunks.whole.capacity() * size_of::<(Bytes, u32)>() + chunks.tail.capacity()
    }

    /// Sentence 4: whatever chunks a peer makes of its credit, they take little more than that.
    #[test]
    fn chunks_of_any_length_weigh_little_more_than_their_cost() {
        for len in [0, 1, 2, 100, SMALL - 1, SMALL, JOINED] {
            let (mut chunks, chunk, mut spent) = (Chunks::default(), std::vec![7; len], 0);
            let cost = len as u32 + 6;
            while spent < 256 * 1024 {
                chunks.push(&chunk, cost);
                spent += cost;
            }
            assert!(weight(&chunks) < 300_000 + 2 * JOINED, "{len}: {}", weight(&chunks));
            let (mut bytes, mut released) = (0, 0);
            while let Some((chunk, cost)) = chunks.pop() {
                bytes += chunk.len();
                released += cost;
            }
            assert_eq!((bytes, released), ((spent / cost) as usize * len, spent), "{len}: all of it, once");
        }
    }

    /// The order stays where small ones and long ones take turns.
    #[test]
    fn joined_chunks_keep_their_order() {
        let mut chunks = Chunks::default();
        let parts = [1, SMALL, 0, 3, SMALL, SMALL + 1, 0, 2];
        let mut expected = Vec::new();
        for (part, len) in (0..).zip(parts) {
            let chunk = std::vec![part; len];
            chunks.push(&chunk, 1);
            expected.extend_from_slice(&chunk);
        }
        let (mut heard, mut released) = (Vec::new(), 0);
        while let Some((chunk, cost)) = chunks.pop() {
            heard.extend_from_slice(&chunk);
            released += cost;
        }
        assert!(heard == expected);
        assert_eq!(released, 8);
    }
}
