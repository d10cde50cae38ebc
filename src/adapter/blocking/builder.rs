//! What is this adapter's own in making a device: handlers that block.

use std::sync::Arc;

use bytes::Bytes;

use super::device::{Context, Device, Handler};
use crate::adapter::builder::Builder;
use crate::adapter::error::{BuildError, Refusal};
use crate::adapter::link::Reply;
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
            Ok(crate::to_bytes(&reply).map_err(|_| Status::FAILED)?.into())
        })
    }

    /// Serves a method with bare bytes.
    #[must_use]
    pub fn on_raw<F>(self, method: &str, handler: F) -> Self
    where
        F: Fn(Context, Bytes) -> Result<Bytes, Refusal> + Send + Sync + 'static,
    {
        self.handle(method, Allow::Anyone, handler)
    }

    fn handle(
        self,
        method: &str,
        allow: Allow,
        handler: impl Fn(Context, Bytes) -> Reply + Send + Sync + 'static,
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
