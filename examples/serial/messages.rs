//! What the two say to each other.

use minicbor::{Decode, Encode};
use symbolon::{Kind, Overflow, Request, Topic};

#[derive(Decode, Encode)]
pub struct Temperature {
    #[n(0)]
    pub millidegrees: i32,
    /// Readings since the sensor was switched on.
    #[n(1)]
    pub number: u32,
}

impl Topic for Temperature {
    const TOPIC: &'static str = "greenhouse/temperature";
    const KIND: Kind = Kind::Event { depth: 16, overflow: Overflow::DropOldest };
}

/// The sensor asks the gateway: it has no clock that survives a restart.
#[derive(Decode, Encode)]
pub struct AskTime;

#[derive(Decode, Encode)]
pub struct Time {
    /// Since 1970.
    #[n(0)]
    pub seconds: u64,
}

impl Request for AskTime {
    const METHOD: &'static str = "time/now";
    type Reply = Time;
}

/// The gateway asks the sensor.
#[derive(Decode, Encode)]
pub struct About;

#[derive(Decode, Encode)]
pub struct Description {
    #[n(0)]
    pub started: u64,
    #[n(1)]
    pub readings: u32,
    /// Packets that were noise.
    #[n(2)]
    pub dropped: u64,
}

impl Request for About {
    const METHOD: &'static str = "about";
    type Reply = Description;
}
