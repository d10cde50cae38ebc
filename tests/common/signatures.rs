//! Ed25519 signatures that only a lenient verifier takes, and the keys for them.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::{EdwardsPoint, Scalar};
use sha2::{Digest, Sha512};

/// Keys of small order, reduced or not.
pub fn small_order() -> Vec<[u8; 32]> {
    let mut points: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    for (first, last) in [(0xee, 0x7f), (0xee, 0xff), (0xed, 0x7f), (0xed, 0xff)] {
        let mut not_reduced = [0xff; 32];
        (not_reduced[0], not_reduced[31]) = (first, last);
        points.push(not_reduced);
    }
    let mut minus_zero = [0; 32];
    (minus_zero[0], minus_zero[31]) = (1, 0x80);
    points.push(minus_zero);
    points
}

/// S plus the order of the group, which a lenient verifier reduces.
pub fn malleated(proof: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut other = proof.to_vec();
    let mut carry = 0;
    for (byte, add) in other[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry as u8;
        carry >>= 8;
    }
    assert_eq!(carry, 0);
    other
}

/// A signature by hand: the identity is `a`·B plus one point of small order, R is `r`·B minus another.
pub struct ByHand {
    pub identity: EdwardsPoint,
    pub r: EdwardsPoint,
    /// The challenge.
    pub k: Scalar,
    pub proof: Vec<u8>,
}

pub fn sign_by_hand(message: &[u8], nonce: u64, in_identity: usize, in_r: usize) -> ByHand {
    let a = Scalar::from(0x1234_5678_9abc_def1_u64);
    let r_scalar = Scalar::from(0x0fed_cba9_8765_4321_u64 + nonce);
    let identity = EdwardsPoint::mul_base(&a) + EIGHT_TORSION[in_identity];
    let r = EdwardsPoint::mul_base(&r_scalar) - EIGHT_TORSION[in_r];
    let k = challenge(&r, &identity, message);
    let s = r_scalar + k * a;
    let proof = [r.compress().to_bytes(), s.to_bytes()].concat();
    ByHand { identity, r, k, proof }
}

/// What R and the identity are hashed to, with the message.  RFC 8032 §5.1.7
pub fn challenge(r: &EdwardsPoint, identity: &EdwardsPoint, message: &[u8]) -> Scalar {
    let digest: [u8; 64] = Sha512::new()
        .chain_update(r.compress().as_bytes())
        .chain_update(identity.compress().as_bytes())
        .chain_update(message)
        .finalize()
        .into();
    Scalar::from_bytes_mod_order_wide(&digest)
}
