//! Whose packet it is, and which session runs.  SPEC §19.2 to §19.4

use std::time::Duration;

use symbolon::{CloseReason, Role, Status, TimedOut};

use crate::by_hand::{OnLine, on_the_line, packets};
use crate::common::attacker::{Knobs, framed};
use crate::common::cbor::message;
use crate::world::{Random, World};

const MESSAGE: &str = "echo";

#[test]
fn a_conversation() {
    let mut world = World::connected(10);
    for _ in 0..20 {
        world.echo();
    }
    let now = world.now;
    world.b.running().ask(now, b"the other way");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.b.running().answered, 1);
    // An orderly end is the session's, not the line's.
    let now = world.now;
    world.a.running().connection.close(now, Status::OK);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.a.gone[0].closed, Some(CloseReason::Local(Status::OK)));
    assert_eq!(world.b.gone[0].closed, Some(CloseReason::Remote(Status::OK)));
    assert!(world.a.line.running().is_none() && world.a.line.poll_timeout().is_none());
    world.a.dial(world.now);
    world.pass(Duration::from_secs(1));
    world.echo();
}

/// SER-3: nothing that does not authenticate changes the session that runs.
#[test]
fn a_running_session_is_not_disturbed_by_noise() {
    let mut world = World::connected(13);
    let mut random = Random::new(13);
    for round in 0..50 {
        for _ in 0..10 {
            let len = 17 + random.below(600);
            let frame = framed(&random.bytes(len));
            world.b_to_a.inject(world.now, &on_the_line(&frame));
            world.a_to_b.inject(world.now, &on_the_line(&frame));
        }
        world.pass(Duration::from_millis(10));
        world.echo();
        assert_eq!(world.a.line.dropped(), 10 * (round + 1));
    }
    assert!(world.a.gone.is_empty() && world.b.gone.is_empty());
}

/// SER-3, TRN-1: packets of this and of earlier sessions that come once more.
#[test]
fn old_packets_are_dropped() {
    let mut world = World::connected(14);
    world.echo();
    let old = packets(&world.a_to_b.record);
    world.a.dial(world.now);
    world.pass(Duration::from_secs(1));
    world.echo();
    let sessions = (world.a.gone.len(), world.b.gone.len());
    for packet in
        old.iter().filter(|packet| packet.len() != 8).chain(&packets(&world.a_to_b.record)[old.len() + 2..])
    {
        world.b.hear(world.now, &on_the_line(packet));
        world.echo();
    }
    assert_eq!((world.a.gone.len(), world.b.gone.len()), sessions);
    // A whole handshake, offer and all: a candidate, which never has its message 3.
    for packet in &old {
        world.b.hear(world.now, &on_the_line(packet));
    }
    assert!(world.b.line.candidate().is_some());
    world.echo();
    world.pass(Duration::from_secs(11));
    assert!(world.b.line.candidate().is_none());
    assert_eq!(
        world.b.gone.last().expect("the candidate").closed,
        Some(CloseReason::TimedOut(TimedOut::Handshake))
    );
    world.echo();
}

/// SER-4: a frame that opens with a later counter proves a loss: the session ends, the frame has no effect.
#[test]
fn lost_frames_end_the_session() {
    for lost in [1, 2, 15, 16, 17] {
        let mut on_line = OnLine::connected(Role::Initiator);
        for _ in 0..lost {
            on_line.attacker.seal(&message::ping(1));
        }
        let frame = on_line.attacker.seal(&message::request(2, 0, 0, MESSAGE, b"x"));
        on_line.say(&frame);
        if lost == 17 {
            // Too many to tell from noise: nothing has happened yet.
            assert_eq!(on_line.side.line.dropped(), 1);
            assert_eq!(on_line.running().log.len(), 1);
            continue;
        }
        assert_eq!(on_line.heard(), [message::close(39)]);
        assert!(on_line.side.line.running().is_none());
        on_line.side.drain();
        let talk = on_line.side.gone.pop().expect("it has ended");
        assert_eq!(talk.closed, Some(CloseReason::FramesLost(lost)));
        assert_eq!(talk.log.len(), 2, "connected and closed, and no request: {:?}", talk.log);
    }
}

/// SER-4: the other side is told, since its own direction is whole; and more than can be seen ends by the timers.
#[test]
fn the_other_side_is_told_of_a_loss() {
    for requests in [1, 20] {
        let mut world = World::connected(15);
        world.a_to_b.cut = true;
        let now = world.now;
        for _ in 0..requests {
            world.a.running().ask(now, &[1; 1_900]);
        }
        world.pass(Duration::from_millis(100));
        world.a_to_b.cut = false;
        let now = world.now;
        world.a.running().ask(now, b"and this");
        world.pass(Duration::from_millis(500));
        if requests == 20 {
            assert!(world.both_connected());
            world.pass(Duration::from_secs(40));
            let reasons = [&world.a.gone[0].closed, &world.b.gone[0].closed];
            assert!(reasons.contains(&&Some(CloseReason::TimedOut(TimedOut::Silence))), "{reasons:?}");
            continue;
        }
        assert_eq!(world.b.gone[0].closed, Some(CloseReason::FramesLost(1)));
        assert_eq!(world.a.gone[0].closed, Some(CloseReason::Remote(Status::new(39))));
    }
}

/// SER-2, SER-13: an offer changes nothing for the session that runs, until its candidate is accepted.
#[test]
fn an_accepted_candidate_replaces_the_running_session() {
    let mut world = World::connected(16);
    world.b.asks = true;
    let first = world.b.running().connection.channel_binding();
    world.a.dial(world.now);
    world.pass(Duration::from_millis(300));
    assert!(world.b.line.candidate().is_some());
    for _ in 0..3 {
        world.echo();
    }
    assert_eq!(world.b.running().connection.channel_binding(), first);
    let now = world.now;
    world.a.running().ask(now, b"in the old one");
    world.b.line.candidate().expect("it decides").connection.admit(now).expect("asked");
    // At once here, with what it had queued dropped...
    let second = world.b.running().connection.channel_binding();
    assert_ne!(second, first);
    world.b.drain();
    assert_eq!(world.b.gone[0].closed, Some(CloseReason::Local(Status::REPLACED)));
    let accept = world.b.line_bytes(now);
    assert_eq!(packets(&accept).len(), 1, "accept, and nothing for the old one");
    // ...and there when `accept` comes, with what it had asked.
    assert!(world.a.gone.is_empty());
    world.a.hear(now, &accept);
    assert_eq!(world.a.gone[0].closed, Some(CloseReason::Local(Status::REPLACED)));
    assert_eq!(world.a.running().connection.channel_binding(), second);
    world.pass(Duration::from_secs(1));
    world.echo();
}

/// SER-4: `accept` itself is lost, which the next frame proves; nobody waits for the handshake's timer.
#[test]
fn a_lost_accept() {
    let mut on_line = OnLine::new(Role::Responder, Knobs::default());
    on_line.side.dial(on_line.now);
    let answer = on_line.attacker.begin();
    on_line.hear_handshake();
    on_line.say(&answer);
    let message_2 = on_line.attacker.say();
    on_line.say(&message_2);
    assert!(on_line.hear_handshake());
    on_line.attacker.seal(&message::accept());
    let ping = on_line.attacker.seal(&message::ping(1));
    on_line.say(&ping);
    assert_eq!(on_line.heard(), [message::close(39)]);
    on_line.side.drain();
    assert_eq!(on_line.side.gone[0].closed, Some(CloseReason::FramesLost(1)));
}

/// SER-4: where `accept` was lost, the other side has dropped its older session, and so does this one.
#[test]
fn a_lost_accept_ends_both_sessions() {
    let mut world = World::connected(31);
    world.a.dial(world.now);
    let has_keys = |world: &mut World| world.a.line.candidate().is_some_and(|talk| talk.connection.is_open());
    assert!(world.pass_until(Duration::from_secs(1), has_keys));
    world.b_to_a.cut = true;
    assert!(world.pass_until(Duration::from_secs(1), |world| !world.b.gone.is_empty()));
    world.pass(Duration::from_millis(100));
    world.b_to_a.cut = false;
    let now = world.now;
    world.b.running().ask(now, b"behind the accept");
    world.pass(Duration::from_millis(300));
    let mut reasons: Vec<_> = world.a.gone.iter().filter_map(|talk| talk.closed).collect();
    reasons.sort_by_key(|reason| *reason != CloseReason::FramesLost(1));
    assert_eq!(reasons, [CloseReason::FramesLost(1), CloseReason::Local(Status::REPLACED)]);
    assert!(world.a.line.running().is_none());
}

/// Where it goes away before the `close` of a session that has ended could leave, that session is over as well: nobody
/// will take it.
#[test]
fn a_port_that_goes_away_before_a_close() {
    let mut world = World::connected(24);
    let now = world.now;
    world.a.running().connection.close(now, Status::OK);
    world.a.line.handle_eof(now);
    world.a.drain();
    let reasons: Vec<_> = world.a.gone.iter().map(|talk| talk.closed).collect();
    assert_eq!(reasons, [Some(CloseReason::Truncated)]);
    let mut world = World::connected(24);
    world.b.running().connection.abort(now, Status::FAILED);
    world.b.line.handle_eof(now);
    world.b.drain();
    let reasons: Vec<_> = world.b.gone.iter().map(|talk| talk.closed).collect();
    assert_eq!(reasons, [Some(CloseReason::Local(Status::FAILED))]);
    assert_eq!(world.b.line.poll_timeout(), None);
}

/// The same where the peer's `close` waits behind an event.
#[test]
fn a_port_that_goes_away_behind_a_close() {
    let mut world = World::connected(25);
    let now = world.now;
    world.a.running().ask(now, b"the last thing");
    world.a.running().connection.close(now, Status::OK);
    let mut bytes = Vec::new();
    while let Some(sent) = world.a.line.poll_transmit(now).map(<[u8]>::to_vec) {
        world.a.line.advance_transmit(sent.len());
        bytes.extend(sent);
    }
    let offers = || panic!("a session runs");
    assert_eq!(world.b.line.handle_input(now, &bytes, offers), bytes.len());
    world.b.line.handle_eof(now);
    world.b.drain();
    assert_eq!(world.b.gone.len(), 1);
    assert_eq!(world.b.line.poll_timeout(), None);
}

/// END-3: where the port goes away, the sessions end, as cut off.
#[test]
fn a_port_that_goes_away() {
    let mut world = World::connected(23);
    let now = world.now;
    world.a.running().ask(now, b"never answered");
    world.a.dial(now);
    world.a.line.handle_eof(now);
    world.a.drain();
    let reasons: Vec<_> = world.a.gone.iter().map(|talk| talk.closed).collect();
    assert_eq!(reasons, [Some(CloseReason::Truncated); 2]);
    assert_eq!(world.a.line.poll_timeout(), None);
    // Plugged in again.
    world.a.dial(now);
    world.pass(Duration::from_secs(1));
    world.echo();
}
