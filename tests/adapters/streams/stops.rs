//! Bodies that somebody does not want any more.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use symbolon::Status;
use symbolon::tokio::{BodyError, CallError, Refusal};

use super::{OWN, line, read, served, why};
use crate::Pair;
use crate::bodies::{Exchange, body_error};

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
