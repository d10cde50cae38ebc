//! One seed: who there is, what they do to each other, and how it ends.

use symbolon::Status;

use crate::counts::{Counts, Kind};
use crate::device::Device;
use crate::faults::{FAULTS, Fault};
use crate::ledger::Ledger;
use crate::line::LineCable;
use crate::pipe::Nature;
use crate::random::Rng;
use crate::stream::Stream;
use crate::talk::Habits;
use crate::world::{Cable, Route, World};

const SECOND: u64 = 1_000_000;

/// Runs a seed, and says what happened in it.
///
/// # Panics
///
/// Where an invariant does not hold.
pub fn run(seed: u64, trace: bool) -> Counts {
    let (mut world, active) = begin(seed, trace);
    world.pass(active);
    come_to_rest(&mut world);
    end(&mut world);
    world.ledger.check_all_ended();
    world.ledger.counts
}

/// The world of a seed, and how long there is work and trouble in it.  What is drawn in which order is what a seed means.
fn begin(seed: u64, trace: bool) -> (World, u64) {
    let mut rng = Rng::new(seed);
    let mut ledger = Ledger { trace, ..Ledger::default() };
    let leaves = some_leaves(&mut ledger, &mut rng);
    ledger.peaceful = rng.percent(10);
    if ledger.peaceful {
        ledger.count(Kind::Peaceful);
    }
    let lines = if leaves > 5 { 2 } else { rng.of(&[0, 0, 100, 30]) };
    let longest = rng.of(&[300, 2_000, 2_000, 60_000]);
    let mut devices: Vec<Device> =
        (0..leaves + 2).map(|number| Device::new(number, longest, lines > 0, &mut rng)).collect();
    let active = rng.between(5, 40) * SECOND;
    let cables: Vec<Cable> = (1..=leaves)
        .map(|leaf| some_cable(leaf, lines, active, &mut devices, &mut ledger, &mut rng))
        .collect();
    let bearable = devices.iter().map(Device::bearable).fold(usize::MAX, usize::min);
    for device in &mut devices {
        device.longest_body = device.longest_news.min(bearable);
    }
    let tampered = rng.percent(25);
    let faults = if ledger.peaceful {
        Vec::new()
    } else {
        some_faults(cables.len(), lines == 100, tampered, active, &mut rng)
    };
    let mut world = World::new(devices, cables, ledger, rng);
    world.faults = faults;
    (world, active)
}

/// How many devices stand around the first.
fn some_leaves(ledger: &mut Ledger, rng: &mut Rng) -> usize {
    let leaves = match rng.below(100) {
        0 => 50,
        1..=3 => rng.between(8, 20) as usize,
        4..=19 => rng.between(2, 5) as usize,
        _ => 1,
    };
    match leaves {
        1 => {}
        50 => ledger.count(Kind::LargeStars),
        _ => ledger.count(Kind::Stars),
    }
    leaves
}

/// Between the first device and a leaf, which become friends: a line in so many of a hundred, or a stream.
fn some_cable(
    leaf: usize,
    lines: usize,
    active: u64,
    devices: &mut [Device],
    ledger: &mut Ledger,
    rng: &mut Rng,
) -> Cable {
    let leaves = devices.len() - 2;
    let actions = if leaves > 5 { 15 } else { 300 / leaves as u64 };
    let (hub, id) = (devices[0].id, devices[leaf].id);
    devices[0].friends.insert(id);
    devices[leaf].friends.insert(hub);
    let habits = [0, 1].map(|_| Habits {
        pace: active / actions * rng.between(50, 300) / 100,
        slow: rng.percent(30),
        fickle: rng.of(&[0, 1, 1, 5]),
    });
    let ends = if rng.percent(70) { [leaf, 0] } else { [0, leaf] };
    if rng.percent(lines) {
        for device in ends {
            devices[device].longest_news = devices[device].longest_news.min(2_000);
        }
        ledger.count(Kind::Lines);
        Cable::Line(Box::new(LineCable::new(devices, ends, habits, rng)))
    } else {
        Cable::Stream(Route::new(ends, some_nature(rng), habits))
    }
}

/// The last one first, as [`World::faults`] has them.
fn some_faults(
    cables: usize,
    all_lines: bool,
    tampered: bool,
    active: u64,
    rng: &mut Rng,
) -> Vec<(u64, Fault)> {
    let mut faults = Vec::new();
    for _ in 0..rng.below(4 + 6 * cables.min(4)) {
        let fault = match rng.below(10) {
            0 | 1 if tampered => Fault::Corrupt,
            2..=5 if all_lines => Fault::Noise,
            _ => rng.of(&FAULTS),
        };
        faults.push((rng.between(0, active), fault));
    }
    faults.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    faults
}

fn some_nature(rng: &mut Rng) -> Nature {
    Nature {
        latency: rng.of(&[0, 200, 5_000, 100_000]),
        jitter: rng.of(&[0, 100, 20_000]),
        piece: rng.of(&[1_000, 100, 1_460, 100_000]),
        capacity: rng.of(&[3_000, 20_000, 200_000]),
    }
}

/// The faults and the workload are over: each pair has a connection that works, and all that was open has ended.
fn come_to_rest(world: &mut World) {
    let now = world.now;
    (world.calm, world.faults) = (true, Vec::new());
    world.ledger.tell(now, || "calm".into());
    world.streams.iter_mut().for_each(|stream| stream.calm(now));
    for cable in &mut world.cables {
        if let Cable::Line(line) = cable {
            line.calm();
        }
    }
    world.for_each_talk(|talk, context| {
        if talk.going {
            talk.leave(context, Status::SHUTTING_DOWN);
        }
    });
    world.pass(100 * SECOND + 2 * world.back);
    for number in 0..world.cables.len() {
        let connected = match &mut world.cables[number] {
            Cable::Line(line) => line.is_connected(),
            Cable::Stream(_) => {
                let own = |stream: &Stream| stream.cable == Some(number) && stream.is_connected();
                world.streams.iter().any(own)
            }
        };
        assert!(connected, "cable {number} has no connection, though nothing goes wrong any more");
    }
    world.for_each_talk(|talk, context| {
        talk.ask(context, "plain", false);
    });
    world.pass(20 * SECOND);
    world.for_each_talk(|talk, context| talk.check_rest(context.ledger));
}

/// Every subscription ends in order, and then every connection.
fn end(world: &mut World) {
    world.for_each_talk(|talk, context| talk.end_feeds(context));
    world.pass(20 * SECOND);
    world.for_each_talk(|talk, _| talk.check_no_inbox());
    world.over = true;
    let mut number = 0;
    world.for_each_talk(|talk, context| {
        number += 1;
        if number % 2 == 0 || context.rng.percent(20) {
            talk.connection.close(context.local(), Status::OK);
        }
    });
    world.pass(30 * SECOND);
    assert!(world.streams.is_empty(), "connections that never end");
    let mut cables = std::mem::take(&mut world.cables);
    for cable in &mut cables {
        if let Cable::Line(line) = cable {
            line.unplug(&mut world.stage());
            assert!(line.is_empty(), "sessions that never end");
        }
    }
}
