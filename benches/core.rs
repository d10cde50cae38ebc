//! What the protocol costs on top of its cryptography: each group stands beside the same operations done bare.
//!
//! After criterion's groups the two ratios are measured in rounds that take turns, so that a machine that slows down for a
//! while slows both sides of the division, and printed beside the bounds that the project has set itself.
//!
//! `cargo bench --bench core`, or `-- --quick`.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod ratio;

use std::env;
use std::hint::black_box;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use criterion::{Criterion, criterion_group};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use ratio::ratio;
use symbolon::{Admission, Config, Connection, Event, Identity, Instant, SecretKey, Seed, Status};
use x25519_dalek::{PublicKey, StaticSecret};

/// A handshake costs at most this much of its seven operations on curves at each side.
const HANDSHAKE_BOUND: f64 = 1.15;
/// A request and its reply cost at most this much of sealing and opening their two frames.
const REQUEST_BOUND: f64 = 3.0;

const BODY: usize = 64;
const NOW: Instant = Instant::from_millis(1_000);

fn bytes(n: u8) -> [u8; 32] {
    std::array::from_fn(|i| n.wrapping_mul(31) ^ (i as u8).wrapping_mul(7))
}

fn seed(n: u8) -> Seed {
    Seed::new(bytes(n)).expect("bytes that differ")
}

fn device(n: u8) -> Config {
    Config::new(Identity::new(&SecretKey::from_bytes(bytes(n)), seed(n)))
}

/// Two devices that let each other in.
struct Devices {
    phone: Config,
    lamp: Config,
}

impl Devices {
    fn new() -> Self {
        Self { phone: device(1), lamp: device(2) }
    }

    /// From nothing to *connected* at both ends.
    fn handshake(&self) -> (Connection, Connection) {
        let expect = |device: &Config| Admission::expect(device.identity().peer_id());
        let mut a = Connection::initiator(&self.phone, expect(&self.lamp), seed(3), NOW);
        let mut b = Connection::responder(&self.lamp, expect(&self.phone), seed(4), NOW);
        while !(a.is_connected() && b.is_connected()) {
            carry(&mut a, &mut b);
            carry(&mut b, &mut a);
        }
        while a.poll_event().is_some() {}
        while b.poll_event().is_some() {}
        (a, b)
    }
}

/// Hands over what `from` has to say, as an adapter does; what happened is of no interest.
fn carry(from: &mut Connection, to: &mut Connection) {
    while let Some(bytes) = from.poll_transmit(NOW) {
        let taken = to.handle_input(NOW, bytes);
        from.advance_transmit(taken);
        while to.poll_event().is_some() {}
    }
}

/// The operations on curves that both sides of one handshake cannot do without: an ephemeral key, three key exchanges,
/// a signature made and one verified.
struct BareHandshake {
    statics: [StaticSecret; 2],
    static_keys: [PublicKey; 2],
    signing: [SigningKey; 2],
}

impl BareHandshake {
    fn new() -> Self {
        let statics = [1, 2].map(|n| StaticSecret::from(bytes(n)));
        let static_keys = [0, 1].map(|side: usize| PublicKey::from(&statics[side]));
        Self { statics, static_keys, signing: [1, 2].map(|n| SigningKey::from_bytes(&bytes(n))) }
    }

    fn run(&self) {
        let ephemerals = [3, 4].map(|n| StaticSecret::from(black_box(bytes(n))));
        let ephemeral_keys = [0, 1].map(|side: usize| PublicKey::from(&ephemerals[side]));
        for (side, other) in [(0, 1), (1, 0)] {
            black_box(ephemerals[side].diffie_hellman(&ephemeral_keys[other]));
            black_box(ephemerals[side].diffie_hellman(&self.static_keys[other]));
            black_box(self.statics[side].diffie_hellman(&ephemeral_keys[other]));
        }
        for signer in &self.signing {
            let message = black_box([7; 85]);
            let key = signer.verifying_key().to_bytes();
            let proof = signer.sign(&message).to_bytes();
            let key = VerifyingKey::from_bytes(black_box(&key)).expect("a key");
            key.verify_strict(&message, &Signature::from_bytes(&proof)).expect("a good proof");
        }
    }
}

/// Two ends that have known each other for a while.
struct Conversation {
    a: Connection,
    b: Connection,
    body: [u8; BODY],
}

impl Conversation {
    fn new() -> Self {
        let (a, b) = Devices::new().handshake();
        let mut conversation = Self { a, b, body: [0x55; BODY] };
        for _ in 0..64 {
            conversation.run();
        }
        conversation
    }

    /// One request and its reply.  Returns the lengths of the two frames.
    fn run(&mut self) -> [usize; 2] {
        self.a.request(NOW, "lamp/set", black_box(&self.body), None).expect("room for a request");
        let request = self.a.poll_transmit(NOW).expect("a request to send");
        let asked = request.len();
        assert_eq!(self.b.handle_input(NOW, request), asked, "a frame is taken whole");
        self.a.advance_transmit(asked);
        let mut answer = [0; BODY];
        let Some(Event::Request { id, body, .. }) = self.b.poll_event() else { panic!("no request") };
        answer.copy_from_slice(body);
        self.b.respond(id, Status::OK, &answer).expect("room for an answer");
        let reply = self.b.poll_transmit(NOW).expect("a reply to send");
        let replied = reply.len();
        assert_eq!(self.a.handle_input(NOW, reply), replied, "a frame is taken whole");
        self.b.advance_transmit(replied);
        let Some(Event::Response { body, .. }) = self.a.poll_event() else { panic!("no response") };
        black_box(body);
        [asked, replied]
    }
}

/// Sealing and opening of two frames, in place.
struct BareFrames {
    cipher: ChaCha20Poly1305,
    frames: [Vec<u8>; 2],
    counter: u64,
}

impl BareFrames {
    /// `lengths` are those of whole frames, with their length prefix and tag.
    fn new(lengths: [usize; 2]) -> Self {
        let frames = lengths.map(|length| vec![0x55; length - 2 - 16]);
        Self { cipher: ChaCha20Poly1305::new(&bytes(5).into()), frames, counter: 0 }
    }

    fn run(&mut self) {
        for frame in &mut self.frames {
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&self.counter.to_le_bytes());
            let nonce = Nonce::from(nonce);
            self.counter += 1;
            let text = black_box(frame.as_mut_slice());
            let tag = self.cipher.encrypt_inout_detached(&nonce, b"", text.into()).expect("short enough");
            let text = black_box(frame.as_mut_slice());
            self.cipher
                .decrypt_inout_detached(&nonce, b"", text.into(), black_box(&tag))
                .expect("its own tag");
        }
    }
}

fn handshakes(c: &mut Criterion) {
    let (devices, bare) = (Devices::new(), BareHandshake::new());
    c.bench_function("handshake", |b| b.iter(|| devices.handshake()));
    c.bench_function("handshake_bare", |b| b.iter(|| bare.run()));
}

fn requests(c: &mut Criterion) {
    let mut conversation = Conversation::new();
    let mut bare = BareFrames::new(conversation.run());
    c.bench_function("request", |b| b.iter(|| conversation.run()));
    c.bench_function("request_bare", |b| b.iter(|| bare.run()));
}

criterion_group!(groups, handshakes, requests);

fn main() {
    groups();
    Criterion::default().configure_from_args().final_summary();
    // `cargo test --benches` only looks whether everything runs.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (devices, bare) = (Devices::new(), BareHandshake::new());
    let handshake = ratio(6, || drop(devices.handshake()), || bare.run());
    println!("ratio handshake {handshake:.2} (bound {HANDSHAKE_BOUND})");
    let mut conversation = Conversation::new();
    let mut frames = BareFrames::new(conversation.run());
    let request = ratio(400, || _ = conversation.run(), || frames.run());
    println!("ratio request {request:.2} (bound {REQUEST_BOUND})");
}
