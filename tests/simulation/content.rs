//! The bytes of each body, known by its tag alone, so that nobody has to keep them in order to compare.

use std::sync::LazyLock;

use crate::random::{Rng, mix};

/// No body is longer.
pub const LONGEST: usize = 1 << 17;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut rng = Rng::new(0);
    (0..2 * LONGEST / 8).flat_map(|_| rng.next().to_le_bytes()).collect()
});

/// Which body of those that have the same tag.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    Head,
    Out,
    Reply,
    Back,
    News,
}

/// So many bytes of a body from this place on.
pub fn bytes(tag: u64, part: Part, at: usize, len: usize) -> &'static [u8] {
    let start = mix(tag * 8 + part as u64) as usize % LONGEST + at;
    &BYTES[start..start + len]
}

/// The body of a request: it says which one it is.
pub fn head(tag: u64, len: usize) -> Vec<u8> {
    [&tag.to_le_bytes()[..], bytes(tag, Part::Head, 0, len)].concat()
}

/// Which request it is.
pub fn tag(head: &[u8]) -> u64 {
    u64::from_le_bytes(*head.first_chunk().expect("a request that nobody sent"))
}
