//! Devices that talk to each other directly: encrypted, authenticated by their own keys, each one client and
//! server at once, with no hub and no cloud.
//!
//! Two devices that know each other's keys hold one connection over any byte stream.  Over it each calls the
//! other's methods and serves its own, publishes and subscribes.  Requests and replies may have bodies of any length,
//! read and written as they flow.  The protocol is in [SPEC.md]; everything here cites its sections.
//!
//! # Where to begin
//!
//! - **A program without a runtime**: [`blocking`], and `examples/chat.rs`, to be copied; `examples/files` where
//!   something long is sent.
//! - **A program on tokio**: the `tokio` module (feature `tokio`), and `examples/home`; `examples/camera` for
//!   live video.
//! - **Firmware**: the `embassy` module (feature `embassy`), the page `guide::firmware`, and `examples/firmware`.
//! - **A serial line**: [`blocking::Device::serial`]; below it [`serial`], which puts a [`Connection`] on it, and
//!   another after it.
//! - **Anything else**: [`Connection`], the whole protocol without a socket, a clock or a source of randomness,
//!   and `examples/by_hand.rs`, the loop around it written out.
//! - **A peer in another language**: [SPEC.md] alone.
//!
//! Three pages say what a program may count on: [`guide::outcomes`], what `Ok` of each call means, and whether a
//! peer may have executed what failed; [`guide::cancellation`], what may be dropped, and what blocks for how long;
//! [`guide::limits`], what bounds memory, time and threads.
//!
//! # The layers
//!
//! Each knows only those below it.
//!
//! ```text
//!  ┌───────────────────────────────────────────────────────────────┐
//!  │ your program        messages: Request, Topic, or bare bytes   │
//!  ├────────────────────┬────────────────────┬─────────────────────┤
//!  │ blocking  Device,  │ tokio  Device,     │ embassy  Device,    │  waits: sockets, clocks,
//!  │   Handle, Server,  │   Handle, Runner,  │   Handle, Runner,   │  threads here, tasks there
//!  │   SerialLine       │   Listener         │   LineRunner        │
//!  ├────────────────────┴────────────────────┴────┬────────────────┤
//!  │ serial     Line: sessions, one after another │                │  a line has no connections
//!  ├──────────────────────────────────────────────┤ Router, Topics │
//!  │ Connection          one link to one peer     │ one per device │  never waits, never fails on input
//!  │   handshake ► session: exchanges, queues     │                │
//!  ├──────────────────────┬───────────────────────┴────────────────┤
//!  │ noise, identity      │ wire: preamble, frame, CBOR messages   │  bytes, keys; no state machine
//!  ├──────────────────────┴────────────────────────────────────────┤
//!  │ Provider            the primitives, a value chosen at run time│
//!  └───────────────────────────────────────────────────────────────┘
//! ```
//!
//! # What holds, always
//!
//! - The core reads no clock, no socket and no random numbers: time is an [`Instant`] handed in, bytes are slices,
//!   entropy is a [`Seed`].
//! - Inputs never fail; the connection does: it ends once, with one [`CloseReason`], told last.
//! - A refused command leaves the connection exactly as it was; [`SendError`] says why.
//! - Nothing the network sends panics, allocates beyond [`Limits`], or loops; nor does any order of calls, or any jump
//!   of the clock.
//! - Every request ends exactly once; nothing published is lost without being counted; a body that was cut short is
//!   never taken for a whole one.
//! - Who is not let in gets nothing: no event, no method's body decoded.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `aws-lc` (default) | `Provider::aws_lc`: ciphers and key exchange in C and assembler, AES-256-GCM among them |
//! | `std` (default) | [`blocking`]; [`Identity::generate`], [`Identity::load_or_create`], [`Seed::random`] |
//! | `tokio` | the adapter for tokio |
//! | `embassy`, `embedded-io-async-v0_7` | the adapter for embassy: its umbrella, and the version of the traits in its API |
//! | `mdns` | [`mdns`]: devices find each other on the local network |
//! | `tracing`, `log` | what adapters have to tell, without keys and bodies |
//! | `defmt` | the same on targets without an operating system, and `Format` for errors and ids |
//! | `test-util` | two devices that meet in memory, for the tests of your program; brings `tokio` |
//!
//! Without `std` it needs `core` and `alloc`.
//!
//! # Security
//!
//! symbolon has not been audited.  What it protects and what it does not is in section 21 of [SPEC.md].
//!
//! [SPEC.md]: https://github.com/symbolon/symbolon/blob/main/SPEC.md
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs, unreachable_pub)]
// Here and not in Cargo.toml: tests and benches are programs on a host, and may say std.
#![warn(clippy::alloc_instead_of_core, clippy::std_instead_of_alloc, clippy::std_instead_of_core)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(any(feature = "std", feature = "embedded-io-async-v0_7"))]
mod adapter;
mod buffer;
mod config;
mod connection;
mod crypto;
mod description;
mod error;
mod exchange;
mod identity;
pub mod name;
mod noise;
mod publication;
mod role;
mod router;
pub mod serial;
mod status;
#[cfg(test)]
mod tests;
mod time;
mod topics;
mod typed;
mod wire;

#[cfg(feature = "embedded-io-async-v0_7")]
#[cfg_attr(docsrs, doc(cfg(feature = "embassy")))]
pub use adapter::embassy;
#[cfg(feature = "mdns")]
#[cfg_attr(docsrs, doc(cfg(feature = "mdns")))]
pub use adapter::mdns;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use adapter::tokio;
#[cfg(feature = "std")]
#[cfg_attr(docsrs, doc(cfg(feature = "std")))]
pub use adapter::{Builder, blocking};
pub use config::{Admission, Config, ConfigError, Limits, Timeouts};
pub use connection::{Connection, Event, Failure, Following, Memory, Publication, RequestHead, StopCause};
pub use crypto::Provider;
pub use description::{Description, DescriptionError, MethodDescription, TopicDescription};
pub use error::{CloseReason, HandshakeError, PeerMisbehaved, SendError, TimedOut};
pub use exchange::ExchangeId;
#[cfg(feature = "std")]
#[cfg_attr(docsrs, doc(cfg(feature = "std")))]
pub use identity::EntropyError;
pub use identity::{ConstantSeed, Identity, ParsePeerIdError, PeerId, SecretKey, Seed};
pub use publication::{Missed, Outgoing, SubscribeOptions};
pub use role::Role;
pub use router::{Allow, RouteError, Router};
pub use status::Status;
pub use time::Instant;
pub use topics::{
    Behind, DeclareError, Kind, LinkId, Offer, Overflow, PublishError, TopicId, TopicLimits, Topics, Verdict,
};
pub use typed::{BadBody, Body, EncodeError, Request, ToSliceError, Topic, from_bytes, to_bytes, to_slice};
pub use wire::{EncodingError, PayloadError, Point, RefusalCode, WireError};

/// Pages to read: what `Ok` means, what may be dropped, what bounds memory.  No items.
#[cfg(all(feature = "std", any(doc, doctest)))]
#[cfg_attr(docsrs, doc(cfg(feature = "std")))]
#[cfg_attr(not(feature = "tokio"), allow(rustdoc::broken_intra_doc_links))]
pub mod guide {
    #[doc = include_str!("guide/cancellation.md")]
    pub mod cancellation {}

    #[cfg(feature = "embedded-io-async-v0_7")]
    #[doc = include_str!("guide/firmware.md")]
    pub mod firmware {}

    #[doc = include_str!("guide/limits.md")]
    pub mod limits {}

    #[doc = include_str!("guide/outcomes.md")]
    pub mod outcomes {}
}

/// The programs of the README, run as tests.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
