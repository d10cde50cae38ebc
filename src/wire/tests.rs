//! Tests of the decoders, each against the clause that it names.

mod encoding;
mod messages;
mod payloads;
