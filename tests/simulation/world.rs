//! Devices, what joins them, and time that passes.

use symbolon::{LinkId, Status};

use crate::counts::Kind;
use crate::device::Device;
use crate::faults::Fault;
use crate::ledger::Ledger;
use crate::line::LineCable;
use crate::pipe::Nature;
use crate::random::Rng;
use crate::stream::{Stage, Stream};
use crate::talk::{Habits, Talk};

/// What joins two devices.
pub enum Cable {
    Line(Box<LineCable>),
    Stream(Route),
}

/// The first device dials the second, again and again.
pub struct Route {
    pub ends: [usize; 2],
    pub nature: Nature,
    pub habits: [Habits; 2],
    /// When it does so next; `None` as long as it has a connection.
    next_dial: Option<u64>,
}

impl Route {
    pub fn new(ends: [usize; 2], nature: Nature, habits: [Habits; 2]) -> Self {
        Self { ends, nature, habits, next_dial: Some(0) }
    }
}

pub struct World {
    pub devices: Vec<Device>,
    pub cables: Vec<Cable>,
    pub streams: Vec<Stream>,
    pub ledger: Ledger,
    pub rng: Rng,
    pub now: u64,
    /// The workload and the faults are over.
    pub calm: bool,
    /// Nobody dials any more.
    pub over: bool,
    /// In their order, the next last.
    pub faults: Vec<(u64, Fault)>,
    /// By how much clocks have jumped back in all.
    pub back: u64,
    /// Where the last step was, and how many there were at that moment.
    at: (u64, u64),
}

impl World {
    pub fn new(devices: Vec<Device>, cables: Vec<Cable>, ledger: Ledger, rng: Rng) -> Self {
        Self {
            devices,
            cables,
            streams: Vec::new(),
            ledger,
            rng,
            now: 0,
            calm: false,
            over: false,
            faults: Vec::new(),
            back: 0,
            at: (0, 0),
        }
    }

    pub fn stage(&mut self) -> Stage<'_> {
        Stage {
            devices: &mut self.devices,
            ledger: &mut self.ledger,
            rng: &mut self.rng,
            now: self.now,
            calm: self.calm,
        }
    }

    /// Lets so many microseconds pass.
    pub fn pass(&mut self, micros: u64) {
        let end = self.now + micros;
        loop {
            let due = self.due();
            if due > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(due);
            let steps = if self.at.0 == self.now { self.at.1 + 1 } else { 0 };
            self.at = (self.now, steps);
            assert!(steps < 10_000, "it never comes to rest at {} µs", self.now);
            self.step();
        }
    }

    fn due(&self) -> u64 {
        let streams = self.streams.iter().map(|stream| stream.due);
        let cables = self.cables.iter().map(|cable| match cable {
            Cable::Line(line) => line.due,
            Cable::Stream(route) => route.next_dial.filter(|_| !self.over).unwrap_or(u64::MAX),
        });
        let fault = self.faults.last().map_or(u64::MAX, |(at, _)| *at);
        streams.chain(cables).fold(fault, u64::min)
    }

    fn step(&mut self) {
        while self.faults.last().is_some_and(|(at, _)| *at <= self.now) {
            if let Some((_, fault)) = self.faults.pop() {
                self.strike(fault);
            }
        }
        for cable in 0..self.cables.len() {
            match &self.cables[cable] {
                Cable::Line(line) if line.due <= self.now => self.turn_line(cable),
                Cable::Stream(route) if !self.over && route.next_dial.is_some_and(|at| at <= self.now) => {
                    self.dial(cable);
                }
                _ => {}
            }
        }
        for at in 0..self.streams.len() {
            if self.streams[at].due <= self.now {
                self.turn_stream(at);
            }
        }
        self.streams.retain(|stream| !stream.is_gone());
        self.plan_dials();
    }

    pub fn dial(&mut self, cable: usize) {
        let Cable::Stream(route) = &mut self.cables[cable] else { return };
        route.next_dial = None;
        let (ends, nature, habits) = (route.ends, route.nature, route.habits);
        let mut stream = Stream::new(&mut self.stage(), ends, nature, habits, Some(cable));
        if !self.ledger.peaceful
            && !self.calm
            && self.rng.percent(2)
            && let Some(talk) = &mut stream.ends[1].talk
        {
            // Too many handshakes at once, say.
            talk.connection.turn_away();
        }
        self.streams.push(stream);
    }

    /// Whoever has no connection dials, after a while.
    fn plan_dials(&mut self) {
        for (number, cable) in self.cables.iter_mut().enumerate() {
            let Cable::Stream(route) = cable else { continue };
            if route.next_dial.is_some() || self.over {
                continue;
            }
            let lives = |stream: &Stream| {
                let dialler = &stream.ends[0].talk;
                stream.cable == Some(number) && dialler.as_ref().is_some_and(|talk| !talk.closed)
            };
            if !self.streams.iter().any(lives) {
                route.next_dial = Some(self.now + self.rng.between(50_000, 3_000_000));
            }
        }
    }

    fn turn_stream(&mut self, at: usize) {
        let mut stream = self.streams.swap_remove(at);
        stream.turn(&mut self.stage());
        for end in 0..2 {
            if stream.ends[end].talk.as_mut().is_some_and(Talk::take_connected) {
                let talk = stream.ends[end].talk.as_ref();
                let peer = talk.and_then(Talk::peer);
                self.replace_older(stream.ends[end].device, peer);
            }
        }
        let devices = [stream.ends[0].device, stream.ends[1].device];
        self.streams.push(stream);
        let last = self.streams.len() - 1;
        self.streams.swap(at, last);
        self.wake(devices);
    }

    fn turn_line(&mut self, at: usize) {
        let Cable::Line(mut line) = std::mem::replace(&mut self.cables[at], placeholder()) else {
            unreachable!("a line")
        };
        line.over = self.over;
        line.turn(&mut self.stage());
        let devices = line.devices();
        self.cables[at] = Cable::Line(line);
        self.wake(devices);
    }

    /// Of two connections of one pair, the device with the smaller id ends the older one; the other one opens nothing
    /// there any more.  DUP-2
    fn replace_older(&mut self, device: usize, peer: Option<symbolon::PeerId>) {
        let Some(peer) = peer else { return };
        let smaller = self.devices[device].id < peer;
        let now = self.now;
        let (streams, devices) = (&mut self.streams, &mut self.devices);
        for stream in streams.iter_mut() {
            for end in &mut stream.ends {
                let Some(talk) = end.talk.as_mut().filter(|talk| talk.peer() == Some(peer)) else { continue };
                if end.device != device {
                    continue;
                }
                talk.going = true;
                if smaller {
                    let mut stage =
                        Stage { devices, ledger: &mut self.ledger, rng: &mut self.rng, now, calm: self.calm };
                    stage.ledger.count(Kind::ReplacedOnStream);
                    talk.leave(&mut stage.context(device), Status::REPLACED);
                }
                stream.due = now;
            }
        }
    }

    /// Whatever one link has published, others have to send.
    fn wake(&mut self, devices: [usize; 2]) {
        let links: Vec<LinkId> = devices
            .into_iter()
            .flat_map(|device| self.devices[device].topics.wake().collect::<Vec<_>>())
            .collect();
        if links.is_empty() {
            return;
        }
        let now = self.now;
        for stream in &mut self.streams {
            let mut talks = stream.ends.iter().filter_map(|end| end.talk.as_ref());
            if talks.any(|talk| links.contains(&talk.link)) {
                stream.due = now;
            }
        }
        for cable in &mut self.cables {
            if let Cable::Line(line) = cable
                && line.has_link(&links)
            {
                line.due = now;
            }
        }
    }

    /// Does something with each connection that lives, and with the device that it is of.
    pub fn for_each_talk(&mut self, mut run: impl FnMut(&mut Talk, &mut crate::talk::Context<'_>)) {
        let now = self.now;
        let mut stage = Stage {
            devices: &mut self.devices,
            ledger: &mut self.ledger,
            rng: &mut self.rng,
            now,
            calm: self.calm,
        };
        for stream in &mut self.streams {
            for end in &mut stream.ends {
                if let Some(talk) = end.talk.as_mut().filter(|talk| !talk.closed) {
                    run(talk, &mut stage.context(end.device));
                }
            }
            stream.due = now;
        }
        for cable in &mut self.cables {
            let Cable::Line(line) = cable else { continue };
            let devices = line.devices();
            for (talk, device) in line.talks().into_iter().zip(devices) {
                if let Some(talk) = talk {
                    run(talk, &mut stage.context(device));
                }
            }
            line.due = now;
        }
    }
}

/// What stands in the place of a line that is being driven.
fn placeholder() -> Cable {
    let nature = Nature { latency: 0, jitter: 0, piece: 1, capacity: 1 };
    let habits = Habits { pace: 1, slow: false, fickle: 0 };
    let mut route = Route::new([0, 0], nature, [habits; 2]);
    route.next_dial = None;
    Cable::Stream(route)
}
