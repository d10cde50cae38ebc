//! What a connection and a line take at most, as limits and documents say.

use std::panic::UnwindSafe;

use symbolon::serial::Line;
use symbolon::{
    Admission, Config, Connection, Event, ExchangeId, Limits, Missed, Outgoing, Point, RequestHead,
    SendError, Status,
};

use super::common::meter::{Usage, metered, reset, reset_peak, usage};
use super::common::{device, seed};
use super::{LIMITS, NOW, README, Said, Two, configured};

/// The longest body of a request that goes in one message.
fn longest_body(connection: &mut Connection) -> usize {
    match connection.request(NOW, "m", &[0; 70_000], None) {
        Err(SendError::TooLarge { len, max }) => 70_000 - (len - max),
        other => panic!("{other:?}"),
    }
}

/// Carries one frame of the metered side's across, whatever it leads to there.
fn pass_one(two: &mut Two) {
    if let Some(bytes) = metered(|| two.metered.poll_transmit(NOW)) {
        let taken = two.other.handle_input(NOW, bytes);
        metered(|| two.metered.advance_transmit(taken));
        while two.other.poll_event().is_some() {}
    }
}

/// A command with a body.
type Run<'a> = dyn FnMut(&mut Connection, &[u8]) -> Result<(), SendError> + 'a;

/// Fills everything that one side has: as many exchanges as may be open, with the longest filters, full queues and full
/// buffers; and every body, where there are bodies.  The peaks of the handshake and of what followed.
fn worst(limits: Limits, responder: bool, bodies: bool) -> (usize, usize) {
    let mut two = Two::new(&configured(limits), responder);
    two.settle(|_, _, _| {});
    let handshake = usage().peak;
    reset_peak();
    longest_frames(&mut two);
    let theirs = all_subscriptions(&mut two, limits);
    let open = all_requests(&mut two, limits, bodies);
    if bodies {
        for id in &open {
            metered(|| while two.metered.write(*id, &[7; 100]).is_ok() {});
        }
    }
    full_publications(&mut two, theirs);
    (usize::try_from(handshake).unwrap(), usize::try_from(usage().peak).unwrap())
}

/// The longest frame each way.
fn longest_frames(two: &mut Two) {
    let body = vec![7; longest_body(&mut two.other)];
    two.other.request(NOW, "m", &body, None).expect("room");
    let answer = vec![7; longest_body(&mut two.metered)];
    two.settle(|_, connection, said| {
        if let Said::Request(id) = said {
            connection.respond(id, Status::OK, &answer).expect("it waits");
        }
    });
}

/// With the longest filters; the first one of the other side.
fn all_subscriptions(two: &mut Two, limits: Limits) -> ExchangeId {
    let filter = "f".repeat(128);
    for _ in 0..limits.subscriptions_out {
        metered(|| two.metered.subscribe(&filter, 1_000, None)).expect("room");
        two.settle(|_, _, _| {});
    }
    let mut first = None;
    for _ in 0..limits.subscriptions_in {
        two.other.subscribe("t", 1 << 30, None).expect("room");
        let mut id = None;
        two.settle(|_, _, said| {
            if let Said::Subscribe(subscribed) = said {
                id = Some(subscribed);
            }
        });
        let id = id.expect("it came");
        metered(|| two.metered.accept_subscription(id)).expect("room");
        first = first.or(Some(id));
    }
    first.expect("a limit above zero")
}

/// Of both sides, answered where they are the other's.
fn all_requests(two: &mut Two, limits: Limits, bodies: bool) -> Vec<ExchangeId> {
    let head = RequestHead { method: "m", body: b"", more: bodies, deadline: None };
    // Nothing that is measured grows it.
    let mut open = Vec::with_capacity(usize::from(limits.requests_in + limits.requests_out));
    for _ in 0..limits.requests_in {
        two.other.open(NOW, &head).expect("room");
        two.settle(|_, _, said| {
            if let Said::Request(id) = said {
                open.push(id);
            }
        });
    }
    // Several fit into the queue, so that it grows beyond what waits: some have left when others come.
    let long = vec![7; longest_body(&mut two.metered).min(limits.call_queue / 16)];
    for id in open.clone() {
        fill(two, &long, &mut |connection, body| match bodies {
            true => connection.respond_more(NOW, id, body),
            false => connection.respond(id, Status::OK, body),
        });
    }
    for _ in 0..limits.requests_out {
        fill(two, &long, &mut |connection, body| {
            open.push(connection.open(NOW, &RequestHead { body, ..head })?);
            Ok(())
        });
    }
    open
}

/// Runs a command with a long body, or with none once there is no room.
fn fill(two: &mut Two, long: &[u8], run: &mut Run<'_>) {
    for body in [long, long, b""] {
        match metered(|| run(&mut two.metered, body)) {
            Ok(()) => return,
            Err(SendError::Full) => pass_one(two),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Twice, as a frame that leaves makes room.
fn full_publications(two: &mut Two, subscription: ExchangeId) {
    let point = Point { epoch: 1, sequence: 1 };
    let publication = Outgoing { topic: "t", point, missed: Missed::NONE, retained: false, body: &[7; 100] };
    for _ in 0..2 {
        metered(|| while two.metered.publish(subscription, &publication).is_ok() {});
        pass_one(two);
    }
}

/// Sentence 4: what `Limits::memory` says holds, and is not much more than what can be reached.
#[test]
fn a_connection_takes_no_more_than_its_limits_say() {
    let mut middling = Limits::default();
    (middling.max_frame, middling.transmit_buffer) = (4_096, 4_098);
    (middling.requests_in, middling.requests_out) = (16, 8);
    (middling.subscriptions_in, middling.subscriptions_out) = (32, 16);
    (middling.call_queue, middling.publication_queue, middling.body_buffer) = (16_000, 16_000, 8_000);
    let mut growing = Limits::small();
    growing.buffer_at_rest = 0;
    for (name, limits) in [("small", Limits::small()), ("growing", growing), ("middling", middling)] {
        let memory = limits.memory();
        for responder in [true, false] {
            let (handshake, session) = worst(limits, responder, false);
            let (_, all) = worst(limits, responder, true);
            println!("{name}, responder {responder}: {handshake} {session} {all} B of {memory:?}");
            for (measured, bound) in [
                (handshake, memory.handshake),
                (session, memory.session),
                (all, memory.session + memory.bodies),
            ] {
                assert!(measured <= bound, "{name}: {measured} B, not within {bound} B");
                assert!(2 * bound <= 3 * measured, "{name}: only {measured} B of {bound} B");
            }
        }
    }
}

/// Sentence 4: so does a serial line, with its packets, a session that has everything and a candidate for its place.
#[test]
fn a_line_takes_no_more_than_its_limits_say() {
    let limits = Limits::small();
    let (config, other) = (configured(limits), device(2));
    let admit = |config: &Config| Admission::expect(config.identity().peer_id());
    let (at_other, at_metered) = (admit(&config), admit(&other));
    reset();
    let mut line = metered(|| Line::new(&limits));
    let mut far = Line::new(other.limits());
    let mut open = Vec::new();
    for n in 0..2 {
        far.dial(NOW, Connection::initiator(&other, at_other.clone(), seed(101 + n), NOW));
        let mut fresh = || Some(Connection::responder(&config, at_metered.clone(), seed(111 + n), NOW));
        loop {
            let mut moved = false;
            while let Some(bytes) = far.poll_transmit(NOW) {
                let taken = metered(|| line.handle_input(NOW, bytes, &mut fresh));
                far.advance_transmit(taken);
                moved = true;
                metered(|| drop(line.poll_ended()));
                let said = |line: &mut Line<Connection>| {
                    metered(|| line.running().and_then(|running| running.poll_event().map(Said::of)))
                };
                while let Some(said) = said(&mut line) {
                    if let Said::Request(id) = said {
                        metered(|| line.running().expect("it asked").respond_more(NOW, id, b""))
                            .expect("room");
                        open.push(id);
                    }
                }
            }
            while let Some(bytes) = metered(|| line.poll_transmit(NOW)) {
                let taken = far.handle_input(NOW, bytes, || None);
                metered(|| line.advance_transmit(taken));
                moved = true;
                while far.running().is_some_and(|running| running.poll_event().is_some()) {}
            }
            if !moved {
                break;
            }
            if n == 0 && open.is_empty() && far.running().is_some() && line.running().is_some() {
                let head = RequestHead { method: "m", body: b"", more: true, deadline: None };
                let running = far.running().expect("it runs");
                for _ in 0..limits.requests_in {
                    running.open(NOW, &head).expect("room");
                }
                let running = line.running().expect("it runs");
                for _ in 0..limits.requests_out {
                    open.push(metered(|| running.open(NOW, &head)).expect("room"));
                }
            }
        }
        for id in open.drain(..) {
            let running = line.running().expect("it runs");
            metered(|| while running.write(id, &[7; 100]).is_ok() {});
        }
    }
    let (measured, bound) = (usize::try_from(usage().peak).unwrap(), limits.line_memory());
    println!("a small line: {measured} B of {bound} B");
    assert!(measured <= bound && 2 * bound <= 3 * measured, "{measured} {bound}");
}

/// What a connection costs is what the documents say.
#[test]
fn what_a_connection_costs() {
    for (name, limits, most) in [("default", Limits::default(), 8_192), ("small", Limits::small(), 12_288)] {
        let mut peaks = [0, 0];
        for responder in [false, true] {
            let mut two = Two::new(&configured(limits), responder);
            let begun = usage().live;
            two.settle(|_, _, _| {});
            assert!(two.metered.is_connected());
            let Usage { live, peak, .. } = usage();
            println!(
                "{name}, responder {responder}: before a byte {begun} B, at rest {live} B, peak {peak} B"
            );
            peaks[usize::from(responder)] = peak;
            let size = size_of::<Connection>();
            if responder {
                let peak = peaks[0].max(peaks[1]);
                let line = format!(
                    "{name} connection: struct {size} B, heap at rest {live} B, handshake peak {peak} B"
                );
                println!("{line}");
                assert_documents_say(&line);
            }
            assert!(live <= peak && peak <= most, "{live} {peak}");
            let buffered = two.metered.buffered() as isize;
            assert!(buffered <= live, "buffered() says no more than there is");
        }
    }
    println!("event: {} B", size_of::<Event<'_>>());
}

/// Figures are those of a 64-bit Linux host.
fn assert_documents_say(line: &str) {
    if cfg!(all(target_pointer_width = "64", target_os = "linux")) {
        assert!(README.contains(line), "README.md says otherwise: {line}");
        assert!(LIMITS.contains(line), "src/guide/limits.md says otherwise: {line}");
    }
}

/// An adapter may move a connection between threads, keep it for good, and outlive a panic around it.
#[test]
fn a_connection_goes_anywhere() {
    fn check<T: Send + Sync + UnwindSafe + 'static>() {}
    check::<Connection>();
    check::<Config>();
    check::<Line<Connection>>();
    assert!(size_of::<Event<'_>>() <= 112, "{}", size_of::<Event<'_>>());
    assert!(size_of::<Connection>() <= 544, "{}", size_of::<Connection>());
}
