//! The Ethernet controller, for `embassy-net`.
//!
//! It has a FIFO of words each way.  A frame that was received stands in it with its length before it and a checksum
//! behind it; one to send has its length before it.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

use super::Register;
use super::irq::{self, Irq};

/// The longest frame, with its header and without its checksum.
const MTU: usize = 1_514;
/// What stands before a frame in the FIFO.
const LENGTH: usize = 2;
const HEADER: usize = 14;
const CHECKSUM: usize = 4;

static WAKER: AtomicWaker = AtomicWaker::new();

const fn register(offset: usize) -> Register {
    // SAFETY: the controller begins here, and all offsets below are those of its registers.
    unsafe { Register::new(0x4004_8000 + offset) }
}

/// Which interrupts wait; writing a bit clears it.
const INTERRUPT_STATUS: Register = register(0x00);
const INTERRUPT_MASK: Register = register(0x04);
const RECEIVE_CONTROL: Register = register(0x08);
const TRANSMIT_CONTROL: Register = register(0x0C);
const DATA: Register = register(0x10);
const ADDRESS_LOW: Register = register(0x14);
const ADDRESS_HIGH: Register = register(0x18);
/// How many frames are in the receive FIFO.
const FRAMES: Register = register(0x34);
const TRANSMIT_REQUEST: Register = register(0x38);

const INTERRUPT_RECEIVED: u32 = 1 << 0;
const INTERRUPT_SENT: u32 = 1 << 2;
/// Receive, also multicast, and drop frames whose checksum is wrong.
const RECEIVE: u32 = 1 << 0 | 1 << 1 | 1 << 3;
const RECEIVE_RESET: u32 = 1 << 4;
/// Send full duplex, pad short frames, append the checksum.
const TRANSMIT: u32 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 4;
const TRANSMIT_NEW: u32 = 1;

/// Called for each interrupt of the controller; the driver lets them through again when it has nothing to do.
pub extern "C" fn handle_interrupt() {
    INTERRUPT_MASK.write(0);
    INTERRUPT_STATUS.write(INTERRUPT_RECEIVED | INTERRUPT_SENT);
    WAKER.wake();
}

/// The controller.  There is one.
pub struct Ethernet {
    address: [u8; 6],
    frames: &'static mut Frames,
}

/// Memory for a frame each way.
pub struct Frames {
    received: [u8; MTU],
    to_send: [u8; LENGTH + MTU],
}

impl Frames {
    /// Without a frame.
    pub const fn new() -> Self {
        Self { received: [0; MTU], to_send: [0; LENGTH + MTU] }
    }
}

impl Ethernet {
    /// Starts the controller, with this address.
    pub fn new(address: [u8; 6], frames: &'static mut Frames) -> Self {
        let [a, b, c, d, e, f] = address;
        INTERRUPT_MASK.write(0);
        RECEIVE_CONTROL.write(RECEIVE_RESET);
        ADDRESS_LOW.write(u32::from_le_bytes([a, b, c, d]));
        ADDRESS_HIGH.write(u32::from_le_bytes([e, f, 0, 0]));
        TRANSMIT_CONTROL.write(TRANSMIT);
        RECEIVE_CONTROL.write(RECEIVE);
        irq::enable(Irq::Ethernet);
        Self { address, frames }
    }

    /// Takes the next frame out of the FIFO, and gives its length; none, if it does not fit.
    fn read_frame(&mut self) -> Option<usize> {
        let [low, high, first, second] = DATA.read().to_le_bytes();
        let total = usize::from(u16::from_le_bytes([low, high]));
        let len = total.checked_sub(LENGTH + CHECKSUM)?;
        // The first word has the length and two bytes of the frame, the others have four.
        self.frames.received[..2].copy_from_slice(&[first, second]);
        for at in (2..total - LENGTH).step_by(4) {
            let word = DATA.read().to_le_bytes();
            let Some(rest) = self.frames.received.get_mut(at..) else { continue };
            let fitting = rest.len().min(word.len());
            rest[..fitting].copy_from_slice(&word[..fitting]);
        }
        (len <= MTU).then_some(len)
    }

    /// Whether the transmitter has done with the frame before; the task is woken when it has.
    fn can_send() -> bool {
        let ready = || TRANSMIT_REQUEST.read() & TRANSMIT_NEW == 0;
        if ready() {
            return true;
        }
        INTERRUPT_MASK.modify(|mask| mask | INTERRUPT_SENT);
        ready()
    }

    /// Whether a frame waits; the task is woken when one does.
    fn has_received() -> bool {
        if FRAMES.read() > 0 {
            return true;
        }
        INTERRUPT_MASK.modify(|mask| mask | INTERRUPT_RECEIVED);
        FRAMES.read() > 0
    }
}

impl Driver for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_>, ToSend<'_>)> {
        WAKER.register(cx.waker());
        while Self::can_send() && Self::has_received() {
            if let Some(len) = self.read_frame() {
                return Some((Received(&mut self.frames.received[..len]), ToSend(&mut self.frames.to_send)));
            }
        }
        None
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<ToSend<'_>> {
        WAKER.register(cx.waker());
        Self::can_send().then_some(ToSend(&mut self.frames.to_send))
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A frame that was received.
pub struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

/// Room for a frame to send.
pub struct ToSend<'a>(&'a mut [u8; LENGTH + MTU]);

impl TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let bytes = &mut self.0[..LENGTH + len];
        let result = fill(&mut bytes[LENGTH..]);
        // What the controller wants to know is the length of the payload.
        let payload = len.saturating_sub(HEADER) as u16;
        bytes[..LENGTH].copy_from_slice(&payload.to_le_bytes());
        for chunk in bytes.chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            DATA.write(u32::from_le_bytes(word));
        }
        TRANSMIT_REQUEST.write(TRANSMIT_NEW);
        result
    }
}
