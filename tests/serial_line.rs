//! The blocking adapter's serial lines, over pairs of sockets that stand for two wires, with noise between.

#![cfg(unix)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use symbolon::blocking::{Builder, CallError, Device, Handle, SerialLine};
use symbolon::{
    CloseReason, Identity, Kind, Limits, Overflow, PeerId, SecretKey, Seed, Status, TimedOut, Timeouts,
};

const SOON: Duration = Duration::from_secs(20);

fn builder(number: u8) -> Builder {
    let identity = Identity::new(&SecretKey::from_bytes([number; 32]), Seed::random().unwrap());
    let mut timeouts = Timeouts::default();
    timeouts.silence = Some(Duration::from_secs(1));
    timeouts.probe = Duration::from_millis(500);
    Device::builder(identity)
        .admit(|_| true)
        .timeouts(timeouts)
        .on_raw("echo", |_, body| Ok(body))
        .topic_raw("count", Kind::Event { depth: 64, overflow: Overflow::DropOldest })
}

fn device(number: u8) -> Device {
    builder(number).build().unwrap()
}

/// One direction of a line: what is written passes a thread that may do harm to it.
#[derive(Clone, Default)]
struct Harm(Arc<HarmInner>);

#[derive(Default)]
struct HarmInner {
    /// One byte in so many is changed; 0: none.
    flips: AtomicU32,
    /// Bytes to put between those that pass.
    noise: Mutex<Vec<u8>>,
}

impl Harm {
    fn flip(&self, one_in: u32) {
        self.0.flips.store(one_in, Ordering::SeqCst);
    }

    fn insert(&self, noise: &[u8]) {
        self.0.noise.lock().unwrap().extend_from_slice(noise);
    }

    /// Carries bytes from one end to the other, in pieces of a few bytes as a port gives them.
    fn carry(self, mut from: UnixStream, mut to: UnixStream) {
        from.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let mut random = 0x2545_f491_u32;
        thread::spawn(move || {
            let mut chunk = [0; 61];
            loop {
                let noise = std::mem::take(&mut *self.0.noise.lock().unwrap());
                if to.write_all(&noise).is_err() {
                    break;
                }
                let len = match from.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(len) => len,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(_) => break,
                };
                let flips = self.0.flips.load(Ordering::SeqCst);
                for byte in &mut chunk[..len] {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if flips > 0 && (random >> 8).is_multiple_of(flips) {
                        *byte ^= 0x55;
                    }
                }
                if to.write_all(&chunk[..len]).is_err() {
                    break;
                }
            }
        });
    }
}

/// A line between two sockets, and what harms each direction.
struct Wires {
    ends: [UnixStream; 2],
    harm: [Harm; 2],
}

fn wires() -> Wires {
    let (a, a_far) = UnixStream::pair().unwrap();
    let (b, b_far) = UnixStream::pair().unwrap();
    let harm = [Harm::default(), Harm::default()];
    harm[0].clone().carry(a_far.try_clone().unwrap(), b_far.try_clone().unwrap());
    harm[1].clone().carry(b_far, a_far);
    Wires { ends: [a, b], harm }
}

fn line(device: &Device, end: &UnixStream, dial: Option<PeerId>) -> SerialLine {
    let (input, output) = (end.try_clone().unwrap(), end.try_clone().unwrap());
    let end = end.try_clone().unwrap();
    let hang_up = move |how| {
        let _ended = end.shutdown(how);
    };
    device.serial(input, output, hang_up, dial).unwrap()
}

fn link(line: &SerialLine) -> Handle {
    line.session(SOON).expect("a session")
}

/// Calls until it succeeds: what a program does on a line that may lose its session at any time.
fn echo_until_answered(line: &SerialLine, body: &[u8]) {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < 2 * SOON, "no answer");
        let Some(link) = line.session(Duration::from_secs(1)) else { continue };
        match link.call_raw("echo", body, Some(Duration::from_secs(2))) {
            Ok(reply) => return assert_eq!(reply, body),
            Err(CallError::Status(status, _)) => panic!("answered {status}"),
            Err(_) => {}
        }
    }
}

#[test]
fn both_sides_call_and_publish() {
    let Wires { ends: [a_end, b_end], .. } = wires();
    let (a, b) = (device(1), device(2));
    let (a_line, b_line) = (line(&a, &a_end, Some(b.peer_id())), line(&b, &b_end, None));
    let (at_a, at_b) = (link(&a_line), link(&b_line));
    assert_eq!((at_a.peer(), at_b.peer()), (Some(b.peer_id()), Some(a.peer_id())));
    assert_eq!(at_a.call_raw("echo", b"from a", None).unwrap(), b"from a"[..]);
    assert_eq!(at_b.call_raw("echo", &[7; 10_000], None).unwrap(), vec![7; 10_000]);
    let mut counts = at_b.subscribe_raw("count", Default::default()).unwrap();
    for number in 0..50_u8 {
        a.publish_raw("count", &[number]).unwrap();
    }
    for number in 0..50_u8 {
        let delivery = counts.recv_timeout(SOON).unwrap();
        assert_eq!((delivery.missed.count, &*delivery.publication.unwrap().body), (0, &[number][..]));
    }
    assert_eq!(a_line.close(), Some(CloseReason::Local(Status::OK)));
    assert_eq!(at_b.closed(), CloseReason::Remote(Status::OK));
    assert!(!a_line.is_open());
}

/// SER-5: whoever stays initiator, one session comes of it.
#[test]
fn both_sides_dial() {
    let Wires { ends: [a_end, b_end], .. } = wires();
    let (a, b) = (device(1), device(2));
    let a_line = line(&a, &a_end, Some(b.peer_id()));
    let b_line = line(&b, &b_end, Some(a.peer_id()));
    echo_until_answered(&a_line, b"from a");
    echo_until_answered(&b_line, b"from b");
    assert_eq!(link(&a_line).channel_binding(), link(&b_line).channel_binding());
}

#[test]
fn who_is_not_let_in_gets_no_session() {
    let Wires { ends: [a_end, b_end], .. } = wires();
    let (a, b, other) = (device(1), device(2), device(3));
    let b_closed = Device::builder(Identity::new(&SecretKey::from_bytes([2; 32]), Seed::random().unwrap()))
        .trust([other.peer_id()])
        .build()
        .unwrap();
    let (a_line, b_line) = (line(&a, &a_end, Some(b.peer_id())), line(&b_closed, &b_end, None));
    assert!(a_line.session(Duration::from_secs(2)).is_none());
    assert!(b_line.session(Duration::ZERO).is_none());
}

#[test]
fn it_works_through_noise_and_recovers_when_that_stops() {
    let Wires { ends: [a_end, b_end], harm } = wires();
    let (a, b) = (device(1), device(2));
    harm[0].insert(&[0x55; 3000]);
    harm[1].insert(b"U-Boot 2026.01\r\n\0\0symb\x01\0\0\x01garbage\0");
    let (a_line, b_line) = (line(&a, &a_end, Some(b.peer_id())), line(&b, &b_end, None));
    echo_until_answered(&a_line, b"noise before");
    // About one packet in ten is damaged, each of which costs the session.
    harm[0].flip(1000);
    harm[1].flip(1000);
    for number in 0..10_u8 {
        echo_until_answered(&a_line, &[number; 40]);
        echo_until_answered(&b_line, &[number; 40]);
    }
    harm[0].flip(0);
    harm[1].flip(0);
    echo_until_answered(&a_line, b"noise behind");
    assert!(a_line.dropped() + b_line.dropped() > 0);
    // Noise between packets costs nothing.
    let standing = link(&a_line);
    for _ in 0..20 {
        harm[0].insert(&[0, 0xff, 0x13, 0x00]);
        harm[1].insert(&[0, 0xff, 0x13, 0x00]);
        thread::sleep(Duration::from_millis(7));
    }
    assert_eq!(standing.call_raw("echo", b"still there", None).unwrap(), b"still there"[..]);
}

/// A port of a process that can be killed: then it neither reads nor writes any more, and says nothing.
#[derive(Clone)]
struct Port {
    stream: Arc<UnixStream>,
    killed: Arc<AtomicBool>,
}

impl Port {
    fn new(end: &UnixStream) -> Self {
        let stream = end.try_clone().unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { stream: Arc::new(stream), killed: Arc::default() }
    }

    fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    fn line(&self, device: &Device, dial: Option<PeerId>) -> SerialLine {
        device.serial(self.clone(), self.clone(), |_| {}, dial).unwrap()
    }
}

impl Read for Port {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.killed.load(Ordering::SeqCst) { Ok(0) } else { (&*self.stream).read(bytes) }
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.killed.load(Ordering::SeqCst) { Ok(bytes.len()) } else { (&*self.stream).write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn either_side_restarts() {
    for dialler_restarts in [true, false] {
        let Wires { ends: [a_end, b_end], .. } = wires();
        let (a, b) = (device(1), device(2));
        let (a_port, b_port) = (Port::new(&a_end), Port::new(&b_end));
        let (mut a_line, mut b_line) = (a_port.line(&a, Some(b.peer_id())), b_port.line(&b, None));
        echo_until_answered(&a_line, b"before");
        let survivor = if dialler_restarts {
            a_port.kill();
            a_line = Port::new(&a_end).line(&device(1), Some(b.peer_id()));
            link(&b_line)
        } else {
            b_port.kill();
            b_line = Port::new(&b_end).line(&device(2), None);
            link(&a_line)
        };
        echo_until_answered(&a_line, b"behind");
        echo_until_answered(&b_line, b"behind");
        // SER-13, or the silence that the restarted side left.
        let reason = survivor.closed();
        let expected = if dialler_restarts {
            CloseReason::Local(Status::REPLACED)
        } else {
            CloseReason::TimedOut(TimedOut::Silence)
        };
        assert_eq!(reason, expected);
    }
}

/// Whoever waits for a free slot gets it as soon as another call has ended.
#[test]
fn calls_wait_for_a_slot_no_longer_than_they_must() {
    let Wires { ends: [a_end, b_end], .. } = wires();
    let mut limits = Limits::default();
    limits.requests_in = 1;
    // Without pings, which would wake them as well.
    let mut quiet = Timeouts::default();
    quiet.silence = None;
    let serving = builder(2).limits(limits).timeouts(quiet).on_raw("slow", |_, body| {
        thread::sleep(Duration::from_millis(20));
        Ok(body)
    });
    let (a, b) = (builder(1).timeouts(quiet).build().unwrap(), serving.build().unwrap());
    let (a_line, _b_line) = (line(&a, &a_end, Some(b.peer_id())), line(&b, &b_end, None));
    let at_a = link(&a_line);
    let callers: Vec<_> = (0..8_u8)
        .map(|number| {
            let at_a = at_a.clone();
            thread::spawn(move || (number, at_a.call_raw("slow", &[number], Some(SOON))))
        })
        .collect();
    for caller in callers {
        let (number, reply) = caller.join().unwrap();
        assert_eq!(reply.unwrap(), [number][..]);
    }
}

/// A port that takes nothing any more, with a dead device behind it.
#[test]
fn closing_does_not_wait_for_a_port_that_is_held_up() {
    struct HeldUp(Port, Arc<AtomicBool>);
    impl Write for HeldUp {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            while self.1.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let Wires { ends: [a_end, b_end], .. } = wires();
    let mut timeouts = Timeouts::default();
    timeouts.close = Duration::from_millis(300);
    let (a, b) = (builder(1).timeouts(timeouts).build().unwrap(), device(2));
    let (a_port, b_port) = (Port::new(&a_end), Port::new(&b_end));
    let held_up = Arc::new(AtomicBool::new(false));
    let output = HeldUp(a_port.clone(), held_up.clone());
    let a_line = a.serial(a_port, output, |_| {}, Some(b.peer_id())).unwrap();
    let b_line = b_port.line(&b, None);
    echo_until_answered(&a_line, b"before");
    b_port.kill();
    held_up.store(true, Ordering::SeqCst);
    let (told, hear) = std::sync::mpsc::channel();
    let closing = a_line.clone();
    thread::spawn(move || told.send(closing.close()));
    let reason = hear.recv_timeout(SOON).expect("an end");
    assert_eq!(reason, Some(CloseReason::TimedOut(TimedOut::Close)));
    assert!(!a_line.is_open() && b_line.dropped() == 0);
    held_up.store(false, Ordering::SeqCst);
}

/// SPEC §19.3: of offers that come in a heap, few are answered, since each costs operations on a curve.
#[test]
fn a_heap_of_offers_is_not_answered() {
    let (end, mut far) = UnixStream::pair().unwrap();
    let b_line = line(&device(2), &end, None);
    let offer = b"\0\x06symb\x01\x01\x02\x01\0";
    let begun = Instant::now();
    far.write_all(&offer.repeat(2_000)).unwrap();
    far.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut answered = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(len) = far.read(&mut chunk) {
        answered.extend_from_slice(&chunk[..len]);
    }
    let answers = answered.windows(4).filter(|bytes| *bytes == b"olon").count() as u128;
    let most = 1 + begun.elapsed().as_millis() / 50;
    assert!((1..=most).contains(&answers), "{answers} answers, {most} at most");
    assert!(b_line.dropped() > 1_000);
}

/// What this process holds in memory, in bytes, where the system tells.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<usize>().ok()? * 1024)
}

/// A pseudo-terminal that spews random bytes: no session, no end, and what it costs is bounded.
#[test]
fn a_terminal_that_spews_random_bytes() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let port = File::options().read(true).write(true).open(path).unwrap();
    let mut settings = tcgetattr(&port).unwrap();
    settings.make_raw();
    tcsetattr(&port, OptionalActions::Now, &settings).unwrap();
    let mut far = File::from(master);
    let a = device(1);
    let a_line = a.serial(port.try_clone().unwrap(), port, |_| {}, Some(device(2).peer_id())).unwrap();
    let before = resident();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut discard = far.try_clone().unwrap();
    thread::spawn(move || while discard.read(&mut [0; 4096]).is_ok_and(|len| len > 0) {});
    for _ in 0..400 {
        let bytes: Vec<u8> = (0..4096)
            .map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random.to_le_bytes()[3]
            })
            .collect();
        far.write_all(&bytes).unwrap();
    }
    assert!(a_line.session(Duration::ZERO).is_none());
    assert!(a_line.is_open() && a_line.dropped() > 100);
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(after.saturating_sub(before) < 16 << 20, "{before} to {after} bytes");
    }
    a_line.close();
    assert!(!a_line.is_open());
}

#[test]
fn a_line_that_is_gone_ends_what_waits() {
    let Wires { ends: [a_end, b_end], .. } = wires();
    let (a, b) = (
        device(1),
        builder(2)
            .on_raw("stay", |context, body| {
                while !context.is_cancelled() {
                    thread::sleep(Duration::from_millis(5));
                }
                Ok(body)
            })
            .build()
            .unwrap(),
    );
    let (a_line, b_line) = (line(&a, &a_end, Some(b.peer_id())), line(&b, &b_end, None));
    let at_a = link(&a_line);
    let waiting = thread::spawn(move || at_a.call_raw("stay", b"", None));
    // The adapter is pulled out while the call is open.
    while link(&b_line).device().link(a.peer_id()).is_none() {}
    thread::sleep(Duration::from_millis(100));
    a_end.shutdown(Shutdown::Both).unwrap();
    assert!(matches!(waiting.join().unwrap(), Err(CallError::Disconnected | CallError::NotExecuted)));
    assert!(!a_line.is_open() && a_line.session(SOON).is_none());
}
