//! One connection over a byte stream: two ends, and a pipe each way.

use symbolon::{Admission, Connection};

use crate::device::Device;
use crate::invariants::Terms;
use crate::ledger::Ledger;
use crate::pipe::{Nature, Pipe};
use crate::random::Rng;
use crate::talk::{Context, Habits, Talk};

pub struct End {
    pub device: usize,
    /// None once its device has crashed.
    pub talk: Option<Talk>,
    /// It has ended, its last bytes are written, and the stream is closed.
    finished: bool,
}

impl End {
    /// Nothing happens here any more.
    pub fn is_gone(&self) -> bool {
        self.talk.is_none() || self.finished
    }
}

/// The first end has dialled.
pub struct Stream {
    pub ends: [End; 2],
    /// From each end to the other.
    pub pipes: [Pipe; 2],
    /// Which of the world's cables it is, if it is one.
    pub cable: Option<usize>,
    stranger: bool,
    pub due: u64,
}

/// What all that acts in the world needs of it.
pub struct Stage<'a> {
    pub devices: &'a mut [Device],
    pub ledger: &'a mut Ledger,
    pub rng: &'a mut Rng,
    pub now: u64,
    pub calm: bool,
}

impl Stage<'_> {
    pub fn context(&mut self, device: usize) -> Context<'_> {
        Context {
            device: &mut self.devices[device],
            ledger: self.ledger,
            rng: self.rng,
            now: self.now,
            calm: self.calm,
        }
    }
}

/// How a device lets others in: it asks its application, or knows them beforehand.
pub fn admission(device: &Device, rng: &mut Rng) -> Admission {
    if rng.percent(50) { Admission::Ask } else { Admission::Only(device.friends.iter().copied().collect()) }
}

impl Stream {
    /// One device dials another.
    pub fn new(
        stage: &mut Stage<'_>,
        [dialler, acceptor]: [usize; 2],
        nature: Nature,
        habits: [Habits; 2],
        cable: Option<usize>,
    ) -> Self {
        let (a, b) = (&stage.devices[dialler], &stage.devices[acceptor]);
        let stranger = !a.friends.contains(&b.id) || !b.friends.contains(&a.id);
        let rng = &mut *stage.rng;
        let now = stage.now;
        let connections = [
            Connection::initiator(&a.config, admission(a, rng), rng.seed(), a.clock.show(now)),
            Connection::responder(&b.config, admission(b, rng), rng.seed(), b.clock.show(now)),
        ];
        let mut devices = [dialler, acceptor].into_iter().zip(habits);
        let ends = connections.map(|connection| {
            let (device, habits) = devices.next().expect("two ends");
            let link = stage.devices[device].link(stage.ledger);
            End { device, talk: Some(Talk::new(connection, link, habits, now)), finished: false }
        });
        Self { ends, pipes: [Pipe::new(nature), Pipe::new(nature)], cable, stranger, due: now }
    }

    fn terms(&self) -> Terms {
        let tampered = self.pipes.iter().any(|pipe| pipe.tampered);
        Terms { tampered, stranger: self.stranger, line: false }
    }

    pub fn is_gone(&self) -> bool {
        self.ends.iter().all(End::is_gone)
    }

    /// Both ends have let each other in, and neither has ended.
    pub fn is_connected(&self) -> bool {
        self.ends.iter().all(|end| end.talk.as_ref().is_some_and(|talk| talk.peer().is_some()))
    }

    /// Everything that happens here at this moment.
    pub fn turn(&mut self, stage: &mut Stage<'_>) {
        for end in &mut self.ends {
            let local = stage.devices[end.device].clock.show(stage.now);
            if let Some(talk) = &mut end.talk {
                talk.connection.handle_timeout(local);
                let next = talk.connection.poll_timeout();
                // Sentence 5, by this clock where it has not jumped back.
                assert!(next.is_none_or(|next| next > local), "a timer that fired is still named");
            }
        }
        let mut rounds = 0;
        while self.move_end(0, stage) | self.move_end(1, stage) {
            rounds += 1;
            assert!(rounds < 20_000, "the two ends never come to rest");
        }
        self.due = self.next_due(stage);
    }

    fn move_end(&mut self, at: usize, stage: &mut Stage<'_>) -> bool {
        let terms = self.terms();
        let (device, now) = (self.ends[at].device, stage.now);
        let local = stage.devices[device].clock.show(now);
        let Some(talk) = &mut self.ends[at].talk else { return false };
        let mut moved = talk.live(&mut stage.context(device), terms);

        // What has come.
        let pipe = &mut self.pipes[1 - at];
        while let Some(bytes) = pipe.arrived(now) {
            let taken = talk.connection.handle_input(local, bytes);
            let all = taken == bytes.len();
            pipe.take(taken);
            moved |= taken > 0;
            let lived = talk.live(&mut stage.context(device), terms);
            moved |= lived;
            if !all && !lived {
                assert!(talk.is_blocked(now), "bytes are left, and no event waits");
                break;
            }
        }
        if pipe.take_end(now) {
            talk.connection.handle_eof(local);
            moved = true;
        }

        // What goes.
        let pipe = &mut self.pipes[at];
        while pipe.room() > 0
            && let Some(bytes) = talk.connection.poll_transmit(local)
        {
            assert!(!bytes.is_empty(), "nothing to send, and yet something");
            let most = bytes.len().min(pipe.room());
            let len = if stage.rng.percent(10) { 1 + stage.rng.below(most) } else { most };
            pipe.write(now, &bytes[..len], stage.rng);
            talk.connection.advance_transmit(len);
            moved = true;
        }
        if talk.closed && !self.ends[at].finished && talk.connection.poll_transmit(local).is_none() {
            pipe.end(now);
            self.ends[at].finished = true;
            moved = true;
        }
        moved
    }

    fn next_due(&self, stage: &Stage<'_>) -> u64 {
        let mut due = u64::MAX;
        for (at, end) in self.ends.iter().enumerate() {
            let Some(talk) = &end.talk else { continue };
            let timer = talk.connection.poll_timeout();
            let clock = &stage.devices[end.device].clock;
            let own = timer.map(|timer| clock.when(timer));
            let pipe = self.pipes[1 - at].due();
            // What has arrived and is not taken waits for the application, not for time.
            let arrival = pipe.filter(|due| *due > stage.now || !talk.is_blocked(stage.now));
            let action = talk.due(stage.now, stage.calm);
            due = [own, arrival, action].into_iter().flatten().fold(due, u64::min);
        }
        due
    }

    /// The device at one end has crashed; whether the other side's system notices.
    pub fn crash(&mut self, at: usize, ledger: &mut Ledger, now: u64, told: bool) {
        if let Some(mut talk) = self.ends[at].talk.take() {
            talk.forget(ledger);
        }
        self.pipes[1 - at].lose();
        if told {
            self.pipes[at].end(now);
        } else {
            self.pipes[at].cut_behind(0, false);
        }
        self.due = now;
    }

    /// The faults are over.
    pub fn calm(&mut self, now: u64) {
        let broken = self.pipes.iter().any(Pipe::is_broken) || self.ends.iter().any(|end| end.talk.is_none());
        for pipe in &mut self.pipes {
            pipe.calm();
            if broken {
                pipe.end(now);
            }
        }
        self.due = now;
    }
}
