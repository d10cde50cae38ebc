//! Two connections in memory, a link between them that can misbehave, and time that only the tests move.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::std_instead_of_core, clippy::alloc_instead_of_core, reason = "tests have std")]

pub mod attacker;
pub mod cbor;
pub mod hostile;
pub mod meter;
pub mod signatures;
pub mod topics;

use std::collections::VecDeque;
use std::time::Duration;

use symbolon::{
    Admission, CloseReason, Config, Connection, Event, ExchangeId, Failure, Following, Identity, Instant,
    Limits, Missed, PeerId, Point, Provider, SecretKey, Seed, Status, StopCause, Timeouts,
};

/// A seed like no other of the same test run.
pub fn seed(n: u8) -> Seed {
    Seed::new(std::array::from_fn(|i| n.wrapping_mul(31) ^ (i as u8).wrapping_mul(7))).expect("varied bytes")
}

/// The device with this number.  It offers the mandatory suite alone, whatever the processor has, so that a test means the
/// same everywhere; tests/suites.rs is about the other one.
pub fn device(n: u8) -> Config {
    Config::new(Identity::new(&SecretKey::from_bytes([n; 32]), seed(n)))
        .with_provider(Provider::rust_crypto())
}

/// The device with this number, with limits changed by `change`.
pub fn device_with(n: u8, change: impl FnOnce(&mut Limits, &mut Timeouts)) -> Config {
    let (mut limits, mut timeouts) = (Limits::default(), Timeouts::default());
    change(&mut limits, &mut timeouts);
    device(n)
        .with_limits(limits)
        .expect("limits in range")
        .with_timeouts(timeouts)
        .expect("timeouts in range")
}

/// An event that owns its parts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Happened {
    Aborted(ExchangeId),
    Admission(PeerId),
    Busy(ExchangeId, Duration),
    Closed(CloseReason),
    Connected(PeerId),
    Continuation {
        id: ExchangeId,
        chunk: Vec<u8>,
        cost: u32,
        more: bool,
    },
    Data(ExchangeId, Vec<u8>, u32),
    End(ExchangeId, Status),
    Failed(ExchangeId, Failure),
    GoingAway,
    Missed(ExchangeId, Missed),
    Publication {
        id: ExchangeId,
        topic: String,
        point: Point,
        missed: Missed,
        retained: bool,
        body: Vec<u8>,
        cost: u32,
        total: Option<u64>,
    },
    Request {
        id: ExchangeId,
        method: String,
        body: Vec<u8>,
        deadline: Option<Instant>,
    },
    RequestGoesOn {
        id: ExchangeId,
        method: String,
        body: Vec<u8>,
        deadline: Option<Instant>,
    },
    Response {
        id: ExchangeId,
        status: Status,
        body: Vec<u8>,
    },
    ResponseGoesOn {
        id: ExchangeId,
        body: Vec<u8>,
    },
    Stopped(ExchangeId, Status),
    Stop(ExchangeId, StopCause),
    Subscribe {
        id: ExchangeId,
        filter: String,
        from: Option<Point>,
    },
    Subscribed(ExchangeId),
    SubscriptionEnded(ExchangeId, Status),
    Unsubscribe(ExchangeId),
}

impl Happened {
    /// The publication that follows this one.
    pub fn followed_by(&self, next: &Following<'_>) -> Self {
        let Self::Publication { id, topic, total: None, .. } = self else {
            panic!("{next:?} follows no publication: {self:?}")
        };
        let Following { point, missed, retained, body, cost, .. } = *next;
        let (topic, body) = (topic.clone(), body.into());
        Self::Publication { id: *id, topic, point, missed, retained, body, cost, total: None }
    }
}

impl From<Event<'_>> for Happened {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Aborted { id } => Self::Aborted(id),
            Event::Admission { peer } => Self::Admission(peer),
            Event::Busy { id, retry } => Self::Busy(id, retry),
            Event::Closed { reason } => Self::Closed(reason),
            Event::Connected { peer } => Self::Connected(peer),
            Event::Continuation { id, chunk, cost, more } => {
                Self::Continuation { id, chunk: chunk.into(), cost, more }
            }
            Event::Failed { id, failure } => Self::Failed(id, failure),
            Event::GoingAway => Self::GoingAway,
            Event::Missed { id, missed } => Self::Missed(id, missed),
            Event::Publication { id, publication: p } => Self::Publication {
                id,
                topic: p.topic.into(),
                point: p.point,
                missed: p.missed,
                retained: p.retained,
                body: p.body.into(),
                cost: p.cost,
                total: p.total,
            },
            Event::Data { id, chunk, cost } => Self::Data(id, chunk.into(), cost),
            Event::End { id, status } => Self::End(id, status),
            Event::Request { id, method, body, deadline, more: false } => {
                Self::Request { id, method: method.into(), body: body.into(), deadline }
            }
            Event::Request { id, method, body, deadline, more: true } => {
                Self::RequestGoesOn { id, method: method.into(), body: body.into(), deadline }
            }
            Event::Response { id, status, body, more: false } => {
                Self::Response { id, status, body: body.into() }
            }
            Event::Response { id, body, more: true, .. } => Self::ResponseGoesOn { id, body: body.into() },
            Event::Stopped { id, status } => Self::Stopped(id, status),
            Event::Stop { id, cause } => Self::Stop(id, cause),
            Event::Subscribe { id, filter, from } => Self::Subscribe { id, filter: filter.into(), from },
            Event::Subscribed { id } => Self::Subscribed(id),
            Event::SubscriptionEnded { id, status } => Self::SubscriptionEnded(id, status),
            Event::Unsubscribe { id } => Self::Unsubscribe(id),
            other => panic!("an event that the tests do not know: {other:?}"),
        }
    }
}

/// One direction of a byte stream.
#[derive(Debug, Default)]
pub struct Link {
    /// Bytes on their way, with the moment they arrive.
    flying: VecDeque<(Instant, Vec<u8>)>,
    pub latency: Duration,
    /// At most this many bytes in one piece; 0: as they were written.
    pub chunk: usize,
    /// Nothing passes any more, and nobody is told.
    pub stalled: bool,
    /// The byte at this place of the stream arrives with its lowest bit flipped.
    pub corrupt_at: Option<usize>,
    /// The stream ends after this many bytes.
    pub cut_after: Option<usize>,
    /// All bytes that were written, in order.
    pub record: Vec<u8>,
    eof: bool,
    eof_told: bool,
}

impl Link {
    fn write(&mut self, now: Instant, bytes: &[u8]) {
        let start = self.record.len();
        self.record.extend_from_slice(bytes);
        if self.stalled || self.eof {
            return;
        }
        let mut bytes = bytes.to_vec();
        if let Some(at) = self.corrupt_at.and_then(|at| at.checked_sub(start)).filter(|at| *at < bytes.len())
        {
            bytes[at] ^= 1;
        }
        if let Some(cut) = self.cut_after.filter(|cut| *cut < start + bytes.len()) {
            bytes.truncate(cut.saturating_sub(start));
            self.eof = true;
        }
        let at = now + self.latency;
        if self.chunk == 0 {
            self.flying.push_back((at, bytes));
        } else {
            self.flying.extend(bytes.chunks(self.chunk).map(|piece| (at, piece.to_vec())));
        }
    }

    /// The end of the stream, behind what is on its way.
    pub fn end(&mut self) {
        self.eof = true;
    }

    fn next_arrival(&self) -> Option<Instant> {
        self.flying.front().map(|(at, _)| *at)
    }
}

/// Connection `a` dials connection `b`.
pub struct Pair {
    pub a: Connection,
    pub b: Connection,
    pub a_to_b: Link,
    pub b_to_a: Link,
    pub now: Instant,
    /// What happened at each side, in order, drained by [`Pair::events_a`] and [`Pair::events_b`].
    log_a: Vec<Happened>,
    log_b: Vec<Happened>,
    /// Whether events are taken from the connections as they come.
    pub reading_a: bool,
    pub reading_b: bool,
}

impl Pair {
    /// Devices 1 and 2 with their defaults, each expecting the other.
    pub fn new() -> Self {
        Self::of(&device(1), &device(2))
    }

    pub fn of(a: &Config, b: &Config) -> Self {
        let admit_b = Admission::expect(b.identity().peer_id());
        let admit_a = Admission::expect(a.identity().peer_id());
        Self::with(a, admit_b, b, admit_a)
    }

    pub fn with(a: &Config, admit_b: Admission, b: &Config, admit_a: Admission) -> Self {
        let now = Instant::from_millis(1_000);
        Self {
            a: Connection::initiator(a, admit_b, seed(101), now),
            b: Connection::responder(b, admit_a, seed(102), now),
            a_to_b: Link::default(),
            b_to_a: Link::default(),
            now,
            log_a: Vec::new(),
            log_b: Vec::new(),
            reading_a: true,
            reading_b: true,
        }
    }

    /// A pair that has let each other in, its events so far forgotten.
    pub fn connected() -> Self {
        Self::new().settled()
    }

    pub fn connected_of(a: &Config, b: &Config) -> Self {
        Self::of(a, b).settled()
    }

    fn settled(mut self) -> Self {
        self.settle();
        assert!(self.a.is_connected() && self.b.is_connected(), "{:?} {:?}", self.a, self.b);
        self.log_a.clear();
        self.log_b.clear();
        self
    }

    /// What happened at `a` since last asked.
    pub fn events_a(&mut self) -> Vec<Happened> {
        self.settle();
        std::mem::take(&mut self.log_a)
    }

    /// What happened at `b` since last asked.
    pub fn events_b(&mut self) -> Vec<Happened> {
        self.settle();
        std::mem::take(&mut self.log_b)
    }

    /// Both logs, without moving anything.
    pub fn take_logs(&mut self) -> (Vec<Happened>, Vec<Happened>) {
        (std::mem::take(&mut self.log_a), std::mem::take(&mut self.log_b))
    }

    /// Lets everything happen that happens now, without time passing.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the two sides never come to rest");
    }

    /// Moves time on, stopping at each moment at which something is due.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        while let Some(next) = self.next_due().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.wake();
            self.settle();
        }
        self.now = end;
        self.wake();
        self.settle();
    }

    /// Moves time on in steps of this length, whatever is due.
    pub fn pass_in_steps(&mut self, duration: Duration, step: Duration) {
        let end = self.now + duration;
        self.settle();
        while self.now < end {
            self.now = (self.now + step).min(end);
            self.wake();
            self.settle();
        }
    }

    /// The earliest moment at which anything is due.
    pub fn next_due(&self) -> Option<Instant> {
        // What has arrived and is not taken waits for a side that does not read, not for time.
        let links = [self.a_to_b.next_arrival(), self.b_to_a.next_arrival()].into_iter().flatten();
        let timers = [self.a.poll_timeout(), self.b.poll_timeout()].into_iter().flatten();
        links.filter(|at| *at > self.now).chain(timers).min()
    }

    fn wake(&mut self) {
        self.a.handle_timeout(self.now);
        self.b.handle_timeout(self.now);
    }

    fn step(&mut self) -> bool {
        let now = self.now;
        let mut moved = false;
        moved |= self.reading_a && drain(&mut self.a, &mut self.log_a);
        moved |= self.reading_b && drain(&mut self.b, &mut self.log_b);
        moved |= write(&mut self.a, &mut self.a_to_b, now);
        moved |= write(&mut self.b, &mut self.b_to_a, now);
        moved |= deliver(&mut self.a_to_b, &mut self.b, now);
        moved |= deliver(&mut self.b_to_a, &mut self.a, now);
        moved
    }

    /// `a` asks and `b` answers with the same body.
    pub fn echo(&mut self, body: &[u8]) -> Vec<u8> {
        let id = self.a.request(self.now, "echo", body, None).expect("a request");
        for event in self.events_b() {
            if let Happened::Request { id, body, .. } = event {
                self.b.respond(id, Status::OK, &body).expect("an answer");
            }
        }
        let mut answers = self.events_a().into_iter().filter_map(|event| match event {
            Happened::Response { id: of, status: Status::OK, body } if of == id => Some(body),
            _ => None,
        });
        answers.next_back().expect("an answer arrives")
    }
}

fn drain(connection: &mut Connection, log: &mut Vec<Happened>) -> bool {
    let before = log.len();
    while let Some(event) = connection.poll_event() {
        log.push(event.into());
    }
    log.len() > before
}

fn write(connection: &mut Connection, link: &mut Link, now: Instant) -> bool {
    let mut wrote = false;
    while let Some(bytes) = connection.poll_transmit(now) {
        let len = bytes.len();
        link.write(now, bytes);
        connection.advance_transmit(len);
        wrote = true;
    }
    wrote
}

fn deliver(link: &mut Link, connection: &mut Connection, now: Instant) -> bool {
    let mut moved = false;
    while let Some((at, bytes)) = link.flying.front_mut() {
        if *at > now {
            return moved;
        }
        let taken = connection.handle_input(now, bytes);
        moved |= taken > 0;
        bytes.drain(..taken);
        if !bytes.is_empty() {
            return moved;
        }
        link.flying.pop_front();
    }
    if link.eof && !link.eof_told {
        link.eof_told = true;
        connection.handle_eof(now);
        moved = true;
    }
    moved
}
