//! What every adapter asks of a TCP socket.

use std::io;

use socket2::SockRef;

/// How many bytes the operating system may hold that have not left: whatever is asked waits behind them.  SPEC §12
const UNSENT: u32 = 64 * 1024;

/// Sends at once, and keeps little: lanes order what waits here, and nothing that waits below.
pub(super) fn prepare(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    bound_unsent(&socket)
}

/// Bytes on their way do not count, so this costs no throughput on long lines.
#[cfg(any(target_os = "android", target_os = "linux"))]
fn bound_unsent(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(UNSENT)
}

/// Bytes on their way count as well: a bound for the whole of them that leaves room for a long line.
#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn bound_unsent(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_send_buffer_size(4 * UNSENT as usize)
}
