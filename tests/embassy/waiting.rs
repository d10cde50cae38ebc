//! Waiting for connections, and for their ends.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake};

use symbolon::embassy::{CallError, Handle};
use symbolon::{CloseReason, Failure, PeerId, Status};
use tokio::sync::Notify;

use crate::{beside, board_with, host_builder, host_device, meet, peer_id, run};

/// How many tasks wait: more than a link has exchanges.
const TASKS: usize = 6;

/// A task of an executor that counts how often it is woken.
struct Task<'f, T> {
    future: Pin<Box<dyn Future<Output = T> + 'f>>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<'f, T> Task<'f, T> {
    fn new(future: impl Future<Output = T> + 'f) -> Self {
        Self { future: Box::pin(future), woken: Arc::default() }
    }

    fn poll(&mut self) -> Poll<T> {
        self.future.as_mut().poll(&mut Context::from_waker(&self.woken.clone().into()))
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }
}

fn tasks<'f, F: Future<Output = T> + 'f, T>(future: impl Fn() -> F) -> Vec<Task<'f, T>> {
    (0..TASKS).map(|_| Task::new(future())).collect()
}

/// Polled as often as you like, they wake nobody: an executor can sleep.
fn assert_idle<T>(tasks: &mut [Task<'_, T>]) {
    for _ in 0..3 {
        assert!(tasks.iter_mut().all(|task| task.poll().is_pending()));
    }
    assert!(tasks.iter().all(|task| task.woken() == 0));
}

#[tokio::test]
async fn any_number_of_tasks_waits_and_sleeps_meanwhile() {
    let (board, device) = (board_with(2, symbolon::Limits::small()), host_device());
    let handle = board.link.handle();
    let mut connected: Vec<Task<'_, PeerId>> = tasks(|| handle.connected());
    assert_idle(&mut connected);
    // One that has given up is not woken any more.
    let gone = connected.pop().unwrap();
    let gone_woken = gone.woken.clone();
    drop(gone);

    let (connection, stream, host) = meet(&board, &device, false);
    let script = async {
        handle.connected().await;
        for task in &mut connected {
            assert_eq!((task.woken(), task.poll()), (1, Poll::Ready(peer_id(2))));
        }
        let mut disconnected = tasks(|| handle.disconnected());
        assert_idle(&mut disconnected);
        host.close().await;
        handle.disconnected().await;
        for task in &mut disconnected {
            assert_eq!((task.woken(), task.poll()), (1, Poll::Ready(())));
        }
    };
    tokio::join!(run(&board, connection, stream), script);
    assert_eq!(gone_woken.0.load(Ordering::Relaxed), 0);
}

/// The end of a connection is not missed where the next one stands before the task has its turn.
#[tokio::test]
async fn the_end_of_a_connection_is_told_behind_the_begin_of_the_next() {
    let (board, device) = (board_with(2, symbolon::Limits::small()), host_device());
    let handle: Handle<'_> = board.link.handle();
    let mut waits = pin!(handle.disconnected());
    for connections in 0..2 {
        let (connection, stream, host) = meet(&board, &device, false);
        beside(&board, (connection, stream), async {
            handle.connected().await;
            let mut task = Context::from_waker(std::task::Waker::noop());
            let expected = if connections == 0 { Poll::Pending } else { Poll::Ready(()) };
            assert_eq!(waits.as_mut().poll(&mut task), expected);
            drop(host);
        })
        .await;
    }
}

/// It waits for nothing: what is open is lost, and both sides have its status as their reason.
#[tokio::test]
async fn closing_now_waits_for_nothing_that_is_open() {
    let begun = Arc::new(Notify::new());
    let begins = begun.clone();
    let never = move |_, _| {
        begins.notify_one();
        std::future::pending()
    };
    let (board, device) = (board_with(2, symbolon::Limits::small()), host_builder().on_raw("never", never));
    let device = device.build().unwrap();
    let handle = board.link.handle();
    let (connection, stream, host) = meet(&board, &device, false);
    let call = async {
        handle.connected().await;
        handle.call_raw("never", b"", &mut [], None).await.map(drop)
    };
    let close = async {
        begun.notified().await;
        handle.close_now(Status::new(300));
        handle.disconnected().await;
        host.closed().await
    };
    let (ours, called, theirs) = tokio::join!(run(&board, connection, stream), call, close);
    assert_eq!(called, Err(CallError::Failed(Failure::Disconnected)));
    assert_eq!(ours, Some(CloseReason::Local(Status::new(300))));
    assert_eq!(theirs, CloseReason::Remote(Status::new(300)));
}
