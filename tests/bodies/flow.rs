//! Credit, lanes and turns.  SPEC §11, §12

use minicbor::Decoder;
use symbolon::{ExchangeId, Missed, Outgoing, PeerMisbehaved, Point, Role, SendError, Status};

use crate::behaviour::{begun, head, opened, peer, peer_with};
use crate::common::attacker::Knobs;
use crate::common::cbor::message;
use crate::common::device_with;
use crate::common::hostile::Hostile;
use crate::world::{Plan, Rng, World};

/// A message on the wire: its type, its exchange where it has one, and its length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Sent {
    kind: u8,
    id: u64,
    len: usize,
}

const REQUEST: u8 = 5;
const RESPONSE: u8 = 6;
const DATA: u8 = 9;
const PUBLICATION: u8 = 13;

fn messages(frame: &[u8]) -> Vec<Sent> {
    let mut cbor = Decoder::new(frame);
    let mut sent = Vec::new();
    while cbor.position() < frame.len() {
        let start = cbor.position();
        let fields = cbor.array().unwrap().unwrap();
        let kind = cbor.u8().unwrap();
        let id = if fields > 1 { cbor.u64().unwrap() } else { 0 };
        (2..fields).for_each(|_| cbor.skip().unwrap());
        sent.push(Sent { kind, id, len: cbor.position() - start });
    }
    sent
}

fn data_cost(plaintext: &[u8]) -> u64 {
    messages(plaintext).iter().filter(|sent| sent.kind == DATA).map(|sent| sent.len as u64).sum()
}

/// CRD-1, CRD-2: whatever limits come, lowered, repeated or huge, what was sent never passes the highest of them, and
/// reaches it but for the head of a message.
#[test]
fn a_sender_stays_within_the_highest_limit() {
    for seed in 0..50 {
        let mut rng = Rng::new(seed);
        let window = rng.of(&[0, 1, 14, 15, 16, 100, 70_000]);
        let mut peer = peer_with(window, |limits, _| limits.body_buffer = 1 << 20);
        let ours = opened(&mut peer);
        let mut written = peer.victim.connection.write(ours, &vec![7; 500_000]).unwrap() as u64;
        let (mut highest, mut spent, mut chunks) = (window, data_cost(&peer.heard()), 0);
        for _ in 0..20 {
            assert!(spent <= highest, "{spent} {highest}");
            assert!(spent + 14 >= highest || spent >= written, "{seed}: {spent} of {highest}");
            let limit = rng.of(&[0, 1, highest, highest / 2, highest + 1, highest + 20, highest + 9_000]);
            peer.say(&message::credit(1, limit));
            highest = highest.max(limit);
            let heard = peer.heard();
            chunks += messages(&heard).len() as u64;
            spent += data_cost(&heard);
        }
        peer.say(&message::credit(1, u64::MAX));
        spent += data_cost(&peer.heard());
        assert!(spent >= written && spent <= written + 14 * (chunks + 60), "all of it");
        peer.say(&message::credit(1, u64::MAX));
        written += peer.victim.connection.write(ours, b"more").unwrap() as u64;
        spent += data_cost(&peer.heard());
        assert!(spent > written && !peer.victim.is_closed());
    }
}

/// CRD-2, SPEC §11: before the answer has begun there is no credit to raise; it begins with the window.
#[test]
fn credit_for_an_answer_that_has_not_begun_has_no_effect() {
    let mut peer = peer(50);
    let id = begun(&mut peer);
    peer.say(&message::credit(2, 10_000));
    peer.victim.connection.respond_more(peer.victim.now, id, b"").unwrap();
    peer.victim.connection.write(id, &[7; 500]).unwrap();
    peer.say(&message::credit(2, 10_000));
    let heard = peer.heard();
    assert!(data_cost(&heard) <= 50, "{}", data_cost(&heard));
    peer.say(&message::credit(2, 100));
    assert!((1..=50).contains(&data_cost(&peer.heard())));
    // Nor does it do anything about exchanges that have no body to raise it for.
    peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap();
    peer.heard();
    assert_eq!(peer.tell(&message::credit(1, 5)), []);
}

/// CRD-3: up to the limit, and not a byte beyond it; the same for either side's body, and behind credit that was given.
#[test]
fn a_byte_beyond_the_credit_ends_the_connection() {
    let cost = message::data(2, &[7; 95]).len();
    assert_eq!(cost, 100);
    for answer in [false, true] {
        for beyond in [false, true] {
            for again in [false, true] {
                let mut peer = peer_with(0, |limits, _| limits.window = 100);
                let id = if answer {
                    let ours = peer.victim.connection.open(peer.victim.now, &head(false)).unwrap();
                    peer.heard();
                    peer.say(&message::response(1, 0, 1, b""));
                    ours
                } else {
                    begun(&mut peer)
                };
                peer.victim.events();
                let data = |len: usize| message::data(id.number(), &vec![7; len]);
                if again {
                    assert_eq!(peer.tell(&data(95)).len(), 1);
                    peer.victim.connection.release(id, 100).unwrap();
                    assert_eq!(peer.heard(), message::credit(id.number(), 200));
                }
                if beyond && !answer {
                    peer.violates(&data(96), PeerMisbehaved::CreditExceeded(id.number()));
                } else if beyond {
                    peer.say(&data(96));
                    let reason = PeerMisbehaved::CreditExceeded(id.number());
                    peer.victim.assert_closed_with_failures(&mut peer.attacker, reason, 33);
                } else {
                    assert_eq!(peer.tell(&data(95)).len(), 1);
                    assert!(!peer.victim.is_closed());
                }
            }
        }
    }
}

/// CRD-4: credit follows once half the window is free again; and where less than a frame is left, as soon as all was taken.
#[test]
fn credit_follows_what_the_application_takes() {
    // Half of it, not before.
    let mut peer = peer_with(0, |limits, _| limits.window = 100_000);
    let id = begun(&mut peer);
    let cost = message::data(2, &[7; 10_000]).len() as u32;
    for _ in 0..9 {
        peer.say(&message::data(2, &[7; 10_000]));
    }
    peer.victim.events();
    for n in 1..=4 {
        peer.victim.connection.release(id, cost).unwrap();
        assert_eq!(peer.heard(), b"", "{n}");
    }
    peer.victim.connection.release(id, cost).unwrap();
    assert_eq!(peer.heard(), message::credit(2, u64::from(100_000 + 5 * cost)));
    // All was taken, and less than a frame is left.
    let mut peer = peer_with(0, |limits, _| {
        limits.window = 1_000;
        limits.max_frame = 900;
    });
    let id = begun(&mut peer);
    peer.say(&message::data(2, &[7; 100]));
    peer.say(&message::data(2, b""));
    peer.victim.events();
    peer.victim.connection.release(id, message::data(2, &[7; 100]).len() as u32).unwrap();
    assert_eq!(peer.heard(), b"", "one is still to be taken");
    peer.victim.connection.release(id, u32::MAX).unwrap();
    let limit = 1_000 + message::data(2, &[7; 100]).len() + message::data(2, b"").len();
    assert_eq!(peer.heard(), message::credit(2, limit as u64));
    // Nobody gives credit for what has ended.
    peer.say(&message::end(2, 0));
    assert_eq!(peer.victim.connection.release(id, 1), Err(SendError::UnknownExchange));
}

/// CRD-2, CRD-4: the widest window there is, at both sides.
#[test]
fn the_widest_window_does_not_overflow() {
    let mut peer = peer_with(u64::from(u32::MAX), |limits, _| limits.window = u32::MAX);
    let id = begun(&mut peer);
    peer.victim.connection.respond_more(peer.victim.now, id, b"").unwrap();
    let mut cost = 0;
    for _ in 0..20 {
        peer.say(&message::data(2, &[7; 16_000]));
        assert_eq!(peer.victim.connection.write(id, &[7; 50_000]), Ok(50_000));
        cost += data_cost(&peer.heard());
        peer.victim.connection.release(id, u32::MAX).unwrap();
    }
    assert!(cost > 1_000_000 && !peer.victim.is_closed());
}

fn outgoing(sequence: u64, body: &[u8]) -> Outgoing<'_> {
    Outgoing { topic: "t", point: Point { epoch: 1, sequence }, missed: Missed::NONE, retained: false, body }
}

/// A victim with frames of 256 bytes, a subscription of the attacker's (2) and a body of its own in a request (1).
fn saturated() -> (Hostile, ExchangeId, ExchangeId) {
    let config = device_with(1, |limits, _| {
        limits.requests_out = 2_000;
        limits.call_queue = 1 << 20;
        limits.publication_queue = 1 << 20;
        limits.body_buffer = 1 << 20;
        // One frame at a time, so that nothing has left before all lanes are full.
        limits.transmit_buffer = 0;
    });
    let knobs = Knobs { max_frame: 256, max_requests: 2_000, window: u32::MAX.into(), ..Knobs::default() };
    let mut peer = Hostile::of(Role::Initiator, &config, knobs);
    let subscription = peer.subscribe(&message::subscribe(2, 1 << 40, "t", None));
    peer.victim.connection.accept_subscription(subscription).unwrap();
    assert_eq!(peer.heard(), message::response(2, 0, 1, b""));
    let body = opened(&mut peer);
    (peer, subscription, body)
}

/// How far apart the frames are that begin with a message of this type: the first from the beginning.
fn gaps(frames: &[Vec<u8>], kind: u8) -> Vec<usize> {
    let places = frames.iter().enumerate().filter(|(_, frame)| frame[1] == kind).map(|(n, _)| n + 1);
    let places: Vec<usize> = std::iter::once(0).chain(places).collect();
    places.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// LAN-1: with all lanes full, one frame in sixteen begins with publications and one with bodies, and calls have the others.
#[test]
fn each_lane_moves_when_all_are_full() {
    let (mut peer, subscription, body) = saturated();
    let now = peer.victim.now;
    let connection = &mut peer.victim.connection;
    connection.write(body, &[7; 100_000]).unwrap();
    for n in 0..300 {
        connection.publish(subscription, &outgoing(n, &[7; 190])).unwrap();
        connection.request(now, "m", &[7; 205], None).unwrap();
    }
    let frames = peer.frames();
    // As long as there are calls.
    let last = frames.iter().rposition(|frame| messages(frame).iter().any(|sent| sent.kind == REQUEST));
    let frames = &frames[..last.unwrap()];
    for (kind, first) in [(PUBLICATION, 16), (DATA, 17)] {
        let gaps = gaps(frames, kind);
        assert!(gaps.len() >= 300 / 16, "{gaps:?}");
        assert!(gaps[0] <= first && gaps[1..].iter().all(|gap| *gap <= 16), "{kind}: {gaps:?}");
    }
    let calls = frames.iter().filter(|frame| frame[1] == REQUEST).count();
    assert!(calls * 16 >= frames.len() * 13, "{calls} of {}", frames.len());
}

/// LAN-1: bodies under publications, and publications or bodies under calls, that leave no room for them in any frame, though
/// no lane above is ever full.
#[test]
fn a_lane_that_never_fits_gets_its_frame() {
    for (above, below) in [(REQUEST, PUBLICATION), (REQUEST, DATA), (PUBLICATION, DATA)] {
        let (mut peer, subscription, body) = saturated();
        let now = peer.victim.now;
        let connection = &mut peer.victim.connection;
        if below == DATA {
            connection.write(body, &[7; 100_000]).unwrap();
        } else {
            (0..50).for_each(|n| connection.publish(subscription, &outgoing(n, &[7; 190])).unwrap());
        }
        let mut frames = Vec::new();
        for n in 0..320 {
            let connection = &mut peer.victim.connection;
            // One for each frame.
            if above == REQUEST {
                connection.request(now, "m", &[7; 190], None).unwrap();
            } else {
                connection.publish(subscription, &outgoing(n, &[7; 190])).unwrap();
            }
            let frame = connection.poll_transmit(now).unwrap().to_vec();
            connection.advance_transmit(frame.len());
            frames.extend(peer.attacker.open(&frame));
        }
        let gaps = gaps(&frames, below);
        assert!(gaps.len() >= 20 && gaps.iter().all(|gap| *gap <= 16), "{above} {below}: {gaps:?}");
    }
}

/// LAN-3: data overtakes neither the request nor the response that begins it, also where the bulk lane begins a frame.
#[test]
fn data_does_not_overtake_what_begins_it() {
    let (mut peer, _, body) = saturated();
    let id = {
        let events = peer.tell(&message::request(4, 0, 0, "m", b""));
        let [crate::common::Happened::Request { id, .. }] = events[..] else { panic!("{events:?}") };
        id
    };
    let now = peer.victim.now;
    let connection = &mut peer.victim.connection;
    connection.write(body, &[7; 100_000]).unwrap();
    for _ in 0..100 {
        connection.request(now, "m", &[7; 205], None).unwrap();
    }
    connection.respond_more(now, id, b"").unwrap();
    connection.write(id, &[8; 5_000]).unwrap();
    connection.finish(id).unwrap();
    let late = connection.open(now, &head(true)).unwrap();
    connection.write(late, &[9; 5_000]).unwrap();
    connection.finish(late).unwrap();
    for _ in 0..100 {
        connection.request(now, "m", &[7; 205], None).unwrap();
    }
    let frames = peer.frames();
    assert!(gaps(&frames, DATA).len() > 5, "the bulk lane began frames");
    let all: Vec<Sent> = frames.iter().flat_map(|frame| messages(frame)).collect();
    let first = |kind: u8, id: ExchangeId| {
        all.iter().position(|sent| (sent.kind, sent.id) == (kind, id.number())).expect("it was sent")
    };
    assert!(first(RESPONSE, id) < first(DATA, id));
    assert!(first(REQUEST, late) < first(DATA, late));
    for id in [id, late] {
        let of_it: Vec<u8> = all.iter().filter(|sent| sent.id == id.number()).map(|sent| sent.kind).collect();
        assert_eq!(of_it.last(), Some(&10), "the end is last");
    }
}

/// SPEC §12: ten bodies with full buffers get the same share, whoever wrote first or writes most, also in frames that calls take
/// a part of, and where one chunk is less than a frame.
#[test]
fn bodies_share_the_lane() {
    for (buffer, frame, call) in [
        (65_536, 16_384, None),
        (65_536, 16_384, Some(12_000)),
        (65_536, 1_000, Some(600)),
        (1_024, 1_400, None),
        (1_024, 1_400, Some(1_000)),
        (300, 256, None),
        (200, 65_535, Some(60_000)),
    ] {
        let config = device_with(1, |limits, _| {
            limits.requests_out = 2_000;
            limits.call_queue = 1 << 20;
            limits.body_buffer = buffer;
        });
        let (max_frame, window) = (frame, u32::MAX.into());
        let mut peer = Hostile::of(
            Role::Initiator,
            &config,
            Knobs { max_frame, window, max_requests: 2_000, ..Knobs::default() },
        );
        let now = peer.victim.now;
        let ids: Vec<ExchangeId> =
            (0..10).map(|_| peer.victim.connection.open(now, &head(true)).unwrap()).collect();
        peer.heard();
        let full = vec![7; buffer];
        for (n, id) in ids.iter().enumerate() {
            // The first ones write all at once, the last ones in bits.
            for part in full.chunks(1 + buffer / (n + 1)) {
                let _ = peer.victim.connection.write(*id, part);
            }
            // Until it is refused, so that it is told when there is room.
            while peer.victim.connection.write(*id, &full).is_ok() {}
        }
        let mut bytes = [0_usize; 10];
        for round in 0..1_000 {
            let connection = &mut peer.victim.connection;
            if let Some(len) = call.filter(|_| round % 2 == 0) {
                connection.request(now, "m", &vec![7; len], None).unwrap();
            }
            let Some(frame) = connection.poll_transmit(now) else { panic!("{buffer} {frame} {call:?}") };
            let frame = frame.to_vec();
            connection.advance_transmit(frame.len());
            while let Some(id) = connection.poll_writable() {
                while connection.write(id, &full).is_ok() {}
            }
            for frame in peer.attacker.open(&frame) {
                for sent in messages(&frame).into_iter().filter(|sent| sent.kind == DATA) {
                    bytes[ids.iter().position(|id| id.number() == sent.id).unwrap()] += sent.len;
                }
            }
        }
        let mean = bytes.iter().sum::<usize>() / 10;
        let least = *bytes.iter().min().unwrap();
        assert!(least * 10 >= mean * 8, "{buffer} {frame} {call:?}: {bytes:?}");
    }
}

/// A peer whose window is 0 takes no bodies: nothing leaves but the request, and its answer ends it.
#[test]
fn to_a_peer_without_a_window_nothing_is_sent() {
    let mut peer = peer(0);
    let ours = opened(&mut peer);
    peer.victim.connection.write(ours, &[7; 500]).unwrap();
    peer.victim.connection.finish(ours).unwrap();
    assert_eq!(peer.heard(), b"");
    let events = peer.tell(&message::response(1, Status::UNSUPPORTED.number().into(), 0, b""));
    assert_eq!(events.len(), 1);
    assert_eq!(peer.heard(), message::end(1, 1));
    assert!(peer.victim.connection.is_idle());
}

/// EXC-4: credit that crosses the end of an answer is the way of honest sides, however much of it there is: where the window is less
/// than a frame, each chunk that was taken is followed by some.
#[test]
fn credit_that_crosses_the_end_costs_an_honest_peer_nothing() {
    let configs = [1, 2].map(|n| device_with(n, |limits, _| limits.window = 400));
    let mut world = World::new(&configs);
    for _ in 0..20 {
        let id = world.ends[0].open(world.now, Plan { out: None, back: Some(60) }).unwrap();
        world.carry(0, usize::MAX);
        world.ends[1].event();
        world.ends[1].answer(world.now, id);
        // One byte in each frame, and the end, before the first of them arrives.
        for _ in 0..60 {
            world.ends[1].write(id, 1);
            world.carry(1, 0);
        }
        world.ends[1].finish(id);
        world.carry(1, 0);
        // Each is taken by itself, and its credit sent at once.
        while world.carry(1, 24) || world.ends[0].event() {
            while world.ends[0].event() {}
            world.ends[0].release(id);
            world.carry(0, 0);
        }
        world.settle([true, true]);
        assert!(world.ends[0].talk(id).is_whole());
        world.assert_at_rest();
    }
}
