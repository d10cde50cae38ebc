//! Key pairs of X25519.

use core::fmt;

use zeroize::Zeroize;

#[cfg(feature = "aws-lc")]
use super::aws_lc::Prepared;
use super::{KEY_LEN, Provider};

/// The X25519 key pair of one start of the program, or of one connection.
///
/// The public part is kept: to derive it costs as much as a whole key exchange.  The private part is wiped on drop.
#[derive(Clone)]
pub(crate) struct KeyPair {
    private: [u8; KEY_LEN],
    public: [u8; KEY_LEN],
    /// What a provider has worked out ahead; another one does without.
    #[cfg(feature = "aws-lc")]
    prepared: Option<Prepared>,
}

impl KeyPair {
    pub(crate) fn new(provider: Provider, private: &[u8; KEY_LEN]) -> Self {
        provider.primitives().key_pair(private)
    }

    /// Both parts, which belong together.
    pub(super) const fn from_parts(private: [u8; KEY_LEN], public: [u8; KEY_LEN]) -> Self {
        Self {
            private,
            public,
            #[cfg(feature = "aws-lc")]
            prepared: None,
        }
    }

    #[cfg(feature = "aws-lc")]
    pub(super) fn with_prepared(mut self, prepared: Prepared) -> Self {
        self.prepared = Some(prepared);
        self
    }

    #[cfg(feature = "aws-lc")]
    pub(super) const fn prepared(&self) -> Option<&Prepared> {
        self.prepared.as_ref()
    }

    pub(crate) const fn private(&self) -> &[u8; KEY_LEN] {
        &self.private
    }

    pub(crate) const fn public(&self) -> &[u8; KEY_LEN] {
        &self.public
    }
}

impl Drop for KeyPair {
    fn drop(&mut self) {
        self.private.zeroize();
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(..)")
    }
}
