//! Tables of exchanges that this side has opened.

use std::collections::VecDeque;

use crate::ExchangeId;

/// By exchange of this side's own.  They are opened with rising ids, so a table is sorted by being appended to; and they
/// mostly end in that order, so that one is where it would be if no other had ended out of turn.
#[derive(Debug)]
pub(super) struct Own<T>(VecDeque<(ExchangeId, T)>);

impl<T> Default for Own<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Own<T> {
    /// Adds one that has just been opened.
    pub(super) fn insert(&mut self, id: ExchangeId, value: T) {
        debug_assert!(self.0.back().is_none_or(|(last, _)| *last < id), "ids rise");
        self.0.push_back((id, value));
    }

    pub(super) fn get_mut(&mut self, id: ExchangeId) -> Option<&mut T> {
        let place = self.place_of(id)?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, id: ExchangeId) -> Option<T> {
        let place = self.place_of(id)?;
        self.0.remove(place).map(|(_, value)| value)
    }

    pub(super) fn contains(&self, id: ExchangeId) -> bool {
        self.place_of(id).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ExchangeId, &T)> {
        self.0.iter().map(|(id, value)| (*id, value))
    }

    fn place_of(&self, id: ExchangeId) -> Option<usize> {
        // Ids of one opener differ by two.
        let (first, _) = self.0.front()?;
        let guess = usize::try_from(id.number().checked_sub(first.number())? / 2).ok()?;
        match self.0.get(guess) {
            Some((found, _)) if *found == id => Some(guess),
            _ => self.0.binary_search_by_key(&id, |(id, _)| *id).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever ends first, each of the others is found, and none that has ended or never was.
    #[test]
    fn each_is_found_by_its_id() {
        for ending in [[2, 4, 6, 8, 10], [10, 8, 6, 4, 2], [6, 2, 10, 4, 8]] {
            let mut own = Own::default();
            let mut open = [2, 4, 6, 8, 10, 14].to_vec();
            open.iter().for_each(|id| own.insert(ExchangeId::from_number(*id), *id));
            for ended in ending {
                assert_eq!(own.remove(ExchangeId::from_number(ended)), Some(ended));
                open.retain(|id| *id != ended);
                for id in 0..20 {
                    let found = own.get_mut(ExchangeId::from_number(id)).copied();
                    assert_eq!(found, open.contains(&id).then_some(id));
                }
                assert_eq!(own.len(), open.len());
            }
        }
    }
}
