//! Publications longer than a frame, where they are not taken.  SPEC §14.5

use symbolon::{Missed, PeerMisbehaved, Status};

use crate::common::Happened;
use crate::common::cbor::message;
use crate::{ABORT, MORE, WINDOW, breaks, publisher};

/// SPEC §14.5, R4, sentence 10: a publication longer than a frame is discarded and counted, once, whatever its
/// length; what follows it arrives.
#[test]
fn a_long_publication_is_discarded_and_counted() {
    for total in [0, 5, u64::from(u32::MAX), u64::MAX] {
        let (mut peer, id) = publisher("t", WINDOW, true);
        let first = message::publication(1, 4, MORE, "t", 0, b"", Some(total));
        let missed = Missed { count: 5, unknown: false };
        assert_eq!(peer.tell(&first), [Happened::Missed(id, missed)]);
        // Empty chunks are allowed, and `missed` may stand between.
        assert_eq!(peer.tell(&message::continuation(1, MORE, b"")), []);
        let between = Missed { count: 1, unknown: false };
        assert_eq!(peer.tell(&message::missed(1, 0, 1)), [Happened::Missed(id, between)]);
        let last = if total == 5 {
            assert_eq!(peer.tell(&message::continuation(1, MORE, b"12")), []);
            message::continuation(1, 0, b"345")
        } else if total == 0 {
            message::continuation(1, 0, b"")
        } else {
            message::continuation(1, ABORT, b"")
        };
        assert_eq!(peer.tell(&last), []);
        let events = peer.tell(&message::publication(1, 0, 0, "t", 1, b"next", None));
        assert!(matches!(&events[..], [Happened::Publication { body, .. }] if body == b"next"));
    }
    // A count at its limit becomes a lower bound.
    let (mut peer, id) = publisher("t", WINDOW, true);
    let first = message::publication(1, u64::from(u32::MAX), MORE, "t", 0, b"", Some(1));
    assert_eq!(peer.tell(&first), [Happened::Missed(id, Missed { count: u32::MAX, unknown: true })]);
    // `end` aborts.
    assert_eq!(peer.tell(&message::end(1, 0)), [Happened::SubscriptionEnded(id, Status::OK)]);
}

/// PUB-7: what does not fit together ends the connection.
#[test]
fn parts_of_a_long_publication_fit_together() {
    let first = message::publication(1, 0, MORE, "t", 0, b"1", Some(3));
    for (bad, reason) in [
        (message::publication(1, 0, 0, "t", 1, b"", None), PeerMisbehaved::State(1)),
        (message::publication(1, 0, MORE, "t", 1, b"", Some(3)), PeerMisbehaved::State(1)),
        (message::continuation(1, ABORT | MORE, b""), PeerMisbehaved::AbortForm),
        (message::continuation(1, ABORT, b"1"), PeerMisbehaved::AbortForm),
        (message::continuation(1, MORE, b"234"), PeerMisbehaved::Chunks(1)),
        (message::continuation(1, 0, b"234"), PeerMisbehaved::Chunks(1)),
        (message::continuation(1, 0, b"2"), PeerMisbehaved::Chunks(1)),
        (message::continuation(1, 0, b""), PeerMisbehaved::Chunks(1)),
    ] {
        let (mut peer, id) = publisher("t", WINDOW, true);
        assert_eq!(peer.tell(&first).len(), 1);
        breaks(&mut peer, id, &bad, reason);
    }
    for (bad, reason) in [
        (message::continuation(1, 0, b""), PeerMisbehaved::State(1)),
        (message::continuation(1, MORE, b""), PeerMisbehaved::State(1)),
        (message::continuation(1, ABORT, b""), PeerMisbehaved::State(1)),
        (message::publication(1, 0, MORE, "t", 0, b"1234", Some(3)), PeerMisbehaved::Chunks(1)),
    ] {
        let (mut peer, id) = publisher("t", WINDOW, true);
        breaks(&mut peer, id, &bad, reason);
        // Also once one has ended.
        let (mut peer, id) = publisher("t", WINDOW, true);
        peer.tell(&first);
        assert_eq!(peer.tell(&message::continuation(1, 0, b"23")), []);
        breaks(&mut peer, id, &bad, reason);
    }
}

/// R4: what is discarded gives its credit back, so a publisher may go on for ever and holds nothing here.
#[test]
fn discarding_gives_credit_back_and_holds_no_memory() {
    let (mut peer, _) = publisher("t", 1_000, true);
    let first = message::publication(1, 0, MORE, "t", 0, b"", Some(u64::MAX));
    peer.tell(&first);
    let chunk = message::continuation(1, MORE, &[7; 400]);
    let before = peer.victim.connection.buffered();
    let (mut spent, mut limit) = (first.len(), 1_000);
    for _ in 0..2_000 {
        spent += chunk.len();
        assert!(spent <= limit, "the credit comes back in time");
        assert_eq!(peer.tell(&chunk), []);
        let heard = peer.heard();
        if !heard.is_empty() {
            limit = 1_000 + spent;
            assert_eq!(heard, message::credit(1, limit as u64));
        }
    }
    assert!(spent > 800_000);
    assert!(peer.victim.connection.buffered() <= before + 1_024);
}
