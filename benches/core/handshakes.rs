//! From the preambles to *connected*, beside the operations on curves.

use crate::bounds;
use crate::paths::Devices;
use crate::primitives::Primitives;
use crate::ratio::{Beside, timed};

pub fn subjects(primitives: &Primitives) -> Vec<Beside> {
    let devices = Devices::new((primitives.provider)());
    vec![Beside {
        name: "handshake".into(),
        bound: Some(bounds::HANDSHAKE),
        bytes: 0,
        times: 6,
        ours: timed(move || drop(devices.handshake())),
        bare: timed((primitives.handshake)()),
    }]
}
