//! symbolon over TCP: two tasks that accept, and one that dials.

use core::pin::pin;

use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, Ipv4Address, Runner as NetRunner, Stack, StackResources};
use embassy_time::{Duration, Timer, with_timeout};
use static_cell::{ConstStaticCell, StaticCell};
use symbolon::embassy::{Buffers, Link, Runner, Unflushed};
use symbolon::{PeerId, Seed};

use crate::app::{self, App};
use crate::board::console::{Part, say};
use crate::board::entropy;
use crate::board::ethernet::{Ethernet, Frames};
use crate::calling::{self, Orders};
use crate::memory::{self, Exchanges, Memory};
use crate::server::{ANSWER_LEN, Server};

const PORT: u16 = 7_007;
/// Where the first peer listens.  QEMU takes it to wherever it was told to.
const PEER: (Ipv4Address, u16) = (Ipv4Address::new(10, 0, 2, 100), 9_000);
const ACCEPTORS: usize = 2;
/// Each acceptor has a socket, the dialler has one, and DHCP.
const SOCKETS: usize = ACCEPTORS + 2;
/// How long TCP may take to connect.  Not long: while a peer does not answer, smoltcp looks up no other.
const CONNECT: Duration = Duration::from_secs(5);
const REDIAL: Duration = Duration::from_secs(2);
/// How long the last bytes may take to leave.
const HANG_UP: Duration = Duration::from_secs(1);

/// Those that accept, and the one that dials.
const TASKS: usize = ACCEPTORS + 1;

/// Starts the network and all that uses it.
pub async fn start(spawner: Spawner, app: &'static App) {
    static FRAMES: ConstStaticCell<Frames> = ConstStaticCell::new(Frames::new());
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    static EXCHANGES: ConstStaticCell<[Exchanges; TASKS]> =
        ConstStaticCell::new([[0; size_of::<Exchanges>()]; TASKS]);
    static MEMORY: ConstStaticCell<[Memory; TASKS]> = ConstStaticCell::new([const { Memory::new() }; TASKS]);
    static LINKS: StaticCell<[Link; TASKS]> = StaticCell::new();

    let [s0, s1, s2, s3, s4, s5, s6, s7, ..] = entropy::bytes();
    // Made up, and marked so by its first byte; the same at each start.  A real device has an address of its own.
    let [m0, m1, m2, ..] = *app.device.peer_id().as_bytes();
    let driver = Ethernet::new([2, 0, 0, m0, m1, m2], FRAMES.take());
    let random = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    let config = Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(driver, config, RESOURCES.init(StackResources::new()), random);
    spawner.spawn(run(runner).expect("once"));
    stack.wait_config_up().await;
    if let Some(config) = stack.config_v4() {
        let [a, b, c, d] = config.address.address().octets().map(|byte| Part::Number(byte.into()));
        let dot = || Part::Text(".");
        say(&[
            Part::Text("reached at "),
            a,
            dot(),
            b,
            dot(),
            c,
            dot(),
            d,
            Part::Text(", port "),
            Part::Number(PORT.into()),
        ]);
    }

    let links = LINKS.init_with(|| EXCHANGES.take().each_mut().map(memory::link));
    let mut tasks = links.iter().zip(MEMORY.take());
    if let Some((link, memory)) = tasks.next() {
        spawner.spawn(dial(app, stack, link, memory).expect("once"));
    }
    for (link, memory) in tasks {
        spawner.spawn(accept(app, stack, link, memory).expect("as many as there is memory for"));
    }
}

/// Runs the network.
#[embassy_executor::task]
async fn run(mut runner: NetRunner<'static, Ethernet>) {
    runner.run().await
}

/// Serves those who connect, one after the other.
#[embassy_executor::task(pool_size = ACCEPTORS)]
async fn accept(app: &'static App, stack: Stack<'static>, link: &'static Link, memory: &'static mut Memory) {
    let Memory { socket: [rx, tx], transport, answer } = memory;
    loop {
        let mut socket = TcpSocket::new(stack, rx, tx);
        if socket.accept(PORT).await.is_ok()
            && let Some(seed) = app::seed()
        {
            serve(app, link, (transport, answer), None, seed, &mut socket).await;
        }
        hang_up(socket).await;
    }
}

/// Keeps a connection with the first peer.
#[embassy_executor::task]
async fn dial(app: &'static App, stack: Stack<'static>, link: &'static Link, memory: &'static mut Memory) {
    let Some(&peer) = app.peers.first() else { return };
    let Memory { socket: [rx, tx], transport, answer } = memory;
    loop {
        let mut socket = TcpSocket::new(stack, rx, tx);
        if let Ok(Ok(())) = with_timeout(CONNECT, socket.connect(PEER)).await
            && let Some(seed) = app::seed()
        {
            serve(app, link, (transport, answer), Some(peer), seed, &mut socket).await;
        }
        hang_up(socket).await;
        Timer::after(REDIAL).await;
    }
}

/// Serves and calls on one connection, from its first byte to its last; with the peer that was dialled, or whoever of the
/// peers has dialled.
async fn serve(
    app: &App,
    link: &Link,
    ([rx_bytes, tx_bytes], answer): (&mut [[u8; 256]; 2], &mut [u8; ANSWER_LEN]),
    dialled: Option<PeerId>,
    seed: Seed,
    socket: &mut TcpSocket<'_>,
) {
    let buffers = Buffers::new(rx_bytes, tx_bytes);
    // What symbolon writes is meant to leave at once.
    socket.set_nagle_enabled(false);
    let (rx, tx) = socket.split();
    let mut io = pin!(buffers.transport(rx, Unflushed(tx)));
    let orders = Orders::new();
    // Pinned where they are made: moved, they would pass over the stack.
    let driving = pin!(async {
        // Made where it stays: a future keeps each place that a value passes through.
        let connection = match dialled {
            Some(peer) => app.device.dial(peer, seed),
            None => app.device.accept(app.admission(), seed),
        };
        let mut runner = Runner::new(&app.device, link, connection, &buffers, io.as_mut());
        let mut server = Server::new(app, answer);
        loop {
            match select(runner.next(), server.retry()).await {
                Either::First(Some(step)) => server.handle(step),
                Either::First(None) => return,
                Either::Second(()) => {}
            }
            server.pass_on(&orders, |id| runner.responder(id));
            server.carry_out(runner.connection());
        }
    });
    let calling = pin!(calling::run(app, link.handle(), &orders));
    select(driving, calling).await;
}

/// Closes a socket so that what was written last arrives.
async fn hang_up(mut socket: TcpSocket<'_>) {
    socket.close();
    // Where the peer is gone there is nobody to wait for.
    let _gone = with_timeout(HANG_UP, socket.flush()).await;
    socket.abort();
}
