//! Handshakes between two devices, with somebody on the path who changes, drops, repeats, exchanges and invents bytes; or,
//! where the script says so, with a [stranger](super::stranger) who does cryptography as well.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;

use symbolon::{Admission, CloseReason, Connection, Instant, PeerMisbehaved, Status, TimedOut};

use super::common::attacker::take_frame;
use super::script::{byte, take};
use super::side::Side;
use super::stranger::stranger;
use super::{devices, piece, seed};

/// Runs a script against a handshake.
///
/// # Panics
///
/// Where a side breaks a promise: that is what the fuzzer looks for.
pub fn handshake(script: &[u8]) {
    let Some((options, mut script)) = script.split_first() else { return };
    if options & 0x80 != 0 {
        return stranger(*options, script);
    }
    let mut path = Path::new(*options, [3, 4]);
    while let Some(step) = script.split_off_first() {
        path.step(*step, &mut script);
        path.check();
    }
    path.end();
}

/// The side that dials, and the one that is dialled.
const BOTH: [usize; 2] = [0, 1];
const INITIATOR: usize = 0;
const RESPONDER: usize = 1;
/// What an initiator sends before it hears anything: its preamble, and message 1 in its frame.
const OPENING: usize = 8 + 34;

struct Path {
    sides: [Side; 2],
    /// Whether each expects the other, and not a third.
    expects: [bool; 2],
    /// All that each has sent, and that each has taken.
    sent: [Vec<u8>; 2],
    got: [Vec<u8>; 2],
    /// The preambles and frames of each that are on their way.
    way: [VecDeque<Vec<u8>>; 2],
    /// The stream towards it has ended.
    cut: [bool; 2],
    /// Its application has ended it, or turned the other away.
    unwilling: bool,
    now: Instant,
    start: Instant,
}

impl Path {
    fn new(options: u8, seeds: [u8; 2]) -> Self {
        let now = Instant::from_millis(1_000_000);
        let [mut dials, mut listens] = devices().each_ref();
        if options & 1 != 0 {
            (dials, listens) = (listens, dials);
        }
        let expects = [options & 0x18 != 0x08, options & 0x18 != 0x10];
        let admit = |ask: bool, device: &symbolon::Config, expects: bool| match (ask, expects) {
            (true, true) => Admission::Ask,
            (false, true) => Admission::expect(device.identity().peer_id()),
            (_, false) => Admission::Only(Vec::new()),
        };
        let of_dials = admit(options & 2 != 0, listens, expects[INITIATOR]);
        let of_listens = admit(options & 4 != 0, dials, expects[RESPONDER]);
        let initiator = Connection::initiator(dials, of_dials, seed(seeds[0]), now);
        let responder = Connection::responder(listens, of_listens, seed(seeds[1]), now);
        Self {
            sides: [Side::new(initiator, dials.limits()), Side::new(responder, listens.limits())],
            expects,
            sent: Default::default(),
            got: Default::default(),
            way: Default::default(),
            cut: [false; 2],
            unwilling: false,
            now,
            start: now,
        }
    }

    fn step(&mut self, step: u8, script: &mut &[u8]) {
        let number = usize::from(step & 0x0f);
        let side = number & 1;
        self.collect();
        match step {
            0x00..=0x7f => {
                let bytes = take(script, usize::from(step & 0x3f) + 1);
                self.deliver(if step < 0x40 { RESPONDER } else { INITIATOR }, bytes);
            }
            0x80..=0x8f => drop(self.carry(INITIATOR, piece(number))),
            0x90..=0x9f => drop(self.carry(RESPONDER, piece(number))),
            0xa0..=0xa7 => self.pass(Duration::from_millis(1 << (2 * number))),
            0xa8..=0xaf => {
                let named = self.sides.iter().filter_map(|side| side.connection.poll_timeout()).min();
                self.now = named.map_or(self.now, |named| named.max(self.now));
                self.pass(Duration::ZERO);
            }
            0xb0..=0xdf => self.tamper(step, script),
            0xe0..=0xe7 => self.decide(step),
            // What is asked before the other side is there is refused, or waits.
            0xe8..=0xef => self.sides[side].command(self.now, number >> 1 & 3, script),
            0xf0..=0xff => {
                let other = 1 - side;
                self.cut[other] = true;
                self.sides[other].connection.handle_eof(self.now);
            }
        }
        self.collect();
    }

    /// Does something to what is on its way.
    fn tamper(&mut self, step: u8, script: &mut &[u8]) {
        let number = usize::from(step & 0x0f);
        let (from, to) = (number & 1, 1 - (number & 1));
        let way = &mut self.way[from];
        match (step, number >> 1) {
            // H2: one bit, anywhere.
            (0xb0..0xc0, bit) => {
                let at = usize::from(byte(script));
                if let Some(byte) = way.iter_mut().flatten().nth(at) {
                    *byte ^= 1 << bit;
                }
                return;
            }
            (0xc0..0xd0, _) => {
                for _ in 0..=byte(script) >> 2 {
                    let Some(unit) = way.front_mut() else { break };
                    unit.remove(0);
                    way.retain(|unit| !unit.is_empty());
                }
                return;
            }
            (_, 0) => way.extend(way.front().cloned()),
            (_, 1) if way.len() > 1 => way.swap(0, 1),
            (_, 2) => drop(way.pop_front()),
            (_, 3) => {
                // H1: cut short, whether its length says so or not.
                if let Some(unit) = way.front_mut().filter(|unit| unit.len() > 2) {
                    unit.pop();
                    unit[1] = unit[1].wrapping_sub(byte(script) & 1);
                }
            }
            // H7, H9: what was said in another session, or by the receiver itself, or before.
            (_, 4) => way.push_front(unit_of(&elsewhere()[from], byte(script))),
            (_, 5) => way.push_front(unit_of(&self.sent[to], byte(script))),
            (_, 6) => way.push_front(unit_of(&self.sent[from], byte(script))),
            _ => *way = units(&elsewhere()[from]).into(),
        }
        way_without_gaps(way);
    }

    /// What an application says of the other, or of the connection as a whole.
    fn decide(&mut self, step: u8) {
        let side = &mut self.sides[usize::from(step & 1)];
        match step {
            0xe0 | 0xe1 => drop(side.event()),
            0xe2 | 0xe3 => side.asked &= side.connection.admit(self.now).is_err(),
            0xe4 | 0xe5 => {
                let refused = side.connection.refuse(self.now).is_ok();
                side.asked &= !refused;
                self.unwilling |= refused;
            }
            0xe6 => {
                self.sides[RESPONDER].connection.turn_away();
                self.unwilling = true;
            }
            _ => {
                side.connection.close(self.now, Status::OK);
                self.unwilling = true;
            }
        }
    }

    /// What the two want to send gets on its way.
    fn collect(&mut self) {
        for from in BOTH {
            let side = &mut self.sides[from];
            side.collect(self.now);
            let mut bytes: Vec<u8> = side.outgoing.drain(..).collect();
            if self.sent[from].is_empty() && !bytes.is_empty() {
                self.way[from].push_back(bytes[..8].to_vec());
                self.sent[from].extend(bytes.drain(..8));
            }
            self.sent[from].extend(&bytes);
            while !bytes.is_empty() {
                let content = take_frame(&mut bytes).expect("whole frames");
                self.way[from].push_back([&(content.len() as u16).to_be_bytes()[..], &content].concat());
            }
        }
    }

    fn deliver(&mut self, to: usize, bytes: &[u8]) -> usize {
        if self.cut[to] {
            return bytes.len();
        }
        let taken = self.sides[to].take(self.now, bytes);
        self.got[to].extend(&bytes[..taken]);
        taken
    }

    fn carry(&mut self, from: usize, at_most: usize) -> usize {
        let bytes: Vec<u8> = self.way[from].iter().flatten().copied().take(at_most).collect();
        let taken = self.deliver(1 - from, &bytes);
        let mut left = taken;
        while let Some(unit) = self.way[from].front_mut().filter(|_| left > 0) {
            let gone = unit.len().min(left);
            unit.drain(..gone);
            left -= gone;
            way_without_gaps(&mut self.way[from]);
        }
        taken
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for side in &mut self.sides {
            side.connection.handle_timeout(self.now);
        }
    }

    /// Whether this side has got the first so many preambles and frames that the other has sent, and nothing before them.
    fn heard(&self, to: usize, count: usize) -> bool {
        let units = units(&self.sent[1 - to]);
        units.len() >= count && self.got[to].starts_with(&units[..count].concat())
    }

    /// Neither knows, tells or believes anything that the transcript does not carry.
    fn check(&self) {
        let [initiator, responder] = &self.sides;
        // Both preambles, message 1 and message 2 are as they were sent.
        let answered = self.heard(RESPONDER, 2) && self.heard(INITIATOR, 2);
        let introduced = answered && self.heard(RESPONDER, 3);
        let accepted = introduced && self.heard(INITIATOR, 3);
        for (side, may_know) in [(initiator, answered), (responder, introduced)] {
            side.check();
            assert!(may_know || !side.knows_peer, "an event about a peer that has proven nothing");
            assert!(may_know || side.connection.peer().is_none(), "a peer that has proven nothing");
            assert!(may_know || side.connection.channel_binding().is_none(), "keys with a stranger");
        }
        assert!(accepted || !initiator.connected, "connected by what nobody has sent");
        assert!(introduced || !responder.connected, "connected by what nobody has sent");
        // HSK-4, ADM-1: strangers are told nothing.
        let let_in = answered && self.expects[INITIATOR];
        assert!(let_in || self.sent[INITIATOR].len() <= OPENING, "message 3 for a stranger");
        let answers = units(&self.sent[RESPONDER]).len();
        assert!(introduced || answers <= 2, "keys for a stranger");
        self.check_answer(answers);
    }

    /// PRE-2, PRE-4, PRE-7, HSK-2: what a responder answers to these bytes.
    fn check_answer(&self, answers: usize) {
        let (got, sent) = (&self.got[RESPONDER], &self.sent[RESPONDER]);
        let is_closed = self.sides[RESPONDER].connection.is_closed();
        let Some(offer) = got.get(..8).filter(|offer| offer.starts_with(b"symb")) else {
            assert_eq!(sent, b"", "an answer to what is no offer");
            let magic = got.iter().zip(b"symb").all(|(byte, magic)| byte == magic);
            assert!(magic || is_closed, "PRE-2: the first byte that differs");
            return;
        };
        let code = match (offer[4], offer[5], offer[7] & 1) {
            (0, ..) => 1,
            (_, 1.., _) => 2,
            (_, _, 0) => 3,
            _ => 0,
        };
        if sent.is_empty() {
            assert!(self.unwilling || self.cut[RESPONDER] || is_closed, "PRE-7: no answer");
            return;
        }
        let busy = code == 0 && self.unwilling && sent[5] == 4;
        assert_eq!(sent[..8], [b'o', b'l', b'o', b'n', 1, if busy { 4 } else { code }, 0, 1]);
        let asked = code == 0 && !busy && got.len() >= OPENING && got[8..10] == [0, 32];
        assert!(asked || answers == 1, "message 2 without message 1");
    }

    /// Nobody is on the path any more: what is on its way arrives, and then time goes by.
    fn end(mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for from in BOTH {
                let side = &mut self.sides[from];
                while side.event() {
                    moved = true;
                }
                if side.asked {
                    side.asked = false;
                    moved |= side.connection.admit(self.now).is_ok();
                }
                self.collect();
                moved |= self.carry(from, usize::MAX) > 0;
                self.collect();
                self.check();
            }
        }
        self.collect();
        let untouched = BOTH.iter().all(|from| self.got[1 - from] == self.sent[*from]);
        let in_time = self.now.saturating_since(self.start) < Duration::from_secs(9);
        let willing = !self.unwilling && self.expects == [true; 2] && self.cut == [false; 2];
        if untouched && in_time && willing {
            let both = self.sides.iter().all(|side| side.connected && side.connection.is_connected());
            assert!(both, "a handshake that nobody has touched");
        }
        // The handshake's timer.
        self.pass(Duration::from_secs(11));
        for side in &mut self.sides {
            while side.event() {}
            assert!(side.connected || side.reason.is_some(), "a handshake without an end");
            side.ends(self.now, self.now + Duration::from_secs(1 << 20));
        }
        self.collect();
        self.check();
        for side in BOTH {
            self.check_reason(side);
        }
    }

    /// It has ended for what happened to it.
    fn check_reason(&self, side: usize) {
        let Side { reason: Some(reason), connected, connection, .. } = &self.sides[side] else {
            panic!("no reason");
        };
        // An initiator has keys before it is connected.
        let has_keys = *connected || connection.channel_binding().is_some();
        match reason {
            CloseReason::Handshake(_) => assert!(!has_keys),
            CloseReason::Refused(_) => assert!(side == INITIATOR && !has_keys),
            CloseReason::TimedOut(TimedOut::Handshake) => assert!(!connected),
            CloseReason::TimedOut(_) | CloseReason::Truncated => {}
            CloseReason::NotAdmitted(_) => assert!(self.unwilling || !self.expects[side]),
            CloseReason::Local(_) => assert!(self.unwilling),
            // Only the other side has the keys to say so.
            CloseReason::Remote(_) => assert!(has_keys && self.sides[1 - side].reason.is_some()),
            CloseReason::Misbehaved(PeerMisbehaved::FrameLength(_) | PeerMisbehaved::Unauthentic) => {
                assert!(has_keys && !self.sent[1 - side].starts_with(&self.got[side]));
            }
            other => panic!("{other}"),
        }
    }
}

/// What the two sides of another session have sent, between the same devices.
fn elsewhere() -> &'static [Vec<u8>; 2] {
    static ELSEWHERE: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    ELSEWHERE.get_or_init(|| {
        let mut path = Path::new(0, [5, 6]);
        for _ in 0..4 {
            path.collect();
            for from in BOTH {
                path.carry(from, usize::MAX);
            }
        }
        path.sent
    })
}

/// The preamble and the frames of a stream.
fn units(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut units = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let len = match (units.len(), rest) {
            (0, _) => 8,
            (_, [high, low, ..]) => 2 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => break,
        };
        units.push(take(&mut rest, len).to_vec());
    }
    units
}

fn unit_of(stream: &[u8], number: u8) -> Vec<u8> {
    let units = units(stream);
    units.get(usize::from(number) % units.len().max(1)).cloned().unwrap_or_default()
}

fn way_without_gaps(way: &mut VecDeque<Vec<u8>>) {
    way.retain(|unit| !unit.is_empty());
}
