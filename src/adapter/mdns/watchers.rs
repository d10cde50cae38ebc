//! Who is told when a device comes, goes or moves.

use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};
use std::vec::Vec;

use super::Found;
use crate::PeerId;
use crate::adapter::host::link::lock;

/// One that wants to know, of one peer or of all.
pub(super) struct Watcher {
    pub(super) peer: Option<PeerId>,
    changed: Mutex<Box<dyn FnMut(Found) + Send>>,
}

/// Those that are still held by somebody.
#[derive(Default)]
pub(super) struct Watchers(Mutex<Vec<Weak<Watcher>>>);

impl Watchers {
    /// Adds one, and tells it of those that are there.
    pub(super) fn add(
        &self,
        peer: Option<PeerId>,
        changed: impl FnMut(Found) + Send + 'static,
        known: impl FnOnce() -> Vec<Found>,
    ) -> Arc<Watcher> {
        let watcher = Arc::new(Watcher { peer, changed: Mutex::new(Box::new(changed)) });
        // What comes from here on waits until it was told what is known.
        let mut changed = lock(&watcher.changed);
        let mut all = lock(&self.0);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&watcher));
        drop(all);
        known().into_iter().for_each(&mut *changed);
        drop(changed);
        watcher
    }

    /// Whether somebody wants to know of this peer alone.
    pub(super) fn seeks(&self, peer: PeerId) -> bool {
        lock(&self.0).iter().filter_map(Weak::upgrade).any(|watcher| watcher.peer == Some(peer))
    }

    /// Tells whom it concerns.  What there is to tell is looked up for each, so that nobody is told something older than before.
    pub(super) fn tell(&self, peer: PeerId, find: impl Fn() -> Found) {
        // Nothing is locked for the others: one may watch something else, or watch no more.
        let all: Vec<Arc<Watcher>> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        for watcher in all.iter().filter(|watcher| watcher.peer.is_none_or(|wanted| wanted == peer)) {
            let mut changed = lock(&watcher.changed);
            // One that panics takes no other's news away.
            let _panicked = catch_unwind(AssertUnwindSafe(|| changed(find())));
        }
    }
}
