//! Deterministic CBOR and the rules of extension, as a peer that was let in meets them.  SPEC §8

mod canonical;
#[path = "../common/mod.rs"]
mod common;
mod items;
mod messages;

use common::attacker::{Attacker, Victim};
use common::cbor::{array, map, message, uint};
use symbolon::{EncodingError, PeerMisbehaved, Role, WireError};

/// What this plaintext leads to.
fn fed(plaintext: &[u8]) -> (Attacker, Victim) {
    let (mut attacker, mut victim) = Attacker::connected(Role::Initiator);
    victim.feed(&attacker.seal(plaintext));
    (attacker, victim)
}

#[track_caller]
fn violates(plaintext: &[u8], error: WireError) {
    let (mut attacker, mut victim) = fed(plaintext);
    victim.assert_closed(&mut attacker, PeerMisbehaved::Message(error), 33);
}

/// Checks that this item is refused wherever it stands: as a message, within a field's place, and in elements that are
/// ignored.
#[track_caller]
fn refused(item: &[u8], error: EncodingError) {
    let error = WireError::Encoding(error);
    violates(item, error);
    violates(&message::of(20, &[item.to_vec()]), error);
    violates(&message::of(3, &[item.to_vec()]), error);
    violates(&message::of(3, &[uint(1), item.to_vec()]), error);
    violates(&message::of(23, &[uint(1), array(&[item.to_vec()])]), error);
    violates(&message::of(20, &[map(&[(uint(0), item.to_vec())])]), error);
}

#[track_caller]
fn ignored(plaintext: &[u8]) {
    let (mut attacker, mut victim) = fed(plaintext);
    assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
    victim.feed(&attacker.seal(&message::ping(1)));
    assert_eq!(attacker.open(&victim.written()), [message::pong(1)]);
}
