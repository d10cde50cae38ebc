//! When to dial, on a line that may lose any packet and tells nobody who is there.  SPEC §19.3

use core::time::Duration;

use super::{Line, Session};
use crate::time::Instant;

/// When a side that dials does so: at once, again when nothing comes back, and again when the session has ended.
///
/// Each try is a new session, with a fresh seed (SER-14), and waits twice as long as the one before, from 1 s up to
/// 8 s, since the last packet of its handshake that came.  While the other side decides whether to admit, the
/// handshake's own timer is the only one.  A session that runs makes the next wait the shortest again.
///
/// Both sides of a line may dial: SPEC §19.3 says who stays initiator.  A side that only ever answers needs none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Redial {
    /// Since a session ran.
    tries: u32,
    dialled: Option<Instant>,
    due: Option<Instant>,
}

impl Redial {
    /// How long the first try waits.
    pub const SHORTEST: Duration = Duration::from_secs(1);
    /// How long a try waits at most.
    pub const LONGEST: Duration = Duration::from_secs(8);

    /// Says whether to [`dial`](Line::dial) now, and counts on it that this is done.
    ///
    /// To be called after each change of the line, and at the instant that [`poll_timeout`](Self::poll_timeout)
    /// names.
    #[must_use]
    pub fn poll_dial<S: Session>(&mut self, now: Instant, line: &mut Line<S>) -> bool {
        line.settle();
        self.due = None;
        if line.running.is_some() {
            self.tries = 0;
            return false;
        }
        let mut since = self.dialled;
        let mut least = Duration::ZERO;
        if let Some(slot) = &mut line.candidate {
            if slot.session.with(|connection| connection.awaits_decision()) {
                return false;
            }
            if slot.contested {
                // Whoever is to answer is there: the packets were lost.
                self.tries = self.tries.min(1);
            }
            if slot.session.with(|connection| connection.awaits_message(3)) {
                // It is the other side that repeats.
                least = Self::LONGEST;
            }
            since = since.max(Some(slot.heard));
        }
        // Also where a session ended at once, so that two sides that do not agree do not dial without end.
        let due = since.map_or(now, |since| since + self.wait().max(least));
        if due > now {
            self.due = Some(due);
            return false;
        }
        self.dialled = Some(now);
        self.tries = self.tries.saturating_add(1);
        self.due = Some(now + self.wait());
        true
    }

    /// When to ask again at the latest; `None` until the line changes.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// From one dialling to the next.
    fn wait(&self) -> Duration {
        let doubled = 1_u32.checked_shl(self.tries.saturating_sub(1)).unwrap_or(u32::MAX);
        Self::SHORTEST.saturating_mul(doubled).min(Self::LONGEST)
    }
}
