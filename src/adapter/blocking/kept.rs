//! A subscription that goes on from one connection to the next.

use std::fmt;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::handle::Handle;
use super::keeper::Keeper;
use super::subscription::Subscription;
use crate::adapter::error::{Gap, SubscribeError};
use crate::adapter::host::resume::{AGAIN, Resume};
use crate::{Instant, Point, SubscribeOptions, Topic};

/// A subscription on whatever connection its [`Keeper`] has; made by [`Keeper::subscribe`].
///
/// An iterator that blocks, as [`Subscription`] is.  Where the connection ends it subscribes on the next one, behind the last
/// value that came: what the publisher has kept since then comes as if nothing had been, and the rest is told as a gap.  It
/// ends where the publisher refuses it, or ends it and stays.
///
/// Dropped, it is cancelled.  It holds its keeper.
pub struct KeptSubscription<T> {
    keeper: Keeper,
    /// Those of the next subscription.
    options: SubscribeOptions,
    state: State<T>,
}

enum State<T> {
    /// It is on none: it was on this one, if any, and goes on as said.
    Between(Option<(Handle, Resume)>),
    Standing(Handle, Subscription<T>),
    Ended(SubscribeError),
}

impl<T: Topic> KeptSubscription<T> {
    pub(super) const fn new(keeper: Keeper, options: SubscribeOptions) -> Self {
        Self { keeper, options, state: State::Between(None) }
    }

    /// The next value, or the gap before it, if it comes in time; where no connection stands, that is waited for within the
    /// same time.  To be accepted on one may take as long as [`Builder::call_timeout`](super::Builder::call_timeout) says,
    /// beyond the time given.
    ///
    /// # Errors
    ///
    /// `Timeout`, behind which it goes on; `Disconnected` at the end: [`ended`](Self::ended) says why.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Result<T, Gap>, RecvTimeoutError> {
        let until = self.keeper.now() + timeout;
        self.recv(Some(until)).ok_or(RecvTimeoutError::Timeout)?.ok_or(RecvTimeoutError::Disconnected)
    }

    /// The keeper of its connection.
    pub const fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// Why it ended, once it has.
    pub const fn ended(&self) -> Option<SubscribeError> {
        match self.state {
            State::Ended(error) => Some(error),
            _ => None,
        }
    }

    /// The next, `Some(None)` at the end; `None` where it does not come in time.
    fn recv(&mut self, until: Option<Instant>) -> Option<Option<Result<T, Gap>>> {
        loop {
            self.state = match &mut self.state {
                State::Between(before) => {
                    let link = wait(&self.keeper, before, until)?;
                    match link.subscribe_with(self.options) {
                        Ok(subscription) => State::Standing(link, subscription),
                        Err(error) => after(link, error),
                    }
                }
                State::Standing(link, subscription) => {
                    let next = match until {
                        None => subscription.next(),
                        Some(until) => {
                            let left = until.saturating_since(self.keeper.now());
                            match subscription.recv_timeout(left) {
                                Err(RecvTimeoutError::Timeout) => return None,
                                next => next.ok(),
                            }
                        }
                    };
                    if next.is_some() {
                        return Some(next);
                    }
                    // Where it gave nothing, nobody knows what came before: all that is kept.
                    self.options.from = Subscription::last(subscription).or(Some(Point::START));
                    after(link.clone(), subscription.ended().unwrap_or(SubscribeError::Disconnected))
                }
                State::Ended(_) => return Some(None),
            };
        }
    }
}

/// The connection to subscribe on; `None` where it does not come in time.
fn wait(keeper: &Keeper, before: &mut Option<(Handle, Resume)>, until: Option<Instant>) -> Option<Handle> {
    match before {
        Some((before, Resume::OnAnother)) => return keeper.connected_after(before, until),
        Some((link, _)) => {
            let again = keeper.now() + AGAIN;
            let another = keeper.connected_after(link, Some(until.map_or(again, |until| until.min(again))));
            if another.is_some() || until.is_some_and(|until| until < again) {
                return another;
            }
            // The same one will do.
            *before = None;
        }
        None => {}
    }
    keeper.connected_until(until)
}

/// What follows once it has ended on a connection, or was not accepted there.
fn after<T>(link: Handle, ended: SubscribeError) -> State<T> {
    match Resume::from(ended) {
        Resume::No => State::Ended(ended),
        resume => State::Between(Some((link, resume))),
    }
}

impl<T: Topic> Iterator for KeptSubscription<T> {
    type Item = Result<T, Gap>;

    fn next(&mut self) -> Option<Result<T, Gap>> {
        self.recv(None)?
    }
}

impl<T> fmt::Debug for KeptSubscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSubscription").field("keeper", &self.keeper).finish_non_exhaustive()
    }
}
