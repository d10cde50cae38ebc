//! Whatever happens, each request ends once at both sides.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use symbolon::{CloseReason, ExchangeId, RequestHead, Status};

use super::SECOND;
use super::common::{Happened, Pair};

/// What an application may do to the pair in a random script.
#[derive(Clone, Debug)]
enum Step {
    Ask {
        by_a: bool,
        deadline_ms: Option<u16>,
        bodies: Option<bool>,
    },
    Answer {
        by_a: bool,
        which: usize,
        how: u8,
    },
    /// Something about a body, of an exchange that either side opened.
    Body {
        by_a: bool,
        which: u64,
        what: u8,
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

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), proptest::option::of(0..3_000_u16), any::<Option<bool>>())
            .prop_map(|(by_a, deadline_ms, bodies)| Step::Ask { by_a, deadline_ms, bodies }),
        6 => (any::<bool>(), 1..40_u64, 0..7_u8).prop_map(|(by_a, which, what)| Step::Body { by_a, which, what }),
        5 => (any::<bool>(), any::<usize>(), 0..6_u8)
            .prop_map(|(by_a, which, how)| Step::Answer { by_a, which, how }),
        2 => (any::<bool>(), any::<usize>()).prop_map(|(by_a, which)| Step::Cancel { by_a, which }),
        1 => proptest::bool::weighted(0.5).prop_map(|by_a| Step::Goaway { by_a }),
        3 => (0..2_000_u16).prop_map(Step::Pass),
        2 => Just(Step::Settle),
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

fn run(steps: Vec<Step>, end: Finish, latency: u16) {
    let mut pair = Pair::connected();
    pair.a_to_b.latency = Duration::from_millis(latency.into());
    pair.b_to_a.latency = Duration::from_millis(latency.into());
    let mut sides = [Side::default(), Side::default()];
    for step in steps {
        let now = pair.now;
        match step {
            Step::Ask { by_a, deadline_ms, bodies } => {
                let deadline = deadline_ms.map(|ms| Duration::from_millis(ms.into()));
                let connection = if by_a { &mut pair.a } else { &mut pair.b };
                let asked = match bodies {
                    None => connection.request(now, "m", b"body", deadline),
                    Some(more) => {
                        connection.open(now, &RequestHead { method: "m", body: b"", more, deadline })
                    }
                };
                if let Ok(id) = asked {
                    sides[usize::from(!by_a)].asked.insert(id);
                }
            }
            Step::Answer { by_a, which, how } => {
                let connection = if by_a { &mut pair.a } else { &mut pair.b };
                let waiting = &mut sides[usize::from(!by_a)].to_answer;
                if !waiting.is_empty() {
                    let id = waiting.swap_remove(which % waiting.len());
                    let _ = match how {
                        0 => connection.respond(id, Status::OK, b"done"),
                        1 => connection.respond(id, Status::FAILED, b""),
                        2 => connection.respond_busy(id, SECOND),
                        3 | 4 => connection.respond_more(now, id, b""),
                        // Never answered.
                        _ => Ok(()),
                    };
                }
            }
            Step::Body { by_a, which, what } => {
                let connection = if by_a { &mut pair.a } else { &mut pair.b };
                let id = ExchangeId::from_number(which);
                let _ = match what {
                    0 | 1 => connection.write(id, &[7; 100]).map(drop),
                    2 => connection.finish(id),
                    3 => connection.reset(id, Status::FAILED),
                    4 => connection.release(id, 100),
                    5 => connection.set_body_idle(now, id, Some(SECOND)),
                    // Of theirs it stops the body; ours are cancelled by the step of that name.
                    _ if sides[usize::from(!by_a)].asked.contains(&id) => Ok(()),
                    _ => connection.cancel(id),
                };
            }
            Step::Cancel { by_a, which } => {
                let connection = if by_a { &mut pair.a } else { &mut pair.b };
                let mut asked: Vec<_> = sides[usize::from(!by_a)].asked.iter().copied().collect();
                asked.sort();
                if !asked.is_empty() {
                    let _ = connection.cancel(asked[which % asked.len()]);
                }
            }
            Step::Goaway { by_a } => {
                let _ = if by_a { pair.a.goaway() } else { pair.b.goaway() };
            }
            Step::Pass(ms) => pair.pass(Duration::from_millis(ms.into())),
            Step::Settle => pair.settle(),
        }
        let (a, b) = pair.take_logs();
        a.into_iter().for_each(|event| sides[0].note(event));
        b.into_iter().for_each(|event| sides[1].note(event));
    }
    match end {
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
            let _ = pair.a.request(pair.now, "m", b"", None).map(|id| sides[0].asked.insert(id));
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
    let (a, b) = pair.take_logs();
    a.into_iter().for_each(|event| sides[0].note(event));
    b.into_iter().for_each(|event| sides[1].note(event));
    for side in &sides {
        assert!(side.closed.is_some(), "ended");
        assert_eq!(side.ended.len(), side.asked.len(), "each request has ended");
    }
    assert_eq!((pair.a.poll_timeout(), pair.b.poll_timeout()), (None, None));
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
        run(steps, end, latency);
    }
}
