//! Values that must stay secret: wiped when dropped, never shown.

use core::fmt;

use zeroize::Zeroize;

use crate::crypto::KEY_LEN;

/// The secret of a device: the Ed25519 private key, which RFC 8032 calls the seed.
///
/// Made once in the life of a device and stored where nobody else can read it. Who holds it *is* that device.
pub struct SecretKey([u8; KEY_LEN]);

impl SecretKey {
    /// The secret with these bytes, which must have come from a good random generator.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// A new secret, from the operating system.
    ///
    /// # Errors
    ///
    /// [`EntropyError`]: it gave no randomness.
    #[cfg(feature = "std")]
    pub fn random() -> Result<Self, EntropyError> {
        random_bytes().map(Self)
    }

    /// A copy of the bytes, to store them. Nothing wipes that copy.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; KEY_LEN] {
        self.0
    }

    pub(super) const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// 32 random bytes, for exactly one use.
///
/// The library has no random generator of its own: whoever makes a connection, or an [`Identity`](crate::Identity)
/// at start, hands it a seed.
///
/// # A seed used twice is a break, not a blemish
///
/// All the randomness that a device adds to a connection comes from its seed: the **same seed** makes the **same
/// ephemeral key** again. When the other side repeats its own as well, as two boards with the same broken generator do
/// at every boot, the **whole connection has the same keys and nonces again**: the ciphertexts of both connections give away
/// both plaintexts, and messages can be forged. Whoever learns seeds, or guesses them, opens what was recorded. So:
///
/// - Take every seed from a hardware generator, or from a generator seeded by one. Not from a clock, a serial number or
///   a counter.
/// - Never write one into the source, and never store one across a restart.
/// - A generator that restarts from the same state at each boot repeats the seeds of the last boot.
///
/// The type can be neither copied nor cloned, and [`new`](Self::new) refuses the commonest mark of a generator that
/// never ran. It cannot know more than that.
pub struct Seed([u8; KEY_LEN]);

impl Seed {
    /// Takes 32 random bytes; refuses those that are all equal, which is what a generator that never ran returns.
    ///
    /// # Errors
    ///
    /// [`ConstantSeed`]: they are all equal.
    pub fn new(mut bytes: [u8; KEY_LEN]) -> Result<Self, ConstantSeed> {
        // No early exit: how long this takes must not tell how many leading bytes agree.
        let difference = bytes.iter().fold(0, |all, byte| all | (byte ^ bytes[0]));
        let seed = if difference == 0 { Err(ConstantSeed) } else { Ok(Self(bytes)) };
        bytes.zeroize();
        seed
    }

    /// A fresh seed, from the operating system.
    ///
    /// # Errors
    ///
    /// [`EntropyError`]: it gave no randomness.
    #[cfg(feature = "std")]
    pub fn random() -> Result<Self, EntropyError> {
        random_bytes().map(Self)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A seed was refused: its bytes are all equal, so the random generator cannot have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes of the seed are all equal: the random generator has not run")]
pub struct ConstantSeed;

/// The operating system gave no random bytes.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct EntropyError(getrandom::Error);

#[cfg(feature = "std")]
fn random_bytes() -> Result<[u8; KEY_LEN], EntropyError> {
    let mut bytes = [0; KEY_LEN];
    getrandom::fill(&mut bytes).map_err(EntropyError)?;
    Ok(bytes)
}
