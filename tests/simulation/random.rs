//! Chance: the same in every run of the same seed.

use symbolon::Seed;

/// splitmix64.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ 0x5bf0_3635_dcd1_7e8b)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// From `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// One of those that a table has at the moment.
    pub fn pick<T: Copy>(&mut self, choices: impl ExactSizeIterator<Item = T>) -> Option<T> {
        let place = self.below(choices.len());
        { choices }.nth(place)
    }

    /// Small lengths mostly, and now and then one near `most`.
    pub fn length(&mut self, most: usize) -> usize {
        match self.below(8) {
            0 => self.below(3),
            1 => self.below(most + 1),
            _ => self.below(most.min(120) + 1),
        }
    }

    /// A seed for a connection or a start of a device.
    pub fn seed(&mut self) -> Seed {
        Seed::new(std::array::from_fn(|_| self.next() as u8)).expect("bytes that differ")
    }
}

pub fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
