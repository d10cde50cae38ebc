//! The work, for contestants that block: callers and publishers are threads.

use std::any::Any;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::{Figures, IN_FLIGHT, LARGE, Plan, Run, SMALL};
use crate::stage::{Bell, Stage};

/// A contestant: both of its sides.
pub trait Peer: Clone + Send + Sync + 'static {
    /// What a device has before it connects.
    type Client;
    type Link: Link;

    /// Serves in threads of its own, for as long as what it returns is kept.
    fn serve(&self, stage: Stage) -> Result<Box<dyn Any + Send>>;

    /// Another device, for one connection.
    fn client(&self) -> Result<Self::Client>;

    fn connect(&self, client: Self::Client, address: SocketAddr) -> Result<Self::Link>;
}

/// A connection, as its client holds it.
pub trait Link: Clone + Send + Sync + 'static {
    /// Sends a request, and waits for the answer; whether it was the same.
    fn echo(&self, body: &[u8]) -> Result<bool>;

    /// Prepares for publications.
    fn watch(&self) -> Result<()>;

    fn publish(&self, body: &[u8]) -> Result<()>;
}

/// All that a slot measures.
pub fn figures<P: Peer>(peer: &P, address: SocketAddr, plan: Plan, stage: &Stage) -> Result<Figures> {
    let mut figures = Figures::new();
    let (mut links, mut took) = (Vec::new(), Vec::new());
    // The first two have to load what they run.
    for _ in 0..plan.connections + 2 {
        let client = peer.client()?;
        let begun = Instant::now();
        let link = peer.connect(client, address)?;
        ensure!(link.echo(&[0x5a; SMALL])?, "an echo differs");
        took.push(begun.elapsed());
        links.push(link);
    }
    super::add_connections(&mut figures, took.split_off(2));
    let link = links.last().context("at least one connection")?;

    echoes(link, stage, plan.warm_up())?;
    let (latencies, run) = echoes(link, stage, plan.span)?;
    super::add_echoes(&mut figures, latencies, run);

    requests(link, stage, plan.warm_up())?;
    super::add_requests(&mut figures, requests(link, stage, plan.span)?);

    link.watch()?;
    for len in [LARGE, SMALL] {
        publications(link, stage, len, plan.warm_up())?;
        super::add_publications(&mut figures, len, publications(link, stage, len, plan.span)?);
    }
    Ok(figures)
}

fn echoes<L: Link>(link: &L, stage: &Stage, span: Duration) -> Result<(Vec<Duration>, Run)> {
    let mut latencies = Vec::new();
    let (begun, cpu) = (Instant::now(), stage.cpu());
    while begun.elapsed() < span {
        let asked = Instant::now();
        ensure!(link.echo(&[0x5a; SMALL])?, "an echo differs");
        latencies.push(asked.elapsed());
    }
    let (took, cpu) = (begun.elapsed(), stage.cpu() - cpu);
    let run = Run { operations: latencies.len() as u64, took, cpu };
    Ok((latencies, run))
}

fn requests<L: Link>(link: &L, stage: &Stage, span: Duration) -> Result<Run> {
    let bell = Bell::after(span);
    let (begun, cpu) = (Instant::now(), stage.cpu());
    let call = || {
        let mut operations = 0;
        while !bell.has_rung() {
            ensure!(link.echo(&[0x5a; SMALL])?, "an echo differs");
            operations += 1;
        }
        Ok(operations)
    };
    let operations = thread::scope(|scope| {
        let callers: Vec<_> = (0..IN_FLIGHT).map(|_| scope.spawn(call)).collect();
        callers.into_iter().map(|caller| caller.join().map_err(|_| anyhow!("a caller panicked"))?).sum()
    });
    let operations: Result<u64> = operations;
    Ok(Run { operations: operations?, took: begun.elapsed(), cpu: stage.cpu() - cpu })
}

/// Publishes for some time, and waits until the last one has been counted.
fn publications<L: Link>(link: &L, stage: &Stage, len: usize, span: Duration) -> Result<Run> {
    let body = vec![0x5a; len];
    let bell = Bell::after(span);
    let before = stage.tally.count();
    let (begun, cpu) = (Instant::now(), stage.cpu());
    let mut operations = 0;
    while !bell.has_rung() {
        link.publish(&body)?;
        operations += 1;
    }
    stage.tally.block_until(before + operations);
    Ok(Run { operations, took: begun.elapsed(), cpu: stage.cpu() - cpu })
}

/// Makes so many connections, with one echo each.
pub fn hold<P: Peer>(peer: &P, address: SocketAddr, connections: usize) -> Result<Vec<P::Link>> {
    let mut links = Vec::with_capacity(connections);
    for _ in 0..connections {
        let link = peer.connect(peer.client()?, address)?;
        ensure!(link.echo(&[0x5a; SMALL])?, "an echo differs");
        links.push(link);
    }
    Ok(links)
}
