//! One direction of a byte stream, as TCP has it: late, in other pieces, cut short, but never out of order.

use std::collections::VecDeque;

use crate::random::Rng;

/// How a stream is, for as long as it lives.  Times are microseconds.
#[derive(Clone, Copy)]
pub struct Nature {
    pub latency: u64,
    pub jitter: u64,
    /// At most so many bytes arrive in one piece.
    pub piece: usize,
    /// How many bytes it holds.
    pub capacity: usize,
}

pub struct Pipe {
    nature: Nature,
    flying: VecDeque<(u64, Vec<u8>)>,
    held: usize,
    latest: u64,
    /// Nothing arrives before.
    frozen: u64,
    /// Its end arrives then.
    end: Option<u64>,
    end_told: bool,
    /// What is written goes nowhere, and nobody is told.
    lost: bool,
    /// It ends behind so many more bytes; whether the reader is told.
    cut: Option<(usize, bool)>,
    /// The byte behind so many more is changed, by these bits.
    corrupt: Option<(usize, u8)>,
    /// A byte was changed.
    pub tampered: bool,
}

impl Pipe {
    pub fn new(nature: Nature) -> Self {
        Self {
            nature,
            flying: VecDeque::new(),
            held: 0,
            latest: 0,
            frozen: 0,
            end: None,
            end_told: false,
            lost: false,
            cut: None,
            corrupt: None,
            tampered: false,
        }
    }

    pub fn room(&self) -> usize {
        self.nature.capacity.saturating_sub(self.held)
    }

    pub fn write(&mut self, now: u64, bytes: &[u8], rng: &mut Rng) {
        self.held += bytes.len();
        if self.lost || self.end.is_some() {
            // As a socket does whose other side has gone.
            self.held = self.held.min(self.nature.capacity);
            return;
        }
        let mut bytes = bytes.to_vec();
        match &mut self.corrupt {
            Some((behind, bits)) if *behind < bytes.len() => {
                bytes[*behind] ^= *bits;
                (self.corrupt, self.tampered) = (None, true);
            }
            Some((behind, _)) => *behind -= bytes.len(),
            None => {}
        }
        match &mut self.cut {
            Some((behind, told)) if *behind < bytes.len() => {
                let told = *told;
                bytes.truncate(*behind);
                self.fly(now, &bytes, rng);
                self.lost = true;
                if told {
                    self.end(now);
                }
                return;
            }
            Some((behind, _)) => *behind -= bytes.len(),
            None => {}
        }
        self.fly(now, &bytes, rng);
    }

    fn fly(&mut self, now: u64, mut bytes: &[u8], rng: &mut Rng) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(1 + rng.below(self.nature.piece)));
            let late = self.nature.latency + rng.between(0, self.nature.jitter);
            self.latest = self.latest.max(now + late);
            self.flying.push_back((self.latest, piece.to_vec()));
            bytes = rest;
        }
    }

    /// What has arrived, not taken yet.
    pub fn arrived(&self, now: u64) -> Option<&[u8]> {
        let (at, bytes) = self.flying.front()?;
        (*at <= now && self.frozen <= now).then_some(bytes)
    }

    pub fn take(&mut self, taken: usize) {
        self.held = self.held.saturating_sub(taken);
        if let Some((_, bytes)) = self.flying.front_mut() {
            bytes.drain(..taken);
            if bytes.is_empty() {
                self.flying.pop_front();
            }
        }
    }

    /// Whether its end has arrived; says so once.
    pub fn take_end(&mut self, now: u64) -> bool {
        let here = self.end.is_some_and(|end| end.max(self.frozen) <= now) && self.flying.is_empty();
        here && !std::mem::replace(&mut self.end_told, true)
    }

    /// When something arrives.
    pub fn due(&self) -> Option<u64> {
        let bytes = self.flying.front().map(|(at, _)| *at);
        bytes.or_else(|| self.end.filter(|_| !self.end_told)).map(|at| at.max(self.frozen))
    }

    /// The writer has closed it, or has gone and its system says so.
    pub fn end(&mut self, now: u64) {
        let end = self.latest.max(now + self.nature.latency);
        self.end.get_or_insert(end);
    }

    // Faults

    pub fn freeze(&mut self, until: u64) {
        self.frozen = self.frozen.max(until);
    }

    pub fn cut_behind(&mut self, bytes: usize, told: bool) {
        self.cut.get_or_insert((bytes, told));
    }

    pub fn corrupt_behind(&mut self, bytes: usize, bits: u8) {
        self.corrupt.get_or_insert((bytes, bits));
    }

    /// Nothing passes from now on, not even what is on its way.
    pub fn lose(&mut self) {
        self.lost = true;
        self.flying.clear();
    }

    /// Whether something is lost, or about to be.
    pub fn is_broken(&self) -> bool {
        self.lost || self.cut.is_some()
    }

    /// The faults are over.
    pub fn calm(&mut self) {
        (self.frozen, self.corrupt) = (0, None);
    }
}
