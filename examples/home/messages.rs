//! What the devices say to each other: all that their programs have to share.

use minicbor::{Decode, Encode};
use symbolon::{Kind, Overflow, Request, Topic};

/// Asks any device what it is.
#[derive(Debug, Encode, Decode)]
pub struct About;

/// What a device is, and how many requests it has served.
#[derive(Debug, Encode, Decode)]
pub struct AboutMe {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub served: u64,
}

impl Request for About {
    const METHOD: &'static str = "about";
    type Reply = AboutMe;
}

/// Switches the fan.
#[derive(Debug, Encode, Decode)]
pub struct SetFan {
    #[n(0)]
    pub on: bool,
}

/// What the fan does now; also published when it changes.
#[derive(Clone, Copy, Debug, Encode, Decode, Eq, PartialEq)]
pub struct FanState {
    #[n(0)]
    pub on: bool,
}

impl Request for SetFan {
    const METHOD: &'static str = "fan/set";
    type Reply = FanState;
}

impl Topic for FanState {
    const TOPIC: &'static str = "fan/state";
    const KIND: Kind = Kind::State;
}

/// How busy the machine is, in percent of all its processors.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct Load {
    #[n(0)]
    pub percent: u8,
}

impl Topic for Load {
    const TOPIC: &'static str = "room/load";
    const KIND: Kind = Kind::Event { depth: 16, overflow: Overflow::DropOldest };
}

/// What the thermostat makes of it.
#[derive(Clone, Copy, Debug, Encode, Decode, Eq, PartialEq)]
pub struct Verdict {
    #[n(0)]
    pub too_hot: bool,
}

impl Topic for Verdict {
    const TOPIC: &'static str = "thermostat/state";
    const KIND: Kind = Kind::State;
}
