//! Answers that are given by another task than the one with the loop.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use embedded_io_adapters::tokio_1::FromTokio;
use symbolon::embassy::{Buffers, CallError, Responder, Runner, Step, Unflushed};
use symbolon::tokio::{CallError as HostError, Device, Handle as HostHandle};
use symbolon::{Connection, Event, Limits, SendError, Status};
use tokio::io::{DuplexStream, split};

use crate::{Board, SECOND, board_with, host_builder, host_device, meet};

/// Requests that are to be answered, in their order.
type Requests<'d> = RefCell<VecDeque<Responder<'d>>>;

/// Runs a board whose loop leaves each request to the script.
async fn beside(
    board: &Board,
    (connection, stream): (Connection, DuplexStream),
    script: impl AsyncFnOnce(&Requests<'_>),
) {
    let (rx, tx) = split(stream);
    let (mut rx_bytes, mut tx_bytes) = ([0; 100], [0; 90]);
    let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
    let mut io = pin!(buffers.transport(FromTokio::new(rx), Unflushed(FromTokio::new(tx))));
    let requests: Requests<'_> = RefCell::default();
    let mut runner = Runner::new(&board.device, &board.link, connection, &buffers, io.as_mut());
    let looping = async {
        while let Some(step) = runner.next().await {
            if let Step::Event(Event::Request { id, .. }) = step {
                requests.borrow_mut().push_back(runner.responder(id));
            }
        }
        panic!("the connection has ended: {:?}", runner.reason());
    };
    let both = async {
        tokio::select! { () = looping => {}, () = script(&requests) => {} }
    };
    tokio::time::timeout(20 * SECOND, both).await.expect("within 20 s");
}

/// So many requests of the host's, and the responders for them.
async fn ask<'d>(
    host: &HostHandle,
    requests: &Requests<'d>,
    count: usize,
) -> (Vec<tokio::task::JoinHandle<Result<Vec<u8>, HostError>>>, Vec<Responder<'d>>) {
    let calls = (0..count).map(|_| {
        let host = host.clone();
        tokio::spawn(async move { host.call_raw("later", b"", None).await.map(|reply| reply.to_vec()) })
    });
    let calls = calls.collect();
    while requests.borrow().len() < count {
        tokio::task::yield_now().await;
    }
    (calls, requests.take().into())
}

/// To calls of "never".
fn host_that_never_answers() -> Device {
    let never = |_, _| async { std::future::pending().await };
    host_builder().on_raw("never", never).build().unwrap()
}

/// Polls once what is expected to wait.
macro_rules! assert_waits {
    ($future:expr) => {
        tokio::select! {
            biased;
            result = $future.as_mut() => panic!("it does not wait: {result:?}"),
            () = std::future::ready(()) => {}
        }
    };
}

#[tokio::test]
async fn an_answer_waits_for_an_exchange_and_goes_before_calls() {
    let board = board_with(1, Limits::small());
    let device = host_that_never_answers();
    let (connection, stream, host) = meet(&board, &device, false);
    beside(&board, (connection, stream), async |requests| {
        let handle = board.link.handle();
        handle.connected().await;
        let (mut reply, mut other) = ([0; 8], [0; 8]);
        let mut call = Box::pin(handle.call_raw("never", b"", &mut reply, None));
        assert_waits!(call);
        let (calls, responders) = ask(&host, requests, 2).await;
        let [one, two] = responders.try_into().unwrap();
        let (mut one, mut two) =
            (pin!(one.respond(Status::OK, b"one")), pin!(two.respond(Status::OK, b"two")));
        assert_waits!(one);
        assert_waits!(two);
        drop(call);
        let called = handle.call_raw("echo", b"", &mut other, None).await;
        assert_eq!(called, Err(CallError::Send(SendError::TooMany)), "answers come first");
        assert!(called.is_err_and(|error| !error.may_have_executed()));
        assert_eq!(tokio::join!(one, two), (Ok(()), Ok(())));
        let mut replies = Vec::new();
        for call in calls {
            replies.push(call.await.unwrap().unwrap());
        }
        replies.sort();
        assert_eq!(replies, [b"one", b"two"]);
        assert_eq!(handle.call_raw("echo", b"me", &mut other, None).await, Ok(&b"me"[..]));
    })
    .await;
}

/// Sentence 9: none is without an answer because its responder is gone.
#[tokio::test]
async fn a_responder_that_is_gone_has_failed() {
    for exchanges in [0, 1] {
        let (board, device) = (board_with(exchanges, Limits::small()), host_device());
        let (connection, stream, host) = meet(&board, &device, false);
        beside(&board, (connection, stream), async |requests| {
            host.connected().await.unwrap();
            for _ in 0..20 {
                let (calls, responders) = ask(&host, requests, 2).await;
                drop(responders);
                for call in calls {
                    assert_eq!(status(call.await.unwrap()), Status::FAILED);
                }
            }
            let (mut calls, mut responders) = ask(&host, requests, 1).await;
            let answered = responders.remove(0).respond(Status::OK, &[0; 5_000]).await;
            if exchanges == 0 {
                assert_eq!(answered, Err(SendError::TooMany));
                assert_eq!(status(calls.remove(0).await.unwrap()), Status::FAILED);
            } else {
                assert!(matches!(answered, Err(SendError::TooLarge { .. })), "{answered:?}");
                assert_eq!(status(calls.remove(0).await.unwrap()), Status::TOO_LARGE);
            }
        })
        .await;
    }
}

fn status(reply: Result<Vec<u8>, HostError>) -> Status {
    match reply {
        Err(HostError::Status(status, _)) => status,
        other => panic!("{other:?}"),
    }
}

/// Sentence 12: the answer was given, or its place is taken by a failure.
#[tokio::test]
async fn an_answer_that_is_given_up_is_a_failure() {
    let (board, device) = (board_with(1, Limits::small()), host_device());
    let (connection, stream, host) = meet(&board, &device, false);
    beside(&board, (connection, stream), async |requests| {
        host.connected().await.unwrap();
        let (mut calls, mut responders) = ask(&host, requests, 1).await;
        {
            let mut answer = pin!(responders.remove(0).respond(Status::OK, b"late"));
            assert_waits!(answer);
        }
        assert_eq!(status(calls.remove(0).await.unwrap()), Status::FAILED);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_does_not_wait() {
    let board = board_with(1, Limits::small());
    let device = host_that_never_answers();
    let (connection, stream, host) = meet(&board, &device, false);
    beside(&board, (connection, stream), async |requests| {
        let handle = board.link.handle();
        handle.connected().await;
        let mut reply = [0; 8];
        let mut call = pin!(handle.call_raw("never", b"", &mut reply, None));
        assert_waits!(call);
        let asking = host.call_raw("later", b"", Some(Duration::from_millis(50)));
        let answering = async {
            while requests.borrow().is_empty() {
                tokio::task::yield_now().await;
            }
            let responder = requests.borrow_mut().pop_front().unwrap();
            responder.respond(Status::OK, b"late").await
        };
        let (asked, answered) = tokio::join!(asking, answering);
        assert!(asked.is_err(), "{asked:?}");
        assert_eq!(answered, Err(SendError::UnknownExchange));
    })
    .await;
}

/// Exchanges of two connections have the same numbers: an answer never reaches the wrong one.
#[tokio::test]
async fn a_runner_whose_link_was_taken_answers_nobody() {
    let (board, device) = (board_with(1, Limits::small()), host_device());
    let (connection, stream, host) = meet(&board, &device, false);
    let (rx, tx) = split(stream);
    let (mut rx_bytes, mut tx_bytes) = ([0; 100], [0; 90]);
    let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
    let mut io = pin!(buffers.transport(FromTokio::new(rx), Unflushed(FromTokio::new(tx))));
    let mut runner = Runner::new(&board.device, &board.link, connection, &buffers, io.as_mut());
    let asking = tokio::spawn(async move {
        host.connected().await.unwrap();
        host.call_raw("later", b"", None).await
    });
    let request = async {
        loop {
            if let Some(Step::Event(Event::Request { id, .. })) = runner.next().await {
                break id;
            }
        }
    };
    let id = tokio::time::timeout(20 * SECOND, request).await.unwrap();
    let (next, stream, host) = meet(&board, &device, false);
    let mut theirs = None;
    beside(&board, (next, stream), async |requests| {
        host.connected().await.unwrap();
        let (calls, responders) = ask(&host, requests, 1).await;
        let answered = runner.responder(id).respond(Status::OK, b"for the first").await;
        assert_eq!(answered, Err(SendError::UnknownExchange));
        let [responder] = responders.try_into().unwrap();
        responder.respond(Status::OK, b"for the second").await.unwrap();
        for call in calls {
            theirs = Some(call.await.unwrap().unwrap());
        }
    })
    .await;
    assert_eq!(theirs.as_deref(), Some(&b"for the second"[..]));
    asking.abort();
}
