//! Deterministic CBOR, and no other.  SPEC §8.1
//!
//! Written by hand because a lenient decoder cannot be made strict from outside: which form a number had is gone
//! once it is read.  [`read`] refuses everything that one item alone can do wrong, [`item_len`] adds what takes
//! several, and no byte is looked at more than twice.

use crate::buffer::Buffer;

/// How many levels of arrays and maps there may be, the outermost included.  SPEC §8.1
const LEVELS_MAX: usize = 4;
/// How many elements an array may have.  SPEC §8.1
const ELEMENTS_MAX: u64 = 32;
/// The highest key of a map.  SPEC §8.1
pub(crate) const KEY_MAX: u64 = 23;

/// Which rule of the encoding was broken.  SPEC §8.1
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// An array has more than 32 elements.  SPEC §8.1
    #[error("an array has more than 32 elements")]
    ArrayTooLong,
    /// A break stands where no item of indefinite length is open.  SPEC §8.1
    #[error("a break outside of an indefinite length")]
    Break,
    /// A floating-point number.  SPEC §8.1
    #[error("a floating-point number")]
    Float,
    /// A length is indefinite.  SPEC §8.1
    #[error("an indefinite length")]
    Indefinite,
    /// A map's keys do not ascend strictly: out of order, or one twice.  SPEC §8.1
    #[error("a map's keys do not ascend")]
    KeyOrder,
    /// A map's key is not an unsigned integer from 0 to 23.  SPEC §8.1
    #[error("a map's key is not an integer from 0 to 23")]
    KeyRange,
    /// A number or length is not in its shortest form.  SPEC §8.1
    #[error("a number is not in its shortest form")]
    NotShortest,
    /// A text is not UTF-8.  SPEC §8.1
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// One of the initial bytes that CBOR reserves.  SPEC §8.1
    #[error("a reserved initial byte")]
    Reserved,
    /// A simple value other than `false`, `true` and `null`.  SPEC §8.1
    #[error("a simple value other than false, true and null")]
    Simple,
    /// A tag.  SPEC §8.1
    #[error("a tag")]
    Tag,
    /// More than four levels of arrays and maps.  SPEC §8.1
    #[error("more than four levels of arrays and maps")]
    TooDeep,
    /// The bytes end within the item, or a length names more than what is left.  SPEC §8.1
    #[error("the bytes end within the item")]
    Truncated,
}

/// One item, or the head of one that has items inside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Item<'a> {
    /// This many items follow.
    Array(u64),
    Bytes(&'a [u8]),
    /// This many pairs of items follow.
    Map(u64),
    /// A negative integer, `false`, `true` or `null`: well-formed, and in no field of version 1.
    Other,
    Text(&'a str),
    Unsigned(u64),
}

/// The length of the first item of `bytes`, which is checked to its last byte.
pub(crate) fn item_len(bytes: &[u8]) -> Result<usize, EncodingError> {
    Ok(bytes.len() - skip(bytes, LEVELS_MAX)?.len())
}

/// As [`read`], where the first item is an unsigned integer, which most are; `None` leaves it to `read` to say what it
/// is, or what is wrong.
#[inline]
pub(crate) fn read_unsigned(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes.split_first()? {
        (&value @ 0..=23, rest) => Some((value.into(), rest)),
        (&initial @ ..0x20, rest) => argument(0, initial, rest).ok(),
        _ => None,
    }
}

/// The same of a byte string.
#[cfg(not(target_os = "none"))]
#[inline]
pub(crate) fn read_bytes(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&initial, rest) = bytes.split_first().filter(|(initial, _)| **initial >> 5 == 2)?;
    let (len, rest) = argument(2, initial & 0x1f, rest).ok()?;
    split(rest, len).ok()
}

/// Reads the first item of `bytes` as far as it is no array or map, and returns what is behind.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(crate) fn read(bytes: &[u8]) -> Result<(Item<'_>, &[u8]), EncodingError> {
    let (&initial, rest) = bytes.split_first().ok_or(EncodingError::Truncated)?;
    let (major, info) = (initial >> 5, initial & 0x1f);
    if major == 7 {
        return simple(info).map(|()| (Item::Other, rest)); // SPEC §8.1
    }
    if major == 6 {
        return Err(EncodingError::Tag); // SPEC §8.1
    }
    let (value, rest) = argument(major, info, rest)?;
    Ok(match major {
        0 => (Item::Unsigned(value), rest),
        1 => (Item::Other, rest),
        2 => {
            let (content, rest) = split(rest, value)?;
            (Item::Bytes(content), rest)
        }
        3 => {
            let (content, rest) = split(rest, value)?;
            let text = core::str::from_utf8(content).map_err(|_| EncodingError::NotUtf8)?; // SPEC §8.1
            (Item::Text(text), rest)
        }
        4 => (Item::Array(value), rest),
        _ => (Item::Map(value), rest),
    })
}

/// Where encoded items go: into a buffer, or nowhere but a count, so that a length needs no second description.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    fn unsigned(&mut self, value: u64) {
        self.head(0, value);
    }

    fn bytes(&mut self, content: &[u8]) {
        self.bytes_head(content.len());
        self.put(content);
    }

    /// What stands before so many bytes.
    fn bytes_head(&mut self, len: usize) {
        self.head(2, len as u64);
    }

    fn text(&mut self, content: &str) {
        self.head(3, content.len() as u64);
        self.put(content.as_bytes());
    }

    fn array(&mut self, elements: u64) {
        self.head(4, elements);
    }

    fn map(&mut self, pairs: u64) {
        self.head(5, pairs);
    }

    #[inline]
    fn head(&mut self, major: u8, value: u64) {
        match value {
            // Most are: one byte, and no call for it.
            0..=23 => self.put_byte(major << 5 | value as u8),
            _ => self.long_head(major, value),
        }
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    fn long_head(&mut self, major: u8, value: u64) {
        // Copies whose length is known, which are one instruction each.
        let initial = |info| [major << 5 | info];
        if let Ok(value) = u8::try_from(value) {
            self.put(&initial(24));
            self.put(&[value]);
        } else if let Ok(value) = u16::try_from(value) {
            self.put(&initial(25));
            self.put(&value.to_be_bytes());
        } else if let Ok(value) = u32::try_from(value) {
            self.put(&initial(26));
            self.put(&value.to_be_bytes());
        } else {
            self.put(&initial(27));
            self.put(&value.to_be_bytes());
        }
    }

    fn put_byte(&mut self, byte: u8) {
        self.put(&[byte]);
    }
}

impl Sink for Buffer {
    #[cfg_attr(target_os = "none", inline(never))]
    fn unsigned(&mut self, value: u64) {
        self.head(0, value);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn put_byte(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }
}

/// Writes into a place of known length.  What is more than it holds is left out: whoever made it has counted.
#[derive(Default)]
pub(crate) struct Slot<'a> {
    room: &'a mut [u8],
    at: usize,
}

impl<'a> Slot<'a> {
    pub(crate) fn new(room: &'a mut [u8]) -> Self {
        Self { room, at: 0 }
    }

    /// How many bytes there were, those included that were left out.
    pub(crate) fn count(&self) -> usize {
        self.at
    }
}

impl Sink for Slot<'_> {
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if let Some(room) = self.room.get_mut(self.at..end) {
            room.copy_from_slice(bytes);
        }
        self.at = end;
    }

    // Where flash is scarce one function, not one at each of the places where an item begins.
    #[cfg_attr(target_os = "none", inline(never))]
    fn unsigned(&mut self, value: u64) {
        self.head(0, value);
    }
}

/// Counts instead of writing.  Where flash is scarce it is a place without room: then there is one function that encodes,
/// not another one that counts.
#[cfg(target_os = "none")]
pub(crate) type Counter = Slot<'static>;

/// Counts instead of writing.
#[cfg(not(target_os = "none"))]
#[derive(Default)]
pub(crate) struct Counter(usize);

#[cfg(not(target_os = "none"))]
impl Counter {
    pub(crate) fn count(&self) -> usize {
        self.0
    }
}

#[cfg(not(target_os = "none"))]
impl Sink for Counter {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Checks the first item and returns what is behind it.  It calls itself at most `levels` deep.
pub(crate) fn skip(bytes: &[u8], levels: usize) -> Result<&[u8], EncodingError> {
    let (item, mut rest) = read(bytes)?;
    let (Item::Array(count) | Item::Map(count)) = item else {
        return Ok(rest);
    };
    let levels = levels.checked_sub(1).ok_or(EncodingError::TooDeep)?; // SPEC §8.1
    if matches!(item, Item::Map(_)) {
        return skip_pairs(rest, count, levels);
    }
    if count > ELEMENTS_MAX {
        return Err(EncodingError::ArrayTooLong); // SPEC §8.1
    }
    for _ in 0..count {
        rest = skip(rest, levels)?;
    }
    Ok(rest)
}

/// Checks the content of a map.  However many pairs it claims, the keys run out after 24.
fn skip_pairs(mut rest: &[u8], count: u64, levels: usize) -> Result<&[u8], EncodingError> {
    let mut lowest = 0;
    for _ in 0..count {
        let (key, value) = read(rest)?;
        match key {
            Item::Unsigned(key) if key > KEY_MAX => return Err(EncodingError::KeyRange), // SPEC §8.1
            Item::Unsigned(key) if key < lowest => return Err(EncodingError::KeyOrder),  // SPEC §8.1
            Item::Unsigned(key) => lowest = key + 1,
            _ => return Err(EncodingError::KeyRange), // SPEC §8.1
        }
        rest = skip(value, levels)?;
    }
    Ok(rest)
}

/// The number behind an initial byte: a value, a length or a count.
fn argument(major: u8, info: u8, rest: &[u8]) -> Result<(u64, &[u8]), EncodingError> {
    let (value, smallest, rest) = match info {
        0..=23 => return Ok((info.into(), rest)),
        24 => digits(rest).map(|(digits, rest)| (u8::from_be_bytes(digits).into(), 24, rest))?,
        25 => digits(rest).map(|(digits, rest)| (u16::from_be_bytes(digits).into(), 0x100, rest))?,
        26 => digits(rest).map(|(digits, rest)| (u32::from_be_bytes(digits).into(), 0x1_0000, rest))?,
        27 => digits(rest).map(|(digits, rest)| (u64::from_be_bytes(digits), 0x1_0000_0000, rest))?,
        31 if major >= 2 => return Err(EncodingError::Indefinite), // SPEC §8.1
        _ => return Err(EncodingError::Reserved),                  // SPEC §8.1
    };
    if value < smallest {
        return Err(EncodingError::NotShortest); // SPEC §8.1
    }
    Ok((value, rest))
}

fn digits<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), EncodingError> {
    let (digits, rest) = bytes.split_first_chunk().ok_or(EncodingError::Truncated)?;
    Ok((*digits, rest))
}

/// Takes `len` bytes, or refuses a length that exceeds what is left.  SPEC §8.1
fn split(bytes: &[u8], len: u64) -> Result<(&[u8], &[u8]), EncodingError> {
    usize::try_from(len).ok().and_then(|len| bytes.split_at_checked(len)).ok_or(EncodingError::Truncated)
}

/// Lets `false`, `true` and `null` pass.  SPEC §8.1
fn simple(info: u8) -> Result<(), EncodingError> {
    match info {
        20..=22 => Ok(()),
        25..=27 => Err(EncodingError::Float),
        28..=30 => Err(EncodingError::Reserved),
        31 => Err(EncodingError::Break),
        _ => Err(EncodingError::Simple),
    }
}
