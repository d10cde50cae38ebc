//! Longer than the window: how credit moves meanwhile.

use symbolon::{CloseReason, PeerMisbehaved, SendError};

use super::common::cbor::message;
use super::common::{Happened, Pair};
use super::{MORE, body, first, options, outgoing, publishing, send, subscribed, taking, whole};

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
