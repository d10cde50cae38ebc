//! Providers and suites: each speaks to each, and AES is spoken where both have it.  SPEC §3, §7
#![cfg(feature = "aws-lc")]

mod common;

use common::attacker::{Attacker, Knobs, VICTIM, Victim};
use common::cbor::message;
use common::{Happened, Pair, device};
use symbolon::{Admission, HandshakeError, Provider, Role};

const CHACHA: u16 = 1;
const AES: u16 = 2;

fn providers() -> [Provider; 3] {
    [Provider::rust_crypto(), Provider::aws_lc(), Provider::aws_lc().without_aes()]
}

/// Whether this processor has what suite 2 is offered for.
fn has_aes() -> bool {
    offered(Provider::aws_lc()) & AES != 0
}

/// The suites that a device with this provider offers.
fn offered(provider: Provider) -> u16 {
    let mut pair = Pair::of(&device(1).with_provider(provider), &device(2));
    pair.settle();
    suites(&pair.a_to_b.record)
}

/// The suites of a preamble.
fn suites(preamble: &[u8]) -> u16 {
    u16::from_be_bytes([preamble[6], preamble[7]])
}

#[test]
fn each_provider_speaks_to_each() {
    for a in providers() {
        for b in providers() {
            let mut pair = Pair::connected_of(&device(1).with_provider(a), &device(2).with_provider(b));
            for len in [0, 1, 64, 5_000] {
                let body: Vec<u8> = (0..len).map(|i| i as u8).collect();
                assert_eq!(pair.echo(&body), body, "{a:?} {b:?}");
            }
        }
    }
}

/// PRE-1: suite 1 is offered by all; suite 2 as well where the processor has AES, and chosen where both have offered it.
#[test]
fn the_suite_is_the_best_that_both_speak() {
    assert_eq!(offered(Provider::rust_crypto()), CHACHA);
    assert_eq!(offered(Provider::aws_lc().without_aes()), CHACHA);
    assert_eq!(offered(Provider::aws_lc()) & CHACHA, CHACHA);
    for a in providers() {
        for b in providers() {
            let mut pair = Pair::of(&device(1).with_provider(a), &device(2).with_provider(b));
            pair.settle();
            let common = offered(a) & offered(b);
            assert_eq!(
                suites(&pair.b_to_a.record),
                if common & AES != 0 { AES } else { CHACHA },
                "{a:?} {b:?}"
            );
        }
    }
}

/// TRN-2: under suite 2 as well, both sides have the next key behind the 65,536th frame.
#[test]
fn rekeying_works_under_each_suite() {
    for provider in [Provider::aws_lc(), Provider::aws_lc().without_aes()] {
        let device = |n| device(n).with_provider(provider);
        let mut pair = Pair::connected_of(&device(1), &device(2));
        for round in 0..65_540u32 {
            let body = round.to_be_bytes();
            assert_eq!(pair.echo(&body), body, "{provider:?}");
        }
    }
}

/// HSK-1, H5: nobody on the path can talk two that have AES down to ChaCha20: the offers are part of the prologue.
#[test]
fn a_suite_cannot_be_taken_out_of_an_offer() {
    let device = |n| device(n).with_provider(Provider::aws_lc());
    let mut pair = Pair::of(&device(1), &device(2));
    // 0x0003 becomes 0x0002, where there is AES: the responder goes on with what is left of the offer.
    pair.a_to_b.corrupt_at = Some(7);
    let events = pair.events_a();
    assert!(matches!(events[..], [Happened::Closed(_)]), "{events:?}");
    assert!(!pair.events_b().iter().any(|event| matches!(event, Happened::Connected(_))));
}

/// An independent peer is understood, whichever suites it speaks and whoever dials.
#[test]
fn a_peer_of_other_making_speaks_either_suite() {
    for (suites, preamble) in [(CHACHA, *b"symb\x01\x00\x00\x01"), (AES, *b"symb\x01\x00\x00\x03")] {
        if suites == AES && !has_aes() {
            continue;
        }
        for role in [Role::Initiator, Role::Responder] {
            let preamble = if role.is_initiator() { preamble } else { answer(suites) };
            let knobs = Knobs { preamble: Some(preamble), ..Knobs::default() };
            let config = device(VICTIM).with_provider(Provider::aws_lc());
            let admission = Admission::expect(knobs.peer_id());
            let mut attacker = Attacker::new(role, knobs);
            let mut victim = Victim::new(!role, &config, admission);
            attacker.handshake(&mut victim);
            if role.is_initiator() {
                assert_eq!(attacker.open(&victim.written()), [message::accept()]);
            } else {
                victim.feed(&attacker.seal(&message::accept()));
            }
            assert_eq!(victim.events(), [Happened::Connected(attacker.knobs.peer_id())], "{role:?}");
            victim.feed(&attacker.seal(&message::ping(7)));
            assert_eq!(attacker.open(&victim.written()), [message::pong(7)]);
        }
    }
}

/// PRE-5: a suite that was not offered is refused, also where it is one that others offer.
#[test]
fn suite_two_is_refused_where_it_was_not_offered() {
    let mut victim = Victim::new(Role::Initiator, &device(VICTIM), Admission::Ask);
    victim.written();
    victim.feed(&answer(AES));
    victim.assert_dropped(HandshakeError::Preamble);
}

fn answer(suites: u16) -> [u8; 8] {
    let [high, low] = suites.to_be_bytes();
    [b'o', b'l', b'o', b'n', 1, 0, high, low]
}
