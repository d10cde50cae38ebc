//! A body in chunks, beside sealing and opening its frames, and copying its bytes once.

use std::hint::black_box;

use crate::bounds;
use crate::paths::Chunks;
use crate::primitives::{Frames, Primitives};
use crate::ratio::{Beside, timed};

/// What leaves in one go.
const FRAMES: usize = 4;

pub fn subjects(primitives: &Primitives) -> Vec<Beside> {
    let mut chunks = Chunks::new((primitives.provider)(), FRAMES * Chunks::OF_A_FRAME);
    let length = chunks.run() / FRAMES;
    let mut frame = Frames::new(primitives, &[length]);
    // From the application into the frame; the other end opens it where the application reads it.
    let (source, mut copy) = (vec![0x55; FRAMES * length], vec![0; length]);
    let bare = move || {
        for piece in source.chunks(length) {
            copy.copy_from_slice(black_box(piece));
            black_box(&copy);
            frame.run();
        }
    };
    vec![Beside {
        name: "stream".into(),
        bound: Some(bounds::STREAM),
        bytes: chunks.bytes(),
        times: 50,
        ours: timed(move || _ = chunks.run()),
        bare: timed(bare),
    }]
}
