//! The embassy adapter, over streams in memory: against the tokio adapter, and against itself.

mod answers;
mod bodies;
mod calls;
mod descriptions;
mod heap;
mod line;
#[path = "../common/meter.rs"]
mod meter;
mod publications;
mod streams;
#[allow(dead_code)] // the other adapters use all of it
#[path = "../common/stubborn.rs"]
mod stubborn;
mod transports;
mod waiting;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use embedded_io_adapters::tokio_1::FromTokio;
use symbolon::embassy::{Buffers, Device, Link, Runner, Step, Unflushed};
use symbolon::tokio as host;
use symbolon::{
    Admission, CloseReason, Config, Connection, Event, ExchangeId, Identity, Kind, Limits, Overflow, PeerId,
    Role, SecretKey, Seed, Status, TopicId, TopicLimits, Topics,
};
use tokio::io::{DuplexStream, duplex, split};

#[global_allocator]
static METER: meter::Meter = meter::Meter;

pub const SECOND: Duration = Duration::from_secs(1);

pub fn seed() -> Seed {
    Seed::random().unwrap()
}

pub fn identity(number: u8) -> Identity {
    Identity::new(&SecretKey::from_bytes([number; 32]), seed())
}

pub fn peer_id(number: u8) -> PeerId {
    identity(number).peer_id()
}

/// The device of the board, whose number is 1, with a state and an event.
pub struct Board {
    pub device: Device,
    pub state: TopicId,
    pub ticks: TopicId,
    pub link: Link,
}

pub fn board() -> Board {
    board_with(3, Limits::small())
}

/// One whose handles may have so many exchanges, with 4 KiB for each.
pub fn board_with(exchanges: usize, limits: Limits) -> Board {
    let mut topics = Topics::new(7, TopicLimits::default());
    let state = topics.declare("lamp/state", Kind::State).unwrap();
    let event = Kind::Event { depth: 8, overflow: Overflow::DropOldest };
    let ticks = topics.declare("tick", event).unwrap();
    let config = Config::new(identity(1)).with_limits(limits).unwrap();
    let memory = Box::leak(vec![0; exchanges * 4096].into_boxed_slice());
    Board { device: Device::new(config, topics), state, ticks, link: Link::new(memory, exchanges) }
}

/// The host, whose number is 2: it lets everybody in, and echoes.
pub fn host_device() -> host::Device {
    host_builder().build().unwrap()
}

pub fn host_builder() -> host::Builder {
    host::Device::builder(identity(2))
        .admit(|_| true)
        .on_raw("echo", |_, body| async move { Ok(body) })
        .topic_raw("weather", Kind::Event { depth: 8, overflow: Overflow::DropOldest })
}

/// What a board does with a request: the loop of every program.
pub fn serve(connection: &mut Connection, id: ExchangeId, method: &str, body: &[u8]) {
    let answered = match method {
        "echo" => connection.respond(id, Status::OK, body),
        _ => connection.respond(id, Status::NOT_FOUND, &[]),
    };
    answered.unwrap();
}

/// Runs a board's connection to its end, with small buffers.
pub async fn run(board: &Board, connection: Connection, stream: DuplexStream) -> Option<CloseReason> {
    run_with(board, connection, stream, serve).await
}

/// The same, which does this with each request.
pub async fn run_with(
    board: &Board,
    connection: Connection,
    stream: DuplexStream,
    mut serve: impl FnMut(&mut Connection, ExchangeId, &str, &[u8]),
) -> Option<CloseReason> {
    let (rx, tx) = split(stream);
    let (mut rx_bytes, mut tx_bytes) = ([0; 100], [0; 90]);
    let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
    let mut io = pin!(buffers.transport(FromTokio::new(rx), Unflushed(FromTokio::new(tx))));
    let mut runner = Runner::new(&board.device, &board.link, connection, &buffers, io.as_mut());
    while let Some(step) = runner.next().await {
        if let Step::Event(Event::Request { id, method, body, .. }) = step {
            let (method, body) = (method.to_owned(), body.to_vec());
            serve(runner.connection(), id, &method, &body);
        }
    }
    runner.reason()
}

/// A connection of the board's, and the host's end of it, which runs as a task of its own.
pub fn meet(board: &Board, device: &host::Device, dials: bool) -> (Connection, DuplexStream, host::Handle) {
    let (ours, theirs) = duplex(300);
    let role = if dials { Role::Responder } else { Role::Initiator };
    let (handle, runner) = device.attach(theirs, role, Admission::expect(peer_id(1))).unwrap();
    tokio::spawn(runner.run());
    let connection = if dials {
        board.device.dial(peer_id(2), seed())
    } else {
        board.device.accept(Admission::Only(vec![peer_id(2)]), seed())
    };
    (connection, ours, handle)
}

/// Runs the board beside a script, until that has ended; the connection must not end before.
pub async fn beside<T>(
    board: &Board,
    (connection, stream): (Connection, DuplexStream),
    script: impl Future<Output = T>,
) -> T {
    let within = tokio::time::timeout(20 * SECOND, async {
        tokio::select! {
            reason = run(board, connection, stream) => panic!("the connection has ended: {reason:?}"),
            result = script => result,
        }
    });
    within.await.expect("within 20 s")
}
