//! In which order messages leave.  SPEC §12

mod common;

use common::attacker::Knobs;
use common::cbor::message;
use common::hostile::Hostile;
use common::{Happened, Pair, device, device_with};
use symbolon::{ExchangeId, Failure, Missed, Outgoing, Point, RequestHead, Role, Status};

fn outgoing<'a>(sequence: u64, body: &'a [u8]) -> Outgoing<'a> {
    Outgoing { topic: "t", point: Point { epoch: 1, sequence }, missed: Missed::NONE, retained: false, body }
}

/// A victim that publishes into the attacker's subscription 2; frames are as long as `max_frame`.
fn publishing(max_frame: u64) -> (Hostile, ExchangeId) {
    let config = device_with(1, |limits, _| limits.requests_out = 1_000);
    let knobs = Knobs { max_frame, max_requests: 1_000, ..Knobs::default() };
    let mut peer = Hostile::of(Role::Initiator, &config, knobs);
    let id = peer.subscribe(&message::subscribe(2, 1 << 40, "t", None));
    peer.victim.connection.accept_subscription(id).unwrap();
    assert_eq!(peer.heard(), message::response(2, 0, 1, b""));
    (peer, id)
}

fn publication(sequence: u64, body: &[u8]) -> Vec<u8> {
    message::publication(2, 0, 0, "t", sequence, body, None)
}

/// LAN-1: control before calls before publications, each lane in the order in which it was queued; TRN-5: all in
/// one frame where they fit.
#[test]
fn lanes_leave_in_order() {
    let (mut peer, id) = publishing(65_535);
    let now = peer.victim.now;
    let connection = &mut peer.victim.connection;
    connection.publish(id, &outgoing(0, b"a")).unwrap();
    connection.publish_missed(id, Missed { count: 1, unknown: false }).unwrap();
    connection.publish(id, &outgoing(1, b"b")).unwrap();
    connection.request(now, "m1", b"", None).unwrap();
    connection.subscribe("t", 9, None).unwrap();
    connection.request(now, "m2", b"", None).unwrap();
    peer.say(&message::ping(5));
    peer.victim.connection.goaway().unwrap();
    let expected = [
        message::pong(5),
        message::goaway(2),
        message::request(1, 0, 0, "m1", b""),
        message::subscribe(3, 9, "t", None),
        message::request(5, 0, 0, "m2", b""),
        publication(0, b"a"),
        message::missed(2, 0, 1),
        publication(1, b"b"),
    ];
    assert_eq!(peer.frames(), [expected.concat()]);
}

/// LAN-1: with calls that fill every frame, at least one frame in sixteen begins with the publications that wait.
#[test]
fn publications_are_never_starved_by_calls() {
    let (mut peer, id) = publishing(256);
    let now = peer.victim.now;
    for n in 0..10 {
        peer.victim.connection.publish(id, &outgoing(n, b"waits")).unwrap();
    }
    for _ in 0..200 {
        peer.victim.connection.request(now, "m", &[7; 200], None).unwrap();
    }
    let frames = peer.frames();
    let begins = |frame: &Vec<u8>| frame.starts_with(&publication(0, b"waits")[..2]);
    let places: Vec<_> = (0..frames.len()).filter(|n| begins(&frames[*n])).collect();
    assert!(places[0] < 16, "{places:?}");
    assert!(places.windows(2).all(|pair| pair[1] - pair[0] <= 16), "{places:?}");
    assert!(places.len() >= 10, "{places:?} of {}", frames.len());
    // And calls keep all the others.
    assert!(frames.len() <= 200 + 10);
}

/// LAN-1, R3: a peer that pings with each frame does not starve the lanes below control.
#[test]
fn pings_starve_nothing() {
    let (mut peer, id) = publishing(256);
    let now = peer.victim.now;
    for n in 0..50 {
        peer.say(&message::ping(n));
        peer.victim.connection.publish(id, &outgoing(n, &[7; 180])).unwrap();
        peer.victim.connection.request(now, "m", &[7; 200], None).unwrap();
    }
    // MSG-2: one pong, for the newest.
    let heard = peer.frames();
    assert!(heard[0].starts_with(&message::pong(49)));
    assert_eq!(heard.len(), 100);
}

/// LAN-2: nothing leaves before `accept`, however much waits for it; it leads the first frame.
#[test]
fn nothing_leaves_before_accept() {
    let config = device(1);
    let knobs = Knobs::default();
    let mut attacker = common::attacker::Attacker::new(Role::Initiator, knobs);
    let mut victim = common::attacker::Victim::new(Role::Responder, &config, symbolon::Admission::Ask);
    attacker.handshake(&mut victim);
    assert_eq!(victim.events(), [Happened::Admission(attacker.knobs.peer_id())]);
    let ahead = [message::ping(1), message::request(2, 0, 0, "m", b"")].concat();
    victim.feed(&attacker.seal(&ahead));
    assert_eq!((victim.events(), victim.written()), (vec![], vec![]), "ADM-3");
    victim.connection.admit(victim.now).unwrap();
    let waiting = victim.refused;
    assert!(waiting > 0, "bytes that were not taken are handed in again");
    victim.connection.request(victim.now, "m", b"", None).unwrap();
    let frames = attacker.open(&victim.written());
    assert_eq!(frames, [[message::accept(), message::request(1, 0, 0, "m", b"")].concat()]);
}

/// LAN-2, END-2: nothing leaves after `close`, and commands say so.
#[test]
fn nothing_leaves_after_close() {
    let (mut peer, id) = publishing(65_535);
    let now = peer.victim.now;
    peer.victim.connection.publish(id, &outgoing(0, b"")).unwrap();
    peer.victim.connection.close(now, Status::OK);
    peer.say(&message::ping(3));
    let expected = [message::pong(3), publication(0, b""), message::close(0)].concat();
    assert_eq!(peer.frames(), [expected], "close goes behind all that is queued");
    peer.say(&message::ping(4));
    peer.say(&message::request(4, 0, 0, "", b""));
    peer.pass(std::time::Duration::from_secs(2));
    assert_eq!(peer.heard(), b"");
}

/// LAN-3: a subscription's answer, what is published into it and its end keep their order, whatever the lanes do.
#[test]
fn messages_of_an_exchange_do_not_overtake_each_other() {
    let config = device(1);
    let mut peer = Hostile::of(Role::Initiator, &config, Knobs { max_frame: 256, ..Knobs::default() });
    let now = peer.victim.now;
    let id = peer.subscribe(&message::subscribe(2, 100_000, "t", None));
    let connection = &mut peer.victim.connection;
    connection.accept_subscription(id).unwrap();
    let bodies: Vec<Vec<u8>> = (0..40).map(|n| vec![7; n * 37 % 200]).collect();
    for (n, body) in bodies.iter().enumerate() {
        connection.publish(id, &outgoing(n as u64, body)).unwrap();
        connection.request(now, "m", &[1; 150], None).unwrap();
    }
    connection.publish_missed(id, Missed { count: 9, unknown: false }).unwrap();
    connection.end_subscription(id, Status::OK).unwrap();
    let mut expected = message::response(2, 0, 1, b"");
    for (n, body) in bodies.iter().enumerate() {
        expected.extend(publication(n as u64, body));
    }
    expected.extend([message::missed(2, 0, 9), message::end(2, 0)].concat());

    // Take the requests out of what was heard; they are 160 bytes each, and begin with their type.
    let mut heard = peer.heard();
    for n in 0..40 {
        let request = message::request(1 + 2 * n, 0, 0, "m", &[1; 150]);
        let at = heard.windows(request.len()).position(|part| part == request).expect("each request");
        heard.drain(at..at + request.len());
    }
    assert_eq!(heard, expected);
}

/// LAN-3: `cancel` and `credit` may overtake, but not their opening: what is not opened is not cancelled.
#[test]
fn a_cancel_does_not_overtake_its_opening() {
    // One frame at a time.
    let config = device_with(1, |limits, _| limits.transmit_buffer = 0);
    let mut peer = Hostile::of(Role::Initiator, &config, Knobs { max_frame: 256, ..Knobs::default() });
    let now = peer.victim.now;
    let connection = &mut peer.victim.connection;
    let first = connection.request(now, "m", &[1; 200], None).unwrap();
    let second = connection.request(now, "m", &[2; 200], None).unwrap();
    // Only the first leaves.
    let frame = connection.poll_transmit(now).unwrap().to_vec();
    connection.advance_transmit(frame.len());
    connection.cancel(second).unwrap();
    connection.cancel(first).unwrap();
    assert_eq!(peer.attacker.open(&frame), [message::request(1, 0, 0, "m", &[1; 200])]);
    assert_eq!(peer.heard(), message::cancel(1, 1));
    let failed = |id| Happened::Failed(id, Failure::Cancelled);
    assert_eq!(peer.victim.events(), [failed(second), failed(first)]);
}

/// TRN-5, FRM-2: as many messages as fit go into a frame, and none is longer than the peer takes.
#[test]
fn frames_are_filled() {
    for max_frame in [256, 257, 1_000, 65_535] {
        let (mut peer, id) = publishing(max_frame);
        for n in 0..300 {
            peer.victim.connection.publish(id, &outgoing(n, &[7; 90])).unwrap();
        }
        let one = publication(0, &[7; 90]).len();
        let frames = peer.frames();
        let (last, full) = frames.split_last().unwrap();
        for frame in full {
            let left = max_frame as usize - 16 - frame.len();
            assert!(left < one + 3, "{left} bytes left in a frame of {max_frame}");
        }
        assert!(last.len() + 16 <= max_frame as usize);
        let expected: Vec<u8> = (0..300).flat_map(|n| publication(n, &[7; 90])).collect();
        assert_eq!(frames.concat(), expected);
    }
}

/// LAN-1: a long publication, which is sealed at once where it can be, does not first seal the bodies in chunks that wait.
#[test]
fn a_long_publication_overtakes_a_body() {
    let wide = device_with(1, |limits, _| limits.window = 1 << 20);
    let mut pair = Pair::connected_of(&wide, &device(2));
    let now = pair.now;
    let subscription = pair.a.subscribe("t", u32::MAX, None).unwrap();
    pair.settle();
    pair.b.accept_subscription(subscription).unwrap();
    let head = RequestHead { method: "m", body: b"", more: false, deadline: None };
    let id = pair.a.open(now, &head).unwrap();
    pair.settle();
    pair.b.respond_more(now, id, b"").unwrap();
    pair.settle();
    // A little is on its way, and as much as may wait waits behind it.
    pair.b.write(id, &[1; 10]).unwrap();
    pair.b.poll_transmit(now).expect("a frame of the body");
    while pair.b.write(id, &[1; 20_000]).is_ok() {}
    pair.b.publish(subscription, &outgoing(0, &[2; 5_000])).unwrap();
    pair.take_logs();
    pair.settle();
    let events = pair.take_logs().0;
    let of_body = |event: &&Happened| matches!(event, Happened::Data(..));
    assert!(events.iter().filter(of_body).count() > 2, "{}", events.len());
    let at = events.iter().position(|event| matches!(event, Happened::Publication { .. }));
    assert_eq!(at, Some(1), "behind the one frame that had left");
}
