//! What is this adapter's own in making a device: handlers that are futures.

use std::boxed::Box;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use super::description::describer;
use super::device::{Context, Device, Handler, HandlerFn, Handling};
use super::exchange::{Exchange, RawExchange};
use crate::adapter::host::builder::Builder;
use crate::adapter::host::error::{BuildError, Refusal};
use crate::{Allow, Request, Status};

impl Builder<Handler> {
    /// Serves a request.  State is what the closure captures.
    ///
    /// A handler that panics answers [`Status::FAILED`].  One whose caller has cancelled, or whose time is up,
    /// is dropped at its next await.
    #[must_use]
    pub fn on<R, F, Fut>(self, handler: F) -> Self
    where
        R: Request + Send + 'static,
        F: Fn(Context, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Reply, Refusal>> + Send + 'static,
    {
        self.on_for::<R, F, Fut>(Allow::Anyone, handler)
    }

    /// Serves a request of these peers only; others get [`Status::DENIED`] before its body is decoded.
    #[must_use]
    pub fn on_for<R, F, Fut>(self, allow: Allow, handler: F) -> Self
    where
        R: Request + Send + 'static,
        F: Fn(Context, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Reply, Refusal>> + Send + 'static,
    {
        self.handle(R::METHOD, allow, move |context, body| {
            let handling = crate::from_bytes::<R>(&body).map(|request| handler(context, request));
            Box::pin(async move {
                let reply = handling.map_err(|_| Status::BAD_REQUEST)?.await?;
                Ok(crate::to_bytes(&reply)?.into())
            })
        })
    }

    /// Serves a method with bare bytes.
    #[must_use]
    pub fn on_raw<F, Fut>(self, method: &str, handler: F) -> Self
    where
        F: Fn(Context, Bytes) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, Refusal>> + Send + 'static,
    {
        self.on_raw_for(method, Allow::Anyone, handler)
    }

    /// As [`on_raw`](Self::on_raw), for these peers only; others get [`Status::DENIED`].
    ///
    /// ```
    /// use symbolon::{Allow, Identity, PeerId, tokio::{BuildError, Device}};
    ///
    /// fn lamp(identity: Identity, owner: PeerId, guest: PeerId) -> Result<Device, BuildError> {
    ///     Device::builder(identity)
    ///         .trust([owner, guest])
    ///         .on_raw("lamp/state", |_, _| async { Ok("on".into()) })
    ///         .on_raw_for("lamp/reset", Allow::only([owner]), |_, _| async { Ok("".into()) })
    ///         .build()
    /// }
    /// ```
    #[must_use]
    pub fn on_raw_for<F, Fut>(self, method: &str, allow: Allow, handler: F) -> Self
    where
        F: Fn(Context, Bytes) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, Refusal>> + Send + 'static,
    {
        self.handle(method, allow, move |context, body| Box::pin(handler(context, body)))
    }

    /// Serves a request whose body may go on in chunks, and which may be answered so.  SPEC §10.5
    ///
    /// The handler reads [`Exchange::body`], as much as it likes, and answers by [`Exchange::reply`]: with one message, or
    /// with a head and a body that it writes.  It may answer before it has read, and read while it writes.  Where it
    /// ends without having answered, its error is the answer, [`Status::FAILED`] where there is none.  Otherwise it is
    /// like one of [`on`](Self::on).
    ///
    /// ```
    /// use minicbor::{Decode, Encode};
    /// use symbolon::{Identity, Request, tokio::Device};
    ///
    /// #[derive(Encode, Decode)]
    /// struct Print { #[n(0)] copies: u32 }
    ///
    /// impl Request for Print {
    ///     const METHOD: &'static str = "printer/print";
    ///     type Reply = u64; // bytes printed
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let phone = Device::builder(Identity::generate()?).build()?;
    /// let printer = Device::builder(Identity::generate()?).trust([phone.peer_id()]);
    /// let printer = printer.on_stream(|_, Print { copies }, mut exchange| async move {
    ///     let mut bytes = 0;
    ///     while let Some(chunk) = exchange.body.chunk().await? {
    ///         bytes += chunk.len() as u64; // to the paper, before more is asked for
    ///     }
    ///     exchange.reply.send(&(bytes * u64::from(copies)))?;
    ///     Ok(())
    /// });
    /// # let printer = printer.build()?;
    /// # let listener = printer.listen("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// # tokio::spawn(listener.serve());
    /// let link = phone.connect(address, printer.peer_id()).await?;
    /// let (mut page, reply) = link.open(&Print { copies: 2 }).await?;
    /// page.write_all(&[0x20; 100_000]).await?;
    /// page.finish()?; // without this the page is given up
    /// assert_eq!(reply.wait().await?.0, 200_000);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn on_stream<R, F, Fut>(self, handler: F) -> Self
    where
        R: Request + Send + 'static,
        F: Fn(Context, R, Exchange<R::Reply>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.on_stream_for::<R, F, Fut>(Allow::Anyone, handler)
    }

    /// As [`on_stream`](Self::on_stream), for these peers only; others get [`Status::DENIED`] before anything is
    /// decoded.
    #[must_use]
    pub fn on_stream_for<R, F, Fut>(self, allow: Allow, handler: F) -> Self
    where
        R: Request + Send + 'static,
        F: Fn(Context, R, Exchange<R::Reply>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.stream(R::METHOD, allow, move |context, head, exchange| {
            let request = crate::from_bytes::<R>(&head);
            let handling = request.map(|request| handler(context, request, exchange.typed()));
            Box::pin(async move {
                handling.map_err(|_| Status::BAD_REQUEST)?.await?;
                Ok(Bytes::new())
            })
        })
    }

    /// As [`on_stream`](Self::on_stream), with bare bytes.
    #[must_use]
    pub fn on_stream_raw<F, Fut>(self, method: &str, handler: F) -> Self
    where
        F: Fn(Context, Bytes, RawExchange) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.on_stream_raw_for(method, Allow::Anyone, handler)
    }

    /// As [`on_stream_raw`](Self::on_stream_raw), for these peers only, as [`on_raw_for`](Self::on_raw_for); others get
    /// [`Status::DENIED`] before any of the body is taken.
    #[must_use]
    pub fn on_stream_raw_for<F, Fut>(self, method: &str, allow: Allow, handler: F) -> Self
    where
        F: Fn(Context, Bytes, RawExchange) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.stream(method, allow, move |context, head, exchange| {
            let handling = handler(context, head, exchange);
            Box::pin(async move {
                handling.await?;
                Ok(Bytes::new())
            })
        })
    }

    fn stream(
        self,
        method: &str,
        allow: Allow,
        handler: impl Fn(Context, Bytes, RawExchange) -> Handling + Send + Sync + 'static,
    ) -> Self {
        self.route(method, allow, Handler(HandlerFn::Stream(Arc::new(handler))))
    }

    fn handle(
        self,
        method: &str,
        allow: Allow,
        handler: impl Fn(Context, Bytes) -> Handling + Send + Sync + 'static,
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
