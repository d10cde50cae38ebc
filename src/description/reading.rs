//! Reading a description, strictly.  SPEC §22

use core::ops::Range;

use super::{
    Description, DescriptionError, MethodDescription, REPLY_CHUNKS, REQUEST_CHUNKS, TopicDescription,
};
use crate::name;
use crate::wire::EncodingError;
use crate::wire::cbor::{self, Item};

/// How many bytes the name of a device has at most.  SPEC §22
const DEVICE_NAME_MAX: usize = 64;
/// How many bytes a text about a method or a topic has at most.  SPEC §22
const TEXT_MAX: usize = 256;
/// How many levels may still begin inside of the description's map, and inside of an element's.  SPEC §8.1
const LEVELS_IN_MAP: usize = 3;
const LEVELS_IN_ELEMENT: usize = 1;

/// Where the parts of a description lie, each of them checked.
pub(super) struct Parts {
    pub(super) name: Range<usize>,
    pub(super) methods: Range<usize>,
    pub(super) topics: Range<usize>,
}

/// DSC-4
pub(super) fn parts(bytes: &[u8]) -> Result<Parts, DescriptionError> {
    if bytes.len() > Description::MAX_LEN {
        return Err(DescriptionError::TooLong); // SPEC §22 (DSC-2)
    }
    let mut rest = bytes;
    let mut pairs = Pairs::begin(&mut rest)?;
    let (mut name, mut methods, mut topics) = (0..0, None, None);
    while let Some(key) = pairs.next(&mut rest)? {
        match key {
            0 => {
                let text = words(&mut rest, DEVICE_NAME_MAX)?;
                let end = bytes.len() - rest.len();
                name = end - text.len()..end;
            }
            1 => methods = Some(check_elements(bytes, &mut rest, |_| true)?),
            2 => topics = Some(check_elements(bytes, &mut rest, |element| element.topic().is_some())?),
            _ => rest = cbor::skip(rest, LEVELS_IN_MAP)?, // SPEC §22 (DSC-3)
        }
    }
    if !rest.is_empty() {
        return Err(DescriptionError::Trailing);
    }
    let (Some(methods), Some(topics)) = (methods, topics) else {
        return Err(DescriptionError::Form);
    };
    Ok(Parts { name, methods, topics })
}

/// Checks an array of elements, each of which is to fit its array, and says where they lie.
fn check_elements<'b>(
    bytes: &'b [u8],
    rest: &mut &'b [u8],
    fits: impl Fn(Element<'b>) -> bool,
) -> Result<Range<usize>, DescriptionError> {
    let Item::Array(count) = read(rest)? else {
        return Err(DescriptionError::Form);
    };
    if count > Description::MAX_ENTRIES as u64 {
        return Err(DescriptionError::TooMany);
    }
    let begin = bytes.len() - rest.len();
    let mut before = "";
    for _ in 0..count {
        let element = Element::read(rest)?;
        name::check_name(element.name)?;
        if name::is_reserved(element.name) {
            return Err(DescriptionError::Reserved);
        }
        // No name is empty.
        if element.name <= before {
            return Err(DescriptionError::Order);
        }
        if !fits(element) {
            return Err(DescriptionError::Form);
        }
        before = element.name;
    }
    Ok(begin..bytes.len() - rest.len())
}

/// A method or a topic, before anybody has asked which.
#[derive(Clone, Copy)]
pub(super) struct Element<'b> {
    pub(super) name: &'b str,
    number: Option<u64>,
    text: Option<&'b str>,
}

impl<'b> Element<'b> {
    fn read(rest: &mut &'b [u8]) -> Result<Self, DescriptionError> {
        let mut pairs = Pairs::begin(rest)?;
        let (mut name, mut number, mut words_for_people) = (None, None, None);
        while let Some(key) = pairs.next(rest)? {
            match key {
                0 => name = Some(text(rest)?),
                1 => number = Some(unsigned(rest)?),
                2 => words_for_people = Some(words(rest, TEXT_MAX)?),
                _ => *rest = cbor::skip(rest, LEVELS_IN_ELEMENT)?, // SPEC §22 (DSC-3)
            }
        }
        let name = name.ok_or(DescriptionError::Form)?;
        Ok(Self { name, number, text: words_for_people })
    }

    pub(super) fn method(self) -> MethodDescription<'b> {
        let Self { name, number, text } = self;
        let chunks = number.unwrap_or(0);
        let (request_chunks, reply_chunks) = (chunks & REQUEST_CHUNKS != 0, chunks & REPLY_CHUNKS != 0);
        MethodDescription { name, request_chunks, reply_chunks, text }
    }

    /// `None` where its kind is missing, or unknown.
    pub(super) fn topic(self) -> Option<TopicDescription<'b>> {
        let Self { name, number, text } = self;
        let is_event = match number {
            Some(0) => false,
            Some(1) => true,
            _ => return None,
        };
        Some(TopicDescription { name, is_event, text })
    }
}

/// Elements that were checked.
#[derive(Clone)]
pub(super) struct Elements<'b> {
    pub(super) rest: &'b [u8],
}

impl<'b> Iterator for Elements<'b> {
    type Item = Element<'b>;

    fn next(&mut self) -> Option<Element<'b>> {
        Element::read(&mut self.rest).ok()
    }
}

/// The pairs of a map that were not read yet: their values are read between.
struct Pairs {
    left: u64,
    /// The least key that may come.
    lowest: u64,
}

impl Pairs {
    fn begin(rest: &mut &[u8]) -> Result<Self, DescriptionError> {
        match read(rest)? {
            Item::Map(left) => Ok(Self { left, lowest: 0 }),
            _ => Err(DescriptionError::Form),
        }
    }

    /// The key of the next pair, whose value is read next.
    fn next(&mut self, rest: &mut &[u8]) -> Result<Option<u64>, DescriptionError> {
        if self.left == 0 {
            return Ok(None);
        }
        match read(rest)? {
            Item::Unsigned(key) if key > cbor::KEY_MAX => Err(EncodingError::KeyRange.into()),
            Item::Unsigned(key) if key < self.lowest => Err(EncodingError::KeyOrder.into()),
            Item::Unsigned(key) => {
                *self = Self { left: self.left - 1, lowest: key + 1 };
                Ok(Some(key))
            }
            _ => Err(EncodingError::KeyRange.into()),
        }
    }
}

fn read<'b>(rest: &mut &'b [u8]) -> Result<Item<'b>, DescriptionError> {
    let (item, behind) = cbor::read(rest)?;
    *rest = behind;
    Ok(item)
}

fn unsigned(rest: &mut &[u8]) -> Result<u64, DescriptionError> {
    if let Item::Unsigned(number) = read(rest)? { Ok(number) } else { Err(DescriptionError::Form) }
}

fn text<'b>(rest: &mut &'b [u8]) -> Result<&'b str, DescriptionError> {
    if let Item::Text(text) = read(rest)? { Ok(text) } else { Err(DescriptionError::Form) }
}

/// A text for people.
fn words<'b>(rest: &mut &'b [u8], most: usize) -> Result<&'b str, DescriptionError> {
    let words = text(rest)?;
    let fine = (1..=most).contains(&words.len()) && !words.bytes().any(|byte| byte < 0x20 || byte == 0x7f);
    if fine { Ok(words) } else { Err(DescriptionError::Text) }
}
