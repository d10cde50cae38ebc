//! What goes wrong, and where.

use crate::counts::Kind;
use crate::line::Noise;
use crate::stream::Stream;
use crate::world::{Cable, World};

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Blackhole,
    Clock,
    Corrupt,
    Cut,
    /// Another connection, beside the one that there is.
    DialAgain,
    HalfCut,
    Noise,
    Quiet(usize),
    Reboot,
    Stall,
    Stranger,
}

/// Those that TCP can have, and those that only a line or somebody who meddles has.
pub const FAULTS: [Fault; 10] = [
    Fault::Blackhole,
    Fault::Clock,
    Fault::Cut,
    Fault::Cut,
    Fault::DialAgain,
    Fault::HalfCut,
    Fault::Reboot,
    Fault::Stall,
    Fault::Stall,
    Fault::Stranger,
];

impl World {
    /// Something goes wrong now.
    pub fn strike(&mut self, fault: Fault) {
        self.ledger.tell(self.now, || format!("fault: {fault:?}"));
        match fault {
            Fault::Clock => return self.jump_a_clock(),
            Fault::Reboot => return self.reboot(),
            Fault::Stranger => return self.meet_a_stranger(),
            Fault::DialAgain => {
                let cable = self.rng.below(self.cables.len());
                return self.dial(cable);
            }
            Fault::Noise => return self.make_noise(),
            Fault::Quiet(cable) => {
                if let Cable::Line(line) = &mut self.cables[cable] {
                    line.calm();
                }
                return;
            }
            _ => {}
        }
        if self.streams.is_empty() {
            return;
        }
        let (at, direction) = (self.rng.below(self.streams.len()), self.rng.below(2));
        let (now, rng) = (self.now, &mut self.rng);
        let stream = &mut self.streams[at];
        let behind = rng.length(3_000);
        let kind = match fault {
            Fault::Blackhole => {
                stream.pipes.iter_mut().for_each(|pipe| pipe.lose());
                Kind::Blackhole
            }
            Fault::Corrupt => {
                stream.pipes[direction].corrupt_behind(behind, 1 << rng.below(8));
                Kind::Corruption
            }
            Fault::Cut => {
                // Both sides learn of it, each in its own time.
                stream.pipes[direction].cut_behind(behind, true);
                stream.pipes[1 - direction].cut_behind(rng.length(3_000), true);
                Kind::Cut
            }
            Fault::HalfCut => {
                // One side is told, or nobody; the other direction goes on.
                stream.pipes[direction].cut_behind(behind, rng.percent(70));
                Kind::HalfCut
            }
            _ => {
                let long = rng.of(&[300_000, 4_000_000, 40_000_000]);
                let until = now + rng.between(1_000, long);
                stream.pipes[direction].freeze(until);
                if rng.percent(60) {
                    stream.pipes[1 - direction].freeze(until);
                }
                Kind::Stall
            }
        };
        self.ledger.count(kind);
        stream.due = now;
    }

    fn jump_a_clock(&mut self) {
        let device = self.rng.below(self.devices.len());
        let by = self.rng.of(&[2_000, 700_000, 20_000_000]) as i64;
        let by = self.rng.between(1, by as u64) as i64 * self.rng.of(&[-1, 1, 1]);
        self.devices[device].clock.jump(self.now, by);
        if by < 0 {
            self.back += by.unsigned_abs();
            self.ledger.count(Kind::ClockBack);
        } else {
            self.ledger.count(Kind::ClockForward);
        }
        // What is due is another moment now.
        self.for_each_talk(|_, _| {});
    }

    /// A device crashes and starts again; its connections are gone, and their other ends may not notice.
    fn reboot(&mut self) {
        let device = self.rng.below(self.devices.len());
        let told = self.rng.percent(50);
        self.ledger.count(Kind::Reboot);
        if !told {
            self.ledger.count(Kind::RebootUnseen);
        }
        self.ledger.tell(self.now, || format!("device {device} reboots"));
        self.devices[device].reboot(&mut self.rng);
        for stream in &mut self.streams {
            for at in 0..2 {
                if stream.ends[at].device == device {
                    stream.crash(at, &mut self.ledger, self.now, told);
                }
            }
        }
        for cable in &mut self.cables {
            if let Cable::Line(line) = cable {
                for (at, of) in line.devices().into_iter().enumerate() {
                    if of == device {
                        line.crash(at, &self.devices, &mut self.ledger, self.now);
                    }
                }
            }
        }
    }

    /// The last device is nobody's friend: it dials one, or is dialled in the place of one.
    fn meet_a_stranger(&mut self) {
        let stranger = self.devices.len() - 1;
        let acquaintance = self.rng.below(stranger);
        let route = self.cables.iter().find_map(|cable| match cable {
            Cable::Stream(route) => Some((route.nature, route.habits)),
            Cable::Line(_) => None,
        });
        let Some((nature, mut habits)) = route else { return };
        habits.iter_mut().for_each(|habits| habits.pace = 20_000);
        let mut ends = [stranger, acquaintance];
        if self.rng.percent(40) {
            ends.swap(0, 1);
            self.ledger.count(Kind::StrangerNotDialled);
        }
        let stream = Stream::new(&mut self.stage(), ends, nature, habits, None);
        self.streams.push(stream);
    }

    fn make_noise(&mut self) {
        let cable = self.rng.below(self.cables.len());
        let Cable::Line(line) = &mut self.cables[cable] else { return };
        for at in 0..2 {
            let mut rate = || self.rng.of(&[0, 0, 20, 500, 20_000]);
            let noise = Noise { flips: rate(), drops: rate(), inserts: rate() };
            line.set_noise(at, noise, self.rng.percent(10));
        }
        let until = self.now + self.rng.between(1_000, 3_000_000);
        let place = self.faults.partition_point(|(at, _)| *at > until);
        self.faults.insert(place, (until, Fault::Quiet(cable)));
    }
}
