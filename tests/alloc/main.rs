//! What a connection allocates, and when.

mod bounds;
mod buffers;
#[path = "../common/mod.rs"]
mod common;
mod messages;
mod table;

use common::meter::{Meter, metered, reset};
use common::{device, seed};
use symbolon::{Admission, Config, Connection, Event, ExchangeId, Instant, Limits};

#[global_allocator]
static METER: Meter = Meter;

// The documents that say what these tests measure.
const README: &str = include_str!("../../README.md");
const LIMITS: &str = include_str!("../../src/guide/limits.md");

const NOW: Instant = Instant::from_millis(1_000);

/// Two sides that have dialled; only what the first one does is metered.
struct Two {
    metered: Connection,
    other: Connection,
}

impl Two {
    fn new(config: &Config, responder: bool) -> Self {
        let other = device(2);
        let admit_metered = Admission::expect(config.identity().peer_id());
        let admit_other = Admission::expect(other.identity().peer_id());
        let (first, second) = (seed(101), seed(102));
        reset();
        if responder {
            let metered = metered(|| Connection::responder(config, admit_other, first, NOW));
            Self { metered, other: Connection::initiator(&other, admit_metered, second, NOW) }
        } else {
            let metered = metered(|| Connection::initiator(config, admit_other, first, NOW));
            Self { metered, other: Connection::responder(&other, admit_metered, second, NOW) }
        }
    }

    /// Carries bytes until none wait; events go to `seen`, by side.
    fn settle(&mut self, mut seen: impl FnMut(bool, &mut Connection, Said)) {
        loop {
            let mut moved = false;
            while let Some(bytes) = metered(|| self.metered.poll_transmit(NOW)) {
                let taken = self.other.handle_input(NOW, bytes);
                metered(|| self.metered.advance_transmit(taken));
                moved = true;
                while let Some(said) = self.other.poll_event().map(Said::of) {
                    seen(false, &mut self.other, said);
                }
            }
            while let Some(bytes) = self.other.poll_transmit(NOW) {
                let taken = metered(|| self.metered.handle_input(NOW, bytes));
                self.other.advance_transmit(taken);
                moved = true;
                while let Some(said) = metered(|| self.metered.poll_event().map(Said::of)) {
                    metered(|| seen(true, &mut self.metered, said));
                }
            }
            if !moved {
                return;
            }
        }
    }
}

/// What matters of an event here, without its bytes.
#[derive(Clone, Copy, Debug)]
enum Said {
    Request(ExchangeId),
    Response,
    Subscribe(ExchangeId),
    Publication(ExchangeId, u32),
    /// A part, with whether it was the last.
    Part(ExchangeId, u32, bool),
    Data(ExchangeId, u32),
    Other,
}

impl Said {
    fn of(event: Event<'_>) -> Self {
        match event {
            Event::Request { id, .. } => Self::Request(id),
            Event::Response { .. } => Self::Response,
            Event::Subscribe { id, .. } => Self::Subscribe(id),
            Event::Publication { id, publication, .. } if publication.total.is_some() => {
                Self::Part(id, publication.cost, false)
            }
            Event::Publication { id, publication, .. } => Self::Publication(id, publication.cost),
            Event::Continuation { id, cost, more, .. } => Self::Part(id, cost, !more),
            Event::Data { id, cost, .. } => Self::Data(id, cost),
            _ => Self::Other,
        }
    }
}

fn configured(limits: Limits) -> Config {
    device(1).with_limits(limits).expect("in range")
}
