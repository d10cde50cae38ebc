//! What a device that keeps a connection does next: it dials, or waits.

use std::collections::HashMap;
use std::mem;
use std::net::SocketAddr;
use std::string::String;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use std::vec::Vec;

use super::backoff::Backoff;
#[cfg(feature = "mdns")]
use super::defaults::HEARD;
use super::error::ConnectError;
use super::link::lock;
use crate::{Instant, PeerId};

/// Where a peer is looked for, and what has come of it.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    addresses: Addresses,
    /// Those that are known have not been tried.
    fresh: bool,
    rumours: Rumours,
    backoff: Backoff,
    failed: Option<Arc<ConnectError>>,
}

/// Where a peer is dialled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Addresses {
    /// Hosts and ports that the program knows.
    pub(crate) known: Vec<String>,
    /// Where somebody says that the peer is, which only dialling shows: tried behind those that are known, so that nobody
    /// holds these up.
    pub(crate) heard: Vec<SocketAddr>,
}

impl Addresses {
    fn is_empty(&self) -> bool {
        self.known.is_empty() && self.heard.is_empty()
    }
}

/// When what was heard of a peer makes its keeper dial sooner than otherwise.  MDN-4
///
/// Anybody may spread them, so there is a pause between two.
#[derive(Debug, Default)]
struct Rumours {
    /// One has not been tried.
    fresh: bool,
    /// When the next may be.
    due: Option<Instant>,
}

impl Rumours {
    const PAUSE: Duration = Duration::from_secs(5);

    /// How long one that has not been tried still waits.
    fn left(&self, now: Instant) -> Option<Duration> {
        self.fresh.then(|| self.due.map_or(Duration::ZERO, |due| due.saturating_since(now)))
    }

    /// All addresses are tried.
    fn on_dial(&mut self, now: Instant) {
        if mem::take(&mut self.fresh) {
            self.due = Some(now + Self::PAUSE);
        }
    }
}

/// What its keeper does, until something changes: a connection with the peer stands, or ends, or there are other addresses.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// Dials one of these.
    Dial(Addresses),
    /// Waits this long, and asks again.
    Sleep(Duration),
    /// Waits.
    Wait,
}

impl Keeping {
    /// What is to be done now, where a connection with the peer `stands` or does not; counts on it that it is done.
    pub(crate) fn next(&mut self, now: Instant, stands: bool) -> Next {
        if stands {
            self.backoff.on_standing(now);
            return Next::Wait;
        }
        self.backoff.on_gone(now);
        if self.addresses.is_empty() {
            // The peer may dial.
            return Next::Wait;
        }
        if mem::take(&mut self.fresh) {
            self.backoff.on_new_addresses();
        }
        let left = self.backoff.left(now);
        match self.rumours.left(now).map_or(left, |rumour| rumour.min(left)) {
            Duration::ZERO => {
                self.rumours.on_dial(now);
                Next::Dial(self.addresses.clone())
            }
            left => Next::Sleep(left),
        }
    }

    /// A connection stands, also where the keeper finds none when it looks next.
    pub(crate) fn on_standing(&mut self, now: Instant) {
        self.backoff.on_standing(now);
    }

    /// What has come of dialling.
    pub(crate) fn on_dialled(&mut self, now: Instant, outcome: Result<(), ConnectError>) {
        match &outcome {
            // It may have ended before anybody has looked.
            Ok(()) => self.backoff.on_standing(now),
            Err(_) => self.backoff.on_failed(now),
        }
        self.failed = outcome.err().map(Arc::new);
    }

    /// Says whether they are others than before; in another order they are the same.
    pub(crate) fn set_addresses(&mut self, known: Vec<String>) -> bool {
        let sorted = |addresses: &[String]| {
            let mut sorted = addresses.to_vec();
            sorted.sort_unstable();
            sorted
        };
        let others = sorted(&self.addresses.known) != sorted(&known);
        if others {
            (self.addresses.known, self.fresh) = (known, true);
        }
        others
    }

    /// Somebody says that the peer is there: tried beside what is known, and soon.  What was heard before counts no more, but
    /// where this is nothing: then it may still be there.  Says whether there is something new.
    #[cfg(feature = "mdns")]
    pub(crate) fn on_rumour(&mut self, heard: &[SocketAddr]) -> bool {
        let heard = &heard[..heard.len().min(HEARD)];
        let others = !heard.is_empty() && self.addresses.heard != heard;
        if others {
            (self.addresses.heard, self.rumours.fresh) = (heard.to_vec(), true);
        }
        others
    }

    /// Whether there are addresses that have not been tried.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Why the last try has failed.
    pub(crate) fn failed(&self) -> Option<Arc<ConnectError>> {
        self.failed.clone()
    }
}

/// The keepers of a device: one for each peer, for as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct Keepers<K>(Mutex<HashMap<PeerId, Weak<K>>>);

impl<K> Default for Keepers<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K> Keepers<K> {
    pub(crate) fn find(&self, peer: PeerId) -> Option<Arc<K>> {
        lock(&self.0).get(&peer).and_then(Weak::upgrade)
    }

    /// The one of this peer, or a new one.
    pub(crate) fn find_or_make<E>(
        &self,
        peer: PeerId,
        make: impl FnOnce() -> Result<K, E>,
    ) -> Result<Arc<K>, E> {
        let mut keepers = lock(&self.0);
        if let Some(keeper) = keepers.get(&peer).and_then(Weak::upgrade) {
            return Ok(keeper);
        }
        let keeper = Arc::new(make()?);
        keepers.retain(|_, other| other.strong_count() > 0);
        keepers.insert(peer, Arc::downgrade(&keeper));
        Ok(keeper)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::string::ToString;

    use super::*;

    const START: Instant = Instant::from_millis(1_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn names(ports: &[u16]) -> Vec<String> {
        ports.iter().map(|port| std::format!("lamp:{port}")).collect()
    }

    fn dial(ports: &[u16]) -> Next {
        Next::Dial(Addresses { known: names(ports), ..Addresses::default() })
    }

    fn error() -> ConnectError {
        io::Error::other("nobody there").into()
    }

    #[test]
    fn it_dials_while_nothing_stands_and_only_where_there_is_an_address() {
        let mut keeping = Keeping::default();
        assert_eq!(keeping.next(START, false), Next::Wait);
        assert!(keeping.set_addresses(names(&[1])));
        assert_eq!(keeping.next(START, true), Next::Wait);
        assert_eq!(keeping.next(START, false), dial(&[1]), "they have not been tried");
        keeping.on_dialled(START, Err(error()));
        assert!(matches!(keeping.next(START, false), Next::Sleep(left) if left <= SECOND));
        assert_eq!(keeping.next(START + SECOND, false), dial(&[1]));
        keeping.on_dialled(START + SECOND, Ok(()));
        let next = keeping.next(START + SECOND, false);
        assert!(matches!(next, Next::Sleep(_)), "one that has ended already is as good as none: {next:?}");
    }

    #[test]
    fn other_addresses_are_tried_at_once_and_the_same_are_not() {
        let mut keeping = Keeping::default();
        keeping.set_addresses(names(&[1, 2]));
        assert_eq!(keeping.next(START, false), dial(&[1, 2]));
        keeping.on_dialled(START, Err(error()));
        assert!(!keeping.set_addresses(names(&[2, 1])));
        assert!(!keeping.is_fresh());
        assert!(matches!(keeping.next(START, false), Next::Sleep(_)));
        assert!(keeping.set_addresses(names(&[2])));
        assert!(keeping.is_fresh());
        assert_eq!(keeping.next(START, false), dial(&[2]));
    }

    // MDN-4
    #[test]
    #[cfg(feature = "mdns")]
    fn what_is_heard_is_tried_beside_what_is_known_and_at_once_but_not_all_the_time() {
        let heard = |port: u16| [SocketAddr::from(([192, 0, 2, 1], port))];
        let mut keeping = Keeping::default();
        assert!(keeping.on_rumour(&heard(7)));
        let dial = |known: &[u16], heard: &[SocketAddr]| {
            Next::Dial(Addresses { known: names(known), heard: heard.to_vec() })
        };
        assert_eq!(keeping.next(START, false), dial(&[], &heard(7)));
        keeping.set_addresses(names(&[1]));
        assert_eq!(keeping.next(START, false), dial(&[1], &heard(7)));
        keeping.on_dialled(START, Err(error()));
        assert!(!keeping.on_rumour(&heard(7)) && !keeping.on_rumour(&[]));
        assert!(matches!(keeping.next(START, false), Next::Sleep(left) if left <= SECOND));

        for port in 100..105 {
            keeping.on_dialled(START + SECOND, Err(error()));
            assert!(keeping.on_rumour(&heard(port)));
            assert!(!keeping.is_fresh(), "what is under way goes on");
        }
        let pause = Rumours::PAUSE;
        assert_eq!(keeping.next(START + pause * 9 / 10, false), Next::Sleep(pause / 10));
        assert_eq!(keeping.next(START + pause, false), dial(&[1], &heard(104)));
        keeping.on_dialled(START + pause, Err(error()));
        assert!(
            matches!(keeping.next(START + pause, false), Next::Sleep(left) if left > SECOND),
            "{keeping:?}"
        );
    }

    // MDN-4
    #[test]
    #[cfg(feature = "mdns")]
    fn no_more_is_heard_than_half_of_what_is_tried() {
        let many: Vec<SocketAddr> = (1..100).map(|port| ([192, 0, 2, 1], port).into()).collect();
        let mut keeping = Keeping::default();
        keeping.on_rumour(&many);
        let Next::Dial(all) = keeping.next(START, false) else { panic!("nothing is dialled") };
        assert_eq!(all.heard, many[..HEARD]);
    }

    #[test]
    fn what_failed_is_told_until_a_try_succeeds() {
        let mut keeping = Keeping::default();
        assert!(keeping.failed().is_none());
        keeping.on_dialled(START, Err(error()));
        assert_eq!(keeping.failed().map(|error| error.to_string()).as_deref(), Some("nobody there"));
        keeping.on_dialled(START, Ok(()));
        assert!(keeping.failed().is_none());
    }

    #[test]
    fn a_peer_has_one_keeper_while_it_is_held() {
        let keepers = Keepers::default();
        let (lamp, fan) = (PeerId::from_bytes([1; 32]), PeerId::from_bytes([2; 32]));
        let make = |peer, number| keepers.find_or_make(peer, || Ok::<_, ()>(number)).unwrap();
        let first = make(lamp, 1);
        assert_eq!((*make(lamp, 2), *make(fan, 3)), (1, 3));
        assert_eq!((keepers.find(lamp), keepers.find(fan)), (Some(first.clone()), None));
        drop(first);
        assert_eq!(keepers.find(lamp), None);
    }
}
