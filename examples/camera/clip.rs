//! A stream of JPEG pictures one after the other, as cameras give it (Motion JPEG), and where each of them ends.

use std::fmt;

/// Three seconds of ffmpeg's test pattern; `make_clip` beside it makes it anew.
pub const CLIP: &[u8] = include_bytes!("clip.mjpeg");

/// How many pictures of it are shown in a second.
pub const RATE: u32 = 25;

/// The pictures of a stream, each from its SOI to its EOI.
///
/// # Errors
///
/// [`Broken`], where something else stands between them or one is cut off.
pub fn pictures(mut stream: &[u8]) -> Result<Vec<&[u8]>, Broken> {
    let whole = stream.len();
    let mut pictures = Vec::new();
    while !stream.is_empty() {
        let len = picture_len(stream).ok_or(Broken { at: whole - stream.len() })?;
        let (picture, rest) = stream.split_at(len);
        pictures.push(picture);
        stream = rest;
    }
    Ok(pictures)
}

/// A stream is no JPEG from here on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Broken {
    /// Where the picture begins that is none.
    pub at: usize,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no whole JPEG at byte {}", self.at)
    }
}

impl std::error::Error for Broken {}

/// How long the picture is that begins here.
///
/// To look for the next `FF D9` would be wrong: segments have lengths, and may hold a small picture with an end of its
/// own (a thumbnail, for example).  (ITU-T T.81, annex B.1)
fn picture_len(bytes: &[u8]) -> Option<usize> {
    let mut at = match bytes {
        [0xff, SOI, ..] => 2,
        _ => return None,
    };
    loop {
        let marker;
        (marker, at) = marker_at(bytes, at)?;
        match marker {
            EOI => return Some(at),
            RST_FIRST..=RST_LAST | TEM => {}
            STUFFED | SOI => return None,
            _ => {
                let len = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
                // It counts its own two bytes.
                if len < 2 || bytes.len() - at < len {
                    return None;
                }
                at += len;
                if marker == SOS {
                    at = end_of_scan(bytes, at)?;
                }
            }
        }
    }
}

/// The marker here, and where it ends; any number of `FF` may stand before it.
fn marker_at(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let fill = bytes.get(at..)?.iter().take_while(|byte| **byte == 0xff).count();
    let marker = *bytes.get(at + fill)?;
    (fill > 0).then_some((marker, at + fill + 1))
}

/// Where the coded data ends: at the first marker but RST. `FF 00` is a byte `FF` of the data.
fn end_of_scan(bytes: &[u8], from: usize) -> Option<usize> {
    let ends = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], STUFFED | RST_FIRST..=RST_LAST | 0xff);
    let at = from + bytes.get(from..)?.windows(2).position(ends)?;
    Some(at)
}

const STUFFED: u8 = 0x00;
const TEM: u8 = 0x01;
const RST_FIRST: u8 = 0xd0;
const RST_LAST: u8 = 0xd7;
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment with a whole picture in it, a scan with a stuffed byte, a restart and fill bytes, a second scan.
    const TRICKY: &[u8] = &[
        0xff, 0xd8, // SOI
        0xff, 0xe1, 0x00, 0x08, 0xff, 0xd8, 0xff, 0xd9, 0xff, 0xd9, // APP1
        0xff, 0xff, 0xdb, 0x00, 0x03, 0x11, // DQT behind a fill byte
        0xff, 0xda, 0x00, 0x04, 0xff, 0xd9, // SOS
        0x01, 0xff, 0x00, 0xd9, 0xff, 0xd3, 0x02, // data
        0xff, 0xda, 0x00, 0x02, 0x05, 0xff, 0xff, 0xd9, // SOS, data, EOI behind a fill byte
    ];

    #[test]
    fn a_picture_ends_where_its_own_end_stands() {
        let stream = [TRICKY, TRICKY, &[0xff, 0xd8, 0xff, 0xd9]].concat();
        assert_eq!(pictures(&stream), Ok(vec![TRICKY, TRICKY, &[0xff, 0xd8, 0xff, 0xd9]]));
    }

    #[test]
    fn whatever_is_cut_off_is_no_picture() {
        for len in 1..TRICKY.len() {
            let stream = [TRICKY, &TRICKY[..len]].concat();
            assert_eq!(pictures(&stream), Err(Broken { at: TRICKY.len() }), "{len} bytes");
        }
        assert_eq!(pictures(&[0xff, 0xd8, 0xff, 0xd8]), Err(Broken { at: 0 }));
        assert_eq!(pictures(b"GIF89a"), Err(Broken { at: 0 }));
    }

    #[test]
    fn the_clip_has_three_seconds_and_long_pictures() {
        let pictures = pictures(CLIP).unwrap();
        assert_eq!(pictures.len() as u32, 3 * RATE);
        // Some go in one frame of the wire, some in several.
        assert!(pictures.iter().any(|picture| picture.len() < 8 * 1024));
        assert!(pictures.iter().filter(|picture| picture.len() > 16 * 1024).count() > 10);
    }
}
