//! What the board and its callers share: see `src/messages.rs` of the firmware.

use minicbor::{Decode, Encode};
use symbolon::Request;

#[derive(Clone, Copy, Debug, Decode, Encode)]
#[cbor(map)]
pub struct ReadStats {}

/// How the board's memory is used, in bytes.
#[derive(Clone, Copy, Debug, Decode, Encode)]
#[cbor(map)]
pub struct Stats {
    #[n(0)]
    pub heap_live: u32,
    #[n(1)]
    pub heap_peak: u32,
    /// Since the connection that asks has stood.
    #[n(2)]
    pub allocations: u32,
    #[n(3)]
    pub stack_peak: u32,
    #[n(4)]
    pub accepted: u32,
    #[n(5)]
    pub static_ram: u32,
}

impl Request for ReadStats {
    const METHOD: &'static str = "board/stats";
    type Reply = Stats;
}

#[derive(Clone, Copy, Debug, Decode, Encode)]
#[cbor(map)]
pub struct ReadWeather {}

/// What came of our topic `weather`.
#[derive(Clone, Copy, Debug, Decode, Default, Encode)]
#[cbor(map)]
pub struct WeatherCount {
    #[n(0)]
    pub received: u32,
    #[n(1)]
    pub missed: u32,
    #[n(2)]
    pub last: u32,
}

impl Request for ReadWeather {
    const METHOD: &'static str = "board/weather";
    type Reply = WeatherCount;
}

/// Asks the board to call our `echo` so many times.
pub fn order(count: u32) -> Vec<u8> {
    [&count.to_be_bytes()[..], b"echo"].concat()
}
