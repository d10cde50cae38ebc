//! What bodies leave to others, and to whom they are not given.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use symbolon::tokio::{BodyError, CallError};
use symbolon::{Limits, Status};

use super::{MIB, digest, number, read, served, sha};
use crate::bytes::pattern;
use crate::peers::{PATIENCE, peer_id};
use crate::{Double, Doubled, Pair, until};

pub fn who_takes_no_chunks_says_so(pair: Pair) {
    let closed = |number: u8, friend: u8| served(number).friends(&[peer_id(friend)]);
    let met = pair.meet(closed(1, 2), closed(2, 9));
    let status = |status| Some(CallError::Status(status, Bytes::new()));
    for end in met.ends() {
        for (method, expected) in [("math/double", Status::UNSUPPORTED), ("nothing", Status::NOT_FOUND)] {
            let (mut writer, reply) = end.open(method, b"\x81\x01", None).unwrap();
            let refused = (0..).find_map(|_| writer.put(&[7; 10_000]).err());
            assert_eq!(refused, Some(BodyError::Answered));
            assert_eq!(reply.wait().err(), status(expected));
        }
    }
    // Of two who ask, one is a friend.
    assert_eq!(met.near.deposit(&[7; 300_000]), Err(status(Status::DENIED).unwrap()));
    assert_eq!(met.far.deposit(&[7; 300_000]), Ok(300_000));
    met.is_clean();
    let met = pair.meet(served(1), served(2).limits(|limits| limits.window = 0));
    let (mut writer, reply) = met.near.open("mirror", b"", None).unwrap();
    let refused = (0..).find_map(|_| writer.put(&[7; 10_000]).err());
    assert_eq!(refused, Some(BodyError::Answered));
    assert_eq!(reply.wait().err(), status(Status::UNSUPPORTED));
    assert_eq!(met.near.call(&Double(1)), Ok(Doubled(2)));
    let (head, mut body) = met.near.fetch("give", &[0; 8], None).unwrap();
    assert_eq!((head, body.chunk()), (sha(b""), Ok(None)));
    // The other way round: the request was executed, and its answer is not taken.
    let (mut writer, reply) = met.far.open("mirror", b"", None).unwrap();
    assert_eq!(reply.wait().err(), Some(CallError::Unsupported));
    assert_eq!(writer.put(b"x"), Err(BodyError::Unsupported));
    assert_eq!(met.far.call_raw("mirror", b"", None), Err(CallError::Unsupported));
    assert_eq!(met.far.call(&Double(1)), Ok(Doubled(2)));
}

/// EXC-8: more than the peer takes wait for their turn, and none is lost.
pub fn requests_beyond_the_limit_wait_for_their_turn(pair: Pair) {
    let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let few = |number| {
        let (most, now) = (most.clone(), now.clone());
        served(number).limits(|limits| limits.requests_in = 3).on_stream(
            "few",
            move |_, head, mut exchange| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let body = read(&mut *exchange.body);
                now.fetch_sub(1, Ordering::SeqCst);
                assert_eq!(body.map(|body| body.len()), Ok(20_000));
                exchange.reply.send(&head);
                Ok(())
            },
        )
    };
    let met = pair.meet(few(1), few(2));
    thread::scope(|scope| {
        for number in 0..20 {
            let near = &met.near;
            scope.spawn(move || {
                let (mut writer, reply) = near.open("few", &[number], None).unwrap();
                writer.put(&pattern(20_000)).unwrap();
                writer.finish().unwrap();
                assert_eq!(reply.wait().unwrap().0, [number][..]);
            });
        }
    });
    let most = most.load(Ordering::SeqCst);
    assert!((1..=3).contains(&most), "{most}");
    met.is_clean_with(3);
}

/// SPEC §11, sentence 4: a reader that sleeps bounds what its writer can write, and delays nobody.
pub fn a_reader_that_sleeps_delays_nobody(pair: Pair) {
    let gate = Arc::new(Mutex::new(()));
    let sleepy = |number| {
        let gate = gate.clone();
        served(number).on_stream("sleeps", move |_, _, mut exchange| {
            drop(gate.lock());
            let read = read(&mut *exchange.body).map_err(|(_, error)| error)?;
            exchange.reply.send(&(read.len() as u64).to_le_bytes());
            Ok(())
        })
    };
    let met = pair.meet(sleepy(1), sleepy(2));
    let limits = Limits::default();
    let most = limits.window as usize + limits.body_buffer;
    for end in met.ends() {
        let asleep = gate.lock().unwrap();
        let (mut writer, reply) = end.open("sleeps", b"", None).unwrap();
        let written = Arc::new(AtomicUsize::new(0));
        let counted = written.clone();
        let writing = thread::spawn(move || {
            for _ in 0..1_000 {
                writer.put(&[7; 1_000]).unwrap();
                counted.fetch_add(1_000, Ordering::SeqCst);
            }
            writer.finish().unwrap();
        });
        until(|| written.load(Ordering::SeqCst) > limits.window as usize);
        thread::sleep(Duration::from_millis(50));
        let held = written.load(Ordering::SeqCst);
        assert!(held <= most, "{held} of at most {most}");
        // Others on the same link go on.
        let begun = Instant::now();
        for _ in 0..50 {
            assert_eq!(end.call(&Double(21)), Ok(Doubled(42)));
        }
        assert_eq!(digest(end, &pattern(MIB)), Ok(sha(&pattern(MIB))));
        assert!(begun.elapsed() < PATIENCE / 3, "{:?}", begun.elapsed());
        drop(asleep);
        writing.join().unwrap();
        assert_eq!(number(&reply.wait().unwrap().0), 1_000_000);
    }
    met.is_clean();
}

/// SPEC §12: a call waits for what the socket has, and for no body.
pub fn a_call_overtakes_bodies(pair: Pair) {
    let endless = |number| {
        served(number).on_stream("endless", |_, _, exchange| {
            let mut writer = exchange.reply.start(b"")?;
            loop {
                writer.put(&[7; 50_000])?;
            }
        })
    };
    let met = pair.meet(endless(1), endless(2));
    for end in met.ends() {
        let (_, mut body) = end.fetch("endless", b"", None).unwrap();
        let reading = thread::spawn(move || {
            let begun = Instant::now();
            let mut bytes = 0;
            while begun.elapsed() < Duration::from_millis(500) {
                bytes += body.chunk().unwrap().expect("it has no end").len();
            }
            bytes
        });
        let mut longest = Duration::ZERO;
        let mut calls = 0;
        while !reading.is_finished() {
            let begun = Instant::now();
            assert_eq!(end.call(&Double(1)), Ok(Doubled(2)));
            longest = longest.max(begun.elapsed());
            calls += 1;
        }
        let bytes = reading.join().unwrap();
        println!("{pair:?}: {bytes} bytes, {calls} calls, the longest {longest:?}");
        assert!(bytes > 2 * MIB && calls > 5 && longest < Duration::from_secs(3));
    }
    met.is_clean();
}
