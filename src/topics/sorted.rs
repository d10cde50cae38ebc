//! A map in one piece of memory, in the order of its keys.

use alloc::vec::Vec;
use core::borrow::Borrow;

/// Found by halving; what comes or goes moves what lies behind it.  For as many entries as a device has subscriptions
/// that is less than a B-tree spends on looking, and on a microcontroller it saves ten kilobytes of code.
pub(super) struct Sorted<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Ord, V> Sorted<K, V> {
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.entries.binary_search_by(|(entry, _)| entry.borrow().cmp(key))
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|place| &self.entries[place].1)
    }

    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|place| &mut self.entries[place].1)
    }

    /// The value of a key, made where there is none.
    pub(super) fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let place = match self.place(&key) {
            Ok(place) => place,
            Err(place) => {
                self.entries.insert(place, (key, V::default()));
                place
            }
        };
        &mut self.entries[place].1
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(place) => self.entries[place].1 = value,
            Err(place) => self.entries.insert(place, (key, value)),
        }
    }

    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Ok(place) = self.place(key) {
            self.entries.remove(place);
        }
        let len = self.entries.len();
        if len == 0 || len < self.entries.capacity() / 4 {
            self.entries.shrink_to(2 * len);
        }
    }

    /// The first entry whose key is not below this one.
    pub(super) fn at_or_behind<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).unwrap_or_else(|place| place);
        self.entries.get(place).map(|(key, value)| (key, value))
    }

    /// The last value; those at the end go without moving others.
    pub(super) fn last(&self) -> Option<&V> {
        self.entries.last().map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_whatever_order_they_came_and_went() {
        let mut sorted = Sorted::default();
        for key in [7_u32, 0, 3, 9, 1, 8, 2, 6, 4, 5] {
            sorted.insert(key, key * 2);
            *sorted.get_or_default(key) += 1;
        }
        assert_eq!(*sorted.get_or_default(20), 0);
        assert!((0..10).all(|key| sorted.get(&key) == Some(&(key * 2 + 1))));
        sorted.remove(&3);
        sorted.remove(&100);
        assert_eq!(sorted.get_mut(&3), None);
        assert_eq!(sorted.at_or_behind(&3), Some((&4, &9)));
        assert_eq!(sorted.at_or_behind(&10), Some((&20, &0)));
        assert_eq!(sorted.at_or_behind(&21), None);
        assert_eq!((sorted.len(), sorted.last()), (10, Some(&0)));
        for key in 0..=20 {
            sorted.remove(&key);
        }
        assert!(sorted.is_empty() && sorted.entries.capacity() == 0);
    }
}
