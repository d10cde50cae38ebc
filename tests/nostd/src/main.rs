//! A program without std that uses symbolon.  `cargo check` is enough: a std anywhere below would bring a second panic
//! handler, and the compiler names the crate that it came with.  It is not meant to be linked.
#![no_std]
#![no_main]

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;
use core::ptr;

use symbolon::serial::{Line, Redial};
use symbolon::{Admission, Config, Connection, Event, Identity, Instant, Limits, SecretKey, Seed};

/// Has no memory to give.  symbolon wants an allocator, and gets one that is not std's.
struct Nothing;

unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// The same on a serial line.
#[unsafe(no_mangle)]
pub fn run_line(config: &Config, seed: &[u8; 32], read: &[u8]) -> u64 {
    let now = Instant::from_millis(1);
    let mut line = Line::new(config.limits());
    let mut redial = Redial::default();
    if redial.poll_dial(now, &mut line)
        && let Ok(seed) = Seed::new(*seed)
    {
        line.dial(now, Connection::initiator(config, Admission::Ask, seed, now));
    }
    let taken = line.handle_input(now, read, || None);
    let sent = line.poll_transmit(now).map_or(0, <[u8]>::len);
    line.advance_transmit(sent);
    line.poll_timeout().map_or(0, Instant::as_micros) + (taken + sent) as u64
}

/// The shape of a firmware's loop: bytes in, events, bytes out, and when to come back.
#[unsafe(no_mangle)]
pub fn run(secret: &[u8; 32], start: &[u8; 32], seed: &[u8; 32], line: &[u8]) -> u64 {
    let (Ok(start), Ok(seed)) = (Seed::new(*start), Seed::new(*seed)) else { return 0 };
    let identity = Identity::new(&SecretKey::from_bytes(*secret), start);
    let Ok(config) = Config::new(identity).with_limits(Limits::small()) else { return 0 };
    let now = Instant::from_millis(1);
    let mut connection = Connection::responder(&config, Admission::Ask, seed, now);
    let taken = connection.handle_input(now, line);
    while let Some(event) = connection.poll_event() {
        if let Event::Admission { .. } = event {
            let _ = connection.admit(now);
        }
    }
    let sent = connection.poll_transmit(now).map_or(0, <[u8]>::len);
    connection.advance_transmit(sent);
    connection.poll_timeout().map_or(0, Instant::as_micros) + (taken + sent) as u64
}
