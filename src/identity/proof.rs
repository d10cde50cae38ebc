//! The proof that one side of a session is the device it says it is (SPEC §5.3).
//!
//! The signature covers the signer's role, so it cannot be sent back to its maker; the handshake hash, so it is worth
//! nothing in another session; and the signer's own static key, so it cannot be carried over to another channel.

use super::PeerId;
use crate::crypto::{KEY_LEN, Provider, SIGNATURE_LEN, SigningKey};
use crate::role::Role;

const DOMAIN: &[u8; 20] = b"symbolon-identity-v1";
const SIGNED_LEN: usize = DOMAIN.len() + 1 + KEY_LEN + KEY_LEN;

/// Signs, as the side `role`, that the holder of `key` is the one whose static key is `static_public` in the session
/// whose handshake hash is `hash`, taken just before the message that carries the proof.
pub(crate) fn prove(
    provider: Provider,
    key: &SigningKey,
    role: Role,
    hash: &[u8; KEY_LEN],
    static_public: &[u8; KEY_LEN],
) -> [u8; SIGNATURE_LEN] {
    provider.primitives().sign(key, &signed_bytes(role, hash, static_public))
}

/// The device that `public` names, if `signature` proves that it holds the static key `static_public` in this session
/// as the side `signer`.
///
/// Nothing else in the crate may call a remote `PeerId` authenticated.
pub(crate) fn verify(
    provider: Provider,
    public: &[u8; KEY_LEN],
    signature: &[u8; SIGNATURE_LEN],
    signer: Role,
    hash: &[u8; KEY_LEN],
    static_public: &[u8; KEY_LEN],
) -> Option<PeerId> {
    let signed = signed_bytes(signer, hash, static_public);
    provider.primitives().verify(public, &signed, signature).then(|| PeerId::from_bytes(*public))
}

fn signed_bytes(signer: Role, hash: &[u8; KEY_LEN], static_public: &[u8; KEY_LEN]) -> [u8; SIGNED_LEN] {
    let mut bytes = [0; SIGNED_LEN];
    let (domain, rest) = bytes.split_at_mut(DOMAIN.len());
    let (role, rest) = rest.split_at_mut(1);
    let (h, key) = rest.split_at_mut(KEY_LEN);
    domain.copy_from_slice(DOMAIN);
    role[0] = match signer {
        Role::Initiator => 0x01,
        Role::Responder => 0x02,
    };
    h.copy_from_slice(hash);
    key.copy_from_slice(static_public);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: [u8; 32] = [7; 32];
    const STATIC: [u8; 32] = [9; 32];
    const PROVIDER: Provider = Provider::rust_crypto();

    fn key() -> SigningKey {
        SigningKey::from_secret(&[3; 32])
    }

    fn check(public: &[u8; 32], signature: &[u8; 64], role: Role) -> Option<PeerId> {
        verify(PROVIDER, public, signature, role, &HASH, &STATIC)
    }

    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        let mut expected = b"symbolon-identity-v1".to_vec();
        expected.push(0x02);
        expected.extend_from_slice(&HASH);
        expected.extend_from_slice(&STATIC);
        assert_eq!(signed_bytes(Role::Responder, &HASH, &STATIC).as_slice(), expected);
        expected[20] = 0x01;
        assert_eq!(signed_bytes(Role::Initiator, &HASH, &STATIC).as_slice(), expected);
    }

    #[test]
    fn a_proof_names_its_maker() {
        for role in [Role::Initiator, Role::Responder] {
            let proof = prove(PROVIDER, &key(), role, &HASH, &STATIC);
            let id = PeerId::from_bytes(key().public());
            assert_eq!(check(id.as_bytes(), &proof, role), Some(id));
        }
    }

    /// IDP-1, IDP-2: `tests/vectors/identity.json`.
    #[test]
    fn vectors() {
        for vector in crate::tests::vectors("identity") {
            let role = if vector.number("role") == 1 { Role::Initiator } else { Role::Responder };
            let (hash, key) = (vector.array("hash"), vector.array("static"));
            let (identity, proof) = (vector.array("identity"), vector.array("proof"));
            let proven = verify(PROVIDER, &identity, &proof, role, &hash, &key);
            assert_eq!(proven.is_some(), vector.is_accepted(), "{}", vector.id());
            if vector.has("secret") {
                let secret = SigningKey::from_secret(&vector.array("secret"));
                assert_eq!(secret.public(), identity);
                assert_eq!(prove(PROVIDER, &secret, role, &hash, &key), proof);
                assert_eq!(signed_bytes(role, &hash, &key).as_slice(), vector.bytes("signed"));
            }
        }
    }

    #[test]
    fn a_proof_holds_for_one_role_one_session_one_static_key_and_one_device() {
        let public = key().public();
        let proof = prove(PROVIDER, &key(), Role::Initiator, &HASH, &STATIC);
        let other = [8; 32];
        assert_eq!(check(&public, &proof, Role::Responder), None);
        let me = Role::Initiator;
        assert_eq!(verify(PROVIDER, &public, &proof, me, &other, &STATIC), None);
        assert_eq!(verify(PROVIDER, &public, &proof, me, &HASH, &other), None);
        let stranger = SigningKey::from_secret(&[4; 32]).public();
        assert_eq!(check(&stranger, &proof, me), None);
    }

    #[test]
    fn a_signature_under_another_domain_is_refused() {
        let mut signed = signed_bytes(Role::Initiator, &HASH, &STATIC);
        for at in 0..DOMAIN.len() {
            signed[at] ^= 1;
            let proof = PROVIDER.primitives().sign(&key(), &signed);
            assert_eq!(check(&key().public(), &proof, Role::Initiator), None, "byte {at}");
            signed[at] ^= 1;
        }
    }

    #[test]
    fn every_changed_byte_of_a_proof_is_noticed() {
        let public = key().public();
        let proof = prove(PROVIDER, &key(), Role::Initiator, &HASH, &STATIC);
        for at in 0..SIGNATURE_LEN {
            for mask in [0x01, 0x80, 0xff] {
                let mut forged = proof;
                forged[at] ^= mask;
                assert_eq!(check(&public, &forged, Role::Initiator), None, "byte {at}");
            }
        }
        for at in 0..KEY_LEN {
            let mut forged = public;
            forged[at] ^= 0x01;
            assert_eq!(check(&forged, &proof, Role::Initiator), None, "byte {at}");
        }
    }

    /// The keys under which a signature of all zeros but one "holds" for every message.
    #[test]
    fn a_key_of_small_order_proves_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut identity_again = [0xff; 32]; // p + 1: the same point, written differently
        identity_again[0] = 0xee;
        identity_again[31] = 0x7f;
        let mut order_two = [0xff; 32]; // p - 1
        order_two[0] = 0xec;
        order_two[31] = 0x7f;
        for public in [identity, identity_again, order_two, [0; 32]] {
            for r in [identity, order_two, public] {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&r);
                for s in 0..2 {
                    signature[32] = s;
                    assert_eq!(check(&public, &signature, Role::Initiator), None);
                }
            }
        }
    }
}
