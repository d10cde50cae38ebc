//! What drives one connection over a byte stream.

use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};

use super::desk::Desk;
use super::device::Device;
use super::drive::{Drive, Transport, Turn, now, sooner};
use super::handle::Responder;
use super::link::Link;
use super::transport::Buffers;
use crate::{CloseReason, Connection, Event, ExchangeId, Instant, Status};

/// What happened next on a connection, for the program that runs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Step<'a> {
    /// An event of the connection, lent until the next call.
    Event(Event<'a>),
    /// A body that this program writes, and that was full, has room again.
    Writable(ExchangeId),
}

/// What a runner has to lend.
pub(super) enum Ready {
    /// An event of the connection.
    Event,
    /// A body that has room.
    Writable(ExchangeId),
}

/// Drives one connection over a byte stream, one [`Step`] at a time.
///
/// It keeps the transport at work, lets time pass, publishes what the [`Device`] has for the peer's subscriptions, and
/// carries out what the [`Link`]'s handles ask.  What remains is the program's: requests of the peer's, and whatever it
/// opened on [`connection`](Self::connection) itself.
///
/// Between handshake messages it lets other tasks run, and after a few reads in a row.  The longest stretches without an
/// await are those of a handshake: see the table in [`guide::firmware`](crate::guide::firmware).
///
/// ```
/// use core::pin::pin;
/// use embedded_io_async::{Read, Write};
/// use symbolon::embassy::{Buffers, Device, Link, Runner, Step, Unflushed};
/// use symbolon::{Admission, CloseReason, Event, PeerId, Seed, Status};
///
/// /// Serves one connection that was accepted, from its first byte to its last.
/// async fn serve(device: &Device, friend: PeerId, seed: Seed, rx: impl Read, tx: impl Write) -> Option<CloseReason> {
///     let (mut rx_bytes, mut tx_bytes) = ([0; 256], [0; 256]);
///     let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
///     let mut io = pin!(buffers.transport(rx, Unflushed(tx)));
///     let link = Link::none(); // no handles: this loop is all there is
///     let connection = device.accept(Admission::expect(friend), seed);
///     let mut runner = Runner::new(device, &link, connection, &buffers, io.as_mut());
///     while let Some(step) = runner.next().await {
///         let Step::Event(Event::Request { id, method, body, .. }) = step else { continue };
///         let (status, answer) = match (method, body) {
///             ("lamp/set", [1]) => (Status::OK, &b"lit"[..]),
///             ("lamp/set", _) => (Status::OK, &b"dark"[..]),
///             _ => (Status::NOT_FOUND, &b""[..]),
///         };
///         // Refused where nobody waits any more, or where the peer leaves many answers unread.
///         let _refused = runner.connection().respond(id, status, answer);
///     }
///     runner.reason()
/// }
/// ```
#[must_use = "a connection does nothing unless its runner is polled"]
pub struct Runner<'a> {
    connection: Connection,
    desk: Desk<'a>,
    drive: Drive<'a>,
    ended: Option<Ended>,
}

/// How a connection has ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    reason: CloseReason,
    /// Until then its last bytes may leave.
    until: Instant,
}

impl<'a> Runner<'a> {
    /// A runner for this connection, on a transport that [`Buffers::transport`] has set to work with the same buffers.
    ///
    /// Handles of `link` reach this connection from now on; where an earlier runner has it still, that one goes on
    /// without them.
    pub fn new(
        device: &'a Device,
        link: &'a Link,
        connection: Connection,
        buffers: &'a Buffers<'_>,
        transport: Transport<'a>,
    ) -> Self {
        let (desk, drive) = (Desk::new(device, link), Drive::new(buffers, transport));
        Self { connection, desk, drive, ended: None }
    }

    /// Drives the connection until something happens that is the program's to act on, and says what.  `None` when it has
    /// ended, after [`Event::Closed`], and its last bytes have left.
    ///
    /// While nobody awaits it, nothing moves: the peer takes a program that stays away for longer than it is patient for
    /// gone.  Long work belongs in another task, which answers through a [`responder`](Self::responder).
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost: it may stand in a `select` beside a timer.
    pub async fn next(&mut self) -> Option<Step<'_>> {
        match poll_fn(|task| self.poll(task)).await? {
            Ready::Event => self.connection.poll_event().map(Step::Event),
            Ready::Writable(id) => Some(Step::Writable(id)),
        }
    }

    /// Drives the connection to its end, and says why it ended.  Requests are answered with
    /// [`Status::NOT_FOUND`]: for programs that only use handles.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may be called again.
    pub async fn run(&mut self) -> Option<CloseReason> {
        while let Some(step) = self.next().await {
            if let Step::Event(Event::Request { id, .. }) = step {
                // Full only where the peer leaves answers unread; this one then ends by its deadline.
                let _full = self.connection.respond(id, Status::NOT_FOUND, &[]);
            }
        }
        self.reason()
    }

    /// The connection, to command it; what that makes is sent in the next [`next`](Self::next).
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The answer to a request of the peer's, to be given by another task; none reaches the peer where another runner has
    /// taken the link.
    pub fn responder(&self, request: ExchangeId) -> Responder<'a> {
        self.desk.responder(request)
    }

    /// Why the connection has ended, once it has.
    pub fn reason(&self) -> Option<CloseReason> {
        self.ended.map(|ended| ended.reason)
    }

    /// Ready with what to lend; with nothing at the end.
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Option<Ready>> {
        self.desk.register(task.waker());
        loop {
            let now = now();
            self.connection.handle_timeout(now);
            if self.has_event(now) {
                return Poll::Ready(Some(Ready::Event));
            }
            let writable = self.desk.settle(&mut self.connection, now);
            // Those of this side's own making first.
            if self.has_event(now) {
                return Poll::Ready(Some(Ready::Event));
            }
            if let Some(id) = writable {
                return Poll::Ready(Some(Ready::Writable(id)));
            }
            match self.drive.turn(task, &mut self.connection, now) {
                Turn::Moved => continue,
                Turn::Yield => {
                    task.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Turn::Still => {}
            }
            if self.ended.is_some_and(|ended| now >= ended.until || self.drive.is_flushed()) {
                return Poll::Ready(None);
            }
            let mine = sooner(self.desk.next_deadline(), self.ended.map(|ended| ended.until));
            let wakes_at = sooner(self.connection.poll_timeout(), mine);
            if self.drive.sleep(task, wakes_at).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn has_event(&mut self, now: Instant) -> bool {
        let waits = self.desk.sort(&mut self.connection);
        if waits && let Some(Event::Closed { reason }) = self.connection.peek_event() {
            let until = now + self.desk.device.config().timeouts().close;
            self.ended = Some(Ended { reason, until });
        }
        waits
    }
}

impl fmt::Debug for Runner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("connection", &self.connection).finish_non_exhaustive()
    }
}
