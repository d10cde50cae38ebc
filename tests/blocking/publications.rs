//! Subscriptions that block, and publishers that wait.

use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use symbolon::blocking::{Delivery, Gap, SubscribeError, SubscribeOptions};
use symbolon::{Kind, Missed, Overflow, PublishError, Status, Topic};

use super::{Double, Doubled, PATIENCE, builder, device, limits, millis, over_tcp, soon, until};

const REFUSING: Kind = Kind::Event { depth: 2, overflow: Overflow::Refuse };
/// Room for one publication of 30 bytes.
fn narrow() -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    options.window = 64;
    options
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, minicbor::Decode, minicbor::Encode)]
struct Level(#[n(0)] u32);

impl Topic for Level {
    const TOPIC: &'static str = "tank/level";
    const KIND: Kind = Kind::State;
}

#[test]
fn recv_timeout_gives_up_and_goes_on() {
    let publisher = builder(2).topic_raw("tank/level", Kind::State).build().unwrap();
    let (a, b) = over_tcp(&device(1), &publisher);
    let mut levels = a.subscribe::<Level>().unwrap();
    let mut raw = a.subscribe_raw("tank/#", SubscribeOptions::default()).unwrap();
    for round in 0..3 {
        assert_eq!(levels.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        assert_eq!(raw.recv_timeout(millis(20)), Err(RecvTimeoutError::Timeout));
        publisher.publish(&Level(round)).unwrap();
        assert_eq!(levels.recv_timeout(PATIENCE), Ok(Ok(Level(round))));
        let body = raw.recv_timeout(PATIENCE).unwrap().publication.unwrap().body;
        assert_eq!(body, symbolon::to_bytes(&Level(round)).unwrap());
    }
    publisher.publish_raw("tank/level", b"\xff").unwrap();
    assert_eq!(levels.recv_timeout(PATIENCE), Ok(Err(Gap::BadBody)));
    b.close();
    assert_eq!(levels.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    assert_eq!(levels.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    let ended = SubscribeError::Status(Status::SHUTTING_DOWN);
    assert_eq!(levels.ended(), Some(ended));
    assert_eq!(ended.to_string(), "the publisher has refused or ended it: shutting down (36)");
}

#[test]
fn an_iterator_ends_with_the_link() {
    let kind = Kind::Event { depth: 64, overflow: Overflow::DropOldest };
    let publisher = builder(2).topic_raw("events", kind).topic::<Level>().build().unwrap();
    for closes in [true, false] {
        let (a, b) = over_tcp(&device(1), &publisher);
        let mut events = a.subscribe_raw("events", SubscribeOptions::default()).unwrap();
        let typed = a.subscribe::<Level>().unwrap();
        let reading = thread::spawn(move || {
            let each = |delivery: Delivery| {
                delivery.missed.count as usize + usize::from(delivery.publication.is_some())
            };
            let told: usize = events.by_ref().map(each).sum();
            (told, events.ended())
        });
        let reading_typed = thread::spawn(move || typed.count());
        for number in 0..50 {
            publisher.publish_raw("events", &[number]).unwrap();
        }
        soon(move || if closes { b.close() } else { a.close() });
        let (told, ended) = soon(move || reading.join().unwrap());
        if closes {
            // PUB-3
            assert_eq!(told, 50);
            assert_eq!(ended, Some(SubscribeError::Status(Status::SHUTTING_DOWN)));
        } else {
            assert_eq!(ended, Some(SubscribeError::Disconnected));
        }
        assert_eq!(soon(move || reading_typed.join().unwrap()), 0);
    }
}

#[test]
fn a_dropped_subscription_is_cancelled_at_the_publisher() {
    let publisher = builder(2)
        .limits(limits(|limits| limits.subscriptions_in = 1))
        .topic_raw("strict", REFUSING)
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &publisher);
    let first = a.subscribe_raw("strict", narrow()).unwrap();
    while publisher.try_publish_raw("strict", &[0; 30]).is_ok() {}
    let other = a.clone();
    let second = thread::spawn(move || other.subscribe_raw("strict", narrow()));
    thread::sleep(millis(20));
    assert!(!second.is_finished(), "there is one slot");
    drop(first);
    let mut second = soon(move || second.join().unwrap()).unwrap();
    // Nobody holds the publisher up any more.
    publisher.try_publish_raw("strict", b"for the second").unwrap();
    let delivery = second.recv_timeout(PATIENCE).unwrap();
    assert_eq!(delivery.publication.unwrap().body, b"for the second"[..]);
}

#[test]
fn a_publisher_waits_and_gives_up_or_is_woken() {
    let publisher = builder(2).call_timeout(millis(200)).topic_raw("strict", REFUSING).build().unwrap();
    let (a, _b) = over_tcp(&device(1), &publisher);
    let mut slow = a.subscribe_raw("strict", narrow()).unwrap();
    let mut published = 0_u8;
    while publisher.try_publish_raw("strict", &[published; 30]).is_ok() {
        published += 1;
    }
    let begun = Instant::now();
    assert_eq!(publisher.publish_raw("strict", &[0; 30]), Err(PublishError::QueueFull));
    assert!(begun.elapsed() >= millis(200));
    // Patient ones: each is woken as the subscriber reads, and none publishes twice.
    let patient = builder(3).topic_raw("strict", REFUSING).build().unwrap();
    let (c, _d) = over_tcp(&device(1), &patient);
    let mut feed = c.subscribe_raw("strict", narrow()).unwrap();
    let writers: Vec<_> = (0..4_u8)
        .map(|number| {
            let patient = patient.clone();
            thread::spawn(move || {
                for _ in 0..25 {
                    patient.publish_raw("strict", &[number; 30]).unwrap();
                }
            })
        })
        .collect();
    let mut counts = [0; 4];
    for _ in 0..100 {
        let delivery = feed.recv_timeout(PATIENCE).unwrap();
        assert_eq!(delivery.missed, Missed::NONE);
        counts[usize::from(delivery.publication.unwrap().body[0])] += 1;
    }
    assert_eq!(counts, [25; 4]);
    for writer in writers {
        soon(move || writer.join().unwrap());
    }
    for number in 0..published {
        let body = slow.recv_timeout(PATIENCE).unwrap().publication.unwrap().body;
        assert_eq!(body, vec![number; 30]);
    }
    assert_eq!(a.call(&Double(1)), Ok(Doubled(2)));
}

/// A publisher that waits for a subscriber goes on when the connection of that one ends.
#[test]
fn a_subscriber_whose_connection_ends_holds_nobody_up() {
    let publisher = builder(2).topic_raw("strict", REFUSING).build().unwrap();
    let (a, b) = over_tcp(&device(1), &publisher);
    let _slow = a.subscribe_raw("strict", narrow()).unwrap();
    while publisher.try_publish_raw("strict", &[0; 30]).is_ok() {}
    let waiting = publisher.clone();
    let waits = thread::spawn(move || waiting.publish_raw("strict", b""));
    thread::sleep(millis(20));
    assert!(!waits.is_finished());
    soon(move || b.close());
    assert!(soon(move || waits.join().unwrap()).is_ok());
    until(|| !a.is_connected());
}
