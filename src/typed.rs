//! Message types that carry their name: what two programs share, beside the peer's key.

use alloc::vec::Vec;
use core::convert::Infallible;

use minicbor::{Decode, Encode};

use crate::topics::{Kind, PublishError};

/// A request: the name of its method, what it carries, and what comes back.
///
/// ```
/// use minicbor::{Decode, Encode};
/// use symbolon::Request;
///
/// #[derive(Encode, Decode)]
/// struct SetLamp {
///     #[n(0)] on: bool,
/// }
///
/// #[derive(Encode, Decode)]
/// struct LampState {
///     #[n(0)] on: bool,
/// }
///
/// impl Request for SetLamp {
///     const METHOD: &'static str = "lamp/set";
///     type Reply = LampState;
/// }
/// ```
pub trait Request: Body {
    /// The method's name.  SPEC §13
    const METHOD: &'static str;
    /// What the answer carries.
    type Reply: Body;
}

/// A topic: its name, its kind, and what its publications carry.
///
/// ```
/// use minicbor::{Decode, Encode};
/// use symbolon::{Kind, Topic};
///
/// #[derive(Encode, Decode)]
/// struct Temperature(#[n(0)] i16);
///
/// impl Topic for Temperature {
///     const TOPIC: &'static str = "room/temperature";
///     const KIND: Kind = Kind::State;
/// }
/// ```
pub trait Topic: Body {
    /// The topic's name.  SPEC §13
    const TOPIC: &'static str;
    /// What happens to publications that a subscriber is too slow for.  SPEC §14.2
    const KIND: Kind;
}

/// What can be a body: anything with minicbor's `Encode` and `Decode`, derived or by hand.
pub trait Body: Encode<()> + for<'b> Decode<'b, ()> {}

impl<T: Encode<()> + for<'b> Decode<'b, ()>> Body for T {}

/// The bytes of a body were not what the type expects.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, thiserror::Error)]
#[error("the body is not of the expected type")]
pub struct BadBody;

/// A value has no bytes: its `Encode` has failed, which only one written by hand does.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, thiserror::Error)]
#[error("the value could not be encoded")]
pub struct EncodeError;

/// Why [`to_slice`] has given nothing.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ToSliceError {
    /// The value has no bytes.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// There are so many bytes, more than the caller's memory takes.
    #[error("a body of {0} bytes, for which there is no room")]
    NoRoom(usize),
}

/// The bytes of a body.
///
/// # Errors
///
/// [`EncodeError`] where a hand-written `Encode` fails.
///
/// ```
/// assert_eq!(symbolon::from_bytes(&symbolon::to_bytes(&21_u32)?), Ok(21_u32));
/// # Ok::<(), symbolon::EncodeError>(())
/// ```
pub fn to_bytes<T: Encode<()>>(body: &T) -> Result<Vec<u8>, EncodeError> {
    minicbor::to_vec(body).map_err(|_| EncodeError)
}

/// The same in memory of the caller's, whose first bytes it gives: for programs without heap to spare.
///
/// # Errors
///
/// [`ToSliceError`]; what lies in the memory then means nothing.
///
/// ```
/// use symbolon::ToSliceError;
///
/// let mut memory = [0; 8];
/// assert_eq!(symbolon::to_slice(&21_u32, &mut memory), Ok(&[0x15][..]));
/// assert_eq!(symbolon::to_slice("lamp/set", &mut memory), Err(ToSliceError::NoRoom(9)));
/// ```
pub fn to_slice<'m, T: Encode<()> + ?Sized>(
    body: &T,
    memory: &'m mut [u8],
) -> Result<&'m [u8], ToSliceError> {
    let mut counted = Counted { memory, len: 0 };
    minicbor::encode(body, &mut counted).map_err(|_| EncodeError)?;
    let Counted { memory, len } = counted;
    memory.get(..len).ok_or(ToSliceError::NoRoom(len))
}

/// Goes on counting where there is no more room, so that whoever asks hears how much is needed.
struct Counted<'m> {
    memory: &'m mut [u8],
    len: usize,
}

impl minicbor::encode::Write for Counted<'_> {
    type Error = Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        let end = self.len.saturating_add(bytes.len());
        if let Some(place) = self.memory.get_mut(self.len..end) {
            place.copy_from_slice(bytes);
        }
        self.len = end;
        Ok(())
    }
}

impl From<EncodeError> for PublishError {
    fn from(_: EncodeError) -> Self {
        Self::Encode
    }
}

/// The body in these bytes, all of them.
///
/// # Errors
///
/// [`BadBody`] where they are not of this type, or something stands behind it.
pub fn from_bytes<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, BadBody> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let body = decoder.decode().map_err(|_| BadBody)?;
    if decoder.position() == bytes.len() { Ok(body) } else { Err(BadBody) }
}
