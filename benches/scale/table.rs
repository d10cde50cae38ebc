//! How the table of topics grows, by itself: there is one in a device.

use std::hint::black_box;
use std::time::Instant;

use symbolon::{ExchangeId, Kind, LinkId, TopicId, TopicLimits, Topics, Verdict};

use crate::growth::{Series, Unit};
use crate::meter;

const TIMES: u32 = 1_000;

/// Subscriptions of a hundred links to as many topics' names; one topic, with one subscriber, is published.
pub fn with_subscriptions(counts: &[usize]) -> Vec<Series> {
    let of = "subscriptions";
    let mut series = [
        Series::new("memory of the table", of, Unit::Bytes),
        Series::new("to subscribe one more", of, Unit::Seconds),
        Series::new("to publish to one of them", of, Unit::Seconds),
    ];
    for count in counts {
        let before = meter::live();
        let mut topics = Topics::new(1, limits(2 * count));
        for number in 0..*count {
            subscribe(&mut topics, number, &format!("house/room-{number}/state"));
        }
        let memory = meter::live() - before;
        let begun = Instant::now();
        for number in *count..count + 100 {
            subscribe(&mut topics, number, &format!("house/room-{number}/state"));
        }
        let subscribing = begun.elapsed().as_secs_f64() / 100.0;
        let topic = topics.declare("house/room-7/state", Kind::State).expect("room");
        push(&mut series, *count, [memory as f64, subscribing, time_to_publish(&mut topics, topic)]);
    }
    series.into()
}

/// Topics without subscribers but one.
pub fn with_topics(counts: &[usize]) -> Vec<Series> {
    let of = "topics";
    let mut series = [
        Series::new("memory of the table", of, Unit::Bytes),
        Series::new("to declare one more", of, Unit::Seconds),
        Series::new("to find one and publish it", of, Unit::Seconds),
    ];
    for count in counts {
        let before = meter::live();
        let mut topics = Topics::new(1, limits(2 * count));
        let declare = |topics: &mut Topics, number| {
            topics.declare(&format!("house/room-{number}/state"), Kind::State).expect("room")
        };
        for number in 0..*count {
            declare(&mut topics, number);
        }
        let memory = meter::live() - before;
        let begun = Instant::now();
        for number in *count..count + 100 {
            declare(&mut topics, number);
        }
        let declaring = begun.elapsed().as_secs_f64() / 100.0;
        subscribe(&mut topics, 7, "house/room-7/state");
        let topic = topics.find("house/room-7/state").expect("it was declared");
        push(&mut series, *count, [memory as f64, declaring, time_to_publish(&mut topics, topic)]);
    }
    series.into()
}

fn push(series: &mut [Series], count: usize, values: [f64; 3]) {
    for (series, value) in series.iter_mut().zip(values) {
        series.points.push((count as f64, value));
    }
}

/// As many as needed, so that the table is what is measured and not its limits.
fn limits(most: usize) -> TopicLimits {
    let most = u32::try_from(most).expect("not that many") + 200;
    let mut limits = TopicLimits::default();
    (limits.topics, limits.subscriptions, limits.subscriptions_per_link) = (most, most, most);
    (limits.matches, limits.matches_per_link) = (most, most);
    limits.bytes = usize::MAX;
    limits
}

fn subscribe(topics: &mut Topics, number: usize, filter: &str) {
    let link = LinkId(number as u64 % 100);
    topics.subscribe(link, ExchangeId::from_number(number as u64), filter, None).expect("room");
}

/// Finds the topic by its name, publishes, and hands it to whom it is for.
fn time_to_publish(topics: &mut Topics, topic: TopicId) -> f64 {
    let begun = Instant::now();
    for _ in 0..TIMES {
        assert_eq!(topics.find(black_box("house/room-7/state")), Some(topic));
        topics.publish(topic, black_box(&[0x55; 64])).expect("room");
        let mut reached = 0;
        while let Some(link) = { topics.wake().next() } {
            topics.pump(link, |_| {
                reached += 1;
                Verdict::Sent
            });
        }
        assert_eq!(reached, 1);
    }
    begun.elapsed().as_secs_f64() / f64::from(TIMES)
}
