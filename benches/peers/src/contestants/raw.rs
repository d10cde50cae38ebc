//! TCP and the mux, in plaintext: what there is to win.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};

use super::LOOPBACK;
use crate::measure::asynchronous::Peer;
use crate::mux::Mux;
use crate::stage::Stage;

#[derive(Clone)]
pub struct Raw;

impl Peer for Raw {
    type Client = ();
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

    async fn client(&self) -> Result<()> {
        Ok(())
    }

    async fn connect(&self, (): (), address: SocketAddr) -> Result<Mux> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Mux::start(reader, writer, Arc::default()))
    }
}
