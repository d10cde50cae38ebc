//! What `Connection` promises to whoever drives it, one test for each sentence.

mod bounds;
#[path = "../common/mod.rs"]
mod common;
mod endings;
mod programs;
mod refusals;
mod time;

use std::time::Duration;

use common::{Happened, Pair};
use symbolon::{Instant, Missed, Outgoing, Point, RequestHead};

const SECOND: Duration = Duration::from_secs(1);

fn outgoing<'a>(topic: &'a str, body: &'a [u8]) -> Outgoing<'a> {
    Outgoing { topic, point: Point { epoch: 1, sequence: 0 }, missed: Missed::NONE, retained: false, body }
}

/// A request whose body goes on.
const UPLOAD: RequestHead<'static> = RequestHead { method: "m", body: b"", more: true, deadline: None };

/// What a run left behind, to be compared with another.
#[derive(Debug, Eq, PartialEq)]
struct Trace {
    records: [Vec<u8>; 2],
    logs: (Vec<Happened>, Vec<Happened>),
    timeouts: [Option<Instant>; 2],
    buffered: [usize; 2],
}

impl Trace {
    fn of(mut pair: Pair) -> Self {
        Self {
            logs: pair.take_logs(),
            timeouts: [pair.a.poll_timeout(), pair.b.poll_timeout()],
            buffered: [pair.a.buffered(), pair.b.buffered()],
            records: [pair.a_to_b.record, pair.b_to_a.record],
        }
    }
}
