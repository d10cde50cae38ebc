//! A peer that breaks the rules, or keeps them to the letter and means no good: each gets its own outcome, costs bounded memory, and
//! leaves the other exchanges alone.  SPEC §20

use symbolon::{CloseReason, ExchangeId, Limits, PeerMisbehaved, Role, Status};

use crate::behaviour::{head, joined};
use crate::common::attacker::Knobs;
use crate::common::cbor::message;
use crate::common::hostile::Hostile;
use crate::common::{Happened, device};

/// What the buffers of a small device can come to: frames and queues as they grow, and a body for each request.
fn bound(limits: &Limits) -> usize {
    let bodies = usize::from(limits.requests_in + limits.requests_out) * limits.body_buffer;
    2 * (2 * (usize::from(limits.max_frame) + 2) + 2 * (limits.call_queue + limits.publication_queue))
        + bodies
}

/// A small device beside whose attacked exchanges two others go on: 1, that it opened, and 2, that the attacker did.
struct Attack {
    peer: Hostile,
    limits: Limits,
}

impl Attack {
    fn new() -> Self {
        let mut limits = Limits::small();
        (limits.requests_in, limits.requests_out, limits.window) = (4, 4, 200);
        let config = device(1).with_limits(limits).unwrap();
        let mut peer = Hostile::of(Role::Initiator, &config, Knobs { window: 200, ..Knobs::default() });
        peer.victim.connection.open(peer.victim.now, &head(true)).unwrap();
        peer.heard();
        assert_eq!(peer.tell(&message::request(2, 0, 1, "m", b"")).len(), 1);
        Self { peer, limits }
    }

    /// The victim's application is told this, and the connection lives within its bounds.
    #[track_caller]
    fn tell(&mut self, plaintext: &[u8]) -> Vec<Happened> {
        let events = self.peer.tell(plaintext);
        let held = self.peer.victim.connection.buffered();
        assert!(held <= bound(&self.limits), "{held}");
        events
    }

    /// The others have not noticed anything.
    fn assert_others_go_on(mut self) {
        assert!(!self.peer.victim.is_closed(), "{:?}", self.peer.victim.events());
        let (one, two) = (ExchangeId::from_number(1), ExchangeId::from_number(2));
        self.peer.heard();
        self.peer.victim.events();
        self.peer.victim.connection.write(one, b"mine").unwrap();
        self.peer.victim.connection.finish(one).unwrap();
        let (mine, end) = (message::data(1, b"mine"), message::end(1, 0));
        assert_eq!(self.peer.heard(), [mine, end].concat());
        let both = [message::data(2, b"yours"), message::end(2, 0), message::response(1, 0, 0, b"")].concat();
        let (bytes, others) = joined(self.peer.tell(&both));
        assert_eq!(bytes, b"yours");
        assert!(matches!(others[..], [Happened::End(..), Happened::Response { .. }]), "{others:?}");
        self.peer.victim.connection.respond(two, Status::OK, b"").unwrap();
        assert_eq!(self.peer.heard(), message::response(2, 0, 0, b""));
        assert!(self.peer.victim.connection.is_idle());
    }
}

/// EXC-3: about an exchange that was never opened, of either side: the connection ends.
#[test]
fn what_is_about_nothing_ends_the_connection() {
    for id in [0, 3, 4, u64::MAX, u64::MAX - 1] {
        for message in [
            message::data(id, b"x"),
            message::end(id, 0),
            message::cancel(id, 1),
            message::credit(id, u64::MAX),
        ] {
            let mut attack = Attack::new();
            attack.peer.say(&message);
            let reason = CloseReason::Misbehaved(PeerMisbehaved::UnknownExchange(id));
            attack.peer.victim.assert_closed_with_failures(&mut attack.peer.attacker, reason, 33);
        }
    }
}

/// EXC-4: data, ends and cancels about what has ended a moment ago are ignored within the budget, and no further.
#[test]
fn what_is_about_something_over_is_a_stray() {
    for stray in [message::data(4, b"x"), message::end(4, 0), message::cancel(4, 1), message::data(4, b"")] {
        for beyond in [false, true] {
            let mut attack = Attack::new();
            let events = attack.tell(&[message::request(4, 0, 1, "m", b""), message::end(4, 1)].concat());
            assert_eq!(events.len(), 2);
            attack.peer.victim.connection.respond(ExchangeId::from_number(4), Status::OK, b"").unwrap();
            attack.peer.heard();
            for _ in 0..68 {
                assert_eq!(attack.tell(&stray), []);
            }
            if beyond {
                attack.peer.say(&stray);
                let reason = CloseReason::Misbehaved(PeerMisbehaved::Strays);
                attack.peer.victim.assert_closed_with_failures(&mut attack.peer.attacker, reason, 33);
            } else {
                attack.assert_others_go_on();
            }
        }
    }
}

/// CRD-1, SPEC §20: credit without end, lowered, repeated or the highest there is, costs nothing.
#[test]
fn credit_of_any_kind_costs_nothing() {
    let mut attack = Attack::new();
    for n in 0..10_000_u64 {
        let credit = |id| message::credit(id, [u64::MAX, 0, n][n as usize % 3]);
        assert_eq!(attack.tell(&[credit(1), credit(2), credit(1)].concat()), []);
    }
    assert_eq!(attack.peer.heard(), b"");
    attack.assert_others_go_on();
}

/// CRD-3, SPEC §20: empty chunks without end: each costs credit, and the application is told; then it is beyond it.
#[test]
fn empty_chunks_come_to_an_end() {
    let mut attack = Attack::new();
    let empty = message::data(2, b"");
    for _ in 0..200 / empty.len() {
        assert!(
            matches!(attack.tell(&empty)[..], [Happened::Data(_, _, cost)] if cost as usize == empty.len())
        );
    }
    attack.peer.heard();
    attack.peer.say(&empty);
    let reason = CloseReason::Misbehaved(PeerMisbehaved::CreditExceeded(2));
    attack.peer.victim.assert_closed_with_failures(&mut attack.peer.attacker, reason, 33);
    // As long as they are taken they do no harm.
    let mut attack = Attack::new();
    for _ in 0..10_000 {
        assert_eq!(attack.tell(&empty).len(), 1);
        attack.peer.victim.connection.release(ExchangeId::from_number(2), empty.len() as u32).unwrap();
        attack.peer.heard();
    }
    attack.assert_others_go_on();
}

/// Sentence 4, EXC-18: to a reader that never reads, what waits is one buffer for each body, and giving up still gets through.
#[test]
fn a_reader_that_never_reads_costs_one_buffer() {
    let mut attack = Attack::new();
    let mut ids = vec![ExchangeId::from_number(1)];
    while let Ok(id) = attack.peer.victim.connection.open(attack.peer.victim.now, &head(true)) {
        ids.push(id);
    }
    assert_eq!(ids.len(), 4);
    attack.peer.heard();
    for _ in 0..1_000 {
        for id in &ids {
            let _ = attack.peer.victim.connection.write(*id, &[7; 700]);
        }
        let held = attack.peer.victim.connection.buffered();
        assert!(held <= bound(&attack.limits), "{held}");
        attack.peer.heard();
    }
    for id in &ids {
        attack.peer.victim.connection.reset(*id, Status::FAILED).unwrap();
    }
    let ends: Vec<u8> = ids.iter().flat_map(|id| message::end(id.number(), 6)).collect();
    assert_eq!(attack.peer.heard(), ends);
    assert!(
        attack.peer.victim.connection.buffered() <= bound(&attack.limits) - 4 * attack.limits.body_buffer
    );
}

/// EXC-9, EXC-17, SPEC §20: 10,000 bodies that are opened and cancelled at once, in whichever way; the slots are free again each time.
#[test]
fn a_flood_of_opened_and_cancelled_bodies_leaves_nothing() {
    for how in 0..4 {
        let mut attack = Attack::new();
        for n in 2..10_002_u64 {
            let id = 2 * n;
            let begin = [message::request(id, 0, 1, "m", b""), message::data(id, &[7; 50])].concat();
            let end = match how {
                0 => [message::cancel(id, 1), message::end(id, 1)].concat(),
                1 => [message::end(id, 6), message::cancel(id, 1), message::cancel(id, 1)].concat(),
                2 => message::end(id, 1),
                _ => vec![],
            };
            let events = attack.tell(&[begin, end].concat());
            assert!(matches!(events[0], Happened::RequestGoesOn { .. }), "{events:?}");
            let theirs = ExchangeId::from_number(id);
            let connection = &mut attack.peer.victim.connection;
            if n % 2 == 0 {
                connection.respond_more(attack.peer.victim.now, theirs, b"").unwrap();
                connection.write(theirs, &[7; 300]).unwrap();
                connection.reset(theirs, Status::CANCELLED).unwrap();
            } else {
                connection.respond(theirs, Status::CANCELLED, b"").unwrap();
            }
            attack.peer.heard();
            if how == 3 {
                assert_eq!(attack.tell(&[message::data(id, b"x"), message::end(id, 1)].concat()), []);
            }
        }
        attack.assert_others_go_on();
    }
    // Who does not end what he began runs out of slots, and then of the connection.
    let mut attack = Attack::new();
    for id in [4, 6, 8] {
        attack.tell(&message::request(id, 0, 1, "m", b""));
        attack.peer.victim.connection.respond(ExchangeId::from_number(id), Status::OK, b"").unwrap();
    }
    attack.peer.heard();
    attack.peer.say(&message::request(10, 0, 1, "m", b""));
    let reason = CloseReason::Misbehaved(PeerMisbehaved::TooManyRequests);
    attack.peer.victim.assert_closed_with_failures(&mut attack.peer.attacker, reason, 33);
}

/// EXC-14, EXC-16: the other way round: 10,000 requests of the victim's that are answered, stopped or cut off at once.
#[test]
fn a_flood_of_answers_cut_off_leaves_nothing() {
    let mut attack = Attack::new();
    for n in 1..10_001_u64 {
        let ours = attack.peer.victim.connection.open(attack.peer.victim.now, &head(true)).unwrap();
        attack.peer.victim.connection.write(ours, &[7; 1_000]).unwrap();
        attack.peer.heard();
        let id = ours.number();
        assert_eq!(id, 2 * n + 1);
        let (begin, data) = (message::response(id, 0, 1, b""), message::data(id, &[7; 50]));
        let end = message::end(id, n % 3);
        let events = attack.tell(&match n % 4 {
            0 => message::response(id, 0, 0, b""),
            1 => [message::cancel(id, 1), message::response(id, 0, 0, b"")].concat(),
            2 => [begin, data, end].concat(),
            _ => [begin, message::cancel(id, 1), end].concat(),
        });
        assert!(!events.is_empty());
        assert_eq!(attack.peer.heard(), message::end(id, 1), "EXC-14, EXC-16");
    }
    attack.assert_others_go_on();
}

/// EXC-15: a body that is cut off behind each of its messages, in each way there is: never complete, and always ended.
#[test]
fn a_body_cut_off_at_each_point_is_never_complete() {
    let whole = [
        message::request(4, 0, 1, "m", b"head"),
        message::data(4, b"one"),
        message::data(4, b""),
        message::data(4, &[7; 50]),
    ];
    for cut in 1..=whole.len() {
        for how in 0..5 {
            let mut attack = Attack::new();
            let mut events = Vec::new();
            whole[..cut].iter().for_each(|message| events.extend(attack.tell(message)));
            match how {
                0 => events.extend(attack.tell(&message::end(4, 6))),
                1 => events.extend(attack.tell(&[message::cancel(4, 1), message::end(4, 1)].concat())),
                2 => events.extend(attack.tell(&message::close(0))),
                3 => {
                    attack.peer.victim.feed_eof();
                    events.extend(attack.peer.victim.events());
                }
                _ => events.extend(attack.tell(&message::padding(3)[1..])),
            }
            let complete = |event: &Happened| matches!(event, Happened::End(_, status) if status.is_ok());
            assert!(!events.iter().any(complete), "{events:?}");
            if how < 2 {
                attack.peer.victim.connection.respond(ExchangeId::from_number(4), Status::OK, b"").unwrap();
                attack.assert_others_go_on();
            } else {
                assert!(matches!(events.last(), Some(Happened::Closed(_))), "{events:?}");
            }
        }
    }
}
