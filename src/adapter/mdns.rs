//! Finding devices on the local network, by multicast DNS.  SPEC §23
//!
//! A device that listens makes itself known; others learn its id and its addresses, and dial.  What is heard is not
//! authenticated, and anybody on that network can say it: it tells where to dial and nothing else, and who does not hold the
//! key of that id is found out by the handshake.  Nobody is let in for having been found.
//!
//! ```no_run
//! # use symbolon::{Identity, PeerId, blocking::Device, mdns::LocalNetwork};
//! # fn phone_and_lamp(phone: Device, lamp: Device) -> std::io::Result<()> {
//! // The lamp.
//! let network = LocalNetwork::join()?;
//! let server = lamp.listen("0.0.0.0:0")?.spawn()?;
//! let _known = network.advertise(lamp.peer_id(), server.local_addr().port())?;
//!
//! // The phone, elsewhere, which knows the lamp's id and nothing more.
//! let network = LocalNetwork::join()?;
//! let keeper = phone.keep(lamp.peer_id(), ["lamp.example:4747"])?;
//! keeper.find_in(&network);
//! let link = keeper.connected();
//! # Ok(())
//! # }
//! ```
//!
//! It is the same with the adapter for tokio.
//!
//! An id is the same wherever its device is: who makes it known can be followed from one network to the next.

mod daemon;
mod table;
mod watchers;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::vec::Vec;

use self::daemon::Daemon;
use self::watchers::Watcher;
use crate::PeerId;

/// The devices that have made themselves known on the networks of this machine, for as long as this or a clone of it, an
/// [`Advertisement`] or a [`Watch`] is there.  SPEC §23
///
/// One is enough for a program, whatever devices it has; two cost twice the messages.  It takes two threads.
///
/// Of what is heard, 256 announcements are kept, and those of peers that somebody [watches](Self::watch_peer) or
/// [keeps](crate::blocking::Keeper::find_in) besides; eight addresses of each device.  When the records that the library
/// below counts are more than 4,096, all of them are forgotten, what this program makes known is taken back and made known
/// again, and every device is told as gone and found anew.
///
/// That bounds the kinds of records, and not all that the library keeps: it remembers timers and names that it does not count.
/// Whoever can send packets to UDP port 5353 of this machine can make it grow, use up a processor, and keep devices from being
/// found; so this is for networks that are trusted not to do that, behind a firewall that keeps others out.
#[derive(Clone)]
pub struct LocalNetwork(Arc<Daemon>);

/// A device that was found, or is there no more.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Who it says it is.  Dial exactly this peer, and it is shown whether that is so.
    pub peer: PeerId,
    /// Where it says that it listens, eight at most, in order; none once it is there no more.
    pub addresses: Vec<SocketAddr>,
}

impl LocalNetwork {
    /// Listens and asks on all networks of this machine, also on those that it joins later.  Devices on this machine are
    /// found by the addresses that others see.
    ///
    /// Blocks for a moment, until the sockets are open, and five seconds at most: a program on tokio calls it before it has
    /// something to do, or in `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// Of the operating system: there is no socket or thread to be had, or the port of multicast DNS, 5353, is taken by a
    /// program that does not share it.
    pub fn join() -> io::Result<Self> {
        Daemon::new(false).map(Self)
    }

    /// The same for this machine alone, over its loopback interface: for devices that are programs of one machine, and for
    /// tests.  Nothing leaves the machine.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub fn loopback() -> io::Result<Self> {
        Daemon::new(true).map(Self)
    }

    /// Makes known that the device of this id listens on this port, at all addresses of this machine; until the result is
    /// dropped, which takes it back.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) where the port is 0; else that too much was asked at once.
    pub fn advertise(&self, peer: PeerId, port: u16) -> io::Result<Advertisement> {
        if port == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "port 0 is nowhere"));
        }
        let name = self.0.register(peer, port)?;
        Ok(Advertisement { name, network: self.clone() })
    }

    /// Who is there at this moment, as far as was heard; those that this program advertises among them.
    #[must_use]
    pub fn devices(&self) -> Vec<Found> {
        self.0.devices()
    }

    /// Calls this for each device that is there, and then whenever one comes, goes, or is somewhere else; until the result is
    /// dropped.  Changes that follow closely upon each other may come as one.
    ///
    /// It is called for those that are there before this returns, and later in a thread of this library, in which it should
    /// not wait: other watches wait behind it.  Once the result was dropped, a call that has begun still goes on.
    pub fn watch(&self, changed: impl FnMut(Found) + Send + 'static) -> Watch {
        self.watched(None, changed)
    }

    /// The same of one peer, which is heard however many others there are.
    pub fn watch_peer(&self, peer: PeerId, changed: impl FnMut(Found) + Send + 'static) -> Watch {
        self.watched(Some(peer), changed)
    }

    fn watched(&self, peer: Option<PeerId>, changed: impl FnMut(Found) + Send + 'static) -> Watch {
        Watch { _watcher: self.0.watch(peer, changed), network: self.clone() }
    }
}

/// A device that is made known, for as long as this is there; made by [`LocalNetwork::advertise`].
#[must_use = "dropped, it takes back what it has made known"]
pub struct Advertisement {
    name: std::string::String,
    network: LocalNetwork,
}

impl Drop for Advertisement {
    fn drop(&mut self) {
        self.network.0.unregister(&self.name);
    }
}

/// Goes on as long as this is there; made by [`LocalNetwork::watch`] and [`watch_peer`](LocalNetwork::watch_peer).
#[must_use = "dropped, it watches no more"]
pub struct Watch {
    _watcher: Arc<Watcher>,
    network: LocalNetwork,
}

impl fmt::Debug for LocalNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalNetwork").field("devices", &self.devices()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Advertisement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Advertisement").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("network", &self.network).finish_non_exhaustive()
    }
}
