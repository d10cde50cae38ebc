//! What the fuzz targets check.  `tests/fuzz_corpus.rs` replays the corpus through the same functions, on any compiler.
//!
//! A script is a list of steps, one byte each, some with bytes behind it.  Any bytes are a script, and a script is the
//! same in every version of every library, so a corpus keeps its meaning.

#![allow(dead_code, unreachable_pub, reason = "a test includes this file as a module")]

pub mod line;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::OnceLock;
use std::time::Duration;

use symbolon::{
    Admission, Config, Connection, Event, ExchangeId, Identity, Instant, Limits, Missed, Outgoing, Point,
    RequestHead, SecretKey, Seed, SendError, Status, SubscribeOptions,
};

/// Runs a script twice: against a connection that was dialled, and against one that dials.
///
/// # Panics
///
/// Where the connection breaks a promise: that is what the fuzzer looks for.
pub fn connection(script: &[u8]) {
    for subject_dials in [false, true] {
        World::new(subject_dials, script.first().copied().unwrap_or(0)).run(script.get(1..).unwrap_or(&[]));
    }
}

/// A device with room for little, and one with the defaults.
fn devices() -> &'static [Config; 2] {
    static DEVICES: OnceLock<[Config; 2]> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let device = |n: u8| Config::new(Identity::new(&SecretKey::from_bytes([n; 32]), seed(n)));
        [device(1).with_limits(Limits::small()).expect("limits in range"), device(2)]
    })
}

fn seed(n: u8) -> Seed {
    Seed::new(std::array::from_fn(|i| n ^ i as u8)).expect("bytes that differ")
}

/// The connection that is tried, a peer that speaks well, and what is on its way between them.
struct World {
    subject: Side,
    peer: Side,
    now: Instant,
    /// The latest instant that the connections have seen.
    latest: Instant,
}

impl World {
    fn new(subject_dials: bool, options: u8) -> Self {
        let [mut small, mut large] = devices().each_ref();
        if options & 1 != 0 {
            (small, large) = (large, small);
        }
        let admit = |other: &Config, ask: bool| {
            if ask { Admission::Ask } else { Admission::expect(other.identity().peer_id()) }
        };
        let (for_subject, for_peer) = (admit(large, options & 2 != 0), admit(small, options & 4 != 0));
        let now = Instant::from_millis(1_000_000);
        let (subject, peer) = if subject_dials {
            (
                Connection::initiator(small, for_subject, seed(3), now),
                Connection::responder(large, for_peer, seed(4), now),
            )
        } else {
            (
                Connection::responder(small, for_subject, seed(3), now),
                Connection::initiator(large, for_peer, seed(4), now),
            )
        };
        Self {
            subject: Side::new(subject, small.limits(), large.limits()),
            peer: Side::new(peer, large.limits(), small.limits()),
            now,
            latest: now,
        }
    }

    fn run(mut self, mut script: &[u8]) {
        while let Some((step, rest)) = script.split_first() {
            script = rest;
            self.step(*step, &mut script);
            self.subject.check();
            self.peer.check();
        }
        self.end();
    }

    fn step(&mut self, step: u8, script: &mut &[u8]) {
        let number = usize::from(step & 0x0f);
        match step {
            // The next bytes of the script, in one piece.
            0x00..=0x7f => {
                let (bytes, rest) = script.split_at(script.len().min(usize::from(step) + 1));
                *script = rest;
                self.subject.take(self.now, bytes);
            }
            // What the peer said, whole or in part, and the other way round.
            0x80..=0x8f => carry(&mut self.peer, &mut self.subject, self.now, piece(number)),
            0x90..=0x9f => carry(&mut self.subject, &mut self.peer, self.now, piece(number)),
            0xa0..=0xaf => self.jump(Duration::from_millis(1 << (2 * number))),
            // A clock that goes back.
            0xb0..=0xb7 => {
                let back = 1_000 << (2 * number);
                self.now = Instant::from_micros(self.now.as_micros().saturating_sub(back));
            }
            // To the instant that was named, and not a moment further.
            0xb8..=0xbf => {
                let named = [self.subject.connection.poll_timeout(), self.peer.connection.poll_timeout()];
                self.now = named.into_iter().flatten().min().map_or(self.now, |named| named.max(self.now));
                self.jump(Duration::ZERO);
            }
            0xc0..=0xc7 => drop(self.subject.event()),
            0xc8..=0xcf => drop(self.peer.event()),
            0xd0..=0xdf => self.subject.command(self.now, number, script),
            0xe0..=0xef => self.peer.command(self.now, number, script),
            0xf0..=0xf7 => self.subject.connection.handle_eof(self.now),
            0xf8..=0xff => {
                // A byte on the wire is damaged.
                if let Some(byte) = self.peer.outgoing.get_mut(number) {
                    *byte ^= 0x40;
                }
            }
        }
        self.latest = self.latest.max(self.now);
    }

    fn jump(&mut self, by: Duration) {
        self.now = self.now + by;
        self.latest = self.latest.max(self.now);
        for side in [&mut self.subject, &mut self.peer] {
            side.connection.handle_timeout(self.now);
            let next = side.connection.poll_timeout();
            assert!(next.is_none_or(|next| next > self.latest), "a timer that fired is still named");
        }
    }

    /// Without a stream and with time gone by, each connection has ended, and said so once.
    fn end(mut self) {
        for side in [&mut self.subject, &mut self.peer] {
            side.connection.handle_eof(self.now);
            while side.event() {}
        }
        self.now = self.latest;
        self.jump(Duration::from_secs(1 << 20));
        for side in [&mut self.subject, &mut self.peer] {
            while side.event() {}
            side.check();
            assert!(side.closed, "no end was reported");
            assert!(side.open.is_empty(), "exchanges without an end: {:?}", side.open);
            let taken = side.connection.handle_input(self.now, b"more");
            assert_eq!(taken, 4, "what comes after the end is taken and ignored");
            assert!(!side.event(), "an event after the end");
            assert!(side.collect(self.now) < 1 << 20, "sending without end");
            assert_eq!(side.connection.poll_timeout(), None, "nothing is left to wait for");
        }
    }
}

/// The longest body that is taken in parts.
const LARGEST: u32 = 1_500;

/// How many bytes go over at once.
fn piece(number: usize) -> usize {
    if number == 0 { usize::MAX } else { 1 << (number - 1) }
}

/// One connection, and what a careful application keeps in mind about it.
struct Side {
    connection: Connection,
    most_buffered: usize,
    /// The application was asked whether to admit, and has not answered.
    asked: bool,
    closed: bool,
    /// Ours that have not ended.
    open: BTreeSet<ExchangeId>,
    /// How much is still to come of what goes on.
    coming: BTreeMap<ExchangeId, u64>,
    /// How long the body is that is half sent into a subscription of theirs, and how much of it has left.
    half_sent: BTreeMap<ExchangeId, (usize, usize)>,
    /// Theirs, ended or not: commands about exchanges that are gone are refused.
    theirs: Vec<ExchangeId>,
    outgoing: VecDeque<u8>,
}

impl Side {
    fn new(connection: Connection, limits: &Limits, peer: &Limits) -> Self {
        let frames = usize::from(limits.max_frame).max(512) + usize::from(peer.max_frame).max(1_024);
        let queues = limits.call_queue + limits.publication_queue;
        let requests = limits.requests_in + limits.requests_out.min(peer.requests_in);
        let bodies = usize::from(requests) * limits.body_buffer;
        // A growing buffer doubles, and a queue keeps at most as much that was sent as waits.
        let most_buffered = 2 * (frames + 2 * queues + 4 * limits.buffer_at_rest) + bodies;
        Self {
            connection,
            most_buffered,
            asked: false,
            closed: false,
            open: BTreeSet::new(),
            coming: BTreeMap::new(),
            half_sent: BTreeMap::new(),
            theirs: Vec::new(),
            outgoing: VecDeque::new(),
        }
    }

    fn check(&self) {
        let held = self.connection.buffered();
        assert!(held <= self.most_buffered, "{held} bytes are held, of at most {}", self.most_buffered);
        assert!(!self.closed || self.connection.is_closed(), "ended and yet open");
        assert!(self.theirs.len() < 1 << 16, "exchanges without end");
    }

    /// Hands bytes in until they are taken, or the connection waits for its application.
    fn take(&mut self, now: Instant, bytes: &[u8]) -> usize {
        let taken = self.connection.handle_input(now, bytes);
        assert!(taken <= bytes.len(), "more taken than there was");
        if taken < bytes.len() && !self.asked {
            assert!(self.event(), "bytes are left, and no event waits");
        }
        taken
    }

    /// Takes one event; whether there was one.
    fn event(&mut self) -> bool {
        let Some(event) = self.connection.poll_event() else { return false };
        assert!(!self.closed, "an event after the end: {event:?}");
        let ended = match event {
            Event::Admission { .. } => {
                self.asked = true;
                None
            }
            Event::Closed { .. } => {
                self.closed = true;
                None
            }
            Event::Request { id, .. } | Event::Subscribe { id, .. } => {
                self.theirs.push(id);
                None
            }
            Event::Busy { id, .. }
            | Event::Failed { id, .. }
            | Event::Response { id, more: false, .. }
            | Event::SubscriptionEnded { id, .. } => Some(id),
            // Of theirs it is the end of a body; of ours, of all.
            Event::End { id, .. } => (!self.theirs.contains(&id)).then_some(id),
            Event::Data { id, .. } => {
                assert!(
                    self.open.contains(&id) || self.theirs.contains(&id),
                    "data of {id}, which has ended"
                );
                None
            }
            Event::Response { id, .. } | Event::Stopped { id, .. } => {
                assert!(self.open.contains(&id), "news of {id}, which has ended");
                None
            }
            Event::Missed { id, .. } | Event::Subscribed { id } => {
                assert!(self.open.contains(&id), "news of {id}, which has ended");
                None
            }
            Event::Publication { id, publication } => {
                assert!(self.open.contains(&id), "news of {id}, which has ended");
                assert!(!self.coming.contains_key(&id), "one amid another");
                if let Some(total) = publication.total {
                    let left =
                        total.checked_sub(publication.body.len() as u64).expect("no more than its total");
                    assert!(total <= LARGEST.into(), "more than is taken");
                    self.coming.insert(id, left);
                }
                None
            }
            Event::Continuation { id, chunk, more, .. } => {
                assert!(self.open.contains(&id), "news of {id}, which has ended");
                let left = self.coming.remove(&id).expect("it has begun");
                let left = left.checked_sub(chunk.len() as u64).expect("no more than its total");
                assert!(more || left == 0, "the last, and not all");
                if more {
                    self.coming.insert(id, left);
                }
                None
            }
            Event::Aborted { id } => {
                assert!(self.open.contains(&id), "news of {id}, which has ended");
                assert!(self.coming.remove(&id).is_some(), "nothing to give up");
                None
            }
            _ => None,
        };
        if let Some(id) = ended {
            assert!(self.open.remove(&id), "{id} ended twice");
            self.coming.remove(&id);
        }
        true
    }

    /// Moves what waits to be sent to `outgoing`, and says how much it was.
    fn collect(&mut self, now: Instant) -> usize {
        let mut len = 0;
        while let Some(bytes) = self.connection.poll_transmit(now) {
            assert!(!bytes.is_empty(), "nothing to send, and yet something");
            self.outgoing.extend(bytes);
            let written = bytes.len();
            self.connection.advance_transmit(written);
            len += written;
            assert!(len < 1 << 20, "sending without end");
        }
        len
    }

    /// Begins a body that is longer than a frame of the small device, goes on with one, or gives it up.
    fn publish_in_parts(&mut self, id: ExchangeId, operand: u8, news: &Outgoing<'_>) {
        let long = [0x5a; 8 * 255];
        let connection = &mut self.connection;
        let Some((len, sent)) = self.half_sent.remove(&id) else {
            let body = &long[..8 * usize::from(operand)];
            match connection.publish_first(id, &Outgoing { body, ..*news }) {
                Ok(sent) if sent < body.len() => drop(self.half_sent.insert(id, (body.len(), sent))),
                _ => {}
            }
            return;
        };
        if operand & 12 == 0 && connection.publish_abort(id).is_ok() {
            return;
        }
        let rest = &long[sent..len];
        let more = match connection.publish_next(id, rest) {
            Ok(more) => {
                assert!((1..=rest.len()).contains(&more), "a part that moves nothing on");
                more
            }
            Err(SendError::Unfinished) => panic!("{id} has lost what is half sent"),
            Err(SendError::UnknownExchange | SendError::Closed) => return,
            Err(_) => 0,
        };
        if sent + more < len {
            self.half_sent.insert(id, (len, sent + more));
        }
    }

    /// One command of the application; its refusal is as good as its success.
    fn command(&mut self, now: Instant, number: usize, script: &mut &[u8]) {
        let operand = script.split_off_first().copied().unwrap_or(0);
        let body = &[0x5a; 512][..2 * usize::from(operand)];
        let of_ours = self.open.iter().nth(usize::from(operand) % self.open.len().max(1)).copied();
        let of_theirs = self.theirs.get(usize::from(operand) % self.theirs.len().max(1)).copied();
        let connection = &mut self.connection;
        match (number, of_ours, of_theirs) {
            (0, ..) => self.open.extend(connection.request(now, "a/b", body, None)),
            (1, ..) => {
                let deadline = Duration::from_millis(1 << (operand % 40));
                self.open.extend(connection.request(now, "c", b"", Some(deadline)));
            }
            (2, ..) => {
                let filter = ["a/b", "a/+", "#", "+/b", "", "a/", "a/b", "$x"][usize::from(operand % 8)];
                let from = (operand & 8 != 0).then_some(Point { epoch: 1, sequence: 2 });
                let mut options = SubscribeOptions::default();
                (options.window, options.from) = (u32::from(operand) << 4, from);
                options.largest = if operand & 16 == 0 { 0 } else { LARGEST };
                self.open.extend(connection.subscribe_with(filter, &options));
            }
            (3, Some(id), _) => drop(connection.cancel(id)),
            (4, Some(id), _) => drop(connection.release(id, operand.into())),
            (5, _, Some(id)) => drop(connection.respond(id, Status::OK, body)),
            (6, _, Some(id)) => drop(connection.respond_busy(id, Duration::from_millis(operand.into()))),
            (7, _, Some(id)) => drop(connection.accept_subscription(id)),
            (8, _, Some(id)) => {
                let point = Point { epoch: 1, sequence: operand.into() };
                let retained = operand & 1 != 0;
                let news = Outgoing { topic: "a/b", point, missed: Missed::NONE, retained, body };
                if operand & 2 == 0 {
                    let _ = connection.publish(id, &news);
                } else {
                    self.publish_in_parts(id, operand, &news);
                }
            }
            (9, _, Some(id)) => drop(connection.publish_missed(id, Missed::NONE)),
            (10, _, Some(id)) => drop(connection.end_subscription(id, Status::CANCELLED)),
            (11, ..) => drop(connection.goaway()),
            (12, ..) => connection.close(now, Status::OK),
            (13, ..) => self.asked &= connection.admit(now).is_err(),
            (14, ..) => self.asked &= connection.refuse(now).is_err(),
            (15, ..) if operand & 0x0f == 0 => connection.turn_away(),
            (15, ..) => self.body_command(now, operand),
            _ => {}
        }
    }

    /// One command about bodies in chunks: which in the lower half of the operand, of which exchange in the upper.
    fn body_command(&mut self, now: Instant, operand: u8) {
        let (number, which) = (operand & 0x0f, usize::from(operand >> 4));
        let of_ours = self.open.iter().nth(which % self.open.len().max(1)).copied();
        let of_theirs = self.theirs.iter().rev().nth(which % self.theirs.len().clamp(1, 16)).copied();
        let connection = &mut self.connection;
        let bytes = &[0xa5; 200][..1 + which * 13];
        match (number, of_ours, of_theirs) {
            (1 | 2, ..) => {
                let deadline = (which == 1).then_some(Duration::from_secs(1));
                let head = RequestHead { method: "a/b", body: bytes, more: number == 1, deadline };
                self.open.extend(connection.open(now, &head));
            }
            (3, Some(id), _) | (4, _, Some(id)) => {
                let room = connection.write(id, bytes).map_or(0, |taken| bytes.len() - taken);
                assert!(room < bytes.len(), "more taken than there was, or nothing");
            }
            (5, Some(id), _) | (6, _, Some(id)) => drop(connection.finish(id)),
            (7, Some(id), _) | (8, _, Some(id)) => drop(connection.reset(id, Status::FAILED)),
            (9, _, Some(id)) => drop(connection.respond_more(now, id, bytes)),
            (10, _, Some(id)) => drop(connection.cancel_with(id, Status::CANCELLED)),
            (11, Some(id), _) | (12, _, Some(id)) => drop(connection.release(id, 1 << which)),
            (13, Some(id), _) | (14, _, Some(id)) => {
                let idle = (which > 0).then(|| Duration::from_millis(1 << which));
                let _ = connection.set_body_idle(now, id, idle);
            }
            _ => {
                while let Some(id) = connection.poll_writable() {
                    assert!(connection.write(id, b"x").is_ok(), "no room in {id} after all");
                }
            }
        }
    }
}

/// Bytes go over until the piece is through, or the receiver waits for its application.
fn carry(from: &mut Side, to: &mut Side, now: Instant, at_most: usize) {
    from.collect(now);
    let piece: Vec<u8> = from.outgoing.iter().copied().take(at_most).collect();
    let taken = to.take(now, &piece);
    from.outgoing.drain(..taken);
}
