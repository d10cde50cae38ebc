//! TLS 1.3 by rustls and aws-lc, both sides with certificates of Ed25519 keys, below the mux.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite, version};
use tokio::io::split;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::LOOPBACK;
use crate::credentials::{CLIENT, Credentials, NAME, SERVER};
use crate::measure::asynchronous::Peer;
use crate::mux::Mux;
use crate::stage::Stage;

#[derive(Clone)]
pub struct Tls {
    suite: SupportedCipherSuite,
}

impl Tls {
    /// What rustls chooses by itself.
    pub fn aes() -> Self {
        Self { suite: aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384 }
    }

    /// The cipher that symbolon has.
    pub fn chacha() -> Self {
        Self { suite: aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256 }
    }
}

/// One suite, and X25519 alone: whoever adds a post-quantum exchange pays for something that the others do not have.
fn provider(suite: SupportedCipherSuite) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![suite],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    })
}

/// Trust in exactly this certificate.
fn trust(secret: [u8; 32]) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    roots.add(Credentials::new(secret)?.certificate)?;
    Ok(Arc::new(roots))
}

/// Each connection has a handshake of its own, as Noise has: no session is resumed.
pub fn server_config(suite: SupportedCipherSuite) -> Result<ServerConfig> {
    let provider = provider(suite);
    let verifier = WebPkiClientVerifier::builder_with_provider(trust(CLIENT)?, provider.clone()).build()?;
    let own = Credentials::new(SERVER)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.certificate], own.key)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

pub fn client_config(suite: SupportedCipherSuite) -> Result<ClientConfig> {
    let own = Credentials::new(CLIENT)?;
    let mut config = ClientConfig::builder_with_provider(provider(suite))
        .with_protocol_versions(&[&version::TLS13])?
        .with_root_certificates(trust(SERVER)?)
        .with_client_auth_cert(vec![own.certificate], own.key)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

impl Peer for Tls {
    type Client = TlsConnector;
    type Link = Mux;

    async fn serve(&self, stage: Stage) -> Result<()> {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(self.suite)?));
        let listener = TcpListener::bind(LOOPBACK).await?;
        stage.open(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (accepting, tally) = (acceptor.accept(stream), stage.tally.clone());
            tokio::spawn(async move {
                // The client says why, where it fails.
                if let Ok(stream) = accepting.await {
                    let (reader, writer) = split(stream);
                    Mux::start(reader, writer, tally);
                }
            });
        }
    }

    async fn client(&self) -> Result<TlsConnector> {
        Ok(Arc::new(client_config(self.suite)?).into())
    }

    async fn connect(&self, connector: TlsConnector, address: SocketAddr) -> Result<Mux> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = split(connector.connect(ServerName::try_from(NAME)?, stream).await?);
        Ok(Mux::start(reader, writer, Arc::default()))
    }
}
