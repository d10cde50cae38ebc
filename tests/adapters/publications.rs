//! Publications: what a subscriber gets, and what it is told that it did not get.

use std::thread;
use std::time::Duration;

use symbolon::tokio::{Delivery, Gap, SubscribeError, SubscribeOptions};
use symbolon::{Kind, Missed, Overflow, Point, PublishError, Status, Topic};

use super::peers::{Device, Feed, Handle, plan};
use super::{Count, Double, Doubled, Pair};

const fn events(depth: u32, overflow: Overflow) -> Kind {
    Kind::Event { depth, overflow }
}

/// Room for one publication of 30 bytes.
fn narrow() -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    options.window = 64;
    options
}

fn behind(from: Option<Point>) -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    options.from = from;
    options
}

fn all(handle: &dyn Handle, filter: &str) -> Box<dyn Feed> {
    handle.subscribe(filter, SubscribeOptions::default()).unwrap()
}

/// How many were missed, and the body.
fn next(feed: &mut Box<dyn Feed>) -> (u32, Vec<u8>) {
    let Delivery { missed, publication, .. } = feed.next().expect("it goes on");
    assert!(!missed.unknown, "{missed:?}");
    (missed.count, publication.map(|publication| publication.body.to_vec()).unwrap_or_default())
}

/// Runs `test` for publications of either end: the publisher, the handle of its subscriber.
fn each_way(pair: Pair, kinds: &[(&str, Kind)], test: impl Fn(&dyn Device, &dyn Handle)) {
    let declared = |number: u8| {
        kinds.iter().fold(plan(number), |plan, (name, kind)| plan.topic(name, *kind)).private("private")
    };
    let met = pair.meet(declared(1), declared(2));
    test(&*met.b, &*met.near);
    test(&*met.a, &*met.far);
    for end in met.ends() {
        assert_eq!(end.call(&Double(1)), Ok(Doubled(2)), "{pair:?}");
    }
}

pub fn a_state_is_there_on_subscribing(pair: Pair) {
    each_way(pair, &[("tank", Kind::State)], |publisher, subscriber| {
        publisher.publish("tank", b"old").unwrap();
        let point = publisher.publish("tank", b"value").unwrap();
        let mut feed = all(subscriber, "tank");
        let first = feed.next().unwrap();
        assert_eq!(first.missed, Missed::NONE);
        let first = first.publication.unwrap();
        assert_eq!((&*first.topic, first.point, first.retained), ("tank", point, true));
        assert_eq!(first.body, b"value"[..]);
        let point = publisher.publish("tank", b"new").unwrap();
        let second = feed.next().unwrap().publication.unwrap();
        assert_eq!((second.point, second.retained), (point, false));
    });
}

/// SPEC §14.2: a newer value takes the place of one that waits, and the gap is told.
pub fn a_state_that_waits_is_replaced(pair: Pair) {
    each_way(pair, &[("tank", Kind::State)], |publisher, subscriber| {
        let mut feed = subscriber.subscribe("tank", narrow()).unwrap();
        for number in 0..50_u8 {
            publisher.try_publish("tank", &[number; 30]).unwrap();
        }
        let (mut got, mut missed) = (Vec::new(), 0);
        while got.last() != Some(&49) {
            let (gap, body) = next(&mut feed);
            missed += gap as usize;
            got.push(body[0]);
        }
        assert_eq!(got.len() + missed, 50, "{got:?}");
        assert!(got.len() < 5, "{got:?}");
    });
}

/// A value of so many bytes, that says which it is at its beginning and at its end.
fn value(number: u32, len: usize) -> Vec<u8> {
    let mut value = vec![number as u8; len];
    value[..4].copy_from_slice(&number.to_be_bytes());
    value[len - 4..].copy_from_slice(&number.to_be_bytes());
    value
}

/// Which value this is, if it is whole.
fn number_of(body: &[u8]) -> u32 {
    let number = u32::from_be_bytes(body[..4].try_into().unwrap());
    assert!(body == value(number, body.len()), "not whole: {number}");
    number
}

/// PUB-8, PUB-10, SPEC §14.2: values of 200 KB at a fast pace, to one that reads them and one that looks at a few: the first gets nearly
/// all; the second only whole ones, in order, the newest soon after each pause; of both, got and missed are together
/// what was published.
pub fn a_long_state_reaches_the_fast_and_the_slow(pair: Pair) {
    const VALUES: u32 = 100;
    each_way(pair, &[("camera", Kind::State)], |publisher, subscriber| {
        let (mut fast, mut slow) = (all(subscriber, "camera"), all(subscriber, "#"));
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let (mut got, mut missed) = (Vec::new(), 0);
                while got.last() != Some(&(VALUES - 1)) {
                    let (gap, body) = next(&mut fast);
                    missed += gap;
                    got.extend((!body.is_empty()).then(|| number_of(&body)));
                }
                assert_eq!(got.len() as u32 + missed, VALUES);
                got
            });
            let (mut got, mut missed) = (Vec::new(), 0);
            let mut look = |slow: &mut Box<dyn Feed>| {
                let (gap, body) = next(slow);
                missed += gap;
                got.extend((!body.is_empty()).then(|| number_of(&body)));
                got.last() == Some(&(VALUES - 1))
            };
            for number in 0..VALUES {
                publisher.try_publish("camera", &value(number, 200_000)).unwrap();
                thread::sleep(Duration::from_millis(5));
                if number % 25 == 24 {
                    look(&mut slow);
                }
            }
            let all = reader.join().unwrap();
            assert!(all.is_sorted() && all.len() as u32 > VALUES / 2, "{all:?}");
            // What came before the pause, what was begun then, and the newest.
            while !look(&mut slow) {}
            assert!(got.is_sorted() && got.len() < 16, "{got:?}");
            assert_eq!(got.len() as u32 + missed, VALUES, "{got:?}");
        });
    });
}

/// SPEC §14.5: a body of the longest that the subscriber takes arrives, and one byte more is counted, with the window as
/// narrow as may be; so does an event of a topic with a queue, in its order among short ones.
pub fn a_long_publication_is_taken_or_counted(pair: Pair) {
    each_way(pair, &[("long", events(8, Overflow::DropOldest))], |publisher, subscriber| {
        for window in [100, 20_000, 1 << 20] {
            let mut options = SubscribeOptions::default();
            (options.window, options.largest) = (window, 100_000);
            let mut feed = subscriber.subscribe("long", options).unwrap();
            for (number, len) in [(0, 8), (1, 100_000), (2, 100_001), (3, 8), (4, 50_000), (5, 100_001)] {
                publisher.publish("long", &value(number, len)).unwrap();
            }
            publisher.publish("long", &value(6, 8)).unwrap();
            // Of each its number, and how many were missed before it, told with it or by themselves.
            let (mut got, mut missed) = (Vec::new(), 0);
            while got.last().is_none_or(|(number, _)| *number != 6) {
                let (gap, body) = next(&mut feed);
                missed += gap;
                if !body.is_empty() {
                    got.push((number_of(&body), std::mem::take(&mut missed)));
                }
            }
            let expected = [(0, 0), (1, 0), (3, 1), (4, 0), (6, 1)];
            assert_eq!(got, expected, "{window}");
        }
    });
}

/// PUB-2: each publication is got, or counted.
pub fn the_oldest_or_the_newest_is_dropped(pair: Pair) {
    let kinds = [("oldest", events(4, Overflow::DropOldest)), ("newest", events(4, Overflow::DropNewest))];
    each_way(pair, &kinds, |publisher, subscriber| {
        for topic in ["oldest", "newest"] {
            let mut feed = subscriber.subscribe(topic, narrow()).unwrap();
            for number in 0..20_u8 {
                publisher.publish(topic, &[number; 30]).unwrap();
            }
            // One is on its way, four wait.
            let (mut got, mut missed) = (Vec::new(), 0);
            while got.len() < 5 {
                let (gap, body) = next(&mut feed);
                missed += gap as usize;
                got.push(body[0]);
            }
            if topic == "oldest" {
                assert_eq!((got, missed), (vec![0, 16, 17, 18, 19], 15));
            } else {
                assert_eq!(got, [0, 1, 2, 3, 4]);
                publisher.publish(topic, &[20; 30]).unwrap();
                while missed < 15 || got.len() < 6 {
                    let (gap, body) = next(&mut feed);
                    missed += gap as usize;
                    got.extend(body.first());
                }
                assert_eq!((got.last(), missed), (Some(&20), 15));
            }
        }
    });
}

pub fn a_publisher_that_refuses_waits(pair: Pair) {
    each_way(pair, &[("strict", events(2, Overflow::Refuse))], |publisher, subscriber| {
        let mut feed = subscriber.subscribe("strict", narrow()).unwrap();
        let mut published = 0_u8;
        while publisher.try_publish("strict", &[published; 30]).is_ok() {
            published += 1;
        }
        let refused = publisher.try_publish("strict", &[published; 30]);
        assert_eq!(refused, Err(PublishError::QueueFull));
        thread::scope(|scope| {
            let waits = scope.spawn(|| publisher.publish("strict", &[published; 30]));
            thread::sleep(Duration::from_millis(30));
            assert!(!waits.is_finished());
            for number in 0..=published {
                assert_eq!(next(&mut feed), (0, vec![number; 30]));
            }
            assert!(waits.join().unwrap().is_ok());
        });
        // One that leaves holds nobody up.
        while publisher.try_publish("strict", &[0; 30]).is_ok() {}
        thread::scope(|scope| {
            let waits = scope.spawn(|| publisher.publish("strict", b""));
            drop(feed);
            assert!(waits.join().unwrap().is_ok());
        });
    });
}

/// SPEC §13: a wildcard stands for whole levels, and never for one that begins with `$`.
pub fn wildcards_match_levels(pair: Pair) {
    let topics = ["house/kitchen/light", "house/hall/light", "house/hall", "garden"];
    let kinds = topics.map(|topic| (topic, Kind::State));
    each_way(pair, &kinds, |publisher, subscriber| {
        let (mut lights, mut house) = (all(subscriber, "house/+/light"), all(subscriber, "house/#"));
        let mut everything = all(subscriber, "#");
        let reserved = all(subscriber, "$sys/#");
        for topic in topics {
            publisher.publish(topic, topic.as_bytes()).unwrap();
        }
        let got = |feed: &mut Box<dyn Feed>, number: usize| -> Vec<String> {
            (0..number).map(|_| String::from_utf8(next(feed).1).unwrap()).collect()
        };
        assert_eq!(got(&mut lights, 2), topics[..2]);
        assert_eq!(got(&mut house, 3), topics[..3]);
        assert_eq!(got(&mut everything, 4), topics);
        assert_eq!(publisher.publish("$sys/clock", b""), Err(PublishError::UnknownTopic));
        // It stands, and nothing that was published so far belongs to it.
        subscriber.call(&Double(1)).unwrap();
        assert_eq!(reserved.ended(), None);
        drop(reserved);
    });
}

/// SPEC §14.4
pub fn a_subscriber_goes_on_where_it_was(pair: Pair) {
    each_way(pair, &[("events", events(4, Overflow::DropOldest))], |publisher, subscriber| {
        let mut feed = all(subscriber, "events");
        publisher.publish("events", &[0]).unwrap();
        let from = Some(feed.next().unwrap().publication.unwrap().point);
        drop(feed);
        for number in 1..=6 {
            publisher.publish("events", &[number]).unwrap();
        }
        let mut feed = subscriber.subscribe("events", behind(from)).unwrap();
        // Four are kept: those from 3 on.
        assert_eq!(next(&mut feed), (2, vec![3]));
        for number in 4..=6 {
            assert_eq!(next(&mut feed), (0, vec![number]));
        }
    });
}

/// SPEC §14.4: the last point that was given is enough to go on with, over gaps and what is not of the type.
pub fn a_typed_subscriber_goes_on_where_it_was(pair: Pair) {
    each_way(pair, &[(Count::TOPIC, Count::KIND)], |publisher, subscriber| {
        let publish =
            |number| publisher.publish(Count::TOPIC, &symbolon::to_bytes(&Count(number)).unwrap()).unwrap();
        let mut counts = subscriber.subscribe_counts(SubscribeOptions::default()).unwrap();
        assert_eq!(counts.last(), None);
        let first = publish(0);
        assert_eq!(counts.next(), Some(Ok(Count(0))));
        assert_eq!(counts.last(), Some(first));
        let options = behind(counts.last());
        drop(counts);
        let points: Vec<_> = (1..=6).map(publish).collect();
        let mut counts = subscriber.subscribe_counts(options).unwrap();
        assert_eq!(counts.last(), Some(first));
        // Four are kept: those from 3 on.
        let missed = Missed { count: 2, ..Missed::NONE };
        assert_eq!(counts.next(), Some(Err(Gap::Missed(missed))));
        assert_eq!(counts.last(), Some(first));
        for number in 3..=6_u32 {
            assert_eq!(counts.next(), Some(Ok(Count(number))));
            assert_eq!(counts.last(), Some(points[number as usize - 1]));
        }
        let other = publisher.publish(Count::TOPIC, b"no count").unwrap();
        assert_eq!(counts.next(), Some(Err(Gap::BadBody)));
        assert_eq!(counts.last(), Some(other));
    });
}

/// PUB-5: numbering began anew, so nobody knows how many were missed.
pub fn a_publisher_that_restarted_cannot_tell(pair: Pair) {
    let publisher = || plan(2).topic("events", events(4, Overflow::DropOldest));
    let before = pair.meet(plan(1), publisher());
    let from = Some(before.b.publish("events", b"before").unwrap());
    before.near.close();
    let after = pair.meet(plan(1), publisher());
    let mut feed = after.near.subscribe("events", behind(from)).unwrap();
    after.b.publish("events", b"after").unwrap();
    let (mut unknown, mut body) = (false, None);
    while body.is_none() {
        let delivery = feed.next().unwrap();
        unknown |= delivery.missed.unknown;
        body = delivery.publication.map(|publication| publication.body);
    }
    assert_eq!((unknown, body.as_deref()), (true, Some(&b"after"[..])));
}

pub fn a_subscription_is_dropped_and_opened_again(pair: Pair) {
    let publisher =
        |number: u8| plan(number).topic("tank", Kind::State).limits(|limits| limits.subscriptions_in = 1);
    let met = pair.meet(publisher(1), publisher(2));
    for (publisher, subscriber) in [(&met.b, &met.near), (&met.a, &met.far)] {
        for round in 0..10_u8 {
            // There is one slot: each waits until the one before has left it.
            publisher.publish("tank", &[round]).unwrap();
            assert_eq!(next(&mut all(&**subscriber, "tank")), (0, vec![round]), "{pair:?}");
        }
    }
}

pub fn subscribing_is_refused(pair: Pair) {
    each_way(pair, &[("private", Kind::State), ("tank", Kind::State)], |publisher, subscriber| {
        let point = publisher.publish("tank", b"1").unwrap();
        let refused = |filter: &str, options| subscriber.subscribe(filter, options).err();
        let options = SubscribeOptions::default();
        assert_eq!(refused("private", options), Some(SubscribeError::Status(Status::DENIED)));
        assert!(matches!(refused("a/#/b", options), Some(SubscribeError::Send(_))));
        // PUB-4
        assert!(refused("+", behind(Some(point))).is_some());
        let mut feed = all(subscriber, "+");
        assert_eq!(next(&mut feed), (0, b"1".to_vec()));
    });
}
