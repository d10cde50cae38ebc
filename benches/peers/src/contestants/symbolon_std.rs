//! symbolon without a runtime: threads that block.

use std::any::Any;
use std::net::SocketAddr;
use std::thread;

use anyhow::Result;
use symbolon::blocking::{Builder, Device, Handle};
use symbolon::{Identity, PeerId};

use super::LOOPBACK;
use super::symbolon::{TOPICS, options, server, topic_of};
use crate::measure::threaded::{Link, Peer};
use crate::stage::Stage;

/// More than are held idle; by default a listener takes fewer.
const CONNECTIONS: usize = 2_000;

#[derive(Clone)]
pub struct Symbolon {
    /// What both devices are given beside their work: another suite, another provider, other limits.
    pub prepare: fn(Builder) -> Builder,
}

impl Peer for Symbolon {
    /// A device, since it has one connection to a peer, and whom it dials.
    type Client = (Device, PeerId);
    type Link = Handle;

    fn serve(&self, stage: Stage) -> Result<Box<dyn Any + Send>> {
        let tally = stage.tally.clone();
        let device = (self.prepare)(Device::builder(server()?))
            .admit(|_| true)
            .on_raw("echo", |_, body| Ok(body))
            .on_raw("watch", move |context, _| {
                for (topic, _) in TOPICS {
                    let flood = context.handle().subscribe_raw(topic, options())?;
                    let tally = tally.clone();
                    thread::spawn(move || {
                        for _ in flood.filter(|delivery| delivery.publication.is_some()) {
                            tally.add();
                        }
                    });
                }
                Ok("".into())
            })
            .build()?;
        let listening = device.listen(LOOPBACK)?.with_connections(CONNECTIONS).spawn()?;
        stage.open(listening.local_addr())?;
        Ok(Box::new(listening))
    }

    fn client(&self) -> Result<(Device, PeerId)> {
        let builder = (self.prepare)(Device::builder(Identity::generate()?));
        let builder =
            TOPICS.into_iter().fold(builder, |builder, (topic, kind)| builder.topic_raw(topic, kind));
        Ok((builder.build()?, server()?.peer_id()))
    }

    fn connect(&self, (device, server): (Device, PeerId), address: SocketAddr) -> Result<Handle> {
        Ok(device.dial(address, server)?)
    }
}

impl Link for Handle {
    fn echo(&self, body: &[u8]) -> Result<bool> {
        Ok(self.call_raw("echo", body, None)?[..] == *body)
    }

    fn watch(&self) -> Result<()> {
        self.call_raw("watch", b"", None)?;
        Ok(())
    }

    fn publish(&self, body: &[u8]) -> Result<()> {
        self.device().publish_raw(topic_of(body), body)?;
        Ok(())
    }
}
