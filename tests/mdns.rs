//! Devices that find each other by multicast DNS, over the loopback interface of this machine.  SPEC §23

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};
use symbolon::blocking::{self, Device};
use symbolon::mdns::{Found, LocalNetwork};
use symbolon::{CloseReason, Identity, PeerId, SecretKey, Seed, Status};

/// How long anything may take before a test counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);
const SERVICE: &str = "_symbolon._tcp.local.";

/// All tests are on one network: each has devices of its own.
fn identity(number: u8) -> Identity {
    Identity::new(&SecretKey::from_bytes([number; 32]), Seed::random().unwrap())
}

/// A device that lets everyone in.
fn device(number: u8) -> Device {
    Device::builder(identity(number)).admit(|_| true).on_raw("echo", |_, body| Ok(body)).build().unwrap()
}

fn until(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it never holds");
        thread::sleep(Duration::from_millis(10));
    }
}

fn is_there(network: &LocalNetwork, peer: PeerId) -> bool {
    network.devices().iter().any(|found| found.peer == peer)
}

fn listen(device: &Device) -> blocking::Server {
    device.listen("127.0.0.1:0").unwrap().spawn().unwrap()
}

#[test]
fn a_device_that_makes_itself_known_is_found_by_its_id_alone() {
    let (phone, lamp) = (device(1), device(2));
    let server = listen(&lamp);
    let there = LocalNetwork::loopback().unwrap();
    let advertised = there.advertise(lamp.peer_id(), server.local_addr().port()).unwrap();

    let here = LocalNetwork::loopback().unwrap();
    let keeper = phone.keep(lamp.peer_id(), [""; 0]).unwrap();
    keeper.find_in(&here);
    let link = keeper.connected_timeout(PATIENCE).expect("found");
    assert_eq!(link.call_raw("echo", b"there?", None).unwrap(), b"there?"[..]);
    until(|| is_there(&here, lamp.peer_id()));
    let found = here.devices().into_iter().find(|found| found.peer == lamp.peer_id()).unwrap();
    assert_eq!(found.addresses, [server.local_addr()]);

    drop(advertised);
    until(|| !is_there(&here, lamp.peer_id()));
    assert!(link.is_connected(), "who goes from the network has not closed its connections");
}

#[test]
fn a_device_that_moves_is_followed() {
    let (phone, lamp) = (device(3), device(4));
    let network = LocalNetwork::loopback().unwrap();
    let keeper = phone.keep(lamp.peer_id(), [""; 0]).unwrap();
    keeper.find_in(&network);
    drop(network); // the keeper holds it
    for _ in 0..3 {
        let server = listen(&lamp);
        let there = LocalNetwork::loopback().unwrap();
        let _advertised = there.advertise(lamp.peer_id(), server.local_addr().port()).unwrap();
        let link = keeper.connected_timeout(PATIENCE).expect("found again");
        drop(server);
        link.close();
        link.closed();
    }
}

#[tokio::test]
async fn it_is_the_same_with_tokio() {
    let phone = symbolon::tokio::Device::builder(identity(5)).admit(|_| true).build().unwrap();
    let lamp = symbolon::tokio::Device::builder(identity(6)).trust([phone.peer_id()]).build().unwrap();
    let listener = lamp.listen("127.0.0.1:0").await.unwrap();
    let network = LocalNetwork::loopback().unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(listener.serve());
    let keeper = phone.keep(lamp.peer_id(), ["127.0.0.1:1"]).await;
    keeper.find_in(&network);
    let _advertised = network.advertise(lamp.peer_id(), port).unwrap();
    tokio::time::timeout(PATIENCE, keeper.connected()).await.expect("found");
}

#[test]
fn a_watch_is_told_who_is_there_who_comes_and_who_goes() {
    let (first, second) = (device(7).peer_id(), device(8).peer_id());
    let network = LocalNetwork::loopback().unwrap();
    let _first = network.advertise(first, 1_007).unwrap();
    until(|| is_there(&network, first));

    let (told, said) = mpsc::channel();
    let panics = network.watch_peer(second, |_| panic!("this one is wrong, and no other's affair"));
    let watch = network.watch(move |found| drop(told.send(found)));
    let next = |peer| {
        loop {
            let found: Found = said.recv_timeout(PATIENCE).unwrap();
            if found.peer == peer {
                return found.addresses;
            }
        }
    };
    assert_eq!(next(first), [SocketAddr::from(([127, 0, 0, 1], 1_007))]);
    let came = network.advertise(second, 1_008).unwrap();
    assert_eq!(next(second), [SocketAddr::from(([127, 0, 0, 1], 1_008))]);
    drop(came);
    assert_eq!(next(second), []);
    drop((panics, watch));
    assert!(said.recv_timeout(PATIENCE).is_err(), "it is told no more: the channel has ended");
}

#[test]
fn port_0_is_refused() {
    let network = LocalNetwork::loopback().unwrap();
    let refused = network.advertise(device(9).peer_id(), 0).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
}

/// Somebody else on the network, who says what it likes.
struct Somebody(ServiceDaemon);

impl Somebody {
    fn new() -> Self {
        let daemon = ServiceDaemon::new().unwrap();
        daemon.disable_interface(IfKind::All).unwrap();
        daemon.enable_interface(IfKind::LoopbackV4).unwrap();
        Self(daemon)
    }

    fn say(&self, name: &str, port: u16, properties: &[(&str, &str)]) {
        let host = format!("{name}.local.");
        let service = ServiceInfo::new(SERVICE, name, &host, "127.0.0.1", port, properties).unwrap();
        self.0.register(service).unwrap();
    }
}

impl Drop for Somebody {
    fn drop(&mut self) {
        self.0.shutdown().unwrap();
    }
}

// MDN-1, MDN-2
#[test]
fn only_a_well_formed_id_counts_and_what_is_said_besides_does_not() {
    let (good, bad) = (device(10).peer_id().to_string(), device(11).peer_id().to_string());
    let somebody = Somebody::new();
    somebody.say("bad case", 1_011, &[("id", &bad.to_uppercase())]);
    somebody.say("bad length", 1_011, &[("id", &bad[1..])]);
    somebody.say("no id", 1_011, &[("peer", &bad)]);
    somebody.say("good", 1_010, &[("v", "2"), ("id", &good), ("model", "lamp")]);
    let network = LocalNetwork::loopback().unwrap();
    until(|| is_there(&network, good.parse().unwrap()));
    let other_port = |found: Found| found.addresses.iter().all(|address| address.port() != 1_011);
    assert!(network.devices().into_iter().all(other_port), "{network:?}");
}

// MDN-3
#[test]
fn who_says_that_it_is_somebody_else_gets_nothing_and_is_not_let_in() {
    let lamp = device(12);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let phone = Device::builder(identity(13))
        .trust([lamp.peer_id()])
        .on_raw("door/open", move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(Vec::new().into())
        })
        .build()
        .unwrap();
    // It has the lamp's id in its mouth, and a key of its own.
    let seen = Arc::new(AtomicBool::new(false));
    let handler = seen.clone();
    let impostor = Device::builder(identity(14))
        .admit(move |_| {
            handler.store(true, Ordering::Relaxed);
            true
        })
        .build()
        .unwrap();
    let (trap, phones) = (listen(&impostor), listen(&phone));
    let somebody = Somebody::new();
    somebody.say("lamp", trap.local_addr().port(), &[("id", &lamp.peer_id().to_string())]);

    let network = LocalNetwork::loopback().unwrap();
    let keeper = phone.keep(lamp.peer_id(), [""; 0]).unwrap();
    keeper.find_in(&network);
    until(|| keeper.failed().is_some());
    assert!(keeper.link().is_none());
    assert!(!seen.load(Ordering::Relaxed), "it does not even learn who dialled");
    let refused = impostor.connect(phones.local_addr(), phone.peer_id()).unwrap_err();
    assert!(
        matches!(refused, blocking::ConnectError::Closed(CloseReason::Remote(Status::REFUSED))),
        "{refused:?}"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}
