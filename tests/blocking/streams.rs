//! Streams that are no sockets of this adapter's own, and streams that misbehave.

use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Instant;

use symbolon::blocking::{CallError, Device, Handle};
use symbolon::{Admission, CloseReason, Role, Status, TimedOut};

use super::by_hand::ByHand;
use super::{
    Double, Doubled, PATIENCE, Room, builder, device, hang_up, has_ended, limits, millis, sockets, soon,
    timeouts, until, watched,
};

/// A writer behind a gate that the test closes.
#[derive(Clone)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn new() -> Self {
        Self(Arc::new((Mutex::new(true), Condvar::new())))
    }

    pub fn set_open(&self, open: bool) {
        *self.0.0.lock().unwrap() = open;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }
}

pub struct Gated<W>(pub W, pub Gate);

impl<W: Write> Write for Gated<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.pass();
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A stream whose every operation first asks `fault`.
struct Faulty<S, F>(S, F);

impl<S: Read, F: FnMut() -> io::Result<()>> Read for Faulty<S, F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (self.1)()?;
        self.0.read(bytes)
    }
}

impl<S: Write, F: FnMut() -> io::Result<()>> Write for Faulty<S, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.1)()?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Connects `near` over streams of any kind with `far` over a socket.
fn over(
    near: &Device,
    socket: &TcpStream,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    (far, other): (&Device, TcpStream),
) -> (Handle, Handle) {
    let admission = Admission::expect(far.peer_id());
    let near = near.attach(input, output, hang_up(socket), Role::Initiator, admission).unwrap();
    let far = far.attach_tcp(other, Role::Responder, Admission::Ask).unwrap();
    let (a, b) = (near.clone(), far.clone());
    soon(move || (a.connected().unwrap(), b.connected().unwrap()));
    (near, far)
}

#[cfg(unix)]
#[test]
fn sockets_of_unix_serve_as_well() {
    use std::os::unix::net::UnixStream;

    let (a, b) = (device(1), device(2));
    let (near, far) = UnixStream::pair().unwrap();
    let attach = |device: &Device, socket: UnixStream, role, admission| {
        let (input, reader) = watched(socket.try_clone().unwrap());
        let (output, writer) = watched(socket.try_clone().unwrap());
        let hang_up = move |how| drop(socket.shutdown(how));
        let handle = device.attach(input, output, hang_up, role, admission).unwrap();
        (handle, [reader, writer])
    };
    let (near, threads) = attach(&a, near, Role::Initiator, Admission::expect(b.peer_id()));
    let (far, others) = attach(&b, far, Role::Responder, Admission::Ask);
    near.connected().unwrap();
    assert_eq!(near.call(&Double(1)), Ok(Doubled(2)));
    assert_eq!(near.call_raw("echo", &[3; 16_000], None), Ok(vec![3; 16_000].into()));
    assert_eq!(far.call(&Double(2)), Ok(Doubled(4)));
    assert_eq!(soon(move || near.close()), CloseReason::Local(Status::OK));
    assert_eq!(soon(move || far.closed()), CloseReason::Remote(Status::OK));
    until(|| threads.iter().chain(&others).all(has_ended));
}

/// As `attach` says: the connection ends all the same, and the reading thread when the other side hangs up.
#[test]
fn a_reader_that_nothing_interrupts_stays_until_the_stream_ends() {
    let device = device(2);
    let (socket, far) = sockets();
    let (input, reader) = watched(far.try_clone().unwrap());
    let (output, writer) = watched(far);
    let handle = device.attach(input, output, |_| {}, Role::Responder, Admission::Ask).unwrap();
    let mut peer = ByHand::new(1, socket, Role::Initiator, device.peer_id()).connected();
    let now = peer.now();
    peer.connection.close(now, Status::OK);
    peer.write();
    assert_eq!(soon(move || handle.closed()), CloseReason::Remote(Status::OK));
    until(|| has_ended(&writer));
    assert!(!has_ended(&reader));
    drop(peer);
    until(|| has_ended(&reader));
}

#[test]
fn a_reader_with_a_time_out_of_its_own_needs_no_hanging_up() {
    let device = device(2);
    let (socket, far) = sockets();
    far.set_read_timeout(Some(millis(20))).unwrap();
    let (input, reader) = watched(far.try_clone().unwrap());
    let (output, writer) = watched(far);
    let handle = device.attach(input, output, |_| {}, Role::Responder, Admission::Ask).unwrap();
    let mut peer = ByHand::new(1, socket, Role::Initiator, device.peer_id()).connected();
    let now = peer.now();
    peer.connection.close(now, Status::OK);
    peer.write();
    assert_eq!(soon(move || handle.closed()), CloseReason::Remote(Status::OK));
    until(|| has_ended(&writer) && has_ended(&reader));
    drop(peer);
}

/// SPEC §16.3: what still comes is discarded for a while, so that what was sent last arrives; a reader whose `read`
/// returns without anything is no reason to hang up at once.
#[test]
fn a_reader_with_a_time_out_of_its_own_lingers_as_well() {
    let device = device(2);
    let (socket, far) = sockets();
    far.set_read_timeout(Some(millis(5))).unwrap();
    let (told, ends) = mpsc::channel();
    let hung_up = hang_up(&far);
    let hang_up = move |how| {
        let _heard = told.send((how, Instant::now()));
        hung_up(how);
    };
    let (input, output) = (far.try_clone().unwrap(), far);
    let handle = device.attach(input, output, hang_up, Role::Responder, Admission::Ask).unwrap();
    let mut peer = ByHand::new(1, socket, Role::Initiator, device.peer_id()).connected();
    let now = peer.now();
    peer.connection.close(now, Status::OK);
    peer.write();
    assert_eq!(soon(move || handle.closed()), CloseReason::Remote(Status::OK));
    let [(first, begun), (last, ended)] = [(); 2].map(|()| ends.recv_timeout(PATIENCE).unwrap());
    assert_eq!((first, last), (Shutdown::Write, Shutdown::Both));
    assert!(ended - begun >= millis(300), "{:?}", ended - begun);
    drop(peer);
}

/// With an error, with nothing taken, or with a panic: open calls end, and so do both threads.
#[test]
fn a_stream_that_fails_ends_the_connection() {
    for (fails_reading, how) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
        let room = Room::default();
        let (a, b) = (device(1), room.serve(builder(2)).build().unwrap());
        let (near, far) = sockets();
        let broken = Arc::new(AtomicBool::new(false));
        let fault = |matters: bool| {
            let broken = broken.clone();
            move || match broken.load(Ordering::SeqCst) && matters {
                true if how == 0 => Err(ErrorKind::BrokenPipe.into()),
                true => panic!("meant"),
                false => Ok(()),
            }
        };
        near.set_read_timeout(Some(millis(10))).unwrap();
        let (input, reader) = watched(Faulty(near.try_clone().unwrap(), fault(fails_reading)));
        let (output, writer) = watched(Faulty(near.try_clone().unwrap(), fault(!fails_reading)));
        let (near, far) = over(&a, &near, input, output, (&b, far));
        let asker = near.clone();
        let open = thread::spawn(move || asker.call_raw("stay", b"", None));
        until(|| room.inside() == 1);
        broken.store(true, Ordering::SeqCst);
        // Meets the fault, or its consequence.
        assert!(near.call_timeout(&Double(1), PATIENCE).is_err());
        assert_eq!(soon(move || open.join().unwrap()), Err(CallError::Disconnected));
        assert_eq!(soon(move || near.closed()), CloseReason::Truncated);
        soon(move || far.closed());
        until(|| has_ended(&reader) && has_ended(&writer));
        room.let_go(1);
    }
}

/// Takes nothing for good, as a full disk does.
struct Full(Arc<AtomicBool>, TcpStream);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.load(Ordering::SeqCst) { Ok(0) } else { self.1.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

#[test]
fn a_writer_that_takes_nothing_ends_the_connection() {
    let (a, b) = (device(1), device(2));
    let (near, far) = sockets();
    let full = Arc::new(AtomicBool::new(false));
    let output = Full(full.clone(), near.try_clone().unwrap());
    let (near, _far) = over(&a, &near, near.try_clone().unwrap(), output, (&b, far));
    full.store(true, Ordering::SeqCst);
    let asker = near.clone();
    assert!(soon(move || asker.call(&Double(1))).is_err());
    assert_eq!(soon(move || near.closed()), CloseReason::Truncated);
}

/// Takes and gives one byte at a time, and is interrupted now and then.
struct Trickle(TcpStream, usize);

impl Trickle {
    fn interrupt(&mut self) -> io::Result<()> {
        self.1 += 1;
        if self.1.is_multiple_of(30) { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

impl Read for Trickle {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.interrupt()?;
        self.0.read(&mut bytes[..1])
    }
}

impl Write for Trickle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.interrupt()?;
        self.0.write(&bytes[..1])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn one_byte_at_a_time_is_enough() {
    let (a, b) = (device(1), device(2));
    let (near, far) = sockets();
    let (input, output) = (near.try_clone().unwrap(), near.try_clone().unwrap());
    let (near, far) = over(&a, &near, Trickle(input, 0), Trickle(output, 0), (&b, far));
    let asker = near.clone();
    assert_eq!(soon(move || asker.call_raw("echo", &[9; 1_000], None)), Ok(vec![9; 1_000].into()));
    assert_eq!(soon(move || far.close()), CloseReason::Local(Status::OK));
    assert_eq!(soon(move || near.closed()), CloseReason::Remote(Status::OK));
}

/// What a stream holds back is passed on; where it never passes it on, its thread ends all the same.
#[test]
fn what_a_stream_holds_back_is_flushed() {
    struct Clogged(TcpStream, Arc<AtomicBool>, Arc<AtomicUsize>);

    impl Write for Clogged {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.2.fetch_add(1, Ordering::SeqCst);
            if self.1.load(Ordering::SeqCst) { Err(ErrorKind::WouldBlock.into()) } else { self.0.flush() }
        }
    }

    let (a, b) = (device(1), device(2));
    let (near, far) = sockets();
    let (clogged, flushes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let inner = Clogged(near.try_clone().unwrap(), clogged.clone(), flushes.clone());
    let (output, writer) = watched(BufWriter::new(inner));
    let (near, far) = over(&a, &near, near.try_clone().unwrap(), output, (&b, far));
    assert_eq!(near.call(&Double(1)), Ok(Doubled(2)));
    clogged.store(true, Ordering::SeqCst);
    // It is tried again and again, and calls go on meanwhile.
    assert_eq!(near.call(&Double(2)), Ok(Doubled(4)));
    let before = flushes.load(Ordering::SeqCst);
    until(|| flushes.load(Ordering::SeqCst) > before + 2);
    soon(move || far.close());
    soon(move || near.closed());
    until(|| has_ended(&writer));
}

/// Nothing but a hang-up ends such a write.
#[test]
fn a_writer_held_up_for_ever_is_hung_up_on() {
    let quick = |number: u8| {
        builder(number).timeouts(timeouts(|timeouts| {
            timeouts.silence = Some(millis(400));
            timeouts.probe = millis(200);
            timeouts.close = millis(200);
        }))
    };
    for closes in [false, true] {
        let (a, b) = (quick(1).build().unwrap(), quick(2).build().unwrap());
        let (near, far) = sockets();
        let gate = Gate::new();
        let (output, writer) = watched(Gated(near.try_clone().unwrap(), gate.clone()));
        let admission = Admission::expect(b.peer_id());
        let (freed, hung_up) = (gate.clone(), hang_up(&near));
        let hang_up = move |how| {
            freed.set_open(true);
            hung_up(how);
        };
        let input = near.try_clone().unwrap();
        let near = a.attach(input, output, hang_up, Role::Initiator, admission).unwrap();
        let _far = b.attach_tcp(far.try_clone().unwrap(), Role::Responder, Admission::Ask).unwrap();
        near.connected().unwrap();
        assert_eq!(near.call(&Double(1)), Ok(Doubled(2)));
        gate.set_open(false);
        let asker = near.clone();
        if closes {
            let reason = soon(move || asker.close());
            assert!(matches!(reason, CloseReason::TimedOut(_) | CloseReason::Remote(_)), "{reason:?}");
        } else {
            let open = thread::spawn(move || asker.call_raw("echo", b"", None));
            assert!(soon(move || open.join().unwrap()).is_err());
            soon(move || near.closed());
        }
        until(|| has_ended(&writer));
    }
}

/// Calls that were given up before they left make room for those that wait.
#[test]
fn who_waits_for_room_is_woken_when_others_give_up() {
    for _ in 0..10 {
        let a = builder(1).limits(limits(|limits| limits.call_queue = 2_000)).build().unwrap();
        let b = device(2);
        let (near, far) = sockets();
        let gate = Gate::new();
        let output = Gated(near.try_clone().unwrap(), gate.clone());
        let (near, _far) = over(&a, &near, near.try_clone().unwrap(), output, (&b, far));
        gate.set_open(false);
        let call = |len: usize, timeout| {
            let near = near.clone();
            thread::spawn(move || near.call_raw("echo", &vec![1; len], timeout).map(|body| body.len()))
        };
        // One is being written, two fill the queue, and others wait for room.
        let first = call(10, None);
        thread::sleep(millis(5));
        let given_up = [call(900, Some(millis(50))), call(900, Some(millis(50)))];
        thread::sleep(millis(10));
        let waiting = [call(900, None), call(900, None), call(900, None)];
        for call in given_up {
            assert_eq!(soon(move || call.join().unwrap()), Err(CallError::DeadlinePassed));
        }
        gate.set_open(true);
        assert_eq!(soon(move || first.join().unwrap()), Ok(10));
        for call in waiting {
            assert_eq!(soon(move || call.join().unwrap()), Ok(900));
        }
    }
}

/// Timers go on while the writer is held up: the time of a call is its own, and a silent peer is noticed.
#[test]
fn a_silent_peer_is_noticed_while_the_writer_is_held_up() {
    let device = builder(2).timeouts(timeouts(|timeouts| timeouts.probe = millis(200))).build().unwrap();
    let (socket, far) = sockets();
    let gate = Gate::new();
    let output = Gated(far.try_clone().unwrap(), gate.clone());
    let handle = device
        .attach(far.try_clone().unwrap(), output, hang_up(&far), Role::Responder, Admission::Ask)
        .unwrap();
    let peer = ByHand::silent_after(1, socket, Role::Initiator, device.peer_id(), millis(600)).connected();
    handle.connected().unwrap();
    gate.set_open(false);
    let asker = handle.clone();
    let passed = soon(move || asker.call_raw("nothing", b"", Some(millis(50))));
    assert_eq!(passed, Err(CallError::DeadlinePassed));
    assert_eq!(soon(move || handle.closed()), CloseReason::TimedOut(TimedOut::Silence));
    gate.set_open(true);
    drop(peer);
}

/// A flush that blocks ends with its stream, and whoever waits for the end is told.
#[test]
fn a_flush_held_up_for_ever_is_hung_up_on() {
    let (a, b) = (device(1), device(2));
    let (near, far) = sockets();
    let gate = Gate::new();
    // Takes all at once, and passes it on when it is flushed.
    let buffered = BufWriter::with_capacity(1 << 20, Gated(near.try_clone().unwrap(), gate.clone()));
    let (output, writer) = watched(buffered);
    let (freed, hung_up) = (gate.clone(), hang_up(&near));
    let hang_up = move |how| {
        freed.set_open(true);
        hung_up(how);
    };
    let (input, admission) = (near.try_clone().unwrap(), Admission::expect(b.peer_id()));
    let near = a.attach(input, output, hang_up, Role::Initiator, admission).unwrap();
    let _far = b.attach_tcp(far.try_clone().unwrap(), Role::Responder, Admission::Ask).unwrap();
    near.connected().unwrap();
    assert_eq!(near.call(&Double(1)), Ok(Doubled(2)));
    gate.set_open(false);
    let asker = near.clone();
    let open = thread::spawn(move || asker.call_raw("echo", b"", None));
    thread::sleep(millis(50));
    far.shutdown(Shutdown::Write).unwrap();
    assert!(soon(move || open.join().unwrap()).is_err());
    assert_eq!(soon(move || near.closed()), CloseReason::Truncated);
    until(|| has_ended(&writer));
}
