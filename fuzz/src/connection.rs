//! Two connections, all that their applications may do, and a stream between them with any bytes on it.

use std::time::Duration;

use symbolon::{Admission, CloseReason, Config, Connection, Instant, PeerMisbehaved};

use super::side::Side;
use super::{devices, piece, seed};

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

/// The connection that is tried, a peer that speaks well, and what is on its way between them.
struct World {
    subject_dials: bool,
    options: u8,
    subject: Side,
    peer: Side,
    now: Instant,
    /// The latest instant that the connections have seen.
    latest: Instant,
    /// How many connections were begun.
    begun: u8,
    /// Each has got what the other one has sent, and nothing else.
    undisturbed: bool,
}

impl World {
    fn new(subject_dials: bool, options: u8) -> Self {
        let now = Instant::from_millis(1_000_000);
        let [subject, peer] = sides(subject_dials, options, 3, now);
        Self { subject_dials, options, subject, peer, now, latest: now, begun: 0, undisturbed: true }
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
                self.undisturbed = false;
            }
            // What the peer said, whole or in part, and the other way round.
            0x80..=0x8f => drop(carry(&mut self.peer, &mut self.subject, self.now, piece(number))),
            0x90..=0x9f => drop(carry(&mut self.subject, &mut self.peer, self.now, piece(number))),
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
            0xf0 => self.cut(true),
            0xf1 => self.cut(false),
            0xf2..=0xf7 => self.reboot(step),
            0xf8..=0xff => {
                // A byte on the wire is damaged.
                if let Some(byte) = self.peer.outgoing.get_mut(number) {
                    *byte ^= 0x40;
                    self.undisturbed = false;
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

    /// The stream ends towards one of them.
    fn cut(&mut self, towards_subject: bool) {
        let side = if towards_subject { &mut self.subject } else { &mut self.peer };
        side.connection.handle_eof(self.now);
        self.undisturbed = false;
    }

    /// A device loses its power, and with it all that it knew, and starts again.
    fn reboot(&mut self, step: u8) {
        self.begun = self.begun.wrapping_add(2);
        // A new connection has not seen the clock go back.
        self.now = self.latest;
        let fresh = sides(self.subject_dials, self.options, self.begun | 0x80, self.now);
        let later = self.latest + Duration::from_secs(1 << 20);
        let [subject, peer] = fresh;
        match step {
            // The stream outlives it, as a pipe may: the other one gets what makes no sense.
            0xf2 => (self.peer, self.undisturbed) = (peer, false),
            0xf3 => (self.subject, self.undisturbed) = (subject, false),
            // The other one is told that the stream has ended, or finds out; and both begin anew.
            _ => {
                let mut old = [&mut self.subject, &mut self.peer];
                let survivor = &mut old[usize::from(step & 1)];
                if step < 0xf6 {
                    survivor.ends(self.now, later);
                } else {
                    survivor.ends_alone(self.latest);
                }
                (self.subject, self.peer, self.undisturbed) = (subject, peer, true);
            }
        }
    }

    /// The applications read all and do what is due, and what was sent arrives, until nothing moves any more.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let (subject, peer, now) = (&mut self.subject, &mut self.peer, self.now);
            let mut moved = subject.serve(now) | peer.serve(now);
            moved |= carry(subject, peer, now, usize::MAX) > 0;
            moved |= carry(peer, subject, now, usize::MAX) > 0;
            moved |= hang_up(subject, peer, now) | hang_up(peer, subject, now);
            if !moved {
                return;
            }
        }
        panic!("the two sides never come to rest");
    }

    /// Once nothing is in the way any more, all comes to its end: at once where the stream is whole, and by the timers
    /// where it is not.  Only what may stand for ever still stands.
    fn comes_to_rest(&mut self) {
        self.now = self.latest;
        self.jump(Duration::ZERO);
        self.settle();
        let alive = self.undisturbed && self.subject.reason.or(self.peer.reason).is_none();
        if self.undisturbed {
            self.is_at_rest();
        }
        let end = self.now + Duration::from_secs(200);
        while self.now < end {
            let named = [self.subject.connection.poll_timeout(), self.peer.connection.poll_timeout()];
            let named = named.into_iter().flatten().min().map_or(end, |named| named.max(self.now).min(end));
            self.now = named;
            self.jump(Duration::ZERO);
            self.settle();
        }
        self.is_at_rest();
        let ended = self.subject.reason.or(self.peer.reason);
        assert!(!alive || ended.is_none(), "nothing was wrong, and yet it has ended: {ended:?}");
    }

    fn is_at_rest(&self) {
        for side in [&self.subject, &self.peer] {
            let open: Vec<_> = side.open.difference(&side.subscriptions).collect();
            assert!(side.reason.is_some() || open.is_empty(), "requests that never end: {open:?}");
            assert!(side.reason.is_some() || side.connected, "a handshake that never ends");
            assert!(side.reason.is_some() || side.half_sent.is_empty(), "publications that never end");
            // NAM-3 binds the application: it publishes one topic into whatever was subscribed to.
            let accused = matches!(side.reason, Some(CloseReason::Misbehaved(rule))
                if !matches!(rule, PeerMisbehaved::Topic(_)));
            assert!(!accused || !self.undisturbed, "accused of what nobody did: {:?}", side.reason);
        }
        assert_eq!(
            self.subject.reason.is_some(),
            self.peer.reason.is_some(),
            "one has ended, and not the other"
        );
    }

    /// Without a stream and with time gone by, each connection has ended, and said so once.
    fn end(mut self) {
        self.comes_to_rest();
        let later = self.latest + Duration::from_secs(1 << 20);
        self.subject.ends(self.now, later);
        self.peer.ends(self.now, later);
    }
}

/// The connection that is tried, and its peer: a small device and a large one, or the other way round.
fn sides(subject_dials: bool, options: u8, n: u8, now: Instant) -> [Side; 2] {
    let [mut small, mut large] = devices().each_ref();
    if options & 1 != 0 {
        (small, large) = (large, small);
    }
    let admit = |other: &Config, ask: bool| {
        if ask { Admission::Ask } else { Admission::expect(other.identity().peer_id()) }
    };
    let (for_subject, for_peer) = (admit(large, options & 2 != 0), admit(small, options & 4 != 0));
    let (subject, peer) = if subject_dials {
        (
            Connection::initiator(small, for_subject, seed(n), now),
            Connection::responder(large, for_peer, seed(n + 1), now),
        )
    } else {
        (
            Connection::responder(small, for_subject, seed(n), now),
            Connection::initiator(large, for_peer, seed(n + 1), now),
        )
    };
    [Side::new(subject, small.limits()), Side::new(peer, large.limits())]
}

/// Bytes go over until the piece is through, or the receiver waits for its application; how many went.
fn carry(from: &mut Side, to: &mut Side, now: Instant, at_most: usize) -> usize {
    from.collect(now);
    let piece: Vec<u8> = from.outgoing.iter().copied().take(at_most).collect();
    let taken = to.take(now, &piece);
    from.outgoing.drain(..taken);
    taken
}

/// The end of the stream, where one side has ended and all that it had to say has arrived.
fn hang_up(gone: &Side, other: &mut Side, now: Instant) -> bool {
    let over = gone.reason.is_some() && gone.outgoing.is_empty() && !other.connection.is_closed();
    if over {
        other.connection.handle_eof(now);
    }
    over
}
