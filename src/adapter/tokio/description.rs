//! Asking what the peer offers, and telling it.  SPEC §22

use std::boxed::Box;
use std::sync::Arc;

use bytes::Bytes;

use super::device::{Handler, HandlerFn};
use super::exchange::RawExchange;
use super::handle::Handle;
use crate::adapter::host::description::{Heard, cut_short};
use crate::adapter::host::error::CallError;
use crate::{Description, Status};

impl Handle {
    /// Asks the peer which methods and topics it offers, by its own word: at most as long as
    /// [`Builder::call_timeout`](super::Builder::call_timeout) says, the deadline of the request.
    ///
    /// Which they are is up to the peer: those that this device may use, as a rule, or none at all.  At most 64 KiB are
    /// taken ([`Description::MAX_LEN`]).  SPEC §22
    ///
    /// # Errors
    ///
    /// As [`call_raw`](Self::call_raw).  [`CallError::Status`] with [`Status::NOT_FOUND`](crate::Status::NOT_FOUND) where the
    /// peer does not tell, and with [`Status::TOO_LARGE`](crate::Status::TOO_LARGE) where it has more than that to tell;
    /// [`CallError::BadBody`] where its reply is no description, or a longer one; [`CallError::Unsupported`] where it does
    /// not fit into a frame, and this side takes no bodies in chunks.  The connection stands as before.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it is cancelled on the wire; nothing else has changed.
    ///
    /// ```
    /// use symbolon::{Status, tokio::{CallError, Handle}};
    ///
    /// async fn show(peer: &Handle) -> Result<(), CallError> {
    ///     match peer.describe().await {
    ///         Ok(told) => {
    ///             println!("{}", told.name().unwrap_or("a device without a name"));
    ///             told.methods().for_each(|method| println!("  {} {}", method.name, method.text.unwrap_or_default()));
    ///         }
    ///         Err(CallError::Status(Status::NOT_FOUND, _)) => println!("a device that does not tell"),
    ///         Err(error) => return Err(error),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn describe(&self) -> Result<Description<'static>, CallError> {
        let within = self.device().base().call_timeout;
        let (head, mut body) = self.fetch_raw(Description::METHOD, b"", Some(within)).await?;
        let mut heard = Heard::begin(&head);
        while let Some(chunk) = body.chunk().await.map_err(cut_short)? {
            heard.go_on(&chunk)?;
        }
        heard.end()
    }
}

/// Tells whoever asks what this device offers.
pub(super) fn describer() -> Handler {
    Handler(HandlerFn::Stream(Arc::new(|context, head, exchange| {
        Box::pin(async move {
            let RawExchange { mut body, reply } = exchange;
            // DSC-1
            if !head.is_empty() || body.chunk().await?.is_some() {
                return Err(Status::BAD_REQUEST.into());
            }
            let told = context.handle().device().shared().describe(context.peer())?;
            if let Some(reply) = reply.send_whole(&told) {
                let mut body = reply.start(b"").await?;
                body.write_all(&told).await?;
                body.finish()?;
            }
            Ok(Bytes::new())
        })
    })))
}
