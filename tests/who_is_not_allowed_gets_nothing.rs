//! Sentence 11: *Who is not allowed gets nothing: no event, no memory beyond the handshake's fixed cost, no method's body decoded.*

mod common;

use common::attacker::{Attacker, Knobs, VICTIM, Victim};
use common::cbor::message;
use common::meter::{Meter, metered, reset, usage};
use common::{Happened, device};
use symbolon::{Admission, CloseReason, HandshakeError, Role};

#[global_allocator]
static METER: Meter = Meter;

/// How much more heap than before `run` needed at its worst.
fn peak_of<T>(run: impl FnOnce() -> T) -> (T, usize) {
    reset();
    let outcome = metered(run);
    (outcome, usage().peak as usize)
}

fn nobody() -> Admission {
    Admission::Only(vec![])
}

/// A stranger's bytes to a device that lets nobody in, and the attacker who made them: the handshake by the book, and
/// `behind` sealed behind message 3.
fn stranger(behind: &[Vec<u8>]) -> (Attacker, Vec<u8>) {
    let mut victim = Victim::new(Role::Responder, &device(VICTIM), nobody());
    let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
    let mut stream = attacker.begin();
    victim.feed(&stream);
    assert!(attacker.hear(&victim.written()));
    stream.extend(attacker.say());
    stream.extend(attacker.seal_each(behind));
    (attacker, stream)
}

/// Everything that somebody might send who hopes to be served.
fn wishes() -> Vec<Vec<u8>> {
    let requests = (1..500).map(|n| message::request(2 * n, 0, 0, "door/open", &[7; 2_000]));
    let subscriptions = (500..900).map(|n| message::subscribe(2 * n, u64::MAX, "#", None));
    requests.chain(subscriptions).chain([message::ping(1), message::goaway(0)]).collect()
}

/// ADM-2, ADM-3, IDP-3, H20: no event but the end, and one word: refused.
#[test]
fn who_is_not_allowed_gets_no_event() {
    let peer = Knobs::default().peer_id();
    let (mut attacker, stream) = stranger(&wishes());
    let mut victim = Victim::new(Role::Responder, &device(VICTIM), nobody());
    victim.feed(&stream);
    assert_eq!(victim.closed(), CloseReason::NotAdmitted(peer));
    let written = victim.written();
    let message_2 = 8 + 2 + usize::from(u16::from_be_bytes([written[8], written[9]]));
    assert_eq!(attacker.open(&written[message_2..]), [message::close(32)]);
    assert_eq!(attacker.leftover(), b"");
    victim.feed(&stream);
    assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
}

/// ADM-3, IDP-3, H6, F2: a megabyte behind message 3 costs not one byte more than nothing behind it; and all of it
/// together no more than a fixed sum, whatever limits this side grants to those whom it lets in.
#[test]
fn who_is_not_allowed_gets_no_memory_beyond_the_handshakes_fixed_cost() {
    const FIXED_COST: usize = 8 * 1_024;

    let config = device(VICTIM);
    let cost_of = |stream: &[u8]| {
        let mut victim = Victim::new(Role::Responder, &config, nobody());
        let started = victim.connection.buffered();
        let ((), peak) = peak_of(|| {
            let mut rest = stream;
            while !rest.is_empty() && !victim.is_closed() {
                let taken = victim.connection.handle_input(victim.now, rest);
                rest = &rest[taken..];
            }
        });
        assert!(matches!(victim.closed(), CloseReason::NotAdmitted(_)));
        assert!(victim.connection.buffered() <= started.max(2 * 1_024));
        peak
    };
    let (_, alone) = stranger(&[]);
    let (_, greedy) = stranger(&wishes());
    assert!(greedy.len() > 1_000_000);
    assert_eq!(cost_of(&greedy), cost_of(&alone));
    assert!(cost_of(&alone) < FIXED_COST, "{} bytes", cost_of(&alone));

    // The connection from its making on.
    let (_, whole) = peak_of(|| {
        let mut victim = Victim::new(Role::Responder, &config, nobody());
        let taken = victim.connection.handle_input(victim.now, &greedy);
        (victim, taken)
    });
    assert!(whole < 2 * FIXED_COST, "{whole} bytes");
}

/// F2, H1, H6: nor do lengths that are only claimed, however often.
#[test]
fn a_claimed_length_costs_nothing() {
    for claim in [512u16, 513, 65_535] {
        let mut victim = Victim::new(Role::Responder, &device(VICTIM), nobody());
        let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
        victim.feed(&attacker.begin());
        victim.written();
        let ((), peak) = peak_of(|| {
            let _ = victim.connection.handle_input(victim.now, &claim.to_be_bytes());
        });
        assert!(peak <= 1_024, "{peak} bytes for a claim of {claim}");
        if claim > 512 {
            victim.assert_dropped(HandshakeError::FrameLength(claim));
        }
    }
}

/// ADM-2, ADM-3: what stands behind message 3 is not even opened.  Bytes that are no frames, frames that do not open and
/// bodies that are no messages all get the answer that good ones get.
#[test]
fn who_is_not_allowed_gets_no_methods_body_decoded() {
    let peer = Knobs::default().peer_id();
    let (mut attacker, good) = stranger(&[message::request(2, 0, 0, "door/open", b"now")]);
    let (_, alone) = stranger(&[]);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let (_, malformed) = stranger(&[vec![0xff; 100], message::request(3, 0, 9, "", b"")]);
    let no_frame = [alone.clone(), vec![0, 0]].concat();
    let mut answers = Vec::new();
    for stream in [&good, &alone, &forged, &malformed, &no_frame] {
        let mut victim = Victim::new(Role::Responder, &device(VICTIM), nobody());
        victim.feed(stream);
        assert_eq!(victim.closed(), CloseReason::NotAdmitted(peer));
        answers.push(victim.written());
    }
    let message_2 = 8 + 2 + usize::from(u16::from_be_bytes([answers[0][8], answers[0][9]]));
    assert_eq!(attacker.open(&answers[0][message_2..]), [message::close(32)]);
    answers.dedup();
    assert_eq!(answers.len(), 1, "the same bytes to each of them");
}

/// ADM-3: the same where the application decides, however long it takes over it.
#[test]
fn while_the_application_decides_nothing_is_read() {
    let peer = Knobs::default().peer_id();
    let (mut attacker, stream) = stranger(&wishes());
    let (_, alone) = stranger(&[]);
    let mut victim = Victim::new(Role::Responder, &device(VICTIM), Admission::Ask);
    victim.feed(&stream);
    assert_eq!(victim.refused, stream.len() - alone.len());
    assert_eq!(victim.events(), [Happened::Admission(peer)]);
    for _ in 0..3 {
        victim.feed(&stream[alone.len()..]);
        assert_eq!(victim.events(), []);
    }
    let message_2 = victim.written();
    assert!(message_2.starts_with(b"olon"));
    victim.connection.refuse(victim.now).unwrap();
    victim.feed(&stream[alone.len()..]);
    victim.assert_closed(&mut attacker, CloseReason::NotAdmitted(peer), 32);
}

/// ADM-1: a responder that the initiator does not let in gets less: not even the initiator's name.
#[test]
fn a_responder_that_is_not_allowed_gets_nothing_either() {
    let mut victim = Victim::new(Role::Initiator, &device(VICTIM), nobody());
    let mut attacker = Attacker::new(Role::Responder, Knobs::default());
    let preamble = attacker.begin();
    attacker.hear(&victim.written());
    let behind = vec![0; 1_000_000];
    let stream = [preamble, attacker.say(), behind].concat();
    let (taken, peak) = peak_of(|| victim.connection.handle_input(victim.now, &stream));
    assert_eq!(taken, stream.len());
    assert!(peak < 8 * 1_024, "{peak} bytes");
    victim.assert_dropped(CloseReason::NotAdmitted(Knobs::default().peer_id()));
}
