//! Whose packet it is, and which session runs.  SPEC §19.2 to §19.4

use std::time::Duration;

use symbolon::serial::Redial;
use symbolon::{CloseReason, HandshakeError, Role, Status, TimedOut};

use crate::by_hand::{OnLine, on_the_line, packets};
use crate::common::Happened;
use crate::common::attacker::{ANSWER, Attacker, Knobs, OFFER, framed};
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

/// SER-9, SER-10: frames and preambles that nobody waits for, and frames that fail, come before each genuine packet of
/// a handshake; it goes on as if they had not.
#[test]
fn a_handshake_survives_bogus_packets_in_each_phase() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let mut random = Random::new(seed);
        world.a.dial(world.now);
        let mut rounds = 0;
        while !world.both_connected() {
            for (from_a, said) in [(true, world.a.say(world.now)), (false, world.b.say(world.now))] {
                for packet in packets(&said) {
                    let to = if from_a { &mut world.b } else { &mut world.a };
                    let mut bogus = vec![
                        framed(&random.bytes(230)),
                        framed(&random.bytes(512)),
                        framed(&random.bytes(17)),
                    ];
                    bogus.push(if from_a { ANSWER.to_vec() } else { ANSWER[..4].repeat(2) });
                    let mut damaged = packet.clone();
                    let at = random.below(packet.len() - 2) + 2;
                    damaged[at] ^= 1 << random.below(8);
                    // Message 1 is bare: nothing tells a damaged one from a genuine one, nor a preamble.
                    if packet.len() > 34 {
                        bogus.push(damaged);
                    }
                    // The answer twice, as where an earlier one was answered too.
                    if packet == ANSWER {
                        bogus.push(packet.clone());
                    }
                    for bogus in bogus {
                        to.hear(world.now, &on_the_line(&bogus));
                    }
                    to.hear(world.now, &on_the_line(&packet));
                }
            }
            rounds += 1;
            assert!(rounds < 10, "no session");
        }
        world.echo();
        assert_eq!((world.a.dials.len(), world.b.offers), (1, 1));
        assert!(world.a.gone.is_empty() && world.b.gone.is_empty());
    }
}

/// SER-9: a handshake frame of the wrong length is not awaited, and so no failure, however often it comes.
#[test]
fn frames_of_the_wrong_length_are_no_failures() {
    /// More than the failures that a candidate bears, of these lengths.
    fn say_often(on_line: &mut OnLine, lengths: &[usize]) {
        let before = on_line.side.line.dropped();
        for round in 0..40 {
            on_line.say(&framed(&vec![round; lengths[usize::from(round) % lengths.len()]]));
        }
        assert_eq!(on_line.side.line.dropped(), before + 40);
        assert!(on_line.side.line.candidate().is_some());
    }
    let mut answered = OnLine::new(Role::Initiator, Knobs::default());
    let first = answered.attacker.begin();
    answered.say(&first[..8]);
    say_often(&mut answered, &[31, 33, 213]);
    answered.say(&first[8..]);
    assert!(answered.hear_handshake());
    say_often(&mut answered, &[32, 180]);
    let message_3 = answered.attacker.say();
    answered.say(&message_3);
    assert_eq!(answered.heard(), [message::accept()]);

    let mut dialled = OnLine::new(Role::Responder, Knobs::default());
    dialled.side.dial(dialled.now);
    let answer = dialled.attacker.begin();
    dialled.hear_handshake();
    say_often(&mut dialled, &[32, 213, 512]);
    dialled.say(&answer);
    say_often(&mut dialled, &[32, 212]);
    let message_2 = dialled.attacker.say();
    dialled.say(&message_2);
    assert!(dialled.hear_handshake());
}

/// SER-10: another answer than the genuine one before message 2, for a suite or version that leads nowhere.
#[test]
fn a_second_answer_replaces_the_first() {
    let mut on_line = OnLine::new(Role::Responder, Knobs::default());
    on_line.side.dial(on_line.now);
    let answer = on_line.attacker.begin();
    on_line.hear_handshake();
    for wrong in [*b"olon\x02\x00\x00\x01", *b"olon\x01\x00\x00\x02", *b"olon\x01\x99\x00\x01"] {
        on_line.say(&wrong);
        on_line.say(&answer);
        on_line.say(&wrong);
    }
    let message_2 = on_line.attacker.say();
    on_line.say(&message_2);
    assert!(on_line.hear_handshake());
    let accept = on_line.attacker.seal(&message::accept());
    on_line.say(&accept);
    assert!(on_line.side.is_connected());
}

/// SER-10: a proof that does not hold, or a payload that does not decode, is dropped like a frame that does not
/// authenticate.
#[test]
fn a_wrong_proof_or_payload_is_dropped() {
    let wrong_proof = || Knobs { proof: Some(vec![1; 64]), ..Knobs::default() };
    let wrong_payload = || Knobs { max_frame: 255, ..Knobs::default() };
    let both = [Role::Initiator, Role::Responder];
    for (role, wrong) in both.into_iter().flat_map(|role| [(role, wrong_proof()), (role, wrong_payload())]) {
        let mut on_line = OnLine::new(role, Knobs::default());
        let mut forger = Attacker::new(role, wrong);
        if role.is_initiator() {
            let first = on_line.attacker.begin();
            forger.begin();
            on_line.say(&first[..8]);
            on_line.say(&first[8..]);
            let answer = on_line.packets().concat();
            assert!(on_line.attacker.hear(&answer) && forger.hear(&answer));
        } else {
            on_line.side.dial(on_line.now);
            let offer = on_line.packets().concat();
            on_line.attacker.begin();
            forger.begin();
            assert!(on_line.attacker.hear(&offer) && forger.hear(&offer));
            on_line.say(&ANSWER);
        }
        let (forged, genuine) = (forger.say(), on_line.attacker.say());
        assert_ne!(forged, genuine);
        for _ in 0..3 {
            on_line.say(&forged);
        }
        assert_eq!(on_line.side.line.dropped(), 3);
        on_line.say(&genuine);
        if role.is_initiator() {
            assert!(on_line.side.is_connected());
        } else {
            assert!(on_line.hear_handshake());
        }
    }
}

/// SER-11: frames that fail end a candidate in the end.
#[test]
fn a_candidate_bears_a_bounded_number_of_failures() {
    for dialled in [true, false] {
        let mut world = World::new(11);
        let mut random = Random::new(11);
        if dialled {
            world.a.dial(world.now);
            world.a.hear(world.now, &on_the_line(&ANSWER));
        } else {
            world.a.hear(world.now, &on_the_line(&OFFER));
            world.a.hear(world.now, &on_the_line(&framed(&random.bytes(32))));
        }
        for _ in 0..16 {
            world.a.hear(world.now, &on_the_line(&framed(&random.bytes(240))));
        }
        assert!(world.a.line.candidate().is_some());
        assert_eq!(world.a.line.dropped(), 16);
        world.a.hear(world.now, &on_the_line(&framed(&random.bytes(240))));
        let _ = world.a.say(world.now);
        world.a.drain();
        assert!(world.a.line.candidate().is_none());
        assert_eq!(world.a.gone[0].closed, Some(CloseReason::Handshake(HandshakeError::Unauthentic)));
    }
}

/// SER-12: what an initiator asks before `accept` waits for it; a responder that decides drops what comes.
#[test]
fn nothing_is_sent_before_accept() {
    let mut world = World::new(12);
    world.b.asks = true;
    world.a.dial(world.now);
    world.pass(Duration::from_millis(200));
    let peer = world.a.config.identity().peer_id();
    let now = world.now;
    let candidate = world.a.line.candidate().expect("it awaits accept");
    assert!(candidate.connection.is_open() && !candidate.connection.is_connected());
    candidate.ask(now, b"early");
    let sent = world.a_to_b.record.len();
    world.pass(Duration::from_secs(5));
    assert_eq!(world.a_to_b.record.len(), sent);

    // While it decides, frames for it are dropped and do not wait.
    world.b.hear(now, &on_the_line(&framed(&[3; 60])));
    let deciding = world.b.line.candidate().expect("it decides");
    assert_eq!(deciding.log, [Happened::Admission(peer)]);
    let now = world.now;
    world.b.line.candidate().expect("it decides").connection.admit(now).expect("asked");
    world.pass(Duration::from_secs(1));
    assert!(world.both_connected());
    assert_eq!(world.a.running().answered, 1);
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

/// A stranger gets his refusal, and the running session goes on beside him.
#[test]
fn a_stranger_on_the_line() {
    let mut world = World::connected(17);
    let mut stranger = Attacker::new(Role::Initiator, Knobs::default());
    let first = stranger.begin();
    let now = world.now;
    world.b.hear(now, &on_the_line(&first[..8]));
    world.b.hear(now, &on_the_line(&first[8..]));
    let answers = packets(&world.b.line_bytes(now)).concat();
    assert!(stranger.hear(&answers));
    let message_3 = stranger.say();
    world.b.hear(now, &on_the_line(&message_3));
    let refusal = packets(&world.b.line_bytes(now)).concat();
    assert_eq!(stranger.open(&refusal), [message::close(32)]);
    world.b.drain();
    assert_eq!(world.b.gone[0].closed, Some(CloseReason::NotAdmitted(stranger.knobs.peer_id())));
    world.echo();
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
