//! The transport ciphers by themselves.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::tests::Vector;

fn sealed(cipher: &mut CipherState, text: &[u8]) -> Vec<u8> {
    let mut buf = text.to_vec();
    buf.resize(text.len() + 16, 0);
    cipher.seal(&mut buf, &[]).unwrap();
    buf
}

/// TRN-1, TRN-2: `tests/vectors/transport.json`, each by all who have its suite.
#[test]
fn vectors() {
    let mut tried = [0; 2];
    for vector in crate::tests::vectors("transport") {
        let bit = u16::try_from(vector.number("suite")).unwrap();
        let suite = Suite::from_bit(bit).unwrap();
        for (provider, _) in ciphers().into_iter().filter(|(_, its)| *its == suite) {
            check(&|key| CipherState::new(provider, suite, key).unwrap(), &vector);
            tried[usize::from(suite == Suite::AesGcm)] += 1;
        }
    }
    let [mandatory, optional] = tried;
    assert!(mandatory > 0, "no vector of the suite that everybody has");
    if optional == 0 {
        std::eprintln!("nobody has AES-256-GCM here: its vectors were left out");
    }
    let has_aes = ciphers().iter().any(|(_, suite)| *suite == Suite::AesGcm);
    assert_eq!(optional > 0, has_aes, "no vector of the suite that somebody has");
}

fn check(keyed: &dyn Fn(&[u8; 32]) -> CipherState, vector: &Vector) {
    let mut cipher = keyed(&vector.array("key"));
    if vector.has("rekeyed") {
        cipher.start_at(u64::from(u16::MAX));
        sealed(&mut cipher, b"the last of its key");
        let mut other = keyed(&vector.array("rekeyed"));
        other.start_at(u64::from(u16::MAX) + 1);
        assert_eq!(sealed(&mut cipher, b"next"), sealed(&mut other, b"next"), "{}", vector.id());
        return;
    }
    cipher.start_at(vector.number("n"));
    let mut ciphertext = vector.bytes("ciphertext");
    let opened = cipher.open(&mut ciphertext);
    assert_eq!(opened.is_ok(), vector.is_accepted(), "{}", vector.id());
    if let Ok(len) = opened {
        let plaintext = vector.bytes("plaintext");
        assert_eq!(ciphertext[..len], plaintext, "{}", vector.id());
        let mut cipher = keyed(&vector.array("key"));
        cipher.start_at(vector.number("n"));
        assert_eq!(sealed(&mut cipher, &plaintext), vector.bytes("ciphertext"), "{}", vector.id());
    }
}

/// TRN-1, T4
#[test]
fn a_frame_opens_once_and_in_its_order() {
    for cipher in ciphers() {
        let (mut one, mut two) = established(cipher);
        let first = sealed(&mut one.send, b"first");
        let second = sealed(&mut one.send, b"second");
        assert_eq!(two.receive.open(&mut second.clone()), Err(OpenError::Forged));
        assert_eq!(two.receive.open(&mut first.clone()), Ok(5));
        assert_eq!(two.receive.open(&mut first.clone()), Err(OpenError::Forged));
        assert_eq!(two.receive.open(&mut second.clone()), Ok(6));
        // Not one's own, and not on the way back.
        let third = sealed(&mut one.send, b"third");
        assert_eq!(one.receive.open(&mut third.clone()), Err(OpenError::Forged));
    }
}

/// TRN-1, T1, T9: nothing of the plaintext is left in the buffer.
#[test]
fn a_refused_frame_changes_nothing_and_shows_nothing() {
    for cipher in ciphers() {
        let (mut one, mut two) = established(cipher);
        let frame = sealed(&mut one.send, b"plaintext");
        for at in 0..frame.len() {
            let mut forged = frame.clone();
            forged[at] ^= 0x80;
            assert_eq!(two.receive.open(&mut forged), Err(OpenError::Forged), "{at}");
            assert!(!forged.windows(4).any(|part| b"plaintext".windows(4).any(|text| text == part)));
        }
        for len in 0..frame.len() {
            let expected = if len < 16 { OpenError::TooShort } else { OpenError::Forged };
            assert_eq!(two.receive.open(&mut frame[..len].to_vec()), Err(expected), "{len}");
        }
        assert_eq!(two.receive.open(&mut frame.clone()), Ok(9));
    }
}

/// T5, T6
#[test]
fn the_largest_frame_and_the_smallest() {
    for cipher in ciphers() {
        let (mut one, mut two) = established(cipher);
        for len in [0, 1, MAX_MESSAGE - 16] {
            let text = vec![0x5A; len];
            let mut frame = sealed(&mut one.send, &text);
            assert_eq!(two.receive.open(&mut frame), Ok(len));
            assert_eq!(frame[..len], text);
        }
    }
}

/// TRN-2, T10
#[test]
fn the_key_changes_at_the_interval_and_not_beside_it() {
    for cipher in ciphers() {
        // With the first key, the frame of nonce n, whatever n is.
        let with_first_key = |n| {
            let (mut one, _) = established(cipher);
            one.send.start_at(n);
            sealed(&mut one.send, b"text")
        };
        let (mut one, mut two) = established(cipher);
        one.send.start_at(REKEY_INTERVAL - 2);
        two.receive.start_at(REKEY_INTERVAL - 2);
        for n in REKEY_INTERVAL - 2..REKEY_INTERVAL + 2 {
            let mut frame = sealed(&mut one.send, b"text");
            assert_eq!(frame == with_first_key(n), n < REKEY_INTERVAL, "{n}");
            assert_eq!(two.receive.open(&mut frame), Ok(4), "{n}");
        }
    }
}

/// TRN-1, TRN-2, T1, T10
#[test]
fn a_forged_frame_does_not_bring_the_rekey_nearer() {
    for cipher in ciphers() {
        let (mut one, mut two) = established(cipher);
        one.send.start_at(REKEY_INTERVAL - 1);
        two.receive.start_at(REKEY_INTERVAL - 1);
        for _ in 0..3 {
            assert_eq!(two.receive.open(&mut [0; 20]), Err(OpenError::Forged));
        }
        for _ in 0..2 {
            assert_eq!(two.receive.open(&mut sealed(&mut one.send, b"text")), Ok(4));
        }
    }
}

/// TRN-3, T3
#[test]
fn the_last_nonce_is_never_used() {
    for cipher in ciphers() {
        let (mut one, mut two) = established(cipher);
        one.send.start_at(u64::MAX - 1);
        two.receive.start_at(u64::MAX - 1);
        let mut frame = sealed(&mut one.send, b"last");
        assert_eq!(two.receive.open(&mut frame), Ok(4));
        for _ in 0..2 {
            let mut buf = *b"text that must not be touched";
            assert_eq!(one.send.seal(&mut buf, &[]), Err(Exhausted));
            assert_eq!(two.receive.open(&mut buf), Err(OpenError::Exhausted));
            assert_eq!(&buf, b"text that must not be touched");
        }
    }
}

/// SER-4: a frame that comes too early is found under the same key only, and looking changes nothing.
#[test]
fn a_later_frame_is_found_up_to_the_rekey() {
    for cipher in ciphers() {
        let (mut one, mut two) = established(cipher);
        one.send.start_at(REKEY_INTERVAL - 3);
        two.receive.start_at(REKEY_INTERVAL - 3);
        let frames: Vec<_> = (0..4).map(|_| sealed(&mut one.send, b"text")).collect();
        for later in 0..20 {
            for (place, frame) in (0..).zip(&frames) {
                let found = two.receive.opens_later(later, &mut frame.clone());
                assert_eq!(found, place == later && place < 3, "{later} {place}");
            }
        }
        assert!(!two.receive.opens_later(u64::MAX, &mut frames[0].clone()));
        assert!(!two.receive.opens_later(1, &mut [0; 15]));
        for frame in &frames {
            assert_eq!(two.receive.open(&mut frame.clone()), Ok(4));
        }
    }
}
