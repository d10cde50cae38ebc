//! Tests of `Identity`, and that nothing secret is shown.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::crypto::Suite;
use crate::noise::Handshake;
use crate::role::Role;

const PROVIDER: Provider = Provider::rust_crypto();

fn identity() -> Identity {
    let start = Seed::new(core::array::from_fn(|i| 0xC0 + i as u8)).expect("not constant");
    Identity::new(&SecretKey::from_bytes([0xAB; 32]), start)
}

/// RFC 8032 §7.1, test 1.
#[test]
fn the_peer_id_is_the_public_key_of_rfc_8032() {
    let secret = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
        0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];
    let start = Seed::new(core::array::from_fn(|i| i as u8)).expect("not constant");
    let identity = Identity::new(&SecretKey::from_bytes(secret), start);
    let expected = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    assert_eq!(format!("{}", identity.peer_id()), expected);
    assert_eq!(identity.secret().to_bytes(), secret);
}

#[test]
fn the_seed_of_the_start_is_the_private_static_key() {
    let identity = identity();
    assert_eq!(identity.static_key().private()[..2], [0xC0, 0xC1]);
    let pair = KeyPair::new(PROVIDER, identity.static_key().private());
    assert_eq!(identity.static_key().public(), pair.public());
}

#[test]
fn a_constant_seed_is_refused() {
    for byte in [0, 1, 0xff] {
        assert_eq!(Seed::new([byte; 32]).err(), Some(ConstantSeed));
    }
    for at in 0..32 {
        let mut bytes = [0xff; 32];
        bytes[at] = 0xfe;
        assert!(Seed::new(bytes).is_ok());
    }
}

#[test]
fn debug_shows_nothing_secret() {
    let identity = identity();
    let seed = Seed::new(*identity.static_key().private()).expect("not constant");
    let shown = format!(
        "{identity:?} {identity:#?} {:?} {:?} {:?} {seed:?} {:?}",
        identity.secret(),
        identity.signing_key(),
        identity.static_key(),
        Provider::default(),
    );
    for secret in [identity.secret().as_bytes(), identity.static_key().private()] {
        let hex: String = secret[..2].iter().map(|byte| format!("{byte:02x}")).collect();
        let decimal = format!("{}, {}", secret[0], secret[1]);
        assert!(!shown.to_lowercase().contains(&hex), "{shown}");
        assert!(!shown.contains(&decimal), "{shown}");
    }
    assert!(shown.contains("SecretKey(..)") && shown.contains("Seed(..)"), "{shown}");
}

/// The responder's proof, as it goes into message 2, and what the initiator checks it against.
#[test]
fn a_proof_holds_in_its_own_session_only() {
    let responder = identity();
    let caller = Seed::new(core::array::from_fn(|i| 3 + i as u8)).expect("not constant");
    let caller = KeyPair::new(PROVIDER, caller.as_bytes());
    let id = responder.peer_id();
    let mut proofs = Vec::new();
    let mut hashes = Vec::new();
    for session in 1..=2 {
        let mut first = [0; 96];
        let begin = |role, key, ephemeral| {
            let suite = Suite::ChaChaPoly;
            Handshake::new(role, PROVIDER, suite, key, &KeyPair::new(PROVIDER, &[ephemeral; 32]), b"")
                .unwrap()
        };
        let mut theirs = begin(Role::Initiator, &caller, session);
        let mut ours = begin(Role::Responder, responder.static_key(), 9);
        let len = theirs.write(b"", &mut first).unwrap();
        ours.read(&first[..len], &mut [0; 96]).unwrap();
        assert_eq!(ours.hash(), theirs.hash());
        let public = responder.static_key().public();
        let key = responder.signing_key();
        proofs.push(prove(PROVIDER, key, Role::Responder, &ours.hash(), public));
        hashes.push(theirs.hash());
    }
    let check = |proof, hash| {
        let public = responder.static_key().public();
        verify(PROVIDER, id.as_bytes(), proof, Role::Responder, hash, public)
    };
    for (a, proof) in proofs.iter().enumerate() {
        for (b, hash) in hashes.iter().enumerate() {
            assert_eq!(check(proof, hash), (a == b).then_some(id));
        }
    }
}

#[cfg(feature = "std")]
#[test]
fn random_identities_differ() {
    let (one, two) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    assert_ne!(one.peer_id(), two.peer_id());
    assert_ne!(one.static_key().public(), two.static_key().public());
}

#[cfg(feature = "std")]
mod file {
    use std::fs;
    use std::io::ErrorKind;
    use std::path::{Path, PathBuf};
    use std::thread;

    use super::*;

    /// A folder of one test, gone with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let name = format!("symbolon-{test}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("identity")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn write_private(path: &Path, content: &[u8]) {
        fs::write(path, content).unwrap();
        #[cfg(unix)]
        set_mode(path, 0o600);
    }

    #[cfg(unix)]
    fn set_mode(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_second_start_is_the_same_device_with_another_static_key() {
        let folder = Folder::new("second-start");
        let first = Identity::load_or_create(folder.file()).unwrap();
        let second = Identity::load_or_create(folder.file()).unwrap();
        assert_eq!(first.peer_id(), second.peer_id());
        assert_ne!(first.static_key().public(), second.static_key().public());
        let content = fs::read_to_string(folder.file()).unwrap();
        assert_eq!(content.len(), 65);
        assert!(content.ends_with('\n'));
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "a temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new("mode");
        let created = Identity::load_or_create(folder.file()).unwrap();
        let mode = fs::metadata(folder.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for shared in [0o640, 0o604, 0o620, 0o610] {
            set_mode(&folder.file(), shared);
            let error = Identity::load_or_create(folder.file()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(format!("{error}").contains("chmod 600"), "{error}");
        }
        set_mode(&folder.file(), 0o400);
        let again = Identity::load_or_create(folder.file()).unwrap();
        assert_eq!(again.peer_id(), created.peer_id());
    }

    #[test]
    fn what_is_no_identity_is_refused_and_left_alone() {
        let folder = Folder::new("malformed");
        let digits = "ab".repeat(32);
        let bad: [&[u8]; 7] = [
            b"",
            b"\n",
            &digits.as_bytes()[1..],
            &format!("{digits}\n\n").into_bytes(),
            &format!("{digits}0").into_bytes(),
            &format!(" {digits}\n").into_bytes(),
            &[0xff; 4096],
        ];
        for content in bad {
            write_private(&folder.file(), content);
            let error = Identity::load_or_create(folder.file()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{content:?}");
            assert!(!format!("{error} {error:?}").contains("abab"), "{error}");
            assert_eq!(fs::read(folder.file()).unwrap(), content);
        }
    }

    #[test]
    fn hand_written_files_are_read() {
        let folder = Folder::new("by-hand");
        for end in ["", "\n", "\r\n"] {
            let text = format!("{}{end}", "aB".repeat(32));
            write_private(&folder.file(), text.as_bytes());
            let identity = Identity::load_or_create(folder.file()).unwrap();
            assert_eq!(identity.secret().to_bytes(), [0xab; 32]);
        }
    }

    #[test]
    fn racing_starts_agree() {
        let folder = Folder::new("race");
        for round in 0..8 {
            let path = folder.0.join(format!("identity-{round}"));
            let barrier = std::sync::Barrier::new(8);
            let ids: Vec<PeerId> = thread::scope(|scope| {
                let start = || {
                    barrier.wait();
                    Identity::load_or_create(&path).unwrap().peer_id()
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        }
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 8);
    }

    #[test]
    fn a_folder_or_a_missing_folder_is_an_error() {
        let folder = Folder::new("folder");
        for path in [folder.0.clone(), folder.0.join("no/such")] {
            let error = Identity::load_or_create(&path).unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error} of which file?");
        }
        assert!(Identity::load_or_create("/").is_err());
    }
}
