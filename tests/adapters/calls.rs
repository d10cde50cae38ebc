//! Calls: both ways, at once, refused, late, nested, and as long as they may be.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use symbolon::tokio::{CallError, Refusal};
use symbolon::{SendError, Status};

use super::peers::{Asked, PATIENCE, Plan, peer_id, plan};
use super::{Double, Doubled, Pair, until};

const OVERHEATED: Status = Status::new(300);

fn status(status: Status) -> Result<Bytes, CallError> {
    Err(CallError::Status(status, Bytes::new()))
}

pub fn calls_go_both_ways(pair: Pair) {
    let met = pair.meet(plan(1), plan(2));
    for end in met.ends() {
        assert_eq!(end.call(&Double(21)), Ok(Doubled(42)));
        assert_eq!(end.call_raw("echo", b"", None), Ok(Bytes::new()));
        assert_eq!(end.call_raw("echo", &[7; 10_000], Some(PATIENCE)), Ok(vec![7; 10_000].into()));
    }
    assert_eq!(met.near.peer(), Some(met.b.peer_id()));
    assert_eq!(met.far.peer(), Some(met.a.peer_id()));
}

pub fn eight_threads_call_at_once_both_ways(pair: Pair) {
    let met = pair.meet(plan(1), plan(2));
    thread::scope(|scope| {
        for number in 0..8_u32 {
            for end in met.ends() {
                scope.spawn(move || {
                    for round in 0..50 {
                        let asked = number * 1_000 + round;
                        assert_eq!(end.call(&Double(asked)), Ok(Doubled(asked * 2)), "{pair:?}");
                    }
                });
            }
        }
    });
}

pub fn refusals_arrive_as_they_were_given(pair: Pair) {
    let refusing = |number: u8, friend: u8| -> Plan {
        plan(number)
            .friends(&[peer_id(friend)])
            .on("busy", |_, _| Err(Refusal::Busy(Duration::from_millis(1_500))))
            .on("busy/no/hint", |_, _| Err(Refusal::Busy(Duration::ZERO)))
            .on("hot", |_, _| Err(OVERHEATED.into()))
            .on("much", |_, _| Ok(vec![0; 20_000].into()))
            .on("no/file", |_, _| Err(io::Error::other("it is nobody's affair why"))?)
            .on("panics", |_, _| panic!("meant"))
    };
    // The one is no friend of the other's, and the other is one.
    let met = pair.meet(refusing(1, 2), refusing(2, 9));
    assert_eq!(met.near.call_secret(), Err(CallError::Status(Status::DENIED, Bytes::new())));
    assert_eq!(met.far.call_secret(), Ok(Doubled(7)));
    // EXC-11: who may not use it is told nothing about its body.
    assert_eq!(met.near.call_raw("secret", b"\xff", None), status(Status::DENIED));
    assert_eq!(met.far.call_raw("secret", b"\xff", None), status(Status::BAD_REQUEST));
    for end in met.ends() {
        assert_eq!(end.call_raw("nothing", b"", None), status(Status::NOT_FOUND));
        assert_eq!(end.call_raw("$sys/nothing", b"", None), status(Status::NOT_FOUND));
        assert_eq!(end.call_raw("math/double", b"\xff", None), status(Status::BAD_REQUEST));
        assert!(matches!(end.call_raw("a//b", b"", None), Err(CallError::Send(SendError::Name(_)))));
        let busy = CallError::Busy(Duration::from_millis(1_500));
        assert!(!busy.may_have_executed());
        assert_eq!(end.call_raw("busy", b"", None), Err(busy));
        assert_eq!(end.call_raw("no/file", b"", None), status(Status::FAILED));
        assert_eq!(end.call_raw("busy/no/hint", b"", None), Err(CallError::Busy(Duration::ZERO)));
        assert_eq!(end.call_raw("hot", b"", None), status(OVERHEATED));
        assert_eq!(end.call_raw("much", b"", None), status(Status::TOO_LARGE));
        assert_eq!(end.call_raw("panics", b"", None), status(Status::FAILED));
        assert_eq!(end.call(&Double(1)), Ok(Doubled(2)));
    }
}

/// EXC-12: the caller is told by its own clock, and the handler that nobody waits.
pub fn a_deadline_is_told_at_both_ends(pair: Pair) {
    let told = Arc::new(AtomicUsize::new(0));
    let slow = |number: u8| {
        let told = told.clone();
        plan(number).on("slow", move |asked: &Asked, body| {
            let left = asked.time_left.expect("it was asked with a deadline");
            assert!(left <= Duration::from_millis(300), "{left:?}");
            assert_eq!(asked.peer, peer_id(3 - number));
            if asked.waits_for_cancelled() {
                told.fetch_add(1, Ordering::SeqCst);
            }
            Ok(body)
        })
    };
    let met = pair.meet(slow(1), slow(2));
    for (number, end) in met.ends().into_iter().enumerate() {
        let answer = end.call_raw("slow", b"", Some(Duration::from_millis(300)));
        assert_eq!(answer, Err(CallError::DeadlinePassed));
        until(|| told.load(Ordering::SeqCst) == number + 1);
        assert_eq!(end.call(&Double(1)), Ok(Doubled(2)));
    }
}

/// Each handler calls back before it answers, from both ends at once.
pub fn handlers_call_back_and_forth(pair: Pair) {
    let nesting = |number: u8| {
        plan(number).on("ping/pong", |asked: &Asked, body| {
            let [depth] = body[..] else { return Err(Status::BAD_REQUEST.into()) };
            if depth == 0 {
                return Ok(Bytes::new());
            }
            let deeper = asked.handle.call_raw("ping/pong", &[depth - 1], Some(PATIENCE));
            let mut path = deeper?.to_vec();
            path.push(depth);
            Ok(path.into())
        })
    };
    let met = pair.meet(nesting(1), nesting(2));
    thread::scope(|scope| {
        for end in met.ends() {
            scope.spawn(move || {
                let path = end.call_raw("ping/pong", &[5], Some(PATIENCE));
                assert_eq!(path, Ok(vec![1, 2, 3, 4, 5].into()), "{pair:?}");
            });
        }
    });
}

pub fn bodies_are_as_long_as_a_frame_allows(pair: Pair) {
    let met = pair.meet(plan(1), plan(2));
    for end in met.ends() {
        let Err(CallError::Send(SendError::TooLarge { len, max })) = end.call_raw("echo", &[1; 20_000], None)
        else {
            panic!("20,000 bytes fit nowhere");
        };
        let longest = 20_000 - (len - max);
        assert_eq!(end.call_raw("echo", &vec![2; longest], None), Ok(vec![2; longest].into()));
        let beyond = end.call_raw("echo", &vec![2; longest + 1], None);
        assert_eq!(beyond, Err(CallError::Send(SendError::TooLarge { len: max + 1, max })));
        assert_eq!(end.call(&Double(1)), Ok(Doubled(2)));
    }
}
