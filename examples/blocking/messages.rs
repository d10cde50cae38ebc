//! What the two devices say to each other: all that their programs have to share.

use minicbor::{Decode, Encode};
use symbolon::{Kind, Overflow, Request, Topic};

/// Asks the sensor to measure this often.
#[derive(Encode, Decode)]
pub struct SetPace {
    #[n(0)]
    pub milliseconds: u32,
}

/// How often it does now.
#[derive(Encode, Decode)]
pub struct Pace {
    #[n(0)]
    pub milliseconds: u32,
}

impl Request for SetPace {
    const METHOD: &'static str = "sensor/pace";
    type Reply = Pace;
}

/// How busy the machine is, in percent of all its processors.
#[derive(Encode, Decode)]
pub struct Load {
    #[n(0)]
    pub percent: u8,
}

impl Topic for Load {
    const TOPIC: &'static str = "room/load";
    const KIND: Kind = Kind::Event { depth: 16, overflow: Overflow::DropOldest };
}

/// Switches the fan by hand: its thermostat leaves it alone from then on.
#[derive(Encode, Decode)]
pub struct SetFan {
    #[n(0)]
    pub on: bool,
}

/// What the fan does now; also published when it changes.
#[derive(Encode, Decode)]
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
