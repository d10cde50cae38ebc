//! Two devices on tokio over the loopback interface, each on a thread of its own; what is counted is what this one's thread
//! allocates, the runtime included.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use symbolon::tokio::{Device, Handle, SubscribeOptions};
use symbolon::{Identity, Kind, Overflow, PeerId};
use tokio::runtime::{self, Runtime};

use crate::meter::{metered, reset};
use crate::{provider, row};

const TIMES: usize = 1_000;
const CONNECTIONS: usize = 200;
const BODY: [u8; 64] = [0x55; 64];
const CHUNK: usize = 16 * 1024;
const TOPIC: &str = "lamp/state";

pub fn rows() {
    let here = Here::new();
    here.connections();
    here.calls();
    here.served();
    here.publications();
    here.chunks();
}

/// The device whose thread is metered, and another one that listens.
struct Here {
    runtime: Runtime,
    device: Device,
    address: SocketAddr,
    peer: PeerId,
}

impl Here {
    fn new() -> Self {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            one_thread().block_on(async {
                let device = device();
                let listener = device.listen("127.0.0.1:0").await.expect("a port");
                let address = listener.local_addr().expect("its address");
                tell.send((address, device.peer_id())).expect("who asked");
                listener.serve().await
            })
        });
        let (address, peer) = told.recv().expect("it listens");
        Self { runtime: one_thread(), device: device(), address, peer }
    }

    async fn connect(&self) -> Handle {
        self.device.connect(self.address, self.peer).await.expect("a connection")
    }

    /// Of devices of their own: one peer may not have that many.
    fn connections(&self) {
        let devices: Vec<Device> = (0..CONNECTIONS).map(|_| device()).collect();
        let peer = self.device.peer_id();
        let address = self.runtime.block_on(async {
            let listener = self.device.listen("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("its address");
            tokio::spawn(listener.serve());
            address
        });
        let dialling = thread::spawn(move || {
            let runtime = one_thread();
            let dial = async {
                let mut handles = Vec::new();
                for device in &devices {
                    handles.push(device.connect(address, peer).await.expect("a connection"));
                }
                handles
            };
            let handles = runtime.block_on(dial);
            (runtime, handles)
        });
        reset();
        let dialled = async { tokio::task::spawn_blocking(|| dialling.join()).await };
        let all = metered(|| self.runtime.block_on(dialled));
        row("tokio: a connection that was dialled, and idles: its handshake, and what stays", CONNECTIONS);
        drop(all);
    }

    fn calls(&self) {
        let link = self.runtime.block_on(self.connect());
        self.steady("tokio: call of 64 bytes and its reply, caller", async || {
            assert_eq!(link.call_raw("echo", &BODY, None).await.expect("an answer")[..], BODY);
        });
    }

    /// The other device calls back as often as it is asked to.
    fn served(&self) {
        let link = self.runtime.block_on(self.connect());
        let call_back = async |times: usize| {
            let times = u32::try_from(times).expect("not that many").to_be_bytes();
            link.call_raw("call back", &times, None).await.expect("an answer");
        };
        self.runtime.block_on(call_back(100));
        reset();
        metered(|| self.runtime.block_on(call_back(TIMES)));
        row("tokio: the same, the side that serves", TIMES);
    }

    fn publications(&self) {
        let link = self.runtime.block_on(self.connect());
        let subscribing = link.subscribe_raw(TOPIC, SubscribeOptions::default());
        let mut subscription = self.runtime.block_on(subscribing).expect("a topic");
        self.steady(
            "tokio: publication of 64 bytes, subscriber, and the call that asked for it",
            async || {
                link.call_raw("publish", &BODY, None).await.expect("an answer");
                let delivery = subscription.next().await.expect("it goes on");
                assert!(delivery.publication.is_some());
            },
        );
    }

    fn chunks(&self) {
        let link = self.runtime.block_on(self.connect());
        let (mut body, reply) = self.runtime.block_on(link.open_raw("sink", b"", None)).expect("room");
        let block = [0x55; CHUNK];
        self.steady("tokio: 16 KiB of a body, sender", async || {
            body.write_all(&block).await.expect("a reader");
        });
        body.finish().expect("a reader");
        self.runtime.block_on(reply.wait()).expect("an answer");
    }

    fn steady(&self, name: &str, mut run: impl AsyncFnMut()) {
        self.runtime.block_on(async {
            for _ in 0..100 {
                run().await;
            }
        });
        reset();
        metered(|| {
            self.runtime.block_on(async {
                for _ in 0..TIMES {
                    run().await;
                }
            });
        });
        row(name, TIMES);
    }
}

fn device() -> Device {
    let kind = Kind::Event { depth: 64, overflow: Overflow::DropOldest };
    Device::builder(Identity::generate().expect("entropy"))
        .provider(provider())
        .admit(|_| true)
        .topic_raw(TOPIC, kind)
        .on_raw("echo", |_, body| async move { Ok(body) })
        .on_raw("publish", |context, body| async move {
            context.handle().device().publish_raw(TOPIC, &body).await.expect("a topic");
            Ok(body)
        })
        .on_raw("call back", |context, times| async move {
            let times = u32::from_be_bytes(times[..].try_into().expect("four bytes"));
            for _ in 0..times {
                context.handle().call_raw("echo", &BODY, None).await.expect("an answer");
            }
            Ok(times.to_be_bytes().to_vec().into())
        })
        .on_stream_raw("sink", |_, _, mut exchange| async move {
            while exchange.body.chunk().await?.is_some() {}
            exchange.reply.send(Vec::new());
            Ok(())
        })
        .build()
        .expect("a device")
}

fn one_thread() -> Runtime {
    runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
