//! The other process: thousands of devices, which do what the gateway's process tells them to, by one line each.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use symbolon::tokio::{ConnectError, Device, Handle, SubscribeOptions};
use symbolon::{CloseReason, Identity, PeerId};
use tokio::runtime::Runtime;
use tokio::sync::{Barrier, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::gateway::{ALL, BUSY, now, one_worker};

/// How many of those who do not storm dial at once.
const AT_ONCE: usize = 32;
const BODY: [u8; 64] = [0x55; 64];

/// Serves until the pipe ends.
pub fn run(address: &str, peer: &str) {
    let address = address.parse().expect("an address");
    let peer = peer.parse().expect("a peer");
    let mut devices = Devices {
        runtime: one_worker(),
        address,
        peer,
        links: Vec::new(),
        latencies: Arc::default(),
        paced: Vec::new(),
    };
    for line in io::stdin().lines() {
        let line = line.expect("text");
        let mut words = line.split(' ');
        let command = words.next().unwrap_or_default();
        let numbers: Vec<usize> = words.map(|number| number.parse().expect("a number")).collect();
        let answer = match (command, numbers.as_slice()) {
            ("connect", [count]) => devices.connect(*count),
            ("subscribe", [count]) => devices.subscribe(*count),
            ("calls", [callers, times]) => devices.calls(*callers, *times),
            ("pace", [callers, pause]) => devices.pace(*callers, Duration::from_millis(*pause as u64)),
            ("latencies", [count]) => devices.latencies(*count),
            ("storm", [count]) => devices.storm(*count),
            _ => panic!("{line}"),
        };
        println!("{}", answer.iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
    }
}

struct Devices {
    runtime: Runtime,
    address: SocketAddr,
    peer: PeerId,
    links: Vec<Handle>,
    /// Of publications, in nanoseconds.
    latencies: Arc<Mutex<Vec<u64>>>,
    /// Those who call now and then.
    paced: Vec<JoinHandle<()>>,
}

/// How dialling went.
#[derive(Default)]
struct Attempts {
    dialled: u32,
    busy: u32,
    dropped: u32,
}

impl Devices {
    /// One after the other, so that nobody is turned away; each subscribes to what all subscribe to.
    fn connect(&mut self, count: usize) -> Vec<f64> {
        let gate = Arc::new(Semaphore::new(AT_ONCE));
        let (address, peer, latencies) = (self.address, self.peer, self.latencies.clone());
        let mut dialling = JoinSet::new();
        for _ in 0..count {
            let (gate, latencies) = (gate.clone(), latencies.clone());
            dialling.spawn_on(
                async move {
                    let _permit = gate.acquire().await;
                    let link = device().connect(address, peer).await.expect("a connection");
                    listen(&link, ALL, latencies).await;
                    link
                },
                self.runtime.handle(),
            );
        }
        self.links.extend(self.runtime.block_on(dialling.join_all()));
        Vec::new()
    }

    /// The busy ones, to what only they subscribe to.
    fn subscribe(&self, count: usize) -> Vec<f64> {
        self.runtime.block_on(async {
            for link in &self.links[..count] {
                listen(link, BUSY, self.latencies.clone()).await;
            }
        });
        Vec::new()
    }

    /// So many call so often, each one after the other.  The median and the 99th percentile, in seconds.
    fn calls(&self, callers: usize, times: usize) -> Vec<f64> {
        let mut calling = JoinSet::new();
        for link in &self.links[..callers] {
            let link = link.clone();
            calling.spawn_on(
                async move {
                    let mut took = Vec::with_capacity(times);
                    for _ in 0..times {
                        let begun = Instant::now();
                        link.call_raw("echo", &BODY, None).await.expect("an answer");
                        took.push(begun.elapsed());
                    }
                    took
                },
                self.runtime.handle(),
            );
        }
        let took = self.runtime.block_on(calling.join_all()).concat();
        percentiles(took.iter().map(Duration::as_secs_f64).collect())
    }

    /// So many call once in this time from now on, in the place of those who did.
    fn pace(&mut self, callers: usize, pause: Duration) -> Vec<f64> {
        self.paced.drain(..).for_each(|task| task.abort());
        if !pause.is_zero() {
            let calling = self.links[..callers].iter().enumerate().map(|(number, link)| {
                let link = link.clone();
                let first = pause * u32::try_from(number).expect("not that many") / callers as u32;
                self.runtime.spawn(async move {
                    sleep(first).await;
                    loop {
                        link.call_raw("echo", &BODY, None).await.expect("an answer");
                        sleep(pause).await;
                    }
                })
            });
            self.paced = calling.collect();
        }
        Vec::new()
    }

    /// Waits until so many publications have come.  The median and the 99th percentile, in seconds.
    fn latencies(&self, count: usize) -> Vec<f64> {
        let got = || self.latencies.lock().expect("no panic").len();
        let begun = Instant::now();
        while got() < count {
            assert!(begun.elapsed() < Duration::from_secs(60), "{} of {count} publications came", got());
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut latencies = self.latencies.lock().expect("no panic");
        assert_eq!(latencies.len(), count, "more than were published");
        percentiles(latencies.drain(..).map(|nanoseconds| nanoseconds as f64 / 1e9).collect())
    }

    /// All dial at the same moment, and again where they are turned away, until they are in.
    fn storm(&mut self, count: usize) -> Vec<f64> {
        let start = Arc::new(Barrier::new(count));
        let (address, peer) = (self.address, self.peer);
        let mut dialling = JoinSet::new();
        for number in 0..count {
            let (device, start) = (device(), start.clone());
            dialling.spawn_on(
                async move {
                    start.wait().await;
                    let begun = Instant::now();
                    let (link, attempts) = insist(&device, address, peer, number).await;
                    (link, begun, begun.elapsed(), attempts)
                },
                self.runtime.handle(),
            );
        }
        let all = self.runtime.block_on(dialling.join_all());
        let begun = all.iter().map(|(_, begun, ..)| *begun).min().expect("somebody");
        let end = all.iter().map(|(_, begun, took, _)| *begun + *took).max().expect("somebody");
        let mut answer = vec![(end - begun).as_secs_f64()];
        answer.extend(percentiles(all.iter().map(|(_, _, took, _)| took.as_secs_f64()).collect()));
        let sum =
            |of: fn(&Attempts) -> u32| all.iter().map(|(.., attempts)| f64::from(of(attempts))).sum::<f64>();
        answer.extend([sum(|it| it.dialled), sum(|it| it.busy), sum(|it| it.dropped)]);
        self.links.extend(all.into_iter().map(|(link, ..)| link));
        answer
    }
}

/// Dials until it is let in, with pauses that grow and differ.
async fn insist(device: &Device, address: SocketAddr, peer: PeerId, number: usize) -> (Handle, Attempts) {
    let mut attempts = Attempts::default();
    loop {
        attempts.dialled += 1;
        match device.connect(address, peer).await {
            Ok(link) => return (link, attempts),
            Err(ConnectError::Closed(CloseReason::Refused(_))) => attempts.busy += 1,
            Err(_) => attempts.dropped += 1,
        }
        let most = 20 << attempts.dialled.min(5);
        let pause = (number as u64).wrapping_mul(0x9e37_79b9).wrapping_mul(attempts.dialled.into()) % most;
        sleep(Duration::from_millis(10 + pause)).await;
    }
}

/// Subscribes, and notes how late each publication is from now on.
async fn listen(link: &Handle, topic: &str, latencies: Arc<Mutex<Vec<u64>>>) {
    let mut subscription = link.subscribe_raw(topic, SubscribeOptions::default()).await.expect("a topic");
    tokio::spawn(async move {
        while let Some(delivery) = subscription.next().await {
            assert!(!delivery.missed.is_any(), "{:?} are missing", delivery.missed);
            let Some(publication) = delivery.publication else { continue };
            let published = publication.body.first_chunk().map(|time| u64::from_be_bytes(*time));
            let late = now().saturating_sub(published.expect("its time"));
            latencies.lock().expect("no panic").push(late);
        }
    });
}

fn percentiles(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    [500, 990].map(|of_thousand| values[values.len() * of_thousand / 1_000]).to_vec()
}

fn device() -> Device {
    Device::builder(Identity::generate().expect("entropy")).build().expect("a device")
}
