//! The methods of a device: one table, shared by all of its links.  SPEC §10.4, §13

use crate::identity::PeerId;
use crate::name::{self, NameError};
use crate::status::Status;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

/// The methods of a device, each with its handler and with who may call it.
///
/// Each adapter stores handlers of its own type `H`. The table is filled before the first handshake and only read
/// from then on. Whether a peer may call is decided by [`route`](Self::route), from its id and the method's name alone,
/// before any body is decoded.
///
/// Memory: one entry for each method, up to a limit. No method panics, except as allocating does.
///
/// ```
/// use symbolon::{Allow, PeerId, Router, Status};
///
/// let (owner, guest) = (PeerId::from_bytes([1; 32]), PeerId::from_bytes([2; 32]));
/// let mut router = Router::new();
/// router.on("lamp/state", "state")?;
/// router.on_for("lamp/reset", Allow::only([owner]), "reset")?;
///
/// assert_eq!(router.route(guest, "lamp/state"), Ok(&"state"));
/// assert_eq!(router.route(owner, "lamp/reset"), Ok(&"reset"));
/// assert_eq!(router.route(guest, "lamp/reset"), Err(Status::DENIED));
/// assert_eq!(router.route(guest, "lamp/colour"), Err(Status::NOT_FOUND));
/// # Ok::<(), symbolon::RouteError>(())
/// ```
pub struct Router<H> {
    /// In the order of their methods.
    routes: Vec<Route<H>>,
    limit: usize,
}

struct Route<H> {
    method: Box<str>,
    allow: Allow,
    handler: H,
}

/// Who may call a method.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Allow {
    /// Every peer that was let in.
    Anyone,
    /// These, if they were let in.
    Only(BTreeSet<PeerId>),
}

impl Allow {
    /// Only these peers; none at all if there are none. Never panics.
    pub fn only(peers: impl IntoIterator<Item = PeerId>) -> Self {
        Self::Only(peers.into_iter().collect())
    }

    fn allows(&self, peer: PeerId) -> bool {
        match self {
            Self::Anyone => true,
            Self::Only(peers) => peers.contains(&peer),
        }
    }
}

/// Why a method was not added. Nothing changed, and the handler was dropped.
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// It is not a name.  SPEC §13
    #[error(transparent)]
    Name(#[from] NameError),
    /// A level begins with `$`: reserved for the protocol.  SPEC §13
    #[error("names with a level that begins with `$` are reserved")]
    Reserved,
    /// The method has a handler already.
    #[error("the method has a handler already")]
    Duplicate,
    /// The router's limit is reached.
    #[error("no room for another method")]
    Full,
}

impl<H> Router<H> {
    /// How many methods a router of [`Router::new`] takes.
    pub const DEFAULT_LIMIT: usize = 256;

    /// An empty router for up to [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT) methods.
    pub const fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// An empty router for up to `methods` methods. Allocates nothing yet.
    pub const fn with_limit(methods: usize) -> Self {
        Self { routes: Vec::new(), limit: methods }
    }

    /// Serves a method to every peer that was let in.
    ///
    /// # Errors
    ///
    /// See [`RouteError`]; nothing changed then.
    pub fn on(&mut self, method: &str, handler: H) -> Result<(), RouteError> {
        self.on_for(method, Allow::Anyone, handler)
    }

    /// Serves a method to the peers that `allow` names.
    ///
    /// # Errors
    ///
    /// See [`RouteError`]; nothing changed then.
    pub fn on_for(&mut self, method: &str, allow: Allow, handler: H) -> Result<(), RouteError> {
        name::check_name(method)?;
        if name::is_reserved(method) {
            return Err(RouteError::Reserved);
        }
        let Err(place) = self.place_of(method) else {
            return Err(RouteError::Duplicate);
        };
        if self.routes.len() >= self.limit {
            return Err(RouteError::Full);
        }
        let route = Route { method: method.into(), allow, handler };
        self.routes.insert(place, route);
        Ok(())
    }

    /// The handler for a method that this peer calls. Looks at names only; costs a binary search.
    ///
    /// # Errors
    ///
    /// The status to answer the peer with (SPEC §10.4, §13):
    ///
    /// - [`Status::BAD_REQUEST`]: `method` is not a name.
    /// - [`Status::NOT_FOUND`]: it is not served here.
    /// - [`Status::DENIED`]: this peer may not call it.
    pub fn route(&self, peer: PeerId, method: &str) -> Result<&H, Status> {
        name::check_name(method).map_err(|_| Status::BAD_REQUEST)?;
        let place = self.place_of(method).map_err(|_| Status::NOT_FOUND)?;
        let route = &self.routes[place];
        if route.allow.allows(peer) { Ok(&route.handler) } else { Err(Status::DENIED) }
    }

    /// Whether a method has a handler, whoever may call it.
    pub fn serves(&self, method: &str) -> bool {
        self.place_of(method).is_ok()
    }

    /// The methods that this peer may call, in the ascending order of their names, each with its handler: what a device
    /// tells that it serves.  SPEC §22
    pub fn methods(&self, peer: PeerId) -> impl Iterator<Item = (&str, &H)> + Clone {
        let allowed = self.routes.iter().filter(move |route| route.allow.allows(peer));
        allowed.map(|route| (&*route.method, &route.handler))
    }

    fn place_of(&self, method: &str) -> Result<usize, usize> {
        self.routes.binary_search_by(|route| (*route.method).cmp(method))
    }
}

impl<H> Default for Router<H> {
    fn default() -> Self {
        Self::new()
    }
}

/// Names the methods; handlers need not be printable.
impl<H> fmt::Debug for Router<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.routes.iter().map(|route| &route.method)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const OWNER: PeerId = PeerId::from_bytes([1; 32]);
    const GUEST: PeerId = PeerId::from_bytes([2; 32]);

    #[test]
    fn each_method_finds_its_own_handler_in_whatever_order_they_came() {
        let mut router = Router::new();
        for number in [7_usize, 0, 3, 9, 1, 8, 2, 6, 4, 5] {
            assert_eq!(router.on(&format!("method/{number}"), number), Ok(()));
        }
        for number in 0..10 {
            assert_eq!(router.route(GUEST, &format!("method/{number}")), Ok(&number));
        }
    }

    /// EXC-11
    #[test]
    fn who_may_not_is_denied_and_what_is_not_served_is_not_found() {
        let mut router = Router::new();
        assert_eq!(router.on("a", 1), Ok(()));
        assert_eq!(router.on_for("b", Allow::only([OWNER]), 2), Ok(()));
        assert_eq!(router.on_for("c", Allow::only([]), 3), Ok(()));
        assert_eq!(router.route(GUEST, "a"), Ok(&1));
        assert_eq!(router.route(OWNER, "b"), Ok(&2));
        assert_eq!(router.route(GUEST, "b"), Err(Status::DENIED));
        assert_eq!(router.route(OWNER, "c"), Err(Status::DENIED));
        assert_eq!(router.route(OWNER, "d"), Err(Status::NOT_FOUND));
        assert_eq!(router.route(OWNER, "$sys/a"), Err(Status::NOT_FOUND));
    }

    #[test]
    fn each_peer_has_the_methods_that_it_may_call() {
        let mut router = Router::new();
        assert_eq!(router.on("b", 1), Ok(()));
        assert_eq!(router.on_for("c", Allow::only([OWNER]), 2), Ok(()));
        assert_eq!(router.on("a", 3), Ok(()));
        assert!(router.methods(OWNER).eq([("a", &3), ("b", &1), ("c", &2)]));
        assert!(router.methods(GUEST).eq([("a", &3), ("b", &1)]));
    }

    /// NAM-1
    #[test]
    fn what_is_no_name_is_a_bad_request() {
        let router = Router::<()>::new();
        for method in ["", "/", "a/", "a/+", "#", "a\n"] {
            assert_eq!(router.route(OWNER, method), Err(Status::BAD_REQUEST));
        }
    }

    #[test]
    fn a_refused_method_changes_nothing() {
        let mut router = Router::with_limit(2);
        assert_eq!(router.on("a", 1), Ok(()));
        assert_eq!(router.on("a", 2), Err(RouteError::Duplicate));
        assert_eq!(router.on("a/+", 2), Err(RouteError::Name(NameError::Wildcard)));
        assert_eq!(router.on("a/$b", 2), Err(RouteError::Reserved));
        assert_eq!(router.on("b", 3), Ok(()));
        assert_eq!(router.on("c", 4), Err(RouteError::Full));
        assert_eq!(router.route(OWNER, "a"), Ok(&1));
        assert_eq!(format!("{router:?}"), r#"{"a", "b"}"#);
    }
}
