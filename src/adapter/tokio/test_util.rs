//! Two devices that meet in memory, for the tests of programs that use symbolon.

use std::io;

use ::tokio::io::duplex;

use super::device::Device;
use super::handle::Handle;
use crate::adapter::host::error::ConnectError;
use crate::{Admission, Role};

/// Both ends of a connection in memory.
#[derive(Debug)]
pub struct Meeting {
    /// At the device that dialled.
    pub initiator: Handle,
    /// At the device that was dialled.
    pub responder: Handle,
}

/// Lets two devices meet over a stream in memory that holds `capacity` bytes each way, and waits until both
/// have let each other in.  The device that is dialled decides as it always does.
///
/// # Errors
///
/// [`ConnectError`], as [`Device::connect`].
///
/// # Cancel safety
///
/// Dropped, the connection may come about, and is served.
///
/// ```
/// use symbolon::{Identity, tokio::{Device, Meeting, meet}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let phone = Device::builder(Identity::generate()?).build()?;
/// let lamp = Device::builder(Identity::generate()?).trust([phone.peer_id()]);
/// let lamp = lamp.on_raw("lamp/set", |_, state| async move { Ok(state) }).build()?;
/// let Meeting { initiator, .. } = meet(&phone, &lamp, 64 * 1024).await?;
/// assert_eq!(initiator.call_raw("lamp/set", b"on", None).await?, b"on"[..]);
/// # Ok(())
/// # }
/// ```
pub async fn meet(initiator: &Device, responder: &Device, capacity: usize) -> Result<Meeting, ConnectError> {
    if capacity == 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    }
    let (a, b) = duplex(capacity);
    let admission = Admission::expect(responder.peer_id());
    let (initiator, run_initiator) = initiator.attach(a, Role::Initiator, admission)?;
    let (responder, run_responder) = responder.attach(b, Role::Responder, Admission::Ask)?;
    ::tokio::spawn(run_initiator.run());
    ::tokio::spawn(run_responder.run());
    initiator.connected().await?;
    responder.connected().await?;
    Ok(Meeting { initiator, responder })
}
