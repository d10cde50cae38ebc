//! Subscriptions and publications on a connection, by hand and out of a table of topics.  SPEC §10, §13, §14

#[path = "../common/mod.rs"]
mod common;
mod discarded;
mod exchanges;
mod publications;
mod topics;

use common::cbor::message;
use common::hostile::Hostile;
use common::{Happened, Pair};
use symbolon::{CloseReason, ExchangeId, Failure, Missed, Outgoing, PeerMisbehaved, Point};

const WINDOW: u32 = 10_000;
/// SPEC §9: the flags of a publication and of a continuation.
const MORE: u64 = 1;
const UNKNOWN: u64 = 2;
const ABORT: u64 = 2;
const RETAINED: u64 = 4;

fn outgoing<'a>(topic: &'a str, sequence: u64, body: &'a [u8]) -> Outgoing<'a> {
    Outgoing { topic, point: Point { epoch: 1, sequence }, missed: Missed::NONE, retained: false, body }
}

/// `a` subscribes at `b`, which accepts: the ids at both sides.
fn subscribed(pair: &mut Pair, filter: &str, window: u32) -> (ExchangeId, ExchangeId) {
    let ours = pair.a.subscribe(filter, window, None).unwrap();
    let Some(Happened::Subscribe { id, .. }) = pair.events_b().pop() else { panic!("nobody subscribed") };
    pair.b.accept_subscription(id).unwrap();
    assert_eq!(pair.events_a(), [Happened::Subscribed(ours)]);
    (ours, id)
}

/// The victim subscribes at the attacker with exchange 1, which stands where `accepted`.
fn publisher(filter: &str, window: u32, accepted: bool) -> (Hostile, ExchangeId) {
    let mut peer = Hostile::dialled();
    let id = peer.victim.connection.subscribe(filter, window, None).unwrap();
    assert_eq!(peer.heard(), message::subscribe(1, window.into(), filter, None));
    if accepted {
        assert_eq!(peer.tell(&message::response(1, 0, 1, b"")), [Happened::Subscribed(id)]);
    }
    (peer, id)
}

/// Sends what ends a connection with an open subscription of the victim's.
#[track_caller]
fn breaks(peer: &mut Hostile, id: ExchangeId, bad: &[u8], reason: PeerMisbehaved) {
    peer.say(bad);
    let end = CloseReason::Misbehaved(reason);
    assert_eq!(
        peer.victim.events(),
        [Happened::Failed(id, Failure::Disconnected), Happened::Closed(end)],
        "{bad:02x?}"
    );
    assert_eq!(peer.heard(), message::close(33));
}
