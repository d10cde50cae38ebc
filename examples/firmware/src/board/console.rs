//! What the board says to the host, by semihosting.
//!
//! Texts and numbers, put together by hand: `core::fmt` would be five kilobytes of the flash, for a line or two.

use cortex_m_semihosting::hio::{self, HostStream};

/// A piece of a line.
pub enum Part<'a> {
    Text(&'a str),
    #[cfg_attr(feature = "uart", allow(dead_code, reason = "without a network there is no number to say"))]
    Number(u32),
    /// Bytes as hexadecimal digits.
    Bytes(&'a [u8]),
}

/// Says a line; nothing, where nobody listens.
pub fn say(line: &[Part<'_>]) {
    let Ok(mut host) = hio::hstdout() else { return };
    for part in line {
        match *part {
            Part::Text(text) => write(&mut host, text.as_bytes()),
            Part::Number(number) => write_number(&mut host, number),
            Part::Bytes(bytes) => bytes.iter().for_each(|byte| write(&mut host, &hexadecimal(*byte))),
        }
    }
    write(&mut host, b"\n");
}

fn write(host: &mut HostStream, bytes: &[u8]) {
    // There is nobody to be told that the host does not listen.
    let _unheard = host.write_all(bytes);
}

fn write_number(host: &mut HostStream, number: u32) {
    if number >= 10 {
        write_number(host, number / 10);
    }
    write(host, &[b'0' + (number % 10) as u8]);
}

fn hexadecimal(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| digit + if digit < 10 { b'0' } else { b'a' - 10 })
}
