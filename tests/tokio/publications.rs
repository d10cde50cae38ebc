//! Publications: what a subscriber gets, and what it is told that it did not get.

use std::time::Duration;

use symbolon::tokio::{Delivery, Gap, Handle, RawSubscription, SubscribeError, SubscribeOptions};
use symbolon::{Kind, Missed, Overflow, Point, PublishError, Status, Topic};

use super::{Double, Doubled, builder, device, in_memory, over_tcp, settle, soon};

const EVENTS: Kind = Kind::Event { depth: 4, overflow: Overflow::DropOldest };
const REFUSING: Kind = Kind::Event { depth: 2, overflow: Overflow::Refuse };

#[derive(Clone, Copy, Debug, Eq, PartialEq, minicbor::Decode, minicbor::Encode)]
struct Level(#[n(0)] u32);

impl Topic for Level {
    const TOPIC: &'static str = "tank/level";
    const KIND: Kind = Kind::State;
}

/// Room for one or two publications of these tests.
fn window(window: u32) -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    options.window = window;
    options
}

fn behind(from: Option<Point>) -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    options.from = from;
    options
}

fn narrow() -> SubscribeOptions {
    window(64)
}

async fn all(handle: &Handle, filter: &str) -> RawSubscription {
    soon(handle.subscribe_raw(filter, SubscribeOptions::default())).await.unwrap()
}

async fn next(subscription: &mut RawSubscription) -> (u32, Vec<u8>) {
    let Delivery { missed, publication, .. } = soon(subscription.next()).await.unwrap();
    (missed.count, publication.map(|publication| publication.body.to_vec()).unwrap_or_default())
}

#[tokio::test]
async fn a_state_is_there_on_subscribing() {
    let publisher = builder(2).topic::<Level>().build().unwrap();
    publisher.publish(&Level(1)).await.unwrap();
    let last = publisher.publish(&Level(2)).await.unwrap();
    let (a, _b) = over_tcp(&device(1), &publisher).await;
    let mut raw = all(&a, "tank/level").await;
    let publication = soon(raw.next()).await.unwrap().publication.unwrap();
    assert!(publication.retained);
    assert_eq!((publication.point, &*publication.topic), (last, "tank/level"));
    let mut typed = a.subscribe::<Level>().await.unwrap();
    assert_eq!(soon(typed.next()).await, Some(Ok(Level(2))));
    publisher.publish(&Level(3)).await.unwrap();
    assert_eq!(soon(typed.next()).await, Some(Ok(Level(3))));
    assert!(!soon(raw.next()).await.unwrap().publication.unwrap().retained);
}

/// PUB-5, SPEC §14.4: whoever had nothing yet, and was away, gets what is kept, and hears that there may have been more.
#[tokio::test]
async fn from_the_start_all_that_is_kept_comes() {
    const KEPT: Kind = Kind::Event { depth: 2, overflow: Overflow::DropOldest };
    let publisher = builder(2).topic_raw("door", KEPT).build().unwrap();
    for knock in [b"1", b"2", b"3"] {
        publisher.publish_raw("door", knock).await.unwrap();
    }
    let (a, _b) = over_tcp(&device(1), &publisher).await;
    let mut knocks = a.subscribe_raw("door", behind(Some(Point::START))).await.unwrap();
    let first = soon(knocks.next()).await.unwrap();
    assert!(first.missed.unknown);
    assert_eq!(first.publication.map(|knock| knock.body), Some((&b"2"[..]).into()));
    assert_eq!(next(&mut knocks).await, (0, b"3".to_vec()));
}

/// SPEC §14.2: a newer value takes the place of one that waits, and the gap is told.
#[tokio::test(start_paused = true)]
async fn a_state_that_waits_is_replaced_by_the_newest() {
    let publisher = builder(2).topic_raw("tank/raw", Kind::State).build().unwrap();
    let (a, _b) = in_memory(&device(1), &publisher, 65_536).await;
    let mut levels = a.subscribe_raw("tank/raw", narrow()).await.unwrap();
    for number in 0..50_u8 {
        publisher.try_publish_raw("tank/raw", &[number; 20]).unwrap();
    }
    settle().await;
    let (mut got, mut missed) = (Vec::new(), 0);
    while got.last() != Some(&49) {
        let (gap, body) = next(&mut levels).await;
        missed += gap;
        got.push(body[0]);
    }
    assert_eq!(got.len() + missed as usize, 50);
    assert!(got.len() < 5, "{got:?}");
}

#[tokio::test]
async fn a_stalled_subscriber_misses_and_another_gets_all() {
    let publisher = builder(3).topic_raw("events", EVENTS).build().unwrap();
    let (a, _from_a) = over_tcp(&device(1), &publisher).await;
    let (b, _from_b) = over_tcp(&device(2), &publisher).await;
    let mut stalled = a.subscribe_raw("events", narrow()).await.unwrap();
    let mut eager = all(&b, "events").await;
    for number in 0..100_u8 {
        publisher.publish_raw("events", &[number; 30]).await.unwrap();
        assert_eq!(next(&mut eager).await, (0, vec![number; 30]));
    }
    let (mut got, mut missed) = (Vec::new(), 0);
    while got.last() != Some(&99) {
        let (gap, body) = next(&mut stalled).await;
        missed += gap as usize;
        got.push(body[0]);
    }
    assert_eq!(got.len() + missed, 100, "{got:?}");
    assert!(missed >= 90, "{missed}");
}

#[tokio::test(start_paused = true)]
async fn a_refusing_topic_fails_to_try_and_waits_to_publish() {
    let publisher = builder(2).topic_raw("strict", REFUSING).build().unwrap();
    let (a, _b) = in_memory(&device(1), &publisher, 65_536).await;
    let mut slow = a.subscribe_raw("strict", narrow()).await.unwrap();
    let mut published = 0_u8;
    while publisher.try_publish_raw("strict", &[published; 30]).is_ok() {
        published += 1;
    }
    let again = publisher.try_publish_raw("strict", &[published; 30]);
    assert_eq!(again, Err(PublishError::QueueFull));
    let waiting = publisher.clone();
    let waits = tokio::spawn(async move { waiting.publish_raw("strict", &[published; 30]).await });
    settle().await;
    assert!(!waits.is_finished());
    for number in 0..=published {
        assert_eq!(next(&mut slow).await, (0, vec![number; 30]));
    }
    assert!(waits.await.unwrap().is_ok());
}

/// A publisher that waits for a subscriber goes on when that one leaves instead.
#[tokio::test(start_paused = true)]
async fn a_subscriber_that_leaves_holds_nobody_up() {
    let publisher = builder(2).topic_raw("strict", REFUSING).build().unwrap();
    for closes in [false, true] {
        let (a, b) = in_memory(&device(1), &publisher, 65_536).await;
        let slow = a.subscribe_raw("strict", narrow()).await.unwrap();
        while publisher.try_publish_raw("strict", &[0; 30]).is_ok() {}
        let waiting = publisher.clone();
        let waits = tokio::spawn(async move { waiting.publish_raw("strict", b"").await });
        settle().await;
        assert!(!waits.is_finished());
        if closes {
            b.close().await;
        } else {
            drop(slow);
        }
        assert!(soon(waits).await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_dropped_is_cancelled_on_the_wire() {
    let publisher = builder(2)
        .limits(super::limits(|limits| limits.subscriptions_in = 1))
        .topic_raw("events", EVENTS)
        .build()
        .unwrap();
    let (a, _b) = in_memory(&device(1), &publisher, 65_536).await;
    let first = all(&a, "events").await;
    let other = a.clone();
    let second = tokio::spawn(async move { all(&other, "events").await });
    settle().await;
    assert!(!second.is_finished(), "there is one slot");
    drop(first);
    let begun = tokio::time::Instant::now();
    let mut second = soon(second).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(10), "{:?}", begun.elapsed());
    publisher.try_publish_raw("events", b"x").unwrap();
    assert_eq!(next(&mut second).await, (0, b"x".to_vec()));
}

#[tokio::test]
async fn a_wildcard_gets_what_it_matches() {
    let publisher = builder(2)
        .topic_raw("house/kitchen/light", Kind::State)
        .topic_raw("house/hall/light", Kind::State)
        .topic_raw("garden", Kind::State)
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &publisher).await;
    let mut lights = all(&a, "house/+/light").await;
    for topic in ["garden", "house/kitchen/light", "house/hall/light"] {
        publisher.publish_raw(topic, topic.as_bytes()).await.unwrap();
    }
    assert_eq!(next(&mut lights).await, (0, b"house/kitchen/light".to_vec()));
    assert_eq!(next(&mut lights).await, (0, b"house/hall/light".to_vec()));
}

/// A decision that panics lets nobody in, and harms nobody.
#[tokio::test]
async fn subscribing_can_be_denied() {
    let friend = device(1).peer_id();
    let publisher = builder(2)
        .topic_raw("private", Kind::State)
        .allow_subscribe(move |peer, filter| {
            assert_ne!(filter, "panic");
            peer == friend && filter == "private"
        })
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &publisher).await;
    let (stranger, _c) = over_tcp(&device(3), &publisher).await;
    let options = SubscribeOptions::default();
    assert!(a.subscribe_raw("private", options).await.is_ok());
    for (handle, filter) in [(&a, "#"), (&a, "panic"), (&stranger, "private")] {
        let denied = handle.subscribe_raw(filter, options).await.unwrap_err();
        assert_eq!(denied, SubscribeError::Status(Status::DENIED), "{filter}");
    }
    assert_eq!(a.call(&Double(1)).await, Ok(Doubled(2)));
}

/// SPEC §14.4: the same device on a new connection goes on behind the point it names.
#[tokio::test]
async fn a_subscriber_goes_on_where_it_was() {
    let publisher = builder(2).topic_raw("events", EVENTS).build().unwrap();
    let subscriber = device(1);
    let (a, _b) = over_tcp(&subscriber, &publisher).await;
    let mut events = all(&a, "events").await;
    publisher.publish_raw("events", &[0]).await.unwrap();
    let from = Some(soon(events.next()).await.unwrap().publication.unwrap().point);
    soon(a.close()).await;
    for number in 1..=6 {
        publisher.publish_raw("events", &[number]).await.unwrap();
    }
    let (a, _b) = over_tcp(&subscriber, &publisher).await;
    let mut events = a.subscribe_raw("events", behind(from)).await.unwrap();
    // Four are kept: those from 3 on.
    assert_eq!(next(&mut events).await, (2, vec![3]));
    for number in 4..=6 {
        assert_eq!(next(&mut events).await, (0, vec![number]));
    }
}

/// A subscriber that never reads holds its window and no more, whatever is published.
#[tokio::test(start_paused = true)]
async fn a_subscriber_that_never_reads_holds_its_window() {
    let publisher = builder(2).topic_raw("events", EVENTS).build().unwrap();
    let (a, _b) = in_memory(&device(1), &publisher, 65_536).await;
    let mut events = a.subscribe_raw("events", window(1_000)).await.unwrap();
    for _ in 0..1_000 {
        publisher.publish_raw("events", &[0; 100]).await.unwrap();
        settle().await;
    }
    // What is here without anything more from the publisher.
    soon(a.device().link(publisher.peer_id()).unwrap().close()).await;
    let (mut bytes, mut got) = (0, 0);
    while let Some(delivery) = soon(events.next()).await {
        if let Some(publication) = delivery.publication {
            bytes += publication.body.len();
            got += 1;
        }
    }
    assert!(bytes <= 1_000 && got >= 8, "{bytes} bytes in {got}");
    assert!(a.call(&Double(1)).await.is_err());
}

/// PUB-3: what was not delivered is told before the end, and the end says why.
#[tokio::test]
async fn a_publisher_that_closes_ends_the_subscription_and_tells_the_rest() {
    let publisher = builder(2).topic_raw("events", EVENTS).build().unwrap();
    let (a, b) = over_tcp(&device(1), &publisher).await;
    let mut events = a.subscribe_raw("events", narrow()).await.unwrap();
    for number in 0..20_u8 {
        publisher.publish_raw("events", &[number; 30]).await.unwrap();
    }
    soon(b.close()).await;
    let (mut got, mut missed) = (0, 0);
    while let Some(delivery) = soon(events.next()).await {
        got += usize::from(delivery.publication.is_some());
        missed += delivery.missed.count as usize;
    }
    assert_eq!(got + missed, 20);
    assert_eq!(events.ended(), Some(SubscribeError::Status(Status::SHUTTING_DOWN)));
}

#[tokio::test]
async fn a_typed_subscription_tells_gaps_between_values() {
    let kind = Kind::Event { depth: 1, overflow: Overflow::DropOldest };
    let publisher = builder(2).topic_raw("tank/level", kind).build().unwrap();
    let (a, _b) = over_tcp(&device(1), &publisher).await;
    let mut levels = a.subscribe::<Level>().await.unwrap();
    publisher.publish_raw("tank/level", b"\xff").await.unwrap();
    assert_eq!(soon(levels.next()).await, Some(Err(Gap::BadBody)));
    publisher.publish(&Level(5)).await.unwrap();
    assert_eq!(soon(levels.next()).await, Some(Ok(Level(5))));

    let point = publisher.publish(&Level(6)).await.unwrap();
    publisher.publish(&Level(7)).await.unwrap();
    publisher.publish(&Level(8)).await.unwrap();
    let from = Some(point);
    let mut late = a.subscribe_raw("tank/level", behind(from)).await.unwrap();
    let delivery = soon(late.next()).await.unwrap();
    assert_eq!(delivery.missed, Missed { count: 1, unknown: false });
    assert_eq!(delivery.publication.unwrap().body, symbolon::to_bytes(&Level(8)).unwrap());
}
