//! Each field of `Limits` at its limit and one beyond it.

mod common;

use common::attacker::Knobs;
use common::cbor::{message, uint};
use common::hostile::Hostile;
use common::{Happened, Pair, device, device_with};
use symbolon::{
    ConfigError, ExchangeId, Limits, Missed, Outgoing, PeerMisbehaved, Point, Role, SendError, Status,
};

/// What a queue stores beside a message.
const QUEUE_HEADER: usize = 21;

fn outgoing(body: &[u8]) -> Outgoing<'_> {
    Outgoing {
        topic: "t",
        point: Point { epoch: 1, sequence: 0 },
        missed: Missed::NONE,
        retained: false,
        body,
    }
}

/// `b` publishes into a subscription of `a`'s that has credit for everything.
fn publishing(pair: &mut Pair) -> ExchangeId {
    pair.a.subscribe("t", u32::MAX, None).unwrap();
    let Some(Happened::Subscribe { id, .. }) = pair.events_b().pop() else { panic!() };
    pair.b.accept_subscription(id).unwrap();
    pair.settle();
    id
}

/// Limits that would not hold one message of the smallest frame are refused, and the smallest that do are taken.
#[test]
fn limits_are_checked() {
    type Set = fn(&mut Limits, usize);
    let fields: [(Set, usize, ConfigError); 4] = [
        (|l, n| l.max_frame = u16::try_from(n).expect("below 64 Ki"), 256, ConfigError::MaxFrame),
        (|l, n| l.call_queue = n, 288, ConfigError::CallQueue),
        (|l, n| l.publication_queue = n, 288, ConfigError::PublicationQueue),
        (|l, n| l.body_buffer = n, 1, ConfigError::BodyBuffer),
    ];
    for (set, least, error) in fields {
        let with = |value| {
            let mut limits = Limits::default();
            set(&mut limits, value);
            device(1).with_limits(limits).map(drop)
        };
        assert_eq!(with(0), Err(error));
        assert_eq!(with(least - 1), Err(error));
        assert_eq!(with(least), Ok(()));
        assert_eq!(with(65_535), Ok(()));
    }
    // No body in chunks at all, or one of which a byte can come.
    for (window, taken) in [(0, true), (1, false), (14, false), (15, true)] {
        let mut limits = Limits::default();
        limits.window = window;
        let with = device(1).with_limits(limits).map(drop);
        assert_eq!(with, if taken { Ok(()) } else { Err(ConfigError::Window) });
    }
    assert!(device(1).with_limits(Limits::small()).is_ok());
}

/// All limits at their least: two such devices still understand each other, though neither opens anything.
#[test]
fn the_least_limits_work() {
    let least = |n, requests| {
        device_with(n, |limits, _| {
            limits.max_frame = 256;
            limits.requests_in = requests;
            limits.requests_out = requests;
            limits.subscriptions_in = 0;
            limits.subscriptions_out = 0;
            limits.call_queue = 288;
            limits.publication_queue = 288;
            limits.buffer_at_rest = 0;
        })
    };
    let mut pair = Pair::connected_of(&least(1, 0), &least(2, 0));
    assert_eq!(pair.a.request(pair.now, "m", b"", None), Err(SendError::NoneTaken));
    assert_eq!(pair.b.subscribe("t", 9, None), Err(SendError::NoneTaken));
    pair.pass(std::time::Duration::from_secs(100));
    assert!(pair.a.is_connected() && pair.b.is_connected());
    let mut pair = Pair::connected_of(&least(1, 1), &least(2, 1));
    for len in [0, 1, 100, 180] {
        assert_eq!(pair.echo(&vec![7; len]), vec![7; len]);
    }
}

/// All limits at their most.
#[test]
fn the_most_limits_work() {
    let most = |n| {
        device_with(n, |limits, _| {
            *limits = Limits::default();
            limits.max_frame = u16::MAX;
            limits.requests_in = u16::MAX;
            limits.requests_out = u16::MAX;
            limits.subscriptions_in = u16::MAX;
            limits.subscriptions_out = u16::MAX;
            limits.call_queue = 64 << 20;
            limits.publication_queue = 64 << 20;
        })
    };
    let mut pair = Pair::connected_of(&most(1), &most(2));
    for _ in 0..u16::MAX {
        pair.a.request(pair.now, "m", b"", None).unwrap();
    }
    assert_eq!(pair.a.request(pair.now, "m", b"", None), Err(SendError::TooMany));
    let requests = pair.events_b();
    assert_eq!(requests.len(), usize::from(u16::MAX));
    for request in requests {
        let Happened::Request { id, .. } = request else { panic!() };
        pair.b.respond(id, Status::OK, b"").unwrap();
    }
    assert_eq!(pair.events_a().len(), usize::from(u16::MAX));
    assert_eq!(pair.echo(&[7; 65_000]), [7; 65_000]);
}

/// `max_frame`, FRM-2, FRM-3: a frame of that length is taken, one byte more ends the connection.
#[test]
fn max_frame_is_the_longest_frame_taken() {
    for max_frame in [256, 300, 16_384, u16::MAX] {
        let config = device_with(1, |limits, _| limits.max_frame = max_frame);
        let met = || Hostile::of(Role::Initiator, &config, Knobs::default());
        let plaintext = usize::from(max_frame) - 16;
        let overhead = message::padding(plaintext - 10).len() - (plaintext - 10);
        let longest = message::padding(plaintext - overhead);
        assert_eq!(longest.len(), plaintext);
        let mut peer = met();
        let declared = [uint(2), uint(max_frame.into()), uint(3)].concat();
        assert!(peer.attacker.victim_payload.windows(declared.len()).any(|part| part == declared));
        assert_eq!(peer.tell(&longest), []);
        assert!(!peer.victim.is_closed());
        let Some(one_more) = max_frame.checked_add(1) else { continue };
        let beyond = message::padding(plaintext - overhead + 1);
        peer.violates(&beyond, PeerMisbehaved::FrameLength(one_more));
    }
}

/// FRM-2: a message that fills the peer's longest frame leaves, one byte more is refused with both lengths.
#[test]
fn a_message_fits_the_peers_longest_frame_or_is_refused() {
    for max_frame in [256_u16, 1_000, u16::MAX] {
        let a = device_with(1, |limits, _| limits.max_frame = max_frame);
        let mut pair = Pair::connected_of(&a, &device(2));
        let max = usize::from(max_frame) - 16;
        // Requests are checked with the longest head that they may get.
        let over = pair.b.request(pair.now, "m", &[7; 70_000], None).unwrap_err();
        let SendError::TooLarge { len, max: told } = over else { panic!("{over:?}") };
        assert_eq!(told, max);
        let overhead = len - 70_000;
        let body = vec![7; max];
        let mut fit = max - overhead;
        while pair.b.request(pair.now, "m", &body[..fit + 1], None).is_ok() {
            fit += 1;
            pair.settle();
        }
        assert!(fit <= max - overhead + 4, "heads differ by a few bytes only");
        let error = pair.b.request(pair.now, "m", &body[..fit + 1], None).unwrap_err();
        assert_eq!(error, SendError::TooLarge { len: max + 1, max });
        pair.b.request(pair.now, "m", &body[..fit], None).unwrap();
        assert!(matches!(pair.events_a().last(), Some(Happened::Request { body, .. }) if body.len() == fit));

        // Publications know their length exactly.
        let id = publishing(&mut pair);
        let fit = max - (message::publication(2, 0, 0, "t", 0, &body, None).len() - body.len());
        let longest = outgoing(&body[..fit]);
        pair.b.publish(id, &longest).unwrap();
        let error = pair.b.publish(id, &outgoing(&body[..fit + 1])).unwrap_err();
        assert_eq!(error, SendError::TooLarge { len: max + 1, max });
        assert!(
            matches!(pair.events_a().last(), Some(Happened::Publication { cost, .. }) if *cost as usize == max)
        );
    }
}

/// `call_queue`: as many bytes wait as it says, with what is stored beside each message; what can never fit is
/// `TooLarge`, what does not fit now `Full`.
#[test]
fn call_queue_bounds_what_waits() {
    let config = device_with(1, |limits, _| limits.call_queue = 1_000);
    let mut peer = Hostile::of(Role::Initiator, &config, Knobs::default());
    let ids: Vec<_> = (1..=4).map(|n| peer.request(&message::request(2 * n, 0, 0, "m", b""))).collect();
    let connection = &mut peer.victim.connection;
    let overhead = message::response(2, 0, 0, &[7; 900]).len() - 900;
    let fit = 1_000 - QUEUE_HEADER - overhead;
    let body = vec![7; 1_000];
    assert_eq!(
        connection.respond(ids[0], Status::OK, &body[..fit + 1]),
        Err(SendError::TooLarge { len: 1_000 - QUEUE_HEADER + 1, max: 1_000 - QUEUE_HEADER })
    );
    // Two that are together as long as the queue.
    let short = message::response(2, 0, 0, b"").len() + QUEUE_HEADER;
    assert_eq!(connection.respond(ids[0], Status::OK, b""), Ok(()));
    assert_eq!(connection.respond(ids[1], Status::OK, &body[..fit - short + 1]), Err(SendError::Full));
    assert_eq!(connection.respond(ids[1], Status::OK, &body[..fit - short]), Ok(()));
    assert_eq!(connection.respond(ids[2], Status::OK, b""), Err(SendError::Full));
    // What answers for the application needs no room.
    assert_eq!(peer.tell(&message::request(100, 0, 0, "", b"")), []);
    assert!(peer.heard().starts_with(&message::response(100, 5, 0, b"")));
    peer.victim.connection.respond(ids[2], Status::OK, &body[..fit]).unwrap();
    assert_eq!(peer.victim.connection.respond(ids[3], Status::OK, b""), Err(SendError::Full));
}

/// `publication_queue`: the same for publications, and neither queue takes of the other.
#[test]
fn publication_queue_bounds_what_waits() {
    let b = device_with(2, |limits, _| limits.publication_queue = 1_000);
    let mut pair = Pair::connected_of(&device(1), &b);
    let id = publishing(&mut pair);
    let body = vec![7; 2_000];
    let overhead = message::publication(2, 0, 0, "t", 0, &[7; 900], None).len() - 900;
    let fit = 1_000 - QUEUE_HEADER - overhead;
    let max = 1_000 - QUEUE_HEADER;
    assert_eq!(
        pair.b.publish(id, &outgoing(&body[..fit + 1])),
        Err(SendError::TooLarge { len: max + 1, max })
    );
    pair.b.publish(id, &outgoing(&body[..fit])).unwrap();
    assert_eq!(pair.b.publish(id, &outgoing(b"")), Err(SendError::Full));
    assert_eq!(pair.b.publish_missed(id, Missed { count: 1, unknown: false }), Err(SendError::Full));
    assert_eq!(pair.b.end_subscription(id, Status::OK), Err(SendError::Full));
    pair.b.request(pair.now, "m", &body, None).unwrap();
    pair.settle();
    pair.b.publish(id, &outgoing(b"")).unwrap();
    pair.b.end_subscription(id, Status::OK).unwrap();
}

/// `buffer_at_rest`: what a connection keeps after the handshake, for any size of it.
#[test]
fn buffer_at_rest_is_what_is_kept() {
    for at_rest in [512, 2_000] {
        let a = device_with(1, |limits, _| limits.buffer_at_rest = at_rest);
        let pair = Pair::connected_of(&a, &device(2));
        assert_eq!(pair.a.buffered(), 2 * at_rest);
    }
}

/// The limits of both sides travel in the handshake.  SPEC §5.2
#[test]
fn limits_are_declared() {
    let config = device_with(1, |limits, _| {
        limits.max_frame = 777;
        limits.requests_in = 0;
        limits.subscriptions_in = u16::MAX;
        limits.window = 4_321;
    });
    for role in [Role::Initiator, Role::Responder] {
        let peer = Hostile::of(role, &config, Knobs::default());
        let declared = [2, 777, 3, 0, 4, 65_535, 5, 4_321, 6, 30_000, 7, 0].map(uint).concat();
        assert!(peer.attacker.victim_payload.ends_with(&declared));
    }
}

/// `Limits::transmit_buffer`: publications that are sealed behind what is on its way take the room of what has left, also
/// where the stream always takes less than there is.
#[test]
fn what_has_left_takes_no_room() {
    let mut pair = Pair::connected();
    let id = publishing(&mut pair);
    let body = [7; 16_000];
    let most = Limits::default().transmit_buffer;
    for _ in 0..3 {
        pair.b.publish(id, &outgoing(&body)).unwrap();
    }
    for round in 0..200 {
        pair.b.publish(id, &outgoing(&body)).unwrap();
        let frame = pair.b.poll_transmit(pair.now).expect("four frames")[..16_050].to_vec();
        pair.b.advance_transmit(frame.len());
        let buffered = pair.b.buffered();
        assert!(buffered <= 2 * most + Limits::default().publication_queue, "round {round}: {buffered}");
    }
}

/// The same of what is sealed one frame behind the other: the buffer never grows beyond what it may have.
#[test]
fn a_buffer_grows_no_further_than_its_bound() {
    let mut pair = Pair::connected();
    let id = publishing(&mut pair);
    let before = pair.b.buffered();
    for _ in 0..9 {
        pair.b.publish(id, &outgoing(&[7; 5_000])).unwrap();
    }
    // None of them went through the queue, which has grown no more.
    let grown = pair.b.buffered() - before;
    assert!(grown <= Limits::default().transmit_buffer, "{grown}");
}
