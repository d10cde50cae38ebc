//! What a device brings to each of its connections: who it is, what it takes, how long it waits.

use alloc::vec::Vec;
use core::time::Duration;

use crate::crypto::Provider;
use crate::identity::{Identity, PeerId};
use crate::wire::frame;

/// Everything that the connections of one device have in common.
///
/// Made once, through [`Config::new`], and lent to each [`Connection`](crate::Connection).
#[derive(Debug)]
pub struct Config {
    pub(crate) identity: Identity,
    pub(crate) limits: Limits,
    pub(crate) provider: Provider,
    pub(crate) timeouts: Timeouts,
}

impl Config {
    /// A configuration with the default [`Limits`] and [`Timeouts`].
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            limits: Limits::default(),
            provider: Provider::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// With these limits.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first limit that is out of range.
    pub fn with_limits(mut self, limits: Limits) -> Result<Self, ConfigError> {
        limits.check()?;
        self.limits = limits;
        Ok(self)
    }

    /// With these timeouts.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first timeout that is out of range.
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Result<Self, ConfigError> {
        timeouts.check()?;
        self.timeouts = timeouts;
        Ok(self)
    }

    /// With the primitives of this provider.
    #[must_use]
    pub fn with_provider(mut self, provider: Provider) -> Self {
        self.provider = provider;
        self
    }

    /// Who this device is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The limits of each connection.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How long each connection waits for what.
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }
}

/// How much one connection may hold, whatever the other side does.
///
/// Each is a bound on memory: a connection holds at most one frame received, the frames sealed for one write, the two send
/// queues, one small record for each open exchange, and what waits of bodies in chunks.  What happens where a limit is reached, and how many bytes it
/// is about, is in [`guide::limits`](crate::guide::limits).
///
/// ```
/// use symbolon::Limits;
///
/// let mut limits = Limits::small();
/// limits.requests_in = 8;
/// assert_eq!((limits.max_frame, limits.requests_out), (384, 2));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest frame taken, in bytes of ciphertext; 256 to 65,535, by default 16,640: a body of 16 KiB and its name fit
    /// into one.  SPEC §5.2
    pub max_frame: u16,
    /// How many requests the peer may have open here; by default 64.  SPEC §10.3
    pub requests_in: u16,
    /// How many requests may be open there; by default 64, and the peer's own limit holds as well.
    pub requests_out: u16,
    /// How many subscriptions the peer may have open here; by default 256.  SPEC §10.3
    pub subscriptions_in: u16,
    /// How many subscriptions may be open there; by default 256, and the peer's own limit holds as well.
    pub subscriptions_out: u16,
    /// Bytes of requests and answers that wait to be sent; at least 288, by default 128 KiB.  The buffer behind it,
    /// like that of `publication_queue`, may reach twice as much, unless `buffer_at_rest` reserves it.
    pub call_queue: usize,
    /// Bytes of publications that wait to be sent; at least 288, by default 128 KiB.
    pub publication_queue: usize,
    /// How much of a body in chunks the peer may send before the application has taken it, in bytes, for each such
    /// body; at least 15, by default 512 KiB.  0: bodies in chunks are not taken.  SPEC §11
    pub window: u32,
    /// Bytes of a body in chunks that wait to be sent, for each such body; at least 1, by default 64 KiB.
    pub body_buffer: usize,
    /// How many bytes of frames are sealed at once, for one write to the socket, where so much waits: at least one frame,
    /// by default 66 KiB, which are four.  What is sealed cannot be overtaken any more.  No frame that this side sends is
    /// longer than the larger of this and `max_frame` + 2, even where the peer takes longer ones.
    pub transmit_buffer: usize,
    /// Bytes that the two frame buffers and the two queues keep while idle, by default 512; they grow from here, and come
    /// back to it when the connection has been silent.  Where it is at least `max_frame` and 2, `transmit_buffer`, and
    /// each queue, everything is reserved when the session begins, each buffer as long as it may get, and nothing is
    /// allocated from then on but for bodies in chunks, and filters of this side's that are longer than 32 bytes.
    pub buffer_at_rest: usize,
}

impl Limits {
    /// For a microcontroller: frames of 384 bytes, two requests each way, two subscriptions of the peer's and one of this
    /// side's, room for one call and one publication that wait; all of it is reserved when a session begins.
    ///
    /// A body of up to about 300 bytes goes in one message.  [`memory`](Self::memory) says what it takes; what is set
    /// higher here needs `buffer_at_rest` to follow, or else it grows on use.
    pub const fn small() -> Self {
        Self {
            max_frame: 384,
            requests_in: 2,
            requests_out: 2,
            subscriptions_in: 2,
            subscriptions_out: 1,
            call_queue: 400,
            publication_queue: 288,
            window: 768,
            body_buffer: 384,
            transmit_buffer: 386,
            buffer_at_rest: 400,
        }
    }

    /// Whether all that a connection needs is there from the start: nothing may take more than what is kept.
    pub(crate) const fn is_fixed(&self) -> bool {
        let at_rest = self.buffer_at_rest;
        at_rest >= self.longest_sent() && at_rest >= self.call_queue && at_rest >= self.publication_queue
    }

    /// How many bytes of frames may wait for the socket, and so how long one may be, with its length.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) const fn longest_sent(&self) -> usize {
        let one = frame::LENGTH_PREFIX + self.max_frame as usize;
        larger(self.transmit_buffer, one)
    }

    /// The same for a session on a serial line, which seals one frame at a time.
    pub(crate) const fn on_a_line(&self) -> Self {
        Self { transmit_buffer: 0, ..*self }
    }

    /// How many exchanges of this side's may be open.
    pub(crate) const fn exchanges_out(&self) -> usize {
        self.requests_out as usize + self.subscriptions_out as usize
    }

    /// How many exchanges of the other side's may be open.
    pub(crate) const fn exchanges_in(&self) -> usize {
        self.requests_in as usize + self.subscriptions_in as usize
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.max_frame < frame::MIN_FRAME {
            return Err(ConfigError::MaxFrame);
        }
        let one_message = usize::from(frame::MIN_FRAME) + QUEUE_SLACK;
        if self.call_queue < one_message {
            return Err(ConfigError::CallQueue);
        }
        if self.publication_queue < one_message {
            return Err(ConfigError::PublicationQueue);
        }
        if (1..LEAST_WINDOW).contains(&self.window) {
            return Err(ConfigError::Window);
        }
        if self.body_buffer == 0 {
            return Err(ConfigError::BodyBuffer);
        }
        Ok(())
    }
}

/// The longest unit that is received, with its length, where frames have at most this length: those of a handshake come
/// at any time.
pub(crate) const fn longest_unit(max_frame: u16) -> usize {
    frame::LENGTH_PREFIX + larger(max_frame as usize, frame::HANDSHAKE_MAX)
}

/// [`Ord::max`] is not const.
pub(crate) const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// Below this, no chunk of a single byte could ever come.
const LEAST_WINDOW: u32 = 15;
/// What a queue stores beside a message.
const QUEUE_SLACK: usize = 32;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 16_640,
            requests_in: 64,
            requests_out: 64,
            subscriptions_in: 256,
            subscriptions_out: 256,
            call_queue: 128 * 1024,
            publication_queue: 128 * 1024,
            window: 512 * 1024,
            body_buffer: 64 * 1024,
            transmit_buffer: 66 * 1024,
            buffer_at_rest: 512,
        }
    }
}

/// How long a connection waits for what.  SPEC §15
///
/// Each is between 1 ms and 2³²−1 ms; [`Config::with_timeouts`] checks it.
///
/// ```
/// use std::time::Duration;
/// use symbolon::Timeouts;
///
/// let mut timeouts = Timeouts::default();
/// assert_eq!(timeouts.silence, Some(Duration::from_secs(30)));
/// timeouts.silence = Some(Duration::from_secs(3600)); // a sensor that sleeps
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Timeouts {
    /// From the making of the connection to `accept`, the decision of both applications included; by default 10 s.
    /// Adapters give the socket as long again when they dial.
    pub handshake: Duration,
    /// From the first byte of a frame to its last; by default 10 s.
    pub frame: Duration,
    /// How long this side may be silent, at least 2 ms, by default 30 s; `None` for ever.  It sends a ping after half
    /// of it, and a peer that hears nothing for all of it probes.
    pub silence: Option<Duration>,
    /// How long a silent peer has to answer a probe; by default 5 s.
    pub probe: Duration,
    /// How long a handler may work on a request that names no shorter deadline, by default 60 s; `None` for ever.  It
    /// counts from the end of the request's body, to the beginning of the answer's.
    pub answer: Option<Duration>,
    /// How long nothing of an exchange's bodies in chunks may move, by default 60 s; `None` for ever.  Each exchange may
    /// have its own: [`Connection::set_body_idle`](crate::Connection::set_body_idle).  SPEC §10.5
    pub body_idle: Option<Duration>,
    /// How long an ending may take: the peer's `close`, and the last bytes; by default 3 s.
    pub close: Duration,
}

impl Timeouts {
    fn check(&self) -> Result<(), ConfigError> {
        let fields = [
            ("handshake", Some(self.handshake), 1),
            ("frame", Some(self.frame), 1),
            ("silence", self.silence, 2),
            ("probe", Some(self.probe), 1),
            ("answer", self.answer, 1),
            ("body_idle", self.body_idle, 1),
            ("close", Some(self.close), 1),
        ];
        for (name, timeout, least) in fields {
            let sane = Duration::from_millis(least)..=Duration::from_millis(u32::MAX.into());
            if timeout.is_some_and(|timeout| !sane.contains(&timeout)) {
                return Err(ConfigError::Timeout(name));
            }
        }
        Ok(())
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            frame: Duration::from_secs(10),
            silence: Some(Duration::from_secs(30)),
            probe: Duration::from_secs(5),
            answer: Some(Duration::from_secs(60)),
            body_idle: Some(Duration::from_secs(60)),
            close: Duration::from_secs(3),
        }
    }
}

/// Who is let in.  SPEC §6
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Admission {
    /// Ask the application: [`Event::Admission`](crate::Event::Admission) waits for
    /// [`admit`](crate::Connection::admit) or [`refuse`](crate::Connection::refuse), under the handshake's
    /// deadline.
    Ask,
    /// These, and nobody else.  For a handful; a larger set is better kept by the application, and asked.
    Only(Vec<PeerId>),
}

impl Admission {
    /// Exactly this peer.
    pub fn expect(peer: PeerId) -> Self {
        Self::Only(alloc::vec![peer])
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// `body_buffer` is 0.
    #[error("body_buffer is 0")]
    BodyBuffer,
    /// `call_queue` does not hold one message of the smallest frame.
    #[error("call_queue holds less than one message of the smallest frame (288 bytes)")]
    CallQueue,
    /// `max_frame` is below 256.
    #[error("max_frame is below 256 bytes")]
    MaxFrame,
    /// `publication_queue` does not hold one message of the smallest frame.
    #[error("publication_queue holds less than one message of the smallest frame (288 bytes)")]
    PublicationQueue,
    /// `window` is neither 0 nor at least 15.
    #[error("window is neither 0 nor at least 15 bytes")]
    Window,
    /// The timeout of this name is below 1 ms (`silence`: 2 ms) or above 2³²−1 ms.
    #[error("{0} is below 1 ms (silence: 2 ms) or above 4294967295 ms")]
    Timeout(&'static str),
}
