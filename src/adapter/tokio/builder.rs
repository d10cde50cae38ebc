//! What is this adapter's own in making a device: handlers that are futures.

use std::boxed::Box;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use super::device::{Context, Device, Handler, Handling};
use crate::adapter::builder::Builder;
use crate::adapter::error::{BuildError, Refusal};
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
                Ok(crate::to_bytes(&reply).map_err(|_| Status::FAILED)?.into())
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
        self.handle(method, Allow::Anyone, move |context, body| Box::pin(handler(context, body)))
    }

    fn handle(
        self,
        method: &str,
        allow: Allow,
        handler: impl Fn(Context, Bytes) -> Handling + Send + Sync + 'static,
    ) -> Self {
        self.route(method, allow, Handler(Arc::new(handler)))
    }

    /// The device.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the first mistake.
    pub fn build(self) -> Result<Device, BuildError> {
        Ok(Device::new(self.base()?))
    }
}
