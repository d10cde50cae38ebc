//! The eight bytes in clear that each direction begins with.  SPEC §3

mod common;

use common::attacker::{ANSWER, Attacker, Knobs, OFFER, VICTIM, Victim};
use common::cbor::message;
use common::{Happened, Pair, device};
use symbolon::{Admission, CloseReason, HandshakeError, RefusalCode, Role};

fn responder() -> Victim {
    Victim::new(Role::Responder, &device(VICTIM), Admission::Ask)
}

/// A victim that has dialled; what it wrote is forgotten.
fn initiator() -> Victim {
    let mut victim = Victim::new(Role::Initiator, &device(VICTIM), Admission::Ask);
    victim.written();
    victim
}

fn offer(version: u8, profile: u8, suites: u16) -> [u8; 8] {
    let [high, low] = suites.to_be_bytes();
    [b's', b'y', b'm', b'b', version, profile, high, low]
}

fn answer(version: u8, code: u8, suites: u16) -> [u8; 8] {
    let [high, low] = suites.to_be_bytes();
    [b'o', b'l', b'o', b'n', version, code, high, low]
}

/// PRE-1: suite 1 is offered, and taken where it is offered.
#[test]
fn suite_one_is_offered_and_taken() {
    let written = Victim::new(Role::Initiator, &device(VICTIM), Admission::Ask).written();
    assert_eq!(written[..8], OFFER);
    assert_eq!(written.len(), 8 + 2 + 32, "message 1 follows at once");
    let mut victim = responder();
    victim.feed(&OFFER);
    assert_eq!(victim.written(), ANSWER);
}

/// PRE-2, F11: silence, and at the very byte that differs.
#[test]
fn a_responder_drops_another_magic_at_the_first_byte_that_differs() {
    for at in 0..4 {
        for byte in (0..=255).filter(|byte| *byte != OFFER[at]) {
            let mut victim = responder();
            victim.feed(&OFFER[..at]);
            assert_eq!(victim.events(), []);
            victim.feed(&[byte]);
            victim.assert_dropped(HandshakeError::NotSymbolon);
        }
    }
}

/// PRE-2, F11: what arrives by mistake at an open port.
#[test]
fn other_protocols_get_silence() {
    let strangers: [&[u8]; 7] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: lamp\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c",
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
        &ANSWER,
    ];
    for stranger in strangers {
        for busy in [false, true] {
            let mut victim = responder();
            if busy {
                victim.connection.turn_away();
            }
            victim.feed(stranger);
            victim.assert_dropped(HandshakeError::NotSymbolon);
        }
    }
}

/// PRE-3, F11
#[test]
fn an_initiator_drops_another_magic_at_the_first_byte_that_differs() {
    for at in 0..4 {
        for byte in (0..=255).filter(|byte| *byte != ANSWER[at]) {
            let mut victim = initiator();
            victim.feed(&ANSWER[..at]);
            assert_eq!(victim.events(), []);
            victim.feed(&[byte]);
            victim.assert_dropped(HandshakeError::NotSymbolon);
        }
    }
    for stranger in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x28", &OFFER] {
        let mut victim = initiator();
        victim.feed(stranger);
        victim.assert_dropped(HandshakeError::NotSymbolon);
    }
}

/// What a responder says to this offer; it must end there, for the reason that it names.
fn refusal(bytes: [u8; 8], code: RefusalCode) {
    let mut victim = responder();
    victim.feed(&bytes);
    assert_eq!(victim.closed(), CloseReason::Handshake(HandshakeError::Refused(code)));
    let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
    victim.feed(&attacker.begin()[8..]);
    let written = victim.written();
    assert_eq!(written, answer(1, code.number(), 1), "its highest version and all its suites, nothing else");

    // The other side reports the same.
    let mut other = initiator();
    other.feed(&written);
    other.assert_dropped(CloseReason::Refused(code));
}

/// PRE-4
#[test]
fn a_version_below_the_lowest_is_refused() {
    refusal(offer(0, 0, 1), RefusalCode::Version);
}

/// PRE-4
#[test]
fn every_other_profile_is_refused() {
    for profile in 1..=255 {
        refusal(offer(1, profile, 1), RefusalCode::Profile);
    }
}

/// PRE-4, PRE-6: bits that this side does not know are no common suite.
#[test]
fn an_offer_without_a_common_suite_is_refused() {
    for suites in [0, 0x0002, 0x8000, 0xfffe] {
        refusal(offer(1, 0, suites), RefusalCode::Suite);
    }
}

/// PRE-4: of several codes the lowest.
#[test]
fn of_several_refusals_the_lowest_is_sent() {
    refusal(offer(0, 1, 0), RefusalCode::Version);
    refusal(offer(1, 1, 0), RefusalCode::Profile);
}

/// PRE-4
#[test]
fn who_is_turned_away_is_told_busy() {
    let mut victim = responder();
    victim.connection.turn_away();
    victim.feed(&Attacker::new(Role::Initiator, Knobs::default()).begin());
    assert_eq!(victim.closed(), CloseReason::Handshake(HandshakeError::Refused(RefusalCode::Busy)));
    assert_eq!(victim.written(), answer(1, 4, 1));

    let mut pair = Pair::new();
    pair.b.turn_away();
    assert_eq!(pair.events_a(), [Happened::Closed(CloseReason::Refused(RefusalCode::Busy))]);
    let refused = HandshakeError::Refused(RefusalCode::Busy);
    assert_eq!(pair.events_b(), [Happened::Closed(CloseReason::Handshake(refused))]);
    assert_eq!(pair.b_to_a.record, answer(1, 4, 1));
}

/// PRE-5: only version 1 was offered.
#[test]
fn an_initiator_refuses_a_version_that_it_did_not_offer() {
    for version in (0..=255).filter(|version| *version != 1) {
        let mut victim = initiator();
        victim.feed(&answer(version, 0, 1));
        victim.assert_dropped(HandshakeError::Preamble);
    }
}

/// PRE-5: each bitmap with one bit or none, and many with several.
#[test]
fn an_initiator_refuses_all_suites_but_the_one_it_offered() {
    let single = (0..16).map(|bit| 1u16 << bit);
    let several = (0..=0xffff).step_by(97);
    for suites in single.chain(several).chain([0, 3, 0xffff]).filter(|suites| *suites != 1) {
        let mut victim = initiator();
        victim.feed(&answer(1, 0, suites));
        victim.assert_dropped(HandshakeError::Preamble);
    }
}

/// PRE-5: codes that are in no table, and those that are, whatever stands beside them.
#[test]
fn an_initiator_knows_four_refusals() {
    let known = [RefusalCode::Version, RefusalCode::Profile, RefusalCode::Suite, RefusalCode::Busy];
    for number in 1..=255 {
        for (version, suites) in [(1, 1), (0, 0), (9, 0xffff)] {
            let mut victim = initiator();
            victim.feed(&answer(version, number, suites));
            match known.iter().find(|code| code.number() == number) {
                Some(code) => victim.assert_dropped(CloseReason::Refused(*code)),
                None => victim.assert_dropped(HandshakeError::Preamble),
            }
        }
    }
}

/// PRE-6, HSK-1: unknown suites and higher versions change the choice in nothing, and are part of the prologue.
#[test]
fn unknown_suites_and_higher_versions_are_offered_in_vain() {
    for preamble in [offer(1, 0, 0xffff), offer(1, 0, 0x8001), offer(2, 0, 1), offer(255, 0, 0x0003)] {
        let (mut attacker, mut victim) =
            Attacker::dial(Knobs { preamble: Some(preamble), ..Knobs::default() });
        victim.feed(&attacker.begin()[..8]);
        let answered = victim.written();
        assert_eq!(answered, ANSWER);
        attacker.hear(&answered);
        victim.feed(&attacker.begin()[8..]);
        assert!(attacker.hear(&victim.written()));
        victim.feed(&attacker.say());
        assert_eq!(victim.events(), [Happened::Connected(attacker.knobs.peer_id())]);
        assert_eq!(attacker.open(&victim.written()), [message::accept()]);
    }
}

/// PRE-7: the responder's preamble waits for nothing but the initiator's.
#[test]
fn the_responder_answers_the_eighth_byte() {
    let mut victim = responder();
    victim.feed(&OFFER[..7]);
    assert_eq!(victim.written(), b"");
    victim.feed(&OFFER[7..]);
    assert_eq!(victim.written(), ANSWER);
    assert_eq!(victim.events(), []);
}

/// HSK-1, H5: whoever changes a preamble on its way so that both go on, is found out by message 2, before the
/// initiator has said who it is.
#[test]
fn a_changed_preamble_is_found_out_before_the_initiator_names_itself() {
    let mut pair = Pair::new();
    pair.a_to_b.corrupt_at = Some(6);
    assert_eq!(pair.events_a(), [Happened::Closed(HandshakeError::Unauthentic.into())]);
    assert_eq!(pair.a_to_b.record.len(), 8 + 2 + 32);
    assert_eq!(pair.events_b(), []);
}

/// PRE-4, PRE-5, H5: the changes that do not get so far.
#[test]
fn a_changed_preamble_that_cannot_go_on_ends_at_once() {
    let refused = |code| CloseReason::Handshake(HandshakeError::Refused(code));
    for (at, code) in [(4, RefusalCode::Version), (5, RefusalCode::Profile), (7, RefusalCode::Suite)] {
        let mut pair = Pair::new();
        pair.a_to_b.corrupt_at = Some(at);
        assert_eq!(pair.events_b(), [Happened::Closed(refused(code))]);
        assert_eq!(pair.events_a(), [Happened::Closed(CloseReason::Refused(code))]);
    }
    let preamble = CloseReason::Handshake(HandshakeError::Preamble);
    let forged = CloseReason::Refused(RefusalCode::Version);
    for (at, reason) in [(4, preamble), (5, forged), (6, preamble), (7, preamble)] {
        let mut pair = Pair::new();
        pair.b_to_a.corrupt_at = Some(at);
        assert_eq!(pair.events_a(), [Happened::Closed(reason)]);
        assert_eq!(pair.a_to_b.record.len(), 8 + 2 + 32);
    }
}
