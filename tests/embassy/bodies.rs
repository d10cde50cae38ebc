//! Requests of handles with bodies in chunks: types of their heads, and what their ends say.

use std::time::Duration;

use minicbor::{Decode, Encode};
use symbolon::embassy::{BodyError, BodyReader, BodyWriter, CallError, Device};
use symbolon::{
    BadBody, Config, EncodeError, Failure, Limits, Request, SendError, Status, Timeouts, TopicLimits, Topics,
    tokio as host,
};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use crate::streams::image;
use crate::stubborn::Stubborn;
use crate::{SECOND, beside, board_with, host_builder, identity, meet};

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
                assert_eq!(head, u64::from(len));
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
            assert!(late.is_err_and(|error| error.may_have_executed()));
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

/// What a host hears of the end of a body, whichever way it goes.  It hears it in tasks beside its handlers, which end with
/// their requests.
fn listening_host() -> (host::Device, mpsc::UnboundedReceiver<Result<(), BodyError>>) {
    let (hears, heard) = mpsc::unbounded_channel();
    let hears_of_reader = hears.clone();
    let builder = host_builder()
        .on_stream_raw("down", move |_, _, exchange| {
            let hears = hears.clone();
            async move {
                let mut body = exchange.reply.start(b"").await?;
                let writing = tokio::spawn(async move {
                    let end = loop {
                        if let Err(end) = body.write_all(&[7; 100]).await {
                            break end;
                        }
                    };
                    hears.send(Err(end)).unwrap();
                });
                writing.await.map_err(|_| Status::FAILED.into())
            }
        })
        .on_stream_raw("up", move |_, _, mut exchange| {
            let hears = hears_of_reader.clone();
            async move {
                let reading = tokio::spawn(async move {
                    let end = loop {
                        match exchange.body.chunk().await {
                            Ok(Some(_)) => {}
                            end => break end,
                        }
                    };
                    hears.send(end.map(drop)).unwrap();
                    exchange.reply.send("heard");
                });
                reading.await.map_err(|_| Status::FAILED.into())
            }
        });
    (builder.build().unwrap(), heard)
}

#[tokio::test]
async fn bodies_end_with_a_status_of_ones_own() {
    let (device, mut heard) = listening_host();
    let board = board_with(1, Limits::small());
    let (connection, stream, _host) = meet(&board, &device, true);
    beside(&board, (connection, stream), async {
        let handle = board.link.handle();
        handle.connected().await;
        let own = Status::new(301);
        for (status, hears) in [
            (Some(own), BodyError::Status(own)),
            (Some(Status::OK), BodyError::Cancelled),
            (None, BodyError::Cancelled),
        ] {
            // Of one that is under way, and of one that has hardly begun.
            for reads in [3, 0] {
                let (_, mut body) = handle.fetch_raw("down", b"", &mut [], None).await.unwrap();
                for _ in 0..reads {
                    assert!(body.read(&mut [0; 64]).await.unwrap() > 0);
                }
                match status {
                    Some(status) => body.stop(status),
                    None => drop(body),
                }
                assert_eq!(heard.recv().await, Some(Err(hears)), "{status:?} {reads}");
            }
        }
        for (status, hears) in
            [(Some(own), own), (Some(Status::OK), Status::CANCELLED), (None, Status::CANCELLED)]
        {
            for writes in [3, 0] {
                let (mut writer, reply) = handle.open_raw("up", b"", None).unwrap();
                for _ in 0..writes {
                    assert!(writer.write(&[7; 64]).await.unwrap() > 0);
                }
                match status {
                    Some(status) => writer.reset(status),
                    None => drop(writer),
                }
                assert_eq!(heard.recv().await, Some(Err(BodyError::Status(hears))), "{status:?} {writes}");
                // The request itself goes on.
                let mut head = [0; 8];
                assert_eq!(reply.wait(&mut head).await.unwrap().0, b"heard");
            }
        }
        // With the reader gone, so is the whole request.
        let (mut writer, reply) = handle.open_raw("up", b"", None).unwrap();
        writer.write(&[7; 64]).await.unwrap();
        tokio::time::sleep(SECOND / 10).await; // so that its handler has begun
        drop(reply);
        assert_eq!(heard.recv().await, Some(Err(BodyError::Cancelled)));
        assert_eq!(writer.write(&[7; 64]).await, Err(BodyError::Cancelled));
        writer.reset(own);
        let (writer, _reply) = handle.open_raw("up", b"", None).unwrap();
        writer.finish().unwrap();
        assert_eq!(heard.recv().await, Some(Ok(())));
    })
    .await;
}

/// A body that pauses, and how long it may.
#[tokio::test]
async fn a_body_may_pause_as_long_as_its_ends_say() {
    let mut board = board_with(1, Limits::small());
    let device_with = |idle| {
        let mut timeouts = Timeouts::default();
        timeouts.body_idle = idle;
        let config = Config::new(identity(1)).with_limits(Limits::small()).unwrap();
        Device::new(config.with_timeouts(timeouts).unwrap(), Topics::new(7, TopicLimits::default()))
    };
    let (short, long) = (Some(SECOND / 10), Some(10 * SECOND));
    let device = gallery(SECOND / 2);
    for (idle, own, fails) in [
        (short, None, true),
        (short, Some(None), false),
        (short, Some(long), false),
        (long, None, false),
        (long, Some(short), true),
        (long, Some(Some(Duration::ZERO)), true),
    ] {
        board.device = device_with(idle);
        let (connection, stream, _host) = meet(&board, &device, false);
        beside(&board, (connection, stream), async {
            let handle = board.link.handle();
            handle.connected().await;
            let (_, mut body) = handle.fetch(&Photo { len: 1_000 }).await.unwrap();
            if let Some(idle) = own {
                body.set_idle(idle);
            }
            let (mut got, mut chunk) = (0, [0; 500]);
            let end = loop {
                match body.read(&mut chunk).await {
                    Ok(0) => break Ok(()),
                    Ok(len) => got += len,
                    Err(error) => break Err(error),
                }
            };
            let expected = if fails { Err(BodyError::Stalled) } else { Ok(()) };
            assert_eq!(end, expected, "{idle:?} {own:?}");
            assert_eq!(got == 1_000, !fails);
            drop(body);
            // A writer, which says so before its request has left.
            let (mut writer, reply) = handle.open(&Store { name: "name".into() }).unwrap();
            if let Some(idle) = own {
                writer.set_idle(idle);
            }
            tokio::time::sleep(SECOND / 4).await;
            let written = async {
                writer.write(&[0]).await?;
                writer.finish()
            };
            assert_eq!(written.await, expected, "{idle:?} {own:?}");
            let failed = fails.then_some(CallError::Failed(Failure::Stalled));
            assert_eq!(reply.wait().await.map(drop).err(), failed);
        })
        .await;
    }
}
