//! Keepers: a connection that is made anew whenever it has ended, and subscriptions that go on.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;

use minicbor::{Decode, Encode};
use symbolon::blocking::{ConnectError, Device, Gap, SubscribeError};
use symbolon::{CloseReason, Kind, Missed, Overflow, Status, SubscribeOptions, Topic, TopicLimits};

use super::{Double, Doubled, PATIENCE, builder, device, millis, until};

#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
struct Level(#[n(0)] u32);

impl Topic for Level {
    const TOPIC: &'static str = "tank/level";
    const KIND: Kind = Kind::Event { depth: 4, overflow: Overflow::DropOldest };
}

/// An address at which nobody listens.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_connection_that_ended_is_made_anew() {
    let (a, b) = (device(1), device(2));
    let server = b.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let keeper = a.keep(b.peer_id(), [server.local_addr()]).unwrap();
    let first = keeper.connected();
    assert_eq!(first.call(&Double(1)), Ok(Doubled(2)));
    b.close();
    first.closed();
    let second = keeper.connected_timeout(PATIENCE).unwrap();
    assert_eq!(second.call(&Double(2)), Ok(Doubled(4)));
    assert!(!first.is_connected());
    drop(keeper);
    second.close();
    thread::sleep(millis(1_200));
    assert!(a.link(b.peer_id()).is_none(), "a keeper that is dropped dials no more");
}

#[test]
fn a_peer_that_comes_later_or_moves_is_found() {
    let (a, b) = (device(1), device(2));
    let home = nowhere();
    let keeper = a.keep(b.peer_id(), [home]).unwrap();
    until(|| keeper.failed().is_some());
    assert!(matches!(*keeper.failed().unwrap(), ConnectError::Io(_)));
    assert!(keeper.connected_timeout(millis(1)).is_none());
    let _server = b.listen(home).unwrap().spawn().unwrap();
    let link = keeper.connected();
    until(|| keeper.failed().is_none());

    let elsewhere = b.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    keeper.set_addresses([elsewhere.local_addr()]);
    assert!(link.is_connected(), "a connection that stands is left alone");
    link.close();
    keeper.connected();
}

#[test]
fn whoever_is_not_let_in_is_told_so_and_tries_on() {
    let (a, other) = (device(1), device(3));
    let open = Arc::new(AtomicBool::new(false));
    let door = open.clone();
    let guarded = builder(2).admit(move |_| door.load(Ordering::Relaxed)).build().unwrap();
    let not_it = other.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let server = guarded.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let keeper = a.keep(guarded.peer_id(), [not_it.local_addr(), server.local_addr()]).unwrap();
    until(|| keeper.failed().is_some());
    let failed = keeper.failed().unwrap();
    let refused = CloseReason::Remote(Status::REFUSED);
    assert!(matches!(*failed, ConnectError::Closed(reason) if reason == refused), "{failed:?}");
    open.store(true, Ordering::Relaxed);
    keeper.connected();
}

#[test]
fn of_several_addresses_it_is_the_one_where_the_peer_is() {
    let (a, b, other) = (device(1), device(2), device(3));
    let not_it = other.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let server = b.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let addresses = [nowhere(), not_it.local_addr(), server.local_addr()];
    assert_eq!(a.connect(&addresses[..], b.peer_id()).unwrap().peer(), Some(b.peer_id()));

    let error = a.connect(&[addresses[1], addresses[0]][..], b.peer_id()).unwrap_err();
    let somebody_else = CloseReason::NotAdmitted(other.peer_id());
    assert!(matches!(error, ConnectError::Closed(reason) if reason == somebody_else), "{error:?}");
    let error = a.connect(&[][..], b.peer_id()).unwrap_err();
    assert!(matches!(error, ConnectError::Io(_)), "{error:?}");
}

#[test]
fn nothing_is_dialled_while_the_peer_has_dialled() {
    let (a, b) = (device(1), device(2));
    let at_a = a.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let at_b = b.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let from_b = b.connect(at_a.local_addr(), a.peer_id()).unwrap();
    until(|| !a.links().is_empty());
    let keeper = a.keep(b.peer_id(), [at_b.local_addr()]).unwrap();
    thread::sleep(millis(300));
    assert_eq!(keeper.link().unwrap().channel_binding(), from_b.channel_binding());
    assert_eq!((a.links().len(), b.links().len()), (1, 1));
    from_b.close();
    until(|| keeper.link().is_some_and(|link| link.channel_binding() != from_b.channel_binding()));
}

#[test]
fn a_peer_that_closes_at_once_is_not_dialled_all_the_time() {
    let (a, b) = (device(1), device(2));
    let server = Arc::new(b.listen("127.0.0.1:0").unwrap().spawn().unwrap());
    let keeper = a.keep(b.peer_id(), [server.local_addr()]).unwrap();
    let came = Arc::new(AtomicUsize::new(0));
    let (count, accepting) = (came.clone(), server.clone());
    let closing = thread::spawn(move || {
        while let Some(handle) = accepting.accept() {
            count.fetch_add(1, Ordering::Relaxed);
            handle.begin_close();
        }
    });
    thread::sleep(millis(1_600));
    let came = came.load(Ordering::Relaxed);
    assert!(
        (1..=3).contains(&came),
        "{came} times, where half a second lies between two, and then a whole one"
    );
    drop(keeper);
    server.close();
    closing.join().unwrap();
}

#[test]
fn a_subscription_goes_on_where_the_one_before_ended() {
    let (a, b) = (device(1), builder(2).topic::<Level>().build().unwrap());
    let server = b.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let keeper = a.keep(b.peer_id(), [server.local_addr()]).unwrap();
    let mut levels = keeper.subscribe::<Level>(SubscribeOptions::default());
    // Until the subscription stands, what is published is not for it.
    loop {
        b.publish(&Level(1)).unwrap();
        match levels.recv_timeout(millis(10)) {
            Ok(first) => break assert_eq!(first, Ok(Level(1))),
            Err(error) => assert_eq!(error, RecvTimeoutError::Timeout),
        }
    }
    while levels.recv_timeout(millis(100)).is_ok() {}

    b.close();
    for level in 2..4 {
        b.publish(&Level(level)).unwrap();
    }
    assert_eq!(levels.next(), Some(Ok(Level(2))));
    assert_eq!(levels.next(), Some(Ok(Level(3))));

    b.close();
    for level in 4..10 {
        b.publish(&Level(level)).unwrap();
    }
    let gap = Gap::Missed(Missed { count: 2, unknown: false });
    assert_eq!(levels.next(), Some(Err(gap)), "four are kept");
    assert_eq!(levels.recv_timeout(PATIENCE), Ok(Ok(Level(6))));
    assert_eq!(levels.ended(), None);
}

#[test]
fn a_subscription_that_is_refused_ends() {
    let (a, b) = (device(1), builder(2).topic::<Level>().allow_subscribe(|_, _| false).build().unwrap());
    let server = b.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let keeper = a.keep(b.peer_id(), [server.local_addr()]).unwrap();
    let mut levels = keeper.subscribe::<Level>(SubscribeOptions::default());
    assert_eq!(levels.next(), None);
    assert_eq!(levels.ended(), Some(SubscribeError::Status(Status::DENIED)));
    assert_eq!(levels.recv_timeout(millis(1)), Err(RecvTimeoutError::Disconnected), "and stays at its end");
    assert!(levels.keeper().link().is_some(), "the connection stands");
}

/// A thread for each would be too many.
#[test]
fn a_peer_has_one_keeper() {
    let (a, b) = (device(1), device(2));
    let none: [SocketAddr; 0] = [];
    let keeper = a.keep(b.peer_id(), none).unwrap();
    thread::sleep(millis(50));
    assert!(keeper.failed().is_none(), "without an address there is nothing to try");
    let server = b.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    drop(a.keep(b.peer_id(), [server.local_addr()]).unwrap());
    assert!(keeper.connected_timeout(PATIENCE).is_some());
}

/// Whoever waits on one is on its device, and does not hold it up.
#[test]
fn keepers_of_many_peers_do_not_hold_each_other_up() {
    let a = device(1);
    let peers: Vec<Device> = (10..20).map(device).collect();
    let servers: Vec<_> =
        peers.iter().map(|peer| peer.listen("127.0.0.1:0").unwrap().spawn().unwrap()).collect();
    let keepers: Vec<_> = peers
        .iter()
        .zip(&servers)
        .map(|(peer, server)| a.keep(peer.peer_id(), [server.local_addr()]).unwrap())
        .collect();
    for keeper in &keepers {
        assert!(keeper.connected_timeout(PATIENCE).is_some());
    }
    assert_eq!(a.links().len(), peers.len());
}

/// Its place is taken by another subscriber for a while; however short the waits are, it is asked again.
#[test]
fn a_publisher_that_is_unavailable_is_asked_again() {
    let mut limits = TopicLimits::default();
    limits.subscriptions = 1;
    let (a, b, other) =
        (device(1), builder(2).topic::<Level>().topic_limits(limits).build().unwrap(), device(3));
    let server = b.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let link = other.connect(server.local_addr(), b.peer_id()).unwrap();
    let taken = link.subscribe::<Level>().unwrap();
    let keeper = a.keep(b.peer_id(), [server.local_addr()]).unwrap();
    let mut levels = keeper.subscribe::<Level>(SubscribeOptions::default());
    keeper.connected();
    assert_eq!(levels.recv_timeout(millis(100)), Err(RecvTimeoutError::Timeout));
    drop(taken);
    let first = loop {
        b.publish(&Level(5)).unwrap();
        if let Ok(next) = levels.recv_timeout(millis(10)) {
            break next;
        }
    };
    assert_eq!(first, Ok(Level(5)));
}

/// A publisher that ends in order tells what it has not sent, and then sends it all the same on the next connection.
#[test]
fn what_comes_on_the_next_connection_was_not_missed() {
    let (a, b) = (device(1), builder(2).topic::<Level>().build().unwrap());
    let server = b.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let keeper = a.keep(b.peer_id(), [server.local_addr()]).unwrap();
    let mut options = SubscribeOptions::default();
    // Room for one or two.
    options.window = 64;
    let mut levels = keeper.subscribe::<Level>(options);
    loop {
        b.publish(&Level(0)).unwrap();
        if levels.recv_timeout(millis(10)).is_ok() {
            break;
        }
    }
    while levels.recv_timeout(millis(100)).is_ok() {}
    for level in 1..=4 {
        b.publish(&Level(level)).unwrap();
    }
    b.close();
    for level in 1..=4 {
        assert_eq!(levels.next(), Some(Ok(Level(level))));
    }
}
