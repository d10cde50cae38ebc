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

    fn handshake(&self, role: Role) -> Handshake {
        let side = if role.is_initiator() { "init_" } else { "resp_" };
        let static_key = KeyPair::new(PROVIDER, &self.key(side, "static"));
        let prologue = self.bytes(side, "prologue").unwrap();
        let ephemeral = KeyPair::new(PROVIDER, &self.key(side, "ephemeral"));
        Handshake::new(role, PROVIDER, SUITE, &static_key, &ephemeral, &prologue).unwrap()
    }

    fn snow(&self, role: Role) -> HandshakeState {
        let side = if role.is_initiator() { "init_" } else { "resp_" };
        let own = self.bytes(side, "static");
        // A pattern without a static key does not ask for the one that the resolver knows.
        let known = own.clone().map_or([1; 32], |key| key.try_into().unwrap());
        let resolver = resolver::Resolver::new(
            PROVIDER,
            SUITE,
            &KeyPair::new(PROVIDER, &known),
            &KeyPair::new(PROVIDER, &self.key(side, "ephemeral")),
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
    let vector = all.iter().find(|vector| vector.name() == SUITE.noise_name()).unwrap();
    let mut sides = [vector.handshake(Role::Initiator), vector.handshake(Role::Responder)];
    let messages = vector.messages();
    for (step, (payload, ciphertext)) in messages[..3].iter().enumerate() {
        assert_eq!(write(&mut sides[step % 2], payload).as_ref(), Ok(ciphertext));
        assert_eq!(read(&mut sides[(step + 1) % 2], ciphertext).as_ref(), Ok(payload));
    }
    let mut sides = sides.map(|side| side.split().unwrap());
    assert!(sides.iter().all(|side| side.hash == *vector.hash()));
    for (step, (payload, ciphertext)) in messages.iter().enumerate().skip(3) {
        let mut buf = payload.clone();
        buf.resize(payload.len() + 16, 0);
        sides[step % 2].send.seal(&mut buf).unwrap();
        assert_eq!(&buf, ciphertext);
        let len = sides[(step + 1) % 2].receive.open(&mut buf).unwrap();
        assert_eq!(&buf[..len], payload);
    }
}

#[test]
fn other_patterns_make_the_published_bytes_over_our_primitives() {
    for vector in Vector::all() {
        let mut sides = [vector.snow(Role::Initiator), vector.snow(Role::Responder)];
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
}
