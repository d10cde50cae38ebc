//! What `Connection` promises to whoever drives it, one test for each sentence.

mod common;

use std::collections::VecDeque;
use std::time::Duration;

use common::cbor::message;
use common::hostile::Hostile;
use common::{Happened, Pair, device, device_with, seed};
use proptest::prelude::*;
use symbolon::{
    Admission, CloseReason, Connection, ExchangeId, Instant, Limits, Missed, Outgoing, PeerMisbehaved, Point,
    RequestHead, SendError, Status, SubscribeOptions,
};

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
        pair.a.publish_next(theirs, b"rest") => SendError::Unfinished;
        pair.a.publish_abort(theirs) => SendError::Unfinished;
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
        SendError::PointWithWildcards,
        SendError::TooMany,
        SendError::Unfinished,
        SendError::UnknownExchange,
    ] {
        assert!(refused.contains(&error), "{error:?} was never provoked");
    }
    assert!(refused.iter().any(|error| matches!(error, SendError::Name(_))));
    assert!(refused.iter().any(|error| matches!(error, SendError::TooLarge { .. })));
}

/// Sentence 2: an input that ends the connection is taken like any other; the end comes once, with one reason, last,
/// after the ends of all that was pending.
#[test]
fn inputs_never_fail_the_connection_does() {
    let mut peer = Hostile::dialled();
    let now = peer.victim.now;
    let connection = &mut peer.victim.connection;
    let pending: Vec<_> = (0..5).map(|_| connection.request(now, "m", b"", None).unwrap()).collect();
    let subscription = connection.subscribe("t", 9, None).unwrap();
    let given_up = connection.request(now, "m", b"", None).unwrap();
    peer.heard();
    peer.victim.connection.cancel(given_up).unwrap();
    let bad = [message::response(1, 0, 0, b"in time"), message::accept(), message::close(0)].concat();
    let frame = peer.attacker.seal(&bad);
    let input = [frame.as_slice(), &[0; 100]].concat();
    // Until the events are taken nothing is read; then all of it is, and ignored.
    let mut at = 0;
    let mut events: Vec<Happened> = Vec::new();
    while at < input.len() {
        let taken = peer.victim.connection.handle_input(now, &input[at..]);
        at += taken;
        let before = events.len();
        while let Some(event) = peer.victim.connection.poll_event() {
            events.push(event.into());
        }
        assert!(taken > 0 || events.len() > before, "it always goes on");
    }
    let mut ended: Vec<ExchangeId> = Vec::new();
    for event in &events[..events.len() - 1] {
        match event {
            Happened::Response { id, .. } | Happened::Failed(id, _) => ended.push(*id),
            other => panic!("{other:?}"),
        }
    }
    ended.sort();
    let mut all = pending;
    all.extend([subscription, given_up]);
    assert_eq!(ended, all);
    assert_eq!(events.last(), Some(&Happened::Closed(PeerMisbehaved::Accept.into())));
    peer.victim.feed(&[1; 50]);
    peer.victim.feed_eof();
    assert_eq!(peer.victim.events(), []);
}

/// Sentence 4, F2, C12, R9: a length is checked before a byte is stored for it, in frames and inside of them.
#[test]
fn no_size_that_the_peer_chooses_is_allocated_before_it_was_checked() {
    for (max_frame, len) in [(256, 257), (256, 65_535), (16_640, 16_641), (16_640, 16), (16_640, 0)] {
        let config = device_with(1, |limits, _| limits.max_frame = max_frame);
        let mut peer = Hostile::of(symbolon::Role::Initiator, &config, Default::default());
        peer.heard();
        let before = peer.victim.connection.buffered();
        peer.victim.feed(&u16::to_be_bytes(len));
        assert_eq!(peer.victim.closed(), CloseReason::Misbehaved(PeerMisbehaved::FrameLength(len)));
        assert_eq!(peer.victim.connection.buffered(), before);
    }
    for inside in [
        // A byte string, a text and an array of 2⁶⁴−1, in place of a body, a method, a message.
        [vec![0x86, 0x05, 0x02, 0x00, 0x00, 0x61, 0x6d, 0x5b], vec![0xff; 8]].concat(),
        [vec![0x86, 0x05, 0x02, 0x00, 0x00, 0x7b], vec![0xff; 8]].concat(),
        [vec![0x9b], vec![0xff; 8]].concat(),
    ] {
        let mut peer = Hostile::dialled();
        peer.heard();
        let before = peer.victim.connection.buffered();
        peer.say(&inside);
        let reason = peer.victim.closed();
        assert!(matches!(reason, CloseReason::Misbehaved(PeerMisbehaved::Message(_))), "{reason:?}");
        assert_eq!(peer.victim.connection.buffered(), before);
    }
}

/// Sentence 4, R3: whatever a peer sends while it reads nothing, what waits for it stays within the limits.
#[test]
fn what_waits_for_a_peer_that_reads_nothing_is_bounded() {
    let mut limits = Limits::small();
    limits.requests_in = 4;
    let config = device(1).with_limits(limits).unwrap();
    let mut peer = Hostile::of(symbolon::Role::Initiator, &config, Default::default());
    let ours = peer.victim.connection.subscribe("t", 1_000, None).unwrap();
    peer.heard();
    peer.say(&message::response(ours.number(), 0, 1, b""));
    peer.victim.events();
    let bound = 2 * (usize::from(limits.max_frame) + 2) + 2 * (limits.call_queue + limits.publication_queue);
    for n in 0..5_000 {
        peer.say(&[message::ping(n), message::goaway(u64::MAX - n), message::missed(1, 0, 0)].concat());
        if n < 4 {
            peer.say(&message::request(2 + 2 * n, 0, 0, "", b""));
        }
        assert!(!peer.victim.is_closed(), "{:?}", peer.victim.events());
        assert!(peer.victim.connection.buffered() <= bound + 2 * limits.buffer_at_rest);
    }
    // One pong, and each answer once.
    let answers: Vec<u8> = (0..4).flat_map(|n| message::response(2 + 2 * n, 5, 0, b"")).collect();
    assert_eq!(peer.heard(), [message::pong(4_999), answers].concat());
}

/// How a link may be.
#[derive(Clone, Copy, Debug)]
enum Weather {
    Fine,
    Slow,
    /// Both directions end after this many bytes.
    Cut(usize),
    /// Nothing passes from the second moment on.
    Stalled,
    /// One byte at a time.
    Crumbs,
}

type Advance = fn(&mut Pair, Duration);

/// A conversation of some minutes, in which time passes as `advance` has it.
fn minutes(script: u8, weather: Weather, advance: Advance) -> Trace {
    let silence = |n, seconds: u64| {
        device_with(n, |_, timeouts| {
            timeouts.silence = Some(Duration::from_secs(seconds));
            timeouts.answer = Some(3 * SECOND);
            timeouts.body_idle = Some(5 * SECOND);
        })
    };
    let mut pair = Pair::of(&silence(1, 4), &silence(2, 10));
    for link in [&mut pair.a_to_b, &mut pair.b_to_a] {
        match weather {
            Weather::Fine | Weather::Stalled => {}
            Weather::Slow => link.latency = Duration::from_millis(40),
            Weather::Cut(after) => link.cut_after = Some(after),
            Weather::Crumbs => link.chunk = 1,
        }
    }
    advance(&mut pair, SECOND);
    if matches!(weather, Weather::Stalled) {
        pair.a_to_b.stalled = true;
        pair.b_to_a.stalled = true;
    }
    let now = pair.now;
    match script {
        // Nothing happens.
        0 => {}
        // Requests that nobody answers: one with a deadline of its own, one with the answerer's.
        1 => {
            let _ = pair.a.request(now, "m", b"", Some(Duration::from_millis(1_234)));
            let _ = pair.a.request(now, "m", b"", None);
            let _ = pair.b.request(now, "m", b"", Some(Duration::from_millis(77)));
        }
        // A subscription, read late, and an unsubscription.
        2 => {
            let ours = pair.a.subscribe("t", 100, None);
            advance(&mut pair, SECOND);
            if let Ok(ours) = ours {
                // The ids are the same at both sides.
                let _ = pair.b.accept_subscription(ours);
                while pair.b.publish(ours, &outgoing("t", b"body")).is_ok() {}
                advance(&mut pair, SECOND);
                let _ = pair.a.release(ours, 1_000);
                let _ = pair.b.publish(ours, &outgoing("t", b"body"));
                advance(&mut pair, SECOND);
                let _ = pair.a.cancel(ours);
            }
        }
        // Leaving.
        3 => {
            let _ = pair.a.request(now, "m", b"", None);
            advance(&mut pair, SECOND);
            let _ = pair.b.goaway();
            advance(&mut pair, SECOND / 2);
            pair.b.close(pair.now, Status::OK);
        }
        // Bodies each way, one of them with a time of its own, that stand still at last.
        4 => {
            if let Ok(body) = pair.a.open(now, &UPLOAD) {
                advance(&mut pair, SECOND);
                let _ = pair.a.write(body, &[7; 3_000]);
                advance(&mut pair, 2 * SECOND);
                let _ = pair.b.respond_more(pair.now, body, b"");
                let _ = pair.b.write(body, &[7; 3_000]);
                advance(&mut pair, 4 * SECOND);
                let _ = pair.a.set_body_idle(pair.now, body, Some(7 * SECOND));
                let _ = pair.a.release(body, 200_000);
                let _ = pair.b.set_body_idle(pair.now, body, None);
                advance(&mut pair, 3 * SECOND);
                let _ = pair.a.finish(body);
            }
            let _ = pair.b.open(pair.now, &RequestHead { deadline: Some(4 * SECOND), ..UPLOAD });
            let _ = pair.b.open(pair.now, &UPLOAD);
        }
        // An application that reads nothing for a while.
        _ => {
            pair.reading_b = false;
            let _ = pair.a.request(now, "m", b"", Some(2 * SECOND));
            let _ = pair.a.request(now, "m", b"", None);
            advance(&mut pair, 9 * SECOND);
            pair.reading_b = true;
        }
    }
    advance(&mut pair, 60 * SECOND);
    Trace::of(pair)
}

/// Sentence 5, R15: driving only at the instants named gives the same run as driving every millisecond.
#[test]
fn the_next_wake_up_time_is_complete_and_honest() {
    let weathers = [
        Weather::Fine,
        Weather::Slow,
        Weather::Cut(0),
        Weather::Cut(100),
        Weather::Cut(400),
        Weather::Cut(600),
        Weather::Stalled,
        Weather::Crumbs,
    ];
    for weather in weathers {
        for script in 0..6 {
            let named = minutes(script, weather, Pair::pass);
            let every = minutes(script, weather, |pair, duration| {
                pair.pass_in_steps(duration, Duration::from_millis(1));
            });
            assert_eq!(named, every, "script {script}, {weather:?}");
        }
    }
}

/// Sentence 5: no instant named has passed, and a timer that has fired is gone.
#[test]
fn no_instant_named_has_passed() {
    for weather in [Weather::Fine, Weather::Slow, Weather::Cut(500), Weather::Stalled] {
        for script in 0..6 {
            minutes(script, weather, |pair, duration| {
                let end = pair.now + duration;
                while pair.now < end {
                    let next = pair.next_due().map_or(end, |next| next.min(end));
                    assert!(next > pair.now, "a timer that does not go");
                    pair.pass(next.saturating_since(pair.now));
                    for connection in [&pair.a, &pair.b] {
                        let timeout = connection.poll_timeout();
                        assert!(timeout.is_none_or(|at| at > pair.now), "{timeout:?} at {:?}", pair.now);
                    }
                }
            });
        }
    }
}

/// Sentence 10: a truncated stream is told apart from a closed one at each byte at which it can be cut.
#[test]
fn nothing_is_lost_silently() {
    let whole = {
        let mut pair = Pair::new();
        pair.settle();
        pair.a.close(pair.now, Status::OK);
        pair.settle();
        pair.a_to_b.record.len()
    };
    for cut in 0..=whole {
        let mut pair = Pair::new();
        pair.a_to_b.cut_after = Some(cut);
        pair.settle();
        pair.a.close(pair.now, Status::OK);
        pair.settle();
        let told = pair.events_b().pop();
        if cut == whole {
            assert_eq!(told, Some(Happened::Closed(CloseReason::Remote(Status::OK))));
        } else {
            assert_eq!(told, Some(Happened::Closed(CloseReason::Truncated)), "cut after {cut} of {whole}");
        }
    }
}

/// Everything that a program can do to a pair of connections, sensible or not.
#[derive(Clone, Debug)]
enum Op {
    Accept(bool, usize),
    BodyIdle(bool, usize, Option<u64>),
    Admit(bool),
    Advance(bool, usize),
    Cancel(bool, usize),
    Carry(bool, usize),
    Close(bool, u16),
    End(bool, usize, u16),
    Eof(bool),
    Events(bool, usize),
    Finish(bool, usize),
    Goaway(bool),
    Junk(bool, Vec<u8>),
    Jump(u64),
    Missed(bool, usize, u32),
    Open(bool, String, usize, bool, Option<u64>),
    Pass(u32),
    Publish(bool, usize, String, usize),
    Refuse(bool),
    Release(bool, usize, u32),
    Request(bool, String, usize, Option<u64>),
    Reset(bool, usize, u16),
    Respond(bool, usize, u16, usize),
    RespondBusy(bool, usize, u64),
    RespondMore(bool, usize, usize),
    Subscribe(bool, String, u32, Option<(u32, u64)>),
    Timeout(bool),
    TurnAway(bool),
    Write(bool, usize, usize),
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => Just("t".to_string()),
        3 => Just("#".to_string()),
        1 => Just(String::new()),
        1 => Just("a".repeat(129)),
        1 => ".{0,8}",
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let side = any::<bool>;
    let which = || 0..12_usize;
    let len = || prop_oneof![0..200_usize, 0..200_usize, 0..40_000_usize];
    let status = || prop_oneof![0..11_u16, any::<u16>()];
    let often = prop_oneof![
        10 => (side(), prop_oneof![Just(usize::MAX), 0..600_usize]).prop_map(|(s, n)| Op::Carry(s, n)),
        8 => (side(), 0..6_usize).prop_map(|(s, n)| Op::Events(s, n)),
        4 => (side(), name(), len(), prop_oneof![Just(None), (0..5_000_u64).prop_map(Some),
            any::<u64>().prop_map(Some)]).prop_map(|(s, n, l, d)| Op::Request(s, n, l, d)),
        3 => (side(), which(), status(), len()).prop_map(|(s, w, t, l)| Op::Respond(s, w, t, l)),
        2 => (side(), name(), any::<u32>(), any::<Option<(u32, u64)>>())
            .prop_map(|(s, n, w, f)| Op::Subscribe(s, n, w, f)),
        2 => (side(), which()).prop_map(|(s, w)| Op::Accept(s, w)),
        3 => (side(), which(), name(), len()).prop_map(|(s, w, n, l)| Op::Publish(s, w, n, l)),
        2 => (side(), which(), any::<u32>()).prop_map(|(s, w, c)| Op::Release(s, w, c)),
        2 => (side(), which()).prop_map(|(s, w)| Op::Cancel(s, w)),
    ];
    let bodies = prop_oneof![
        4 => (side(), name(), len(), any::<bool>(), proptest::option::of(0..5_000_u64))
            .prop_map(|(s, n, l, m, d)| Op::Open(s, n, l, m, d)),
        6 => (side(), which(), len()).prop_map(|(s, w, l)| Op::Write(s, w, l)),
        3 => (side(), which(), len()).prop_map(|(s, w, l)| Op::RespondMore(s, w, l)),
        2 => (side(), which()).prop_map(|(s, w)| Op::Finish(s, w)),
        1 => (side(), which(), status()).prop_map(|(s, w, t)| Op::Reset(s, w, t)),
        1 => (side(), which(), proptest::option::of(any::<u64>())).prop_map(|(s, w, d)| Op::BodyIdle(s, w, d)),
    ];
    let seldom = prop_oneof![
        side().prop_map(Op::Admit),
        (side(), which(), any::<u64>()).prop_map(|(s, w, r)| Op::RespondBusy(s, w, r)),
        (side(), which(), any::<u32>()).prop_map(|(s, w, m)| Op::Missed(s, w, m)),
        (side(), which(), status()).prop_map(|(s, w, t)| Op::End(s, w, t)),
        side().prop_map(Op::Goaway),
        side().prop_map(Op::Timeout),
        (0..20_000_u32).prop_map(Op::Pass),
        prop_oneof![Just(0), Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()].prop_map(Op::Jump),
        (side(), any::<usize>()).prop_map(|(s, n)| Op::Advance(s, n)),
        side().prop_map(Op::TurnAway),
    ];
    let ends = prop_oneof![
        side().prop_map(Op::Refuse),
        (side(), status()).prop_map(|(s, t)| Op::Close(s, t)),
        side().prop_map(Op::Eof),
        (side(), proptest::collection::vec(any::<u8>(), 0..80)).prop_map(|(s, b)| Op::Junk(s, b)),
    ];
    prop_oneof![24 => often, 10 => bodies, 6 => seldom, 1 => ends]
}

/// One side of the pair, the bytes on their way to it, and what its program knows.
struct End {
    connection: Connection,
    flying: VecDeque<u8>,
    ids: Vec<ExchangeId>,
    open: Vec<ExchangeId>,
    closed: bool,
}

impl End {
    fn new(connection: Connection) -> Self {
        Self { connection, flying: VecDeque::new(), ids: Vec::new(), open: Vec::new(), closed: false }
    }

    fn id(&self, which: usize) -> Option<ExchangeId> {
        let place = self.ids.len().checked_sub(1 + which % self.ids.len().max(1))?;
        self.ids.get(place).copied()
    }

    fn opened(&mut self, id: Result<ExchangeId, SendError>) {
        if let Ok(id) = id {
            self.ids.push(id);
            self.open.push(id);
        }
    }

    fn events(&mut self, most: usize) {
        for _ in 0..most {
            let seen = self.connection.peek_event().map(Happened::from);
            let event = self.connection.poll_event().map(Happened::from);
            assert_eq!(seen, event, "to look at it takes nothing and changes nothing");
            let Some(event) = event else { return };
            assert!(!self.closed, "nothing follows the end: {event:?}");
            match event {
                Happened::Closed(_) => {
                    assert_eq!(self.open, [], "all that was open has ended first");
                    self.closed = true;
                }
                Happened::Failed(id, _)
                | Happened::Busy(id, _)
                | Happened::Response { id, .. }
                | Happened::SubscriptionEnded(id, _) => {
                    let place = self.open.iter().position(|open| *open == id);
                    self.open.remove(place.expect("each ends once"));
                }
                // Of theirs it is the end of a body; of ours, of all.
                Happened::End(id, _) => {
                    let place = self.open.iter().position(|open| *open == id);
                    let _ = place.map(|place| self.open.remove(place));
                }
                Happened::Request { id, .. }
                | Happened::RequestGoesOn { id, .. }
                | Happened::Subscribe { id, .. } => self.ids.push(id),
                _ => {}
            }
        }
    }
}

fn play(ask: [bool; 2], ops: Vec<Op>) {
    let configs = [1, 2].map(device);
    let mut now = Instant::from_millis(1_000);
    let admission = |n: usize| {
        if ask[n] { Admission::Ask } else { Admission::expect(configs[1 - n].identity().peer_id()) }
    };
    let mut ends = [
        End::new(Connection::initiator(&configs[0], admission(0), seed(1), now)),
        End::new(Connection::responder(&configs[1], admission(1), seed(2), now)),
    ];
    for op in ops {
        match op {
            Op::Accept(s, w) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.accept_subscription(id));
            }
            Op::Admit(s) => drop(ends[usize::from(s)].connection.admit(now)),
            Op::Advance(s, n) => {
                // Says that bytes were written which were not: the peer will see a hole.
                if n % 8 == 0 {
                    ends[usize::from(s)].connection.advance_transmit(n);
                }
            }
            Op::BodyIdle(s, w, millis) => {
                let end = &mut ends[usize::from(s)];
                let idle = millis.map(Duration::from_millis);
                let _ = end.id(w).map(|id| end.connection.set_body_idle(now, id, idle));
            }
            Op::Cancel(s, w) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.cancel(id));
            }
            Op::Carry(s, most) => {
                let [a, b] = &mut ends;
                let (from, to) = if s { (b, a) } else { (a, b) };
                let mut rounds = 0;
                while let Some(bytes) = from.connection.poll_transmit(now) {
                    let len = bytes.len().min(most.max(1));
                    to.flying.extend(&bytes[..len]);
                    from.connection.advance_transmit(len);
                    rounds += 1;
                    assert!(rounds < 100_000, "it never comes to rest");
                    if most < usize::MAX {
                        break;
                    }
                }
                let bytes = to.flying.make_contiguous();
                let len = bytes.len().min(most);
                let taken = to.connection.handle_input(now, &bytes[..len]);
                assert!(taken <= len);
                to.flying.drain(..taken);
            }
            Op::Close(s, status) => ends[usize::from(s)].connection.close(now, Status::new(status)),
            Op::End(s, w, status) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.end_subscription(id, Status::new(status)));
            }
            Op::Eof(s) => ends[usize::from(s)].connection.handle_eof(now),
            Op::Events(s, n) => ends[usize::from(s)].events(n),
            Op::Finish(s, w) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.finish(id));
            }
            Op::Goaway(s) => drop(ends[usize::from(s)].connection.goaway()),
            Op::Junk(s, bytes) => {
                let taken = ends[usize::from(s)].connection.handle_input(now, &bytes);
                assert!(taken <= bytes.len());
            }
            Op::Jump(to) => now = Instant::from_micros(to),
            Op::Missed(s, w, count) => {
                let end = &mut ends[usize::from(s)];
                let missed = Missed { count, unknown: count % 2 == 0 };
                let _ = end.id(w).map(|id| end.connection.publish_missed(id, missed));
            }
            Op::Open(s, method, len, more, deadline) => {
                let end = &mut ends[usize::from(s)];
                let deadline = deadline.map(Duration::from_millis);
                let head = RequestHead { method: &method, body: &vec![7; len], more, deadline };
                let id = end.connection.open(now, &head);
                end.opened(id);
            }
            Op::Pass(ms) => {
                now = now + Duration::from_millis(ms.into());
                ends.iter_mut().for_each(|end| end.connection.handle_timeout(now));
            }
            Op::Publish(s, w, topic, len) => {
                let end = &mut ends[usize::from(s)];
                let body = vec![7; len];
                let whole = outgoing(&topic, &body);
                let _ = end.id(w).map(|id| match len % 4 {
                    0 => end.connection.publish_first(id, &whole).map(drop),
                    1 => end.connection.publish_next(id, &body).map(drop),
                    2 => end.connection.publish_abort(id),
                    _ => end.connection.publish(id, &whole),
                });
            }
            Op::Refuse(s) => drop(ends[usize::from(s)].connection.refuse(now)),
            Op::Release(s, w, cost) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.release(id, cost));
            }
            Op::Request(s, method, len, deadline) => {
                let end = &mut ends[usize::from(s)];
                let deadline = deadline.map(Duration::from_millis);
                let id = end.connection.request(now, &method, &vec![7; len], deadline);
                end.opened(id);
            }
            Op::Reset(s, w, status) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.reset(id, Status::new(status)));
            }
            Op::RespondMore(s, w, len) => {
                let end = &mut ends[usize::from(s)];
                let body = vec![7; len];
                let _ = end.id(w).map(|id| end.connection.respond_more(now, id, &body));
            }
            Op::Respond(s, w, status, len) => {
                let end = &mut ends[usize::from(s)];
                let body = vec![7; len];
                let _ = end.id(w).map(|id| end.connection.respond(id, Status::new(status), &body));
            }
            Op::RespondBusy(s, w, retry) => {
                let end = &mut ends[usize::from(s)];
                let retry = Duration::from_millis(retry);
                let _ = end.id(w).map(|id| end.connection.respond_busy(id, retry));
            }
            Op::Subscribe(s, filter, window, from) => {
                let end = &mut ends[usize::from(s)];
                let from = from.map(|(epoch, sequence)| Point { epoch, sequence });
                let mut options = SubscribeOptions::default();
                (options.window, options.from) = (window, from);
                options.largest = if window % 2 == 0 { 0 } else { window };
                let id = end.connection.subscribe_with(&filter, &options);
                end.opened(id);
            }
            Op::Timeout(s) => {
                let connection = &mut ends[usize::from(s)].connection;
                if let Some(at) = connection.poll_timeout() {
                    connection.handle_timeout(at);
                }
            }
            Op::TurnAway(s) => {
                if s {
                    ends[1].connection.turn_away();
                }
            }
            Op::Write(s, w, len) => {
                let end = &mut ends[usize::from(s)];
                if let Some(Ok(taken)) = end.id(w).map(|id| end.connection.write(id, &vec![7; len])) {
                    assert!(taken <= len);
                }
                let _ = end.connection.poll_writable();
            }
        }
        for end in &ends {
            let connection = &end.connection;
            let _ = (connection.is_open(), connection.is_idle(), connection.peer(), connection.buffered());
            let _ = format!("{connection:?}");
        }
    }
    // Whatever was done, it can be brought to an end.
    for end in &mut ends {
        end.connection.close(now, Status::OK);
        end.events(usize::MAX);
        end.connection.handle_eof(now);
        end.events(usize::MAX);
        if !end.closed {
            // The application was asked, and the stream has ended behind that.
            let _ = end.connection.refuse(now);
            end.events(usize::MAX);
        }
        assert!(end.closed, "{:?}", end.connection);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Sentences 8 and 2, R14, R15, R16: no order of public calls, no bytes and no clock jump panics; the end comes
    /// once, last, after the ends of all that was open.
    #[test]
    fn no_order_of_calls_panics(
        ask in any::<[bool; 2]>(),
        meet in proptest::bool::weighted(0.8),
        mut ops in proptest::collection::vec(op(), 0..120),
    ) {
        if meet {
            // The handshake first, so that what follows meets a session.
            let mut first = Vec::new();
            for _ in 0..4 {
                for side in [false, true] {
                    first.extend([Op::Carry(side, usize::MAX), Op::Events(!side, 6), Op::Admit(!side)]);
                }
            }
            first.append(&mut ops);
            ops = first;
        }
        play(ask, ops);
    }
}
