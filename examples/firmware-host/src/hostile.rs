//! What nobody should send: a connection by hand, over any byte stream, whose bytes can be seen and changed.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use symbolon::{Admission, CloseReason, Config, Connection, Event, Limits, Seed};

use crate::{BOARD, Result, identity};

/// A connection to the board, with its bytes in our hands.
pub struct ByHand<S> {
    pub connection: Connection,
    pub stream: S,
    begun: Instant,
    pub closed: Option<CloseReason>,
    pub answers: usize,
}

impl<S: Read + Write> ByHand<S> {
    /// Dials with this key.  The stream's reads time out soon.
    pub fn dial(stream: S, key: u8) -> Result<Self> {
        let config = Config::new(identity(key)).with_limits(Limits::default())?;
        let expected = Admission::expect(identity(BOARD).peer_id());
        let connection =
            Connection::initiator(&config, expected, Seed::random()?, symbolon::Instant::default());
        Ok(Self { connection, stream, begun: Instant::now(), closed: None, answers: 0 })
    }

    pub fn now(&self) -> symbolon::Instant {
        symbolon::Instant::from_micros(self.begun.elapsed().as_micros() as u64)
    }

    /// Sends what there is, changed by `change`.
    pub fn send(&mut self, mut change: impl FnMut(&mut Vec<u8>)) -> Result<()> {
        let now = self.now();
        while let Some(bytes) = self.connection.poll_transmit(now) {
            let mut bytes = bytes.to_vec();
            self.connection.advance_transmit(bytes.len());
            change(&mut bytes);
            self.stream.write_all(&bytes)?;
        }
        self.stream.flush()?;
        Ok(())
    }

    /// Reads once, for a moment; `false` at the end of the stream.
    pub fn receive(&mut self) -> Result<bool> {
        let mut chunk = [0; 4096];
        let read = match self.stream.read(&mut chunk) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.connection.handle_timeout(self.now());
                return Ok(true);
            }
            Err(_) => 0,
        };
        let now = self.now();
        if read == 0 {
            self.connection.handle_eof(now);
        }
        let mut bytes = &chunk[..read];
        loop {
            let taken = self.connection.handle_input(now, bytes);
            bytes = &bytes[taken..];
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::Response { .. } | Event::Busy { .. } => self.answers += 1,
                    Event::Closed { reason } => self.closed = Some(reason),
                    _ => {}
                }
            }
            if bytes.is_empty() {
                return Ok(read > 0);
            }
        }
    }

    /// Goes on until something holds, for ten seconds at most.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(10);
        while !holds(self) {
            self.send(|_| {})?;
            if !self.receive()? && !holds(self) {
                return Err(format!("{what}: the stream has ended, {:?}", self.closed).into());
            }
            if Instant::now() > until {
                return Err(format!("{what}: it takes too long").into());
            }
        }
        Ok(())
    }

    /// Goes on until both sides have let each other in.
    pub fn connect(&mut self) -> Result<()> {
        self.until("connecting", |this| this.connection.is_connected())
    }

    /// Reads until the board has ended the connection.
    pub fn expect_end(&mut self) -> Result<CloseReason> {
        let until = Instant::now() + Duration::from_secs(15);
        while self.closed.is_none() && Instant::now() < until {
            if !self.receive()? {
                break;
            }
        }
        self.closed.ok_or_else(|| "the board goes on".into())
    }
}
