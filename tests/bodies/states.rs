//! Every state of an exchange with bodies, and everything that either side can do in it.  SPEC §10.2, §10.5

use minicbor::Decoder;
use symbolon::{CloseReason, ExchangeId, PeerMisbehaved, SendError, Status};

use crate::behaviour::{SECOND, head, peer_with};
use crate::common::Happened;
use crate::common::cbor::message;
use crate::common::hostile::Hostile;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Back {
    Owed,
    Answering,
    Ended,
}

/// An exchange as SPEC §10.2 has it, beside the real one.
struct Exchange {
    peer: Hostile,
    id: ExchangeId,
    /// The victim opened it.
    ours: bool,
    sealed: bool,
    out_open: bool,
    back: Back,
    /// What the victim's application was told.
    told: Vec<Happened>,
}

impl Exchange {
    /// Opened by the victim.
    fn ours(more: bool) -> Self {
        let mut peer = peer_with(60, |limits, _| limits.window = 1_000);
        let id = peer.victim.connection.open(peer.victim.now, &head(more)).unwrap();
        Self { peer, id, ours: true, sealed: false, out_open: more, back: Back::Owed, told: vec![] }
    }

    /// Opened by the attacker.
    fn theirs() -> Self {
        let mut peer = peer_with(60, |limits, _| limits.window = 1_000);
        let request = message::request(2, 20_000, 1, "m", b"");
        let told = peer.tell(&request);
        let id = ExchangeId::from_number(2);
        Self { peer, id, ours: false, sealed: true, out_open: true, back: Back::Owed, told }
    }

    fn with(mut self, act: impl FnOnce(&mut Self)) -> Self {
        act(&mut self);
        self
    }

    fn connection(&mut self) -> &mut symbolon::Connection {
        &mut self.peer.victim.connection
    }

    /// Takes note of what the victim sends.
    fn hear(&mut self) -> Vec<u8> {
        let heard = self.peer.heard();
        let mut cbor = Decoder::new(&heard);
        while cbor.position() < heard.len() {
            let fields = cbor.array().unwrap().unwrap();
            let (kind, mut rest) = (cbor.u8().unwrap(), fields - 1);
            let mut number = || {
                rest -= 1;
                cbor.u64().unwrap()
            };
            let id = number();
            match kind {
                5 => self.sealed = true,
                6 => {
                    let (_, flags) = (number(), number());
                    self.back = if flags == 1 { Back::Answering } else { Back::Ended };
                }
                7 => self.back = Back::Ended,
                10 if self.ours => self.out_open = false,
                10 => self.back = Back::Ended,
                _ => {}
            }
            assert!([self.id.number(), 0, 1].contains(&id), "{kind} about {id}");
            (0..rest).for_each(|_| cbor.skip().unwrap());
        }
        heard
    }

    fn say(&mut self, message: &[u8]) {
        let told = self.peer.tell(message);
        self.told.extend(told);
        match message[1] {
            6 if message[4] == 1 => self.back = Back::Answering,
            6 | 7 => self.back = Back::Ended,
            10 if self.ours => self.back = Back::Ended,
            10 => self.out_open = false,
            _ => {}
        }
    }

    fn is_over(&self) -> bool {
        !self.out_open && self.back == Back::Ended
    }

    /// What SPEC §10.2 says of a message of the attacker's.
    fn verdict(&self, message: &[u8]) -> Result<(), PeerMisbehaved> {
        let id = self.id.number();
        let (kind, answers) = (message[1], matches!(message[1], 6 | 7));
        if !self.sealed {
            return Err(PeerMisbehaved::UnknownExchange(id));
        }
        // EXC-5
        if answers && !self.ours {
            return Err(PeerMisbehaved::State(id));
        }
        let allowed = match kind {
            _ if self.is_over() => true,
            6 | 7 => self.back == Back::Owed,
            9 | 10 if self.ours => self.back == Back::Answering,
            9 | 10 => self.out_open,
            _ => true,
        };
        // EXC-6
        if allowed { Ok(()) } else { Err(PeerMisbehaved::State(id)) }
    }

    /// Both sides do what they owe, and no more; then nothing is open at the victim, it has told its application one end of what
    /// that opened, and goes on.
    fn conclude(mut self, name: &str) {
        self.hear();
        let id = self.id.number();
        if self.ours {
            // A request that was cancelled before it left is none.
            if self.sealed && self.back != Back::Ended {
                let last = if self.back == Back::Owed {
                    message::response(id, 0, 0, b"")
                } else {
                    message::end(id, 0)
                };
                self.say(&last);
            }
            // EXC-14
            self.hear();
            assert!(!self.out_open || !self.sealed, "{name}: no end of the body");
        } else {
            if self.out_open {
                self.say(&message::end(id, 1));
            }
            let id = self.id;
            if self.back == Back::Owed {
                let _ = self.connection().respond(id, Status::OK, b"");
            } else if self.back == Back::Answering {
                let _ = self.connection().reset(id, Status::CANCELLED);
            }
            self.hear();
            // EXC-10
            assert_eq!(self.back, Back::Ended, "{name}");
        }
        assert!(self.connection().is_idle(), "{name}: a slot is taken");
        self.told.extend(self.peer.victim.events());
        let ends = self.told.iter().filter(|event| {
            let end = matches!(event, Happened::End(..));
            matches!(event, Happened::Response { .. } | Happened::Busy(..) | Happened::Failed(..)) || end
        });
        let ends = ends.count();
        // An answerer is told the end of the body, unless it has answered before.
        assert!(if self.ours { ends == 1 } else { ends <= 1 }, "{name}: {:?}", self.told);
        let next = self.peer.tell(&message::request(100, 0, 0, "m", b""));
        assert!(matches!(next[..], [Happened::Request { .. }]), "{name}: {next:?}");
    }
}

/// A name, the commands that it allows, and how it comes about.
///
/// w write, f finish, r reset, c cancel, p respond, b busy, m respond_more, l release, i set_body_idle
type State = (&'static str, &'static str, fn() -> Exchange);

const STATES: [State; 24] = [
    ("ours, not sealed", "wfrci", || Exchange::ours(true)),
    ("ours, cancelled before it left", "i", || {
        Exchange::ours(true).with(|x| x.connection().cancel(ExchangeId::from_number(1)).unwrap())
    }),
    ("ours, body goes on", "wfrci", ours_sealed),
    ("ours, without credit", "wfrci", || ours_sealed().with(fill)),
    ("ours, finished without credit", "rci", || ours_sealed().with(fill).with(finish)),
    ("ours, finished", "ci", || ours_sealed().with(finish).with(hear)),
    ("ours, stopped", "ci", || ours_sealed().with(|x| x.say(&message::cancel(1, 9))).with(hear)),
    ("ours, reset", "ci", || ours_sealed().with(reset).with(hear)),
    ("ours, reset and not told yet", "ci", || ours_sealed().with(reset)),
    ("ours, both go on", "wfrcli", || ours_sealed().with(answered)),
    ("ours, finished, answer goes on", "cli", || ours_sealed().with(finish).with(hear).with(answered)),
    ("ours, without a body", "c", || Exchange::ours(false).with(hear)),
    ("ours, without a body, answer goes on", "cli", || Exchange::ours(false).with(hear).with(answered)),
    ("ours, given up", "i", || ours_sealed().with(cancel).with(hear)),
    ("ours, given up while answered", "li", || ours_sealed().with(answered).with(cancel).with(hear)),
    ("ours, answered, end waits", "i", || ours_sealed().with(|x| x.say(&message::response(1, 0, 0, b"")))),
    ("ours, over", "", || ours_sealed().with(|x| x.say(&message::response(1, 0, 0, b""))).with(hear)),
    ("theirs, body goes on", "cpbmli", Exchange::theirs),
    ("theirs, body ended", "pbmi", || Exchange::theirs().with(|x| x.say(&message::end(2, 0)))),
    ("theirs, stopped", "pbmli", || Exchange::theirs().with(cancel).with(hear)),
    ("theirs, cancelled", "cpbmli", || Exchange::theirs().with(|x| x.say(&message::cancel(2, 1)))),
    ("theirs, both go on", "wfrcli", || Exchange::theirs().with(answer).with(hear)),
    ("theirs, body goes on, answered", "cli", || Exchange::theirs().with(answer).with(finish).with(hear)),
    ("theirs, answered for at the deadline", "cli", || {
        Exchange::theirs().with(answer).with(hear).with(|x| x.peer.pass(SECOND * 20)).with(hear)
    }),
];

fn ours_sealed() -> Exchange {
    Exchange::ours(true).with(hear)
}

fn hear(exchange: &mut Exchange) {
    exchange.hear();
}

fn fill(exchange: &mut Exchange) {
    let id = exchange.id;
    exchange.connection().write(id, &[7; 500]).unwrap();
    exchange.hear();
}

fn finish(exchange: &mut Exchange) {
    let id = exchange.id;
    exchange.connection().finish(id).unwrap();
}

fn reset(exchange: &mut Exchange) {
    let id = exchange.id;
    exchange.connection().reset(id, Status::FAILED).unwrap();
}

fn cancel(exchange: &mut Exchange) {
    let id = exchange.id;
    exchange.connection().cancel(id).unwrap();
}

fn answer(exchange: &mut Exchange) {
    let (id, now) = (exchange.id, exchange.peer.victim.now);
    exchange.connection().respond_more(now, id, b"").unwrap();
}

fn answered(exchange: &mut Exchange) {
    exchange.say(&message::response(1, 0, 1, b""));
}

/// EXC-3, EXC-5, EXC-6, EXC-7, EXC-10: each message of the peer's, in each state: as the table of SPEC §10.2 has it, either a violation of
/// its own kind, or allowed; and then the exchange ends in its typed outcome, and its slot is free.
#[test]
fn each_message_in_each_state() {
    for (name, _, state) in STATES {
        let id = state().id.number();
        for message in [
            message::data(id, b"x"),
            message::data(id, b""),
            message::end(id, 0),
            message::end(id, 6),
            message::cancel(id, 1),
            message::cancel(id, 0),
            message::credit(id, 0),
            message::credit(id, 5_000),
            message::credit(id, u64::MAX),
            message::response(id, 0, 0, b""),
            message::response(id, 3, 0, b""),
            message::response(id, 0, 1, b""),
            message::busy(id, 5),
            [message::cancel(id, 1), message::cancel(id, 5)].concat(),
        ] {
            let name = format!("{name}, {message:02x?}");
            let mut exchange = state();
            match exchange.verdict(&message) {
                Ok(()) => {
                    if exchange.is_over() {
                        assert_eq!(exchange.peer.tell(&message), [], "{name}: a stray");
                    } else {
                        exchange.say(&message);
                    }
                    assert!(!exchange.peer.victim.is_closed(), "{name}: {:?}", exchange.told);
                    exchange.conclude(&name);
                }
                Err(reason) => {
                    exchange.peer.say(&message);
                    let events = exchange.peer.victim.events();
                    assert_eq!(
                        events.last(),
                        Some(&Happened::Closed(CloseReason::Misbehaved(reason))),
                        "{name}"
                    );
                    let heard = exchange.peer.heard();
                    assert!(heard.ends_with(&message::close(33)), "{name}");
                }
            }
        }
        // EXC-7
        if state().ours && state().verdict(&message::response(id, 0, 1, b"")).is_ok() && !state().is_over() {
            let mut exchange = state();
            exchange.peer.say(&message::response(id, 6, 1, b""));
            let end = Happened::Closed(PeerMisbehaved::State(id).into());
            assert_eq!(exchange.peer.victim.events().last(), Some(&end), "{name}");
        }
    }
}

/// EXC-10, EXC-14, EXC-17: each command, in each state: taken or refused as it should be, and refused without a trace; and then the
/// exchange ends in its typed outcome, and its slot is free.
#[test]
fn each_command_in_each_state() {
    type Command = fn(&mut symbolon::Connection, ExchangeId, symbolon::Instant) -> Result<(), SendError>;
    let commands: [(char, Command); 10] = [
        ('w', |c, id, _| c.write(id, b"x").map(drop)),
        ('f', |c, id, _| c.finish(id)),
        ('r', |c, id, _| c.reset(id, Status::FAILED)),
        ('c', |c, id, _| c.cancel_with(id, Status::new(300))),
        ('p', |c, id, _| c.respond(id, Status::OK, b"")),
        ('b', |c, id, _| c.respond_busy(id, SECOND)),
        ('m', |c, id, now| c.respond_more(now, id, b"")),
        ('l', |c, id, _| c.release(id, 1)),
        ('i', |c, id, now| c.set_body_idle(now, id, Some(SECOND * 9))),
        ('a', |c, id, _| c.accept_subscription(id)),
    ];
    for (name, allowed, state) in STATES {
        for (letter, command) in commands {
            let name = format!("{name}, {letter}");
            let mut exchange = state();
            exchange.told.extend(exchange.peer.victim.events());
            let (id, now) = (exchange.id, exchange.peer.victim.now);
            let before = exchange.connection().buffered();
            let result = command(exchange.connection(), id, now);
            if allowed.contains(letter) {
                assert_eq!(result, Ok(()), "{name}");
            } else {
                assert_eq!(result, Err(SendError::UnknownExchange), "{name}");
                assert_eq!(
                    (exchange.connection().buffered(), exchange.peer.victim.events()),
                    (before, vec![])
                );
            }
            exchange.conclude(&name);
        }
    }
}

/// SPEC §16.1, §16.2, sentence 9: `goaway` and `close`, by either side, and the end of the stream, in each state: what was opened ends
/// once, what was taken goes on behind `goaway`, and the end comes last.
#[test]
fn each_ending_in_each_state() {
    for (name, _, state) in STATES {
        for ending in 0..6 {
            let name = format!("{name}, {ending}");
            let mut exchange = state();
            let now = exchange.peer.victim.now;
            let id = exchange.id.number();
            match ending {
                0 => {
                    exchange.connection().goaway().unwrap();
                    exchange.conclude_without_next(&name);
                    continue;
                }
                1 => {
                    let told = exchange.peer.tell(&message::goaway(if exchange.ours { id } else { 0 }));
                    exchange.told.extend(told.into_iter().filter(|event| *event != Happened::GoingAway));
                    exchange.conclude(&name);
                    continue;
                }
                2 => {
                    // Not executed, if it is the victim's.
                    let over = exchange.is_over();
                    exchange.peer.say(&message::goaway(0));
                    exchange.hear();
                    if exchange.ours && !over {
                        assert!(exchange.connection().is_idle(), "{name}");
                    }
                    exchange.connection().close(now, Status::OK);
                    exchange.peer.say(&message::close(0));
                }
                3 => {
                    exchange.connection().close(now, Status::OK);
                    assert_eq!(
                        exchange.connection().write(ExchangeId::from_number(id), b"x"),
                        Err(SendError::Closed)
                    );
                    exchange.hear();
                    exchange.peer.say(&message::close(0));
                }
                4 => exchange.peer.say(&message::close(0)),
                _ => exchange.peer.victim.feed_eof(),
            }
            let events = exchange.peer.victim.events();
            assert!(matches!(events.last(), Some(Happened::Closed(_))), "{name}: {events:?}");
            exchange.told.extend(events);
            let ends = exchange.told.iter().filter(|event| {
                let end = matches!(event, Happened::End(..));
                matches!(event, Happened::Response { .. } | Happened::Busy(..) | Happened::Failed(..)) || end
            });
            assert!(!exchange.ours || ends.count() == 1, "{name}: {:?}", exchange.told);
            let heard = exchange.peer.heard();
            assert!(
                ending == 5 || ending == 3 || heard.ends_with(&message::close(0)),
                "{name}: {heard:02x?}"
            );
        }
    }
}

impl Exchange {
    /// As `conclude`, where nothing more is taken.
    fn conclude_without_next(mut self, name: &str) {
        self.hear();
        let id = self.id;
        if self.ours && self.sealed && self.back != Back::Ended {
            let last =
                if self.back == Back::Owed { message::response(1, 0, 0, b"") } else { message::end(1, 0) };
            self.say(&last);
        }
        if !self.ours && self.out_open {
            self.say(&message::end(2, 1));
        }
        let _ = self.connection().respond(id, Status::OK, b"");
        let _ = self.connection().reset(id, Status::CANCELLED);
        self.hear();
        assert!(self.connection().is_idle(), "{name}: a slot is taken");
    }
}
