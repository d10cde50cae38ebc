//! Bodies in chunks: through handles, and served in the loop.

use std::collections::HashMap;
use std::pin::pin;

use embedded_io_adapters::tokio_1::FromTokio;
use symbolon::embassy::{BodyError, Buffers, CallError, Runner, Step, Unflushed};
use symbolon::{Connection, Event, ExchangeId, Limits, SendError, Status, tokio as host};
use tokio::io::{AsyncReadExt, split};
use tokio::task::LocalSet;

use crate::{Board, SECOND, beside, board, board_with, host_builder, host_device, meet, run};

/// Bytes like no others.
pub fn image(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i / 7) as u8).collect()
}

#[tokio::test]
async fn an_image_goes_up_and_comes_down_through_a_handle() {
    let board = board();
    let device = host_builder()
        .on_stream_raw("image/get", |_, _, exchange| async move {
            let mut body = exchange.reply.start(b"here").await?;
            body.write_all(&image(65_536)).await?;
            body.finish()?;
            Ok(())
        })
        .on_stream_raw("image/put", |_, head, mut exchange| async move {
            let mut got = Vec::new();
            exchange.body.read_to_end(&mut got).await.map_err(|_| Status::FAILED)?;
            let right = head[..] == *b"head" && got == image(65_536);
            exchange.reply.send(if right { "right" } else { "wrong" });
            Ok(())
        })
        .build()
        .unwrap();
    let (connection, stream, _host) = meet(&board, &device, false);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        let down = async {
            let mut head = [0; 16];
            let (head, mut body) = handle.fetch_raw("image/get", b"", &mut head, None).await.unwrap();
            assert_eq!(head, b"here");
            let (mut got, mut chunk) = (Vec::new(), [0; 500]);
            loop {
                match body.read(&mut chunk).await.unwrap() {
                    0 => break,
                    len => got.extend_from_slice(&chunk[..len]),
                }
            }
            assert!(got == image(65_536));
        };
        let up = async {
            let (mut writer, reply) = handle.open_raw("image/put", b"head", None).unwrap();
            let (bytes, mut at) = (image(65_536), 0);
            while at < bytes.len() {
                at += writer.write(&bytes[at..]).await.unwrap();
            }
            writer.finish().unwrap();
            let mut head = [0; 16];
            let (head, mut rest) = reply.wait(&mut head).await.unwrap();
            assert_eq!(head, b"right");
            assert_eq!(rest.read(&mut [0; 8]).await, Ok(0));
        };
        tokio::join!(down, up);
    })
    .await;
}

#[tokio::test]
async fn what_is_given_up_is_told_and_gives_its_place_back() {
    let board = board();
    let device = host_builder()
        .on_stream_raw("endless", |_, _, exchange| async move {
            let mut body = exchange.reply.start(b"").await?;
            while body.write_all(&[7; 1000]).await.is_ok() {}
            Ok(())
        })
        .on_stream_raw("cut", |_, _, exchange| async move {
            let mut body = exchange.reply.start(b"").await?;
            body.write_all(b"not all").await?;
            Err(Status::new(333).into())
        })
        .on_stream_raw("half", |_, _, mut exchange| async move {
            let mut got = Vec::new();
            let whole = exchange.body.read_to_end(&mut got).await;
            exchange.reply.send(if whole.is_ok() { "whole" } else { "cut" });
            Ok(())
        })
        .build()
        .unwrap();
    let (connection, stream, _host) = meet(&board, &device, true);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        for _ in 0..10 {
            let mut head = [0; 16];
            let (_, mut body) = handle.fetch_raw("endless", b"", &mut head, None).await.unwrap();
            assert!(body.read(&mut [0; 100]).await.unwrap() > 0);
            drop(body);
            let (_, mut body) = handle.fetch_raw("cut", b"", &mut [], None).await.unwrap();
            let mut chunk = [0; 100];
            let mut got = Vec::new();
            let end = loop {
                match body.read(&mut chunk).await {
                    Ok(len) => got.extend_from_slice(&chunk[..len]),
                    Err(error) => break error,
                }
            };
            assert_eq!(end, BodyError::Status(Status::new(333)));
            assert!(b"not all".starts_with(&got));
            drop(body);
            let (mut writer, reply) = handle.open_raw("half", b"", None).unwrap();
            writer.write(b"some").await.unwrap();
            drop(writer);
            assert_eq!(reply.wait(&mut head).await.unwrap().0, b"cut");
            // As many at once as there are places.
            let (_a, _b) =
                (handle.open_raw("half", b"", None).unwrap(), handle.open_raw("half", b"", None).unwrap());
            let _c = handle.open_raw("half", b"", None).unwrap();
            let full = handle.open_raw("half", b"", None).map(drop);
            assert_eq!(full, Err(CallError::Send(SendError::TooMany)));
            drop((_a, _b, _c));
        }
    })
    .await;
}

#[tokio::test]
async fn a_window_that_does_not_fit_is_refused() {
    let mut limits = Limits::small();
    limits.window = 3_000;
    let (board, device) = (board_with(1, limits), host_device());
    let (connection, stream, _host) = meet(&board, &device, true);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        let refused = handle.open_raw("echo", b"", None).map(drop);
        assert_eq!(refused, Err(CallError::Send(SendError::TooLarge { len: 3_000, max: 2_048 })));
    })
    .await;
}

/// A program of one loop serves both ways, with nothing but steps.
#[tokio::test]
async fn one_loop_serves_bodies_both_ways() {
    let (board, device) = (board(), host_device());
    let (connection, stream, host) = meet(&board, &device, false);
    let (rx, tx) = split(stream);
    let (mut rx_bytes, mut tx_bytes) = ([0; 64], [0; 64]);
    let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
    let mut io = pin!(buffers.transport(FromTokio::new(rx), Unflushed(FromTokio::new(tx))));
    let mut runner = Runner::new(&board.device, &board.link, connection, &buffers, io.as_mut());
    let serving = async {
        let (mut coming, mut going) = (HashMap::new(), HashMap::new());
        while let Some(step) = runner.next().await {
            let writable = match step {
                Step::Event(Event::Request { id, method: "put", .. }) => {
                    coming.insert(id, Vec::new());
                    None
                }
                Step::Event(Event::Data { id, chunk, cost }) => {
                    coming.get_mut(&id).unwrap().extend_from_slice(chunk);
                    runner.connection().release(id, cost).unwrap();
                    None
                }
                Step::Event(Event::End { id, status }) => {
                    assert_eq!(status, Status::OK);
                    let right = coming.remove(&id).unwrap() == image(65_536);
                    runner.connection().respond(id, Status::OK, &[right.into()]).unwrap();
                    None
                }
                Step::Event(Event::Request { id, method: "get", .. }) => {
                    let now = symbolon::Instant::from_micros(embassy_time::Instant::now().as_micros());
                    runner.connection().respond_more(now, id, b"head").unwrap();
                    going.insert(id, 0);
                    Some(id)
                }
                Step::Writable(id) => Some(id),
                _ => None,
            };
            if let Some(id) = writable {
                write_on(runner.connection(), id, going.get_mut(&id).unwrap());
            }
        }
    };
    let both = async {
        tokio::select! { () = serving => panic!("it has ended"), () = put_and_get(&host) => {} }
    };
    tokio::time::timeout(20 * SECOND, both).await.expect("within 20 s");
}

/// As much of the image as there is room for, and its end.
fn write_on(connection: &mut Connection, id: ExchangeId, at: &mut usize) {
    let bytes = image(65_536);
    while let Ok(taken @ 1..) = connection.write(id, &bytes[*at..]) {
        *at += taken;
    }
    if *at == bytes.len() {
        connection.finish(id).unwrap();
    }
}

/// The image up, and down again.
async fn put_and_get(host: &host::Handle) {
    host.connected().await.unwrap();
    let (mut writer, reply) = host.open_raw("put", b"", None).await.unwrap();
    writer.write_all(&image(65_536)).await.unwrap();
    writer.finish().unwrap();
    assert_eq!(reply.wait().await.unwrap().0[..], [1]);
    let (head, mut body) = host.fetch_raw("get", b"", None).await.unwrap();
    assert_eq!(head[..], *b"head");
    let mut got = Vec::new();
    body.read_to_end(&mut got).await.unwrap();
    assert!(got == image(65_536));
}

/// Each part in a task of its own, as in firmware: nobody may count on being polled because another one was woken.  The
/// request waits for its turn, and the writer for the request.
#[tokio::test]
async fn a_writer_in_a_task_of_its_own_is_woken() {
    let board: &'static Board = Box::leak(Box::new(board()));
    let device = host_builder()
        .on_stream_raw("image/put", |_, _, mut exchange| async move {
            let mut got = Vec::new();
            exchange.body.read_to_end(&mut got).await.map_err(|_| Status::FAILED)?;
            exchange.reply.send(if got == image(20_000) { "right" } else { "wrong" });
            Ok(())
        })
        .on_raw("slow", |_, _| async {
            tokio::time::sleep(SECOND / 20).await;
            Ok("at last".into())
        })
        .build()
        .unwrap();
    let tasks = LocalSet::new();
    let (connection, stream, _host) = meet(board, &device, true);
    tasks.spawn_local(run(board, connection, stream));
    let up = tasks.run_until(async {
        let handle = board.link.handle();
        handle.connected().await;
        for _ in 0..Limits::small().requests_out {
            tokio::task::spawn_local(async move {
                assert_eq!(handle.call_raw("slow", b"", &mut [0; 16], None).await.map(<[u8]>::len), Ok(7));
            });
        }
        tokio::task::yield_now().await;
        let (mut writer, reply) = handle.open_raw("image/put", b"", None).unwrap();
        let writing = tokio::task::spawn_local(async move {
            let (bytes, mut at) = (image(20_000), 0);
            while at < bytes.len() {
                at += writer.write(&bytes[at..]).await.unwrap();
            }
            writer.finish().unwrap();
        });
        let mut head = [0; 16];
        assert_eq!(reply.wait(&mut head).await.unwrap().0, b"right");
        writing.await.unwrap();
    });
    tokio::time::timeout(20 * SECOND, up).await.expect("within 20 s");
}
