//! Appendix B of SPEC.md: one short conversation with given keys, byte by byte.
//!
//! The bytes on the wire come from two [`Connection`]s.  Everything inside them (payloads, hashes, keys,
//! plaintexts) is computed a second time here, from the specification's words with snow, ed25519-dalek and
//! minicbor, and both have to agree.  `UPDATE=1 cargo test --test spec_example` writes the text anew.

mod common;

use core::fmt::Write;
use core::time::Duration;

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, Key, KeyInit, Nonce};
use common::Happened;
use ed25519_dalek::{Signer, SigningKey};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::{HandshakeState, StatelessTransportState, types};
use symbolon::{
    Admission, CloseReason, Config, Connection, ExchangeId, Identity, Instant, Limits, Missed, Outgoing,
    Point, Provider, RequestHead, SecretKey, Seed, Status, Timeouts,
};

const BEGIN: &str =
    "<!-- example: written by `cargo test --test spec_example`, which fails when it differs -->\n";
const END: &str = "<!-- /example -->";

#[test]
fn appendix_b_is_what_happens() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/SPEC.md");
    let spec = std::fs::read_to_string(path).expect("SPEC.md");
    let (before, rest) = spec.split_once(BEGIN).expect("the first marker");
    let (present, after) = rest.split_once(END).expect("the second marker");
    let example = Example::new().tell();
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(path, [before, BEGIN, &example, END, after].concat()).expect("SPEC.md is writable");
        return;
    }
    for (line, (present, new)) in present.lines().zip(example.lines()).enumerate() {
        assert_eq!(present, new, "line {} of appendix B; UPDATE=1 writes it anew", line + 1);
    }
    assert_eq!(present, example, "UPDATE=1 writes it anew");
}

/// So small that each chunk taken is followed by credit.
const WINDOW: u32 = 64;

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.window = WINDOW;
    limits
}

/// 32 bytes that nobody takes for random.
fn counting_from(first: u8) -> [u8; 32] {
    core::array::from_fn(|i| first + i as u8)
}

/// snow with primitives of its own, and a generator that gives the ephemeral key.
struct Reference([u8; 32]);

impl CryptoResolver for Reference {
    fn resolve_rng(&self) -> Option<Box<dyn types::Random>> {
        Some(Box::new(Self(self.0)))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn types::Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn types::Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn types::Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

impl types::Random for Reference {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        dest.copy_from_slice(&self.0);
        Ok(())
    }
}

fn reference(side: &Side, prologue: &[u8]) -> HandshakeState {
    let name = "Noise_XX_25519_ChaChaPoly_SHA256".parse().expect("a name of Noise");
    let resolver = Box::new(Reference(side.ephemeral_private));
    let builder = snow::Builder::with_resolver(name, resolver);
    let builder = builder.prologue(prologue).unwrap().local_private_key(&side.static_private).unwrap();
    if side.role == 1 { builder.build_initiator() } else { builder.build_responder() }.unwrap()
}

/// One device, and what is known of it outside the crate.
struct Side {
    name: &'static str,
    /// The role as the proof has it.
    role: u8,
    identity: SigningKey,
    static_private: [u8; 32],
    ephemeral_private: [u8; 32],
    connection: Connection,
    /// snow's view of the handshake; its static and ephemeral keys are the same.
    noise: Option<HandshakeState>,
    /// Frames it has sealed.
    n: u64,
}

impl Side {
    fn seed(bytes: [u8; 32]) -> Seed {
        Seed::new(bytes).expect("bytes that differ")
    }

    fn static_public(&self) -> [u8; 32] {
        x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(self.static_private)).to_bytes()
    }

    fn noise(&mut self) -> &mut HandshakeState {
        self.noise.as_mut().expect("a handshake")
    }

    fn hash(&mut self) -> Vec<u8> {
        self.noise().get_handshake_hash().to_vec()
    }

    /// SPEC §5.3
    fn signed(&mut self, hash: &[u8]) -> Vec<u8> {
        [b"symbolon-identity-v1", &[self.role][..], hash, &self.static_public()].concat()
    }

    /// SPEC §5.2
    fn payload(&self, proof: &[u8]) -> Vec<u8> {
        let (limits, timeouts) = (limits(), Timeouts::default());
        let mut cbor = Encoder::new(Vec::new());
        let mut write = || {
            cbor.map(8)?.u8(0)?.bytes(self.identity.verifying_key().as_bytes())?;
            cbor.u8(1)?.bytes(proof)?;
            cbor.u8(2)?.u16(limits.max_frame)?;
            cbor.u8(3)?.u16(limits.requests_in)?;
            cbor.u8(4)?.u16(limits.subscriptions_in)?;
            cbor.u8(5)?.u32(WINDOW)?;
            cbor.u8(6)?.u64(timeouts.silence.map_or(0, |silence| silence.as_millis() as u64))?;
            cbor.u8(7)?.u64(0)?;
            Ok::<_, minicbor::encode::Error<_>>(())
        };
        write().expect("memory");
        cbor.into_writer()
    }

    fn events(&mut self) -> Vec<Happened> {
        core::iter::from_fn(|| self.connection.poll_event().map(Happened::from)).collect()
    }

    /// All that it has to write at the moment.
    fn written(&mut self, now: Instant) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = self.connection.poll_transmit(now) {
            all.extend_from_slice(bytes);
            let len = bytes.len();
            self.connection.advance_transmit(len);
        }
        all
    }

    fn reads(&mut self, now: Instant, bytes: &[u8]) {
        assert_eq!(self.connection.handle_input(now, bytes), bytes.len());
    }
}

struct Example {
    a: Side,
    b: Side,
    now: Instant,
    text: String,
}

impl Example {
    fn new() -> Self {
        let now = Instant::default();
        let configs = [0x00, 0x40].map(|first| {
            let secret = SecretKey::from_bytes(counting_from(first));
            // `Config::new` takes `Timeouts::default()`.
            let config = Config::new(Identity::new(&secret, Side::seed(counting_from(first + 0x20))))
                // Appendix B offers one suite.
                .with_provider(Provider::rust_crypto());
            config.with_limits(limits()).expect("limits in range")
        });
        let expect = |of: usize| Admission::expect(configs[of].identity().peer_id());
        let ephemeral = |first| Side::seed(counting_from(first));
        let a = Connection::initiator(&configs[0], expect(1), ephemeral(0x80), now);
        let b = Connection::responder(&configs[1], expect(0), ephemeral(0xA0), now);
        let side = |name, role, first: u8, ephemeral, connection| Side {
            name,
            role,
            identity: SigningKey::from_bytes(&counting_from(first)),
            static_private: counting_from(first + 0x20),
            ephemeral_private: counting_from(ephemeral),
            connection,
            noise: None,
            n: 0,
        };
        let (a, b) = (side("initiator", 1, 0x00, 0x80, a), side("responder", 2, 0x40, 0xA0, b));
        Self { a, b, now, text: String::new() }
    }

    fn tell(mut self) -> String {
        self.intro();
        self.keys();
        self.handshake();
        let (keys, transport) = self.split();
        self.conversation(&transport);
        self.rekey(&keys.0, transport);
        self.text
    }

    fn intro(&mut self) {
        self.say(
            "All bytes of one short conversation, in hexadecimal. Its keys are bytes that count upwards: for this \
             example, and for nothing else. Both sides declare the default limits of the reference implementation \
             (`Limits::default()` and `Timeouts::default()`) but for `window`, which is 64 in the place of 524288, so \
             that each chunk taken is followed by credit: `max_frame` 16640, `max_requests` 64, \
             `max_subscriptions` 256, `window` 64, `silence` 30000, `features` 0. Each lets exactly the other in. \
             Ed25519 signatures are deterministic, so every byte below comes out again.",
        );
    }

    fn keys(&mut self) {
        self.open("B.1 Keys");
        for is_a in [true, false] {
            let side = if is_a { &self.a } else { &self.b };
            let public = |private| x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(private));
            let values = [
                ("identity, secret", side.identity.to_bytes()),
                ("identity (peer id)", side.identity.verifying_key().to_bytes()),
                ("static, private", side.static_private),
                ("static, public", side.static_public()),
                ("ephemeral, private", side.ephemeral_private),
                ("ephemeral, public", public(side.ephemeral_private).to_bytes()),
            ];
            let name = side.name;
            for (label, value) in values {
                self.value(&format!("{name}: {label}"), &value);
            }
        }
        self.close();
    }

    fn handshake(&mut self) {
        let now = self.now;
        let mut first = self.a.written(now);
        let message_1 = first.split_off(8);
        self.b.reads(now, &first);
        let answer = self.b.written(now);
        self.open("B.2 Preambles");
        self.value("initiator", &first);
        self.value("responder", &answer);
        self.close();
        assert_eq!((&first[..], &answer[..]), (&b"symb\x01\0\0\x01"[..], &b"olon\x01\0\0\x01"[..]));
        let prologue = [&first[..], &answer].concat();
        for side in [&mut self.a, &mut self.b] {
            side.noise = Some(reference(side, &prologue));
        }
        self.a.reads(now, &answer);

        self.open("B.3 Handshake");
        self.b.reads(now, &message_1);
        self.message(1, true, &message_1);
        let message_2 = self.b.written(now);
        self.message(2, false, &message_2);
        self.a.reads(now, &message_2);
        let message_3 = self.a.written(now);
        self.message(3, true, &message_3);
        self.b.reads(now, &message_3);
        let hash = self.a.hash();
        assert_eq!(hash, self.b.hash());
        for side in [&self.a, &self.b] {
            assert_eq!(side.connection.channel_binding().as_ref().map(|hash| &hash[..]), Some(&hash[..]));
        }
        self.value("h after message 3", &hash);
        self.close();
    }

    /// One message of the handshake: `frame` is what the crate wrote, the rest is computed here.
    fn message(&mut self, number: u8, from_a: bool, frame: &[u8]) {
        let (sender, receiver) = if from_a { (&mut self.a, &mut self.b) } else { (&mut self.b, &mut self.a) };
        let (mut buffer, mut payload) = (vec![0; 1024], Vec::new());
        let mut values = Vec::new();
        // Message 1 has an empty payload and no proof.
        if number > 1 {
            let hash = sender.hash();
            assert_eq!(hash, receiver.hash());
            let signed = sender.signed(&hash);
            let proof = sender.identity.sign(&signed).to_bytes().to_vec();
            payload = sender.payload(&proof);
            values.push((format!("h before message {number}"), hash));
            values.push(("  signed".into(), signed));
            values.push(("  proof".into(), proof));
            values.push(("  payload".into(), payload.clone()));
        }
        let len = sender.noise().write_message(&payload, &mut buffer).unwrap();
        assert_eq!(frame, [&(len as u16).to_be_bytes()[..], &buffer[..len]].concat(), "message {number}");
        let mut read = vec![0; 1024];
        let len = receiver.noise().read_message(&buffer[..len], &mut read).unwrap();
        assert_eq!(read[..len], payload);
        let name = sender.name;
        for (label, value) in values {
            self.value(&label, &value);
        }
        if number > 1 {
            self.line("  payload, in CBOR diagnostic notation:");
            for line in diagnostic(&mut Decoder::new(&payload)).split_inclusive("', ") {
                self.line(&format!("    {}", line.trim_end()));
            }
        }
        self.value(&format!("message {number}, {name}: frame"), frame);
    }

    fn split(&mut self) -> (([u8; 32], [u8; 32]), [StatelessTransportState; 2]) {
        let keys = self.a.noise().dangerously_get_raw_split();
        assert_eq!(keys, self.b.noise().dangerously_get_raw_split());
        self.open("B.4 Transport keys");
        self.value("initiator sends with", &keys.0);
        self.value("responder sends with", &keys.1);
        self.close();
        let transport = [&mut self.a, &mut self.b].map(|side| {
            let noise = side.noise.take().expect("a handshake");
            noise.into_stateless_transport_mode().unwrap()
        });
        (keys, transport)
    }

    fn conversation(&mut self, transport: &[StatelessTransportState; 2]) {
        self.open("B.5 Conversation");
        assert!(matches!(self.b.events()[..], [Happened::Connected(_)]));
        self.frame(transport, false, "lets the initiator in", &["[0]"]);
        assert!(matches!(self.a.events()[..], [Happened::Connected(_)]));

        self.a.connection.request(self.now, "echo", b"hello", Some(Duration::from_secs(5))).unwrap();
        let request = r#"[5, 2, 5000, 0, "echo", h'68656c6c6f']"#;
        self.frame(transport, true, "calls a method, with a deadline of 5 s", &[request]);
        let events = self.b.events();
        let [Happened::Request { id, ref body, .. }] = events[..] else { panic!("{events:?}") };
        self.b.connection.respond(id, Status::OK, body).unwrap();
        self.frame(transport, false, "answers", &["[6, 2, 0, 0, h'68656c6c6f']"]);
        assert!(matches!(self.a.events()[..], [Happened::Response { .. }]));

        self.bodies(transport);
        self.stopped(transport);

        let ours = self.a.connection.subscribe("room/+", 1_000, None).unwrap();
        self.frame(
            transport,
            true,
            "subscribes, with credit for 1000 bytes",
            &[r#"[12, 8, 1000, "room/+"]"#],
        );
        let events = self.b.events();
        let [Happened::Subscribe { id, .. }] = events[..] else { panic!("{events:?}") };
        self.publish(id);
        let publication = r#"[13, 8, 0, 4, "room/1", 168496141, 7, h'3139']"#;
        let both = ["[6, 8, 0, 1, h'']", publication];
        self.frame(transport, false, "accepts, and publishes a value that it had: 21 bytes of credit", &both);
        let events = self.a.events();
        assert!(matches!(events[..], [Happened::Subscribed(_), Happened::Publication { cost: 21, .. }]));

        self.a.connection.cancel(ours).unwrap();
        self.frame(transport, true, "unsubscribes", &["[8, 8, 1]"]);
        assert!(matches!(self.b.events()[..], [Happened::Unsubscribe(_)]));
        // The responder speaks last, so that the initiator's keepalive comes first.
        self.now = self.now + Duration::from_secs(1);
        self.b.connection.end_subscription(id, Status::CANCELLED).unwrap();
        self.frame(transport, false, "ends the subscription", &["[10, 8, 1]"]);

        self.now = self.now + Duration::from_secs(14);
        self.a.connection.handle_timeout(self.now);
        self.frame(transport, true, "has sent nothing for half of its silence", &["[3, 1]"]);
        self.frame(transport, false, "answers", &["[4, 1]"]);

        self.a.connection.close(self.now, Status::OK);
        self.frame(transport, true, "closes", &["[1, 0]"]);
        assert_eq!(self.b.events(), [Happened::Closed(CloseReason::Remote(Status::OK))]);
        self.frame(transport, false, "closes as well", &["[1, 0]"]);
        assert_eq!(self.a.events().last(), Some(&Happened::Closed(CloseReason::Local(Status::OK))));
        self.close();
    }

    /// SPEC §10.5: a body in chunks each way, at the same time, with credit.
    fn bodies(&mut self, transport: &[StatelessTransportState; 2]) {
        let head = RequestHead { method: "copy", body: b"two parts", more: true, deadline: None };
        let ours = self.a.connection.open(self.now, &head).unwrap();
        self.a.connection.write(ours, b"first").unwrap();
        let request = r#"[5, 4, 0, 1, "copy", h'74776f207061727473']"#;
        let both = [request, "[9, 4, h'6669727374']"];
        self.frame(transport, true, "calls with a body in chunks: 9 bytes of credit", &both);
        let events = self.b.events();
        let [Happened::RequestGoesOn { id, .. }, Happened::Data(_, ref chunk, cost)] = events[..] else {
            panic!("{events:?}")
        };
        self.b.connection.release(id, cost).unwrap();
        self.b.connection.respond_more(self.now, id, b"").unwrap();
        assert_eq!(self.b.connection.write(id, chunk), Ok(5));
        let all = ["[11, 4, 73]", "[6, 4, 0, 1, h'']", "[9, 4, h'6669727374']"];
        self.frame(transport, false, "has taken the chunk, and answers in chunks before the last one", &all);
        let events = self.a.events();
        let [Happened::ResponseGoesOn { .. }, Happened::Data(id, _, cost)] = events[..] else {
            panic!("{events:?}")
        };
        self.a.connection.release(id, cost).unwrap();
        self.a.connection.write(ours, b"last").unwrap();
        self.a.connection.finish(ours).unwrap();
        let all = ["[11, 4, 73]", "[9, 4, h'6c617374']", "[10, 4, 0]"];
        self.frame(transport, true, "has taken it as well, and ends its body", &all);
        let events = self.b.events();
        let [Happened::Data(id, ref chunk, _), Happened::End(_, Status::OK)] = events[..] else {
            panic!("{events:?}")
        };
        self.b.connection.write(id, chunk).unwrap();
        self.b.connection.finish(id).unwrap();
        let both = ["[9, 4, h'6c617374']", "[10, 4, 0]"];
        self.frame(transport, false, "ends the answer, and with it the exchange", &both);
        let events = self.a.events();
        assert!(matches!(events[..], [Happened::Data(..), Happened::End(_, Status::OK)]));
        assert!(self.a.connection.is_idle() && self.b.connection.is_idle());
    }

    /// SPEC §10.5: the answerer asks for the end of the opener's body, and answers.
    fn stopped(&mut self, transport: &[StatelessTransportState; 2]) {
        let head = RequestHead { method: "copy", body: b"", more: true, deadline: None };
        let ours = self.a.connection.open(self.now, &head).unwrap();
        self.a.connection.write(ours, b"first").unwrap();
        let both = [r#"[5, 6, 0, 1, "copy", h'']"#, "[9, 6, h'6669727374']"];
        self.frame(transport, true, "calls again", &both);
        let events = self.b.events();
        let [Happened::RequestGoesOn { id, .. }, Happened::Data(..)] = events[..] else {
            panic!("{events:?}")
        };
        self.b.connection.cancel_with(id, Status::new(256)).unwrap();
        self.frame(transport, false, "wants no more of the body, for a reason of its own", &["[8, 6, 256]"]);
        assert_eq!(self.a.events(), [Happened::Stopped(ours, Status::new(256))]);
        self.frame(transport, true, "ends the body, with the same status", &["[10, 6, 256]"]);
        assert_eq!(self.b.events(), [Happened::End(id, Status::new(256))]);
        self.b.connection.respond(id, Status::OK, b"").unwrap();
        self.frame(transport, false, "answers all the same", &["[6, 6, 0, 0, h'']"]);
        assert!(matches!(self.a.events()[..], [Happened::Response { status: Status::OK, .. }]));
        assert!(self.a.connection.is_idle() && self.b.connection.is_idle());
    }

    fn publish(&mut self, id: ExchangeId) {
        let point = Point { epoch: 0x0A0B_0C0D, sequence: 7 };
        let publication =
            Outgoing { topic: "room/1", point, missed: Missed::NONE, retained: true, body: b"19" };
        self.b.connection.accept_subscription(id).unwrap();
        self.b.connection.publish(id, &publication).unwrap();
    }

    /// One side writes exactly one frame, with these messages.
    fn frame(
        &mut self,
        transport: &[StatelessTransportState; 2],
        from_a: bool,
        what: &str,
        expected: &[&str],
    ) {
        let now = self.now;
        let (sender, receiver) = if from_a { (&mut self.a, &mut self.b) } else { (&mut self.b, &mut self.a) };
        let frame = sender.written(now);
        let (name, n) = (sender.name, sender.n);
        sender.n += 1;
        receiver.reads(now, &frame);

        assert_eq!(usize::from(u16::from_be_bytes([frame[0], frame[1]])), frame.len() - 2, "one frame");
        let mut plaintext = vec![0; frame.len()];
        let len = transport[usize::from(from_a)].read_message(n, &frame[2..], &mut plaintext).unwrap();
        plaintext.truncate(len);
        let mut cbor = Decoder::new(&plaintext);
        let mut messages = Vec::new();
        while cbor.position() < len {
            messages.push(diagnostic(&mut cbor));
        }
        assert_eq!(messages, expected);

        self.line(&format!("{name}, n = {n}: {what}"));
        for message in &messages {
            self.line(&format!("    {message}"));
        }
        self.value("  plaintext", &plaintext);
        self.value("  frame", &frame);
    }

    /// SPEC §7
    fn rekey(&mut self, key: &[u8; 32], transport: [StatelessTransportState; 2]) {
        let sealed = seal(key, u64::MAX, &[0; 32]);
        let rekeyed: [u8; 32] = sealed[..32].try_into().unwrap();

        // snow rekeys too, but does not show the key.
        let [mut initiator, _] = transport;
        initiator.rekey_outgoing();
        let (ping, mut buffer) = (b"\x82\x03\x02", [0; 64]);
        let len = initiator.write_message(65_536, ping, &mut buffer).unwrap();
        assert_eq!(seal(&rekeyed, 65_536, ping), buffer[..len]);

        self.open("B.6 Rekey");
        self.value("initiator, from n = 65536", &rekeyed);
        self.line("initiator, n = 65536: were the connection still open, a ping");
        self.line("    [3, 2]");
        self.value("  plaintext", ping);
        self.value("  frame", &[&(len as u16).to_be_bytes()[..], &buffer[..len]].concat());
        self.close();
    }

    // The text

    fn say(&mut self, text: &str) {
        writeln!(self.text, "\n{text}").unwrap();
    }

    fn open(&mut self, title: &str) {
        writeln!(self.text, "\n### {title}\n\n```text").unwrap();
    }

    fn close(&mut self) {
        self.line("```");
    }

    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").unwrap();
    }

    /// A label, and a value in lines of 32 bytes.
    fn value(&mut self, label: &str, value: &[u8]) {
        for (i, bytes) in value.chunks(32).enumerate() {
            let label = if i == 0 { label } else { "" };
            writeln!(self.text, "{label:31} {}", hex(bytes)).unwrap();
        }
    }
}

/// ENCRYPT of Noise §12, without associated data.
fn seal(key: &[u8; 32], n: u64, plaintext: &[u8]) -> Vec<u8> {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&n.to_le_bytes());
    let mut sealed = plaintext.to_vec();
    let cipher = ChaCha20Poly1305::new(&Key::from(*key));
    let tag = cipher.encrypt_inout_detached(&Nonce::from(nonce), &[], sealed.as_mut_slice().into()).unwrap();
    sealed.extend_from_slice(&tag);
    sealed
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The next item, as RFC 8949 §8 writes it.
fn diagnostic(cbor: &mut Decoder<'_>) -> String {
    match cbor.datatype().expect("an item") {
        Type::Bytes => format!("h'{}'", hex(cbor.bytes().unwrap())),
        Type::String => format!("{:?}", cbor.str().unwrap()),
        Type::Array => {
            let items = cbor.array().unwrap().expect("a length");
            let items: Vec<_> = (0..items).map(|_| diagnostic(cbor)).collect();
            format!("[{}]", items.join(", "))
        }
        Type::Map => {
            let items = cbor.map().unwrap().expect("a length");
            let items = (0..items).map(|_| format!("{}: {}", diagnostic(cbor), diagnostic(cbor)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
        _ => cbor.u64().expect("an unsigned integer").to_string(),
    }
}
