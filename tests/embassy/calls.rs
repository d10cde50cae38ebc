//! Calls of handles, and requests that the loop serves.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use minicbor::encode::{Error, Write};
use minicbor::{Decode, Encode, Encoder};
use symbolon::embassy::{CallError, Handle};
use symbolon::{EncodeError, Failure, Limits, Request, SendError, Status};

use crate::stubborn::Stubborn;
use crate::{SECOND, beside, board, board_with, host_builder, host_device, meet, peer_id, run};

#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
struct Double(#[n(0)] u32);

impl Request for Double {
    const METHOD: &'static str = "math/double";
    type Reply = u32;
}

#[tokio::test]
async fn both_sides_call_at_once_whoever_dialled() {
    for dials in [false, true] {
        let (board, device) = (board(), host_device());
        let (connection, stream, host) = meet(&board, &device, dials);
        beside(&board, (connection, stream), async {
            host.connected().await.unwrap();
            let handle = board.link.handle();
            assert_eq!(handle.connected().await, peer_id(2));
            let ours = async {
                for number in 0..1_000_u32 {
                    let body = [number.to_be_bytes()[3]; 300];
                    let mut reply = [0; 300];
                    let body = &body[..(number % 300) as usize];
                    assert_eq!(handle.call_raw("echo", body, &mut reply, None).await, Ok(body));
                }
            };
            let theirs = async {
                for number in 0..1_000_u32 {
                    let reply = host.call_raw("echo", &number.to_be_bytes(), None).await.unwrap();
                    assert_eq!(reply[..], number.to_be_bytes());
                }
            };
            tokio::join!(ours, theirs);
        })
        .await;
    }
}

#[tokio::test]
async fn values_have_types_and_failures_say_what_happened() {
    let board = board();
    let builder = host_builder()
        .on(|_, Double(number)| async move {
            if number > 0 { Ok(2 * number) } else { Err(Status::new(300).into()) }
        })
        .on_raw("long", |_, _| async { Ok(vec![7; 300].into()) });
    let device = builder.build().unwrap();
    let handle = board.link.handle();
    assert_eq!(handle.call(&Double(1)).await, Err(CallError::Send(SendError::NotConnected)));

    let (connection, stream, _host) = meet(&board, &device, false);
    beside(&board, (connection, stream), async {
        handle.connected().await;
        assert_eq!(handle.call(&Double(21)).await, Ok(42));
        // Nothing was sent.
        assert!(matches!(handle.call(&Stubborn).await, Err(CallError::Encode(EncodeError))));
        assert_eq!(handle.call(&Double(0)).await, Err(CallError::Status(Status::new(300))));
        let mut little = [0; 299];
        assert_eq!(handle.call_raw("long", b"", &mut little, None).await, Err(CallError::NoRoom(300)));
        let mut enough = [0; 300];
        assert_eq!(handle.call_raw("long", b"", &mut enough, None).await, Ok(&[7; 300][..]));
        let refused = handle.call_raw("a/+", b"", &mut enough, None).await;
        assert!(matches!(refused, Err(CallError::Send(SendError::Name(_)))), "{refused:?}");
        let long = vec![0; 5_000];
        let refused = handle.call_raw("echo", &long, &mut enough, None).await;
        assert!(matches!(refused, Err(CallError::Send(SendError::TooLarge { .. }))), "{refused:?}");
        let nothing = handle.call_raw("none", b"", &mut enough, None).await;
        assert_eq!(nothing, Err(CallError::Status(Status::NOT_FOUND)));
    })
    .await;
}

thread_local! {
    /// Whom [`Curious`] asks.
    static PEER: Cell<Option<Handle<'static>>> = const { Cell::new(None) };
}

/// Uses the link while it is encoded.
#[derive(Debug, Decode)]
struct Curious {
    #[n(0)]
    panics: bool,
}

impl Encode<()> for Curious {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, (): &mut ()) -> Result<(), Error<W::Error>> {
        assert_eq!(PEER.get().unwrap().peer(), Some(peer_id(2)));
        assert!(!self.panics, "meant");
        e.u32(1)?.ok()
    }
}

impl Request for Curious {
    const METHOD: &'static str = "echo";
    type Reply = u32;
}

#[tokio::test]
async fn what_is_encoded_may_use_the_link_and_panic() {
    let (board, device): (&'static _, _) =
        (Box::leak(Box::new(board_with(1, Limits::small()))), host_device());
    let (connection, stream, _host) = meet(board, &device, true);
    beside(board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        PEER.set(Some(handle));
        let calling = AssertUnwindSafe(|| {
            let mut task = Context::from_waker(Waker::noop());
            pin!(handle.call(&Curious { panics: true })).poll(&mut task).is_ready()
        });
        assert!(catch_unwind(calling).is_err());
        assert_eq!(handle.call(&Curious { panics: false }).await, Ok(1), "all is in its place");
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_given_up_gives_its_place_back() {
    let board = board_with(2, Limits::small());
    let device = host_builder()
        .on_raw("slow", |_, _| async {
            tokio::time::sleep(60 * SECOND).await;
            Ok("late".into())
        })
        .build()
        .unwrap();
    let (connection, stream, _host) = meet(&board, &device, true);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        for _ in 0..20 {
            let (mut one, mut two, mut three) = ([0; 8], [0; 8], [0; 8]);
            let first = handle.call_raw("slow", b"", &mut one, None);
            let second = handle.call_raw("slow", b"", &mut two, Some(Duration::from_millis(20)));
            let mut first = pin!(first);
            let timed = tokio::select! {
                biased;
                _ = first.as_mut() => panic!("nobody answers"),
                timed = second => timed,
            };
            assert_eq!(timed, Err(CallError::Failed(Failure::DeadlinePassed)));
            assert_eq!(handle.call_raw("echo", b"me", &mut three, None).await, Ok(&b"me"[..]));
            let mut fourth = pin!(handle.call_raw("slow", b"", &mut two, None));
            tokio::select! {
                biased;
                _ = fourth.as_mut() => panic!("nobody answers"),
                () = tokio::task::yield_now() => {}
            }
            let full = handle.call_raw("echo", b"", &mut three, None).await;
            assert_eq!(full, Err(CallError::Send(SendError::TooMany)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_link_outlives_its_connections() {
    let (board, device) = (board(), host_device());
    let handle = board.link.handle();
    for _ in 0..3 {
        let (connection, stream, host) = meet(&board, &device, false);
        let script = async {
            handle.connected().await;
            let mut reply = [0; 8];
            assert_eq!(handle.call_raw("echo", b"me", &mut reply, None).await, Ok(&b"me"[..]));
            host.close().await;
            handle.disconnected().await;
            let gone = handle.call_raw("echo", b"", &mut reply, None).await;
            assert_eq!(gone, Err(CallError::Send(SendError::NotConnected)));
        };
        let (reason, ()) = tokio::join!(run(&board, connection, stream), script);
        assert_eq!(reason, Some(symbolon::CloseReason::Remote(Status::OK)));
    }
}

#[tokio::test]
async fn a_cut_ends_what_was_open() {
    let board = board();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stop = std::sync::Mutex::new(Some(stop));
    let device = host_builder()
        .on_raw("cut", move |_, _| {
            drop(stop.lock().unwrap().take());
            async { std::future::pending().await }
        })
        .build()
        .unwrap();
    let (ours, theirs) = tokio::io::duplex(300);
    let (_host, runner) =
        device.attach(theirs, symbolon::Role::Initiator, symbolon::Admission::expect(peer_id(1))).unwrap();
    tokio::spawn(async move {
        tokio::select! { _ = runner.run() => {}, _ = stopped => {} }
    });
    let connection = board.device.accept(symbolon::Admission::Only(vec![peer_id(2)]), crate::seed());
    let handle = board.link.handle();
    let script = async {
        handle.connected().await;
        let call = handle.call_raw("cut", b"", &mut [], None).await;
        assert_eq!(call, Err(CallError::Failed(Failure::Disconnected)));
    };
    let (reason, ()) = tokio::join!(run(&board, connection, ours), script);
    assert_eq!(reason, Some(symbolon::CloseReason::Truncated));
}
