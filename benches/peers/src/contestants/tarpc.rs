//! tarpc over TCP with bincode, in plaintext.  It has no message without an answer, so a publication is a call that is
//! answered by nothing.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use futures::StreamExt;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::LengthDelimitedCodec;
use tarpc::{client, context, serde_transport, server};
use tokio::net::{TcpListener, TcpStream};

use super::LOOPBACK;
use crate::measure::IN_FLIGHT;
use crate::measure::asynchronous::{Link, Peer};
use crate::stage::Stage;

/// How many messages may wait between a caller or a handler and the socket.
const BUFFER: usize = 1_024;

#[tarpc::service]
trait Contest {
    async fn echo(body: Bytes) -> Bytes;
    async fn publish(body: Bytes);
}

#[derive(Clone)]
struct Counting(Stage);

impl Contest for Counting {
    async fn echo(self, _: context::Context, body: Bytes) -> Bytes {
        body
    }

    async fn publish(self, _: context::Context, _: Bytes) {
        self.0.tally.add();
    }
}

#[derive(Clone)]
pub struct Tarpc;

impl Peer for Tarpc {
    type Client = ();
    type Link = Caller;

    async fn serve(&self, stage: Stage) -> Result<()> {
        let listener = TcpListener::bind(LOOPBACK).await?;
        stage.open(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let framed = LengthDelimitedCodec::builder().new_framed(stream);
            let transport = serde_transport::new(framed, Bincode::default());
            let config = server::Config { pending_response_buffer: BUFFER };
            let serving = BaseChannel::new(config, transport).execute(Counting(stage.clone()).serve());
            tokio::spawn(serving.for_each(|answering| async {
                tokio::spawn(answering);
            }));
        }
    }

    async fn client(&self) -> Result<()> {
        Ok(())
    }

    async fn connect(&self, (): (), address: SocketAddr) -> Result<Caller> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let framed = LengthDelimitedCodec::builder().new_framed(stream);
        let transport = serde_transport::new(framed, Bincode::default());
        let mut config = client::Config::default();
        config.pending_request_buffer = BUFFER;
        Ok(Caller(ContestClient::new(config, transport).spawn()))
    }
}

#[derive(Clone)]
pub struct Caller(ContestClient);

impl Link for Caller {
    const PUBLISHERS: usize = IN_FLIGHT;

    async fn echo(&self, body: &Bytes) -> Result<Bytes> {
        Ok(self.0.echo(context::current(), body.clone()).await?)
    }

    async fn publish(&self, body: &Bytes) -> Result<()> {
        Ok(self.0.publish(context::current(), body.clone()).await?)
    }
}
