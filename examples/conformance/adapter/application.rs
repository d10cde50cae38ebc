//! The application of scripts: it does what it is told, takes what comes, and goes on with what had to wait.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;
use symbolon::{
    Connection, ExchangeId, Instant, Missed, Outgoing, Point, RequestHead, SendError, Status,
    SubscribeOptions,
};

use super::events::Teller;
use super::subject::{Unsupported, number, unhex};

#[derive(Default)]
pub struct Application {
    teller: Teller,
    /// Nothing is taken for the time being.
    holds: bool,
    /// What was not taken, by its cost.
    held: Vec<(ExchangeId, u64)>,
    /// Bodies that this side has begun to send.
    bodies: BTreeMap<ExchangeId, Body>,
    /// Publications that wait for credit or room, or are half sent.
    publications: BTreeMap<ExchangeId, VecDeque<Waiting>>,
}

#[derive(Default)]
struct Body {
    rest: Vec<u8>,
    finishes: bool,
}

struct Waiting {
    topic: String,
    point: Point,
    missed: Missed,
    retained: bool,
    body: Vec<u8>,
    /// How much of it has left, once it has begun.
    sent: Option<usize>,
}

impl Application {
    /// Takes the events of this connection, and gives their credit back.
    pub fn drain(&mut self, connection: &mut Connection, events: &mut Vec<Value>) {
        while let Some(event) = connection.poll_event() {
            let told = self.teller.tell(&event);
            events.extend(told.event);
            if let Some((id, cost)) = told.taken {
                self.held.push((id, cost));
            }
            self.take(connection);
        }
    }

    fn take(&mut self, connection: &mut Connection) {
        if !self.holds {
            for (id, cost) in self.held.drain(..) {
                // Refused where it has ended, which needs no credit.
                let _ended = connection.release(id, u32::try_from(cost).unwrap_or(u32::MAX));
            }
        }
    }

    /// Whatever belonged to a session that has gone.
    pub fn forget(&mut self) {
        *self = Self { holds: self.holds, ..Self::default() };
    }

    /// Goes on with what waits for room or credit.
    pub fn go_on(&mut self, connection: &mut Connection) {
        self.bodies.retain(|id, body| body.go_on(connection, *id));
        self.publications.retain(|id, waiting| {
            while let Some(first) = waiting.front_mut() {
                match first.go_on(connection, *id) {
                    Ok(true) => drop(waiting.pop_front()),
                    Ok(false) => return true,
                    Err(_) => return false,
                }
            }
            false
        });
    }

    /// Carries a `do` out; `false` where the connection refuses it.
    pub fn command(
        &mut self,
        connection: Option<&mut Connection>,
        now: Instant,
        command: &Value,
    ) -> Result<bool, Unsupported> {
        let Some(connection) = connection else { return Ok(false) };
        let id = ExchangeId::from_number(number(&command["id"])?);
        let status = Status::new(number(&command["status"])?);
        let outcome = match command["do"].as_str().unwrap_or_default() {
            "accept" => connection.accept_subscription(id),
            "admit" => connection.admit(now),
            "busy" => connection.respond_busy(id, Duration::from_millis(number(&command["retry"])?)),
            "cancel" => connection.cancel_with(id, status),
            "close" => {
                connection.close(now, status);
                Ok(())
            }
            "end" => connection.end_subscription(id, status),
            "finish" => self.body(connection, id, |body| body.finishes = true),
            "goaway" => connection.goaway(),
            "hold" => {
                self.holds = true;
                Ok(())
            }
            "missed" => connection.publish_missed(id, missed(command, "count")?),
            "publish" => return self.publish(connection, id, command),
            "refuse" => connection.refuse(now),
            "request" => self.request(connection, now, command)?,
            "reset" => {
                self.bodies.remove(&id);
                connection.reset(id, status)
            }
            "respond" => connection.respond(id, status, &unhex(&command["body"])?),
            "respond_more" => {
                let begun = connection.respond_more(now, id, &unhex(&command["body"])?);
                begun.map(|()| drop(self.bodies.insert(id, Body::default())))
            }
            "subscribe" => {
                let options = options(command)?;
                let filter = command["filter"].as_str().unwrap_or_default();
                connection.subscribe_with(filter, &options).map(|_| ())
            }
            "take" => {
                self.holds = false;
                self.take(connection);
                Ok(())
            }
            "write" => {
                let bytes = unhex(&command["bytes"])?;
                self.body(connection, id, |body| body.rest.extend(bytes))
            }
            other => return Err(Unsupported(format!("the command {other}"))),
        };
        Ok(outcome.is_ok())
    }

    fn request(
        &mut self,
        connection: &mut Connection,
        now: Instant,
        command: &Value,
    ) -> Result<Result<(), SendError>, Unsupported> {
        let deadline = Some(number(&command["deadline"])?).filter(|millis| *millis > 0);
        let deadline = deadline.map(Duration::from_millis);
        let (method, body) = (command["method"].as_str().unwrap_or_default(), unhex(&command["body"])?);
        let (more, chunks) = (command["more"] == true, command["chunks"] == true);
        let opened = if more || chunks {
            connection.open(now, &RequestHead { method, body: &body, more, deadline })
        } else {
            connection.request(now, method, &body, deadline)
        };
        Ok(opened.map(|id| {
            if more {
                self.bodies.insert(id, Body::default());
            }
        }))
    }

    fn body(
        &mut self,
        connection: &mut Connection,
        id: ExchangeId,
        change: impl FnOnce(&mut Body),
    ) -> Result<(), SendError> {
        let body = self.bodies.get_mut(&id).ok_or(SendError::UnknownExchange)?;
        change(body);
        if !body.go_on(connection, id) {
            self.bodies.remove(&id);
        }
        Ok(())
    }

    fn publish(
        &mut self,
        connection: &mut Connection,
        id: ExchangeId,
        command: &Value,
    ) -> Result<bool, Unsupported> {
        let mut news = Waiting {
            topic: command["topic"].as_str().unwrap_or_default().into(),
            point: point(command)?,
            missed: missed(command, "missed")?,
            retained: command["retained"] == true,
            body: unhex(&command["body"])?,
            sent: None,
        };
        let waiting = self.publications.entry(id).or_default();
        let done = if waiting.is_empty() { news.go_on(connection, id) } else { Ok(false) };
        if done == Ok(false) {
            waiting.push_back(news);
        }
        Ok(done.is_ok())
    }
}

impl Body {
    /// Whether there is still something to do.
    fn go_on(&mut self, connection: &mut Connection, id: ExchangeId) -> bool {
        while !self.rest.is_empty() {
            match connection.write(id, &self.rest) {
                Ok(taken) => drop(self.rest.drain(..taken)),
                Err(SendError::Full) => return true,
                Err(_) => return false,
            }
        }
        // Refused where the other side has stopped it: there is nothing to end.
        !self.finishes || matches!(connection.finish(id), Err(SendError::Full))
    }
}

impl Waiting {
    /// Whether it has left as a whole.
    fn go_on(&mut self, connection: &mut Connection, id: ExchangeId) -> Result<bool, SendError> {
        loop {
            let part = match self.sent {
                Some(sent) if sent == self.body.len() => return Ok(true),
                Some(sent) => connection.publish_next(id, &self.body[sent..]),
                None => {
                    let Self { topic, point, missed, retained, body, .. } = &*self;
                    let (point, missed, retained) = (*point, *missed, *retained);
                    connection.publish_first(id, &Outgoing { topic, point, missed, retained, body })
                }
            };
            match part {
                Ok(more) => *self.sent.get_or_insert(0) += more,
                Err(SendError::NoCredit | SendError::Full) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

fn point(command: &Value) -> Result<Point, Unsupported> {
    Ok(Point { epoch: number(&command["epoch"])?, sequence: number(&command["sequence"])? })
}

fn missed(command: &Value, count: &str) -> Result<Missed, Unsupported> {
    Ok(Missed { count: number(&command[count])?, unknown: command["unknown"] == true })
}

fn options(command: &Value) -> Result<SubscribeOptions, Unsupported> {
    let mut options = SubscribeOptions::default();
    options.window = number(&command["limit"])?;
    options.largest = number(&command["largest"])?;
    options.from = if command["epoch"].is_null() { None } else { Some(point(command)?) };
    Ok(options)
}
