//! Two devices and a connection between them, on each adapter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use symbolon::{Identity, Provider, blocking, tokio as on_tokio};
use tokio::runtime::{self, Runtime};

use crate::fill;

const BLOCK: usize = 64 * 1024;
const CALL: [u8; 64] = [0x55; 64];

fn identity() -> Identity {
    Identity::generate().expect("entropy")
}

/// On tokio: each device with a thread and a runtime of its own, as two processes would have them.
pub struct Tokio {
    runtime: Runtime,
    link: on_tokio::Handle,
}

impl Tokio {
    pub fn new(provider: Provider) -> Self {
        let device = on_tokio::Device::builder(identity())
            .provider(provider)
            .admit(|_| true)
            .on_raw("echo", |_, body| async move { Ok(body) })
            .on_stream_raw("sink", |_, _, mut exchange| async move {
                let mut bytes = 0_u64;
                while let Some(chunk) = exchange.body.chunk().await? {
                    bytes += chunk.len() as u64;
                }
                exchange.reply.send(bytes.to_be_bytes().to_vec());
                Ok(())
            })
            .build()
            .expect("a device");
        let peer = device.peer_id();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            one_worker().block_on(async {
                let listener = device.listen("127.0.0.1:0").await.expect("a port");
                tell.send(listener.local_addr().expect("its address")).expect("who asked");
                listener.serve().await
            })
        });
        let address = told.recv().expect("it listens");
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let other = on_tokio::Device::builder(identity()).provider(provider).build().expect("a device");
        let link = runtime.block_on(async { other.connect(address, peer).await.expect("a connection") });
        Self { runtime, link }
    }

    /// How long it takes until the other side has all of so many bytes.
    pub fn upload(&self, len: u64) -> Duration {
        let link = self.link.clone();
        let uploading = async move {
            let begun = Instant::now();
            let (mut body, reply) = link.open_raw("sink", b"", None).await.expect("room");
            let block = vec![0x5a; BLOCK];
            let mut left = len;
            while left > 0 {
                let some = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                body.write_all(&block[..some]).await.expect("a reader");
                left -= some as u64;
            }
            body.finish().expect("a reader");
            let (got, _) = reply.wait().await.expect("an answer");
            assert_eq!(got[..], len.to_be_bytes());
            begun.elapsed()
        };
        self.runtime.block_on(self.runtime.spawn(uploading)).expect("it ends")
    }

    /// How long so many calls took, sorted.
    pub fn calls(&self, times: usize) -> Vec<Duration> {
        let link = self.link.clone();
        let calling = async move {
            let mut took = Vec::with_capacity(times);
            for _ in 0..times {
                let begun = Instant::now();
                assert_eq!(link.call_raw("echo", &CALL, None).await.expect("an answer")[..], CALL);
                took.push(begun.elapsed());
            }
            took.sort_unstable();
            took
        };
        self.runtime.block_on(self.runtime.spawn(calling)).expect("it ends")
    }

    /// The same while one body takes all that the link has, and how many bytes of it were written.
    pub fn calls_beside_a_stream(&self, times: usize) -> (Vec<Duration>, u64) {
        let (stop, moved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let stream = self.runtime.spawn(stream(self.link.clone(), stop.clone(), moved.clone()));
        while moved.load(Relaxed) < (BLOCK * 16) as u64 {
            thread::sleep(Duration::from_millis(1));
        }
        let before = moved.load(Relaxed);
        let took = self.calls(times);
        let moved = moved.load(Relaxed) - before;
        stop.store(true, Relaxed);
        self.runtime.block_on(stream).expect("it ends");
        (took, moved)
    }

    /// How many bytes each of so many bodies moved in this time.
    pub fn many(&self, bodies: usize, within: Duration) -> Vec<u64> {
        let stop = Arc::new(AtomicBool::new(false));
        let moved: Vec<Arc<AtomicU64>> = (0..bodies).map(|_| Arc::default()).collect();
        let streams: Vec<_> = moved
            .iter()
            .map(|moved| self.runtime.spawn(stream(self.link.clone(), stop.clone(), moved.clone())))
            .collect();
        thread::sleep(within);
        let moved = moved.iter().map(|moved| moved.load(Relaxed)).collect();
        stop.store(true, Relaxed);
        for stream in streams {
            self.runtime.block_on(stream).expect("it ends");
        }
        moved
    }
}

fn one_worker() -> Runtime {
    runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Writes until it is told to stop.
async fn stream(link: on_tokio::Handle, stop: Arc<AtomicBool>, moved: Arc<AtomicU64>) {
    let (mut body, reply) = link.open_raw("sink", b"", None).await.expect("room");
    let block = vec![0x5a; BLOCK];
    while !stop.load(Relaxed) {
        body.write_all(&block).await.expect("a reader");
        moved.fetch_add(BLOCK as u64, Relaxed);
    }
    body.finish().expect("a reader");
    reply.wait().await.expect("an answer");
}

/// On threads.
pub struct Blocking {
    link: blocking::Handle,
    _server: blocking::Server,
}

impl Blocking {
    pub fn new(provider: Provider) -> Self {
        let device = blocking::Device::builder(identity())
            .provider(provider)
            .admit(|_| true)
            .on_stream_raw("sink", |_, _, mut exchange| {
                let mut bytes = 0_u64;
                while let Some(chunk) = exchange.body.chunk()? {
                    bytes += chunk.len() as u64;
                }
                exchange.reply.send(bytes.to_be_bytes().to_vec());
                Ok(())
            })
            .build()
            .expect("a device");
        let server = device.listen("127.0.0.1:0").and_then(blocking::Listener::spawn).expect("a port");
        let other = blocking::Device::builder(identity()).provider(provider).build().expect("a device");
        let link = other.connect(server.local_addr(), device.peer_id()).expect("a connection");
        Self { link, _server: server }
    }

    /// How long it takes until the other side has all of so many bytes.
    pub fn upload(&self, len: u64) -> Duration {
        let begun = Instant::now();
        let (mut body, reply) = self.link.open_raw("sink", b"", None).expect("room");
        fill(&mut body, len);
        body.finish().expect("a reader");
        let (got, _) = reply.wait().expect("an answer");
        assert_eq!(got[..], len.to_be_bytes());
        begun.elapsed()
    }
}
