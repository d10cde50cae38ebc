//! What a candidate takes on its way to a session, and what it drops.  SPEC §19.4

use std::time::Duration;

use symbolon::{CloseReason, HandshakeError, Role};

use crate::by_hand::{OnLine, on_the_line, packets};
use crate::common::Happened;
use crate::common::attacker::{ANSWER, Attacker, Knobs, OFFER, framed};
use crate::common::cbor::message;
use crate::world::{Random, World};

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
