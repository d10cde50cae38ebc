//! A subscription that goes on from one connection to the next.

use std::boxed::Box;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::tokio::time;
use futures_core::Stream;

use super::handle::Handle;
use super::keeper::Keeper;
use super::subscription::{RawSubscription, Subscription};
use crate::adapter::error::{Gap, SubscribeError};
use crate::adapter::host::resume::{AGAIN, Resume};
use crate::{Point, SubscribeOptions, Topic};

/// A subscription on whatever connection its [`Keeper`] has; made by [`Keeper::subscribe`].
///
/// A stream, as [`Subscription`] is.  Where the connection ends it subscribes on the next one, behind the last value that
/// came: what the publisher has kept since then comes as if nothing had been, and the rest is told as a gap.  It ends where
/// the publisher refuses it, or ends it and stays.
///
/// Dropped, it is cancelled.  It holds its keeper.
pub struct KeptSubscription<T> {
    keeper: Keeper,
    /// Those of the next subscription.
    options: SubscribeOptions,
    state: State<T>,
}

/// On which connection it was tried, and what has come of it.
type Subscribed = (Handle, Result<RawSubscription, SubscribeError>);

enum State<T> {
    /// Kept from one poll to the next, so that whoever gives up waiting does not begin anew.
    Subscribing(Pin<Box<dyn Future<Output = Subscribed> + Send>>),
    Standing(Handle, Subscription<T>),
    Ended(SubscribeError),
}

impl<T: Topic> KeptSubscription<T> {
    pub(super) fn new(keeper: Keeper, options: SubscribeOptions) -> Self {
        let state = subscribe::<T>(keeper.clone(), None, options);
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
    fn after(&self, link: Handle, ended: SubscribeError) -> State<T> {
        match Resume::from(ended) {
            Resume::No => State::Ended(ended),
            resume => subscribe::<T>(self.keeper.clone(), Some((link, resume)), self.options),
        }
    }
}

/// Subscribes on the connection that stands, or comes; where it did before, as `Resume` says.
fn subscribe<T: Topic>(
    keeper: Keeper,
    before: Option<(Handle, Resume)>,
    options: SubscribeOptions,
) -> State<T> {
    State::Subscribing(Box::pin(async move {
        let link = match &before {
            None => keeper.connected().await,
            Some((before, Resume::Again)) => {
                match time::timeout(AGAIN, keeper.connected_after(before)).await {
                    Ok(another) => another,
                    Err(_) => keeper.connected().await,
                }
            }
            Some((before, _)) => keeper.connected_after(before).await,
        };
        let subscribed = link.subscribe_raw(T::TOPIC, options).await;
        (link, subscribed)
    }))
}

impl<T: Topic> Stream for KeptSubscription<T> {
    type Item = Result<T, Gap>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<T, Gap>>> {
        loop {
            let from = self.options.from;
            let next = match &mut self.state {
                State::Subscribing(subscribing) => match ready!(subscribing.as_mut().poll(task)) {
                    (link, Ok(raw)) => State::Standing(link, Subscription::new(raw, from)),
                    (link, Err(error)) => self.after(link, error),
                },
                State::Standing(link, subscription) => {
                    if let Some(next) = ready!(Pin::new(&mut *subscription).poll_next(task)) {
                        return Poll::Ready(Some(next));
                    }
                    let (link, last) = (link.clone(), subscription.last());
                    let ended = subscription.ended().unwrap_or(SubscribeError::Disconnected);
                    // Where it gave nothing, nobody knows what came before: all that is kept.
                    self.options.from = last.or(Some(Point::START));
                    self.after(link, ended)
                }
                State::Ended(_) => return Poll::Ready(None),
            };
            self.state = next;
        }
    }
}

impl<T> fmt::Debug for KeptSubscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSubscription").field("keeper", &self.keeper).finish_non_exhaustive()
    }
}
