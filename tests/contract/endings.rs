//! How it ends: once, with a reason, and never silently.

use symbolon::{CloseReason, ExchangeId, PeerMisbehaved, Status};

use super::common::cbor::message;
use super::common::hostile::Hostile;
use super::common::{Happened, Pair};

/// Sentence 2: an input that ends the connection is taken like any other; the end comes once, with one reason, last,
/// after the ends of all that was pending.
#[test]
fn inputs_never_fail_the_connection_does() {
    let mut peer = Hostile::dialled();
    let now = peer.victim.now;
    let connection = &mut peer.victim.connection;
    let pending: Vec<_> = (0..5).map(|_| connection.request(now, "m", b"", None).unwrap()).collect();
    let subscription = connection.subscribe("t", 9, None).unwrap();
    let given_up = connection.request(now, "m", b"", None).unwrap();
    peer.heard();
    peer.victim.connection.cancel(given_up).unwrap();
    let bad = [message::response(1, 0, 0, b"in time"), message::accept(), message::close(0)].concat();
    let frame = peer.attacker.seal(&bad);
    let input = [frame.as_slice(), &[0; 100]].concat();
    // Until the events are taken nothing is read; then all of it is, and ignored.
    let mut at = 0;
    let mut events: Vec<Happened> = Vec::new();
    while at < input.len() {
        let taken = peer.victim.connection.handle_input(now, &input[at..]);
        at += taken;
        let before = events.len();
        while let Some(event) = peer.victim.connection.poll_event() {
            events.push(event.into());
        }
        assert!(taken > 0 || events.len() > before, "it always goes on");
    }
    let mut ended: Vec<ExchangeId> = Vec::new();
    for event in &events[..events.len() - 1] {
        match event {
            Happened::Response { id, .. } | Happened::Failed(id, _) => ended.push(*id),
            other => panic!("{other:?}"),
        }
    }
    ended.sort();
    let mut all = pending;
    all.extend([subscription, given_up]);
    assert_eq!(ended, all);
    assert_eq!(events.last(), Some(&Happened::Closed(PeerMisbehaved::Accept.into())));
    peer.victim.feed(&[1; 50]);
    peer.victim.feed_eof();
    assert_eq!(peer.victim.events(), []);
}

/// Sentence 10: a truncated stream is told apart from a closed one at each byte at which it can be cut.
#[test]
fn nothing_is_lost_silently() {
    let whole = {
        let mut pair = Pair::new();
        pair.settle();
        pair.a.close(pair.now, Status::OK);
        pair.settle();
        pair.a_to_b.record.len()
    };
    for cut in 0..=whole {
        let mut pair = Pair::new();
        pair.a_to_b.cut_after = Some(cut);
        pair.settle();
        pair.a.close(pair.now, Status::OK);
        pair.settle();
        let told = pair.events_b().pop();
        if cut == whole {
            assert_eq!(told, Some(Happened::Closed(CloseReason::Remote(Status::OK))));
        } else {
            assert_eq!(told, Some(Happened::Closed(CloseReason::Truncated)), "cut after {cut} of {whole}");
        }
    }
}
