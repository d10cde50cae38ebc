//! One stream, good or bad, in whatever pieces it comes: the same events, the same output, the same end.  FRM-4

use std::collections::BTreeMap;

use symbolon::{
    Admission, CloseReason, Config, Connection, Instant, Missed, Outgoing, Point, RequestHead, Role, Status,
    SubscribeOptions,
};

use super::common::Happened;
use super::common::attacker::{Attacker, Knobs, framed, take_frame};
use super::common::cbor::message;
use super::compose::{Composer, spoil};
use super::packets::packets;
use super::script::{byte, take};
use super::{devices, seed, strict};

const NOW: Instant = Instant::from_millis(1_000_000);

/// Runs a script twice, cut in one way and in another: as a stream, or as [packets] of a line.
///
/// # Panics
///
/// Where that makes a difference: that is what the fuzzer looks for.
pub fn framing(script: &[u8]) {
    let mut script = script;
    let options = byte(&mut script);
    let count = usize::from(byte(&mut script) & 0x1f);
    let cuts = take(&mut script, count);
    if options & 0x80 != 0 {
        return packets(options, cuts, script);
    }
    let (mut attacker, stream, first) = record(options, script);
    let config = &devices()[usize::from(options >> 1 & 1)];
    let new = || App::new(!attacker.role, config, options, &attacker.knobs);
    let whole = new().replay(&stream, &[stream.len()]);
    // A cut of 0 is a read of nothing; without any, each byte comes alone.
    let cuts: Vec<usize> = cuts.iter().copied().map(usize::from).chain([1]).collect();
    let pieces = new().replay(&stream, if cuts.iter().any(|cut| *cut > 0) { &cuts } else { &[1] });
    for other in [whole, pieces] {
        assert_eq!(first.events, other.events);
        attacker.compare(&first, &other);
    }
}

/// The stream that the script describes, and what a connection makes of it that gets it unit by unit.
fn record(options: u8, mut script: &[u8]) -> (Attacker, Vec<u8>, App) {
    let role = if options & 1 == 0 { Role::Initiator } else { Role::Responder };
    let config = &devices()[usize::from(options >> 1 & 1)];
    let attacker = Attacker::new(role, Knobs::default());
    let app = App::new(!role, config, options, &attacker.knobs);
    let mut recording = Recording { attacker, app, stream: Vec::new() };
    recording.meet(options);
    let mut composer = Composer::new(if role.is_initiator() { 2 } else { 1 });
    let mut batch = Vec::new();
    while let Some(step) = script.split_off_first() {
        recording.step(*step, &mut script, &mut composer, &mut batch);
    }
    let Recording { attacker, mut app, stream } = recording;
    app.end();
    (attacker, stream, app)
}

struct Recording {
    attacker: Attacker,
    app: App,
    /// All that the application was given.
    stream: Vec<u8>,
}

impl Recording {
    fn tell(&mut self, bytes: &[u8]) {
        self.stream.extend(bytes);
        self.app.feed(bytes);
    }

    fn seal(&mut self, plaintext: &[u8]) {
        let frame = self.attacker.seal(plaintext);
        self.tell(&frame);
    }

    /// The handshake, as far as it goes before bytes of the script take its place.
    fn meet(&mut self, options: u8) {
        let initiates = self.attacker.role.is_initiator();
        let stage = if options & 0x20 == 0 { 3 } else { options >> 3 & 3 };
        if stage > 0 {
            let begin = self.attacker.begin();
            self.tell(&begin);
        }
        if stage > 1 && self.attacker.hear(&self.app.written) {
            let message = self.attacker.say();
            self.tell(&message);
            if !initiates {
                let behind = self.app.written.split_off(8 + 34);
                assert!(self.attacker.hear(&behind), "no message 3");
                self.app.written.extend(&behind);
            }
        }
        if self.attacker.has_keys() {
            self.app.keys_from = units_end(&self.app.written, if initiates { 2 } else { 3 });
            if !initiates && options & 0x40 == 0 {
                self.seal(&message::accept());
            }
        }
    }

    fn step(&mut self, step: u8, script: &mut &[u8], composer: &mut Composer, batch: &mut Vec<u8>) {
        match step {
            0x00..=0x1f => self.tell(take(script, usize::from(step) + 1)),
            0x20..=0x3f => {
                let content = take(script, usize::from(step & 0x1f)).to_vec();
                self.tell(&framed(&content));
            }
            _ if !self.attacker.has_keys() => {}
            0x40..=0x5f => {
                let plaintext = take(script, usize::from(step & 0x1f) + 1).to_vec();
                self.seal(&plaintext);
            }
            0x60..=0xbf => {
                batch.extend(composer.message(script));
                batch.truncate(60_000);
                if step < 0xa0 {
                    self.seal(batch);
                    batch.clear();
                }
            }
            0xc0..=0xcf => {
                let mut frame = self.attacker.seal(&message::ping(1));
                spoil(&mut frame, script);
                self.tell(&frame);
            }
            _ => self.seal(&message::padding(usize::from(step))),
        }
    }
}

/// Where the preamble and the frames behind it end, so many units in all.
fn units_end(stream: &[u8], units: usize) -> usize {
    (1..units).fold(8, |at, _| at + 2 + usize::from(u16::from_be_bytes([stream[at], stream[at + 1]])))
}

/// A connection, and an application that acts on nothing but events.
struct App {
    connection: Connection,
    events: Vec<Happened>,
    written: Vec<u8>,
    /// From here on, what was written is frames under the transport key.
    keys_from: usize,
    cost: u32,
}

impl App {
    fn new(role: Role, config: &Config, options: u8, knobs: &Knobs) -> Self {
        let admission = if options & 4 == 0 { Admission::expect(knobs.peer_id()) } else { Admission::Ask };
        let connection = match role {
            Role::Initiator => Connection::initiator(config, admission, seed(3), NOW),
            Role::Responder => Connection::responder(config, admission, seed(3), NOW),
        };
        let mut app = Self { connection, events: Vec::new(), written: Vec::new(), keys_from: 0, cost: 0 };
        app.write();
        app
    }

    /// The whole stream in pieces of these lengths, over and over, and its end.
    fn replay(mut self, stream: &[u8], pieces: &[usize]) -> Self {
        let mut rest = stream;
        for piece in pieces.iter().cycle() {
            self.feed(take(&mut rest, *piece));
            if rest.is_empty() {
                break;
            }
        }
        self.end();
        self
    }

    fn feed(&mut self, mut input: &[u8]) {
        loop {
            let taken = self.connection.handle_input(NOW, input);
            input = &input[taken..];
            let before = self.events.len();
            self.react();
            if input.is_empty() {
                return;
            }
            assert!(taken > 0 || self.events.len() > before, "neither bytes nor events");
        }
    }

    fn end(&mut self) {
        self.connection.handle_eof(NOW);
        self.react();
        assert!(matches!(self.events.last(), Some(Happened::Closed(_))), "no end was reported");
    }

    fn react(&mut self) {
        while let Some(event) = self.connection.poll_event().map(Happened::from) {
            self.act(&event);
            self.events.push(event);
            self.write();
        }
        self.write();
    }

    fn act(&mut self, event: &Happened) {
        let connection = &mut self.connection;
        match event {
            Happened::Admission(_) => drop(connection.admit(NOW)),
            Happened::Connected(_) => {
                let _ = connection.request(NOW, "a/b", b"ask", None);
                let head = RequestHead { method: "c", body: b"", more: true, deadline: None };
                let _ = connection.open(NOW, &head).and_then(|id| connection.finish(id));
                let mut options = SubscribeOptions::default();
                (options.window, options.largest) = (600, 900);
                let _ = connection.subscribe_with("#", &options);
            }
            Happened::Request { id, body, .. } | Happened::RequestGoesOn { id, body, .. } => {
                let answered = connection.respond(*id, Status::OK, body);
                let _ = answered.or_else(|_| connection.respond(*id, Status::TOO_LARGE, b""));
            }
            Happened::Data(id, _, cost) => drop(connection.release(*id, *cost)),
            Happened::Subscribe { id, .. } => {
                let _ = connection.accept_subscription(*id);
                let point = Point { epoch: 1, sequence: 1 };
                let news =
                    Outgoing { topic: "a/b", point, missed: Missed::NONE, retained: true, body: b"news" };
                let _ = connection.publish(*id, &news);
            }
            Happened::Unsubscribe(id) => drop(connection.end_subscription(*id, Status::CANCELLED)),
            Happened::Publication { cost, total: Some(_), .. } => self.cost = *cost,
            Happened::Publication { id, cost, .. } => drop(connection.release(*id, *cost)),
            Happened::Continuation { id, cost, more, .. } => {
                self.cost += cost;
                if !more {
                    let _ = connection.release(*id, self.cost);
                }
            }
            _ => {}
        }
    }

    fn write(&mut self) {
        while let Some(bytes) = self.connection.poll_transmit(NOW) {
            let len = bytes.len();
            self.written.extend_from_slice(bytes);
            self.connection.advance_transmit(len);
        }
    }
}

/// The messages of an exchange, or of a type that is about none; and the newest of those that may be merged.
type Said = (BTreeMap<(u64, u64), Vec<strict::Told>>, BTreeMap<(u64, u64), strict::Told>);

impl Attacker {
    /// The bytes of the handshake are the same; so are the messages of each exchange, where nothing was dropped.
    fn compare(&mut self, first: &App, other: &App) {
        if !self.has_keys() {
            return assert_eq!(first.written, other.written);
        }
        let at = first.keys_from;
        assert_eq!(first.written[..at], other.written[..at]);
        let (said, merged) = self.said(&first.written[at..]);
        let (others, others_merged) = self.said(&other.written[at..]);
        // SPEC §16.3: what waits when the peer breaks a rule is dropped, and when it comes decides what has left.
        if matches!(first.events.last(), Some(Happened::Closed(CloseReason::Misbehaved(_)))) {
            let keys = said.keys().chain(others.keys());
            let none = Vec::new();
            for key in keys {
                let (a, b) = (said.get(key).unwrap_or(&none), others.get(key).unwrap_or(&none));
                assert!(a.starts_with(b) || b.starts_with(a), "{key:?}: {a:?} and {b:?}");
            }
            assert_eq!(said.get(&(1, 0)), others.get(&(1, 0)), "close");
        } else {
            assert_eq!(said, others);
            assert_eq!(merged, others_merged);
        }
    }

    fn said(&mut self, written: &[u8]) -> Said {
        let (mut said, mut merged) = Said::default();
        let mut rest = written.to_vec();
        self.receiving = 0;
        while let Some(sealed) = take_frame(&mut rest) {
            let plaintext = self.open_one(&sealed).expect("a frame that opens");
            let (messages, bad) = strict::messages(&plaintext);
            assert_eq!(bad, None);
            for told in messages {
                let exchange = if told.kind < 5 { (told.kind, 0) } else { (5, told.number(0).unwrap_or(0)) };
                // MSG-2: a pong answers all pings before it; credit counts all that was given before it.
                if [4, 11].contains(&told.kind) {
                    merged.insert((told.kind, exchange.1), told);
                } else {
                    said.entry(exchange).or_default().push(told);
                }
            }
        }
        assert_eq!(rest, b"");
        (said, merged)
    }
}
