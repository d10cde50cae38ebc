//! Published vectors: XX through our own types, other patterns through the resolver alone.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde_json::Value;

use super::*;

struct Vector(Value);

impl Vector {
    fn all() -> Vec<Self> {
        let file: Value = serde_json::from_str(include_str!("../../../tests/data/noise-xx.json")).unwrap();
        file["vectors"].as_array().unwrap().iter().cloned().map(Self).collect()
    }

    fn name(&self) -> &str {
        self.0["protocol_name"].as_str().unwrap()
    }

    fn bytes(&self, side: &str, field: &str) -> Option<Vec<u8>> {
        self.0.get(String::from(side) + field).map(decode)
    }

    fn key(&self, side: &str, field: &str) -> [u8; 32] {
        self.bytes(side, field).unwrap().try_into().unwrap()
    }

    fn hash(&self) -> Vec<u8> {
        decode(&self.0["handshake_hash"])
    }

    fn messages(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let messages = self.0["messages"].as_array().unwrap();
        messages.iter().map(|m| (decode(&m["payload"]), decode(&m["ciphertext"]))).collect()
    }

    /// Those who have its suite.
    fn ciphers(&self) -> Vec<Cipher> {
        let is_ours = |suite: &Suite| self.name().rsplit('_').nth(1) == suite.noise_name().rsplit('_').nth(1);
        ciphers().into_iter().filter(|(_, suite)| is_ours(suite)).collect()
    }

    fn handshake(&self, (provider, suite): Cipher, role: Role) -> Handshake {
        let side = if role.is_initiator() { "init_" } else { "resp_" };
        let static_key = KeyPair::new(provider, &self.key(side, "static"));
        let prologue = self.bytes(side, "prologue").unwrap();
        let ephemeral = KeyPair::new(provider, &self.key(side, "ephemeral"));
        Handshake::new(role, provider, suite, &static_key, &ephemeral, &prologue).unwrap()
    }

    fn snow(&self, (provider, suite): Cipher, role: Role) -> HandshakeState {
        let side = if role.is_initiator() { "init_" } else { "resp_" };
        let own = self.bytes(side, "static");
        // A pattern without a static key does not ask for the one that the resolver knows.
        let known = own.clone().map_or([1; 32], |key| key.try_into().unwrap());
        let resolver = resolver::Resolver::new(
            provider,
            suite,
            &KeyPair::new(provider, &known),
            &KeyPair::new(provider, &self.key(side, "ephemeral")),
        );
        let prologue = self.bytes(side, "prologue").unwrap();
        let remote = self.bytes(side, "remote_static");
        let psk: Option<[u8; 32]> =
            self.0.get(String::from(side) + "psks").map(|psks| decode(&psks[0]).try_into().unwrap());
        let mut builder = Builder::with_resolver(self.name().parse().unwrap(), Box::new(resolver))
            .prologue(&prologue)
            .unwrap();
        if let Some(own) = &own {
            builder = builder.local_private_key(own).unwrap();
        }
        if let Some(remote) = &remote {
            builder = builder.remote_public_key(remote).unwrap();
        }
        if let Some(psk) = &psk {
            builder = builder.psk(3, psk).unwrap();
        }
        match role {
            Role::Initiator => builder.build_initiator().unwrap(),
            Role::Responder => builder.build_responder().unwrap(),
        }
    }
}

fn decode(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn xx_makes_the_published_bytes() {
    let all = Vector::all();
    for cipher in ciphers() {
        let vector = all.iter().find(|vector| vector.name() == cipher.1.noise_name()).unwrap();
        xx_makes(vector, cipher);
    }
}

fn xx_makes(vector: &Vector, cipher: Cipher) {
    let mut sides = [Role::Initiator, Role::Responder].map(|role| vector.handshake(cipher, role));
    let messages = vector.messages();
    for (step, (payload, ciphertext)) in messages[..3].iter().enumerate() {
        assert_eq!(write(&mut sides[step % 2], payload).as_ref(), Ok(ciphertext), "{cipher:?}");
        assert_eq!(read(&mut sides[(step + 1) % 2], ciphertext).as_ref(), Ok(payload), "{cipher:?}");
    }
    let mut sides = sides.map(|side| side.split().unwrap());
    assert!(sides.iter().all(|side| side.hash == *vector.hash()));
    for (step, (payload, ciphertext)) in messages.iter().enumerate().skip(3) {
        let mut buf = payload.clone();
        buf.resize(payload.len() + 16, 0);
        sides[step % 2].send.seal(&mut buf, &[]).unwrap();
        assert_eq!(&buf, ciphertext, "{cipher:?}");
        let len = sides[(step + 1) % 2].receive.open(&mut buf).unwrap();
        assert_eq!(&buf[..len], payload, "{cipher:?}");
    }
}

#[test]
fn other_patterns_make_the_published_bytes_over_our_primitives() {
    for vector in Vector::all() {
        for cipher in vector.ciphers() {
            snow_makes(&vector, cipher);
        }
    }
}

fn snow_makes(vector: &Vector, cipher: Cipher) {
    let mut sides = [Role::Initiator, Role::Responder].map(|role| vector.snow(cipher, role));
    let messages = vector.messages();
    let mut step = 0;
    let mut buf = vec![0; 65_535];
    let mut text = vec![0; 65_535];
    while !sides[0].is_handshake_finished() {
        let (payload, ciphertext) = &messages[step];
        let len = sides[step % 2].write_message(payload, &mut buf).unwrap();
        assert_eq!(&buf[..len], ciphertext, "{}", vector.name());
        let len = sides[(step + 1) % 2].read_message(&buf[..len], &mut text).unwrap();
        assert_eq!(&text[..len], payload, "{}", vector.name());
        step += 1;
    }
    for side in &sides {
        assert_eq!(side.get_handshake_hash(), vector.hash(), "{}", vector.name());
    }
    let mut sides = sides.map(|side| side.into_transport_mode().unwrap());
    for (step, (payload, ciphertext)) in messages.iter().enumerate().skip(step) {
        let len = sides[step % 2].write_message(payload, &mut buf).unwrap();
        assert_eq!(&buf[..len], ciphertext, "{}", vector.name());
        let len = sides[(step + 1) % 2].read_message(&buf[..len], &mut text).unwrap();
        assert_eq!(&text[..len], payload, "{}", vector.name());
    }
}
