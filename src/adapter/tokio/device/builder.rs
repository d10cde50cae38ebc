//! What a device is made of.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::string::String;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::vec::Vec;

use ::tokio::sync::Notify;
use ::tokio::time;

use super::{Context, Device, Handler, Handling, Inner, Links, Refusal};
use crate::adapter::link::{Admit, AllowSubscribe, Shared};
use crate::adapter::tokio::error::BuildError;
use crate::{
    Allow, Config, Identity, Kind, Limits, PeerId, Request, Router, Status, Timeouts, Topic, TopicLimits,
    Topics,
};

/// What a device serves and publishes, and whom it lets in; [`Builder::build`] makes the device.
///
/// A mistake (a bad name, a method twice) is told by `build`.
pub struct Builder {
    identity: Identity,
    limits: Limits,
    timeouts: Timeouts,
    call_timeout: Duration,
    admit: Admit,
    allow_subscribe: AllowSubscribe,
    router: Router<Handler>,
    topic_limits: TopicLimits,
    topics: Vec<(String, Kind)>,
    error: Option<BuildError>,
}

impl Builder {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            call_timeout: Duration::from_secs(10),
            admit: Box::new(|_| false),
            allow_subscribe: Box::new(|_, _| true),
            router: Router::new(),
            topic_limits: TopicLimits::default(),
            topics: Vec::new(),
            error: None,
        }
    }

    /// Lets these peers in when they dial.  Without this, and without [`admit`](Self::admit), nobody is.
    #[must_use]
    pub fn trust(self, peers: impl IntoIterator<Item = PeerId>) -> Self {
        let mut peers: Vec<PeerId> = peers.into_iter().collect();
        peers.sort_unstable();
        self.admit(move |peer| peers.binary_search(&peer).is_ok())
    }

    /// Asks `admit` about each peer that dials and has proven its identity.  It must not block, and must not
    /// use this device or its connections.  Where it panics, the peer is not let in.
    #[must_use]
    pub fn admit(mut self, admit: impl Fn(PeerId) -> bool + Send + Sync + 'static) -> Self {
        self.admit = Box::new(admit);
        self
    }

    /// Asks `allow` about each subscription of a peer, by its filter; without this all who were let in may
    /// subscribe to everything.  It must not block, and must not use this device or its connections.  Where
    /// it panics, the subscription is denied.
    #[must_use]
    pub fn allow_subscribe(mut self, allow: impl Fn(PeerId, &str) -> bool + Send + Sync + 'static) -> Self {
        self.allow_subscribe = Box::new(allow);
        self
    }

    /// Serves a request.  State is what the closure captures.
    ///
    /// A handler that panics answers [`Status::FAILED`].  One whose caller has cancelled, or whose time is up,
    /// is dropped at its next await.
    #[must_use]
    pub fn on<R, F, Fut>(self, handler: F) -> Self
    where
        R: Request + Send + 'static,
        F: Fn(Context, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Reply, Refusal>> + Send + 'static,
    {
        self.on_for::<R, F, Fut>(Allow::Anyone, handler)
    }

    /// Serves a request of these peers only; others get [`Status::DENIED`] before its body is decoded.
    #[must_use]
    pub fn on_for<R, F, Fut>(self, allow: Allow, handler: F) -> Self
    where
        R: Request + Send + 'static,
        F: Fn(Context, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Reply, Refusal>> + Send + 'static,
    {
        self.route(R::METHOD, allow, move |context, body| {
            let handling = crate::from_bytes::<R>(&body).map(|request| handler(context, request));
            Box::pin(async move {
                let reply = handling.map_err(|_| Status::BAD_REQUEST)?.await?;
                crate::to_bytes(&reply).map_err(|_| Status::FAILED.into())
            })
        })
    }

    /// Serves a method with bare bytes.
    #[must_use]
    pub fn on_raw<F, Fut>(self, method: &str, handler: F) -> Self
    where
        F: Fn(Context, Vec<u8>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<u8>, Refusal>> + Send + 'static,
    {
        self.route(method, Allow::Anyone, move |context, body| Box::pin(handler(context, body)))
    }

    fn route(
        mut self,
        method: &str,
        allow: Allow,
        handler: impl Fn(Context, Vec<u8>) -> Handling + Send + Sync + 'static,
    ) -> Self {
        if let Err(error) = self.router.on_for(method, allow, Arc::new(handler)) {
            self.error.get_or_insert_with(|| error.into());
        }
        self
    }

    /// Declares a topic.
    #[must_use]
    pub fn topic<T: Topic>(self) -> Self {
        self.topic_raw(T::TOPIC, T::KIND)
    }

    /// Declares a topic with bare bytes.
    #[must_use]
    pub fn topic_raw(mut self, name: &str, kind: Kind) -> Self {
        self.topics.push((name.into(), kind));
        self
    }

    /// With these limits for each connection.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With these limits for the table of topics.
    #[must_use]
    pub fn topic_limits(mut self, limits: TopicLimits) -> Self {
        self.topic_limits = limits;
        self
    }

    /// With these timeouts for each connection.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How long a call waits that names no deadline of its own; 10 s without this.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// The device.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the first mistake.
    pub fn build(self) -> Result<Device, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let config = Config::new(self.identity).with_limits(self.limits)?.with_timeouts(self.timeouts)?;
        let mut epoch = [0; 4];
        getrandom::fill(&mut epoch).map_err(|_| BuildError::Entropy)?;
        let mut topics = Topics::new(u32::from_le_bytes(epoch), self.topic_limits);
        for (name, kind) in self.topics {
            topics.declare(&name, kind)?;
        }
        let shared = Shared {
            router: self.router,
            topics: Mutex::new(topics),
            admit: self.admit,
            allow_subscribe: self.allow_subscribe,
        };
        Ok(Device(Arc::new(Inner {
            config,
            shared,
            call_timeout: self.call_timeout,
            origin: time::Instant::now(),
            next_link: AtomicU64::new(0),
            links: Mutex::new(Links::default()),
            drained: Notify::new(),
        })))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("identity", &self.identity).finish_non_exhaustive()
    }
}
