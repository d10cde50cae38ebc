//! Echoes what comes over the UART and over TCP: the board works.

#![no_std]
#![no_main]

mod board;

use cortex_m_semihosting::hprintln;
use embassy_executor::Spawner;
use embassy_time::{Instant, Timer};

#[cortex_m_rt::entry]
fn main() -> ! {
    board::run(|spawner| start(spawner).expect("there is room for one"))
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    hprintln!(
        "up at {} us, {} bytes of static memory",
        Instant::now().as_micros(),
        board::stack::static_ram()
    );
    hprintln!("entropy {:02x?}", board::entropy::bytes());
    match board::provisioning::Provisioning::read() {
        Some(record) => hprintln!("key {:02x?}, {} peers", &record.secret_key[..4], record.peers().len()),
        None => hprintln!("no record"),
    }
    #[cfg(feature = "uart")]
    {
        let (rx, tx) = board::uart::open();
        spawner.spawn(uart_echo(rx, tx).expect("one"));
    }
    #[cfg(feature = "net")]
    net::start(spawner).await;
    let _ = spawner;
    loop {
        let before = Instant::now();
        Timer::after_millis(1000).await;
        let usage = board::heap::usage();
        hprintln!(
            "slept {} us, stack {}, heap {} {} {}",
            before.elapsed().as_micros(),
            board::stack::peak(),
            usage.live,
            usage.peak,
            usage.allocations
        );
    }
}

#[cfg(feature = "uart")]
#[embassy_executor::task]
async fn uart_echo(mut rx: board::uart::UartRx, mut tx: board::uart::UartTx) {
    use embedded_io_async::{Read, Write};
    let mut buf = [0; 256];
    loop {
        let Ok(read) = rx.read(&mut buf).await;
        let Ok(()) = tx.write_all(&buf[..read]).await;
        let Ok(()) = tx.flush().await;
    }
}

#[cfg(feature = "net")]
mod net {
    use super::*;
    use embassy_net::tcp::TcpSocket;
    use embassy_net::{Config, Runner, Stack, StackResources};
    use embedded_io_async::Write;
    use static_cell::StaticCell;

    static FRAMES: static_cell::ConstStaticCell<board::ethernet::Frames> =
        static_cell::ConstStaticCell::new(board::ethernet::Frames::new());
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();

    pub async fn start(spawner: Spawner) {
        let driver = board::ethernet::Ethernet::new([2, 0, 0, 0, 0, 1], FRAMES.take());
        let (stack, runner) = embassy_net::new(
            driver,
            Config::dhcpv4(Default::default()),
            RESOURCES.init(StackResources::new()),
            7,
        );
        spawner.spawn(run(runner).expect("one"));
        stack.wait_config_up().await;
        hprintln!("net up {:?} at {} ms", stack.config_v4().map(|c| c.address), Instant::now().as_millis());
        spawner.spawn(echo(stack).expect("one"));
        spawner.spawn(echo(stack).expect("two"));
    }

    #[embassy_executor::task]
    async fn run(mut runner: Runner<'static, board::ethernet::Ethernet>) {
        runner.run().await
    }

    #[embassy_executor::task(pool_size = 2)]
    async fn echo(stack: Stack<'static>) {
        let (mut rx, mut tx, mut buf) = ([0; 1024], [0; 1024], [0; 256]);
        loop {
            let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
            if socket.accept(7007).await.is_err() {
                continue;
            }
            while let Ok(read @ 1..) = socket.read(&mut buf).await {
                if socket.write_all(&buf[..read]).await.is_err() {
                    break;
                }
            }
            socket.close();
            let _ = socket.flush().await;
            hprintln!("connection done");
        }
    }
}
