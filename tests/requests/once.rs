//! Whatever happens, each request ends once at both sides.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use symbolon::{CloseReason, Connection, ExchangeId, RequestHead, Status};

use super::SECOND;
use super::common::{Happened, Pair};

/// What an application may do to the pair in a random script.
#[derive(Clone, Debug)]
enum Step {
    Answer {
        by_a: bool,
        which: usize,
        answer: Answer,
    },
    Ask {
        by_a: bool,
        deadline_ms: Option<u16>,
        body: Body,
    },
    /// About an exchange that either side opened.
    Bodies {
        by_a: bool,
        id: u64,
        command: BodyCommand,
    },
    Cancel {
        by_a: bool,
        which: usize,
    },
    Goaway {
        by_a: bool,
    },
    Pass(u16),
    Settle,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Busy,
    Done,
    Failed,
    /// A body that goes on.
    More,
    Never,
}

/// Of a request: in one message, or in chunks, of which there may be none.
#[derive(Clone, Copy, Debug)]
enum Body {
    Chunks { more: bool },
    Whole,
}

#[derive(Clone, Copy, Debug)]
enum BodyCommand {
    Finish,
    Idle,
    Release,
    Reset,
    /// Of theirs; ours are cancelled by the step of that name.
    Stop,
    Write,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), proptest::option::of(0..3_000_u16), body())
            .prop_map(|(by_a, deadline_ms, body)| Step::Ask { by_a, deadline_ms, body }),
        6 => (any::<bool>(), 1..40_u64, body_command())
            .prop_map(|(by_a, id, command)| Step::Bodies { by_a, id, command }),
        5 => (any::<bool>(), any::<usize>(), answer())
            .prop_map(|(by_a, which, answer)| Step::Answer { by_a, which, answer }),
        2 => (any::<bool>(), any::<usize>()).prop_map(|(by_a, which)| Step::Cancel { by_a, which }),
        1 => any::<bool>().prop_map(|by_a| Step::Goaway { by_a }),
        3 => (0..2_000_u16).prop_map(Step::Pass),
        2 => Just(Step::Settle),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        1 => Just(Answer::Busy),
        1 => Just(Answer::Done),
        1 => Just(Answer::Failed),
        2 => Just(Answer::More),
        1 => Just(Answer::Never),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![Just(Body::Whole), any::<bool>().prop_map(|more| Body::Chunks { more })]
}

fn body_command() -> impl Strategy<Value = BodyCommand> {
    prop_oneof![
        1 => Just(BodyCommand::Finish),
        1 => Just(BodyCommand::Idle),
        1 => Just(BodyCommand::Release),
        1 => Just(BodyCommand::Reset),
        1 => Just(BodyCommand::Stop),
        2 => Just(BodyCommand::Write),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Finish {
    CloseA,
    CloseB,
    CloseBoth,
    Cut,
    Corrupt,
    Die,
}

fn finish() -> impl Strategy<Value = Finish> {
    proptest::sample::select(vec![
        Finish::CloseA,
        Finish::CloseB,
        Finish::CloseBoth,
        Finish::Cut,
        Finish::Corrupt,
        Finish::Die,
    ])
}

/// What the applications of one side keep.
#[derive(Default)]
struct Side {
    asked: HashSet<ExchangeId>,
    ended: HashMap<ExchangeId, Happened>,
    to_answer: Vec<ExchangeId>,
    closed: Option<CloseReason>,
}

impl Side {
    fn note(&mut self, event: Happened) {
        assert_eq!(self.closed, None, "nothing follows the end: {event:?}");
        match event {
            // Of theirs it is the end of a body.
            Happened::End(id, _) if !self.asked.contains(&id) => {}
            Happened::End(id, _)
            | Happened::Response { id, .. }
            | Happened::Busy(id, _)
            | Happened::Failed(id, _) => {
                assert!(self.asked.contains(&id), "of ours: {event:?}");
                let earlier = self.ended.insert(id, event.clone());
                assert_eq!(earlier, None, "ended twice, the second time by {event:?}");
            }
            Happened::Request { id, .. } | Happened::RequestGoesOn { id, .. } => self.to_answer.push(id),
            Happened::Data(id, ..) | Happened::ResponseGoesOn { id, .. } | Happened::Stopped(id, _) => {
                assert!(!self.ended.contains_key(&id), "behind the end: {event:?}");
            }
            Happened::Closed(reason) => self.closed = Some(reason),
            _ => {}
        }
    }
}

/// The pair, and what its applications keep: those of `a` first.
struct World {
    pair: Pair,
    sides: [Side; 2],
}

impl World {
    fn new(latency: u16) -> Self {
        let mut pair = Pair::connected();
        pair.a_to_b.latency = Duration::from_millis(latency.into());
        pair.b_to_a.latency = Duration::from_millis(latency.into());
        Self { pair, sides: Default::default() }
    }

    fn side(&mut self, is_a: bool) -> (&mut Connection, &mut Side) {
        let [a, b] = &mut self.sides;
        if is_a { (&mut self.pair.a, a) } else { (&mut self.pair.b, b) }
    }

    /// Commands may be refused.
    fn step(&mut self, step: Step) {
        match step {
            Step::Answer { by_a, which, answer } => self.answer(by_a, which, answer),
            Step::Ask { by_a, deadline_ms, body } => self.ask(by_a, deadline_ms, body),
            Step::Bodies { by_a, id, command } => {
                self.command_body(by_a, ExchangeId::from_number(id), command);
            }
            Step::Cancel { by_a, which } => {
                let (connection, side) = self.side(by_a);
                let mut asked: Vec<_> = side.asked.iter().copied().collect();
                asked.sort();
                if !asked.is_empty() {
                    let _ = connection.cancel(asked[which % asked.len()]);
                }
            }
            Step::Goaway { by_a } => drop(self.side(by_a).0.goaway()),
            Step::Pass(ms) => self.pair.pass(Duration::from_millis(ms.into())),
            Step::Settle => self.pair.settle(),
        }
    }

    fn ask(&mut self, by_a: bool, deadline_ms: Option<u16>, body: Body) {
        let now = self.pair.now;
        let deadline = deadline_ms.map(|ms| Duration::from_millis(ms.into()));
        let (connection, side) = self.side(by_a);
        let asked = match body {
            Body::Chunks { more } => {
                connection.open(now, &RequestHead { method: "m", body: b"", more, deadline })
            }
            Body::Whole => connection.request(now, "m", b"body", deadline),
        };
        side.asked.extend(asked);
    }

    fn answer(&mut self, by_a: bool, which: usize, answer: Answer) {
        let now = self.pair.now;
        let (connection, side) = self.side(by_a);
        if side.to_answer.is_empty() {
            return;
        }
        let id = side.to_answer.swap_remove(which % side.to_answer.len());
        let _ = match answer {
            Answer::Busy => connection.respond_busy(id, SECOND),
            Answer::Done => connection.respond(id, Status::OK, b"done"),
            Answer::Failed => connection.respond(id, Status::FAILED, b""),
            Answer::More => connection.respond_more(now, id, b""),
            Answer::Never => Ok(()),
        };
    }

    fn command_body(&mut self, by_a: bool, id: ExchangeId, command: BodyCommand) {
        let now = self.pair.now;
        let (connection, side) = self.side(by_a);
        let _ = match command {
            BodyCommand::Finish => connection.finish(id),
            BodyCommand::Idle => connection.set_body_idle(now, id, Some(SECOND)),
            BodyCommand::Release => connection.release(id, 100),
            BodyCommand::Reset => connection.reset(id, Status::FAILED),
            BodyCommand::Stop if side.asked.contains(&id) => Ok(()),
            BodyCommand::Stop => connection.cancel(id),
            BodyCommand::Write => connection.write(id, &[7; 100]).map(drop),
        };
    }

    fn note_events(&mut self) {
        let (a, b) = self.pair.take_logs();
        a.into_iter().for_each(|event| self.sides[0].note(event));
        b.into_iter().for_each(|event| self.sides[1].note(event));
    }

    fn finish(&mut self, finish: Finish) {
        let pair = &mut self.pair;
        match finish {
            Finish::CloseA => pair.a.close(pair.now, Status::OK),
            Finish::CloseB => pair.b.close(pair.now, Status::SHUTTING_DOWN),
            Finish::CloseBoth => {
                pair.a.close(pair.now, Status::OK);
                pair.b.close(pair.now, Status::OK);
            }
            Finish::Cut => {
                pair.a_to_b.end();
                pair.b_to_a.end();
            }
            Finish::Corrupt => {
                pair.a_to_b.corrupt_at = Some(pair.a_to_b.record.len() + 5);
                self.sides[0].asked.extend(pair.a.request(pair.now, "m", b"", None));
                pair.settle();
                pair.b_to_a.end();
            }
            Finish::Die => {
                pair.a_to_b.stalled = true;
                pair.b_to_a.stalled = true;
            }
        }
        pair.pass(Duration::from_secs(120));
        if !pair.a.is_closed() || !pair.b.is_closed() {
            // A corrupt byte that never went out, because the sending side takes no more requests.
            pair.a.close(pair.now, Status::OK);
            pair.pass(Duration::from_secs(120));
        }
        self.note_events();
    }

    fn check_end(&self) {
        for side in &self.sides {
            assert!(side.closed.is_some(), "ended");
            assert_eq!(side.ended.len(), side.asked.len(), "each request has ended");
        }
        assert_eq!((self.pair.a.poll_timeout(), self.pair.b.poll_timeout()), (None, None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// Sentence 9, EXC-10, R13, R14: every request ends exactly once, and before its connection does.
    #[test]
    fn every_request_ends_exactly_once(
        steps in proptest::collection::vec(step(), 0..40),
        end in finish(),
        latency in prop_oneof![Just(0_u16), Just(40_u16), 0..1_500_u16],
    ) {
        let mut world = World::new(latency);
        for step in steps {
            world.step(step);
            world.note_events();
        }
        world.finish(end);
        world.check_end();
    }
}
