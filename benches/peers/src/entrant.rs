//! A contestant without its types: what a child process can be told to do with it.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::oneshot;

use crate::measure::{Figures, Plan, asynchronous, threaded};
use crate::parent::Parent;
use crate::stage::Stage;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections that are made before the memory of the server is first looked at, so that what all share is there.
const FIRST: usize = 16;

pub trait Entrant: Send + Sync {
    /// Both sides in this process; all figures but that of memory.
    fn slot(&self, plan: Plan) -> Result<Figures>;

    /// The server alone: tells its address, and for each line how much memory it holds.
    fn serve(&self, parent: &Parent) -> Result<()>;

    /// The client alone: some connections at first, the rest after a line, and holds them until the next.
    fn hold(&self, address: SocketAddr, connections: usize, parent: &Parent) -> Result<()>;
}

/// One that is made of futures.
pub struct Futures<P>(pub P);

/// One that is made of threads.
pub struct Threads<P>(pub P);

impl<P: asynchronous::Peer> Entrant for Futures<P> {
    fn slot(&self, plan: Plan) -> Result<Figures> {
        let (stage, told) = Stage::new();
        let (serving, address) = Serving::start(self.0.clone(), stage.clone(), &told)?;
        let work = asynchronous::figures(self.0.clone(), address, plan, stage);
        let runtime = self.0.runtime()?;
        // As a task, which is how programs run.
        let figures = runtime.block_on(async { runtime.spawn(work).await? })?;
        serving.end()?;
        Ok(figures)
    }

    fn serve(&self, parent: &Parent) -> Result<()> {
        let (stage, told) = Stage::new();
        let (serving, address) = Serving::start(self.0.clone(), stage.clone(), &told)?;
        answer(address, &stage, parent)?;
        serving.end()
    }

    fn hold(&self, address: SocketAddr, connections: usize, parent: &Parent) -> Result<()> {
        let runtime = self.0.runtime()?;
        let hold = |connections| runtime.block_on(asynchronous::hold(&self.0, address, connections));
        let first = hold(FIRST)?;
        parent.say("held");
        parent.line()?;
        let rest = hold(connections)?;
        parent.say("held");
        // The tasks of the client must go on, or its side falls silent.
        thread::scope(|scope| {
            let (stop, stopped) = oneshot::channel::<()>();
            scope.spawn(|| runtime.block_on(stopped));
            let outcome = parent.line();
            drop((stop, first, rest));
            outcome.map(drop)
        })
    }
}

impl<P: threaded::Peer> Entrant for Threads<P> {
    fn slot(&self, plan: Plan) -> Result<Figures> {
        let (stage, told) = Stage::new();
        let _server = self.0.serve(stage.clone())?;
        threaded::figures(&self.0, told.recv()?, plan, &stage)
    }

    fn serve(&self, parent: &Parent) -> Result<()> {
        let (stage, told) = Stage::new();
        let _server = self.0.serve(stage.clone())?;
        answer(told.recv()?, &stage, parent)
    }

    fn hold(&self, address: SocketAddr, connections: usize, parent: &Parent) -> Result<()> {
        let _first = threaded::hold(&self.0, address, FIRST)?;
        parent.say("held");
        parent.line()?;
        let _rest = threaded::hold(&self.0, address, connections)?;
        parent.say("held");
        parent.line().map(drop)
    }
}

fn answer(address: SocketAddr, stage: &Stage, parent: &Parent) -> Result<()> {
    parent.say(&format!("listens {address}"));
    while parent.line()? == "memory" {
        parent.say(&format!("memory {}", stage.resident()?));
    }
    Ok(())
}

/// A server in a thread of its own.
struct Serving {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<()>>,
}

impl Serving {
    fn start<P: asynchronous::Peer>(
        peer: P,
        stage: Stage,
        told: &mpsc::Receiver<SocketAddr>,
    ) -> Result<(Self, SocketAddr)> {
        let (stop, stopped) = oneshot::channel();
        let runtime = peer.runtime()?;
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    outcome = peer.serve(stage) => outcome,
                    _ = stopped => Ok(()),
                }
            })
        });
        let begun = Instant::now();
        loop {
            if let Ok(address) = told.recv_timeout(Duration::from_millis(50)) {
                return Ok((Self { stop, thread }, address));
            }
            if thread.is_finished() {
                joined(thread).context("the server")?;
                bail!("the server has ended");
            }
            if begun.elapsed() > PATIENCE {
                bail!("the server does not listen");
            }
        }
    }

    /// What the server holds is dropped.
    fn end(self) -> Result<()> {
        // Where it has ended by itself, it says why.
        let _ended = self.stop.send(());
        joined(self.thread).context("the server")
    }
}

fn joined(thread: JoinHandle<Result<()>>) -> Result<()> {
    thread.join().map_err(|_| anyhow!("it panicked"))?
}
