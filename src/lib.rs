//! Devices that talk to each other directly.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod identity;
mod name;
mod router;
mod status;
mod topics;
mod wire;

pub use identity::PeerId;
pub use name::NameError;
pub use router::{Allow, RouteError, Router};
pub use status::Status;
pub use topics::{
    DeclareError, Kind, LinkId, Missed, Outgoing, Overflow, PublishError, TopicId, TopicLimits,
    Topics, Verdict,
};
pub use wire::message::Point;
