//! The receiver against senders who lie, stop, or come twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use symbolon::blocking::{CallError, Device, Handle, Server};
use symbolon::{Identity, Status};

use crate::digest::so_far;
use crate::inbox::Inbox;
use crate::messages::{
    BAD_NAME, Digest, Found, Offer, PART_CHANGED, SOURCE_CHANGED, Send, Stored, WRONG_DIGEST, WRONG_LENGTH,
};
use crate::serve::serve;
use crate::timeouts;

fn of(bytes: &[u8]) -> Digest {
    so_far(&Sha256::new_with_prefix(bytes))
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * at) >> 5) as u8).collect()
}

fn offer(name: &str, whole: &[u8]) -> Offer {
    Offer { name: name.to_owned(), length: whole.len() as u64, digest: of(whole) }
}

fn nothing() -> Found {
    Found::Part { length: 0, digest: of(b"") }
}

fn start_of(whole: &[u8]) -> Found {
    Found::Part { length: whole.len() as u64, digest: of(whole) }
}

/// A receiver with a folder of its own, and two friends of it.
struct Pair {
    folder: PathBuf,
    friends: [Device; 2],
    receiver: Device,
    server: Server,
}

impl Pair {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("symbolon-{test}-{}", std::process::id()));
        let friends = [(); 2].map(|()| Device::builder(Identity::generate().unwrap()).build().unwrap());
        let builder = Device::builder(Identity::generate().unwrap()).timeouts(timeouts());
        let (whole, _) = mpsc::channel();
        let builder = builder.trust(friends.each_ref().map(Device::peer_id));
        let receiver = serve(builder, Inbox::new(&folder).unwrap(), whole).build().unwrap();
        let server = receiver.listen("127.0.0.1:0").unwrap().spawn().unwrap();
        Self { folder, friends, receiver, server }
    }

    fn link(&self) -> Handle {
        self.link_of(0)
    }

    fn link_of(&self, friend: usize) -> Handle {
        self.friends[friend].connect(self.server.local_addr(), self.receiver.peer_id()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The only file that is there, which must be a part.
    fn part(&self) -> PathBuf {
        let names = self.names();
        assert!(names.len() == 1 && names[0].ends_with(".part"), "{names:?}");
        self.folder.join(&names[0])
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

/// Sends these bytes as the whole of what `offer` says, from the beginning.
fn send(link: &Handle, offer: &Offer, bytes: &[u8]) -> Result<Stored, CallError> {
    send_from(link, Send { offer: offer.clone(), from: 0, before: of(b"") }, bytes)
}

fn send_from(link: &Handle, head: Send, bytes: &[u8]) -> Result<Stored, CallError> {
    let (mut body, reply) = link.open(&head)?;
    let _taken = body.write_all(bytes).and_then(|()| body.finish());
    reply.wait().map(|(stored, _)| stored)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, CallError>, wanted: Status) {
    assert!(matches!(&outcome, Err(CallError::Status(status, _)) if *status == wanted), "{outcome:?}");
    assert!(wanted.number() >= Status::FIRST_OF_APPLICATION);
}

/// Sends some of a file, and cuts the link when that has arrived.
fn send_some(pair: &Pair, offer: &Offer, some: &[u8]) {
    let link = pair.link();
    let head = Send { offer: offer.clone(), from: 0, before: of(b"") };
    let (mut body, _reply) = link.open(&head).unwrap();
    body.write_all(some).unwrap();
    arrives(|| pair.folder.read_dir().unwrap().any(|entry| len(&entry.unwrap().path()) == some.len() as u64));
    drop(body);
    link.close();
}

fn len(path: &Path) -> u64 {
    path.metadata().map_or(0, |about| about.len())
}

#[track_caller]
fn arrives(mut what: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it has not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// As a sender does who is told *busy* because the one before has only just gone.
fn ask(link: &Handle, offer: &Offer) -> Found {
    let mut found = None;
    arrives(|| match link.call(offer) {
        Err(CallError::Busy(_)) => false,
        other => found.replace(other.unwrap()).is_none(),
    });
    found.unwrap()
}

#[test]
fn a_file_arrives_and_is_there_the_next_time() {
    let (pair, whole) = (Pair::new("arrives"), bytes(1_000_000));
    let link = pair.link();
    let offer = offer("a.bin", &whole);
    assert_eq!(link.call(&offer), Ok(nothing()));
    let stored = send(&link, &offer, &whole).unwrap();
    assert_eq!((&*stored.name, stored.digest), ("a.bin", of(&whole)));
    assert_eq!(fs::read(pair.folder.join("a.bin")).unwrap(), whole);
    assert_eq!(ask(&link, &offer), Found::Whole("a.bin".to_owned()));
    assert_eq!(pair.names(), ["a.bin"]);
}

#[test]
fn an_empty_file_arrives() {
    let pair = Pair::new("empty");
    let (link, offer) = (pair.link(), offer("nothing", b""));
    assert_eq!(send(&link, &offer, b"").unwrap().name, "nothing");
    assert_eq!(ask(&link, &offer), Found::Whole("nothing".to_owned()));
    assert_eq!(len(&pair.folder.join("nothing")), 0);
}

#[test]
fn what_is_there_is_never_replaced() {
    let pair = Pair::new("replaced");
    let link = pair.link();
    for (text, name) in [("one", "a.txt"), ("two", "a (2).txt"), ("three", "a (3).txt")] {
        let offer = offer("a.txt", text.as_bytes());
        assert_eq!(link.call(&offer), Ok(nothing()));
        assert_eq!(send(&link, &offer, text.as_bytes()).unwrap().name, name);
    }
    assert_eq!(fs::read(pair.folder.join("a.txt")).unwrap(), b"one");
    assert_eq!(ask(&link, &offer("a.txt", b"two")), Found::Whole("a (2).txt".to_owned()));
}

#[test]
fn paths_are_refused_whatever_is_asked() {
    let pair = Pair::new("paths");
    let link = pair.link();
    let long = "x".repeat(5_000);
    for name in ["", "..", "../a", "/tmp/a", "a/b", "a\\b", "a\nb", ".profile", "a.part", &long] {
        refused(link.call(&offer(name, b"x")), BAD_NAME);
        refused(send(&link, &offer(name, b"x"), b"x"), BAD_NAME);
    }
    assert!(pair.names().is_empty());
    assert!(!pair.folder.join("../a").exists());
}

#[test]
fn a_length_that_lies_leaves_nothing() {
    let (pair, whole) = (Pair::new("lies"), bytes(600_000));
    let link = pair.link();
    for length in [0, 599_999, 600_001, u64::MAX] {
        refused(send(&link, &Offer { length, ..offer("a", &whole) }, &whole), WRONG_LENGTH);
    }
    let beyond = Send { offer: offer("a", b""), from: 1, before: of(b"x") };
    refused(send_from(&link, beyond, b""), WRONG_LENGTH);
    assert!(pair.names().is_empty(), "{:?}", pair.names());
}

#[test]
fn other_bytes_than_offered_leave_nothing() {
    let pair = Pair::new("other");
    let link = pair.link();
    refused(send(&link, &offer("a", b"good"), b"evil"), WRONG_DIGEST);
    assert!(pair.names().is_empty());
}

#[test]
fn a_file_that_changes_while_it_is_sent_leaves_nothing() {
    let (pair, whole) = (Pair::new("changes"), bytes(300_000));
    let link = pair.link();
    let head = Send { offer: offer("a", &whole), from: 0, before: of(b"") };
    let (mut body, reply) = link.open(&head).unwrap();
    body.write_all(&whole[..200_000]).unwrap();
    body.reset(SOURCE_CHANGED);
    refused(reply.wait(), SOURCE_CHANGED);
    assert!(pair.names().is_empty());
}

#[test]
fn a_body_that_ends_early_is_gone_on_with() {
    let (pair, whole) = (Pair::new("early"), bytes(500_000));
    let offer = offer("a", &whole);
    send_some(&pair, &offer, &whole[..123_456]);
    let link = pair.link();
    assert_eq!(ask(&link, &offer), start_of(&whole[..123_456]));
    assert_eq!(len(&pair.part()), 123_456);
    let head = Send { offer: offer.clone(), from: 123_456, before: of(&whole[..123_456]) };
    send_from(&link, head, &whole[123_456..]).unwrap();
    assert_eq!(pair.names(), ["a"]);
    assert_eq!(fs::read(pair.folder.join("a")).unwrap(), whole);
}

#[test]
fn a_part_that_has_changed_is_not_gone_on_with() {
    let (pair, whole) = (Pair::new("changed"), bytes(500_000));
    let offer = offer("a", &whole);
    send_some(&pair, &offer, &whole[..1_000]);
    let link = pair.link();
    assert_eq!(ask(&link, &offer), start_of(&whole[..1_000]));
    let go_on = |from| Send { offer: offer.clone(), from, before: of(&whole[..from as usize]) };

    // Others write into it, cut it, make it longer than the file is.
    let part = pair.part();
    fs::write(&part, [7; 1_000]).unwrap();
    refused(send_from(&link, go_on(1_000), &whole[1_000..]), PART_CHANGED);
    assert_eq!(ask(&link, &offer), start_of(&[7; 1_000]));
    fs::write(&part, &whole[..999]).unwrap();
    refused(send_from(&link, go_on(1_000), &whole[1_000..]), PART_CHANGED);
    fs::write(&part, bytes(500_001)).unwrap();
    assert_eq!(ask(&link, &offer), nothing());

    // From any point that is still good, or from the beginning, it goes.
    fs::write(&part, [&whole[..900], &[7; 5_000]].concat()).unwrap();
    send_from(&link, go_on(900), &whole[900..]).unwrap();
    assert_eq!(fs::read(pair.folder.join("a")).unwrap(), whole);
    assert_eq!(pair.names(), ["a"]);
}

#[test]
fn the_second_sender_of_a_file_is_told_busy() {
    let (pair, whole) = (Pair::new("busy"), bytes(500_000));
    let offer = offer("a", &whole);
    let (first, second) = (pair.link_of(0), pair.link_of(1));
    let head = Send { offer: offer.clone(), from: 0, before: of(b"") };
    let (mut body, reply) = first.open(&head).unwrap();
    body.write_all(&whole[..1_000]).unwrap();
    arrives(|| !pair.names().is_empty());
    assert!(matches!(second.call(&offer), Err(CallError::Busy(_))));
    assert!(matches!(send(&second, &offer, &whole), Err(CallError::Busy(_))));
    // Another file of the same name does not wait.
    send(&second, &self::offer("a", b"another"), b"another").unwrap();

    body.write_all(&whole[1_000..]).unwrap();
    body.finish().unwrap();
    assert_eq!(reply.wait().unwrap().0.name, "a (2)");
    assert_eq!(ask(&second, &offer), Found::Whole("a (2)".to_owned()));
}

#[test]
fn a_part_that_was_whole_when_the_receiver_died_needs_no_more_bytes() {
    let (pair, whole) = (Pair::new("died"), bytes(10_000));
    let offer = offer("a", &whole);
    send_some(&pair, &offer, &whole);
    let link = pair.link();
    assert_eq!(ask(&link, &offer), start_of(&whole));
    // Between the name and the removal of the part.
    let part = pair.part();
    let head = Send { offer: offer.clone(), from: 10_000, before: of(&whole) };
    send_from(&link, head, b"").unwrap();
    fs::write(&part, &whole).unwrap();
    assert_eq!(ask(&link, &offer), Found::Whole("a".to_owned()));
    assert_eq!(pair.names(), ["a"]);
}
