//! Connections that are made anew whenever they have ended.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::string::ToString;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use ::tokio::runtime;
use ::tokio::sync::Notify;
use ::tokio::task::AbortHandle;
use ::tokio::time;

use super::device::Device;
use super::dial::{self, Attempts};
use super::handle::Handle;
use super::kept_subscription::KeptSubscription;
use crate::adapter::host::error::ConnectError;
use crate::adapter::host::keeping::{self, Addresses, Keeping, Next};
use crate::adapter::host::link::lock;
#[cfg(feature = "mdns")]
use crate::adapter::mdns::{self, LocalNetwork};
use crate::{PeerId, SubscribeOptions, Topic};

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
/// let mut temperatures = keeper.subscribe::<Temperature>(SubscribeOptions::default()).await;
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
pub struct Keeper(Arc<Dialling>);

/// The task that dials, for as long as there is a keeper.
pub(super) struct Dialling {
    watch: Arc<Watch>,
    /// Where it runs.
    task: Mutex<(runtime::Handle, AbortHandle)>,
    /// Where else the peer is looked for.
    #[cfg(feature = "mdns")]
    finding: Mutex<Option<mdns::Watch>>,
}

/// What that task shares with the keepers.
struct Watch {
    device: Device,
    peer: PeerId,
    keeping: Mutex<Keeping>,
    /// A connection with the peer takes exchanges, or takes no more; or there are other addresses.
    changed: Notify,
}

pub(super) type Keepers = keeping::Keepers<Dialling>;

/// Has the keeper of this peer look again, if there is one.
pub(super) fn on_change(keepers: &Keepers, peer: PeerId) {
    if let Some(dialling) = keepers.find(peer) {
        dialling.watch.changed.notify_waiters();
    }
}

impl Keeper {
    pub(super) fn new(device: &Device, keepers: &Keepers, peer: PeerId) -> Self {
        let make = || {
            let (keeping, changed) = (Mutex::default(), Notify::new());
            let watch = Arc::new(Watch { device: device.clone(), peer, keeping, changed });
            let task = Mutex::new(spawn(&watch));
            Ok::<_, std::convert::Infallible>(Dialling {
                watch,
                task,
                #[cfg(feature = "mdns")]
                finding: Mutex::default(),
            })
        };
        let Ok(dialling) = keepers.find_or_make(peer, make);
        let mut task = lock(&dialling.task);
        if task.1.is_finished() {
            // The runtime in which it was made has ended.
            *task = spawn(&dialling.watch);
        }
        drop(task);
        Self(dialling)
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
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing happens.
    pub async fn connected(&self) -> Handle {
        self.watch().wait(|link| link).await
    }

    /// Why the last try to dial has failed; `None` before the first, and once one has succeeded.  Of several addresses it is
    /// that of one where something answered, if any did.
    pub fn failed(&self) -> Option<Arc<ConnectError>> {
        lock(&self.watch().keeping).failed()
    }

    /// Has these addresses tried instead of those before, and at once, where they are others; for a peer that was found
    /// somewhere else.  Each is a host and a port, looked up anew at each try; 16 addresses are tried at most.  A connection
    /// that stands, or waits for the peer to let this device in, is left alone.
    pub fn set_addresses<A: ToString>(&self, addresses: impl IntoIterator<Item = A>) {
        let addresses = addresses.into_iter().map(|address| address.to_string()).collect();
        let others = lock(&self.watch().keeping).set_addresses(addresses);
        if others {
            self.watch().changed.notify_waiters();
        }
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
            if lock(&watch.keeping).on_rumour(&found.addresses) {
                watch.changed.notify_waiters();
            }
        });
        let before = lock(&self.0.finding).replace(found);
        drop(before);
    }

    /// Subscribes on the connection that stands, or is next to, and on each later one again, behind what has come already.
    /// It does not wait: the subscription is made in a task of its own.
    pub async fn subscribe<T: Topic>(&self, options: SubscribeOptions) -> KeptSubscription<T> {
        KeptSubscription::new(self.clone(), options)
    }

    /// A connection that stands, and is another one than that; waits for it.
    pub(super) async fn connected_after(&self, before: &Handle) -> Handle {
        self.watch().wait(|link| link.filter(|link| !Arc::ptr_eq(&link.core, &before.core))).await
    }

    /// Where its task runs.
    pub(super) fn runtime(&self) -> runtime::Handle {
        lock(&self.0.task).0.clone()
    }

    pub(super) fn device(&self) -> &Device {
        &self.watch().device
    }

    fn watch(&self) -> &Watch {
        &self.0.watch
    }
}

impl Watch {
    fn link(&self) -> Option<Handle> {
        self.device.usable_link(self.peer)
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

    /// Tries all of these, and waits until both sides have let each other in; `None` where that is of no more use.
    async fn dial(&self, addresses: Addresses) -> Option<Result<(), ConnectError>> {
        let mut attempts = Attempts::new(&self.device, self.peer);
        attempts.add_all(addresses);
        let mut first = pin!(attempts.first());
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.link().is_some() {
                lock(&self.keeping).on_standing(self.device.now());
                return None;
            }
            if lock(&self.keeping).is_fresh() {
                return None;
            }
            let reached = poll_fn(|task| match first.as_mut().poll(task) {
                Poll::Ready(reached) => Poll::Ready(Some(reached)),
                Poll::Pending => changed.as_mut().poll(task).map(|()| None),
            });
            match reached.await {
                // From here on the peer may take it for the newest: it is not given up for another one.
                Some(Ok(handle)) => return Some(dial::let_in(handle).await.map(drop)),
                Some(Err(error)) => return Some(Err(error)),
                None => {}
            }
        }
    }
}

/// The runtime of this task, and one that dials in it.
fn spawn(watch: &Arc<Watch>) -> (runtime::Handle, AbortHandle) {
    let runtime = runtime::Handle::current();
    let task = runtime.spawn(keep(watch.clone())).abort_handle();
    (runtime, task)
}

/// Dials whenever no connection stands; for ever.
async fn keep(watch: Arc<Watch>) {
    loop {
        let mut changed = pin!(watch.changed.notified());
        // Before looking, as in `wait`.
        changed.as_mut().enable();
        let stands = watch.link().is_some();
        let next = lock(&watch.keeping).next(watch.device.now(), stands);
        match next {
            Next::Wait => changed.await,
            Next::Sleep(left) => {
                let _changed = time::timeout(left, changed).await;
            }
            Next::Dial(addresses) => {
                if let Some(outcome) = watch.dial(addresses).await {
                    lock(&watch.keeping).on_dialled(watch.device.now(), outcome);
                }
            }
        }
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        lock(&self.task).1.abort();
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
