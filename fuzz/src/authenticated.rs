//! A peer that was let in, and says whatever the script chooses: its plaintexts are hostile, and its frames are good.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use symbolon::{Admission, CloseReason, Connection, Instant, PeerMisbehaved, Role, WireError};

use super::common::attacker::{Attacker, Knobs, take_frame};
use super::common::cbor::message;
use super::compose::{Composer, spoil};
use super::script::{byte, take};
use super::side::Side;
use super::strict::{self, Bad, Told};
use super::{devices, seed};

/// Runs a script of what the peer says, and of what the victim's application does.
///
/// # Panics
///
/// Where the connection breaks a promise: that is what the fuzzer looks for.
pub fn authenticated(script: &[u8]) {
    let mut script = script;
    let mut world = World::new(&mut script);
    while let Some(step) = script.split_off_first() {
        world.step(*step, &mut script);
        world.victim.check();
    }
    world.end();
}

struct World {
    attacker: Attacker,
    victim: Side,
    limits: symbolon::Limits,
    now: Instant,
    latest: Instant,
    composer: Composer,
    /// Messages that wait for a frame.
    batch: Vec<u8>,
    /// Bytes that the victim has not taken, because its application does not read.
    pending: VecDeque<u8>,
    /// The frame that went last.
    last: Vec<u8>,
    /// The first plaintext that is no messages.
    bad: Option<Bad>,
    /// Frames were damaged, repeated or left out, or the stream has ended.
    spoilt: bool,
    heard: Heard,
}

/// What the victim has said.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    closed: bool,
    any: bool,
    /// What was spent of each exchange's credit, and the most that the attacker ever gave.
    spent: BTreeMap<u64, u64>,
    given: BTreeMap<u64, u64>,
}

impl World {
    fn new(script: &mut &[u8]) -> Self {
        let (options, wants) = (byte(script), byte(script));
        let role = if options & 1 == 0 { Role::Initiator } else { Role::Responder };
        let config = &devices()[usize::from(options >> 1 & 1)];
        let knobs = Knobs {
            max_frame: if wants & 1 == 0 { 65_535 } else { 256 },
            window: [0, 20, 768, u32::MAX.into()][usize::from(wants >> 1 & 3)],
            max_requests: if wants & 8 == 0 { 64 } else { 1 },
            max_subscriptions: if wants & 16 == 0 { 64 } else { 0 },
            silence: if wants & 32 == 0 { 0 } else { 2_000 },
            ..Knobs::default()
        };
        let now = Instant::from_millis(1_000_000);
        let admission = if options & 4 == 0 { Admission::expect(knobs.peer_id()) } else { Admission::Ask };
        let connection = match !role {
            Role::Initiator => Connection::initiator(config, admission, seed(3), now),
            Role::Responder => Connection::responder(config, admission, seed(3), now),
        };
        let mut world = Self {
            attacker: Attacker::new(role, knobs),
            victim: Side::new(connection, config.limits()),
            limits: *config.limits(),
            now,
            latest: now,
            composer: Composer::new(if role.is_initiator() { 2 } else { 1 }),
            batch: Vec::new(),
            pending: VecDeque::new(),
            last: Vec::new(),
            bad: None,
            spoilt: false,
            heard: Heard::default(),
        };
        world.meet();
        // ADM-4: whoever dials may speak before it was let in; whoever was dialled lets in, or does not.
        if options & 8 == 0 && !role.is_initiator() {
            world.say(&message::accept());
        }
        if options & 16 == 0 {
            while world.event() {}
        }
        world
    }

    fn meet(&mut self) {
        let begin = self.attacker.begin();
        self.hand_over(&begin);
        if self.attacker.role.is_initiator() {
            self.victim.collect(self.now);
            let answer: Vec<u8> = self.victim.outgoing.drain(..).collect();
            assert!(self.attacker.hear(&answer), "no message 2");
            let message = self.attacker.say();
            self.hand_over(&message);
        } else {
            self.victim.collect(self.now);
            let offer: Vec<u8> = self.victim.outgoing.drain(..).collect();
            assert!(self.attacker.hear(&offer), "no message 1");
            let message = self.attacker.say();
            self.hand_over(&message);
            if self.victim.event() {
                assert!(self.victim.asked, "an event about a peer that nobody has let in");
                self.victim.asked = false;
                self.victim.connection.admit(self.now).expect("it has asked");
            }
            self.victim.collect(self.now);
            let answer: Vec<u8> = self.victim.outgoing.drain(..).collect();
            assert!(self.attacker.hear(&answer), "no message 3");
        }
        assert!(self.attacker.has_keys() && !self.victim.connection.is_closed());
    }

    fn step(&mut self, step: u8, script: &mut &[u8]) {
        let number = usize::from(step & 0x0f);
        match step {
            0x00..=0x3f => {
                let plaintext = take(script, usize::from(step) + 1).to_vec();
                self.say(&plaintext);
            }
            0x40..=0x7f => {
                let message = self.composer.message(script);
                self.batch.extend(message);
                // Several messages in one frame, sometimes.
                if step < 0x60 {
                    self.flush();
                }
            }
            0x80 => while self.event() {},
            0x81..=0x87 => drop(self.event()),
            0x88..=0x8f => {
                while self.victim.serve(self.now) {
                    self.pump();
                }
            }
            0x90..=0x9f => self.listen(),
            0xa0..=0xbf => self.set_clock(step),
            0xc0..=0xc7 => {
                if number > 0 {
                    spoil(&mut self.batch, script);
                }
                self.flush();
            }
            0xc8..=0xcf => self.repeat(script),
            0xd0..=0xdf => {
                self.victim.command(self.now, number, script);
                self.pump();
            }
            0xe0..=0xef => self.damage(step, script),
            0xf0 => {
                self.victim.connection.handle_eof(self.now);
                self.spoilt = true;
            }
            0xf1 => self.say(&message::accept()),
            0xf2..=0xff => self.victim.connection.turn_away(),
        }
    }

    /// On, back, or to when the victim wants to be woken.
    fn set_clock(&mut self, step: u8) {
        let number = step & 0x0f;
        match step {
            0xa0..0xb0 => self.jump(Duration::from_millis(1 << (2 * number))),
            0xb0..0xb8 => {
                let back = 1_000 << (2 * number);
                self.now = Instant::from_micros(self.now.as_micros().saturating_sub(back));
            }
            _ => {
                let named = self.victim.connection.poll_timeout();
                self.now = named.map_or(self.now, |named| named.max(self.now));
                self.jump(Duration::ZERO);
            }
        }
    }

    /// R1, R2, R11: the same, over and over.
    fn repeat(&mut self, script: &mut &[u8]) {
        let times = byte(script);
        let mut repeated = *script;
        for _ in 0..times {
            repeated = *script;
            let message = self.composer.message(&mut repeated);
            self.say(&message);
        }
        *script = repeated;
    }

    /// Bytes that are no frame whose turn it is.
    fn damage(&mut self, step: u8, script: &mut &[u8]) {
        match step & 0x0f {
            // T2: once more, which no stream does by itself.
            0 => self.intrude(&self.last.clone()),
            1 => {
                // T1
                let mut frame = self.attacker.seal_at(self.attacker.sending, &message::ping(1));
                let at = 2 + usize::from(byte(script)) % (frame.len() - 2);
                frame[at] ^= 1;
                self.intrude(&frame);
            }
            // T2: the next one is left out.
            2 => {
                self.attacker.sending += 1;
                self.spoilt = true;
            }
            len => {
                let bytes = take(script, len.into());
                self.intrude(bytes);
            }
        }
    }

    /// Time passes, and nothing that was due is named any more.
    fn jump(&mut self, by: Duration) {
        self.now = self.now + by;
        self.latest = self.latest.max(self.now);
        self.victim.connection.handle_timeout(self.now);
        let next = self.victim.connection.poll_timeout();
        assert!(next.is_none_or(|next| next > self.latest), "a timer that fired is still named");
    }

    fn event(&mut self) -> bool {
        let was_one = self.victim.event();
        self.pump();
        was_one
    }

    /// Hands in what the victim has left.
    fn pump(&mut self) {
        let bytes: Vec<u8> = self.pending.drain(..).collect();
        self.hand_over(&bytes);
    }

    fn hand_over(&mut self, bytes: &[u8]) {
        self.latest = self.latest.max(self.now);
        self.pending.extend(bytes);
        let bytes = self.pending.make_contiguous();
        let taken = self.victim.take(self.now, bytes);
        self.pending.drain(..taken);
    }

    fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.say(&batch);
        }
    }

    /// Seals these messages, if they are any, in one frame, and compares what SPEC.md says of them with what happens.
    fn say(&mut self, plaintext: &[u8]) {
        let plaintext = &plaintext[..plaintext.len().min(65_519)];
        let (told, bad) = strict::messages(plaintext);
        self.note_credit(&told);
        let frame = self.attacker.seal(plaintext);
        let fits = (17..=usize::from(self.limits.max_frame)).contains(&(frame.len() - 2));
        // What it says, it says to somebody who listens, and has not heard worse before.
        let attentive = !self.spoilt
            && self.bad.is_none()
            && self.pending.is_empty()
            && !self.victim.asked
            && !self.victim.connection.is_closed()
            && self.victim.connection.peek_event().is_none();
        let was_connected = self.victim.connection.is_connected();
        self.bad = self.bad.or_else(|| bad.filter(|_| fits && !self.spoilt));
        self.last.clone_from(&frame);
        if !fits {
            self.spoilt = true;
        }
        self.hand_over(&frame);
        if !attentive {
            return;
        }
        if told.is_empty() || !fits {
            while self.victim.event() {}
            self.ended_for(if fits { bad } else { None });
        } else if was_connected && bad.is_none() && told.iter().all(Told::is_ignorable) {
            // ENC-5
            assert!(!self.victim.connection.is_closed(), "ended by what is to be ignored");
        }
    }

    /// ENC-1, ENC-4, FRM-3: it has ended, and for this reason.
    fn ended_for(&self, bad: Option<Bad>) {
        let Some(CloseReason::Misbehaved(reason)) = self.victim.reason else {
            panic!("{bad:?} was taken, and it ended with {:?}", self.victim.reason);
        };
        let found = match reason {
            PeerMisbehaved::Message(WireError::Encoding(_)) => Some(Bad::Encoding),
            PeerMisbehaved::Message(_) => Some(Bad::Form),
            PeerMisbehaved::FrameLength(_) => None,
            other => panic!("{bad:?} was taken for {other:?}"),
        };
        assert_eq!(found, bad);
    }

    /// Bytes that are not the next frame.
    fn intrude(&mut self, bytes: &[u8]) {
        self.spoilt |= !bytes.is_empty();
        self.hand_over(bytes);
    }

    /// What the attacker allows, were each of these messages to count.
    fn note_credit(&mut self, told: &[Told]) {
        for message in told {
            if let (11 | 12, Some(id), Some(limit)) = (message.kind, message.number(0), message.number(1)) {
                let given = self.heard.given.entry(id).or_default();
                *given = limit.max(*given);
            }
        }
    }

    /// Reads what the victim has sent: messages by the book, and nothing behind `close`.
    fn listen(&mut self) {
        self.victim.collect(self.now);
        let victim_responds = self.attacker.role.is_initiator();
        let heard = &mut self.heard;
        heard.bytes.extend(self.victim.outgoing.drain(..));
        while let Some(sealed) = take_frame(&mut heard.bytes) {
            assert!(sealed.len() as u64 <= self.attacker.knobs.max_frame, "FRM-2: a frame too long");
            let plaintext = self.attacker.open_one(&sealed).expect("a frame that opens");
            let (told, bad) = strict::messages(&plaintext);
            assert_eq!(bad, None, "the victim sends what it would not take: {plaintext:02x?}");
            for message in told {
                assert!(!heard.closed, "LAN-2: something behind close");
                let first = !std::mem::replace(&mut heard.any, true);
                assert!(!first || !victim_responds || message.kind <= 1, "ADM-2: not accept at first");
                assert_eq!(message.kind == 0, first && victim_responds && message.kind == 0, "ADM-5");
                heard.closed = message.kind == 1;
                heard.spend(&message, self.attacker.knobs.window);
            }
        }
    }

    /// All is read; then the stream ends, and time goes by.
    fn end(mut self) {
        while self.event() || self.victim.serve(self.now) {
            self.pump();
        }
        self.listen();
        if self.pending.is_empty() && !self.victim.asked && self.bad.is_some() {
            assert!(self.victim.reason.is_some(), "{:?} was taken", self.bad);
        }
        match self.victim.reason {
            Some(CloseReason::Misbehaved(PeerMisbehaved::Message(WireError::Encoding(error)))) => {
                assert_eq!(self.bad, Some(Bad::Encoding), "{error}");
            }
            Some(CloseReason::Misbehaved(PeerMisbehaved::Message(error))) => {
                assert_eq!(self.bad, Some(Bad::Form), "{error}");
            }
            Some(CloseReason::Misbehaved(PeerMisbehaved::Unauthentic)) => assert!(self.spoilt),
            Some(CloseReason::Handshake(error)) => panic!("{error}"),
            _ => {}
        }
        let later = self.latest + Duration::from_secs(1 << 20);
        self.victim.ends(self.now, later);
        self.listen();
    }
}

impl Heard {
    /// CRD-2.
    fn spend(&mut self, message: &Told, window: u64) {
        if let (9 | 13 | 14, Some(id)) = (message.kind, message.number(0)) {
            let spent = self.spent.entry(id).or_default();
            *spent += message.len as u64;
            let given = self.given.get(&id).copied().unwrap_or(0);
            let given = if message.kind == 9 { given.max(window) } else { given };
            assert!(*spent <= given, "CRD-2: {spent} of {given} in {id}");
        }
    }
}
