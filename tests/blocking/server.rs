//! A server: its limits, whom it turns away, and what it hands out.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Instant;

use symbolon::blocking::{ConnectError, Device, Handle, Server};
use symbolon::{CloseReason, Event, HandshakeError, RefusalCode, Role, Status};

use super::by_hand::ByHand;
use super::{Double, Doubled, PATIENCE, builder, device, millis, soon, timeouts, until};

fn is_busy(error: &ConnectError) -> bool {
    let refused = CloseReason::Refused(RefusalCode::Busy);
    let busy = CloseReason::Handshake(HandshakeError::Refused(RefusalCode::Busy));
    matches!(error, ConnectError::Closed(reason) if *reason == refused || *reason == busy)
}

/// Dials until there is a place.
fn connect_in_time(dialler: &Device, address: SocketAddr, dialled: &Device) -> Handle {
    let begun = Instant::now();
    loop {
        match dialler.connect(address, dialled.peer_id()) {
            Ok(handle) => return handle,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        thread::sleep(millis(5));
    }
}

fn accept(server: Server) -> (Server, Handle) {
    soon(move || {
        let handle = server.accept().unwrap();
        (server, handle)
    })
}

#[test]
fn there_are_so_many_places_and_an_end_gives_one_back() {
    let dialled = device(1);
    let server = dialled.listen("127.0.0.1:0").unwrap().with_connections(2).spawn().unwrap();
    let address = server.local_addr();
    let first = device(2).connect(address, dialled.peer_id()).unwrap();
    let _second = device(3).connect(address, dialled.peer_id()).unwrap();
    for _ in 0..3 {
        let error = device(4).connect(address, dialled.peer_id()).unwrap_err();
        assert!(is_busy(&error), "{error}");
    }
    first.close();
    let third = connect_in_time(&device(4), address, &dialled);
    assert_eq!(third.call(&Double(1)), Ok(Doubled(2)));
}

/// A handshake counts until both sides have let each other in, and no longer.
#[test]
fn who_was_let_in_is_no_handshake_any_more() {
    let dialled = device(1);
    let server = dialled.listen("127.0.0.1:0").unwrap().with_handshakes(1).spawn().unwrap();
    let address = server.local_addr();
    let friends: Vec<_> = (2..6).map(|number| connect_in_time(&device(number), address, &dialled)).collect();
    for friend in friends {
        assert_eq!(friend.call(&Double(1)), Ok(Doubled(2)));
    }
}

/// Those who connect and say nothing fill the handshakes, and leave when their time is up.
#[test]
fn silent_strangers_are_turned_out() {
    let patience = timeouts(|timeouts| timeouts.handshake = millis(1_000));
    let dialled = builder(1).timeouts(patience).build().unwrap();
    let server = dialled.listen("127.0.0.1:0").unwrap().with_handshakes(2).spawn().unwrap();
    let address = server.local_addr();
    let mut silent = [0; 2].map(|_| TcpStream::connect(address).unwrap());
    let error = device(2).connect(address, dialled.peer_id()).unwrap_err();
    assert!(is_busy(&error), "{error}");
    for stranger in &mut silent {
        stranger.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        assert_eq!(stranger.read_to_end(&mut answer).unwrap(), 0, "silence gets silence");
    }
    let handle = connect_in_time(&device(2), address, &dialled);
    assert_eq!(handle.call(&Double(1)), Ok(Doubled(2)));
}

/// A place is given back with the threads, not before: whoever ends at once gets no more of them for it.
#[test]
fn a_stranger_keeps_his_place_until_his_threads_end() {
    let dialled = device(1);
    let server = dialled.listen("127.0.0.1:0").unwrap().with_connections(1).spawn().unwrap();
    let address = server.local_addr();
    let turned_away = (0..50).any(|_| {
        let mut stranger = TcpStream::connect(address).unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stranger.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = [0; 1];
        // Its end is told, and its socket is kept a while for the last bytes.
        assert!(matches!(stranger.read(&mut answer), Ok(0) | Err(_)));
        let busy = device(2).connect(address, dialled.peer_id()).is_err_and(|error| is_busy(&error));
        drop(stranger);
        // On a machine that sleeps in between, the place may be free again.
        connect_in_time(&device(2), address, &dialled).close();
        busy
    });
    assert!(turned_away);
}

/// DUP-2: what a peer that was let in opens beyond its connections is ended without waiting for it, and takes no place of
/// those that others connect on.
#[test]
fn who_piles_connections_up_keeps_nobody_out() {
    let (smaller, larger) = if device(1).peer_id() < device(2).peer_id() { (1, 2) } else { (2, 1) };
    let patience = timeouts(|timeouts| timeouts.close = PATIENCE * 10);
    let dialled = builder(larger).timeouts(patience).build().unwrap();
    let listener = dialled.listen("127.0.0.1:0").unwrap();
    let server = listener.with_connections(16).with_handshakes(4).spawn().unwrap();
    let address = server.local_addr();
    let dial = || {
        let socket = TcpStream::connect(address).unwrap();
        ByHand::new(smaller, socket, Role::Initiator, dialled.peer_id())
    };
    let _eight: Vec<_> = (0..8).map(|_| dial().connected()).collect();
    for _ in 0..8 {
        assert!(server.accept_timeout(PATIENCE).is_ok());
    }
    for _ in 0..4 {
        let mut ninth = dial();
        let reason = ninth.wait_for(|event| match event {
            Event::Closed { reason } => Some(reason),
            _ => None,
        });
        assert_eq!(reason, CloseReason::Remote(Status::UNAVAILABLE));
        // It answers nothing, and the stream ends all the same.
        assert_eq!(ninth.socket.read(&mut [0]).unwrap(), 0);
        let friend = connect_in_time(&device(3), address, &dialled);
        assert_eq!(friend.call(&Double(1)), Ok(Doubled(2)));
        assert_eq!(server.accept_timeout(PATIENCE).unwrap().peer(), Some(device(3).peer_id()));
    }
}

#[test]
fn a_flood_of_bare_connections_disturbs_no_friend() {
    let patience = timeouts(|timeouts| timeouts.handshake = millis(500));
    let dialled = builder(1).timeouts(patience).build().unwrap();
    let listener = dialled.listen("127.0.0.1:0").unwrap();
    let server = listener.with_connections(8).with_handshakes(4).spawn().unwrap();
    let address = server.local_addr();
    let friend = device(2).connect(address, dialled.peer_id()).unwrap();
    let mut kept = Vec::new();
    for round in 0..300 {
        let mut stranger = TcpStream::connect(address).unwrap();
        match round % 3 {
            0 => kept.push(stranger),
            // A server that drops it at once may have done so already.
            1 => drop(stranger.write_all(b"symb\x01\x00\x00\x01")),
            _ => drop(stranger),
        }
        if round % 20 == 0 {
            assert_eq!(friend.call(&Double(round)), Ok(Doubled(round * 2)));
        }
    }
    assert_eq!(friend.call(&Double(7)), Ok(Doubled(14)));
    let late = connect_in_time(&device(3), address, &dialled);
    assert_eq!(late.call(&Double(7)), Ok(Doubled(14)));
    drop(kept);
}

#[test]
fn accept_gives_those_that_stand_in_their_order() {
    let dialled = device(1);
    let server = dialled.listen("127.0.0.1:0").unwrap().with_connections(4).spawn().unwrap();
    let address = server.local_addr();
    let first = device(2).connect(address, dialled.peer_id()).unwrap();
    let gone = device(3).connect(address, dialled.peer_id()).unwrap();
    let last = device(4).connect(address, dialled.peer_id()).unwrap();
    // Kept, so that it has ended and yet is there.
    let _kept = dialled.link(gone.device().peer_id()).unwrap();
    gone.close();
    until(|| dialled.link(gone.device().peer_id()).is_none());
    let (server, one) = accept(server);
    assert_eq!(one.channel_binding(), first.channel_binding());
    let (server, other) = accept(server);
    assert_eq!(other.channel_binding(), last.channel_binding());
    // Many that nobody asked for, and that are gone, hide none that stands.
    for _ in 0..10 {
        connect_in_time(&device(3), address, &dialled).close();
    }
    let newest = connect_in_time(&device(5), address, &dialled);
    let (_server, accepted) = accept(server);
    assert_eq!(accepted.channel_binding(), newest.channel_binding());
}

#[test]
fn any_number_of_places_can_be_asked_for() {
    let dialled = device(1);
    for places in [0, usize::MAX] {
        let listener = dialled.listen("127.0.0.1:0").unwrap();
        let server = listener.with_connections(places).with_handshakes(places).spawn().unwrap();
        let handle = connect_in_time(&device(2), server.local_addr(), &dialled);
        assert_eq!(handle.call(&Double(1)), Ok(Doubled(2)));
        let (_server, accepted) = accept(server);
        assert_eq!(accepted.channel_binding(), handle.channel_binding());
        handle.close();
    }
}

#[test]
fn a_dropped_server_stops_listening_and_leaves_connections() {
    let dialled = device(1);
    let server = dialled.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let address = server.local_addr();
    let handle = device(2).connect(address, dialled.peer_id()).unwrap();
    soon(move || drop(server));
    assert!(matches!(device(3).connect(address, dialled.peer_id()), Err(ConnectError::Io(_))));
    assert_eq!(handle.call(&Double(1)), Ok(Doubled(2)));
    assert_eq!(dialled.link(handle.device().peer_id()).unwrap().call(&Double(2)), Ok(Doubled(4)));
}

/// Whoever is connected finds the connection with its device, at both ends.
#[test]
fn who_is_connected_is_found() {
    let dialled = device(1);
    let mut server = dialled.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    for _ in 0..50 {
        let dialler = device(2);
        let near = dialler.connect(server.local_addr(), dialled.peer_id()).unwrap();
        assert!(dialler.link(dialled.peer_id()).is_some());
        assert!(dialled.link(dialler.peer_id()).is_some());
        let far;
        (server, far) = accept(server);
        assert_eq!(far.channel_binding(), near.channel_binding());
        near.close();
        until(|| !far.is_connected());
    }
}

/// A server can be stopped while somebody waits for arrivals; those that have come are still given.
#[test]
fn a_closed_server_tells_who_waits() {
    let dialled = device(1);
    let server = Arc::new(dialled.listen("127.0.0.1:0").unwrap().spawn().unwrap());
    let address = server.local_addr();
    assert_eq!(server.accept_timeout(millis(20)).unwrap_err(), RecvTimeoutError::Timeout);
    let handle = device(2).connect(address, dialled.peer_id()).unwrap();
    let accepted = server.accept_timeout(PATIENCE).unwrap();
    assert_eq!(accepted.channel_binding(), handle.channel_binding());
    let waiting = server.clone();
    let waits = thread::spawn(move || waiting.accept().is_none());
    thread::sleep(millis(20));
    assert!(!waits.is_finished());
    let closing = server.clone();
    soon(move || closing.close());
    assert!(soon(move || waits.join().unwrap()));
    assert_eq!(server.accept_timeout(PATIENCE).unwrap_err(), RecvTimeoutError::Disconnected);
    assert!(matches!(device(3).connect(address, dialled.peer_id()), Err(ConnectError::Io(_))));
    // A second time changes nothing, and connections go on.
    server.close();
    assert_eq!(handle.call(&Double(1)), Ok(Doubled(2)));
}
