//! Calls: both ways, each way to fail, and waiting for a turn.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use symbolon::tokio::{BodyError, CallError, Refusal};
use symbolon::{EncodeError, PublishError, Request, Role, SendError, Status, Topic};
use tokio::task::JoinSet;

use super::stubborn::{Streamed, Stubborn};
use super::{
    Double, Doubled, Room, SECOND, builder, device, in_memory, limits, over_tcp, settle, soon, timeouts,
    until,
};

#[tokio::test]
async fn both_sides_call_each_other_at_once() {
    let (a, b) = over_tcp(&device(1), &device(2)).await;
    let mut calls = JoinSet::new();
    for number in 0..100_u32 {
        let from = if number % 2 == 0 { a.clone() } else { b.clone() };
        calls.spawn(async move {
            assert_eq!(from.call(&Double(number)).await, Ok(Doubled(number * 2)));
            let body = number.to_be_bytes();
            assert_eq!(from.call_raw("echo", &body, None).await.as_deref(), Ok(&body[..]));
        });
    }
    while let Some(done) = soon(calls.join_next()).await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_reply_of_another_type_is_a_bad_body() {
    let odd = symbolon::tokio::Device::builder(super::identity(2))
        .admit(|_| true)
        .on_raw("math/double", |_, _| async { Ok(Bytes::from_static(b"\xffjunk")) })
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &odd).await;
    assert!(matches!(a.call(&Double(1)).await, Err(CallError::BadBody(_))));
}

#[tokio::test]
async fn a_value_that_does_not_encode_goes_nowhere() {
    let (say, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let stubborn = builder(2)
        .on(|_, Stubborn| async { Ok(Stubborn) })
        .on_stream::<Streamed, _, _>(move |_, _, exchange| {
            let say = say.clone();
            async move {
                say.send(exchange.reply.start(&Stubborn).await.err()).unwrap();
                Ok(())
            }
        })
        .topic::<Stubborn>()
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &stubborn).await;
    assert_eq!(a.call(&Stubborn).await, Err(CallError::Encode(EncodeError)));
    assert!(matches!(a.open(&Stubborn).await, Err(CallError::Encode(EncodeError))));
    assert!(matches!(a.fetch(&Stubborn).await, Err(CallError::Encode(EncodeError))));
    let failed = Err(CallError::Status(Status::FAILED, Bytes::new()));
    assert_eq!(a.call_raw(Stubborn::METHOD, b"\x80", None).await, failed);
    assert_eq!(a.call_raw(Streamed::METHOD, b"\x80", None).await, failed);
    assert_eq!(soon(hear.recv()).await, Some(Some(BodyError::Encode)));
    let first = stubborn.publish_raw(Stubborn::TOPIC, b"\x80").await.unwrap();
    assert_eq!(stubborn.publish(&Stubborn).await, Err(PublishError::Encode));
    assert_eq!(stubborn.try_publish(&Stubborn), Err(PublishError::Encode));
    let second = stubborn.publish_raw(Stubborn::TOPIC, b"\x80").await.unwrap();
    assert_eq!(second.sequence, first.sequence + 1, "no number was used");
}

#[tokio::test]
async fn a_request_of_another_type_is_a_bad_request() {
    let (a, _b) = over_tcp(&device(1), &device(2)).await;
    let answer = a.call_raw("math/double", b"\xff", None).await;
    assert_eq!(answer, Err(CallError::Status(Status::BAD_REQUEST, Bytes::new())));
}

#[tokio::test]
async fn busy_tells_when_to_try_again() {
    let retry = Duration::from_millis(1_500);
    let busy = builder(2).on_raw("busy", move |_, _| async move { Err(Refusal::Busy(retry)) });
    let (a, _b) = over_tcp(&device(1), &busy.build().unwrap()).await;
    assert_eq!(a.call_raw("busy", b"", None).await, Err(CallError::Busy(retry)));
}

#[tokio::test]
async fn a_status_of_the_application_arrives() {
    let hot = Status::new(300);
    let oven = builder(2).on_raw("oven", move |_, _| async move { Err(hot.into()) }).build().unwrap();
    let (a, _b) = over_tcp(&device(1), &oven).await;
    assert_eq!(a.call_raw("oven", b"", None).await, Err(CallError::Status(hot, Bytes::new())));
    let missing = a.call_raw("no/such", b"", None).await;
    assert_eq!(missing, Err(CallError::Status(Status::NOT_FOUND, Bytes::new())));
}

#[tokio::test(start_paused = true)]
async fn the_default_timeout_ends_a_call() {
    let room = Room::new();
    let caller = builder(1).call_timeout(3 * SECOND).build().unwrap();
    let served = room.serve(builder(2)).on(|_, Silent| std::future::pending()).build().unwrap();
    let (a, _b) = in_memory(&caller, &served, 4096).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(a.call(&Silent).await, Err(CallError::DeadlinePassed));
    let took = begun.elapsed();
    assert!(took >= 3 * SECOND && took < 3 * SECOND + Duration::from_millis(10), "{took:?}");
}

#[derive(Debug, minicbor::Decode, minicbor::Encode)]
struct Silent;

impl Request for Silent {
    const METHOD: &'static str = "silent";
    type Reply = Doubled;
}

/// A timeout of nothing at all is over in the caller's own task: nothing else would look.
#[tokio::test(start_paused = true)]
async fn a_call_without_any_time_ends_at_once() {
    let (a, _b) = in_memory(&device(1), &device(2), 4096).await;
    settle().await;
    let begun = tokio::time::Instant::now();
    let answer = a.call_raw("echo", b"", Some(Duration::ZERO)).await;
    assert_eq!(answer, Err(CallError::DeadlinePassed));
    assert!(begun.elapsed() < Duration::from_millis(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_and_the_connection_lives() {
    let (a, b) = over_tcp(&device(1), &device(2)).await;
    let long = a.call_raw("echo", &[0; 20_000], None).await;
    assert!(matches!(long, Err(CallError::Send(SendError::TooLarge { .. }))), "{long:?}");
    let name = a.call_raw("a//b", b"", None).await;
    assert!(matches!(name, Err(CallError::Send(SendError::Name(_)))), "{name:?}");
    assert_eq!(a.call(&Double(4)).await, Ok(Doubled(8)));
    soon(b.close()).await;
    soon(a.closed()).await;
    assert_eq!(a.call(&Double(4)).await, Err(CallError::Send(SendError::Closed)));
}

#[tokio::test]
async fn a_side_that_leaves_takes_no_more() {
    let room = Room::new();
    let (a, b) = over_tcp(&device(1), &room.serve(builder(2)).build().unwrap()).await;
    let asker = a.clone();
    let open = tokio::spawn(async move { asker.call_raw("stay", b"last", None).await });
    until(|| room.inside() == 1).await;
    let closing = tokio::spawn(async move { b.close().await });
    // Either this arrives behind the `goaway`, or it is answered before.
    let refused = soon(async {
        loop {
            match a.call(&Double(1)).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        }
    })
    .await;
    let expected = [CallError::Send(SendError::GoingAway), CallError::NotExecuted];
    assert!(expected.contains(&refused), "{refused:?}");
    assert_eq!(a.call(&Double(1)).await, Err(CallError::Send(SendError::GoingAway)));
    room.let_go(1);
    assert_eq!(open.await.unwrap().as_deref(), Ok(&b"last"[..]));
    soon(closing).await.unwrap();
}

#[tokio::test]
async fn a_cut_stream_leaves_calls_disconnected() {
    let room = Room::new();
    let (a, b) = (device(1), room.serve(builder(2)).build().unwrap());
    let (near, far) = tokio::io::duplex(4096);
    let admission = symbolon::Admission::expect(b.peer_id());
    let (handle, runner) = a.attach(near, Role::Initiator, admission).unwrap();
    let (_served, other) = b.attach(far, Role::Responder, symbolon::Admission::Ask).unwrap();
    tokio::spawn(runner.run());
    let other = tokio::spawn(other.run());
    handle.connected().await.unwrap();
    let asker = handle.clone();
    let open = tokio::spawn(async move { asker.call_raw("stay", b"", None).await });
    until(|| room.inside() == 1).await;
    other.abort();
    assert_eq!(soon(open).await.unwrap(), Err(CallError::Disconnected));
    assert_eq!(handle.closed().await, symbolon::CloseReason::Truncated);
    until(|| room.inside() == 0).await;
}

/// A thousand at once over a peer that takes four: all are answered, in the order in which they asked.
#[tokio::test]
async fn a_thousand_calls_wait_their_turn_in_order() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = order.clone();
    let most = Room::new();
    let room = most.clone();
    let served = builder(2)
        .limits(limits(|limits| limits.requests_in = 4))
        .on_raw("turn", move |_, body| {
            seen.lock().unwrap().push(u32::from_be_bytes(body[..].try_into().unwrap()));
            let room = room.clone();
            async move {
                let _visit = room.enter();
                tokio::task::yield_now().await;
                Ok(body)
            }
        })
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &served).await;
    let mut calls = JoinSet::new();
    for number in 0..1_000_u32 {
        let a = a.clone();
        calls.spawn(async move { a.call_raw("turn", &number.to_be_bytes(), None).await.unwrap() });
    }
    while let Some(done) = soon(calls.join_next()).await {
        done.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..1_000).collect::<Vec<_>>());
    assert_eq!(most.most(), 4);
}

/// The answer to a call that was given up frees a slot without an event of its own.
#[tokio::test(start_paused = true)]
async fn the_slot_of_a_call_given_up_goes_to_the_next() {
    let room = Room::new();
    let served = room.serve(builder(2)).limits(limits(|limits| limits.requests_in = 1)).build().unwrap();
    let (a, _b) = in_memory(&device(1), &served, 4096).await;
    let asker = a.clone();
    let first = tokio::spawn(async move { asker.call_raw("stay", b"", None).await });
    settle().await;
    assert_eq!(room.inside(), 1);
    let asker = a.clone();
    let second = tokio::spawn(async move { asker.call(&Double(2)).await });
    settle().await;
    first.abort();
    let begun = tokio::time::Instant::now();
    assert_eq!(second.await.unwrap(), Ok(Doubled(4)));
    assert!(begun.elapsed() < Duration::from_millis(10), "{:?}", begun.elapsed());
}

/// The same where its time was up first, and the answer comes later.
#[tokio::test(start_paused = true)]
async fn the_slot_of_a_call_whose_time_is_up_goes_to_the_next() {
    let room = Room::new();
    let served = room.serve(builder(2)).limits(limits(|limits| limits.requests_in = 1)).build().unwrap();
    let (a, _b) = in_memory(&device(1), &served, 1).await;
    let asker = a.clone();
    let first = tokio::spawn(async move { asker.call_raw("stay", b"", Some(SECOND)).await });
    settle().await;
    let second = tokio::spawn(async move { a.call(&Double(2)).await });
    let begun = tokio::time::Instant::now();
    assert_eq!(first.await.unwrap(), Err(CallError::DeadlinePassed));
    assert_eq!(second.await.unwrap(), Ok(Doubled(4)));
    assert!(begun.elapsed() < SECOND + Duration::from_millis(10), "{:?}", begun.elapsed());
}

/// More than the queue holds, answered in one turn: the rest follows as soon as there is room.
#[tokio::test(start_paused = true)]
async fn answers_beyond_the_queue_follow_by_themselves() {
    let served = builder(2)
        .limits(limits(|limits| limits.call_queue = 20_000))
        .on_raw("long", |_, _| async { Ok(vec![7; 16_000].into()) })
        .build()
        .unwrap();
    let (a, _b) = in_memory(&device(1), &served, 4 << 20).await;
    settle().await;
    let begun = tokio::time::Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..60 {
        let a = a.clone();
        calls.spawn(async move { a.call_raw("long", b"", Some(5 * SECOND)).await.unwrap().len() });
    }
    while let Some(done) = calls.join_next().await {
        assert_eq!(done.unwrap(), 16_000);
    }
    assert!(begun.elapsed() < Duration::from_millis(10), "{:?}", begun.elapsed());
}

/// What the socket takes makes room in the queue, also where no answer comes and no timer fires.
#[tokio::test]
async fn calls_that_are_not_answered_make_room_for_others() {
    let caller = builder(1).limits(limits(|limits| limits.call_queue = 2_000));
    let caller = caller.timeouts(timeouts(|timeouts| timeouts.silence = None)).build().unwrap();
    let room = Room::new();
    let served = room.serve(builder(2)).timeouts(timeouts(|timeouts| timeouts.silence = None));
    let (a, _b) = in_memory(&caller, &served.build().unwrap(), 100).await;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let a = a.clone();
        calls.spawn(async move { a.call_raw("stay", &[7; 900], None).await });
    }
    until(|| room.inside() == 20).await;
    room.let_go(20);
    while let Some(done) = soon(calls.join_next()).await {
        assert_eq!(done.unwrap().as_deref(), Ok(&[7; 900][..]));
    }
}

/// Both kinds of waiting, for room in the queue as well: a socket that takes one byte at a time.
#[tokio::test]
async fn calls_wait_for_room_in_the_queue() {
    let caller = builder(1).limits(limits(|limits| limits.call_queue = 2_000)).build().unwrap();
    let (a, _b) = in_memory(&caller, &device(2), 1).await;
    let mut calls = JoinSet::new();
    for number in 0..20_u8 {
        let a = a.clone();
        calls.spawn(async move {
            let body = vec![number; 900];
            assert_eq!(a.call_raw("echo", &body, None).await, Ok(body.into()));
        });
    }
    while let Some(done) = soon(calls.join_next()).await {
        done.unwrap();
    }
}
