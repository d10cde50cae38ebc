//! When it wants to be woken.

use std::time::Duration;

use symbolon::{RequestHead, Status};

use super::common::{Pair, device_with};
use super::{SECOND, Trace, UPLOAD, outgoing};

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

/// What happens meanwhile.
#[derive(Clone, Copy, Debug)]
enum Script {
    Bodies,
    Leaving,
    Nothing,
    NothingRead,
    NothingAnswered,
    Subscription,
}

const SCRIPTS: [Script; 6] = [
    Script::Bodies,
    Script::Leaving,
    Script::Nothing,
    Script::NothingRead,
    Script::NothingAnswered,
    Script::Subscription,
];

/// A conversation of some minutes, in which time passes as `advance` has it.
fn minutes(script: Script, weather: Weather, advance: Advance) -> Trace {
    let mut pair = pair_in(weather);
    advance(&mut pair, SECOND);
    if matches!(weather, Weather::Stalled) {
        pair.a_to_b.stalled = true;
        pair.b_to_a.stalled = true;
    }
    match script {
        Script::Bodies => bodies(&mut pair, advance),
        Script::Leaving => leaving(&mut pair, advance),
        Script::Nothing => {}
        Script::NothingRead => nothing_read(&mut pair, advance),
        Script::NothingAnswered => nothing_answered(&mut pair),
        Script::Subscription => subscription(&mut pair, advance),
    }
    advance(&mut pair, 60 * SECOND);
    Trace::of(pair)
}

fn pair_in(weather: Weather) -> Pair {
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
    pair
}

// The scripts.  In bad weather their commands are refused, which makes no difference here.

/// Bodies each way, one of them with a time of its own, that stand still at last.
fn bodies(pair: &mut Pair, advance: Advance) {
    if let Ok(body) = pair.a.open(pair.now, &UPLOAD) {
        advance(pair, SECOND);
        let _ = pair.a.write(body, &[7; 3_000]);
        advance(pair, 2 * SECOND);
        let _ = pair.b.respond_more(pair.now, body, b"");
        let _ = pair.b.write(body, &[7; 3_000]);
        advance(pair, 4 * SECOND);
        let _ = pair.a.set_body_idle(pair.now, body, Some(7 * SECOND));
        let _ = pair.a.release(body, 200_000);
        let _ = pair.b.set_body_idle(pair.now, body, None);
        advance(pair, 3 * SECOND);
        let _ = pair.a.finish(body);
    }
    let _ = pair.b.open(pair.now, &RequestHead { deadline: Some(4 * SECOND), ..UPLOAD });
    let _ = pair.b.open(pair.now, &UPLOAD);
}

fn leaving(pair: &mut Pair, advance: Advance) {
    let _ = pair.a.request(pair.now, "m", b"", None);
    advance(pair, SECOND);
    let _ = pair.b.goaway();
    advance(pair, SECOND / 2);
    pair.b.close(pair.now, Status::OK);
}

/// Requests to an application that reads nothing for a while.
fn nothing_read(pair: &mut Pair, advance: Advance) {
    pair.reading_b = false;
    let _ = pair.a.request(pair.now, "m", b"", Some(2 * SECOND));
    let _ = pair.a.request(pair.now, "m", b"", None);
    advance(pair, 9 * SECOND);
    pair.reading_b = true;
}

/// Requests that nobody answers: one with a deadline of its own, one with the answerer's.
fn nothing_answered(pair: &mut Pair) {
    let _ = pair.a.request(pair.now, "m", b"", Some(Duration::from_millis(1_234)));
    let _ = pair.a.request(pair.now, "m", b"", None);
    let _ = pair.b.request(pair.now, "m", b"", Some(Duration::from_millis(77)));
}

/// A subscription, read late, and an unsubscription.
fn subscription(pair: &mut Pair, advance: Advance) {
    let ours = pair.a.subscribe("t", 100, None);
    advance(pair, SECOND);
    if let Ok(ours) = ours {
        // The ids are the same at both sides.
        let _ = pair.b.accept_subscription(ours);
        while pair.b.publish(ours, &outgoing("t", b"body")).is_ok() {}
        advance(pair, SECOND);
        let _ = pair.a.release(ours, 1_000);
        let _ = pair.b.publish(ours, &outgoing("t", b"body"));
        advance(pair, SECOND);
        let _ = pair.a.cancel(ours);
    }
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
        for script in SCRIPTS {
            let named = minutes(script, weather, Pair::pass);
            let every = minutes(script, weather, |pair, duration| {
                pair.pass_in_steps(duration, Duration::from_millis(1));
            });
            assert_eq!(named, every, "{script:?}, {weather:?}");
        }
    }
}

/// Sentence 5: no instant named has passed, and a timer that has fired is gone.
#[test]
fn no_instant_named_has_passed() {
    for weather in [Weather::Fine, Weather::Slow, Weather::Cut(500), Weather::Stalled] {
        for script in SCRIPTS {
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
