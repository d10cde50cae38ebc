//! The proof of identity: nothing but the proof of this device, in this role, in this handshake, is one.  SPEC §5.3, §5.4

mod common;

use common::attacker::{Attacker, Knobs, VICTIM, Victim};
use common::cbor::{message, uint};
use common::signatures::{ByHand, challenge, malleated, sign_by_hand, small_order};
use common::{Happened, device};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::{EdwardsPoint, Scalar};
use symbolon::{Admission, CloseReason, HandshakeError, PayloadError, PeerId, Role, Status};

const BOTH: [Role; 2] = [Role::Initiator, Role::Responder];

/// Lets an attacker run into the victim's refusal, in either role.
#[track_caller]
fn refused(knobs: impl Fn() -> Knobs, error: HandshakeError) {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::before_payload(role, knobs());
        victim.feed(&attacker.say());
        victim.assert_dropped(error);
        assert_eq!(victim.connection.peer(), None);
    }
}

/// IDP-1, H11: the other role, another hash, another static key, another domain, another signer.
#[test]
fn a_proof_of_something_else_is_refused() {
    let other = [8; 32];
    for role in BOTH {
        let wrong_role = if role.is_initiator() { 2 } else { 1 };
        for byte in [wrong_role, 0, 3, 0xff] {
            let knobs = Knobs { proof_role: Some(byte), ..Knobs::default() };
            let (mut attacker, mut victim) = Attacker::before_payload(role, knobs);
            victim.feed(&attacker.say());
            victim.assert_dropped(HandshakeError::Proof);
        }
    }
    refused(|| Knobs { proof_hash: Some(other), ..Knobs::default() }, HandshakeError::Proof);
    refused(|| Knobs { proof_static: Some(other), ..Knobs::default() }, HandshakeError::Proof);
    refused(|| Knobs { signer: Some(other), ..Knobs::default() }, HandshakeError::Proof);
    for domain in ["symbolon-identity-v2", "Symbolon-identity-v1", "symbolon-identity-v", ""] {
        refused(|| Knobs { proof_domain: domain.into(), ..Knobs::default() }, HandshakeError::Proof);
    }
    for proof in [[0; 64], [0xff; 64]] {
        refused(|| Knobs { proof: Some(proof.to_vec()), ..Knobs::default() }, HandshakeError::Proof);
    }
}

/// IDP-1, H11: each byte of the proof and of the identity changed.
#[test]
fn a_changed_proof_is_refused() {
    for role in BOTH {
        for at in 0..64 {
            let (mut attacker, mut victim) = Attacker::before_payload(role, Knobs::default());
            let mut proof = honest_proof(&attacker);
            proof[at] ^= 1;
            attacker.knobs.proof = Some(proof);
            victim.feed(&attacker.say());
            victim.assert_dropped(HandshakeError::Proof);
        }
        for at in 0..32 {
            let mut identity = Knobs::default().peer_id().as_bytes().to_vec();
            identity[at] ^= 1;
            let knobs = Knobs { identity: Some(identity), ..Knobs::default() };
            let (mut attacker, mut victim) = Attacker::before_payload(role, knobs);
            victim.feed(&attacker.say());
            victim.assert_dropped(HandshakeError::Proof);
        }
    }
}

/// IDP-1, H7, H11: a proof that held in another connection, and one that the victim itself gave.
#[test]
fn a_replayed_proof_is_refused() {
    for role in BOTH {
        let (earlier, _) = Attacker::before_payload(role, Knobs::default());
        let proof = honest_proof(&earlier);
        let knobs = Knobs { proof: Some(proof), ..Knobs::default() };
        let admission = Admission::expect(knobs.peer_id());
        let mut victim = Victim::with_seed(!role, &device(VICTIM), admission, 201);
        let mut attacker = Attacker::new(role, knobs);
        let written = victim.written();
        victim.feed(&attacker.begin());
        assert!(attacker.hear(&[written, victim.written()].concat()));
        victim.feed(&attacker.say());
        victim.assert_dropped(HandshakeError::Proof);
    }
    // The victim's own proof from message 2, under another identity.
    let (mut attacker, mut victim) = Attacker::before_payload(Role::Initiator, Knobs::default());
    let at = attacker.victim_payload.windows(2).position(|head| head == [0x58, 0x40]).unwrap() + 2;
    attacker.knobs.proof = Some(attacker.victim_payload[at..at + 64].to_vec());
    victim.feed(&attacker.say());
    victim.assert_dropped(HandshakeError::Proof);
}

/// IDP-1, HSK-5: whoever has stolen the X25519 static key of a device is not that device.
#[test]
fn a_stolen_static_key_is_worth_nothing() {
    let device_2 = device(2).identity().peer_id();
    for role in BOTH {
        let knobs = Knobs { identity: Some(device_2.as_bytes().to_vec()), ..Knobs::default() };
        let mut victim = Victim::new(!role, &device(VICTIM), Admission::expect(device_2));
        let mut attacker = Attacker::new(role, knobs);
        let written = victim.written();
        victim.feed(&attacker.begin());
        attacker.hear(&[written, victim.written()].concat());
        victim.feed(&attacker.say());
        victim.assert_dropped(HandshakeError::Proof);
    }
}

fn honest_proof(attacker: &Attacker) -> Vec<u8> {
    use ed25519_dalek::{Signer, SigningKey};
    let key = SigningKey::from_bytes(&attacker.knobs.secret);
    key.sign(&attacker.signed_bytes()).to_bytes().to_vec()
}

/// IDP-2, H11: S plus the order of the group, which a lenient verifier reduces.
#[test]
fn a_proof_whose_s_is_not_reduced_is_refused() {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::before_payload(role, Knobs::default());
        attacker.knobs.proof = Some(malleated(&honest_proof(&attacker)));
        victim.feed(&attacker.say());
        victim.assert_dropped(HandshakeError::Proof);
    }
}

/// IDP-2, H11: identities and R of small order, canonical and not, with each S that could make them hold.
#[test]
fn an_identity_of_small_order_proves_nothing() {
    let points = small_order();
    for identity in &points {
        for r in &points {
            let proof = [r.as_slice(), &[0; 32]].concat();
            let knobs = Knobs { identity: Some(identity.to_vec()), proof: Some(proof), ..Knobs::default() };
            let (mut attacker, mut victim) = Attacker::before_payload(Role::Initiator, knobs);
            victim.feed(&attacker.say());
            victim.assert_dropped(HandshakeError::Proof);
        }
    }
}

/// Hands the victim, as message 3, a proof that `make` made over what it must cover.
fn try_by_hand(make: impl Fn(&[u8]) -> ByHand) -> (Victim, PeerId) {
    let identity = make(b"").identity.compress().to_bytes();
    let mut victim =
        Victim::new(Role::Responder, &device(VICTIM), Admission::expect(PeerId::from_bytes(identity)));
    let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
    victim.feed(&attacker.begin());
    assert!(attacker.hear(&victim.written()));
    let signed = make(&attacker.signed_bytes());
    attacker.knobs.identity = Some(identity.to_vec());
    attacker.knobs.proof = Some(signed.proof);
    victim.feed(&attacker.say());
    (victim, PeerId::from_bytes(identity))
}

/// IDP-2, H11: the equation without the cofactor decides.  With a part of small order in identity or R, a proof holds
/// where that part cancels out, and not where only a multiplication by eight would remove it.
#[test]
fn a_proof_is_verified_without_the_cofactor() {
    let (mut victim, peer) = try_by_hand(|message| sign_by_hand(message, 0, 0, 0));
    assert_eq!(victim.events(), [Happened::Connected(peer)], "the signatures by hand are right");

    // In R alone: nothing cancels it.
    for in_r in 1..8 {
        let (mut victim, _) = try_by_hand(|message| sign_by_hand(message, 0, 0, in_r));
        victim.assert_dropped(HandshakeError::Proof);
    }
    // In the identity: k times it must be what R lacks.
    let cancels = |signed: &ByHand, in_r: usize| usize::from(signed.k.to_bytes()[0] & 7) == in_r;
    let search = |message: &[u8], wanted: bool| {
        let tries = (0..1_000).flat_map(|nonce| (0..8).map(move |in_r| (nonce, in_r)));
        let found = tries.map(|(nonce, in_r)| (sign_by_hand(message, nonce, 1, in_r), in_r));
        found.into_iter().find(|(signed, in_r)| cancels(signed, *in_r) == wanted).expect("one in eight").0
    };
    let (mut victim, _) = try_by_hand(|message| search(message, false));
    victim.assert_dropped(HandshakeError::Proof);
    let (mut victim, peer) = try_by_hand(|message| search(message, true));
    assert_eq!(victim.events(), [Happened::Connected(peer)]);
}

/// IDP-2, H11: an R of small order, for which the equation holds.
#[test]
fn an_r_of_small_order_proves_nothing() {
    let small_r = |message: &[u8]| {
        let a = Scalar::from(0x1234_5678_9abc_def1_u64);
        let identity = EdwardsPoint::mul_base(&a);
        let r = EIGHT_TORSION[0];
        let k = challenge(&r, &identity, message);
        let proof = [r.compress().to_bytes(), (k * a).to_bytes()].concat();
        assert_eq!(EdwardsPoint::mul_base(&(k * a)) - k * identity, r, "it holds but for R's order");
        ByHand { identity, r, k, proof }
    };
    let (mut victim, _) = try_by_hand(small_r);
    victim.assert_dropped(HandshakeError::Proof);
    assert_eq!(small_r(b"").r, EIGHT_TORSION[0]);
}

/// IDP-3: where several checks fail, the first in the order of SPEC §5.4 is what the application hears of.
#[test]
fn checks_are_made_in_their_order() {
    let own = || device(VICTIM).identity().peer_id().as_bytes().to_vec();
    let nobody = || Admission::Only(vec![]);
    let cases: [(Knobs, CloseReason); 3] = [
        (
            Knobs {
                identity: Some(own()),
                proof: Some(vec![0; 64]),
                edit: Box::new(|pairs| pairs[2].1 = uint(255)),
                ..Knobs::default()
            },
            HandshakeError::Payload(PayloadError::Value(2)).into(),
        ),
        (
            Knobs { identity: Some(own()), proof: Some(vec![0; 64]), ..Knobs::default() },
            HandshakeError::OwnIdentity.into(),
        ),
        (Knobs { proof: Some(vec![0; 64]), ..Knobs::default() }, HandshakeError::Proof.into()),
    ];
    for (knobs, reason) in cases {
        let mut victim = Victim::new(Role::Responder, &device(VICTIM), nobody());
        let mut attacker = Attacker::new(Role::Initiator, knobs);
        victim.feed(&attacker.begin());
        assert!(attacker.hear(&victim.written()));
        victim.feed(&attacker.say());
        victim.assert_dropped(reason);
        assert_eq!(victim.connection.peer(), None);
    }
}

/// IDP-3, ADM-1, ADM-2, H12: a valid proof of somebody who is not expected.
#[test]
fn who_is_not_expected_is_not_reported() {
    let stranger = Knobs::default().peer_id();
    let expected = Admission::expect(device(2).identity().peer_id());
    for role in BOTH {
        let mut victim = Victim::new(!role, &device(VICTIM), expected.clone());
        let mut attacker = Attacker::new(role, Knobs::default());
        let written = victim.written();
        victim.feed(&attacker.begin());
        attacker.hear(&[written, victim.written()].concat());
        victim.feed(&attacker.say());
        if role.is_initiator() {
            victim.assert_closed(&mut attacker, CloseReason::NotAdmitted(stranger), 32);
        } else {
            victim.assert_dropped(CloseReason::NotAdmitted(stranger));
        }
    }
}

/// IDP-4, H9: a peer that presents the victim's own identity, with a stolen secret even with a valid proof.
#[test]
fn ones_own_identity_is_refused() {
    let own = device(VICTIM).identity().peer_id();
    let stolen = || Knobs { secret: [VICTIM; 32], ..Knobs::default() };
    assert_eq!(stolen().peer_id(), own);
    refused(stolen, HandshakeError::OwnIdentity);
    for role in BOTH {
        for admission in [Admission::Ask, Admission::expect(own)] {
            let mut victim = Victim::new(!role, &device(VICTIM), admission);
            let mut attacker = Attacker::new(role, stolen());
            let written = victim.written();
            victim.feed(&attacker.begin());
            attacker.hear(&[written, victim.written()].concat());
            victim.feed(&attacker.say());
            victim.assert_dropped(HandshakeError::OwnIdentity);
        }
    }
}

/// IDP-3, H20: until the proof there is no event, no peer and no name to take somebody's place with.
#[test]
fn nothing_is_reported_before_the_proof() {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::against(role, Knobs::default());
        let mut written = victim.written();
        let mut stream = attacker.begin();
        victim.feed(&stream);
        written.extend(victim.written());
        attacker.hear(&written);
        stream = attacker.say();
        for byte in &stream[..stream.len() - 1] {
            victim.feed(&[*byte]);
            assert_eq!(victim.events(), []);
            assert_eq!(victim.connection.peer(), None);
            assert!(!victim.connection.is_open() && !victim.connection.is_connected());
        }
        victim.feed(&stream[stream.len() - 1..]);
        assert_eq!(victim.connection.peer(), Some(attacker.knobs.peer_id()));
        victim.feed_eof();
        if role.is_initiator() {
            let connected = Happened::Connected(attacker.knobs.peer_id());
            assert_eq!(victim.events(), [connected, Happened::Closed(CloseReason::Truncated)]);
        } else {
            assert_eq!(victim.events(), [Happened::Closed(CloseReason::Truncated)]);
        }
    }
}

/// ADM-2: and the attacker's proof by the book is one; else all of the above would prove nothing.
#[test]
fn an_honest_proof_is_taken() {
    for role in BOTH {
        let (mut attacker, mut victim) = Attacker::connected(role);
        victim.connection.close(victim.now, Status::OK);
        assert_eq!(attacker.open(&victim.written()), [message::close(0)]);
    }
}
