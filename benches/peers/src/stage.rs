//! What both sides of a contestant share in one process: how much has arrived, and what it has cost.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

/// Counts publications as they arrive, and tells when the last one has.
#[derive(Debug, Default)]
pub struct Tally {
    count: AtomicU64,
    goal: AtomicU64,
    reached: Notify,
}

impl Tally {
    /// One more has arrived.
    pub fn add(&self) {
        self.add_many(1);
    }

    /// So many have arrived at once.
    pub fn add_many(&self, more: u64) {
        let before = self.count.fetch_add(more, Ordering::SeqCst);
        // Whoever waits has set the goal before it looked at the count.
        if (before + 1..=before + more).contains(&self.goal.load(Ordering::SeqCst)) {
            self.reached.notify_waiters();
        }
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Waits until so many have arrived, counted from the beginning.
    pub async fn wait_for(&self, goal: u64) {
        self.goal.store(goal, Ordering::SeqCst);
        loop {
            let mut reached = std::pin::pin!(self.reached.notified());
            reached.as_mut().enable();
            if self.count() >= goal {
                return;
            }
            reached.await;
        }
    }

    /// The same for a thread that has no runtime.
    pub fn block_until(&self, goal: u64) {
        while self.count() < goal {
            thread::sleep(Duration::from_micros(50));
        }
    }
}

/// Where a server stands: it says where it listens, and counts what it gets.
#[derive(Clone)]
pub struct Stage {
    pub tally: Arc<Tally>,
    address: mpsc::Sender<SocketAddr>,
    helper: Arc<OnceLock<u32>>,
}

impl Stage {
    /// A stage, and where its server will say its address.
    pub fn new() -> (Self, mpsc::Receiver<SocketAddr>) {
        let (address, told) = mpsc::channel();
        (Self { tally: Arc::default(), address, helper: Arc::default() }, told)
    }

    /// The server takes connections here from now on.
    pub fn open(&self, address: SocketAddr) -> Result<()> {
        self.address.send(address).context("nobody waits for the server")
    }

    /// A process that does part of the server's work: it is counted in.
    pub fn has_helper(&self, process: u32) {
        // There is one at most.
        self.helper.get_or_init(|| process);
    }

    /// Processor time so far, of both sides and of their helper.
    pub fn cpu(&self) -> Duration {
        let own = clock_gettime(ClockId::ProcessCPUTime);
        let own = Duration::new(own.tv_sec as u64, own.tv_nsec as u32);
        own + self.helper.get().and_then(|process| cpu_of(*process)).unwrap_or_default()
    }

    /// Bytes of memory that the server holds, or its helper in its place.
    pub fn resident(&self) -> Result<u64> {
        let process = self.helper.get().map_or_else(|| "self".to_owned(), u32::to_string);
        // Others are counted for each processor, and late.
        let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("it has a line Rss")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024)
    }
}

/// What the scheduler has given to a process of one thread.
fn cpu_of(process: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

/// Rings once, after some time: cheaper to look at than a clock, where an operation takes 50 ns.
#[derive(Clone, Debug)]
pub struct Bell(Arc<AtomicBool>);

impl Bell {
    pub fn after(span: Duration) -> Self {
        let bell = Self(Arc::default());
        let ringing = bell.clone();
        thread::spawn(move || {
            thread::sleep(span);
            ringing.0.store(true, Ordering::Relaxed);
        });
        bell
    }

    pub fn has_rung(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
