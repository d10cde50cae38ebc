//! A connection by hand: the loop that every adapter of symbolon turns, over a blocking TCP socket.
//!
//! The library does no I/O.  It takes bytes and the time, and gives back bytes, events, and the moment at
//! which it wants to be called again.  What is left to a program is [`run`] below, in seven numbered steps;
//! for another kind of stream, or none at all (an interrupt handler, a simulator), only those change.
//!
//! ```text
//! cargo run --example by_hand                        both sides, in two threads
//! cargo run --example by_hand listen [PORT]          serves whoever connects, and prints the line to dial it
//! cargo run --example by_hand dial ADDRESS PEER_ID   calls `echo`, subscribes to `count`, and leaves
//! ```

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::hash::BuildHasher;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;
use std::{env, thread};

use symbolon::{
    Admission, CloseReason, Config, Connection, Event, ExchangeId, Identity, Instant, Kind, LinkId, Offer,
    Overflow, PeerId, Point, Seed, SendError, Status, TopicId, TopicLimits, Topics, Verdict,
};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    // A device that should be known again after a restart uses `Identity::load_or_create`.
    let device = Config::new(Identity::generate()?);
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => both(device),
        ["listen"] => listen(&device, &TcpListener::bind("0.0.0.0:0")?, usize::MAX),
        ["listen", port] => listen(&device, &TcpListener::bind(("0.0.0.0", port.parse()?))?, usize::MAX),
        ["dial", address, peer] => dial(&device, TcpStream::connect(address)?, peer.parse()?),
        _ => Err("usage: by_hand [listen [PORT] | dial ADDRESS PEER_ID]".into()),
    }
}

/// A listener and a dialler in one program, over the loopback.
fn both(lamp: Config) -> Result<()> {
    let phone = Config::new(Identity::generate()?);
    let lamp_id = lamp.identity().peer_id();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;

    let serving = thread::spawn(move || listen(&lamp, &listener, 1));
    dial(&phone, TcpStream::connect(address)?, lamp_id)?;
    serving.join().expect("the listener does not panic")
}

// The loop

/// Runs one connection from its first byte to its last, and says how it ended.
///
/// `application` looks at all events there are, commands as it likes, and returns the reason once it has seen
/// [`Event::Closed`].
fn run(
    // 1.  A connection was made, with a fresh seed; its first bytes, if it dials, wait to be written.
    mut connection: Connection,
    mut socket: TcpStream,
    clock: &Clock,
    mut application: impl FnMut(&mut Connection, Instant) -> Result<Option<CloseReason>>,
) -> Result<CloseReason> {
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let (mut buffer, mut waiting) = ([0; 4096], 0..0);
    let mut writable = true;
    loop {
        // 2.  Let the application look at what happened.  What it commands is queued, not written.
        let ended = application(&mut connection, clock.now())?;

        // 3.  Write what there is.
        let mut stuck = false;
        while let (true, false, Some(bytes)) = (writable, stuck, connection.poll_transmit(clock.now())) {
            match socket.write(bytes) {
                Ok(written) => connection.advance_transmit(written),
                // The peer is slow; perhaps it waits for us to read.
                Err(error) if is_passing(&error) => stuck = true,
                // It takes nothing any more, but may have said why: go on reading.
                Err(_) => writable = false,
            }
        }
        if let Some(reason) = ended {
            hang_up(socket);
            return Ok(reason);
        }

        // 4.  Wait for bytes, but not beyond the moment at which the connection wants to be called.
        let mut eof = false;
        if waiting.is_empty() {
            let due = connection.poll_timeout().map(|due| due.saturating_since(clock.now()));
            let patience = if stuck { Some(Duration::ZERO) } else { due };
            // A timeout of zero would mean none at all.
            socket.set_read_timeout(patience.map(|wait| wait.max(Duration::from_millis(1))))?;
            match socket.read(&mut buffer) {
                Ok(0) => eof = true,
                Ok(read) => waiting = 0..read,
                Err(error) if is_passing(&error) => {}
                Err(_) => eof = true,
            }
        }

        // 5.  Hand the bytes in.  It takes them up to the next event; the rest waits for the next turn.
        waiting.start += connection.handle_input(clock.now(), &buffer[waiting.clone()]);
        if eof {
            connection.handle_eof(clock.now());
        }

        // 6.  Let time pass: this is where timers fire.
        connection.handle_timeout(clock.now());
    }
}

/// 7.  Closes a socket so that what was written last arrives: with input unread, TCP may throw it away.
fn hang_up(mut socket: TcpStream) {
    let until = std::time::Instant::now() + PATIENCE;
    let _ = socket.shutdown(Shutdown::Write);
    let _ = socket.set_read_timeout(Some(PATIENCE));
    while std::time::Instant::now() < until && matches!(socket.read(&mut [0; 4096]), Ok(1..)) {}
}

/// How long a socket may block where nothing else says it.
const PATIENCE: Duration = Duration::from_millis(500);

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// The time as the library wants it: since any moment, as long as it stays the same one.
struct Clock(std::time::Instant);

impl Clock {
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.0.elapsed().as_micros() as u64)
    }
}

// One application: the side that serves

/// Serves `count` connections, one after the other.
fn listen(device: &Config, listener: &TcpListener, count: usize) -> Result<()> {
    println!("listening: by_hand dial {} {}", listener.local_addr()?, device.identity().peer_id());
    let mut publisher = Publisher::new()?;
    for socket in listener.incoming().take(count) {
        let clock = Clock::start();
        let connection = Connection::responder(device, Admission::Ask, Seed::random()?, clock.now());
        let ended =
            run(connection, socket?, &clock, |connection, now| serve(connection, now, &mut publisher));
        publisher.topics.drop_link(LINK);
        println!("listener: {}", ended.map_or_else(|error| error.to_string(), |reason| reason.to_string()));
    }
    Ok(())
}

fn serve(
    connection: &mut Connection,
    now: Instant,
    publisher: &mut Publisher,
) -> Result<Option<CloseReason>> {
    while let Some(event) = connection.poll_event() {
        match event {
            // A device that is not for everybody looks the peer up here, or has an `Admission::Only`.
            Event::Admission { peer } => {
                println!("listener: {peer} comes in");
                connection.admit(now)?;
            }
            Event::Request { id, method: "echo", body, .. } => {
                let body = body.to_vec();
                answer(connection, now, id, Status::OK, &body)?;
            }
            Event::Request { id, method: "fail", .. } => answer(connection, now, id, Status::new(300), b"")?,
            Event::Request { id, .. } => answer(connection, now, id, Status::NOT_FOUND, b"")?,
            Event::Subscribe { id, filter, from } => {
                let filter = filter.to_owned();
                publisher.subscribe(connection, id, &filter, from)?;
            }
            Event::Unsubscribe { id } => publisher.unsubscribe(connection, id)?,
            Event::Closed { reason } => return Ok(Some(reason)),
            // `Stop`: nothing here works for longer.  `GoingAway`: this side opens nothing; the peer will close.
            _ => {}
        }
    }
    publisher.pump(connection);
    Ok(None)
}

fn answer(
    connection: &mut Connection,
    now: Instant,
    id: ExchangeId,
    status: Status,
    body: &[u8],
) -> Result<(), SendError> {
    match connection.respond(id, status, body) {
        Err(SendError::TooLarge { .. }) => connection.respond(id, Status::TOO_LARGE, b""),
        // A peer that asks on and reads no answers: this program keeps none for it, and says so.
        Err(SendError::Full) => {
            connection.close(now, Status::UNAVAILABLE);
            Ok(())
        }
        // It has been cancelled, or the connection has ended.
        Err(SendError::UnknownExchange | SendError::Closed) => Ok(()),
        other => other,
    }
}

/// The topics of this device.  One table serves all connections of a device; here there is one at a time.
struct Publisher {
    topics: Topics,
    count: TopicId,
}

/// The number that the table knows the one connection by.
const LINK: LinkId = LinkId(0);

impl Publisher {
    const TOPIC: &str = "count";
    const KIND: Kind = Kind::Event { depth: 16, overflow: Overflow::DropOldest };

    /// Numbering begins anew with each start, which subscribers tell by a random epoch.
    fn new() -> Result<Self> {
        let epoch = RandomState::new().hash_one("the epoch of this run") as u32;
        let mut topics = Topics::new(epoch, TopicLimits::default());
        let count = topics.declare(Self::TOPIC, Self::KIND)?;
        Ok(Self { topics, count })
    }

    /// Lets the peer subscribe, and counts to five for it.
    fn subscribe(
        &mut self,
        connection: &mut Connection,
        id: ExchangeId,
        filter: &str,
        from: Option<Point>,
    ) -> Result<()> {
        match self.topics.subscribe(LINK, id, filter, from) {
            Ok(()) => connection.accept_subscription(id)?,
            Err(status) => return Ok(connection.respond(id, status, b"")?),
        }
        for number in ["0", "1", "2", "3", "4"] {
            self.topics.publish(self.count, number.as_bytes())?;
        }
        Ok(())
    }

    /// What was not sent is told, then the subscription ends: nothing is lost silently.
    fn unsubscribe(&mut self, connection: &mut Connection, id: ExchangeId) -> Result<()> {
        if let Some(missed) = self.topics.unsubscribe(LINK, id) {
            connection.publish_missed(id, missed)?;
        }
        Ok(connection.end_subscription(id, Status::CANCELLED)?)
    }

    /// Sends what the subscribers have credit for; the rest waits for more.
    fn pump(&mut self, connection: &mut Connection) {
        while let Some(id) = connection.poll_credited() {
            self.topics.credited(LINK, id);
        }
        self.topics.pump(LINK, |offer| {
            let sent = match offer {
                Offer::Abort { subscription } => {
                    connection.publish_abort(subscription).map(|()| Verdict::Sent)
                }
                Offer::Missed { subscription, missed } => {
                    connection.publish_missed(subscription, missed).map(|()| Verdict::Sent)
                }
                Offer::Publication { subscription, publication, .. } => {
                    connection.publish_first(subscription, &publication).map(Verdict::Part)
                }
                Offer::Rest { subscription, rest } => {
                    connection.publish_next(subscription, rest).map(Verdict::Part)
                }
            };
            match sent {
                Ok(verdict) => verdict,
                Err(SendError::NoCredit) => Verdict::NoCredit,
                Err(SendError::TooLarge { .. }) => Verdict::TooLarge,
                Err(SendError::UnknownExchange) => Verdict::Gone,
                Err(_) => Verdict::Full,
            }
        });
    }
}

// The other application: the side that dials

fn dial(device: &Config, socket: TcpStream, peer: PeerId) -> Result<()> {
    let clock = Clock::start();
    let connection = Connection::initiator(device, Admission::expect(peer), Seed::random()?, clock.now());
    let (mut asked, mut left) = (None, 5);
    let reason = run(connection, socket, &clock, |connection, now| {
        // It need not wait to be let in: this goes out right behind its own proof.
        if asked.is_none() && connection.is_open() {
            asked = Some(connection.request(now, "echo", b"is anybody there?", Some(10 * PATIENCE))?);
        }
        while let Some(event) = connection.poll_event() {
            match event {
                Event::Connected { peer } => println!("dialler: connected with {peer}"),
                Event::Response { status, body, .. } => {
                    println!("dialler: echo: {status}, {:?}", body.escape_ascii().to_string());
                    connection.subscribe(Publisher::TOPIC, 1_000, None)?;
                }
                Event::Publication { id, publication } => {
                    let (body, cost) = (publication.body.escape_ascii(), publication.cost);
                    println!("dialler: {} is {body}, missed {}", publication.topic, publication.missed.count);
                    // Taken: as much may come again.
                    connection.release(id, cost)?;
                    left -= 1;
                    if left == 0 {
                        connection.cancel(id)?;
                    }
                }
                // Also our own cancelling comes back here, or as the subscription's end.
                Event::Failed { .. } | Event::SubscriptionEnded { .. } => connection.close(now, Status::OK),
                Event::Closed { reason } => return Ok(Some(reason)),
                _ => {}
            }
        }
        Ok(None)
    })?;
    println!("dialler: {reason}");
    if left == 0 && reason == CloseReason::Local(Status::OK) {
        Ok(())
    } else {
        Err("not what was hoped".into())
    }
}
