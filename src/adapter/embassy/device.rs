//! A device: who it is, what it publishes, and its runners.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::task::Waker;
use core::time::Duration;

use super::drive::now;
use crate::adapter::defaults::CALL_TIMEOUT;
use crate::{Admission, Config, Connection, LinkId, PeerId, Point, PublishError, Seed, TopicId, Topics};

/// Who this device is, what it publishes, and how long its calls wait: in place before the first handshake.
///
/// It belongs to one executor, as all of this adapter does.  Beyond what [`Config`] and [`Topics`] hold it keeps 16
/// bytes, on 32 bits, for each [`Runner`](super::Runner) that is alive.
///
/// ```
/// use symbolon::embassy::Device;
/// use symbolon::{Config, Identity, Kind, Limits, SecretKey, Seed, TopicLimits, Topics};
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// # let (stored_key, fresh) = ([1; 32], core::array::from_fn(|i| i as u8));
/// # let epoch = 7;
/// let identity = Identity::new(&SecretKey::from_bytes(stored_key), Seed::new(fresh)?);
/// let config = Config::new(identity).with_limits(Limits::small())?;
/// let mut topics = Topics::new(epoch, TopicLimits::default()); // the epoch: at random, at each start
/// let temperature = topics.declare("room/temperature", Kind::State)?;
/// let device = Device::new(config, topics);
/// device.publish(temperature, b"21.5")?; // whoever subscribes later gets it as well
/// # Ok(()) }
/// ```
pub struct Device {
    config: Config,
    topics: RefCell<Topics>,
    allow_subscribe: fn(PeerId, &str) -> bool,
    call_timeout: Duration,
    next: Cell<u64>,
    /// Whom to wake where something was published for its link.
    runners: RefCell<Vec<(LinkId, Waker)>>,
}

impl Device {
    /// A device that publishes these topics.  All who are let in may subscribe; calls wait for 10 s.
    pub fn new(config: Config, topics: Topics) -> Self {
        Self {
            config,
            topics: RefCell::new(topics),
            allow_subscribe: |_, _| true,
            call_timeout: CALL_TIMEOUT,
            next: Cell::new(0),
            runners: RefCell::new(Vec::new()),
        }
    }

    /// Asks `allow` about each subscription, by its filter, which may have wildcards (SPEC §13): compare it with what is
    /// allowed, never with what is not.  It must not use this device.
    #[must_use]
    pub fn with_allow_subscribe(mut self, allow: fn(PeerId, &str) -> bool) -> Self {
        self.allow_subscribe = allow;
        self
    }

    /// How long a call of a [`Handle`](super::Handle) waits that names no timeout of its own, and a subscription to be
    /// accepted; 10 s without this.
    #[must_use]
    pub fn with_call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// What all of its connections have in common.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Who this device is.
    pub fn peer_id(&self) -> PeerId {
        self.config.identity().peer_id()
    }

    /// A connection that waits for the other side to begin.  The seed must be fresh, from the hardware's source of random
    /// numbers: see [`Seed`].
    pub fn accept(&self, admission: Admission, seed: Seed) -> Connection {
        Connection::responder(&self.config, admission, seed, now())
    }

    /// A connection with this peer and nobody else, begun by this side.  The seed is as for [`accept`](Self::accept).
    pub fn dial(&self, peer: PeerId, seed: Seed) -> Connection {
        Connection::initiator(&self.config, Admission::expect(peer), seed, now())
    }

    /// Publishes to all who have subscribed, on every connection; never waits.  The table of topics takes buffers from the
    /// heap until there are as many as are needed at the same time; see [`Topics`].
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published.
    pub fn publish(&self, topic: TopicId, body: &[u8]) -> Result<Point, PublishError> {
        let mut topics = self.topics.borrow_mut();
        let point = topics.publish(topic, body)?;
        let runners = self.runners.borrow();
        for link in topics.wake() {
            if let Some((_, waker)) = runners.iter().find(|(runner, _)| *runner == link) {
                waker.wake_by_ref();
            }
        }
        Ok(point)
    }

    /// The topics, for whatever else they can do.  Nobody is woken by it; do not keep it across an await.
    pub fn with_topics<R>(&self, with: impl FnOnce(&mut Topics) -> R) -> R {
        with(&mut self.topics.borrow_mut())
    }

    pub(super) fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    pub(super) fn may_subscribe(&self, peer: Option<PeerId>, filter: &str) -> bool {
        peer.is_some_and(|peer| (self.allow_subscribe)(peer, filter))
    }

    /// A number for a new runner.
    pub(super) fn next_link(&self) -> LinkId {
        let number = self.next.get();
        self.next.set(number + 1);
        LinkId(number)
    }

    /// Keeps whom to wake where something is published for this runner.
    pub(super) fn register(&self, link: LinkId, waker: &Waker) {
        let mut runners = self.runners.borrow_mut();
        match runners.iter_mut().find(|(runner, _)| *runner == link) {
            Some((_, kept)) => kept.clone_from(waker),
            None => runners.push((link, waker.clone())),
        }
    }

    /// A runner is gone.
    pub(super) fn forget(&self, link: LinkId) {
        self.topics.borrow_mut().drop_link(link);
        self.runners.borrow_mut().retain(|(runner, _)| *runner != link);
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("peer_id", &self.peer_id()).finish_non_exhaustive()
    }
}
