//! What the tests of the modules share: the providers, and the vectors of `tests/vectors`.

use alloc::string::String;
use alloc::vec::Vec;
use std::{format, fs};

use serde_json::Value;

use crate::crypto::{Provider, Suite};

#[cfg(not(feature = "aws-lc"))]
pub(crate) const PROVIDERS: [Provider; 1] = [Provider::rust_crypto()];
#[cfg(feature = "aws-lc")]
pub(crate) const PROVIDERS: [Provider; 2] = [Provider::rust_crypto(), Provider::aws_lc()];

/// A suite, and whose it is.
pub(crate) type Cipher = (Provider, Suite);

/// Each suite of each provider.  Without the feature `aws-lc`, or on a processor without AES, nobody has the second one.
pub(crate) fn ciphers() -> Vec<Cipher> {
    let all: Vec<Cipher> = PROVIDERS
        .into_iter()
        .flat_map(|provider| [Suite::ChaChaPoly, Suite::AesGcm].map(|suite| (provider, suite)))
        .filter(|(provider, suite)| provider.suites() & suite.bit() != 0)
        .collect();
    // Whoever goes through this list has tried the mandatory suite of each.
    let mandatory = all.iter().filter(|(_, suite)| *suite == Suite::ChaChaPoly);
    assert_eq!(mandatory.count(), PROVIDERS.len());
    all
}

/// The vectors of one file.
pub(crate) fn vectors(name: &str) -> Vec<Vector> {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let vectors: Vec<_> = file["vectors"].as_array().unwrap().iter().cloned().map(Vector).collect();
    assert!(!vectors.is_empty(), "{name} is empty");
    vectors
}

pub(crate) struct Vector(Value);

impl Vector {
    pub(crate) fn id(&self) -> &str {
        self.0["id"].as_str().unwrap()
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.0["result"] == "accepted"
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.0.get(field).is_some()
    }

    pub(crate) fn field(&self, field: &str) -> &Value {
        &self.0[field]
    }

    pub(crate) fn bytes(&self, field: &str) -> Vec<u8> {
        unhex(&self.0[field])
    }

    pub(crate) fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap()
    }

    pub(crate) fn number(&self, field: &str) -> u64 {
        number(&self.0[field])
    }
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value["uint"].as_str().unwrap().parse().unwrap())
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    let text: String = value.as_str().unwrap().into();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
