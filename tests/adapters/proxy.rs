//! What stands between two devices, and can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::peers::PATIENCE;

pub struct Proxy {
    pub address: SocketAddr,
    sockets: Receiver<TcpStream>,
}

/// A proxy for one connection to this address.
pub fn before(target: SocketAddr) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, sockets) = mpsc::channel();
    thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = TcpStream::connect(target).unwrap();
        for (from, to) in [(&near, &far), (&far, &near)] {
            tell.send(from.try_clone().unwrap()).unwrap();
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            thread::spawn(move || {
                let mut bytes = vec![0; 65_536];
                while let Ok(len @ 1..) = from.read(&mut bytes) {
                    if to.write_all(&bytes[..len]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    Proxy { address, sockets }
}

impl Proxy {
    /// Ends both sockets, with whatever is on its way.
    pub fn cut(self) {
        for _ in 0..2 {
            let socket = self.sockets.recv_timeout(PATIENCE).unwrap();
            let _ended = socket.shutdown(Shutdown::Both);
        }
    }
}
