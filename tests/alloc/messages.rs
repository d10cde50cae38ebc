//! What is said allocates nothing, once everything has its size.

use std::time::Duration;

use symbolon::serial::Line;
use symbolon::{
    Admission, Config, Connection, ExchangeId, Limits, Missed, Outgoing, Point, RequestHead, Status,
    SubscribeOptions,
};

use super::common::meter::{metered, reset, usage};
use super::common::{device, seed};
use super::{NOW, Said, Two, configured};

/// Sentence 7: after the handshake nothing is allocated per message: requests and answers both ways,
/// publications both ways, and the credit for them.
#[test]
fn nothing_is_allocated_per_message() {
    for (limits, responder) in [(Limits::default(), true), (Limits::small(), false)] {
        let mut two = Two::new(&configured(limits), responder);
        two.settle(|_, _, _| {});
        let mut subscriptions = [None, None];
        two.metered.subscribe("t", 2_000, None).expect("room");
        two.other.subscribe("t", 2_000, None).expect("room");
        two.settle(|metered, connection, said| {
            if let Said::Subscribe(id) = said {
                connection.accept_subscription(id).expect("it waits");
                subscriptions[usize::from(metered)] = Some(id);
            }
        });
        let [Some(at_other), Some(at_metered)] = subscriptions else { panic!("both stand") };

        let (mut answers, mut publications) = (0, 0);
        let mut round = |two: &mut Two| {
            let publication = |sequence| Outgoing {
                topic: "t",
                point: Point { epoch: 1, sequence },
                missed: Missed::NONE,
                retained: false,
                body: &[7; 100],
            };
            metered(|| {
                let request = two.metered.request(NOW, "m", &[7; 100], Some(Duration::from_secs(9)));
                request.expect("room");
                two.metered.publish(at_metered, &publication(1)).expect("credit");
            });
            two.other.request(NOW, "m", &[7; 100], None).expect("room");
            two.other.publish(at_other, &publication(1)).expect("credit");
            two.settle(|_, connection, said| match said {
                Said::Request(id) => connection.respond(id, Status::OK, &[7; 100]).expect("it waits"),
                Said::Response => answers += 1,
                Said::Publication(id, cost) => {
                    connection.release(id, cost).expect("it stands");
                    publications += 1;
                }
                _ => {}
            });
        };
        // With small limits there is nothing to grow into.
        let grown = if limits == Limits::small() { 0 } else { 64 };
        for _ in 0..grown {
            round(&mut two);
        }
        let before = usage();
        for _ in 0..1_000 {
            round(&mut two);
        }
        let after = usage();
        assert_eq!((answers, publications), (2 * (1_000 + grown), 2 * (1_000 + grown)));
        assert_eq!(after.count - before.count, 0, "allocations in a thousand rounds");
        assert_eq!(after.live, before.live);
    }
}

/// Sentence 7: where everything is reserved, nothing at all is allocated from `Connected` on: not for the first
/// message either, nor for subscribing, nor where calls fail.
#[test]
fn nothing_is_allocated_after_the_handshake() {
    for responder in [true, false] {
        let mut two = Two::new(&configured(Limits::small()), responder);
        two.settle(|_, _, _| {});
        assert!(two.metered.is_connected());
        let before = usage();
        let mut subscriptions = [None, None];
        metered(|| two.metered.subscribe("a/topic/that/is/watched/#", 2_000, None)).expect("room");
        two.other.subscribe("t", 2_000, None).expect("room");
        two.settle(|metered, connection, said| {
            if let Said::Subscribe(id) = said {
                connection.accept_subscription(id).expect("it waits");
                subscriptions[usize::from(metered)] = Some(id);
            }
        });
        let [Some(at_other), Some(at_metered)] = subscriptions else { panic!("both stand") };
        let publication = |topic, sequence| Outgoing {
            topic,
            point: Point { epoch: 1, sequence },
            missed: Missed::NONE,
            retained: false,
            body: &[7; 200],
        };
        let (mut answers, mut publications) = (0, 0);
        for round in 0..1_000 {
            let body = &[7; 150][..round % 150];
            for _ in 0..2 {
                metered(|| two.metered.request(NOW, "m", body, Some(Duration::from_secs(9)))).expect("room");
                two.other.request(NOW, "m", body, None).expect("room");
            }
            metered(|| two.metered.publish(at_metered, &publication("t", 1))).expect("credit");
            two.other.publish(at_other, &publication("a/topic/that/is/watched/x", 1)).expect("credit");
            two.settle(|_, connection, said| match said {
                Said::Request(id) => connection.respond(id, Status::OK, &[7; 150]).expect("it waits"),
                Said::Response => answers += 1,
                Said::Publication(id, cost) => {
                    connection.release(id, cost).expect("it stands");
                    publications += 1;
                }
                _ => {}
            });
            metered(|| {
                let id = two.metered.request(NOW, "late", b"", None).expect("room");
                two.metered.cancel(id).expect("it waits");
            });
            two.settle(|_, _, _| {});
        }
        assert_eq!((answers, publications), (4_000, 2_000));
        let keepalive = NOW + Duration::from_secs(15);
        metered(|| two.metered.handle_timeout(keepalive));
        let after = usage();
        assert_eq!(after.count - before.count, 0, "allocations after the handshake");
        assert_eq!(after.live, before.live);
    }
}

/// Sentence 7: nor for each part of a publication that is longer than a message, at either end.
#[test]
fn nothing_is_allocated_per_part() {
    for responder in [true, false] {
        let mut two = Two::new(&configured(Limits::default()), responder);
        two.settle(|_, _, _| {});
        let [at_metered, at_other] = subscribed(&mut two);
        let body = vec![7; 100_000];
        let (mut parts, mut whole, mut held) = (0, 0, [0; 2]);
        let mut round = |two: &mut Two| {
            let mut sent = [0; 2];
            while sent != [body.len(); 2] {
                metered(|| send_parts(&mut two.metered, at_metered, &body, &mut sent[0]));
                send_parts(&mut two.other, at_other, &body, &mut sent[1]);
                two.settle(|metered, connection, said| {
                    if let Said::Part(id, cost, last) = said {
                        let held = &mut held[usize::from(metered)];
                        *held += cost;
                        parts += 1;
                        if last {
                            connection.release(id, std::mem::take(held)).expect("it stands");
                            whole += 1;
                        }
                    }
                });
            }
        };
        for _ in 0..16 {
            round(&mut two);
        }
        let before = usage();
        for _ in 0..50 {
            round(&mut two);
        }
        assert_eq!(usage().count - before.count, 0, "allocations in fifty rounds");
        assert_eq!((whole, parts), (2 * 66, 2 * 66 * 7));
    }
}

/// Each side to the other; the subscriptions that the metered side publishes to, and the other.
fn subscribed(two: &mut Two) -> [ExchangeId; 2] {
    two.metered.subscribe_with("t", &SubscribeOptions::default()).expect("room");
    two.other.subscribe_with("t", &SubscribeOptions::default()).expect("room");
    let (mut at_metered, mut at_other) = (None, None);
    two.settle(|metered, connection, said| {
        if let Said::Subscribe(id) = said {
            connection.accept_subscription(id).expect("it waits");
            *(if metered { &mut at_metered } else { &mut at_other }) = Some(id);
        }
    });
    [at_metered, at_other].map(|id| id.expect("both stand"))
}

/// As many as there is room for.
fn send_parts(connection: &mut Connection, id: ExchangeId, body: &[u8], sent: &mut usize) {
    let point = Point { epoch: 1, sequence: 0 };
    let publication = Outgoing { topic: "t", point, missed: Missed::NONE, retained: false, body };
    while *sent < body.len() {
        let taken = match *sent {
            0 => connection.publish_first(id, &publication),
            sent => connection.publish_next(id, &body[sent..]),
        };
        let Ok(taken) = taken else { return };
        *sent += taken;
    }
}

/// Sentence 7: nothing is allocated for each chunk of a body, once its buffer has grown: chunks and credit both ways.
#[test]
fn nothing_is_allocated_per_chunk() {
    for (limits, responder) in [(Limits::default(), true), (Limits::small(), false)] {
        let mut two = Two::new(&configured(limits), responder);
        two.settle(|_, _, _| {});
        let head = RequestHead { method: "m", body: b"", more: true, deadline: None };
        let ours = metered(|| two.metered.open(NOW, &head)).expect("room");
        let theirs = two.other.open(NOW, &head).expect("room");
        let mut began = 0;
        two.settle(|_, connection, said| {
            if let Said::Request(id) = said {
                connection.respond_more(NOW, id, b"").expect("it waits");
                began += 1;
            }
        });
        assert_eq!(began, 2);
        let mut taken = 0;
        let mut round = |two: &mut Two| {
            for id in [ours, theirs] {
                // More than there is room for, so that it is told again when there is.
                metered(|| while two.metered.write(id, &[7; 700]).is_ok() {});
                while two.other.write(id, &[7; 700]).is_ok() {}
            }
            two.settle(|_, connection, said| {
                if let Said::Data(id, cost) = said {
                    connection.release(id, cost).expect("it goes on");
                    taken += 1;
                }
            });
            let mut writable = 0;
            while metered(|| two.metered.poll_writable()).is_some() {
                writable += 1;
            }
            assert_eq!(writable, 2);
        };
        for _ in 0..64 {
            round(&mut two);
        }
        let before = usage();
        for _ in 0..1_000 {
            round(&mut two);
        }
        let after = usage();
        assert_eq!(after.count - before.count, 0, "allocations in a thousand rounds");
        assert_eq!(after.live, before.live);
        assert!(taken >= 4 * 1_064, "{taken}");
    }
}

/// Sentence 7 on a serial line: nor for each packet.
#[test]
fn nothing_is_allocated_per_packet_of_a_line() {
    fn carry(from: &mut Line<Connection>, to: &mut Line<Connection>, fresh: &mut Option<Connection>) -> bool {
        let mut moved = false;
        while let Some(bytes) = from.poll_transmit(NOW) {
            let taken = to.handle_input(NOW, bytes, || fresh.take());
            from.advance_transmit(taken);
            moved = true;
            let Some(running) = to.running() else { continue };
            while let Some(said) = running.poll_event().map(Said::of) {
                if let Said::Request(id) = said {
                    running.respond(id, Status::OK, &[7; 200]).expect("it waits");
                }
            }
        }
        moved
    }
    let (config, other) = (device(1), device(2));
    let admit = |config: &Config| Admission::expect(config.identity().peer_id());
    let mut lines = [Line::new(config.limits()), Line::new(other.limits())];
    lines[0].dial(NOW, Connection::initiator(&config, admit(&other), seed(101), NOW));
    let mut fresh = Some(Connection::responder(&other, admit(&config), seed(102), NOW));
    let mut round = |fresh: &mut Option<Connection>| {
        for line in &mut lines {
            if let Some(running) = line.running() {
                let _ = running.request(NOW, "m", &[0; 300], None);
            }
        }
        let [a, b] = &mut lines;
        while carry(a, b, fresh) | carry(b, a, fresh) {}
    };
    for _ in 0..64 {
        round(&mut fresh);
    }
    assert!(fresh.is_none(), "the offer was taken");
    reset();
    metered(|| (0..1_000).for_each(|_| round(&mut fresh)));
    assert_eq!(usage().count, 0, "allocations in a thousand rounds");
    let answered = lines[0].running().expect("it runs").is_idle();
    assert!(answered && lines[0].dropped() == 0);
}
