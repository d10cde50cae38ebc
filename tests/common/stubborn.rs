//! A value that has no bytes.

use minicbor::encode::{Error, Write};
use minicbor::{Decode, Encode, Encoder};
use symbolon::{Kind, Request, Topic};

/// Its `Encode` always fails.
#[derive(Debug, Decode, PartialEq)]
pub struct Stubborn;

impl Encode<()> for Stubborn {
    fn encode<W: Write>(&self, _: &mut Encoder<W>, (): &mut ()) -> Result<(), Error<W::Error>> {
        Err(Error::message("meant"))
    }
}

impl Request for Stubborn {
    const METHOD: &'static str = "stubborn";
    type Reply = Self;
}

/// Answered by one.
#[derive(Debug, Decode, Encode)]
pub struct Streamed;

impl Request for Streamed {
    const METHOD: &'static str = "streamed";
    type Reply = Stubborn;
}

impl Topic for Stubborn {
    const TOPIC: &'static str = "stubborn";
    const KIND: Kind = Kind::State;
}
