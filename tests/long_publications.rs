//! Publications longer than a message: in parts, within credit, at both ends.  SPEC §11, §14.5

mod common;

use common::attacker::{Knobs, VICTIM};
use common::cbor::message;
use common::hostile::Hostile;
use common::topics::Publisher;
use common::{Happened, Pair, device, device_with};
use proptest::prelude::*;
use symbolon::{
    CloseReason, Connection, ExchangeId, Failure, Kind, Missed, Outgoing, PeerMisbehaved, Point, Role,
    SendError, Status, SubscribeOptions,
};

/// SPEC §9: the flags of a publication and of a continuation.
const MORE: u64 = 1;
const ABORT: u64 = 2;
/// What fits into a frame of a device with defaults.
const FRAME: usize = 16_640 - 16;

fn outgoing(body: &[u8]) -> Outgoing<'_> {
    let point = Point { epoch: 1, sequence: 0 };
    Outgoing { topic: "t", point, missed: Missed::NONE, retained: false, body }
}

fn options(window: u32, largest: u32) -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    (options.window, options.largest) = (window, largest);
    options
}

/// Bytes none of which is like those around it.
fn body(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

/// `a` subscribes at `b`: the ids at both sides.
fn subscribed(pair: &mut Pair, options: SubscribeOptions) -> (ExchangeId, ExchangeId) {
    let ours = pair.a.subscribe_with("t", &options).unwrap();
    let Some(Happened::Subscribe { id, .. }) = pair.events_b().pop() else { panic!("nobody subscribed") };
    pair.b.accept_subscription(id).unwrap();
    assert_eq!(pair.events_a(), [Happened::Subscribed(ours)]);
    (ours, id)
}

/// The victim subscribes at the attacker with exchange 1, which stands.
fn taking(window: u32, largest: u32) -> (Hostile, ExchangeId) {
    let mut peer = Hostile::dialled();
    let id = peer.victim.connection.subscribe_with("t", &options(window, largest)).unwrap();
    peer.heard();
    assert_eq!(peer.tell(&message::response(1, 0, 1, b"")), [Happened::Subscribed(id)]);
    (peer, id)
}

/// The attacker, who takes frames of this length, subscribes at the victim with exchange 2, which stands.
fn publishing(limit: u64, max_frame: u64) -> (Hostile, ExchangeId) {
    let knobs = Knobs { max_frame, ..Knobs::default() };
    let mut peer = Hostile::of(Role::Initiator, &device(VICTIM), knobs);
    let id = peer.subscribe(&message::subscribe(2, limit, "t", None));
    peer.victim.connection.accept_subscription(id).unwrap();
    assert_eq!(peer.heard(), message::response(2, 0, 1, b""));
    (peer, id)
}

fn first(chunk: &[u8], total: u64) -> Vec<u8> {
    message::publication(1, 0, MORE, "t", 0, chunk, Some(total))
}

/// Sends as much of a body as can be sent; how much of it has left before.
fn send(connection: &mut Connection, id: ExchangeId, body: &[u8], sent: &mut usize) -> Option<SendError> {
    while *sent < body.len() {
        let taken = match *sent {
            0 => connection.publish_first(id, &outgoing(body)),
            sent => connection.publish_next(id, &body[sent..]),
        };
        match taken {
            Ok(taken) => {
                assert!(taken > 0, "a part that moves nothing on");
                *sent += taken;
            }
            Err(error) => return Some(error),
        }
    }
    None
}

/// Puts together what came of one publication: its body, what it cost, and of how many events.
fn whole(events: &[Happened]) -> (Vec<u8>, u32, usize) {
    let (mut got, mut costs, mut total) = (Vec::new(), 0, None);
    for (at, event) in events.iter().enumerate() {
        match event {
            Happened::Publication { body, cost, total: of, .. } => {
                assert_eq!(at, 0);
                (got, costs, total) = (body.clone(), *cost, *of);
            }
            Happened::Continuation { chunk, cost, more, .. } => {
                got.extend_from_slice(chunk);
                costs += cost;
                assert_eq!(*more, at + 1 < events.len());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(total, (events.len() > 1).then_some(got.len() as u64));
    (got, costs, events.len())
}

/// PUB-9, PUB-6, PUB-8: of any length around what frames hold, it arrives whole, whatever the window; each part but the
/// last fills a frame where the window lets it.
#[test]
fn a_long_one_arrives_whole() {
    for len in [FRAME - 40, FRAME - 20, FRAME - 19, FRAME, 2 * FRAME, 200_000] {
        for window in [64, 1_000, 20_000, 1 << 20] {
            let mut pair = Pair::connected();
            let (ours, theirs) = subscribed(&mut pair, options(window, 1 << 20));
            let (body, mut sent, mut events) = (body(len), 0, Vec::new());
            while let Some(error) = send(&mut pair.b, theirs, &body, &mut sent) {
                assert!(matches!(error, SendError::NoCredit | SendError::Full), "{error:?}");
                let news = pair.events_a();
                assert!(!news.is_empty(), "it waits for ever, {len} {window} {sent}");
                events.extend(news);
            }
            events.extend(pair.events_a());
            let (got, cost, parts) = whole(&events);
            assert!(got == body, "{len} {window}");
            if window > 20_000 {
                // Heads of 12 bytes where it is whole; otherwise of 15 or 17, by the total, and of 7 behind.
                let rest = len.saturating_sub(FRAME - if len > 0xffff { 17 } else { 15 });
                let parts_of = if len + 12 <= FRAME { 1 } else { 1 + rest.div_ceil(FRAME - 7) };
                assert_eq!(parts, parts_of, "{len}");
            }
            // All of its credit comes back once it was taken, and the next one has it.
            pair.a.release(ours, cost).unwrap();
            pair.settle();
            let room = body_within(window as usize, 23);
            assert_eq!(pair.b.publish(theirs, &outgoing(&vec![0; room.min(FRAME - 30)])), Ok(()));
        }
    }
}

/// How long a body may be in a message of this length, with `head` for all else.
fn body_within(len: usize, head: usize) -> usize {
    len - head
}

/// PUB-9, CRD-2: to the byte what SPEC.md says, for a peer with short frames; credit is spent to the byte too.
#[test]
fn parts_are_encoded_and_paid_for_to_the_byte() {
    let (mut peer, id) = publishing(700, 256);
    let text = body(600);
    let connection = &mut peer.victim.connection;
    // 240 bytes of plaintext: heads of 18 and 6 bytes, where chunks need 2 for their length.
    let sent = connection.publish_first(id, &outgoing(&text)).unwrap();
    let more = connection.publish_next(id, &text[sent..]).unwrap();
    let last = sent + more;
    assert_eq!(connection.publish_next(id, &text[last..]), Ok(600 - last));
    let one = message::publication(2, 0, MORE, "t", 0, &text[..sent], Some(600));
    let two = message::continuation(2, MORE, &text[sent..last]);
    let three = message::continuation(2, 0, &text[last..]);
    assert_eq!((one.len(), two.len()), (240, 240));
    let spent = one.len() + two.len() + three.len();
    assert_eq!(peer.frames(), [one, two, three]);
    // What is left does for a message of exactly that.
    let left = 700 - spent;
    let head = message::publication(2, 0, 0, "t", 0, &[0; 30], None).len() - 30;
    let connection = &mut peer.victim.connection;
    assert_eq!(connection.publish(id, &outgoing(&vec![1; left - head + 1])), Err(SendError::NoCredit));
    assert_eq!(connection.publish(id, &outgoing(&vec![1; left - head])), Ok(()));
}

/// PUB-9: one that fits a frame and not the window goes in parts as well, or it would never arrive; one for which the
/// credit may still come waits for it.
#[test]
fn one_longer_than_the_window_goes_in_parts() {
    let mut pair = Pair::connected();
    let (_, theirs) = subscribed(&mut pair, options(1_000, 1 << 20));
    let (text, mut sent) = (body(5_000), 0);
    assert_eq!(send(&mut pair.b, theirs, &text, &mut sent), Some(SendError::NoCredit));
    assert!((900..1_000).contains(&sent), "{sent}");
    let mut events = Vec::new();
    while send(&mut pair.b, theirs, &text, &mut sent).is_some() {
        events.extend(pair.events_a());
    }
    events.extend(pair.events_a());
    assert_eq!(whole(&events).0, text);
    assert_eq!(pair.b.publish_first(theirs, &outgoing(&[7; 900])), Ok(900));
    assert_eq!(pair.b.publish_first(theirs, &outgoing(&[7; 900])), Err(SendError::NoCredit));
}

/// Sentence 3: what is refused has changed nothing: neither what may be sent next, nor the credit, nor what leaves.
#[test]
fn refusals_change_nothing() {
    let (mut peer, id) = publishing(10_000, 256);
    let text = body(1_000);
    let connection = &mut peer.victim.connection;
    let nobody = ExchangeId::from_number(40);
    assert_eq!(connection.publish_next(id, &text), Err(SendError::Unfinished));
    assert_eq!(connection.publish_abort(id), Err(SendError::Unfinished));
    assert_eq!(connection.publish_first(nobody, &outgoing(&text)), Err(SendError::UnknownExchange));
    let bad = Outgoing { topic: "a//b", ..outgoing(&text) };
    assert!(matches!(connection.publish_first(id, &bad), Err(SendError::Name(_))));
    let sent = connection.publish_first(id, &outgoing(&text)).unwrap();
    let rest = &text[sent..];
    for _ in 0..2 {
        assert_eq!(connection.publish(id, &outgoing(b"x")), Err(SendError::Unfinished));
        assert_eq!(connection.publish_first(id, &outgoing(&text)), Err(SendError::Unfinished));
        for wrong in [&text[..], &rest[1..], b"", &[0; 2_000]] {
            assert_eq!(connection.publish_next(id, wrong), Err(SendError::Unfinished));
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

/// CRD-1, R8: credit that is repeated, lowered or raised to the utmost while one is half sent.
#[test]
fn credit_moves_while_one_is_half_sent() {
    let (mut peer, id) = publishing(100, 256);
    let (text, mut sent) = (body(1_000), 0);
    assert_eq!(send(&mut peer.victim.connection, id, &text, &mut sent), Some(SendError::NoCredit));
    assert_eq!(peer.heard().len(), 100, "all of it");
    for limit in [0, 99, 100, 149] {
        peer.say(&message::credit(2, limit));
        let before = sent;
        let refused = send(&mut peer.victim.connection, id, &text, &mut sent);
        assert_eq!((refused, sent), (Some(SendError::NoCredit), before), "less than half of what there was");
    }
    peer.say(&message::credit(2, 150));
    assert_eq!(send(&mut peer.victim.connection, id, &text, &mut sent), Some(SendError::NoCredit));
    assert_eq!(peer.heard().len(), 50);
    peer.say(&message::credit(2, u64::MAX));
    assert_eq!(send(&mut peer.victim.connection, id, &text, &mut sent), None);
    assert!(!peer.victim.is_closed());
}

/// CRD-4: a peer that raises the limit only where it must, and to no more than it must, gets each body whole.
#[test]
fn a_peer_that_grants_no_more_than_it_must_gets_all() {
    for (window, max_frame, len) in [
        (40, 256, 500),
        (300, 256, 2_000),
        (100_000, 256, 5_000),
        (1_000, 16_384, 50_000),
        (20_000, 16_384, 90_000),
    ] {
        let (mut peer, id) = publishing(window, max_frame);
        let (text, mut limit, mut spent) = (body(len), window, 0);
        // Two, so that the second begins wherever the first has left the credit.
        for _ in 0..2 {
            let mut sent = 0;
            for round in 0.. {
                assert!(round < 3_000, "it waits for ever: {window} {max_frame} {len} {sent}");
                let done = send(&mut peer.victim.connection, id, &text, &mut sent).is_none();
                spent += peer.heard().len() as u64;
                assert!(spent <= limit, "CRD-2");
                if done {
                    break;
                }
                let left = limit - spent;
                let promised = window.min(max_frame);
                if left < promised {
                    limit = spent + promised;
                    peer.say(&message::credit(2, limit));
                }
            }
        }
    }
}

/// PUB-7, PUB-6: what does not fit together ends the connection, also where the parts are taken.
#[test]
fn parts_that_are_taken_fit_together() {
    let begun = [first(b"1", 3), message::continuation(1, MORE, b"")];
    for (bad, reason) in [
        (message::publication(1, 0, 0, "t", 1, b"", None), PeerMisbehaved::State(1)),
        (message::publication(1, 0, MORE, "t", 1, b"", Some(3)), PeerMisbehaved::State(1)),
        (message::continuation(1, ABORT | MORE, b""), PeerMisbehaved::AbortForm),
        (message::continuation(1, ABORT, b"1"), PeerMisbehaved::AbortForm),
        (message::continuation(1, MORE, b"234"), PeerMisbehaved::Chunks(1)),
        (message::continuation(1, 0, b"234"), PeerMisbehaved::Chunks(1)),
        (message::continuation(1, 0, b"2"), PeerMisbehaved::Chunks(1)),
        (message::continuation(1, 0, b""), PeerMisbehaved::Chunks(1)),
        (message::data(1, b"23"), PeerMisbehaved::State(1)),
        (message::response(1, 0, 0, b""), PeerMisbehaved::State(1)),
    ] {
        let (mut peer, id) = taking(1_000, 10);
        assert_eq!(peer.tell(&begun.concat()).len(), 2);
        peer.say(&bad);
        let end = Happened::Closed(CloseReason::Misbehaved(reason));
        assert_eq!(peer.victim.events(), [Happened::Failed(id, Failure::Disconnected), end], "{bad:02x?}");
        assert_eq!(peer.heard(), message::close(33));
    }
    for bad in [
        message::continuation(1, 0, b""),
        message::continuation(1, MORE, b""),
        message::continuation(1, ABORT, b""),
        first(b"1234", 3),
    ] {
        // Of nothing, and of one that has ended in either way.
        for before in [
            &[][..],
            &[first(b"12", 3), message::continuation(1, 0, b"3")],
            &[first(b"12", 3), message::continuation(1, ABORT, b"")],
        ] {
            let (mut peer, _) = taking(1_000, 10);
            peer.tell(&before.concat());
            peer.say(&bad);
            assert!(peer.victim.is_closed(), "{bad:02x?} {before:02x?}");
            assert_eq!(peer.heard(), message::close(33));
        }
    }
}

/// SPEC §14.5: what is longer than this side takes is discarded and counted, at the byte; what came in one message is
/// taken, however long.
#[test]
fn the_longest_that_is_taken() {
    for (largest, total, taken) in [
        (10, 10, true),
        (10, 11, false),
        (0, 0, false),
        (0, 1, false),
        (1, 0, true),
        (u32::MAX, u64::from(u32::MAX), true),
        (u32::MAX, 1 << 32, false),
        (u32::MAX, u64::MAX, false),
    ] {
        let (mut peer, id) = taking(1_000, largest);
        let events = peer.tell(&first(b"", total));
        if taken {
            assert!(
                matches!(&events[..], [Happened::Publication { total: Some(of), body, .. }] if *of == total && body.is_empty()),
                "{events:?}"
            );
        } else {
            assert_eq!(events, [Happened::Missed(id, Missed { count: 1, unknown: false })]);
        }
        // PUB-10: what is given up is told where it was begun, and not counted twice where it was discarded.
        let aborted = [Happened::Aborted(id)];
        assert_eq!(peer.tell(&message::continuation(1, ABORT, b"")), aborted[..usize::from(taken)]);
        let events = peer.tell(&message::publication(1, 0, 0, "t", 1, &[7; 20], None));
        assert!(matches!(&events[..], [Happened::Publication { total: None, .. }]), "{events:?}");
    }
}

/// PUB-6: chunks of any lengths, empty ones first, between and last; other exchanges go on meanwhile, and `missed` of
/// the same.
#[test]
fn chunks_of_any_length_make_one_body() {
    let (mut peer, id) = taking(1_000, 10);
    let missed = Missed { count: 2, unknown: false };
    let begins = message::publication(1, 2, MORE, "t", 7, b"", Some(5));
    let events = peer.tell(&begins);
    assert!(matches!(&events[..], [Happened::Publication { missed: of, .. }] if *of == missed));
    let mut costs = begins.len() as u32;
    let mut got = Vec::new();
    for (chunk, more) in
        [(&b""[..], true), (b"ab", true), (b"", true), (b"cde", true), (b"", true), (b"", false)]
    {
        let part = message::continuation(1, u64::from(more), chunk);
        let request = message::request(2 + 2 * u64::from(costs), 0, 0, "m", b"");
        let events = peer.tell(&[part.clone(), message::missed(1, 0, 2), request].concat());
        let [Happened::Continuation { chunk: came, cost, more: of, .. }, rest @ ..] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!((came.as_slice(), *cost, *of), (chunk, part.len() as u32, more));
        assert!(matches!(rest, [Happened::Missed(_, of), Happened::Request { .. }] if *of == missed));
        got.extend_from_slice(came);
        costs += cost;
    }
    assert_eq!(got, b"abcde");
    peer.heard();
    peer.victim.connection.release(id, costs).unwrap();
    assert_eq!(peer.heard(), message::credit(1, 1_000 + u64::from(costs)));
}

/// PUB-8, CRD-3: parts that came count as taken until the last is here, each time half a window has come; not those
/// publications before it that were not taken; and never is more announced than that.
#[test]
fn credit_for_the_rest_comes_by_itself() {
    for unread in [0, 1] {
        let (mut peer, id) = taking(1_000, 1 << 20);
        let small = message::publication(1, 0, 0, "t", 0, &[7; 200], None);
        for _ in 0..unread {
            assert_eq!(peer.tell(&small).len(), 1);
        }
        let held = unread * small.len();
        let begins = first(b"", 100_000);
        assert_eq!(peer.tell(&begins).len(), 1);
        let (mut spent, mut limit, mut came) = (held + begins.len(), 1_000, 0);
        let mut part = message::continuation(1, MORE, &[7; 100]);
        while came < 100_000 {
            came += 100;
            if came == 100_000 {
                part = message::continuation(1, 0, &[7; 100]);
            }
            spent += part.len();
            assert!(spent <= limit, "it would wait for ever");
            assert_eq!(peer.tell(&part).len(), 1);
            let heard = peer.heard();
            if !heard.is_empty() {
                assert!(came < 100_000, "the last part gives nothing");
                limit = 1_000 + spent - held;
                assert_eq!(heard, message::credit(1, limit as u64));
            }
        }
        // Now all of it waits, and what is left is what was left of the window.
        assert!(limit - spent <= 1_000 - held);
        // Another as long stops where the window ends, since nobody has taken the first.
        let begins = first(b"", 100_000);
        let mut spent_of_next = begins.len();
        assert_eq!(peer.tell(&begins).len(), 1);
        while spent + spent_of_next + part.len() < limit {
            let part = message::continuation(1, MORE, &[7; 100]);
            spent_of_next += part.len();
            assert_eq!(peer.tell(&part).len(), 1);
            assert_eq!(peer.heard(), b"");
        }
        // Once all before it was taken, it goes on.
        peer.victim.connection.release(id, u32::try_from(spent).unwrap()).unwrap();
        assert_eq!(peer.heard(), message::credit(1, (1_000 + spent + spent_of_next) as u64), "{unread}");
        peer.say(&message::continuation(1, MORE, &[7; 2_000]));
        assert!(
            peer.victim
                .events()
                .contains(&Happened::Closed(CloseReason::Misbehaved(PeerMisbehaved::CreditExceeded(1))))
        );
    }
}

/// PUB-8, R4: empty chunks for ever move no byte, hold no memory, and are paid for like any.
#[test]
fn empty_chunks_for_ever_hold_nothing() {
    let (mut peer, _) = taking(1_000, 1 << 20);
    assert_eq!(peer.tell(&first(b"", 1_000)).len(), 1);
    let before = peer.victim.connection.buffered();
    let empty = message::continuation(1, MORE, b"");
    for _ in 0..500 {
        let events = peer.tell(&empty.repeat(50));
        assert!(events.iter().all(|event| matches!(event, Happened::Continuation { more: true, .. })));
        assert_eq!(events.len(), 50);
        peer.heard();
    }
    assert!(peer.victim.connection.buffered() <= before + 1_024);
    // CRD-3: not beyond what was announced.
    peer.say(&empty.repeat(1_000 / empty.len() + 1));
    let beyond = CloseReason::Misbehaved(PeerMisbehaved::CreditExceeded(1));
    assert_eq!(peer.victim.events().last(), Some(&Happened::Closed(beyond)));
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// PUB-6, PUB-8, CRD-2, CRD-3: any lengths, windows and orders of taking: each arrives whole or is told aborted, in
    /// order, and neither side ever breaks a rule or waits for ever.
    #[test]
    fn whatever_is_sent_arrives_or_is_told(
        window in 40u32..40_000,
        small in any::<bool>(),
        steps in prop::collection::vec((0usize..60_000, 0u8..8, 0u8..4), 1..12),
    ) {
        let frames = |limits: &mut symbolon::Limits| limits.max_frame = if small { 300 } else { 16_384 };
        let (a, b) = (device_with(1, |limits, _| frames(limits)), device_with(2, |_, _| ()));
        let mut pair = Pair::connected_of(&a, &b);
        let (ours, theirs) = subscribed(&mut pair, options(window, 1 << 20));
        let mut got = Got::default();
        let mut expected = Vec::new();
        for (len, abort_at, lazy) in steps {
            let (text, mut sent, mut parts, mut rounds) = (body(len + 1), 0, 0_u32, 0);
            loop {
                let refused = send(&mut pair.b, theirs, &text, &mut sent);
                parts += 1;
                if refused.is_none() {
                    expected.push(Some(text.len()));
                    break;
                }
                if parts == abort_at.into() && sent > 0 && pair.b.publish_abort(theirs).is_ok() {
                    expected.push(None);
                    break;
                }
                for event in pair.events_a() {
                    got.take(event);
                }
                rounds += 1;
                if rounds > usize::from(lazy) {
                    pair.a.release(ours, std::mem::take(&mut got.untaken)).unwrap();
                }
                prop_assert!(rounds < 10_000, "it waits for ever at {sent} of {}", text.len());
            }
        }
        for event in pair.events_a() {
            got.take(event);
        }
        prop_assert!(!pair.a.is_closed() && !pair.b.is_closed());
        prop_assert_eq!(got.told, expected);
    }
}

/// What a subscriber got.
#[derive(Default)]
struct Got {
    /// What came of the one that goes on, and what that cost.
    open: Vec<u8>,
    cost: u32,
    /// The lengths of those that came whole, and who was given up.
    told: Vec<Option<usize>>,
    /// What those cost that the application has not taken.
    untaken: u32,
}

impl Got {
    fn take(&mut self, event: Happened) {
        let more = match event {
            Happened::Publication { body, total, cost, .. } => {
                assert!(self.open.is_empty());
                (self.open, self.cost) = (body, cost);
                total.is_some()
            }
            Happened::Continuation { chunk, more, cost, .. } => {
                self.open.extend_from_slice(&chunk);
                self.cost += cost;
                more
            }
            Happened::Aborted(_) => {
                self.open.clear();
                self.told.push(None);
                true
            }
            other => panic!("{other:?}"),
        };
        if !more {
            assert!(self.open == body(self.open.len()));
            self.told.push(Some(self.open.len()));
            self.untaken += self.cost;
            self.open.clear();
        }
    }
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
