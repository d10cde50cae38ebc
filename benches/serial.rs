//! What a serial line costs: a request and its reply over it, and noise while a session runs.
//!
//! `cargo bench --bench serial`, or `-- --quick`.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use symbolon::serial::Line;
use symbolon::{Admission, Config, Connection, Event, Identity, Instant, SecretKey, Seed, Status};

const NOW: Instant = Instant::from_millis(1_000);

fn seed(n: u8) -> Seed {
    Seed::new(std::array::from_fn(|i| n.wrapping_mul(31) ^ (i as u8).wrapping_mul(7)))
        .expect("bytes that differ")
}

fn device(n: u8) -> Config {
    Config::new(Identity::new(&SecretKey::from_bytes([n; 32]), seed(n)))
}

/// Two ends of a line on which a session runs.
struct Conversation {
    a: Line<Connection>,
    b: Line<Connection>,
    body: Vec<u8>,
}

impl Conversation {
    fn new(body: usize) -> Self {
        let (phone, lamp) = (device(1), device(2));
        let expect = |device: &Config| Admission::expect(device.identity().peer_id());
        let (mut a, mut b) = (Line::new(phone.limits()), Line::new(lamp.limits()));
        a.dial(NOW, Connection::initiator(&phone, expect(&lamp), seed(3), NOW));
        let mut fresh = Some(Connection::responder(&lamp, expect(&phone), seed(4), NOW));
        for _ in 0..4 {
            carry(&mut a, &mut b, || fresh.take());
            carry(&mut b, &mut a, || None);
            while a.running().is_some_and(|session| session.poll_event().is_some()) {}
            while b.running().is_some_and(|session| session.poll_event().is_some()) {}
        }
        Self { a, b, body: vec![0x55; body] }
    }

    /// One request and its reply.
    fn run(&mut self) {
        let asking = self.a.running().expect("a session");
        asking.request(NOW, "lamp/set", black_box(&self.body), None).expect("room for a request");
        carry(&mut self.a, &mut self.b, || None);
        let answering = self.b.running().expect("a session");
        let Some(Event::Request { id, .. }) = answering.poll_event() else { panic!("no request") };
        answering.respond(id, Status::OK, &self.body).expect("room for an answer");
        carry(&mut self.b, &mut self.a, || None);
        let asking = self.a.running().expect("a session");
        let Some(Event::Response { body, .. }) = asking.poll_event() else { panic!("no response") };
        black_box(body);
    }
}

fn carry(
    from: &mut Line<Connection>,
    to: &mut Line<Connection>,
    mut offered: impl FnMut() -> Option<Connection>,
) {
    while let Some(bytes) = from.poll_transmit(NOW) {
        let taken = to.handle_input(NOW, bytes, &mut offered);
        from.advance_transmit(taken);
    }
}

fn requests(c: &mut Criterion) {
    for body in [64, 4_096] {
        let mut conversation = Conversation::new(body);
        let mut group = c.benchmark_group("line");
        group.throughput(Throughput::Bytes(2 * body as u64));
        group.bench_function(format!("request_{body}"), |b| b.iter(|| conversation.run()));
        group.finish();
    }
}

/// Bytes like those of a line at the wrong speed, and the dearest there are: packets with the form of frames.
fn noise(c: &mut Criterion) {
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let babble: Vec<u8> = (0..65_536).map(|_| random()).collect();
    // 00 80 and 128 bytes other than zero, as COBS: an empty block, and one of 129 bytes.
    let forged: Vec<u8> = (0..512)
        .flat_map(|_| {
            [1, 130, 128].into_iter().chain((0..128).map(|_| random() | 1)).chain([0]).collect::<Vec<_>>()
        })
        .collect();
    for (name, bytes) in [("babble", babble), ("forged_frames", forged)] {
        let mut conversation = Conversation::new(64);
        let mut group = c.benchmark_group("noise");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| conversation.b.handle_input(NOW, black_box(&bytes), || None))
        });
        group.finish();
        assert!(conversation.b.dropped() > 0);
        let _ = conversation.b.handle_input(NOW, &[0], || None);
        conversation.run();
    }
}

criterion_group!(groups, requests, noise);
criterion_main!(groups);
