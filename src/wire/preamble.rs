//! The eight bytes in clear that each direction begins with.  SPEC §3

/// How long a preamble is.  SPEC §3
pub(crate) const PREAMBLE_LEN: usize = 8;
/// The one version that this crate speaks.  SPEC §3
pub(crate) const VERSION: u8 = 1;
/// The profile of byte streams and serial lines.  SPEC §3
pub(crate) const PROFILE: u8 = 0;

/// Why a responder refused before the handshake.  Nobody vouches for it: whoever sits on the path can forge one.
/// SPEC §3
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalCode {
    /// Too many handshakes at once; try again later.
    #[error("too many handshakes at once")]
    Busy,
    /// The profile is not spoken there.
    #[error("profile not spoken")]
    Profile,
    /// There is no common suite.
    #[error("no common suite")]
    Suite,
    /// The versions spoken here are too old.
    #[error("version too old")]
    Version,
}

/// What an initiator begins with.  SPEC §3
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct InitiatorPreamble {
    /// The highest that it speaks.
    pub(crate) version: u8,
    pub(crate) profile: u8,
    /// The suites that it offers; unknown bits are kept, and are the responder's to ignore (PRE-6).
    pub(crate) suites: u16,
}

/// What a responder begins with.  SPEC §3
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ResponderPreamble {
    pub(crate) version: u8,
    /// `None`: accepted.
    pub(crate) code: Option<RefusalCode>,
    pub(crate) suites: u16,
}

/// Why eight bytes are no preamble.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PreambleError {
    Magic,
    UnknownCode(u8),
}

impl RefusalCode {
    /// The number on the wire.  SPEC §3
    pub const fn number(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::Profile => 2,
            Self::Suite => 3,
            Self::Busy => 4,
        }
    }

    const fn new(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Version,
            2 => Self::Profile,
            3 => Self::Suite,
            4 => Self::Busy,
            _ => return None,
        })
    }
}

impl InitiatorPreamble {
    const MAGIC: [u8; 4] = *b"symb"; // SPEC §3

    /// Whether these first bytes, as few as there are, can begin such a preamble.  SPEC §3 (PRE-2)
    pub(crate) fn magic_matches(prefix: &[u8]) -> bool {
        prefix.iter().zip(Self::MAGIC).all(|(&byte, magic)| byte == magic)
    }

    pub(crate) fn encode(self) -> [u8; PREAMBLE_LEN] {
        join(Self::MAGIC, self.version, self.profile, self.suites)
    }

    pub(crate) fn decode(bytes: [u8; PREAMBLE_LEN]) -> Result<Self, PreambleError> {
        let [version, profile, suites @ ..] = split(bytes, Self::MAGIC)?;
        let suites = u16::from_be_bytes(suites);
        Ok(Self { version, profile, suites })
    }
}

impl ResponderPreamble {
    const MAGIC: [u8; 4] = *b"olon"; // SPEC §3

    /// Whether these first bytes, as few as there are, can begin such a preamble.  SPEC §3 (PRE-3)
    pub(crate) fn magic_matches(prefix: &[u8]) -> bool {
        prefix.iter().zip(Self::MAGIC).all(|(&byte, magic)| byte == magic)
    }

    pub(crate) fn encode(self) -> [u8; PREAMBLE_LEN] {
        join(Self::MAGIC, self.version, self.code.map_or(0, RefusalCode::number), self.suites)
    }

    /// Reads one; of PRE-5, only the table of codes is checked here, since the rest depends on what was offered.
    pub(crate) fn decode(bytes: [u8; PREAMBLE_LEN]) -> Result<Self, PreambleError> {
        let [version, code, suites @ ..] = split(bytes, Self::MAGIC)?;
        let suites = u16::from_be_bytes(suites);
        let code = match code {
            0 => None,
            _ => Some(RefusalCode::new(code).ok_or(PreambleError::UnknownCode(code))?), // SPEC §3 (PRE-5)
        };
        Ok(Self { version, code, suites })
    }
}

fn join(magic: [u8; 4], version: u8, fifth: u8, suites: u16) -> [u8; PREAMBLE_LEN] {
    let ([a, b, c, d], [high, low]) = (magic, suites.to_be_bytes());
    [a, b, c, d, version, fifth, high, low]
}

fn split(bytes: [u8; PREAMBLE_LEN], magic: [u8; 4]) -> Result<[u8; 4], PreambleError> {
    let [a, b, c, d, rest @ ..] = bytes;
    if [a, b, c, d] != magic {
        return Err(PreambleError::Magic);
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_of_both() {
        let initiator = InitiatorPreamble { version: 1, profile: 0, suites: 0x0001 };
        assert_eq!(initiator.encode(), *b"symb\x01\x00\x00\x01");
        let accepted = ResponderPreamble { version: 1, code: None, suites: 0x0001 };
        assert_eq!(accepted.encode(), *b"olon\x01\x00\x00\x01");
        let refused = ResponderPreamble { version: 1, code: Some(RefusalCode::Busy), suites: 3 };
        assert_eq!(refused.encode(), *b"olon\x01\x04\x00\x03");
    }

    /// PRE-2, PRE-3: the first byte that differs decides.  Attack F11
    #[test]
    fn magic_is_checked_byte_by_byte() {
        for len in 0..=PREAMBLE_LEN {
            assert!(InitiatorPreamble::magic_matches(&b"symb\x01\x00\x00\x01"[..len]));
            assert!(ResponderPreamble::magic_matches(&b"olon\x01\x00\x00\x01"[..len]));
        }
        for prefix in [&b"S"[..], b"\x16\x03\x01", b"GET ", b"sy\x00", b"symp", b"olon"] {
            assert!(!InitiatorPreamble::magic_matches(prefix), "{prefix:?}");
        }
        for prefix in [&b"s"[..], b"symb", b"olom", b"HTTP"] {
            assert!(!ResponderPreamble::magic_matches(prefix), "{prefix:?}");
        }
        assert_eq!(InitiatorPreamble::decode(*b"olon\x01\0\0\x01"), Err(PreambleError::Magic));
        assert_eq!(ResponderPreamble::decode(*b"symb\x01\0\0\x01"), Err(PreambleError::Magic));
    }

    /// PRE-5: codes, each of the 256
    #[test]
    fn codes() {
        for number in 0..=u8::MAX {
            let mut bytes = *b"olon\x01\x00\x00\x01";
            bytes[5] = number;
            let code = ResponderPreamble::decode(bytes).map(|preamble| preamble.code);
            let expected = match number {
                0 => Ok(None),
                1 => Ok(Some(RefusalCode::Version)),
                2 => Ok(Some(RefusalCode::Profile)),
                3 => Ok(Some(RefusalCode::Suite)),
                4 => Ok(Some(RefusalCode::Busy)),
                _ => Err(PreambleError::UnknownCode(number)),
            };
            assert_eq!(code, expected);
        }
    }

    proptest! {
        /// PRE-6: suites unknown to us are neither refused nor lost (they are part of the prologue)
        #[test]
        fn initiator_round_trip(version: u8, profile: u8, suites: u16) {
            let preamble = InitiatorPreamble { version, profile, suites };
            prop_assert_eq!(InitiatorPreamble::decode(preamble.encode()), Ok(preamble));
        }

        #[test]
        fn responder_round_trip(version: u8, number in 0u8..5, suites: u16) {
            let preamble = ResponderPreamble { version, code: RefusalCode::new(number), suites };
            prop_assert_eq!(ResponderPreamble::decode(preamble.encode()), Ok(preamble));
        }
    }
}
