//! What is the blocking adapter's own: threads, streams of all kinds, and peers that stall.

mod building;
mod by_hand;
mod closing;
mod descriptions;
mod handlers;
mod keeping;
#[path = "../common/lent.rs"]
mod lent;
mod publications;
mod server;
mod stalls;
mod streams;
#[path = "../common/stubborn.rs"]
mod stubborn;

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use minicbor::{Decode, Encode};
use symbolon::blocking::{Builder, Context, Device, Handle};
use symbolon::{Admission, Identity, Limits, Request, Role, SecretKey, Seed, Timeouts};

/// How long anything may take before a test counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A request with a type, and its reply.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Double(#[n(0)] pub u32);

#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Doubled(#[n(0)] pub u32);

impl Request for Double {
    const METHOD: &'static str = "math/double";
    type Reply = Doubled;
}

pub fn identity(number: u8) -> Identity {
    Identity::new(&SecretKey::from_bytes([number; 32]), Seed::random().unwrap())
}

/// A device that lets everyone in, and knows `math/double` and `echo`.
pub fn builder(number: u8) -> Builder {
    Device::builder(identity(number))
        .admit(|_| true)
        .call_timeout(PATIENCE)
        .on(|_, Double(number)| Ok(Doubled(number * 2)))
        .on_raw("echo", |_, body| Ok(body))
}

pub fn device(number: u8) -> Device {
    builder(number).build().unwrap()
}

pub fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

pub fn timeouts(change: impl FnOnce(&mut Timeouts)) -> Timeouts {
    let mut timeouts = Timeouts::default();
    change(&mut timeouts);
    timeouts
}

/// The two ends of a TCP connection.
pub fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// Two devices connected over TCP: the handle of the dialler, and that of the other.
pub fn over_tcp(dialler: &Device, dialled: &Device) -> (Handle, Handle) {
    let (near, far) = sockets();
    let admission = Admission::expect(dialled.peer_id());
    let near = dialler.attach_tcp(near, Role::Initiator, admission).unwrap();
    let far = dialled.attach_tcp(far, Role::Responder, Admission::Ask).unwrap();
    near.connected().unwrap();
    far.connected().unwrap();
    (near, far)
}

/// What ends a socket's directions.
pub fn hang_up(socket: &TcpStream) -> impl Fn(Shutdown) + Send + Sync + 'static {
    let socket = socket.try_clone().unwrap();
    move |how| {
        let _ended = socket.shutdown(how);
    }
}

/// Fails a test that hangs, instead of hanging.
pub fn soon<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = mpsc::channel();
    let working = thread::spawn(move || {
        let _told = done.send(work());
    });
    match result.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(working.join().unwrap_err()),
    }
}

/// Waits until a condition holds that others bring about.
pub fn until(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it hangs");
        thread::sleep(millis(1));
    }
}

/// One half of a stream, whose thread has ended when the value has gone.
pub struct Watched<S> {
    stream: S,
    _thread: Arc<()>,
}

/// A half of a stream, and whether a thread still has it.
pub fn watched<S>(stream: S) -> (Watched<S>, Weak<()>) {
    let thread = Arc::new(());
    let watch = Arc::downgrade(&thread);
    (Watched { stream, _thread: thread }, watch)
}

pub fn has_ended(watch: &Weak<()>) -> bool {
    watch.strong_count() == 0
}

impl<S: std::io::Read> std::io::Read for Watched<S> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(bytes)
    }
}

impl<S: std::io::Write> std::io::Write for Watched<S> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

/// A handler that stays until it is let go, and counts who came and who is there.
#[derive(Clone, Default)]
pub struct Room(Arc<RoomInner>);

#[derive(Default)]
struct RoomInner {
    entered: AtomicUsize,
    inside: AtomicUsize,
    let_go: Mutex<usize>,
    changed: Condvar,
}

impl Room {
    pub fn serve(&self, builder: Builder) -> Builder {
        let room = self.clone();
        builder.on_raw("stay", move |_: Context, body| {
            room.0.entered.fetch_add(1, Ordering::SeqCst);
            room.0.inside.fetch_add(1, Ordering::SeqCst);
            let let_go = room.0.let_go.lock().unwrap();
            let waited = room.0.changed.wait_timeout_while(let_go, PATIENCE, |let_go| *let_go == 0);
            let (mut let_go, timeout) = waited.unwrap();
            assert!(!timeout.timed_out(), "nobody lets it go");
            *let_go -= 1;
            room.0.inside.fetch_sub(1, Ordering::SeqCst);
            Ok(body)
        })
    }

    pub fn let_go(&self, visitors: usize) {
        *self.0.let_go.lock().unwrap() += visitors;
        self.0.changed.notify_all();
    }

    pub fn entered(&self) -> usize {
        self.0.entered.load(Ordering::SeqCst)
    }

    pub fn inside(&self) -> usize {
        self.0.inside.load(Ordering::SeqCst)
    }
}
