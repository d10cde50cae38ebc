//! Frames: which lengths, how long they may take, and what an end in between means.  SPEC §4

mod common;

use core::time::Duration;

use common::attacker::{Attacker, Knobs, OFFER, VICTIM, Victim};
use common::cbor::message;
use common::{Happened, device_with};
use symbolon::{Admission, CloseReason, HandshakeError, PeerMisbehaved, Role, SendError, Status, TimedOut};

const BOTH: [Role; 2] = [Role::Initiator, Role::Responder];

/// Lengths around every bound, and many others.
fn lengths() -> impl Iterator<Item = u16> {
    (0..=600).chain((601..=65_535).step_by(509)).chain([65_535])
}

/// FRM-1, HSK-2, F1, F2, F4, H13: message 1 has 32 bytes, and its header alone decides.
#[test]
fn message_1_of_another_length_is_dropped_at_its_header() {
    for len in lengths().filter(|len| *len != 32) {
        let (mut attacker, mut victim) = Attacker::dial(Knobs::default());
        victim.feed(&attacker.begin()[..8]);
        victim.written();
        let before = victim.connection.buffered();
        let header = len.to_be_bytes();
        victim.feed(&header[..1]);
        assert_eq!(victim.events(), []);
        victim.feed(&header[1..]);
        victim.assert_dropped(HandshakeError::FrameLength(len));
        assert_eq!(victim.connection.buffered(), before);
    }
}

/// FRM-1, F1, F2, F4: messages 2 and 3 have 1 to 512 bytes.
#[test]
fn a_handshake_frame_of_0_or_above_512_is_dropped_at_its_header() {
    for role in BOTH {
        for len in lengths() {
            let (mut attacker, mut victim) = Attacker::against(role, Knobs::default());
            let written = victim.written();
            victim.feed(&attacker.begin());
            attacker.hear(&[written, victim.written()].concat());
            let before = victim.connection.buffered();
            victim.feed(&len.to_be_bytes());
            if (1..=512).contains(&len) {
                assert_eq!(victim.events(), []);
            } else {
                victim.assert_dropped(HandshakeError::FrameLength(len));
                assert_eq!(victim.connection.buffered(), before);
            }
        }
    }
}

/// FRM-2: each frame is within what the receiver declared, and a message of just that length is sent.
#[test]
fn no_frame_is_longer_than_the_receiver_takes() {
    for max_frame in [256, 257, 300, 1_024, 65_535] {
        let knobs = Knobs { max_frame, ..Knobs::default() };
        let (mut attacker, mut victim) = Attacker::connected_with(Role::Responder, knobs);
        let now = victim.now;
        let mut fits = 0;
        for len in (0..max_frame as usize).rev() {
            match victim.connection.request(now, "m", &vec![0; len], None) {
                Ok(_) => {
                    fits = len;
                    break;
                }
                Err(SendError::TooLarge { max, .. }) => assert_eq!(max, max_frame as usize - 16),
                Err(other) => panic!("{other}"),
            }
        }
        assert!(fits + 60 > max_frame as usize, "{fits} of {max_frame}");
        for _ in 0..20 {
            let _ = victim.connection.request(now, "m", &vec![0; fits / 3], None);
        }
        let written = victim.written();
        let mut rest = written.as_slice();
        while let Some((header, behind)) = rest.split_first_chunk() {
            let len = u16::from_be_bytes(*header);
            assert!((17..=max_frame).contains(&len.into()), "{len}");
            rest = &behind[usize::from(len)..];
        }
        assert!(attacker.open(&written).len() > 1);
    }
}

/// FRM-3, F1, F2, F3: a frame of less than 17 bytes, or of more than this side declared, at its header.
#[test]
fn a_frame_of_a_forbidden_length_ends_the_connection_at_its_header() {
    for role in BOTH {
        let max = 1_024;
        let config = device_with(VICTIM, |limits, _| limits.max_frame = max);
        for len in (0..17).chain([max + 1, max + 2, 0x7fff, 0xffff]) {
            let knobs = Knobs::default();
            let admission = Admission::expect(knobs.peer_id());
            let mut victim = Victim::new(!role, &config, admission);
            let mut attacker = Attacker::new(role, knobs);
            attacker.handshake(&mut victim);
            if role == Role::Responder {
                victim.feed(&attacker.seal(&message::accept()));
            } else {
                attacker.open(&victim.written());
            }
            victim.events();
            let before = victim.connection.buffered();
            victim.feed(&len.to_be_bytes());
            assert_eq!(victim.connection.buffered(), before);
            victim.assert_closed(&mut attacker, PeerMisbehaved::FrameLength(len), 33);
        }
    }
}

/// FRM-3, T6: the longest frame is taken, and one byte more is not.
#[test]
fn the_longest_frame_is_taken() {
    for max in [256, 1_024, 65_535] {
        let config = device_with(VICTIM, |limits, _| limits.max_frame = max);
        let knobs = Knobs::default();
        let mut victim = Victim::new(Role::Responder, &config, Admission::expect(knobs.peer_id()));
        let mut attacker = Attacker::new(Role::Initiator, knobs);
        attacker.handshake(&mut victim);
        attacker.open(&victim.written());
        victim.events();
        let head = message::request(2, 0, 0, "m", &vec![0; usize::from(max) - 40]);
        let body = usize::from(max) - 40 + usize::from(max) - 16 - head.len();
        let request = message::request(2, 0, 0, "m", &vec![7; body]);
        let frame = attacker.seal(&request);
        assert_eq!(frame.len() - 2, usize::from(max));
        victim.feed(&frame);
        assert!(matches!(&victim.events()[..], [Happened::Request { body: got, .. }] if got.len() == body));
    }
}

/// FRM-5, F7: a frame that was begun is late after the frame timer, however busily its bytes trickle in.
#[test]
fn a_frame_that_trickles_in_times_out() {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::connected(role);
        let frame = attacker.seal(&message::request(2, 0, 0, "m", &[0; 100]));
        for byte in &frame[..10] {
            assert_eq!(victim.events(), []);
            victim.feed(&[*byte]);
            victim.pass(Duration::from_millis(999));
        }
        assert_eq!(victim.events(), []);
        victim.pass(Duration::from_millis(10));
        victim.assert_closed(&mut attacker, CloseReason::TimedOut(TimedOut::Frame), 34);
    }
}

/// FRM-5: a frame that is complete in time is not late.
#[test]
fn a_frame_that_is_complete_in_time_is_taken() {
    let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
    let frame = attacker.seal(&message::ping(1));
    victim.feed(&frame[..frame.len() - 1]);
    victim.pass(Duration::from_millis(9_999));
    victim.feed(&frame[frame.len() - 1..]);
    victim.pass(Duration::from_millis(5_000));
    assert_eq!(victim.events(), []);
    assert_eq!(attacker.open(&victim.written())[0], message::pong(1));
}

/// FRM-5: before there are keys the connection is dropped.
#[test]
fn a_handshake_frame_that_trickles_in_times_out() {
    for role in BOTH {
        let config = device_with(VICTIM, |_, timeouts| timeouts.frame = Duration::from_secs(2));
        let knobs = Knobs::default();
        let mut victim = Victim::new(!role, &config, Admission::expect(knobs.peer_id()));
        let mut attacker = Attacker::new(role, knobs);
        let written = victim.written();
        victim.feed(&attacker.begin());
        attacker.hear(&[written, victim.written()].concat());
        victim.pass(Duration::from_secs(3));
        assert_eq!(victim.events(), [], "no frame was begun");
        victim.feed(&attacker.say()[..3]);
        victim.pass(Duration::from_millis(1_999));
        assert_eq!(victim.events(), []);
        victim.pass(Duration::from_millis(1));
        victim.assert_dropped(CloseReason::TimedOut(TimedOut::Frame));
    }
}

/// FRM-5, F7: the handshake's deadline is one for all of it, not one for each byte.
#[test]
fn a_handshake_that_trickles_in_times_out() {
    let (mut attacker, mut victim) = Attacker::dial(Knobs::default());
    for byte in &attacker.begin()[..20] {
        victim.feed(&[*byte]);
        victim.pass(Duration::from_millis(499));
        assert_eq!(victim.events(), []);
    }
    assert_eq!(victim.written(), *b"olon\x01\x00\x00\x01");
    victim.pass(Duration::from_millis(20));
    victim.assert_dropped(CloseReason::TimedOut(TimedOut::Handshake));
    assert_eq!(victim.connection.poll_timeout(), None);
}

/// FRM-4, F6: an end of stream anywhere in the handshake is a truncation, and nothing is sent.
#[test]
fn the_end_of_the_stream_within_the_handshake_is_a_truncation() {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::against(role, Knobs::default());
        let mut written = victim.written();
        let mut stream = attacker.begin();
        victim.feed(&stream);
        written.extend(victim.written());
        attacker.hear(&written);
        stream.extend(attacker.say());
        for cut in 0..stream.len() {
            let (_, mut victim) = Attacker::against(role, Knobs::default());
            victim.written();
            victim.feed(&stream[..cut]);
            victim.written();
            victim.feed_eof();
            victim.assert_dropped(CloseReason::Truncated);
        }
    }
}

/// F6: an end of stream within a header, within a body, or between frames without `close`.
#[test]
fn the_end_of_the_stream_without_a_close_is_a_truncation() {
    let (mut attacker, _) = Attacker::connected(Role::Initiator);
    let frame = attacker.seal(&message::ping(1));
    for cut in 0..=frame.len() {
        let (_, mut victim) = Attacker::connected(Role::Initiator);
        victim.feed(&frame[..cut]);
        victim.feed_eof();
        assert_eq!(victim.closed(), CloseReason::Truncated, "{cut}");
        victim.feed_eof();
        assert_eq!(victim.events(), [], "told once");
    }
}

/// F8: what stands behind `close`, in its frame and in later ones, is not looked at.
#[test]
fn bytes_behind_a_close_are_ignored() {
    let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
    let behind = [message::close(0), message::request(2, 0, 0, "m", b""), vec![0xff]].concat();
    victim.feed(&[attacker.seal(&behind), vec![0, 0, 0xff], vec![0; 1_000]].concat());
    assert_eq!(victim.closed(), CloseReason::Remote(Status::OK));
    assert_eq!(attacker.open(&victim.written()), [message::close(0)]);
    victim.feed(&attacker.seal(&message::ping(1)));
    assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
}

/// F8: after a violation nothing is answered any more.
#[test]
fn a_frame_behind_a_violation_gets_nothing() {
    let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
    let bad = attacker.seal(&message::accept());
    let good = attacker.seal(&message::ping(1));
    victim.feed(&[bad, good].concat());
    victim.assert_closed(&mut attacker, PeerMisbehaved::Accept, 33);
    victim.feed(&attacker.seal(&message::ping(2)));
    assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
}

/// F9: empty input, and the end of an ended stream, change nothing and come to rest.
#[test]
fn empty_input_makes_no_progress_and_no_loop() {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::against(role, Knobs::default());
        let written = victim.written();
        for _ in 0..100 {
            assert_eq!(victim.connection.handle_input(victim.now, b""), 0);
            assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
        }
        victim.feed(&attacker.begin());
        attacker.hear(&[written, victim.written()].concat());
        victim.feed(&attacker.say());
        victim.events();
        victim.written();
        for _ in 0..100 {
            assert_eq!(victim.connection.handle_input(victim.now, b""), 0);
            assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
        }
    }
}

/// FRM-4, F10: the first bytes may come in pieces of any two lengths.
#[test]
fn the_first_message_may_come_in_two_pieces() {
    let whole = Attacker::new(Role::Initiator, Knobs::default()).begin();
    for cut in 0..=whole.len() {
        let (mut attacker, mut victim) = Attacker::dial(Knobs::default());
        attacker.begin();
        victim.feed(&whole[..cut]);
        let mut written = victim.written();
        assert_eq!(written.is_empty(), cut < OFFER.len());
        victim.feed(&whole[cut..]);
        written.extend(victim.written());
        assert!(attacker.hear(&written), "{cut}");
        victim.feed(&attacker.say());
        assert_eq!(victim.events(), [Happened::Connected(attacker.knobs.peer_id())]);
    }
}
