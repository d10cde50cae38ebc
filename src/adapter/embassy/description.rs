//! Asking what the peer offers, and telling it.  SPEC §22

use super::device::Device;
use super::error::CallError;
use super::handle::Handle;
use crate::adapter::error::BodyError;
use crate::{BadBody, Description, DescriptionError, Failure, MethodDescription, PeerId, TopicDescription};

impl Handle<'_> {
    /// Asks the peer which methods and topics it offers, by its own word, into memory of the caller's; at most as long as
    /// [`Device::with_call_timeout`](super::Device::with_call_timeout) says, the deadline of the request.  Nothing is
    /// allocated, but by a body in chunks where the description does not fit into a frame.  SPEC §22
    ///
    /// # Errors
    ///
    /// As [`fetch_raw`](Self::fetch_raw).  [`CallError::Status`] with [`Status::NOT_FOUND`](crate::Status::NOT_FOUND) where
    /// the peer does not tell; [`CallError::NoRoom`] with the bytes that it would take, or more, where the memory is too
    /// short, or that of the link; [`CallError::BadBody`] where the reply is no description.  The connection stands as before.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it is cancelled on the wire; nothing else has changed.
    ///
    /// ```
    /// use symbolon::embassy::{CallError, Handle};
    ///
    /// async fn has_fan(peer: Handle<'_>) -> Result<bool, CallError> {
    ///     let mut memory = [0; 512];
    ///     let told = peer.describe(&mut memory).await?;
    ///     Ok(told.methods().any(|method| method.name == "fan/set"))
    /// }
    /// ```
    pub async fn describe(self, memory: &mut [u8]) -> Result<Description<'_>, CallError> {
        let (head, mut body) = self.fetch_raw(Description::METHOD, &[], memory, self.call_timeout()).await?;
        let mut len = head.len();
        loop {
            let (mut beyond, room) = ([0], memory.get_mut(len..).unwrap_or_default());
            let is_full = room.is_empty();
            let came = body.read(if is_full { &mut beyond } else { room }).await.map_err(cut_short)?;
            if came == 0 {
                break;
            }
            len += came;
            if is_full {
                return Err(CallError::NoRoom(len));
            }
        }
        let memory: &[u8] = memory;
        Description::from_bytes(memory.get(..len).unwrap_or_default()).map_err(|_| BadBody.into())
    }
}

/// What a body that was cut short says of the call that it answers.
fn cut_short(error: BodyError) -> CallError {
    CallError::Failed(match error {
        BodyError::DeadlinePassed => Failure::DeadlinePassed,
        BodyError::Stalled => Failure::Stalled,
        BodyError::Unsupported => Failure::Unsupported,
        BodyError::Status(status) => return CallError::Status(status),
        _ => Failure::Disconnected,
    })
}

impl Device {
    /// What this device tells a peer that asks, as [`Connection::peer`](crate::Connection::peer) gives it: these methods, in
    /// the ascending order of their names, and of its topics those that the peer may subscribe to; in memory of the caller's.
    /// It is the body of the answer to [`Description::METHOD`].  SPEC §22
    ///
    /// A program that does not use it has nothing of it in its flash.
    ///
    /// # Errors
    ///
    /// As [`Description::encode_into`].
    ///
    /// ```
    /// use symbolon::embassy::Device;
    /// use symbolon::{Connection, Description, ExchangeId, MethodDescription, SendError, Status};
    ///
    /// /// In the ascending order of their names.
    /// const METHODS: [MethodDescription<'_>; 2] =
    ///     [MethodDescription::new("fan/set").with_text("Switches the fan."), MethodDescription::new("fan/spin")];
    ///
    /// /// Answers a request, within the loop that runs the connection.
    /// fn serve(device: &Device, connection: &mut Connection, id: ExchangeId, method: &str, body: &[u8]) -> Result<(), SendError> {
    ///     let mut memory = [0; 256];
    ///     match method {
    ///         // DSC-1: the request has no body.
    ///         Description::METHOD if !body.is_empty() => connection.respond(id, Status::BAD_REQUEST, &[]),
    ///         Description::METHOD => match device.description(connection.peer(), Some("Fan"), &METHODS, &mut memory) {
    ///             Ok(told) => connection.respond(id, Status::OK, told.as_bytes()),
    ///             Err(_) => connection.respond(id, Status::TOO_LARGE, &[]),
    ///         },
    ///         _ => connection.respond(id, Status::NOT_FOUND, &[]),
    ///     }
    /// }
    /// ```
    pub fn description<'m>(
        &self,
        peer: Option<PeerId>,
        name: Option<&str>,
        methods: &[MethodDescription<'_>],
        memory: &'m mut [u8],
    ) -> Result<Description<'m>, DescriptionError> {
        self.with_topics(|topics| {
            let allowed = topics.declared().filter(|(name, _)| self.may_subscribe(peer, name));
            let topics = allowed.map(|(name, kind)| TopicDescription::new(name, kind));
            Description::encode_into(memory, name, methods.iter().copied(), topics)
        })
    }
}
