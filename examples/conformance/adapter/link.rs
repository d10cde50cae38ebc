//! One connection, or one serial line with its sessions: bytes, time and events.

use std::collections::VecDeque;

use serde_json::Value;
use symbolon::serial::{Line, Redial};
use symbolon::{Admission, Config, Connection, Instant, Seed};

use super::application::Application;
use super::subject::seed;

pub enum Link {
    Stream {
        connection: Box<Connection>,
        /// What came while the application was asked whom to let in.
        waiting: Vec<u8>,
    },
    Line(Box<OnLine>),
}

/// A serial line: one session follows the other.
pub struct OnLine {
    line: Line<Box<Connection>>,
    /// Where this side dials.
    redial: Option<Redial>,
    config: Config,
    admission: Admission,
    /// The ephemeral keys of sessions to come.
    seeds: VecDeque<[u8; 32]>,
    waiting: Vec<u8>,
    /// The session whose events the application gets: where it lies tells it from others.
    told: Option<*const Connection>,
}

impl Link {
    pub fn stream(dials: bool, config: &Config, admission: Admission, seed: Seed, now: Instant) -> Self {
        let begin = if dials { Connection::initiator } else { Connection::responder };
        Self::Stream { connection: Box::new(begin(config, admission, seed, now)), waiting: Vec::new() }
    }

    pub fn line(dials: bool, config: Config, admission: Admission, seeds: VecDeque<[u8; 32]>) -> Self {
        let (line, redial) = (Line::new(config.limits()), dials.then(Redial::default));
        let waiting = Vec::new();
        Self::Line(Box::new(OnLine { line, redial, config, admission, seeds, waiting, told: None }))
    }

    /// What commands are for.
    pub fn connection(&mut self) -> Option<&mut Connection> {
        match self {
            Self::Stream { connection, .. } => Some(connection),
            Self::Line(on) => {
                let runs = on.line.running().is_some();
                let session = if runs { on.line.running() } else { on.line.candidate() };
                session.map(|session| &mut **session)
            }
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Stream { waiting, .. } => waiting.extend_from_slice(bytes),
            Self::Line(on) => on.waiting.extend_from_slice(bytes),
        }
    }

    pub fn eof(&mut self, now: Instant) {
        match self {
            Self::Stream { connection, .. } => connection.handle_eof(now),
            Self::Line(on) => on.line.handle_eof(now),
        }
    }

    pub fn tick(&mut self, now: Instant) {
        match self {
            Self::Stream { connection, .. } => connection.handle_timeout(now),
            Self::Line(on) => on.line.handle_timeout(now),
        }
    }

    /// Lets everything happen that happens now: what is to be written, and what the application was told.
    pub fn settle(&mut self, now: Instant, application: &mut Application) -> (Vec<u8>, Vec<Value>) {
        let (mut out, mut events) = (Vec::new(), Vec::new());
        loop {
            let before = (out.len(), events.len());
            let mut moved = false;
            match self {
                Self::Stream { connection, waiting } => {
                    let taken = connection.handle_input(now, waiting);
                    moved |= taken > 0;
                    waiting.drain(..taken);
                    application.drain(connection, &mut events);
                }
                Self::Line(on) => moved |= on.settle(now, application, &mut events),
            }
            if let Some(connection) = self.connection() {
                application.go_on(connection);
            }
            self.collect(now, &mut out);
            if !moved && before == (out.len(), events.len()) {
                return (out, events);
            }
        }
    }

    fn collect(&mut self, now: Instant, out: &mut Vec<u8>) {
        match self {
            Self::Stream { connection, .. } => {
                while let Some(bytes) = connection.poll_transmit(now) {
                    out.extend_from_slice(bytes);
                    let len = bytes.len();
                    connection.advance_transmit(len);
                }
            }
            Self::Line(on) => {
                while let Some(bytes) = on.line.poll_transmit(now) {
                    out.extend_from_slice(bytes);
                    let len = bytes.len();
                    on.line.advance_transmit(len);
                }
            }
        }
    }

    pub fn next(&mut self) -> Option<Instant> {
        match self {
            Self::Stream { connection, .. } => connection.poll_timeout(),
            Self::Line(on) => {
                let dial = on.redial.as_ref().and_then(Redial::poll_timeout).filter(|_| !on.seeds.is_empty());
                [on.line.poll_timeout(), dial].into_iter().flatten().min()
            }
        }
    }

    pub fn is_closed(&mut self) -> bool {
        match self {
            Self::Stream { connection, .. } => connection.is_closed(),
            Self::Line(on) => on.line.running().is_none() && on.line.candidate().is_none(),
        }
    }
}

impl OnLine {
    /// Whether anything moved that is neither told nor sent.
    fn settle(&mut self, now: Instant, application: &mut Application, events: &mut Vec<Value>) -> bool {
        let dials = !self.seeds.is_empty()
            && self.redial.as_mut().is_some_and(|redial| redial.poll_dial(now, &mut self.line));
        if dials && let Some(seed) = next_seed(&mut self.seeds) {
            let dialled = Connection::initiator(&self.config, self.admission.clone(), seed, now);
            self.line.dial(now, Box::new(dialled));
        }
        let (config, admission, seeds) = (&self.config, &self.admission, &mut self.seeds);
        let fresh = || {
            let seed = next_seed(seeds)?;
            Some(Box::new(Connection::responder(config, admission.clone(), seed, now)))
        };
        let taken = self.line.handle_input(now, &self.waiting, fresh);
        self.waiting.drain(..taken);
        // First what has ended: a session that replaces another begins behind its end.
        let mut moved = dials || taken > 0;
        while let Some(mut gone) = self.line.poll_ended() {
            moved = true;
            let mut last = Vec::new();
            application.drain(&mut gone, &mut last);
            // A candidate that was never let in is nothing to the application.
            if self.told == Some(&raw const *gone) || last.iter().any(|event| event["event"] == "connected") {
                events.extend(last);
                self.told = None;
                application.forget();
            }
        }
        if let Some(candidate) = self.line.candidate() {
            let mut news = Vec::new();
            application.drain(candidate, &mut news);
            events.extend(news.into_iter().filter(|event| event["event"] != "closed"));
        }
        if let Some(running) = self.line.running() {
            self.told = Some(&raw const **running);
            application.drain(running, events);
        }
        moved
    }
}

fn next_seed(seeds: &mut VecDeque<[u8; 32]>) -> Option<Seed> {
    seed(seeds.pop_front()?).ok()
}
