//! Handlers: their state, their ends, and what they may do inside.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use symbolon::tokio::{CallError, Context, Refusal, SubscribeOptions};
use symbolon::{Allow, CloseReason, Kind, Overflow, Status};

use super::lent::Lent;
use super::stubborn::Stubborn;
use super::{
    Double, Doubled, Room, SECOND, builder, device, identity, in_memory, limits, over_tcp, settle, soon,
    until,
};

fn status(status: Status) -> Result<Bytes, CallError> {
    Err(CallError::Status(status, Bytes::new()))
}

#[tokio::test]
async fn state_is_what_a_closure_captures() {
    let count = Arc::new(AtomicU32::new(0));
    let captured = count.clone();
    let counter = builder(2)
        .on_raw("count", move |_, _| {
            let number = captured.fetch_add(1, Ordering::SeqCst) + 1;
            async move { Ok(vec![u8::try_from(number).unwrap()].into()) }
        })
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &counter).await;
    assert_eq!(a.call_raw("count", b"", None).await, Ok(vec![1].into()));
    assert_eq!(a.call_raw("count", b"", None).await, Ok(vec![2].into()));
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_panic_answers_failed_and_the_connection_lives() {
    let clumsy = builder(2)
        .on_raw("at/once", |_, _| -> std::future::Ready<Result<Bytes, Refusal>> { panic!("meant") })
        .on_raw("first/poll", |_, _| async { panic!("meant") })
        .on_raw("later", |_, _| async {
            tokio::task::yield_now().await;
            panic!("meant")
        })
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &clumsy).await;
    for method in ["at/once", "first/poll", "later"] {
        assert_eq!(soon(a.call_raw(method, b"", None)).await, status(Status::FAILED), "{method}");
        assert_eq!(a.call(&Double(3)).await, Ok(Doubled(6)));
    }
}

/// SPEC §10.4: dropping the call asks the other side to stop, which drops the handler and frees the slot.
#[tokio::test]
async fn a_caller_that_gives_up_drops_the_handler() {
    let room = Room::new();
    let served = room.serve(builder(2)).limits(limits(|limits| limits.requests_in = 1)).build().unwrap();
    let (a, _b) = over_tcp(&device(1), &served).await;
    for round in 1..=3 {
        let asker = a.clone();
        let call = tokio::spawn(async move { asker.call_raw("stay", b"", None).await });
        until(|| room.entered() == round && room.inside() == 1).await;
        call.abort();
        until(|| room.inside() == 0).await;
    }
    assert_eq!(soon(a.call(&Double(1))).await, Ok(Doubled(2)));
}

/// More at once than a runner starts in one turn, given up at any moment: also those whose turn had not come.
#[tokio::test(start_paused = true)]
async fn many_callers_that_give_up_drop_all_handlers() {
    let room = Room::new();
    let served = room.serve(builder(2)).limits(limits(|limits| limits.requests_in = 50)).build().unwrap();
    let (a, _b) = in_memory(&device(1), &served, 1 << 20).await;
    for turns in 0..20 {
        let call = |_| {
            let asker = a.clone();
            tokio::spawn(async move { asker.call_raw("stay", b"", None).await })
        };
        let calls: Vec<_> = (0..50).map(call).collect();
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        calls.iter().for_each(|call| call.abort());
        settle().await;
        assert_eq!(room.inside(), 0, "after {turns} turns");
        assert_eq!(a.call(&Double(1)).await, Ok(Doubled(2)));
    }
    assert!(room.most() > 16, "{}", room.most());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_drops_the_handler() {
    let room = Room::new();
    let (a, _b) = in_memory(&device(1), &room.serve(builder(2)).build().unwrap(), 4096).await;
    let answer = a.call_raw("stay", b"", Some(SECOND)).await;
    assert_eq!(answer, Err(CallError::DeadlinePassed));
    settle().await;
    assert_eq!((room.entered(), room.inside()), (1, 0));
    assert_eq!(a.call(&Double(1)).await, Ok(Doubled(2)));
}

/// R1: an answer makes room for the next request, and yet those who have answered and go on do not pile up.
#[tokio::test]
async fn handlers_that_go_on_behind_their_answer_have_a_limit() {
    let (room, served) = (Room::new(), builder(2).limits(limits(|limits| limits.requests_in = 4)));
    let visited = room.clone();
    let served = served.on_stream_raw("answer and stay", move |_, _, exchange| {
        let room = visited.clone();
        async move {
            exchange.reply.send("taken");
            room.stay().await;
            Ok(())
        }
    });
    let (a, _b) = in_memory(&device(1), &served.build().unwrap(), 4096).await;
    for _ in 0..8 {
        assert_eq!(a.call_raw("answer and stay", b"", None).await.unwrap(), "taken");
    }
    let busy = Err(CallError::Busy(Duration::ZERO));
    assert_eq!(a.call_raw("answer and stay", b"", None).await, busy);
    assert_eq!((room.inside(), room.most()), (8, 8));
    room.let_go(1);
    until(|| room.inside() == 7).await;
    assert_eq!(a.call_raw("answer and stay", b"", None).await.unwrap(), "taken");
    assert_eq!(a.call_raw("answer and stay", b"", None).await, busy);
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_who_asks_and_how_long_it_may_take() {
    let served = builder(2)
        .on_raw("who", |context: Context, _| async move {
            let left = context.time_left().map_or(0, |left| left.as_millis());
            Ok(format!("{} {left}", context.peer()).into())
        })
        .build()
        .unwrap();
    let caller = device(1);
    let (a, _b) = in_memory(&caller, &served, 4096).await;
    let seen = a.call_raw("who", b"", Some(2 * SECOND)).await.unwrap();
    assert_eq!(String::from_utf8(seen.into()).unwrap(), format!("{} 2000", caller.peer_id()));
}

#[tokio::test]
async fn raw_handlers_may_be_for_some_peers_only() {
    let dialled = builder(2)
        .on_raw_for("reset", Allow::only([identity(1).peer_id()]), |_, body| async move { Ok(body) })
        .on_stream_raw_for("store", Allow::only([identity(1).peer_id()]), |_, head, exchange| async move {
            exchange.reply.send(head);
            Ok(())
        })
        .build()
        .unwrap();
    for (number, expected) in [(1, Ok(Bytes::from_static(b"x"))), (3, status(Status::DENIED))] {
        let (a, _b) = over_tcp(&device(number), &dialled).await;
        assert_eq!(a.call_raw("reset", b"x", None).await, expected);
        assert_eq!(a.call_raw("store", b"x", None).await, expected);
        let (_writer, reply) = a.open_raw("store", b"x", None).await.unwrap();
        assert_eq!(soon(reply.wait()).await.map(|(head, _)| head), expected);
    }
}

/// What a handler has asked for itself, and did not get, is a failure of its own: no status of another is passed on.
#[tokio::test]
async fn what_a_handler_asks_for_in_vain_is_its_own_failure() {
    let dialled = builder(2)
        .on_raw("calls", |context, _| async move { Ok(context.handle().call_raw("none", b"", None).await?) })
        .on_raw("publishes", |context, body| async move {
            context.handle().publish_raw("undeclared", &body).await?;
            Ok(body)
        })
        .on_raw("publishes/at/once", |context, body| async move {
            context.handle().try_publish_raw("undeclared", &body)?;
            Ok(body)
        })
        .on_raw("subscribes", |context, body| async move {
            context.handle().subscribe_raw("news", SubscribeOptions::default()).await?;
            Ok(body)
        })
        .on_raw("encodes", |_, _| async { Ok(symbolon::to_bytes(&Stubborn)?.into()) })
        .build()
        .unwrap();
    let dialler = builder(1).allow_subscribe(|_, _| false).build().unwrap();
    let (a, _b) = over_tcp(&dialler, &dialled).await;
    for method in ["calls", "publishes", "publishes/at/once", "subscribes", "encodes"] {
        assert_eq!(soon(a.call_raw(method, b"", None)).await, status(Status::FAILED), "{method}");
    }
}

/// Each handler calls back before it answers: five levels deep, from both sides at once.
#[tokio::test]
async fn handlers_call_back_and_forth_without_end() {
    fn ping_pong(
        context: Context,
        body: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, Refusal>> + Send>> {
        Box::pin(async move {
            let [depth] = body[..] else { return Err(Status::BAD_REQUEST.into()) };
            if depth == 0 {
                return Ok(Bytes::new());
            }
            let deeper = context.handle().call_raw("ping/pong", &[depth - 1], None).await;
            let mut path = Vec::from(deeper?);
            path.push(depth);
            Ok(path.into())
        })
    }
    for capacity in [1, 65_536] {
        let a = builder(1).on_raw("ping/pong", ping_pong).build().unwrap();
        let b = builder(2).on_raw("ping/pong", ping_pong).build().unwrap();
        let (a, b) = in_memory(&a, &b, capacity).await;
        let (from_a, from_b) = soon(async {
            tokio::join!(a.call_raw("ping/pong", &[5], None), b.call_raw("ping/pong", &[5], None))
        })
        .await;
        assert_eq!((from_a, from_b), (Ok(vec![1, 2, 3, 4, 5].into()), Ok(vec![1, 2, 3, 4, 5].into())));
    }
}

#[tokio::test]
async fn handlers_publish_and_subscribe_on_their_own_connection() {
    let kind = Kind::Event { depth: 4, overflow: Overflow::DropOldest };
    let busy = |number: u8| {
        builder(number)
            .topic_raw("news", kind)
            .on_raw("all", |context: Context, body| async move {
                let _news = context.handle().subscribe_raw("news", SubscribeOptions::default()).await?;
                context.handle().publish_raw("news", &body).await?;
                Ok(body)
            })
            .build()
            .unwrap()
    };
    let (a, b) = over_tcp(&busy(1), &busy(2)).await;
    let mut news = a.subscribe_raw("news", SubscribeOptions::default()).await.unwrap();
    for round in 0..10_u8 {
        let body = [round];
        let (from_a, from_b) =
            soon(async { tokio::join!(a.call_raw("all", &body, None), b.call_raw("all", &body, None)) })
                .await;
        assert_eq!((from_a, from_b), (Ok(vec![round].into()), Ok(vec![round].into())));
        let delivery = soon(news.next()).await.unwrap();
        assert_eq!(delivery.publication.unwrap().body[..], [round]);
    }
}

/// The body here does not decode: whoever may not call is told *denied*, not *bad request*.
#[tokio::test]
async fn who_may_not_call_is_denied_before_the_body_is_decoded() {
    let stranger = device(3).peer_id();
    let served = symbolon::tokio::Device::builder(identity(2))
        .admit(|_| true)
        .on_for(Allow::only([stranger]), |_, Double(number)| async move { Ok(Doubled(number)) })
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &served).await;
    assert_eq!(a.call_raw("math/double", b"\xff", None).await, status(Status::DENIED));
    let (c, _d) = over_tcp(&device(3), &served).await;
    assert_eq!(c.call_raw("math/double", b"\xff", None).await, status(Status::BAD_REQUEST));
    assert_eq!(c.call(&Double(9)).await, Ok(Doubled(9)));
}

#[tokio::test]
async fn a_reply_that_does_not_fit_is_too_large() {
    let served = builder(2)
        .on_raw("much", |_, _| async { Ok(vec![0; 20_000].into()) })
        .on_raw("much/later", |_, _| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(vec![0; 20_000].into())
        })
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &served).await;
    assert_eq!(a.call_raw("much", b"", None).await, status(Status::TOO_LARGE));
    assert_eq!(a.call_raw("much/later", b"", None).await, status(Status::TOO_LARGE));
    assert_eq!(a.call(&Double(1)).await, Ok(Doubled(2)));
}

/// Bytes whose memory looks at the connection as it is given back, counts that, and panics.
fn lent(text: &'static str, context: Context, returned: &Arc<AtomicU32>) -> Bytes {
    let returned = returned.clone();
    Bytes::from_owner(Lent(text, move || {
        assert!(context.handle().is_connected());
        returned.fetch_add(1, Ordering::SeqCst);
    }))
}

/// No code of the application runs under a lock: not what drops a reply's bytes, either; and that costs nobody but itself.
#[tokio::test]
async fn a_reply_is_dropped_outside_of_the_lock() {
    let returned = Arc::new(AtomicU32::new(0));
    let counts = [(); 4].map(|()| returned.clone());
    let [at_once, later, empty, late] = counts;
    let lender = builder(2)
        .on_raw("at/once", move |context, _| {
            let lent = lent("lent", context, &at_once);
            async move { Ok(lent) }
        })
        .on_raw("later", move |context, _| {
            let lent = lent("lent", context, &later);
            async move {
                tokio::task::yield_now().await;
                Ok(lent)
            }
        })
        .on_raw("empty", move |context, _| {
            let lent = lent("", context, &empty);
            async move { Ok(lent) }
        })
        .on_stream_raw("late", move |context, _, exchange| {
            let lent = lent("lent", context, &late);
            async move {
                // The responder outlives its handler, and what it sends is too late.
                tokio::spawn(async move {
                    settle().await;
                    exchange.reply.send(lent);
                });
                Ok(())
            }
        })
        .build()
        .unwrap();
    let (a, _b) = over_tcp(&device(1), &lender).await;
    for round in 1..=10 {
        for (method, expected) in [("at/once", "lent"), ("later", "lent"), ("empty", "")] {
            assert_eq!(soon(a.call_raw(method, b"", None)).await, Ok(expected.into()));
        }
        assert_eq!(soon(a.call_raw("late", b"", None)).await, status(Status::FAILED));
        until(|| returned.load(Ordering::SeqCst) == 4 * round).await;
        assert!(a.is_connected());
    }
}

/// A handler ends its own connection, and its caller is answered first.
#[tokio::test]
async fn a_handler_begins_the_close_of_its_connection() {
    let leaving = builder(2).on_raw("leave", |context: Context, body| async move {
        context.handle().begin_close();
        Ok(body)
    });
    let (a, b) = over_tcp(&device(1), &leaving.build().unwrap()).await;
    assert_eq!(soon(a.call_raw("leave", b"", None)).await, Ok(Bytes::new()));
    assert_eq!(soon(a.closed()).await, CloseReason::Remote(Status::OK));
    assert_eq!(soon(b.closed()).await, CloseReason::Local(Status::OK));
}
