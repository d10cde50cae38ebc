//! MQTT through a broker, mosquitto, in plaintext: everything goes there first.  An echo is two publications.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, QoS};
use tokio::sync::oneshot;

use super::LOOPBACK;
use crate::measure::LARGE;
use crate::measure::asynchronous::{Link, Peer};
use crate::stage::Stage;

/// Debian puts it where only root looks for programs.
const BROKERS: [&str; 3] = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"];
/// How many messages may wait in a client.
const QUEUE: usize = 4_096;
/// The first bytes of a request are its number: MQTT 3.1.1 has no place for it.
const NUMBER: usize = 8;

fn broker() -> Option<&'static str> {
    BROKERS.into_iter().find(|path| fs::exists(path).unwrap_or(false))
}

pub fn is_installed() -> bool {
    broker().is_some()
}

#[derive(Clone)]
pub struct Mqtt(QoS);

impl Mqtt {
    pub const AT_MOST_ONCE: Self = Self(QoS::AtMostOnce);
    pub const AT_LEAST_ONCE: Self = Self(QoS::AtLeastOnce);
}

/// A broker of this process; it ends with it.
struct Broker {
    process: Child,
    config: PathBuf,
}

impl Broker {
    /// As generous as it can be: it drops nothing, and keeps nothing on the disk.
    fn start(address: SocketAddr) -> Result<Self> {
        let config = env::temp_dir().join(format!("symbolon-peers-{}.conf", process::id()));
        let settings = [
            format!("listener {} {}", address.port(), address.ip()),
            // Else it becomes another user where it was started as root, and cannot read this file.
            "user root".to_owned(),
            "allow_anonymous true".to_owned(),
            "persistence false".to_owned(),
            "log_dest none".to_owned(),
            "set_tcp_nodelay true".to_owned(),
            "max_queued_messages 0".to_owned(),
            "max_queued_bytes 0".to_owned(),
            "max_inflight_messages 0".to_owned(),
        ];
        fs::write(&config, settings.join("\n"))?;
        let mut command = Command::new(broker().context("mosquitto is installed")?);
        command.arg("-c").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let broker = Self { process: command.spawn()?, config };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(begun.elapsed() < Duration::from_secs(5), "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(broker)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
        let _removed = fs::remove_file(&self.config);
    }
}

/// A client that has subscribed to one filter; its event loop is still to be run.
async fn client(name: &str, address: SocketAddr, filter: &str, qos: QoS) -> Result<(AsyncClient, EventLoop)> {
    let mut options = MqttOptions::new(name, address.ip().to_string(), address.port());
    options.set_max_packet_size(4 * LARGE, 4 * LARGE).set_inflight(1_000);
    options.set_keep_alive(Duration::from_secs(60));
    let (client, mut events) = AsyncClient::new(options, QUEUE);
    events.network_options.set_tcp_nodelay(true);
    client.subscribe(filter, qos).await?;
    while !matches!(events.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
    Ok((client, events))
}

/// Gives each publication that comes to `take`, for as long as there is a connection.
async fn run(mut events: EventLoop, mut take: impl FnMut(Publish)) -> Result<()> {
    loop {
        if let Event::Incoming(Packet::Publish(publication)) = events.poll().await? {
            take(publication);
        }
    }
}

impl Peer for Mqtt {
    /// Its name.
    type Client = String;
    type Link = MqttLink;

    async fn serve(&self, stage: Stage) -> Result<()> {
        // It does not tell which port it has been given, so it is told one that was free a moment ago.
        let address = TcpListener::bind(LOOPBACK)?.local_addr()?;
        let broker = Broker::start(address)?;
        stage.has_helper(broker.process.id());
        let (answering, events) = client("server", address, "to/server/#", self.0).await?;
        stage.open(address)?;
        let qos = self.0;
        run(events, |publication| match publication.topic.strip_prefix("to/server/echo/") {
            None => stage.tally.add(),
            Some(name) => {
                // There is room: no more are in flight than a client asks for.
                let topic = format!("to/client/{name}");
                let _full = answering.try_publish(topic, qos, false, publication.payload);
            }
        })
        .await
    }

    async fn client(&self) -> Result<String> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Ok(format!("{}-{}", process::id(), LAST.fetch_add(1, Ordering::Relaxed)))
    }

    async fn connect(&self, name: String, address: SocketAddr) -> Result<MqttLink> {
        let (client, events) = client(&name, address, &format!("to/client/{name}"), self.0).await?;
        let calls = Arc::<Mutex<Calls>>::default();
        let waiting = calls.clone();
        tokio::spawn(run(events, move |mut answer| {
            let number = answer.payload.split_to(NUMBER.min(answer.payload.len()));
            let mut calls = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(tell) = calls.waiting.remove(&number) {
                // Who asked may have gone.
                let _gone = tell.send(answer.payload);
            }
        }));
        Ok(MqttLink { client, qos: self.0, echo: format!("to/server/echo/{name}"), calls })
    }
}

#[derive(Default)]
struct Calls {
    last: u64,
    waiting: HashMap<Bytes, oneshot::Sender<Bytes>>,
}

#[derive(Clone)]
pub struct MqttLink {
    client: AsyncClient,
    qos: QoS,
    echo: String,
    calls: Arc<Mutex<Calls>>,
}

impl Link for MqttLink {
    /// The number takes the place of the first bytes, so that no more goes over the wire than with the others.
    async fn echo(&self, body: &Bytes) -> Result<Bytes> {
        let Some((_, rest)) = body.split_at_checked(NUMBER) else { bail!("no room for a number") };
        let (tell, answer) = oneshot::channel();
        let number = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.last += 1;
            let number = Bytes::copy_from_slice(&calls.last.to_le_bytes());
            calls.waiting.insert(number.clone(), tell);
            number
        };
        let request = [&number[..], rest].concat();
        self.client.publish(&self.echo, self.qos, false, request).await?;
        let answer = answer.await.context("no answer")?;
        let mut whole = BytesMut::from(&body[..NUMBER]);
        whole.extend_from_slice(&answer);
        Ok(whole.freeze())
    }

    async fn publish(&self, body: &Bytes) -> Result<()> {
        let publishing = self.client.publish_bytes("to/server/flood", self.qos, false, body.clone());
        Ok(publishing.await?)
    }
}
