//! Which exchanges there are, and what may be said of them.

use symbolon::{Failure, PeerMisbehaved, Role, Status};

use super::common::cbor::message;
use super::common::hostile::Hostile;
use super::common::{Happened, Pair};

/// EXC-1: openings of either side rise from the first of their parity, whatever their kind.
#[test]
fn ids_rise_from_the_openers_parity() {
    let mut pair = Pair::connected();
    let ours = [
        pair.a.request(pair.now, "m", b"", None).unwrap().number(),
        pair.a.subscribe("t", 0, None).unwrap().number(),
        pair.a.request(pair.now, "m", b"", None).unwrap().number(),
    ];
    assert_eq!(ours, [2, 4, 6]);
    let theirs = [1, 3, 5].map(|_| pair.b.request(pair.now, "m", b"", None).unwrap().number());
    assert_eq!(theirs, [1, 3, 5]);
}

/// EXC-1: the receiver allows gaps.  EXC-2, R7: id 0, the wrong parity, and an id that is not above the highest
/// seen, live or over, end the connection.
#[test]
fn an_opening_needs_a_new_id_of_the_openers_parity() {
    let mut peer = Hostile::dialled();
    assert_eq!(peer.request(&message::request(2, 0, 0, "m", b"")).number(), 2);
    assert_eq!(peer.request(&message::request(1_000, 0, 0, "m", b"")).number(), 1_000);

    for (role, earlier, id) in [
        (Role::Initiator, 0, 0),
        (Role::Initiator, 0, 1),
        (Role::Responder, 0, 2),
        (Role::Initiator, 8, 8),
        (Role::Initiator, 8, 6),
        (Role::Responder, 9, 7),
        (Role::Initiator, 0, u64::MAX),
    ] {
        for opening in [message::request(id, 0, 0, "m", b""), message::subscribe(id, 0, "t", None)] {
            let mut peer = if role.is_initiator() { Hostile::dialled() } else { Hostile::listened() };
            if earlier > 0 {
                peer.request(&message::request(earlier, 0, 0, "m", b""));
            }
            peer.violates(&opening, PeerMisbehaved::OpeningId(id));
        }
    }
}

/// EXC-2: an id whose exchange is over is as used as one that lives.
#[test]
fn an_id_is_never_used_twice() {
    let mut peer = Hostile::dialled();
    let id = peer.request(&message::request(2, 0, 0, "m", b""));
    peer.victim.connection.respond(id, Status::OK, b"").unwrap();
    assert_eq!(peer.heard(), message::response(2, 0, 0, b""));
    peer.violates(&message::request(2, 0, 0, "m", b""), PeerMisbehaved::OpeningId(2));
}

/// The largest even id is taken like any other, and nothing above it exists.  R8
#[test]
fn the_last_id_is_an_id() {
    let mut peer = Hostile::dialled();
    let last = u64::MAX - 1;
    let id = peer.request(&message::request(last, 0, 0, "m", b""));
    assert_eq!(id.number(), last);
    peer.violates(&message::request(last, 0, 0, "m", b""), PeerMisbehaved::OpeningId(last));
}

/// EXC-3, R6: whatever is about id 0, or about an exchange that was never opened, ends the connection.
#[test]
fn messages_are_about_exchanges_that_were_opened() {
    // The attacker is the initiator: 2 would be his, 1 the victim's; neither was opened.
    let of_the_victim = |id| {
        vec![
            message::response(id, 0, 0, b""),
            message::busy(id, 0),
            message::publication(id, 0, 0, "t", 0, b"", None),
            message::continuation(id, 0, b""),
            message::missed(id, 0, 1),
            message::data(id, b""),
            message::end(id, 0),
            message::credit(id, 1),
        ]
    };
    let of_his_own = |id| {
        vec![message::cancel(id, 1), message::data(id, b""), message::end(id, 0), message::credit(id, 1)]
    };
    for (id, messages) in
        [(1, of_the_victim(1)), (u64::MAX, of_the_victim(u64::MAX)), (2, of_his_own(2)), (0, of_his_own(0))]
    {
        for message in messages {
            Hostile::dialled().violates(&message, PeerMisbehaved::UnknownExchange(id));
        }
    }
}

/// EXC-3: an opening that still waits to be sent was not opened for the peer.
#[test]
fn an_opening_that_was_not_sealed_does_not_exist_for_the_peer() {
    let mut peer = Hostile::dialled();
    let id = peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap();
    peer.say(&message::response(id.number(), 0, 0, b""));
    assert_eq!(
        peer.victim.events(),
        [
            Happened::Failed(id, Failure::NotExecuted),
            Happened::Closed(PeerMisbehaved::UnknownExchange(1).into())
        ]
    );
}

/// EXC-4, R2, R6: strays are ignored within the budget: 64, 4 more for each exchange that ended, at most 256;
/// the one beyond it ends the connection.
#[test]
fn strays_are_ignored_within_a_budget() {
    for (ended, budget) in [(1, 68), (3, 76), (48, 256), (60, 256)] {
        let mut peer = Hostile::dialled();
        for n in 1..=ended {
            let id = peer.request(&message::request(2 * n, 0, 0, "m", b""));
            peer.victim.connection.respond(id, Status::OK, b"").unwrap();
            peer.heard();
        }
        for n in 0..budget {
            assert_eq!(peer.tell(&message::cancel(2, 1)), [], "stray {n} of {budget}");
        }
        peer.violates(&message::cancel(2, 1), PeerMisbehaved::Strays);
    }
}

/// EXC-4: a gap is as over as an exchange that ended; strays of all kinds share one budget.
#[test]
fn strays_of_all_kinds_share_one_budget() {
    let mut peer = Hostile::dialled();
    peer.request(&message::request(100, 0, 0, "m", b""));
    let ours = peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap().number();
    peer.heard();
    peer.say(&message::response(ours, 0, 0, b""));
    peer.victim.events();
    let strays = [
        message::cancel(2, 1),
        message::end(4, 0),
        message::data(6, b"x"),
        message::response(ours, 0, 0, b""),
        message::busy(ours, 0),
        message::missed(ours, 0, 1),
        message::continuation(ours, 0, b""),
        message::publication(ours, 0, 0, "t", 0, b"", None),
    ];
    // 64, and 4 for the one that ended.
    for stray in strays.iter().cycle().take(68) {
        assert_eq!(peer.tell(stray), []);
        // Credit crosses an end in any amount, and counts for nothing.
        assert_eq!(peer.tell(&[message::credit(8, 1), message::credit(ours, 1)].concat()), []);
    }
    peer.violates(&strays[4], PeerMisbehaved::Strays);
}

/// EXC-5: who may send what is checked first, also where the exchange is over.
#[test]
fn messages_of_the_other_side_are_refused_also_as_strays() {
    let answerers = |id| {
        [
            message::response(id, 0, 0, b""),
            message::busy(id, 0),
            message::publication(id, 0, 0, "t", 0, b"", None),
            message::continuation(id, 0, b""),
            message::missed(id, 0, 1),
        ]
    };
    for over in [false, true] {
        for message in answerers(2) {
            let mut peer = Hostile::dialled();
            let id = peer.request(&message::request(2, 0, 0, "m", b""));
            if over {
                peer.victim.connection.respond(id, Status::OK, b"").unwrap();
                peer.heard();
            }
            peer.violates(&message, PeerMisbehaved::State(2));
        }
        // `cancel` is either side's; of a request without a body in chunks there is nothing to cancel for its answerer.
        let mut peer = Hostile::dialled();
        let ours = peer.victim.connection.request(peer.victim.now, "m", b"", None).unwrap();
        peer.heard();
        if over {
            peer.say(&message::response(ours.number(), 0, 0, b""));
            peer.victim.events();
        }
        assert_eq!(peer.tell(&message::cancel(1, 1)), []);
        assert_eq!((peer.heard(), peer.victim.is_closed()), (vec![], false));
        if !over {
            let response = peer.tell(&message::response(ours.number(), 0, 0, b""));
            assert!(matches!(response[..], [Happened::Response { .. }]), "as if nothing had been");
        }
    }
}
