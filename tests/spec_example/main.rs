//! Appendix B of SPEC.md: one short conversation with given keys, byte by byte.
//!
//! The bytes on the wire come from two [`Connection`]s.  Everything inside them (payloads, hashes, keys,
//! plaintexts) is computed a second time here, from the specification's words with snow, ed25519-dalek and
//! minicbor, and both have to agree.  `UPDATE=1 cargo test --test spec_example` writes the text anew.

#[path = "../common/mod.rs"]
mod common;
mod conversation;
mod side;
mod text;

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, Key, KeyInit, Nonce};
use ed25519_dalek::{Signer, SigningKey};
use minicbor::Decoder;
use side::{Side, reference};
use snow::StatelessTransportState;
use symbolon::{Admission, Config, Connection, Identity, Instant, Limits, Provider, SecretKey};
use text::diagnostic;

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
