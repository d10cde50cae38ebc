//! Keepers: a connection that is made anew whenever it has ended, and subscriptions that go on.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use minicbor::{Decode, Encode};
use symbolon::tokio::{ConnectError, Device, Gap, Handle, SubscribeError};
use symbolon::{CloseReason, Kind, Missed, Overflow, Status, SubscribeOptions, Timeouts, Topic, TopicLimits};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::connections::served;
use super::{Double, Doubled, Room, builder, device, smaller_and_larger, soon, until};

#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
struct Level(#[n(0)] u32);

impl Topic for Level {
    const TOPIC: &'static str = "tank/level";
    const KIND: Kind = Kind::Event { depth: 4, overflow: Overflow::DropOldest };
}

fn tank(number: u8) -> Device {
    builder(number).topic::<Level>().build().unwrap()
}

/// An address at which nobody listens.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Listens where somebody listened before.
async fn served_again(device: &Device, address: SocketAddr) {
    let listener = device.listen(address).await.unwrap();
    tokio::spawn(listener.serve());
}

#[tokio::test]
async fn a_connection_that_ended_is_made_anew() {
    let (a, b) = (device(1), device(2));
    let keeper = a.keep(b.peer_id(), [served(&b).await]).await;
    assert_eq!((keeper.peer(), keeper.link().is_some()), (b.peer_id(), false), "nothing is waited for");
    let first = soon(keeper.connected()).await;
    assert_eq!(first.call(&Double(1)).await, Ok(Doubled(2)));
    b.close().await;
    soon(first.closed()).await;
    until(|| keeper.link().is_some()).await;
    assert_eq!(keeper.link().unwrap().call(&Double(2)).await, Ok(Doubled(4)));
    assert!(!first.is_connected());
}

#[tokio::test]
async fn a_peer_that_comes_later_or_moves_is_found() {
    let (a, b) = (device(1), device(2));
    let home = nowhere().await;
    let keeper = a.keep(b.peer_id(), [home]).await;
    until(|| keeper.failed().is_some()).await;
    assert!(matches!(*keeper.failed().unwrap(), ConnectError::Io(_)));
    served_again(&b, home).await;
    let link = soon(keeper.connected()).await;
    until(|| keeper.failed().is_none()).await;

    keeper.set_addresses([served(&b).await]);
    assert!(link.is_connected(), "a connection that stands is left alone");
    link.close().await;
    soon(keeper.connected()).await;
}

#[tokio::test]
async fn whoever_is_not_let_in_is_told_so_and_tries_on() {
    let (a, b) = (device(1), device(3));
    let open = Arc::new(AtomicUsize::new(0));
    let door = open.clone();
    let guarded = builder(2).admit(move |_| door.load(Ordering::Relaxed) == 1).build().unwrap();
    let keeper = a.keep(guarded.peer_id(), [served(&b).await, served(&guarded).await]).await;
    until(|| keeper.failed().is_some()).await;
    let failed = keeper.failed().unwrap();
    let refused = CloseReason::Remote(Status::REFUSED);
    assert!(matches!(*failed, ConnectError::Closed(reason) if reason == refused), "{failed:?}");
    open.store(1, Ordering::Relaxed);
    soon(keeper.connected()).await;
}

/// Also without a keeper: the second address is tried where somebody else is found at the first.
#[tokio::test]
async fn of_several_addresses_it_is_the_one_where_the_peer_is() {
    let (a, b, other) = (device(1), device(2), device(3));
    let addresses = [nowhere().await, served(&other).await, served(&b).await];
    let handle = soon(a.connect(&addresses[..], b.peer_id())).await.unwrap();
    assert_eq!(handle.peer(), Some(b.peer_id()));

    let error = soon(a.connect(&[addresses[1], addresses[0]][..], b.peer_id())).await.unwrap_err();
    let somebody_else = CloseReason::NotAdmitted(other.peer_id());
    assert!(matches!(error, ConnectError::Closed(reason) if reason == somebody_else), "{error:?}");
    let error = soon(a.connect(&[][..], b.peer_id())).await.unwrap_err();
    assert!(matches!(error, ConnectError::Io(_)), "{error:?}");
}

/// An address at which somebody listens who never says a word.
async fn silent() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), listener)
}

/// In much less time than a handshake may take.
async fn promptly<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Timeouts::default().handshake / 2, future).await.expect("it was held up")
}

#[tokio::test]
async fn a_handshake_that_hangs_holds_nobody_up() {
    let (a, b) = (device(1), device(2));
    let (hangs, _listener) = silent().await;
    let addresses = [hangs, served(&b).await];
    promptly(a.connect(&addresses[..], b.peer_id())).await.unwrap();
    until(|| a.links().len() == 1).await;

    let keeper = a.keep(device(3).peer_id(), [hangs]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let c = device(3);
    keeper.set_addresses([served(&c).await]);
    promptly(keeper.connected()).await;
}

#[tokio::test]
async fn a_name_that_leads_nowhere_holds_no_address_up() {
    let (a, b) = (device(1), device(2));
    let known = served(&b).await;
    let keeper = a.keep(b.peer_id(), ["no-such-host.invalid:1".to_owned(), known.to_string()]).await;
    promptly(keeper.connected()).await;
    let lost = a.keep(device(3).peer_id(), ["no-such-host.invalid:1"]).await;
    until(|| lost.failed().is_some()).await;
    let wrong = a.keep(device(4).peer_id(), ["neither a host nor a port"]).await;
    until(|| wrong.failed().is_some()).await;
}

/// One that drains is of no use to who wants to call, however long it still stands.
#[tokio::test]
async fn a_connection_whose_end_has_begun_is_replaced_at_once() {
    let room = Room::new();
    let (a, b) = (device(1), room.serve(builder(2)).build().unwrap());
    let keeper = a.keep(b.peer_id(), [served(&b).await]).await;
    let first = soon(keeper.connected()).await;
    let staying = first.clone();
    let stays = tokio::spawn(async move { staying.call_raw("stay", b"", None).await });
    until(|| room.entered() == 1).await;
    for handle in b.links() {
        handle.begin_close();
    }
    until(|| keeper.link().is_none_or(|link| link.channel_binding() != first.channel_binding())).await;
    let second = promptly(keeper.connected()).await;
    assert_ne!(second.channel_binding(), first.channel_binding());
    assert!(first.is_connected(), "it waits for the call");
    room.let_go(1);
    assert!(soon(stays).await.unwrap().is_ok());
    assert_eq!(second.call(&Double(2)).await, Ok(Doubled(4)));
}

/// An address that swallows what is sent there holds the next one up by no more than a moment.
#[tokio::test]
async fn an_address_that_never_answers_holds_nobody_up() {
    let (a, b) = (device(1), device(2));
    // Its queue is full, so that it answers no dialler any more; where the system answers all the same, nothing is shown.
    let full = tokio::net::TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = full.listen(1).unwrap();
    let silent = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let dialled = tokio::net::TcpStream::connect(silent);
        waiting.extend(tokio::time::timeout(Duration::from_millis(50), dialled).await);
    }
    let addresses = [silent, served(&b).await];
    promptly(a.connect(&addresses[..], b.peer_id())).await.unwrap();
}

#[tokio::test]
async fn nothing_is_dialled_while_the_peer_has_dialled() {
    let (a, b) = (device(1), device(2));
    let from_b = b.connect(served(&a).await, a.peer_id()).await.unwrap();
    until(|| !a.links().is_empty()).await;
    let keeper = a.keep(b.peer_id(), [served(&b).await]).await;
    assert_eq!(soon(keeper.connected()).await.channel_binding(), from_b.channel_binding());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(keeper.link().unwrap().channel_binding(), from_b.channel_binding());
    assert_eq!((a.links().len(), b.links().len()), (1, 1));
    from_b.close().await;
    until(|| keeper.link().is_some_and(|link| link.channel_binding() != from_b.channel_binding())).await;
}

#[tokio::test]
async fn two_that_keep_each_other_have_one_connection() {
    let (a, b) = smaller_and_larger(device(1), device(2));
    let (at_a, at_b) = (served(&a).await, served(&b).await);
    let (kept_by_a, kept_by_b) = (a.keep(b.peer_id(), [at_b]).await, b.keep(a.peer_id(), [at_a]).await);
    let same = || {
        let binding = |link: Option<Handle>| link.and_then(|link| link.channel_binding());
        binding(kept_by_a.link()).is_some_and(|ours| binding(kept_by_b.link()) == Some(ours))
            && (a.links().len(), b.links().len()) == (1, 1)
    };
    until(same).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(same(), "and it stays");
}

#[tokio::test]
async fn a_peer_that_closes_at_once_is_not_dialled_all_the_time() {
    let (a, b) = (device(1), device(2));
    let mut listener = b.listen("127.0.0.1:0").await.unwrap();
    let keeper = a.keep(b.peer_id(), [listener.local_addr().unwrap()]).await;
    let came = Arc::new(AtomicUsize::new(0));
    let count = came.clone();
    tokio::spawn(async move {
        while let Ok(handle) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            handle.begin_close();
        }
    });
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    let came = came.load(Ordering::Relaxed);
    assert!(
        (1..=3).contains(&came),
        "{came} times, where half a second lies between two, and then a whole one"
    );
    drop(keeper);
}

#[tokio::test]
async fn a_keeper_that_is_dropped_dials_no_more_and_closes_nothing() {
    let (a, b) = (device(1), device(2));
    let address = served(&b).await;
    let keeper = a.keep(b.peer_id(), [address]).await;
    let link = soon(keeper.clone().connected()).await;
    drop(keeper);
    assert_eq!(link.call(&Double(1)).await, Ok(Doubled(2)));
    link.close().await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(a.link(b.peer_id()).is_none());
    // And another one may come.
    let keeper = a.keep(b.peer_id(), [address]).await;
    soon(keeper.connected()).await;
}

#[tokio::test]
async fn a_peer_has_one_keeper() {
    let (a, b) = (device(1), device(2));
    let none: [SocketAddr; 0] = [];
    let keeper = a.keep(b.peer_id(), none).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(keeper.failed().is_none(), "without an address there is nothing to try");
    let same = a.keep(b.peer_id(), [served(&b).await]).await;
    drop(same);
    soon(keeper.connected()).await;
}

#[tokio::test]
async fn a_subscription_goes_on_where_the_one_before_ended() {
    let (a, b) = (device(1), tank(2));
    let address = served(&b).await;
    let keeper = a.keep(b.peer_id(), [address]).await;
    let mut levels = keeper.subscribe::<Level>(SubscribeOptions::default()).await;
    let publisher = async {
        until(|| !b.links().is_empty()).await;
        // Until the subscription stands, what is published is not for it.
        loop {
            b.publish(&Level(0)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        first = levels.next() => assert_eq!(first, Some(Ok(Level(0)))),
        () = publisher => {}
    }
    let zeros = async {
        b.publish(&Level(1)).await.unwrap();
        while levels.next().await != Some(Ok(Level(1))) {}
    };
    soon(zeros).await;

    b.close().await;
    for level in 2..4 {
        b.publish(&Level(level)).await.unwrap();
    }
    // Each wait is given up many times; nothing is lost by it.
    let mut got = Vec::new();
    until(|| b.links().len() == 1).await;
    soon(async {
        while got.len() < 2 {
            if let Ok(next) = tokio::time::timeout(Duration::from_millis(1), levels.next()).await {
                got.push(next);
            }
        }
    })
    .await;
    assert_eq!(got, [Some(Ok(Level(2))), Some(Ok(Level(3)))]);

    b.close().await;
    for level in 4..10 {
        b.publish(&Level(level)).await.unwrap();
    }
    let gap = Gap::Missed(Missed { count: 2, unknown: false });
    assert_eq!(soon(levels.next()).await, Some(Err(gap)), "four are kept");
    assert_eq!(soon(levels.next()).await, Some(Ok(Level(6))));
    assert_eq!(levels.ended(), None);
}

/// A newer connection takes the place of the one that it is on, which goes on for its own exchanges.
#[tokio::test]
async fn a_subscription_moves_to_a_newer_connection() {
    let (a, b) = (device(1), tank(2));
    let address = served(&b).await;
    let keeper = a.keep(b.peer_id(), [address]).await;
    let mut levels = keeper.subscribe::<Level>(SubscribeOptions::default()).await;
    let first = soon(keeper.connected()).await;
    let standing = async { while levels.next().await != Some(Ok(Level(7))) {} };
    let publishing = async {
        loop {
            b.publish(&Level(7)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! { () = standing => {}, () = publishing => {} }
    let newer = a.connect(address, b.peer_id()).await.unwrap();
    soon(first.closed()).await;
    b.publish(&Level(8)).await.unwrap();
    soon(async { while levels.next().await != Some(Ok(Level(8))) {} }).await;
    assert!(newer.is_connected());
}

#[tokio::test]
async fn a_subscription_that_is_refused_ends() {
    let (a, b) = (device(1), builder(2).topic::<Level>().allow_subscribe(|_, _| false).build().unwrap());
    let keeper = a.keep(b.peer_id(), [served(&b).await]).await;
    let mut levels = keeper.subscribe::<Level>(SubscribeOptions::default()).await;
    assert_eq!(soon(levels.next()).await, None);
    assert_eq!(levels.ended(), Some(SubscribeError::Status(Status::DENIED)));
    assert_eq!(soon(levels.next()).await, None, "and stays at its end");
    assert!(levels.keeper().link().is_some(), "the connection stands");
}

/// Its place is taken by another subscriber for a while.
#[tokio::test]
async fn a_publisher_that_is_unavailable_is_asked_again() {
    let mut limits = TopicLimits::default();
    limits.subscriptions = 1;
    let (a, b, other) =
        (device(1), builder(2).topic::<Level>().topic_limits(limits).build().unwrap(), device(3));
    let address = served(&b).await;
    let link = other.connect(address, b.peer_id()).await.unwrap();
    let taken = link.subscribe::<Level>().await.unwrap();
    let keeper = a.keep(b.peer_id(), [address]).await;
    let mut levels = keeper.subscribe::<Level>(SubscribeOptions::default()).await;
    soon(keeper.connected()).await;
    assert!(tokio::time::timeout(Duration::from_millis(100), levels.next()).await.is_err());
    drop(taken);
    let first = soon(async {
        loop {
            b.publish(&Level(5)).await.unwrap();
            if let Ok(next) = tokio::time::timeout(Duration::from_millis(10), levels.next()).await {
                break next;
            }
        }
    });
    assert_eq!(first.await, Some(Ok(Level(5))));
}

/// A publisher that ends in order tells what it has not sent, and then sends it all the same on the next connection.
#[tokio::test]
async fn what_comes_on_the_next_connection_was_not_missed() {
    let (a, b) = (device(1), tank(2));
    let keeper = a.keep(b.peer_id(), [served(&b).await]).await;
    let mut options = SubscribeOptions::default();
    // Room for one or two.
    options.window = 64;
    let mut levels = keeper.subscribe::<Level>(options).await;
    let standing = async {
        loop {
            b.publish(&Level(0)).await.unwrap();
            if tokio::time::timeout(Duration::from_millis(10), levels.next()).await.is_ok() {
                break;
            }
        }
    };
    soon(standing).await;
    while tokio::time::timeout(Duration::from_millis(100), levels.next()).await.is_ok() {}
    for level in 1..=4 {
        b.publish(&Level(level)).await.unwrap();
    }
    b.close().await;
    for level in 1..=4 {
        assert_eq!(soon(levels.next()).await, Some(Ok(Level(level))));
    }
}

/// The reader's thread knows nothing of the runtime, also where the subscription is made anew.
#[tokio::test]
async fn a_subscription_may_be_read_outside_the_runtime() {
    let (a, b) = (device(1), tank(2));
    let keeper = a.keep(b.peer_id(), [served(&b).await]).await;
    let mut levels = keeper.subscribe::<Level>(SubscribeOptions::default()).await;
    let (told, mut hear) = mpsc::unbounded_channel();
    let reader = std::thread::spawn(move || {
        let mut task = Context::from_waker(Waker::noop());
        loop {
            match Pin::new(&mut levels).poll_next(&mut task) {
                Poll::Ready(Some(Ok(Level(9)))) => break,
                Poll::Ready(next) => told.send(next).unwrap(),
                Poll::Pending => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    });
    let first = async {
        while hear.is_empty() {
            b.publish(&Level(1)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(first).await;
    assert_eq!(hear.recv().await, Some(Some(Ok(Level(1)))));
    b.close().await;
    b.publish(&Level(9)).await.unwrap();
    until(|| reader.is_finished()).await;
    reader.join().unwrap();
}
