//! A peer that subscribes ten thousand times, over an adapter.  A program of its own: it counts what all threads allocate.

#[path = "common/meter.rs"]
mod meter;

use std::thread;
use std::time::{Duration, Instant};

use meter::Meter;
use symbolon::blocking::{Device, SubscribeError, SubscribeOptions};
use symbolon::{Identity, Kind, Limits, SecretKey, Seed, Status, TopicLimits};

/// How long anything may take before a test counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);
const MANY: u16 = 10_000;
const TOPIC: &str = "tank/level";

#[global_allocator]
static METER: Meter = Meter;

fn device(number: u8) -> Device {
    let mut limits = Limits::default();
    (limits.subscriptions_in, limits.subscriptions_out) = (2 * MANY, 2 * MANY);
    let mut topics = TopicLimits::default();
    topics.subscriptions = MANY.into();
    topics.subscriptions_per_link = u32::from(MANY) * 2;
    topics.matches_per_link = topics.matches;
    let identity = Identity::new(&SecretKey::from_bytes([number; 32]), Seed::random().unwrap());
    let builder = Device::builder(identity).admit(|_| true).call_timeout(PATIENCE).limits(limits);
    builder.topic_limits(topics).topic_raw(TOPIC, Kind::State).build().unwrap()
}

/// SPEC §10.3, sentence 4: beyond the table's limits a subscription is answered `unavailable`; all others stand, and get
/// what is published; what they took comes back when the connection ends.
#[test]
fn ten_thousand_subscriptions_of_one_peer() {
    let (subscriber, publisher) = (device(1), device(2));
    let server = publisher.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let connect = || subscriber.connect(server.local_addr(), publisher.peer_id()).unwrap();
    let link = connect();
    let subscribe = || link.subscribe_raw(TOPIC, SubscribeOptions::default());
    let before = meter::live();

    let mut standing: Vec<_> = (0..MANY).map(|_| subscribe().unwrap()).collect();
    for _ in 0..10 {
        assert_eq!(subscribe().err(), Some(SubscribeError::Status(Status::UNAVAILABLE)));
    }
    publisher.publish_raw(TOPIC, b"7").unwrap();
    for subscription in &mut standing {
        let delivery = subscription.recv_timeout(PATIENCE).unwrap();
        assert_eq!(delivery.missed.count, 0);
        assert_eq!(delivery.publication.map(|publication| publication.body), Some(b"7"[..].into()));
        assert_eq!(subscription.ended(), None);
    }
    // One that leaves makes room for another.
    drop(standing.pop());
    let begun = Instant::now();
    while let Err(refused) = subscribe().map(|another| standing.push(another)) {
        assert_eq!(refused, SubscribeError::Status(Status::UNAVAILABLE));
        assert!(begun.elapsed() < PATIENCE, "it hangs");
    }
    let most = meter::live() - before;
    assert!(most > isize::try_from(MANY).unwrap(), "{most}: this has counted nothing");

    link.close();
    drop((standing, link));
    let begun = Instant::now();
    // A tenth: what a new connection costs, and tables that are kept for the next.
    while meter::live() - before > most / 10 {
        let left = meter::live() - before;
        assert!(begun.elapsed() < PATIENCE, "{left} of {most} bytes are left");
        thread::sleep(Duration::from_millis(10));
    }
    let mut again = connect().subscribe_raw(TOPIC, SubscribeOptions::default()).unwrap();
    assert!(again.recv_timeout(PATIENCE).is_ok());
}
