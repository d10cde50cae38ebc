//! What the second and third handshake messages carry.  SPEC §5.2

use crate::buffer::Buffer;

use super::cbor::{self, EncodingError, Item, Sink};
use super::frame::MIN_FRAME;

/// The longest payload that [`Payload::encode`] writes.
#[cfg(test)]
pub(crate) const PAYLOAD_MAX: usize = 137;
/// The shortest payload that there is: `max_frame` takes three bytes, each other number one.
pub(crate) const PAYLOAD_MIN: usize = 117;

/// How many keys there are, from 0 on, all of them required.  SPEC §5.2
const KEYS: u8 = 8;
/// From here on to 23, unknown keys are ignored.  SPEC §5.2
const IGNORED_FROM: u64 = 16;

/// Who a side is, its proof, and what it takes.  SPEC §5.2
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Payload {
    pub(crate) identity: [u8; 32],
    pub(crate) proof: [u8; 64],
    pub(crate) limits: PeerLimits,
}

/// What a side declares that it takes.  SPEC §5.2
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PeerLimits {
    /// At least 256.
    pub(crate) max_frame: u16,
    pub(crate) max_requests: u16,
    pub(crate) max_subscriptions: u16,
    pub(crate) window: u32,
    /// 0: for ever.
    pub(crate) silence_ms: u32,
    /// Unknown bits are kept, and are the receiver's to ignore (HSK-8).
    pub(crate) features: u64,
}

/// Why bytes are not a payload.  Nobody is told: it drops the connection.  SPEC §5.1 (HSK-4)
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// It is not CBOR as this protocol encodes it.  SPEC §8.1
    #[error("bad encoding: {0}")]
    Encoding(EncodingError),
    /// This key is not there.
    #[error("key {0} is missing")]
    Missing(u8),
    /// It is something else than a map.
    #[error("not a map")]
    NotAMap,
    /// There is something behind the map.
    #[error("bytes behind the map")]
    Trailing,
    /// An unknown key below 16.
    #[error("unknown key {0}")]
    Unknown(u64),
    /// The value of this key is of another type, size or range.
    #[error("the value of key {0} is of another type, size or range")]
    Value(u8),
}

impl From<EncodingError> for PayloadError {
    fn from(error: EncodingError) -> Self {
        Self::Encoding(error)
    }
}

impl Payload {
    /// Appends the payload to `out`.
    pub(crate) fn encode(&self, out: &mut Buffer) {
        let PeerLimits { max_frame, max_requests, max_subscriptions, window, silence_ms, features } =
            self.limits;
        out.map(KEYS.into());
        out.unsigned(0);
        out.bytes(&self.identity);
        out.unsigned(1);
        out.bytes(&self.proof);
        let numbers = [
            max_frame.into(),
            max_requests.into(),
            max_subscriptions.into(),
            window.into(),
            silence_ms.into(),
            features,
        ];
        for (key, number) in (2..).zip(numbers) {
            out.unsigned(key);
            out.unsigned(number);
        }
    }

    /// Reads a payload that is all of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        if cbor::item_len(bytes)? != bytes.len() {
            return Err(PayloadError::Trailing); // SPEC §5.2: the payload is one map
        }
        let (Item::Map(pairs), rest) = cbor::read(bytes)? else {
            return Err(PayloadError::NotAMap);
        };
        let mut entries = Entries { rest, pairs, next: 0 };
        // A struct's fields are evaluated in the order in which they are written, which is that of the keys.
        let payload = Self {
            identity: entries.bytes()?,
            proof: entries.bytes()?,
            limits: PeerLimits {
                max_frame: entries.number(MIN_FRAME)?,
                max_requests: entries.number(0)?,
                max_subscriptions: entries.number(0)?,
                window: entries.number(0)?,
                silence_ms: entries.number(0)?,
                features: entries.number(0)?,
            },
        };
        entries.check_unknown()?;
        Ok(payload)
    }
}

/// The pairs that were not read yet.  Their keys ascend: the encoding was checked.
struct Entries<'a> {
    rest: &'a [u8],
    pairs: u64,
    /// The key that comes next.
    next: u8,
}

impl<'a> Entries<'a> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], PayloadError> {
        let (key, item) = self.required()?;
        match item {
            Item::Bytes(content) => content.try_into().map_err(|_| PayloadError::Value(key)), // SPEC §5.2 (HSK-6)
            _ => Err(PayloadError::Value(key)), // SPEC §5.2 (HSK-6)
        }
    }

    /// A number of at least `least`, and at most what fits into `T`.
    fn number<T: TryFrom<u64> + PartialOrd>(&mut self, least: T) -> Result<T, PayloadError> {
        let (key, item) = self.required()?;
        let number = match item {
            Item::Unsigned(value) => T::try_from(value).ok(),
            _ => None,
        };
        number.filter(|number| *number >= least).ok_or(PayloadError::Value(key)) // SPEC §5.2 (HSK-6)
    }

    fn required(&mut self) -> Result<(u8, Item<'a>), PayloadError> {
        let key = self.next;
        if self.pairs == 0 {
            return Err(PayloadError::Missing(key)); // SPEC §5.2 (HSK-6)
        }
        let (found, rest) = cbor::read(self.rest)?;
        if found != Item::Unsigned(key.into()) {
            return Err(PayloadError::Missing(key)); // SPEC §5.2 (HSK-6)
        }
        let (value, rest) = cbor::read(rest)?;
        (self.rest, self.pairs, self.next) = (rest, self.pairs - 1, key + 1);
        Ok((key, value))
    }

    /// Lets the keys pass that a later version may add.
    fn check_unknown(mut self) -> Result<(), PayloadError> {
        for _ in 0..self.pairs {
            let (key, rest) = cbor::read(self.rest)?;
            match key {
                Item::Unsigned(IGNORED_FROM..) => {} // SPEC §5.2 (HSK-7)
                Item::Unsigned(key) => return Err(PayloadError::Unknown(key)), // SPEC §5.2 (HSK-6)
                _ => return Err(EncodingError::KeyRange.into()),
            }
            let len = cbor::item_len(rest)?;
            self.rest = rest.get(len..).unwrap_or_default();
        }
        Ok(())
    }
}
