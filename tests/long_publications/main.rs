//! Publications longer than a message: in parts, within credit, at both ends.  SPEC §11, §14.5

#[path = "../common/mod.rs"]
mod common;
mod credit;
mod endings;
mod parts;

use common::attacker::{Knobs, VICTIM};
use common::cbor::message;
use common::hostile::Hostile;
use common::{Happened, Pair, device};
use symbolon::{Connection, ExchangeId, Missed, Outgoing, Point, Role, SendError, SubscribeOptions};

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
