//! Connections that others dial.

use std::boxed::Box;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use ::tokio::sync::{OwnedSemaphorePermit, Semaphore};
use ::tokio::task::JoinSet;
use ::tokio::time::{self, Sleep};

use super::device::Device;
use super::handle::Handle;
use crate::adapter::host::defaults::{HANDSHAKES, OUT_OF_SOCKETS};
use crate::adapter::host::socket;
use crate::{Admission, Role};

/// Accepts TCP connections for a device; made by [`Device::listen`].
///
/// It works while [`accept`](Self::accept) or [`serve`](Self::serve) is awaited.  Handshakes run beside each
/// other, 64 at most; of those that come while as many are on their way as may be, as many again are told *busy*, and
/// the rest are dropped.  There is no limit to how many connections are served: whoever is let in is trusted that far.
///
/// ```
/// use symbolon::{Identity, tokio::Device};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let phone = Device::builder(Identity::generate()?).build()?;
/// let lamp = Device::builder(Identity::generate()?).trust([phone.peer_id()]).build()?;
/// let mut listener = lamp.listen("127.0.0.1:0").await?.with_handshakes(2);
/// let address = listener.local_addr()?;
///
/// let dialling = phone.connect(address, lamp.peer_id());
/// let (link, visitor) = tokio::join!(dialling, listener.accept());
/// assert_eq!(visitor?.peer(), Some(phone.peer_id()));
/// drop(listener); // accepts no more; the connection goes on
/// assert!(link?.is_connected());
/// # Ok(())
/// # }
/// ```
pub struct Listener {
    device: Device,
    socket: TcpListener,
    handshakes: usize,
    open: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
    /// Handshakes on their way; those that succeed give a handle.
    pending: JoinSet<Option<Handle>>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Listener {
    pub(super) async fn bind(device: Device, address: impl ToSocketAddrs) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        Ok(Self {
            device,
            socket,
            handshakes: HANDSHAKES,
            open: Arc::new(Semaphore::new(HANDSHAKES)),
            turned_away: Arc::new(Semaphore::new(HANDSHAKES)),
            pending: JoinSet::new(),
            pause: None,
        })
    }

    /// With at most this many handshakes at once; at least one.
    #[must_use]
    pub fn with_handshakes(mut self, handshakes: usize) -> Self {
        self.handshakes = handshakes.clamp(1, Semaphore::MAX_PERMITS);
        self.open = Arc::new(Semaphore::new(self.handshakes));
        self.turned_away = Arc::new(Semaphore::new(self.handshakes));
        self
    }

    /// The address on which it listens.
    ///
    /// # Errors
    ///
    /// That of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next connection that both sides have accepted.  It is served whether the handle is kept or not.
    ///
    /// # Errors
    ///
    /// None at present: a connection that fails is no failure of the listener.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost: handshakes on their way go on.
    pub async fn accept(&mut self) -> io::Result<Handle> {
        poll_fn(|task| self.poll_accept(task)).await
    }

    fn poll_accept(&mut self, task: &mut Context<'_>) -> Poll<io::Result<Handle>> {
        loop {
            while let Poll::Ready(Some(done)) = self.pending.poll_join_next(task) {
                if let Ok(Some(handle)) = done {
                    return Poll::Ready(Ok(handle));
                }
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(task));
                self.pause = None;
            }
            match ready!(self.socket.poll_accept(task)) {
                Ok((stream, _)) => self.begin(stream),
                Err(error) if socket::failed_for_one(&error) => {}
                Err(_) => self.pause = Some(Box::pin(time::sleep(OUT_OF_SOCKETS))),
            }
        }
    }

    /// Accepts for ever.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it stops listening; connections go on.
    pub async fn serve(mut self) -> io::Result<()> {
        loop {
            self.accept().await?;
        }
    }

    fn begin(&mut self, stream: TcpStream) {
        if let Ok(permit) = self.open.clone().try_acquire_owned() {
            self.pending.spawn(handshake(self.device.clone(), stream, permit));
        } else if let Ok(permit) = self.turned_away.clone().try_acquire_owned() {
            ::tokio::spawn(turn_away(self.device.clone(), stream, permit));
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Holds its permit for as long as the peer is a stranger: to the last of the ending, where it fails.
async fn handshake(device: Device, stream: TcpStream, _permit: OwnedSemaphorePermit) -> Option<Handle> {
    socket::prepare((&stream).into()).ok()?;
    let (handle, runner) = device.attach(stream, Role::Responder, Admission::Ask).ok()?;
    let running = ::tokio::spawn(runner.run());
    if handle.connected().await.is_err() {
        let _ended = running.await;
        return None;
    }
    Some(handle)
}

/// Answers a valid preamble with *busy*; whoever does not speak symbolon gets silence.  SPEC §3
async fn turn_away(device: Device, stream: TcpStream, _permit: OwnedSemaphorePermit) {
    let attached =
        device.attach_with(stream, Role::Responder, Admission::Ask, |connection| connection.turn_away());
    if let Ok((_, runner)) = attached {
        runner.run().await;
    }
}
