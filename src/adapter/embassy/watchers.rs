//! Who waits for a connection, or for its end.

use alloc::vec::Vec;
use core::task::Waker;

/// The wakers of futures that wait, each under a number of the future's own, until something changes or the future is
/// dropped: never more than there are such futures.
#[derive(Debug)]
pub(super) struct Watchers {
    wakers: Vec<(u32, Waker)>,
    next: u32,
}

impl Watchers {
    /// With room for so many from the start.
    pub(super) fn new(room: usize) -> Self {
        Self { wakers: Vec::with_capacity(room), next: 0 }
    }

    /// The number of another future.
    pub(super) fn enter(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// Keeps whom to wake for this future.
    pub(super) fn watch(&mut self, number: u32, waker: &Waker) {
        match self.wakers.iter_mut().find(|(kept, _)| *kept == number) {
            Some((_, kept)) => kept.clone_from(waker),
            None => self.wakers.push((number, waker.clone())),
        }
    }

    /// The future is gone.
    pub(super) fn leave(&mut self, number: u32) {
        if let Some(at) = self.wakers.iter().position(|(kept, _)| *kept == number) {
            self.wakers.swap_remove(at);
        }
    }

    /// Something has changed.
    pub(super) fn wake(&mut self) {
        while let Some((_, waker)) = self.wakers.pop() {
            waker.wake();
        }
    }
}

/// Keeps whom to wake, in place of whom it was before.
// A few calls through a waker's table: one function where flash is scarce.
#[cfg_attr(target_os = "none", inline(never))]
pub(super) fn keep(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(kept) => kept.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_than_futures_that_wait() {
        let mut watchers = Watchers::new(2);
        for _ in 0..100 {
            let (first, second) = (watchers.enter(), watchers.enter());
            for _ in 0..3 {
                watchers.watch(first, Waker::noop());
                watchers.watch(second, Waker::noop());
            }
            assert_eq!(watchers.wakers.len(), 2);
            watchers.leave(first);
            watchers.wake();
            watchers.leave(second);
            assert_eq!((watchers.wakers.len(), watchers.wakers.capacity()), (0, 2));
        }
    }
}
