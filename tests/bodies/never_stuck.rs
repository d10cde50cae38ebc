//! Whoever reads gets all of it, whatever the sizes, and whoever waits for whom.

use symbolon::{Config, Status};

use crate::common::device_with;
use crate::world::{Plan, Rng, World};

fn side(n: u8, window: u32, buffer: usize, frame: u16) -> Config {
    device_with(n, |limits, timeouts| {
        limits.window = window;
        limits.body_buffer = buffer;
        limits.max_frame = frame;
        timeouts.body_idle = None;
        timeouts.answer = None;
    })
}

/// CRD-2, CRD-3, CRD-4, EXC-15: each small configuration: both write as much as they can, while nobody reads, then one side,
/// then both.  Who is read has all of it arrive, whether the other is or not.
#[test]
fn each_small_configuration_comes_to_its_end() {
    let mut configurations = 0;
    for windows in
        [[15, 15], [15, 300], [16, 4_000], [64, 64], [300, 300], [4_000, 100], [u32::MAX, u32::MAX]]
    {
        for buffer in [1, 7, 63, 64, 500, 5_000] {
            for frames in [[256, 256], [256, 2_000], [1_024, 1_024], [65_535, 65_535]] {
                for first in [None, Some(0), Some(1)] {
                    for (out, back) in [
                        (Some(0), Some(0)),
                        (Some(700), Some(1_100)),
                        (Some(2_000), None),
                        (None, Some(2_000)),
                    ] {
                        comes_to_its_end(windows, buffer, frames, first, Plan { out, back });
                        configurations += 1;
                    }
                }
            }
        }
    }
    assert_eq!(configurations, 7 * 6 * 4 * 3 * 4);
}

fn comes_to_its_end(windows: [u32; 2], buffer: usize, frames: [u16; 2], first: Option<usize>, plan: Plan) {
    let name = format!("{windows:?} {buffer} {frames:?} {first:?} {plan:?}");
    let configs = [0, 1].map(|n| side(n as u8 + 1, windows[n], buffer, frames[n]));
    let mut world = World::new(&configs);
    let id = world.ends[0].open(world.now, plan).expect("room");
    world.settle([false, false]);
    if let Some(reader) = first {
        let mut reading = [false; 2];
        reading[reader] = true;
        world.settle(reading);
        let talk = world.ends[reader].talk(id);
        // What is written to the one who reads arrives, though its end may wait for the other's.
        let heard = talk.heard == talk.lengths().1.unwrap_or(0);
        assert!(heard, "{name}: {talk:?}");
    }
    world.settle([true, true]);
    for end in &mut world.ends {
        let talk = end.talk(id);
        assert!(talk.is_whole() && talk.over, "{name}: {talk:?}");
    }
    world.assert_at_rest();
}

/// Says how to see it again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("again: BODIES_SEED={} cargo test --all-features --test bodies never_stuck", self.0);
        }
    }
}

fn seeds() -> std::ops::Range<u64> {
    match std::env::var("BODIES_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..500,
    }
}

/// EXC-15, CRD-2, CRD-4: 100,000 random interleavings: whatever is written, carried and read in which order, all of it arrives,
/// in order; every exchange ends, and both sides are idle in the end.
#[test]
fn all_that_is_written_arrives() {
    let mut interleavings = 0;
    for seed in seeds() {
        let _replay = Replay(seed);
        let mut rng = Rng::new(seed);
        let mut world = random_world(&mut rng);
        for _ in 0..100 {
            interleave(&mut world, &mut rng, false);
            for end in &world.0.ends {
                assert!(end.talks.values().all(|talk| talk.is_whole()), "{:?}", end.talks);
            }
            world.0.assert_at_rest();
            interleavings += 1;
        }
    }
    assert!(interleavings >= 50_000 || seeds().count() == 1, "{interleavings}");
}

/// EXC-14, EXC-15, EXC-16, EXC-17, EXC-18: the same with resets, cancels and answers at any moment by either side: what comes is a
/// beginning of what was written, nothing cut off looks complete, and every exchange still ends at both sides.
#[test]
fn whatever_is_given_up_ends() {
    let mut interleavings = 0;
    for seed in seeds() {
        let _replay = Replay(seed);
        let mut rng = Rng::new(seed + 1_000_000);
        let mut world = random_world(&mut rng);
        for _ in 0..100 {
            interleave(&mut world, &mut rng, true);
            world.0.assert_at_rest();
            interleavings += 1;
        }
    }
    assert!(interleavings >= 50_000 || seeds().count() == 1, "{interleavings}");
}

/// And how long its bodies may be: some ten times as much as goes over at once.
fn random_world(rng: &mut Rng) -> (World, usize) {
    let mut longest = 600;
    let configs = [1, 2].map(|n| {
        let window = rng.of(&[15, 20, 64, 300, 1_000, 4_000, 100_000, u32::MAX]);
        let buffer = rng.of(&[1, 10, 100, 1_000, 10_000]);
        longest = longest.min(10 * buffer).min(2 * window as usize);
        side(n, window, buffer, rng.of(&[256, 300, 1_000, 16_384]))
    });
    (World::new(&configs), longest)
}

fn interleave((world, longest): &mut (World, usize), rng: &mut Rng, wild: bool) {
    let longest = *longest;
    let exchanges = 1 + rng.below(3);
    for _ in 0..exchanges {
        let mut len = || match rng.below(5) {
            0 => None,
            1 => Some(rng.below(3)),
            _ => Some(rng.below(longest)),
        };
        let plan = Plan { out: len(), back: len() };
        let by = rng.below(2);
        world.ends[by].open(world.now, plan).expect("room");
    }
    for _ in 0..rng.below(60) {
        step(world, rng, wild);
    }
    world.settle([true, true]);
}

fn step(world: &mut World, rng: &mut Rng, wild: bool) {
    let side = rng.below(2);
    if rng.below(3) == 0 {
        let most = rng.of(&[1, 20, 300, usize::MAX]);
        world.carry(side, most);
        return;
    }
    let now = world.now;
    let end = &mut world.ends[side];
    let ids = end.ids();
    let action = rng.below(if wild { 8 } else { 7 });
    if action < 2 || ids.is_empty() {
        end.event();
        return;
    }
    let id = ids[rng.below(ids.len())];
    match action {
        2 => drop(end.write(id, rng.of(&[1, 30, 1_000]))),
        3 => drop(end.finish(id)),
        4 => drop(end.answer(now, id)),
        5 => drop(end.release(id)),
        6 => while end.release(id) {},
        _ => give_up(world, side, rng, id),
    }
}

/// One of the ways to end something before its time.
fn give_up(world: &mut World, side: usize, rng: &mut Rng, id: symbolon::ExchangeId) {
    let status = rng.of(&[Status::OK, Status::CANCELLED, Status::new(300)]);
    let end = &mut world.ends[side];
    while end.event() {}
    let (connection, talk) = (&mut end.connection, end.talks.get_mut(&id).expect("a talk"));
    match (talk.opener, rng.below(4)) {
        (_, 0) => {
            if talk.is_writing() {
                connection.reset(id, status).expect("a body that goes on");
                talk.ended = true;
                talk.over |= !talk.opener;
            }
        }
        (true, 1) => {
            let cancelled = connection.cancel_with(id, status);
            assert_eq!(cancelled.is_ok(), !talk.over, "{cancelled:?}");
            talk.ended = true;
        }
        (false, 1) => {
            talk.careless |= connection.cancel_with(id, status).is_ok();
        }
        (false, 2) => {
            if !talk.over && !talk.answering {
                connection.respond(id, status, b"").expect("an answer that is owed");
                (talk.over, talk.ended, talk.careless) = (true, true, true);
            }
        }
        (false, _) => {
            if talk.is_writing() && Some(talk.written) == talk.lengths().0 {
                connection.finish(id).expect("a body that goes on");
                (talk.over, talk.ended, talk.careless) = (true, true, true);
            }
        }
        _ => {}
    }
}
