//! The gateway: one device, and a thread that serves all of its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use symbolon::tokio::Device;
use symbolon::{Identity, Kind, Overflow, PeerId, TopicLimits};
use tokio::runtime::{self, Runtime};
use tokio::time::sleep;

use crate::child::Child;
use crate::process;

/// What all subscribe to, and what only the busy ones do.
pub const ALL: &str = "all";
pub const BUSY: &str = "busy";
/// A publication is its time, and bytes up to this length.
pub const BODY: usize = 64;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Gateway {
    runtime: Runtime,
    device: Device,
    pub address: SocketAddr,
    pub peer: PeerId,
    connected: Arc<AtomicUsize>,
}

impl Gateway {
    pub fn new() -> Self {
        let runtime = one_worker();
        let mut limits = TopicLimits::default();
        (limits.subscriptions, limits.matches) = (20_000, 20_000);
        let kind = Kind::Event { depth: 64, overflow: Overflow::DropOldest };
        let device = Device::builder(Identity::generate().expect("entropy"))
            .admit(|_| true)
            .topic_limits(limits)
            .topic_raw(ALL, kind)
            .topic_raw(BUSY, kind)
            .on_raw("echo", |_, body| async move { Ok(body) })
            .build()
            .expect("a device");
        let mut listener = runtime.block_on(device.listen("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("its address");
        let connected = Arc::new(AtomicUsize::new(0));
        let counter = connected.clone();
        runtime.spawn(async move {
            while listener.accept().await.is_ok() {
                counter.fetch_add(1, Relaxed);
            }
        });
        let peer = device.peer_id();
        Self { runtime, device, address, peer, connected }
    }

    /// How many were ever let in; nobody leaves.
    pub fn connected(&self) -> usize {
        self.connected.load(Relaxed)
    }

    /// Until so many are let in, of whom the last may know it before this side does.
    pub fn wait_for(&self, connected: usize) {
        let begun = SystemTime::now();
        while self.connected() != connected {
            assert!(
                begun.elapsed().is_ok_and(|passed| passed < PATIENCE),
                "{} are lost",
                connected - self.connected()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Publishes so often, and waits until all of so many subscribers have all of it.  The median and the 99th percentile
    /// of how late it came to each, in seconds.
    pub fn publish_to(
        &self,
        child: &mut Child,
        topic: &'static str,
        subscribers: usize,
        times: usize,
    ) -> [f64; 2] {
        self.publish(topic, times, Duration::from_millis(25));
        let told = child.ask(&format!("latencies {}", subscribers * times));
        told.try_into().expect("two numbers")
    }

    /// On the thread that serves the connections, as a handler would.
    pub fn publish(&self, topic: &'static str, times: usize, pause: Duration) {
        let device = self.device.clone();
        let publishing = self.runtime.spawn(async move {
            for _ in 0..times {
                let mut body = [0; BODY];
                body[..8].copy_from_slice(&now().to_be_bytes());
                device.publish_raw(topic, &body).await.expect("a topic");
                sleep(pause).await;
            }
        });
        self.runtime.block_on(publishing).expect("it is published");
    }

    /// Counts, until it is stopped, the sockets that belong to nobody who was let in.
    pub fn watch_strangers(&self) -> Strangers {
        let stop = Arc::new(AtomicBool::new(false));
        let (connected, stopped) = (self.connected.clone(), stop.clone());
        let others = process::open_files() - self.connected();
        let thread = thread::spawn(move || {
            let mut most = 0;
            while !stopped.load(Relaxed) {
                // Who is let in while the files are counted counts as no stranger.
                let files = process::open_files();
                most = most.max(files.saturating_sub(others + connected.load(Relaxed)));
                thread::sleep(Duration::from_millis(5));
            }
            most
        });
        Strangers { stop, thread }
    }
}

pub struct Strangers {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Strangers {
    /// The most that there were.
    pub fn stop(self) -> usize {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("it counts")
    }
}

/// The same clock in both processes, in nanoseconds.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is set");
    u64::try_from(since.as_nanos()).expect("not that late")
}

/// What waits for connections is another thread than the one that serves them.
pub fn one_worker() -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}
