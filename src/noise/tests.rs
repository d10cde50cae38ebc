//! The handshake: what it refuses, and how it fails.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::crypto::{Aead, Hash256, LowOrder, Primitives, SigningKey};
use crate::tests::{Cipher, ciphers};

mod reference;
mod transport;
mod vectors;

const PROVIDER: Provider = Provider::rust_crypto();
const SUITE: Suite = Suite::ChaChaPoly;
/// For what is the same under each cipher.
const USUAL: Cipher = (PROVIDER, SUITE);

/// The private keys of the tests: static and ephemeral, of either side.
fn key(role: Role, ephemeral: bool) -> [u8; 32] {
    let first = if role.is_initiator() { 0x10 } else { 0x20 } + u8::from(ephemeral);
    core::array::from_fn(|i| first.wrapping_mul(i as u8 + 3))
}

fn handshake_with((provider, suite): Cipher, role: Role, prologue: &[u8]) -> Handshake {
    let static_key = KeyPair::new(provider, &key(role, false));
    let ephemeral = KeyPair::new(provider, &key(role, true));
    Handshake::new(role, provider, suite, &static_key, &ephemeral, prologue).unwrap()
}

fn handshake(role: Role) -> Handshake {
    handshake_with(USUAL, role, b"prologue")
}

fn write(handshake: &mut Handshake, payload: &[u8]) -> Result<Vec<u8>, NoiseError> {
    let mut out = vec![0; payload.len() + MAX_OVERHEAD];
    let len = handshake.write(payload, &mut out)?;
    out.truncate(len);
    Ok(out)
}

fn read(handshake: &mut Handshake, message: &[u8]) -> Result<Vec<u8>, NoiseError> {
    let mut out = vec![0; message.len()];
    let len = handshake.read(message, &mut out)?;
    out.truncate(len);
    Ok(out)
}

/// The writer and the reader of message `step` (0 to 2), before it is written.
fn sides_before(step: usize) -> (Handshake, Handshake) {
    sides_with(USUAL, step)
}

fn sides_with(cipher: Cipher, step: usize) -> (Handshake, Handshake) {
    let mut writer = handshake_with(cipher, Role::Initiator, b"prologue");
    let mut reader = handshake_with(cipher, Role::Responder, b"prologue");
    for _ in 0..step {
        let message = write(&mut writer, b"payload").unwrap();
        read(&mut reader, &message).unwrap();
        core::mem::swap(&mut writer, &mut reader);
    }
    (writer, reader)
}

fn established(cipher: Cipher) -> (Ciphers, Ciphers) {
    let (mut initiator, mut responder) = sides_with(cipher, 2);
    let message = write(&mut initiator, b"").unwrap();
    read(&mut responder, &message).unwrap();
    (initiator.split().unwrap(), responder.split().unwrap())
}

#[test]
fn both_sides_agree_after_every_message() {
    let mut sides = [handshake(Role::Initiator), handshake(Role::Responder)];
    for (step, overhead) in [32, 96, 64].into_iter().enumerate() {
        assert_eq!(sides[0].hash(), sides[1].hash());
        assert!(!sides[0].is_finished() && !sides[1].is_finished());
        let before = sides[0].hash();
        let message = write(&mut sides[step % 2], b"payload").unwrap();
        assert_eq!(message.len(), 7 + overhead);
        assert!(overhead <= MAX_OVERHEAD);
        assert_eq!(read(&mut sides[(step + 1) % 2], &message).unwrap(), b"payload");
        assert_ne!(sides[0].hash(), before);
    }
    let [initiator, responder] = sides;
    assert!(initiator.is_finished() && responder.is_finished());
    let public = |role| *KeyPair::new(PROVIDER, &key(role, false)).public();
    assert_eq!(initiator.remote_static(), Some(public(Role::Responder)));
    assert_eq!(responder.remote_static(), Some(public(Role::Initiator)));
    let hash = initiator.hash();
    let (one, two) = (initiator.split().unwrap(), responder.split().unwrap());
    assert_eq!((one.hash, two.hash), (hash, hash));
}

#[test]
fn every_changed_byte_of_a_message_ends_the_handshake() {
    for cipher in ciphers() {
        for step in 0..3 {
            let (mut writer, _) = sides_with(cipher, step);
            let message = write(&mut writer, b"payload").unwrap();
            for at in 0..message.len() {
                let mut forged = message.clone();
                forged[at] ^= if at % 2 == 0 { 0x01 } else { 0x80 };
                a_forged_message_ends_the_handshake(cipher, step, &message, &forged);
            }
        }
    }
}

fn a_forged_message_ends_the_handshake(cipher: Cipher, step: usize, message: &[u8], forged: &[u8]) {
    let (mut writer, mut reader) = sides_with(cipher, step);
    assert_eq!(write(&mut writer, b"payload").unwrap(), message);
    if step > 0 {
        assert_eq!(read(&mut reader, forged), Err(NoiseError), "{cipher:?} {step} {forged:x?}");
        assert_eq!(reader.remote_static(), None);
        assert_eq!(read(&mut reader, message), Err(NoiseError));
        return;
    }
    // Message 1 is in the clear; the answer to a changed one does not open.
    read(&mut reader, forged).unwrap();
    let answer = write(&mut reader, b"").unwrap();
    assert_eq!(read(&mut writer, &answer), Err(NoiseError), "{cipher:?} {step} {forged:x?}");
}

#[test]
fn a_message_cut_short_or_with_a_tail_ends_the_handshake() {
    for (cipher, step) in ciphers().into_iter().flat_map(|cipher| [(cipher, 1), (cipher, 2)]) {
        let (mut writer, _) = sides_with(cipher, step);
        let message = write(&mut writer, b"payload").unwrap();
        let mut longer = message.clone();
        longer.push(0);
        let cuts = (0..message.len()).map(|len| &message[..len]);
        for wrong in cuts.chain([longer.as_slice()]) {
            let (_, mut reader) = sides_with(cipher, step);
            assert!(read(&mut reader, wrong).is_err(), "{cipher:?} {step}, {}", wrong.len());
            assert_eq!(read(&mut reader, &message), Err(NoiseError));
        }
    }
    for len in 0..32 {
        let (_, mut reader) = sides_before(0);
        assert_eq!(read(&mut reader, &[9; 32][..len]), Err(NoiseError));
    }
}

#[test]
fn another_prologue_ends_the_handshake() {
    let mut initiator = handshake_with(USUAL, Role::Initiator, b"prologue");
    let mut responder = handshake_with(USUAL, Role::Responder, b"prologuf");
    let message = write(&mut initiator, b"").unwrap();
    read(&mut responder, &message).unwrap();
    let answer = write(&mut responder, b"").unwrap();
    assert_eq!(read(&mut initiator, &answer), Err(NoiseError));
}

/// The encodings of all points of small order, and u = 0 and 1 not reduced.
#[test]
fn an_ephemeral_key_of_low_order_ends_the_handshake() {
    let high = |first: u8| {
        let mut bytes = [0xff; 32];
        bytes[0] = first;
        bytes[31] = 0x7f;
        bytes
    };
    let mut one = [0; 32];
    one[0] = 1;
    for public in [[0; 32], one, high(0xec), high(0xed), high(0xee)] {
        let mut responder = handshake(Role::Responder);
        read(&mut responder, &public).unwrap();
        assert_eq!(write(&mut responder, b""), Err(NoiseError), "{public:?}");
        assert_eq!(write(&mut responder, b""), Err(NoiseError));
    }
}

#[test]
fn a_wrong_length_is_an_error_and_final() {
    let too_long = vec![0; MAX_MESSAGE + 1];
    let mut initiator = handshake(Role::Initiator);
    let mut out = vec![0; MAX_MESSAGE + MAX_OVERHEAD];
    let payload = &too_long[..MAX_MESSAGE - MAX_OVERHEAD + 1];
    assert_eq!(initiator.write(payload, &mut out), Err(NoiseError));
    assert_eq!(initiator.write(b"", &mut out), Err(NoiseError));

    let mut responder = handshake(Role::Responder);
    assert_eq!(responder.read(&too_long, &mut out), Err(NoiseError));
    assert_eq!(responder.read(&[9; 32], &mut out), Err(NoiseError));
    assert!(!responder.is_finished());
    assert_eq!(responder.split().err(), Some(NoiseError));
}

#[test]
fn the_longest_payload_fits_every_message() {
    let payload = vec![0xA5; MAX_MESSAGE - MAX_OVERHEAD];
    let mut sides = [handshake(Role::Initiator), handshake(Role::Responder)];
    for step in 0..3 {
        let message = write(&mut sides[step % 2], &payload).unwrap();
        assert!(message.len() <= MAX_MESSAGE);
        assert_eq!(read(&mut sides[(step + 1) % 2], &message).unwrap(), payload);
    }
}

/// snow would panic on some of these.
#[test]
fn no_buffer_is_too_small_to_be_refused() {
    for step in 0..3 {
        for len in 0..7 + MAX_OVERHEAD {
            let (mut writer, _) = sides_before(step);
            let outcome = writer.write(b"payload", &mut vec![0; len]);
            assert_eq!(outcome, Err(NoiseError), "{step}, {len}");
        }
        let (mut writer, _) = sides_before(step);
        let message = write(&mut writer, b"payload").unwrap();
        for len in 0..message.len() {
            let (_, mut reader) = sides_before(step);
            let outcome = reader.read(&message, &mut vec![0; len]);
            assert_eq!(outcome, Err(NoiseError), "{step}, {len}");
        }
    }
}

#[test]
fn out_of_turn_is_an_error_and_final() {
    for step in 0..3 {
        let (mut writer, mut reader) = sides_before(step);
        assert_eq!(read(&mut writer, &[9; 200]), Err(NoiseError));
        assert_eq!(write(&mut writer, b""), Err(NoiseError));
        assert_eq!(write(&mut reader, b""), Err(NoiseError));
        assert_eq!(read(&mut reader, &[9; 200]), Err(NoiseError));
        let (writer, reader) = sides_before(step);
        assert_eq!(writer.split().err(), Some(NoiseError));
        assert_eq!(reader.split().err(), Some(NoiseError));
    }
    let (mut initiator, mut responder) = sides_before(2);
    let message = write(&mut initiator, b"").unwrap();
    read(&mut responder, &message).unwrap();
    assert_eq!(write(&mut responder, b""), Err(NoiseError));
    assert_eq!(read(&mut initiator, &message), Err(NoiseError));
}

#[test]
fn the_same_seed_makes_the_same_messages() {
    let first = |_| write(&mut handshake(Role::Initiator), b"").unwrap();
    assert_eq!(first(()), first(()));
    let pair = KeyPair::new(PROVIDER, &key(Role::Initiator, true));
    assert_eq!(first(()), pair.public());
}

#[test]
fn the_ephemeral_key_is_given_out_once() {
    use snow::resolvers::CryptoResolver;

    let static_key = KeyPair::new(PROVIDER, &[7; 32]);
    let resolver = resolver::Resolver::new(PROVIDER, SUITE, &static_key, &KeyPair::new(PROVIDER, &[8; 32]));
    let mut rng = resolver.resolve_rng().unwrap();
    let mut bytes = [0; 32];
    assert_eq!(rng.try_fill_bytes(&mut bytes[..31]), Err(snow::Error::Rng));
    assert_eq!(rng.try_fill_bytes(&mut bytes), Ok(()));
    assert_eq!(bytes, [8; 32]);
    assert_eq!(rng.try_fill_bytes(&mut bytes), Err(snow::Error::Rng));
}

#[test]
fn debug_shows_no_keys() {
    let (ciphers, _) = established(USUAL);
    let shown = alloc::format!("{:?} {:?}", handshake(Role::Initiator), ciphers.send);
    assert_eq!(shown, "Handshake { role: Initiator, .. } CipherState { n: 0, .. }");
}

/// Counts what is dear.
struct Counting {
    public: AtomicUsize,
    shared: AtomicUsize,
}

impl Primitives for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn suites(&self) -> u16 {
        PROVIDER.primitives().suites()
    }

    fn key_pair(&self, private: &[u8; 32]) -> KeyPair {
        self.public.fetch_add(1, Ordering::Relaxed);
        KeyPair::new(PROVIDER, private)
    }

    fn x25519(&self, own: &KeyPair, public: &[u8; 32]) -> Result<[u8; 32], LowOrder> {
        self.shared.fetch_add(1, Ordering::Relaxed);
        PROVIDER.primitives().x25519(own, public)
    }

    fn aead(&self, suite: Suite, key: &[u8; 32]) -> Option<Box<dyn Aead>> {
        PROVIDER.primitives().aead(suite, key)
    }

    fn sha256(&self) -> Box<dyn Hash256> {
        PROVIDER.primitives().sha256()
    }

    fn sign(&self, key: &SigningKey, message: &[u8]) -> [u8; 64] {
        PROVIDER.primitives().sign(key, message)
    }

    fn verify(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        PROVIDER.primitives().verify(public, message, signature)
    }
}

#[test]
fn noise_pays_for_three_scalar_multiplications_and_derives_no_key_again() {
    let counting: &Counting =
        Box::leak(Box::new(Counting { public: AtomicUsize::new(0), shared: AtomicUsize::new(0) }));
    let static_key = KeyPair::new(PROVIDER, &key(Role::Initiator, false));
    let provider = Provider::from_primitives(counting);
    let ephemeral = KeyPair::new(PROVIDER, &key(Role::Initiator, true));
    let mut initiator =
        Handshake::new(Role::Initiator, provider, SUITE, &static_key, &ephemeral, b"prologue").unwrap();
    let mut responder = handshake(Role::Responder);
    let message = write(&mut initiator, b"").unwrap();
    read(&mut responder, &message).unwrap();
    let message = write(&mut responder, b"").unwrap();
    read(&mut initiator, &message).unwrap();
    let message = write(&mut initiator, b"").unwrap();
    read(&mut responder, &message).unwrap();
    assert_eq!(counting.public.load(Ordering::Relaxed), 0, "both pairs were made before");
    assert_eq!(counting.shared.load(Ordering::Relaxed), 3, "ee, es, se");
}
