//! A device with symbolon on a microcontroller: it serves methods, publishes, and calls its peers, all at once.
//!
//! It runs in QEMU on an LM3S6965 (Cortex-M3, 64 KiB of RAM).  Over UART1 it speaks the serial binding; with the feature
//! `net` also TCP, where it listens on port 7007 and dials its first peer.
//!
//! ```text
//! cd examples/firmware
//! { printf 'SYMB\1\1\0\0'; head -c 32 /dev/urandom; echo PEER_ID | xxd -r -p; } > record.bin
//! cargo run --release                                         # UART1 is the socket /tmp/symbolon-uart
//! cargo run --release --no-default-features --features net    # 127.0.0.1:7007 is its port 7007
//! ```
//!
//! `PEER_ID` is whom it trusts, as 64 hexadecimal digits; who it is itself it says at its start.
//!
//! Where to read: [`app`] is what the device does; [`server`] answers requests on one connection, [`calling`] is the other
//! direction; [`serial_task`] and [`net_task`] put that on a line and on sockets; [`board`] is the chip.

#![no_std]
#![no_main]

extern crate alloc;

mod app;
mod board;
mod calling;
mod image;
mod memory;
mod messages;
#[cfg(feature = "net")]
mod net_task;
#[cfg(feature = "uart")]
mod serial_task;
mod server;

use embassy_executor::Spawner;
use static_cell::StaticCell;

use app::App;
use board::console::{Part, say};
use board::provisioning::Provisioning;

#[cortex_m_rt::entry]
fn main() -> ! {
    board::run(|spawner| start(spawner).expect("it is started once"))
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    static APP: StaticCell<App> = StaticCell::new();

    let Some(record) = Provisioning::read() else { board::fault::stop("nobody has provisioned this device") };
    let app = APP.init_with(|| App::new(&record));
    say(&[Part::Text("this is "), Part::Bytes(app.device.peer_id().as_bytes())]);

    // Each of them is spawned once, so there is room.
    spawner.spawn(app::sense(app).expect("once"));
    spawner.spawn(app::tick(app).expect("once"));
    spawner.spawn(app::reboot(app).expect("once"));
    #[cfg(feature = "uart")]
    spawner.spawn(serial_task::serve(app).expect("once"));
    #[cfg(feature = "net")]
    net_task::start(spawner, app).await;
}
