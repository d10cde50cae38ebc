//! Given up, ended, refused, and waited for by the slow.

use symbolon::{ExchangeId, Failure, Kind, Missed, Outgoing, Role, SendError, Status, SubscribeOptions};

use super::common::attacker::{Knobs, VICTIM};
use super::common::cbor::message;
use super::common::hostile::Hostile;
use super::common::topics::Publisher;
use super::common::{Happened, Pair, device_with};
use super::{ABORT, MORE, body, first, options, outgoing, publishing, send, subscribed, taking};

/// Sentence 3: what is refused has changed nothing: neither what may be sent next, nor the credit, nor what leaves.
#[test]
fn refusals_change_nothing() {
    let (mut peer, id) = publishing(10_000, 256);
    let text = body(1_000);
    let connection = &mut peer.victim.connection;
    let nobody = ExchangeId::from_number(40);
    assert_eq!(connection.publish_next(id, &text), Err(SendError::NotHalfSent));
    assert_eq!(connection.publish_abort(id), Err(SendError::NotHalfSent));
    assert_eq!(connection.publish_first(nobody, &outgoing(&text)), Err(SendError::UnknownExchange));
    let bad = Outgoing { topic: "a//b", ..outgoing(&text) };
    assert!(matches!(connection.publish_first(id, &bad), Err(SendError::Name(_))));
    let sent = connection.publish_first(id, &outgoing(&text)).unwrap();
    let rest = &text[sent..];
    for _ in 0..2 {
        assert_eq!(connection.publish(id, &outgoing(b"x")), Err(SendError::HalfSent));
        assert_eq!(connection.publish_first(id, &outgoing(&text)), Err(SendError::HalfSent));
        for wrong in [&text[..], &rest[1..], b"", &[0; 2_000]] {
            assert_eq!(connection.publish_next(id, wrong), Err(SendError::NotHalfSent));
        }
        assert_eq!(connection.publish_next(nobody, rest), Err(SendError::UnknownExchange));
        assert_eq!(connection.publish_abort(nobody), Err(SendError::UnknownExchange));
    }
    // SPEC §14.5: `missed` may stand between.
    connection.publish_missed(id, Missed { count: 3, unknown: false }).unwrap();
    let more = connection.publish_next(id, rest).unwrap();
    let expected = [
        message::publication(2, 0, MORE, "t", 0, &text[..sent], Some(1_000)),
        message::missed(2, 0, 3),
        message::continuation(2, MORE, &rest[..more]),
    ];
    assert_eq!(peer.heard(), expected.concat());
    let connection = &mut peer.victim.connection;
    connection.end_subscription(id, Status::OK).unwrap();
    assert_eq!(connection.publish_next(id, &rest[more..]), Err(SendError::UnknownExchange));
    assert_eq!(connection.publish_abort(id), Err(SendError::UnknownExchange));
    assert_eq!(peer.heard(), message::end(2, 0));

    // A queue that is full.
    let config = device_with(VICTIM, |limits, _| limits.publication_queue = 600);
    let mut peer = Hostile::of(Role::Initiator, &config, Knobs::default());
    let id = peer.subscribe(&message::subscribe(2, 10_000, "t", None));
    peer.victim.connection.accept_subscription(id).unwrap();
    peer.heard();
    let connection = &mut peer.victim.connection;
    let sent = connection.publish_first(id, &outgoing(&text)).unwrap();
    assert_eq!(connection.publish_next(id, &text[sent..]), Err(SendError::Full));
    assert_eq!(connection.publish_abort(id), Err(SendError::Full));
    assert_eq!(peer.heard(), message::publication(2, 0, MORE, "t", 0, &text[..sent], Some(1_000)));
    let connection = &mut peer.victim.connection;
    let more = connection.publish_next(id, &text[sent..]).unwrap();
    assert_eq!(peer.heard(), message::continuation(2, 0, &text[sent..sent + more]));
}

/// PUB-10, PUB-8: what is given up gives its credit back to the byte, and what follows arrives; one by `end` as well.
#[test]
fn one_that_is_given_up() {
    let mut pair = Pair::connected();
    let (ours, theirs) = subscribed(&mut pair, options(20_000, 1 << 20));
    let text = body(100_000);
    for _ in 0..5 {
        let mut sent = 0;
        assert!(send(&mut pair.b, theirs, &text, &mut sent).is_some());
        pair.b.publish_abort(theirs).unwrap();
        let events = pair.events_a();
        assert_eq!(events.last(), Some(&Happened::Aborted(ours)));
        assert_eq!(events.iter().filter(|event| matches!(event, Happened::Aborted(_))).count(), 1);
        // As if it had not been: what is left is the window, less than a frame apart.
        pair.b.publish(theirs, &outgoing(&[7; 15_000])).unwrap();
        let events = pair.events_a();
        let [Happened::Publication { cost, total: None, .. }] = &events[..] else { panic!("{events:?}") };
        pair.a.release(ours, *cost).unwrap();
        pair.settle();
    }
    let mut sent = 0;
    assert!(send(&mut pair.b, theirs, &text, &mut sent).is_some());
    pair.b.end_subscription(theirs, Status::OK).unwrap();
    let events = pair.events_a();
    assert_eq!(events.last(), Some(&Happened::SubscriptionEnded(ours, Status::OK)));
    assert!(!events.contains(&Happened::Aborted(ours)), "the end says so");
    assert!(pair.a.is_idle() && pair.b.is_idle());
}

/// EXC-13, SPEC §14.5: who unsubscribes in the middle is told no more of it, whatever still comes, and it ends well.
#[test]
fn unsubscribing_in_the_middle() {
    for rest in [
        &[message::continuation(1, 0, b"23")][..],
        &[message::continuation(1, ABORT, b"")],
        &[message::continuation(1, MORE, b"2")],
        &[message::continuation(1, 0, b"23"), message::publication(1, 0, MORE, "t", 0, b"1", Some(9))],
    ] {
        let (mut peer, id) = taking(1_000, 10);
        assert_eq!(peer.tell(&first(b"1", 3)).len(), 1);
        peer.victim.connection.cancel(id).unwrap();
        assert_eq!(peer.victim.events(), [Happened::Failed(id, Failure::Cancelled)]);
        assert_eq!(peer.tell(&rest.concat()), []);
        assert_eq!(peer.tell(&message::end(1, 1)), []);
        assert!(peer.victim.connection.is_idle() && !peer.victim.is_closed());
    }
}

/// Which values of 200 KB a subscriber got whole, what they cost and were not released, and how many it missed.
#[derive(Default)]
struct Reader {
    open: Vec<u8>,
    cost: u32,
    untaken: u32,
    got: Vec<u8>,
    missed: u32,
}

impl Reader {
    fn take(&mut self, event: &Happened) {
        match event {
            Happened::Publication { body, missed, cost, total: Some(200_000), .. } => {
                (self.open, self.cost) = (body.clone(), *cost);
                self.missed += missed.count;
            }
            Happened::Continuation { chunk, more, cost, .. } => {
                self.open.extend_from_slice(chunk);
                self.cost += cost;
                if !more {
                    assert!(self.open.len() == 200_000 && self.open.iter().all(|byte| *byte == self.open[0]));
                    self.got.push(self.open[0]);
                    self.untaken += self.cost;
                }
            }
            Happened::Aborted(_) => self.missed += 1,
            Happened::Missed(_, missed) => self.missed += missed.count,
            other => panic!("{other:?}"),
        }
    }
}

/// PUB-2, PUB-8, PUB-10, SPEC §14.2: a state longer than window and frame, to one who reads all and one who stalls, on
/// one link: the first misses nothing; the second gets whole values, after each stall at once the newest, and what it
/// got and missed is what was published.
#[test]
fn a_long_state_to_a_fast_and_a_slow_reader() {
    let mut publisher = Publisher::new(1, Pair::connected());
    let topic = publisher.topics.declare("t", Kind::State).unwrap();
    let fast = publisher.subscribe_with("t", &SubscribeOptions::default());
    let slow = publisher.subscribe_with("#", &SubscribeOptions::default());
    publisher.events();
    let mut readers = [Reader::default(), Reader::default()];
    let mut read = |publisher: &mut Publisher, slow_reads: bool| {
        loop {
            let events = publisher.events();
            for event in &events {
                let (Happened::Publication { id, .. }
                | Happened::Continuation { id, .. }
                | Happened::Missed(id, _)
                | Happened::Aborted(id)) = event
                else {
                    panic!("{event:?}")
                };
                readers[usize::from(*id == slow)].take(event);
            }
            for (reader, id, reads) in [(0, fast, true), (1, slow, slow_reads)] {
                let untaken = &mut readers[reader].untaken;
                if reads && *untaken > 0 {
                    publisher.pair.a.release(id, std::mem::take(untaken)).unwrap();
                }
            }
            if events.is_empty() {
                return [readers[0].got.clone(), readers[1].got.clone()];
            }
        }
    };
    for value in 0..60_u8 {
        publisher.topics.publish(topic, &[value; 200_000]).unwrap();
        let [fast_got, slow_got] = read(&mut publisher, value % 20 == 19);
        assert_eq!(fast_got.last(), Some(&value));
        if value % 20 == 19 {
            assert_eq!(slow_got.last(), Some(&value), "the newest, as soon as it reads");
        }
    }
    assert_eq!((readers[0].got.len(), readers[0].missed), (60, 0));
    assert_eq!(readers[1].got.len() + readers[1].missed as usize, 60);
    // The first of each stall waits whole; the rest is replaced, or given up half sent.
    assert_eq!(readers[1].got, [0, 19, 20, 39, 40, 59]);
}

/// PUB-3, PUB-10: the end with one half sent: told before, and that one counted by whoever has the half.
#[test]
fn a_subscription_ends_with_one_half_sent() {
    let mut publisher = Publisher::new(1, Pair::connected());
    let topic = publisher.topics.declare("t", Kind::State).unwrap();
    let id = publisher.subscribe_with("t", &SubscribeOptions::default());
    publisher.events();
    let mut reader = Reader::default();
    for value in 0..3 {
        publisher.publish(topic, &[value; 200_000]).unwrap();
        // Until nothing more comes.
        while let events @ [_, ..] = &publisher.events()[..] {
            events.iter().for_each(|event| reader.take(event));
        }
    }
    assert_eq!((&reader.got[..], reader.missed), (&[0][..], 0));
    publisher.end(id, Status::OK);
    let missed = Missed { count: 1, unknown: false };
    let end = [Happened::Missed(id, missed), Happened::SubscriptionEnded(id, Status::OK)];
    assert_eq!(publisher.events(), end);
    // 0 came, 1 is half here, 2 was told.
}

/// Sentence 3, LAN-2: what is long goes behind what waits, though it takes no place in the queue; and where the queue has no
/// room, the refusal has sealed nothing.
#[test]
fn a_long_one_overtakes_nothing_and_is_refused_like_a_short_one() {
    let mut pair = Pair::connected();
    let (_, id) = subscribed(&mut pair, options(1 << 20, 0));
    let small = |n: u8| [n; 8];
    for n in 0..3 {
        pair.b.publish(id, &outgoing(&small(n))).unwrap();
        pair.b.publish(id, &outgoing(&body(5_000 + usize::from(n)))).unwrap();
    }
    let bodies = |events: Vec<Happened>| -> Vec<Vec<u8>> {
        let body = |event| match event {
            Happened::Publication { body, .. } => Some(body),
            _ => None,
        };
        events.into_iter().filter_map(body).collect()
    };
    let expected: Vec<_> = (0..3).flat_map(|n| [small(n).to_vec(), body(5_000 + usize::from(n))]).collect();
    assert_eq!(bodies(pair.events_a()), expected);

    let mut queued = 0;
    while pair.b.publish(id, &outgoing(&[7; 1_000])).is_ok() {
        queued += 1;
    }
    let buffered = pair.b.buffered();
    assert_eq!(pair.b.publish(id, &outgoing(&body(5_000))), Err(SendError::Full));
    assert_eq!(pair.b.buffered(), buffered, "no frame was made");
    assert_eq!(bodies(pair.events_a()), vec![vec![7; 1_000]; queued]);
    pair.b.publish(id, &outgoing(&body(5_000))).unwrap();
    assert_eq!(bodies(pair.events_a()), [body(5_000)]);
}
