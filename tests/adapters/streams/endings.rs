//! Bodies whose connection ends, or whose time is up.

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use symbolon::tokio::{BodyError, CallError};
use symbolon::{CloseReason, Status};

use super::{line, read, served, why};
use crate::peers::{Asked, PATIENCE};
use crate::{Double, Doubled, Pair, proxy, until};

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
