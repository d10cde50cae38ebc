//! Bodies in chunks: through handles, and served in the loop.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use embedded_io_adapters::tokio_1::FromTokio;
use minicbor::{Decode, Encode};
use symbolon::embassy::{BodyError, BodyReader, BodyWriter, Buffers, CallError, Runner, Step, Unflushed};
use symbolon::{
    BadBody, Connection, EncodeError, Event, ExchangeId, Failure, Limits, Request, SendError, Status,
    tokio as host,
};
use tokio::io::{AsyncReadExt, split};
use tokio::task::LocalSet;

use crate::stubborn::Stubborn;
use crate::{Board, SECOND, beside, board, board_with, host_builder, host_device, meet, run};

/// Bytes like no others.
fn image(len: usize) -> Vec<u8> {
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

#[derive(Debug, Decode, Encode)]
struct Photo {
    #[n(0)]
    len: u32,
}

impl Request for Photo {
    const METHOD: &'static str = "photo";
    type Reply = u64;
}

/// The same, expected to be answered by something else.
#[derive(Debug, Decode, Encode)]
struct Misread {
    #[n(0)]
    len: u32,
}

impl Request for Misread {
    const METHOD: &'static str = "photo";
    type Reply = String;
}

#[derive(Debug, Decode, Encode)]
struct Store {
    #[n(0)]
    name: String,
}

impl Request for Store {
    const METHOD: &'static str = "store";
    type Reply = u32;
}

/// Never answers.
#[derive(Debug, Decode, Encode)]
struct Never;

impl Request for Never {
    const METHOD: &'static str = "never";
    type Reply = u32;
}

/// A host that gives photos, in halves with a pause between them, and stores them.
fn gallery(pause: Duration) -> host::Device {
    host_builder()
        .on_stream(move |_, Photo { len }, exchange| async move {
            let mut body = exchange.reply.start(&len.into()).await?;
            let bytes = image(len as usize);
            let (one, two) = bytes.split_at(bytes.len() / 2);
            body.write_all(one).await?;
            tokio::time::sleep(pause).await;
            body.write_all(two).await?;
            Ok(body.finish()?)
        })
        .on_stream(|_, Store { name }, mut exchange| async move {
            let mut got = Vec::new();
            exchange.body.read_to_end(&mut got).await.map_err(|_| Status::FAILED)?;
            let right = name == "name" && got == image(got.len());
            Ok(exchange.reply.send(&if right { got.len() as u32 } else { 0 })?)
        })
        .on_stream(|_, Never, _exchange| async { std::future::pending().await })
        .build()
        .unwrap()
}

async fn read_all(mut body: BodyReader<'_>) -> Vec<u8> {
    let (mut got, mut chunk) = (Vec::new(), [0; 500]);
    while let len @ 1.. = body.read(&mut chunk).await.unwrap() {
        got.extend_from_slice(&chunk[..len]);
    }
    got
}

async fn write_all(mut writer: BodyWriter<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let taken = writer.write(bytes).await.unwrap();
        bytes = &bytes[taken..];
    }
    writer.finish().unwrap();
}

#[tokio::test]
async fn heads_have_types() {
    let (board, device) = (board_with(2, Limits::small()), gallery(Duration::ZERO));
    let (connection, stream, _host) = meet(&board, &device, false);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        assert!(matches!(handle.fetch(&Never).await, Err(CallError::Send(SendError::NotConnected))));
        handle.connected().await;
        let down = async {
            for len in [0, 1, 20_000] {
                let (head, body) = handle.fetch(&Photo { len }).await.unwrap();
                assert_eq!(head, len.into());
                assert!(read_all(body).await == image(len as usize));
            }
        };
        let up = async {
            for len in [0, 1, 20_000] {
                let (writer, reply) = handle.open(&Store { name: "name".into() }).unwrap();
                write_all(writer, &image(len)).await;
                let (head, mut rest) = reply.wait().await.unwrap();
                assert_eq!((head, rest.read(&mut [0; 8]).await), (len as u32, Ok(0)));
            }
        };
        tokio::join!(down, up);
    })
    .await;
}

/// What fails gives its place back, of which there is one, and nothing of it is sent where it cannot be encoded.
#[tokio::test]
async fn heads_that_are_not_of_their_type_give_the_exchange_up() {
    let (board, device) = (board_with(1, Limits::small()), gallery(Duration::ZERO));
    let (connection, stream, _host) = meet(&board, &device, true);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        for _ in 0..10 {
            assert!(matches!(handle.fetch(&Stubborn).await, Err(CallError::Encode(EncodeError))));
            assert!(matches!(handle.open(&Stubborn), Err(CallError::Encode(EncodeError))));
            let refused = handle.open(&Store { name: "x".repeat(5_000) }).map(drop);
            assert!(matches!(refused, Err(CallError::Send(SendError::TooLarge { max: 4_096, .. }))));
            let misread = handle.fetch(&Misread { len: 100_000 }).await.map(drop);
            assert_eq!(misread, Err(CallError::BadBody(BadBody)));
        }
        let (head, body) = handle.fetch(&Photo { len: 9 }).await.unwrap();
        assert_eq!((head, read_all(body).await), (9, image(9)));
    })
    .await;
}

/// The time of a typed request is for its head: what follows takes as long as something moves.
#[tokio::test]
async fn a_head_is_waited_for_and_a_body_has_its_time() {
    let mut board = board_with(1, Limits::small());
    board.device = board.device.with_call_timeout(SECOND / 5);
    let device = gallery(SECOND / 2);
    let (connection, stream, _host) = meet(&board, &device, false);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        for _ in 0..3 {
            let late = handle.fetch(&Never).await.map(drop);
            assert_eq!(late, Err(CallError::Failed(Failure::DeadlinePassed)));
        }
        let (head, body) = handle.fetch(&Photo { len: 5_000 }).await.unwrap();
        assert_eq!((head, read_all(body).await.len()), (5_000, 5_000));
        let (writer, reply) = handle.open(&Store { name: "name".into() }).unwrap();
        tokio::time::sleep(SECOND / 2).await;
        write_all(writer, &image(5_000)).await;
        assert_eq!(reply.wait().await.unwrap().0, 5_000);
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
