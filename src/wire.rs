//! The bytes of the protocol: preambles, frame lengths, the handshake's payload and messages.
//!
//! Everything here is a pure function of bytes.  It knows no state, no role's rules, no keys and no time, and
//! decoding never allocates: what a decoder returns borrows from what it was given.  A value that decodes is
//! well-formed, not yet allowed; whether it may be sent now, by this side, about this exchange, is decided above.

pub(crate) mod cbor;
pub(crate) mod encode;
pub(crate) mod frame;
pub(crate) mod message;
pub(crate) mod payload;
pub(crate) mod preamble;

#[cfg(test)]
mod tests;

pub use cbor::EncodingError;
pub use message::{Point, WireError};
pub use payload::PayloadError;
pub use preamble::RefusalCode;
