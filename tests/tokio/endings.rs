//! How connections end, and what those who wait are told.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use symbolon::tokio::{CallError, Device, Handle, SubscribeError, SubscribeOptions};
use symbolon::{Admission, CloseReason, Kind, Role, SendError, Status, TimedOut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufStream, DuplexStream, ReadBuf, duplex};
use tokio::task::JoinHandle;

use super::connections::{proxy, served};
use super::{
    Double, Doubled, Room, SECOND, builder, device, in_memory, limits, over_tcp, settle, soon, timeouts,
    until,
};

/// Both ends over streams of any kind, with their runners.
async fn over<A, B>(a: (&Device, A), b: (&Device, B)) -> (Handle, Handle, [JoinHandle<CloseReason>; 2])
where
    A: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (near, run_near) = a.0.attach(a.1, Role::Initiator, Admission::expect(b.0.peer_id())).unwrap();
    let (far, run_far) = b.0.attach(b.1, Role::Responder, Admission::Ask).unwrap();
    let runners = [tokio::spawn(run_near.run()), tokio::spawn(run_far.run())];
    soon(near.connected()).await.unwrap();
    soon(far.connected()).await.unwrap();
    (near, far, runners)
}

#[tokio::test]
async fn a_cut_socket_is_a_truncation_at_both_ends() {
    let room = Room::new();
    let (a, b) = (device(1), room.serve(builder(2)).build().unwrap());
    let (address, _flights, cable) = proxy(served(&b).await).await;
    let near = a.connect(address, b.peer_id()).await.unwrap();
    let far = b.link(a.peer_id()).unwrap();
    let asker = near.clone();
    let open = tokio::spawn(async move { asker.call_raw("stay", b"", None).await });
    until(|| room.inside() == 1).await;
    cable.abort();
    assert_eq!(soon(open).await.unwrap(), Err(CallError::Disconnected));
    assert_eq!(soon(near.closed()).await, CloseReason::Truncated);
    assert_eq!(soon(far.closed()).await, CloseReason::Truncated);
    until(|| room.inside() == 0).await;
}

/// SPEC §16.2: what is open is answered, in both directions; then both sockets are closed.
#[tokio::test]
async fn closing_loses_nothing() {
    let room = Room::new();
    let equipped = |number| room.serve(builder(number)).topic_raw("state", Kind::State).build().unwrap();
    let (a, b) = (equipped(1), equipped(2));
    let (address, _flights, cable) = proxy(served(&b).await).await;
    let near = a.connect(address, b.peer_id()).await.unwrap();
    let far = b.link(a.peer_id()).unwrap();
    let mut ours = near.subscribe_raw("state", SubscribeOptions::default()).await.unwrap();
    let mut theirs = far.subscribe_raw("state", SubscribeOptions::default()).await.unwrap();
    let asks = |handle: &Handle, body: &'static [u8]| {
        let handle = handle.clone();
        tokio::spawn(async move { handle.call_raw("stay", body, None).await })
    };
    let calls = [asks(&near, b"near"), asks(&far, b"far")];
    until(|| room.inside() == 2).await;
    let closer = near.clone();
    let closing = tokio::spawn(async move { closer.close().await });
    assert_eq!(soon(ours.next()).await, None);
    assert_eq!(soon(theirs.next()).await, None);
    assert_eq!(theirs.ended(), Some(SubscribeError::Status(Status::SHUTTING_DOWN)));
    assert!(!closing.is_finished());
    room.let_go(2);
    let [from_near, from_far] = calls;
    assert_eq!(soon(from_near).await.unwrap().as_deref(), Ok(&b"near"[..]));
    assert_eq!(soon(from_far).await.unwrap().as_deref(), Ok(&b"far"[..]));
    assert_eq!(soon(closing).await.unwrap(), CloseReason::Local(Status::OK));
    assert_eq!(soon(far.closed()).await, CloseReason::Remote(Status::OK));
    // The proxy ends with the first end of a stream.
    soon(cable).await.unwrap();
}

#[tokio::test]
async fn both_sides_may_close_at_once() {
    let (a, b) = over_tcp(&device(1), &device(2)).await;
    let (from_a, from_b) = soon(async { tokio::join!(a.close(), b.close()) }).await;
    for reason in [from_a, from_b] {
        let expected = [CloseReason::Local(Status::OK), CloseReason::Remote(Status::OK)];
        assert!(expected.contains(&reason), "{reason:?}");
    }
}

/// An idle connection closes at once: nobody waits for a timeout.
#[tokio::test(start_paused = true)]
async fn closing_takes_no_time_where_nothing_is_open() {
    let publisher = builder(2).topic_raw("state", Kind::State).build().unwrap();
    let (a, _b) = in_memory(&device(1), &publisher, 4096).await;
    let mut states = a.subscribe_raw("state", SubscribeOptions::default()).await.unwrap();
    let begun = tokio::time::Instant::now();
    a.close().await;
    assert_eq!(states.next().await, None);
    assert!(begun.elapsed() < Duration::from_millis(10), "{:?}", begun.elapsed());
}

/// What takes too long is given up after the *close* timer.
#[tokio::test(start_paused = true)]
async fn closing_waits_no_longer_than_it_may() {
    let room = Room::new();
    let (a, b) = in_memory(&device(1), &room.serve(builder(2)).build().unwrap(), 4096).await;
    let open = tokio::spawn(async move { a.call_raw("stay", b"", None).await });
    settle().await;
    let begun = tokio::time::Instant::now();
    b.close().await;
    let took = begun.elapsed();
    assert!(took >= 3 * SECOND && took < 4 * SECOND, "{took:?}");
    assert_eq!(open.await.unwrap(), Err(CallError::Disconnected));
    settle().await;
    assert_eq!(room.inside(), 0);
}

/// Whoever waits is told, also those who wait for their turn.
#[tokio::test]
async fn a_runner_that_is_dropped_ends_all() {
    let room = Room::new();
    let b = room.serve(builder(2)).limits(limits(|limits| limits.requests_in = 1)).build().unwrap();
    let b = (b, device(1));
    let (near, far) = duplex(4096);
    let (a, _far, [runner, _other]) = over((&b.1, near), (&b.0, far)).await;
    let ask = |a: Handle| tokio::spawn(async move { a.call_raw("stay", b"", None).await });
    let first = ask(a.clone());
    until(|| room.inside() == 1).await;
    let waiting = [ask(a.clone()), ask(a.clone()), ask(a.clone())];
    tokio::task::yield_now().await;
    runner.abort();
    assert_eq!(soon(first).await.unwrap(), Err(CallError::Disconnected));
    for call in waiting {
        assert_eq!(soon(call).await.unwrap(), Err(CallError::Send(SendError::Closed)));
    }
    assert_eq!(soon(a.closed()).await, CloseReason::Truncated);
    assert!(b.1.link(b.0.peer_id()).is_none());
    until(|| room.inside() == 0).await;
}

/// TIM-2: a peer whose stream stalls is probed before it is given up.
#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_probed_and_given_up() {
    let sleepy = timeouts(|timeouts| timeouts.silence = Some(4 * SECOND));
    let (a, b) = (device(1), builder(2).timeouts(sleepy).build().unwrap());
    let ((near, mut to_near), (mut to_far, far)) = (duplex(4096), duplex(4096));
    let cable = tokio::spawn(async move {
        // Until the connection stands and an idle minute has passed; then it stalls, and ends nothing.
        let copying = tokio::io::copy_bidirectional(&mut to_near, &mut to_far);
        let _stalled = tokio::time::timeout(60 * SECOND, copying).await;
        std::future::pending::<()>().await;
    });
    let (near, _far, _runners) = over((&a, near), (&b, far)).await;
    tokio::time::sleep(59 * SECOND).await;
    assert_eq!(near.call(&Double(1)).await, Ok(Doubled(2)));
    let begun = tokio::time::Instant::now();
    assert_eq!(near.closed().await, CloseReason::TimedOut(TimedOut::Silence));
    // Silence of 4 s, and 5 s for the probe.
    let took = begun.elapsed();
    assert!(took >= 9 * SECOND && took < 11 * SECOND, "{took:?}");
    cable.abort();
}

/// A stream with buffers of its own passes on what it holds as soon as it can.
#[tokio::test]
async fn a_stream_that_buffers_is_flushed() {
    let (a, b) = (device(1), device(2));
    let (near, far) = duplex(7);
    let (near, far, _runners) = over((&a, BufStream::new(near)), (&b, BufStream::new(far))).await;
    for number in 0..50 {
        assert_eq!(soon(near.call(&Double(number))).await, Ok(Doubled(number * 2)));
        assert_eq!(soon(far.call(&Double(number))).await, Ok(Doubled(number * 2)));
    }
    soon(near.close()).await;
    assert_eq!(soon(far.closed()).await, CloseReason::Remote(Status::OK));
}

/// A stream whose one direction or the other can be taken away.
struct Faulty {
    inner: DuplexStream,
    deaf: Arc<AtomicBool>,
    mute: Arc<AtomicBool>,
}

impl AsyncRead for Faulty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.deaf.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_read(task, buffer)
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.mute.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.inner).poll_write(task, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(task)
    }
}

/// SPEC §16.3: a side whose write fails still reads what has arrived.
#[tokio::test]
async fn what_has_arrived_is_read_also_where_a_write_fails() {
    let room = Room::new();
    let (a, b) = (device(1), room.serve(builder(2)).build().unwrap());
    let (near, far) = duplex(4096);
    let (deaf, mute) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let faulty = Faulty { inner: near, deaf: deaf.clone(), mute: mute.clone() };
    let (near, _far, _runners) = over((&a, faulty), (&b, far)).await;
    let asker = near.clone();
    let first = tokio::spawn(async move { asker.call_raw("stay", b"in time", None).await });
    until(|| room.inside() == 1).await;
    deaf.store(true, Ordering::SeqCst);
    room.let_go(1);
    until(|| room.inside() == 0).await;
    settle().await;
    mute.store(true, Ordering::SeqCst);
    deaf.store(false, Ordering::SeqCst);
    // The caller itself meets the fault.
    assert!(soon(near.call(&Double(1))).await.is_err());
    assert_eq!(soon(first).await.unwrap().as_deref(), Ok(&b"in time"[..]));
    assert_eq!(near.closed().await, CloseReason::Truncated);
}

/// Counts how often it was woken; how many hold it tells who was forgotten.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future that is dropped leaves no waker behind, however long the connection lives.
#[tokio::test]
async fn whoever_gives_up_waiting_leaves_nothing_behind() {
    let room = Room::new();
    let b = room.serve(builder(2)).limits(limits(|limits| limits.requests_in = 1)).build().unwrap();
    let (a, _b) = over_tcp(&device(1), &b).await;
    let asker = a.clone();
    let held = tokio::spawn(async move { asker.call_raw("stay", b"", None).await });
    until(|| room.inside() == 1).await;
    let counter = Arc::new(Counter::default());
    let waker = Waker::from(counter.clone());
    for _ in 0..10 {
        let mut task = Context::from_waker(&waker);
        assert!(pin!(a.closed()).poll(&mut task).is_pending());
        assert!(pin!(a.call(&Double(1))).poll(&mut task).is_pending());
    }
    assert_eq!(Arc::strong_count(&counter), 2, "wakers are left");
    room.let_go(1);
    soon(held).await.unwrap().unwrap();
    assert_eq!(a.call(&Double(1)).await, Ok(Doubled(2)));
    poll_fn(|_| Poll::Ready(())).await;
}

/// Handshakes that fail give no bytes, and a peer that lingers keeps its place until its socket is closed.
#[tokio::test]
async fn a_stream_that_ends_in_the_handshake_fails_it() {
    let (near, mut far) = duplex(4096);
    let (handle, runner) = device(1).attach(near, Role::Responder, Admission::Ask).unwrap();
    let runner = tokio::spawn(runner.run());
    far.write_all(b"symb").await.unwrap();
    drop(far);
    assert_eq!(soon(handle.connected()).await, Err(CloseReason::Truncated));
    assert_eq!(soon(runner).await.unwrap(), CloseReason::Truncated);
}

/// Whoever waits for the end may leave then: the answer to the peer's `close` is on its way.
#[test]
fn a_program_that_leaves_behind_closed_cuts_nothing_off() {
    let caller = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for _ in 0..20 {
        let leaver = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dialled = leaver.block_on(async { device(2) });
        let listener = leaver.block_on(dialled.listen("127.0.0.1:0")).unwrap();
        let (address, id) = (listener.local_addr().unwrap(), dialled.peer_id());
        let closing = caller.spawn(async move {
            let handle = device(1).connect(address, id).await.unwrap();
            handle.close().await
        });
        leaver.block_on(async {
            let mut listener = listener;
            let handle = listener.accept().await.unwrap();
            assert_eq!(soon(handle.closed()).await, CloseReason::Remote(Status::OK));
        });
        drop(leaver);
        assert_eq!(caller.block_on(soon(closing)).unwrap(), CloseReason::Local(Status::OK));
    }
}
