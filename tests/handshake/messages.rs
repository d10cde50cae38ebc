//! Messages that are changed, out of order, or of another connection.  SPEC §5.1

use core::time::Duration;

use symbolon::{Admission, CloseReason, Connection, HandshakeError, Instant, Role, SendError, TimedOut};

use crate::BOTH;
use crate::common::attacker::{ANSWER, Attacker, Knobs, OFFER, VICTIM, Victim, framed, public_of};
use crate::common::cbor::message;
use crate::common::{Happened, Pair, device, seed};

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
