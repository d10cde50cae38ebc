//! Who takes part.

mod libp2p;
mod mqtt;
mod quic;
mod raw;
mod symbolon;
mod symbolon_std;
mod tarpc;
mod tls;
mod zenoh;

use std::net::SocketAddr;

use ::symbolon::{Builder, Provider};

use crate::entrant::{Entrant, Futures, Threads};

/// What the ratios are to.
pub const BASELINE: &str = "raw";
/// How many idle connections the memory of a server is measured with.
pub const IDLE: usize = 1_000;

/// Every server asks for a free port of the loopback interface.
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub struct Contestant {
    pub name: &'static str,
    pub entrant: Box<dyn Entrant>,
    /// Whether it encrypts, and both sides prove who they are.
    pub sealed: bool,
    /// How many idle connections its memory is measured with: [`IDLE`], where that does not take too long.
    pub idle: usize,
    /// Why it cannot take part here, if it cannot.
    pub absent: Option<&'static str>,
}

impl Contestant {
    fn sealed(name: &'static str, entrant: impl Entrant + 'static) -> Self {
        Self { name, entrant: Box::new(entrant), sealed: true, idle: IDLE, absent: None }
    }

    fn plain(name: &'static str, entrant: impl Entrant + 'static) -> Self {
        Self { sealed: false, ..Self::sealed(name, entrant) }
    }

    /// Through a broker, which may not be here.
    fn brokered(name: &'static str, entrant: impl Entrant + 'static) -> Self {
        let absent = (!mqtt::is_installed()).then_some("mosquitto is not installed");
        Self { absent, ..Self::plain(name, entrant) }
    }
}

/// All of them, in the order of the table.  One more variant is one more line.
pub fn all() -> Vec<Contestant> {
    vec![
        Contestant::plain(BASELINE, Futures(raw::Raw)),
        // With AES-256-GCM where the processor has it, as rustls.
        Contestant::sealed("symbolon", Futures(symbolon::Symbolon { prepare: |device| device })),
        Contestant::sealed("symbolon-chacha", Futures(symbolon::Symbolon { prepare: without_aes })),
        Contestant::sealed("symbolon-rust", Futures(symbolon::Symbolon { prepare: all_rust })),
        Contestant::sealed("symbolon-std", Threads(symbolon_std::Symbolon { prepare: |device| device })),
        Contestant::sealed("rustls", Futures(tls::Tls::aes())),
        Contestant::sealed("rustls-chacha", Futures(tls::Tls::chacha())),
        Contestant::sealed("quinn", Futures(quic::Quic { mtu: None })),
        Contestant::sealed("quinn-mtu6000", Futures(quic::Quic { mtu: Some(6_000) })),
        Contestant::sealed("libp2p", Futures(libp2p::Libp2p)),
        // Each session takes long to open; fewer of them say as much.
        Contestant { idle: 200, ..Contestant::plain("zenoh", Futures(zenoh::Zenoh)) },
        Contestant::plain("tarpc", Futures(tarpc::Tarpc)),
        Contestant::brokered("mqtt-qos0", Futures(mqtt::Mqtt::AT_MOST_ONCE)),
        Contestant::brokered("mqtt-qos1", Futures(mqtt::Mqtt::AT_LEAST_ONCE)),
    ]
}

fn without_aes<H>(device: Builder<H>) -> Builder<H> {
    device.provider(Provider::aws_lc().without_aes())
}

fn all_rust<H>(device: Builder<H>) -> Builder<H> {
    device.provider(Provider::rust_crypto())
}
