//! How a process learns who it is and whom it is to meet.

use std::io;
use std::net::SocketAddr;

use symbolon::{Identity, PeerId, SecretKey, Seed};

use crate::Failure;

/// One line of standard input, since arguments and environments of a process can be read by others.
pub struct Introduction {
    pub identity: Identity,
    pub peer: PeerId,
    /// Where the peer listens; `None` for the one that listens itself.
    pub address: Option<SocketAddr>,
}

impl Introduction {
    pub fn read() -> Result<Self, Failure> {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let secret = SecretKey::from_bytes(from_hex(words.next().ok_or("nobody said who I am")?)?);
        Ok(Self {
            identity: Identity::new(&secret, Seed::random()?),
            peer: words.next().ok_or("nobody said whom I meet")?.parse()?,
            address: words.next().map(str::parse).transpose()?,
        })
    }

    /// As the process that starts the devices writes it.
    pub fn line(secret: &SecretKey, peer: PeerId, address: &str) -> String {
        let secret: String = secret.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{secret} {peer} {address}\n")
    }
}

fn from_hex(text: &str) -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err("a secret has 64 hexadecimal digits".into());
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16)?;
    }
    Ok(bytes)
}
