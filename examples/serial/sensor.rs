//! Measures, publishes, and asks the gateway for the time.

use std::fs::OpenOptions;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use symbolon::blocking::Device;
use symbolon::{Identity, PeerId, SecretKey, Seed};

use crate::Failure;
use crate::messages::{About, AskTime, Description, Temperature};
use crate::port::{make_raw, timeouts};

pub fn run(path: &str) -> Result<(), Failure> {
    let mut lines = std::io::stdin().lines();
    let secret = lines.next().ok_or("no secret")??;
    let gateway: PeerId = lines.next().ok_or("no gateway")??.parse()?;
    let identity = Identity::new(&SecretKey::from_bytes(from_hex(&secret)?), Seed::random()?);

    let state = Arc::new(State::default());
    let told = state.clone();
    let device = Device::builder(identity)
        .trust([gateway])
        .timeouts(timeouts())
        .topic::<Temperature>()
        .on(move |_, About| Ok(told.describe()))
        .build()?;
    let port = OpenOptions::new().read(true).write(true).open(path)?;
    make_raw(&port)?;
    // It dials as well, so that the gateway hears of a restart at once.  SPEC §19.5
    let line = device.serial(port.try_clone()?, port, |_| {}, Some(gateway))?;

    let begun = Instant::now();
    for number in 0.. {
        if state.started.load(Ordering::Relaxed) == 0
            && let Some(link) = line.session(Duration::ZERO)
            && let Ok(time) = link.call_timeout(&AskTime, Duration::from_secs(1))
        {
            state.started.store(time.seconds, Ordering::Relaxed);
        }
        // No thermometer is at hand: it grows warmer for 4 s, and begins anew.
        let millidegrees = 21_000 + i32::try_from(begun.elapsed().as_millis() % 4000)?;
        device.publish(&Temperature { millidegrees, number })?;
        state.readings.store(number, Ordering::Relaxed);
        state.dropped.store(line.dropped(), Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// What the sensor tells of itself.
#[derive(Default)]
struct State {
    started: AtomicU64,
    readings: AtomicU32,
    dropped: AtomicU64,
}

impl State {
    fn describe(&self) -> Description {
        Description {
            started: self.started.load(Ordering::Relaxed),
            readings: self.readings.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}

fn from_hex(text: &str) -> Result<[u8; 32], Failure> {
    if text.len() != 64 || !text.is_ascii() {
        return Err("a secret has 64 hexadecimal digits".into());
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16)?;
    }
    Ok(bytes)
}
