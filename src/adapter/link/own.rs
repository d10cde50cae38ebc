//! Tables of exchanges that this side has opened.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::ExchangeId;

/// By exchange of this side's own.  Nobody else chooses its id, so a hash that can be foreseen does no harm.
pub(super) type Own<T> = HashMap<ExchangeId, T, BuildHasherDefault<Spread>>;

/// Spreads consecutive numbers over all bits, with one multiplication.
#[derive(Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, id: u64) {
        // 2^64 divided by the golden ratio; the table looks at both ends.
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
