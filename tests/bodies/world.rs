//! Two connections with an application each, and bytes between them that arrive when the test says so.
//!
//! The applications do what an honest program does: write while there is room, wait for `poll_writable` where there is
//! none, check every byte that comes, and release what they took when the test says so.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use symbolon::{
    Admission, Config, Connection, Event, ExchangeId, Instant, RequestHead, SendError, Status, StopCause,
};

use crate::common::seed;

/// xorshift64*: the same numbers for the same seed, everywhere.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// How long the bodies of an exchange are; `None`: there is none in chunks.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub out: Option<usize>,
    pub back: Option<usize>,
}

impl Plan {
    fn head(self) -> Vec<u8> {
        let number = |len: Option<usize>| len.map_or(0, |len| len as u32 + 1).to_le_bytes();
        [number(self.out), number(self.back)].concat()
    }

    fn of(head: &[u8]) -> Self {
        let number = |bytes: &[u8]| {
            u32::from_le_bytes(bytes.try_into().expect("4 bytes")).checked_sub(1).map(|len| len as usize)
        };
        Self { out: number(&head[..4]), back: number(&head[4..]) }
    }
}

/// The byte at this place of a body.
fn byte(id: ExchangeId, by_opener: bool, at: usize) -> u8 {
    (at * 7 + at / 256 + id.number() as usize * 13 + usize::from(by_opener)) as u8
}

/// One exchange as one application sees it.
#[derive(Debug)]
pub struct Talk {
    pub opener: bool,
    pub plan: Plan,
    pub written: usize,
    writable: bool,
    /// This side's body has been ended by its application, or for it.
    pub ended: bool,
    pub heard: usize,
    costs: VecDeque<u32>,
    /// How the other side's body has ended.
    pub end: Option<Status>,
    /// Opener: the answer has begun.  Answerer: it was begun.
    pub answering: bool,
    /// Opener: it is over.  Answerer: nothing more is owed.
    pub over: bool,
    /// What comes is not wanted any more, so that it may be cut off.
    pub careless: bool,
}

impl Talk {
    fn new(opener: bool, plan: Plan) -> Self {
        Self {
            opener,
            plan,
            written: 0,
            writable: true,
            ended: false,
            heard: 0,
            costs: VecDeque::new(),
            end: None,
            answering: false,
            over: false,
            careless: false,
        }
    }

    /// The length of this side's body, and of the other's.
    pub fn lengths(&self) -> (Option<usize>, Option<usize>) {
        if self.opener { (self.plan.out, self.plan.back) } else { (self.plan.back, self.plan.out) }
    }

    /// All that was to come has come.
    pub fn is_whole(&self) -> bool {
        self.lengths().1.is_none_or(|len| self.heard == len && self.end == Some(Status::OK))
    }

    /// Whether this side's body can be written to.
    pub fn is_writing(&self) -> bool {
        self.lengths().0.is_some() && !self.ended && (self.opener || self.answering)
    }
}

pub struct End {
    pub connection: Connection,
    pub talks: BTreeMap<ExchangeId, Talk>,
    wire: VecDeque<u8>,
}

impl End {
    fn new(connection: Connection) -> Self {
        Self { connection, talks: BTreeMap::new(), wire: VecDeque::new() }
    }

    pub fn ids(&self) -> Vec<ExchangeId> {
        self.talks.keys().copied().collect()
    }

    pub fn talk(&mut self, id: ExchangeId) -> &mut Talk {
        self.talks.get_mut(&id).expect("a talk")
    }

    pub fn open(&mut self, now: Instant, plan: Plan) -> Result<ExchangeId, SendError> {
        let head = RequestHead { method: "m", body: &plan.head(), more: plan.out.is_some(), deadline: None };
        let id = self.connection.open(now, &head)?;
        self.talks.insert(id, Talk::new(true, plan));
        Ok(id)
    }

    /// Takes one event; whether there was one.
    pub fn event(&mut self) -> bool {
        while let Some(id) = self.connection.poll_writable() {
            if let Some(talk) = self.talks.get_mut(&id) {
                talk.writable = true;
            }
        }
        let Some(event) = self.connection.poll_event() else { return false };
        match event {
            Event::Request { id, body, more, .. } => {
                let plan = Plan::of(body);
                assert_eq!(more, plan.out.is_some());
                self.talks.insert(id, Talk::new(false, plan));
            }
            Event::Data { id, chunk, cost } => {
                let talk = self.talks.get_mut(&id).expect("data of a talk");
                assert!(talk.end.is_none() && !(talk.opener && talk.over), "data behind the end");
                for (n, got) in chunk.iter().enumerate() {
                    assert_eq!(*got, byte(id, !talk.opener, talk.heard + n), "{id:?}");
                }
                talk.heard += chunk.len();
                talk.costs.push_back(cost);
            }
            Event::End { id, status } => {
                let talk = self.talks.get_mut(&id).expect("the end of a talk");
                assert_eq!(talk.end.replace(status), None, "two ends");
                // EXC-15
                let whole = Some(talk.heard) == talk.lengths().1;
                assert!(!status.is_ok() || whole || talk.careless, "complete, and yet not all: {talk:?}");
                (talk.over, talk.ended) = (talk.over | talk.opener, talk.ended | talk.opener);
            }
            Event::Response { id, more: true, .. } => self.talk(id).answering = true,
            Event::Response { id, .. } | Event::Busy { id, .. } | Event::Failed { id, .. } => {
                let talk = self.talk(id);
                assert!(talk.opener && !talk.over, "over twice");
                (talk.over, talk.ended) = (true, true);
            }
            Event::Stopped { id, .. } => self.talk(id).ended = true,
            Event::Stop { id, cause } => {
                assert!(matches!(cause, StopCause::Cancel(_)), "{cause:?}");
                // An honest handler ends what it owes.
                let talk = self.talks.get_mut(&id).expect("a talk that is stopped");
                if !talk.over {
                    let done = if talk.answering {
                        self.connection.reset(id, Status::CANCELLED)
                    } else {
                        self.connection.respond(id, Status::CANCELLED, b"")
                    };
                    done.expect("an answer that is owed");
                    (talk.over, talk.ended) = (true, true);
                }
            }
            Event::Connected { .. } => {}
            other => panic!("{other:?}"),
        }
        true
    }

    /// Writes at most so many bytes, where there is room.
    pub fn write(&mut self, id: ExchangeId, most: usize) -> bool {
        let talk = self.talks.get_mut(&id).expect("a talk");
        let (Some(len), true) = (talk.lengths().0, talk.is_writing()) else { return false };
        if !talk.writable || talk.written == len {
            return false;
        }
        let most = most.min(len - talk.written);
        let bytes: Vec<u8> = (0..most).map(|n| byte(id, talk.opener, talk.written + n)).collect();
        match self.connection.write(id, &bytes) {
            Ok(taken) => {
                talk.written += taken;
                talk.writable = taken == most;
                taken > 0
            }
            Err(SendError::Full) => {
                talk.writable = false;
                false
            }
            // It was stopped, and the event that says so waits.
            Err(SendError::UnknownExchange) => {
                talk.ended = true;
                false
            }
            Err(other) => panic!("{other:?} {talk:?}"),
        }
    }

    /// Ends the body if all was written; an answer's not before the other body has ended.
    pub fn finish(&mut self, id: ExchangeId) -> bool {
        let talk = self.talks.get_mut(&id).expect("a talk");
        let (Some(len), true) = (talk.lengths().0, talk.is_writing()) else { return false };
        let may_end = talk.opener || talk.lengths().1.is_none() || talk.end.is_some();
        if talk.written < len || !may_end {
            return false;
        }
        talk.ended = true;
        // Refused where it was stopped, and the event that says so waits.
        let done = self.connection.finish(id).is_ok();
        talk.over |= done && !talk.opener;
        done
    }

    /// Begins the answer; one without chunks not before the other body has ended.
    pub fn answer(&mut self, now: Instant, id: ExchangeId) -> bool {
        let talk = self.talks.get_mut(&id).expect("a talk");
        if talk.opener || talk.answering || talk.over {
            return false;
        }
        if talk.plan.back.is_some() {
            self.connection.respond_more(now, id, b"").expect("room for an answer");
            talk.answering = true;
        } else if talk.plan.out.is_none() || talk.end.is_some() {
            self.connection.respond(id, Status::OK, b"").expect("room for an answer");
            talk.over = true;
        } else {
            return false;
        }
        true
    }

    /// Releases the oldest of what was taken; whether there was anything.
    pub fn release(&mut self, id: ExchangeId) -> bool {
        let Some(cost) = self.talks.get_mut(&id).and_then(|talk| talk.costs.pop_front()) else {
            return false;
        };
        match self.connection.release(id, cost) {
            Ok(()) | Err(SendError::UnknownExchange) => true,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Does all that can be done without reading.
    pub fn work(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while self.event() {
            moved = true;
        }
        for id in self.ids() {
            moved |= self.answer(now, id);
            while self.write(id, usize::MAX) {
                moved = true;
            }
            moved |= self.finish(id);
        }
        moved
    }

    /// Takes all that has come.
    pub fn read(&mut self) -> bool {
        let mut moved = false;
        for id in self.ids() {
            while self.release(id) {
                moved = true;
            }
        }
        moved
    }
}

pub struct World {
    pub ends: [End; 2],
    pub now: Instant,
}

impl World {
    /// Two sides that have let each other in.
    pub fn new(configs: &[Config; 2]) -> Self {
        let now = Instant::from_millis(1_000);
        let admit = |n: usize| Admission::expect(configs[n].identity().peer_id());
        let ends = [
            End::new(Connection::initiator(&configs[0], admit(1), seed(101), now)),
            End::new(Connection::responder(&configs[1], admit(0), seed(102), now)),
        ];
        let mut world = Self { ends, now };
        while world.carry(0, usize::MAX)
            | world.carry(1, usize::MAX)
            | world.ends[0].event()
            | world.ends[1].event()
        {}
        assert!(world.ends.iter().all(|end| end.connection.is_connected()));
        world
    }

    /// Bytes go over from this side, at most so many.
    pub fn carry(&mut self, from: usize, most: usize) -> bool {
        let [a, b] = &mut self.ends;
        let (from, to) = if from == 0 { (a, b) } else { (b, a) };
        while let Some(bytes) = from.connection.poll_transmit(self.now) {
            let len = bytes.len();
            from.wire.extend(bytes);
            from.connection.advance_transmit(len);
        }
        let most = most.min(from.wire.len());
        let taken = to.connection.handle_input(self.now, &from.wire.make_contiguous()[..most]);
        from.wire.drain(..taken);
        taken > 0
    }

    /// Everything happens that can, with these sides reading.
    pub fn settle(&mut self, reading: [bool; 2]) {
        for _ in 0..1_000_000 {
            let mut moved = self.carry(0, usize::MAX) | self.carry(1, usize::MAX);
            for (end, reading) in self.ends.iter_mut().zip(reading) {
                moved |= end.work(self.now) | (reading && end.read());
            }
            if !moved {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Nothing is open any more, at either side, and nothing has gone wrong.
    pub fn assert_at_rest(&mut self) {
        let all = self.ends.each_ref().map(|end| &end.talks);
        for end in &self.ends {
            assert!(end.connection.is_connected(), "{:?} {all:#?}", end.connection);
            assert!(end.talks.values().all(|talk| talk.over), "{all:#?}");
            assert!(end.connection.is_idle(), "{all:#?}");
        }
        self.ends.iter_mut().for_each(|end| end.talks.clear());
        self.now = self.now + Duration::from_micros(1);
    }
}
