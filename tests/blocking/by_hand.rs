//! A peer that does exactly what a test says: a connection without an adapter.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant as Clock};

use symbolon::{Admission, Config, Connection, Event, Instant, PeerId, Role, Seed};

use super::{PATIENCE, identity, timeouts};

/// A peer whose socket the test holds.
pub struct ByHand {
    pub connection: Connection,
    pub socket: TcpStream,
    begun: Clock,
}

impl ByHand {
    /// The device with this number, with the peer at the other end of the socket.
    pub fn new(number: u8, socket: TcpStream, role: Role, peer: PeerId) -> Self {
        Self::silent_after(number, socket, role, peer, PATIENCE)
    }

    /// The same; it declares to be silent for no longer than this.
    pub fn silent_after(number: u8, socket: TcpStream, role: Role, peer: PeerId, silence: Duration) -> Self {
        let timeouts = timeouts(|timeouts| timeouts.silence = Some(silence));
        let config = Config::new(identity(number)).with_timeouts(timeouts).unwrap();
        let (seed, now) = (Seed::random().unwrap(), Instant::from_millis(0));
        let admission = Admission::expect(peer);
        let connection = match role {
            Role::Initiator => Connection::initiator(&config, admission, seed, now),
            Role::Responder => Connection::responder(&config, admission, seed, now),
        };
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { connection, socket, begun: Clock::now() }
    }

    pub fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.begun.elapsed().as_micros()).unwrap())
    }

    /// All that it has to say now.
    pub fn said(&mut self) -> Vec<u8> {
        let (now, mut said) = (self.now(), Vec::new());
        while let Some(bytes) = self.connection.poll_transmit(now) {
            said.extend_from_slice(bytes);
            let len = bytes.len();
            self.connection.advance_transmit(len);
        }
        said
    }

    pub fn write(&mut self) {
        let said = self.said();
        self.socket.write_all(&said).unwrap();
    }

    /// Reads and writes until an event is what `wanted` takes.
    pub fn wait_for<R>(&mut self, mut wanted: impl FnMut(Event<'_>) -> Option<R>) -> R {
        let begun = Clock::now();
        let mut chunk = vec![0; 65_536];
        loop {
            while let Some(event) = self.connection.poll_event() {
                if let Some(result) = wanted(event) {
                    return result;
                }
            }
            self.write();
            assert!(begun.elapsed() < PATIENCE, "it hangs");
            let len = self.socket.read(&mut chunk).unwrap();
            assert!(len > 0, "the other side has ended");
            let mut bytes = &chunk[..len];
            while !bytes.is_empty() {
                let now = self.now();
                let taken = self.connection.handle_input(now, bytes);
                bytes = &bytes[taken..];
                while let Some(event) = self.connection.poll_event() {
                    if let Some(result) = wanted(event) {
                        assert!(bytes.is_empty(), "more has come than a test of this kind looks at");
                        return result;
                    }
                }
            }
        }
    }

    /// Until both have let each other in, and all is written.
    pub fn connected(mut self) -> Self {
        self.wait_for(|event| matches!(event, Event::Connected { .. }).then_some(()));
        self.write();
        self
    }

    /// Whether the other side has ended the stream; what it says before is not looked at.
    pub fn is_hung_up(&mut self) -> bool {
        let mut chunk = [0; 4096];
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }
}
