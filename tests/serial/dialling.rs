//! Who dials, who stays initiator, and when it is tried again.  SPEC §19.3

use std::time::Duration;

use symbolon::serial::Redial;
use symbolon::{CloseReason, HandshakeError, Role, Status};

use crate::by_hand::packets;
use crate::common::Happened;
use crate::world::World;

/// SER-5: behind message 2 an offer takes the candidate's place, also while the application is asked whom it has dialled.
#[test]
fn an_offer_behind_message_2_is_answered() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        world.a.asks = true;
        world.a.dial(world.now);
        world.pass(Duration::from_millis(300));
        let asked = world.a.line.candidate().expect("it decides").log.clone();
        assert_eq!(asked, [Happened::Admission(world.b.config.identity().peer_id())]);
        // The other side has given up, and dials itself.
        world.b.restart();
        world.b.dial(world.now);
        world.pass(Duration::from_millis(300));
        let candidate = world.a.line.candidate().expect("one or the other");
        assert_eq!(candidate.connection.role(), Role::Responder);
    }
}

/// Two diallers on a line so slow that a handshake takes longer than the first tries wait.
#[test]
fn two_diallers_on_a_slow_line() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        (world.a.redial, world.b.redial) = (Some(Redial::default()), Some(Redial::default()));
        // 2,400 baud: message 2 takes a second.
        (world.a_to_b.byte_time, world.b_to_a.byte_time) =
            (Duration::from_micros(4_200), Duration::from_micros(4_200));
        assert!(world.pass_until(Duration::from_secs(12), World::both_connected), "seed {seed}");
        world.echo();
    }
}

/// SER-5: of two that dial at once, the one with the smaller message 1 stays initiator, whoever it is.
#[test]
fn two_dial_at_once() {
    let mut initiators = [0, 0];
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.a.dial(world.now);
        world.b.dial(world.now);
        world.pass(Duration::from_secs(1));
        assert!(world.both_connected(), "seed {seed}");
        let key = |record: &[u8]| packets(record)[1].clone();
        let a_is_smaller = key(&world.a_to_b.record) < key(&world.b_to_a.record);
        let role_a = world.a.running().connection.role();
        assert_eq!(role_a.is_initiator(), a_is_smaller);
        initiators[usize::from(a_is_smaller)] += 1;
        assert_eq!((world.a.dials.len(), world.b.dials.len()), (1, 1));
        // The other one's first candidate was replaced by its second.
        assert_eq!(world.a.gone.len() + world.b.gone.len(), 1);
        world.echo();
    }
    assert!(initiators.iter().all(|count| *count > 0), "{initiators:?}");
}

/// SER-5: a side that takes no sessions stays initiator, and the tries of both find a way.
#[test]
fn a_dialler_that_does_not_listen() {
    for seed in 0..5 {
        let mut world = World::new(seed);
        world.a.redial = Some(Redial::default());
        world.b.redial = Some(Redial::default());
        world.a.listens = false;
        assert!(world.pass_until(Duration::from_secs(120), World::both_connected), "seed {seed}");
        assert_eq!(world.a.running().connection.role(), Role::Initiator);
        world.echo();
    }
}

/// SER-5, IDP-4: a line that loops back is not answered, and never has a session.
#[test]
fn a_line_that_loops_back() {
    for delay in [0, 700, 1_500] {
        let mut world = World::new(18);
        world.a.redial = Some(Redial::default());
        let mut echo = Vec::new();
        for step in 0..600 {
            world.now = world.now + Duration::from_millis(100);
            world.a.wake(world.now);
            let said = world.a.line_bytes(world.now);
            echo.push((step + delay / 100, said));
            for (_, bytes) in echo.iter().filter(|(at, _)| *at == step) {
                world.a.hear(world.now, bytes);
            }
        }
        assert!(world.a.dials.len() > 5);
        // An echo that comes later may meet a newer candidate, as SPEC §19.3 says.
        if delay < 1_000 {
            assert_eq!(world.a.offers, 0, "{delay}");
        }
        assert!(world.a.line.running().is_none());
        let connected =
            |talk: &crate::world::Talk| talk.log.iter().any(|event| matches!(event, Happened::Connected(_)));
        assert!(!world.a.gone.iter().any(connected));
    }
    // Two lines of one device, joined.
    let mut world = World::new(19);
    world.b = crate::world::Side::new(1, 1, 20);
    world.a.dial(world.now);
    world.pass(Duration::from_secs(11));
    assert_eq!(world.a.gone[0].closed, Some(CloseReason::Handshake(HandshakeError::OwnIdentity)));
    assert!(world.b.line.running().is_none());
}

/// SER-14: each try is another session, after 1, 2, 4 and then 8 seconds, and none while one runs.
#[test]
fn tries_that_get_no_answer() {
    let mut world = World::new(21);
    world.a.redial = Some(Redial::default());
    world.a_to_b.cut = true;
    world.pass(Duration::from_secs(32));
    let starts: Vec<u64> =
        world.a.dials.iter().map(|at| (at.as_micros() - world.a.dials[0].as_micros()) / 1_000_000).collect();
    assert_eq!(starts, [0, 1, 3, 7, 15, 23, 31]);
    let keys: std::collections::BTreeSet<Vec<u8>> =
        packets(&world.a_to_b.record).into_iter().filter(|packet| packet.len() == 34).collect();
    assert_eq!(keys.len(), starts.len());

    world.a_to_b.cut = false;
    assert!(world.pass_until(Duration::from_secs(9), World::both_connected));
    let dials = world.a.dials.len();
    world.pass(Duration::from_secs(100));
    assert_eq!(world.a.dials.len(), dials);
    // The session ends, and the next is dialled at once.
    let now = world.now;
    world.b.running().connection.close(now, Status::SHUTTING_DOWN);
    assert!(world.pass_until(Duration::from_secs(1), |world| world.a.dials.len() > dials));
    world.pass(Duration::from_secs(1));
    world.echo();
}

/// SPEC §19.3: while either side decides, nobody tries again.
#[test]
fn no_try_while_somebody_decides() {
    for dialler_decides in [true, false] {
        let mut world = World::new(24);
        world.a.redial = Some(Redial::default());
        (world.a.asks, world.b.asks) = (dialler_decides, !dialler_decides);
        world.pass(Duration::from_secs(9));
        assert_eq!(world.a.dials.len(), 1, "{dialler_decides}");
        let (asked, peer) = if dialler_decides { (&mut world.a, 2) } else { (&mut world.b, 1) };
        let peer = crate::common::device(peer).identity().peer_id();
        assert_eq!(asked.line.candidate().expect("it decides").log, [Happened::Admission(peer)]);
        // Once the handshake's time is up, the next is tried.
        assert!(world.pass_until(Duration::from_secs(10), |world| world.a.dials.len() > 1));
    }
}

/// A refusal is not repeated faster than the tries allow.
#[test]
fn tries_that_are_refused() {
    let mut world = World::new(22);
    world.a.redial = Some(Redial::default());
    world.b.peer = world.b.config.identity().peer_id();
    world.pass(Duration::from_secs(32));
    assert!((5..=7).contains(&world.a.dials.len()), "{:?}", world.a.dials);
    assert!(world.a.gone.iter().all(|talk| talk.closed == Some(CloseReason::Remote(Status::REFUSED))));
    assert!(world.b.gone.len() >= 5);
}
