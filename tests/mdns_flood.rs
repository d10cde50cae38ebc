//! A network on which somebody announces without end.  SPEC §23

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use symbolon::Identity;
use symbolon::blocking::Device;
use symbolon::mdns::LocalNetwork;

const PATIENCE: Duration = Duration::from_secs(60);

/// Each label with its length.
fn name(labels: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in labels {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// What another record of the same answer would be cached for: an hour.
fn record(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&1_u16.to_be_bytes());
    bytes.extend_from_slice(&3_600_u32.to_be_bytes());
    bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// An answer that announces this device with all that belongs to it.
fn announcement(number: u32) -> Vec<u8> {
    const POINTER: u16 = 12;
    const TEXT: u16 = 16;
    const SERVICE: u16 = 33;
    const ADDRESS: u16 = 1;
    let label = format!("flood {number}");
    let instance = name(&[&label, "_symbolon", "_tcp", "local"]);
    let host = name(&[&format!("flood-{number}"), "local"]);
    let text = format!("id={number:064x}");
    let records = [
        record(&name(&["_symbolon", "_tcp", "local"]), POINTER, &instance),
        record(&instance, SERVICE, &[&[0, 0, 0, 0, 0x12, 0x34], &host[..]].concat()),
        record(&instance, TEXT, &[&[text.len() as u8], text.as_bytes()].concat()),
        record(&host, ADDRESS, &number.to_be_bytes()),
    ];
    // A response with so many answers.
    let head = [0, 0, 0x84, 0, 0, 0, 0, records.len() as u8, 0, 0, 0, 0];
    [&head[..], &records.concat()].concat()
}

/// How many KiB of memory this process has.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

// MDN-4
#[test]
fn memory_is_bounded_and_who_is_sought_is_found() {
    let phone = Device::builder(Identity::generate().unwrap()).build().unwrap();
    let lamp = Device::builder(Identity::generate().unwrap()).trust([phone.peer_id()]).build().unwrap();
    let server = lamp.listen("127.0.0.1:0").unwrap().spawn().unwrap();
    let network = LocalNetwork::loopback().unwrap();

    let over = Arc::new(AtomicBool::new(false));
    let flood = thread::spawn({
        let over = over.clone();
        move || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket2::SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
            let mut number = 0x0a00_0000;
            while !over.load(Ordering::Relaxed) {
                for _ in 0..15 {
                    number += 1;
                    // Where nobody keeps up, some are lost.
                    let _full = socket.send_to(&announcement(number), (Ipv4Addr::new(224, 0, 0, 251), 5_353));
                }
                thread::sleep(Duration::from_millis(10));
            }
            number - 0x0a00_0000
        }
    });
    let start = Instant::now();
    while network.devices().len() < 200 {
        assert!(start.elapsed() < PATIENCE, "{} devices", network.devices().len());
        thread::sleep(Duration::from_millis(10));
    }
    #[cfg(target_os = "linux")]
    let before = resident();

    let there = LocalNetwork::loopback().unwrap();
    let _advertised = there.advertise(lamp.peer_id(), server.local_addr().port()).unwrap();
    let keeper = phone.keep(lamp.peer_id(), [""; 0]).unwrap();
    keeper.find_in(&network);
    keeper.connected_timeout(PATIENCE).expect("found among all of them");

    // So much that it has to be forgotten, more than once.
    thread::sleep(Duration::from_secs(20).saturating_sub(start.elapsed()));
    assert!(network.devices().len() <= 257, "{}", network.devices().len());
    over.store(true, Ordering::Relaxed);
    let sent = flood.join().unwrap();
    assert!(sent > 10_000, "only {sent} were announced");
    #[cfg(target_os = "linux")]
    assert!(resident() < before + 32_768, "{} KiB more", resident() - before);
}
