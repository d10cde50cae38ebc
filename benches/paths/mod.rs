//! The hot paths of the core, each made once and then run again and again: by criterion, by the meter of allocations, and
//! under callgrind.

#![allow(dead_code, unused_imports, reason = "each bench uses its part")]

mod fan_out;
mod publications;
mod requests;
mod streams;
mod subscriptions;

pub use fan_out::{FanOut, Publishers};
pub use publications::Publications;
pub use requests::Conversation;
pub use streams::Chunks;
pub use subscriptions::Subscribing;
use symbolon::{Admission, Config, Connection, Identity, Instant, Provider, SecretKey, Seed};

pub const NOW: Instant = Instant::from_millis(1_000);

/// How often a path is run before anything of it counts: buffers have grown by then.
const WARM_UP: usize = 64;

pub fn seed(n: u8) -> Seed {
    Seed::new(std::array::from_fn(|i| n.wrapping_mul(31) ^ (i as u8).wrapping_mul(7)))
        .expect("bytes that differ")
}

fn device(n: u8, provider: Provider) -> Config {
    Config::new(Identity::new(&SecretKey::from_bytes([n; 32]), seed(n))).with_provider(provider)
}

/// Two devices that let each other in.
pub struct Devices {
    pub phone: Config,
    pub lamp: Config,
}

impl Devices {
    pub fn new(provider: Provider) -> Self {
        Self { phone: device(1, provider), lamp: device(2, provider) }
    }

    pub fn initiator(&self) -> Connection {
        let admission = Admission::expect(self.lamp.identity().peer_id());
        Connection::initiator(&self.phone, admission, seed(3), NOW)
    }

    pub fn responder(&self) -> Connection {
        let admission = Admission::expect(self.phone.identity().peer_id());
        Connection::responder(&self.lamp, admission, seed(4), NOW)
    }

    /// From nothing to *connected* at both ends.
    pub fn handshake(&self) -> Ends {
        let mut ends = Ends { a: self.initiator(), b: self.responder() };
        while !(ends.a.is_connected() && ends.b.is_connected()) {
            ends.settle();
        }
        ends
    }
}

/// Both ends of one connection.
pub struct Ends {
    pub a: Connection,
    pub b: Connection,
}

impl Ends {
    pub fn new(provider: Provider) -> Self {
        Devices::new(provider).handshake()
    }

    /// Hands over what both have to say, once; what happens is of no interest.
    pub fn settle(&mut self) {
        carry(&mut self.a, &mut self.b, drain);
        carry(&mut self.b, &mut self.a, drain);
    }
}

fn drain(connection: &mut Connection) {
    while connection.poll_event().is_some() {}
}

/// Hands over what `from` has to say, as an adapter does, and has `react` take the events of each piece.  Returns how many
/// bytes that were.
fn carry(from: &mut Connection, to: &mut Connection, mut react: impl FnMut(&mut Connection)) -> usize {
    let mut carried = 0;
    while let Some(bytes) = from.poll_transmit(NOW) {
        let taken = to.handle_input(NOW, bytes);
        from.advance_transmit(taken);
        react(to);
        carried += taken;
    }
    carried
}
