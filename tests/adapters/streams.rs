//! Bodies in chunks: whole, both ways, given up, cut, late and stalled.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use symbolon::tokio::{BodyError, CallError, Refusal};
use symbolon::{CloseReason, Limits, Status};

use super::bodies::{Exchange, Reader, body_error};
use super::bytes::pattern;
use super::peers::{Asked, Handle, PATIENCE, Plan, peer_id, plan};
use super::{Double, Doubled, Meeting, Pair, proxy, until};

const OWN: Status = Status::new(300);
const MIB: usize = 1 << 20;
/// How many requests a device here takes at once.
const SLOTS: usize = 12;

fn number(head: &[u8]) -> usize {
    let bytes = head.first_chunk().expect("eight bytes");
    u64::from_le_bytes(*bytes) as usize
}

fn sha(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&Sha256::digest(bytes))
}

/// What arrived, as a digest.
#[derive(Default)]
struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All of a body, or why not, and how much came before that.
fn read(body: &mut dyn Reader) -> Result<Vec<u8>, (usize, BodyError)> {
    let mut bytes = Vec::new();
    let copied = io::copy(body, &mut bytes);
    match copied {
        Ok(_) => Ok(bytes),
        Err(error) => Err((bytes.len(), body_error(&error))),
    }
}

fn why(read: Result<Vec<u8>, (usize, BodyError)>) -> BodyError {
    read.expect_err("it is not complete").1
}

/// A device that digests, gives and echoes.
fn served(number: u8) -> Plan {
    plan(number)
        .limits(|limits| limits.requests_in = SLOTS as u16)
        .on_stream("digest", |_, _, mut exchange| {
            let mut hashing = Hashing::default();
            io::copy(&mut exchange.body, &mut hashing).map_err(|error| body_error(&error))?;
            exchange.reply.send(&hashing.0.finalize());
            Ok(())
        })
        .on_stream("give", |_, head, exchange| {
            let bytes = pattern(self::number(&head));
            let mut writer = exchange.reply.start(&sha(&bytes))?;
            writer.put(&bytes)?;
            Ok(writer.finish()?)
        })
        .on_stream("mirror", |_, head, mut exchange| {
            let mut writer = exchange.reply.start(&head)?;
            while let Some(chunk) = exchange.body.chunk()? {
                writer.put(&chunk)?;
            }
            Ok(writer.finish()?)
        })
}

impl Meeting {
    fn is_clean(&self) {
        self.is_clean_with(SLOTS);
    }

    /// Nothing of what was is left at either end: no half, no slot of so many, and the connection works.
    fn is_clean_with(&self, slots: usize) {
        for end in self.ends() {
            until(|| format!("{end:?}").contains("held: 0"));
        }
        for end in self.ends() {
            assert_eq!(end.call(&Double(21)), Ok(Doubled(42)));
            assert_eq!(digest(end, &[7; 1_000]), Ok(sha(&[7; 1_000])));
            let opened: Vec<_> = (0..slots).map(|_| end.open("mirror", b"", None).unwrap()).collect();
            let all = opened.into_iter().map(|(writer, reply)| (writer, reply.wait().unwrap()));
            assert_eq!(all.collect::<Vec<_>>().len(), slots);
        }
    }
}

fn digest(end: &dyn Handle, bytes: &[u8]) -> Result<Bytes, CallError> {
    let (mut writer, reply) = end.open("digest", b"", None)?;
    writer.put(bytes).unwrap();
    writer.finish().unwrap();
    let (head, mut rest) = reply.wait()?;
    assert_eq!(rest.chunk(), Ok(None), "nothing follows");
    Ok(head)
}

/// What is said once and heard once, for handlers that a test leads.
fn line<T: Send + 'static>() -> (mpsc::Sender<T>, Arc<dyn Fn() -> T + Send + Sync>) {
    let (say, heard) = mpsc::channel();
    let heard = Mutex::new(heard);
    let hear = move || heard.lock().unwrap().recv_timeout(PATIENCE).expect("it is said");
    (say, Arc::new(hear))
}

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

/// EXC-14: the writer is told that nobody takes more, and the reply stands.
pub fn an_answer_may_come_before_the_body_was_read(pair: Pair) {
    let eager = |number| {
        served(number)
            .on_stream("at/once", |_, _, exchange| {
                exchange.reply.send(b"enough");
                Ok(())
            })
            .on_stream("a/little", |_, _, mut exchange| {
                let mut some = [0; 10];
                exchange.body.read_exact(&mut some).map_err(|error| body_error(&error))?;
                exchange.reply.send(&some);
                Ok(())
            })
    };
    let met = pair.meet(eager(1), eager(2));
    for end in met.ends() {
        for (method, answer) in [("at/once", &b"enough"[..]), ("a/little", &[7; 10])] {
            let (mut writer, reply) = end.open(method, b"", None).unwrap();
            let refused = (0..).find_map(|_| writer.put(&[7; 10_000]).err());
            assert_eq!(refused, Some(BodyError::Answered));
            assert_eq!(writer.finish(), Err(BodyError::Answered));
            let (head, mut body) = reply.wait().unwrap();
            assert_eq!((head, body.chunk()), (Bytes::copy_from_slice(answer), Ok(None)));
        }
    }
    met.is_clean();
}

/// EXC-16: who stops reading stops the writer, and the answer still comes.
pub fn a_reader_of_a_request_stops_it(pair: Pair) {
    let stopping = |number| {
        served(number).on_stream("stops", |_, head, mut exchange| {
            exchange.body.chunk()?;
            match &head[..] {
                b"drop" => drop(exchange.body),
                b"ok" => exchange.body.stop(Status::OK),
                _ => exchange.body.stop(OWN),
            }
            // Long enough for the caller to see it.
            thread::sleep(Duration::from_millis(50));
            exchange.reply.send(b"enough");
            Ok(())
        })
    };
    let met = pair.meet(stopping(1), stopping(2));
    let told = [(&b"drop"[..], Status::CANCELLED), (b"stop", OWN), (b"ok", Status::CANCELLED)];
    for end in met.ends() {
        for (how, status) in told {
            let (mut writer, reply) = end.open("stops", how, None).unwrap();
            let refused = (0..).find_map(|_| writer.put(&[7; 10_000]).err());
            assert_eq!(refused, Some(BodyError::Status(status)));
            assert_eq!(reply.wait().unwrap().0, b"enough"[..]);
        }
    }
    met.is_clean();
}

/// EXC-13: the writer of a reply is told that its reader has gone, also behind its own end, and the slot is free.
pub fn a_reader_of_a_reply_stops_it(pair: Pair) {
    let (say, hear) = line();
    let telling = |number| {
        let (say, waits) = (say.clone(), say.clone());
        served(number)
            .on_stream("endless", move |_, _, exchange| {
                let mut writer = exchange.reply.start(b"")?;
                let refused = (0..).find_map(|_| writer.put(&[7; 10_000]).err());
                say.send(refused).unwrap();
                // An end that is told by no error.
                Ok(())
            })
            .on_stream("waits", move |_, _, exchange| {
                let mut writer = exchange.reply.start(b"")?;
                writer.put(&[7; 300_000])?;
                writer.finish()?;
                waits.send(None).unwrap();
                // A window is on its way, and the rest waits for credit that never comes: it holds no slot.
                Ok(())
            })
    };
    let met = pair.meet(telling(1), telling(2));
    for end in met.ends() {
        let (_, mut body) = end.fetch("endless", b"", None).unwrap();
        body.chunk().unwrap();
        drop(body);
        assert_eq!(hear(), Some(BodyError::Cancelled));
        let (_, mut body) = end.fetch("endless", b"", None).unwrap();
        body.chunk().unwrap();
        body.stop(OWN);
        assert_eq!(hear(), Some(BodyError::Status(OWN)));
        let (_, body) = end.fetch("waits", b"", None).unwrap();
        assert_eq!(hear(), None);
        drop(body);
    }
    met.is_clean();
}

/// EXC-15: a body that was given up is never complete.
pub fn a_writer_gives_its_body_up(pair: Pair) {
    let (say, hear) = line();
    let giving_up = |number| {
        let say = say.clone();
        served(number)
            .on_stream("reads", move |_, _, mut exchange| {
                say.send(read(&mut *exchange.body)).unwrap();
                exchange.reply.send(b"thanks");
                Ok(())
            })
            .on_stream("gives/up", |_, how, exchange| {
                let mut writer = exchange.reply.start(b"")?;
                writer.put(&[7; 1_000])?;
                match &how[..] {
                    b"drop" => drop(writer),
                    b"ok" => writer.reset(Status::OK),
                    _ => writer.reset(OWN),
                }
                Ok(())
            })
    };
    let met = pair.meet(giving_up(1), giving_up(2));
    let told = [(&b"drop"[..], Status::CANCELLED), (b"reset", OWN), (b"ok", Status::CANCELLED)];
    for end in met.ends() {
        for (how, status) in told {
            let (mut writer, reply) = end.open("reads", b"", None).unwrap();
            writer.put(&[7; 1_000]).unwrap();
            match how {
                b"drop" => drop(writer),
                b"ok" => writer.reset(Status::OK),
                _ => writer.reset(OWN),
            }
            assert_eq!(why(hear()), BodyError::Status(status));
            assert_eq!(reply.wait().unwrap().0, b"thanks"[..]);
            let (_, mut body) = end.fetch("gives/up", how, None).unwrap();
            assert_eq!(why(read(&mut *body)), BodyError::Status(status));
            assert_eq!(why(read(&mut *body)), BodyError::Status(status), "and again");
        }
    }
    met.is_clean();
}

pub fn a_handler_fails_before_and_behind_its_head(pair: Pair) {
    let failing = |number| {
        served(number)
            .on_stream("before", |_, how, mut exchange| {
                exchange.body.chunk()?;
                match &how[..] {
                    b"error" => Err(OWN.into()),
                    b"busy" => Err(Refusal::Busy(Duration::from_secs(2))),
                    b"panic" => panic!("meant"),
                    _ => Ok(()),
                }
            })
            .on_stream("behind", |_, how, exchange| {
                let mut writer = exchange.reply.start(b"head")?;
                writer.put(&[7; 1_000])?;
                match &how[..] {
                    b"error" => Err(OWN.into()),
                    b"busy" => Err(Refusal::Busy(Duration::from_secs(2))),
                    b"panic" => panic!("meant"),
                    _ => Ok(()),
                }
            })
    };
    let met = pair.meet(failing(1), failing(2));
    for end in met.ends() {
        let status = |status| CallError::Status(status, Bytes::new());
        for (how, before, behind) in [
            ("error", status(OWN), OWN),
            ("busy", CallError::Busy(Duration::from_secs(2)), Status::UNAVAILABLE),
            ("panic", status(Status::FAILED), Status::FAILED),
            ("nothing", status(Status::FAILED), Status::CANCELLED),
        ] {
            let (mut writer, reply) = end.open("before", how.as_bytes(), None).unwrap();
            // A writer that waits for room is woken by any of these.
            let refused = (0..).find_map(|_| writer.put(&[7; 100_000]).err());
            assert!(
                matches!(refused, Some(BodyError::Answered | BodyError::Status(Status::CANCELLED))),
                "{how}: {refused:?}"
            );
            assert_eq!(reply.wait().err(), Some(before));
            let (head, mut body) = end.fetch("behind", how.as_bytes(), None).unwrap();
            assert_eq!(
                (head, why(read(&mut *body))),
                (b"head"[..].into(), BodyError::Status(behind)),
                "{how}"
            );
        }
    }
    met.is_clean();
}

/// A caller that goes in any way leaves nothing behind, and its handler knows.
pub fn a_caller_goes_away(pair: Pair) {
    let (say, hear) = line();
    let (begin, begun) = line();
    let listening = |number| {
        let (say, begin) = (say.clone(), begin.clone());
        served(number).on_stream("listens", move |_, _, mut exchange| {
            begin.send(()).unwrap();
            let heard = why(read(&mut *exchange.body));
            say.send(heard).unwrap();
            Err(heard.into())
        })
    };
    let met = pair.meet(listening(1), listening(2));
    for end in met.ends() {
        for round in 0..4 {
            let (mut writer, reply) = end.open("listens", b"", None).unwrap();
            begun();
            if round > 1 {
                writer.put(&[7; 1_000]).unwrap();
            }
            match round {
                0 | 2 => {
                    // The whole request.
                    drop(reply);
                    assert_eq!(hear(), BodyError::Cancelled);
                    assert_eq!(writer.put(b"more"), Err(BodyError::Cancelled));
                    assert_eq!(writer.finish(), Err(BodyError::Cancelled));
                }
                1 => {
                    // Its body.
                    drop(writer);
                    assert_eq!(hear(), BodyError::Status(Status::CANCELLED));
                    assert_eq!(reply.wait().err(), Some(CallError::Status(Status::CANCELLED, Bytes::new())));
                }
                _ => {
                    drop(writer);
                    drop(reply);
                    let heard = hear();
                    assert!(
                        matches!(heard, BodyError::Cancelled | BodyError::Status(Status::CANCELLED)),
                        "{heard:?}"
                    );
                }
            }
        }
    }
    met.is_clean();
}

/// Halves that a handler gives to another thread outlive it, and are told how it ended.
pub fn halves_may_outlive_their_handler(pair: Pair) {
    let (say, hear) = line();
    let lending = |number| {
        let say = say.clone();
        served(number)
            .on_stream("lends/writer", |_, how, exchange| {
                let mut writer = exchange.reply.start(b"")?;
                let (writing, begun) = mpsc::channel();
                thread::spawn(move || {
                    writer.put(&[7; 1_000]).unwrap();
                    writing.send(()).unwrap();
                    if writer.put(&vec![7; 2_000_000]).is_ok() {
                        writer.finish().unwrap();
                    }
                });
                begun.recv().unwrap();
                if how.is_empty() { Ok(()) } else { Err(OWN.into()) }
            })
            .on_stream("lends/reader", move |_, how, exchange| {
                let Exchange { mut body, reply } = exchange;
                let say = say.clone();
                thread::spawn(move || say.send(read(&mut *body)).unwrap());
                thread::sleep(Duration::from_millis(20));
                match &how[..] {
                    b"send" => reply.send(b""),
                    b"start" => reply.start(b"")?.finish()?,
                    _ => return Err(OWN.into()),
                }
                Ok(())
            })
    };
    let met = pair.meet(lending(1), lending(2));
    for end in met.ends() {
        let (_, mut body) = end.fetch("lends/writer", b"", None).unwrap();
        assert_eq!(read(&mut *body).map(|bytes| bytes.len()), Ok(2_001_000));
        let (_, mut body) = end.fetch("lends/writer", b"fail", None).unwrap();
        thread::sleep(Duration::from_millis(20));
        assert_eq!(why(read(&mut *body)), BodyError::Status(OWN));
        for how in ["send", "start", "fail"] {
            let (mut writer, reply) = end.open("lends/reader", how.as_bytes(), None).unwrap();
            writer.put(&[7; 1_000]).unwrap();
            let answer = reply.wait().map(|(head, mut body)| (head, body.chunk()));
            match how {
                "fail" => assert_eq!(answer, Err(CallError::Status(OWN, Bytes::new()))),
                _ => assert_eq!(answer, Ok((Bytes::new(), Ok(None)))),
            }
            assert_eq!(hear(), Err((1_000, BodyError::Answered)), "{how}");
        }
    }
    met.is_clean();
}

/// END-3, EXC-15: a connection that is cut is never the end of a body.
pub fn a_cut_connection_is_no_end_of_file(pair: Pair) {
    let (say, hear) = line();
    let listening = |number| {
        let say = say.clone();
        served(number)
            .on_stream("listens", move |_, _, mut exchange| {
                let heard = why(read(&mut *exchange.body));
                say.send(heard).unwrap();
                Err(heard.into())
            })
            .on_stream("endless", |_, _, exchange| {
                let mut writer = exchange.reply.start(b"")?;
                loop {
                    writer.put(&[7; 10_000])?;
                }
            })
    };
    let (a, b) = (pair.dialler.build(listening(1)), pair.dialled.build(listening(2)));
    let proxy = proxy::before(b.listen());
    let near = a.connect(proxy.address, b.peer_id()).unwrap();
    let far = b.link(a.peer_id()).unwrap();
    for end in [&near, &far] {
        assert_eq!(end.call(&Double(1)), Ok(Doubled(2)));
    }
    let (mut up, reply) = near.open("listens", b"", None).unwrap();
    up.put(&[7; 1_000]).unwrap();
    let (_, mut down) = near.fetch("endless", b"", None).unwrap();
    let (_, mut other) = far.fetch("endless", b"", None).unwrap();
    for body in [&mut down, &mut other] {
        body.chunk().unwrap();
    }
    let cutting = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        proxy.cut();
    });
    for body in [&mut down, &mut other] {
        assert_eq!(why(read(&mut **body)), BodyError::Disconnected);
    }
    cutting.join().unwrap();
    assert_eq!(hear(), BodyError::Disconnected);
    assert_eq!(reply.wait().err(), Some(CallError::Disconnected));
    assert_eq!((0..).find_map(|_| up.put(&[7; 10_000]).err()), Some(BodyError::Disconnected));
    assert_eq!(up.finish(), Err(BodyError::Disconnected));
    drop((up, down, other));
    for end in [&near, &far] {
        until(|| format!("{end:?}").contains("held: 0"));
    }
}

/// A close waits for bodies as for calls, and no longer.  SPEC §16.2
pub fn a_close_lets_open_bodies_end_in_time(pair: Pair) {
    for patient in [true, false] {
        let (say, hear) = line();
        let (begin, begun) = line();
        let closing = |number| {
            let (say, begin) = (say.clone(), begin.clone());
            served(number)
                .timeouts(|timeouts| {
                    timeouts.close = Duration::from_millis(if patient { 20_000 } else { 200 })
                })
                .on_stream("listens", move |_, _, mut exchange| {
                    begin.send(()).unwrap();
                    say.send(read(&mut *exchange.body).map(|bytes| bytes.len())).unwrap();
                    exchange.reply.send(b"thanks");
                    Ok(())
                })
        };
        let met = pair.meet(closing(1), closing(2));
        let (mut writer, reply) = met.near.open("listens", b"", None).unwrap();
        writer.put(&[7; 1_000]).unwrap();
        begun();
        let closing = met.far.again();
        let closed = thread::spawn(move || closing.close());
        until(|| matches!(met.near.open("mirror", b"", Some(PATIENCE)), Err(CallError::Send(_))));
        if patient {
            writer.put(&[7; 600_000]).unwrap();
            writer.finish().unwrap();
            assert_eq!(reply.wait().unwrap().0, b"thanks"[..]);
            assert_eq!(hear(), Ok(601_000));
        } else {
            assert_eq!(reply.wait().err(), Some(CallError::Disconnected));
            assert_eq!(writer.put(b"more"), Err(BodyError::Disconnected));
            assert_eq!(hear(), Err((1_000, BodyError::Disconnected)));
        }
        assert_eq!(closed.join().unwrap(), CloseReason::Local(Status::OK));
    }
}

/// EXC-12: a deadline is for the whole exchange, and both ends are told.
pub fn a_total_deadline_passes_in_the_middle_of_a_body(pair: Pair) {
    let (say, hear) = line();
    let slow = |number| {
        let (say, down) = (say.clone(), say.clone());
        served(number)
            .on_stream("up", move |asked: &Asked, _, mut exchange| {
                assert!(asked.time_left.is_some());
                let heard = why(read(&mut *exchange.body));
                say.send(heard).unwrap();
                Err(heard.into())
            })
            .on_stream("down", move |_, _, exchange| {
                let mut writer = exchange.reply.start(b"")?;
                let refused = (0..).find_map(|_| writer.put(&[7; 10_000]).err());
                down.send(refused.unwrap()).unwrap();
                Ok(())
            })
    };
    let met = pair.meet(slow(1), slow(2));
    let total = Some(Duration::from_millis(200));
    // Whose clock is first: the other's is told by it.
    let late = |error| {
        let cancelled = BodyError::Status(Status::DEADLINE_PASSED);
        assert!(error == BodyError::DeadlinePassed || error == cancelled, "{error:?}");
    };
    for end in met.ends() {
        let (mut writer, reply) = end.open("up", b"", total).unwrap();
        writer.put(&[7; 1_000]).unwrap();
        let answer = reply.wait().err().unwrap();
        let passed = CallError::Status(Status::DEADLINE_PASSED, Bytes::new());
        assert!(answer == CallError::DeadlinePassed || answer == passed, "{answer:?}");
        late(hear());
        assert!(writer.put(b"more").is_err());
        let (_, mut body) = end.fetch("down", b"", total).unwrap();
        thread::sleep(Duration::from_millis(250));
        late(why(read(&mut *body)));
        late(hear());
    }
    met.is_clean();
}

/// SPEC §10.5, *standing still*: whichever side is the less patient, both are told.
pub fn bodies_that_stand_still_are_given_up(pair: Pair) {
    for impatient in [1, 2] {
        let (say, hear) = line();
        let still = |number| {
            let (say, down) = (say.clone(), say.clone());
            served(number)
                .timeouts(|timeouts| {
                    timeouts.body_idle = (number == impatient).then_some(Duration::from_millis(200));
                })
                .on_stream("up", move |_, _, mut exchange| {
                    say.send(why(read(&mut *exchange.body))).unwrap();
                    Err(Status::STALLED.into())
                })
                .on_stream("down", move |_, _, exchange| {
                    let mut writer = exchange.reply.start(b"")?;
                    let refused = (0..).find_map(|_| writer.put(&[7; 10_000]).err());
                    down.send(refused.unwrap()).unwrap();
                    Ok(())
                })
        };
        let met = pair.meet(still(1), still(2));
        for (number, end) in [1, 2].into_iter().zip(met.ends()) {
            let (mut writer, reply) = end.open("up", b"", None).unwrap();
            writer.put(&[7; 1_000]).unwrap();
            let (answer, heard) = (reply.wait().err().unwrap(), hear());
            let (_, mut body) = end.fetch("down", b"", None).unwrap();
            thread::sleep(Duration::from_millis(300));
            let told = (why(read(&mut *body)), hear());
            let (own, other) = (BodyError::Stalled, BodyError::Status(Status::STALLED));
            if number == impatient {
                assert_eq!((answer, heard), (CallError::Stalled, other));
                assert_eq!(told, (own, other));
            } else {
                assert_eq!((answer, heard), (CallError::Status(Status::STALLED, Bytes::new()), own));
                assert_eq!(told, (other, own));
            }
        }
        met.is_clean();
    }
}

/// What is live may pause, where both sides say so.
pub fn a_live_body_may_pause(pair: Pair) {
    let live = |number| {
        served(number).timeouts(|timeouts| timeouts.body_idle = Some(Duration::from_millis(100))).on_stream(
            "live",
            |_, _, mut exchange| {
                exchange.body.set_idle(None);
                let mut writer = exchange.reply.start(b"")?;
                writer.set_idle(None);
                writer.put(b"first")?;
                let asked = exchange.body.chunk()?.ok_or(Status::FAILED)?;
                writer.put(&asked)?;
                Ok(writer.finish()?)
            },
        )
    };
    let met = pair.meet(live(1), live(2));
    for end in met.ends() {
        let (mut writer, reply) = end.open("live", b"", None).unwrap();
        writer.set_idle(None);
        let (_, mut body) = reply.wait().unwrap();
        body.set_idle(None);
        let mut first = [0; 5];
        body.read_exact(&mut first).unwrap();
        thread::sleep(Duration::from_millis(400));
        writer.put(b" and last").unwrap();
        assert_eq!(read(&mut *body), Ok(b" and last".to_vec()));
    }
    met.is_clean();
}

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
