//! Dialling a device, at whichever of its addresses it is.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use std::vec::Vec;

use ::tokio::net::{self, TcpStream, ToSocketAddrs};
use ::tokio::task::JoinSet;
use ::tokio::time;

use super::device::Device;
use super::handle::Handle;
use crate::adapter::host::error::ConnectError;
use crate::adapter::host::socket;
use crate::{Admission, PeerId, Role, Status};

/// How soon another address is tried while one before it does not answer.  RFC 8305, section 8
const BETWEEN_ADDRESSES: Duration = Duration::from_millis(250);

impl Device {
    /// Dials, and waits until both sides have let each other in.  The peer must be exactly this one.
    ///
    /// Of several addresses each is tried a quarter of a second after the one before, or once that has failed; the first
    /// at which the peer proves who it is wins.
    ///
    /// Two devices have one connection: a newer one takes the place of an older one, whoever dialled, and that ends with
    /// [`Status::REPLACED`](crate::Status::REPLACED), once what is open on it has ended.  So the one that stands is asked
    /// for by [`link`](Self::link); two tasks that each dial the same peer take it from each other.  SPEC §18
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: the socket; a peer that is somebody else, or does not let this device in; or the
    /// handshake's timeout, for looking up the name, for each socket and for each handshake.  Of several addresses it is
    /// that of one where something answered, if any did.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes what it has begun.
    pub async fn connect(&self, address: impl ToSocketAddrs, peer: PeerId) -> Result<Handle, ConnectError> {
        let handle = self.dial(address, peer).await?;
        until_let_in(handle).await
    }

    /// Dials, and waits only until the peer has proven who it is: what is asked on the handle leaves with the
    /// last message of the handshake, so that the first reply is back after two round trips.  If the peer
    /// does not let this device in, all of it ends as not executed.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), but for being let in.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes what it has begun.
    pub async fn dial(&self, address: impl ToSocketAddrs, peer: PeerId) -> Result<Handle, ConnectError> {
        let addresses = look_up(address, self.base().config.timeouts().handshake).await?;
        self.dial_any(addresses, peer, None).await
    }

    /// As [`connect`](Self::connect), to any of these addresses.
    pub(super) async fn connect_any(
        &self,
        addresses: Vec<SocketAddr>,
        peer: PeerId,
        failed: Option<ConnectError>,
    ) -> Result<Handle, ConnectError> {
        until_let_in(self.dial_any(addresses, peer, failed).await?).await
    }

    /// Dials any of these addresses; something else may have `failed` before.
    async fn dial_any(
        &self,
        addresses: Vec<SocketAddr>,
        peer: PeerId,
        mut failed: Option<ConnectError>,
    ) -> Result<Handle, ConnectError> {
        let mut sockets = Sockets::new(addresses, self.base().config.timeouts().handshake);
        while let Some(socket) = sockets.next().await {
            let error = match self.shake_hands(socket, peer).await {
                Ok(handle) => return Ok(handle),
                Err(error) => error,
            };
            // One that nobody answers says less.
            if !matches!((&failed, &error), (Some(ConnectError::Closed(_)), ConnectError::Io(_))) {
                failed = Some(error);
            }
        }
        Err(failed.unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no address").into()))
    }

    async fn shake_hands(&self, socket: io::Result<TcpStream>, peer: PeerId) -> Result<Handle, ConnectError> {
        let stream = socket?;
        socket::prepare((&stream).into())?;
        let (handle, runner) = self.attach(stream, Role::Initiator, Admission::expect(peer))?;
        let guard = CloseOnDrop(Some(handle.clone()));
        ::tokio::spawn(runner.run());
        handle.proven().await?;
        guard.disarm();
        Ok(handle)
    }
}

/// The addresses of a host and its port.
pub(super) async fn look_up(address: impl ToSocketAddrs, within: Duration) -> io::Result<Vec<SocketAddr>> {
    let looked_up = time::timeout(within, net::lookup_host(address)).await;
    Ok(looked_up.map_err(|_| io::ErrorKind::TimedOut)??.collect())
}

/// Connects to all of some addresses, each a moment after the one before or once that has failed, and gives what comes of
/// them in the order in which it comes.  RFC 8305, section 5
#[derive(Debug)]
pub(super) struct Sockets {
    waiting: VecDeque<SocketAddr>,
    under_way: JoinSet<io::Result<TcpStream>>,
    /// How long each may take.
    within: Duration,
}

impl Sockets {
    /// Those that are not used are dropped with it, and so are those that are on their way.
    pub(super) fn new(addresses: Vec<SocketAddr>, within: Duration) -> Self {
        Self { waiting: addresses.into(), under_way: JoinSet::new(), within }
    }

    /// The next that is connected, or why one is not; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<io::Result<TcpStream>> {
        loop {
            if self.waiting.is_empty() {
                return self.join().await;
            }
            if !self.under_way.is_empty()
                && let Ok(joined) = time::timeout(BETWEEN_ADDRESSES, self.join()).await
            {
                return joined;
            }
            if let Some(address) = self.waiting.pop_front() {
                let connecting = time::timeout(self.within, TcpStream::connect(address));
                self.under_way.spawn(async { connecting.await.map_err(|_| io::ErrorKind::TimedOut)? });
            }
        }
    }

    async fn join(&mut self) -> Option<io::Result<TcpStream>> {
        let joined = self.under_way.join_next().await?;
        Some(joined.unwrap_or_else(|error| Err(error.into())))
    }
}

/// Waits until both sides have let each other in.
async fn until_let_in(handle: Handle) -> Result<Handle, ConnectError> {
    let guard = CloseOnDrop(Some(handle.clone()));
    handle.connected().await?;
    guard.disarm();
    Ok(handle)
}

/// Closes a connection whose making was given up.
struct CloseOnDrop(Option<Handle>);

impl CloseOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.core.close_now(Status::SHUTTING_DOWN);
        }
    }
}
