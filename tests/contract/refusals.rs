//! Commands that are refused.

use symbolon::{ExchangeId, Missed, Point, RequestHead, SendError, Status};

use super::common::{Pair, device, device_with};
use super::{SECOND, Trace, UPLOAD, outgoing};

/// A conversation with a refused command of each kind wherever one is refused, or without any of them.
fn conversation(provoke: bool) -> (Trace, Vec<SendError>) {
    let a = device_with(1, |limits, _| {
        limits.requests_out = 3;
        limits.subscriptions_out = 1;
        limits.call_queue = 600;
        limits.publication_queue = 400;
        limits.body_buffer = 500;
    });
    let mut pair = Pair::of(&a, &device(2));
    let mut refused = Vec::new();
    macro_rules! refuse {
        ($($command:expr => $error:expr;)*) => {
            if provoke {
                $(
                    let error: SendError = $command.map(drop).unwrap_err();
                    assert_eq!(error, $error, "{}", stringify!($command));
                    refused.push(error);
                )*
            }
        };
    }
    let now = pair.now;
    let early = [now, now].map(|_| Missed::NONE);
    refuse! {
        pair.a.request(now, "m", b"", None) => SendError::NotConnected;
        pair.a.subscribe("t", 9, None) => SendError::NotConnected;
        pair.a.goaway() => SendError::NotConnected;
        pair.a.admit(now) => SendError::NotConnected;
        pair.b.refuse(now) => SendError::NotConnected;
        pair.b.request(now, "m", b"", None) => SendError::NotConnected;
        pair.a.open(now, &UPLOAD) => SendError::NotConnected;
        pair.b.open(now, &UPLOAD) => SendError::NotConnected;
        pair.a.write(ExchangeId::from_number(2), b"x") => SendError::NotConnected;
        pair.a.finish(ExchangeId::from_number(2)) => SendError::NotConnected;
        pair.b.respond_more(now, ExchangeId::from_number(2), b"") => SendError::NotConnected;
        pair.b.set_body_idle(now, ExchangeId::from_number(2), None) => SendError::NotConnected;
    }
    pair.settle();
    refuse! {
        pair.a.admit(now) => SendError::NotConnected;
        pair.a.request(now, "", b"", None) => SendError::Name(symbolon::name::NameError::Empty);
        pair.a.request(now, "a/+", b"", None) => SendError::Name(symbolon::name::NameError::Wildcard);
        pair.a.subscribe("a//b", 9, None) => SendError::Name(symbolon::name::NameError::EmptyLevel);
        pair.a.subscribe("a/+", 9, Some(Point { epoch: 1, sequence: 1 })) => SendError::PointWithWildcards;
        pair.a.request(now, &"m".repeat(129), b"", None) => SendError::Name(symbolon::name::NameError::TooLong);
    }
    if provoke {
        let longest = pair.a.request(now, "m", &[7; 600], None).unwrap_err();
        assert!(matches!(longest, SendError::TooLarge { len, max } if len > max), "{longest:?}");
        refused.push(longest);
    }
    let first = pair.a.request(now, "m", &[7; 300], None).unwrap();
    refuse! {
        pair.a.request(now, "m", &[7; 300], None) => SendError::Full;
        pair.a.respond(first, Status::OK, b"") => SendError::UnknownExchange;
        pair.a.respond_busy(first, SECOND) => SendError::UnknownExchange;
        pair.a.accept_subscription(first) => SendError::UnknownExchange;
        pair.a.publish(first, &outgoing("t", b"")) => SendError::UnknownExchange;
        pair.a.publish_missed(first, early[0]) => SendError::UnknownExchange;
        pair.a.end_subscription(first, Status::OK) => SendError::UnknownExchange;
        pair.a.release(first, 9) => SendError::UnknownExchange;
        pair.a.open(now, &RequestHead { body: &[7; 300], ..UPLOAD }) => SendError::Full;
        pair.a.write(first, b"x") => SendError::UnknownExchange;
        pair.a.finish(first) => SendError::UnknownExchange;
        pair.a.reset(first, Status::FAILED) => SendError::UnknownExchange;
        pair.a.respond_more(now, first, b"") => SendError::UnknownExchange;
        pair.a.set_body_idle(now, first, Some(SECOND)) => SendError::UnknownExchange;
    }
    pair.settle();
    for _ in 0..2 {
        pair.a.request(now, "m", b"", Some(SECOND)).unwrap();
    }
    let ours = pair.a.subscribe("t", 100, None).unwrap();
    refuse! {
        pair.a.request(now, "m", b"", None) => SendError::TooMany;
        pair.a.subscribe("t", 9, None) => SendError::TooMany;
        pair.a.open(now, &UPLOAD) => SendError::TooMany;
    }
    pair.settle();
    let theirs = pair.b.subscribe("t", 500, None).unwrap();
    pair.settle();
    pair.a.accept_subscription(theirs).unwrap();
    refuse! {
        pair.a.accept_subscription(theirs) => SendError::UnknownExchange;
        pair.a.respond(theirs, Status::OK, b"") => SendError::UnknownExchange;
        pair.a.respond_more(now, theirs, b"") => SendError::UnknownExchange;
        pair.a.write(theirs, b"x") => SendError::UnknownExchange;
        pair.a.publish(theirs, &outgoing("#", b"")) => SendError::Name(symbolon::name::NameError::Wildcard);
    }
    pair.a.publish(theirs, &outgoing("t", &[7; 250])).unwrap();
    refuse! {
        pair.a.publish(theirs, &outgoing("t", &[7; 150])) => SendError::Full;
        pair.a.publish(theirs, &outgoing("t", &[7; 240])) => SendError::NoCredit;
        pair.a.publish_first(theirs, &outgoing("t", &[7; 240])) => SendError::NoCredit;
        pair.a.publish_next(theirs, b"rest") => SendError::NotHalfSent;
        pair.a.publish_abort(theirs) => SendError::NotHalfSent;
    }
    if provoke {
        let longest = pair.a.publish(theirs, &outgoing("t", &[7; 400])).unwrap_err();
        assert!(matches!(longest, SendError::TooLarge { .. }), "{longest:?}");
    }
    pair.settle();
    pair.a.cancel(ours).unwrap();
    refuse! { pair.a.cancel(ours) => SendError::UnknownExchange; }
    pair.pass(2 * SECOND);
    let now = pair.now;
    let body = pair.a.open(now, &UPLOAD).unwrap();
    assert_eq!(pair.a.write(body, &[7; 600]), Ok(500));
    refuse! {
        pair.a.write(body, b"x") => SendError::Full;
        pair.a.write(body, &[7; 9_000]) => SendError::Full;
        pair.a.release(body, 9) => SendError::UnknownExchange;
        pair.a.respond_more(now, body, b"") => SendError::UnknownExchange;
    }
    pair.settle();
    pair.b.respond_more(now, body, b"").unwrap();
    pair.b.cancel_with(body, Status::FAILED).unwrap();
    refuse! {
        pair.b.respond_more(now, body, b"") => SendError::UnknownExchange;
        pair.b.respond(body, Status::OK, b"") => SendError::UnknownExchange;
        pair.b.cancel(body) => SendError::UnknownExchange;
        pair.b.open(now, &RequestHead { method: "a/+", ..UPLOAD }) =>
            SendError::Name(symbolon::name::NameError::Wildcard);
    }
    pair.settle();
    refuse! {
        pair.a.write(body, b"x") => SendError::UnknownExchange;
        pair.a.reset(body, Status::FAILED) => SendError::UnknownExchange;
    }
    pair.b.reset(body, Status::FAILED).unwrap();
    refuse! {
        pair.b.reset(body, Status::CANCELLED) => SendError::UnknownExchange;
        pair.b.finish(body) => SendError::UnknownExchange;
        pair.b.write(body, b"x") => SendError::UnknownExchange;
    }
    pair.b.goaway().unwrap();
    pair.settle();
    let now = pair.now;
    refuse! {
        pair.a.request(now, "m", b"", None) => SendError::GoingAway;
        pair.a.subscribe("t", 9, None) => SendError::GoingAway;
        pair.a.open(now, &UPLOAD) => SendError::GoingAway;
    }
    pair.a.close(now, Status::OK);
    refuse! {
        pair.a.request(now, "m", b"", None) => SendError::Closed;
        pair.a.publish(theirs, &outgoing("t", b"")) => SendError::Closed;
        pair.a.goaway() => SendError::Closed;
        pair.a.open(now, &UPLOAD) => SendError::Closed;
        pair.a.write(body, b"x") => SendError::Closed;
        pair.a.finish(body) => SendError::Closed;
        pair.a.reset(body, Status::FAILED) => SendError::Closed;
        pair.a.respond_more(now, body, b"") => SendError::Closed;
        pair.a.set_body_idle(now, body, None) => SendError::Closed;
    }
    pair.settle();
    refuse! {
        pair.a.request(now, "m", b"", None) => SendError::Closed;
        pair.a.cancel(first) => SendError::Closed;
        pair.a.admit(now) => SendError::Closed;
    }
    pair.pass(10 * SECOND);
    (Trace::of(pair), refused)
}

/// Sentence 3, R16: bytes, events, timers and memory of a run are the same with refused commands in it as without.
#[test]
fn a_refused_command_leaves_the_connection_exactly_as_it_was() {
    let (plain, none) = conversation(false);
    let (provoked, refused) = conversation(true);
    assert_eq!(none, []);
    assert_eq!(provoked, plain);
    for error in [
        SendError::Closed,
        SendError::Full,
        SendError::GoingAway,
        SendError::NoCredit,
        SendError::NotConnected,
        SendError::NotHalfSent,
        SendError::PointWithWildcards,
        SendError::TooMany,
        SendError::UnknownExchange,
    ] {
        assert!(refused.contains(&error), "{error:?} was never provoked");
    }
    assert!(refused.iter().any(|error| matches!(error, SendError::Name(_))));
    assert!(refused.iter().any(|error| matches!(error, SendError::TooLarge { .. })));
}
