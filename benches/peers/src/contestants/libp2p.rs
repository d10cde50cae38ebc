//! libp2p: request-response over Noise and yamux, on TCP.  It has no message without an answer, so a publication is a
//! request that is answered by nothing.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{
    Behaviour, Codec, Config, Event, Message, OutboundRequestId, ProtocolSupport,
};
use libp2p::swarm::{SwarmEvent, dial_opts::DialOpts};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, noise, tcp, yamux};
use tokio::sync::{mpsc, oneshot};

use super::LOOPBACK;
use crate::credentials::SERVER;
use crate::measure::asynchronous::{Link, Peer};
use crate::measure::{IN_FLIGHT, LARGE};
use crate::stage::Stage;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/contest/1");
/// Longer than any slot.
const IDLE: Duration = Duration::from_secs(300);

const ECHO: u8 = 0;
const PUBLICATION: u8 = 1;

#[derive(Clone)]
pub struct Libp2p;

/// A body to the end of its stream, the first byte of a request says what it is.
#[derive(Clone, Default)]
pub struct Plain;

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    stream.take(LARGE as u64 + 1).read_to_end(&mut body).await?;
    Ok(body)
}

impl Codec for Plain {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(stream).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(stream).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, stream: &mut T, body: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        stream.write_all(&body).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, stream: &mut T, body: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        stream.write_all(&body).await
    }
}

fn swarm(keys: Keypair) -> Result<Swarm<Behaviour<Plain>>> {
    let settings = || Config::default().with_max_concurrent_streams(4 * IN_FLIGHT);
    Ok(SwarmBuilder::with_existing_identity(keys)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|_| Behaviour::<Plain>::new([(PROTOCOL, ProtocolSupport::Full)], settings()))?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
        .build())
}

fn server_keys() -> Result<Keypair> {
    Ok(Keypair::ed25519_from_bytes(SERVER)?)
}

fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

impl Peer for Libp2p {
    type Client = Swarm<Behaviour<Plain>>;
    type Link = Node;

    async fn serve(&self, stage: Stage) -> Result<()> {
        let mut swarm = swarm(server_keys()?)?;
        swarm.listen_on(multiaddr(LOOPBACK))?;
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => {
                    let Some(Protocol::Tcp(port)) = address.iter().nth(1) else {
                        bail!("no port: {address}")
                    };
                    stage.open((LOOPBACK.ip(), port).into())?;
                }
                SwarmEvent::Behaviour(Event::Message {
                    message: Message::Request { mut request, channel, .. },
                    ..
                }) => {
                    if request.first() == Some(&PUBLICATION) {
                        stage.tally.add();
                        request.clear();
                    }
                    // Whose connection has ended wants no answer.
                    let _gone = swarm.behaviour_mut().send_response(channel, request);
                }
                _ => {}
            }
        }
    }

    async fn client(&self) -> Result<Self::Client> {
        swarm(Keypair::generate_ed25519())
    }

    async fn connect(&self, mut swarm: Self::Client, address: SocketAddr) -> Result<Node> {
        let server = PeerId::from(server_keys()?.public());
        swarm.dial(DialOpts::peer_id(server).addresses(vec![multiaddr(address)]).build())?;
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => break,
                SwarmEvent::OutgoingConnectionError { error, .. } => bail!(error),
                _ => {}
            }
        }
        let (calls, called) = mpsc::channel(4 * IN_FLIGHT);
        tokio::spawn(drive(swarm, server, called));
        Ok(Node(calls))
    }
}

type Call = (Vec<u8>, oneshot::Sender<Vec<u8>>);

/// What a swarm wants: somebody who polls it, and who knows which answer is for whom.
async fn drive(mut swarm: Swarm<Behaviour<Plain>>, server: PeerId, mut calls: mpsc::Receiver<Call>) {
    let mut waiting: HashMap<OutboundRequestId, oneshot::Sender<Vec<u8>>> = HashMap::new();
    loop {
        tokio::select! {
            Some((body, tell)) = calls.recv() => {
                waiting.insert(swarm.behaviour_mut().send_request(&server, body), tell);
            }
            event = swarm.select_next_some() => match event {
                SwarmEvent::Behaviour(Event::Message {
                    message: Message::Response { request_id, response }, ..
                }) => {
                    if let Some(tell) = waiting.remove(&request_id) {
                        // Who asked may have gone.
                        let _gone = tell.send(response);
                    }
                }
                SwarmEvent::Behaviour(Event::OutboundFailure { request_id, .. }) => {
                    waiting.remove(&request_id);
                }
                _ => {}
            }
        }
    }
}

#[derive(Clone)]
pub struct Node(mpsc::Sender<Call>);

impl Node {
    async fn ask(&self, kind: u8, body: &[u8]) -> Result<Vec<u8>> {
        let (tell, answer) = oneshot::channel();
        self.0.send(([&[kind], body].concat(), tell)).await.ok().context("the node has ended")?;
        answer.await.context("no answer")
    }
}

impl Link for Node {
    const PUBLISHERS: usize = IN_FLIGHT;

    async fn echo(&self, body: &Bytes) -> Result<Bytes> {
        Ok(Bytes::from(self.ask(ECHO, body).await?).slice(1..))
    }

    async fn publish(&self, body: &Bytes) -> Result<()> {
        self.ask(PUBLICATION, body).await?;
        Ok(())
    }
}
