//! Bodies in chunks as tokio's own traits see them, and what becomes of handlers whose callers go.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_core::Stream;
use symbolon::Status;
use symbolon::tokio::{BodyError, Builder, Context, Handle, RawExchange};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::bytes::pattern;
use super::cancel_safety::{Moment, dropped_after};
use super::{SECOND, builder, in_memory, limits, over_tcp, soon, timeouts, until};

fn number(head: &[u8]) -> u64 {
    u64::from_le_bytes(*head.first_chunk().expect("eight bytes"))
}

/// A device that mirrors and gives; and one that gives up to begin an answer after so many polls.
pub fn served(builder: Builder) -> Builder {
    builder
        .on_stream_raw("mirror", |_, head, mut exchange| async move {
            let mut writer = exchange.reply.start(&head).await?;
            tokio::io::copy(&mut exchange.body, &mut writer).await.map_err(|_| Status::new(302))?;
            Ok(writer.finish()?)
        })
        .on_stream_raw("give", |_, head, exchange| async move {
            let mut writer = exchange.reply.start(&head).await?;
            writer.write_all(&pattern(number(&head) as usize)).await?;
            Ok(writer.finish()?)
        })
        .on_stream_raw("begins", |_, head, exchange: RawExchange| async move {
            let polls = number(&head) as usize;
            let begun = dropped_after(exchange.reply.start(b""), polls, Moment::AfterPoll).await;
            if begun { Ok(()) } else { Err(Status::new(301).into()) }
        })
}

/// Nothing of any exchange is left at these ends.
pub async fn nothing_is_held(ends: &[&Handle]) {
    for end in ends {
        until(|| format!("{end:?}").contains("held: 0")).await;
    }
}

async fn next(body: &mut symbolon::tokio::BodyReader) -> Option<Result<bytes::Bytes, BodyError>> {
    soon(poll_fn(|task| Pin::new(&mut *body).poll_next(task))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_copied_and_streamed() {
    let (a, b) = over_tcp(&served(builder(1)).build().unwrap(), &served(builder(2)).build().unwrap()).await;
    let bytes = pattern(3 << 20);
    let (mut writer, reply) = soon(a.open_raw("mirror", b"head", None)).await.unwrap();
    let sent = bytes.clone();
    let writing = tokio::spawn(async move {
        assert_eq!(tokio::io::copy(&mut &sent[..], &mut writer).await.unwrap(), sent.len() as u64);
        // As `finish`.
        writer.shutdown().await.unwrap();
        writer.shutdown().await.unwrap();
        assert!(writer.write_all(b"more").await.is_err());
    });
    let (head, mut body) = soon(reply.wait()).await.unwrap();
    assert_eq!(head, b"head"[..]);
    let mut heard = Vec::new();
    while let Some(chunk) = next(&mut body).await {
        heard.extend_from_slice(&chunk.unwrap());
    }
    assert!(heard == bytes);
    assert_eq!(next(&mut body).await, None);
    drop(body);
    soon(writing).await.unwrap();
    // An error is given once, and then the stream is over.
    let (mut writer, reply) = soon(a.open_raw("mirror", b"", None)).await.unwrap();
    writer.write_all(b"some").await.unwrap();
    writer.reset(Status::new(300));
    let (_, mut body) = soon(reply.wait()).await.unwrap();
    let mut last = None;
    while let Some(item) = next(&mut body).await {
        last = Some(item);
    }
    assert_eq!(last, Some(Err(BodyError::Status(Status::new(302)))), "what the handler made of it");
    assert_eq!(body.chunk().await, Err(BodyError::Status(Status::new(302))), "where it was asked for again");
    drop(body);
    nothing_is_held(&[&a, &b]).await;
}

/// EXC-13: a handler whose caller has gone is dropped at its next await, and the slot is free, whatever it held.
#[tokio::test]
async fn a_handler_is_dropped_with_its_caller() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = dropped.clone();
    let endless = move |_: Context, _, exchange: RawExchange| {
        let counted = Counted(counted.clone());
        async move {
            let _counted = counted;
            let mut writer = exchange.reply.start(b"").await?;
            loop {
                writer.write_all(&[7; 10_000]).await?;
            }
        }
    };
    let few = limits(|limits| limits.requests_in = 2);
    let other = served(builder(2)).limits(few).on_stream_raw("endless", endless).build().unwrap();
    let (a, b) = in_memory(&builder(1).build().unwrap(), &other, 65_536).await;
    for round in 1..=6 {
        let (_, mut body) = soon(a.fetch_raw("endless", b"", None)).await.unwrap();
        soon(body.chunk()).await.unwrap();
        if round % 2 == 0 {
            body.stop(Status::new(300))
        } else {
            drop(body)
        }
        until(|| dropped.load(Ordering::SeqCst) == round).await;
    }
    nothing_is_held(&[&a, &b]).await;
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// SPEC §10.5: the clock that counts is the runtime's, and nothing else wakes the two.
#[tokio::test(start_paused = true)]
async fn a_body_stalls_by_the_clock() {
    let timeouts = timeouts(|timeouts| timeouts.silence = None);
    let device = |number| served(builder(number)).timeouts(timeouts).build().unwrap();
    let (a, b) = in_memory(&device(1), &device(2), 65_536).await;
    let (mut writer, reply) = a.open_raw("mirror", b"", None).await.unwrap();
    let (_, mut body) = reply.wait().await.unwrap();
    writer.write_all(b"some").await.unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(body.chunk().await.unwrap().as_deref(), Some(&b"some"[..]));
    let stalled = body.chunk().await;
    let told = [BodyError::Stalled, BodyError::Status(Status::STALLED), BodyError::Status(Status::new(302))];
    assert!(told.map(Err).contains(&stalled), "{stalled:?}");
    let waited = begun.elapsed();
    assert!((60 * SECOND..61 * SECOND).contains(&waited), "{waited:?}");
    drop((writer, body));
    nothing_is_held(&[&a, &b]).await;
}

/// No wake-up is lost between tasks of several threads, however it races.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wake_ups_are_not_lost_between_threads() {
    let few = limits(|limits| (limits.requests_in, limits.body_buffer, limits.window) = (3, 700, 4_000));
    let device = |number| served(builder(number)).limits(few).build().unwrap();
    let (a, b) = over_tcp(&device(1), &device(2)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4_usize {
        for end in [a.clone(), b.clone()] {
            tasks.spawn(async move {
                for round in 0..100 {
                    let bytes = pattern((round * 137 + task * 31) % 9_000);
                    let (mut writer, reply) = end.open_raw("mirror", b"", None).await.unwrap();
                    let sent = bytes.clone();
                    let writing = tokio::spawn(async move {
                        writer.write_all(&sent).await?;
                        writer.finish()
                    });
                    if round % 5 == 0 {
                        drop(reply);
                        let _either = writing.await.unwrap();
                        continue;
                    }
                    let (_, mut body) = reply.wait().await.unwrap();
                    let mut heard = Vec::new();
                    body.read_to_end(&mut heard).await.unwrap();
                    assert!(heard == bytes);
                    assert_eq!(writing.await.unwrap(), Ok(()));
                }
            });
        }
    }
    while let Some(done) = tokio::time::timeout(30 * SECOND, tasks.join_next()).await.expect("it hangs") {
        done.unwrap();
    }
    nothing_is_held(&[&a, &b]).await;
}
