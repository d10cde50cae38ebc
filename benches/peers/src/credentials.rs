//! Keys of both sides.  They are no secret: each process makes the same, so that nothing has to be handed over.

use anyhow::Result;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub const SERVER: [u8; 32] = [1; 32];
pub const CLIENT: [u8; 32] = [2; 32];

/// The name in both certificates.
pub const NAME: &str = "localhost";

/// PKCS #8 around an Ed25519 key (RFC 8410, section 7).
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// An Ed25519 key and a certificate that it has signed itself.
pub struct Credentials {
    pub certificate: CertificateDer<'static>,
    pub key: PrivateKeyDer<'static>,
}

impl Credentials {
    pub fn new(secret: [u8; 32]) -> Result<Self> {
        let key = PrivatePkcs8KeyDer::from([&PKCS8[..], &secret].concat());
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ED25519)?;
        let certificate = CertificateParams::new([NAME.to_owned()])?.self_signed(&pair)?;
        Ok(Self { certificate: certificate.der().clone(), key: key.into() })
    }
}
