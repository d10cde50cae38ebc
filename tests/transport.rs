//! Frames after the handshake: each opens once, in its order, in its direction, in its connection.  SPEC §7
//!
//! TRN-3 and T3, the last nonce, are out of reach for a peer; the unit tests of the ciphers have them.

mod common;

use common::attacker::{Attacker, Knobs, VICTIM, Victim, framed, take_frame};
use common::cbor::message;
use common::{Happened, Pair, device};
use symbolon::{
    Admission, CloseReason, EncodingError, Missed, Outgoing, PeerMisbehaved, Point, Role, Status, WireError,
};

const BOTH: [Role; 2] = [Role::Initiator, Role::Responder];

/// The id of the attacker's first exchange in this role.
fn first_id(role: Role) -> u64 {
    if role.is_initiator() { 2 } else { 1 }
}

/// Hands the victim a frame that must not open.
#[track_caller]
fn does_not_open(attacker: &mut Attacker, victim: &mut Victim, frame: &[u8]) {
    victim.feed(frame);
    victim.assert_closed(attacker, PeerMisbehaved::Unauthentic, 33);
}

/// TRN-1, T1, T9: each byte of a frame changed; nothing of its plaintext is seen.
#[test]
fn a_changed_frame_does_not_open() {
    for role in BOTH {
        let (mut attacker, _) = Attacker::connected(role);
        let genuine = attacker.seal(&message::request(first_id(role), 0, 0, "m", b"secret"));
        for at in 2..genuine.len() {
            for mask in [0x01, 0x80] {
                let (mut attacker, mut victim) = Attacker::connected(role);
                let mut forged = genuine.clone();
                forged[at] ^= mask;
                does_not_open(&mut attacker, &mut victim, &forged);
            }
        }
    }
}

/// TRN-1, T1: a frame cut short or made longer, with a header that says so.
#[test]
fn a_frame_of_another_length_does_not_open() {
    for role in BOTH {
        let (mut attacker, _) = Attacker::connected(role);
        let sealed = attacker.seal(&message::request(first_id(role), 0, 0, "m", b"secret"))[2..].to_vec();
        for len in (17..sealed.len() + 20).filter(|len| *len != sealed.len()) {
            let (mut attacker, mut victim) = Attacker::connected(role);
            let mut forged = sealed.clone();
            forged.resize(len, 0);
            does_not_open(&mut attacker, &mut victim, &framed(&forged));
        }
    }
}

/// TRN-1, T4: a frame once more, one before its turn, and one that was left out.
#[test]
fn frames_open_once_and_in_their_order() {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::connected(role);
        let frame = attacker.seal(&message::ping(1));
        victim.feed(&frame);
        assert_eq!(attacker.open(&victim.written()), [message::pong(1)]);
        does_not_open(&mut attacker, &mut victim, &frame);

        for n in [2, 3, 65_535, 65_536, 1 << 32, u64::MAX - 1] {
            let (mut attacker, mut victim) = Attacker::connected(role);
            let frame = attacker.seal_at(n, &message::ping(1));
            does_not_open(&mut attacker, &mut victim, &frame);
        }
    }
}

/// TRN-1, T4: the victim's own frame comes back.
#[test]
fn a_reflected_frame_does_not_open() {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::connected(role);
        victim.connection.goaway().unwrap();
        let own = victim.written();
        attacker.open(&own);
        does_not_open(&mut attacker, &mut victim, &own);
    }
}

/// TRN-1, T4: a frame of another connection between the same two.
#[test]
fn a_frame_of_another_connection_does_not_open() {
    for role in BOTH {
        let (mut earlier, _) = Attacker::connected(role);
        let frame = earlier.seal(&message::ping(1));
        let knobs = Knobs::default();
        let admission = Admission::expect(knobs.peer_id());
        let mut victim = Victim::with_seed(!role, &device(VICTIM), admission, 201);
        let mut attacker = Attacker::new(role, knobs);
        attacker.handshake(&mut victim);
        if role.is_initiator() {
            attacker.open(&victim.written());
        } else {
            victim.feed(&attacker.seal(&message::accept()));
            // The earlier one's first frame was `accept` as well: this is its second.
        }
        victim.events();
        does_not_open(&mut attacker, &mut victim, &frame);
    }
}

/// TRN-1, FRM-3, T5: an empty plaintext cannot occur.
#[test]
fn an_empty_frame_is_a_violation() {
    let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
    victim.feed(&attacker.seal(b""));
    victim.assert_closed(&mut attacker, PeerMisbehaved::FrameLength(16), 33);
}

/// TRN-2, T10: the attacker rekeys after 65,536 frames, as Noise says, and both directions go on.
#[test]
fn both_directions_rekey_after_65_536_frames() {
    let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
    // The victim's first frame was `accept`, so its directions do not rekey at the same moment.
    for token in 0..65_538 {
        victim.feed(&attacker.seal(&message::ping(token)));
        assert_eq!(attacker.open(&victim.written()), [message::pong(token)]);
    }
    assert_eq!((attacker.sending, attacker.receiving), (65_538, 65_539));
    assert_eq!(victim.events(), []);
}

/// TRN-2, T10: frame 65,536 still has the first key, and frame 65,537 has it no longer.
#[test]
fn a_key_opens_65_536_frames_and_no_more() {
    let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
    for n in 0..65_536 {
        victim.feed(&attacker.seal_at(n, &message::padding(0)));
    }
    assert_eq!((victim.events(), victim.is_closed()), (vec![], false));
    let late = attacker.seal_at(65_536, &message::padding(0));
    does_not_open(&mut attacker, &mut victim, &late);
}

/// TRN-2, T10: two connections of the crate agree on it.
#[test]
fn two_connections_rekey_together() {
    let mut pair = Pair::connected();
    let ours = pair.b.subscribe("a", u32::MAX, None).unwrap();
    let Some(Happened::Subscribe { id, .. }) = pair.events_a().pop() else { panic!() };
    pair.a.accept_subscription(id).unwrap();
    assert_eq!(pair.events_b(), [Happened::Subscribed(ours)]);
    for sequence in 0..65_538 {
        let point = Point { epoch: 1, sequence };
        let publication = Outgoing { topic: "a", point, missed: Missed::NONE, retained: false, body: b"" };
        pair.a.publish(id, &publication).unwrap();
        let events = pair.events_b();
        let [Happened::Publication { point: got, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(*got, point);
    }
    let mut stream = pair.a_to_b.record.as_slice().split_at(8).1;
    let mut frames = 0;
    while let Some((header, behind)) = stream.split_first_chunk() {
        stream = &behind[usize::from(u16::from_be_bytes(*header))..];
        frames += 1;
    }
    assert_eq!(frames, 2 + 1 + 65_538, "two of the handshake, the answer, and each publication in its own");
}

/// TRN-4: what stands before a bad message has taken effect; it and what follows have not.
#[test]
fn messages_take_effect_one_by_one() {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::connected(role);
        let id = first_id(role);
        let request = |id| message::request(id, 0, 0, "m", b"");
        let bad = message::of(16, &[]);
        victim.feed(&attacker.seal(&[request(id), request(id + 2), bad, request(id + 4)].concat()));
        let events = victim.events();
        let ids: Vec<u64> = events
            .iter()
            .filter_map(|event| match event {
                Happened::Request { id, .. } => Some(id.number()),
                _ => None,
            })
            .collect();
        assert_eq!(ids, [id, id + 2]);
        let reason = PeerMisbehaved::Message(WireError::UnknownType(16));
        assert_eq!(events[2..], [Happened::Closed(reason.into())]);
        assert_eq!(attacker.open(&victim.written()), [message::close(33)]);
    }
}

/// TRN-4: also where the frame ends within a message; no message spans frames.
#[test]
fn a_message_does_not_span_frames() {
    let whole = message::request(2, 0, 0, "m", b"body");
    for cut in 1..whole.len() {
        let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
        let frames = attacker.seal_each(&[whole[..cut].to_vec(), whole[cut..].to_vec()]);
        victim.feed(&frames);
        let truncated = WireError::Encoding(EncodingError::Truncated);
        victim.assert_closed(&mut attacker, PeerMisbehaved::Message(truncated), 33);
    }
}

/// TRN-5: what waits goes out in one frame, and at once.
#[test]
fn what_waits_shares_a_frame() {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::connected(role);
        victim.feed(&attacker.seal(&message::ping(9)));
        let mut expected = message::pong(9);
        for n in 0..20 {
            let id = victim.connection.request(victim.now, "m", &[n], None).unwrap();
            expected.extend(message::request(id.number(), 0, 0, "m", &[n]));
        }
        assert_eq!(attacker.open(&victim.written()), [expected], "no time has passed");
    }
}

/// TRN-5, FRM-2: where a frame is full, the rest goes out in the next.
#[test]
fn what_does_not_fit_follows_in_the_next_frame() {
    let knobs = Knobs { max_frame: 256, ..Knobs::default() };
    let (mut attacker, mut victim) = Attacker::connected_with(Role::Initiator, knobs);
    let mut expected = Vec::new();
    for n in 0..20 {
        let id = victim.connection.request(victim.now, "m", &[n; 60], None).unwrap();
        expected.extend(message::request(id.number(), 0, 0, "m", &[n; 60]));
    }
    let frames = attacker.open(&victim.written());
    assert_eq!(frames.concat(), expected);
    assert!(frames.len() < 10, "{} frames for 20 messages", frames.len());
}

/// TRN-1: two frames that arrive as one piece, the second of them forged.
#[test]
fn a_forged_frame_does_not_undo_the_one_before() {
    let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
    let mut both = attacker.seal_each(&[message::request(2, 0, 0, "m", b""), message::ping(1)]);
    *both.last_mut().unwrap() ^= 1;
    victim.feed(&both);
    let events = victim.events();
    assert!(matches!(events[0], Happened::Request { .. }));
    assert_eq!(events[1..], [Happened::Closed(PeerMisbehaved::Unauthentic.into())]);
}

/// TRN-1: between two connections of the crate, each byte behind the handshake changed on its way.
#[test]
fn between_two_connections_a_changed_frame_ends_the_connection() {
    let request = |pair: &mut Pair| pair.a.request(pair.now, "m", b"body", None).unwrap();
    let mut whole = Pair::connected();
    let start = whole.a_to_b.record.len();
    request(&mut whole);
    whole.settle();
    let mut frame = whole.a_to_b.record[start..].to_vec();
    let len = frame.len();
    assert!(take_frame(&mut frame).is_some() && frame.is_empty());
    for at in start + 2..start + len {
        let mut pair = Pair::connected();
        let id = request(&mut pair);
        pair.a_to_b.corrupt_at = Some(at);
        assert_eq!(pair.events_b(), [Happened::Closed(PeerMisbehaved::Unauthentic.into())]);
        let violation = Happened::Closed(CloseReason::Remote(Status::VIOLATION));
        assert_eq!(pair.events_a(), [Happened::Failed(id, symbolon::Failure::Disconnected), violation]);
    }
}
