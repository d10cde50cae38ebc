//! Devices that talk to each other directly.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs, unreachable_pub)]
#![warn(clippy::alloc_instead_of_core, clippy::std_instead_of_core)]
#![cfg_attr(docsrs, feature(doc_cfg))]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "tokio")]
mod adapter;
mod config;
mod connection;
mod crypto;
mod error;
mod identity;
mod missed;
pub mod name;
mod noise;
mod role;
mod router;
mod status;
mod time;
mod topics;
mod typed;
mod wire;

#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use adapter::tokio;
pub use config::{Admission, Config, ConfigError, Limits, Timeouts};
pub use connection::{Connection, Event, ExchangeId, Failure, Outgoing, Publication, StopCause};
pub use crypto::Provider;
pub use error::{CloseReason, HandshakeError, PeerMisbehaved, SendError, TimedOut};
#[cfg(feature = "std")]
pub use identity::EntropyError;
pub use identity::{ConstantSeed, Identity, ParsePeerIdError, PeerId, SecretKey, Seed};
pub use missed::Missed;
pub use role::Role;
pub use router::{Allow, RouteError, Router};
pub use status::Status;
pub use time::Instant;
pub use topics::{
    DeclareError, Kind, LinkId, Offer, Overflow, PublishError, TopicId, TopicLimits, Topics, Verdict,
};
pub use typed::{BadBody, Body, Request, Topic, from_bytes, to_bytes};
pub use wire::{EncodingError, PayloadError, Point, RefusalCode, WireError};
