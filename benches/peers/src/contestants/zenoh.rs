//! zenoh over TCP, in plaintext: queries and answers, and publications that wait where a queue is full.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use tokio::runtime::{self, Runtime};
use zenoh::qos::CongestionControl;
use zenoh::{Config, Session};

use super::LOOPBACK;
use crate::measure::asynchronous::{Link, Peer};
use crate::stage::Stage;

const ECHO: &str = "echo";
const FLOOD: &str = "flood";

#[derive(Clone)]
pub struct Zenoh;

/// Nobody is looked for: both know where to go.
fn config(mode: &str, endpoints: &str, address: SocketAddr) -> Result<Config> {
    let mut config = Config::default();
    let endpoints_value = format!(r#"["tcp/{address}"]"#);
    let settings = [
        ("mode", mode),
        (endpoints, &endpoints_value),
        ("scouting/multicast/enabled", "false"),
        ("scouting/gossip/enabled", "false"),
    ];
    for (key, value) in settings {
        config.insert_json5(key, value).map_err(error)?;
    }
    Ok(config)
}

fn error(error: zenoh::Error) -> anyhow::Error {
    anyhow!("{error}")
}

impl Peer for Zenoh {
    type Client = ();
    type Link = Querier;

    async fn serve(&self, stage: Stage) -> Result<()> {
        // It does not tell which port it has been given, so it is told one that was free a moment ago.
        let address = TcpListener::bind(LOOPBACK)?.local_addr()?;
        let session =
            zenoh::open(config(r#""router""#, "listen/endpoints", address)?).await.map_err(error)?;
        let tally = stage.tally.clone();
        let counting = session.declare_subscriber(FLOOD).callback(move |_| tally.add());
        let _flood = counting.await.map_err(error)?;
        let queries = session.declare_queryable(ECHO).await.map_err(error)?;
        stage.open(address)?;
        loop {
            let query = queries.recv_async().await.map_err(error)?;
            let body = query.payload().cloned().unwrap_or_default();
            query.reply(ECHO, body).await.map_err(error)?;
        }
    }

    async fn client(&self) -> Result<()> {
        Ok(())
    }

    async fn connect(&self, (): (), address: SocketAddr) -> Result<Querier> {
        let config = config(r#""client""#, "connect/endpoints", address)?;
        Ok(Querier(zenoh::open(config).await.map_err(error)?))
    }

    /// It has runtimes of its own, and does not run on one of a single thread.
    fn runtime(&self) -> std::io::Result<Runtime> {
        runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
    }
}

#[derive(Clone)]
pub struct Querier(Session);

impl Link for Querier {
    async fn echo(&self, body: &Bytes) -> Result<Bytes> {
        let replies = self.0.get(ECHO).payload(body.clone()).await.map_err(error)?;
        let reply = replies.recv_async().await.map_err(error).context("no answer")?;
        let sample = reply.into_result().map_err(|_| anyhow!("an answer that is an error"))?;
        Ok(Bytes::copy_from_slice(&sample.payload().to_bytes()))
    }

    async fn publish(&self, body: &Bytes) -> Result<()> {
        let putting = self.0.put(FLOOD, body.clone()).congestion_control(CongestionControl::Block);
        putting.await.map_err(error)
    }
}
