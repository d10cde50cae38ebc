//! What is this adapter's own in making a device: handlers that block.

use std::sync::Arc;

use bytes::Bytes;

use super::description::describer;
use super::device::{Context, Device, Handler, HandlerFn};
use super::exchange::{Exchange, RawExchange};
use crate::adapter::host::builder::Builder;
use crate::adapter::host::error::{BuildError, Refusal};
use crate::adapter::host::link::Reply;
use crate::{Allow, Request, Status};

impl Builder<Handler> {
    /// Serves a request.  State is what the closure captures.
    ///
    /// It runs in a thread of its own, and may block, call and publish.  One that panics answers
    /// [`Status::FAILED`].  One whose caller has cancelled goes on: [`Context::is_cancelled`] tells.
    #[must_use]
    pub fn on<R, F>(self, handler: F) -> Self
    where
        R: Request,
        F: Fn(Context, R) -> Result<R::Reply, Refusal> + Send + Sync + 'static,
    {
        self.on_for::<R, F>(Allow::Anyone, handler)
    }

    /// Serves a request of these peers only; others get [`Status::DENIED`] before its body is decoded.
    #[must_use]
    pub fn on_for<R, F>(self, allow: Allow, handler: F) -> Self
    where
        R: Request,
        F: Fn(Context, R) -> Result<R::Reply, Refusal> + Send + Sync + 'static,
    {
        self.handle(R::METHOD, allow, move |context, body| {
            let request = crate::from_bytes(&body).map_err(|_| Status::BAD_REQUEST)?;
            let reply = handler(context, request)?;
            Ok(crate::to_bytes(&reply)?.into())
        })
    }

    /// Serves a method with bare bytes.
    #[must_use]
    pub fn on_raw<F>(self, method: &str, handler: F) -> Self
    where
        F: Fn(Context, Bytes) -> Result<Bytes, Refusal> + Send + Sync + 'static,
    {
        self.on_raw_for(method, Allow::Anyone, handler)
    }

    /// As [`on_raw`](Self::on_raw), for these peers only; others get [`Status::DENIED`].
    ///
    /// ```
    /// use symbolon::{Allow, Identity, Status, blocking::{CallError, Device}};
    ///
    /// let (owner, guest) = (Identity::generate()?, Identity::generate()?);
    /// let lamp = Device::builder(Identity::generate()?)
    ///     .trust([owner.peer_id(), guest.peer_id()])
    ///     .on_raw("lamp/state", |_, _| Ok("on".into()))
    ///     .on_raw_for("lamp/reset", Allow::only([owner.peer_id()]), |_, _| Ok("".into()))
    ///     .build()?;
    /// let server = lamp.listen("127.0.0.1:0")?.spawn()?;
    /// let link = Device::builder(guest).build()?.connect(server.local_addr(), lamp.peer_id())?;
    /// assert_eq!(link.call_raw("lamp/state", b"", None)?, b"on"[..]);
    /// let refused = link.call_raw("lamp/reset", b"", None);
    /// assert_eq!(refused, Err(CallError::Status(Status::DENIED, [].as_slice().into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_raw_for<F>(self, method: &str, allow: Allow, handler: F) -> Self
    where
        F: Fn(Context, Bytes) -> Result<Bytes, Refusal> + Send + Sync + 'static,
    {
        self.handle(method, allow, handler)
    }

    /// Serves a request whose body may go on in chunks, and which may be answered so.  SPEC §10.5
    ///
    /// The handler reads [`Exchange::body`], as much as it likes, and answers by [`Exchange::reply`]: with one message, or
    /// with a head and a body that it writes.  It may answer before it has read.  Where it ends without having
    /// answered, its error is the answer, [`Status::FAILED`] where there is none.  A read or write returns with an
    /// error when the caller has gone.  Otherwise it is like one of [`on`](Self::on).
    ///
    /// ```
    /// use minicbor::{Decode, Encode};
    /// use symbolon::{Identity, Request, blocking::Device};
    ///
    /// #[derive(Encode, Decode)]
    /// struct Print { #[n(0)] copies: u32 }
    ///
    /// impl Request for Print {
    ///     const METHOD: &'static str = "printer/print";
    ///     type Reply = u64; // bytes printed
    /// }
    ///
    /// # let phone = Device::builder(Identity::generate()?).build()?;
    /// let printer = Device::builder(Identity::generate()?).trust([phone.peer_id()]);
    /// let printer = printer.on_stream(|_, Print { copies }, mut exchange| {
    ///     let mut bytes = 0;
    ///     while let Some(chunk) = exchange.body.chunk()? {
    ///         bytes += chunk.len() as u64; // to the paper, before more is asked for
    ///     }
    ///     exchange.reply.send(&(bytes * u64::from(copies)))?;
    ///     Ok(())
    /// });
    /// # let printer = printer.build()?;
    /// # let server = printer.listen("127.0.0.1:0")?.spawn()?;
    /// let link = phone.connect(server.local_addr(), printer.peer_id())?;
    /// let (mut page, reply) = link.open(&Print { copies: 2 })?;
    /// page.write_all(&[0x20; 100_000])?;
    /// page.finish()?; // without this the page is given up
    /// assert_eq!(reply.wait()?.0, 200_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_stream<R, F>(self, handler: F) -> Self
    where
        R: Request,
        F: Fn(Context, R, Exchange<R::Reply>) -> Result<(), Refusal> + Send + Sync + 'static,
    {
        self.on_stream_for::<R, F>(Allow::Anyone, handler)
    }

    /// As [`on_stream`](Self::on_stream), for these peers only; others get [`Status::DENIED`] before anything is
    /// decoded.
    #[must_use]
    pub fn on_stream_for<R, F>(self, allow: Allow, handler: F) -> Self
    where
        R: Request,
        F: Fn(Context, R, Exchange<R::Reply>) -> Result<(), Refusal> + Send + Sync + 'static,
    {
        self.stream(R::METHOD, allow, move |context, head, exchange| {
            let request = crate::from_bytes(&head).map_err(|_| Status::BAD_REQUEST)?;
            handler(context, request, exchange.typed())
        })
    }

    /// As [`on_stream`](Self::on_stream), with bare bytes.
    #[must_use]
    pub fn on_stream_raw<F>(self, method: &str, handler: F) -> Self
    where
        F: Fn(Context, Bytes, RawExchange) -> Result<(), Refusal> + Send + Sync + 'static,
    {
        self.on_stream_raw_for(method, Allow::Anyone, handler)
    }

    /// As [`on_stream_raw`](Self::on_stream_raw), for these peers only, as [`on_raw_for`](Self::on_raw_for); others get
    /// [`Status::DENIED`] before any of the body is taken.
    #[must_use]
    pub fn on_stream_raw_for<F>(self, method: &str, allow: Allow, handler: F) -> Self
    where
        F: Fn(Context, Bytes, RawExchange) -> Result<(), Refusal> + Send + Sync + 'static,
    {
        self.stream(method, allow, handler)
    }

    fn stream(
        self,
        method: &str,
        allow: Allow,
        handler: impl Fn(Context, Bytes, RawExchange) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        let handler = move |context, head, exchange| {
            handler(context, head, exchange)?;
            Ok(Bytes::new())
        };
        self.route(method, allow, Handler(HandlerFn::Stream(Arc::new(handler))))
    }

    fn handle(
        self,
        method: &str,
        allow: Allow,
        handler: impl Fn(Context, Bytes) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.route(method, allow, Handler(HandlerFn::Call(Arc::new(handler))))
    }

    /// The device.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the first mistake.
    pub fn build(self) -> Result<Device, BuildError> {
        Ok(Device::new(self.base(describer())?))
    }
}
