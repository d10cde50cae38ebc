//! Each device's own idea of time: it begins anywhere, goes too fast or too slow, and jumps.

use symbolon::Instant;

/// True time is in microseconds since the seed began.
pub struct Clock {
    /// When it was set last, in true time, and to what.
    set: u64,
    shown: u64,
    /// How much too fast, in millionths.
    drift: i64,
}

impl Clock {
    pub fn new(shown: u64, drift: i64) -> Self {
        Self { set: 0, shown, drift }
    }

    /// What it shows.
    pub fn show(&self, now: u64) -> Instant {
        Instant::from_micros(self.micros(now))
    }

    fn micros(&self, now: u64) -> u64 {
        let elapsed = i128::from(now - self.set);
        let shown = i128::from(self.shown) + elapsed + elapsed * i128::from(self.drift) / 1_000_000;
        shown as u64
    }

    /// The first moment at which it shows that much.
    pub fn when(&self, shown: Instant) -> u64 {
        let missing = i128::from(shown.as_micros().saturating_sub(self.shown));
        let rate = 1_000_000 + i128::from(self.drift);
        let elapsed = u64::try_from(missing * 1_000_000 / rate).unwrap_or(u64::MAX / 2);
        let mut at = self.set + elapsed.saturating_sub(1);
        while self.micros(at) < shown.as_micros() {
            at += 1;
        }
        at
    }

    pub fn jump(&mut self, now: u64, by: i64) {
        (self.shown, self.set) = (self.micros(now).saturating_add_signed(by), now);
    }
}
