//! Publications of one topic, one behind the other: it is the same for everybody whether they were given to the connection
//! one by one or several at a time, and whether they come in one frame or each in its own.  SPEC §9, §14

mod common;

use common::cbor::{bytes, message, text, uint};
use common::hostile::Hostile;
use common::{Happened, Pair, device_with};
use proptest::prelude::*;
use symbolon::{Connection, Event, ExchangeId, Failure, Following, Missed, Outgoing, Point, SendError};

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

/// Publications into subscriptions of the victim's, mostly as the one before them, and now and then something else.
fn arriving() -> impl Strategy<Value = Vec<u8>> {
    let mostly = |usual, other| prop_oneof![9 => Just(usual), 1 => other];
    let id = mostly(1_u64, prop_oneof![Just(3_u64), Just(5), Just(2)].boxed());
    let missed = mostly(0_u64, prop_oneof![Just(1_u64), Just(1 << 32)].boxed());
    let flags = mostly(0_u64, (0_u64..16).boxed());
    let topic = prop_oneof![9 => Just("t"), 1 => Just("u"), 1 => Just("t/t"), 1 => Just("+")];
    let epoch = mostly(1_u64, prop_oneof![Just(2_u64), Just(1 << 32)].boxed());
    let behind =
        prop_oneof![9 => Just(vec![]), 1 => Just(vec![uint(5)]), 1 => Just(vec![text("x"), uint(1)])];
    let body = (prop::collection::vec(any::<u8>(), 0..40), prop::bool::weighted(0.02));
    let publication = (id, missed, flags, topic, epoch, any::<u32>(), body, behind).prop_map(
        |(id, missed, flags, topic, epoch, sequence, (body, as_text), behind)| {
            let body = if as_text { text("no bytes") } else { bytes(&body) };
            let head = [uint(id), uint(missed), uint(flags), text(topic), uint(epoch), uint(sequence.into())];
            message::of(13, &[&head[..], &[body], &behind].concat())
        },
    );
    prop_oneof![
        30 => publication,
        1 => Just(message::ping(7)),
        1 => Just(message::missed(1, 0, 3)),
        1 => Just(message::end(3, 0)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// What the application is told, the end of the connection included, does not depend on what shares a frame, nor on
    /// whether it takes those that follow one another on the shorter way.
    #[test]
    fn together_or_apart_they_are_the_same(messages in prop::collection::vec(arriving(), 1..40)) {
        let [mut following, mut together, mut apart] = [(), (), ()].map(|()| {
            let mut peer = Hostile::dialled();
            for filter in ["t", "+"] {
                let id = peer.victim.connection.subscribe(filter, 1_000, None).expect("room");
                peer.heard();
                peer.say(&message::response(id.number(), 0, 1, b""));
            }
            peer.victim.events();
            peer
        });
        let expected: Vec<_> = messages.iter().flat_map(|message| apart.tell(message)).collect();
        following.victim.follows = true;
        for one_frame in [&mut together, &mut following] {
            prop_assert_eq!(&one_frame.tell(&messages.concat()), &expected);
            prop_assert_eq!(one_frame.victim.is_closed(), apart.victim.is_closed());
        }
    }
}

/// Those of one frame are taken one behind the other; what follows no publication, or stands behind an event that waits,
/// is none of them.
#[test]
fn only_what_follows_a_publication_is_taken_on_the_shorter_way() {
    let (mut pair, id) = subscribed("t", 100_000, 1_000);
    assert_eq!(pair.a.poll_following(), None);
    assert_eq!(pair.b.publish_series(id, &outgoing("t", 5, 1, b"a"), [&b"b"[..], b"c"]), Ok(3));
    let frame = pair.b.poll_transmit(pair.now).expect("a frame").to_vec();
    pair.b.advance_transmit(frame.len());
    assert_eq!(pair.a.handle_input(pair.now, &frame), frame.len());
    assert!(pair.a.peek_event().is_some());
    assert_eq!(pair.a.poll_following(), None, "an event waits");
    assert!(
        matches!(pair.a.poll_event(), Some(Event::Publication { publication, .. }) if publication.body == b"a")
    );
    assert!(
        matches!(pair.a.poll_event(), Some(Event::Publication { publication, .. }) if publication.body == b"b")
    );
    let follows = pair.a.poll_following().expect("the last");
    let Following { point, missed, retained, body, cost, .. } = follows;
    assert_eq!((point.sequence, missed, retained, body), (7, Missed::NONE, false, &b"c"[..]));
    assert_eq!(pair.a.release(id, cost), Ok(()));
    assert_eq!(pair.a.poll_following(), None);
    assert_eq!(pair.a.poll_event(), None);
}

/// Whoever cancels between two has taken the last one.
#[test]
fn nothing_follows_once_its_subscription_is_given_up() {
    let (mut pair, id) = subscribed("t", 100_000, 1_000);
    assert_eq!(pair.b.publish_series(id, &outgoing("t", 5, 0, b"a"), [&b"b"[..]; 2]), Ok(3));
    let frame = pair.b.poll_transmit(pair.now).expect("a frame").to_vec();
    pair.b.advance_transmit(frame.len());
    assert_eq!(pair.a.handle_input(pair.now, &frame), frame.len());
    assert!(matches!(pair.a.poll_event(), Some(Event::Publication { .. })));
    pair.a.cancel(id).expect("it stands");
    assert_eq!(pair.a.poll_following(), None);
    let told = pair.events_a();
    assert!(matches!(told[..], [Happened::Failed(of, Failure::Cancelled)] if of == id), "{told:?}");
}
