//! Futures that wait for the same thing, in the order in which they came.

use std::collections::BTreeMap;
use std::task::Waker;
use std::vec::Vec;

/// Who waits.  A future that is given up takes its place out, so that none is left behind.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// A waker that was used leaves its place to be kept.
    waiting: BTreeMap<u64, Option<Waker>>,
    next: u64,
}

impl Waiters {
    /// Whether whoever holds this place is the next; without a place, whether nobody waits.
    pub(crate) fn is_next(&self, place: Option<u64>) -> bool {
        self.waiting.first_key_value().map(|(first, _)| *first) == place
    }

    /// Keeps the waker, in the place given or behind all others.
    pub(crate) fn wait(&mut self, place: &mut Option<u64>, waker: &Waker) {
        let place = *place.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        match self.waiting.entry(place).or_default() {
            Some(kept) => kept.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }

    /// Gives a place up; the next one has its turn.
    pub(crate) fn leave(&mut self, place: u64, woken: &mut Vec<Waker>) {
        self.waiting.remove(&place);
        self.wake_next(woken);
    }

    /// Gives a place up where there are no turns.
    pub(crate) fn forget(&mut self, place: u64) {
        self.waiting.remove(&place);
    }

    pub(crate) fn wake_next(&mut self, woken: &mut Vec<Waker>) {
        if let Some(mut first) = self.waiting.first_entry() {
            woken.extend(first.get_mut().take());
        }
    }

    pub(crate) fn wake_all(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.waiting.values_mut().filter_map(Option::take));
    }
}
