//! Sentence 12: any adapter future may be dropped at any await without losing a byte or tearing state.

use std::future::{Future, poll_fn};
use std::task::Poll;

use bytes::Bytes;
use symbolon::tokio::{Builder, CallError, Device, Handle, SubscribeOptions, meet};
use symbolon::{CloseReason, Kind, Overflow, Role, Status, Topic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::{Double, Doubled, Room, builder, in_memory, limits, soon, streams, until};

/// How many requests the devices here take at once.
const SLOTS: usize = 3;

#[derive(Debug, minicbor::Decode, minicbor::Encode)]
struct News(#[n(0)] u32);

impl Topic for News {
    const TOPIC: &'static str = "news";
    const KIND: Kind = Kind::Event { depth: 2, overflow: Overflow::DropOldest };
}

/// When a future is dropped: right behind its n-th poll, or once it would be polled again.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    AfterPoll,
    WhenWoken,
}

/// Polls a future `polls` times and drops it; says whether it was done before.
pub async fn dropped_after<F: Future>(future: F, polls: usize, moment: Moment) -> bool {
    let mut future = Box::pin(future);
    let mut count = 0;
    poll_fn(|task| {
        if count == polls {
            return Poll::Ready(false);
        }
        count += 1;
        match (future.as_mut().poll(task), moment) {
            (Poll::Ready(_), _) => Poll::Ready(true),
            (Poll::Pending, Moment::AfterPoll) if count == polls => Poll::Ready(false),
            (Poll::Pending, _) => Poll::Pending,
        }
    })
    .await
}

/// Drops what `make` makes behind every number of polls until it gets done, and checks after each.
async fn drop_everywhere<F: Future>(make: impl Fn() -> F, check: impl AsyncFn()) {
    for moment in [Moment::AfterPoll, Moment::WhenWoken] {
        let mut done = false;
        for polls in 0..1_000 {
            done = soon(dropped_after(make(), polls, moment)).await;
            check().await;
            if done {
                break;
            }
        }
        assert!(done, "it never gets done");
    }
}

async fn works(handle: &Handle) {
    assert_eq!(soon(handle.call(&Double(21))).await, Ok(Doubled(42)));
}

/// All slots can be used at once, so none was lost; and they are not more than there are.
async fn no_slot_is_lost(handle: &Handle, room: &Room) {
    until(|| room.inside() == 0).await;
    let mut calls = JoinSet::new();
    for number in 0..SLOTS as u8 {
        let handle = handle.clone();
        calls.spawn(async move { handle.call_raw("stay", &[number], None).await });
    }
    until(|| room.inside() == SLOTS).await;
    room.let_go(SLOTS);
    while let Some(done) = soon(calls.join_next()).await {
        assert!(done.unwrap().is_ok());
    }
}

fn served(number: u8, room: &Room) -> Device {
    let limits = limits(|limits| {
        limits.requests_in = SLOTS as u16;
        limits.subscriptions_in = SLOTS as u16;
    });
    streams::served(room.serve(builder(number))).topic::<News>().limits(limits).build().unwrap()
}

/// Both ways of moving bytes: whole frames, and one byte at a time.
async fn pairs() -> Vec<(Handle, Handle, Room)> {
    let mut pairs = Vec::new();
    for capacity in [1, 65_536] {
        let room = Room::new();
        let (a, b) = in_memory(&served(1, &Room::new()), &served(2, &room), capacity).await;
        pairs.push((a, b, room));
    }
    pairs
}

#[tokio::test]
async fn dropped_at_any_await_calls_lose_nothing() {
    for (a, b, room) in pairs().await {
        let check = async || works(&a).await;
        drop_everywhere(|| a.call(&Double(1)), check).await;
        drop_everywhere(|| a.call_timeout(&Double(1), super::SECOND), check).await;
        drop_everywhere(|| a.call_raw("echo", &[5; 9_000], None), check).await;
        no_slot_is_lost(&a, &room).await;
        works(&b).await;
    }
}

/// Of an answer in one frame, and of one in chunks.
#[tokio::test]
async fn dropped_at_any_await_asking_what_is_offered_loses_nothing() {
    let room = Room::new();
    let limits =
        limits(|limits| (limits.max_frame, limits.requests_in, limits.window) = (256, SLOTS as u16, 400));
    let offers = |builder, topics: u32| {
        (0..topics).fold(builder, |builder: Builder, number| {
            builder.topic_raw(&format!("a/topic/with/the/number/{number:04}"), Kind::State)
        })
    };
    for topics in [1, 60] {
        let asker = builder(1).limits(limits).build().unwrap();
        let asked = offers(room.serve(builder(2)), topics).limits(limits).build().unwrap();
        let (a, _b) = in_memory(&asker, &asked, 300).await;
        drop_everywhere(|| a.describe(), async || works(&a).await).await;
        no_slot_is_lost(&a, &room).await;
        assert_eq!(soon(a.describe()).await.unwrap().topics().count(), topics as usize);
    }
}

/// The same for calls that wait for a slot that others hold.
#[tokio::test]
async fn dropped_at_any_await_a_call_that_waits_for_its_turn_is_gone() {
    for (a, _b, room) in pairs().await {
        for polls in 0..3 {
            let mut holding = JoinSet::new();
            for _ in 0..SLOTS {
                let a = a.clone();
                holding.spawn(async move { a.call_raw("stay", b"", None).await });
            }
            until(|| room.inside() == SLOTS).await;
            // Two wait in line; the first gives up, the second must not be forgotten.
            let waits = a.clone();
            let behind = async move {
                tokio::task::yield_now().await;
                waits.call(&Double(4)).await
            };
            let behind = tokio::spawn(behind);
            let gone = a.call(&Double(3));
            let gave_up = async {
                let mut gone = Box::pin(gone);
                for _ in 0..polls {
                    poll_fn(|task| Poll::Ready(gone.as_mut().poll(task).is_ready())).await;
                    tokio::task::yield_now().await;
                }
            };
            gave_up.await;
            room.let_go(1);
            assert_eq!(soon(behind).await.unwrap(), Ok(Doubled(8)));
            room.let_go(SLOTS - 1);
            while soon(holding.join_next()).await.is_some() {}
        }
        no_slot_is_lost(&a, &room).await;
    }
}

#[tokio::test]
async fn dropped_at_any_await_subscribing_leaves_no_subscription() {
    for (a, b, room) in pairs().await {
        let check = async || works(&a).await;
        drop_everywhere(|| a.subscribe::<News>(), check).await;
        drop_everywhere(|| a.subscribe_raw("#", SubscribeOptions::default()), check).await;
        let mut kept = Vec::new();
        for _ in 0..SLOTS {
            kept.push(soon(a.subscribe::<News>()).await.unwrap());
        }
        b.publish(&News(7)).await.unwrap();
        for news in &mut kept {
            assert_eq!(soon(news.next()).await.unwrap().unwrap().0, 7);
        }
        no_slot_is_lost(&a, &room).await;
    }
}

/// A reader that gives up after every poll still gets every publication, whole and in order.
#[tokio::test]
async fn dropped_at_any_await_reading_loses_no_publication() {
    for (a, b, _room) in pairs().await {
        let mut news = a.subscribe::<News>().await.unwrap();
        for number in 0..20 {
            b.publish(&News(number)).await.unwrap();
            let got = soon(async {
                loop {
                    let mut next = Box::pin(news.next());
                    let polled = poll_fn(|task| Poll::Ready(next.as_mut().poll(task))).await;
                    drop(next);
                    if let Poll::Ready(item) = polled {
                        break item.unwrap().unwrap();
                    }
                    tokio::task::yield_now().await;
                }
            })
            .await;
            assert_eq!(got.0, number);
        }
        works(&a).await;
    }
}

#[tokio::test]
async fn dropped_at_any_await_requests_with_bodies_leave_no_exchange() {
    for (a, b, room) in pairs().await {
        let check = async || works(&a).await;
        drop_everywhere(|| a.open_raw("mirror", b"head", None), check).await;
        let len = 5_000_u64.to_le_bytes();
        drop_everywhere(|| a.fetch_raw("give", &len, None), check).await;
        let waiting = async || {
            let (mut writer, reply) = a.open_raw("mirror", b"head", None).await.unwrap();
            writer.write_all(&[7; 2_000]).await.unwrap();
            reply.wait().await.unwrap().0
        };
        drop_everywhere(waiting, check).await;
        no_slot_is_lost(&a, &room).await;
        streams::nothing_is_held(&[&a, &b]).await;
    }
}

/// A reader that gives up after every poll, in either way of reading, still gets every byte in order; so does one
/// whose writer gives up.
#[tokio::test]
async fn dropped_at_any_await_reading_and_writing_bodies_lose_no_byte() {
    for (a, b, room) in pairs().await {
        let bytes = super::bytes::pattern(20_000);
        let (mut writer, reply) = soon(a.open_raw("mirror", b"", None)).await.unwrap();
        let writing = async {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                // One poll writes a part or nothing: this is `AsyncWrite`, whose future may be dropped.
                let some = rest.len().min(700);
                let polled = once(AsyncWriteExt::write(&mut writer, &rest[..some])).await;
                rest = &rest[polled.transpose().unwrap().unwrap_or_default()..];
                tokio::task::yield_now().await;
            }
            writer.finish().unwrap();
        };
        let reading = async {
            let (_, mut body) = reply.wait().await.unwrap();
            let (mut heard, mut buffer) = (Vec::new(), [0; 100]);
            loop {
                match once(body.chunk()).await {
                    Some(Ok(Some(chunk))) => heard.extend_from_slice(&chunk),
                    Some(ended) => break assert_eq!(ended, Ok(None)),
                    None => tokio::task::yield_now().await,
                }
                if let Some(read) = once(body.read(&mut buffer)).await {
                    heard.extend_from_slice(&buffer[..read.unwrap()]);
                }
            }
            assert!(heard == bytes);
        };
        soon(async { tokio::join!(writing, reading) }).await;
        drop(writer);
        no_slot_is_lost(&a, &room).await;
        streams::nothing_is_held(&[&a, &b]).await;
    }
}

/// A handler that gives up to begin its answer, and one that is dropped as it writes, leave nothing behind.
#[tokio::test]
async fn dropped_at_any_await_answering_with_a_body_leaves_no_exchange() {
    for (a, b, room) in pairs().await {
        for polls in 0..8_u64 {
            let (_writer, reply) = soon(a.open_raw("begins", &polls.to_le_bytes(), None)).await.unwrap();
            let answer = soon(reply.wait()).await.map(drop);
            let gave_up = CallError::Status(Status::new(301), Bytes::new());
            assert!(answer == Ok(()) || answer == Err(gave_up), "{answer:?}");
            let (_, body) = soon(a.fetch_raw("give", &900_000_u64.to_le_bytes(), None)).await.unwrap();
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
            drop(body);
            works(&a).await;
        }
        no_slot_is_lost(&a, &room).await;
        streams::nothing_is_held(&[&a, &b]).await;
    }
}

/// What one poll of a future gives, which is dropped behind it.
async fn once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    poll_fn(|task| match future.as_mut().poll(task) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn dropped_at_any_await_publishing_and_waiting_change_nothing() {
    for (a, b, room) in pairs().await {
        let check = async || works(&a).await;
        drop_everywhere(|| b.publish(&News(1)), check).await;
        drop_everywhere(|| b.device().publish(&News(1)), check).await;
        drop_everywhere(|| b.device().publish_raw("news", b"\x81\x01"), check).await;
        drop_everywhere(|| a.connected(), check).await;
        for polls in 0..3 {
            assert!(!dropped_after(a.closed(), polls.min(1), Moment::AfterPoll).await);
            works(&a).await;
        }
        no_slot_is_lost(&a, &room).await;
    }
}

/// A `close` that is dropped goes on, and answers what is open.
#[tokio::test]
async fn dropped_at_any_await_closing_goes_on() {
    for polls in 1..4 {
        for (a, b, room) in pairs().await {
            let asker = a.clone();
            let open = tokio::spawn(async move { asker.call_raw("stay", b"kept", None).await });
            until(|| room.inside() == 1).await;
            dropped_after(b.close(), 1, Moment::AfterPoll).await;
            for _ in 1..polls {
                tokio::task::yield_now().await;
            }
            room.let_go(1);
            assert_eq!(soon(open).await.unwrap().as_deref(), Ok(&b"kept"[..]));
            assert_eq!(soon(b.closed()).await, CloseReason::Local(Status::OK));
            assert_eq!(soon(a.closed()).await, CloseReason::Remote(Status::OK));
        }
    }
}

#[tokio::test]
async fn dropped_at_any_await_dialling_and_accepting_leave_both_devices_whole() {
    let (a, b) = (served(1, &Room::new()), served(2, &Room::new()));
    let mut listener = b.listen("127.0.0.1:0").await.unwrap();
    let (address, peer) = (listener.local_addr().unwrap(), b.peer_id());
    // Accepting, dropped behind every poll, loses nobody.
    let accepting = tokio::spawn(async move {
        loop {
            if dropped_after(listener.accept(), 1, Moment::AfterPoll).await {
                continue;
            }
            tokio::task::yield_now().await;
        }
    });
    let check = async || {
        let fresh = soon(a.connect(address, peer)).await.unwrap();
        works(&fresh).await;
        soon(fresh.close()).await;
    };
    drop_everywhere(|| a.connect(address, peer), check).await;
    drop_everywhere(|| a.dial(address, peer), check).await;
    drop_everywhere(|| a.listen("127.0.0.1:0"), check).await;
    accepting.abort();
}

#[tokio::test]
async fn dropped_at_any_await_a_meeting_leaves_both_devices_whole() {
    let (a, b) = (served(1, &Room::new()), served(2, &Room::new()));
    let check = async || {
        let (fresh, _other) = in_memory(&a, &b, 65_536).await;
        works(&fresh).await;
        soon(fresh.close()).await;
    };
    drop_everywhere(|| meet(&a, &b, 65_536), check).await;
}

/// A runner that is dropped ends its connection and nothing else.
#[tokio::test]
async fn dropped_at_any_await_a_runner_ends_its_connection_alone() {
    let (a, b) = (served(1, &Room::new()), served(2, &Room::new()));
    let (steady, _other) = in_memory(&a, &served(3, &Room::new()), 65_536).await;
    for polls in 0..20 {
        let (near, far) = tokio::io::duplex(64);
        let admission = symbolon::Admission::expect(b.peer_id());
        let (handle, runner) = a.attach(near, Role::Initiator, admission).unwrap();
        let (served, other) = b.attach(far, Role::Responder, symbolon::Admission::Ask).unwrap();
        tokio::spawn(other.run());
        let driven = dropped_after(runner.run(), polls, Moment::AfterPoll);
        let (done, answer) = soon(async {
            tokio::join!(tokio::time::timeout(super::SECOND / 10, driven), async {
                handle.connected().await.ok()?;
                handle.call(&Double(1)).await.ok()
            })
        })
        .await;
        assert!(done.is_err() || answer.is_none() || answer == Some(Doubled(2)));
        soon(handle.closed()).await;
        soon(served.closed()).await;
        works(&steady).await;
    }
}
