//! Buffers: when they come back, and what a stranger costs.

use std::time::Duration;

use symbolon::{Admission, Config, Connection, Limits, Status};

use super::common::meter::{metered, reset, usage};
use super::common::{device, seed};
use super::{LIMITS, NOW, Said, Two, configured};

/// Sentence 7: buffers grow for what is long, and come back when the connection is idle.
#[test]
fn buffers_come_back_when_idle() {
    let mut two = Two::new(&configured(Limits::default()), true);
    two.settle(|_, _, _| {});
    let body = vec![7; 12_000];
    two.metered.request(NOW, "m", &body, None).expect("room");
    two.other.request(NOW, "m", &body, None).expect("room");
    two.settle(|_, connection, said| {
        if let Said::Request(id) = said {
            connection.respond(id, Status::OK, &body).expect("it waits");
        }
    });
    let grown = two.metered.buffered();
    // A frame each way and a message that waits.
    assert!(grown > 3 * 12_000, "{grown}");
    let keepalive = NOW + Duration::from_secs(15);
    two.metered.handle_timeout(keepalive);
    let idle = two.metered.buffered();
    // The two frame buffers, and the queues, which now keep as much.
    assert!(idle <= 4 * 512, "{idle}");
}

/// Sentence 7: where what is kept at rest is all that can be needed, no buffer ever changes its size.
#[test]
fn where_minimum_equals_maximum_no_buffer_changes_its_size() {
    let mut limits = Limits::small();
    limits.buffer_at_rest = 16_640 + 2;
    let mut two = Two::new(&configured(limits), false);
    two.settle(|_, _, _| {});
    let before = two.metered.buffered();
    let body = vec![7; 900];
    for round in 0..200 {
        while two.metered.request(NOW, "m", &body[..round * 4], None).is_ok() {}
        let _ = two.other.request(NOW, "m", &body, None);
        two.settle(|_, connection, said| {
            if let Said::Request(id) = said {
                connection.respond(id, Status::OK, &body[..round]).expect("it waits");
            }
        });
        assert_eq!(two.metered.buffered(), before);
    }
    two.metered.handle_timeout(NOW + Duration::from_secs(15));
    assert_eq!(two.metered.buffered(), before);
}

/// Sentence 11, ADM-3: what a stranger can make this side hold is fixed: it is the same whatever he sends within
/// the handshake, and small.
#[test]
fn a_strangers_handshake_has_a_fixed_cost() {
    let peak_of = |admission: fn(&Config) -> Admission, input: &[u8]| {
        let config = device(1);
        reset();
        let admission = admission(&config);
        let mut victim = metered(|| Connection::responder(&config, admission, seed(5), NOW));
        metered(|| {
            for byte in input {
                let _ = victim.handle_input(NOW, std::slice::from_ref(byte));
                if let Some(bytes) = victim.poll_transmit(NOW) {
                    let len = bytes.len();
                    victim.advance_transmit(len);
                }
            }
        });
        usage().peak
    };
    let nobody = |_: &Config| Admission::Only(Vec::new());
    let key = [9; 32];
    let longest = [&b"symb\x01\x00\x00\x01\x00\x20"[..], &key, &[0x02, 0x00], &[0xee; 512]].concat();
    let lie = [&b"symb\x01\x00\x00\x01\x00\x20"[..], &key, &[0xff, 0xff], &[0xee; 4_000]].concat();
    let peaks = [
        peak_of(nobody, b"GET / HTTP/1.1\r\n\r\n"),
        peak_of(nobody, b"symb\x01\x00\x00\x01\xff\xff"),
        peak_of(nobody, &lie),
        peak_of(nobody, &longest),
    ];
    println!("a stranger's handshake: {peaks:?} B");
    assert!(peaks.iter().all(|peak| *peak <= peaks[3]), "{peaks:?}");
    assert!(peaks[3] <= 8 * 1024, "{peaks:?}");
    if cfg!(all(target_pointer_width = "64", target_os = "linux")) {
        let line = format!("a stranger's handshake: at most {} B", peaks[3]);
        assert!(LIMITS.contains(&line), "src/guide/limits.md says otherwise: {line}");
    }

    // One who completes the handshake and is not let in leaves no more than that.
    let mut two = Two::new(&device(1), true);
    two.metered = metered(|| Connection::responder(&device(1), Admission::Only(Vec::new()), seed(7), NOW));
    two.settle(|metered, _, said| assert!(!metered || matches!(said, Said::Other), "{said:?}"));
    assert!(two.metered.is_closed());
}
