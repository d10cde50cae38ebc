//! What drives a serial line: one session after the other.  SPEC §19

use alloc::boxed::Box;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};

use super::desk::Desk;
use super::device::Device;
use super::drive::{Drive, Speaker, Transport, Turn, now, sooner};
use super::handle::Responder;
use super::link::Link;
use super::runner::{Ready, Step};
use super::transport::Buffers;
use crate::adapter::defaults::BETWEEN_OFFERS;
use crate::serial::{Line, Redial};
use crate::{Admission, Connection, Event, ExchangeId, Instant, PeerId, Seed};

/// Fresh seeds, one for each session: from the hardware's source of random numbers.  `None`: no session now.
pub type Seeds<'a> = &'a mut dyn FnMut() -> Option<Seed>;

/// Drives a serial line, for as long as the program runs: sessions come and go, [`Event::Connected`] to
/// [`Event::Closed`], and the next one after that.
///
/// Otherwise as [`Runner`](super::Runner).  Whoever is at the other end is let in if it is one of the peers given; noise,
/// and whoever is not, never disturb the session that stands.
///
/// ```
/// use core::pin::pin;
/// use embedded_io_async::{Read, Write};
/// use symbolon::embassy::{Buffers, Device, LineRunner, Link, Step};
/// use symbolon::{Event, PeerId, Seed, Status};
///
/// /// Serves whoever of our friends is at the other end of the UART.
/// async fn serve(device: &Device, friends: &[PeerId], mut random: impl FnMut() -> Option<Seed>, rx: impl Read, tx: impl Write) {
///     let (mut rx_bytes, mut tx_bytes) = ([0; 256], [0; 256]);
///     let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
///     let mut io = pin!(buffers.transport(rx, tx));
///     let link = Link::none();
///     let mut runner = LineRunner::new(device, &link, friends, &mut random, &buffers, io.as_mut());
///     while let Some(step) = runner.next().await {
///         if let Step::Event(Event::Request { id, .. }) = step
///             && let Some(session) = runner.session()
///         {
///             let _refused = session.respond(id, Status::OK, b"here I am");
///         }
///     }
///     // The transport has failed or ended: a UART never does, a USB port may be unplugged.
/// }
/// ```
#[must_use = "a line does nothing unless its runner is polled"]
pub struct LineRunner<'a> {
    sessions: Sessions<'a>,
    desk: Desk<'a>,
    drive: Drive<'a>,
    /// One that has left the line, whose last events are still to be told.
    gone: Option<Box<Connection>>,
}

impl<'a> LineRunner<'a> {
    /// A runner for a line whose other end begins the sessions, on a transport that [`Buffers::transport`] has set to
    /// work with the same buffers.  `peers` are let in.
    pub fn new(
        device: &'a Device,
        link: &'a Link,
        peers: &'a [PeerId],
        seeds: Seeds<'a>,
        buffers: &'a Buffers<'_>,
        transport: Transport<'a>,
    ) -> Self {
        let sessions = Sessions {
            line: Line::new(device.config().limits()),
            device,
            peers,
            seeds,
            redial: None,
            offered: None,
            over: false,
        };
        let (desk, drive) = (Desk::new(device, link), Drive::new(buffers, transport));
        Self { sessions, desk, drive, gone: None }
    }

    /// Begins sessions from this side too, whenever none stands; see [`Redial`].
    pub fn dialling(mut self) -> Self {
        self.sessions.redial = Some(Redial::default());
        self
    }

    /// Drives the line until something happens that is the program's to act on, and says what.  `None` once the
    /// transport has failed or ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub async fn next(&mut self) -> Option<Step<'_>> {
        if let Ready::Writable(id) = poll_fn(|task| self.poll(task)).await? {
            return Some(Step::Writable(id));
        }
        if self.gone.is_none() && self.sessions.line.running().is_none() {
            // To look for its event has ended it, with nothing left to send: it has left the line with that.
            self.gone = self.sessions.line.poll_ended();
        }
        let event = match &mut self.gone {
            Some(gone) => gone.poll_event(),
            None => self.sessions.line.running()?.poll_event(),
        };
        event.map(Step::Event)
    }

    /// Drives the line for as long as it works.  Requests are answered with
    /// [`Status::NOT_FOUND`](crate::Status::NOT_FOUND): for programs that only use handles.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may be called again.
    pub async fn run(&mut self) {
        while let Some(step) = self.next().await {
            if let Step::Event(Event::Request { id, .. }) = step
                && let Some(session) = self.session()
            {
                let _full = session.respond(id, crate::Status::NOT_FOUND, &[]);
            }
        }
    }

    /// The session that stands, to command it; it does not wait for one.  `None` also while what [`next`](Self::next)
    /// gave last is about one that has left the line: its exchanges have the numbers of others in the next session.
    pub fn session(&mut self) -> Option<&mut Connection> {
        if self.gone.is_some() {
            return None;
        }
        self.sessions.line.running().map(Box::as_mut)
    }

    /// The answer to a request of the peer's, to be given by another task; none reaches the peer where another runner has
    /// taken the link.
    pub fn responder(&self, request: ExchangeId) -> Responder<'a> {
        self.desk.responder(request)
    }

    /// How many packets were dropped because they were damaged, or for nobody here: a measure of the noise.
    pub fn dropped(&self) -> u64 {
        self.sessions.line.dropped()
    }

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Option<Ready>> {
        self.desk.register(task.waker());
        loop {
            let now = now();
            // None is begun while the program has not heard of all that have left: so few wait at a time that the line has
            // room for them.
            self.sessions.pass(now, self.gone.is_none());
            if self.has_event() {
                return Poll::Ready(Some(Ready::Event));
            }
            if let Some(running) = self.sessions.line.running()
                && let Some(id) = self.desk.settle(running, now)
            {
                return Poll::Ready(Some(Ready::Writable(id)));
            }
            if self.has_event() {
                return Poll::Ready(Some(Ready::Event));
            }
            match self.drive.turn(task, &mut self.sessions, now) {
                Turn::Moved => continue,
                Turn::Yield => {
                    task.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Turn::Still => {}
            }
            if self.sessions.over {
                return Poll::Ready(None);
            }
            let wakes_at = sooner(self.sessions.poll_timeout(), self.desk.next_deadline());
            if self.drive.sleep(task, wakes_at).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Whether an event waits for the program: of a session that has left, which is kept then, or of the running one.
    fn has_event(&mut self) -> bool {
        loop {
            if self.gone.is_none() {
                self.gone = self.sessions.line.poll_ended();
            }
            let Some(gone) = &mut self.gone else { break };
            // What never stood is nobody's business.
            if self.desk.knows(gone) && self.desk.sort(gone) {
                return true;
            }
            self.gone = None;
        }
        self.sessions.line.running().is_some_and(|running| self.desk.sort(running))
    }
}

/// The line, and what new sessions are made of.
struct Sessions<'a> {
    /// Each session in a box: moved about they would take kilobytes of the stack.
    line: Line<Box<Connection>>,
    device: &'a Device,
    peers: &'a [PeerId],
    seeds: Seeds<'a>,
    /// Where this side dials.
    redial: Option<Redial>,
    /// When the other side has dialled last.
    offered: Option<Instant>,
    over: bool,
}

impl Sessions<'_> {
    /// Lets time pass, dials where it may and it is time to, and decides about a peer that has proven its identity.
    fn pass(&mut self, now: Instant, may_dial: bool) {
        self.line.handle_timeout(now);
        if let Some(redial) = &mut self.redial
            && may_dial
            && !self.over
            && redial.poll_dial(now, &mut self.line)
            && let Some(seed) = (self.seeds)()
        {
            let session = Connection::initiator(self.device.config(), Admission::Ask, seed, now);
            self.line.dial(now, Box::new(session));
        }
        let Some(candidate) = self.line.candidate() else { return };
        if let Some(Event::Admission { peer }) = candidate.poll_event() {
            let decided =
                if self.peers.contains(&peer) { candidate.admit(now) } else { candidate.refuse(now) };
            debug_assert!(decided.is_ok(), "the event asks for a decision");
        }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let redial = self.redial.as_ref().and_then(Redial::poll_timeout);
        sooner(self.line.poll_timeout(), redial)
    }
}

impl Speaker for Sessions<'_> {
    fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> usize {
        let Self { line, device, seeds, offered, .. } = self;
        line.handle_input(now, bytes, || {
            if offered.is_some_and(|last| now < last + BETWEEN_OFFERS) {
                return None;
            }
            *offered = Some(now);
            Some(Box::new(Connection::responder(device.config(), Admission::Ask, seeds()?, now)))
        })
    }

    fn handle_eof(&mut self, now: Instant) {
        self.over = true;
        self.line.handle_eof(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<&[u8]> {
        self.line.poll_transmit(now)
    }

    fn advance_transmit(&mut self, written: usize) {
        self.line.advance_transmit(written);
    }

    fn is_shaking_hands(&mut self) -> bool {
        self.line.candidate().is_some()
    }
}

impl fmt::Debug for LineRunner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineRunner").field("line", &self.sessions.line).finish_non_exhaustive()
    }
}
