//! Bodies that arrive, all of them, in either direction.

use std::io;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use sha2::Digest;
use symbolon::Limits;
use symbolon::tokio::{BodyError, CallError};

use super::{Hashing, MIB, OWN, digest, number, read, served, sha};
use crate::Pair;
use crate::bodies::Reader;
use crate::bytes::pattern;

/// As long as frames and windows are, and one beyond.
fn lengths() -> Vec<usize> {
    let limits = Limits::default();
    let (frame, window) = (usize::from(limits.max_frame), limits.window as usize);
    let around = |len: usize| [len - 31, len - 30, len - 17, len - 16, len - 1, len, len + 1];
    let mut lengths = vec![0, 1, 2 * frame, limits.body_buffer, limits.body_buffer + 1, MIB];
    lengths.extend(around(frame));
    lengths.extend(around(window));
    lengths
}

pub fn bodies_go_up_whole(pair: Pair) {
    let met = pair.meet(served(1), served(2));
    for end in met.ends() {
        for len in lengths() {
            let bytes = pattern(len);
            assert_eq!(digest(end, &bytes), Ok(sha(&bytes)), "{len}");
        }
    }
    met.is_clean();
}

pub fn bodies_come_down_whole(pair: Pair) {
    let met = pair.meet(served(1), served(2));
    for end in met.ends() {
        for len in lengths() {
            let (head, mut body) = end.fetch("give", &(len as u64).to_le_bytes(), None).unwrap();
            let bytes = read(&mut *body).unwrap();
            assert_eq!((bytes.len(), sha(&bytes)), (len, head));
            assert_eq!(body.chunk(), Ok(None), "and again");
        }
    }
    met.is_clean();
}

/// Both bodies at once, longer than all that waits anywhere, and copied by `std::io` on either side.
pub fn an_echo_is_read_while_it_is_written(pair: Pair) {
    let met = pair.meet(served(1), served(2));
    let bytes = pattern(4 * MIB);
    for end in met.ends() {
        let (mut writer, reply) = end.open("mirror", b"label", None).unwrap();
        let heard = thread::scope(|scope| {
            scope.spawn(|| {
                let copied = io::copy(&mut &bytes[..], &mut writer).unwrap();
                assert_eq!(copied, bytes.len() as u64);
                writer.finish().unwrap();
                assert_eq!(writer.finish(), Ok(()), "repeated, it does nothing");
                assert_eq!(writer.put(b"more"), Err(BodyError::Finished));
            });
            let (head, mut body) = reply.wait().unwrap();
            assert_eq!(head, b"label"[..]);
            let mut hashing = Hashing::default();
            io::copy(&mut body, &mut hashing).unwrap();
            hashing.0.finalize()
        });
        assert_eq!(heard[..], sha(&bytes)[..]);
    }
    met.is_clean();
}

pub fn heads_travel_apart_from_bodies(pair: Pair) {
    let met = pair.meet(served(1), served(2));
    for end in met.ends() {
        // A request that is no more than its head, and a reply of nothing but a head.
        let (head, mut body) = end.fetch("mirror", b"only this", None).unwrap();
        assert_eq!((head, body.chunk()), (b"only this"[..].into(), Ok(None)));
        let (head, mut body) = end.fetch("digest", b"", None).unwrap();
        assert_eq!((head, body.chunk()), (sha(b""), Ok(None)));
        // A plain call of a method that streams, and a stream's call of a plain method.
        assert_eq!(end.call_raw("digest", b"", None), Ok(sha(b"")));
        let (head, mut body) = end.fetch("mirror", b"", None).unwrap();
        assert_eq!((head, body.chunk()), (Bytes::new(), Ok(None)));
        let (mut writer, reply) = end.open("mirror", b"", None).unwrap();
        writer.finish().unwrap();
        let (head, mut body) = reply.wait().unwrap();
        assert_eq!((head, body.chunk()), (Bytes::new(), Ok(None)));
    }
    met.is_clean();
}

pub fn ten_at_once_each_way(pair: Pair) {
    let met = pair.meet(served(1), served(2));
    thread::scope(|scope| {
        for round in 0..10 {
            for end in met.ends() {
                scope.spawn(move || {
                    let bytes = pattern(150_000 + round);
                    let (mut writer, reply) = end.open("mirror", b"", None).unwrap();
                    let reading = thread::spawn(move || read(&mut *reply.wait().unwrap().1).unwrap());
                    writer.put(&bytes).unwrap();
                    writer.finish().unwrap();
                    assert!(reading.join().unwrap() == bytes);
                });
            }
        }
    });
    met.is_clean();
}

/// Where chunks begin and end means nothing: many small ones are joined, and may be read in any pieces.
pub fn single_bytes_are_joined(pair: Pair) {
    let met = pair.meet(served(1), served(2));
    let bytes = pattern(5_000);
    for end in met.ends() {
        let (mut writer, reply) = end.open("mirror", b"", None).unwrap();
        for byte in &bytes {
            writer.put(&[*byte]).unwrap();
        }
        writer.finish().unwrap();
        let (_, mut body) = reply.wait().unwrap();
        until_all_waits(&mut *body, &bytes);
        let (_, mut body) = end.fetch("give", &5_000_u64.to_le_bytes(), None).unwrap();
        let mut one = [0];
        for byte in &bytes {
            assert_eq!((body.read(&mut one).unwrap(), one[0]), (1, *byte));
        }
        assert_eq!(body.read(&mut [0; 8]).unwrap(), 0);
    }
    met.is_clean();
}

/// Whatever is dropped at whatever moment: no wake-up is lost, and no slot.
pub fn nothing_is_lost_however_it_races(pair: Pair) {
    let racy = |number| {
        served(number).limits(|limits| limits.requests_in = 4).on_stream("some", |_, head, mut exchange| {
            let mut some = vec![0; self::number(&head)];
            exchange.body.read_exact(&mut some).map_err(|_| OWN)?;
            exchange.reply.send(b"some");
            Ok(())
        })
    };
    let met = pair.meet(racy(1), racy(2));
    thread::scope(|scope| {
        for (number, end) in met.ends().into_iter().flat_map(|end| [(0, end), (1, end), (2, end)]) {
            scope.spawn(move || {
                for round in 0..60_usize {
                    let some = (round % 7 * 3_000) as u64;
                    let (mut writer, reply) = end.open("some", &some.to_le_bytes(), None).unwrap();
                    let write = move || {
                        let all = writer.put(&pattern(round % 11 * 9_000)).and_then(|()| writer.finish());
                        drop(writer);
                        all
                    };
                    match (round + number) % 4 {
                        0 => drop(reply),
                        1 => {
                            let _gone = write();
                            drop(reply);
                        }
                        2 => {
                            let writing = thread::spawn(write);
                            let answered = reply.wait().map(drop);
                            let wrote = writing.join().unwrap();
                            // Handlers of the blocking adapter that nobody waits for any more take places.
                            let busy = matches!(answered, Err(CallError::Busy(_)));
                            assert!(busy || answered.is_ok() || wrote.is_ok(), "{answered:?} {wrote:?}");
                        }
                        _ => match end.fetch("give", &(some * 20).to_le_bytes(), None) {
                            Ok((_, mut body)) if some > 0 => {
                                assert!(!body.chunk().unwrap().unwrap().is_empty());
                            }
                            fetched => assert!(matches!(fetched, Ok(_) | Err(CallError::Busy(_)))),
                        },
                    }
                }
            });
        }
    });
    met.is_clean_with(4);
}

/// Reads what came so far in few chunks.
fn until_all_waits(body: &mut dyn Reader, bytes: &[u8]) {
    thread::sleep(Duration::from_millis(100));
    let (mut chunks, mut heard) = (0, Vec::new());
    while let Some(chunk) = body.chunk().unwrap() {
        assert!(!chunk.is_empty());
        chunks += 1;
        heard.extend_from_slice(&chunk);
    }
    assert!(heard == bytes);
    assert!(chunks < 200, "{chunks}");
}
