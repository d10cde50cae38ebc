//! Exchanges that a handle has open, and requests with bodies in chunks among them.

use core::fmt;
use core::future::poll_fn;
use core::marker::PhantomData;
use core::task::{Context, Poll};
use core::time::Duration;

use super::body::{BODIES, BodyReader, BodyWriter};
use super::error::CallError;
use super::handle::Handle;
use super::link::{Lent, Link};
use super::slot::{Answer, Ask};
use super::watchers;
use crate::{Body, Request, SendError, ToSliceError};

impl<'d> Handle<'d> {
    /// Makes a request whose body goes on in chunks: gives the writer of that body, and the reply to wait for.
    ///
    /// The two go their own ways: the peer may answer before the body has ended, and the reply may have a body as well.
    /// Where as many requests are open as the peer takes, it waits for its turn, at most as long as
    /// [`Device::with_call_timeout`](super::Device::with_call_timeout) says, which the writer and the reply tell; the body takes
    /// as long as something moves ([`Timeouts::body_idle`](crate::Timeouts::body_idle)), and the answer as
    /// [`RawReply::wait`] says.  The request is encoded in the link's memory.  SPEC §10.5
    ///
    /// # Errors
    ///
    /// [`CallError::Send`] or [`CallError::Encode`]: nothing was sent.
    pub fn open<R: Request>(self, request: &R) -> Result<(BodyWriter<'d>, Reply<'d, R::Reply>), CallError> {
        let ask = Ask::Open { more: true, travels: false, bodies: &BODIES };
        let exchange = self.begin(ask, R::METHOD, &[], self.call_timeout())?;
        // Both ends, so that its place is free where the request cannot be encoded.
        let writer = BodyWriter::new(self.link, exchange.index);
        exchange.encode(request)?;
        Ok((writer, Reply { raw: RawReply { exchange }, head: PhantomData }))
    }

    /// As [`open`](Self::open), with bare bytes, and a timeout as that of [`fetch_raw`](Self::fetch_raw): without one it waits
    /// for its turn as long as the connection stands.
    ///
    /// # Errors
    ///
    /// [`CallError::Send`]: nothing was sent.
    pub fn open_raw(
        self,
        method: &str,
        head: &[u8],
        timeout: Option<Duration>,
    ) -> Result<(BodyWriter<'d>, RawReply<'d>), CallError> {
        let exchange =
            self.begin(Ask::Open { more: true, travels: true, bodies: &BODIES }, method, head, timeout)?;
        Ok((BodyWriter::new(self.link, exchange.index), RawReply { exchange }))
    }

    /// Makes a request whose reply goes on in chunks, and waits for the head of the reply: at most as long as
    /// [`Device::with_call_timeout`](super::Device::with_call_timeout) says.  What follows takes as long as something moves
    /// ([`Timeouts::body_idle`](crate::Timeouts::body_idle)), and waits in the link's memory until it is read.  The request is
    /// encoded there, and the head decoded from it.  SPEC §10.5
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).  With [`CallError::BadBody`] and [`CallError::NoRoom`] the body is given up as well.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it is cancelled on the wire; the peer may have executed it.
    ///
    /// ```
    /// use minicbor::{Decode, Encode};
    /// use symbolon::Request;
    /// use symbolon::embassy::{CallError, Handle};
    ///
    /// #[derive(Encode, Decode)]
    /// struct Update { #[n(0)] version: u32 }
    ///
    /// impl Request for Update {
    ///     const METHOD: &'static str = "firmware/update";
    ///     type Reply = u32; // its length
    /// }
    ///
    /// /// Writes an image to the flash as it comes; says whether all of it is there.
    /// async fn update(peer: Handle<'_>, mut write: impl FnMut(&[u8])) -> Result<bool, CallError> {
    ///     let (mut left, mut body) = peer.fetch(&Update { version: 7 }).await?;
    ///     let mut chunk = [0; 256];
    ///     while let Ok(len @ 1..) = body.read(&mut chunk).await {
    ///         write(&chunk[..len]);
    ///         left = left.saturating_sub(len as u32);
    ///     }
    ///     Ok(left == 0)
    /// }
    /// ```
    pub async fn fetch<R: Request>(self, request: &R) -> Result<(R::Reply, BodyReader<'d>), CallError> {
        let ask = Ask::Open { more: false, travels: false, bodies: &BODIES };
        let exchange = self.begin(ask, R::METHOD, &[], self.call_timeout())?;
        exchange.encode(request)?;
        RawReply { exchange }.decoded().await
    }

    /// As [`fetch`](Self::fetch), with bare bytes, the head of the reply being copied into `head`; and with a timeout for
    /// the whole exchange, bodies included, where one is named: it travels along, as the deadline of the request, rounded up
    /// to milliseconds.  Without one it waits for the head as long as the connection stands.
    ///
    /// # Errors
    ///
    /// As [`call_raw`](Self::call_raw).  With [`CallError::NoRoom`] the body is given up as well.
    ///
    /// # Cancel safety
    ///
    /// As [`fetch`](Self::fetch).
    pub async fn fetch_raw<'h>(
        self,
        method: &str,
        body: &[u8],
        head: &'h mut [u8],
        timeout: Option<Duration>,
    ) -> Result<(&'h [u8], BodyReader<'d>), CallError> {
        let exchange =
            self.begin(Ask::Open { more: false, travels: true, bodies: &BODIES }, method, body, timeout)?;
        RawReply { exchange }.wait(head).await
    }
}

/// The reply to a request with a body in chunks, which the peer may give at any time.
///
/// Dropped, the request is cancelled.
#[derive(Debug)]
pub struct RawReply<'d> {
    exchange: Exchange<'d>,
}

impl<'d> RawReply<'d> {
    /// Waits for the reply, whose head is copied into `head`, and gives the reader of what follows: nothing, where the
    /// reply is no more than its head.
    ///
    /// While this side's body goes on, it waits as long as something moves
    /// ([`Timeouts::body_idle`](crate::Timeouts)).  Behind that it waits for as long as the peer takes to answer, at most
    /// for what is left of the timeout that was named when the request was made.
    ///
    /// # Errors
    ///
    /// [`CallError`] says whether the peer may have executed it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request is cancelled; the peer may have executed it.
    pub async fn wait(self, head: &mut [u8]) -> Result<(&[u8], BodyReader<'d>), CallError> {
        let head = self.exchange.reply_into(head).await?;
        Ok((head, BodyReader::new(self.exchange)))
    }

    async fn decoded<T: Body>(self) -> Result<(T, BodyReader<'d>), CallError> {
        let head = self.exchange.decoded_reply().await?;
        Ok((head, BodyReader::new(self.exchange)))
    }
}

/// The reply to a request with a body in chunks, of the type that the request names.
///
/// Dropped, the request is cancelled.
pub struct Reply<'d, T> {
    raw: RawReply<'d>,
    head: PhantomData<fn() -> T>,
}

impl<'d, T: Body> Reply<'d, T> {
    /// The head of the reply, decoded from the link's memory, and the reader of what follows; see [`RawReply::wait`].
    ///
    /// # Errors
    ///
    /// As [`RawReply::wait`], and [`CallError::BadBody`], with which what follows is given up.
    ///
    /// # Cancel safety
    ///
    /// As [`RawReply::wait`].
    pub async fn wait(self) -> Result<(T, BodyReader<'d>), CallError> {
        self.raw.decoded().await
    }
}

impl<T> fmt::Debug for Reply<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}

/// An exchange that a handle has open; dropped, it is given up, unless it is over.
#[derive(Debug)]
pub(super) struct Exchange<'d> {
    pub(super) link: &'d Link,
    pub(super) index: usize,
}

impl<'d> Exchange<'d> {
    pub(super) const fn new(link: &'d Link, index: usize) -> Self {
        Self { link, index }
    }

    /// Puts the bytes of a request behind its name.  The runner has not had its turn since the name was placed: where this
    /// fails, and the exchange is dropped for it, nothing is sent.
    pub(super) fn encode(&self, request: &impl Body) -> Result<(), CallError> {
        let (lent, out, _) = Lent::of(self.link, self.index);
        let encoded = crate::to_slice(request, out.rest(lent.memory)).map(<[u8]>::len);
        drop(lent);
        let len = encoded.map_err(|error| match error {
            ToSliceError::NoRoom(len) => {
                SendError::TooLarge { len: out.len() + len, max: out.len() + out.room() }.into()
            }
            ToSliceError::Encode(error) => CallError::Encode(error),
        })?;
        self.link.table().slot(self.index).0.out.took(len);
        Ok(())
    }

    /// Waits for the answer.
    pub(super) async fn answer(&self) -> Answer {
        poll_fn(|task| self.poll(task)).await
    }

    pub(super) fn poll(&self, task: &Context<'_>) -> Poll<Answer> {
        let mut table = self.link.table();
        let (slot, _) = table.slot(self.index);
        if let Some(answer) = slot.answer {
            return Poll::Ready(answer);
        }
        watchers::keep(&mut slot.reader, task.waker());
        Poll::Pending
    }

    /// Waits for a reply that is a success, and says how long it is.
    async fn reply(&self) -> Result<usize, CallError> {
        match self.answer().await {
            Answer::Reply(status, len) if status.is_ok() => Ok(len),
            answer => Err(answer.into()),
        }
    }

    /// The same, copied out of the link's memory.
    pub(super) async fn reply_into<'r>(&self, reply: &'r mut [u8]) -> Result<&'r [u8], CallError> {
        let len = self.reply().await?;
        let place = reply.get_mut(..len).ok_or(CallError::NoRoom(len))?;
        let mut table = self.link.table();
        let (slot, memory) = table.slot(self.index);
        place.copy_from_slice(&slot.inward.bytes(memory)[..len]);
        table.took_reply(self.index, len);
        Ok(place)
    }

    /// The same, decoded where it lies.
    pub(super) async fn decoded_reply<T: Body>(&self) -> Result<T, CallError> {
        let len = self.reply().await?;
        let reply = self.lend(|bytes| crate::from_bytes(&bytes[..len]))?;
        self.link.table().took_reply(self.index, len);
        Ok(reply)
    }

    /// Lends what came.  The application's code may run on it: the table is free meanwhile.
    pub(super) fn lend<R>(&self, lend: impl FnOnce(&[u8]) -> R) -> R {
        let (lent, _, inward) = Lent::of(self.link, self.index);
        lend(inward.bytes(lent.memory))
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        self.link.table().drop_reader(self.index);
    }
}
