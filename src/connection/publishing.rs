//! Commands about subscriptions, of both sides.  SPEC §14

use super::session::{Session, Through};
use super::{Connection, State};
use crate::error::SendError;
use crate::exchange::ExchangeId;
use crate::publication::{Missed, Outgoing, SubscribeOptions};
use crate::status::Status;
use crate::wire::message::Point;

/// C. Commands, continued
impl Connection {
    /// Subscribes to what `filter` matches.  It ends by
    /// [`Event::SubscriptionEnded`](super::Event::SubscriptionEnded) or [`Event::Failed`](super::Event::Failed).
    ///
    /// `window`, in bytes, is how much may be on its way or wait for this application; a publication whose
    /// message is longer can never arrive.  `from` names the last publication this side has; it needs a
    /// filter without wildcards.
    ///
    /// Each publication is one event: one that goes on is discarded, and counted as missed.  Those that
    /// [`subscribe_with`](Self::subscribe_with) takes have to be put together.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request), and [`SendError::PointWithWildcards`].
    pub fn subscribe(
        &mut self,
        filter: &str,
        window: u32,
        from: Option<Point>,
    ) -> Result<ExchangeId, SendError> {
        self.subscribe_with(filter, &SubscribeOptions { window, largest: 0, latest: false, from })
    }

    /// The same, with these options: bodies up to [`largest`](SubscribeOptions::largest) come in parts, where they are
    /// longer than a message, by [`Event::Publication`](super::Event::Publication) and
    /// [`Event::Continuation`](super::Event::Continuation).  SPEC §14.5
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_with(
        &mut self,
        filter: &str,
        options: &SubscribeOptions,
    ) -> Result<ExchangeId, SendError> {
        self.session()?.subscribe(filter, options).map(ExchangeId::from_number)
    }

    /// Accepts a subscription of theirs.
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownExchange`] where it is none that waits; [`SendError::Full`] until something was sent.
    pub fn accept_subscription(&mut self, id: ExchangeId) -> Result<(), SendError> {
        self.session()?.accept_subscription(id.number())
    }

    /// Publishes into a subscription of theirs, in one message.
    ///
    /// The topic has to match the subscription's filter, which is the caller's to see to: the connection keeps no filters of
    /// the other side, and the peer would end it (NAM-3).  [`Topics`](crate::Topics) offers only what matches.
    ///
    /// # Errors
    ///
    /// [`SendError::NoCredit`] until the subscriber has read, [`SendError::Full`] until something was sent;
    /// also `TooLarge`, `Name`, `UnknownExchange` where it does not stand, and [`SendError::HalfSent`] while
    /// another one is half sent.
    pub fn publish(&mut self, id: ExchangeId, publication: &Outgoing<'_>) -> Result<(), SendError> {
        self.sending(|session, through| session.publish(id.number(), publication, through))
    }

    /// Publishes several into a subscription of theirs, each in a message of its own: `first`, and bodies of the same topic
    /// that come `behind` it, numbered on from it, with nothing missed between.  The number says how many there was room and
    /// credit for, `first` included; those behind them are still to be published.
    ///
    /// It does what as many calls of [`publish`](Self::publish) would, and takes less time.  Fewer than were given may also
    /// mean that the next one is long, or cannot be sent: `publish` it by itself, and see what that says.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish) about `first`; nothing was published then.
    pub fn publish_series<'b>(
        &mut self,
        id: ExchangeId,
        first: &Outgoing<'_>,
        behind: impl IntoIterator<Item = &'b [u8]>,
    ) -> Result<usize, SendError> {
        self.sending(|session, through| session.publish_series(id.number(), first, behind, through))
    }

    /// Publishes into a subscription of theirs, or begins to: `publication` has the whole body, and the number says how
    /// many bytes of it went out.  Where that is not all of them, the rest is for
    /// [`publish_next`](Self::publish_next), and nothing else is published into this subscription before.  SPEC §14.5
    ///
    /// A body goes out whole if it fits into a message and the subscriber's credit can ever do for it.  One that does not
    /// is begun once the credit does for all of it, for half of what it was at first, or for a message as long as the
    /// subscriber takes.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); `TooLarge` only where not even the name fits.
    pub fn publish_first(&mut self, id: ExchangeId, publication: &Outgoing<'_>) -> Result<usize, SendError> {
        self.sending(|session, through| session.publish_first(id.number(), publication, through))
    }

    /// Goes on with a publication that is half sent, of whose body `rest` is all that is left; the number says how many
    /// bytes of it went out.
    ///
    /// # Errors
    ///
    /// [`SendError::NotHalfSent`] where none is half sent, or not with so many bytes left; otherwise as
    /// [`publish`](Self::publish).
    pub fn publish_next(&mut self, id: ExchangeId, rest: &[u8]) -> Result<usize, SendError> {
        self.sending(|session, through| session.publish_next(id.number(), rest, through))
    }

    /// Gives up a publication that is half sent; the subscriber counts it as missed by itself.  It costs credit, a few
    /// bytes, like any part.  The end of the subscription gives it up as well.
    ///
    /// # Errors
    ///
    /// [`SendError::NotHalfSent`] where none is half sent; otherwise as [`publish`](Self::publish).
    pub fn publish_abort(&mut self, id: ExchangeId) -> Result<(), SendError> {
        self.sending(|session, through| session.publish_abort(id.number(), through))
    }

    /// Tells a subscriber of theirs what was dropped, where no publication follows to tell it.  It may come between the
    /// parts of one.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), but for `HalfSent`.
    pub fn publish_missed(&mut self, id: ExchangeId, missed: Missed) -> Result<(), SendError> {
        self.session()?.missed(id.number(), missed)
    }

    /// Ends a subscription of theirs, behind what was published into it.
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond).
    pub fn end_subscription(&mut self, id: ExchangeId, status: Status) -> Result<(), SendError> {
        self.session()?.end_subscription(id.number(), status)
    }

    /// A command that may send at once.
    fn sending<R>(
        &mut self,
        command: impl FnOnce(&mut Session, Through<'_>) -> Result<R, SendError>,
    ) -> Result<R, SendError> {
        self.session()?;
        let State::Session(session) = &mut self.state else { return Err(SendError::Closed) };
        let sealed = self.wire.len();
        let sent = command(session, Through { wire: &mut self.wire, now: self.clock })?;
        // Where flash is scarce all is queued.
        if cfg!(not(target_os = "none")) && self.wire.len() > sealed {
            self.arm_keepalive();
        }
        Ok(sent)
    }
}
