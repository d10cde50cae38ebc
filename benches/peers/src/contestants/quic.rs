//! QUIC by quinn, with the certificates of TLS: a stream for each request, one stream for all publications.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, MtuDiscoveryConfig, ServerConfig, TransportConfig,
    VarInt,
};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;

use super::{LOOPBACK, tls};
use crate::credentials::NAME;
use crate::measure::asynchronous::{Link, Peer};
use crate::mux::{self, Outbox};
use crate::stage::Stage;

/// More than any test has under way.  Of streams there may be a hundred at once by default, and a connection holds memory
/// for each that there may be.
const WINDOW: u32 = 16 << 20;

#[derive(Clone)]
pub struct Quic {
    /// The longest datagram; without it what quinn finds out by itself, up to the 1,452 bytes of an Ethernet.  Beyond 6,000
    /// ten of them do not fit into one call to the kernel, and nothing arrives.
    pub mtu: Option<u16>,
}

impl Quic {
    fn transport(&self) -> Result<Arc<TransportConfig>> {
        let mut config = TransportConfig::default();
        config.stream_receive_window(WINDOW.into()).receive_window(VarInt::from_u32(2 * WINDOW));
        config.send_window(u64::from(WINDOW));
        config.max_idle_timeout(Some(Duration::from_secs(60).try_into()?));
        if let Some(mtu) = self.mtu {
            let mut discovery = MtuDiscoveryConfig::default();
            discovery.upper_bound(mtu);
            config.initial_mtu(mtu).mtu_discovery_config(Some(discovery));
        }
        Ok(Arc::new(config))
    }

    fn endpoint(&self) -> Result<EndpointConfig> {
        let mut config = EndpointConfig::default();
        if let Some(mtu) = self.mtu {
            config.max_udp_payload_size(mtu)?;
        }
        Ok(config)
    }

    fn bind(&self, server: Option<ServerConfig>) -> Result<Endpoint> {
        let socket = std::net::UdpSocket::bind(LOOPBACK)?;
        let runtime = quinn::default_runtime().context("a runtime of tokio")?;
        Ok(Endpoint::new(self.endpoint()?, server, socket, runtime)?)
    }
}

impl Peer for Quic {
    type Client = Endpoint;
    type Link = QuicLink;

    async fn serve(&self, stage: Stage) -> Result<()> {
        // QUIC's first packets are sealed with AES-128, so that suite has to be there; quinn takes it for the rest as well.
        let crypto = QuicServerConfig::try_from(tls::server_config(TLS13_AES_128_GCM_SHA256)?)?;
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(self.transport()?);
        let endpoint = self.bind(Some(config))?;
        stage.open(endpoint.local_addr()?)?;
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(serve(incoming.await?, stage.clone()));
        }
        Ok(())
    }

    async fn client(&self) -> Result<Endpoint> {
        let crypto = QuicClientConfig::try_from(tls::client_config(TLS13_AES_128_GCM_SHA256)?)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(self.transport()?);
        let mut endpoint = self.bind(None)?;
        endpoint.set_default_client_config(config);
        Ok(endpoint)
    }

    async fn connect(&self, client: Endpoint, address: SocketAddr) -> Result<QuicLink> {
        let connection = client.connect(address, NAME)?.await?;
        Ok(QuicLink { connection, outbox: Arc::default() })
    }
}

async fn serve(connection: Connection, stage: Stage) -> Result<()> {
    loop {
        tokio::select! {
            request = connection.accept_bi() => {
                let (mut answer, mut request) = request?;
                tokio::spawn(async move {
                    let body = request.read_to_end(crate::measure::LARGE).await?;
                    answer.write_all(&body).await?;
                    anyhow::Ok(answer.finish()?)
                });
            }
            publications = connection.accept_uni() => {
                let (publications, tally) = (publications?, stage.tally.clone());
                tokio::spawn(async move { mux::count(publications, &tally).await });
            }
        }
    }
}

#[derive(Clone)]
pub struct QuicLink {
    connection: Connection,
    outbox: Arc<OnceLock<Arc<Outbox>>>,
}

impl Link for QuicLink {
    async fn echo(&self, body: &Bytes) -> Result<Bytes> {
        let (mut request, mut answer) = self.connection.open_bi().await?;
        request.write_all(body).await?;
        request.finish()?;
        Ok(answer.read_to_end(body.len()).await?.into())
    }

    async fn watch(&self) -> Result<()> {
        let stream = self.connection.open_uni().await?;
        let outbox = Arc::<Outbox>::default();
        let draining = outbox.clone();
        tokio::spawn(async move { draining.drain(stream).await });
        ensure!(self.outbox.set(outbox).is_ok(), "it is prepared once");
        Ok(())
    }

    async fn publish(&self, body: &Bytes) -> Result<()> {
        let outbox = self.outbox.get().context("it has been prepared")?;
        outbox.push(&mux::publication(body.len()), body).await
    }
}
