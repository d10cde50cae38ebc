//! symbolon on the UART: one session after the other, for ever.

use core::pin::pin;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use static_cell::{ConstStaticCell, StaticCell};
use symbolon::embassy::{Buffers, LineRunner, Link};

use crate::app::{self, App};
use crate::board::{fault, uart};
use crate::calling::{self, Orders};
use crate::memory::{self, Exchanges, Memory};
use crate::server::Server;

/// Serves and calls whoever of the peers is at the other end.  Both sides may begin.
#[embassy_executor::task]
pub async fn serve(app: &'static App) {
    static EXCHANGES: ConstStaticCell<Exchanges> = ConstStaticCell::new([0; size_of::<Exchanges>()]);
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    static LINK: StaticCell<Link> = StaticCell::new();

    let link = LINK.init_with(|| memory::link(EXCHANGES.take()));
    let Memory { transport: [rx_bytes, tx_bytes], answer, .. } = MEMORY.take();
    let buffers = Buffers::new(rx_bytes, tx_bytes);
    let (rx, tx) = uart::open();
    let mut io = pin!(buffers.transport(rx, tx));
    let mut seeds = app::seed;
    let orders = Orders::new();
    // Pinned where they are made: moved, they would pass over the stack.
    let driving = pin!(async {
        let mut runner =
            LineRunner::new(&app.device, link, &app.peers, &mut seeds, &buffers, io.as_mut()).dialling();
        let mut server = Server::new(app, answer);
        loop {
            match select(runner.next(), server.retry()).await {
                Either::First(Some(step)) => server.handle(step),
                // A UART never does, as long as its reading never fails: a driver that reports damaged bytes as errors would
                // end the line here, and is to leave that to the packets' own checks.
                Either::First(None) => fault::stop("the line has ended"),
                Either::Second(()) => {}
            }
            server.pass_on(&orders, |id| runner.responder(id));
            if let Some(session) = runner.session() {
                server.carry_out(session);
            }
        }
    });
    let calling = pin!(calling::run(app, link.handle(), &orders));
    join(driving, calling).await;
}
