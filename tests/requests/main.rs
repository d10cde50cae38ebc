//! Requests: ids, states, limits, answers, deadlines, cancelling, and that each ends exactly once.  SPEC §10

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod deadlines;
mod ids;
mod once;

use std::time::Duration;

use common::{Happened, Pair};
use symbolon::ExchangeId;

const SECOND: Duration = Duration::from_secs(1);

/// `a` asks, and what `b` sees of it.
fn asked(pair: &mut Pair, method: &str, deadline: Option<Duration>) -> (ExchangeId, ExchangeId) {
    let ours = pair.a.request(pair.now, method, b"", deadline).unwrap();
    let Some(Happened::Request { id, .. }) = pair.events_b().pop() else { panic!("no request arrived") };
    (ours, id)
}
