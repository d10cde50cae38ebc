//! Connections that others dial.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::string::ToString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::arrivals::Arrivals;
use super::device::Device;
use super::handle::Handle;
use super::permit::{Door, Permits};
use crate::adapter::host::defaults::{HANDSHAKES, OUT_OF_SOCKETS};
use crate::adapter::host::link::lock;
use crate::adapter::host::socket;
use crate::{Admission, Role};

/// How many connections a listener serves at once, unless [`Listener::with_connections`] says otherwise.
const CONNECTIONS: usize = 256;

/// Accepts TCP connections for a device; made by [`Device::listen`].
///
/// Each connection has two threads, so there is a limit to how many are served at once: 256.  Handshakes run beside
/// each other, and have a limit of their own: 64.  Of those that come beyond either, as many as handshakes may be
/// on their way are told *busy*, and the rest are dropped.
///
/// ```
/// use std::thread;
/// use symbolon::{Identity, blocking::Device};
///
/// let phone = Device::builder(Identity::generate()?).build()?;
/// let lamp = Device::builder(Identity::generate()?).trust([phone.peer_id()]).build()?;
/// let server = lamp.listen("127.0.0.1:0")?.with_connections(8).with_handshakes(2).spawn()?;
/// let address = server.local_addr();
///
/// let link = phone.connect(address, lamp.peer_id())?;
/// let visitor = server.accept().ok_or("the server has ended")?; // served anyway; the handle is to call back
/// assert_eq!(visitor.peer(), Some(phone.peer_id()));
///
/// drop(server); // accepts no more; the connection goes on
/// assert!(link.is_connected());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Listener {
    device: Device,
    socket: TcpListener,
    connections: Permits,
    handshakes: Permits,
    turned_away: Permits,
}

impl Listener {
    pub(super) fn bind(device: Device, address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self {
            device,
            socket: TcpListener::bind(address)?,
            connections: Permits::new(CONNECTIONS),
            handshakes: Permits::new(HANDSHAKES),
            turned_away: Permits::new(HANDSHAKES),
        })
    }

    /// Serves at most this many connections at once; at least one.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = Permits::new(connections);
        self
    }

    /// With at most this many handshakes at once; at least one.
    #[must_use]
    pub fn with_handshakes(mut self, handshakes: usize) -> Self {
        self.handshakes = Permits::new(handshakes);
        self.turned_away = Permits::new(handshakes);
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

    /// Accepts for ever, in this thread.  It never returns, so it is for programs that do nothing else there.
    pub fn serve(self) {
        self.run(&AtomicBool::new(false), None);
    }

    /// Accepts in a thread of its own, until the [`Server`] is dropped.
    ///
    /// # Errors
    ///
    /// That of making the thread, or of asking for the address.
    pub fn spawn(self) -> io::Result<Server> {
        let address = self.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let arrivals = Arc::new(Arrivals::new(self.connections.most()));
        let (stopped, accepted) = (stop.clone(), arrivals.clone());
        let thread = thread::Builder::new().name("symbolon-accept".to_string()).spawn(move || {
            // However it ends: who waits for an arrival waits no longer.
            let _ended = Ended(&accepted);
            self.run(&stopped, Some(&accepted));
        })?;
        Ok(Server { address, stop, arrivals, thread: Mutex::new(Some(thread)) })
    }

    fn run(&self, stop: &AtomicBool, arrivals: Option<&Arc<Arrivals>>) {
        while !stop.load(Ordering::Acquire) {
            match self.socket.accept() {
                Ok((stream, _)) if !stop.load(Ordering::Acquire) => self.begin(stream, arrivals.cloned()),
                Ok(_) => {}
                Err(error) if socket::failed_for_one(&error) => {}
                Err(_) => thread::sleep(OUT_OF_SOCKETS),
            }
        }
    }

    /// A connection that cannot be begun is dropped: that is no failure of the listener.
    fn begin(&self, stream: TcpStream, arrivals: Option<Arc<Arrivals>>) {
        let (place, handshake) = (self.connections.take(), self.handshakes.take());
        let _begun = if let (Some(place), Some(handshake)) = (place, handshake) {
            let door = Door { place: Some(place), handshake: Some(handshake), arrivals };
            self.device.attach_socket(stream, Role::Responder, Admission::Ask, door, |_| {})
        } else if let Some(place) = self.turned_away.take() {
            // Answers a valid preamble with *busy*; whoever does not speak symbolon gets silence.  SPEC §3
            let door = Door { place: Some(place), ..Door::default() };
            let turn_away = |connection: &mut crate::Connection| connection.turn_away();
            self.device.attach_socket(stream, Role::Responder, Admission::Ask, door, turn_away)
        } else {
            return;
        };
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Tells who waits for an arrival, when the thread that listens ends.
struct Ended<'a>(&'a Arrivals);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A listener at work in a thread of its own; closed or dropped, it stops accepting, and connections go on.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    arrivals: Arc<Arrivals>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// The address on which it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The next connection that both sides have accepted and that still stands; blocks until there is one.  It
    /// is served whether it is asked for here or not.
    ///
    /// `None` once the server is [closed](Self::close), or where its thread has ended by itself.
    pub fn accept(&self) -> Option<Handle> {
        self.arrivals.next(None).map(Handle::new).ok()
    }

    /// As [`accept`](Self::accept), for at most so long.
    ///
    /// # Errors
    ///
    /// `Timeout`: nobody has come; `Disconnected`: nobody will, as `None` of [`accept`](Self::accept).
    pub fn accept_timeout(&self, timeout: Duration) -> Result<Handle, RecvTimeoutError> {
        self.arrivals.next(Some(timeout)).map(Handle::new)
    }

    /// Stops listening, as dropping it does, from any thread: who waits in [`accept`](Self::accept) is given those that
    /// have come, and then `None`.  Connections and handshakes go on.
    ///
    /// It returns as soon as the socket is closed, or after a second where its own address cannot be reached.
    ///
    /// ```
    /// use std::thread;
    /// use symbolon::{Identity, blocking::Device};
    ///
    /// let lamp = Device::builder(Identity::generate()?).build()?;
    /// let server = lamp.listen("127.0.0.1:0")?.spawn()?;
    /// thread::scope(|scope| {
    ///     let visitors = scope.spawn(|| std::iter::from_fn(|| server.accept()).count());
    ///     server.close();
    ///     assert_eq!(visitors.join().ok(), Some(0));
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.stop.store(true, Ordering::Release);
        self.arrivals.end();
        let Some(thread) = lock(&self.thread).take() else { return };
        // The thread sits in `accept`, which nothing but a connection ends.
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let woken = TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
        if woken {
            let _ended = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}
