//! What the camera and the displays say to each other: all that their programs have to share.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use symbolon::{Kind, Request};

/// The pictures, as they are taken.
pub const FRAMES: &str = "camera/frames";
/// The latest picture counts: who is slow gets fewer of them.
pub const FRAMES_KIND: Kind = Kind::State;

/// What stands before each picture in the body of a publication.  Bare bytes, so that a picture is handed on as it came,
/// without a copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Its number, from 0.
    pub number: u32,
    /// When it was taken, on the clock of clock.rs.
    pub taken: u64,
    /// Whether the film ends with it.
    pub last: bool,
}

impl Head {
    const LEN: usize = 4 + 8 + 1;

    /// The body of a publication: this head, and the picture.
    pub fn with(self, picture: &[u8], body: &mut Vec<u8>) {
        body.clear();
        body.extend_from_slice(&self.number.to_be_bytes());
        body.extend_from_slice(&self.taken.to_be_bytes());
        body.push(self.last.into());
        body.extend_from_slice(picture);
    }

    /// What the body of a publication is made of; `None` where it is too short.
    pub fn split(body: &Bytes) -> Option<(Self, Bytes)> {
        let (number, rest) = body.split_first_chunk()?;
        let (taken, rest) = rest.split_first_chunk()?;
        let (last, _) = rest.split_first()?;
        let head =
            Self { number: u32::from_be_bytes(*number), taken: u64::from_be_bytes(*taken), last: *last != 0 };
        Some((head, body.slice(Self::LEN..)))
    }
}

/// Asks the camera to keep so many pictures, from the next one on.
#[derive(Debug, Encode, Decode)]
pub struct Record {
    #[n(0)]
    pub pictures: u32,
}

/// That it does, and the number of the first.
#[derive(Debug, Encode, Decode)]
pub struct Recording {
    #[n(0)]
    pub from: u32,
}

impl Request for Record {
    const METHOD: &'static str = "camera/record";
    type Reply = Recording;
}
