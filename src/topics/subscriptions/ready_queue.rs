//! The queue in which the subscriptions of a link wait that have something to send or to tell, each once, the first one
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
    /// Puts a subscription at the end of its link's queue, unless it waits there.
    pub(super) fn enqueue(&mut self, key: SubscriptionKey) {
        let subscription = &mut self.all[key];
        if subscription.waiting {
            return;
        }
        let queue = &mut self.links[subscription.link].queue;
        let last = queue.last.replace(key);
        subscription.waiting = true;
        subscription.before = last;
        subscription.behind = None;
        match last {
            Some(last) => self.all[last].behind = Some(key),
            None => queue.first = Some(key),
        }
    }

    /// Has the first of its link's queue wait behind the others.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(super) fn requeue(&mut self, key: SubscriptionKey) {
        if self.all[key].behind.is_some() {
            self.dequeue(key);
            self.enqueue(key);
        }
    }

    /// Takes a subscription out of its link's queue, if it waits there.
    pub(super) fn dequeue(&mut self, key: SubscriptionKey) {
        let subscription = &mut self.all[key];
        if !subscription.waiting {
            return;
        }
        subscription.waiting = false;
        let (before, behind) = (subscription.before, subscription.behind);
        let queue = &mut self.links[subscription.link].queue;
        match before {
            Some(before) => self.all[before].behind = behind,
            None => queue.first = behind,
        }
        match behind {
            Some(behind) => self.all[behind].before = before,
            None => queue.last = before,
        }
    }
}
