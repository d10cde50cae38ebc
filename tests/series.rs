//! Publications of one topic that leave one behind the other: it is the same for everybody whether they were given to the
//! connection one by one or several at a time.  SPEC §14

mod common;

use common::{Happened, Pair, device_with};
use proptest::prelude::*;
use symbolon::{Connection, ExchangeId, Missed, Outgoing, Point, SendError};

/// A publisher, and a subscriber with so much credit, who takes frames of this length at most.
fn subscribed(filter: &str, window: u32, max_frame: u16) -> (Pair, ExchangeId) {
    let a = device_with(1, |limits, _| limits.max_frame = max_frame);
    let b = device_with(2, |limits, _| limits.transmit_buffer = 2_000);
    let mut pair = Pair::connected_of(&a, &b);
    let id = pair.a.subscribe(filter, window, None).expect("room");
    pair.settle();
    pair.b.accept_subscription(id).expect("it waits");
    assert_eq!(pair.events_a(), [Happened::Subscribed(id)]);
    (pair, id)
}

fn outgoing<'a>(topic: &'a str, sequence: u64, missed: u32, body: &'a [u8]) -> Outgoing<'a> {
    let missed = Missed { count: missed, unknown: false };
    Outgoing { topic, point: Point { epoch: 7, sequence }, missed, retained: false, body }
}

/// Publishes one by one until one is refused; how many were not.
fn one_by_one(
    connection: &mut Connection,
    id: ExchangeId,
    first: &Outgoing<'_>,
    behind: &[Vec<u8>],
) -> Result<usize, SendError> {
    connection.publish(id, first)?;
    let numbered = (first.point.sequence + 1..).zip(behind);
    let sent = numbered
        .take_while(|(sequence, body)| {
            connection.publish(id, &outgoing(first.topic, *sequence, 0, body)).is_ok()
        })
        .count();
    Ok(1 + sent)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The same bytes leave, the same error comes, and the same arrives, whatever credit, room and frames allow.
    #[test]
    fn several_at_a_time_are_as_one_by_one(
        topic in "[a-z]{1,40}",
        window in 1_u32..8_000,
        max_frame in 256_u16..2_000,
        rounds in prop::collection::vec((
            any::<u32>(), 0_u32..3, prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
        ), 1..6),
    ) {
        let [(mut one, id), (mut several, _)] = [(), ()].map(|()| subscribed(&topic, window, max_frame));
        for (sequence, missed, bodies) in rounds {
            let (first, behind) = bodies.split_first().expect("one at least");
            let first = outgoing(&topic, sequence.into(), missed, first);
            let expected = one_by_one(&mut one.b, id, &first, behind);
            let at_once = several.b.publish_series(id, &first, behind.iter().map(Vec::as_slice));
            prop_assert_eq!(at_once, expected);
            // With the same seeds both have the same keys.
            prop_assert_eq!(several.b.poll_transmit(several.now), one.b.poll_transmit(one.now));
            let arrived = several.events_a();
            prop_assert_eq!(&arrived, &one.events_a());
            prop_assert_eq!(arrived.len(), expected.unwrap_or(0));
        }
    }
}

/// One too long for a message is left to the caller, with all that is behind it; nothing of them is sent.
#[test]
fn a_series_ends_before_one_that_is_too_long() {
    let (mut pair, id) = subscribed("t", 100_000, 1_000);
    let [short, long] = [&[1; 10][..], &[2; 2_000][..]];
    let first = outgoing("t", 5, 0, short);
    assert_eq!(pair.b.publish_series(id, &first, [short, long, short]), Ok(2));
    let first = outgoing("t", 7, 0, long);
    assert!(matches!(pair.b.publish_series(id, &first, [short]), Err(SendError::TooLarge { .. })));
    assert_eq!(pair.events_a().len(), 2);
}

/// There is no number behind the last.
#[test]
fn a_series_ends_with_the_last_number() {
    let (mut pair, id) = subscribed("t", 100_000, 1_000);
    let first = outgoing("t", u64::MAX - 2, 0, b"");
    assert_eq!(pair.b.publish_series(id, &first, [&b""[..]; 5]), Ok(2));
}
