//! A serial line between two devices: sessions come and go on two noisy wires.  SPEC §19

use std::collections::VecDeque;

use symbolon::serial::{Line, Redial};
use symbolon::{Connection, Instant};

use crate::counts::Kind;
use crate::device::Device;
use crate::invariants::Terms;
use crate::ledger::Ledger;
use crate::random::Rng;
use crate::stream::{Stage, admission};
use crate::talk::{Habits, Talk};

/// What happens to bytes on a wire, each in so many of a million.
#[derive(Clone, Copy, Default)]
pub struct Noise {
    pub flips: usize,
    pub drops: usize,
    pub inserts: usize,
}

/// How many bytes a port holds.
const PORT: usize = 1_024;

/// One direction.
struct Wire {
    flying: VecDeque<(u64, Vec<u8>)>,
    held: usize,
    free_at: u64,
    /// How long a byte takes, in microseconds.
    byte_time: u64,
    piece: usize,
    noise: Noise,
    cut: bool,
}

impl Wire {
    fn write(&mut self, now: u64, bytes: &[u8], rng: &mut Rng) {
        self.free_at = self.free_at.max(now);
        let mut heard = Vec::with_capacity(bytes.len());
        let noise = self.noise;
        let mut hit = |rate: usize| rate > 0 && rng.below(1_000_000) < rate;
        for byte in bytes.iter().filter(|_| !self.cut) {
            if hit(noise.inserts) {
                heard.push(*byte ^ 0x5a);
            }
            if !hit(noise.drops) {
                heard.push(if hit(noise.flips) { *byte ^ 0x10 } else { *byte });
            }
        }
        let mut rest = heard.as_slice();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(1 + rng.below(self.piece)));
            self.free_at += self.byte_time * piece.len() as u64;
            self.held += piece.len();
            self.flying.push_back((self.free_at, piece.to_vec()));
            rest = later;
        }
    }

    fn take(&mut self, now: u64) -> Option<Vec<u8>> {
        let (at, _) = self.flying.front()?;
        let (_, bytes) = (*at <= now).then(|| self.flying.pop_front())??;
        self.held -= bytes.len();
        Some(bytes)
    }
}

struct Side {
    device: usize,
    line: Line<Talk>,
    redial: Option<Redial>,
    habits: Habits,
    /// Bytes that came and are not taken, since an event waits.
    untaken: Vec<u8>,
    dropped: u64,
    /// The latest instant that the line was told, and so its sessions.
    latest: Instant,
}

pub struct LineCable {
    sides: [Side; 2],
    wires: [Wire; 2],
    /// It has been noisy, or a device on it has crashed.
    noisy: bool,
    /// Nobody dials any more.
    pub over: bool,
    pub due: u64,
}

impl LineCable {
    pub fn new(devices: &[Device], ends: [usize; 2], habits: [Habits; 2], rng: &mut Rng) -> Self {
        let both_dial = rng.percent(40);
        let mut habits = habits.into_iter();
        let sides = [0, 1].map(|at| Side {
            device: ends[at],
            line: Line::new(devices[ends[at]].config.limits()),
            redial: (at == 0 || both_dial).then(Redial::default),
            habits: habits.next().expect("two sides"),
            untaken: Vec::new(),
            dropped: 0,
            latest: Instant::default(),
        });
        let byte_time = rng.of(&[10, 87]);
        let piece = rng.of(&[32, 200, 4_096]);
        let wires = [0, 1].map(|_| Wire {
            flying: VecDeque::new(),
            held: 0,
            free_at: 0,
            byte_time,
            piece,
            noise: Noise::default(),
            cut: false,
        });
        Self { sides, wires, noisy: false, over: false, due: 0 }
    }

    pub fn devices(&self) -> [usize; 2] {
        [self.sides[0].device, self.sides[1].device]
    }

    pub fn set_noise(&mut self, at: usize, noise: Noise, cut: bool) {
        (self.wires[at].noise, self.wires[at].cut) = (noise, cut);
        self.noisy = true;
    }

    pub fn calm(&mut self) {
        for wire in &mut self.wires {
            (wire.noise, wire.cut) = (Noise::default(), false);
        }
    }

    /// What each side's session is, where one runs.
    pub fn talks(&mut self) -> [Option<&mut Talk>; 2] {
        self.sides.each_mut().map(|side| side.line.running())
    }

    pub fn is_connected(&mut self) -> bool {
        let [a, b] = self.talks().map(|talk| talk.filter(|talk| talk.peer().is_some()));
        let binding = |talk: Option<&mut Talk>| talk.and_then(|talk| talk.connection.channel_binding());
        let (a, b) = (binding(a), binding(b));
        a.is_some() && a == b
    }

    /// No session is left.
    pub fn is_empty(&mut self) -> bool {
        self.sides.iter_mut().all(|side| side.line.running().is_none() && side.line.candidate().is_none())
    }

    /// Whether one of its sessions is this link of a device.
    pub fn has_link(&mut self, links: &[symbolon::LinkId]) -> bool {
        self.talks().into_iter().flatten().any(|talk| links.contains(&talk.link))
    }

    /// A device has crashed, and starts anew.
    pub fn crash(&mut self, at: usize, devices: &[Device], ledger: &mut Ledger, now: u64) {
        let side = &mut self.sides[at];
        if let Some(talk) = side.line.running() {
            talk.forget(ledger);
        }
        if let Some(talk) = side.line.candidate() {
            talk.forget(ledger);
        }
        while let Some(mut talk) = side.line.poll_ended() {
            talk.forget(ledger);
        }
        side.line = Line::new(devices[side.device].config.limits());
        side.redial = side.redial.map(|_| Redial::default());
        side.untaken.clear();
        side.latest = Instant::default();
        self.noisy = true;
        self.due = now;
    }

    /// Everything that happens here at this moment.
    pub fn turn(&mut self, stage: &mut Stage<'_>) {
        for side in &mut self.sides {
            let local = stage.devices[side.device].clock.show(stage.now);
            side.latest = side.latest.max(local);
            side.line.handle_timeout(local);
        }
        let mut rounds = 0;
        while self.move_side(0, stage) | self.move_side(1, stage) {
            rounds += 1;
            assert!(rounds < 20_000, "the two sides never come to rest");
        }
        self.due = self.next_due(stage);
    }

    fn move_side(&mut self, at: usize, stage: &mut Stage<'_>) -> bool {
        let terms = Terms { tampered: self.noisy, stranger: false, line: true };
        let (side, wire) = (&mut self.sides[at], &mut self.wires[1 - at]);
        let mut moved = side.live(stage, terms);
        moved |= side.dial_if_due(stage, self.over);
        while !side.untaken.is_empty() || wire.flying.front().is_some_and(|(at, _)| *at <= stage.now) {
            if side.untaken.is_empty() {
                side.untaken = wire.take(stage.now).unwrap_or_default();
                moved = true;
            }
            if !side.hear(stage, terms) {
                break;
            }
            moved = true;
        }
        let wire = &mut self.wires[at];
        let local = stage.devices[side.device].clock.show(stage.now);
        while wire.held < PORT
            && let Some(bytes) = side.line.poll_transmit(local)
        {
            let len = bytes.len().min(PORT - wire.held);
            wire.write(stage.now, &bytes[..len], stage.rng);
            side.line.advance_transmit(len);
            moved = true;
        }
        moved
    }

    fn next_due(&mut self, stage: &Stage<'_>) -> u64 {
        let mut due = u64::MAX;
        for (at, side) in self.sides.iter_mut().enumerate() {
            let clock = &stage.devices[side.device].clock;
            let redial = side.redial.and_then(|redial| redial.poll_timeout()).filter(|_| !self.over);
            let timers = [side.line.poll_timeout(), redial].into_iter().flatten();
            let timers = timers.map(|timer| clock.when(timer)).min();
            let running = side.line.running().and_then(|talk| talk.due(stage.now, stage.calm));
            let candidate = side.line.candidate().and_then(|talk| talk.due(stage.now, stage.calm));
            let wire = self.wires[1 - at].flying.front().map(|(at, _)| *at);
            let wire = wire.filter(|_| side.untaken.is_empty());
            due = [timers, running, candidate, wire].into_iter().flatten().fold(due, u64::min);
        }
        due
    }

    /// The ports are unplugged.
    pub fn unplug(&mut self, stage: &mut Stage<'_>) {
        for side in &mut self.sides {
            side.line.handle_eof(stage.devices[side.device].clock.show(stage.now));
        }
        self.turn(stage);
    }
}

impl Side {
    /// What the applications of its sessions do; whether anything moved.
    fn live(&mut self, stage: &mut Stage<'_>, terms: Terms) -> bool {
        let mut context = stage.context(self.device);
        let latest = self.latest;
        let mut live = |talk: &mut Talk| {
            talk.latest = latest;
            talk.live(&mut context, terms)
        };
        let mut moved = self.line.running().is_some_and(&mut live);
        moved |= self.line.candidate().is_some_and(live);
        while let Some(mut talk) = self.line.poll_ended() {
            talk.paused_until = 0;
            let mut moves = 0;
            while talk.live(&mut context, terms) {
                moves += 1;
                assert!(moves < 10_000, "a session that has gone never comes to rest");
            }
            assert!(talk.closed, "a session has gone, and has not ended");
            moved = true;
        }
        let dropped = self.line.dropped();
        if dropped > self.dropped {
            self.dropped = dropped;
            context.ledger.count(Kind::Noise);
        }
        assert!(self.line.buffered() <= 4 * (1 << 16), "a line that holds too much");
        moved
    }

    fn dial_if_due(&mut self, stage: &mut Stage<'_>, over: bool) -> bool {
        let device = &mut stage.devices[self.device];
        let local = device.clock.show(stage.now);
        let Some(redial) = self.redial.as_mut().filter(|_| !over) else { return false };
        if !redial.poll_dial(local, &mut self.line) {
            return false;
        }
        let admission = admission(device, stage.rng);
        let connection = Connection::initiator(&device.config, admission, stage.rng.seed(), local);
        let link = device.link(stage.ledger);
        self.line.dial(local, Talk::new(connection, link, self.habits, stage.now));
        true
    }

    /// Hands bytes in; whether anything moved.
    fn hear(&mut self, stage: &mut Stage<'_>, terms: Terms) -> bool {
        let device = &mut stage.devices[self.device];
        let local = device.clock.show(stage.now);
        let (ledger, rng, habits, now) = (&mut *stage.ledger, &mut *stage.rng, self.habits, stage.now);
        let taken = self.line.handle_input(local, &self.untaken, || {
            let admission = admission(device, rng);
            let connection = Connection::responder(&device.config, admission, rng.seed(), local);
            Some(Talk::new(connection, device.link(ledger), habits, now))
        });
        self.untaken.drain(..taken);
        let lived = self.live(stage, terms);
        let paused = self.line.running().is_some_and(|talk| talk.is_blocked(stage.now));
        assert!(taken > 0 || lived || paused, "bytes are left, and no event waits");
        taken > 0 || lived
    }
}
