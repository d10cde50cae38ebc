//! The same about a serial line: packets among noise, against a model that decodes COBS by itself and knows whose each
//! packet is.  SPEC §19

use symbolon::serial::Line;
use symbolon::{Admission, CloseReason, Config, Connection, Event, Instant, Role, Status};

use super::cobs;
use super::common::attacker::{ANSWER, Attacker, Knobs, OFFER, framed, take_frame};
use super::common::cbor::message;
use super::script::{byte, choice, number, take};
use super::{devices, seed};

const NOW: Instant = Instant::from_millis(1_000_000);

/// Runs a script of packets and noise, whole and cut, and compares both with the model.
pub fn packets(options: u8, cuts: &[u8], script: &[u8]) {
    let config = &devices()[usize::from(options >> 1 & 1)];
    let mut builder = Builder::new(config);
    if options & 1 == 0 {
        builder.hello();
    }
    let mut script = script;
    while let Some(step) = script.split_off_first() {
        builder.step(*step, &mut script);
    }
    let Builder { bytes, model, .. } = builder;
    let cuts: Vec<usize> = cuts.iter().copied().map(usize::from).filter(|cut| *cut > 0).collect();
    for cuts in [&[bytes.len()][..], if cuts.is_empty() { &[1] } else { &cuts }] {
        let mut end = End::new(config);
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            end.hear(take(&mut rest, *cut));
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(end.asked, model.asked, "requests");
        assert_eq!(end.lost, model.lost, "sessions that have ended because frames were lost");
        assert_eq!(end.offers, model.offers, "offers");
        assert_eq!(end.line.dropped(), model.dropped, "packets dropped");
        assert_eq!(end.line.running().is_some(), model.running.is_some(), "a session");
    }
}

/// The line, with an application that answers.
struct End {
    line: Line<Connection>,
    config: &'static Config,
    offers: u32,
    /// The ids of the requests that came, and how many frames were lost each time.
    asked: Vec<u64>,
    lost: Vec<u16>,
}

impl End {
    fn new(config: &'static Config) -> Self {
        Self { line: Line::new(config.limits()), config, offers: 0, asked: Vec::new(), lost: Vec::new() }
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        loop {
            let (config, offers) = (self.config, &mut self.offers);
            let taken = self.line.handle_input(NOW, bytes, || {
                *offers += 1;
                Some(responder(config))
            });
            bytes = &bytes[taken..];
            let moved = self.drain();
            self.check();
            if bytes.is_empty() {
                return;
            }
            assert!(taken > 0 || moved, "bytes are left, and nothing waits");
        }
    }

    fn drain(&mut self) -> bool {
        let mut moved = false;
        while let Some(running) = self.line.running() {
            let id = match running.poll_event() {
                Some(Event::Request { id, .. }) => id,
                Some(Event::Closed { reason: CloseReason::FramesLost(lost) }) => {
                    self.lost.push(lost);
                    continue;
                }
                Some(_) => {
                    moved = true;
                    continue;
                }
                None => break,
            };
            moved = true;
            self.asked.push(id.number());
            running.respond(id, Status::OK, b"").expect("it waits");
        }
        while let Some(bytes) = self.line.poll_transmit(NOW) {
            let len = bytes.len();
            self.line.advance_transmit(len);
        }
        while let Some(mut gone) = self.line.poll_ended() {
            moved = true;
            while let Some(event) = gone.poll_event() {
                if let Event::Closed { reason: CloseReason::FramesLost(lost) } = event {
                    self.lost.push(lost);
                }
            }
        }
        moved
    }

    /// SER-8
    fn check(&self) {
        let longest = usize::from(self.config.limits().max_frame).max(512) + 2;
        let most = longest + longest.div_ceil(254) + 2;
        let held = self.line.buffered();
        assert!(held <= 2 * most + self.config.limits().transmit_buffer + 1_024, "{held} bytes are held");
    }
}

/// The same seed each time: so what was once a handshake is one again.
fn responder(config: &Config) -> Connection {
    Connection::responder(config, Admission::expect(Knobs::default().peer_id()), seed(3), NOW)
}

/// What is on the line, and what should become of it.
struct Builder {
    bytes: Vec<u8>,
    attacker: Attacker,
    /// Packets that are good somewhere: the handshake's, then frames.
    good: Vec<Vec<u8>>,
    next_id: u64,
    model: Model,
}

impl Builder {
    fn new(config: &Config) -> Self {
        let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
        let mut victim = responder(config);
        let opening = attacker.begin();
        assert_eq!(victim.handle_input(NOW, &opening), opening.len());
        let answer = victim.poll_transmit(NOW).expect("message 2").to_vec();
        assert!(attacker.hear(&answer));
        let message_3 = attacker.say();
        let good = vec![OFFER.to_vec(), opening[8..].to_vec(), message_3];
        let model = Model::new(config, &good);
        Self { bytes: Vec::new(), attacker, good, next_id: 2, model }
    }

    fn hello(&mut self) {
        for packet in 0..3 {
            self.send(&self.good[packet].clone(), 0);
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        bytes.iter().for_each(|byte| self.model.hear(*byte));
    }

    /// SER-6, SER-7: a packet, in one of the forms that it may have.
    fn send(&mut self, packet: &[u8], form: u8) {
        let mut blocks = cobs::encode(packet);
        assert_eq!(cobs::decode(&blocks).as_deref(), Some(packet));
        if form & 1 == 0 {
            blocks.insert(0, 0);
        }
        if form & 2 != 0 {
            // An empty block: nothing behind a full one, and a zero byte behind any other.
            blocks.push(1);
        }
        if form & 4 == 0 {
            blocks.push(0);
        }
        self.put(&blocks);
    }

    fn step(&mut self, step: u8, script: &mut &[u8]) {
        match step {
            0x00..=0x3f => {
                let noise = take(script, usize::from(step) + 1).to_vec();
                self.put(&noise);
            }
            0x40..=0x7f => {
                // The next frame, or one behind others that are lost.
                let lost = if step < 0x70 { 0 } else { u64::from(byte(script) % 20) };
                let (content, id) = match step & 3 {
                    0 => (message::ping(number(script)), None),
                    1 => (message::padding(usize::from(byte(script)) * 2), None),
                    _ => {
                        let body = vec![1 + (step >> 2 & 1) * 0xfe; usize::from(byte(script))];
                        self.next_id += 2;
                        (message::request(self.next_id, 0, 0, "a", &body), Some(self.next_id))
                    }
                };
                let n = self.model.running.as_ref().map_or(0, |running| running.next) + lost;
                let frame = self.attacker.seal_at(n, &content);
                self.model.frames.push((frame.clone(), n, id));
                self.good.push(frame.clone());
                self.send(&frame, if step & 8 == 0 { 0 } else { step >> 4 & 3 });
            }
            0x80..=0x9f => {
                let packet = self.good[usize::from(byte(script)) % self.good.len()].clone();
                self.send(&packet, step & 7);
            }
            0xa0..=0xaf => {
                let mut packet = self.good[usize::from(byte(script)) % self.good.len()].clone();
                super::compose::spoil(&mut packet, script);
                self.send(&packet, step & 7);
            }
            0xb0..=0xb7 => {
                let mut preamble = choice(script, &[OFFER, ANSWER, *b"symbolon"]);
                let fields = take(script, 4);
                preamble[4..4 + fields.len()].copy_from_slice(fields);
                self.send(&preamble, step & 7);
            }
            0xb8..=0xbf => {
                let len = choice(script, &[0, 1, 16, 17, 31, 32, 33, 180, 181, 213, 369, 510, 512, 513]);
                let content = vec![byte(script); len];
                self.send(&framed(&content), step & 7);
            }
            // SER-8
            0xc0..=0xcf => {
                let noise = vec![byte(script) | 1; 1 << (step & 0x0f).min(12)];
                self.put(&noise);
            }
            _ => {
                for _ in 0..byte(script) & 0x1f {
                    self.send(&framed(&[step; 200]), 0);
                }
            }
        }
    }
}

/// What SPEC §19 says of each packet.
struct Model {
    /// Since the last zero byte.
    blocks: Vec<u8>,
    max_frame: usize,
    handshake: [Vec<u8>; 3],
    /// Frames under the transport keys: their nonce, and which request is in them.
    frames: Vec<(Vec<u8>, u64, Option<u64>)>,
    running: Option<Running>,
    candidate: Option<Candidate>,
    dropped: u64,
    offers: u32,
    asked: Vec<u64>,
    lost: Vec<u16>,
}

struct Running {
    next: u64,
    highest: u64,
}

struct Candidate {
    /// Whether what it has taken so far is genuine.
    genuine: bool,
    has_message_1: bool,
    failed: u32,
    ended: bool,
}

impl Model {
    fn new(config: &Config, good: &[Vec<u8>]) -> Self {
        Self {
            blocks: Vec::new(),
            max_frame: config.limits().max_frame.into(),
            handshake: [good[0].clone(), good[1].clone(), good[2].clone()],
            frames: Vec::new(),
            running: None,
            candidate: None,
            dropped: 0,
            offers: 0,
            asked: Vec::new(),
            lost: Vec::new(),
        }
    }

    fn hear(&mut self, byte: u8) {
        if byte != 0 {
            return self.blocks.push(byte);
        }
        let blocks = std::mem::take(&mut self.blocks);
        if !blocks.is_empty() && !self.takes(&blocks) {
            self.dropped += 1;
        }
    }

    fn takes(&mut self, blocks: &[u8]) -> bool {
        let longest = if self.running.is_some() { self.max_frame.max(512) } else { 512 };
        // SER-1
        let Some(packet) = cobs::decode(blocks).filter(|packet| packet.len() <= 2 + longest) else {
            return false;
        };
        if let Some(content) =
            take_frame(&mut packet.clone()).filter(|content| 2 + content.len() == packet.len())
        {
            return self.takes_frame(&packet, &content);
        }
        packet.len() == 8 && packet.starts_with(b"symb") && self.takes_offer(&packet)
    }

    /// SPEC §19.3; PRE-4: a refusal ends the candidate.
    fn takes_offer(&mut self, offer: &[u8]) -> bool {
        self.offers += 1;
        let ended = offer[4] == 0 || offer[5] != 0 || offer[7] & 1 == 0;
        let genuine = *offer == self.handshake[0];
        self.candidate = Some(Candidate { genuine, has_message_1: false, failed: 0, ended });
        true
    }

    /// SPEC §19.2
    fn takes_frame(&mut self, packet: &[u8], content: &[u8]) -> bool {
        if let Some(running) = &mut self.running
            && let Some((_, n, id)) = self.frames.iter().find(|(frame, ..)| frame == packet)
            && content.len() <= self.max_frame
            && (running.next..=running.next + 16).contains(n)
        {
            let lost = n - running.next;
            running.next = n + 1;
            let again = id.is_some_and(|id| id <= running.highest);
            running.highest = id.unwrap_or(running.highest);
            if lost > 0 {
                // SER-4
                self.lost.push(lost as u16);
                self.running = None;
            } else if again {
                // EXC-2
                self.running = None;
            } else {
                self.asked.extend(id);
            }
            return true;
        }
        let Some(candidate) = self.candidate.as_mut().filter(|candidate| !candidate.ended) else {
            return false;
        };
        if !candidate.has_message_1 {
            if content.len() != 32 {
                return false;
            }
            if leads_to_nothing(content) {
                return candidate.fails();
            }
            candidate.has_message_1 = true;
            candidate.genuine &= *packet == self.handshake[1];
            return true;
        }
        if !(181..=512).contains(&content.len()) {
            return false;
        }
        if candidate.genuine && *packet == self.handshake[2] {
            // SER-13
            (self.candidate, self.running) = (None, Some(Running { next: 0, highest: 0 }));
            return true;
        }
        candidate.fails()
    }
}

impl Candidate {
    /// SER-10, SER-11: dropped, until there were too many.
    fn fails(&mut self) -> bool {
        self.failed += 1;
        self.ended = self.failed > 16;
        self.ended
    }
}

/// HSK-3: a public key of low order.
fn leads_to_nothing(public: &[u8]) -> bool {
    use snow::params::DHChoice;
    use snow::resolvers::{CryptoResolver, DefaultResolver};
    let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("known");
    dh.set(&[8; 32]);
    let mut secret = [0; 32];
    dh.dh(public, &mut secret).is_err() || secret == [0; 32]
}
