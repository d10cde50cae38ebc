//! The timers of a connection.  SPEC §15

use core::mem;
use core::num::NonZeroU64;
use core::ops::Add;
use core::time::Duration;

use crate::config::Timeouts;
use crate::time::{Instant, micros_of, sooner};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Timer {
    /// When to stop waiting for the end of an ending.
    Close,
    /// When the first deadline of an exchange may have passed.
    Deadline,
    /// When a frame that was begun is late.
    Frame,
    /// When to give up on a handshake.
    Handshake,
    /// When to break this side's own silence.
    Keepalive,
    /// When a probed peer is gone.
    Probe,
    /// When memory of a busier time is given back, where no keepalive does it.
    Rest,
    /// When a silent peer is probed.
    Silence,
}

impl Timer {
    /// Endings first, so that none of the others acts on a connection that is over.
    pub(crate) const ALL: [Self; 8] = [
        Self::Handshake,
        Self::Close,
        Self::Probe,
        Self::Frame,
        Self::Silence,
        Self::Keepalive,
        Self::Rest,
        Self::Deadline,
    ];
}

/// Which timers have fired late, and were begun anew, since the last complete frame: each has its own once.  TIM-4
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slept {
    frame: bool,
    probe: bool,
}

impl Slept {
    /// Notes that this one was late; whether it was so for the first time.
    pub(crate) fn is_first(&mut self, timer: Timer) -> bool {
        let slept = match timer {
            Timer::Frame => &mut self.frame,
            Timer::Probe => &mut self.probe,
            _ => return false,
        };
        !mem::replace(slept, true)
    }
}

/// How long a connection waits: [`Timeouts`] in less than half of the room, as exact as an [`Instant`] is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    pub(crate) frame: Wait,
    pub(crate) silence: Option<Wait>,
    pub(crate) probe: Wait,
    pub(crate) answer: Option<Wait>,
    pub(crate) body_idle: Option<Wait>,
    pub(crate) close: Wait,
}

/// A length of time in microseconds; none takes no room.
///
/// A [`Duration`] counts seconds and what is left of one: added to an instant it is multiplied, and made of one divided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait(NonZeroU64);

impl Waits {
    pub(crate) fn of(timeouts: &Timeouts) -> Self {
        Self {
            frame: Wait::of(timeouts.frame),
            silence: timeouts.silence.map(Wait::of),
            probe: Wait::of(timeouts.probe),
            answer: timeouts.answer.map(Wait::of),
            body_idle: timeouts.body_idle.map(Wait::of),
            close: Wait::of(timeouts.close),
        }
    }
}

impl Wait {
    /// At least a microsecond.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn of(duration: Duration) -> Self {
        Self(NonZeroU64::new(micros_of(duration)).unwrap_or(NonZeroU64::MIN))
    }

    /// As peers say it; none where it is 0.
    pub(crate) fn from_millis(millis: u32) -> Option<Self> {
        NonZeroU64::new(u64::from(millis) * 1_000).map(Self)
    }

    /// Half of it, or a microsecond.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn half(self) -> Self {
        Self(NonZeroU64::new(self.0.get() / 2).unwrap_or(NonZeroU64::MIN))
    }
}

impl Add<Wait> for Instant {
    type Output = Self;

    fn add(self, wait: Wait) -> Self {
        self.after(wait.0.get())
    }
}

/// When each timer is due, if it runs.
#[derive(Debug, Default)]
pub(crate) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    /// Sets the timer.  The last instant there is never comes: a timer that were due at it, on a clock that
    /// stands there, would fire again as soon as it is set.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = (at < Instant::from_micros(u64::MAX)).then_some(at);
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Self::default();
    }

    /// Sets the timer unless it is due earlier anyway.
    pub(crate) fn advance_to(&mut self, timer: Timer, at: Instant) {
        let due = self.0[timer as usize];
        self.set(timer, due.map_or(at, |due| due.min(at)));
    }

    /// Stops the timer if it is due, and says since when.
    pub(crate) fn expire(&mut self, timer: Timer, now: Instant) -> Option<Instant> {
        self.0[timer as usize].take_if(|due| *due <= now)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().copied().fold(None, sooner)
    }
}
