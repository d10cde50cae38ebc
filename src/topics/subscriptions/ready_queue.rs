//! The line in which the subscriptions of a link wait that have something to send or to tell, each once, the first one
//! next. One that was refused for want of credit is out of it until credit comes, or something new for it.
//!
//! Each knows its neighbours, so that one which leaves out of turn costs nothing of the others: a peer may end as many
//! as it likes.

use super::{SubscriptionKey, Subscriptions};

/// Both ends; `None` where nobody waits.
#[derive(Default)]
pub(super) struct ReadyQueue {
    pub(super) first: Option<SubscriptionKey>,
    last: Option<SubscriptionKey>,
}

impl Subscriptions {
    /// Puts a subscription at the end of its link's line, unless it waits there.
    pub(super) fn line_up(&mut self, key: SubscriptionKey) {
        let subscription = &mut self.all[key];
        if subscription.waiting {
            return;
        }
        let line = &mut self.links[subscription.link].ready;
        let last = line.last.replace(key);
        subscription.waiting = true;
        subscription.before = last;
        subscription.behind = None;
        match last {
            Some(last) => self.all[last].behind = Some(key),
            None => line.first = Some(key),
        }
    }

    /// Has the first of its link's line wait behind the others.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(super) fn go_behind(&mut self, key: SubscriptionKey) {
        if self.all[key].behind.is_some() {
            self.leave_line(key);
            self.line_up(key);
        }
    }

    /// Takes a subscription out of its link's line, if it waits there.
    pub(super) fn leave_line(&mut self, key: SubscriptionKey) {
        let subscription = &mut self.all[key];
        if !subscription.waiting {
            return;
        }
        subscription.waiting = false;
        let (before, behind) = (subscription.before, subscription.behind);
        let line = &mut self.links[subscription.link].ready;
        match before {
            Some(before) => self.all[before].behind = behind,
            None => line.first = behind,
        }
        match behind {
            Some(behind) => self.all[behind].before = before,
            None => line.last = before,
        }
    }
}
