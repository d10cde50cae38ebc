//! What names an exchange.  SPEC §10.1

use core::fmt;

/// One exchange of a connection.  SPEC §10.1
///
/// Those that the connection's initiator opened are even, the responder's odd; never used twice.  0, the
/// default, is none.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ExchangeId(u64);

impl ExchangeId {
    /// The exchange with this number; whether there is one, the connection knows.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number on the wire.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
