//! Bytes in and out of a transport, through the caller's two buffers.

use core::cell::Cell;
use core::convert::Infallible;
use core::fmt;
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
pub struct Buffers<'b> {
    /// The buffer to read into, while nobody reads.
    empty: Cell<Option<&'b mut [u8]>>,
    received: Cell<Option<Received<'b>>>,
    /// The stream has ended.
    eof: Cell<bool>,
    /// The buffer to fill, while nobody writes.
    free: Cell<Option<&'b mut [u8]>>,
    /// One to be written, and how much of it.
    full: Cell<Option<(&'b mut [u8], usize)>>,
    /// The transport takes no more.
    broken: Cell<bool>,
}

/// What a read gave, and how much of it was taken.
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
        let Some(mut received) = self.received.take() else { return false };
        let more = take(&received.buffer[received.taken..received.len]);
        received.taken += more;
        if received.taken < received.len {
            self.received.set(Some(received));
        } else {
            self.empty.set(Some(received.buffer));
        }
        more > 0
    }

    fn write(&self, fill: &mut dyn FnMut(&mut [u8]) -> usize) -> bool {
        if self.broken.get() {
            return false;
        }
        let Some(buffer) = self.free.take() else { return false };
        let filled = fill(buffer);
        if filled > 0 {
            self.full.set(Some((buffer, filled)));
        } else {
            self.free.set(Some(buffer));
        }
        filled > 0
    }

    fn is_over(&self) -> bool {
        (self.eof.get() || self.broken.get()) && !holds(&self.received)
    }

    fn is_written(&self) -> bool {
        holds(&self.free) || self.broken.get()
    }
}

fn holds<T>(cell: &Cell<Option<T>>) -> bool {
    let held = cell.take();
    let holds = held.is_some();
    cell.set(held);
    holds
}

impl<'b> Buffers<'b> {
    /// With these two: where bytes arrive, and from where they leave.
    pub fn new(rx: &'b mut [u8], tx: &'b mut [u8]) -> Self {
        Self {
            empty: Cell::new(Some(rx)),
            received: Cell::new(None),
            eof: Cell::new(false),
            free: Cell::new(Some(tx)),
            full: Cell::new(None),
            broken: Cell::new(false),
        }
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
            let buffer = poll_fn(|_| self.empty.take().map_or(Poll::Pending, Poll::Ready)).await;
            let len = rx.read(buffer).await.unwrap_or(0).min(buffer.len());
            if len == 0 {
                self.eof.set(true);
                return pending().await;
            }
            self.received.set(Some(Received { buffer, len, taken: 0 }));
        }
    }

    async fn write_on(&self, mut tx: impl Write) -> Infallible {
        let mut flushed = true;
        loop {
            let next = poll_fn(|_| match self.full.take() {
                Some(full) => Poll::Ready(Some(full)),
                None if flushed => Poll::Pending,
                None => Poll::Ready(None),
            });
            let written = match next.await {
                Some((buffer, len)) => {
                    flushed = false;
                    let written = write_all(&mut tx, &buffer[..len]).await;
                    self.free.set(Some(buffer));
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
                self.broken.set(true);
                return pending().await;
            }
        }
    }
}

impl fmt::Debug for Buffers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers")
            .field("eof", &self.eof)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
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
