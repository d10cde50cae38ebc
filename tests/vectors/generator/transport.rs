//! Frames by key and nonce.  SPEC §7

use serde_json::{Value, json};
use snow::params::CipherChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::Cipher;

use crate::messages::{hex, uint};
use crate::setups::counting_from;

/// snow's cipher with this key.
fn cipher(key: &[u8; 32]) -> Box<dyn Cipher> {
    let mut cipher = DefaultResolver.resolve_cipher(&CipherChoice::ChaChaPoly).expect("known");
    cipher.set(key);
    cipher
}

fn seal(key: &[u8; 32], n: u64, plaintext: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0; plaintext.len() + 16];
    let len = cipher(key).encrypt(n, &[], plaintext, &mut sealed);
    sealed.truncate(len);
    sealed
}

/// What `Rekey()` makes: the first half of 32 zero bytes, sealed under the last nonce.
fn rekeyed(key: &[u8; 32]) -> [u8; 32] {
    seal(key, u64::MAX, &[0; 32])[..32].try_into().expect("48 bytes")
}

fn vector(id: &str, title: &str, spec: &[&str], key: &[u8; 32], n: u64, plaintext: &[u8]) -> Value {
    json!({
        "id": format!("transport/{id}"), "title": title, "spec": spec, "result": "accepted",
        "key": hex(key), "n": uint(n), "plaintext": hex(plaintext), "ciphertext": hex(&seal(key, n, plaintext)),
    })
}

pub fn vectors() -> Vec<Value> {
    let key = counting_from(0x40);
    let (second, third) = (rekeyed(&key), rekeyed(&rekeyed(&key)));
    let ping = [0x82, 3, 1];
    let spec = ["TRN-1", "§7"];
    let rekey = ["TRN-2", "§7"];
    let mut all = vec![
        vector("first", "the first frame", &spec, &key, 0, &ping),
        vector("second", "the second frame", &spec, &key, 1, &ping),
        vector("n-256", "a nonce of two bytes", &spec, &key, 256, &ping),
        vector("two-byte", "the shortest message", &spec, &key, 2, &[0x81, 0x14]),
        vector("longest", "a long plaintext", &spec, &key, 3, &[0x5a; 1_000]),
        vector("before-rekey", "the last frame before the key changes", &rekey, &key, 65_535, &ping),
        vector("after-rekey", "the first frame behind it: n goes on", &rekey, &second, 65_536, &ping),
        vector("before-second-rekey", "the last frame of the second key", &rekey, &second, 131_071, &ping),
        vector("after-second-rekey", "the first frame of the third", &rekey, &third, 131_072, &ping),
        vector("n-2-32", "a nonce of five bytes", &spec, &third, 1 << 32, &ping),
        vector("last", "the last nonce that there is", &["§7"], &third, u64::MAX - 1, &ping),
    ];
    for (name, from, to) in [("rekey", key, second), ("second-rekey", second, third)] {
        all.push(json!({
            "id": format!("transport/{name}"), "title": "what Rekey makes of a key", "spec": rekey, "result": "accepted",
            "key": hex(&from), "rekeyed": hex(&to),
        }));
    }
    let sealed = seal(&key, 0, &ping);
    let mut refused = |id: String, title: &str, key: &[u8; 32], n: u64, ciphertext: &[u8]| {
        all.push(json!({
            "id": format!("transport/{id}"), "title": title, "spec": spec, "result": "refused",
            "key": hex(key), "n": uint(n), "ciphertext": hex(ciphertext),
        }));
    };
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 0x80;
        refused(format!("changed-{place}"), "a bit changed", &key, 0, &changed);
    }
    refused("cut".into(), "a byte less", &key, 0, &sealed[..sealed.len() - 1]);
    refused("longer".into(), "a byte more", &key, 0, &[&sealed[..], &[0]].concat());
    refused("other-nonce".into(), "under the next nonce", &key, 1, &sealed);
    refused("other-key".into(), "under the key of the other direction", &second, 0, &sealed);
    refused("tag-only".into(), "shorter than a tag", &key, 0, &sealed[..15]);
    all
}
