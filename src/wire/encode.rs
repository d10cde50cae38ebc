//! Writing messages.  SPEC §9
//!
//! Requests can be written in two parts: what the *head* holds, the deadline that is left, is known only when the
//! frame is sealed.

use alloc::vec::Vec;

use super::cbor::{Counter, Short, Sink};
use super::message::{Continuation, Message, Point, Publication, flag, kind};
use crate::name::NAME_MAX;

impl Message<'_> {
    /// Appends the message to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.write(out);
    }

    /// How long the message is when encoded.
    pub(crate) fn encoded_len(&self) -> usize {
        count(|out| self.write(out))
    }

    fn write(&self, out: &mut impl Sink) {
        match *self {
            Self::Accept => begin(out, 1, kind::ACCEPT),
            Self::Close { status } => numbers(out, kind::CLOSE, [status.number().into()]),
            Self::Goaway { last } => numbers(out, kind::GOAWAY, [last]),
            Self::Ping { token } => numbers(out, kind::PING, [token]),
            Self::Pong { token } => numbers(out, kind::PONG, [token]),
            Self::Request { id, deadline_ms, more, method, body } => {
                request_head(id, deadline_ms, out);
                request_tail(more, method, body, out);
            }
            Self::Response { id, status, more, body } => {
                let fields = [id, status.number().into(), bit(more, flag::MORE)];
                numbers_and_bytes(out, kind::RESPONSE, fields, body);
            }
            Self::Busy { id, retry_ms } => numbers(out, kind::BUSY, [id, retry_ms.into()]),
            Self::Cancel { id, status } => numbers(out, kind::CANCEL, [id, status.number().into()]),
            Self::Data { id, chunk } => numbers_and_bytes(out, kind::DATA, [id], chunk),
            Self::End { id, status } => numbers(out, kind::END, [id, status.number().into()]),
            Self::Credit { id, limit } => numbers(out, kind::CREDIT, [id, limit]),
            Self::Subscribe { id, limit, filter, from } => subscribe(out, id, limit, filter, from),
            Self::Publication(publication) => Encoded::publication(&publication).write(out),
            Self::Continuation(continuation) => Encoded::continuation(&continuation).write(out),
            Self::Missed { id, unknown, count } => {
                let fields = [id, bit(unknown, flag::UNKNOWN), count.into()];
                numbers(out, kind::MISSED, fields);
            }
            Self::Ignorable => begin(out, 1, kind::PADDING),
        }
    }
}

/// How long a request is at most up to its deadline: array, type, id, deadline.
pub(crate) const REQUEST_HEAD_MAX: usize = 1 + 1 + 9 + 5;

/// A request up to its deadline.
pub(crate) fn request_head(id: u64, deadline_ms: u32, out: &mut impl Sink) {
    begin(out, 6, kind::REQUEST);
    out.unsigned(id);
    out.unsigned(deadline_ms.into());
}

/// A request behind its deadline.
pub(crate) fn request_tail(more: bool, method: &str, body: &[u8], out: &mut impl Sink) {
    out.unsigned(bit(more, flag::MORE));
    out.text(method);
    out.bytes(body);
}

/// A `data` message up to its chunk.
pub(crate) fn data_head(id: u64, len: usize, out: &mut impl Sink) {
    begin(out, 3, kind::DATA);
    out.unsigned(id);
    out.head(2, len as u64);
}

/// How long a request is at most, whatever its id and deadline.
pub(crate) fn request_len_max(method: &str, body: &[u8]) -> usize {
    REQUEST_HEAD_MAX + count(|out| request_tail(false, method, body, out))
}

/// A message with a body, encoded but for that: how long it is is known then, and it need not be worked out twice.
pub(crate) struct Encoded<'a> {
    head: Short<HEAD_MAX>,
    chunk: &'a [u8],
    tail: Short<NUMBER_MAX>,
}

const NUMBER_MAX: usize = 9;
/// How long a publication is at most up to its body: array and type, id, missed, flags, topic, point, and a length.
const HEAD_MAX: usize = 2 + NUMBER_MAX + 5 + 1 + (2 + NAME_MAX) + (5 + NUMBER_MAX) + NUMBER_MAX;

impl<'a> Encoded<'a> {
    pub(crate) fn publication(publication: &Publication<'a>) -> Self {
        let Publication { id, missed, unknown, retained, topic, point, chunk, total } = *publication;
        let flags =
            bit(total.is_some(), flag::MORE) | bit(unknown, flag::UNKNOWN) | bit(retained, flag::RETAINED);
        let (mut head, mut tail) = (Short::default(), Short::default());
        begin(&mut head, if total.is_some() { 9 } else { 8 }, kind::PUBLICATION);
        head.unsigned(id);
        head.unsigned(missed.into());
        head.unsigned(flags);
        head.text(topic);
        head.unsigned(point.epoch.into());
        head.unsigned(point.sequence);
        head.head(2, chunk.len() as u64);
        if let Some(total) = total {
            tail.unsigned(total);
        }
        Self { head, chunk, tail }
    }

    pub(crate) fn continuation(continuation: &Continuation<'a>) -> Self {
        let Continuation { id, more, abort, chunk } = *continuation;
        let mut head = Short::default();
        begin(&mut head, 4, kind::CONTINUATION);
        head.unsigned(id);
        head.unsigned(bit(more, flag::MORE) | bit(abort, flag::ABORT));
        head.head(2, chunk.len() as u64);
        Self { head, chunk, tail: Short::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.head.bytes().len() + self.chunk.len() + self.tail.bytes().len()
    }

    pub(crate) fn write(&self, out: &mut impl Sink) {
        out.put(self.head.bytes());
        out.put(self.chunk);
        if !self.tail.bytes().is_empty() {
            out.put(self.tail.bytes());
        }
    }
}

fn subscribe(out: &mut impl Sink, id: u64, limit: u64, filter: &str, from: Option<Point>) {
    begin(out, if from.is_some() { 6 } else { 4 }, kind::SUBSCRIBE);
    out.unsigned(id);
    out.unsigned(limit);
    out.text(filter);
    if let Some(Point { epoch, sequence }) = from {
        out.unsigned(epoch.into());
        out.unsigned(sequence);
    }
}

/// A message that is nothing but numbers.
fn numbers<const N: usize>(out: &mut impl Sink, kind: u8, fields: [u64; N]) {
    begin(out, 1 + N as u64, kind);
    for field in fields {
        out.unsigned(field);
    }
}

/// A message that is numbers, and bytes at its end.
fn numbers_and_bytes<const N: usize>(out: &mut impl Sink, kind: u8, fields: [u64; N], content: &[u8]) {
    begin(out, 2 + N as u64, kind);
    for field in fields {
        out.unsigned(field);
    }
    out.bytes(content);
}

fn begin(out: &mut impl Sink, elements: u64, kind: u8) {
    out.array(elements);
    out.unsigned(kind.into());
}

fn bit(set: bool, flag: u8) -> u64 {
    if set { flag.into() } else { 0 }
}

/// How long a byte string may be that adds at most `room` bytes to a message in which it is empty.
pub(crate) fn bytes_within(room: usize) -> usize {
    let heads = [(0, 23), (1, 0xff), (2, 0xffff), (4, u32::MAX as usize)];
    heads.into_iter().map(|(head, most)| room.saturating_sub(head).min(most)).max().unwrap_or(0)
}

fn count(write: impl FnOnce(&mut Counter)) -> usize {
    let mut counter = Counter::default();
    write(&mut counter);
    counter.0
}
