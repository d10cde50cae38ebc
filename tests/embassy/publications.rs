//! What either side publishes.

use std::pin::pin;

use minicbor::{Decode, Encode};
use symbolon::embassy::{Delivery, Device, Gap, SubscribeError, SubscribeOptions};
use symbolon::tokio as host;
use symbolon::{
    Admission, Config, Kind, Limits, Missed, Overflow, Point, Role, Status, Topic, TopicLimits, Topics,
};

use crate::{SECOND, beside, board, host_device, meet, peer_id};

#[tokio::test]
async fn publications_go_both_ways_and_none_is_lost_uncounted() {
    let (board, device) = (board(), host_device());
    let (connection, stream, host) = meet(&board, &device, false);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        let mut weather = handle.subscribe_raw("weather", SubscribeOptions::default()).await.unwrap();
        let mut ticks = host.subscribe_raw("tick", SubscribeOptions::default()).await.unwrap();
        let count = 500_u32;
        let publish = async {
            for number in 0..count {
                device.publish_raw("weather", &number.to_be_bytes()).await.unwrap();
                board.device.publish(board.ticks, &number.to_be_bytes()).unwrap();
                tokio::task::yield_now().await;
            }
        };
        let here = async {
            let (mut got, mut missed, mut buffer) = (0, 0, [0; 64]);
            while got + missed < count {
                let Delivery { missed: more, publication, .. } = weather.next(&mut buffer).await.unwrap();
                missed += more.count;
                if let Some(publication) = publication {
                    assert_eq!(publication.topic, "weather");
                    assert_eq!(publication.body, (got + missed).to_be_bytes());
                    got += 1;
                }
            }
            assert!(got > 0);
        };
        let there = async {
            let (mut got, mut missed) = (0, 0);
            while got + missed < count {
                let delivery = ticks.next().await.unwrap();
                missed += delivery.missed.count;
                if let Some(publication) = delivery.publication {
                    assert_eq!(publication.body[..], (got + missed).to_be_bytes());
                    got += 1;
                }
            }
            assert!(got > 0);
        };
        tokio::join!(publish, here, there);
    })
    .await;
}

#[tokio::test]
async fn a_state_is_there_for_whoever_comes_later() {
    let (board, device) = (board(), host_device());
    board.device.publish(board.state, b"on").unwrap();
    let (connection, stream, host) = meet(&board, &device, true);
    beside(&board, (connection, stream), async {
        host.connected().await.unwrap();
        let mut state = host.subscribe_raw("lamp/#", SubscribeOptions::default()).await.unwrap();
        let first = state.next().await.unwrap().publication.unwrap();
        assert_eq!((&first.body[..], first.retained), (&b"on"[..], true));
        board.device.publish(board.state, b"off").unwrap();
        assert_eq!(state.next().await.unwrap().publication.unwrap().body[..], b"off"[..]);
    })
    .await;
}

/// A reader that sleeps has its publications counted by their publisher, and those that its buffer is too short for by
/// itself.
#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed() {
    let (board, device) = (board(), host_device());
    let (connection, stream, _host) = meet(&board, &device, false);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        let mut weather = handle.subscribe_raw("weather", SubscribeOptions::default()).await.unwrap();
        for _ in 0..100 {
            device.publish_raw("weather", &[7; 200]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let (mut counted, mut short) = (0, [0; 206]);
        while counted < 100 {
            let delivery = weather.next(&mut short).await.unwrap();
            assert_eq!((delivery.publication, delivery.missed.unknown), (None, false));
            counted += delivery.missed.count;
        }
        assert_eq!(counted, 100);
    })
    .await;
}

#[derive(Debug, Decode, Encode, Eq, PartialEq)]
struct Weather(#[n(0)] u32);

impl Topic for Weather {
    const TOPIC: &'static str = "weather";
    const KIND: Kind = Kind::Event { depth: 8, overflow: Overflow::DropOldest };
}

/// Publishes these one by one, so that each leaves, and waits until they are there.
async fn publish(device: &host::Device, numbers: std::ops::Range<u32>) {
    for number in numbers {
        device.publish(&Weather(number)).await.unwrap();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    tokio::time::sleep(SECOND / 10).await;
}

const fn missed(count: u32) -> Missed {
    Missed { count, unknown: false }
}

#[tokio::test]
async fn only_the_newest_waits_where_that_is_asked_for() {
    let (board, device) = (board(), host_device());
    let (connection, stream, _host) = meet(&board, &device, false);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        let mut options = SubscribeOptions::default();
        options.latest = true;
        let mut raw = handle.subscribe_raw("weather", options).await.unwrap();
        // More than fits the memory, were it not for the newest.
        publish(&device, 0..500).await;
        let mut buffer = [0; 64];
        let Delivery { missed: before, publication, .. } = raw.next(&mut buffer).await.unwrap();
        assert_eq!(before, missed(499));
        assert_eq!(symbolon::from_bytes(publication.unwrap().body), Ok(Weather(499)));
        drop(raw);
        let mut typed = handle.subscribe_with::<Weather>(options).await.unwrap();
        publish(&device, 0..500).await;
        assert_eq!(typed.next().await, Some(Err(Gap::Missed(missed(499)))));
        // Behind a gap there is a value, however often another takes its place; and what is missed by it is told.
        publish(&device, 500..505).await;
        assert_eq!(typed.next().await, Some(Ok(Weather(504))));
        assert_eq!(typed.next().await, Some(Err(Gap::Missed(missed(5)))));
        publish(&device, 505..506).await;
        assert_eq!(typed.next().await, Some(Ok(Weather(505))));
    })
    .await;
}

#[tokio::test]
async fn a_subscription_goes_on_behind_a_point() {
    let (board, device) = (board(), host_device());
    let (connection, stream, _host) = meet(&board, &device, true);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        let mut options = SubscribeOptions::default();
        let mut weather = handle.subscribe::<Weather>().await.unwrap();
        assert_eq!(weather.last(), None);
        publish(&device, 0..3).await;
        for number in 0..2 {
            assert_eq!(weather.next().await, Some(Ok(Weather(number))));
        }
        options.from = weather.last();
        drop(weather);
        publish(&device, 3..5).await;
        let mut weather = handle.subscribe_with::<Weather>(options).await.unwrap();
        assert_eq!((weather.last(), weather.last().is_some()), (options.from, true));
        for number in 2..5 {
            assert_eq!(weather.next().await, Some(Ok(Weather(number))));
        }
        drop(weather);
        // What is not kept any more is a gap.
        publish(&device, 5..20).await;
        options.from = Some(Point::START);
        let mut raw = handle.subscribe_raw("weather", options).await.unwrap();
        let mut buffer = [0; 64];
        let delivery = raw.next(&mut buffer).await.unwrap();
        assert!(delivery.missed.is_any());
        assert_eq!(symbolon::from_bytes(delivery.publication.unwrap().body), Ok(Weather(12)));
    })
    .await;
}

#[tokio::test]
async fn a_window_may_be_smaller_than_the_memory() {
    let (board, device) = (board(), host_device());
    let (connection, stream, _host) = meet(&board, &device, false);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        let mut options = SubscribeOptions::default();
        let mut got = Vec::new();
        for window in [options.window, 300] {
            options.window = window;
            let mut weather = handle.subscribe_raw("weather", options).await.unwrap();
            for _ in 0..16 {
                device.publish_raw("weather", &[7; 100]).await.unwrap();
                tokio::time::sleep(SECOND / 100).await;
            }
            let (mut here, mut buffer, mut counted) = (0, [0; 128], 0);
            while here + counted < 16 {
                let delivery = weather.next(&mut buffer).await.unwrap();
                here += u32::from(delivery.publication.is_some());
                counted += delivery.missed.count;
            }
            got.push(here);
        }
        // Two of them on their way, and those that the publisher keeps.
        assert_eq!(got, [16, 2 + 8]);
    })
    .await;
}

#[tokio::test]
async fn a_subscription_ends_with_its_connection_and_may_be_refused() {
    let device = host_device();
    let mut board = board();
    board.device = board.device.with_allow_subscribe(|_, filter| filter == "tick");
    let handle = board.link.handle();
    let (connection, stream, host) = meet(&board, &device, false);
    let script = async {
        handle.connected().await;
        let refused = host.subscribe_raw("lamp/state", SubscribeOptions::default()).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("the publisher has refused or ended it: {}", Status::DENIED));
        let mut weather = handle.subscribe_raw("weather", SubscribeOptions::default()).await.unwrap();
        assert_eq!(weather.ended(), None);
        host.close().await;
        while let Some(delivery) = weather.next(&mut [0; 64]).await {
            assert_eq!(delivery.missed, Missed::NONE);
        }
        let orderly = SubscribeError::Status(Status::SHUTTING_DOWN);
        assert_eq!(weather.ended(), Some(orderly));
    };
    tokio::join!(crate::run(&board, connection, stream), script);
}

#[tokio::test]
async fn a_publisher_that_never_accepts_is_not_waited_for() {
    let mut board = board();
    let config = Config::new(crate::identity(1)).with_limits(Limits::small()).unwrap();
    let topics = Topics::new(7, TopicLimits::default());
    board.device = Device::new(config, topics).with_call_timeout(SECOND / 5);
    let device = host_device();
    let (ours, theirs) = tokio::io::duplex(300);
    let (host, runner) = device.attach(theirs, Role::Initiator, Admission::expect(peer_id(1))).unwrap();
    let mut running = pin!(runner.run());
    let connection = board.device.accept(Admission::expect(peer_id(2)), crate::seed());
    beside(&board, (connection, ours), async {
        let handle = board.link.handle();
        let both = async { tokio::join!(host.connected(), handle.connected()).0.unwrap() };
        tokio::select! { _ = running.as_mut() => panic!("it has ended"), () = both => {} }
        // The host does nothing from here on.
        for _ in 0..5 {
            let refused = handle.subscribe_raw("weather", SubscribeOptions::default()).await;
            assert_eq!(refused.err(), Some(SubscribeError::TimedOut));
        }
        let subscribing = handle.subscribe_raw("weather", SubscribeOptions::default());
        tokio::select! { _ = running.as_mut() => panic!("it has ended"), subscribed = subscribing => drop(subscribed.unwrap()) }
    })
    .await;
}
