//! Two devices on a line of two wires, each with its own noise, and time that only the tests move.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use symbolon::serial::{Line, Redial, Session};
use symbolon::{Admission, CloseReason, Config, Connection, ExchangeId, Instant, PeerId, Seed, Status};

use crate::common::{Happened, device_with};

/// xorshift64*: enough for noise, and the same in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// A seed for a connection.
    pub fn seed(&mut self) -> Seed {
        Seed::new(std::array::from_fn(|_| self.next() as u8)).expect("bytes that differ")
    }
}

/// A session with what its application does: it answers each request with the same body, and keeps account.
pub struct Talk {
    pub connection: Connection,
    /// Requests of ours that have not ended.
    pub open: BTreeMap<ExchangeId, Vec<u8>>,
    pub log: Vec<Happened>,
    pub answered: usize,
    pub closed: Option<CloseReason>,
}

impl Session for Talk {
    fn with<R>(&mut self, run: impl FnOnce(&mut Connection) -> R) -> R {
        run(&mut self.connection)
    }
}

impl Talk {
    pub fn new(connection: Connection) -> Self {
        Self { connection, open: BTreeMap::new(), log: Vec::new(), answered: 0, closed: None }
    }

    pub fn ask(&mut self, now: Instant, body: &[u8]) {
        if let Ok(id) = self.connection.request(now, "echo", body, None) {
            self.open.insert(id, body.to_vec());
        }
    }

    /// Takes all events; whether there was one.
    fn drain(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.connection.poll_event().map(Happened::from) {
            any = true;
            assert!(self.closed.is_none(), "{event:?} behind the end");
            match &event {
                Happened::Request { id, body, .. } => {
                    // Refused where the session is closing, or where too much waits.
                    let _ = self.connection.respond(*id, Status::OK, body);
                }
                Happened::Response { id, body, status } => {
                    let asked = self.open.remove(id).expect("each request ends once");
                    assert_eq!((*status, body), (Status::OK, &asked));
                    self.answered += 1;
                }
                Happened::Failed(id, _) => {
                    self.open.remove(id).expect("each request ends once");
                }
                Happened::Closed(reason) => self.closed = Some(*reason),
                _ => {}
            }
            self.log.push(event);
        }
        any
    }
}

/// One device at its end of the line.
pub struct Side {
    pub line: Line<Talk>,
    pub config: Config,
    pub peer: PeerId,
    pub random: Random,
    pub redial: Option<Redial>,
    /// Whether offers are answered.
    pub listens: bool,
    /// Asks the application, instead of expecting the peer.
    pub asks: bool,
    pub offers: usize,
    pub dials: Vec<Instant>,
    /// A request of so many bytes as often as this.
    pub traffic: Option<(Duration, usize)>,
    asked: Instant,
    /// Sessions that have ended, oldest first.
    pub gone: Vec<Talk>,
}

impl Side {
    pub fn new(n: u8, peer: u8, seed: u64) -> Self {
        let config = device_with(n, |limits, _| limits.max_frame = 2_000);
        let peer = crate::common::device(peer).identity().peer_id();
        Self {
            line: Line::new(config.limits()),
            config,
            peer,
            random: Random::new(seed ^ u64::from(n) << 32),
            redial: None,
            listens: true,
            asks: false,
            offers: 0,
            dials: Vec::new(),
            traffic: None,
            asked: Instant::default(),
            gone: Vec::new(),
        }
    }

    /// The device loses all that it knows, its sessions without a word.
    pub fn restart(&mut self) {
        self.line = Line::new(self.config.limits());
        self.redial = self.redial.map(|_| Redial::default());
    }

    fn admission(&self) -> Admission {
        if self.asks { Admission::Ask } else { Admission::expect(self.peer) }
    }

    pub fn dial(&mut self, now: Instant) {
        let initiator = Connection::initiator(&self.config, self.admission(), self.random.seed(), now);
        self.line.dial(now, Talk::new(initiator));
        self.dials.push(now);
    }

    pub fn running(&mut self) -> &mut Talk {
        self.line.running().expect("a session runs")
    }

    pub fn is_connected(&mut self) -> bool {
        self.line.running().is_some_and(|talk| talk.connection.is_connected())
    }

    /// Hands bytes in until all are taken.
    pub fn hear(&mut self, now: Instant, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let admission = self.admission();
            let (config, random, offers) = (&self.config, &mut self.random, &mut self.offers);
            let listens = self.listens;
            let taken = self.line.handle_input(now, bytes, || {
                *offers += 1;
                let fresh = || Connection::responder(config, admission.clone(), random.seed(), now);
                listens.then(fresh).map(Talk::new)
            });
            bytes = &bytes[taken..];
            let moved = self.drain();
            assert!(taken > 0 || moved, "bytes are left, and nothing waits");
        }
    }

    /// Takes all events.
    pub fn drain(&mut self) -> bool {
        let mut moved = self.line.running().is_some_and(Talk::drain);
        moved |= self.line.candidate().is_some_and(Talk::drain);
        let before = self.gone.len();
        while let Some(mut talk) = self.line.poll_ended() {
            talk.drain();
            assert!(talk.closed.is_some(), "gone without an end");
            assert!(talk.open.is_empty(), "requests without an end");
            self.gone.push(talk);
            moved = true;
        }
        // A line has room for so many, and allocates nothing when a session ends.
        assert!(self.gone.len() - before <= 3);
        moved
    }

    /// Everything that it wants to say now.
    pub fn say(&mut self, now: Instant) -> Vec<u8> {
        let said = self.say_at_most(now, 1 << 20);
        assert!(said.len() < 1 << 20, "it never stops");
        said
    }

    fn say_at_most(&mut self, now: Instant, most: usize) -> Vec<u8> {
        let mut said = Vec::new();
        while said.len() < most
            && let Some(bytes) = self.line.poll_transmit(now)
        {
            assert!(!bytes.is_empty());
            let some = bytes.len().min(7).min(most - said.len());
            said.extend_from_slice(&bytes[..some]);
            self.line.advance_transmit(some);
        }
        said
    }

    /// The same, and the events that came of it.
    pub fn line_bytes(&mut self, now: Instant) -> Vec<u8> {
        let said = self.say(now);
        self.drain();
        said
    }

    /// What happens at this moment without bytes.
    pub fn wake(&mut self, now: Instant) {
        self.line.handle_timeout(now);
        self.drain();
        if let Some(redial) = &mut self.redial
            && redial.poll_dial(now, &mut self.line)
        {
            self.dial(now);
            self.drain();
        }
        if let Some((every, len)) = self.traffic
            && now >= self.asked + every
        {
            self.asked = now;
            let body = self.random.bytes(len);
            if let Some(talk) = self.line.running() {
                talk.ask(now, &body);
            }
        }
    }

    fn due(&mut self) -> Option<Instant> {
        let traffic = self.traffic.map(|(every, _)| self.asked + every);
        let redial = self.redial.and_then(|redial| redial.poll_timeout());
        [self.line.poll_timeout(), traffic, redial].into_iter().flatten().min()
    }
}

/// What happens to bytes on a wire, each in so many of a million.
#[derive(Clone, Copy, Default)]
pub struct Noise {
    pub flips: usize,
    pub drops: usize,
    pub inserts: usize,
}

/// How many bytes a port holds.
const PORT: usize = 1_024;

/// One direction of the line.
pub struct Wire {
    /// Pieces on their way, with the moment at which they have arrived.
    flying: VecDeque<(Instant, Vec<u8>)>,
    free_at: Instant,
    pub noise: Noise,
    /// How long a byte takes.
    pub byte_time: Duration,
    /// At most so many bytes arrive in one piece.
    pub piece: usize,
    pub record: Vec<u8>,
    /// Nothing passes.
    pub cut: bool,
}

impl Wire {
    fn new() -> Self {
        Self {
            flying: VecDeque::new(),
            free_at: Instant::default(),
            noise: Noise::default(),
            // 115,200 baud, a start and a stop bit.
            byte_time: Duration::from_micros(87),
            piece: 24,
            record: Vec::new(),
            cut: false,
        }
    }

    fn write(&mut self, now: Instant, bytes: &[u8], random: &mut Random) {
        self.record.extend_from_slice(bytes);
        if self.cut {
            return;
        }
        self.free_at = self.free_at.max(now);
        let mut heard = Vec::new();
        let mut hit = |rate: usize| rate > 0 && random.below(1_000_000) < rate;
        for byte in bytes {
            if hit(self.noise.inserts) {
                heard.push(*byte ^ 0x5a);
            }
            if !hit(self.noise.drops) {
                heard.push(if hit(self.noise.flips) { *byte ^ 0x10 } else { *byte });
            }
        }
        let mut rest = heard.as_slice();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(1 + random.below(self.piece)));
            self.free_at = self.free_at + self.byte_time * piece.len() as u32;
            self.flying.push_back((self.free_at, piece.to_vec()));
            rest = later;
        }
    }

    /// How much the port takes at once, as long as not too much waits in it.
    fn room(&self) -> usize {
        let waiting: usize = self.flying.iter().map(|(_, piece)| piece.len()).sum();
        PORT.saturating_sub(waiting)
    }

    /// Bytes that nobody sent.
    pub fn inject(&mut self, now: Instant, bytes: &[u8]) {
        self.flying.push_back((now, bytes.to_vec()));
    }

    fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.flying
            .front()
            .is_some_and(|(at, _)| *at <= now)
            .then(|| self.flying.pop_front())?
            .map(|(_, b)| b)
    }

    fn due(&self) -> Option<Instant> {
        self.flying.front().map(|(at, _)| *at)
    }
}

/// Devices 1 and 2 and the line between them.
pub struct World {
    pub a: Side,
    pub b: Side,
    pub a_to_b: Wire,
    pub b_to_a: Wire,
    pub now: Instant,
    pub random: Random,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            a: Side::new(1, 2, seed),
            b: Side::new(2, 1, seed),
            a_to_b: Wire::new(),
            b_to_a: Wire::new(),
            now: Instant::from_millis(1_000),
            random: Random::new(!seed),
        }
    }

    /// With a session that runs, which `a` has dialled.
    pub fn connected(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.a.dial(world.now);
        world.pass(Duration::from_millis(500));
        assert!(world.both_connected());
        world
    }

    pub fn both_connected(&mut self) -> bool {
        self.a.is_connected() && self.b.is_connected()
    }

    pub fn pass(&mut self, duration: Duration) {
        self.pass_until(duration, |_| false);
    }

    /// Lets time pass until this holds; whether it came to hold.
    pub fn pass_until(&mut self, duration: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + duration;
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            let due = [self.a.due(), self.b.due(), self.a_to_b.due(), self.b_to_a.due()];
            let next = due.into_iter().flatten().min().filter(|next| *next <= end);
            let Some(next) = next else {
                self.now = end;
                self.settle();
                return done(self);
            };
            self.now = self.now.max(next);
        }
    }

    fn settle(&mut self) {
        let now = self.now;
        for _ in 0..100_000 {
            self.a.wake(now);
            self.b.wake(now);
            let said_a = self.a.say_at_most(now, self.a_to_b.room());
            let said_b = self.b.say_at_most(now, self.b_to_a.room());
            self.a_to_b.write(now, &said_a, &mut self.random);
            self.b_to_a.write(now, &said_b, &mut self.random);
            let (to_a, to_b) = (self.b_to_a.take(now), self.a_to_b.take(now));
            if to_a.is_none() && to_b.is_none() && said_a.is_empty() && said_b.is_empty() {
                return;
            }
            self.a.hear(now, &to_a.unwrap_or_default());
            self.b.hear(now, &to_b.unwrap_or_default());
        }
        panic!("the two sides never come to rest");
    }

    /// `a` asks, and `b` answers.
    #[track_caller]
    pub fn echo(&mut self) {
        let (now, before) = (self.now, self.a.running().answered);
        self.a.running().ask(now, b"hello");
        let done = self.pass_until(Duration::from_secs(5), |world| {
            world.a.line.running().is_some_and(|talk| talk.answered > before)
        });
        assert!(done, "no answer");
    }
}
