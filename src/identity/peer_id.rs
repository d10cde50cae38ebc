//! The public name of a device.

use core::fmt;
use core::str::FromStr;

/// The name of a device: its Ed25519 public key.
///
/// Written as 64 hexadecimal digits. Names known when the program is built can be constants, and a typing error in one
/// is then a compile error:
///
/// ```
/// use symbolon::PeerId;
///
/// const LAMP: PeerId = match PeerId::parse(
///     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
/// ) {
///     Ok(id) => id,
///     Err(_) => panic!("not a peer id"),
/// };
/// assert_eq!(format!("{LAMP:?}"), "PeerId(d75a9801…)");
/// ```
///
/// That a value exists says nothing about anybody having proved to be that device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId([u8; 32]);

impl PeerId {
    /// The device with this public key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The public key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 hexadecimal digits, in either case; for constants, otherwise as [`FromStr`].
    ///
    /// # Errors
    ///
    /// [`ParsePeerIdError`] says what is wrong with the text.
    ///
    /// ```
    /// use symbolon::PeerId;
    ///
    /// let id: PeerId = "D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A".parse()?;
    /// assert_eq!(id.to_string(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    /// assert_eq!(id.short().to_string(), "d75a9801");
    /// assert!("d75a9801".parse::<PeerId>().is_err());
    /// # Ok::<(), symbolon::ParsePeerIdError>(())
    /// ```
    pub const fn parse(text: &str) -> Result<Self, ParsePeerIdError> {
        match decode_hex(text.as_bytes()) {
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) => Err(error),
        }
    }

    /// The first eight digits: enough for a log, not enough to tell an attacker's key apart.
    #[must_use]
    pub fn short(&self) -> impl fmt::Display + use<> {
        Short([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

/// Its first eight digits.
#[cfg(all(feature = "defmt", target_os = "none"))]
impl defmt::Format for PeerId {
    fn format(&self, f: defmt::Formatter<'_>) {
        let [a, b, c, d, ..] = self.0;
        defmt::write!(f, "{:08x}", u32::from_be_bytes([a, b, c, d]));
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        encode_hex(&self.0, &mut digits);
        f.pad(core::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

/// Abbreviated: a full public key hides what else is in a line.
impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({}…)", self.short())
    }
}

impl FromStr for PeerId {
    type Err = ParsePeerIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A text that is not a [`PeerId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParsePeerIdError {
    /// Something other than a hexadecimal digit.
    #[error("a peer id consists of hexadecimal digits; byte {at} is none")]
    Digit {
        /// The position of the first such byte.
        at: usize,
    },
    /// Not 64 digits.
    #[error("a peer id has 64 hexadecimal digits, not {found}")]
    Length {
        /// The length of the text in bytes.
        found: usize,
    },
}

struct Short([u8; 4]);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 8];
        encode_hex(&self.0, &mut digits);
        f.pad(core::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

/// Writes two lower-case digits for each byte.
///
/// Arithmetic in place of a table: secrets pass through here too, and a look-up leaves marks in the cache.
pub(super) fn encode_hex(bytes: &[u8], digits: &mut [u8]) {
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        pair[0] = digit(byte >> 4);
        pair[1] = digit(byte & 0x0f);
    }
}

/// Reads 64 digits of either case.
pub(super) const fn decode_hex(text: &[u8]) -> Result<[u8; 32], ParsePeerIdError> {
    if text.len() != 64 {
        return Err(ParsePeerIdError::Length { found: text.len() });
    }
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < 64 {
        let Some(value) = value(text[at]) else {
            return Err(ParsePeerIdError::Digit { at });
        };
        bytes[at / 2] = bytes[at / 2] << 4 | value;
        at += 1;
    }
    Ok(bytes)
}

const fn digit(value: u8) -> u8 {
    // 39 leads from the byte after '9' to 'a'; the shift yields 1 for values above 9.
    b'0' + value + 39 * ((value + 6) >> 4)
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;

    const ID: PeerId = PeerId::from_bytes([0xA5; 32]);

    #[test]
    fn text_that_is_no_peer_id_is_refused() {
        let good = ID.to_string();
        assert_eq!(PeerId::parse(""), Err(ParsePeerIdError::Length { found: 0 }));
        assert_eq!(PeerId::parse(&good[1..]), Err(ParsePeerIdError::Length { found: 63 }));
        let long = good.clone() + "\n";
        assert_eq!(long.parse::<PeerId>(), Err(ParsePeerIdError::Length { found: 65 }));
        for bad in ['g', 'G', ' ', '/', ':', '@', '`', '+'] {
            let mut text: String = good[..63].into();
            text.push(bad);
            assert_eq!(PeerId::parse(&text), Err(ParsePeerIdError::Digit { at: 63 }));
        }
        assert_eq!(PeerId::parse(&"é".repeat(32)), Err(ParsePeerIdError::Digit { at: 0 }));
    }

    #[test]
    fn debug_and_short_are_short() {
        assert_eq!(alloc::format!("{ID:?}"), "PeerId(a5a5a5a5…)");
        assert_eq!(ID.short().to_string(), "a5a5a5a5");
        assert_eq!(alloc::format!("{ID:>66}"), alloc::format!("  {ID}"));
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(bytes: [u8; 32]) {
            let id = PeerId::from_bytes(bytes);
            let text = id.to_string();
            prop_assert!(text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)));
            prop_assert_eq!(text.parse::<PeerId>(), Ok(id));
            prop_assert_eq!(PeerId::parse(&text.to_uppercase()), Ok(id));
        }

        #[test]
        fn only_64_digits_are_an_id(text: String) {
            let is_id = text.len() == 64 && text.bytes().all(|c| c.is_ascii_hexdigit());
            prop_assert_eq!(PeerId::parse(&text).is_ok(), is_id);
        }
    }
}
