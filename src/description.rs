//! What a device tells of itself: its methods and its topics.  SPEC §22

mod reading;
#[cfg(test)]
mod tests;
mod writing;

use alloc::borrow::Cow;
use alloc::vec;
use core::fmt;
use core::ops::Range;

use crate::name::NameError;
use crate::topics::Kind;
use crate::wire::EncodingError;
use crate::wire::cbor::Slot;
use reading::{Element, Elements, Parts, parts};
use writing::write;

/// Of `chunks`.  SPEC §22
const REQUEST_CHUNKS: u64 = 0x01;
const REPLY_CHUNKS: u64 = 0x02;

/// What a device offers: its methods and topics, by their names, and a few words for people.  SPEC §22
///
/// It holds the bytes that went over the wire, all of them checked, and reads them anew whenever it is asked: nothing is
/// allocated for its parts. It lends the bytes, or owns them ([`into_owned`](Self::into_owned)); `'static` where an adapter
/// gives it.
///
/// It says what its device said when it was asked, and is no promise: what it names may be refused.
///
/// ```
/// use symbolon::{Description, Kind, MethodDescription, TopicDescription};
///
/// let methods = [MethodDescription::new("lamp/set").with_text("Switches the lamp.")];
/// let topics = [TopicDescription::new("lamp/state", Kind::State)];
/// let told = Description::encode(Some("Lamp"), methods.into_iter(), topics.into_iter())?;
///
/// let heard = Description::from_bytes(told.as_bytes())?;
/// assert_eq!(heard.name(), Some("Lamp"));
/// assert_eq!(heard.methods().next().and_then(|method| method.text), Some("Switches the lamp."));
/// assert!(heard.topics().all(|topic| !topic.is_event));
/// # Ok::<(), symbolon::DescriptionError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Description<'b> {
    bytes: Cow<'b, [u8]>,
    /// Where its parts lie; the name is empty where there is none.
    name: Range<usize>,
    methods: Range<usize>,
    topics: Range<usize>,
}

/// A method that a device serves, as it tells.  SPEC §22
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MethodDescription<'b> {
    /// Its name, of 1 to 128 bytes.
    pub name: &'b str,
    /// Whether the body of a request may go on in chunks.
    pub request_chunks: bool,
    /// Whether the body of a reply may.
    pub reply_chunks: bool,
    /// For people: 1 to 256 bytes, no control character.
    pub text: Option<&'b str>,
}

/// A topic that a device publishes, as it tells.  SPEC §22
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TopicDescription<'b> {
    /// Its name, of 1 to 128 bytes.
    pub name: &'b str,
    /// Whether each publication counts; otherwise it is a state, of which the latest does.
    pub is_event: bool,
    /// For people: 1 to 256 bytes, no control character.
    pub text: Option<&'b str>,
}

/// Why something is no description.  SPEC §22
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// It is not CBOR as this protocol encodes it.  SPEC §8.1
    #[error("bad encoding: {0}")]
    Encoding(EncodingError),
    /// Something is missing, or of another type or range.
    #[error("a part is missing, or of another type or range")]
    Form,
    /// The name of a method or a topic is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It has so many bytes, more than the memory that was given for it.
    #[error("a description of {0} bytes, for which there is no room")]
    NoRoom(usize),
    /// The names of the methods, or of the topics, do not ascend strictly: out of order, or one twice.
    #[error("the names do not ascend")]
    Order,
    /// A name has a level that begins with `$`.
    #[error("names with a level that begins with `$` are not listed")]
    Reserved,
    /// The device's name, or a text, is empty, too long, or holds a control character.
    #[error("a text is empty, too long, or holds a control character")]
    Text,
    /// It has more than [`Description::MAX_LEN`] bytes.
    #[error("the description has more than 65536 bytes")]
    TooLong,
    /// There are more than [`Description::MAX_ENTRIES`] methods, or topics.
    #[error("the description lists more than 1024 of a kind")]
    TooMany,
    /// There is something behind the map.
    #[error("bytes behind the map")]
    Trailing,
}

impl From<EncodingError> for DescriptionError {
    fn from(error: EncodingError) -> Self {
        Self::Encoding(error)
    }
}

impl<'b> Description<'b> {
    /// The method that is asked for it, with an empty body.
    pub const METHOD: &'static str = "$describe";
    /// How many bytes a description has at most.  DSC-2
    pub const MAX_LEN: usize = 65_536;
    /// How many methods, and how many topics, it lists at most.
    pub const MAX_ENTRIES: usize = 1_024;

    /// The description in these bytes, all of them; allocates nothing.
    ///
    /// # Errors
    ///
    /// [`DescriptionError`]: they are none, and nothing of them may be used.  DSC-4
    pub fn from_bytes(bytes: impl Into<Cow<'b, [u8]>>) -> Result<Self, DescriptionError> {
        let bytes = bytes.into();
        let Parts { name, methods, topics } = parts(&bytes)?;
        Ok(Self { bytes, name, methods, topics })
    }

    /// What goes over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What people call the device, if it says so: 1 to 64 bytes, no control character.
    pub fn name(&self) -> Option<&str> {
        self.bytes
            .get(self.name.clone())
            .and_then(|name| str::from_utf8(name).ok())
            .filter(|name| !name.is_empty())
    }

    /// The methods that it serves, in the order of their names.
    pub fn methods(&self) -> impl Iterator<Item = MethodDescription<'_>> + Clone {
        self.elements(&self.methods).map(Element::method)
    }

    /// The topics that it publishes, in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = TopicDescription<'_>> + Clone {
        self.elements(&self.topics).filter_map(Element::topic)
    }

    /// The same with bytes of its own, which takes as many from the heap if it has none.
    pub fn into_owned(self) -> Description<'static> {
        let Self { bytes, name, methods, topics } = self;
        Description { bytes: bytes.into_owned().into(), name, methods, topics }
    }

    fn elements(&self, place: &Range<usize>) -> Elements<'_> {
        Elements { rest: self.bytes.get(place.clone()).unwrap_or_default() }
    }
}

impl Description<'static> {
    /// A description of a device with this name, these methods and these topics, each in the ascending order of their
    /// names, as [`Router::methods`](crate::Router::methods) and [`Topics::declared`](crate::Topics::declared) give
    /// them.  The iterators run several times: to count, and to write.
    ///
    /// # Errors
    ///
    /// [`DescriptionError`]: what was given breaks a rule of SPEC §22.
    pub fn encode<'e>(
        name: Option<&str>,
        methods: impl Iterator<Item = MethodDescription<'e>> + Clone,
        topics: impl Iterator<Item = TopicDescription<'e>> + Clone,
    ) -> Result<Self, DescriptionError> {
        let mut counted = Slot::new(&mut []);
        write(&mut counted, name, methods.clone(), topics.clone());
        let len = counted.count();
        if len > Self::MAX_LEN {
            return Err(DescriptionError::TooLong);
        }
        let mut memory = vec![0; len];
        write(&mut Slot::new(&mut memory), name, methods, topics);
        Self::from_bytes(memory)
    }
}

impl<'m> Description<'m> {
    /// The same in memory of the caller's, whose first bytes it takes: for programs without heap to spare.
    ///
    /// # Errors
    ///
    /// As [`encode`](Description::encode), and [`DescriptionError::NoRoom`].  What lies in the memory then means nothing.
    ///
    /// ```
    /// use symbolon::{Description, DescriptionError, MethodDescription, TopicDescription, Topics};
    ///
    /// /// In the ascending order of their names.
    /// const METHODS: [MethodDescription<'_>; 2] =
    ///     [MethodDescription::new("lamp/photo").with_chunks(false, true), MethodDescription::new("lamp/set")];
    ///
    /// fn describe<'m>(topics: &Topics, memory: &'m mut [u8]) -> Result<Description<'m>, DescriptionError> {
    ///     let topics = topics.declared().map(|(name, kind)| TopicDescription::new(name, kind));
    ///     Description::encode_into(memory, Some("Lamp"), METHODS.into_iter(), topics)
    /// }
    /// # let topics = Topics::new(7, Default::default());
    /// assert_eq!(describe(&topics, &mut [0; 64])?.methods().count(), 2);
    /// assert_eq!(describe(&topics, &mut [0; 8]), Err(DescriptionError::NoRoom(37)));
    /// # Ok::<(), DescriptionError>(())
    /// ```
    pub fn encode_into<'e>(
        memory: &'m mut [u8],
        name: Option<&str>,
        methods: impl Iterator<Item = MethodDescription<'e>> + Clone,
        topics: impl Iterator<Item = TopicDescription<'e>> + Clone,
    ) -> Result<Self, DescriptionError> {
        let mut slot = Slot::new(memory);
        write(&mut slot, name, methods, topics);
        let len = slot.count();
        let memory: &'m [u8] = memory;
        Self::from_bytes(memory.get(..len).ok_or(DescriptionError::NoRoom(len))?)
    }
}

impl fmt::Debug for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Description");
        shown.field("name", &self.name()).field("methods", &Names(self.elements(&self.methods)));
        shown.field("topics", &Names(self.elements(&self.topics))).finish()
    }
}

struct Names<'b>(Elements<'b>);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.clone().map(|element| element.name)).finish()
    }
}

impl<'b> MethodDescription<'b> {
    /// A method of this name, without bodies in chunks, and without a text.
    #[must_use]
    pub const fn new(name: &'b str) -> Self {
        Self { name, request_chunks: false, reply_chunks: false, text: None }
    }

    /// Whose requests, or replies, may go on in chunks.
    #[must_use]
    pub const fn with_chunks(self, request_chunks: bool, reply_chunks: bool) -> Self {
        Self { request_chunks, reply_chunks, ..self }
    }

    /// With a text for people: 1 to 256 bytes, no control character.
    #[must_use]
    pub const fn with_text(self, text: &'b str) -> Self {
        Self { text: Some(text), ..self }
    }
}

impl<'b> TopicDescription<'b> {
    /// A topic of this name and kind, without a text.
    #[must_use]
    pub const fn new(name: &'b str, kind: Kind) -> Self {
        Self { name, is_event: matches!(kind, Kind::Event { .. }), text: None }
    }

    /// With a text for people: 1 to 256 bytes, no control character.
    #[must_use]
    pub const fn with_text(self, text: &'b str) -> Self {
        Self { text: Some(text), ..self }
    }
}
