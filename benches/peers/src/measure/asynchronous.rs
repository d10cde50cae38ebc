//! The work, for contestants with futures.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tokio::runtime::{self, Runtime};
use tokio::task::JoinSet;

use super::{Figures, IN_FLIGHT, LARGE, Plan, Run, SMALL};
use crate::stage::{Bell, Stage};

/// A contestant: both of its sides.
pub trait Peer: Clone + Send + Sync + 'static {
    /// What a device has before it connects: keys, settings, a socket for datagrams.
    type Client: Send + 'static;
    type Link: Link;

    /// Serves until it is dropped: echoes requests, and counts publications.
    fn serve(&self, stage: Stage) -> impl Future<Output = Result<()>> + Send;

    /// Another device, for one connection.
    fn client(&self) -> impl Future<Output = Result<Self::Client>> + Send;

    fn connect(
        &self,
        client: Self::Client,
        address: SocketAddr,
    ) -> impl Future<Output = Result<Self::Link>> + Send;

    /// Where each side runs: in one thread of its own.
    fn runtime(&self) -> std::io::Result<Runtime> {
        runtime::Builder::new_current_thread().enable_all().build()
    }
}

/// A connection, as its client holds it.
pub trait Link: Clone + Send + Sync + 'static {
    /// How many tasks publish at once; more than one where each publication waits for an answer.
    const PUBLISHERS: usize = 1;

    /// Sends a request, and waits for the answer.
    fn echo(&self, body: &Bytes) -> impl Future<Output = Result<Bytes>> + Send;

    /// Prepares for publications.
    fn watch(&self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Publishes; returns when there is room for the next one.
    fn publish(&self, body: &Bytes) -> impl Future<Output = Result<()>> + Send;
}

pub fn body(len: usize) -> Bytes {
    vec![0x5a; len].into()
}

/// All that a slot measures.
pub async fn figures<P: Peer>(peer: P, address: SocketAddr, plan: Plan, stage: Stage) -> Result<Figures> {
    let mut figures = Figures::new();
    let links = connections(&peer, address, plan, &mut figures).await?;
    let link = links.last().context("at least one connection")?;

    echoes(link, &stage, plan.warm_up()).await?;
    let (latencies, run) = echoes(link, &stage, plan.span).await?;
    super::add_echoes(&mut figures, latencies, run);

    requests(link, &stage, plan.warm_up()).await?;
    super::add_requests(&mut figures, requests(link, &stage, plan.span).await?);

    link.watch().await?;
    for len in [LARGE, SMALL] {
        publications(link, &stage, len, plan.warm_up()).await?;
        let run = publications(link, &stage, len, plan.span).await?;
        super::add_publications(&mut figures, len, run);
    }
    Ok(figures)
}

/// Connections one after the other, each with one echo; they stay, as where closing takes its time it is not counted.
async fn connections<P: Peer>(
    peer: &P,
    address: SocketAddr,
    plan: Plan,
    figures: &mut Figures,
) -> Result<Vec<P::Link>> {
    let body = body(SMALL);
    let (mut links, mut took) = (Vec::new(), Vec::new());
    // The first two have to load what they run.
    for _ in 0..plan.connections + 2 {
        let client = peer.client().await?;
        let begun = Instant::now();
        let link = peer.connect(client, address).await?;
        ensure!(link.echo(&body).await? == body, "an echo differs");
        took.push(begun.elapsed());
        links.push(link);
    }
    super::add_connections(figures, took.split_off(2));
    Ok(links)
}

async fn echoes<L: Link>(link: &L, stage: &Stage, span: Duration) -> Result<(Vec<Duration>, Run)> {
    let body = body(SMALL);
    let mut latencies = Vec::new();
    let (begun, cpu) = (Instant::now(), stage.cpu());
    while begun.elapsed() < span {
        let asked = Instant::now();
        ensure!(link.echo(&body).await? == body, "an echo differs");
        latencies.push(asked.elapsed());
    }
    let (took, cpu) = (begun.elapsed(), stage.cpu() - cpu);
    let run = Run { operations: latencies.len() as u64, took, cpu };
    Ok((latencies, run))
}

async fn requests<L: Link>(link: &L, stage: &Stage, span: Duration) -> Result<Run> {
    let bell = Bell::after(span);
    let (begun, cpu) = (Instant::now(), stage.cpu());
    let mut callers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (link, bell, body) = (link.clone(), bell.clone(), body(SMALL));
        callers.spawn(async move {
            let mut operations = 0;
            while !bell.has_rung() {
                ensure!(link.echo(&body).await? == body, "an echo differs");
                operations += 1;
            }
            Ok(operations)
        });
    }
    let operations = sum(callers).await?;
    Ok(Run { operations, took: begun.elapsed(), cpu: stage.cpu() - cpu })
}

/// Publishes for some time, and waits until the last one has been counted.
async fn publications<L: Link>(link: &L, stage: &Stage, len: usize, span: Duration) -> Result<Run> {
    let bell = Bell::after(span);
    let before = stage.tally.count();
    let (begun, cpu) = (Instant::now(), stage.cpu());
    let mut publishers = JoinSet::new();
    for _ in 0..L::PUBLISHERS {
        let (link, bell, body) = (link.clone(), bell.clone(), body(len));
        publishers.spawn(async move {
            let mut operations = 0;
            while !bell.has_rung() {
                link.publish(&body).await?;
                operations += 1;
            }
            Ok(operations)
        });
    }
    let operations = sum(publishers).await?;
    stage.tally.wait_for(before + operations).await;
    Ok(Run { operations, took: begun.elapsed(), cpu: stage.cpu() - cpu })
}

async fn sum(mut tasks: JoinSet<Result<u64>>) -> Result<u64> {
    let mut operations = 0;
    while let Some(task) = tasks.join_next().await {
        operations += task??;
    }
    Ok(operations)
}

/// Makes so many connections, with one echo each.
pub async fn hold<P: Peer>(peer: &P, address: SocketAddr, connections: usize) -> Result<Vec<P::Link>> {
    let body = body(SMALL);
    let mut links = Vec::with_capacity(connections);
    for _ in 0..connections {
        let link = peer.connect(peer.client().await?, address).await?;
        ensure!(link.echo(&body).await? == body, "an echo differs");
        links.push(link);
    }
    Ok(links)
}
