//! Limits of a listener, and what a connection holds of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::arrivals::Arrivals;

/// So many at once, and no more.
#[derive(Debug)]
pub(super) struct Permits {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// One of them; given back when dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<AtomicUsize>);

impl Permits {
    /// At least one.
    pub(super) fn new(most: usize) -> Self {
        Self { taken: Arc::new(AtomicUsize::new(0)), most: most.max(1) }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn take(&self) -> Option<Permit> {
        let more = |taken| (taken < self.most).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok().then(|| Permit(self.taken.clone()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a connection that came through a listener holds of it.
#[derive(Debug, Default)]
pub(super) struct Door {
    /// Until its threads end.
    #[expect(dead_code, reason = "held, and given back when dropped")]
    pub(super) place: Option<Permit>,
    /// Until both sides have let each other in.
    pub(super) handshake: Option<Permit>,
    /// Who is told then.
    pub(super) arrivals: Option<Arc<Arrivals>>,
}
