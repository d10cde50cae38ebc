//! Frames by suite, key and nonce.  SPEC §7

use serde_json::{Value, json};

use crate::cipher::Suite;
use crate::messages::{hex, uint};
use crate::setups::counting_from;

/// Each is tried under both suites: `transport/first` and `transport/aes-first`.
pub fn vectors() -> Vec<Value> {
    [Suite::ChaChaPoly, Suite::AesGcm].into_iter().flat_map(of_suite).collect()
}

const PING: [u8; 3] = [0x82, 3, 1];
const FRAME: [&str; 2] = ["TRN-1", "§7"];
const REKEY: [&str; 2] = ["TRN-2", "§7"];

fn of_suite(suite: Suite) -> Vec<Value> {
    let key = counting_from(0x40);
    let second = suite.rekeyed(&key);
    let third = suite.rekeyed(&second);
    let mut all = accepted(suite, &[key, second, third]);
    for (name, from, to) in [("rekey", key, second), ("second-rekey", second, third)] {
        let mut vector = vector(suite, name, "what Rekey makes of a key", &REKEY, &from);
        vector["rekeyed"] = hex(&to).into();
        all.push(vector);
    }
    all.extend(refused(suite, &key, &second));
    all
}

fn vector(suite: Suite, name: &str, title: &str, spec: &[&str], key: &[u8; 32]) -> Value {
    let prefix = match suite {
        Suite::ChaChaPoly => "",
        Suite::AesGcm => "aes-",
    };
    json!({
        "id": format!("transport/{prefix}{name}"), "title": title, "spec": spec, "result": "accepted",
        "suite": suite as u64, "key": hex(key),
    })
}

fn accepted(suite: Suite, [first, second, third]: &[[u8; 32]; 3]) -> Vec<Value> {
    let frame = |name: &str, title: &str, spec: &[&str], key: &[u8; 32], n: u64, plaintext: &[u8]| {
        let mut vector = vector(suite, name, title, spec, key);
        vector["n"] = uint(n);
        vector["plaintext"] = hex(plaintext).into();
        vector["ciphertext"] = hex(&suite.seal(key, n, plaintext)).into();
        vector
    };
    vec![
        frame("first", "the first frame", &FRAME, first, 0, &PING),
        frame("second", "the second frame", &FRAME, first, 1, &PING),
        frame("n-256", "a nonce of two bytes", &FRAME, first, 256, &PING),
        frame("two-byte", "the shortest message", &FRAME, first, 2, &[0x81, 0x14]),
        frame("longest", "a long plaintext", &FRAME, first, 3, &[0x5a; 1_000]),
        frame("before-rekey", "the last frame before the key changes", &REKEY, first, 65_535, &PING),
        frame("after-rekey", "the first frame behind it: n goes on", &REKEY, second, 65_536, &PING),
        frame("before-second-rekey", "the last frame of the second key", &REKEY, second, 131_071, &PING),
        frame("after-second-rekey", "the first frame of the third", &REKEY, third, 131_072, &PING),
        frame("n-2-32", "a nonce of five bytes", &FRAME, third, 1 << 32, &PING),
        frame("last", "the last nonce that there is", &["§7"], third, u64::MAX - 1, &PING),
    ]
}

fn refused(suite: Suite, key: &[u8; 32], second: &[u8; 32]) -> Vec<Value> {
    let sealed = suite.seal(key, 0, &PING);
    let forged = |name: &str, title: &str, key: &[u8; 32], n: u64, ciphertext: &[u8]| {
        let mut vector = vector(suite, name, title, &FRAME, key);
        vector["result"] = "refused".into();
        vector["n"] = uint(n);
        vector["ciphertext"] = hex(ciphertext).into();
        vector
    };
    let changed = (0..sealed.len()).map(|place| {
        let mut changed = sealed.clone();
        changed[place] ^= 0x80;
        forged(&format!("changed-{place}"), "a bit changed", key, 0, &changed)
    });
    let mut all: Vec<Value> = changed.collect();
    all.push(forged("cut", "a byte less", key, 0, &sealed[..sealed.len() - 1]));
    all.push(forged("longer", "a byte more", key, 0, &[&sealed[..], &[0]].concat()));
    all.push(forged("other-nonce", "under the next nonce", key, 1, &sealed));
    all.push(forged("other-key", "under the key of the other direction", second, 0, &sealed));
    all.push(forged("tag-only", "shorter than a tag", key, 0, &sealed[..15]));
    if suite == Suite::AesGcm {
        let little = suite.seal(key, 256_u64.swap_bytes(), &PING);
        all.push(forged("little-endian", "under the nonce of the other suite's order", key, 256, &little));
        let other = Suite::ChaChaPoly.seal(key, 0, &PING);
        all.push(forged("other-suite", "by the cipher of the other suite", key, 0, &other));
    }
    all
}
