//! A subscription that goes on from one connection to the next.

use std::fmt;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::handle::Handle;
use super::keeper::Keeper;
use super::subscription::Subscription;
use crate::adapter::error::{Gap, SubscribeError};
use crate::adapter::host::resume::Resume;
use crate::{Instant, Point, SubscribeOptions, Topic};

/// A subscription on whatever connection its [`Keeper`] has; made by [`Keeper::subscribe`].
///
/// An iterator that blocks, as [`Subscription`] is.
///
/// Where the connection ends it subscribes on the next one, behind the last value that came: what the publisher has kept
/// since then comes as if nothing had been, and the rest is told as a gap.  Where nothing had come yet that is all that is
/// kept, behind a gap of unknown length.  Where the publisher is *unavailable*, does not answer, or too many are open, it is
/// tried again after a second.  It ends where the publisher refuses it, or ends it and stays.
///
/// It is about one topic, since with wildcards nothing can be gone on from (SPEC §14.4): for those there is
/// [`Handle::subscribe_raw`] on each connection that [`Keeper::connected`] gives.
///
/// Dropped, it is cancelled.  It holds its keeper.
pub struct KeptSubscription<T> {
    keeper: Keeper,
    /// Those of the next subscription.
    options: SubscribeOptions,
    state: State<T>,
}

enum State<T> {
    /// It is on none.
    Between(Option<Before>),
    Standing(Handle, Subscription<T>),
    Ended(SubscribeError),
}

/// Another connection than this one is waited for until then.
struct Before {
    link: Handle,
    until: Instant,
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
        let until = self.keeper.device().now() + timeout;
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
            let mut gap = None;
            self.state = match &mut self.state {
                State::Between(before) => {
                    let link = wait(&self.keeper, before, until)?;
                    match link.subscribe_with(self.options) {
                        Ok(subscription) => State::Standing(link, subscription),
                        Err(error) => self.behind(link, error),
                    }
                }
                State::Standing(link, subscription) => {
                    if let Some(next) = subscription.recv_resumable(until)? {
                        return Some(Some(next));
                    }
                    gap = subscription.take_gap();
                    // Not the iterator's, which would read on.
                    let last = Subscription::last(subscription);
                    let ended = subscription.ended().unwrap_or(SubscribeError::Disconnected);
                    let link = link.clone();
                    // Where it gave nothing, nobody knows what came before: all that is kept.
                    self.options.from = last.or(Some(Point::START));
                    self.behind(link, ended)
                }
                State::Ended(_) => return Some(None),
            };
            if let (Some(gap), State::Ended(_)) = (gap, &self.state) {
                return Some(Some(Err(gap)));
            }
        }
    }

    /// What follows once it has ended on a connection, or was not accepted there.
    fn behind(&self, link: Handle, ended: SubscribeError) -> State<T> {
        let device = self.keeper.device();
        match Resume::behind(ended) {
            Resume::No => State::Ended(ended),
            resume => {
                let until = device.now() + resume.patience(device.base().config.timeouts().close);
                State::Between(Some(Before { link, until }))
            }
        }
    }
}

/// The connection to subscribe on; `None` where it does not come in time.
fn wait(keeper: &Keeper, before: &mut Option<Before>, until: Option<Instant>) -> Option<Handle> {
    if let Some(Before { link, until: patience }) = before {
        let first = until.map_or(*patience, |until| until.min(*patience));
        let another = keeper.connected_after(link, first);
        if another.is_some() || first < *patience {
            return another;
        }
        // The same one will do.
        *before = None;
    }
    keeper.connected_until(until)
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
