//! snow's primitives, with keys that a test replaces.

use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};

/// snow's own primitives, but for the public keys that a test replaces.
pub struct Keys {
    /// Of the static and of the ephemeral key.
    pub replaced: [Option<[u8; 32]>; 2],
    pub zero: bool,
    /// snow asks for the static key pair first.
    pub given: std::cell::Cell<usize>,
}

impl CryptoResolver for Keys {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(NoRandom))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        let inner = DefaultResolver.resolve_dh(choice)?;
        let public = self.replaced[self.given.replace(1)];
        Some(Box::new(ReplacedKey { inner, zero: self.zero && public.is_some(), public }))
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// Never asked: the ephemeral key is given.
struct NoRandom;

impl Random for NoRandom {
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), snow::Error> {
        Err(snow::Error::Rng)
    }
}

struct ReplacedKey {
    inner: Box<dyn Dh>,
    zero: bool,
    public: Option<[u8; 32]>,
}

impl Dh for ReplacedKey {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn pub_len(&self) -> usize {
        self.inner.pub_len()
    }

    fn priv_len(&self) -> usize {
        self.inner.priv_len()
    }

    fn set(&mut self, private: &[u8]) {
        self.inner.set(private);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        self.inner.generate(rng)
    }

    fn pubkey(&self) -> &[u8] {
        self.public.as_ref().map_or_else(|| self.inner.pubkey(), <[u8; 32]>::as_slice)
    }

    fn privkey(&self) -> &[u8] {
        self.inner.privkey()
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        if self.zero {
            out[..32].fill(0);
            return Ok(());
        }
        self.inner.dh(public, out)
    }
}

/// The X25519 public key of a private one.
pub fn public_of(private: &[u8; 32]) -> [u8; 32] {
    let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("known");
    dh.set(private);
    dh.pubkey().try_into().expect("32 bytes")
}
