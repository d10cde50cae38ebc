//! One publication for 1,000 links, beside sealing its frame for each of them under a key of its own.

use crate::bounds;
use crate::paths::Publishers;
use crate::primitives::{Frames, Primitives};
use crate::ratio::{Beside, timed};

const LINKS: u64 = 1_000;

pub fn subjects(primitives: &Primitives) -> Vec<Beside> {
    let mut publishers = Publishers::new((primitives.provider)(), LINKS);
    let length = publishers.run();
    // Keys and frames as far from each other as those of connections.
    let mut frames: Vec<Frames> = (0..LINKS).map(|_| Frames::new(primitives, &[length])).collect();
    vec![Beside {
        name: format!("fan_out/{LINKS}"),
        bound: Some(bounds::FAN_OUT),
        bytes: 0,
        times: 4,
        ours: timed(move || _ = publishers.run()),
        bare: timed(move || frames.iter_mut().for_each(Frames::seal)),
    }]
}
