//! Whom the attacker attacks.

use std::time::Duration;

use symbolon::{Admission, CloseReason, Config, Connection, Instant, Role};

use super::super::cbor::message;
use super::super::{Happened, seed};
use super::Attacker;

/// A connection of the library, and what its application sees.
pub struct Victim {
    pub connection: Connection,
    pub now: Instant,
    /// Whether its application takes publications that follow one another on the shorter way.
    pub follows: bool,
    log: Vec<Happened>,
    /// How many of the bytes handed in were not taken, because the application is asked or an event waits.
    pub refused: usize,
}

impl Victim {
    pub fn new(role: Role, config: &Config, admission: Admission) -> Self {
        Self::with_seed(role, config, admission, 200)
    }

    pub fn with_seed(role: Role, config: &Config, admission: Admission, n: u8) -> Self {
        let now = Instant::from_millis(1_000);
        let connection = if role.is_initiator() {
            Connection::initiator(config, admission, seed(n), now)
        } else {
            Connection::responder(config, admission, seed(n), now)
        };
        Self { connection, now, follows: false, log: Vec::new(), refused: 0 }
    }

    /// Hands bytes in, reads events as they come, and sends nothing.
    pub fn feed(&mut self, mut input: &[u8]) {
        loop {
            let taken = self.connection.handle_input(self.now, input);
            input = &input[taken..];
            let before = self.log.len();
            self.drain();
            if taken == 0 && self.log.len() == before {
                break;
            }
        }
        self.refused = input.len();
    }

    /// The end of the attacker's stream.
    pub fn feed_eof(&mut self) {
        self.connection.handle_eof(self.now);
        self.drain();
    }

    /// Lets time pass, stopping at each timer.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.connection.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.connection.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
        self.connection.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            self.log.push(event.into());
            while self.follows
                && let Some(next) = self.connection.poll_following()
            {
                let first = self.log.last().expect("an event has just been noted");
                self.log.push(first.followed_by(&next));
            }
        }
    }

    /// What happened since last asked.
    pub fn events(&mut self) -> Vec<Happened> {
        self.drain();
        std::mem::take(&mut self.log)
    }

    /// Everything that it wants to send now.
    pub fn written(&mut self) -> Vec<u8> {
        let mut written = Vec::new();
        while let Some(bytes) = self.connection.poll_transmit(self.now) {
            let len = bytes.len();
            written.extend_from_slice(bytes);
            self.connection.advance_transmit(len);
        }
        written
    }

    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Asserts that the end is all that happened since last asked, and returns its reason.
    #[track_caller]
    pub fn closed(&mut self) -> CloseReason {
        match self.events().as_slice() {
            [Happened::Closed(reason)] => *reason,
            other => panic!("expected the end and nothing else: {other:?}"),
        }
    }

    /// Asserts that it ended for this reason, with no other event since last asked and without a byte to send.
    #[track_caller]
    pub fn assert_dropped(&mut self, reason: impl Into<CloseReason>) {
        assert_eq!(self.closed(), reason.into());
        assert_eq!(self.written(), b"", "a handshake that fails tells a stranger nothing");
    }

    /// As [`assert_closed`](Self::assert_closed), where exchanges of the victim's fail before the end is told.
    #[track_caller]
    pub fn assert_closed_with_failures(
        &mut self,
        attacker: &mut Attacker,
        reason: impl Into<CloseReason>,
        status: u64,
    ) {
        let events = self.events();
        let (last, before) = events.split_last().expect("the end");
        assert_eq!(*last, Happened::Closed(reason.into()));
        assert!(before.iter().all(|event| matches!(event, Happened::Failed(..))), "{before:?}");
        assert_eq!(attacker.open(&self.written()), [message::close(status)]);
        assert_eq!(attacker.leftover(), b"");
    }

    /// Asserts that it ended for this reason, with no other event since last asked, and told the attacker
    /// `close` with this status in its last frame, and nothing else.
    #[track_caller]
    pub fn assert_closed(&mut self, attacker: &mut Attacker, reason: impl Into<CloseReason>, status: u64) {
        assert_eq!(self.closed(), reason.into());
        assert_eq!(attacker.open(&self.written()), [message::close(status)]);
        assert_eq!(attacker.leftover(), b"");
    }
}
