//! Commands that are refused.

use symbolon::name::NameError;
use symbolon::{ExchangeId, Missed, Point, RequestHead, SendError, Status};

use super::common::{Pair, device, device_with};
use super::{SECOND, Trace, UPLOAD, outgoing};

/// The refusals of a conversation, where they are provoked at all.
struct Refusals {
    provoke: bool,
    seen: Vec<SendError>,
}

/// Gives each command and expects its refusal, where refusals are provoked.
macro_rules! refuse {
    ($refusals:expr, $($command:expr => $error:expr;)*) => {
        if $refusals.provoke {
            $(
                let error: SendError = $command.map(drop).unwrap_err();
                assert_eq!(error, $error, "{}", stringify!($command));
                $refusals.seen.push(error);
            )*
        }
    };
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
    let mut refusals = Refusals { provoke, seen: Vec::new() };
    before_the_handshake(&mut pair, &mut refusals);
    what_no_request_may_say(&mut pair, &mut refusals);
    let first = a_request_that_waits(&mut pair, &mut refusals);
    let ours = as_many_as_the_limits_allow(&mut pair, &mut refusals);
    let theirs = a_subscription_of_theirs(&mut pair, &mut refusals);
    an_unsubscription(&mut pair, &mut refusals, ours);
    let body = a_body_that_is_stopped(&mut pair, &mut refusals);
    goaway(&mut pair, &mut refusals);
    close(&mut pair, &mut refusals, [first, theirs, body]);
    pair.pass(10 * SECOND);
    (Trace::of(pair), refusals.seen)
}

fn before_the_handshake(pair: &mut Pair, refusals: &mut Refusals) {
    let now = pair.now;
    refuse! { refusals,
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
}

/// Names that are none, points that fit no filter, and a body that no queue holds.
fn what_no_request_may_say(pair: &mut Pair, refusals: &mut Refusals) {
    let now = pair.now;
    refuse! { refusals,
        pair.a.admit(now) => SendError::NotConnected;
        pair.a.request(now, "", b"", None) => SendError::Name(NameError::Empty);
        pair.a.request(now, "a/+", b"", None) => SendError::Name(NameError::Wildcard);
        pair.a.subscribe("a//b", 9, None) => SendError::Name(NameError::EmptyLevel);
        pair.a.subscribe("a/+", 9, Some(Point { epoch: 1, sequence: 1 })) => SendError::PointWithWildcards;
        pair.a.request(now, &"m".repeat(129), b"", None) => SendError::Name(NameError::TooLong);
    }
    if refusals.provoke {
        let longest = pair.a.request(now, "m", &[7; 600], None).unwrap_err();
        assert!(matches!(longest, SendError::TooLarge { len, max } if len > max), "{longest:?}");
        refusals.seen.push(longest);
    }
}

/// While it fills the queue; and what may not be said of a request of one's own.
fn a_request_that_waits(pair: &mut Pair, refusals: &mut Refusals) -> ExchangeId {
    let now = pair.now;
    let first = pair.a.request(now, "m", &[7; 300], None).unwrap();
    refuse! { refusals,
        pair.a.request(now, "m", &[7; 300], None) => SendError::Full;
        pair.a.respond(first, Status::OK, b"") => SendError::UnknownExchange;
        pair.a.respond_busy(first, SECOND) => SendError::UnknownExchange;
        pair.a.accept_subscription(first) => SendError::UnknownExchange;
        pair.a.publish(first, &outgoing("t", b"")) => SendError::UnknownExchange;
        pair.a.publish_missed(first, Missed::NONE) => SendError::UnknownExchange;
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
    first
}

/// Gives back the subscription.
fn as_many_as_the_limits_allow(pair: &mut Pair, refusals: &mut Refusals) -> ExchangeId {
    let now = pair.now;
    for _ in 0..2 {
        pair.a.request(now, "m", b"", Some(SECOND)).unwrap();
    }
    let ours = pair.a.subscribe("t", 100, None).unwrap();
    refuse! { refusals,
        pair.a.request(now, "m", b"", None) => SendError::TooMany;
        pair.a.subscribe("t", 9, None) => SendError::TooMany;
        pair.a.open(now, &UPLOAD) => SendError::TooMany;
    }
    pair.settle();
    ours
}

/// Accepted, and published to until queue and credit are used up.
fn a_subscription_of_theirs(pair: &mut Pair, refusals: &mut Refusals) -> ExchangeId {
    let now = pair.now;
    let theirs = pair.b.subscribe("t", 500, None).unwrap();
    pair.settle();
    pair.a.accept_subscription(theirs).unwrap();
    refuse! { refusals,
        pair.a.accept_subscription(theirs) => SendError::UnknownExchange;
        pair.a.respond(theirs, Status::OK, b"") => SendError::UnknownExchange;
        pair.a.respond_more(now, theirs, b"") => SendError::UnknownExchange;
        pair.a.write(theirs, b"x") => SendError::UnknownExchange;
        pair.a.publish(theirs, &outgoing("#", b"")) => SendError::Name(NameError::Wildcard);
    }
    pair.a.publish(theirs, &outgoing("t", &[7; 250])).unwrap();
    refuse! { refusals,
        pair.a.publish(theirs, &outgoing("t", &[7; 150])) => SendError::Full;
        pair.a.publish(theirs, &outgoing("t", &[7; 240])) => SendError::NoCredit;
        pair.a.publish_first(theirs, &outgoing("t", &[7; 240])) => SendError::NoCredit;
        pair.a.publish_next(theirs, b"rest") => SendError::NotHalfSent;
        pair.a.publish_abort(theirs) => SendError::NotHalfSent;
    }
    if refusals.provoke {
        let longest = pair.a.publish(theirs, &outgoing("t", &[7; 400])).unwrap_err();
        assert!(matches!(longest, SendError::TooLarge { .. }), "{longest:?}");
    }
    pair.settle();
    theirs
}

fn an_unsubscription(pair: &mut Pair, refusals: &mut Refusals, ours: ExchangeId) {
    pair.a.cancel(ours).unwrap();
    refuse! { refusals, pair.a.cancel(ours) => SendError::UnknownExchange; }
    pair.pass(2 * SECOND);
}

/// One that fills its buffer; then the other side stops it, and ends its answer.
fn a_body_that_is_stopped(pair: &mut Pair, refusals: &mut Refusals) -> ExchangeId {
    let now = pair.now;
    let body = pair.a.open(now, &UPLOAD).unwrap();
    assert_eq!(pair.a.write(body, &[7; 600]), Ok(500));
    refuse! { refusals,
        pair.a.write(body, b"x") => SendError::Full;
        pair.a.write(body, &[7; 9_000]) => SendError::Full;
        pair.a.release(body, 9) => SendError::UnknownExchange;
        pair.a.respond_more(now, body, b"") => SendError::UnknownExchange;
    }
    pair.settle();
    pair.b.respond_more(now, body, b"").unwrap();
    pair.b.cancel_with(body, Status::FAILED).unwrap();
    refuse! { refusals,
        pair.b.respond_more(now, body, b"") => SendError::UnknownExchange;
        pair.b.respond(body, Status::OK, b"") => SendError::UnknownExchange;
        pair.b.cancel(body) => SendError::UnknownExchange;
        pair.b.open(now, &RequestHead { method: "a/+", ..UPLOAD }) => SendError::Name(NameError::Wildcard);
    }
    pair.settle();
    refuse! { refusals,
        pair.a.write(body, b"x") => SendError::UnknownExchange;
        pair.a.reset(body, Status::FAILED) => SendError::UnknownExchange;
    }
    pair.b.reset(body, Status::FAILED).unwrap();
    refuse! { refusals,
        pair.b.reset(body, Status::CANCELLED) => SendError::UnknownExchange;
        pair.b.finish(body) => SendError::UnknownExchange;
        pair.b.write(body, b"x") => SendError::UnknownExchange;
    }
    body
}

fn goaway(pair: &mut Pair, refusals: &mut Refusals) {
    pair.b.goaway().unwrap();
    pair.settle();
    let now = pair.now;
    refuse! { refusals,
        pair.a.request(now, "m", b"", None) => SendError::GoingAway;
        pair.a.subscribe("t", 9, None) => SendError::GoingAway;
        pair.a.open(now, &UPLOAD) => SendError::GoingAway;
    }
}

/// Nothing is taken any more, of whatever there was.
fn close(pair: &mut Pair, refusals: &mut Refusals, [request, theirs, body]: [ExchangeId; 3]) {
    let now = pair.now;
    pair.a.close(now, Status::OK);
    refuse! { refusals,
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
    refuse! { refusals,
        pair.a.request(now, "m", b"", None) => SendError::Closed;
        pair.a.cancel(request) => SendError::Closed;
        pair.a.admit(now) => SendError::Closed;
    }
}
