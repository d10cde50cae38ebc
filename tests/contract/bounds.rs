//! What it may hold.

use symbolon::{CloseReason, Limits, PeerMisbehaved, Role};

use super::common::cbor::message;
use super::common::hostile::Hostile;
use super::common::{device, device_with};

/// Sentence 4, F2, C12, R9: a length is checked before a byte is stored for it, in frames and inside of them.
#[test]
fn no_size_that_the_peer_chooses_is_allocated_before_it_was_checked() {
    for (max_frame, len) in [(256, 257), (256, 65_535), (16_640, 16_641), (16_640, 16), (16_640, 0)] {
        let config = device_with(1, |limits, _| limits.max_frame = max_frame);
        let mut peer = Hostile::of(Role::Initiator, &config, Default::default());
        peer.heard();
        let before = peer.victim.connection.buffered();
        peer.victim.feed(&u16::to_be_bytes(len));
        assert_eq!(peer.victim.closed(), CloseReason::Misbehaved(PeerMisbehaved::FrameLength(len)));
        assert_eq!(peer.victim.connection.buffered(), before);
    }
    for inside in [
        // A byte string, a text and an array of 2⁶⁴−1, in place of a body, a method, a message.
        [vec![0x86, 0x05, 0x02, 0x00, 0x00, 0x61, 0x6d, 0x5b], vec![0xff; 8]].concat(),
        [vec![0x86, 0x05, 0x02, 0x00, 0x00, 0x7b], vec![0xff; 8]].concat(),
        [vec![0x9b], vec![0xff; 8]].concat(),
    ] {
        let mut peer = Hostile::dialled();
        peer.heard();
        let before = peer.victim.connection.buffered();
        peer.say(&inside);
        let reason = peer.victim.closed();
        assert!(matches!(reason, CloseReason::Misbehaved(PeerMisbehaved::Message(_))), "{reason:?}");
        assert_eq!(peer.victim.connection.buffered(), before);
    }
}

/// Sentence 4, R3: whatever a peer sends while it reads nothing, what waits for it stays within the limits.
#[test]
fn what_waits_for_a_peer_that_reads_nothing_is_bounded() {
    let mut limits = Limits::small();
    limits.requests_in = 4;
    let config = device(1).with_limits(limits).unwrap();
    let mut peer = Hostile::of(Role::Initiator, &config, Default::default());
    let ours = peer.victim.connection.subscribe("t", 1_000, None).unwrap();
    peer.heard();
    peer.say(&message::response(ours.number(), 0, 1, b""));
    peer.victim.events();
    let bound = 2 * (usize::from(limits.max_frame) + 2) + 2 * (limits.call_queue + limits.publication_queue);
    for n in 0..5_000 {
        peer.say(&[message::ping(n), message::goaway(u64::MAX - n), message::missed(1, 0, 0)].concat());
        if n < 4 {
            peer.say(&message::request(2 + 2 * n, 0, 0, "", b""));
        }
        assert!(!peer.victim.is_closed(), "{:?}", peer.victim.events());
        assert!(peer.victim.connection.buffered() <= bound + 2 * limits.buffer_at_rest);
    }
    // One pong, and each answer once.
    let answers: Vec<u8> = (0..4).flat_map(|n| message::response(2 + 2 * n, 5, 0, b"")).collect();
    assert_eq!(peer.heard(), [message::pong(4_999), answers].concat());
}
