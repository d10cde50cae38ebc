//! What the adapter takes of the heap once a connection stands: nothing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorType, Read, Write};
use minicbor::{Decode, Encode};
use symbolon::embassy::{Buffers, CallError, Device, Handle, Link, Runner, Step};
use symbolon::{
    Admission, Config, Connection, EncodeError, Event, ExchangeId, Kind, Limits, Request, SendError, Status,
    Topic, TopicId, TopicLimits, Topics,
};

use crate::meter::{metered, usage};
use crate::stubborn::Stubborn;
use crate::{Board, board_with, identity, peer_id, seed};

/// Bytes on their way, in memory that is there from the start; whoever waits is polled again anyway.
struct Pipe(RefCell<VecDeque<u8>>);

impl Pipe {
    fn new() -> Self {
        Self(RefCell::new(VecDeque::with_capacity(1024)))
    }
}

impl ErrorType for &Pipe {
    type Error = Infallible;
}

impl Read for &Pipe {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|_| {
            let mut bytes = self.0.borrow_mut();
            let len = bytes.len().min(buffer.len());
            buffer.iter_mut().zip(bytes.drain(..len)).for_each(|(place, byte)| *place = byte);
            if len == 0 { Poll::Pending } else { Poll::Ready(Ok(len)) }
        })
        .await
    }
}

impl Write for &Pipe {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Infallible> {
        poll_fn(|_| {
            let mut bytes = self.0.borrow_mut();
            let len = buffer.len().min(bytes.capacity() - bytes.len());
            bytes.extend(&buffer[..len]);
            if len == 0 { Poll::Pending } else { Poll::Ready(Ok(len)) }
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Polls both sides and the script in turns until that has ended; what the peer allocates is not metered.
fn drive<T>(
    mut ours: Pin<&mut dyn Future<Output = ()>>,
    mut theirs: Pin<&mut dyn Future<Output = ()>>,
    script: impl Future<Output = T>,
) -> T {
    let (mut script, mut task) = (pin!(script), Context::from_waker(Waker::noop()));
    loop {
        assert!(theirs.as_mut().poll(&mut task).is_pending(), "the peer has ended");
        if let Poll::Ready(result) = metered(|| {
            assert!(ours.as_mut().poll(&mut task).is_pending(), "the board has ended");
            script.as_mut().poll(&mut task)
        }) {
            return result;
        }
    }
}

/// What the peer has to serve with.
struct Peer<'d> {
    device: &'d Device,
    weather: TopicId,
}

/// Runs a board against a peer, also of this adapter, that serves in its loop.
fn beside<T>(
    board: &Board,
    serve: impl Fn(&Peer<'_>, &mut Connection, ExchangeId, &str, &[u8]),
    script: impl Future<Output = T>,
) -> T {
    let mut topics = Topics::new(8, TopicLimits::default());
    let weather = topics.declare("weather", Kind::State).unwrap();
    let config = Config::new(identity(2)).with_limits(Limits::small()).unwrap();
    let (device, link) = (Device::new(config, topics), Link::none());
    let (up, down) = (Pipe::new(), Pipe::new());
    let (mut rx_bytes, mut tx_bytes, mut rx_theirs, mut tx_theirs) = ([0; 64], [0; 64], [0; 64], [0; 64]);
    let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
    let mut io = pin!(buffers.transport(&down, &up));
    let connection = board.device.accept(Admission::Only(vec![peer_id(2)]), seed());
    let mut runner = Runner::new(&board.device, &board.link, connection, &buffers, io.as_mut());
    let ours = pin!(async { assert_eq!(runner.run().await, None) });
    let buffers = Buffers::new(&mut rx_theirs, &mut tx_theirs);
    let mut io = pin!(buffers.transport(&up, &down));
    let connection = device.dial(peer_id(1), seed());
    let mut runner = Runner::new(&device, &link, connection, &buffers, io.as_mut());
    let theirs = pin!(async {
        while let Some(step) = runner.next().await {
            if let Step::Event(Event::Request { id, method, body, .. }) = step {
                let (method, body) = (method.to_owned(), body.to_vec());
                serve(&Peer { device: &device, weather }, runner.connection(), id, &method, &body);
            }
        }
    });
    drive(ours, theirs, script)
}

/// How often something is allocated meanwhile.
async fn allocations(script: impl Future<Output = ()>) -> usize {
    let before = usage().count;
    script.await;
    usage().count - before
}

#[derive(Debug, Decode, Encode)]
struct Blink {
    #[n(0)]
    times: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    pattern: [u8; 40],
}

impl Request for Blink {
    const METHOD: &'static str = "lamp/blink";
    type Reply = u32;
}

/// One that owns memory, so that as much as one likes fits it.
#[derive(Debug, Decode, Encode)]
struct Text(#[n(0)] String);

impl Request for Text {
    const METHOD: &'static str = "lamp/text";
    type Reply = ();
}

async fn blink(peer: Handle<'_>, count: u32) {
    for times in 0..count {
        assert_eq!(peer.call(&Blink { times, pattern: [times as u8; 40] }).await, Ok(2 * times));
    }
}

#[test]
fn a_typed_call_allocates_nothing() {
    let board = board_with(1, Limits::small());
    let serve = |_: &Peer<'_>, connection: &mut Connection, id, method: &str, body: &[u8]| {
        assert_eq!(method, "lamp/blink");
        let Blink { times, pattern } = symbolon::from_bytes(body).unwrap();
        assert_eq!(pattern, [times as u8; 40]);
        connection.respond(id, Status::OK, &symbolon::to_bytes(&(2 * times)).unwrap()).unwrap();
    };
    beside(&board, serve, async {
        let peer = board.link.handle();
        peer.connected().await;
        assert_eq!(allocations(blink(peer, 100)).await, 0);
        // Nothing of what does not fit is sent, and its place is free again: the share is of 4,096 bytes.
        let (most, text) = (4_096 - "lamp/text".len() - 4, |len| Text("x".repeat(len)));
        for over in 1..10 {
            let refused = peer.call(&text(most + over)).await;
            let error = SendError::TooLarge { len: 4_096 + over, max: 4_096 };
            assert_eq!(refused, Err(CallError::Send(error)));
            assert!(matches!(peer.call(&Stubborn).await, Err(CallError::Encode(EncodeError))));
        }
        // It fits the memory, and no frame.
        let refused = peer.call(&text(most)).await;
        assert!(
            matches!(refused, Err(CallError::Send(SendError::TooLarge { max, .. })) if max != 4_096),
            "{refused:?}"
        );
        blink(peer, 1).await;
    });
}

#[derive(Debug, Decode, Encode, Eq, PartialEq)]
struct Weather(#[n(0)] u32);

impl Topic for Weather {
    const TOPIC: &'static str = "weather";
    const KIND: Kind = Kind::State;
}

/// A subscription, and what this side publishes once its table has its buffers.
#[test]
fn publications_allocate_nothing() {
    let board = board_with(2, Limits::small());
    let serve = |peer: &Peer<'_>, connection: &mut Connection, id, _: &str, body: &[u8]| {
        peer.device.publish(peer.weather, body).unwrap();
        connection.respond(id, Status::OK, &[]).unwrap();
    };
    beside(&board, serve, async {
        let peer = board.link.handle();
        peer.connected().await;
        // One buffer for the value, and one for the next.
        board.device.publish(board.state, b"on").unwrap();
        board.device.publish(board.state, b"off").unwrap();
        let script = async {
            let mut weather = peer.subscribe::<Weather>().await.unwrap();
            for number in 0..100 {
                let mut body = [0; 8];
                let body = symbolon::to_slice(&Weather(number), &mut body).unwrap();
                assert_eq!(peer.call_raw("publish", body, &mut [], None).await, Ok(&[][..]));
                assert_eq!(weather.next().await, Some(Ok(Weather(number))));
                board.device.publish(board.state, b"off").unwrap();
            }
        };
        assert_eq!(allocations(script).await, 0);
    });
}

/// A body in chunks takes its record and its buffer, which are the connection's, and nothing for what goes through them.
#[test]
fn bodies_allocate_what_the_connection_does() {
    let board = board_with(1, Limits::small());
    let serve = |_: &Peer<'_>, connection: &mut Connection, id, _: &str, _: &[u8]| {
        let now = symbolon::Instant::from_micros(embassy_time::Instant::now().as_micros());
        connection.respond_more(now, id, b"head").unwrap();
        assert_eq!(connection.write(id, &[7; 100]), Ok(100));
        connection.finish(id).unwrap();
    };
    beside(&board, serve, async {
        let peer = board.link.handle();
        peer.connected().await;
        let script = async {
            for _ in 0..10 {
                let (mut head, mut chunk) = ([0; 8], [0; 30]);
                let (_, mut body) = peer.fetch_raw("image", b"", &mut head, None).await.unwrap();
                while body.read(&mut chunk).await.unwrap() > 0 {}
            }
        };
        assert!(allocations(script).await <= 2 * 10);
    });
}
