//! Against snow with its own primitives and its own transport: other code from the curve to the cipher.

use alloc::vec;

use proptest::prelude::*;
use snow::TransportState;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types;

use super::*;

/// snow's own resolver, but for the generator: the tests are the same every time.
struct Reference([u8; 32]);

impl CryptoResolver for Reference {
    fn resolve_rng(&self) -> Option<Box<dyn types::Random>> {
        Some(Box::new(Fixed(self.0)))
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

struct Fixed([u8; 32]);

impl types::Random for Fixed {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        dest.copy_from_slice(&self.0);
        Ok(())
    }
}

fn reference(suite: Suite, role: Role, prologue: &[u8]) -> HandshakeState {
    let private = key(role, false);
    let resolver = Reference(key(role, true));
    let builder = Builder::with_resolver(suite.noise_name().parse().unwrap(), Box::new(resolver))
        .local_private_key(&private)
        .unwrap()
        .prologue(prologue)
        .unwrap();
    match role {
        Role::Initiator => builder.build_initiator().unwrap(),
        Role::Responder => builder.build_responder().unwrap(),
    }
}

/// Runs a handshake to its end, we being `role`.
fn finish(cipher: Cipher, role: Role, prologue: &[u8], payload: &[u8]) -> (Ciphers, HandshakeState) {
    let mut ours = handshake_with(cipher, role, prologue);
    let mut theirs = reference(cipher.1, !role, prologue);
    let mut buf = vec![0; 65_535];
    let mut text = vec![0; 65_535];
    let mut our_turn = role.is_initiator();
    for _ in 0..3 {
        let len = if our_turn {
            let len = ours.write(payload, &mut buf).unwrap();
            theirs.read_message(&buf[..len], &mut text).unwrap()
        } else {
            let len = theirs.write_message(payload, &mut buf).unwrap();
            ours.read(&buf[..len], &mut text).unwrap()
        };
        assert_eq!(&text[..len], payload);
        assert_eq!(ours.hash(), theirs.get_handshake_hash());
        our_turn = !our_turn;
    }
    assert_eq!(ours.remote_static().unwrap(), *KeyPair::new(PROVIDER, &key(!role, false)).public());
    (ours.split().unwrap(), theirs)
}

fn exchange(ours: &mut Ciphers, theirs: &mut TransportState, payload: &[u8]) {
    let mut text = vec![0; payload.len() + 16];
    let mut buf = vec![0; payload.len() + 16];
    buf[..payload.len()].copy_from_slice(payload);
    ours.send.seal(&mut buf, &[]).unwrap();
    let len = theirs.read_message(&buf, &mut text).unwrap();
    assert_eq!(&text[..len], payload);

    let len = theirs.write_message(payload, &mut buf).unwrap();
    let len = ours.receive.open(&mut buf[..len]).unwrap();
    assert_eq!(&buf[..len], payload);
}

/// snow's stateless transport takes the nonce from us, so the frames between the rekeys can be left out.
#[test]
fn we_rekey_as_snow_does() {
    for cipher in ciphers() {
        for role in [Role::Initiator, Role::Responder] {
            rekeys_as_snow_does(cipher, role);
        }
    }
}

fn rekeys_as_snow_does(cipher: Cipher, role: Role) {
    let (mut ours, theirs) = finish(cipher, role, b"", b"");
    let mut theirs = theirs.into_stateless_transport_mode().unwrap();
    for interval in 1..=3 {
        let boundary = interval * REKEY_INTERVAL;
        ours.send.start_at(boundary - 2);
        ours.receive.start_at(boundary - 2);
        for n in boundary - 2..boundary + 2 {
            if n == boundary {
                theirs.rekey_outgoing();
                theirs.rekey_incoming();
            }
            let mut text = [0; 20];
            let mut buf = [0x5A; 20];
            ours.send.seal(&mut buf, &[]).unwrap();
            assert_eq!(theirs.read_message(n, &buf, &mut text), Ok(4), "{cipher:?} {n}");
            assert_eq!(theirs.write_message(n, &text[..4], &mut buf), Ok(20));
            assert_eq!(ours.receive.open(&mut buf), Ok(4), "{cipher:?} {n}");
            assert_eq!(buf[..4], [0x5A; 4]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn we_talk_with_snow_in_both_roles(
        initiator: bool,
        prologue in prop::collection::vec(any::<u8>(), 0..64),
        payload in prop::collection::vec(any::<u8>(), 0..512),
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2048), 0..8),
    ) {
        let role = if initiator { Role::Initiator } else { Role::Responder };
        for cipher in ciphers() {
            let (mut ours, theirs) = finish(cipher, role, &prologue, &payload);
            let mut theirs = theirs.into_transport_mode().unwrap();
            for frame in &frames {
                exchange(&mut ours, &mut theirs, frame);
            }
        }
    }
}
