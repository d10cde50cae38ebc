//! TCP and the mux, in plaintext: what there is to win.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};

use super::LOOPBACK;
use crate::measure::asynchronous::Peer;
use crate::mux::Mux;
use crate::stage::Stage;

#[derive(Clone)]
pub struct Raw;

impl Peer for Raw {
    /// What a client counts is nothing.
    type Client = Stage;
    type Link = Mux;

    async fn serve(&self, stage: Stage) -> Result<()> {
        let listener = TcpListener::bind(LOOPBACK).await?;
        stage.open(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (reader, writer) = stream.into_split();
            Mux::start(reader, writer, stage.tally.clone());
        }
    }

    async fn client(&self) -> Result<Stage> {
        Ok(Stage::new().0)
    }

    async fn connect(&self, client: &Stage, address: SocketAddr) -> Result<Mux> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Mux::start(reader, writer, client.tally.clone()))
    }
}
