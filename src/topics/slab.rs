//! Places that keep their number while they are taken, and are taken again when free.

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::{Index, IndexMut};

/// The number of a place in a `Slab<T>`. Its holder is the one who frees it, so it never dangles.
pub(super) struct Key<T>(u32, PhantomData<fn() -> T>);

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

/// Stands in the fields of a free place; nothing follows it.
impl<T> Default for Key<T> {
    fn default() -> Self {
        Self(0, PhantomData)
    }
}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Memory: as many places as were ever taken at once.
#[derive(Default)]
pub(super) struct Slab<T> {
    places: Vec<T>,
    free: Vec<Key<T>>,
}

impl<T: Default> Slab<T> {
    /// Takes a place, in which all is as by default.  So nothing is made elsewhere and moved there.
    pub(super) fn insert(&mut self) -> Key<T> {
        self.free.pop().unwrap_or_else(|| {
            // A place is tens of bytes, so that memory ends long before the numbers do.
            let key = Key(self.places.len() as u32, PhantomData);
            self.places.push(T::default());
            key
        })
    }

    /// Frees a place. What was there is the caller's, so that it can put right what pointed to it.
    pub(super) fn take(&mut self, key: Key<T>) -> T {
        self.free.push(key);
        core::mem::take(&mut self[key])
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl<T> Index<Key<T>> for Slab<T> {
    type Output = T;

    // Where flash is scarce one function, not its multiplication and its check at each of eighty places.
    #[cfg_attr(target_os = "none", inline(never))]
    fn index(&self, key: Key<T>) -> &T {
        &self.places[key.0 as usize]
    }
}

impl<T> IndexMut<Key<T>> for Slab<T> {
    #[cfg_attr(target_os = "none", inline(never))]
    fn index_mut(&mut self, key: Key<T>) -> &mut T {
        &mut self.places[key.0 as usize]
    }
}
