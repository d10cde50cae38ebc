//! Who a device is, and how it proves it.

use core::fmt;

use crate::crypto::{KeyPair, Provider, SigningKey};

#[cfg(feature = "std")]
mod file;
mod peer_id;
mod proof;
mod secret;
#[cfg(test)]
mod tests;

pub use peer_id::{ParsePeerIdError, PeerId};
pub(crate) use proof::{prove, verify};
#[cfg(feature = "std")]
pub use secret::EntropyError;
pub use secret::{ConstantSeed, SecretKey, Seed};

/// A device's own keys: the secret that makes it who it is, and a key for this start of the program.
///
/// Every connection takes a copy of what it needs, so one `Identity` serves all links of a device. SPEC §5.3
pub struct Identity {
    secret: SecretKey,
    signing: SigningKey,
    static_key: KeyPair,
}

impl Identity {
    /// The identity of the device that holds `secret`.
    ///
    /// `start` becomes the key by which this run of the program is known inside its handshakes. It must be fresh at
    /// each start and is stored nowhere: see [`Seed`].
    #[must_use]
    pub fn new(secret: &SecretKey, start: Seed) -> Self {
        Self {
            secret: SecretKey::from_bytes(secret.to_bytes()),
            signing: SigningKey::from_secret(secret.as_bytes()),
            static_key: KeyPair::new(Provider::default(), start.as_bytes()),
        }
    }

    /// A new device: a secret that nobody had before.
    ///
    /// It lasts no longer than the program unless [`secret`](Self::secret) is stored.
    ///
    /// # Errors
    ///
    /// [`EntropyError`]: the operating system gave no randomness.
    #[cfg(feature = "std")]
    pub fn generate() -> Result<Self, EntropyError> {
        Ok(Self::new(&SecretKey::random()?, Seed::random()?))
    }

    /// The identity whose secret lies in the file at `path`; where there is none, a new one is made and stored there.
    ///
    /// The file holds 64 hexadecimal digits and a line end. On Unix it is created for its owner alone, and one that the
    /// group or others can read is refused. A file that holds anything else is refused and left as it is. Of several
    /// processes that start at once, one creates the file and all get the same identity.
    ///
    /// Where the file system knows no hard links, a crash in the very moment of creation can leave an incomplete file,
    /// which later calls refuse; it holds nothing of worth and may be deleted.
    ///
    /// # Errors
    ///
    /// Those of reading and writing the file; `InvalidData` where it holds something else; `PermissionDenied` also where
    /// others can read it; or the operating system gave no randomness.
    ///
    /// ```
    /// use symbolon::{Identity, PeerId};
    ///
    /// # let folder = std::env::temp_dir().join(format!("symbolon-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("lamp.key");
    /// let lamp = Identity::load_or_create(&path)?;
    /// let written = lamp.peer_id().to_string(); // 64 digits, to be told to others
    /// let again: PeerId = written.parse()?;
    /// assert_eq!(again, Identity::load_or_create(&path)?.peer_id()); // the same at each start
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "std")]
    pub fn load_or_create(path: impl AsRef<std::path::Path>) -> std::io::Result<Self> {
        let secret = file::load_or_create(path.as_ref())?;
        let start = Seed::random().map_err(std::io::Error::other)?;
        Ok(Self::new(&secret, start))
    }

    /// The name of this device: its public key.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        PeerId::from_bytes(self.signing.public())
    }

    /// The secret, to store it. Who holds it *is* this device.
    #[must_use]
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    pub(crate) fn static_key(&self) -> &KeyPair {
        &self.static_key
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("peer_id", &self.peer_id()).finish_non_exhaustive()
    }
}
