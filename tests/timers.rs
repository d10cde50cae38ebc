//! Timers: what waits for how long, and what happens then.  SPEC §15

mod common;

use std::time::Duration;

use common::attacker::{Attacker, Knobs, Victim};
use common::cbor::message;
use common::hostile::Hostile;
use common::{Happened, Pair, device, device_with};
use symbolon::{Admission, CloseReason, Config, Instant, Limits, Role, Status, TimedOut};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A victim that declares no silence of its own, against a peer that may be silent for so long.
fn peer_of_silence(silence: u64) -> Hostile {
    let config = device_with(1, |_, timeouts| timeouts.silence = None);
    Hostile::of(Role::Initiator, &config, Knobs { silence, ..Knobs::default() })
}

/// *Handshake*: without keys it drops, one millisecond after its time and not before.  F7: bytes do not prolong it.
#[test]
fn a_handshake_has_one_deadline() {
    for role in [Role::Initiator, Role::Responder] {
        let mut victim = Victim::new(!role, &device(1), Admission::Ask);
        let mut attacker = Attacker::new(role, Knobs::default());
        victim.written();
        for byte in &attacker.begin()[..7] {
            victim.pass(SECOND);
            victim.feed(&[*byte]);
        }
        victim.pass(3 * SECOND - MS);
        assert_eq!(victim.events(), []);
        victim.pass(MS);
        victim.assert_dropped(CloseReason::TimedOut(TimedOut::Handshake));
        assert_eq!(victim.connection.poll_timeout(), None);
    }
}

/// *Handshake*: a responder whose application does not decide in time says `refused`, and no more.  SPEC §6
#[test]
fn who_is_not_decided_about_is_refused() {
    let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
    let mut victim = Victim::new(Role::Responder, &device(1), Admission::Ask);
    attacker.handshake(&mut victim);
    assert_eq!(victim.events(), [Happened::Admission(attacker.knobs.peer_id())]);
    victim.pass(10 * SECOND - MS);
    assert_eq!((victim.events(), victim.written()), (vec![], vec![]));
    victim.pass(MS);
    assert_eq!(victim.events(), [Happened::Closed(CloseReason::TimedOut(TimedOut::Handshake))]);
    assert_eq!(attacker.open(&victim.written()), [message::close(32)]);
}

/// *Handshake*: an initiator waits for `accept` no longer than that; it ends with `refused`.
#[test]
fn accept_is_awaited_within_the_handshake_timer() {
    let mut peer = Hostile::shaken(Role::Responder, &device(1), Knobs::default());
    peer.pass(10 * SECOND);
    let end = CloseReason::TimedOut(TimedOut::Handshake);
    assert_eq!(peer.victim.events(), [Happened::Closed(end)]);
    assert_eq!(peer.heard(), message::close(32));
}

/// *Frame*, FRM-5: a frame that was begun has to be complete in time, wherever it stops; before there are keys the
/// connection is dropped.
#[test]
fn a_frame_that_was_begun_has_to_end() {
    let config = device_with(1, |_, timeouts| {
        timeouts.frame = 2 * SECOND;
        timeouts.silence = None;
    });
    let end = CloseReason::TimedOut(TimedOut::Frame);
    for cut in [1, 2, 3, 20] {
        let mut peer = Hostile::of(Role::Initiator, &config, Knobs::default());
        let frame = peer.attacker.seal(&message::ping(7));
        peer.victim.feed(&frame[..cut]);
        peer.pass(2 * SECOND - MS);
        assert_eq!(peer.victim.events(), []);
        peer.pass(MS);
        peer.victim.assert_closed(&mut peer.attacker, end, 34);

        // Complete just in time, and then nothing is left to wait for.
        let mut peer = Hostile::of(Role::Initiator, &config, Knobs::default());
        let frame = peer.attacker.seal(&message::ping(7));
        peer.victim.feed(&frame[..cut]);
        peer.pass(2 * SECOND - MS);
        peer.victim.feed(&frame[cut..]);
        assert_eq!(peer.heard(), message::pong(7));
        assert_eq!(peer.victim.connection.poll_timeout(), None);
    }
    let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
    let mut victim = Victim::new(Role::Responder, &config, Admission::Ask);
    victim.feed(&attacker.begin()[..9]);
    assert_eq!(victim.written(), *b"olon\x01\x00\x00\x01");
    victim.pass(2 * SECOND);
    victim.assert_dropped(end);
}

/// *Silence* and *probe*, TIM-2: a silent peer is probed first, and given up only when the probe is due.
#[test]
fn a_silent_peer_is_probed_and_then_given_up() {
    let mut peer = peer_of_silence(2_000);
    peer.pass(2 * SECOND - MS);
    assert_eq!(peer.heard(), b"");
    peer.pass(MS);
    assert_eq!(peer.heard(), message::ping(1));
    peer.pass(5 * SECOND - MS);
    assert_eq!(peer.victim.events(), []);
    peer.pass(MS);
    peer.victim.assert_closed(&mut peer.attacker, CloseReason::TimedOut(TimedOut::Silence), 34);
}

/// *Probe*: any frame proves the peer alive, and the silence begins anew; a part of a frame does not.
#[test]
fn any_frame_answers_a_probe() {
    let mut peer = peer_of_silence(2_000);
    for token in 1..5 {
        peer.pass(6 * SECOND);
        assert_eq!(peer.heard(), message::ping(token));
        peer.say(&message::padding(0));
    }
    let frame = peer.attacker.seal(&message::pong(5));
    peer.pass(4 * SECOND);
    peer.victim.feed(&frame[..frame.len() - 1]);
    peer.pass(3 * SECOND);
    assert_eq!(peer.victim.closed(), CloseReason::TimedOut(TimedOut::Silence));
}

/// TIM-2, TIM-3: this side has slept through the silence; it probes, and what waited for it proves the peer alive.
#[test]
fn who_has_slept_probes_before_it_gives_up() {
    let mut peer = peer_of_silence(2_000);
    let frame = peer.attacker.seal(&message::ping(9));
    peer.victim.now = peer.victim.now + Duration::from_secs(3_600);
    peer.victim.feed(&frame);
    assert_eq!(peer.victim.events(), []);
    assert_eq!(peer.heard(), [message::pong(9), message::ping(1)].concat());
    peer.pass(2 * SECOND - MS);
    assert_eq!(peer.heard(), b"", "the silence began anew with that frame");
}

/// TIM-3: a timer that is due fires before the bytes of the same moment.
#[test]
fn timers_fire_before_the_bytes_of_the_same_moment() {
    let mut peer = Hostile::dialled();
    let id = peer.victim.connection.request(peer.victim.now, "m", b"", Some(SECOND)).unwrap();
    peer.heard();
    let frame = peer.attacker.seal(&message::response(1, 0, 0, b"at the same moment"));
    peer.victim.now = peer.victim.now + SECOND;
    peer.victim.feed(&frame);
    assert_eq!(peer.victim.events(), [Happened::Failed(id, symbolon::Failure::DeadlinePassed)]);

    // The probe is due, and its answer comes at the same moment: too late.
    let mut peer = peer_of_silence(2_000);
    peer.pass(7 * SECOND - MS);
    let frame = peer.attacker.seal(&message::pong(1));
    peer.victim.now = peer.victim.now + MS;
    peer.victim.feed(&frame);
    assert_eq!(peer.victim.closed(), CloseReason::TimedOut(TimedOut::Silence));
}

/// *Silence*: 0 means that a peer may be silent for ever.
#[test]
fn a_peer_that_may_be_silent_for_ever_is_never_probed() {
    let mut peer = peer_of_silence(0);
    assert_eq!(peer.victim.connection.poll_timeout(), None);
    peer.pass(Duration::from_secs(1_000_000));
    assert_eq!((peer.heard(), peer.victim.events()), (vec![], vec![]));
}

/// TIM-1, *keepalive*: a side that has nothing to say sends a ping after half of its silence, and any frame puts
/// it off.
#[test]
fn nobody_is_silent_for_longer_than_it_declared() {
    let config = device_with(1, |_, timeouts| timeouts.silence = Some(10 * SECOND));
    let mut peer = Hostile::of(Role::Initiator, &config, Knobs::default());
    peer.pass(5 * SECOND - MS);
    assert_eq!(peer.heard(), b"");
    peer.pass(MS);
    assert_eq!(peer.heard(), message::ping(1));
    peer.pass(4 * SECOND);
    peer.say(&message::ping(3));
    assert_eq!(peer.heard(), message::pong(3));
    peer.pass(5 * SECOND - MS);
    assert_eq!(peer.heard(), b"");
    peer.pass(MS);
    assert_eq!(peer.heard(), message::ping(2));
}

/// TIM-1: two idle connections keep each other alive, and neither needs to probe.
#[test]
fn two_idle_sides_stay_connected() {
    for (a, b) in [(2, 2), (2, 600_000), (1_000, 3_000)] {
        let silence =
            |n, ms| device_with(n, |_, timeouts| timeouts.silence = Some(Duration::from_millis(ms)));
        let mut pair = Pair::connected_of(&silence(1, a), &silence(2, b));
        pair.pass(SECOND / 10);
        let (sent, smallest) = (pair.a_to_b.record.len(), a.min(b));
        pair.pass(Duration::from_millis(smallest * 20));
        assert!(pair.a_to_b.record.len() > sent);
        assert!(pair.a.is_connected() && pair.b.is_connected());
        assert_eq!(pair.take_logs(), (vec![], vec![]));
    }
}

/// An application that takes no event reads nothing, so it cannot tell that the peer is silent.
#[test]
fn a_peer_is_not_silent_while_nobody_reads() {
    let config = device_with(1, |_, timeouts| timeouts.silence = None);
    let mut pair =
        Pair::connected_of(&config, &device_with(2, |_, timeouts| timeouts.silence = Some(SECOND)));
    pair.reading_a = false;
    pair.b.request(pair.now, "m", b"", None).unwrap();
    pair.pass(Duration::from_secs(30));
    assert!(!pair.a.is_closed());
    pair.reading_a = true;
    assert!(matches!(&pair.events_a()[..], [Happened::Request { .. }]));
    pair.pass(Duration::from_secs(30));
    assert!(pair.a.is_connected() && pair.b.is_connected());
}

/// *Close*: an unanswered `close` is waited for no longer than that, and then nothing more is sent.
#[test]
fn a_close_is_awaited_for_so_long() {
    let mut peer = Hostile::dialled();
    peer.victim.connection.close(peer.victim.now, Status::OK);
    assert_eq!(peer.heard(), message::close(0));
    peer.pass(3 * SECOND - MS);
    assert_eq!(peer.victim.events(), []);
    peer.pass(MS);
    assert_eq!(peer.victim.closed(), CloseReason::TimedOut(TimedOut::Close));
    assert_eq!(peer.heard(), b"");
    assert_eq!(peer.victim.connection.poll_timeout(), None);
}

/// *Close*: it bounds the last bytes too, where the socket takes none.
#[test]
fn the_last_bytes_have_so_long() {
    let mut peer = Hostile::dialled();
    peer.say(&message::request(3, 0, 0, "m", b""));
    let connection = &mut peer.victim.connection;
    assert!(connection.is_closed());
    assert!(connection.poll_transmit(peer.victim.now).is_some());
    let due = connection.poll_timeout().unwrap();
    assert_eq!(due.saturating_since(peer.victim.now), 3 * SECOND);
    connection.handle_timeout(due);
    assert_eq!(connection.poll_transmit(due), None);
    assert_eq!(connection.poll_timeout(), None);
}

/// END-1: a peer that is silent while its answer to `close` is due is waited for, however short the probe.
#[test]
fn nobody_is_probed_behind_a_close() {
    let config = device_with(1, |_, timeouts| {
        timeouts.close = 60 * SECOND;
        timeouts.probe = SECOND;
    });
    let mut peer = Hostile::of(Role::Initiator, &config, Knobs { silence: 1_000, ..Knobs::default() });
    peer.victim.connection.close(peer.victim.now, Status::OK);
    assert_eq!(peer.heard(), message::close(0));
    peer.pass(59 * SECOND);
    assert_eq!(peer.victim.events(), []);
    peer.say(&message::close(0));
    assert_eq!(peer.victim.closed(), CloseReason::Local(Status::OK));
}

/// R15: a clock that jumps back stands still; nothing fires twice, and nothing fires early.
#[test]
fn a_clock_that_jumps_back_stands_still() {
    let mut peer = peer_of_silence(2_000);
    let start = peer.victim.now;
    peer.victim.now = Instant::default();
    peer.say(&message::ping(1));
    assert_eq!(peer.heard(), message::pong(1));
    assert_eq!(peer.victim.connection.poll_timeout(), Some(start + 2 * SECOND));
    peer.victim.now = start;
    peer.pass(2 * SECOND);
    assert_eq!(peer.heard(), message::ping(1));
}

/// R15: at the end of time nothing fires any more, and no output goes on for ever.
#[test]
fn the_end_of_time_is_quiet() {
    let end = Instant::from_micros(u64::MAX);
    for silence in [None, Some(SECOND)] {
        let config = device_with(1, |_, timeouts| timeouts.silence = silence);
        let mut peer = Hostile::of(Role::Initiator, &config, Knobs::default());
        peer.victim.now = end;
        peer.victim.connection.handle_timeout(end);
        let mut frames = 0;
        while let Some(bytes) = peer.victim.connection.poll_transmit(end) {
            let len = bytes.len();
            peer.victim.connection.advance_transmit(len);
            frames += 1;
            assert!(frames < 10, "it never comes to rest");
        }
        assert_eq!(frames, usize::from(silence.is_some()));
        let id = peer.victim.connection.request(end, "m", b"", Some(SECOND)).unwrap();
        assert_eq!(peer.victim.connection.poll_timeout(), None);
        peer.victim.connection.close(end, Status::OK);
        peer.victim.feed_eof();
        let events = peer.victim.events();
        assert_eq!(events.len(), 2, "{id} and the end: {events:?}");
    }
}

/// Each timeout at its smallest and its largest, and one beyond.
#[test]
fn timeouts_are_checked() {
    use symbolon::{ConfigError, Timeouts};
    let most = Duration::from_millis(u32::MAX.into());
    type Set = fn(&mut Timeouts, Duration);
    let fields: [(&str, Set, Duration); 7] = [
        ("handshake", |t, d| t.handshake = d, MS),
        ("frame", |t, d| t.frame = d, MS),
        ("silence", |t, d| t.silence = Some(d), 2 * MS),
        ("probe", |t, d| t.probe = d, MS),
        ("answer", |t, d| t.answer = Some(d), MS),
        ("body_idle", |t, d| t.body_idle = Some(d), MS),
        ("close", |t, d| t.close = d, MS),
    ];
    for (name, set, least) in fields {
        let with = |value| -> Result<Config, ConfigError> {
            let mut timeouts = Timeouts::default();
            set(&mut timeouts, value);
            device(1).with_timeouts(timeouts)
        };
        for value in [least, most] {
            assert!(with(value).is_ok(), "{value:?}");
        }
        for value in [Duration::ZERO, least - Duration::from_nanos(1), most + Duration::from_nanos(1)] {
            assert_eq!(with(value).unwrap_err(), ConfigError::Timeout(name), "{value:?}");
        }
    }
}

/// SPEC §5.2: what a side declares is its own silence in milliseconds, 0 where it is never silent for too long.
#[test]
fn silence_is_declared_in_milliseconds() {
    for (silence, declared) in [
        (None, 0_u64),
        (Some(2 * MS), 2),
        (Some(Duration::from_micros(2_999)), 2),
        (Some(Duration::from_millis(u32::MAX.into())), u64::from(u32::MAX)),
    ] {
        let config = device_with(1, |_, timeouts| timeouts.silence = silence);
        let peer = Hostile::of(Role::Responder, &config, Knobs::default());
        let field = [common::cbor::uint(6), common::cbor::uint(declared), common::cbor::uint(7)].concat();
        let payload = &peer.attacker.victim_payload;
        assert!(payload.windows(field.len()).any(|part| part == field), "{silence:?}");
    }
}

/// Sentence 5: whoever drains events, then bytes, then sleeps until the instant named, sleeps over no event: asking
/// for bytes lets no time pass.
#[test]
fn asking_for_bytes_makes_no_event() {
    let config = device_with(1, |_, timeouts| timeouts.silence = None);
    let mut peer = Hostile::of(Role::Initiator, &config, Knobs::default());
    let start = peer.victim.now;
    peer.victim.connection.request(start, "m", b"", Some(SECOND)).unwrap();
    let late = start + 2 * SECOND;
    while let Some(bytes) = peer.victim.connection.poll_transmit(late) {
        let len = bytes.len();
        peer.victim.connection.advance_transmit(len);
    }
    assert!(peer.victim.connection.poll_event().is_none());
    assert!(peer.victim.connection.poll_timeout().is_some_and(|at| at <= late));
    peer.victim.connection.handle_timeout(late);
    assert!(peer.victim.connection.poll_event().is_some());
}

/// TIM-4: a device that sleeps while it probes wakes to an answer in its own buffers, not to a dead peer; but a peer
/// that is silent once more is gone, however late the timers are driven.
#[test]
fn sleep_within_a_probe_is_not_the_peers() {
    for answers in [true, false] {
        let config = device_with(1, |_, timeouts| timeouts.silence = None);
        let knobs = Knobs { silence: 1_000, ..Knobs::default() };
        let mut peer = Hostile::of(Role::Initiator, &config, knobs);
        peer.victim.pass(SECOND);
        assert_eq!(peer.heard(), message::ping(1), "probed");
        let mut now = peer.victim.now + 60 * SECOND;
        peer.victim.now = now;
        if answers {
            assert_eq!(peer.tell(&message::pong(1)), []);
            assert!(peer.victim.connection.is_connected());
            continue;
        }
        peer.victim.connection.handle_timeout(now);
        assert!(peer.victim.connection.is_connected());
        assert_eq!(peer.heard(), message::ping(2), "probed once more");
        now = now + 60 * SECOND;
        peer.victim.now = now;
        peer.victim.connection.handle_timeout(now);
        let gone = Happened::Closed(CloseReason::TimedOut(TimedOut::Silence));
        assert_eq!(peer.victim.events(), [gone]);
    }
}

/// TIM-4: a probe is begun anew where it fires more than half of its 5 s late, and not at half; a complete frame allows
/// that once more.
#[test]
fn a_probe_that_fires_late_is_begun_anew() {
    let mut peer = peer_of_silence(1_000);
    for round in 0..3 {
        peer.victim.pass(SECOND);
        assert_eq!(peer.heard(), message::ping(2 * round + 1), "probed");
        let late = peer.victim.now + 5 * SECOND + 5 * SECOND / 2 + MS;
        peer.victim.now = late;
        peer.victim.connection.handle_timeout(late);
        assert_eq!(peer.heard(), message::ping(2 * round + 2), "probed once more");
        assert_eq!(peer.tell(&message::pong(2 * round + 2)), []);
    }
    peer.victim.pass(SECOND);
    peer.heard();
    let half_late = peer.victim.now + 5 * SECOND + 5 * SECOND / 2;
    peer.victim.now = half_late;
    peer.victim.connection.handle_timeout(half_late);
    assert_eq!(peer.victim.events(), [Happened::Closed(CloseReason::TimedOut(TimedOut::Silence))]);
}

/// TIM-4: so is the frame timer, where it fires more than half of its 10 s late: once between two complete frames.
#[test]
fn a_frame_timer_that_fires_late_is_begun_anew() {
    let late = 10 * SECOND + 5 * SECOND + MS;
    for (first, second, ends) in [
        (late, late, [false, true]),
        (late, 10 * SECOND, [false, true]),
        (late, 10 * SECOND - MS, [false, false]),
        (late - MS, SECOND, [true, true]),
    ] {
        let mut peer = peer_of_silence(0);
        // A complete frame in between makes the next one a first again.
        for _ in 0..2 {
            let frame = peer.attacker.seal(&message::ping(7));
            peer.victim.feed(&frame[..5]);
            for (after, end) in [(first, ends[0]), (second, ends[1])] {
                let now = peer.victim.now + after;
                peer.victim.now = now;
                peer.victim.connection.handle_timeout(now);
                assert_eq!(!peer.victim.connection.is_connected(), end, "{first:?}, {second:?}");
            }
            if ends[1] {
                assert_eq!(peer.victim.closed(), CloseReason::TimedOut(TimedOut::Frame));
                break;
            }
            peer.victim.feed(&frame[5..]);
            assert_eq!(peer.heard(), message::pong(7));
        }
    }
}

/// SPEC §15: a side that may be silent for ever sends no keepalive, and gives memory back all the same.
#[test]
fn memory_comes_back_without_a_keepalive() {
    let quiet = |number| device_with(number, |_, timeouts| timeouts.silence = None);
    let mut pair = Pair::connected_of(&quiet(1), &quiet(2));
    // Each of the two frame buffers and the two queues.
    let at_rest = 4 * Limits::default().buffer_at_rest;
    pair.echo(&[7; 10_000]);
    assert!(pair.a.buffered() > 10_000 && pair.b.buffered() > 10_000);
    pair.pass(60 * SECOND);
    assert!(pair.a.buffered() <= at_rest && pair.b.buffered() <= at_rest);
    assert_eq!(pair.next_due(), None, "and then nothing is waited for");
}

/// TIM-4: each of the two timers has its own once, where one sleep makes both of them late.
#[test]
fn one_sleep_makes_both_timers_late() {
    let mut peer = peer_of_silence(1_000);
    peer.victim.pass(SECOND);
    assert_eq!(peer.heard(), message::ping(1), "probed");
    let pong = peer.attacker.seal(&message::pong(1));
    peer.victim.pass(SECOND);
    peer.victim.feed(&pong[..5]);
    let now = peer.victim.now + 60 * SECOND;
    peer.victim.now = now;
    peer.victim.connection.handle_timeout(now);
    assert_eq!(peer.heard(), message::ping(2), "probed once more");
    // The rest of the frame was in this side's own buffers.
    peer.victim.feed(&pong[5..]);
    peer.victim.pass(SECOND / 2);
    assert!(peer.victim.connection.is_connected());
}
