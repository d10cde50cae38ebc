//! Bodies that have types: what this device and its callers share, beside each other's keys.
//!
//! They are maps with numbers for keys, so that a field can be added without breaking those who do not know it.

use minicbor::{Decode, Encode};
use symbolon::Request;

/// Asks for a measurement.
#[derive(Clone, Copy, Debug, Decode, Encode)]
#[cbor(map)]
pub struct ReadSensor {}

/// A measurement.
#[derive(Clone, Copy, Debug, Decode, Encode)]
#[cbor(map)]
pub struct Measurement {
    /// The temperature, in thousandths of a degree Celsius.
    #[n(0)]
    pub millidegrees: i32,
    /// The time since reset, in microseconds.
    #[n(1)]
    pub uptime: u64,
}

impl Request for ReadSensor {
    const METHOD: &'static str = "sensor/read";
    type Reply = Measurement;
}

/// Asks how the memory is used.
#[derive(Clone, Copy, Debug, Decode, Encode)]
#[cbor(map)]
pub struct ReadStats {}

/// How the memory is used, in bytes.
#[derive(Clone, Copy, Debug, Decode, Encode)]
#[cbor(map)]
pub struct Stats {
    /// Bytes of the heap that are allocated now.
    #[n(0)]
    pub heap_live: u32,
    /// The most bytes that ever were.
    #[n(1)]
    pub heap_peak: u32,
    /// How many allocations there were since the connection that asks has stood.
    #[n(2)]
    pub allocations: u32,
    /// The most bytes of the stack that were ever used.
    #[n(3)]
    pub stack_peak: u32,
    /// How many connections have come to stand since reset.
    #[n(4)]
    pub accepted: u32,
    /// Static memory, neither the heap's nor the stack's.
    #[n(5)]
    pub static_ram: u32,
}

impl Request for ReadStats {
    const METHOD: &'static str = "board/stats";
    type Reply = Stats;
}

/// Asks what came of the topic `weather`.
#[derive(Clone, Copy, Debug, Decode, Encode)]
#[cbor(map)]
pub struct ReadWeather {}

/// What came of the topic `weather`, on all connections together.
#[derive(Clone, Copy, Debug, Decode, Default, Encode)]
#[cbor(map)]
pub struct WeatherCount {
    /// How many publications came.
    #[n(0)]
    pub received: u32,
    /// How many were missed.
    #[n(1)]
    pub missed: u32,
    /// The number that came last.
    #[n(2)]
    pub last: u32,
}

impl Request for ReadWeather {
    const METHOD: &'static str = "board/weather";
    type Reply = WeatherCount;
}
