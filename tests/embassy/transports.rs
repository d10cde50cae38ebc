//! What a transport may count on.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{ErrorType, Read, Write};
use symbolon::embassy::{Buffers, Device, Runner, Step};
use symbolon::{Admission, CloseReason, Config, Event, Limits, Role, Status, Timeouts, TopicLimits, Topics};
use tokio::io::{DuplexStream, ReadHalf, WriteHalf, split};

use crate::{board, host_device, meet, serve};

/// A transport that does not survive it when a read or write is given up half-way.
struct Fragile<T> {
    inner: T,
    /// How often that has happened.
    torn: Rc<Cell<usize>>,
}

/// Counts, unless it was told that all is well.
struct Torn(Rc<Cell<usize>>, bool);

impl Drop for Torn {
    fn drop(&mut self) {
        if !self.1 {
            self.0.set(self.0.get() + 1);
        }
    }
}

impl<T: ErrorType> ErrorType for Fragile<T> {
    type Error = T::Error;
}

impl<T: Read> Read for Fragile<T> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, T::Error> {
        let mut torn = Torn(self.torn.clone(), false);
        let read = self.inner.read(buffer).await;
        torn.1 = true;
        read
    }
}

impl<T: Write> Write for Fragile<T> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, T::Error> {
        let mut torn = Torn(self.torn.clone(), false);
        let written = self.inner.write(bytes).await;
        torn.1 = true;
        written
    }

    async fn flush(&mut self) -> Result<(), T::Error> {
        let mut torn = Torn(self.torn.clone(), false);
        let flushed = self.inner.flush().await;
        torn.1 = true;
        flushed
    }
}

type Rx = Fragile<FromTokio<ReadHalf<DuplexStream>>>;
type Tx = Fragile<FromTokio<WriteHalf<DuplexStream>>>;

fn fragile(stream: DuplexStream) -> (Rx, Tx, Rc<Cell<usize>>) {
    let torn = Rc::new(Cell::new(0));
    let (rx, tx) = split(stream);
    let rx = Fragile { inner: FromTokio::new(rx), torn: torn.clone() };
    let tx = Fragile { inner: FromTokio::new(tx), torn: torn.clone() };
    (rx, tx, torn)
}

/// Sentence 12: a step may be given up at any await, and the transport's own reads and writes go on all the same.
#[tokio::test]
async fn steps_are_given_up_and_reads_and_writes_are_not() {
    let (board, device) = (board(), host_device());
    let (connection, stream, host) = meet(&board, &device, false);
    let (rx, tx, torn) = fragile(stream);
    let (mut rx_bytes, mut tx_bytes) = ([0; 40], [0; 40]);
    let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
    let mut io = pin!(buffers.transport(rx, tx));
    let mut runner = Runner::new(&board.device, &board.link, connection, &buffers, io.as_mut());
    let script = tokio::spawn(async move {
        host.connected().await.unwrap();
        for number in 0..200_u32 {
            let body = [number as u8; 200];
            assert_eq!(host.call_raw("echo", &body, None).await.unwrap()[..], body);
        }
        host.close().await
    });
    let (mut given_up, mut closed) = (0, None);
    loop {
        // Dropped in almost each await.
        let step = tokio::select! {
            biased;
            step = runner.next() => step,
            () = std::future::ready(()) => {
                given_up += 1;
                tokio::task::yield_now().await;
                continue;
            }
        };
        match step {
            Some(Step::Event(Event::Request { id, method, body, .. })) => {
                let (method, body) = (method.to_owned(), body.to_vec());
                serve(runner.connection(), id, &method, &body);
            }
            Some(Step::Event(Event::Closed { reason })) => closed = Some(reason),
            Some(_) => {}
            None => break,
        }
        assert_eq!(torn.get(), 0, "a read or write was given up");
    }
    assert_eq!(closed, Some(CloseReason::Remote(Status::OK)));
    assert_eq!(script.await.unwrap(), CloseReason::Local(Status::OK));
    assert!(given_up > 100, "{given_up}");
}

/// A write that had to wait is done while the runner looks at something else: what is queued behind it leaves all the same.
/// No timer is on that would help it along.
#[tokio::test]
async fn what_waits_behind_a_slow_write_is_not_forgotten() {
    let mut board = board();
    let mut timeouts = Timeouts::default();
    (timeouts.silence, timeouts.answer) = (None, None);
    let config = Config::new(crate::identity(1)).with_limits(Limits::small()).unwrap();
    let config = config.with_timeouts(timeouts).unwrap();
    board.device = Device::new(config, Topics::new(7, TopicLimits::default()));
    let device = crate::host_builder().timeouts(timeouts).build().unwrap();
    let (ours, theirs) = tokio::io::duplex(16);
    let (host, runner) =
        device.attach(theirs, Role::Initiator, Admission::expect(crate::peer_id(1))).unwrap();
    tokio::spawn(runner.run());
    let connection = board.device.accept(Admission::expect(crate::peer_id(2)), crate::seed());
    crate::beside(&board, (connection, ours), async {
        host.connected().await.unwrap();
        for number in 0..200_u8 {
            assert_eq!(host.call_raw("echo", &[number; 300], None).await.unwrap()[..], [number; 300]);
        }
    })
    .await;
}

/// A transport that never takes a byte, and one that fails.
struct Stuck;
struct Failing;

impl ErrorType for Stuck {
    type Error = Infallible;
}

impl Write for Stuck {
    async fn write(&mut self, _bytes: &[u8]) -> Result<usize, Infallible> {
        std::future::pending().await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl ErrorType for Failing {
    type Error = embedded_io_async::ErrorKind;
}

impl Read for Failing {
    async fn read(&mut self, _buffer: &mut [u8]) -> Result<usize, Self::Error> {
        Err(embedded_io_async::ErrorKind::Other)
    }
}

impl Write for Failing {
    async fn write(&mut self, _bytes: &[u8]) -> Result<usize, Self::Error> {
        Err(embedded_io_async::ErrorKind::Other)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl Read for Stuck {
    async fn read(&mut self, _buffer: &mut [u8]) -> Result<usize, Infallible> {
        std::future::pending().await
    }
}

async fn end_of(rx: impl Read, tx: impl Write) -> Option<CloseReason> {
    let board = board();
    let connection = board.device.dial(crate::peer_id(2), crate::seed());
    let (mut rx_bytes, mut tx_bytes) = ([0; 40], [0; 40]);
    let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
    let mut io = pin!(buffers.transport(rx, tx));
    let mut runner = Runner::new(&board.device, &board.link, connection, &buffers, io.as_mut());
    tokio::time::timeout(15 * crate::SECOND, runner.run()).await.expect("an end")
}

#[tokio::test]
async fn a_transport_that_fails_ends_the_connection() {
    assert_eq!(end_of(Failing, Stuck).await, Some(CloseReason::Truncated));
    assert_eq!(end_of(Stuck, Failing).await, Some(CloseReason::Truncated));
}

#[tokio::test]
async fn one_that_is_stuck_ends_by_the_clock() {
    let begun = std::time::Instant::now();
    let reason = end_of(Stuck, Stuck).await;
    assert_eq!(reason, Some(CloseReason::TimedOut(symbolon::TimedOut::Handshake)));
    assert!(begun.elapsed() >= Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// A peer that never stops sending does not keep other tasks from running.
#[tokio::test]
async fn a_flood_leaves_others_their_turn() {
    struct Flood;
    impl ErrorType for Flood {
        type Error = Infallible;
    }
    impl Read for Flood {
        async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
            buffer.fill(7);
            Ok(buffer.len())
        }
    }
    let board = board();
    let (mut rx_bytes, mut tx_bytes) = ([0; 40], [0; 40]);
    let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
    let mut io = pin!(buffers.transport(Flood, Stuck));
    let friends = [crate::peer_id(2)];
    let mut seeds = || Some(crate::seed());
    let mut runner = symbolon::embassy::LineRunner::new(
        &board.device,
        &board.link,
        &friends,
        &mut seeds,
        &buffers,
        io.as_mut(),
    );
    let mut turns = 0;
    let others = async {
        while turns < 1_000 {
            tokio::task::yield_now().await;
            turns += 1;
        }
    };
    tokio::select! { () = runner.run() => panic!("it has ended"), () = others => {} }
}
