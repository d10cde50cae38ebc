//! Connections: who gets in, in how many round trips, and which of two stays.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use symbolon::tokio::{CallError, ConnectError, Device, Handle};
use symbolon::{CloseReason, HandshakeError, RefusalCode, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{
    Double, Doubled, Room, builder, device, identity, in_memory, over_tcp, smaller_and_larger, soon,
    timeouts, until,
};

/// Listens for a device and serves all who come.
pub async fn served(device: &Device) -> SocketAddr {
    let listener = device.listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(listener.serve());
    address
}

/// Which way bytes went, each time it changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    Out,
    Back,
}

/// Passes one connection on, and notes the flights.
pub async fn proxy(target: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<Way>>>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let flights = Arc::new(Mutex::new(Vec::new()));
    let noted = flights.clone();
    let task = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(target).await.unwrap();
        let (mut from_near, mut from_far) = ([0; 4096], [0; 4096]);
        loop {
            let (way, len) = tokio::select! {
                len = near.read(&mut from_near) => (Way::Out, len.unwrap()),
                len = far.read(&mut from_far) => (Way::Back, len.unwrap()),
            };
            let passed = match way {
                _ if len == 0 => break,
                Way::Out => far.write_all(&from_near[..len]).await,
                Way::Back => near.write_all(&from_far[..len]).await,
            };
            passed.unwrap();
            let mut noted = noted.lock().unwrap();
            if noted.last() != Some(&way) {
                noted.push(way);
            }
        }
    });
    (address, flights, task)
}

#[tokio::test]
async fn a_peer_that_is_somebody_else_is_not_taken() {
    let (a, b, expected) = (device(1), device(2), device(3).peer_id());
    let address = served(&b).await;
    let error = a.connect(address, expected).await.unwrap_err();
    let not_admitted = |reason: &CloseReason| *reason == CloseReason::NotAdmitted(b.peer_id());
    assert!(matches!(&error, ConnectError::Closed(reason) if not_admitted(reason)), "{error:?}");
    let handle = a.connect(address, b.peer_id()).await.unwrap();
    assert_eq!(handle.call(&Double(1)).await, Ok(Doubled(2)));
}

#[tokio::test]
async fn a_closed_port_is_an_error_of_the_socket() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = device(1).connect(address, device(2).peer_id()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Io(_)), "{error:?}");
}

/// SPEC §6: whoever is not let in is told *refused*, and what it asked early was not executed.
#[tokio::test]
async fn who_is_not_trusted_is_refused_and_nothing_is_executed() {
    let room = Room::new();
    let friend = device(3);
    let strict = room.serve(Device::builder(identity(2))).trust([friend.peer_id()]).build().unwrap();
    let panics = Device::builder(identity(4)).admit(|_| panic!("meant")).build().unwrap();
    for dialled in [&strict, &panics] {
        let address = served(dialled).await;
        let error = device(1).connect(address, dialled.peer_id()).await.unwrap_err();
        let refused = matches!(error, ConnectError::Closed(CloseReason::Remote(Status::REFUSED)));
        assert!(refused, "{error:?}");
        assert!(error.to_string().contains("does not let this device in, or not in time"), "{error}");
        let early = device(1).dial(address, dialled.peer_id()).await.unwrap();
        let answer = soon(early.call_raw("stay", b"", None)).await;
        assert_eq!(answer, Err(CallError::NotExecuted));
        assert_eq!(early.closed().await, CloseReason::Remote(Status::REFUSED));
    }
    assert_eq!(room.entered(), 0);
    let address = served(&strict).await;
    assert!(friend.connect(address, strict.peer_id()).await.is_ok());
}

/// SPEC §2: out, back, out, back, and the reply is there.
#[tokio::test]
async fn the_first_reply_takes_two_round_trips() {
    let (a, b) = (device(1), device(2));
    let (address, flights, _task) = proxy(served(&b).await).await;
    let handle = a.dial(address, b.peer_id()).await.unwrap();
    assert_eq!(handle.call(&Double(6)).await, Ok(Doubled(12)));
    assert_eq!(*flights.lock().unwrap(), [Way::Out, Way::Back, Way::Out, Way::Back]);
}

#[tokio::test]
async fn silent_sockets_fill_the_listener_until_their_time_is_up() {
    let patience = timeouts(|timeouts| timeouts.handshake = Duration::from_millis(1_000));
    let b = builder(2).timeouts(patience).build().unwrap();
    let listener = b.listen("127.0.0.1:0").await.unwrap().with_handshakes(2);
    let address = listener.local_addr().unwrap();
    tokio::spawn(listener.serve());
    let _silent = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
    let a = device(1);
    let error = soon(a.connect(address, b.peer_id())).await.unwrap_err();
    let busy = CloseReason::Handshake(HandshakeError::Refused(RefusalCode::Busy));
    let refused = CloseReason::Refused(RefusalCode::Busy);
    let told = |reason: &CloseReason| *reason == refused || *reason == busy;
    assert!(matches!(&error, ConnectError::Closed(reason) if told(reason)), "{error:?}");
    let handle = soon(async {
        loop {
            match a.connect(address, b.peer_id()).await {
                Ok(handle) => break handle,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await;
    assert_eq!(handle.call(&Double(1)).await, Ok(Doubled(2)));
}

/// PRE-2, and SPEC §20: whoever does not speak symbolon gets no byte.
#[tokio::test]
async fn other_protocols_get_silence() {
    let address = served(&device(2)).await;
    for greeting in [&b"GET / HTTP/1.1\r\n\r\n"[..], &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..], &b"s"[..]]
    {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(greeting).await.unwrap();
        if greeting == b"s" {
            socket.shutdown().await.unwrap();
        }
        let mut answer = Vec::new();
        // A reset is as good an end as any.
        let _ended = soon(socket.read_to_end(&mut answer)).await;
        assert_eq!(answer, b"");
    }
}

/// A peer that keeps its socket open keeps no connection in the registry.
#[tokio::test]
async fn a_connection_that_has_ended_is_not_found() {
    let (a, b) = (device(1), device(2));
    let (from_a, from_b) = over_tcp(&a, &b).await;
    assert!(a.link(b.peer_id()).is_some_and(|handle| handle.is_connected()));
    soon(from_a.close()).await;
    assert!(a.link(b.peer_id()).is_none());
    soon(from_b.closed()).await;
    assert!(b.link(a.peer_id()).is_none());
}

async fn is_replaced(old: (&Handle, &Handle), by: (&Handle, &Handle), smaller: usize) {
    let (one, other) = (soon(old.0.closed()).await, soon(old.1.closed()).await);
    let (ending, ended) = if smaller == 0 { (one, other) } else { (other, one) };
    assert_eq!(ending, CloseReason::Local(Status::REPLACED));
    assert_eq!(ended, CloseReason::Remote(Status::REPLACED));
    assert_eq!(by.0.call(&Double(1)).await, Ok(Doubled(2)));
    assert_eq!(by.1.call(&Double(1)).await, Ok(Doubled(2)));
}

/// DUP-1, DUP-2: whoever dials, the smaller ends the older one, with *replaced*, once its calls have ended.
#[tokio::test]
async fn a_new_connection_takes_the_place_of_the_old_one() {
    for smaller_dials in [true, false] {
        let room = Room::new();
        let equipped = |number| room.serve(builder(number)).build().unwrap();
        let (smaller, larger) = smaller_and_larger(equipped(1), equipped(2));
        let (dialler, dialled) = if smaller_dials { (&smaller, &larger) } else { (&larger, &smaller) };
        let (a, b) = over_tcp(dialler, dialled).await;
        let asker = a.clone();
        let open = tokio::spawn(async move { asker.call_raw("stay", b"old", None).await });
        until(|| room.inside() == 1).await;
        let (c, d) = over_tcp(dialler, dialled).await;
        room.let_go(1);
        assert_eq!(soon(open).await.unwrap().as_deref(), Ok(&b"old"[..]));
        is_replaced((&a, &b), (&c, &d), usize::from(!smaller_dials)).await;
        // Both ask on the newer one.
        let binding = c.channel_binding();
        assert_eq!(dialler.link(dialled.peer_id()).unwrap().channel_binding(), binding);
        assert_eq!(dialled.link(dialler.peer_id()).unwrap().channel_binding(), binding);
    }
}

/// DUP-1: who is not let in takes nobody's place; neither does a stranger's socket.
#[tokio::test]
async fn a_connection_not_accepted_disturbs_nobody() {
    let (smaller, larger) = smaller_and_larger(device(1), device(2));
    let (a, _b) = over_tcp(&smaller, &larger).await;
    let address = served(&smaller).await;
    assert!(larger.connect(address, device(3).peer_id()).await.is_err());
    drop(TcpStream::connect(address).await.unwrap());
    assert_eq!(a.call(&Double(1)).await, Ok(Doubled(2)));
    assert!(a.is_connected());
}

/// DUP-2: both dial at once; exactly one connection is left, the same at both.
#[tokio::test]
async fn crossed_dials_leave_one_connection() {
    for _ in 0..10 {
        let (a, b) = (device(1), device(2));
        let (to_a, to_b) = (served(&a).await, served(&b).await);
        let (ab, ba) =
            soon(async { tokio::join!(a.connect(to_b, b.peer_id()), b.connect(to_a, a.peer_id())) }).await;
        let both = [ab.unwrap(), ba.unwrap()];
        let left = || both.iter().filter(|handle| handle.is_connected()).count();
        until(|| left() == 1).await;
        let (at_a, at_b) = (a.link(b.peer_id()).unwrap(), b.link(a.peer_id()).unwrap());
        until(|| {
            a.link(b.peer_id()).unwrap().channel_binding() == b.link(a.peer_id()).unwrap().channel_binding()
        })
        .await;
        drop((at_a, at_b));
        let at_a = a.link(b.peer_id()).unwrap();
        assert_eq!(at_a.call(&Double(1)).await, Ok(Doubled(2)));
        assert_eq!(left(), 1);
    }
}

/// DUP-2: the device with the larger id replaces nothing, so a peer could pile connections up; the ninth is too many.
#[tokio::test]
async fn one_peer_has_only_so_many_connections() {
    let (smaller, larger) = if device(1).peer_id() < device(2).peer_id() { (1, 2) } else { (2, 1) };
    // Who does not wait for the peer's `close` does not notice how long that is.
    let patience = timeouts(|timeouts| timeouts.close = Duration::from_secs(600));
    let dialled = builder(larger).timeouts(patience).build().unwrap();
    let mut listener = dialled.listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move { while arrived.send(listener.accept().await.unwrap()).is_ok() {} });
    let mut kept = Vec::new();
    for _ in 0..8 {
        // Each time the same peer, as if restarted: it knows of no older connection.
        let handle = device(smaller).connect(address, dialled.peer_id()).await.unwrap();
        assert_eq!(handle.call(&Double(1)).await, Ok(Doubled(2)));
        kept.push(handle);
    }
    let reason = match device(smaller).connect(address, dialled.peer_id()).await {
        Ok(ninth) => soon(ninth.closed()).await,
        Err(ConnectError::Closed(reason)) => reason,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(reason, CloseReason::Remote(Status::UNAVAILABLE));
    assert!(kept.iter().all(|handle| handle.is_connected()));
    for _ in 0..8 {
        assert!(soon(arrivals.recv()).await.unwrap().is_connected());
    }
    assert!(arrivals.try_recv().is_err(), "the ninth has never arrived");
    // One leaves, and there is room again, as soon as the other side has noticed.
    soon(kept.remove(0).close()).await;
    soon(async {
        loop {
            let again = device(smaller).connect(address, dialled.peer_id()).await;
            if let Ok(again) = again
                && again.call(&Double(1)).await == Ok(Doubled(2))
            {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn one_byte_at_a_time_is_enough() {
    let (a, b) = in_memory(&device(1), &device(2), 1).await;
    assert_eq!(a.channel_binding(), b.channel_binding());
    let body = vec![9; 16_000];
    assert_eq!(soon(a.call_raw("echo", &body, None)).await, Ok(body.into()));
    soon(b.close()).await;
    assert_eq!(soon(a.closed()).await, CloseReason::Remote(Status::OK));
}
