//! The adapter for embassy: any transport with `embedded-io-async`'s traits, and `embassy-time`'s clock.
//!
//! For firmware, with `core` and `alloc` alone.  It spawns nothing, allocates nothing once a connection stands but where a
//! method says so, and needs no atomics: all of it belongs to one executor.  What lies below it says itself when it takes
//! heap from then on: a [`Connection`](crate::Connection) for bodies in chunks, [`Topics`](crate::Topics) for what is
//! published and for the peer's subscriptions, and a serial line for the handshake of the session that is to come.
//!
//! A [`Device`] is who you are, and what you publish.  A [`Runner`] drives one connection over a byte stream, a
//! [`LineRunner`] one session after the other over a serial line.  There are two ways to write a program:
//!
//! - **One loop**: [`Runner::next`] gives what happens, step by step, and [`Runner::connection`] takes commands.
//! - **Several tasks**: beside the task with that loop, others call, subscribe and stream through the [`Handle`] of a
//!   [`Link`], which has memory of its own for them; [`Device::publish`] is for any task.
//!
//! Both at once is usual: requests are served in the loop, and a task calls.  What goes on for longer than a moment
//! belongs in another task: the connection stands still while the loop is elsewhere.
//!
//! Two connections with one peer are the program's to see to, if it accepts on several runners (SPEC §18, DUP-2): where
//! this device's id is the smaller one, it ends the older of the two with `goaway`, and with `close` and
//! [`Status::REPLACED`](crate::Status::REPLACED) once its exchanges have ended,
//! or after [`Timeouts::close`](crate::Timeouts::close) at the latest.
//!
//! `examples/firmware` is a whole program, for a Cortex-M3 in an emulator;
//! [`guide::firmware`](crate::guide::firmware) says what costs what, and how to choose.

mod body;
mod description;
mod desk;
mod device;
mod drive;
mod error;
mod exchange;
mod handle;
mod line;
mod link;
mod owed;
mod runner;
mod served;
mod slot;
mod store;
mod subscription;
mod transport;
mod watchers;

pub use super::error::{BodyError, Gap, SubscribeError};
pub use crate::SubscribeOptions;
pub use body::{BodyReader, BodyWriter};
pub use device::Device;
pub use error::CallError;
pub use exchange::{RawReply, Reply};
pub use handle::{Handle, Responder};
pub use line::{LineRunner, Seeds};
pub use link::Link;
pub use runner::{Runner, Step};
pub use subscription::{Delivery, Publication, RawSubscription, Subscription};
pub use transport::{Buffers, Unflushed};
