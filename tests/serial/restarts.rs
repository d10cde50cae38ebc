//! A device starts again in the middle of a conversation.  SPEC §19.5

use std::time::Duration;

use symbolon::serial::Redial;
use symbolon::{CloseReason, Status, TimedOut};

use crate::world::World;

/// Both in the middle of traffic, and the moments of the restarts anywhere in it.
fn busy(seed: u64) -> World {
    let mut world = World::new(seed);
    world.a.redial = Some(Redial::default());
    world.a.traffic = Some((Duration::from_millis(40), 300));
    world.b.traffic = Some((Duration::from_millis(55), 700));
    assert!(world.pass_until(Duration::from_secs(5), World::both_connected));
    let more = Duration::from_micros(world.random.below(400_000) as u64);
    world.pass(more);
    world
}

fn recovers(world: &mut World, within: Duration) {
    let (a, b) = (world.a.gone.len(), world.b.gone.len());
    assert!(
        world.pass_until(within, |world| {
            world.a.line.running().is_some_and(|talk| talk.answered > 5)
                && world.b.line.running().is_some_and(|talk| talk.answered > 5)
                && world.b.line.running().map(|talk| talk.connection.channel_binding())
                    == world.a.line.running().map(|talk| talk.connection.channel_binding())
        }),
        "no session that works"
    );
    assert!(world.a.gone.len() >= a && world.b.gone.len() >= b);
}

#[test]
fn the_side_that_dials() {
    for seed in 0..20 {
        let mut world = busy(seed);
        world.a.restart();
        world.pass_until(Duration::from_secs(3), World::both_connected);
        recovers(&mut world, Duration::from_secs(20));
        assert_eq!(
            world.b.gone.last().expect("the old one").closed,
            Some(CloseReason::Local(Status::REPLACED))
        );
    }
}

/// Which finds out by its timers, unless the other one dials as well.
#[test]
fn the_side_that_answers() {
    for (seed, dials) in (0..20).map(|seed| (seed, seed % 2 == 0)) {
        let mut world = busy(seed);
        if dials {
            world.b.redial = Some(Redial::default());
        }
        world.b.restart();
        let cause = if dials {
            recovers(&mut world, Duration::from_secs(20));
            CloseReason::Local(Status::REPLACED)
        } else {
            recovers(&mut world, Duration::from_secs(60));
            CloseReason::TimedOut(TimedOut::Silence)
        };
        let reasons: Vec<_> = world.a.gone.iter().filter_map(|talk| talk.closed).collect();
        assert!(reasons.contains(&cause), "seed {seed}: {reasons:?}");
    }
}

#[test]
fn both_at_once() {
    for seed in 0..20 {
        let mut world = busy(seed);
        world.b.redial = (seed % 2 == 0).then(Redial::default);
        world.a.restart();
        world.b.restart();
        recovers(&mut world, Duration::from_secs(20));
    }
}

/// A device that starts again and again, faster than a handshake takes.
#[test]
fn over_and_over() {
    let mut world = busy(40);
    for _ in 0..100 {
        world.a.restart();
        let while_ = Duration::from_millis(world.random.below(60) as u64);
        world.pass(while_);
    }
    recovers(&mut world, Duration::from_secs(20));
    assert!(world.a.line.buffered() < 8_192);
}

/// SER-5: an offer behind message 2 says that the other side has given that handshake up.
#[test]
fn between_message_2_and_accept() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.a.dial(world.now);
        let has_keys =
            |world: &mut World| world.a.line.candidate().is_some_and(|talk| talk.connection.is_open());
        assert!(world.pass_until(Duration::from_secs(1), has_keys));
        world.b.restart();
        world.b.dial(world.now);
        assert!(world.pass_until(Duration::from_secs(1), World::both_connected), "seed {seed}");
        world.echo();
    }
}
