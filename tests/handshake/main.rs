//! The three Noise messages and their payloads: what is refused, and that a refusal is silent and final.
//! SPEC §5.1, §5.2

#[path = "../common/mod.rs"]
mod common;
mod keys;
mod messages;
mod payloads;

use common::attacker::{Attacker, Knobs};
use symbolon::{HandshakeError, Role};

const BOTH: [Role; 2] = [Role::Initiator, Role::Responder];

/// Lets an attacker with these knobs run into the victim's refusal, in either role, and checks that it is final and
/// silent.
#[track_caller]
fn refused(knobs: impl Fn() -> Knobs, error: HandshakeError) {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::before_payload(role, knobs());
        let last = attacker.say();
        victim.feed(&last);
        victim.assert_dropped(error);
        // HSK-4: no second try, not even with the message that would have been right.
        let (mut honest, _) = Attacker::before_payload(role, Knobs::default());
        victim.feed(&honest.say());
        assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
    }
}

#[track_caller]
fn taken(knobs: impl Fn() -> Knobs) {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::before_payload(role, knobs());
        victim.feed(&attacker.say());
        assert!(!victim.is_closed(), "{:?}", victim.events());
        assert_eq!(victim.connection.peer(), Some(attacker.knobs.peer_id()));
    }
}
