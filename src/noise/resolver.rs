//! What snow asks for, made of a provider's primitives.

use alloc::boxed::Box;
use core::cell::Cell;

use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::{self, Aead, Hash256, KEY_LEN, KeyPair, Primitives, Provider, Suite, TAG_LEN};

/// Bytes of heap of all that snow asks for: a hash, two key pairs, three ciphers, and while it is being built a generator
/// and the resolver itself.
pub(super) const HEAP_MAX: usize = size_of::<Sha256>()
    + crypto::HASH
    + 2 * size_of::<X25519>()
    + crypto::PREPARED
    + 3 * (size_of::<AeadCipher>() + crypto::AEAD)
    + size_of::<OneShot>()
    + size_of::<Resolver>();

/// Gives snow exactly one suite, one static key and one ephemeral key.
pub(super) struct Resolver {
    primitives: &'static dyn Primitives,
    suite: Suite,
    static_key: KeyPair,
    ephemeral: KeyPair,
    /// Whether the place of the static key was given out.
    static_given: Cell<bool>,
}

impl Resolver {
    pub(super) fn new(provider: Provider, suite: Suite, static_key: &KeyPair, ephemeral: &KeyPair) -> Self {
        Self {
            primitives: provider.primitives(),
            suite,
            static_key: static_key.clone(),
            ephemeral: ephemeral.clone(),
            static_given: Cell::new(false),
        }
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(OneShot(Some(Zeroizing::new(*self.ephemeral.private())))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        match choice {
            DHChoice::Curve25519 => {
                // snow asks for the static key's place first, and sets a key before it uses one.  In another order all
                // would be the same, and two scalar multiplications slower.
                let is_static = !self.static_given.replace(true);
                let own = if is_static { &self.static_key } else { &self.ephemeral };
                Some(Box::new(X25519 { primitives: self.primitives, own: own.clone() }))
            }
            _ => None,
        }
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        match choice {
            HashChoice::SHA256 => Some(Box::new(Sha256(self.primitives.sha256()))),
            _ => None,
        }
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        let name = match (choice, self.suite) {
            (CipherChoice::ChaChaPoly, Suite::ChaChaPoly) => "ChaChaPoly",
            (CipherChoice::AESGCM, Suite::AesGcm) => "AESGCM",
            _ => return None,
        };
        // snow sets a key before it encrypts.
        let aead = self.primitives.aead(self.suite, &[0; KEY_LEN])?;
        Some(Box::new(AeadCipher { aead, name }))
    }
}

/// The ephemeral key as snow wants it: a generator. XX draws from it once; to give the same bytes again would be worse
/// than any error.
struct OneShot(Option<Zeroizing<[u8; KEY_LEN]>>);

impl Random for OneShot {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        if dest.len() != KEY_LEN {
            return Err(Error::Rng);
        }
        let seed = self.0.take().ok_or(Error::Rng)?;
        dest.copy_from_slice(seed.as_slice());
        Ok(())
    }
}

struct X25519 {
    primitives: &'static dyn Primitives,
    /// Until snow has set it the one that it will set, whose public part is known already: that spares a scalar
    /// multiplication.
    own: KeyPair,
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        KEY_LEN
    }

    fn priv_len(&self) -> usize {
        KEY_LEN
    }

    fn set(&mut self, privkey: &[u8]) {
        let mut private = Zeroizing::new([0; KEY_LEN]);
        private.copy_from_slice(privkey);
        // Compared with our own key, never with a peer's: the time it takes tells nobody anything.
        if self.own.private() != &*private {
            self.own = self.primitives.key_pair(&private);
        }
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut private = Zeroizing::new([0; KEY_LEN]);
        rng.try_fill_bytes(private.as_mut_slice())?;
        self.set(private.as_slice());
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.own.public()
    }

    fn privkey(&self) -> &[u8] {
        self.own.private()
    }

    /// snow's buffers have room for the longest curve it knows; both are longer than a key.
    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public = pubkey.first_chunk().ok_or(Error::Dh)?;
        let out = out.first_chunk_mut().ok_or(Error::Dh)?;
        let mut shared = self.primitives.x25519(&self.own, public).map_err(|_| Error::Dh)?;
        *out = shared;
        shared.zeroize();
        Ok(())
    }
}

struct AeadCipher {
    aead: Box<dyn Aead>,
    name: &'static str,
}

/// snow cannot take a "no" from `encrypt`: that `out` has room is what `Handshake::write` sees to.
impl Cipher for AeadCipher {
    fn name(&self) -> &'static str {
        self.name
    }

    fn set(&mut self, key: &[u8; KEY_LEN]) {
        self.aead.set_key(key);
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (text, rest) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        rest[..TAG_LEN].copy_from_slice(&self.aead.seal(nonce, authtext, text));
        plaintext.len() + TAG_LEN
    }

    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let (text, tag) = ciphertext.split_last_chunk().ok_or(Error::Decrypt)?;
        let out = out.get_mut(..text.len()).ok_or(Error::Decrypt)?;
        out.copy_from_slice(text);
        self.aead.open(nonce, authtext, out, tag).map_err(|_| Error::Decrypt)?;
        Ok(text.len())
    }
}

struct Sha256(Box<dyn Hash256>);

impl Hash for Sha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        KEY_LEN
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..KEY_LEN].copy_from_slice(&self.0.finalize());
    }
}
