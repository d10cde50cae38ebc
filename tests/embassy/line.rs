//! Serial lines, from one runner to another.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{ErrorType, Read};
use symbolon::embassy::{Buffers, LineRunner, Step};
use symbolon::serial::Line;
use symbolon::{Admission, Config, Connection, Event, ExchangeId, Instant, Limits, PeerId, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, duplex, split};

use crate::{Board, SECOND, board, identity, peer_id, seed, serve};

fn now() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}

/// A line that changes a byte now and then, while it is told to.
struct Noisy {
    inner: FromTokio<ReadHalf<DuplexStream>>,
    noisy: Rc<Cell<bool>>,
    count: usize,
}

impl ErrorType for Noisy {
    type Error = std::io::Error;
}

impl Read for Noisy {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let len = self.inner.read(buffer).await?;
        for byte in &mut buffer[..len] {
            self.count += 1;
            if self.noisy.get() && self.count.is_multiple_of(97) {
                *byte ^= 0x10;
            }
        }
        Ok(len)
    }
}

/// Runs one end of a line, which lets in this friend, and counts the sessions that came to stand.
async fn run(
    board: &Board,
    friend: PeerId,
    dials: bool,
    stream: DuplexStream,
    noisy: Rc<Cell<bool>>,
    sessions: &Cell<usize>,
) {
    let (rx, tx) = split(stream);
    let (mut rx_bytes, mut tx_bytes) = ([0; 64], [0; 64]);
    let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
    let rx = Noisy { inner: FromTokio::new(rx), noisy, count: 0 };
    let mut io = pin!(buffers.transport(rx, FromTokio::new(tx)));
    let friends = [friend];
    let mut seeds = || Some(seed());
    let runner = LineRunner::new(&board.device, &board.link, &friends, &mut seeds, &buffers, io.as_mut());
    let mut runner = if dials { runner.dialling() } else { runner };
    while let Some(step) = runner.next().await {
        match step {
            Step::Event(Event::Connected { .. }) => sessions.set(sessions.get() + 1),
            Step::Event(Event::Request { id, method, body, .. }) => {
                let (method, body) = (method.to_owned(), body.to_vec());
                if let Some(session) = runner.session() {
                    serve(session, id, &method, &body);
                }
            }
            _ => {}
        }
    }
}

/// Two boards, with the keys 1 and 2.
fn pair() -> (Board, Board) {
    let first = board();
    let mut second = board();
    let config = Config::new(identity(2)).with_limits(Limits::small()).unwrap();
    second.device = symbolon::embassy::Device::new(config, symbolon::Topics::new(9, Default::default()));
    (first, second)
}

#[tokio::test]
async fn a_line_carries_calls_through_noise_and_a_restart() {
    let (first, second) = pair();
    let noisy = Rc::new(Cell::new(false));
    let (here, there) = duplex(100);
    let (ours, theirs) = (Cell::new(0), Cell::new(0));
    let first_end = run(&first, peer_id(2), true, here, noisy.clone(), &ours);
    let second_end = run(&second, peer_id(1), false, there, noisy.clone(), &theirs);
    let script = async {
        let handle = first.link.handle();
        handle.connected().await;
        let mut reply = [0; 64];
        for number in 0..100_u8 {
            assert_eq!(handle.call_raw("echo", &[number; 60], &mut reply, None).await, Ok(&[number; 60][..]));
        }
        noisy.set(true);
        for _ in 0..50 {
            // Fails, or not: never wrong, never without end.
            if let Ok(reply) = handle.call_raw("echo", b"noise", &mut reply, Some(SECOND / 20)).await {
                assert_eq!(reply, b"noise");
            }
            tokio::task::yield_now().await;
        }
        noisy.set(false);
        loop {
            handle.connected().await;
            if handle.call_raw("echo", b"calm", &mut reply, Some(SECOND)).await == Ok(&b"calm"[..]) {
                break;
            }
        }
    };
    let all = async {
        tokio::select! {
            () = first_end => panic!("the line is over"),
            () = second_end => panic!("the line is over"),
            () = script => {}
        }
    };
    tokio::time::timeout(60 * SECOND, all).await.expect("within a minute");
    assert!(ours.get() > 0 && theirs.get() > 0);
}

/// The other end of a line, driven by hand: what it says last goes into one frame with its `close`.
struct ByHand {
    line: Line<Box<Connection>>,
    stream: DuplexStream,
}

impl ByHand {
    /// Begins a session with the board.
    fn dialling(stream: DuplexStream) -> Self {
        let config = Config::new(identity(2)).with_limits(Limits::small()).unwrap();
        let mut line = Line::new(config.limits());
        let initiator = Connection::initiator(&config, Admission::expect(peer_id(1)), seed(), now());
        line.dial(now(), Box::new(initiator));
        Self { line, stream }
    }

    fn session(&mut self) -> &mut Connection {
        self.line.running().expect("it stands")
    }

    /// Writes what there is, then reads once.
    async fn step(&mut self) -> Vec<u8> {
        while let Some(bytes) = self.line.poll_transmit(now()).map(<[u8]>::to_vec) {
            self.stream.write_all(&bytes).await.unwrap();
            self.line.advance_transmit(bytes.len());
        }
        let mut bytes = vec![0; 4096];
        let len = self.stream.read(&mut bytes).await.unwrap();
        bytes.truncate(len);
        bytes
    }

    fn hear(&mut self, bytes: &[u8]) {
        assert_eq!(self.line.handle_input(now(), bytes, || None), bytes.len());
    }

    /// Waits for a request.
    async fn asked(&mut self) -> ExchangeId {
        loop {
            let bytes = self.step().await;
            self.hear(&bytes);
            while let Some(event) = self.line.running().and_then(|session| session.poll_event()) {
                if let Event::Request { id, .. } = event {
                    return id;
                }
            }
        }
    }
}

/// A session that the peer ends with its last words in the same frame: that is no end of the line.
#[tokio::test]
async fn a_line_outlives_a_close_behind_last_words() {
    let (board, (here, there)) = (board(), duplex(4096));
    let sessions = Cell::new(0);
    let script = async {
        let mut peer = ByHand::dialling(there);
        let mut reply = [0; 8];
        let handle = board.link.handle();
        let asking = handle.call_raw("last", b"", &mut reply, Some(SECOND));
        let answering = async {
            let id = peer.asked().await;
            handle.close_now(Status::OK);
            // The answer waits, so that the `close` that answers the board's leaves with it.
            let close = peer.step().await;
            peer.session().respond(id, Status::OK, b"words").unwrap();
            peer.hear(&close);
            let _silent = tokio::time::timeout(SECOND / 10, peer.step()).await;
        };
        let connected = async {
            handle.connected().await;
            asking.await
        };
        let (reply, ()) = tokio::join!(connected, answering);
        assert_eq!(reply, Ok(&b"words"[..]));
        assert_eq!(handle.peer(), None);
    };
    let noisy = Rc::default();
    tokio::select! {
        () = run(&board, peer_id(2), false, here, noisy, &sessions) => panic!("the line is over"),
        () = script => {}
    }
    assert_eq!(sessions.get(), 1);
}
