//! What the two programs say to each other: all that they share, beside the receiver's address and id.
//!
//! ```text
//!   sender                                    receiver
//!     │ ── Offer: name, length, digest ──────► │   what is there of it?
//!     │ ◄───── Found: the whole, or so much ── │
//!     │ ── Send: from there, and the bytes ──► │
//!     │ ◄───────────── Stored: name, digest ── │
//! ```
//!
//! Whatever cuts this short, the sender begins again at the first line.

use minicbor::{Decode, Encode};
use symbolon::{Request, Status};

/// SHA-256.
pub type Digest = [u8; 32];

/// A file that is about to be sent, and the question what is there of it.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Offer {
    /// One name, never a path; the receiver decides what it takes.
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub length: u64,
    /// Of the whole.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub digest: Digest,
}

impl Request for Offer {
    const METHOD: &'static str = "files/offer";
    type Reply = Found;
}

/// What is there of a file that was offered.
#[derive(Debug, PartialEq, Encode, Decode)]
pub enum Found {
    /// All of it, under this name.
    #[n(0)]
    Whole(#[n(0)] String),
    /// That many bytes, perhaps none, and their digest: the sender compares it with its own file.
    #[n(1)]
    Part {
        #[n(0)]
        length: u64,
        #[cbor(n(1), with = "minicbor::bytes")]
        digest: Digest,
    },
}

/// The head of a body in chunks: the bytes of the file from `from` to its end.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Send {
    #[n(0)]
    pub offer: Offer,
    #[n(1)]
    pub from: u64,
    /// Of the bytes before `from`, which must still be there.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub before: Digest,
}

impl Request for Send {
    const METHOD: &'static str = "files/send";
    type Reply = Stored;
}

/// The file is there, safe on the disk.
#[derive(Debug, Encode, Decode)]
pub struct Stored {
    /// Under this name.
    #[n(0)]
    pub name: String,
    /// As the receiver has worked it out of what it has written.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub digest: Digest,
}

// Statuses of this application: below 256 they are the protocol's.  SPEC §17
pub const BAD_NAME: Status = Status::new(256);
pub const DISK: Status = Status::new(257);
pub const NAMES_TAKEN: Status = Status::new(258);
pub const NO_ROOM: Status = Status::new(259);
pub const PART_CHANGED: Status = Status::new(260);
pub const SOURCE_CHANGED: Status = Status::new(261);
pub const WRONG_DIGEST: Status = Status::new(262);
pub const WRONG_LENGTH: Status = Status::new(263);

/// A status in words.
pub fn explain(status: Status) -> String {
    let text = match status {
        BAD_NAME => "a file of this name is not taken",
        DISK => "the receiver cannot read or write its folder; what it has got is kept",
        NAMES_TAKEN => "too many other files of this name are there",
        NO_ROOM => "the receiver's disk is full; what it has got is kept",
        PART_CHANGED => "what was there has changed",
        SOURCE_CHANGED => "the file has changed while it was sent; nothing is kept",
        WRONG_DIGEST => "what arrived is not what was offered; nothing is kept",
        WRONG_LENGTH => "what arrived is longer or shorter than what was offered; nothing is kept",
        other => return other.to_string(),
    };
    text.to_owned()
}
