//! One face for the devices of all adapters, so that a conversation is written once.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;
use std::{fmt, io};

use ::tokio::runtime::Runtime;
use bytes::Bytes;
use symbolon::tokio::{
    CallError, ConnectError, Delivery, Gap, Refusal, SubscribeError, SubscribeOptions, {self},
};
use symbolon::{
    Allow, CloseReason, Description, Identity, Kind, Limits, PeerId, Point, PublishError, SecretKey, Seed,
    Timeouts, blocking,
};

use super::bodies::{self, StreamMethod, Streams};
use super::{Count, Double, Doubled, Secret};

/// How long anything may take before a test counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A device of either adapter.
pub trait Device: Send + Sync {
    fn peer_id(&self) -> PeerId;
    /// Listens and serves until the test ends.
    fn listen(&self) -> SocketAddr;
    fn connect(&self, address: SocketAddr, peer: PeerId) -> Result<Box<dyn Handle>, ConnectError>;
    fn link(&self, peer: PeerId) -> Option<Box<dyn Handle>>;
    fn publish(&self, topic: &str, body: &[u8]) -> Result<Point, PublishError>;
    fn try_publish(&self, topic: &str, body: &[u8]) -> Result<Point, PublishError>;
}

/// One end of a connection.
pub trait Handle: Streams + fmt::Debug + Send + Sync {
    fn call(&self, request: &Double) -> Result<Doubled, CallError>;
    fn call_secret(&self) -> Result<Doubled, CallError>;
    fn call_raw(&self, method: &str, body: &[u8], timeout: Option<Duration>) -> Result<Bytes, CallError>;
    fn describe(&self) -> Result<Description<'static>, CallError>;
    fn subscribe(&self, filter: &str, options: SubscribeOptions) -> Result<Box<dyn Feed>, SubscribeError>;
    fn subscribe_counts(&self, options: SubscribeOptions) -> Result<Box<dyn Counts>, SubscribeError>;
    fn close(&self) -> CloseReason;
    fn closed(&self) -> CloseReason;
    fn is_connected(&self) -> bool;
    fn peer(&self) -> Option<PeerId>;
    fn channel_binding(&self) -> Option<[u8; 32]>;
    fn again(&self) -> Box<dyn Handle>;
}

/// A subscription.
pub trait Feed: Send {
    /// `None` at its end; fails a test that hangs.
    fn next(&mut self) -> Option<Delivery>;
    fn ended(&self) -> Option<SubscribeError>;
}

/// A subscription to [`Count`].
pub trait Counts: Send {
    /// `None` at its end; fails a test that hangs.
    fn next(&mut self) -> Option<Result<Count, Gap>>;
    fn last(&self) -> Option<Point>;
}

/// What a handler is told.
pub struct Asked {
    pub peer: PeerId,
    pub time_left: Option<Duration>,
    pub handle: Box<dyn Handle>,
    pub(super) cancelled: Box<dyn Fn() -> bool + Send>,
}

impl Asked {
    /// Until the caller has gone, and `true`; or too long, and `false`.
    pub fn waits_for_cancelled(&self) -> bool {
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            if (self.cancelled)() {
                return true;
            }
            thread::sleep(Duration::from_millis(1));
        }
        false
    }
}

type Method = Arc<dyn Fn(&Asked, Bytes) -> Result<Bytes, Refusal> + Send + Sync>;

/// What a device is to be made of.
pub struct Plan {
    number: u8,
    methods: Vec<(String, Method)>,
    streams: Vec<(String, StreamMethod)>,
    topics: Vec<(String, Kind)>,
    limits: Limits,
    timeouts: Timeouts,
    trusted: Option<Vec<PeerId>>,
    friends: Vec<PeerId>,
    private: Option<String>,
    name: Option<String>,
    methods_described: Vec<(String, String)>,
    topics_described: Vec<(String, String)>,
    tells: bool,
}

/// A device that lets everyone in, and knows `math/double` and `echo`.
pub fn plan(number: u8) -> Plan {
    Plan {
        number,
        methods: Vec::new(),
        streams: Vec::new(),
        topics: Vec::new(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        trusted: None,
        friends: Vec::new(),
        private: None,
        name: None,
        methods_described: Vec::new(),
        topics_described: Vec::new(),
        tells: true,
    }
}

pub fn identity(number: u8) -> Identity {
    Identity::new(&SecretKey::from_bytes([number; 32]), Seed::random().unwrap())
}

pub fn peer_id(number: u8) -> PeerId {
    identity(number).peer_id()
}

impl Plan {
    pub fn on(
        mut self,
        method: &str,
        handler: impl Fn(&Asked, Bytes) -> Result<Bytes, Refusal> + Send + Sync + 'static,
    ) -> Self {
        self.methods.push((method.into(), Arc::new(handler)));
        self
    }

    pub fn on_stream(
        mut self,
        method: &str,
        handler: impl Fn(&Asked, Bytes, bodies::Exchange) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        self.streams.push((method.into(), Arc::new(handler)));
        self
    }

    pub fn topic(mut self, name: &str, kind: Kind) -> Self {
        self.topics.push((name.into(), kind));
        self
    }

    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub fn timeouts(mut self, change: impl FnOnce(&mut Timeouts)) -> Self {
        change(&mut self.timeouts);
        self
    }

    /// Lets only these in.
    pub fn trust(mut self, peers: &[PeerId]) -> Self {
        self.trusted = Some(peers.to_vec());
        self
    }

    /// Serves [`Secret`] to these.
    pub fn friends(mut self, peers: &[PeerId]) -> Self {
        self.friends = peers.to_vec();
        self
    }

    /// Nobody may subscribe to exactly this filter.
    pub fn private(mut self, filter: &str) -> Self {
        self.private = Some(filter.into());
        self
    }

    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    pub fn describe_method(mut self, method: &str, text: &str) -> Self {
        self.methods_described.push((method.into(), text.into()));
        self
    }

    pub fn describe_topic(mut self, topic: &str, text: &str) -> Self {
        self.topics_described.push((topic.into(), text.into()));
        self
    }

    /// Tells nobody what it offers.
    pub fn untold(mut self) -> Self {
        self.tells = false;
        self
    }
}

/// What both builders have.
macro_rules! common {
    ($device:ty, $plan:expr) => {{
        let plan = $plan;
        let mut builder = <$device>::builder(identity(plan.number))
            .limits(plan.limits)
            .timeouts(plan.timeouts)
            .call_timeout(PATIENCE);
        builder = match plan.trusted.clone() {
            Some(peers) => builder.trust(peers),
            None => builder.admit(|_| true),
        };
        let private = plan.private.clone();
        builder = builder.allow_subscribe(move |_, filter| private.as_deref() != Some(filter));
        for (name, kind) in &plan.topics {
            builder = builder.topic_raw(name, *kind);
        }
        for (method, text) in &plan.methods_described {
            builder = builder.describe_method(method, text);
        }
        for (topic, text) in &plan.topics_described {
            builder = builder.describe_topic(topic, text);
        }
        if let Some(name) = &plan.name {
            builder = builder.name(name);
        }
        if !plan.tells {
            builder = builder.without_description();
        }
        builder
    }};
}

/// An adapter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Adapter {
    Std,
    Tokio,
}

impl Adapter {
    pub fn build(self, plan: Plan) -> Box<dyn Device> {
        match self {
            Self::Std => build_std(plan),
            Self::Tokio => build_tokio(plan),
        }
    }
}

// std

fn build_std(plan: Plan) -> Box<dyn Device> {
    let mut builder = common!(blocking::Device, &plan)
        .on(|_, Double(number)| Ok(Doubled(number * 2)))
        .on_for(Allow::only(plan.friends.clone()), |_, Secret(number)| Ok(Doubled(number)))
        .on_raw("echo", |_, body| Ok(body));
    for (name, method) in plan.methods {
        builder = builder.on_raw(&name, move |context: blocking::Context, body| {
            let asked = Asked {
                peer: context.peer(),
                time_left: context.time_left(),
                handle: Box::new(context.handle().clone()),
                cancelled: Box::new(move || context.is_cancelled()),
            };
            method(&asked, body)
        });
    }
    let builder = bodies::serve_std(builder, plan.streams, plan.friends);
    Box::new(builder.build().unwrap())
}

impl Device for blocking::Device {
    fn peer_id(&self) -> PeerId {
        self.peer_id()
    }

    fn listen(&self) -> SocketAddr {
        let listener = self.listen("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || listener.serve());
        address
    }

    fn connect(&self, address: SocketAddr, peer: PeerId) -> Result<Box<dyn Handle>, ConnectError> {
        Ok(Box::new(self.connect(address, peer)?))
    }

    fn link(&self, peer: PeerId) -> Option<Box<dyn Handle>> {
        Some(Box::new(self.link(peer)?))
    }

    fn publish(&self, topic: &str, body: &[u8]) -> Result<Point, PublishError> {
        self.publish_raw(topic, body)
    }

    fn try_publish(&self, topic: &str, body: &[u8]) -> Result<Point, PublishError> {
        self.try_publish_raw(topic, body)
    }
}

impl Handle for blocking::Handle {
    fn call(&self, request: &Double) -> Result<Doubled, CallError> {
        self.call(request)
    }

    fn call_secret(&self) -> Result<Doubled, CallError> {
        self.call(&Secret(7))
    }

    fn call_raw(&self, method: &str, body: &[u8], timeout: Option<Duration>) -> Result<Bytes, CallError> {
        self.call_raw(method, body, timeout)
    }

    fn describe(&self) -> Result<Description<'static>, CallError> {
        self.describe()
    }

    fn subscribe(&self, filter: &str, options: SubscribeOptions) -> Result<Box<dyn Feed>, SubscribeError> {
        Ok(Box::new(self.subscribe_raw(filter, options)?))
    }

    fn subscribe_counts(&self, options: SubscribeOptions) -> Result<Box<dyn Counts>, SubscribeError> {
        Ok(Box::new(self.subscribe_with(options)?))
    }

    fn close(&self) -> CloseReason {
        self.close()
    }

    fn closed(&self) -> CloseReason {
        self.closed()
    }

    fn is_connected(&self) -> bool {
        self.is_connected()
    }

    fn peer(&self) -> Option<PeerId> {
        self.peer()
    }

    fn channel_binding(&self) -> Option<[u8; 32]> {
        self.channel_binding()
    }

    fn again(&self) -> Box<dyn Handle> {
        Box::new(self.clone())
    }
}

impl Feed for blocking::RawSubscription {
    fn next(&mut self) -> Option<Delivery> {
        match self.recv_timeout(PATIENCE) {
            Ok(delivery) => Some(delivery),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        }
    }

    fn ended(&self) -> Option<SubscribeError> {
        self.ended()
    }
}

impl Counts for blocking::Subscription<Count> {
    fn next(&mut self) -> Option<Result<Count, Gap>> {
        match self.recv_timeout(PATIENCE) {
            Ok(next) => Some(next),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        }
    }

    fn last(&self) -> Option<Point> {
        self.last()
    }
}

// tokio

/// One for all tests: connections of a test that has ended do no harm.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        ::tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

/// Waits for a future in a thread that is none of the runtime's workers; fails a test that hangs.
pub fn wait<F: Future>(future: F) -> F::Output {
    let limited = async { ::tokio::time::timeout(PATIENCE + Duration::from_secs(5), future).await };
    runtime().block_on(limited).expect("it hangs")
}

/// Tells a handler that its future was dropped.
pub struct Dropped(pub Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn build_tokio(plan: Plan) -> Box<dyn Device> {
    let mut builder = common!(tokio::Device, &plan)
        .on(|_, Double(number)| async move { Ok(Doubled(number * 2)) })
        .on_for(Allow::only(plan.friends.clone()), |_, Secret(number)| async move { Ok(Doubled(number)) })
        .on_raw("echo", |_, body| async move { Ok(body) });
    for (name, method) in plan.methods {
        builder = builder.on_raw(&name, move |context: tokio::Context, body| {
            let method = method.clone();
            async move {
                let dropped = Arc::new(AtomicBool::new(false));
                let _guard = Dropped(dropped.clone());
                let asked = Asked {
                    peer: context.peer(),
                    time_left: context.time_left(),
                    handle: Box::new(context.handle().clone()),
                    cancelled: Box::new(move || dropped.load(Ordering::SeqCst)),
                };
                let done = ::tokio::task::spawn_blocking(move || method(&asked, body)).await;
                done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
            }
        });
    }
    let builder = bodies::serve_tokio(builder, plan.streams, plan.friends);
    Box::new(builder.build().unwrap())
}

impl Device for tokio::Device {
    fn peer_id(&self) -> PeerId {
        self.peer_id()
    }

    fn listen(&self) -> SocketAddr {
        let listener = wait(self.listen("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime().spawn(listener.serve());
        address
    }

    fn connect(&self, address: SocketAddr, peer: PeerId) -> Result<Box<dyn Handle>, ConnectError> {
        Ok(Box::new(wait(self.connect(address, peer))?))
    }

    fn link(&self, peer: PeerId) -> Option<Box<dyn Handle>> {
        Some(Box::new(self.link(peer)?))
    }

    fn publish(&self, topic: &str, body: &[u8]) -> Result<Point, PublishError> {
        wait(self.publish_raw(topic, body))
    }

    fn try_publish(&self, topic: &str, body: &[u8]) -> Result<Point, PublishError> {
        self.try_publish_raw(topic, body)
    }
}

impl Handle for tokio::Handle {
    fn call(&self, request: &Double) -> Result<Doubled, CallError> {
        wait(self.call(request))
    }

    fn call_secret(&self) -> Result<Doubled, CallError> {
        wait(self.call(&Secret(7)))
    }

    fn call_raw(&self, method: &str, body: &[u8], timeout: Option<Duration>) -> Result<Bytes, CallError> {
        wait(self.call_raw(method, body, timeout))
    }

    fn describe(&self) -> Result<Description<'static>, CallError> {
        wait(self.describe())
    }

    fn subscribe(&self, filter: &str, options: SubscribeOptions) -> Result<Box<dyn Feed>, SubscribeError> {
        Ok(Box::new(wait(self.subscribe_raw(filter, options))?))
    }

    fn subscribe_counts(&self, options: SubscribeOptions) -> Result<Box<dyn Counts>, SubscribeError> {
        Ok(Box::new(wait(self.subscribe_with(options))?))
    }

    fn close(&self) -> CloseReason {
        wait(self.close())
    }

    fn closed(&self) -> CloseReason {
        wait(self.closed())
    }

    fn is_connected(&self) -> bool {
        self.is_connected()
    }

    fn peer(&self) -> Option<PeerId> {
        self.peer()
    }

    fn channel_binding(&self) -> Option<[u8; 32]> {
        self.channel_binding()
    }

    fn again(&self) -> Box<dyn Handle> {
        Box::new(self.clone())
    }
}

impl Feed for tokio::RawSubscription {
    fn next(&mut self) -> Option<Delivery> {
        wait(self.next())
    }

    fn ended(&self) -> Option<SubscribeError> {
        self.ended()
    }
}

impl Counts for tokio::Subscription<Count> {
    fn next(&mut self) -> Option<Result<Count, Gap>> {
        wait(self.next())
    }

    fn last(&self) -> Option<Point> {
        self.last()
    }
}

/// The kind of an error of connecting that a socket gave.
pub fn io_kind(error: &ConnectError) -> Option<io::ErrorKind> {
    match error {
        ConnectError::Io(error) => Some(error.kind()),
        _ => None,
    }
}
