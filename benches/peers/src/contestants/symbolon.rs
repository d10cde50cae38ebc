//! symbolon on tokio: handlers, handles and subscriptions as its documentation shows them.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use symbolon::tokio::{Builder, Device, Handle};
use symbolon::{Identity, Kind, Overflow, PeerId, SecretKey, Seed, SubscribeOptions};

use super::LOOPBACK;
use crate::credentials::SERVER;
use crate::measure::LARGE;
use crate::measure::asynchronous::{Link, Peer};
use crate::stage::Stage;

/// The topics: of small publications, and of large ones.  A publisher waits for a subscriber that is behind, so that nothing
/// is dropped; each topic keeps about as much as a window, since what is beyond that only waits.
pub const TOPICS: [(&str, Kind); 2] = [(SMALL_FLOOD, waiting(1_024)), (LARGE_FLOOD, waiting(64))];
const SMALL_FLOOD: &str = "flood";
const LARGE_FLOOD: &str = "flood/large";

const fn waiting(depth: u32) -> Kind {
    Kind::Event { depth, overflow: Overflow::Refuse }
}

/// That of such bodies.
pub fn topic_of(body: &[u8]) -> &'static str {
    if body.len() < LARGE { SMALL_FLOOD } else { LARGE_FLOOD }
}

/// That of the server, which clients know.
pub fn server() -> Result<Identity> {
    Ok(Identity::new(&SecretKey::from_bytes(SERVER), Seed::random()?))
}

/// A window that a reader on the same machine does not wait for.
pub fn options() -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    options.window = 1 << 20;
    options
}

#[derive(Clone)]
pub struct Symbolon {
    /// What both devices are given beside their work: another suite, another provider, other limits.
    pub prepare: fn(Builder) -> Builder,
}

impl Peer for Symbolon {
    /// A device, since it has one connection to a peer, and whom it dials.
    type Client = (Device, PeerId);
    type Link = Handle;

    async fn serve(&self, stage: Stage) -> Result<()> {
        let tally = stage.tally.clone();
        let device = (self.prepare)(Device::builder(server()?))
            .admit(|_| true)
            .on_raw("echo", |_, body| async move { Ok(body) })
            .on_raw("watch", move |context, _| {
                let tally = tally.clone();
                async move {
                    for (topic, _) in TOPICS {
                        let subscribing = context.handle().subscribe_raw(topic, options());
                        let mut flood = subscribing.await?;
                        let tally = tally.clone();
                        tokio::spawn(async move {
                            while let Some(delivery) = flood.next().await {
                                if delivery.publication.is_some() {
                                    tally.add();
                                }
                            }
                        });
                    }
                    Ok(Bytes::new())
                }
            })
            .build()?;
        let listener = device.listen(LOOPBACK).await?;
        stage.open(listener.local_addr()?)?;
        Ok(listener.serve().await?)
    }

    async fn client(&self) -> Result<(Device, PeerId)> {
        let builder = (self.prepare)(Device::builder(Identity::generate()?));
        let builder =
            TOPICS.into_iter().fold(builder, |builder, (topic, kind)| builder.topic_raw(topic, kind));
        Ok((builder.build()?, server()?.peer_id()))
    }

    async fn connect(&self, (device, server): (Device, PeerId), address: SocketAddr) -> Result<Handle> {
        // The first request leaves with the last message of the handshake.
        Ok(device.dial(address, server).await?)
    }
}

impl Link for Handle {
    async fn echo(&self, body: &Bytes) -> Result<Bytes> {
        Ok(self.call_raw("echo", body, None).await?)
    }

    async fn watch(&self) -> Result<()> {
        self.call_raw("watch", b"", None).await?;
        Ok(())
    }

    async fn publish(&self, body: &Bytes) -> Result<()> {
        self.device().publish_raw(topic_of(body), body).await?;
        Ok(())
    }
}
