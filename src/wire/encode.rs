//! Writing messages.  SPEC §9
//!
//! A message is a *head*, then bytes of the application's, if its type has any, and behind those a *tail*, if it has
//! one.  Requests can be written in two other parts: the deadline that is left is known only when the frame is sealed.

use crate::buffer::Buffer;
use crate::name::NAME_MAX;

use super::cbor::{Counter, Sink, Slot};
use super::message::{Continuation, Message, Point, Publication, flag, kind};

/// A message and how long it is, which is worked out once.
pub(crate) struct Measured<'a> {
    message: &'a Message<'a>,
    head: usize,
    content: &'a [u8],
    tail: usize,
}

impl<'a> Measured<'a> {
    pub(crate) fn len(&self) -> usize {
        self.head + self.content.len() + self.tail
    }

    /// Writes the message into a place of its length.
    pub(crate) fn encode_into(&self, place: &mut [u8]) {
        let mut slot = Slot::new(place);
        self.message.head(&mut slot);
        slot.put(self.content);
        if self.tail > 0 {
            self.message.tail(&mut slot);
        }
    }

    /// Appends the message to `out`, but for bytes of the application's that end it: those are what is still to be
    /// appended.
    pub(crate) fn begin(&self, out: &mut Buffer) -> &'a [u8] {
        // First its place, then what is in it: each byte appended by itself would wait for the length to be stored.
        if self.tail > 0 {
            self.encode_into(out.append(self.len()));
            return &[];
        }
        self.message.head(&mut Slot::new(out.append(self.head)));
        self.content
    }
}

impl<'a> Message<'a> {
    pub(crate) fn measured(&self) -> Measured<'_> {
        Measured {
            message: self,
            head: count(|out| self.head(out)),
            content: self.content(),
            tail: count(|out| self.tail(out)),
        }
    }

    /// How long the message is when encoded.
    pub(crate) fn encoded_len(&self) -> usize {
        self.measured().len()
    }

    fn head(&self, out: &mut impl Sink) {
        match *self {
            Self::Accept => begin(out, 1, kind::ACCEPT),
            Self::Close { status } => numbers(out, kind::CLOSE, &[status.number().into()]),
            Self::Goaway { last } => numbers(out, kind::GOAWAY, &[last]),
            Self::Ping { token } => numbers(out, kind::PING, &[token]),
            Self::Pong { token } => numbers(out, kind::PONG, &[token]),
            Self::Request { id, deadline_ms, more, method, body } => {
                request_head(id, deadline_ms, out);
                request_name(more, method, body, out);
            }
            Self::Response { id, status, more, body } => {
                let fields = [id, status.number().into(), bit(more, flag::MORE)];
                numbers_before(out, kind::RESPONSE, &fields, body);
            }
            Self::Busy { id, retry_ms } => numbers(out, kind::BUSY, &[id, retry_ms.into()]),
            Self::Cancel { id, status } => numbers(out, kind::CANCEL, &[id, status.number().into()]),
            Self::Data { id, chunk } => numbers_before(out, kind::DATA, &[id], chunk),
            Self::End { id, status } => numbers(out, kind::END, &[id, status.number().into()]),
            Self::Credit { id, limit } => numbers(out, kind::CREDIT, &[id, limit]),
            Self::Subscribe { id, limit, filter, from } => subscribe(out, id, limit, filter, from),
            Self::Publication(publication) => publication.head(out),
            Self::Continuation(Continuation { id, more, abort, chunk }) => {
                let fields = [id, bit(more, flag::MORE) | bit(abort, flag::ABORT)];
                numbers_before(out, kind::CONTINUATION, &fields, chunk);
            }
            Self::Missed { id, unknown, count } => {
                let fields = [id, bit(unknown, flag::UNKNOWN), count.into()];
                numbers(out, kind::MISSED, &fields);
            }
            Self::Ignorable => begin(out, 1, kind::PADDING),
        }
    }

    /// What stands behind the head; nothing where the type has no such field.
    fn content(&self) -> &'a [u8] {
        match *self {
            Self::Request { body, .. } | Self::Response { body, .. } => body,
            Self::Data { chunk, .. } => chunk,
            Self::Publication(Publication { chunk, .. }) => chunk,
            Self::Continuation(Continuation { chunk, .. }) => chunk,
            _ => &[],
        }
    }

    fn tail(&self, out: &mut impl Sink) {
        if let Self::Publication(Publication { total: Some(total), .. }) = *self {
            out.unsigned(total);
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

/// Writes a request behind its deadline into a place of [`request_tail_len`].
pub(crate) fn request_tail(more: bool, method: &str, body: &[u8], place: &mut [u8]) {
    let mut slot = Slot::new(place);
    request_name(more, method, body, &mut slot);
    slot.put(body);
}

/// The same up to its body.
fn request_name(more: bool, method: &str, body: &[u8], out: &mut impl Sink) {
    out.unsigned(bit(more, flag::MORE));
    out.text(method);
    out.bytes_head(body.len());
}

/// A `data` message up to its chunk.
pub(crate) fn data_head(id: u64, len: usize, out: &mut impl Sink) {
    begin(out, 3, kind::DATA);
    out.unsigned(id);
    out.bytes_head(len);
}

/// How long a request is behind its deadline.
pub(crate) fn request_tail_len(method: &str, body: &[u8]) -> usize {
    count(|out| request_name(false, method, body, out)) + body.len()
}

impl Publication<'_> {
    fn head(&self, out: &mut impl Sink) {
        self.beginning(out);
        numbered(self.point.sequence, self.chunk, out);
    }

    /// How long it is up to its number.
    #[cfg(not(target_os = "none"))]
    pub(super) fn beginning_len(&self) -> usize {
        count(|out| self.beginning(out))
    }

    /// Up to its number: the same for those of a topic that come one behind the other.
    fn beginning(&self, out: &mut impl Sink) {
        let flags = bit(self.total.is_some(), flag::MORE)
            | bit(self.unknown, flag::UNKNOWN)
            | bit(self.retained, flag::RETAINED);
        begin(out, if self.total.is_some() { 9 } else { 8 }, kind::PUBLICATION);
        out.unsigned(self.id);
        out.unsigned(self.missed.into());
        out.unsigned(flags);
        out.text(self.topic);
        out.unsigned(self.point.epoch.into());
    }
}

/// Publications of one topic into one subscription, whole and with nothing missed between: they begin alike, which is
/// encoded once.
pub(crate) struct Series {
    beginning: [u8; Self::BEGINNING_MAX],
    len: usize,
}

impl Series {
    /// Array, type, id, missed, flags, topic, epoch.
    const BEGINNING_MAX: usize = 1 + 1 + 9 + 1 + 1 + (2 + NAME_MAX) + 5;

    /// Those that are as this one but for their number and their bytes.
    pub(crate) fn new(like: &Publication<'_>) -> Self {
        let like = Publication { missed: 0, unknown: false, total: None, ..*like };
        let len = count(|out| like.beginning(out));
        let mut beginning = [0; Self::BEGINNING_MAX];
        like.beginning(&mut Slot::new(&mut beginning));
        Self { beginning, len }
    }

    /// How long the one of this number and these bytes is.
    pub(crate) fn encoded_len(&self, sequence: u64, chunk: &[u8]) -> usize {
        self.len + count(|out| numbered(sequence, chunk, out)) + chunk.len()
    }

    /// Writes it into a place of its length.
    pub(crate) fn encode_into(&self, sequence: u64, chunk: &[u8], place: &mut [u8]) {
        let mut slot = Slot::new(place);
        slot.put(self.beginning.get(..self.len).unwrap_or_default());
        numbered(sequence, chunk, &mut slot);
        slot.put(chunk);
    }
}

/// What a publication has between its topic's epoch and its bytes.
fn numbered(sequence: u64, chunk: &[u8], out: &mut impl Sink) {
    out.unsigned(sequence);
    out.bytes_head(chunk.len());
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
fn numbers(out: &mut impl Sink, kind: u8, fields: &[u64]) {
    leading(out, 0, kind, fields);
}

/// A message that is numbers, up to the bytes behind them.
fn numbers_before(out: &mut impl Sink, kind: u8, fields: &[u64], content: &[u8]) {
    leading(out, 1, kind, fields);
    out.bytes_head(content.len());
}

/// The numbers of a message that has so many elements behind them.
fn leading(out: &mut impl Sink, behind: u64, kind: u8, fields: &[u64]) {
    begin(out, 1 + fields.len() as u64 + behind, kind);
    for field in fields {
        out.unsigned(*field);
    }
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
    counter.count()
}
