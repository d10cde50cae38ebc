//! Messages, and reading them.  SPEC §8.2, §9

use super::cbor::{self, EncodingError, Item};
use crate::name::NAME_MAX;
use crate::status::Status;

/// The numbers of the types.  SPEC §9
pub(super) mod kind {
    pub(in crate::wire) const ACCEPT: u8 = 0;
    pub(in crate::wire) const CLOSE: u8 = 1;
    pub(in crate::wire) const GOAWAY: u8 = 2;
    pub(in crate::wire) const PING: u8 = 3;
    pub(in crate::wire) const PONG: u8 = 4;
    pub(in crate::wire) const REQUEST: u8 = 5;
    pub(in crate::wire) const RESPONSE: u8 = 6;
    pub(in crate::wire) const BUSY: u8 = 7;
    pub(in crate::wire) const CANCEL: u8 = 8;
    pub(in crate::wire) const DATA: u8 = 9;
    pub(in crate::wire) const END: u8 = 10;
    pub(in crate::wire) const CREDIT: u8 = 11;
    pub(in crate::wire) const SUBSCRIBE: u8 = 12;
    pub(in crate::wire) const PUBLICATION: u8 = 13;
    pub(in crate::wire) const CONTINUATION: u8 = 14;
    pub(in crate::wire) const MISSED: u8 = 15;
    pub(in crate::wire) const PADDING: u8 = 20;
    /// The last of the types that a receiver ignores where it does not know them.
    pub(in crate::wire) const IGNORABLE_LAST: u8 = 23;
}

/// The head of an array of so many.
#[cfg(not(target_os = "none"))]
const EIGHT_ELEMENTS: u8 = 0x88;

/// The bits of the `flags` fields.  SPEC §9
pub(super) mod flag {
    pub(in crate::wire) const MORE: u8 = 0x01;
    pub(in crate::wire) const UNKNOWN: u8 = 0x02;
    pub(in crate::wire) const ABORT: u8 = 0x02;
    pub(in crate::wire) const RETAINED: u8 = 0x04;
}

/// A place in the publications of one topic: which numbering, and which number in it.  SPEC §14.2
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Point {
    /// Drawn at random each time the publisher's numbering begins anew.
    pub epoch: u32,
    /// The number of the publication, from 0.
    pub sequence: u64,
}

impl Point {
    /// A point in no publisher's numbering: whoever goes on from there gets all that a topic still has, and is told that
    /// something may be missing.  For those who resume and had nothing yet.  SPEC §14.4 PUB-5
    ///
    /// (A publisher whose epoch happens to be 0, one in four thousand millions, takes it for its own first one.)
    pub const START: Self = Self { epoch: 0, sequence: 0 };
}

/// Why bytes are not a message.  Each one ends the connection with `violation`.  SPEC §8
///
/// `message` is the number of a type, `field` the place of an element in its array, where the type is 0.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// It is not CBOR as this protocol encodes it.  SPEC §8.1
    #[error("bad encoding: {0}")]
    Encoding(#[from] EncodingError),
    /// The message ends before this field.  SPEC §8.2, and §9 for half a point in a subscribe
    #[error("message of type {message} lacks field {field}")]
    MissingField {
        /// The type of the message.
        message: u8,
        /// Where the field should stand.
        field: u8,
    },
    /// A method, topic or filter has more than 128 bytes.  SPEC §13
    #[error("message of type {message} holds a name of more than 128 bytes")]
    NameTooLong {
        /// The type of the message.
        message: u8,
    },
    /// It is not an array whose first element is an unsigned integer.  SPEC §8.2
    #[error("not a message")]
    NotAMessage,
    /// A number is too large for this field.  SPEC §8.2
    #[error("message of type {message} has field {field} out of range")]
    OutOfRange {
        /// The type of the message.
        message: u8,
        /// Where the field stands.
        field: u8,
    },
    /// A flag is set that this type does not have.  SPEC §8.2
    #[error("message of type {message} has undefined flags")]
    UndefinedFlags {
        /// The type of the message.
        message: u8,
    },
    /// A type that version 1 neither knows nor ignores.  SPEC §8.2
    #[error("unknown message type {0}")]
    UnknownType(u64),
    /// This field is of another type.  SPEC §8.2
    #[error("message of type {message} has field {field} of another type")]
    WrongType {
        /// The type of the message.
        message: u8,
        /// Where the field stands.
        field: u8,
    },
}

/// One message.  Names in it are no longer than they may be, and not checked otherwise.  SPEC §9
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Message<'a> {
    Accept,
    Close {
        status: Status,
    },
    Goaway {
        last: u64,
    },
    Ping {
        token: u64,
    },
    Pong {
        token: u64,
    },
    Request {
        id: u64,
        deadline_ms: u32,
        more: bool,
        method: &'a str,
        body: &'a [u8],
    },
    Response {
        id: u64,
        status: Status,
        more: bool,
        body: &'a [u8],
    },
    Busy {
        id: u64,
        retry_ms: u32,
    },
    Cancel {
        id: u64,
        status: Status,
    },
    Data {
        id: u64,
        chunk: &'a [u8],
    },
    End {
        id: u64,
        status: Status,
    },
    Credit {
        id: u64,
        limit: u64,
    },
    Subscribe {
        id: u64,
        limit: u64,
        filter: &'a str,
        from: Option<Point>,
    },
    Publication(Publication<'a>),
    Continuation(Continuation<'a>),
    Missed {
        id: u64,
        unknown: bool,
        count: u32,
    },
    /// Any of the types 20 to 23, whatever is in it.  It is sent as an empty padding.
    Ignorable,
}

/// A publication, or the first part of one.  SPEC §9
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Publication<'a> {
    pub(crate) id: u64,
    pub(crate) missed: u32,
    pub(crate) unknown: bool,
    pub(crate) retained: bool,
    pub(crate) topic: &'a str,
    pub(crate) point: Point,
    pub(crate) chunk: &'a [u8],
    /// The length of the whole body, where it goes on in continuations: the flag `more` is this being there.
    pub(crate) total: Option<u64>,
}

/// The next part of a publication, or its end.  SPEC §14.5
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Continuation<'a> {
    pub(crate) id: u64,
    pub(crate) more: bool,
    pub(crate) abort: bool,
    pub(crate) chunk: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the first message of `bytes`, and tells how long it is.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<(Self, usize), WireError> {
        #[cfg(not(target_os = "none"))] // where flash is scarce, the way that all take will do
        if let Some((publication, len)) = Publication::decode_whole(bytes) {
            return Ok((Self::Publication(publication), len));
        }
        if let Some(whole) = Self::decode_whole(bytes) {
            return Ok(whole);
        }
        let len = cbor::item_len(bytes)?; // SPEC §8.1 (ENC-1): all of it, also what is ignored below
        let mut fields = Self::begin(bytes)?;
        // Elements behind those that are read are never looked at again: SPEC §8.2 (ENC-3)
        let message = Self::read(&mut fields);
        fields.error.map_or(Ok((message, len)), Err)
    }

    /// A message of which each element is read, which most are: each byte is looked at once.  `None` leaves it to `decode`
    /// to say what the others are.
    pub(super) fn decode_whole(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let mut fields = Self::begin(bytes).ok()?;
        let message = Self::read(&mut fields);
        let whole = fields.is_empty() && fields.error.is_none();
        whole.then(|| (message, bytes.len() - fields.rest.len()))
    }

    /// The head of a message.
    fn begin(bytes: &'a [u8]) -> Result<Fields<'a>, WireError> {
        let (Item::Array(elements @ 1..), rest) = cbor::read(bytes)? else {
            return Err(WireError::NotAMessage); // SPEC §8.2
        };
        let Some((number, rest)) = cbor::read_unsigned(rest) else {
            cbor::read(rest)?;
            return Err(WireError::NotAMessage); // SPEC §8.2
        };
        let message = u8::try_from(number).map_err(|_| WireError::UnknownType(number))?;
        Ok(Fields { rest, elements, message, field: 1, error: None })
    }

    /// A struct's fields are evaluated in the order in which they are written, which is that of SPEC §9.
    fn read(f: &mut Fields<'a>) -> Self {
        match f.message {
            kind::ACCEPT => Self::Accept,
            kind::CLOSE => Self::Close { status: f.status() },
            kind::GOAWAY => Self::Goaway { last: f.u64() },
            kind::PING => Self::Ping { token: f.u64() },
            kind::PONG => Self::Pong { token: f.u64() },
            kind::REQUEST => Self::Request {
                id: f.u64(),
                deadline_ms: f.u32(),
                more: f.flags(flag::MORE) != 0,
                method: f.name(),
                body: f.bytes(),
            },
            kind::RESPONSE => Self::Response {
                id: f.u64(),
                status: f.status(),
                more: f.flags(flag::MORE) != 0,
                body: f.bytes(),
            },
            kind::BUSY => Self::Busy { id: f.u64(), retry_ms: f.u32() },
            kind::CANCEL => Self::Cancel { id: f.u64(), status: f.status() },
            kind::DATA => Self::Data { id: f.u64(), chunk: f.bytes() },
            kind::END => Self::End { id: f.u64(), status: f.status() },
            kind::CREDIT => Self::Credit { id: f.u64(), limit: f.u64() },
            kind::SUBSCRIBE => Self::Subscribe {
                id: f.u64(),
                limit: f.u64(),
                filter: f.name(),
                from: if f.is_empty() { None } else { Some(f.point()) }, // SPEC §9 (MSG-1)
            },
            kind::PUBLICATION => Self::Publication(Publication::read(f)),
            kind::CONTINUATION => Self::Continuation(Continuation::read(f)),
            kind::MISSED => {
                Self::Missed { id: f.u64(), unknown: f.flags(flag::UNKNOWN) != 0, count: f.u32() }
            }
            kind::PADDING..=kind::IGNORABLE_LAST => Self::Ignorable, // SPEC §8.2 (ENC-5)
            unknown => {
                f.note(WireError::UnknownType(unknown.into())); // SPEC §8.2 (ENC-6)
                Self::Ignorable
            }
        }
    }
}

impl<'a> Continuation<'a> {
    fn read(f: &mut Fields<'a>) -> Self {
        let (id, flags) = (f.u64(), f.flags(flag::MORE | flag::ABORT));
        Self { id, more: flags & flag::MORE != 0, abort: flags & flag::ABORT != 0, chunk: f.bytes() }
    }
}

impl<'a> Publication<'a> {
    /// One that does not go on, and has no element beyond those of SPEC §9: most messages of a busy subscription are such.
    /// `None` leaves it to `Message::decode`, to say what it is or what is wrong.
    #[cfg(not(target_os = "none"))]
    pub(super) fn decode_whole(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let [EIGHT_ELEMENTS, kind::PUBLICATION, rest @ ..] = bytes else { return None };
        let (id, rest) = cbor::read_unsigned(rest)?;
        let (missed, rest) = cbor::read_unsigned(rest)?;
        let (flags, rest) = cbor::read_unsigned(rest)?;
        let (Item::Text(topic), rest) = cbor::read(rest).ok()? else { return None };
        let (epoch, rest) = cbor::read_unsigned(rest)?;
        let (sequence, rest) = cbor::read_unsigned(rest)?;
        let (Item::Bytes(chunk), rest) = cbor::read(rest).ok()? else { return None };
        let flags =
            u8::try_from(flags).ok().filter(|flags| flags & !(flag::UNKNOWN | flag::RETAINED) == 0)?;
        let publication = Self {
            id,
            missed: missed.try_into().ok()?,
            unknown: flags & flag::UNKNOWN != 0,
            retained: flags & flag::RETAINED != 0,
            topic: Some(topic).filter(|topic| topic.len() <= NAME_MAX)?,
            point: Point { epoch: epoch.try_into().ok()?, sequence },
            chunk,
            total: None,
        };
        Some((publication, bytes.len() - rest.len()))
    }

    /// The number and the bytes of one that begins as another did, which had no element beyond those of SPEC §9, and how
    /// long it is. `None` leaves it to `Message::decode`.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn decode_alike(bytes: &'a [u8], beginning: &[u8]) -> Option<(u64, &'a [u8], usize)> {
        let (sequence, rest) = cbor::read_unsigned(bytes.strip_prefix(beginning)?)?;
        let (chunk, rest) = cbor::read_bytes(rest)?;
        Some((sequence, chunk, bytes.len() - rest.len()))
    }

    /// What it begins with, up to its number, of the `bytes` that it was read from, where others can begin alike.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn beginning_in(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let may_be = self.total.is_none() && bytes.first() == Some(&EIGHT_ELEMENTS);
        bytes.get(..self.beginning_len()).filter(|_| may_be)
    }

    fn read(f: &mut Fields<'a>) -> Self {
        let (id, missed) = (f.u64(), f.u32());
        let flags = f.flags(flag::MORE | flag::UNKNOWN | flag::RETAINED);
        Self {
            id,
            missed,
            unknown: flags & flag::UNKNOWN != 0,
            retained: flags & flag::RETAINED != 0,
            topic: f.name(),
            point: f.point(),
            chunk: f.bytes(),
            // Without `more`, a ninth element is one to ignore.  SPEC §9
            total: if flags & flag::MORE == 0 { None } else { Some(f.u64()) },
        }
    }
}

/// The elements of one message that were not read yet.
///
/// The first that is wrong is noted, and gives an empty value, as those behind it may: whoever has read all asks once
/// whether it was a message.
struct Fields<'a> {
    rest: &'a [u8],
    /// How many elements the array has in all.
    elements: u64,
    message: u8,
    /// The element that comes next.
    field: u8,
    /// What was wrong first.
    error: Option<WireError>,
}

impl<'a> Fields<'a> {
    fn is_empty(&self) -> bool {
        u64::from(self.field) >= self.elements
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn u64(&mut self) -> u64 {
        if !self.is_empty()
            && let Some((value, rest)) = cbor::read_unsigned(self.rest)
        {
            self.pass(rest);
            return value;
        }
        self.field(|item| match item {
            Item::Unsigned(value) => Some(value),
            _ => None,
        })
    }

    fn u32(&mut self) -> u32 {
        let value = self.u64();
        value.try_into().unwrap_or_else(|_| self.out_of_range())
    }

    /// Any number is a status.  SPEC §8.2 (ENC-8)
    fn status(&mut self) -> Status {
        let value = self.u64();
        Status::new(value.try_into().unwrap_or_else(|_| self.out_of_range()))
    }

    fn flags(&mut self, defined: u8) -> u8 {
        let message = self.message;
        let flags = u8::try_from(self.u64()).ok().filter(|flags| flags & !defined == 0);
        flags.unwrap_or_else(|| self.fail(WireError::UndefinedFlags { message })) // SPEC §8.2 (ENC-7)
    }

    fn bytes(&mut self) -> &'a [u8] {
        self.field(|item| match item {
            Item::Bytes(content) => Some(content),
            _ => None,
        })
    }

    fn name(&mut self) -> &'a str {
        let text: &str = self.field(|item| match item {
            Item::Text(content) => Some(content),
            _ => None,
        });
        if text.len() > NAME_MAX {
            return self.fail(WireError::NameTooLong { message: self.message }); // SPEC §13 (NAM-2)
        }
        text
    }

    fn point(&mut self) -> Point {
        Point { epoch: self.u32(), sequence: self.u64() }
    }

    fn field<T: Default>(&mut self, convert: impl FnOnce(Item<'a>) -> Option<T>) -> T {
        let (message, field) = (self.message, self.field);
        if self.is_empty() {
            return self.fail(WireError::MissingField { message, field }); // SPEC §8.2 (ENC-4)
        }
        match cbor::read(self.rest) {
            Ok((item, rest)) => {
                self.pass(rest);
                convert(item).unwrap_or_else(|| self.fail(WireError::WrongType { message, field })) // SPEC §8.2 (ENC-4)
            }
            Err(error) => self.fail(error.into()),
        }
    }

    fn pass(&mut self, rest: &'a [u8]) {
        self.rest = rest;
        self.field += 1;
    }

    /// The field that was read last is.  SPEC §8.2 (ENC-4)
    fn out_of_range<T: Default>(&mut self) -> T {
        self.fail(WireError::OutOfRange { message: self.message, field: self.field - 1 })
    }

    fn fail<T: Default>(&mut self, error: WireError) -> T {
        self.note(error);
        T::default()
    }

    #[cold]
    #[inline(never)]
    fn note(&mut self, error: WireError) {
        if self.error.is_none() {
            self.error = Some(error);
        }
    }
}
