//! Frames through the whole connection, beside the same ones sealed and opened in place.

use std::time::{Duration, Instant};

use crate::bounds;
use crate::paths::{Conversation, Publications};
use crate::primitives::{Frames, Primitives};
use crate::ratio::{Beside, timed, timed_part};

const SEAL: usize = 0;
const OPEN: usize = 1;

/// One message in a frame: queued, encoded and sealed at one end; opened, decoded and taken at the other.
pub fn of_one_message(primitives: &Primitives) -> Vec<Beside> {
    let provider = primitives.provider;
    let short = |bytes| move || Publications::one(provider(), bytes);
    let mut subjects = Vec::new();
    for part in [SEAL, OPEN] {
        subjects.push(one_message(primitives, part, "64 B", 2_000, None, short(64)));
        subjects.push(one_message(primitives, part, "1 KiB", 1_000, None, short(1_024)));
        let longest = || Publications::longest(provider());
        subjects.push(one_message(primitives, part, "16 KiB", 200, Some(bounds::FULL_FRAME), longest));
    }
    subjects
}

fn one_message(
    primitives: &Primitives,
    part: usize,
    size: &str,
    times: u64,
    bound: Option<f64>,
    make: impl Fn() -> Publications,
) -> Beside {
    let mut publications = make();
    let mut frame = Frames::new(primitives, &[publications.run()]);
    let name = ["seal", "open"][part];
    Beside {
        name: format!("{name}/{size}"),
        bound,
        bytes: publications.bytes(),
        times,
        ours: timed_part(move || publications.run_timed()[part]),
        bare: timed_part(move || seal_and_open(&mut frame)[part]),
    }
}

/// How long either takes.
fn seal_and_open(frame: &mut Frames) -> [Duration; 2] {
    let begun = Instant::now();
    frame.seal();
    let sealed = Instant::now();
    frame.open();
    [sealed - begun, sealed.elapsed()]
}

pub fn of_requests(primitives: &Primitives) -> Vec<Beside> {
    let mut conversation = Conversation::new((primitives.provider)());
    let mut frames = Frames::new(primitives, &conversation.run());
    vec![Beside {
        name: "request".into(),
        bound: Some(bounds::REQUEST),
        bytes: Conversation::BYTES,
        times: 400,
        ours: timed(move || _ = conversation.run()),
        bare: timed(move || frames.run()),
    }]
}

pub fn of_many_publications(primitives: &Primitives) -> Vec<Beside> {
    let mut publications = Publications::filling((primitives.provider)(), 64);
    let mut frame = Frames::new(primitives, &[publications.run()]);
    vec![Beside {
        name: format!("publications/{} of 64 B", publications.count),
        bound: Some(bounds::PUBLICATIONS),
        bytes: publications.bytes(),
        times: 100,
        ours: timed(move || _ = publications.run()),
        bare: timed(move || frame.run()),
    }]
}
