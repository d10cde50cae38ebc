//! `tests/vectors/encoding.json` and `payloads.json`, against the decoders alone.

use alloc::vec::Vec;

use super::encoded;
use crate::tests::{number, unhex, vectors};
use crate::wire::message::{Message, WireError};
use crate::wire::payload::Payload;

/// The messages of a plaintext, and how many stand before the first that is refused.
fn decode(mut plaintext: &[u8]) -> (Vec<Message<'_>>, Option<WireError>) {
    let mut messages = Vec::new();
    while !plaintext.is_empty() {
        match Message::decode(plaintext) {
            Ok((message, len)) => {
                messages.push(message);
                plaintext = &plaintext[len..];
            }
            Err(error) => return (messages, Some(error)),
        }
    }
    (messages, None)
}

/// ENC-1 to ENC-7, ENC-9, MSG-1
#[test]
fn plaintexts() {
    let mut counts = [0; 2];
    for vector in vectors("encoding") {
        let plaintext = vector.bytes("plaintext");
        let (messages, error) = decode(&plaintext);
        let id = vector.id();
        counts[usize::from(vector.is_accepted())] += 1;
        if !vector.is_accepted() {
            assert!(error.is_some(), "{id} is taken: {messages:?}");
            assert_eq!(messages.len() as u64, vector.number("first_bad"), "{id}");
            continue;
        }
        assert_eq!(error, None, "{id}");
        let expected = vector.field("messages").as_array().unwrap();
        assert_eq!(messages.len(), expected.len(), "{id}");
        // What has nothing that is ignored comes out again.
        let ignored = |message: &Message<'_>| *message == Message::Ignorable;
        let again: Vec<u8> = messages.iter().flat_map(|message| encoded(*message)).collect();
        if !messages.iter().any(ignored) && !id.ends_with("-longer") && !id.ends_with("-ninth") {
            assert_eq!(again, plaintext, "{id}");
        }
    }
    assert!(counts[0] > 150 && counts[1] > 80, "{counts:?}");
}

/// HSK-6, HSK-7, HSK-8
#[test]
fn payloads() {
    for vector in vectors("payloads") {
        let payload = vector.bytes("payload");
        let decoded = Payload::decode(&payload);
        assert_eq!(decoded.is_ok(), vector.is_accepted(), "{}: {decoded:?}", vector.id());
        let Ok(Payload { identity, proof, limits }) = decoded else { continue };
        let fields = vector.field("fields");
        assert_eq!(
            (identity.to_vec(), proof.to_vec()),
            (unhex(&fields["identity"]), unhex(&fields["proof"]))
        );
        let numbers = [
            ("max_frame", limits.max_frame.into()),
            ("max_requests", limits.max_requests.into()),
            ("max_subscriptions", limits.max_subscriptions.into()),
            ("window", limits.window.into()),
            ("silence", limits.silence_ms.into()),
            ("features", limits.features),
        ];
        for (name, value) in numbers {
            assert_eq!(number(&fields[name]), value, "{}: {name}", vector.id());
        }
    }
}
