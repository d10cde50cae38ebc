//! What this device is and does, whatever it is connected by.

use alloc::vec::Vec;
use core::cell::Cell;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Ticker, Timer};
use symbolon::embassy::Device;
use symbolon::{
    Config, DeclareError, Identity, Kind, Limits, Overflow, PeerId, SecretKey, Seed, TopicId, TopicLimits,
    Topics,
};

use crate::board::provisioning::Provisioning;
use crate::board::{self, entropy, fault};
use crate::messages::WeatherCount;

/// The device, shared by all tasks of the one executor; hence cells, and no mutex.
pub struct App {
    /// Its identity, limits and topics.
    pub device: Device,
    /// Who is let in; the first is the one that it dials.
    pub peers: Vec<PeerId>,
    /// How many connections have come to stand since reset.
    pub accepted: Cell<u32>,
    /// What came of the topic that it has subscribed to.
    pub weather: Cell<WeatherCount>,
    /// How many ticks somebody wants.
    pub ticks: Signal<NoopRawMutex, u32>,
    /// Somebody wants it to start anew.
    pub reboot: Signal<NoopRawMutex, ()>,
    topics: TopicIds,
}

struct TopicIds {
    lamp: TopicId,
    temperature: TopicId,
    tick: TopicId,
}

impl App {
    /// The device of this record.  Where there can be none, the program ends.
    pub fn new(record: &Provisioning) -> Self {
        let Some(start) = seed() else { fault::stop("there are no random numbers") };
        let identity = Identity::new(&SecretKey::from_bytes(*record.secret_key), start);
        let Ok(config) = Config::new(identity).with_limits(limits()) else {
            fault::stop("the limits are out of range")
        };
        let mut topics = topics();
        let Ok(ids) = declare(&mut topics) else { fault::stop("the topics do not fit") };
        Self {
            device: Device::new(config, topics),
            peers: record.peers().iter().copied().map(PeerId::from_bytes).collect(),
            accepted: Cell::new(0),
            weather: Cell::new(WeatherCount::default()),
            ticks: Signal::new(),
            reboot: Signal::new(),
            topics: ids,
        }
    }

    /// Who is let in.
    #[cfg(feature = "net")]
    pub fn admission(&self) -> symbolon::Admission {
        symbolon::Admission::Only(self.peers.clone())
    }

    /// Switches the lamp, and tells all who have subscribed.
    pub fn set_lamp(&self, on: bool) {
        self.publish(self.topics.lamp, &[on.into()]);
    }

    fn publish(&self, topic: TopicId, body: &[u8]) {
        let published = self.device.publish(topic, body);
        // Both kinds of topic make room by dropping, and the bodies are short.
        debug_assert!(published.is_ok(), "{published:?}");
    }
}

/// A fresh seed, for each handshake another one.
pub fn seed() -> Option<Seed> {
    Seed::new(entropy::bytes()).ok()
}

/// The longest frame.  With the network there are three connections, and 64 KiB of RAM hold no longer ones.
pub const FRAME: u16 = if cfg!(feature = "net") { 768 } else { 1_024 };

/// As many exchanges as [`Limits::small`] has.  A queue holds one answer as long as a frame, or several short ones: where
/// that does not do, a peer is told to come again.
fn limits() -> Limits {
    let mut limits = Limits::small();
    limits.max_frame = FRAME;
    limits.call_queue = usize::from(FRAME) + 32;
    limits.window = 1_024;
    limits.body_buffer = 512;
    // A frame and its length, and as much at rest as the longest buffer: none grows later.
    limits.transmit_buffer = usize::from(FRAME) + 2;
    limits.buffer_at_rest = limits.call_queue;
    limits
}

fn topics() -> Topics {
    // Numbering begins anew with each start, which subscribers tell by the epoch.
    let [a, b, c, d, ..] = entropy::bytes();
    let mut limits = TopicLimits::default();
    limits.topics = 3;
    limits.subscriptions = 6;
    limits.subscriptions_per_link = 2;
    limits.matches = 16;
    limits.matches_per_link = 8;
    limits.depth = 8;
    limits.body = 16;
    limits.bytes = 1_024;
    Topics::new(u32::from_le_bytes([a, b, c, d]), limits)
}

fn declare(topics: &mut Topics) -> Result<TopicIds, DeclareError> {
    Ok(TopicIds {
        lamp: topics.declare("lamp/state", Kind::State)?,
        temperature: topics.declare("sensor/temperature", Kind::State)?,
        tick: topics.declare("board/tick", Kind::Event { depth: 8, overflow: Overflow::DropOldest })?,
    })
}

/// The sensor, which this board does not have: it is warmer by a tenth of a degree each second or so, ten times.
pub fn temperature() -> i32 {
    // As long as 2²⁰ microseconds, since nothing else here divides 64 bits, which is a kilobyte of code.
    let seconds = (Instant::now().as_micros() >> 20) as u32;
    21_500 + (seconds % 10) as i32 * 100
}

/// Publishes the temperature, each second.
#[embassy_executor::task]
pub async fn sense(app: &'static App) {
    let mut seconds = Ticker::every(Duration::from_secs(1));
    loop {
        app.publish(app.topics.temperature, &temperature().to_be_bytes());
        seconds.next().await;
    }
}

/// Publishes numbers, one each millisecond, when somebody asks for them.
#[embassy_executor::task]
pub async fn tick(app: &'static App) {
    loop {
        let count = app.ticks.wait().await;
        let mut milliseconds = Ticker::every(Duration::from_millis(1));
        for number in 0..count {
            app.publish(app.topics.tick, &number.to_be_bytes());
            milliseconds.next().await;
        }
    }
}

/// Starts the device anew when somebody asks for it, once the answer has had time to leave.
#[embassy_executor::task]
pub async fn reboot(app: &'static App) {
    app.reboot.wait().await;
    Timer::after_millis(100).await;
    board::reset()
}
