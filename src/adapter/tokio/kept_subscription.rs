//! A subscription that goes on from one connection to the next.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::tokio::task::JoinHandle;
use ::tokio::time;
use futures_core::Stream;

use super::handle::Handle;
use super::keeper::Keeper;
use super::subscription::{RawSubscription, Subscription};
use crate::adapter::error::{Gap, SubscribeError};
use crate::adapter::host::resume::Resume;
use crate::{Point, SubscribeOptions, Topic};

/// A subscription on whatever connection its [`Keeper`] has; made by [`Keeper::subscribe`].
///
/// A stream, as [`Subscription`] is.
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
    Subscribing(Subscribing),
    Standing(Handle, Subscription<T>),
    Ended(SubscribeError),
}

/// On which connection it was tried, and what has come of it.
type Subscribed = (Handle, Result<RawSubscription, SubscribeError>);

/// A task of its own, so that a reader who does other things holds up nobody else who subscribes; ends when dropped.
struct Subscribing(JoinHandle<Subscribed>);

impl<T: Topic> KeptSubscription<T> {
    pub(super) fn new(keeper: Keeper, options: SubscribeOptions) -> Self {
        let state = State::Subscribing(Subscribing::new::<T>(keeper.clone(), None, options));
        Self { keeper, options, state }
    }

    /// The next value, or the gap before it; waits for a connection where none stands, and for the next where it ends.
    /// `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Gap`]: the subscription goes on behind it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub async fn next(&mut self) -> Option<Result<T, Gap>> {
        poll_fn(|task| Pin::new(&mut *self).poll_next(task)).await
    }

    /// The keeper of its connection.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// Why it ended, once it has.
    pub fn ended(&self) -> Option<SubscribeError> {
        match self.state {
            State::Ended(error) => Some(error),
            _ => None,
        }
    }

    /// What follows once it has ended on a connection, or was not accepted there.
    fn behind(&self, link: Handle, ended: SubscribeError) -> State<T> {
        match Resume::behind(ended) {
            Resume::No => State::Ended(ended),
            resume => {
                let before = Some((link, resume));
                State::Subscribing(Subscribing::new::<T>(self.keeper.clone(), before, self.options))
            }
        }
    }
}

impl Subscribing {
    /// Subscribes on the connection that stands, or comes; where it was on one before, as `Resume` says.
    fn new<T: Topic>(keeper: Keeper, before: Option<(Handle, Resume)>, options: SubscribeOptions) -> Self {
        // The task that polls may be nobody's but an executor's of another kind.
        let runtime = keeper.runtime();
        Self(runtime.spawn(async move {
            if let Some((before, resume)) = &before {
                let patience = resume.patience(keeper.device().base().config.timeouts().close);
                let _another = time::timeout(patience, keeper.connected_after(before)).await;
            }
            let link = keeper.connected().await;
            let subscribed = link.subscribe_raw(T::TOPIC, options).await;
            (link, subscribed)
        }))
    }
}

impl Drop for Subscribing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T: Topic> Stream for KeptSubscription<T> {
    type Item = Result<T, Gap>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<T, Gap>>> {
        loop {
            let from = self.options.from;
            let mut gap = None;
            let next = match &mut self.state {
                State::Subscribing(subscribing) => match ready!(Pin::new(&mut subscribing.0).poll(task)) {
                    Ok((link, Ok(raw))) => State::Standing(link, Subscription::new(raw, from)),
                    Ok((link, Err(error))) => self.behind(link, error),
                    // The runtime is about to end.
                    Err(_) => State::Ended(SubscribeError::Disconnected),
                },
                State::Standing(link, subscription) => {
                    if let Some(next) = ready!(subscription.poll_resumable(task)) {
                        return Poll::Ready(Some(next));
                    }
                    gap = subscription.take_gap();
                    let (link, last) = (link.clone(), subscription.last());
                    let ended = subscription.ended().unwrap_or(SubscribeError::Disconnected);
                    // Where it gave nothing, nobody knows what came before: all that is kept.
                    self.options.from = last.or(Some(Point::START));
                    self.behind(link, ended)
                }
                State::Ended(_) => return Poll::Ready(None),
            };
            self.state = next;
            if let (Some(gap), State::Ended(_)) = (gap, &self.state) {
                return Poll::Ready(Some(Err(gap)));
            }
        }
    }
}

impl<T> fmt::Debug for KeptSubscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSubscription").field("keeper", &self.keeper).finish_non_exhaustive()
    }
}
