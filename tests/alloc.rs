//! What a connection allocates, and when.

mod common;

use std::panic::UnwindSafe;
use std::time::Duration;

use common::meter::{Meter, Usage, metered, reset, reset_peak, usage};
use common::{device, seed};
use symbolon::serial::Line;
use symbolon::{
    Admission, Config, Connection, Event, ExchangeId, Instant, Kind, Limits, LinkId, Missed, Offer, Outgoing,
    Overflow, Point, RequestHead, SendError, Status, SubscribeOptions, TopicLimits, Topics, Verdict,
};

#[global_allocator]
static METER: Meter = Meter;

const NOW: Instant = Instant::from_millis(1_000);

/// Two sides that have dialled; only what the first one does is metered.
struct Two {
    metered: Connection,
    other: Connection,
}

impl Two {
    fn new(config: &Config, responder: bool) -> Self {
        let other = device(2);
        let admit_metered = Admission::expect(config.identity().peer_id());
        let admit_other = Admission::expect(other.identity().peer_id());
        let (first, second) = (seed(101), seed(102));
        reset();
        if responder {
            let metered = metered(|| Connection::responder(config, admit_other, first, NOW));
            Self { metered, other: Connection::initiator(&other, admit_metered, second, NOW) }
        } else {
            let metered = metered(|| Connection::initiator(config, admit_other, first, NOW));
            Self { metered, other: Connection::responder(&other, admit_metered, second, NOW) }
        }
    }

    /// Carries bytes until none wait; events go to `seen`, by side.
    fn settle(&mut self, mut seen: impl FnMut(bool, &mut Connection, Said)) {
        loop {
            let mut moved = false;
            while let Some(bytes) = metered(|| self.metered.poll_transmit(NOW)) {
                let taken = self.other.handle_input(NOW, bytes);
                metered(|| self.metered.advance_transmit(taken));
                moved = true;
                while let Some(said) = self.other.poll_event().map(Said::of) {
                    seen(false, &mut self.other, said);
                }
            }
            while let Some(bytes) = self.other.poll_transmit(NOW) {
                let taken = metered(|| self.metered.handle_input(NOW, bytes));
                self.other.advance_transmit(taken);
                moved = true;
                while let Some(said) = metered(|| self.metered.poll_event().map(Said::of)) {
                    metered(|| seen(true, &mut self.metered, said));
                }
            }
            if !moved {
                return;
            }
        }
    }
}

/// What matters of an event here, without its bytes.
#[derive(Clone, Copy, Debug)]
enum Said {
    Request(ExchangeId),
    Response,
    Subscribe(ExchangeId),
    Publication(ExchangeId, u32),
    /// A part, with whether it was the last.
    Part(ExchangeId, u32, bool),
    Data(ExchangeId, u32),
    Other,
}

impl Said {
    fn of(event: Event<'_>) -> Self {
        match event {
            Event::Request { id, .. } => Self::Request(id),
            Event::Response { .. } => Self::Response,
            Event::Subscribe { id, .. } => Self::Subscribe(id),
            Event::Publication { id, publication, .. } if publication.total.is_some() => {
                Self::Part(id, publication.cost, false)
            }
            Event::Publication { id, publication, .. } => Self::Publication(id, publication.cost),
            Event::Continuation { id, cost, more, .. } => Self::Part(id, cost, !more),
            Event::Data { id, cost, .. } => Self::Data(id, cost),
            _ => Self::Other,
        }
    }
}

fn configured(limits: Limits) -> Config {
    device(1).with_limits(limits).expect("in range")
}

/// Sentence 7: after the handshake nothing is allocated per message: requests and answers both ways,
/// publications both ways, and the credit for them.
#[test]
fn nothing_is_allocated_per_message() {
    for (limits, responder) in [(Limits::default(), true), (Limits::small(), false)] {
        let mut two = Two::new(&configured(limits), responder);
        two.settle(|_, _, _| {});
        let mut subscriptions = [None, None];
        two.metered.subscribe("t", 2_000, None).expect("room");
        two.other.subscribe("t", 2_000, None).expect("room");
        two.settle(|metered, connection, said| {
            if let Said::Subscribe(id) = said {
                connection.accept_subscription(id).expect("it waits");
                subscriptions[usize::from(metered)] = Some(id);
            }
        });
        let [Some(at_other), Some(at_metered)] = subscriptions else { panic!("both stand") };

        let (mut answers, mut publications) = (0, 0);
        let mut round = |two: &mut Two| {
            let publication = |sequence| Outgoing {
                topic: "t",
                point: Point { epoch: 1, sequence },
                missed: Missed::NONE,
                retained: false,
                body: &[7; 100],
            };
            metered(|| {
                let request = two.metered.request(NOW, "m", &[7; 100], Some(Duration::from_secs(9)));
                request.expect("room");
                two.metered.publish(at_metered, &publication(1)).expect("credit");
            });
            two.other.request(NOW, "m", &[7; 100], None).expect("room");
            two.other.publish(at_other, &publication(1)).expect("credit");
            two.settle(|_, connection, said| match said {
                Said::Request(id) => connection.respond(id, Status::OK, &[7; 100]).expect("it waits"),
                Said::Response => answers += 1,
                Said::Publication(id, cost) => {
                    connection.release(id, cost).expect("it stands");
                    publications += 1;
                }
                _ => {}
            });
        };
        // With small limits there is nothing to grow into.
        let grown = if limits == Limits::small() { 0 } else { 64 };
        for _ in 0..grown {
            round(&mut two);
        }
        let before = usage();
        for _ in 0..1_000 {
            round(&mut two);
        }
        let after = usage();
        assert_eq!((answers, publications), (2 * (1_000 + grown), 2 * (1_000 + grown)));
        assert_eq!(after.count - before.count, 0, "allocations in a thousand rounds");
        assert_eq!(after.live, before.live);
    }
}

/// Sentence 7: where everything is reserved, nothing at all is allocated from `Connected` on: not for the first
/// message either, nor for subscribing, nor where calls fail.
#[test]
fn nothing_is_allocated_after_the_handshake() {
    for responder in [true, false] {
        let mut two = Two::new(&configured(Limits::small()), responder);
        two.settle(|_, _, _| {});
        assert!(two.metered.is_connected());
        let before = usage();
        let mut subscriptions = [None, None];
        metered(|| two.metered.subscribe("a/topic/that/is/watched/#", 2_000, None)).expect("room");
        two.other.subscribe("t", 2_000, None).expect("room");
        two.settle(|metered, connection, said| {
            if let Said::Subscribe(id) = said {
                connection.accept_subscription(id).expect("it waits");
                subscriptions[usize::from(metered)] = Some(id);
            }
        });
        let [Some(at_other), Some(at_metered)] = subscriptions else { panic!("both stand") };
        let publication = |topic, sequence| Outgoing {
            topic,
            point: Point { epoch: 1, sequence },
            missed: Missed::NONE,
            retained: false,
            body: &[7; 200],
        };
        let (mut answers, mut publications) = (0, 0);
        for round in 0..1_000 {
            let body = &[7; 150][..round % 150];
            for _ in 0..2 {
                metered(|| two.metered.request(NOW, "m", body, Some(Duration::from_secs(9)))).expect("room");
                two.other.request(NOW, "m", body, None).expect("room");
            }
            metered(|| two.metered.publish(at_metered, &publication("t", 1))).expect("credit");
            two.other.publish(at_other, &publication("a/topic/that/is/watched/x", 1)).expect("credit");
            two.settle(|_, connection, said| match said {
                Said::Request(id) => connection.respond(id, Status::OK, &[7; 150]).expect("it waits"),
                Said::Response => answers += 1,
                Said::Publication(id, cost) => {
                    connection.release(id, cost).expect("it stands");
                    publications += 1;
                }
                _ => {}
            });
            metered(|| {
                let id = two.metered.request(NOW, "late", b"", None).expect("room");
                two.metered.cancel(id).expect("it waits");
            });
            two.settle(|_, _, _| {});
        }
        assert_eq!((answers, publications), (4_000, 2_000));
        let keepalive = NOW + Duration::from_secs(15);
        metered(|| two.metered.handle_timeout(keepalive));
        let after = usage();
        assert_eq!(after.count - before.count, 0, "allocations after the handshake");
        assert_eq!(after.live, before.live);
    }
}

/// Sentence 7: nor for each part of a publication that is longer than a message, at either end.
#[test]
fn nothing_is_allocated_per_part() {
    for responder in [true, false] {
        let mut two = Two::new(&configured(Limits::default()), responder);
        two.settle(|_, _, _| {});
        two.metered.subscribe_with("t", &SubscribeOptions::default()).expect("room");
        two.other.subscribe_with("t", &SubscribeOptions::default()).expect("room");
        let mut subscriptions = [None, None];
        two.settle(|metered, connection, said| {
            if let Said::Subscribe(id) = said {
                connection.accept_subscription(id).expect("it waits");
                subscriptions[usize::from(metered)] = Some(id);
            }
        });
        let [Some(at_other), Some(at_metered)] = subscriptions else { panic!("both stand") };
        let body = vec![7; 100_000];
        let publication = Outgoing {
            topic: "t",
            point: Point { epoch: 1, sequence: 0 },
            missed: Missed::NONE,
            retained: false,
            body: &body,
        };
        let send = |connection: &mut Connection, id, sent: &mut usize| {
            loop {
                let taken = match *sent {
                    0 => connection.publish_first(id, &publication),
                    sent if sent < body.len() => connection.publish_next(id, &body[sent..]),
                    _ => return,
                };
                let Ok(taken) = taken else { return };
                *sent += taken;
            }
        };
        let (mut parts, mut whole, mut held) = (0, 0, [0; 2]);
        let mut round = |two: &mut Two| {
            let mut sent = [0; 2];
            while sent != [body.len(); 2] {
                metered(|| send(&mut two.metered, at_metered, &mut sent[0]));
                send(&mut two.other, at_other, &mut sent[1]);
                two.settle(|metered, connection, said| {
                    if let Said::Part(id, cost, last) = said {
                        let held = &mut held[usize::from(metered)];
                        *held += cost;
                        parts += 1;
                        if last {
                            connection.release(id, std::mem::take(held)).expect("it stands");
                            whole += 1;
                        }
                    }
                });
            }
        };
        for _ in 0..16 {
            round(&mut two);
        }
        let before = usage();
        for _ in 0..50 {
            round(&mut two);
        }
        assert_eq!(usage().count - before.count, 0, "allocations in fifty rounds");
        assert_eq!((whole, parts), (2 * 66, 2 * 66 * 7));
    }
}

/// Sentence 7: nothing is allocated for each chunk of a body, once its buffer has grown: chunks and credit both ways.
#[test]
fn nothing_is_allocated_per_chunk() {
    for (limits, responder) in [(Limits::default(), true), (Limits::small(), false)] {
        let mut two = Two::new(&configured(limits), responder);
        two.settle(|_, _, _| {});
        let head = RequestHead { method: "m", body: b"", more: true, deadline: None };
        let ours = metered(|| two.metered.open(NOW, &head)).expect("room");
        let theirs = two.other.open(NOW, &head).expect("room");
        let mut began = 0;
        two.settle(|_, connection, said| {
            if let Said::Request(id) = said {
                connection.respond_more(NOW, id, b"").expect("it waits");
                began += 1;
            }
        });
        assert_eq!(began, 2);
        let mut taken = 0;
        let mut round = |two: &mut Two| {
            for id in [ours, theirs] {
                // More than there is room for, so that it is told again when there is.
                metered(|| while two.metered.write(id, &[7; 700]).is_ok() {});
                while two.other.write(id, &[7; 700]).is_ok() {}
            }
            two.settle(|_, connection, said| {
                if let Said::Data(id, cost) = said {
                    connection.release(id, cost).expect("it goes on");
                    taken += 1;
                }
            });
            let mut writable = 0;
            while metered(|| two.metered.poll_writable()).is_some() {
                writable += 1;
            }
            assert_eq!(writable, 2);
        };
        for _ in 0..64 {
            round(&mut two);
        }
        let before = usage();
        for _ in 0..1_000 {
            round(&mut two);
        }
        let after = usage();
        assert_eq!(after.count - before.count, 0, "allocations in a thousand rounds");
        assert_eq!(after.live, before.live);
        assert!(taken >= 4 * 1_064, "{taken}");
    }
}

/// Sentence 7 on a serial line: nor for each packet.
#[test]
fn nothing_is_allocated_per_packet_of_a_line() {
    fn carry(from: &mut Line<Connection>, to: &mut Line<Connection>, fresh: &mut Option<Connection>) -> bool {
        let mut moved = false;
        while let Some(bytes) = from.poll_transmit(NOW) {
            let taken = to.handle_input(NOW, bytes, || fresh.take());
            from.advance_transmit(taken);
            moved = true;
            let Some(running) = to.running() else { continue };
            while let Some(said) = running.poll_event().map(Said::of) {
                if let Said::Request(id) = said {
                    running.respond(id, Status::OK, &[7; 200]).expect("it waits");
                }
            }
        }
        moved
    }
    let (config, other) = (device(1), device(2));
    let admit = |config: &Config| Admission::expect(config.identity().peer_id());
    let mut lines = [Line::new(config.limits()), Line::new(other.limits())];
    lines[0].dial(NOW, Connection::initiator(&config, admit(&other), seed(101), NOW));
    let mut fresh = Some(Connection::responder(&other, admit(&config), seed(102), NOW));
    let mut round = |fresh: &mut Option<Connection>| {
        for line in &mut lines {
            if let Some(running) = line.running() {
                let _ = running.request(NOW, "m", &[0; 300], None);
            }
        }
        let [a, b] = &mut lines;
        while carry(a, b, fresh) | carry(b, a, fresh) {}
    };
    for _ in 0..64 {
        round(&mut fresh);
    }
    assert!(fresh.is_none(), "the offer was taken");
    reset();
    metered(|| (0..1_000).for_each(|_| round(&mut fresh)));
    assert_eq!(usage().count, 0, "allocations in a thousand rounds");
    let answered = lines[0].running().expect("it runs").is_idle();
    assert!(answered && lines[0].dropped() == 0);
}

/// Sentence 7: buffers grow for what is long, and come back when the connection is idle.
#[test]
fn buffers_come_back_when_idle() {
    let mut two = Two::new(&configured(Limits::default()), true);
    two.settle(|_, _, _| {});
    let body = vec![7; 12_000];
    two.metered.request(NOW, "m", &body, None).expect("room");
    two.other.request(NOW, "m", &body, None).expect("room");
    two.settle(|_, connection, said| {
        if let Said::Request(id) = said {
            connection.respond(id, Status::OK, &body).expect("it waits");
        }
    });
    let grown = two.metered.buffered();
    // A frame each way and a message that waits.
    assert!(grown > 3 * 12_000, "{grown}");
    let keepalive = NOW + Duration::from_secs(15);
    two.metered.handle_timeout(keepalive);
    let idle = two.metered.buffered();
    // The two frame buffers, and the queues, which now keep as much.
    assert!(idle <= 4 * 512, "{idle}");
}

/// Sentence 7: where what is kept at rest is all that can be needed, no buffer ever changes its size.
#[test]
fn where_minimum_equals_maximum_no_buffer_changes_its_size() {
    let mut limits = Limits::small();
    limits.buffer_at_rest = 16_640 + 2;
    let mut two = Two::new(&configured(limits), false);
    two.settle(|_, _, _| {});
    let before = two.metered.buffered();
    let body = vec![7; 900];
    for round in 0..200 {
        while two.metered.request(NOW, "m", &body[..round * 4], None).is_ok() {}
        let _ = two.other.request(NOW, "m", &body, None);
        two.settle(|_, connection, said| {
            if let Said::Request(id) = said {
                connection.respond(id, Status::OK, &body[..round]).expect("it waits");
            }
        });
        assert_eq!(two.metered.buffered(), before);
    }
    two.metered.handle_timeout(NOW + Duration::from_secs(15));
    assert_eq!(two.metered.buffered(), before);
}

/// Sentence 11, ADM-3: what a stranger can make this side hold is fixed: it is the same whatever he sends within
/// the handshake, and small.
#[test]
fn a_strangers_handshake_has_a_fixed_cost() {
    let peak_of = |admission: fn(&Config) -> Admission, input: &[u8]| {
        let config = device(1);
        reset();
        let admission = admission(&config);
        let mut victim = metered(|| Connection::responder(&config, admission, seed(5), NOW));
        metered(|| {
            for byte in input {
                let _ = victim.handle_input(NOW, std::slice::from_ref(byte));
                if let Some(bytes) = victim.poll_transmit(NOW) {
                    let len = bytes.len();
                    victim.advance_transmit(len);
                }
            }
        });
        usage().peak
    };
    let nobody = |_: &Config| Admission::Only(Vec::new());
    let key = [9; 32];
    let longest = [&b"symb\x01\x00\x00\x01\x00\x20"[..], &key, &[0x02, 0x00], &[0xee; 512]].concat();
    let lie = [&b"symb\x01\x00\x00\x01\x00\x20"[..], &key, &[0xff, 0xff], &[0xee; 4_000]].concat();
    let peaks = [
        peak_of(nobody, b"GET / HTTP/1.1\r\n\r\n"),
        peak_of(nobody, b"symb\x01\x00\x00\x01\xff\xff"),
        peak_of(nobody, &lie),
        peak_of(nobody, &longest),
    ];
    println!("a stranger's handshake: {peaks:?} B");
    assert!(peaks.iter().all(|peak| *peak <= peaks[3]), "{peaks:?}");
    assert!(peaks[3] <= 8 * 1024, "{peaks:?}");
    if cfg!(all(target_pointer_width = "64", target_os = "linux")) {
        let line = format!("a stranger's handshake: at most {} B", peaks[3]);
        assert!(LIMITS.contains(&line), "src/guide/limits.md says otherwise: {line}");
    }

    // One who completes the handshake and is not let in leaves no more than that.
    let mut two = Two::new(&device(1), true);
    two.metered = metered(|| Connection::responder(&device(1), Admission::Only(Vec::new()), seed(7), NOW));
    two.settle(|metered, _, said| assert!(!metered || matches!(said, Said::Other), "{said:?}"));
    assert!(two.metered.is_closed());
}

/// Sentence 7: nor is anything for each publication in the table of topics, whoever is slow.
#[test]
fn nothing_is_allocated_per_publication() {
    let mut topics = Topics::new(1, TopicLimits::default());
    let state = topics.declare("state", Kind::State).expect("room");
    let kind = Kind::Event { depth: 4, overflow: Overflow::DropOldest };
    let event = topics.declare("event", kind).expect("room");
    for link in 0..10 {
        for (id, filter) in [(2, "#"), (4, "event"), (6, "state")] {
            topics.subscribe(LinkId(link), ExchangeId::from_number(id), filter, None).expect("room");
        }
    }
    let mut woken = Vec::with_capacity(10);
    let (mut asked, mut sent) = (0_u32, 0);
    let mut round = |topics: &mut Topics| {
        topics.publish(state, &[7; 100]).expect("room");
        topics.publish(event, &[7; 100]).expect("room");
        woken.extend(topics.wake());
        for link in woken.drain(..) {
            topics.pump(link, |_| {
                asked += 1;
                match asked % 7 {
                    0 => Verdict::Full,
                    1 | 4 => Verdict::NoCredit,
                    2 => Verdict::TooLarge,
                    _ => {
                        sent += 1;
                        Verdict::Sent
                    }
                }
            });
        }
    };
    for _ in 0..64 {
        round(&mut topics);
    }
    reset();
    metered(|| (0..1_000).for_each(|_| round(&mut topics)));
    assert_eq!((usage().count, usage().live), (0, 0));
    assert!(sent > 10_000, "{sent}");
}

/// Sentence 7: nor for each part that the table hands out, given up or not.
#[test]
fn nothing_is_allocated_per_part_of_the_table() {
    let mut topics = Topics::new(1, TopicLimits::default());
    let state = topics.declare("state", Kind::State).expect("room");
    for link in 0..10 {
        topics.subscribe(LinkId(link), ExchangeId::from_number(2), "#", None).expect("room");
    }
    let body = vec![7; 100_000];
    let (mut asked, mut parts, mut aborted) = (0_u32, 0, 0);
    let mut round = |topics: &mut Topics| {
        topics.publish(state, &body).expect("room");
        for link in 0..10 {
            topics.credited(LinkId(link), ExchangeId::from_number(2));
            topics.pump(LinkId(link), |offer| {
                asked += 1;
                match offer {
                    Offer::Abort { .. } => aborted += 1,
                    _ if asked % 5 == 0 || link % 3 == 2 && asked % 2 == 0 => return Verdict::NoCredit,
                    _ => parts += 1,
                }
                Verdict::Part(16_000)
            });
            if link % 3 == 2 {
                // It stalls again.
                topics.publish(state, &body).expect("room");
                topics.pump(LinkId(link), |_| Verdict::NoCredit);
                topics.publish(state, &body).expect("room");
            }
        }
    };
    for _ in 0..64 {
        round(&mut topics);
    }
    reset();
    metered(|| (0..200).for_each(|_| round(&mut topics)));
    assert_eq!((usage().count, usage().live), (0, 0));
    assert!(parts > 5_000 && aborted > 100, "{parts} {aborted}");
}

/// Sentences 4 and 7: what a peer's subscriptions cost is bounded, however long and many their filters are, and comes back
/// when they end.
#[test]
fn subscriptions_cost_little_and_give_it_back() {
    let many = 10_000;
    let mut limits = TopicLimits::default();
    (limits.subscriptions, limits.subscriptions_per_link) = (many, many);
    (limits.matches, limits.matches_per_link) = (many, many);
    reset();
    let mut topics = metered(|| Topics::new(1, limits));
    let topic = metered(|| topics.declare("t", Kind::State)).expect("room");
    metered(|| topics.publish(topic, b"!")).expect("room");
    let before = usage().live;
    // 64 levels, no two filters alike and none of them a prefix of many: the worst for a tree of levels.
    let deep = |n: u32| {
        let level = |at: u32| if n >> (at % 16) & 1 == 0 { "+" } else { "x" };
        (0..63).map(level).collect::<Vec<_>>().join("/") + "/" + &format!("{:02}", n % 100)
    };
    for (round, filter) in [&deep as &dyn Fn(u32) -> String, &|_| "#".to_owned()].into_iter().enumerate() {
        for order in [|n| n, |n| 9_999 - n] {
            for n in 0..many {
                let (id, filter) = (ExchangeId::from_number(n.into()), filter(n));
                assert!(filter.len() <= 128);
                metered(|| topics.subscribe(LinkId(1), id, &filter, None)).expect("room");
            }
            let each = (usage().live - before) / many as isize;
            println!("filters of kind {round}: {each} B for each subscription");
            assert!(each <= 1_024, "{each}");
            for n in 0..many {
                let id = ExchangeId::from_number(u64::from(order(n)));
                metered(|| topics.unsubscribe(LinkId(1), id));
            }
            assert_eq!(usage().live, before);
        }
    }
}

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
    // The longest frame each way.
    let body = vec![7; longest_body(&mut two.other)];
    two.other.request(NOW, "m", &body, None).expect("room");
    let answer = vec![7; longest_body(&mut two.metered)];
    two.settle(|_, connection, said| {
        if let Said::Request(id) = said {
            connection.respond(id, Status::OK, &answer).expect("it waits");
        }
    });
    let filter = "f".repeat(128);
    for _ in 0..limits.subscriptions_out {
        metered(|| two.metered.subscribe(&filter, 1_000, None)).expect("room");
        two.settle(|_, _, _| {});
    }
    let mut subscriptions = Vec::new();
    for _ in 0..limits.subscriptions_in {
        two.other.subscribe("t", 1 << 30, None).expect("room");
        let mut id = None;
        two.settle(|_, _, said| {
            if let Said::Subscribe(subscribed) = said {
                id = Some(subscribed);
            }
        });
        subscriptions.push(id.expect("it came"));
        metered(|| two.metered.accept_subscription(subscriptions[subscriptions.len() - 1])).expect("room");
    }
    let head = RequestHead { method: "m", body: b"", more: bodies, deadline: None };
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
    let fill = |two: &mut Two, run: &mut Run<'_>| {
        for body in [&long[..], &long, b""] {
            match metered(|| run(&mut two.metered, body)) {
                Ok(()) => return,
                Err(SendError::Full) => pass_one(two),
                Err(error) => panic!("{error}"),
            }
        }
    };
    for id in open.clone() {
        fill(&mut two, &mut |connection, body| match bodies {
            true => connection.respond_more(NOW, id, body),
            false => connection.respond(id, Status::OK, body),
        });
    }
    for _ in 0..limits.requests_out {
        fill(&mut two, &mut |connection, body| {
            open.push(connection.open(NOW, &RequestHead { body, ..head })?);
            Ok(())
        });
    }
    if bodies {
        for id in &open {
            metered(|| while two.metered.write(*id, &[7; 100]).is_ok() {});
        }
    }
    for _ in 0..2 {
        let point = Point { epoch: 1, sequence: 1 };
        let (topic, missed, retained) = ("t", Missed::NONE, false);
        let publication = Outgoing { topic, point, missed, retained, body: &[7; 100] };
        metered(|| while two.metered.publish(subscriptions[0], &publication).is_ok() {});
        pass_one(&mut two);
    }
    (usize::try_from(handshake).unwrap(), usize::try_from(usage().peak).unwrap())
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

const README: &str = include_str!("../README.md");
const LIMITS: &str = include_str!("../src/guide/limits.md");

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
