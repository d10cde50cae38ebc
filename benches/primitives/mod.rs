//! The physical limits: what each provider's primitives cost when nothing but them is called.
//!
//! A provider is one entry of [`ALL`].

#![allow(dead_code, reason = "each bench uses its part")]

#[cfg(feature = "aws-lc")]
mod aws_lc;
mod rust_crypto;

use std::hint::black_box;

use rust_crypto::ChaChaPoly;
use symbolon::Provider;

pub const TAG: usize = 16;
/// What stands before a frame.
pub const LENGTH: usize = 2;

/// A provider, and its primitives called bare.
pub struct Primitives {
    /// As it stands in the names of benches.
    pub name: &'static str,
    pub provider: fn() -> Provider,
    /// The cipher of the suite that two devices with this provider agree about.
    pub cipher: fn(key: [u8; 32]) -> Box<dyn Cipher>,
    /// The operations on curves that both sides of one handshake cannot do without.
    pub handshake: fn() -> Box<dyn FnMut()>,
}

pub const ALL: &[Primitives] = &[
    Primitives {
        name: "rust_crypto",
        provider: Provider::rust_crypto,
        cipher: |key| Box::new(ChaChaPoly::new(&key)),
        handshake: rust_crypto::handshake,
    },
    // AES-256-GCM where the processor has it.
    #[cfg(feature = "aws-lc")]
    Primitives {
        name: "aws_lc",
        provider: Provider::aws_lc,
        cipher: |key| aws_lc::cipher(Provider::aws_lc(), key),
        handshake: aws_lc::handshake,
    },
    #[cfg(feature = "aws-lc")]
    Primitives {
        name: "aws_lc_chacha",
        provider: || Provider::aws_lc().without_aes(),
        cipher: |key| aws_lc::cipher(Provider::aws_lc().without_aes(), key),
        handshake: aws_lc::handshake,
    },
];

/// An authenticated cipher that works where the bytes lie.
pub trait Cipher {
    fn seal(&self, nonce: u64, text: &mut [u8]) -> [u8; TAG];
    /// Panics where the tag is not the right one.
    fn open(&self, nonce: u64, text: &mut [u8], tag: &[u8; TAG]);
}

/// Frames sealed and opened in place by one bare cipher.
pub struct Frames {
    cipher: Box<dyn Cipher>,
    texts: Vec<Vec<u8>>,
    tags: Vec<[u8; TAG]>,
    /// Of the first frame.
    nonce: u64,
}

impl Frames {
    /// `lengths` are those of whole frames, with their length prefix and tag.
    pub fn new(primitives: &Primitives, lengths: &[usize]) -> Self {
        let texts: Vec<_> = lengths.iter().map(|length| vec![0x55; length - LENGTH - TAG]).collect();
        let tags = vec![[0; TAG]; texts.len()];
        Self { cipher: (primitives.cipher)(key(5)), texts, tags, nonce: 0 }
    }

    pub fn seal(&mut self) {
        for ((nonce, text), tag) in (self.nonce..).zip(&mut self.texts).zip(&mut self.tags) {
            *tag = self.cipher.seal(nonce, black_box(text));
        }
    }

    /// Opens what was sealed last.
    pub fn open(&mut self) {
        for ((nonce, text), tag) in (self.nonce..).zip(&mut self.texts).zip(&self.tags) {
            self.cipher.open(nonce, black_box(text), black_box(tag));
        }
        self.nonce += self.texts.len() as u64;
    }

    pub fn run(&mut self) {
        self.seal();
        self.open();
    }
}

pub fn key(n: u8) -> [u8; 32] {
    std::array::from_fn(|i| n.wrapping_mul(31) ^ (i as u8).wrapping_mul(7))
}
