//! What the two sides tell each other about an answer or an ending.  SPEC §17

use core::fmt;

/// The outcome of an answer, or the reason of a close, as a number on the wire.  SPEC §17
///
/// Statuses are open: a number without a name here is a failure whose meaning the two applications share.
/// Applications use 256 and above.
///
/// ```
/// use symbolon::Status;
///
/// const OVERHEATED: Status = Status::new(300);
/// assert!(!OVERHEATED.is_ok());
/// assert_eq!(Status::NOT_FOUND.to_string(), "not found (3)");
/// ```
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Status(u16);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// Success; in a close, an orderly end.
    OK = 0, "ok";
    /// Asked to stop, and stopped.
    CANCELLED = 1, "cancelled";
    /// The deadline passed before the answer.
    DEADLINE_PASSED = 2, "deadline passed";
    /// No such method, or nothing to subscribe to.
    NOT_FOUND = 3, "not found";
    /// This peer may not.
    DENIED = 4, "denied";
    /// The name, filter or body was not understood.
    BAD_REQUEST = 5, "bad request";
    /// The application failed, or gave no answer.
    FAILED = 6, "failed";
    /// The answer does not fit.
    TOO_LARGE = 7, "too large";
    /// Not now, and not executed.
    UNAVAILABLE = 8, "unavailable";
    /// The other side does not do this.
    UNSUPPORTED = 9, "unsupported";
    /// Something newer took its place.
    SUPERSEDED = 10, "superseded";
    /// Nothing of a body moved for too long.
    STALLED = 11, "stalled";
    /// Close: not let in.
    REFUSED = 32, "refused";
    /// Close: the other side broke a rule of SPEC.md.
    VIOLATION = 33, "violation";
    /// Close: silence, or a frame begun and never finished.
    TIMED_OUT = 34, "timed out";
    /// Close: a newer connection of the same pair took its place.
    REPLACED = 35, "replaced";
    /// Close: the device or program stops.
    SHUTTING_DOWN = 36, "shutting down";
    /// Close: a counter is used up.
    EXHAUSTED = 37, "exhausted";
    /// Close: a fault on the sender's own side.
    INTERNAL = 38, "internal";
    /// Close: frames were lost on a serial line.
    LOST = 39, "lost";
}

impl Status {
    /// The first number that belongs to applications.
    pub const FIRST_OF_APPLICATION: u16 = 256;

    /// The status with this number, named or not.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether this is [`Status::OK`].
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "status {}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({self})")
    }
}
