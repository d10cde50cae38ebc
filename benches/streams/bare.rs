//! What nothing but the cipher and the sockets cost: frames of 16 KiB, sealed and opened in place.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::primitives::{Cipher, LENGTH, Primitives, TAG};

const FRAME: usize = 16 * 1024;
const KEY: [u8; 32] = [7; 32];

/// How long it takes to move so many bytes from one thread to another, sealed by the cipher of these.
pub fn transfer(primitives: &Primitives, len: u64) -> Duration {
    let cipher = primitives.cipher;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let begun = Instant::now();
    let sender = thread::spawn(move || {
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_nodelay(true).expect("a socket");
        send(socket, &*cipher(KEY), len);
    });
    let (socket, _) = listener.accept().expect("a connection");
    receive(socket, &*cipher(KEY), len);
    sender.join().expect("it sends");
    begun.elapsed()
}

fn send(mut socket: TcpStream, cipher: &dyn Cipher, len: u64) {
    let mut frame = vec![0x5a; LENGTH + FRAME];
    for n in 0..len.div_ceil((FRAME - TAG) as u64) {
        let (head, body) = frame.split_at_mut(LENGTH);
        head.copy_from_slice(&(FRAME as u16).to_be_bytes());
        let (plain, tag) = body.split_at_mut(FRAME - TAG);
        tag.copy_from_slice(&cipher.seal(n, plain));
        socket.write_all(&frame).expect("a reader");
    }
}

fn receive(mut socket: TcpStream, cipher: &dyn Cipher, len: u64) {
    let mut buffer = vec![0; 4 * FRAME];
    let (mut start, mut end, mut n) = (0, 0, 0);
    let mut left = len.div_ceil((FRAME - TAG) as u64);
    while left > 0 {
        while end - start < LENGTH + FRAME {
            if buffer.len() - start < LENGTH + FRAME {
                buffer.copy_within(start..end, 0);
                (start, end) = (0, end - start);
            }
            let read = socket.read(&mut buffer[end..]).expect("a writer");
            assert_ne!(read, 0, "the writer stays");
            end += read;
        }
        let frame = &mut buffer[start + LENGTH..start + LENGTH + FRAME];
        let (sealed, tag) = frame.split_at_mut(FRAME - TAG);
        let tag = (&*tag).try_into().expect("16 bytes");
        cipher.open(n, sealed, tag);
        (start, n, left) = (start + LENGTH + FRAME, n + 1, left - 1);
    }
}
