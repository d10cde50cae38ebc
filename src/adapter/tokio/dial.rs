//! Dialling a device, at whichever of its addresses it is.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::string::String;
use std::time::Duration;
use std::vec::Vec;

use ::tokio::net::{self, TcpStream, ToSocketAddrs};
use ::tokio::task::JoinSet;
use ::tokio::time;

use super::device::Device;
use super::handle::Handle;
use crate::adapter::host::defaults::ADDRESSES;
use crate::adapter::host::error::ConnectError;
use crate::adapter::host::keeping::Addresses;
use crate::adapter::host::socket;
use crate::{Admission, PeerId, Role, Status};

/// How soon another address is tried while one before it does not answer.  RFC 8305, section 8
const BETWEEN_ADDRESSES: Duration = Duration::from_millis(250);

impl Device {
    /// Dials, and waits until both sides have let each other in.  The peer must be exactly this one.
    ///
    /// Of several addresses, 16 at most, each is tried a quarter of a second after the one before, or once that has failed;
    /// the first at which the peer proves who it is wins.
    ///
    /// Two devices have one connection: a newer one takes the place of an older one, whoever dialled, and that ends with
    /// [`Status::REPLACED`](crate::Status::REPLACED), once what is open on it has ended.  So the one that stands is asked
    /// for by [`link`](Self::link); two tasks that each dial the same peer take it from each other, and one that is to last
    /// is [kept](Self::keep).  SPEC §18
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: the socket; a peer that is somebody else, or does not let this device in; or the time is up:
    /// [`Timeouts::handshake`](crate::Timeouts::handshake) for looking up the name, and at each address for the socket and
    /// again for the handshake.  Of several addresses it is that of one where something answered, if any did.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes what it has begun.
    pub async fn connect(&self, address: impl ToSocketAddrs, peer: PeerId) -> Result<Handle, ConnectError> {
        let handle = self.dial(address, peer).await?;
        let_in(handle).await
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
        let mut attempts = Attempts::new(self, peer);
        attempts.add(look_up(address, self.base().config.timeouts().handshake).await?);
        attempts.first().await
    }
}

/// Waits until both sides have let each other in.
pub(super) async fn let_in(handle: Handle) -> Result<Handle, ConnectError> {
    let guard = CloseOnDrop(Some(handle.clone()));
    handle.connected().await?;
    guard.disarm();
    Ok(handle)
}

async fn look_up(address: impl ToSocketAddrs, within: Duration) -> io::Result<Vec<SocketAddr>> {
    let looked_up = time::timeout(within, net::lookup_host(address)).await;
    Ok(looked_up.map_err(|_| io::ErrorKind::TimedOut)??.collect())
}

/// Attempts to reach a peer at its addresses, each begun a moment after the one before, or once that has failed.
/// RFC 8305, section 5
///
/// Those that have not won are closed with it.
pub(super) struct Attempts {
    device: Device,
    peer: PeerId,
    /// How many more addresses may come.
    room: usize,
    waiting: VecDeque<SocketAddr>,
    under_way: JoinSet<Result<Came, ConnectError>>,
}

/// What has come of a part of it.
enum Came {
    Addresses(Vec<SocketAddr>),
    Peer(CloseOnDrop),
}

impl Attempts {
    pub(super) fn new(device: &Device, peer: PeerId) -> Self {
        let (waiting, under_way) = (VecDeque::new(), JoinSet::new());
        Self { device: device.clone(), peer, room: ADDRESSES, waiting, under_way }
    }

    fn add(&mut self, addresses: Vec<SocketAddr>) {
        let before = self.waiting.len();
        self.waiting.extend(addresses.into_iter().take(self.room));
        self.room -= self.waiting.len() - before;
    }

    /// Those that are known, and behind them what was heard; nothing waits for names to be looked up.
    pub(super) fn add_all(&mut self, Addresses { known, heard }: Addresses) {
        self.room -= heard.len();
        known.into_iter().take(ADDRESSES).for_each(|address| self.add_host(address));
        self.room += heard.len();
        self.add(heard);
    }

    fn add_host(&mut self, address: String) {
        match address.parse() {
            Ok(address) => self.add(Vec::from([address])),
            Err(_) => {
                let within = self.device.base().config.timeouts().handshake;
                self.under_way.spawn(async move { Ok(Came::Addresses(look_up(address, within).await?)) });
            }
        }
    }

    /// The first connection on which the peer has proven who it is.
    pub(super) async fn first(mut self) -> Result<Handle, ConnectError> {
        let (mut failed, mut due) = (None, time::Instant::now());
        loop {
            if due <= time::Instant::now()
                && let Some(address) = self.waiting.pop_front()
            {
                self.under_way.spawn(attempt(self.device.clone(), address, self.peer));
                due = time::Instant::now() + BETWEEN_ADDRESSES;
            }
            let joining = self.under_way.join_next();
            let joined = if self.waiting.is_empty() {
                joining.await
            } else {
                let Ok(joined) = time::timeout_at(due, joining).await else { continue };
                joined
            };
            let Some(joined) = joined else { return Err(failed.unwrap_or_else(ConnectError::nowhere)) };
            match joined.unwrap_or_else(|error| Err(io::Error::from(error).into())) {
                Ok(Came::Peer(connection)) => return connection.disarm().ok_or_else(ConnectError::nowhere),
                Ok(Came::Addresses(addresses)) => self.add(addresses),
                Err(error) => {
                    failed = Some(ConnectError::or_later(failed, error));
                    due = time::Instant::now();
                }
            }
        }
    }
}

async fn attempt(device: Device, address: SocketAddr, peer: PeerId) -> Result<Came, ConnectError> {
    let connecting = time::timeout(device.base().config.timeouts().handshake, TcpStream::connect(address));
    let stream = connecting.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    socket::prepare((&stream).into())?;
    let (handle, runner) = device.attach(stream, Role::Initiator, Admission::expect(peer))?;
    let guard = CloseOnDrop(Some(handle.clone()));
    ::tokio::spawn(runner.run());
    handle.proven().await?;
    Ok(Came::Peer(guard))
}

/// Closes a connection whose making was given up.
struct CloseOnDrop(Option<Handle>);

impl CloseOnDrop {
    fn disarm(mut self) -> Option<Handle> {
        self.0.take()
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.core.close_now(Status::SHUTTING_DOWN);
        }
    }
}
