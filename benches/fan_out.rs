//! What a subscriber notices of another one that has stopped reading: nothing.
//!
//! Two publishers in one program, each with a subscriber over the loopback interface; beside one of them stands a peer
//! that subscribed and reads its socket no more. Both publish in turn, so that a machine that slows down for a while
//! slows both. The subscriber loses nothing, and its median latency is held against the one of the other.
//!
//! `cargo bench --features tokio --bench fan_out`

#[path = "../tests/common/mod.rs"]
mod common;

use std::env;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant as Clock};

use common::{device_with, seed};
use symbolon::tokio::{Device, RawSubscription, SubscribeOptions};
use symbolon::{
    Admission, Connection, Event, Identity, Instant, Kind, Missed, Overflow, PeerId, SecretKey, Seed,
};
use tokio::runtime;
use tokio::task::spawn_blocking;

/// A subscriber beside a stalled one gets a publication in at most this much of the time that it takes alone.
const STALLED_BOUND: f64 = 1.2;

const TOPIC: &str = "events";
const KIND: Kind = Kind::Event { depth: 64, overflow: Overflow::DropOldest };
/// What takes part in no measurement: more than the buffers of a socket hold.
const FILLING: (usize, usize) = (2_000, 12_000);
const BODY: usize = 64;
const PATIENCE: Duration = Duration::from_secs(60);

fn device(number: u8) -> Device {
    let identity = Identity::new(&SecretKey::from_bytes([number; 32]), Seed::random().expect("entropy"));
    Device::builder(identity).admit(|_| true).topic_raw(TOPIC, KIND).build().expect("a device")
}

/// A publisher, its subscriber, and how far they are.
struct Line {
    publisher: Device,
    subscription: RawSubscription,
    /// Where the publisher listens.
    address: SocketAddr,
    published: u64,
}

impl Line {
    async fn new(publisher: u8, subscriber: u8) -> Self {
        let (publisher, subscriber) = (device(publisher), device(subscriber));
        let listener = publisher.listen("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(listener.serve());
        let handle = subscriber.connect(address, publisher.peer_id()).await.expect("a connection");
        let subscription = handle.subscribe_raw(TOPIC, SubscribeOptions::default()).await.expect("a topic");
        Self { publisher, subscription, address, published: 0 }
    }

    /// From publishing to what the subscriber holds. It gets each publication, and in order.
    async fn deliver(&mut self, body: &[u8]) -> Duration {
        let begun = Clock::now();
        let point = self.publisher.publish_raw(TOPIC, body).await.expect("a topic");
        let delivery = self.subscription.next().await.expect("it goes on");
        let latency = begun.elapsed();
        let publication = delivery.publication.expect("nothing but publications");
        assert_eq!((delivery.missed, publication.point), (Missed::NONE, point));
        assert_eq!((point.sequence, publication.body.len()), (self.published, body.len()));
        self.published += 1;
        latency
    }
}

/// A peer that holds its connection and its socket, and does nothing unless it is asked to.
struct Stalled {
    connection: Connection,
    socket: TcpStream,
    subscribed: bool,
    /// What it got and what it was told that it missed.
    got: u64,
    missed: u64,
}

const NOW: Instant = Instant::from_millis(1_000);

impl Stalled {
    /// Subscribes, with credit for all that will ever be published: what stops is the socket.
    fn new(address: SocketAddr, publisher: PeerId) -> Self {
        let config = device_with(9, |_, timeouts| timeouts.silence = None);
        let connection = Connection::initiator(&config, Admission::expect(publisher), seed(109), NOW);
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut stalled = Self { connection, socket, subscribed: false, got: 0, missed: 0 };
        while !stalled.connection.is_connected() {
            stalled.step();
        }
        stalled.connection.subscribe(TOPIC, u32::MAX, None).expect("room");
        while !stalled.subscribed {
            stalled.step();
        }
        stalled
    }

    fn step(&mut self) {
        while let Some(bytes) = self.connection.poll_transmit(NOW) {
            let written = self.socket.write(bytes).expect("an open socket");
            self.connection.advance_transmit(written);
        }
        let mut buffer = [0; 16_384];
        let read = self.socket.read(&mut buffer).expect("something to read");
        assert_ne!(read, 0, "the publisher stays");
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            rest = &rest[self.connection.handle_input(NOW, rest)..];
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::Publication { publication, .. } => {
                        assert!(!publication.missed.unknown);
                        self.got += 1;
                        self.missed += u64::from(publication.missed.count);
                    }
                    Event::Subscribed { .. } => self.subscribed = true,
                    Event::Connected { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// Reads until it knows of each of so many publications.
    fn wake_up(mut self, published: u64) -> (u64, u64) {
        while self.got + self.missed < published {
            self.step();
        }
        assert_eq!(self.got + self.missed, published);
        (self.got, self.missed)
    }
}

/// The latencies of so many publications without and with the stalled peer, sorted.
async fn measure(rounds: usize) -> [Vec<Duration>; 2] {
    let mut alone = Line::new(1, 2).await;
    let mut beside = Line::new(3, 4).await;
    let (address, publisher) = (beside.address, beside.publisher.peer_id());
    let stalled = spawn_blocking(move || Stalled::new(address, publisher)).await.expect("subscribed");
    let filling = vec![0; FILLING.1];
    for _ in 0..FILLING.0 {
        alone.deliver(&filling).await;
        beside.deliver(&filling).await;
    }
    let mut latencies = [const { Vec::new() }; 2];
    for round in 0..rounds {
        // Each goes first as often as the other.
        for line in [round % 2, 1 - round % 2] {
            let measured = if line == 0 { &mut alone } else { &mut beside };
            latencies[line].push(measured.deliver(&[0x55; BODY]).await);
        }
    }
    // It was stalled indeed; and once it reads again, it learns of all that it lost.
    let (got, missed) = spawn_blocking(move || stalled.wake_up(beside.published)).await.expect("all told");
    assert!(missed > rounds as u64 / 2, "the stalled peer got {got} and missed {missed}");
    for latencies in &mut latencies {
        latencies.sort_unstable();
    }
    latencies
}

fn main() {
    // `cargo test --benches` only looks whether everything runs.
    let rounds = if env::args().any(|argument| argument == "--bench") { 20_000 } else { 200 };
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let latencies = runtime.block_on(measure(rounds));
    for (line, latencies) in ["alone", "beside a stalled one"].into_iter().zip(&latencies) {
        let at = |of_thousand: usize| latencies[latencies.len() * of_thousand / 1_000];
        println!("latency {line}: p50 {:?}, p99 {:?}, p99.9 {:?}", at(500), at(990), at(999));
    }
    let [alone, beside] = latencies.map(|latencies| latencies[latencies.len() / 2].as_secs_f64());
    println!("ratio stalled {:.2} (bound {STALLED_BOUND})", beside / alone);
}
