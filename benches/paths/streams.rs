//! A body in chunks.

use std::hint::black_box;

use symbolon::{Event, ExchangeId, Provider, RequestHead};

use super::{Ends, NOW, WARM_UP, carry, drain};

/// A body that never ends, from `a` to `b`.
pub struct Chunks {
    ends: Ends,
    id: ExchangeId,
    block: Vec<u8>,
}

impl Chunks {
    /// The longest chunk that fills one frame of 16 KiB.
    pub const OF_A_FRAME: usize = 16_640 - 16 - 8;

    /// That many bytes are written each time.
    pub fn new(provider: Provider, block: usize) -> Self {
        let mut ends = Ends::new(provider);
        let head = RequestHead { method: "files/put", body: b"", more: true, deadline: None };
        let id = ends.a.open(NOW, &head).expect("room");
        ends.settle();
        let mut chunks = Self { ends, id, block: vec![0x55; block] };
        for _ in 0..WARM_UP {
            chunks.run();
        }
        chunks
    }

    pub fn bytes(&self) -> u64 {
        self.block.len() as u64
    }

    /// Writes one block, and has the other end take it.  Returns the bytes on the wire.
    pub fn run(&mut self) -> usize {
        let Ends { a, b } = &mut self.ends;
        let (mut written, mut taken, mut carried) = (0, 0, 0);
        while taken < self.block.len() {
            written += a.write(self.id, black_box(&self.block[written..])).unwrap_or(0);
            carried += carry(a, b, |b| {
                while let Some(event) = b.poll_event() {
                    let Event::Data { id, chunk, cost } = event else { continue };
                    taken += black_box(chunk).len();
                    b.release(id, cost).expect("it goes on");
                }
            });
            carry(b, a, drain);
        }
        carried
    }
}
