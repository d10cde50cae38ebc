//! A device that closes all its connections, as a program does at its end.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use symbolon::tokio::{CallError, Device, Handle, SubscribeError, SubscribeOptions};
use symbolon::{Admission, CloseReason, Kind, Role, SendError, Status, TimedOut};
use tokio::io::duplex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::by_hand::Peer;
use super::connections::served;
use super::{Double, Doubled, Room, SECOND, builder, device, in_memory, over_tcp, settle, soon, until};

/// Three devices, and the handles of their connections to one that they have dialled.
async fn three_dial(dialled: &Device, room: &Room) -> Vec<Handle> {
    let address = served(dialled).await;
    let mut near = Vec::new();
    for number in 2..5 {
        let dialler = room.serve(builder(number)).build().unwrap();
        near.push(dialler.connect(address, dialled.peer_id()).await.unwrap());
    }
    until(|| dialled.links().len() == 3).await;
    near
}

fn asks(handle: &Handle) -> JoinHandle<Result<Vec<u8>, CallError>> {
    let handle = handle.clone();
    tokio::spawn(async move { handle.call_raw("stay", b"open", None).await.map(|body| body.to_vec()) })
}

/// SPEC §16.2: whoever is asked, what is open is answered on each connection; then all of them end.
#[tokio::test]
async fn a_device_that_closes_loses_nothing() {
    let room = Room::new();
    let hub = room.serve(builder(1)).topic_raw("state", Kind::State).build().unwrap();
    let near = three_dial(&hub, &room).await;
    let mut peers: Vec<_> = hub.links().iter().map(|link| link.peer().unwrap()).collect();
    let mut expected: Vec<_> = near.iter().map(|near| near.device().peer_id()).collect();
    peers.sort();
    expected.sort();
    assert_eq!(peers, expected);
    let mut states = near[0].subscribe_raw("state", SubscribeOptions::default()).await.unwrap();
    let calls: Vec<_> = near.iter().chain(&hub.links()).map(asks).collect();
    until(|| room.inside() == 6).await;
    let closing = tokio::spawn({
        let hub = hub.clone();
        async move { hub.close().await }
    });
    // All at once: none waits for what is open on another one.
    for near in &near {
        let refused = Err(CallError::Send(SendError::GoingAway));
        soon(async { while near.call(&Double(1)).await != refused {} }).await;
    }
    assert_eq!(soon(states.next()).await, None);
    assert_eq!(states.ended(), Some(SubscribeError::Status(Status::SHUTTING_DOWN)));
    assert!(!closing.is_finished());
    room.let_go(6);
    for call in calls {
        assert_eq!(soon(call).await.unwrap().as_deref(), Ok(&b"open"[..]));
    }
    soon(closing).await.unwrap();
    assert!(hub.links().is_empty());
    for near in near {
        assert_eq!(soon(near.closed()).await, CloseReason::Remote(Status::OK));
        assert!(near.device().links().is_empty());
    }
}

/// What stands is closed once, however often that is asked for; what comes later stands.
#[tokio::test]
async fn a_device_may_close_twice() {
    let room = Room::new();
    let hub = room.serve(builder(1)).build().unwrap();
    let near = three_dial(&hub, &room).await;
    let open = asks(&near[0]);
    until(|| room.inside() == 1).await;
    let links = hub.links();
    let mut both = Box::pin(async { tokio::join!(hub.close(), hub.close()) });
    assert!(both.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    room.let_go(1);
    soon(both).await;
    assert!(soon(open).await.unwrap().is_ok());
    for link in links {
        assert_eq!(soon(link.closed()).await, CloseReason::Local(Status::OK));
    }
    soon(hub.close()).await;
    let (near, _far) = over_tcp(&device(2), &hub).await;
    assert_eq!(near.call(&Double(1)).await, Ok(Doubled(2)));
    soon(hub.close()).await;
    assert_eq!(soon(near.closed()).await, CloseReason::Remote(Status::OK));
}

/// Peers that answer neither a call nor a `close` are waited for together: once for what is open, once for the `close`.
#[tokio::test(start_paused = true)]
async fn silent_peers_hold_a_close_up_for_so_long() {
    let hub = device(1);
    let mut silent = Vec::new();
    for number in 2..6 {
        silent.push(Peer::numbered(number, &hub).await);
    }
    let begun = Instant::now();
    let open = asks(&silent[0].0);
    settle().await;
    hub.close().await;
    let took = begun.elapsed();
    assert!(took >= 6 * SECOND && took < 7 * SECOND, "{took:?}");
    assert!(open.await.unwrap().is_err());
    for (handle, _peer) in &silent {
        assert_eq!(handle.closed().await, CloseReason::TimedOut(TimedOut::Close));
    }
    assert!(hub.links().is_empty());
}

/// Sentence 12: who gives up waiting does not stop the closing.
#[tokio::test]
async fn a_close_that_is_given_up_goes_on() {
    let hub = device(1);
    let near = three_dial(&hub, &Room::new()).await;
    {
        let closing = pin!(hub.close());
        assert!(closing.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    for near in near {
        assert_eq!(soon(near.closed()).await, CloseReason::Remote(Status::OK));
    }
    until(|| hub.links().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn where_nothing_stands_a_close_takes_no_time() {
    let begun = Instant::now();
    let a = device(1);
    assert!(a.links().is_empty());
    a.close().await;
    let (near, _far) = in_memory(&a, &device(2), 4096).await;
    near.close().await;
    a.close().await;
    assert!(begun.elapsed() < SECOND / 100, "{:?}", begun.elapsed());
}

/// A connection whose handshake is on its way is neither listed nor closed, and stands afterwards.
#[tokio::test]
async fn a_close_leaves_handshakes_alone() {
    let (a, b) = (device(1), device(2));
    let (here, there) = duplex(4096);
    let (near, runner) = a.attach(here, Role::Initiator, Admission::expect(b.peer_id())).unwrap();
    tokio::spawn(runner.run());
    assert!(a.links().is_empty());
    soon(a.close()).await;
    let (_far, runner) = b.attach(there, Role::Responder, Admission::Ask).unwrap();
    tokio::spawn(runner.run());
    soon(near.connected()).await.unwrap();
    assert_eq!(a.links().len(), 1);
    assert_eq!(near.call(&Double(1)).await, Ok(Doubled(2)));
}
