//! What a device of the host adapters (tokio and blocking) is made of: who it is, what it serves and publishes, and its
//! connections.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use std::vec::Vec;

use super::link::{Shared, lock};
use crate::{
    Admission, Config, Connection, Instant, LinkId, PeerId, Point, PublishError, Role, Seed, TopicId,
};

/// A device, with handlers of type `H` and connections of type `C`.
pub(crate) struct Base<H, C> {
    pub(crate) config: Config,
    pub(crate) shared: Shared<H>,
    pub(crate) call_timeout: Duration,
    next_link: AtomicU64,
    links: Mutex<Links<C>>,
}

struct Links<C> {
    all: HashMap<LinkId, Weak<C>>,
    /// The connections that both sides have accepted, newest last.
    by_peer: HashMap<PeerId, Vec<Weak<C>>>,
}

/// What a new connection means for its device.  SPEC §18
#[derive(Debug)]
pub(crate) enum Accepted<C> {
    /// It stays, and these older ones make way for it; DUP-2.
    Replaces(Vec<Arc<C>>),
    /// The peer has as many as it may.
    TooMany,
}

impl<H, C> Base<H, C> {
    pub(crate) fn new(config: Config, shared: Shared<H>, call_timeout: Duration) -> Self {
        let links = Links { all: HashMap::new(), by_peer: HashMap::new() };
        Self { config, shared, call_timeout, next_link: AtomicU64::new(0), links: Mutex::new(links) }
    }

    pub(crate) fn peer_id(&self) -> PeerId {
        self.config.identity().peer_id()
    }

    /// A new connection, with a seed of its own.
    pub(crate) fn connection(
        &self,
        role: Role,
        admission: Admission,
        now: Instant,
    ) -> io::Result<Connection> {
        let seed = Seed::random().map_err(|_| io::Error::other("no randomness from the operating system"))?;
        Ok(match role {
            Role::Initiator => Connection::initiator(&self.config, admission, seed, now),
            Role::Responder => Connection::responder(&self.config, admission, seed, now),
        })
    }

    /// How long a request waits for its turn, of the timeout for all of it.
    pub(crate) fn turn_within(&self, timeout: Option<Duration>) -> Duration {
        self.call_timeout.min(timeout.unwrap_or(Duration::MAX))
    }

    /// A number for a new connection.
    pub(crate) fn next_link(&self) -> LinkId {
        LinkId(self.next_link.fetch_add(1, Ordering::Relaxed))
    }

    /// Keeps a connection, so that publications find it.
    pub(crate) fn add(&self, id: LinkId, core: &Arc<C>) {
        lock(&self.links).all.insert(id, Arc::downgrade(core));
    }

    /// Notes an accepted connection.
    pub(crate) fn on_connected(&self, peer: PeerId, core: &Arc<C>) -> Accepted<C> {
        let mut links = lock(&self.links);
        let connections = links.by_peer.entry(peer).or_default();
        connections.retain(|older| older.strong_count() > 0);
        if connections.len() >= CONNECTIONS_PER_PEER {
            return Accepted::TooMany;
        }
        let older = connections.iter().filter_map(Weak::upgrade).collect();
        connections.push(Arc::downgrade(core));
        Accepted::Replaces(if self.peer_id() < peer { older } else { Vec::new() })
    }

    /// Forgets a connection that has ended.
    pub(crate) fn on_closed(&self, peer: Option<PeerId>, id: LinkId, core: *const C) {
        let mut links = lock(&self.links);
        links.all.remove(&id);
        if let Some(peer) = peer
            && let Some(connections) = links.by_peer.get_mut(&peer)
        {
            connections.retain(|kept| !std::ptr::eq(kept.as_ptr(), core) && kept.strong_count() > 0);
            if connections.is_empty() {
                links.by_peer.remove(&peer);
            }
        }
    }

    /// The connections with a peer, newest first; looked at without the lock of the registry.
    pub(crate) fn links_with(&self, peer: PeerId) -> impl Iterator<Item = Arc<C>> {
        let all = lock(&self.links).by_peer.get(&peer).cloned().unwrap_or_default();
        all.into_iter().rev().filter_map(|core| core.upgrade())
    }

    /// The connections that both sides have accepted, also those whose end is on its way.
    pub(crate) fn accepted(&self) -> Vec<Arc<C>> {
        lock(&self.links).by_peer.values().flatten().filter_map(Weak::upgrade).collect()
    }

    /// Publishes without waiting, and has `settle` send on each connection with something new; where one `will_settle`
    /// soon by itself, only if its queue has no room for another one until then.
    pub(crate) fn publish(
        &self,
        topic: &str,
        body: &[u8],
        will_settle: impl Fn(&C) -> bool,
        settle: impl Fn(&C),
    ) -> Result<Point, PublishError> {
        // Those that wait are kept as well, so that no connection is dropped under a lock.
        let mut woken = Vec::new();
        let point = {
            let mut topics = lock(&self.shared.topics);
            let topic: TopicId = topics.find(topic).ok_or(PublishError::UnknownTopic)?;
            let point = topics.publish(topic, body)?;
            loop {
                let next = topics.wake().next();
                let Some(link) = next else { break };
                let Some(core) = self.link(link) else { continue };
                // Asked under the lock that settling takes: what it says now cannot be out of date.
                let later = will_settle(&core);
                if later {
                    topics.hand_over(link);
                }
                woken.push((core, later));
            }
            woken.extend(topics.crowded(topic).filter_map(|link| Some((self.link(link)?, false))));
            point
        };
        woken.iter().filter(|(_, later)| !later).for_each(|(core, _)| settle(core));
        Ok(point)
    }

    fn link(&self, link: LinkId) -> Option<Arc<C>> {
        lock(&self.links).all.get(&link).and_then(Weak::upgrade)
    }
}

/// How many connections one peer may have at once.  Two are one too many already (SPEC §18); the rest is for a
/// peer that restarts faster than its old connections are found dead.
const CONNECTIONS_PER_PEER: usize = 8;
