//! Which side of a connection one is.

use core::ops::Not;

/// Which side of a connection one is: the one that opened it, or the one that was called.
///
/// The two differ only in who speaks first. Either may call the other's methods afterwards.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that opened the connection and speaks first.
    Initiator,
    /// The side that was called.
    Responder,
}

impl Role {
    /// Whether this is the side that speaks first.
    #[must_use]
    pub const fn is_initiator(self) -> bool {
        matches!(self, Self::Initiator)
    }
}

/// The role of the other side.
impl Not for Role {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_side_of_the_other_side_is_oneself() {
        for role in [Role::Initiator, Role::Responder] {
            assert_ne!(!role, role);
            assert_eq!(!!role, role);
            assert_ne!((!role).is_initiator(), role.is_initiator());
        }
    }
}
