//! Noise: none of it is a session, and when it stops there is one.

use std::time::Duration;

use symbolon::serial::Redial;

use crate::world::{Noise, Random, World};

/// Megabytes of random bytes, with and without a session: bounded memory, nothing answered, and it works afterwards.
#[test]
fn a_line_that_babbles() {
    for connected in [false, true] {
        let mut world = if connected { World::connected(50) } else { World::new(50) };
        let mut random = Random::new(50);
        for round in 0..200 {
            // Of all kinds of density of zero bytes.
            let mut bytes = random.bytes(16_384);
            match round % 4 {
                0 => bytes.iter_mut().for_each(|byte| *byte &= 0x07),
                1 => bytes.iter_mut().for_each(|byte| *byte |= 1),
                _ => {}
            }
            world.b.hear(world.now, &bytes);
            assert!(world.b.line.buffered() < 8_192);
            assert_eq!(world.b.say(world.now), b"");
        }
        assert!(world.b.line.dropped() > 50_000);
        assert_eq!(world.b.offers, usize::from(connected));
        assert!(world.b.gone.is_empty());
        if connected {
            world.b.hear(world.now, &[0]);
            world.echo();
        }
    }
}

/// Bytes between packets are dropped, and cost none of them.
#[test]
fn noise_on_an_idle_line_costs_nothing() {
    let mut world = World::connected(51);
    let mut random = Random::new(51);
    for _ in 0..200 {
        let len = random.below(40);
        let noise = random.bytes(len);
        world.a_to_b.inject(world.now, &noise);
        world.b_to_a.inject(world.now, &noise);
        world.echo();
    }
    assert!(world.a.gone.is_empty() && world.b.gone.is_empty());
    assert_eq!((world.a.dials.len(), world.b.offers), (1, 1));
}

/// One flipped, lost or invented byte costs a packet, the packet its session, and the next one is there soon.
#[test]
fn a_damaged_packet_costs_a_session_and_no_more() {
    for kind in 0..3 {
        let mut world = World::connected(52 + kind);
        world.a.redial = Some(Redial::default());
        let mut noise = [Noise::default(); 3];
        (noise[0].flips, noise[1].drops, noise[2].inserts) = (1_000_000, 1_000_000, 1_000_000);
        for _ in 0..5 {
            world.a_to_b.noise = noise[kind as usize];
            let now = world.now;
            world.a.running().ask(now, b"lost");
            world.pass(Duration::from_millis(50));
            world.a_to_b.noise = Noise::default();
            let now = world.now;
            world.a.running().ask(now, b"not lost, but behind it");
            world.pass(Duration::from_millis(50));
            assert!(world.pass_until(Duration::from_secs(5), World::both_connected));
            world.echo();
        }
        assert_eq!((world.a.gone.len(), world.b.gone.len()), (5, 5));
    }
}

/// Sentence 9 on lines: bursts of noise of all kinds, restarts between them; then silence, and both sides have one
/// session that works, and every request has ended exactly once (which `Talk` checks).
#[test]
fn when_the_noise_stops_there_is_a_session() {
    // More of them: STORMS=1000 cargo test --test serial.
    let seeds = std::env::var("STORMS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(25);
    for seed in 0..seeds {
        assert_calm_follows(seed);
    }
}

/// That both sides end up in one session that works.
fn assert_calm_follows(seed: u64) {
    let mut world = World::new(seed);
    let mut random = Random::new(seed + 1_000);
    world.a.redial = Some(Redial::default());
    world.b.redial = seed.is_multiple_of(3).then(Redial::default);
    (world.a.asks, world.b.asks) = (false, false);
    world.a.traffic = Some((Duration::from_millis(80), 1 + random.below(900)));
    world.b.traffic = Some((Duration::from_millis(130), 1 + random.below(1_800)));
    for wire in [&mut world.a_to_b, &mut world.b_to_a] {
        // 9,600 to a million baud, and reads of one byte to many.
        wire.byte_time = Duration::from_micros([10, 87, 260, 1_042][random.below(4)]);
        wire.piece = [1, 7, 64, 4_096][random.below(4)];
    }
    for _ in 0..6 {
        for wire in [&mut world.a_to_b, &mut world.b_to_a] {
            let mut rate = || [0, 0, 20, 500, 20_000][random.below(5)];
            wire.noise = Noise { flips: rate(), drops: rate(), inserts: rate() };
            wire.cut = random.below(8) == 0;
        }
        if random.below(3) == 0 {
            world.a.restart();
        }
        if random.below(3) == 0 {
            world.b.restart();
        }
        let burst = Duration::from_millis(random.below(1_500) as u64);
        world.pass(burst);
        for wire in [&mut world.a_to_b, &mut world.b_to_a] {
            (wire.noise, wire.cut) = (Noise::default(), false);
        }
        let calm = Duration::from_millis(random.below(3_000) as u64);
        world.pass(calm);
    }
    // Only the timers tell of a peer that has started again unseen: 30 s of silence, 5 s for the probe, a try.
    world.a.traffic = Some((Duration::from_secs(2), 100));
    world.b.traffic = Some((Duration::from_secs(2), 100));
    world.pass(Duration::from_secs(60));
    assert!(world.both_connected(), "seed {seed}: {:?} {:?}", world.a.line, world.b.line);
    let before =
        (world.a.gone.len(), world.b.gone.len(), world.a.running().answered, world.b.running().answered);
    world.pass(Duration::from_secs(30));
    assert_eq!((world.a.gone.len(), world.b.gone.len()), (before.0, before.1), "seed {seed}");
    assert!(world.a.running().answered > before.2 + 10, "seed {seed}");
    assert!(world.b.running().answered > before.3 + 10, "seed {seed}");
}
