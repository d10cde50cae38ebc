//! What a device is made of.

use std::boxed::Box;
use std::fmt;
use std::string::String;
use std::sync::Mutex;
use std::time::Duration;
use std::vec::Vec;

use super::base::Base;
use super::description::Words;
use super::error::BuildError;
use super::link::{Admit, AllowSubscribe, Shared};
use crate::adapter::defaults::CALL_TIMEOUT;
use crate::{
    Allow, Config, Identity, Kind, Limits, PeerId, Provider, Router, Timeouts, Topic, TopicLimits, Topics,
};

/// What a device serves and publishes, and whom it lets in; its adapter's `build` makes the device.
///
/// Programs name it [`blocking::Builder`](crate::blocking::Builder) or `tokio::Builder`: `H` is the adapter's kind of
/// handler, and the methods that take handlers (`on`, `on_stream` and theirs) and `build` are the adapter's as well.
/// Without more it lets nobody in, serves nothing and publishes nothing.  A mistake (a bad name, a method twice) is
/// told by `build`.
///
/// ```
/// use std::time::Duration;
/// use symbolon::blocking::Device;
/// use symbolon::{Identity, Kind, Limits, PeerId};
///
/// let (owner, guest) = (PeerId::from_bytes([1; 32]), PeerId::from_bytes([2; 32]));
/// let lamp = Device::builder(Identity::generate()?)
///     .trust([owner, guest])
///     .on_raw("lamp/state", |_, _| Ok("on".into()))
///     .topic_raw("lamp/state", Kind::State)
///     .topic_raw("lamp/faults", Kind::State)
///     // A filter may have wildcards: compare with what is allowed, never with what is not.
///     .allow_subscribe(move |peer, filter| peer == owner || filter == "lamp/state")
///     .limits(Limits::small())
///     .call_timeout(Duration::from_secs(2))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Builder<H> {
    identity: Identity,
    limits: Limits,
    timeouts: Timeouts,
    provider: Provider,
    call_timeout: Duration,
    admit: Admit,
    allow_subscribe: AllowSubscribe,
    router: Router<H>,
    topic_limits: TopicLimits,
    topics: Vec<(String, Kind)>,
    describes: bool,
    words: Words,
    error: Option<BuildError>,
}

impl<H> Builder<H> {
    pub(crate) fn new(identity: Identity) -> Self {
        Self {
            identity,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            provider: Provider::default(),
            call_timeout: CALL_TIMEOUT,
            admit: Box::new(|_| false),
            allow_subscribe: Box::new(|_, _| true),
            router: Router::new(),
            topic_limits: TopicLimits::default(),
            topics: Vec::new(),
            describes: true,
            words: Words::default(),
            error: None,
        }
    }

    /// Lets these peers in when they dial, in place of what was said before.  Without this, and without
    /// [`admit`](Self::admit), nobody is.  Whom this device dials is named by `connect`.  SPEC §6
    #[must_use]
    pub fn trust(self, peers: impl IntoIterator<Item = PeerId>) -> Self {
        let mut peers: Vec<PeerId> = peers.into_iter().collect();
        peers.sort_unstable();
        self.admit(move |peer| peers.binary_search(&peer).is_ok())
    }

    /// Asks `admit` about each peer that dials and has proven its identity, in place of what was said before.  It
    /// must not block, and must not use this device or its connections.  Where it panics, the peer is not let in.
    /// SPEC §6
    ///
    /// ```
    /// use std::collections::HashSet;
    /// use std::sync::{Arc, RwLock};
    /// use symbolon::{Identity, PeerId, blocking::Device};
    ///
    /// // A set that changes while the device runs.
    /// let friends = Arc::new(RwLock::new(HashSet::<PeerId>::new()));
    /// let asked = friends.clone();
    /// let admit = move |peer| asked.read().is_ok_and(|friends| friends.contains(&peer));
    /// let device = Device::builder(Identity::generate()?).admit(admit).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn admit(mut self, admit: impl Fn(PeerId) -> bool + Send + Sync + 'static) -> Self {
        self.admit = Box::new(admit);
        self
    }

    /// Asks `allow` about each subscription of a peer, by its filter; without this all who were let in may
    /// subscribe to everything.  A filter may have wildcards (SPEC §13), so compare it with what is allowed, never
    /// with what is not: `#` matches all.  It must not block, and must not use this device or its connections.
    /// Where it panics, the subscription is denied.
    #[must_use]
    pub fn allow_subscribe(mut self, allow: impl Fn(PeerId, &str) -> bool + Send + Sync + 'static) -> Self {
        self.allow_subscribe = Box::new(allow);
        self
    }

    /// Serves a method; a mistake is told by `build`.
    pub(crate) fn route(mut self, method: &str, allow: Allow, handler: H) -> Self {
        if let Err(error) = self.router.on_for(method, allow, handler) {
            self.error.get_or_insert_with(|| BuildError::Method { name: method.into(), error });
        }
        self
    }

    /// Declares a topic.  Only declared topics can be published; peers may subscribe before.  SPEC §14.2
    #[must_use]
    pub fn topic<T: Topic>(self) -> Self {
        self.topic_raw(T::TOPIC, T::KIND)
    }

    /// Declares a topic with bare bytes, by its name (SPEC §13).
    #[must_use]
    pub fn topic_raw(mut self, name: &str, kind: Kind) -> Self {
        self.topics.push((name.into(), kind));
        self
    }

    /// What people call this device, for those that ask what it offers: 1 to 64 bytes, no control character; the last one
    /// counts.  A name that breaks this is told by `build`.
    ///
    /// Whoever is let in may ask ([`describe`](crate::blocking::Handle::describe)), and is told the methods and topics that
    /// it may use, also by `allow_subscribe`, which is asked about each topic by its name; unless
    /// [`without_description`](Self::without_description).  SPEC §22
    ///
    /// ```
    /// use symbolon::{Identity, Kind, blocking::Device};
    ///
    /// # let phone = Device::builder(Identity::generate()?).build()?;
    /// let lamp = Device::builder(Identity::generate()?)
    ///     .name("Lamp in the hall")
    ///     .trust([phone.peer_id()])
    ///     .on_raw("lamp/set", |_, state| Ok(state))
    ///     .describe_method("lamp/set", "Switches the lamp: \"on\" or \"off\".")
    ///     .topic_raw("lamp/state", Kind::State)
    ///     .build()?;
    /// # let server = lamp.listen("127.0.0.1:0")?.spawn()?;
    /// # let address = server.local_addr();
    /// let told = phone.connect(address, lamp.peer_id())?.describe()?;
    /// assert_eq!(told.name(), Some("Lamp in the hall"));
    /// assert!(told.methods().map(|method| method.name).eq(["lamp/set"]));
    /// assert!(told.topics().map(|topic| topic.name).eq(["lamp/state"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.words.name = Some(name.into());
        self
    }

    /// A text for people about a method, for those that ask what this device offers: 1 to 256 bytes, no control character.
    /// A mistake, also a method that is not served, is told by `build`.
    #[must_use]
    pub fn describe_method(mut self, method: &str, text: &str) -> Self {
        self.words.methods.insert(method.into(), text.into());
        self
    }

    /// The same about a topic.
    #[must_use]
    pub fn describe_topic(mut self, topic: &str, text: &str) -> Self {
        self.words.topics.insert(topic.into(), text.into());
        self
    }

    /// Tells nobody what this device offers: who asks gets [`Status::NOT_FOUND`](crate::Status::NOT_FOUND), as from a
    /// device that knows no such question.  SPEC §22
    #[must_use]
    pub fn without_description(mut self) -> Self {
        self.describes = false;
        self
    }

    /// With these limits for each connection; [`Limits::default`] without this.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With these limits for the table of topics; [`TopicLimits::default`] without this.
    #[must_use]
    pub fn topic_limits(mut self, limits: TopicLimits) -> Self {
        self.topic_limits = limits;
        self
    }

    /// With these timeouts for each connection; [`Timeouts::default`] without this.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// With the primitives of this provider; [`Provider::default`] without this.
    #[must_use]
    pub fn provider(mut self, provider: Provider) -> Self {
        self.provider = provider;
        self
    }

    /// How long a call waits that names no timeout of its own, and a subscription to be accepted; 10 s without this.
    /// It goes out with the call, as its deadline, in whole milliseconds.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// `describer` is the adapter's handler that tells what the device offers.
    pub(crate) fn base<C>(self, describer: H) -> Result<Base<H, C>, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let config = Config::new(self.identity).with_provider(self.provider);
        let config = config.with_limits(self.limits)?.with_timeouts(self.timeouts)?;
        let mut epoch = [0; 4];
        getrandom::fill(&mut epoch).map_err(|_| BuildError::Entropy)?;
        let mut topics = Topics::new(u32::from_le_bytes(epoch), self.topic_limits);
        for (name, kind) in self.topics {
            if let Err(error) = topics.declare(&name, kind) {
                return Err(BuildError::Topic { name, error });
            }
        }
        self.words.check(|method| self.router.serves(method), |topic| topics.find(topic).is_some())?;
        let shared = Shared {
            describer: self.describes.then_some(describer),
            words: self.words,
            router: self.router,
            topics: Mutex::new(topics),
            admit: self.admit,
            allow_subscribe: self.allow_subscribe,
        };
        Ok(Base::new(config, shared, self.call_timeout))
    }
}

impl<H> fmt::Debug for Builder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("identity", &self.identity).finish_non_exhaustive()
    }
}
