//! The Noise XX handshake and the transport ciphers that come of it.
//!
//! Nothing outside this module names snow, which runs the handshake over the primitives of a
//! [`Provider`]. snow ends at Split: the two [`CipherState`]s are ours, since snow's can neither work
//! in place nor rekey by count.
//!
//! snow wipes nothing. What is handed to it through the resolver is wiped when dropped. Its chaining key is out of reach
//! and stays in the memory that it frees, until something else is put there: both keys of the connection follow from it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::panic::UnwindSafe;

use snow::params::{
    BaseChoice, CipherChoice, DHChoice, HandshakeChoice, HandshakeModifierList, HandshakePattern, HashChoice,
    NoiseParams,
};
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use crate::crypto::{self, KEY_LEN, KeyPair, Provider, Suite};
use crate::role::Role;

mod cipher;
mod resolver;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use cipher::REKEY_INTERVAL;
pub(crate) use cipher::{CipherState, Exhausted, OpenError};

/// The longest Noise message.
pub(crate) const MAX_MESSAGE: usize = 65_535;
/// What the longest of the three handshake messages adds to its payload: an ephemeral key, a static key, two tags.
pub(crate) const MAX_OVERHEAD: usize = 96;

/// Bytes of heap of a [`CipherState`].
pub(crate) const CIPHER: usize = crypto::AEAD;

/// Bytes of heap that a [`Handshake`] takes at most; the two ciphers that come of it take less.
pub(crate) const HEAP_MAX: usize = size_of::<HandshakeState>() + resolver::HEAP_MAX + NAME_LEN + PATTERN;

/// The tokens of its three messages, which snow keeps: one, four and two.
const PATTERN: usize = 3 * size_of::<Vec<u8>>() + 4 * 7;

/// The pattern's name, which snow keeps.
const NAME_LEN: usize = "Noise_XX_25519_ChaChaPoly_SHA256".len();

/// One side of a Noise XX handshake.
///
/// snow's calls are not transactional: one that failed may have moved part of the state. So the first error is the
/// last; it drops the state, and every later call fails.
pub(crate) struct Handshake {
    /// `None` after an error. Boxed: it is several hundred bytes, and gone after three messages.
    state: Option<Box<HandshakeState>>,
    provider: Provider,
    suite: Suite,
    role: Role,
    hash: [u8; KEY_LEN],
    remote_static: Option<[u8; KEY_LEN]>,
}

// snow keeps its primitives as trait objects, which hides that they are plain values. What a panic inside it could
// leave half done is a state that fails from then on.
impl UnwindSafe for Handshake {}

/// What a finished handshake leaves: a cipher for each direction, and the final handshake hash, which names the session.
#[derive(Debug)]
pub(crate) struct Ciphers {
    pub(crate) send: CipherState,
    pub(crate) receive: CipherState,
    pub(crate) hash: [u8; KEY_LEN],
}

impl Handshake {
    /// Begins a handshake. The ephemeral key must be fresh, which the caller has checked: see [`Seed`](crate::Seed).
    pub(crate) fn new(
        role: Role,
        provider: Provider,
        suite: Suite,
        static_key: &KeyPair,
        ephemeral: &KeyPair,
        prologue: &[u8],
    ) -> Result<Self, NoiseError> {
        let resolver = resolver::Resolver::new(provider, suite, static_key, ephemeral);
        let builder = Builder::with_resolver(params(suite), Box::new(resolver))
            .local_private_key(static_key.private())?
            .prologue(prologue)?;
        let state = match role {
            Role::Initiator => builder.build_initiator()?,
            Role::Responder => builder.build_responder()?,
        };
        let mut handshake = Self {
            state: Some(Box::new(state)),
            provider,
            suite,
            role,
            hash: [0; KEY_LEN],
            remote_static: None,
        };
        handshake.update_hash();
        Ok(handshake)
    }

    /// The handshake hash, over the prologue and all messages so far.
    pub(crate) const fn hash(&self) -> [u8; KEY_LEN] {
        self.hash
    }

    /// Writes the next message with `payload` in it and returns its length.
    ///
    /// `out` needs room for [`MAX_OVERHEAD`] bytes besides the payload, whichever message it is.
    pub(crate) fn write(&mut self, payload: &[u8], out: &mut [u8]) -> Result<usize, NoiseError> {
        // snow checks its own copies against `out` too late for the static key; with this much room none can fail.
        let fits = payload.len() <= MAX_MESSAGE - MAX_OVERHEAD && out.len() >= payload.len() + MAX_OVERHEAD;
        let mut state = self.take(fits)?;
        let written = state.write_message(payload, out);
        self.keep(state, written)
    }

    /// Reads the next message and returns the length of the payload, which is left in `out`.
    ///
    /// `out` needs as much room as the message. After an error nothing in it may be used.
    pub(crate) fn read(&mut self, message: &[u8], out: &mut [u8]) -> Result<usize, NoiseError> {
        let fits = message.len() <= MAX_MESSAGE && out.len() >= message.len();
        let mut state = self.take(fits)?;
        let read = state.read_message(message, out);
        self.keep(state, read)
    }

    /// The other side's static key, once a message that authenticates it has been read.
    pub(crate) const fn remote_static(&self) -> Option<[u8; KEY_LEN]> {
        self.remote_static
    }

    /// Whether all three messages have been written and read.
    #[cfg(test)]
    pub(crate) fn is_finished(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.is_handshake_finished())
    }

    /// Ends the handshake and makes the transport ciphers.
    pub(crate) fn split(mut self) -> Result<Ciphers, NoiseError> {
        let mut state = self.state.take().ok_or(NoiseError)?;
        if !state.is_handshake_finished() {
            return Err(NoiseError);
        }
        let split = Zeroizing::new(state.dangerously_get_raw_split());
        // Its memory is there again before the ciphers take theirs.
        drop(state);
        let (initiator, responder) = &*split;
        let (send, receive) = match self.role {
            Role::Initiator => (initiator, responder),
            Role::Responder => (responder, initiator),
        };
        let cipher = |key| CipherState::new(self.provider, self.suite, key).ok_or(NoiseError);
        Ok(Ciphers { send: cipher(send)?, receive: cipher(receive)?, hash: self.hash })
    }

    /// Takes the state out for one step, which it costs if it fails, or if there is no room for it.
    fn take(&mut self, fits: bool) -> Result<Box<HandshakeState>, NoiseError> {
        // snow would show a key that it has read but not authenticated.
        self.remote_static = None;
        self.state.take().filter(|_| fits).ok_or(NoiseError)
    }

    /// Puts it back, if the step was done.
    fn keep(
        &mut self,
        state: Box<HandshakeState>,
        done: Result<usize, snow::Error>,
    ) -> Result<usize, NoiseError> {
        let len = done?;
        self.remote_static = state.get_remote_static().and_then(|key| key.try_into().ok());
        self.state = Some(state);
        self.update_hash();
        Ok(len)
    }

    fn update_hash(&mut self) {
        if let Some(state) = &self.state {
            self.hash.copy_from_slice(state.get_handshake_hash());
        }
    }
}

impl core::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Handshake").field("role", &self.role).finish_non_exhaustive()
    }
}

/// What snow would read out of the protocol's name, told without the code that reads names.
fn params(suite: Suite) -> NoiseParams {
    let cipher = match suite {
        Suite::ChaChaPoly => CipherChoice::ChaChaPoly,
        Suite::AesGcm => CipherChoice::AESGCM,
    };
    let xx = HandshakeChoice {
        pattern: HandshakePattern::XX,
        modifiers: HandshakeModifierList { list: Vec::new() },
    };
    let name = suite.noise_name().into();
    NoiseParams::new(name, BaseChoice::Noise, xx, DHChoice::Curve25519, cipher, HashChoice::SHA256)
}

/// A handshake has failed, for good. Why is not kept: everything that the other side could have done wrong here is one
/// fault to this side, and to tell it which would help nobody but an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoiseError;

impl From<snow::Error> for NoiseError {
    fn from(_: snow::Error) -> Self {
        Self
    }
}
