//! UART1, a PL011, as two halves of `embedded-io-async`: one task reads, another may write.
//!
//! Bytes that nobody has read wait in a ring of 256.  When that is full, reading stops, and they wait in the FIFO of the
//! UART; what comes when that is full as well is lost, unless the wires have flow control.  symbolon bears it: a
//! packet with a gap is no packet, and the serial binding says what happens then.

use core::convert::Infallible;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;

use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embassy_sync::waitqueue::AtomicWaker;
use embedded_io_async::{ErrorType, Read, Write};

use super::Register;
use super::irq::{self, Irq};

const RING: usize = 256;
static RECEIVED: Pipe<CriticalSectionRawMutex, RING> = Pipe::new();
static WRITER: AtomicWaker = AtomicWaker::new();
static OPEN: AtomicBool = AtomicBool::new(false);

const fn register(offset: usize) -> Register {
    // SAFETY: UART1 begins here, and all offsets below are those of its registers.
    unsafe { Register::new(0x4000_D000 + offset) }
}

const DATA: Register = register(0x00);
const FLAGS: Register = register(0x18);
const LINE_CONTROL: Register = register(0x2C);
const CONTROL: Register = register(0x30);
const INTERRUPT_MASK: Register = register(0x38);
const INTERRUPT_STATUS: Register = register(0x40);

const FLAG_BUSY: u32 = 1 << 3;
const FLAG_RX_EMPTY: u32 = 1 << 4;
const FLAG_TX_FULL: u32 = 1 << 5;
/// Eight bits, no parity, one stop bit, through the FIFOs.
const LINE_8N1_FIFO: u32 = 0x70;
const CONTROL_ENABLE: u32 = 0x301;
/// There are bytes: many, or few for a while.
const INTERRUPT_RX: u32 = 1 << 4 | 1 << 6;
const INTERRUPT_TX: u32 = 1 << 5;

/// Opens the UART.
///
/// # Panics
///
/// The second time: there is one reader and one writer.
pub fn open() -> (UartRx, UartTx) {
    assert!(!OPEN.swap(true, Ordering::Relaxed), "UART1 is opened once");
    LINE_CONTROL.write(LINE_8N1_FIFO);
    CONTROL.write(CONTROL_ENABLE);
    INTERRUPT_MASK.write(INTERRUPT_RX);
    irq::enable(Irq::Uart1);
    (UartRx(()), UartTx(()))
}

/// Called for each interrupt of UART1.
pub extern "C" fn handle_interrupt() {
    let status = INTERRUPT_STATUS.read();
    if status & INTERRUPT_RX != 0 {
        empty_fifo();
    }
    if status & INTERRUPT_TX != 0 {
        INTERRUPT_MASK.modify(|mask| mask & !INTERRUPT_TX);
        WRITER.wake();
    }
}

/// Moves bytes from the FIFO to the ring, as many as it has room for.
///
/// The interrupt is not cleared by hand: reading does that, when few enough are left.  To clear it while there are bytes
/// means not to be told of them again.
fn empty_fifo() {
    while FLAGS.read() & FLAG_RX_EMPTY == 0 {
        if RECEIVED.is_full() {
            // Until somebody reads.
            INTERRUPT_MASK.modify(|mask| mask & !INTERRUPT_RX);
            return;
        }
        let byte = DATA.read() as u8;
        let written = RECEIVED.try_write(&[byte]);
        debug_assert!(written.is_ok(), "only an interrupt writes, so there still is room");
    }
}

/// The half that reads.
pub struct UartRx(());

/// The half that writes.
pub struct UartTx(());

impl ErrorType for UartRx {
    type Error = Infallible;
}

impl ErrorType for UartTx {
    type Error = Infallible;
}

impl Read for UartRx {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = RECEIVED.read(buf).await;
        INTERRUPT_MASK.modify(|mask| mask | INTERRUPT_RX);
        Ok(read)
    }
}

impl Write for UartTx {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        if buf.is_empty() {
            return Ok(0);
        }
        poll_fn(|cx| {
            if !is_full() {
                return Poll::Ready(());
            }
            WRITER.register(cx.waker());
            // It comes at once if there is room again by now.
            INTERRUPT_MASK.modify(|mask| mask | INTERRUPT_TX);
            Poll::Pending
        })
        .await;
        let mut written = 0;
        while written < buf.len() && !is_full() {
            DATA.write(buf[written].into());
            written += 1;
        }
        Ok(written)
    }

    /// Waits until the last bit is on the wire.  The UART has no interrupt for that.
    async fn flush(&mut self) -> Result<(), Infallible> {
        while FLAGS.read() & FLAG_BUSY != 0 {
            yield_now().await;
        }
        Ok(())
    }
}

fn is_full() -> bool {
    FLAGS.read() & FLAG_TX_FULL != 0
}
