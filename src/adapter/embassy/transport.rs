//! Bytes in and out of a transport, through the caller's two buffers.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::{Future, pending, poll_fn};
use core::pin::pin;
use core::task::Poll;

use embedded_io_async::{ErrorType, Read, Write};

/// The two buffers between a transport and a [`Runner`](super::Runner): the caller's memory, of any length from 1.
///
/// A read and a write are under way at the same time, each on a buffer of its own.  How long they are decides how often
/// the transport is asked, and nothing else: frames may be longer, or shorter.  256 bytes each are plenty for a UART.
///
/// ```
/// use core::pin::pin;
/// use symbolon::embassy::Buffers;
/// # use embedded_io_async::{Read, Write};
/// # async fn example(rx: impl Read, tx: impl Write) {
/// let (mut rx_bytes, mut tx_bytes) = ([0; 256], [0; 256]);
/// let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
/// let mut io = pin!(buffers.transport(rx, tx)); // now a runner can have `&buffers` and `io.as_mut()`
/// # let _: core::pin::Pin<&mut dyn Future<Output = core::convert::Infallible>> = io.as_mut();
/// # }
/// ```
#[derive(Debug)]
pub struct Buffers<'b> {
    ways: RefCell<Ways<'b>>,
}

#[derive(Debug)]
struct Ways<'b> {
    /// The buffer to read into, while nobody reads.
    empty: Option<&'b mut [u8]>,
    received: Option<Received<'b>>,
    /// The stream has ended.
    eof: bool,
    /// The buffer to fill, while nobody writes.
    free: Option<&'b mut [u8]>,
    /// One to be written, and how much of it.
    full: Option<(&'b mut [u8], usize)>,
    /// The transport takes no more.
    broken: bool,
}

/// What a read gave, and how much of it was taken.
#[derive(Debug)]
struct Received<'b> {
    buffer: &'b mut [u8],
    len: usize,
    taken: usize,
}

/// The runner's side of the buffers, whosever memory it is.
pub(super) trait Ports {
    /// Lends bytes that came to `take`, which says how many it took; whether there were any.
    fn read(&self, take: &mut dyn FnMut(&[u8]) -> usize) -> bool;
    /// Has bytes written, if nothing else is: as many as `fill` puts into the buffer.  Whether there were any.
    fn write(&self, fill: &mut dyn FnMut(&mut [u8]) -> usize) -> bool;
    /// Whether nothing more comes: the stream has ended, or the transport failed, and all that came was taken.
    fn is_over(&self) -> bool;
    /// Whether all bytes have been written, or never will be.
    fn is_written(&self) -> bool;
}

impl Ports for Buffers<'_> {
    fn read(&self, take: &mut dyn FnMut(&[u8]) -> usize) -> bool {
        let ways = &mut *self.ways.borrow_mut();
        let Some(received) = &mut ways.received else { return false };
        let more = take(&received.buffer[received.taken..received.len]);
        received.taken += more;
        if received.taken >= received.len {
            ways.empty = ways.received.take().map(|received| received.buffer);
        }
        more > 0
    }

    fn write(&self, fill: &mut dyn FnMut(&mut [u8]) -> usize) -> bool {
        let ways = &mut *self.ways.borrow_mut();
        let Some(buffer) = ways.free.take_if(|_| !ways.broken) else { return false };
        match fill(buffer) {
            0 => ways.free = Some(buffer),
            len => ways.full = Some((buffer, len)),
        }
        ways.full.is_some()
    }

    fn is_over(&self) -> bool {
        let ways = self.ways.borrow();
        (ways.eof || ways.broken) && ways.received.is_none()
    }

    fn is_written(&self) -> bool {
        let ways = self.ways.borrow();
        ways.free.is_some() || ways.broken
    }
}

impl<'b> Buffers<'b> {
    /// With these two: where bytes arrive, and from where they leave.
    pub fn new(rx: &'b mut [u8], tx: &'b mut [u8]) -> Self {
        let ways =
            Ways { empty: Some(rx), received: None, free: Some(tx), full: None, eof: false, broken: false };
        Self { ways: RefCell::new(ways) }
    }

    /// The transport at work: to be pinned, and lent to a [`Runner`](super::Runner), which polls it.
    ///
    /// Reading and writing go on side by side, and neither is dropped because the other has finished: not each
    /// transport would survive that without losing bytes.  Whatever is dropped with this future is dropped with the
    /// connection.  A transport that fails, or ends, is told to the connection as the end of the stream.
    ///
    /// When nothing more waits to be written, `tx` is flushed, and nothing is written until that is done.  Where a flush
    /// waits for the other side, as that of a TCP socket does, wrap it in [`Unflushed`].
    pub async fn transport(&self, rx: impl Read, tx: impl Write) -> Infallible {
        let mut reading = pin!(self.read_on(rx));
        let mut writing = pin!(self.write_on(tx));
        poll_fn(|task| {
            // Neither ever ends.
            let _: Poll<Infallible> = reading.as_mut().poll(task);
            writing.as_mut().poll(task)
        })
        .await
    }

    // No wakers between these two and the runner: it polls them in its own task, whenever it has changed something.

    async fn read_on(&self, mut rx: impl Read) -> Infallible {
        loop {
            let buffer =
                poll_fn(|_| self.ways.borrow_mut().empty.take().map_or(Poll::Pending, Poll::Ready)).await;
            let len = rx.read(buffer).await.unwrap_or(0).min(buffer.len());
            if len == 0 {
                self.ways.borrow_mut().eof = true;
                return pending().await;
            }
            self.ways.borrow_mut().received = Some(Received { buffer, len, taken: 0 });
        }
    }

    async fn write_on(&self, mut tx: impl Write) -> Infallible {
        let mut flushed = true;
        loop {
            let next = poll_fn(|_| match self.ways.borrow_mut().full.take() {
                Some(full) => Poll::Ready(Some(full)),
                None if flushed => Poll::Pending,
                None => Poll::Ready(None),
            });
            let written = match next.await {
                Some((buffer, len)) => {
                    flushed = false;
                    let written = write_all(&mut tx, &buffer[..len]).await;
                    self.ways.borrow_mut().free = Some(buffer);
                    // The runner fills it again before the flush, where it has more.
                    yield_once().await;
                    written
                }
                None => {
                    flushed = true;
                    tx.flush().await.map_err(drop)
                }
            };
            if written.is_err() {
                self.ways.borrow_mut().broken = true;
                return pending().await;
            }
        }
    }
}

async fn write_all(tx: &mut impl Write, mut bytes: &[u8]) -> Result<(), ()> {
    while !bytes.is_empty() {
        let written = tx.write(bytes).await.map_err(drop)?;
        bytes = bytes.get(written..).filter(|_| written > 0).ok_or(())?;
    }
    Ok(())
}

/// Pending once, without a waker: whoever polls does so again before it sleeps.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|_| if core::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// A transport's writing half that needs no flush to pass its bytes on.
///
/// For `embassy_net::tcp::TcpSocket` and its like: their flush waits until the other side has acknowledged all, and
/// [`Buffers::transport`] would write nothing until then.
#[derive(Clone, Copy, Debug)]
pub struct Unflushed<W>(pub W);

impl<W: ErrorType> ErrorType for Unflushed<W> {
    type Error = W::Error;
}

impl<W: Write> Write for Unflushed<W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
