//! Each side decides who is let in, and what may be said before that.  SPEC §6

mod common;

use core::time::Duration;

use common::attacker::{Attacker, Knobs, VICTIM, Victim};
use common::cbor::{message, uint};
use common::{Happened, Pair, device};
use symbolon::{
    Admission, CloseReason, ExchangeId, Failure, PeerMisbehaved, Role, SendError, Status, TimedOut,
};

fn failed(id: ExchangeId, failure: Failure) -> Happened {
    Happened::Failed(id, failure)
}

/// A victim that asks its application, up to the question.
fn asked(role: Role) -> (Attacker, Victim) {
    let mut victim = Victim::new(!role, &device(VICTIM), Admission::Ask);
    let mut attacker = Attacker::new(role, Knobs::default());
    let written = victim.written();
    victim.feed(&attacker.begin());
    attacker.hear(&[written, victim.written()].concat());
    victim.feed(&attacker.say());
    assert_eq!(victim.events(), [Happened::Admission(attacker.knobs.peer_id())]);
    (attacker, victim)
}

/// A victim that has dialled the attacker, let him in, and not heard `accept`.
fn awaiting_accept() -> (Attacker, Victim) {
    let (mut attacker, mut victim) = Attacker::listen(Knobs::default());
    attacker.handshake(&mut victim);
    assert!(attacker.has_keys());
    (attacker, victim)
}

/// ADM-1: an initiator that does not let the responder in says nothing; not even who it is.
#[test]
fn an_initiator_refuses_in_silence() {
    let peer = Knobs::default().peer_id();
    for admission in [Admission::Only(vec![]), Admission::expect(device(2).identity().peer_id())] {
        let mut victim = Victim::new(Role::Initiator, &device(VICTIM), admission);
        let mut attacker = Attacker::new(Role::Responder, Knobs::default());
        let preamble = attacker.begin();
        attacker.hear(&victim.written());
        victim.feed(&[preamble, attacker.say()].concat());
        victim.assert_dropped(CloseReason::NotAdmitted(peer));
    }
}

/// ADM-1: message 3 waits for the application; where it refuses there is none.
#[test]
fn an_initiator_asks_before_message_3() {
    let peer = Knobs::default().peer_id();
    let (_, mut victim) = asked(Role::Responder);
    assert_eq!(victim.written(), b"");
    assert_eq!(victim.connection.request(victim.now, "m", b"", None), Err(SendError::NotConnected));
    victim.connection.refuse(victim.now).unwrap();
    victim.assert_dropped(CloseReason::NotAdmitted(peer));

    let (mut attacker, mut victim) = asked(Role::Responder);
    victim.connection.admit(victim.now).unwrap();
    assert!(attacker.hear(&victim.written()), "message 3");
    assert_eq!(victim.events(), []);
}

/// ADM-2: `accept` comes first, and nothing but `close` where it does not.
#[test]
fn a_responder_answers_message_3_with_its_decision() {
    let (mut attacker, mut victim) = Attacker::dial(Knobs::default());
    attacker.handshake(&mut victim);
    victim.connection.request(victim.now, "m", b"", None).unwrap();
    let accept_first = [message::accept(), message::request(1, 0, 0, "m", b"")].concat();
    assert_eq!(attacker.open(&victim.written()), [accept_first]);

    let peer = attacker.knobs.peer_id();
    let mut victim = Victim::new(Role::Responder, &device(VICTIM), Admission::Only(vec![]));
    let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
    attacker.handshake(&mut victim);
    victim.assert_closed(&mut attacker, CloseReason::NotAdmitted(peer), 32);

    let (mut attacker, mut victim) = asked(Role::Initiator);
    assert_eq!(victim.written(), b"");
    victim.connection.refuse(victim.now).unwrap();
    victim.assert_closed(&mut attacker, CloseReason::NotAdmitted(peer), 32);
}

/// ADM-2: whatever the reason; also where the application closes instead of deciding.
#[test]
fn a_responder_that_closes_instead_of_deciding_says_nothing_else() {
    let (mut attacker, mut victim) = asked(Role::Initiator);
    victim.connection.close(victim.now, Status::new(300));
    victim.assert_closed(&mut attacker, CloseReason::Local(Status::new(300)), 32);
}

/// ADM-2, SPEC §16.4: who was let in gets `accept` first, also where all ends before it has left: without it he would take
/// what was executed as not executed.
#[test]
fn whoever_was_let_in_hears_of_it_before_the_end() {
    let (mut attacker, mut victim) = asked(Role::Initiator);
    victim.connection.admit(victim.now).unwrap();
    let peer = attacker.knobs.peer_id();
    let mut sent = attacker.seal_each(&[message::request(2, 0, 0, "m", b""), message::ping(1)]);
    *sent.last_mut().unwrap() ^= 1;
    victim.feed(&sent);
    let events = victim.events();
    assert_eq!(events[0], Happened::Connected(peer));
    assert!(matches!(&events[1], Happened::Request { .. }), "{events:?}");
    assert_eq!(events[2..], [Happened::Closed(PeerMisbehaved::Unauthentic.into())]);
    assert_eq!(attacker.open(&victim.written()), [[message::accept(), message::close(33)].concat()]);
}

/// ADM-3: what the initiator sends ahead waits, unread, for the decision.
#[test]
fn a_responder_acts_on_nothing_before_it_has_decided() {
    let (mut attacker, mut victim) = asked(Role::Initiator);
    let before = victim.connection.buffered();
    let ahead = attacker.seal(&[message::ping(1), message::request(2, 0, 0, "m", b"body")].concat());
    victim.feed(&ahead);
    assert_eq!(victim.refused, ahead.len(), "not a byte is taken");
    assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
    assert_eq!(victim.connection.buffered(), before);

    victim.connection.admit(victim.now).unwrap();
    assert_eq!(victim.events(), [Happened::Connected(attacker.knobs.peer_id())]);
    victim.feed(&ahead);
    assert!(matches!(&victim.events()[..], [Happened::Request { method, .. }] if method == "m"));
    assert_eq!(attacker.open(&victim.written()), [[message::accept(), message::pong(1)].concat()]);
}

/// ADM-3: nor does it find fault with what it does not read.
#[test]
fn a_refusal_does_not_depend_on_what_was_sent_ahead() {
    let peer = Knobs::default().peer_id();
    for ahead in [vec![0xff; 17], message::accept(), message::close(0)] {
        let mut victim = Victim::new(Role::Responder, &device(VICTIM), Admission::Only(vec![]));
        let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
        victim.feed(&attacker.begin());
        assert!(attacker.hear(&victim.written()));
        let message_3 = attacker.say();
        let behind = [attacker.seal(&ahead), vec![0, 0, 0]].concat();
        victim.feed(&[message_3, behind].concat());
        victim.assert_closed(&mut attacker, CloseReason::NotAdmitted(peer), 32);
    }
}

/// ADM-4: the initiator may ask right behind message 3, and is not connected before `accept`.
#[test]
fn an_initiator_is_connected_by_accept() {
    let (mut attacker, mut victim) = Attacker::listen(Knobs::default());
    let preamble = attacker.begin();
    attacker.hear(&victim.written());
    victim.feed(&[preamble, attacker.say()].concat());
    assert!(victim.connection.is_open());
    victim.connection.request(victim.now, "m", b"", None).unwrap();
    let written = victim.written();
    assert!(attacker.hear(&written), "message 3");
    assert_eq!(attacker.open(b""), [message::request(2, 0, 0, "m", b"")], "with the request behind it");

    assert_eq!(victim.events(), []);
    assert!(!victim.connection.is_connected());
    victim.feed(&attacker.seal(&[message::accept(), message::response(2, 0, 0, b"yes")].concat()));
    let events = victim.events();
    assert_eq!(events[0], Happened::Connected(attacker.knobs.peer_id()));
    assert!(matches!(&events[1..], [Happened::Response { body, .. }] if body == b"yes"));
    assert!(victim.connection.is_connected());
}

/// ADM-5: the first message is `accept` or `close`; also nothing that is ignored elsewhere may come before.
#[test]
fn an_initiator_takes_nothing_before_accept() {
    let early = [
        message::goaway(0),
        message::ping(1),
        message::pong(1),
        message::request(1, 0, 0, "m", b""),
        message::response(2, 0, 0, b""),
        message::busy(2, 0),
        message::cancel(1, 1),
        message::data(1, b""),
        message::end(1, 0),
        message::credit(2, 1),
        message::subscribe(1, 100, "a", None),
        message::publication(2, 0, 0, "a", 0, b"", None),
        message::continuation(2, 0, b""),
        message::missed(2, 0, 1),
        message::padding(0),
        message::of(23, &[uint(1)]),
    ];
    for first in early {
        let (mut attacker, mut victim) = awaiting_accept();
        victim.feed(&attacker.seal(&[first, message::accept()].concat()));
        victim.assert_closed(&mut attacker, PeerMisbehaved::Accept, 33);
    }
}

/// ADM-5: `accept` occurs once, and only the responder sends it.
#[test]
fn accept_anywhere_else_is_a_violation() {
    for role in [Role::Initiator, Role::Responder] {
        let (mut attacker, mut victim) = Attacker::connected(role);
        victim.feed(&attacker.seal(&message::accept()));
        victim.assert_closed(&mut attacker, PeerMisbehaved::Accept, 33);
    }
    let (mut attacker, mut victim) = awaiting_accept();
    victim.feed(&attacker.seal(&[message::accept(), message::accept()].concat()));
    let connected = Happened::Connected(attacker.knobs.peer_id());
    let ended = Happened::Closed(PeerMisbehaved::Accept.into());
    assert_eq!(victim.events(), [connected, ended]);
    assert_eq!(attacker.open(&victim.written()), [message::close(33)]);
}

/// ADM-4, ADM-5: closed without `accept`, with whatever status: not executed, and never connected.
#[test]
fn what_a_refused_initiator_asked_was_not_executed() {
    for status in [0, 32, 34, 36, 300] {
        let (mut attacker, mut victim) = awaiting_accept();
        let id = victim.connection.request(victim.now, "m", b"", None).unwrap();
        attacker.open(&victim.written());
        victim.feed(&attacker.seal(&message::close(status)));
        let reason = CloseReason::Remote(Status::new(status as u16));
        assert_eq!(victim.events(), [failed(id, Failure::NotExecuted), Happened::Closed(reason)]);
    }
}

/// ADM-1, ADM-2: a decision that does not come in time counts as a refusal.
#[test]
fn a_late_decision_is_a_refusal() {
    let late = CloseReason::TimedOut(TimedOut::Handshake);
    let (_, mut victim) = asked(Role::Responder);
    victim.pass(Duration::from_secs(10));
    victim.assert_dropped(late);
    assert_eq!(victim.connection.admit(victim.now), Err(SendError::Closed));

    let (mut attacker, mut victim) = asked(Role::Initiator);
    victim.pass(Duration::from_millis(9_999));
    assert_eq!(victim.events(), []);
    victim.pass(Duration::from_millis(1));
    victim.assert_closed(&mut attacker, late, 32);

    let (mut attacker, mut victim) = awaiting_accept();
    victim.pass(Duration::from_secs(10));
    assert_eq!(victim.closed(), late);
    assert_eq!(attacker.open(&victim.written()).last(), Some(&message::close(32)));
}

/// ADM-1, ADM-2: two connections of the crate that refuse each other, either way round.
#[test]
fn who_is_refused_learns_it_from_close() {
    let (one, two) = (device(1), device(2));
    let (id_one, id_two) = (one.identity().peer_id(), two.identity().peer_id());
    let mut pair = Pair::with(&one, Admission::expect(id_two), &two, Admission::Only(vec![]));
    assert_eq!(pair.events_b(), [Happened::Closed(CloseReason::NotAdmitted(id_one))]);
    assert_eq!(pair.events_a(), [Happened::Closed(CloseReason::Remote(Status::REFUSED))]);

    let mut pair = Pair::with(&one, Admission::Only(vec![]), &two, Admission::expect(id_one));
    assert_eq!(pair.events_a(), [Happened::Closed(CloseReason::NotAdmitted(id_two))]);
    assert_eq!(pair.events_b(), []);
    assert_eq!(pair.b.peer(), None, "the responder never learns who it was");
}
