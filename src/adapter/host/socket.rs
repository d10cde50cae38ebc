//! What the host adapters (tokio and blocking) ask of sockets.

use std::io;
#[cfg(feature = "mdns")]
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::SockRef;
#[cfg(feature = "mdns")]
use socket2::{Domain, Socket, Type};

/// How many bytes the operating system may hold that have not left: whatever is asked waits behind them.  SPEC §12
const UNSENT: u32 = 64 * 1024;

/// Sends at once, and keeps little: lanes order what waits here, and nothing that waits below.
pub(crate) fn prepare(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // Without it all works, only later: a system that knows no such bound is no reason to refuse a connection.
    let _unbounded = bound_unsent(&socket);
    Ok(())
}

/// Whether accepting failed for one connection only, which was gone before it was taken: the next one may be there already.
/// Anything else, such as no more sockets, wants a while.
pub(crate) fn failed_for_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Whether this UDP port can be had beside other programs that share it, by either version of IP.
#[cfg(feature = "mdns")]
pub(crate) fn try_shared(port: u16) -> io::Result<()> {
    let bind = |address: SocketAddr| {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        socket.set_reuse_address(true)?;
        #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())
    };
    let first = bind((Ipv4Addr::UNSPECIFIED, port).into());
    first.or_else(|error| bind((Ipv6Addr::UNSPECIFIED, port).into()).map_err(|_| error))
}

/// Bytes on their way do not count, so this costs no throughput on long lines.
#[cfg(any(target_os = "android", target_os = "linux"))]
fn bound_unsent(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(UNSENT)
}

/// Nothing bounds what has not left alone: this is for bytes on their way as well, so it leaves room for a long line,
/// and a call may wait for as much.  It is the system's to round it.
#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn bound_unsent(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_send_buffer_size(4 * UNSENT as usize)
}

#[cfg(all(test, any(target_os = "android", target_os = "linux")))]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A socket to a peer that never reads, and takes few bytes itself.
    fn to_a_sleeper() -> (TcpStream, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        SockRef::from(&listener).set_recv_buffer_size(16 * 1024).expect("it is inherited");
        let stream = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("loopback");
        (stream, listener)
    }

    /// How many bytes it takes before it would block.
    fn swallows(mut stream: &TcpStream) -> usize {
        stream.set_nonblocking(true).expect("a socket");
        let chunk = [7; 4_096];
        std::iter::from_fn(|| stream.write(&chunk).ok()).sum()
    }

    #[cfg(feature = "mdns")]
    #[test]
    fn a_port_that_somebody_does_not_share_cannot_be_had() {
        let alone = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("IPv4");
        let port = alone.local_addr().expect("it is bound").port();
        assert_eq!(try_shared(port).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
        drop(alone);
        try_shared(port).expect("free");
    }

    #[test]
    fn a_prepared_socket_holds_little_that_has_not_left() {
        let (plain, _sleeper) = to_a_sleeper();
        let (prepared, _other) = to_a_sleeper();
        prepare((&prepared).into()).expect("a socket");
        let socket = SockRef::from(&prepared);
        assert!(socket.tcp_nodelay().expect("a socket"));
        assert_eq!(socket.tcp_notsent_lowat().expect("Linux has it"), UNSENT);
        let (much, little) = (swallows(&plain), swallows(&prepared));
        assert!(little < 4 * UNSENT as usize, "{little} bytes, and {much} without");
        assert!(little < much / 2, "{little} bytes, and {much} without");
    }
}
