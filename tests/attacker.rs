//! The attacker of the other tests keeps all rules until told otherwise; else what they show would prove nothing.

mod common;

use common::Happened;
use common::attacker::{Attacker, Knobs};
use common::cbor::message;
use symbolon::{Role, Status};

/// HSK-1, IDP-1, ADM-2, TRN-1: the crate understands an independent implementation of SPEC.md, in either role.
#[test]
fn an_independent_peer_is_understood_in_either_role() {
    for role in [Role::Initiator, Role::Responder] {
        let (mut attacker, mut victim) = Attacker::connected(role);
        assert_eq!(victim.connection.peer(), Some(Knobs::default().peer_id()));
        assert_eq!(victim.connection.channel_binding(), Some(attacker.hash));
        victim.feed(&attacker.seal(&message::ping(7)));
        assert_eq!(attacker.open(&victim.written()), [message::pong(7)]);

        let id = if role.is_initiator() { 2 } else { 1 };
        victim.feed(&attacker.seal(&message::request(id, 0, 0, "echo", b"hello")));
        let [Happened::Request { id: asked, method, body, .. }] = &victim.events()[..] else { panic!() };
        assert_eq!((asked.number(), method.as_str(), body.as_slice()), (id, "echo", &b"hello"[..]));
        victim.connection.respond(*asked, Status::OK, b"hello").unwrap();
        assert_eq!(attacker.open(&victim.written()), [message::response(id, 0, 0, b"hello")]);
    }
}
