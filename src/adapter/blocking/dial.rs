//! Dialling a device, at whichever of its addresses it is.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use std::vec::Vec;

use super::device::Device;
use super::handle::Handle;
use crate::adapter::host::defaults::ADDRESSES;
use crate::adapter::host::error::ConnectError;
use crate::{Admission, PeerId, Role};

/// A socket has at least this long, however many addresses there are.
const SHORTEST: Duration = Duration::from_millis(250);

impl Device {
    /// Dials, and waits until both sides have let each other in.  The peer must be exactly this one.
    ///
    /// Several addresses, 16 at most, are tried one after the other; the first at which the peer proves who it is wins.
    ///
    /// Two devices have one connection: a newer one takes the place of an older one, whoever dialled, and that ends with
    /// [`Status::REPLACED`](crate::Status::REPLACED), once what is open on it has ended.  So the one that stands is asked
    /// for by [`link`](Self::link); two tasks that each dial the same peer take it from each other, and one that is to
    /// last is [kept](Self::keep).  SPEC §18
    ///
    /// It waits at most as long as [`Timeouts::handshake`](crate::Timeouts) says, once for all sockets, or a quarter of a
    /// second for each where that is more, and once for each handshake; looking up a host's name takes as long as the
    /// operating system takes.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: the socket; a peer that is somebody else, or does not let this device in; or the time is up.  Of
    /// several addresses it is that of one where something answered, if any did.
    pub fn connect(&self, address: impl ToSocketAddrs, peer: PeerId) -> Result<Handle, ConnectError> {
        let handle = self.dial(address, peer)?;
        handle.connected()?;
        Ok(handle)
    }

    /// Dials, and waits only until the peer has proven who it is: what is asked on the handle leaves with the
    /// last message of the handshake, so that the first reply is back after two round trips.  If the peer
    /// does not let this device in, all of it ends as not executed.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), but for being let in.
    pub fn dial(&self, address: impl ToSocketAddrs, peer: PeerId) -> Result<Handle, ConnectError> {
        let addresses: Vec<_> = address.to_socket_addrs()?.collect();
        self.reach(&addresses, peer, None, || true).unwrap_or_else(|| Err(ConnectError::nowhere()))
    }

    /// Dials each of these addresses, until the peer is found; `None` where that is not `wanted` any more.  Something else may
    /// have `failed` before.
    pub(super) fn reach(
        &self,
        addresses: &[SocketAddr],
        peer: PeerId,
        mut failed: Option<ConnectError>,
        wanted: impl Fn() -> bool,
    ) -> Option<Result<Handle, ConnectError>> {
        let addresses = &addresses[..addresses.len().min(ADDRESSES)];
        let mut left = self.base().config.timeouts().handshake;
        for (tried, address) in addresses.iter().enumerate() {
            if !wanted() {
                return None;
            }
            // What never answers leaves time for the others.
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let begun = Instant::now();
            let socket = TcpStream::connect_timeout(address, share.max(SHORTEST));
            left = left.saturating_sub(begun.elapsed());
            let reached =
                socket.map_err(ConnectError::from).and_then(|socket| self.shake_hands(socket, peer));
            match reached {
                Ok(handle) => return Some(Ok(handle)),
                Err(error) => failed = Some(ConnectError::or_later(failed, error)),
            }
        }
        Some(Err(failed.unwrap_or_else(ConnectError::nowhere)))
    }

    fn shake_hands(&self, socket: TcpStream, peer: PeerId) -> Result<Handle, ConnectError> {
        let handle = self.attach_tcp(socket, Role::Initiator, Admission::expect(peer))?;
        handle.proven()?;
        Ok(handle)
    }
}
