//! A serial line with any bytes on it, among those of a peer that speaks well.

use std::collections::VecDeque;
use std::time::Duration;

use symbolon::serial::{Line, Redial};
use symbolon::{Admission, Connection, Event, Instant, RequestHead, Seed, Status};

use super::{devices, piece};

/// Runs a script against a line on which a session runs.
///
/// # Panics
///
/// Where the line breaks a promise: that is what the fuzzer looks for.
pub fn line(script: &[u8]) {
    let mut world = World::new();
    world.meet();
    let mut script = script;
    while let Some((step, rest)) = script.split_first() {
        script = rest;
        world.step(*step, &mut script);
        world.check();
    }
    world.end();
}

/// One end of the line.
struct End {
    line: Line<Connection>,
    /// The device's number.
    device: usize,
    redial: Redial,
    /// How many seeds were used.
    seeds: u32,
    outgoing: VecDeque<u8>,
    /// Sessions that were begun, and that have ended.
    begun: u32,
    ended: u32,
}

struct World {
    ends: [End; 2],
    now: Instant,
    /// Only bytes that no peer has sent have come so far: the session must be there.
    undisturbed: bool,
}

impl End {
    fn new(device: usize) -> Self {
        let limits = devices()[device].limits();
        Self {
            line: Line::new(limits),
            device,
            redial: Redial::default(),
            seeds: 0,
            outgoing: VecDeque::new(),
            begun: 0,
            ended: 0,
        }
    }

    fn dial(&mut self, now: Instant) {
        self.begun += 1;
        let (config, admission) = (&devices()[self.device], admission(self.device));
        let seed = seed(self.device, &mut self.seeds);
        self.line.dial(now, Connection::initiator(config, admission, seed, now));
        self.drain(now);
    }

    fn hear(&mut self, now: Instant, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (device, seeds, begun) = (self.device, &mut self.seeds, &mut self.begun);
            let taken = self.line.handle_input(now, bytes, || {
                *begun += 1;
                let (config, admission) = (&devices()[device], admission(device));
                Some(Connection::responder(config, admission, seed(device, seeds), now))
            });
            assert!(taken <= bytes.len(), "more taken than there was");
            let moved = self.drain(now);
            assert!(taken > 0 || moved, "bytes are left, and nothing waits");
            bytes = &bytes[taken..];
        }
    }

    fn drain(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(running) = self.line.running() {
            let asked = match running.poll_event() {
                Some(Event::Request { id, more: false, .. }) => id,
                // A body in chunks goes back as it came.
                Some(Event::Request { id, .. }) => {
                    let _ = running.respond_more(now, id, b"");
                    continue;
                }
                Some(Event::Data { id, chunk, cost }) => {
                    let chunk = chunk.to_vec();
                    // Of theirs; what comes back of ours is just taken.
                    let _ = running.write(id, &chunk);
                    let _ = running.release(id, cost);
                    continue;
                }
                Some(Event::End { id, .. }) => {
                    let _ = running.finish(id);
                    continue;
                }
                Some(_) => continue,
                None => break,
            };
            moved = true;
            let _ = running.respond(asked, Status::OK, b"yes");
        }
        while let Some(mut gone) = self.line.poll_ended() {
            moved = true;
            self.ended += 1;
            let mut closed = 0;
            while let Some(event) = gone.poll_event() {
                closed += usize::from(matches!(event, Event::Closed { .. }));
            }
            // A session that ran may have told its end already.
            assert!(closed <= 1 && gone.is_closed(), "gone without an end");
            assert_eq!(gone.poll_timeout(), None, "gone, and waits for something");
        }
        moved
    }

    fn collect(&mut self, now: Instant) {
        while let Some(bytes) = self.line.poll_transmit(now) {
            let len = bytes.len();
            assert!(len > 0, "nothing to send, and yet something");
            self.outgoing.extend(bytes);
            self.line.advance_transmit(len);
            assert!(self.outgoing.len() < 1 << 20, "sending without end");
        }
    }

    fn runs(&mut self) -> bool {
        self.line.running().is_some_and(|session| session.is_connected())
    }
}

fn admission(device: usize) -> Admission {
    Admission::expect(devices()[1 - device].identity().peer_id())
}

/// Another one each time.
fn seed(device: usize, used: &mut u32) -> Seed {
    *used += 1;
    let mut bytes = [0x33 + device as u8; 32];
    bytes[..4].copy_from_slice(&used.to_le_bytes());
    Seed::new(bytes).expect("bytes that differ")
}

impl World {
    fn new() -> Self {
        Self { ends: [End::new(0), End::new(1)], now: Instant::from_millis(1_000_000), undisturbed: true }
    }

    /// A session runs.
    fn meet(&mut self) {
        self.ends[1].dial(self.now);
        for _ in 0..8 {
            self.carry(1, usize::MAX);
            self.carry(0, usize::MAX);
        }
        assert!(self.ends[0].runs() && self.ends[1].runs(), "no session");
    }

    fn carry(&mut self, from: usize, at_most: usize) {
        let sender = &mut self.ends[from];
        sender.collect(self.now);
        let len = sender.outgoing.len().min(at_most);
        let bytes: Vec<u8> = sender.outgoing.drain(..len).collect();
        self.ends[1 - from].hear(self.now, &bytes);
    }

    fn step(&mut self, step: u8, script: &mut &[u8]) {
        let number = usize::from(step & 0x0f);
        match step {
            // The next bytes of the script, in one piece.
            0x00..=0x7f => {
                let (bytes, rest) = script.split_at(script.len().min(usize::from(step) + 1));
                *script = rest;
                self.ends[0].hear(self.now, bytes);
                // Between two packets of the peer this changes nothing; within one it may cost it.
                self.undisturbed &= self.ends[1].outgoing.is_empty();
            }
            0x80..=0x8f => self.carry(1, piece(number)),
            0x90..=0x9f => self.carry(0, piece(number)),
            0xa0..=0xaf => self.pass(Duration::from_millis(1 << number)),
            0xb0..=0xbf => self.ask(number & 1, number & 2 == 0, &[0x5a; 64][..4 * number]),
            0xc0..=0xc7 => {
                self.ends[number & 1].dial(self.now);
                self.undisturbed = false;
            }
            // The other side starts again.
            0xc8..=0xcf => {
                let (seeds, old) = (self.ends[1].seeds, &mut self.ends[1]);
                *old = End { seeds, ..End::new(1) };
                self.undisturbed = false;
            }
            // Bytes of the peer are lost, or damaged.
            0xd0..=0xdf => {
                let lost = number.min(self.ends[1].outgoing.len());
                self.ends[1].outgoing.drain(..lost);
                self.undisturbed = false;
            }
            0xe0..=0xff => {
                if let Some(byte) = self.ends[1].outgoing.get_mut(number) {
                    *byte ^= 1 << (step & 7);
                }
                self.undisturbed = false;
            }
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        for end in &mut self.ends {
            end.line.handle_timeout(self.now);
            end.drain(self.now);
            assert!(end.line.poll_timeout().is_none_or(|next| next > self.now), "a timer that fired");
            if end.redial.poll_dial(self.now, &mut end.line) {
                end.dial(self.now);
            }
        }
        self.undisturbed = false;
    }

    /// In one message, or in chunks.
    fn ask(&mut self, from: usize, whole: bool, body: &[u8]) {
        let now = self.now;
        let Some(running) = self.ends[from].line.running() else { return };
        if whole {
            let _ = running.request(now, "a", body, None);
        } else {
            let head = RequestHead { method: "a", body: b"", more: true, deadline: None };
            let id = running.open(now, &head);
            let _ = id.and_then(|id| running.write(id, body).and_then(|_| running.finish(id)));
        }
    }

    fn check(&mut self) {
        for end in &mut self.ends {
            let limits = devices()[end.device].limits();
            let peer = devices()[1 - end.device].limits();
            let frames = usize::from(limits.max_frame) + usize::from(peer.max_frame);
            let held = end.line.buffered();
            assert!(held <= 2 * frames + 4 * limits.buffer_at_rest + 4_096, "{held} bytes are held");
            assert!(end.begun - end.ended <= 3, "sessions pile up");
        }
        assert!(!self.undisturbed || self.ends[0].runs(), "the session is gone, and nobody ended it");
    }

    /// When both dial and nothing is damaged any more, there is a session, and what is asked is answered.
    fn end(mut self) {
        for step in 0..200 {
            self.now = self.now + Duration::from_secs(1);
            for end in &mut self.ends {
                end.line.handle_timeout(self.now);
                end.drain(self.now);
                if end.redial.poll_dial(self.now, &mut end.line) {
                    end.dial(self.now);
                }
            }
            for from in [0, 1].repeat(3) {
                self.carry(from, usize::MAX);
            }
            self.check();
            let hashes = self.ends.each_mut().map(|end| end.line.running()?.channel_binding());
            if step > 100 && hashes[0].is_some() && hashes[0] == hashes[1] {
                return;
            }
        }
        panic!("no session in the end");
    }
}
