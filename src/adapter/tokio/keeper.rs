//! Connections that are made anew whenever they have ended.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::string::{String, ToString};
use std::sync::{Arc, Mutex, Weak};
use std::vec::Vec;

use ::tokio::sync::Notify;
use ::tokio::task::AbortHandle;
use ::tokio::time;

use super::device::Device;
use super::dial;
use super::handle::Handle;
use super::kept::KeptSubscription;
use crate::adapter::host::error::ConnectError;
use crate::adapter::host::keeping::{Keeping, Next};
use crate::adapter::host::link::lock;
use crate::{PeerId, SubscribeOptions, Topic};

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
/// use symbolon::{Identity, Kind, SubscribeOptions, Topic, tokio::Device};
///
/// #[derive(Debug, PartialEq, Encode, Decode)]
/// struct Temperature(#[n(0)] i16);
///
/// impl Topic for Temperature {
///     const TOPIC: &'static str = "oven/temperature";
///     const KIND: Kind = Kind::State;
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let phone = Device::builder(Identity::generate()?).build()?;
/// # let oven = Device::builder(Identity::generate()?).trust([phone.peer_id()]).topic::<Temperature>().build()?;
/// # let listener = oven.listen("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// # tokio::spawn(listener.serve());
/// # oven.publish(&Temperature(180)).await?;
/// // At home and from outside: whichever answers.
/// let keeper = phone.keep(oven.peer_id(), ["[::1]:1", &address.to_string()]).await;
/// let mut temperatures = keeper.subscribe::<Temperature>(SubscribeOptions::default());
/// assert_eq!(temperatures.next().await, Some(Ok(Temperature(180))));
///
/// // The connection ends, whyever; another one takes its place, and the subscription goes on.
/// keeper.connected().await.close().await;
/// oven.publish(&Temperature(190)).await?;
/// assert_eq!(temperatures.next().await, Some(Ok(Temperature(190))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Keeper(Arc<Shared>);

/// What the clones of a keeper share; dropped with the last of them.
pub(super) struct Shared {
    kept: Arc<Kept>,
    task: AbortHandle,
}

/// What they share with the task that dials.
pub(super) struct Kept {
    device: Device,
    peer: PeerId,
    keeping: Mutex<Keeping>,
    /// A connection with the peer stands, or stands no more; or there are other addresses.
    changed: Notify,
}

/// The keepers of a device.
pub(super) type Keepers = Mutex<HashMap<PeerId, Weak<Shared>>>;

/// Has the keeper of this peer look again, if there is one.
pub(super) fn on_change(keepers: &Keepers, peer: PeerId) {
    let shared = lock(keepers).get(&peer).and_then(Weak::upgrade);
    if let Some(shared) = shared {
        shared.kept.changed.notify_waiters();
    }
}

impl Keeper {
    pub(super) fn new(device: &Device, keepers: &Keepers, peer: PeerId, addresses: Vec<String>) -> Self {
        let mut keepers = lock(keepers);
        let shared = keepers.get(&peer).and_then(Weak::upgrade).unwrap_or_else(|| {
            let (keeping, changed) = (Mutex::default(), Notify::new());
            let kept = Arc::new(Kept { device: device.clone(), peer, keeping, changed });
            let task = ::tokio::spawn(keep(kept.clone())).abort_handle();
            let shared = Arc::new(Shared { kept, task });
            keepers.retain(|_, other| other.strong_count() > 0);
            keepers.insert(peer, Arc::downgrade(&shared));
            shared
        });
        drop(keepers);
        let keeper = Self(shared);
        keeper.set_addresses(addresses);
        keeper
    }

    /// The peer that is kept.
    pub fn peer(&self) -> PeerId {
        self.0.kept.peer
    }

    /// The connection that stands, if one does.
    pub fn link(&self) -> Option<Handle> {
        self.0.kept.link()
    }

    /// The connection that stands; waits for one, for as long as it takes.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing happens.
    pub async fn connected(&self) -> Handle {
        self.0.kept.connected().await
    }

    /// Why the last try to dial has failed; `None` before the first, and once one has succeeded.  Of several addresses it is
    /// that of one where something answered, if any did.
    pub fn failed(&self) -> Option<Arc<ConnectError>> {
        lock(&self.0.kept.keeping).failed()
    }

    /// Has these addresses tried instead of those before, and at once; for a peer that was found somewhere else.  Each is
    /// a host and a port, looked up anew at each try.  A connection that stands is left alone.
    pub fn set_addresses<A: ToString>(&self, addresses: impl IntoIterator<Item = A>) {
        let addresses = addresses.into_iter().map(|address| address.to_string()).collect();
        self.0.kept.set_addresses(addresses);
    }

    /// Subscribes on the connection that stands, and on each later one again, behind what has come already.
    pub fn subscribe<T: Topic>(&self, options: SubscribeOptions) -> KeptSubscription<T> {
        KeptSubscription::new(self.clone(), options)
    }

    /// A connection that stands, and is another one than that; waits for it.
    pub(super) async fn connected_after(&self, before: &Handle) -> Handle {
        self.0.kept.wait(|link| link.filter(|link| !Arc::ptr_eq(&link.core, &before.core))).await
    }
}

impl Kept {
    fn link(&self) -> Option<Handle> {
        self.device.link(self.peer)
    }

    async fn connected(&self) -> Handle {
        self.wait(|link| link).await
    }

    async fn wait<R>(&self, seen: impl Fn(Option<Handle>) -> Option<R>) -> R {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before looking, so that what comes in between is not overlooked.
            changed.as_mut().enable();
            if let Some(result) = seen(self.link()) {
                return result;
            }
            changed.await;
        }
    }

    fn set_addresses(&self, addresses: Vec<String>) {
        let others = lock(&self.keeping).set_addresses(addresses);
        if others {
            self.changed.notify_waiters();
        }
    }

    /// Tries all of these, and waits until both sides have let each other in.
    async fn dial(&self, addresses: Vec<String>) -> Result<(), ConnectError> {
        let within = self.device.base().config.timeouts().handshake;
        let (mut found, mut failed) = (Vec::new(), None);
        for address in addresses {
            match dial::look_up(address, within).await {
                Ok(looked_up) => found.extend(looked_up),
                Err(error) => failed = Some(error.into()),
            }
        }
        self.device.connect_any(found, self.peer, failed).await?;
        Ok(())
    }
}

/// Dials whenever no connection stands; for ever.
async fn keep(kept: Arc<Kept>) {
    loop {
        let mut changed = pin!(kept.changed.notified());
        // Before looking, as in `wait`.
        changed.as_mut().enable();
        let stands = kept.link().is_some();
        let next = lock(&kept.keeping).next(kept.device.now(), stands);
        match next {
            Next::Wait => changed.await,
            Next::Sleep(left) => {
                let _changed = time::timeout(left, changed).await;
            }
            Next::Dial(addresses) => {
                let outcome = kept.dial(addresses).await;
                lock(&kept.keeping).on_dialled(outcome);
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("peer", &self.peer()).finish_non_exhaustive()
    }
}
