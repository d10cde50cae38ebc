//! Connections that are made anew whenever they have ended.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::string::ToString;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use std::vec::Vec;

use super::device::Device;
use super::handle::Handle;
use super::kept_subscription::KeptSubscription;
use crate::adapter::host::defaults::ADDRESSES;
use crate::adapter::host::error::ConnectError;
use crate::adapter::host::keeping::{self, Addresses, Keeping, Next};
use crate::adapter::host::link::lock;
#[cfg(feature = "mdns")]
use crate::adapter::mdns::{self, LocalNetwork};
use crate::{Instant, PeerId, SubscribeOptions, Topic};

/// Keeps a connection with one peer, for as long as this or a clone of it is there; made by [`Device::keep`].
///
/// While no connection with the peer stands, all of its addresses are tried, again and again: after about a second, then
/// after twice as long each time, up to about a minute.  A connection that the peer has dialled is as good: as long as one
/// stands, nothing is dialled.  One that ends, or whose end has begun, is replaced within a second, whatever has ended it;
/// also where this device has closed it.  One that has ended within ten seconds counts as a try that has failed.
///
/// Dropping the last clone ends the trying, and closes no connection that stands; a [`KeptSubscription`] holds one.  Whoever
/// wants to leave drops them first.
///
/// ```
/// use minicbor::{Decode, Encode};
/// use symbolon::{Identity, Kind, SubscribeOptions, Topic, blocking::Device};
///
/// #[derive(Debug, PartialEq, Encode, Decode)]
/// struct Temperature(#[n(0)] i16);
///
/// impl Topic for Temperature {
///     const TOPIC: &'static str = "oven/temperature";
///     const KIND: Kind = Kind::State;
/// }
///
/// # let phone = Device::builder(Identity::generate()?).build()?;
/// # let oven = Device::builder(Identity::generate()?).trust([phone.peer_id()]).topic::<Temperature>().build()?;
/// # let server = oven.listen("127.0.0.1:0")?.spawn()?;
/// # let address = server.local_addr();
/// # oven.publish(&Temperature(180))?;
/// // At home and from outside: whichever answers.
/// let keeper = phone.keep(oven.peer_id(), ["[::1]:1", &address.to_string()])?;
/// let mut temperatures = keeper.subscribe::<Temperature>(SubscribeOptions::default());
/// assert_eq!(temperatures.next(), Some(Ok(Temperature(180))));
///
/// // The connection ends, whyever; another one takes its place, and the subscription goes on.
/// keeper.connected().close();
/// oven.publish(&Temperature(190))?;
/// assert_eq!(temperatures.next(), Some(Ok(Temperature(190))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Keeper(Arc<Dialling>);

/// The thread that dials, for as long as there is a keeper.
pub(super) struct Dialling {
    watch: Arc<Watch>,
    /// Where else the peer is looked for.
    #[cfg(feature = "mdns")]
    finding: Mutex<Option<mdns::Watch>>,
}

/// What that thread shares with the keepers.
struct Watch {
    device: Device,
    peer: PeerId,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    keeping: Keeping,
    /// How often a connection with the peer has come to take exchanges, or takes no more, or the addresses have changed.
    changes: u64,
    /// The last keeper is gone.
    over: bool,
}

pub(super) type Keepers = keeping::Keepers<Dialling>;

/// Has the keeper of this peer look again, if there is one.
pub(super) fn on_change(keepers: &Keepers, peer: PeerId) {
    if let Some(dialling) = keepers.find(peer) {
        dialling.watch.change(|_| {});
    }
}

impl Keeper {
    pub(super) fn new(device: &Device, keepers: &Keepers, peer: PeerId) -> io::Result<Self> {
        let make = || {
            let (state, changed) = (Mutex::default(), Condvar::new());
            let watch = Arc::new(Watch { device: device.clone(), peer, state, changed });
            let dialling = Dialling {
                watch: watch.clone(),
                #[cfg(feature = "mdns")]
                finding: Mutex::default(),
            };
            thread::Builder::new().name("symbolon-keep".to_string()).spawn(move || watch.keep())?;
            Ok(dialling)
        };
        keepers.find_or_make(peer, make).map(Self)
    }

    /// The peer that is kept.
    pub fn peer(&self) -> PeerId {
        self.watch().peer
    }

    /// The connection that stands, if one does; the newest of several.  One that either side takes no more exchanges on, since
    /// it is going to end, does not count.
    pub fn link(&self) -> Option<Handle> {
        self.watch().link()
    }

    /// The connection that stands, as [`link`](Self::link) says; waits for one, for as long as it takes, and where the peer
    /// does not let this device in that is for ever: [`failed`](Self::failed) says so.
    pub fn connected(&self) -> Handle {
        loop {
            if let Some(link) = self.connected_until(None) {
                return link;
            }
        }
    }

    /// The connection that stands, or comes to stand within this time.
    pub fn connected_timeout(&self, timeout: Duration) -> Option<Handle> {
        self.connected_until(Some(self.device().now() + timeout))
    }

    /// Why the last try to dial has failed; `None` before the first, and once one has succeeded.  Of several addresses it is
    /// that of one where something answered, if any did.
    pub fn failed(&self) -> Option<Arc<ConnectError>> {
        lock(&self.watch().state).keeping.failed()
    }

    /// Has these addresses tried instead of those before, and at once, where they are others; for a peer that was found
    /// somewhere else.  Each is a host and a port, looked up anew at each try; 16 addresses are tried at most.  A connection
    /// that stands is left alone, and an address that is being tried is tried to its end.
    pub fn set_addresses<A: ToString>(&self, addresses: impl IntoIterator<Item = A>) {
        let addresses = addresses.into_iter().map(|address| address.to_string()).collect();
        self.watch().change(|state| {
            state.keeping.set_addresses(addresses);
        });
    }

    /// Has the addresses tried as well that the peer makes known on this network: those that were heard last, eight of them,
    /// behind eight of those that are set.  New ones are tried within five seconds, and what is being tried is tried to its
    /// end.  The network is held for as long as there is a keeper of this peer; another one takes its place.  SPEC §23
    #[cfg(feature = "mdns")]
    #[cfg_attr(docsrs, doc(cfg(feature = "mdns")))]
    pub fn find_in(&self, network: &LocalNetwork) {
        let watch = Arc::downgrade(&self.0.watch);
        let found = network.watch_peer(self.peer(), move |found| {
            let Some(watch) = watch.upgrade() else { return };
            watch.change(|state| {
                state.keeping.on_rumour(&found.addresses);
            });
        });
        let before = lock(&self.0.finding).replace(found);
        drop(before);
    }

    /// Subscribes on the connection that stands, or is next to, and on each later one again, behind what has come already.
    /// It does not wait: nothing is sent before the first value is waited for.
    pub fn subscribe<T: Topic>(&self, options: SubscribeOptions) -> KeptSubscription<T> {
        KeptSubscription::new(self.clone(), options)
    }

    pub(super) fn connected_until(&self, until: Option<Instant>) -> Option<Handle> {
        self.watch().wait(until, |link| link)
    }

    /// A connection that stands, and is another one than that; waits for it.
    pub(super) fn connected_after(&self, before: &Handle, until: Instant) -> Option<Handle> {
        self.watch().wait(Some(until), |link| link.filter(|link| !Arc::ptr_eq(&link.core, &before.core)))
    }

    pub(super) fn device(&self) -> &Device {
        &self.watch().device
    }

    fn watch(&self) -> &Watch {
        &self.0.watch
    }
}

impl Watch {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        state.changes += 1;
        drop(state);
        self.changed.notify_all();
    }

    fn link(&self) -> Option<Handle> {
        self.device.usable_link(self.peer)
    }

    /// Waits until a look gives something, or the time is over.
    fn wait<R>(&self, until: Option<Instant>, seen: impl Fn(Option<Handle>) -> Option<R>) -> Option<R> {
        loop {
            // Before looking, so that what comes in between is not overlooked; and not under the lock, which is a leaf.
            let changes = lock(&self.state).changes;
            if let Some(result) = seen(self.link()) {
                return Some(result);
            }
            let left = until.map(|until| until.saturating_since(self.device.now()));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            self.sleep(changes, left);
        }
    }

    /// Until there are other changes than so many, or this time has passed.
    fn sleep(&self, changes: u64, within: Option<Duration>) {
        let state = lock(&self.state);
        let same = |state: &mut State| state.changes == changes;
        match within {
            Some(within) => {
                let waited = self.changed.wait_timeout_while(state, within, same);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
            None => drop(self.changed.wait_while(state, same).unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Dials whenever no connection stands, until the last keeper is gone.
    fn keep(&self) {
        loop {
            let changes = lock(&self.state).changes;
            let (stands, now) = (self.link().is_some(), self.device.now());
            let mut state = lock(&self.state);
            if state.over {
                return;
            }
            let next = state.keeping.next(now, stands);
            drop(state);
            match next {
                Next::Wait => self.sleep(changes, None),
                Next::Sleep(left) => self.sleep(changes, Some(left)),
                Next::Dial(addresses) => {
                    if let Some(outcome) = self.dial(&addresses) {
                        lock(&self.state).keeping.on_dialled(self.device.now(), outcome);
                    }
                }
            }
        }
    }

    /// Tries all of these, and waits until both sides have let each other in; `None` where that is of no more use.
    fn dial(&self, Addresses { known, heard }: &Addresses) -> Option<Result<(), ConnectError>> {
        let mut room = ADDRESSES - heard.len();
        let (numbers, names): (Vec<_>, Vec<_>) =
            known.iter().take(ADDRESSES).map(|host| host.parse().map_err(|_| host)).partition(Result::is_ok);
        let numbers: Vec<SocketAddr> = numbers.into_iter().filter_map(Result::ok).take(room).collect();
        let names = names.into_iter().filter_map(Result::err).map(|name| Part::Name(name));
        room -= numbers.len();
        let mut failed = None;
        // First those that need no look, which takes long without internet, and last what was only heard.
        for part in [Part::Numbers(&numbers)].into_iter().chain(names).chain([Part::Numbers(heard)]) {
            if !self.is_wanted() {
                return None;
            }
            let found = match part {
                Part::Numbers(addresses) => Ok(addresses.to_vec()),
                Part::Name(name) if room > 0 => {
                    name.to_socket_addrs().map(|found| found.take(room).collect())
                }
                Part::Name(_) => Ok(Vec::new()),
            };
            let reached = match found {
                Ok(found) if found.is_empty() => continue,
                Ok(found) => {
                    if let Part::Name(_) = part {
                        room -= found.len();
                    }
                    self.device.reach(&found, self.peer, failed, || self.is_wanted())?
                }
                Err(error) => Err(ConnectError::or_later(failed, error.into())),
            };
            match reached {
                Ok(handle) => return self.let_in(&handle),
                Err(error) => failed = Some(error),
            }
        }
        Some(Err(failed.unwrap_or_else(ConnectError::nowhere)))
    }

    fn let_in(&self, handle: &Handle) -> Option<Result<(), ConnectError>> {
        if lock(&self.state).over {
            handle.begin_close();
            return None;
        }
        Some(handle.connected().map_err(ConnectError::from))
    }

    /// Whether a connection is still to be made, at the addresses that are being tried.
    fn is_wanted(&self) -> bool {
        let (stands, now) = (self.link().is_some(), self.device.now());
        let mut state = lock(&self.state);
        if stands {
            state.keeping.on_standing(now);
        }
        !stands && !state.over && !state.keeping.is_fresh()
    }
}

/// A part of the addresses, tried before the next.
enum Part<'a> {
    Numbers(&'a [SocketAddr]),
    Name(&'a str),
}

impl Drop for Dialling {
    fn drop(&mut self) {
        self.watch.change(|state| state.over = true);
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("peer", &self.peer())
            .field("failed", &self.failed())
            .finish_non_exhaustive()
    }
}
