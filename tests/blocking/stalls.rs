//! Peers that read nothing, say nothing, or stop in the middle.

use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use symbolon::blocking::{CallError, ConnectError, Device, Handle};
use symbolon::{
    Admission, CloseReason, Event, Kind, Overflow, Role, SendError, Status, StopCause, TimedOut, Timeouts,
};

use super::by_hand::ByHand;
use super::{Double, builder, device, hang_up, has_ended, millis, sockets, soon, timeouts, until, watched};

const EVENTS: Kind = Kind::Event { depth: 16, overflow: Overflow::DropOldest };

/// A device of these timeouts, connected to a peer whose socket the test holds.
fn facing_a_peer(change: impl FnOnce(&mut Timeouts)) -> (Device, Handle, ByHand) {
    let (socket, far) = sockets();
    let device = builder(2).timeouts(timeouts(change)).build().unwrap();
    let handle = device.attach_tcp(far, Role::Responder, Admission::Ask).unwrap();
    let peer = ByHand::new(1, socket, Role::Initiator, device.peer_id()).connected();
    handle.connected().unwrap();
    (device, handle, peer)
}

/// Bytes of memory that this process has; 0 where the system does not tell.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kilobytes.and_then(|number| number.parse::<usize>().ok()).unwrap_or(0) * 1_024
}

/// Who has sent all of a body and waits for the answer waits as long as he says, and no longer.
#[test]
fn a_peer_that_never_answers_is_waited_for_as_long_as_is_said() {
    let (_device, handle, mut peer) = facing_a_peer(|timeouts| timeouts.body_idle = Some(millis(100)));
    let waiting = thread::spawn(move || {
        let (mut writer, reply) = handle.open_raw("m", b"", None).unwrap();
        writer.finish().unwrap();
        (reply.wait_timeout(millis(500)).err(), handle)
    });
    let cause = peer.wait_for(|event| match event {
        Event::Stop { cause, .. } => Some(cause),
        _ => None,
    });
    assert_eq!(cause, StopCause::Cancel(Status::CANCELLED));
    let (error, handle) = soon(move || waiting.join().unwrap());
    assert_eq!(error, Some(CallError::DeadlinePassed));
    assert!(handle.is_connected());
}

/// The peer's kernel takes some megabytes before the writer is held up.
#[test]
fn a_peer_that_never_reads_ends_by_its_silence() {
    let builder = builder(2).topic_raw("events", EVENTS).timeouts(timeouts(|timeouts| {
        timeouts.probe = millis(500);
        timeouts.close = millis(500);
    }));
    let device = builder.build().unwrap();
    let (socket, far) = sockets();
    let (input, reader) = watched(far.try_clone().unwrap());
    let (output, writer) = watched(far.try_clone().unwrap());
    far.set_write_timeout(Some(millis(100))).unwrap();
    let handle = device.attach(input, output, hang_up(&far), Role::Responder, Admission::Ask).unwrap();
    let peer = ByHand::silent_after(1, socket, Role::Initiator, device.peer_id(), millis(1_000));
    let mut peer = peer.connected();
    handle.connected().unwrap();
    peer.connection.subscribe("events", 1 << 30, None).unwrap();
    peer.write();
    let before = resident();
    // Calls end by their own time while the writer is held up.
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || {
                let mut passed = 0;
                loop {
                    match handle.call_raw("nothing", &[0; 16_000], Some(millis(50))) {
                        Err(CallError::DeadlinePassed) => passed += 1,
                        Err(_) => return passed,
                        Ok(_) => panic!("nobody answers"),
                    }
                }
            })
        })
        .collect();
    let publishing = {
        let (device, handle) = (device.clone(), handle.clone());
        thread::spawn(move || {
            // Never waits: what does not fit is dropped and counted.
            while !matches!(handle.call_raw("nothing", b"", Some(Duration::ZERO)), Err(CallError::Send(_))) {
                device.publish_raw("events", &[0; 15_000]).unwrap();
            }
        })
    };
    let ended = handle.clone();
    assert_eq!(soon(move || ended.closed()), CloseReason::TimedOut(TimedOut::Silence));
    for call in calls {
        assert!(soon(move || call.join().unwrap()) > 0);
    }
    soon(move || publishing.join().unwrap());
    // However much was published in that time.
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more than before");
    assert_eq!(handle.call(&Double(1)), Err(CallError::Send(SendError::Closed)));
    until(|| has_ended(&reader) && has_ended(&writer));
    assert!(device.link(handle.peer().unwrap()).is_none());
    drop(peer);
}

#[test]
fn a_peer_that_never_answers_fails_the_handshake() {
    let patience = timeouts(|timeouts| timeouts.handshake = millis(200));
    let dialler = builder(1).timeouts(patience).build().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let peer = device(2).peer_id();
    let error = soon(move || dialler.connect(address, peer)).unwrap_err();
    let timed_out = CloseReason::TimedOut(TimedOut::Handshake);
    assert!(matches!(error, ConnectError::Closed(reason) if reason == timed_out), "{error}");
}

/// END-3, FRM-5: whether the stream ends in the middle of a frame, or nothing more comes.
#[test]
fn a_frame_that_is_never_finished_ends_the_connection() {
    for (cut, reason) in [(true, CloseReason::Truncated), (false, CloseReason::TimedOut(TimedOut::Frame))] {
        let (_device, handle, mut peer) = facing_a_peer(|timeouts| timeouts.frame = millis(300));
        let asker = handle.clone();
        let open = thread::spawn(move || asker.call_raw("nothing", b"", None));
        thread::sleep(millis(20));
        let now = peer.now();
        peer.connection.request(now, "echo", &[0; 1_000], None).unwrap();
        let said = peer.said();
        peer.socket.write_all(&said[..said.len() / 2]).unwrap();
        let kept = if cut {
            drop(peer);
            None
        } else {
            Some(peer)
        };
        let answer = soon(move || open.join().unwrap());
        assert!(matches!(answer, Err(CallError::Disconnected | CallError::NotExecuted)), "{answer:?}");
        let ended = handle.clone();
        assert_eq!(soon(move || ended.closed()), reason);
        if let Some(mut peer) = kept {
            assert!(peer.is_hung_up());
        }
    }
}

/// A peer that ends its direction without a `close`: that is no orderly end, and it is hung up on.
#[test]
fn a_half_close_is_a_truncation() {
    let (_device, handle, mut peer) = facing_a_peer(|_| {});
    let asker = handle.clone();
    let open = thread::spawn(move || asker.call_raw("nothing", b"", None));
    peer.socket.shutdown(Shutdown::Write).unwrap();
    let answer = soon(move || open.join().unwrap());
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(soon(move || handle.closed()), CloseReason::Truncated);
    assert!(peer.is_hung_up());
}

/// Whoever closes is not held up by a peer that answers nothing; twice the timeout bounds it.
#[test]
fn close_returns_though_the_peer_is_stalled() {
    for holds_a_call in [false, true] {
        let (_device, handle, peer) = facing_a_peer(|timeouts| timeouts.close = millis(300));
        let asker = handle.clone();
        let open = holds_a_call.then(|| {
            let open = thread::spawn(move || asker.call_raw("nothing", b"", None));
            thread::sleep(millis(50));
            open
        });
        let begun = Instant::now();
        assert_eq!(soon(move || handle.close()), CloseReason::TimedOut(TimedOut::Close));
        assert!(begun.elapsed() >= millis(300));
        if let Some(open) = open {
            assert_eq!(soon(move || open.join().unwrap()), Err(CallError::Disconnected));
        }
        drop(peer);
    }
}

/// SPEC §16.1
#[test]
fn a_close_by_hand_is_answered() {
    let (_device, handle, mut peer) = facing_a_peer(|_| {});
    let now = peer.now();
    peer.connection.close(now, Status::OK);
    peer.wait_for(|event| matches!(event, Event::Closed { .. }).then_some(()));
    assert_eq!(soon(move || handle.closed()), CloseReason::Remote(Status::OK));
    assert!(peer.is_hung_up());
}
