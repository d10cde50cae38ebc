//! What the core reports, in the words of the adapter protocol.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use symbolon::{CloseReason, Event, ExchangeId, Failure, Missed, StopCause, TimedOut};

use super::subject::hex;

/// A publication of which parts have come.
#[derive(Default)]
pub struct Begun {
    event: Value,
    body: Vec<u8>,
    cost: u64,
}

/// Puts the parts of publications together.
#[derive(Default)]
pub struct Teller {
    begun: BTreeMap<ExchangeId, Begun>,
}

/// One event, and what its taking gives back.
pub struct Told {
    pub event: Option<Value>,
    pub taken: Option<(ExchangeId, u64)>,
}

impl Teller {
    pub fn tell(&mut self, event: &Event<'_>) -> Told {
        let mut taken = None;
        let event = match *event {
            Event::Aborted { id } => {
                self.begun.remove(&id);
                Some(missed(id, Missed { count: 1, unknown: false }))
            }
            Event::Continuation { id, chunk, cost, more } => {
                let begun = self.begun.entry(id).or_default();
                begun.body.extend_from_slice(chunk);
                begun.cost += u64::from(cost);
                if more {
                    None
                } else {
                    let mut whole = self.begun.remove(&id).unwrap_or_default();
                    taken = Some((id, whole.cost));
                    whole.event["body"] = hex(&whole.body).into();
                    Some(whole.event)
                }
            }
            Event::Data { id, chunk, cost } => {
                taken = Some((id, cost.into()));
                Some(json!({ "event": "data", "id": id.number(), "bytes": hex(chunk) }))
            }
            Event::Publication { id, publication } => {
                let event = json!({
                    "event": "publication", "id": id.number(), "topic": publication.topic,
                    "epoch": publication.point.epoch, "sequence": publication.point.sequence,
                    "missed": publication.missed.count, "unknown": publication.missed.unknown,
                    "retained": publication.retained, "body": hex(publication.body),
                });
                let cost = publication.cost.into();
                if publication.total.is_some() {
                    self.begun.insert(id, Begun { event, body: publication.body.to_vec(), cost });
                    None
                } else {
                    taken = Some((id, cost));
                    Some(event)
                }
            }
            ref other => Some(plain(other)),
        };
        Told { event, taken }
    }
}

fn missed(id: ExchangeId, missed: Missed) -> Value {
    json!({ "event": "missed", "id": id.number(), "count": missed.count, "unknown": missed.unknown })
}

/// What stands alone.
fn plain(event: &Event<'_>) -> Value {
    match *event {
        Event::Admission { peer } => json!({ "event": "admission", "peer": hex(peer.as_bytes()) }),
        Event::Busy { id, retry } => {
            json!({ "event": "busy", "id": id.number(), "retry": retry.as_millis() as u64 })
        }
        Event::Closed { reason } => closed(reason),
        Event::Connected { peer } => json!({ "event": "connected", "peer": hex(peer.as_bytes()) }),
        Event::End { id, status } => json!({ "event": "end", "id": id.number(), "status": status.number() }),
        Event::Failed { id, failure } => {
            json!({ "event": "failed", "id": id.number(), "how": how(failure) })
        }
        Event::GoingAway => json!({ "event": "going_away" }),
        Event::Missed { id, missed: lost } => missed(id, lost),
        Event::Request { id, method, body, more, .. } => json!({
            "event": "request", "id": id.number(), "method": method, "body": hex(body), "more": more,
        }),
        Event::Response { id, status, body, more } => json!({
            "event": "response", "id": id.number(), "status": status.number(), "body": hex(body), "more": more,
        }),
        Event::Stop { id, cause: StopCause::Cancel(status) } => {
            json!({ "event": "stop", "id": id.number(), "cause": "cancel", "status": status.number() })
        }
        Event::Stop { id, cause } => {
            let cause = if cause == StopCause::Deadline { "deadline" } else { "stalled" };
            json!({ "event": "stop", "id": id.number(), "cause": cause })
        }
        Event::Stopped { id, status } => {
            json!({ "event": "stopped", "id": id.number(), "status": status.number() })
        }
        Event::Subscribe { id, filter, from: None } => {
            json!({ "event": "subscribe", "id": id.number(), "filter": filter })
        }
        Event::Subscribe { id, filter, from: Some(from) } => json!({
            "event": "subscribe", "id": id.number(), "filter": filter,
            "epoch": from.epoch, "sequence": from.sequence,
        }),
        Event::Subscribed { id } => json!({ "event": "subscribed", "id": id.number() }),
        Event::SubscriptionEnded { id, status } => {
            json!({ "event": "subscription_ended", "id": id.number(), "status": status.number() })
        }
        Event::Unsubscribe { id } => json!({ "event": "unsubscribe", "id": id.number() }),
        ref other => json!({ "event": format!("{other:?}") }),
    }
}

fn how(failure: Failure) -> &'static str {
    match failure {
        Failure::Cancelled => "cancelled",
        Failure::DeadlinePassed => "deadline_passed",
        Failure::NotExecuted => "not_executed",
        Failure::Stalled => "stalled",
        Failure::Unsupported => "unsupported",
        _ => "disconnected",
    }
}

/// `error` is the core's own name for it, which informs.
fn closed(reason: CloseReason) -> Value {
    let error = format!("{reason:?}");
    match reason {
        CloseReason::Handshake(_) | CloseReason::TimedOut(TimedOut::Handshake) => {
            json!({ "event": "closed", "reason": "handshake", "error": error })
        }
        CloseReason::Refused(code) => {
            json!({ "event": "closed", "reason": "refused", "code": code.number(), "error": error })
        }
        CloseReason::NotAdmitted(_) => json!({ "event": "closed", "reason": "not_admitted", "error": error }),
        CloseReason::Remote(status) => {
            json!({ "event": "closed", "reason": "remote", "status": status.number(), "error": error })
        }
        CloseReason::Local(status) => {
            json!({ "event": "closed", "reason": "local", "status": status.number(), "error": error })
        }
        CloseReason::Misbehaved(_) => json!({ "event": "closed", "reason": "violation", "error": error }),
        CloseReason::TimedOut(_) => json!({ "event": "closed", "reason": "timed_out", "error": error }),
        CloseReason::Truncated => json!({ "event": "closed", "reason": "truncated", "error": error }),
        CloseReason::FramesLost(_) => json!({ "event": "closed", "reason": "lost", "error": error }),
        _ => json!({ "event": "closed", "reason": "exhausted", "error": error }),
    }
}
