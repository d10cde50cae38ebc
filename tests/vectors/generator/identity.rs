//! Proofs of identity.  SPEC §5.3

use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use crate::common::signatures::{malleated, sign_by_hand, small_order};
use crate::messages::hex;
use crate::setups::counting_from;

/// Keys with which X25519 gives zero, whatever the other one is: of low order, reduced or not.  RFC 7748 §6.1
pub const LOW_ORDER: [[u8; 32]; 7] = {
    let mut all = [[0; 32]; 7];
    all[1][0] = 1;
    all[2] = [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0,
    ];
    all[3] = [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ];
    let mut place = 4;
    while place < 7 {
        all[place] = [0xff; 32];
        all[place][0] = 0xe8 + place as u8;
        all[place][31] = 0x7f;
        place += 1;
    }
    all
};

/// What a proof covers.
#[derive(Clone, Copy)]
struct Covered {
    role: u8,
    hash: [u8; 32],
    key: [u8; 32],
}

const COVERED: Covered = Covered { role: 1, hash: [0xa5; 32], key: [0x3c; 32] };

impl Covered {
    fn signed(&self) -> Vec<u8> {
        [b"symbolon-identity-v1".as_slice(), &[self.role], &self.hash, &self.key].concat()
    }
}

fn vector(id: &str, title: &str, rule: &str, covered: &Covered, identity: &[u8; 32], proof: &[u8]) -> Value {
    json!({
        "id": format!("identity/{id}"), "title": title, "spec": [rule, "§5.3"], "result": "refused",
        "role": covered.role, "hash": hex(&covered.hash), "static": hex(&covered.key),
        "identity": hex(identity), "proof": hex(proof),
    })
}

pub fn vectors() -> Vec<Value> {
    let secret = counting_from(0x21);
    let key = SigningKey::from_bytes(&secret);
    let identity = key.verifying_key().to_bytes();
    let mut all = Vec::new();
    let covers = [
        ("initiator", COVERED),
        ("responder", Covered { role: 2, ..COVERED }),
        ("zeros", Covered { role: 1, hash: [0; 32], key: [0; 32] }),
        ("ones", Covered { role: 2, hash: [0xff; 32], key: [0xff; 32] }),
    ];
    for (name, covered) in covers {
        let signed = covered.signed();
        let mut valid =
            vector(name, "a proof that holds", "IDP-1", &covered, &identity, &key.sign(&signed).to_bytes());
        valid["result"] = "accepted".into();
        valid["secret"] = hex(&secret).into();
        valid["signed"] = hex(&signed).into();
        all.push(valid);
    }
    let genuine = key.sign(&COVERED.signed()).to_bytes();
    let others = [
        ("other-role", "for the other role", Covered { role: 2, ..COVERED }),
        ("other-hash", "of another handshake", Covered { hash: [0xa4; 32], ..COVERED }),
        ("other-static", "for another static key", Covered { key: [0x3d; 32], ..COVERED }),
    ];
    for (name, title, covered) in others {
        all.push(vector(name, title, "IDP-1", &covered, &identity, &genuine));
    }
    let other = SigningKey::from_bytes(&counting_from(0x61));
    let by_other = other.sign(&COVERED.signed()).to_bytes();
    all.push(vector("other-signer", "by another identity", "IDP-1", &COVERED, &identity, &by_other));
    let unframed = key.sign(&COVERED.signed()[20..]).to_bytes();
    all.push(vector("no-domain", "without its domain", "IDP-1", &COVERED, &identity, &unframed));
    for place in [0, 31, 32, 63] {
        let mut changed = genuine;
        changed[place] ^= 1;
        let title = "a bit of the proof changed";
        all.push(vector(&format!("changed-{place}"), title, "IDP-1", &COVERED, &identity, &changed));
    }
    all.push(vector(
        "malleated",
        "S plus the order of the group",
        "IDP-2",
        &COVERED,
        &identity,
        &malleated(&genuine),
    ));
    let mut high = genuine;
    high[63] |= 0xe0;
    all.push(vector("high-bits", "S with high bits", "IDP-2", &COVERED, &identity, &high));
    let by_hand = sign_by_hand(&COVERED.signed(), 0, 0, 0);
    let mut valid = vector(
        "by-hand",
        "put together by hand, and valid",
        "IDP-2",
        &COVERED,
        &by_hand.identity.compress().to_bytes(),
        &by_hand.proof,
    );
    valid["result"] = "accepted".into();
    all.push(valid);
    let by_hand = sign_by_hand(&COVERED.signed(), 0, 1, 0);
    let title = "holds only if multiplied by the cofactor";
    all.push(vector(
        "cofactor",
        title,
        "IDP-2",
        &COVERED,
        &by_hand.identity.compress().to_bytes(),
        &by_hand.proof,
    ));
    // The neutral element signs everything, for who does not look at its order.
    let base = EdwardsPoint::mul_base(&Scalar::ONE).compress().to_bytes();
    for (place, point) in small_order().into_iter().enumerate() {
        let mut proof = [0; 64];
        proof[..32].copy_from_slice(&base);
        proof[32] = 1;
        let title = "an identity of small order, R of the largest";
        all.push(vector(&format!("small-order-{place}"), title, "IDP-2", &COVERED, &point, &proof));
        proof[..32].copy_from_slice(&point);
        proof[32] = 0;
        let title = "identity and R of small order";
        all.push(vector(&format!("small-order-both-{place}"), title, "IDP-2", &COVERED, &point, &proof));
    }
    all
}
