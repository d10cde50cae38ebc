//! A device that closes all its connections, as a program does at its end.

use std::thread::{self, JoinHandle};
use std::time::Instant;

use symbolon::blocking::{CallError, Device, Handle, Server, SubscribeError, SubscribeOptions};
use symbolon::{Admission, CloseReason, Kind, Role, SendError, Status, TimedOut};

use super::by_hand::ByHand;
use super::streams::{Gate, Gated};
use super::{
    Double, Doubled, Room, builder, device, hang_up, millis, over_tcp, sockets, soon, timeouts, until,
};

/// Three devices, and the handles of their connections to one that they have dialled.
fn three_dial(dialled: &Device, room: &Room) -> (Server, Vec<Handle>) {
    let server = dialled.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let dial = |number| {
        let dialler = room.serve(builder(number)).build().unwrap();
        dialler.connect(server.local_addr(), dialled.peer_id()).unwrap()
    };
    let near: Vec<_> = (2..5).map(dial).collect();
    until(|| dialled.links().len() == 3);
    (server, near)
}

fn closes(device: &Device) -> JoinHandle<()> {
    let device = device.clone();
    thread::spawn(move || device.close())
}

fn asks(handle: &Handle) -> JoinHandle<Result<Vec<u8>, CallError>> {
    let handle = handle.clone();
    thread::spawn(move || handle.call_raw("stay", b"open", None).map(|body| body.to_vec()))
}

fn join<R: Send + 'static>(thread: JoinHandle<R>) -> R {
    soon(move || thread.join().unwrap())
}

fn reason(handle: &Handle) -> CloseReason {
    let handle = handle.clone();
    soon(move || handle.closed())
}

/// SPEC §16.2: whoever is asked, what is open is answered on each connection; then all of them end.
#[test]
fn a_device_that_closes_loses_nothing() {
    let room = Room::default();
    let hub = room.serve(builder(1)).topic_raw("state", Kind::State).build().unwrap();
    let (_server, near) = three_dial(&hub, &room);
    let mut peers: Vec<_> = hub.links().iter().map(|link| link.peer().unwrap()).collect();
    let mut expected: Vec<_> = near.iter().map(|near| near.device().peer_id()).collect();
    peers.sort();
    expected.sort();
    assert_eq!(peers, expected);
    let mut states = near[0].subscribe_raw("state", SubscribeOptions::default()).unwrap();
    let calls: Vec<_> = near.iter().chain(&hub.links()).map(asks).collect();
    until(|| room.inside() == 6);
    let closing = closes(&hub);
    // All at once: none waits for what is open on another one.
    for near in &near {
        until(|| near.call(&Double(1)) == Err(CallError::Send(SendError::GoingAway)));
    }
    let (next, ended) = soon(move || (states.next(), states.ended()));
    assert_eq!((next, ended), (None, Some(SubscribeError::Status(Status::SHUTTING_DOWN))));
    assert!(!closing.is_finished());
    room.let_go(6);
    for call in calls {
        assert_eq!(join(call).as_deref(), Ok(&b"open"[..]));
    }
    join(closing);
    assert!(hub.links().is_empty());
    for near in near {
        assert_eq!(reason(&near), CloseReason::Remote(Status::OK));
        until(|| near.device().links().is_empty());
    }
}

/// What stands is closed once, however often that is asked for; what comes later stands.
#[test]
fn a_device_may_close_twice() {
    let room = Room::default();
    let hub = room.serve(builder(1)).build().unwrap();
    let (_server, near) = three_dial(&hub, &room);
    let open = asks(&near[0]);
    until(|| room.inside() == 1);
    let links = hub.links();
    let both = [closes(&hub), closes(&hub)];
    until(|| near[0].call(&Double(1)) == Err(CallError::Send(SendError::GoingAway)));
    room.let_go(1);
    both.into_iter().for_each(join);
    assert!(join(open).is_ok());
    for link in links {
        assert_eq!(reason(&link), CloseReason::Local(Status::OK));
    }
    join(closes(&hub));
    let (near, _far) = over_tcp(&device(2), &hub);
    assert_eq!(near.call(&Double(1)), Ok(Doubled(2)));
    join(closes(&hub));
    assert_eq!(reason(&near), CloseReason::Remote(Status::OK));
}

/// A device that waits for so long at a close, and its connections to six peers that say nothing any more, each behind a
/// gate; one after the other they would take six times as long.
fn facing_the_silent(close: u64) -> (Device, Vec<(Handle, ByHand, Gate)>) {
    let hub = builder(1).timeouts(timeouts(|timeouts| timeouts.close = millis(close))).build().unwrap();
    let meet = |number| {
        let (socket, far) = sockets();
        let gate = Gate::new();
        let output = Gated(far.try_clone().unwrap(), gate.clone());
        let (freed, hung_up) = (gate.clone(), hang_up(&far));
        let hang_up = move |how| {
            freed.set_open(true);
            hung_up(how);
        };
        let handle = hub.attach(far, output, hang_up, Role::Responder, Admission::Ask).unwrap();
        let peer = ByHand::new(number, socket, Role::Initiator, hub.peer_id()).connected();
        handle.connected().unwrap();
        (handle, peer, gate)
    };
    let silent = (2..8).map(meet).collect();
    (hub, silent)
}

/// Peers that answer no `close` are waited for together.
#[test]
fn silent_peers_hold_a_close_up_for_so_long() {
    let (hub, silent) = facing_the_silent(1_000);
    let begun = Instant::now();
    join(closes(&hub));
    let took = begun.elapsed();
    assert!(took >= millis(1_000) && took < millis(4_000), "{took:?}");
    for (handle, ..) in &silent {
        assert_eq!(reason(handle), CloseReason::TimedOut(TimedOut::Close));
    }
    assert!(hub.links().is_empty());
}

/// Also where a call is open and no writer gets a byte away: twice the time, whatever the number of peers.
#[test]
fn peers_that_read_nothing_hold_a_close_up_no_longer() {
    let (hub, silent) = facing_the_silent(600);
    for (.., gate) in &silent {
        gate.set_open(false);
    }
    let calls: Vec<_> = silent.iter().map(|(handle, ..)| asks(handle)).collect();
    until(|| silent.iter().all(|(handle, ..)| format!("{handle:?}").contains("held: 1")));
    let begun = Instant::now();
    join(closes(&hub));
    let took = begun.elapsed();
    assert!(took >= millis(1_200) && took < millis(3_000), "{took:?}");
    for call in calls {
        assert!(join(call).is_err());
    }
    assert!(hub.links().is_empty());
}

#[test]
fn where_nothing_stands_a_close_is_over_at_once() {
    let a = device(1);
    assert!(a.links().is_empty());
    join(closes(&a));
    let (near, _far) = over_tcp(&a, &device(2));
    soon(move || near.close());
    join(closes(&a));
    assert!(a.links().is_empty());
}

/// A connection whose handshake is on its way is neither listed nor closed, and stands afterwards.
#[test]
fn a_close_leaves_handshakes_alone() {
    let (a, b) = (device(1), device(2));
    let (here, there) = sockets();
    let near = a.attach_tcp(here, Role::Initiator, Admission::expect(b.peer_id())).unwrap();
    assert!(a.links().is_empty());
    join(closes(&a));
    let _far = b.attach_tcp(there, Role::Responder, Admission::Ask).unwrap();
    near.connected().unwrap();
    assert_eq!(a.links().len(), 1);
    assert_eq!(near.call(&Double(1)), Ok(Doubled(2)));
}
