//! How a body is cut into parts, and put together.

use proptest::prelude::*;
use symbolon::{CloseReason, Failure, Missed, PeerMisbehaved, SendError};

use super::common::cbor::message;
use super::common::{Happened, Pair, device_with};
use super::{
    ABORT, FRAME, MORE, body, first, options, outgoing, publishing, send, subscribed, taking, whole,
};

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
