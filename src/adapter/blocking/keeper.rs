//! Connections that are made anew whenever they have ended.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::ToSocketAddrs;
use std::string::{String, ToString};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;
use std::vec::Vec;

use super::device::Device;
use super::handle::Handle;
use super::kept::KeptSubscription;
use crate::adapter::host::error::ConnectError;
use crate::adapter::host::keeping::{Keeping, Next};
use crate::adapter::host::link::lock;
use crate::{Instant, PeerId, SubscribeOptions, Topic};

/// Keeps a connection with one peer, for as long as this or a clone of it is there; made by [`Device::keep`].
///
/// While no connection with the peer stands, all of its addresses are tried, again and again: after about a second, then
/// after twice as long each time, up to about a minute.  A connection that the peer has dialled is as good: as long as one
/// stands, nothing is dialled.  One that ends is replaced at once, whatever has ended it; also where this device has closed
/// it, so the keeper is dropped first by whoever wants to leave.
///
/// Dropping the last clone ends the trying, and closes nothing.
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
pub struct Keeper(Arc<Shared>);

/// What the clones of a keeper share; dropped with the last of them.
pub(super) struct Shared(Arc<Kept>);

/// What they share with the thread that dials.
struct Kept {
    device: Device,
    peer: PeerId,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    keeping: Keeping,
    /// How often a connection with the peer has come to stand, or has ended, or the addresses have changed.
    changes: u64,
    over: bool,
}

/// The keepers of a device.
pub(super) type Keepers = Mutex<HashMap<PeerId, Weak<Shared>>>;

/// Has the keeper of this peer look again, if there is one.
pub(super) fn on_change(keepers: &Keepers, peer: PeerId) {
    let shared = lock(keepers).get(&peer).and_then(Weak::upgrade);
    if let Some(shared) = shared {
        shared.0.on_change(|_| {});
    }
}

impl Keeper {
    pub(super) fn new(
        device: &Device,
        keepers: &Keepers,
        peer: PeerId,
        addresses: Vec<String>,
    ) -> io::Result<Self> {
        let mut keepers = lock(keepers);
        let found = keepers.get(&peer).and_then(Weak::upgrade);
        let shared = match found {
            Some(shared) => shared,
            None => {
                let (state, changed) = (Mutex::default(), Condvar::new());
                let kept = Arc::new(Kept { device: device.clone(), peer, state, changed });
                let thread = thread::Builder::new().name("symbolon-keep".to_string());
                let keeping = kept.clone();
                thread.spawn(move || keeping.keep())?;
                let shared = Arc::new(Shared(kept));
                keepers.retain(|_, other| other.strong_count() > 0);
                keepers.insert(peer, Arc::downgrade(&shared));
                shared
            }
        };
        drop(keepers);
        let keeper = Self(shared);
        keeper.set_addresses(addresses);
        Ok(keeper)
    }

    /// The peer that is kept.
    pub fn peer(&self) -> PeerId {
        self.kept().peer
    }

    /// The connection that stands, if one does.
    pub fn link(&self) -> Option<Handle> {
        self.kept().link()
    }

    /// The connection that stands; waits for one, for as long as it takes.
    pub fn connected(&self) -> Handle {
        loop {
            if let Some(link) = self.connected_until(None) {
                return link;
            }
        }
    }

    /// The connection that stands, or comes to stand within this time.
    pub fn connected_timeout(&self, timeout: Duration) -> Option<Handle> {
        self.connected_until(Some(self.kept().device.now() + timeout))
    }

    /// Why the last try to dial has failed; `None` before the first, and once one has succeeded.  Of several addresses it is
    /// that of one where something answered, if any did.
    pub fn failed(&self) -> Option<Arc<ConnectError>> {
        lock(&self.kept().state).keeping.failed()
    }

    /// Has these addresses tried instead of those before, and at once; for a peer that was found somewhere else.  Each is
    /// a host and a port, looked up anew at each try.  A connection that stands is left alone.
    pub fn set_addresses<A: ToString>(&self, addresses: impl IntoIterator<Item = A>) {
        let addresses = addresses.into_iter().map(|address| address.to_string()).collect();
        self.kept().on_change(|state| {
            state.keeping.set_addresses(addresses);
        });
    }

    /// Subscribes on the connection that stands, and on each later one again, behind what has come already.
    pub fn subscribe<T: Topic>(&self, options: SubscribeOptions) -> KeptSubscription<T> {
        KeptSubscription::new(self.clone(), options)
    }

    pub(super) fn connected_until(&self, until: Option<Instant>) -> Option<Handle> {
        self.kept().wait(until, |link| link)
    }

    /// A connection that stands, and is another one than that; waits for it.
    pub(super) fn connected_after(&self, before: &Handle, until: Option<Instant>) -> Option<Handle> {
        self.kept().wait(until, |link| link.filter(|link| !Arc::ptr_eq(&link.core, &before.core)))
    }

    pub(super) fn now(&self) -> Instant {
        self.kept().device.now()
    }

    fn kept(&self) -> &Kept {
        &self.0.0
    }
}

impl Kept {
    fn on_change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        state.changes += 1;
        drop(state);
        self.changed.notify_all();
    }

    fn link(&self) -> Option<Handle> {
        self.device.link(self.peer)
    }

    /// Waits until a look gives something, or the time is over.
    fn wait<R>(&self, until: Option<Instant>, seen: impl Fn(Option<Handle>) -> Option<R>) -> Option<R> {
        loop {
            // Before looking, so that what comes in between is not overlooked; and without the lock, which is a leaf.
            let changes = lock(&self.state).changes;
            if let Some(result) = seen(self.link()) {
                return Some(result);
            }
            let left = until.map(|until| until.saturating_since(self.device.now()));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            drop(self.sleep(changes, left));
        }
    }

    /// Until there are other changes than so many, or this time has passed.
    fn sleep(&self, changes: u64, within: Option<Duration>) -> MutexGuard<'_, State> {
        let state = lock(&self.state);
        let same = |state: &mut State| state.changes == changes;
        match within {
            Some(within) => {
                let waited = self.changed.wait_timeout_while(state, within, same);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(state, same).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Dials whenever no connection stands, until the last keeper is dropped.
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
                Next::Wait => drop(self.sleep(changes, None)),
                Next::Sleep(left) => drop(self.sleep(changes, Some(left))),
                Next::Dial(addresses) => {
                    let outcome = self.dial(&addresses);
                    lock(&self.state).keeping.on_dialled(outcome);
                }
            }
        }
    }

    /// Tries all of these, and waits until both sides have let each other in.
    fn dial(&self, addresses: &[String]) -> Result<(), ConnectError> {
        let (mut found, mut failed) = (Vec::new(), None);
        for address in addresses {
            match address.to_socket_addrs() {
                Ok(looked_up) => found.extend(looked_up),
                Err(error) => failed = Some(error.into()),
            }
        }
        Ok(self.device.dial_any(&found, self.peer, failed)?.connected()?)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.0.on_change(|state| state.over = true);
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("peer", &self.peer()).finish_non_exhaustive()
    }
}
