//! Handlers: their threads, their ends, and whether they are told that nobody waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use symbolon::blocking::{BodyError, Builder, CallError, Context, Handle, SubscribeOptions};
use symbolon::{
    Admission, Allow, CloseReason, EncodeError, Event, PublishError, Request, Role, Status, Topic,
};

use super::by_hand::ByHand;
use super::lent::Lent;
use super::stubborn::{Streamed, Stubborn};
use super::{
    Double, Doubled, PATIENCE, Room, builder, device, identity, limits, millis, over_tcp, sockets, soon,
    timeouts, until,
};

fn call(handle: &Handle, method: &'static str, timeout: Duration) -> Result<Bytes, CallError> {
    let handle = handle.clone();
    soon(move || handle.call_raw(method, b"", Some(timeout)))
}

#[test]
fn a_panic_answers_failed_and_the_pool_lives() {
    let clumsy = builder(2).on_raw("panics", |_, _| panic!("meant")).build().unwrap();
    let (a, _b) = over_tcp(&device(1), &clumsy);
    for round in 0..20 {
        let failed = Err(CallError::Status(Status::FAILED, Bytes::new()));
        assert_eq!(call(&a, "panics", PATIENCE), failed);
        assert_eq!(a.call(&Double(round)), Ok(Doubled(round * 2)));
    }
}

#[test]
fn raw_handlers_may_be_for_some_peers_only() {
    let dialled = builder(2)
        .on_raw_for("reset", Allow::only([identity(1).peer_id()]), |_, body| Ok(body))
        .on_stream_raw_for("store", Allow::only([identity(1).peer_id()]), |_, head, exchange| {
            exchange.reply.send(head);
            Ok(())
        })
        .build()
        .unwrap();
    let denied = Err(CallError::Status(Status::DENIED, Bytes::new()));
    for (number, expected) in [(1, Ok(Bytes::from_static(b"x"))), (3, denied)] {
        let (a, _b) = over_tcp(&device(number), &dialled);
        assert_eq!(a.call_raw("reset", b"x", Some(PATIENCE)), expected);
        assert_eq!(a.call_raw("store", b"x", Some(PATIENCE)), expected);
        let (_writer, reply) = a.open_raw("store", b"x", Some(PATIENCE)).unwrap();
        assert_eq!(reply.wait().map(|(head, _)| head), expected);
    }
}

#[test]
fn a_writer_writes_all_or_says_why_it_cannot() {
    let (say, hear) = mpsc::channel();
    let dialled = builder(2).on_stream_raw("store", move |_, _, mut exchange| {
        let mut length = 0;
        while let Some(chunk) = exchange.body.chunk()? {
            length += chunk.len();
        }
        say.send(length).unwrap();
        exchange.reply.send("");
        Ok(())
    });
    let (a, _b) = over_tcp(&device(1), &dialled.build().unwrap());
    let (mut writer, reply) = a.open_raw("store", b"", Some(PATIENCE)).unwrap();
    assert_eq!(writer.write_all(&[]), Ok(()));
    assert_eq!(writer.write_all(&[7; 3 << 20]), Ok(()));
    writer.finish().unwrap();
    assert_eq!(writer.write_all(b"more"), Err(BodyError::Finished));
    assert!(reply.wait().is_ok());
    assert_eq!(hear.recv_timeout(PATIENCE), Ok(3 << 20));
    // Nobody takes it: what does not find room here waits for that answer.
    let (mut writer, _reply) = a.open_raw("none", b"", Some(PATIENCE)).unwrap();
    assert_eq!(soon(move || writer.write_all(&[7; 3 << 20])), Err(BodyError::Answered));
}

/// What a handler has asked for itself, and did not get, is a failure of its own: no status of another is passed on.
#[test]
fn what_a_handler_asks_for_in_vain_is_its_own_failure() {
    let dialled = builder(2)
        .on_raw("calls", |context, _| Ok(context.handle().call_raw("none", b"", None)?))
        .on_raw("publishes", |context, body| {
            context.handle().publish_raw("undeclared", &body)?;
            Ok(body)
        })
        .on_raw("publishes/at/once", |context, body| {
            context.handle().try_publish_raw("undeclared", &body)?;
            Ok(body)
        })
        .on_raw("subscribes", |context, body| {
            context.handle().subscribe_raw("news", SubscribeOptions::default())?;
            Ok(body)
        })
        .on_raw("encodes", |_, _| Ok(symbolon::to_bytes(&Stubborn)?.into()))
        .build()
        .unwrap();
    let dialler = builder(1).allow_subscribe(|_, _| false).build().unwrap();
    let (a, _b) = over_tcp(&dialler, &dialled);
    for method in ["calls", "publishes", "publishes/at/once", "subscribes", "encodes"] {
        let failed = Err(CallError::Status(Status::FAILED, Bytes::new()));
        assert_eq!(call(&a, method, PATIENCE), failed, "{method}");
    }
}

#[test]
fn a_value_that_does_not_encode_goes_nowhere() {
    let (say, hear) = mpsc::channel();
    let stubborn = builder(2)
        .on(|_, Stubborn| Ok(Stubborn))
        .on_stream::<Streamed, _>(move |_, _, exchange| {
            say.send(exchange.reply.start(&Stubborn).err()).unwrap();
            Ok(())
        })
        .topic::<Stubborn>()
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &stubborn);
    assert_eq!(a.call(&Stubborn).err(), Some(CallError::Encode(EncodeError)));
    assert!(matches!(a.open(&Stubborn), Err(CallError::Encode(EncodeError))));
    assert!(matches!(a.fetch(&Stubborn), Err(CallError::Encode(EncodeError))));
    let failed = Err(CallError::Status(Status::FAILED, Bytes::new()));
    assert_eq!(a.call_raw(Stubborn::METHOD, b"\x80", None), failed);
    assert_eq!(a.call_raw(Streamed::METHOD, b"\x80", None), failed);
    assert_eq!(hear.recv_timeout(PATIENCE), Ok(Some(BodyError::Encode)));
    let first = stubborn.publish_raw(Stubborn::TOPIC, b"\x80").unwrap();
    assert_eq!(stubborn.publish(&Stubborn), Err(PublishError::Encode));
    assert_eq!(stubborn.try_publish(&Stubborn), Err(PublishError::Encode));
    let second = stubborn.publish_raw(Stubborn::TOPIC, b"\x80").unwrap();
    assert_eq!(second.sequence, first.sequence + 1, "no number was used");
}

/// A handler that works until it is told that nobody waits; counts those that were told.
fn worker(builder: Builder) -> (Builder, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (begun, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begins, tells) = (begun.clone(), told.clone());
    let builder = builder.on_raw("work", move |context: Context, body| {
        begins.fetch_add(1, Ordering::SeqCst);
        until(|| context.is_cancelled());
        tells.fetch_add(1, Ordering::SeqCst);
        Ok(body)
    });
    (builder, begun, told)
}

#[test]
fn a_handler_whose_caller_gives_up_is_told() {
    let (served, _, told) = worker(builder(2));
    let (a, _b) = over_tcp(&device(1), &served.build().unwrap());
    assert_eq!(call(&a, "work", millis(200)), Err(CallError::DeadlinePassed));
    until(|| told.load(Ordering::SeqCst) == 1);
    assert_eq!(a.call(&Double(1)), Ok(Doubled(2)));
}

#[test]
fn a_handler_whose_connection_ends_is_told() {
    let (served, begun, told) = worker(builder(2));
    let (socket, far) = sockets();
    let served = served.build().unwrap();
    let _far = served.attach_tcp(far, Role::Responder, Admission::Ask).unwrap();
    let mut peer = ByHand::new(1, socket, Role::Initiator, served.peer_id()).connected();
    let now = peer.now();
    peer.connection.request(now, "work", b"", None).unwrap();
    peer.write();
    until(|| begun.load(Ordering::SeqCst) == 1);
    drop(peer);
    until(|| told.load(Ordering::SeqCst) == 1);
}

/// EXC-13: a request and its cancel in one read.  The handler does not begin, or is told.
#[test]
fn a_cancel_that_comes_with_its_request_is_told() {
    let (served, begun, told) = worker(builder(2));
    let (socket, far) = sockets();
    let served = served.build().unwrap();
    let far = served.attach_tcp(far, Role::Responder, Admission::Ask).unwrap();
    let mut peer = ByHand::new(1, socket, Role::Initiator, served.peer_id()).connected();
    far.connected().unwrap();
    for _ in 0..10 {
        let now = peer.now();
        let id = peer.connection.request(now, "work", b"", None).unwrap();
        let mut both = peer.said();
        peer.connection.cancel(id).unwrap();
        both.extend(peer.said());
        std::io::Write::write_all(&mut peer.socket, &both).unwrap();
    }
    let now = peer.now();
    let last = peer.connection.request(now, "echo", b"last", None).unwrap();
    peer.wait_for(|event| match event {
        Event::Response { id, .. } if id == last => Some(()),
        _ => None,
    });
    until(|| begun.load(Ordering::SeqCst) == told.load(Ordering::SeqCst));
    assert!(peer.connection.is_connected());
}

#[test]
fn a_status_comes_with_its_bytes() {
    let (socket, far) = sockets();
    let asks = device(2);
    let far = asks.attach_tcp(far, Role::Responder, Admission::Ask).unwrap();
    let mut peer = ByHand::new(1, socket, Role::Initiator, asks.peer_id()).connected();
    let asked = thread::spawn(move || far.call_raw("any", b"", Some(PATIENCE)));
    let id = peer.wait_for(|event| match event {
        Event::Request { id, .. } => Some(id),
        _ => None,
    });
    peer.connection.respond(id, Status::new(300), b"too hot").unwrap();
    peer.write();
    let answer = asked.join().unwrap();
    assert_eq!(answer, Err(CallError::Status(Status::new(300), b"too hot"[..].into())));
}

/// Each end serves one request at a time, and both handlers ask back: their time is up, and nobody is stuck.
#[test]
fn handlers_that_wait_for_each_other_end_by_their_time() {
    let nested = |number: u8| {
        builder(number)
            .limits(limits(|limits| limits.requests_in = 1))
            .on_raw("back", |context: Context, body| {
                let asked = context.handle().call_raw("echo", &body, Some(millis(300)));
                asked.map_err(|_| Status::UNAVAILABLE.into())
            })
            .build()
            .unwrap()
    };
    let (a, b) = over_tcp(&nested(1), &nested(2));
    for _ in 0..3 {
        let calls = [&a, &b].map(|end| {
            let end = end.clone();
            thread::spawn(move || end.call_raw("back", b"x", Some(PATIENCE)))
        });
        for call in calls {
            let answer = soon(move || call.join().unwrap());
            let unavailable = Err(CallError::Status(Status::UNAVAILABLE, Bytes::new()));
            assert!(answer == unavailable || answer == Ok(b"x"[..].into()), "{answer:?}");
        }
        assert_eq!(a.call(&Double(1)), Ok(Doubled(2)));
        assert_eq!(b.call(&Double(1)), Ok(Doubled(2)));
    }
}

/// Bytes whose memory looks at the connection as it is given back, counts that, and panics.
fn lent(text: &'static str, context: Context, returned: &Arc<AtomicUsize>) -> Bytes {
    let returned = returned.clone();
    Bytes::from_owner(Lent(text, move || {
        assert!(context.handle().is_connected());
        returned.fetch_add(1, Ordering::SeqCst);
    }))
}

/// No code of the application runs under a lock: not what drops a reply's bytes, either; and that costs nobody but itself.
#[test]
fn a_reply_is_dropped_outside_of_the_lock() {
    let returned = Arc::new(AtomicUsize::new(0));
    let [full, empty, late] = [(); 3].map(|()| returned.clone());
    let lender = builder(2)
        .on_raw("lend", move |context, _| Ok(lent("lent", context, &full)))
        .on_raw("empty", move |context, _| Ok(lent("", context, &empty)))
        .on_stream_raw("late", move |context, _, exchange| {
            let lent = lent("lent", context, &late);
            // The responder outlives its handler, and what it sends is too late.
            thread::spawn(move || {
                thread::sleep(millis(20));
                exchange.reply.send(lent);
            });
            Ok(())
        })
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &lender);
    for round in 1..=10 {
        assert_eq!(call(&a, "lend", PATIENCE), Ok("lent".into()));
        assert_eq!(call(&a, "empty", PATIENCE), Ok("".into()));
        let failed = Err(CallError::Status(Status::FAILED, Bytes::new()));
        assert_eq!(call(&a, "late", PATIENCE), failed);
        until(|| returned.load(Ordering::SeqCst) == 3 * round);
        assert!(a.is_connected());
    }
}

#[test]
fn a_dropped_handle_leaves_the_connection_serving() {
    let (a, b) = (device(1), device(2));
    let (near, far) = over_tcp(&a, &b);
    drop(near);
    drop(a);
    assert_eq!(far.call(&Double(4)), Ok(Doubled(8)));
    let again = far.device().link(far.peer().unwrap()).unwrap();
    drop((far, b));
    assert_eq!(again.call(&Double(4)), Ok(Doubled(8)));
}

#[test]
fn no_time_and_all_time_are_times() {
    let room = Room::default();
    let (a, _b) = over_tcp(&device(1), &room.serve(builder(2)).build().unwrap());
    assert_eq!(call(&a, "stay", Duration::ZERO), Err(CallError::DeadlinePassed));
    let forever = {
        let a = a.clone();
        thread::spawn(move || a.call_raw("stay", b"", Some(Duration::MAX)))
    };
    until(|| room.inside() > 0);
    assert_eq!(a.call_timeout(&Double(1), Duration::MAX), Ok(Doubled(2)));
    room.let_go(2);
    assert_eq!(forever.join().unwrap(), Ok(Bytes::new()));
}

/// What the socket takes makes room in the queue, also where no answer comes and no timer fires.
#[test]
fn calls_that_are_not_answered_make_room_for_others() {
    let quiet = || timeouts(|timeouts| timeouts.silence = None);
    let room = Room::default();
    let caller = builder(1).limits(limits(|limits| limits.call_queue = 2_000)).timeouts(quiet());
    let served = room.serve(builder(2)).timeouts(quiet()).build().unwrap();
    let (a, _b) = over_tcp(&caller.build().unwrap(), &served);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let a = a.clone();
            thread::spawn(move || a.call_raw("stay", &[7; 900], None))
        })
        .collect();
    until(|| room.inside() == 20);
    room.let_go(20);
    for call in calls {
        assert_eq!(soon(move || call.join().unwrap()).as_deref(), Ok(&[7; 900][..]));
    }
}

/// More at once than the peer takes: the rest waits its turn, and each is answered.
#[test]
fn calls_beyond_the_limit_wait_for_their_turn() {
    let room = Room::default();
    let served = room.serve(builder(2)).limits(limits(|limits| limits.requests_in = 3)).build().unwrap();
    let (a, _b) = over_tcp(&device(1), &served);
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let a = a.clone();
            thread::spawn(move || a.call_raw("stay", b"", Some(PATIENCE)))
        })
        .collect();
    until(|| room.inside() == 3);
    for round in 1..=4 {
        assert!(room.entered() <= 3 * round);
        room.let_go(3);
        until(|| room.entered() >= (3 * (round + 1)).min(12));
    }
    for call in calls {
        assert_eq!(soon(move || call.join().unwrap()), Ok(Bytes::new()));
    }
}

/// A handler that nobody waits for any more counts until it is done: deadlines that pass make no room for more, and
/// leave threads to others.
#[test]
fn short_deadlines_pile_up_no_handlers() {
    let room = Room::default();
    let served = room.serve(builder(2)).limits(limits(|limits| limits.requests_in = 3)).build().unwrap();
    let (a, _b) = over_tcp(&device(1), &served);
    until(|| {
        let answer = call(&a, "stay", millis(20));
        assert!(matches!(answer, Err(CallError::DeadlinePassed | CallError::Busy(_))), "{answer:?}");
        room.inside() >= 3
    });
    for _ in 0..20 {
        assert_eq!(call(&a, "stay", PATIENCE), Err(CallError::Busy(Duration::ZERO)));
    }
    assert_eq!(room.entered(), 3);
    let (other, _b) = over_tcp(&device(3), &served);
    assert_eq!(other.call(&Double(1)), Ok(Doubled(2)));
    room.let_go(3);
    until(|| room.inside() == 0);
    until(|| a.call(&Double(1)) == Ok(Doubled(2)));
}

/// Nor do many connections of one peer, which leaves them behind: it has half of the threads.
#[test]
fn one_peer_does_not_take_all_threads() {
    let room = Room::default();
    let served = room.serve(builder(2)).build().unwrap();
    let greedy = device(1);
    let mut calls = Vec::new();
    for inside in [60, 120, 128] {
        // An older connection makes way for a newer one; its handlers stay.
        let (end, _far) = over_tcp(&greedy, &served);
        for _ in 0..60 {
            let end = end.clone();
            calls.push(thread::spawn(move || end.call_raw("stay", b"", Some(PATIENCE))));
        }
        until(|| room.inside() == inside);
    }
    let (other, _far) = over_tcp(&device(3), &served);
    for round in 0..5 {
        assert_eq!(other.call(&Double(round)), Ok(Doubled(round * 2)));
    }
    assert_eq!(room.entered(), 128);
    room.let_go(calls.len());
    for call in calls {
        let answer = soon(move || call.join().unwrap());
        assert!(
            matches!(answer, Ok(_) | Err(CallError::Disconnected | CallError::NotExecuted)),
            "{answer:?}"
        );
    }
}

/// A handler ends its own connection, and its caller is answered first.
#[test]
fn a_handler_begins_the_close_of_its_connection() {
    let leaving = builder(2).timeouts(timeouts(|timeouts| timeouts.close = PATIENCE * 4));
    let leaving = leaving.on_raw("leave", |context: Context, body| {
        context.handle().begin_close();
        Ok(body)
    });
    let (a, b) = over_tcp(&device(1), &leaving.build().unwrap());
    assert_eq!(call(&a, "leave", PATIENCE), Ok(Bytes::new()));
    assert_eq!(soon(move || a.closed()), CloseReason::Remote(Status::OK));
    assert_eq!(soon(move || b.closed()), CloseReason::Local(Status::OK));
}
