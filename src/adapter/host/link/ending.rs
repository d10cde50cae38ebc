//! How a link ends: at once, or once nothing is open any more.

use std::task::Waker;
use std::time::Duration;
use std::vec::Vec;

use super::{Link, Owed, Serve, Shared, lock};
use crate::adapter::error::SubscribeError;
use crate::{CloseReason, ExchangeId, Instant, SendError, Status};

/// An ending that waits for what is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retiring {
    until: Instant,
    status: Status,
}

impl<H: Serve> Link<H> {
    /// Takes no more exchanges, and ends the subscriptions of both sides; closes with `status` once the calls
    /// that are open have ended, or `within` that time.  SPEC §16.2
    ///
    /// Where there is a newer connection to subscribe on, subscribers of both sides are told so.  SPEC §17
    pub(crate) fn retire(&mut self, shared: &Shared<H>, now: Instant, within: Duration, status: Status) {
        let told = if status == Status::REPLACED { Status::SUPERSEDED } else { Status::SHUTTING_DOWN };
        if self.leave_subscriptions(shared, told).is_ok() {
            self.retiring.get_or_insert(Retiring { until: now + within, status });
        } else {
            self.connection.close(now, status);
        }
    }

    fn leave_subscriptions(&mut self, shared: &Shared<H>, told: Status) -> Result<(), SendError> {
        self.connection.goaway()?;
        for id in std::mem::take(&mut self.served) {
            self.end_served(shared, id, told);
        }
        let open = self.inboxes.iter().filter(|(_, inbox)| inbox.ended.is_none()).map(|(id, _)| id);
        for id in open.collect::<Vec<_>>() {
            if told == Status::SUPERSEDED {
                self.end_inbox(id, SubscribeError::Status(told));
            }
            let _ended = self.connection.cancel(id);
        }
        self.settle(shared);
        Ok(())
    }

    pub(super) fn close_if_retired(&mut self, now: Instant) {
        if let Some(Retiring { until, status }) = self.retiring
            && (now >= until || self.connection.is_idle())
        {
            self.retiring = None;
            self.connection.close(now, status);
        }
    }

    /// Whether both sides have let each other in, and take exchanges.
    pub(crate) fn takes_exchanges(&self) -> bool {
        self.connection.is_connected() && !self.connection.is_going_away()
    }

    /// Whether only the close is missing.
    pub(crate) fn has_retired(&self) -> bool {
        self.retiring.is_some() && self.connection.is_idle()
    }

    /// When to let time pass, if nothing else happens.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let until = self.retiring.map(|retiring| retiring.until);
        self.connection.poll_timeout().into_iter().chain(until).min()
    }

    /// Once the last bytes have been written, or given up: whoever waits for the end may go now, and the program
    /// with it.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
        self.watchers.wake_all(&mut self.woken);
    }

    /// Why the link has ended, once it is finished; until then `waker` is kept.
    pub(crate) fn poll_finished(&mut self, place: &mut Option<u64>, waker: &Waker) -> Option<CloseReason> {
        let ended = self.closed.filter(|_| self.finished);
        if ended.is_none() {
            self.watchers.wait(place, waker);
        }
        ended
    }

    pub(super) fn end_served(&mut self, shared: &Shared<H>, id: ExchangeId, status: Status) {
        let left = lock(&shared.topics).unsubscribe(self.id, id);
        self.owed.push(Owed::End(id, left.unwrap_or_default(), status));
    }

    pub(super) fn close(&mut self, shared: &Shared<H>, reason: CloseReason) {
        lock(&shared.topics).drop_link(self.id);
        self.closed = Some(reason);
        self.owed.clear();
        self.requests.clear();
        self.streams.end(&mut self.woken);
        self.wake_lines();
        self.watchers.wake_all(&mut self.woken);
    }
}
