//! Messages of the script's choice, in which ids, flags and lengths are often such that they mean something.

use super::common::cbor::{
    FALSE, NULL, TRUE, array, bytes, head, long_head, map, negative, raw_text, text, uint,
};
use super::script::{body, byte, choice, number, take};

/// Names and filters, good ones first.
const NAMES: [&str; 12] = ["a/b", "c", "a/+", "#", "a/b", "", "a//b", "a/", "$x", "+/b", "\u{7f}", "é"];

/// Composes messages, and remembers which ids it has opened.
pub struct Composer {
    /// The next id of its own openings.
    next: u64,
}

impl Composer {
    /// For the side whose first id is this one.
    pub fn new(first: u64) -> Self {
        Self { next: first }
    }

    /// One message, if the script wants so; or almost one.
    pub fn message(&mut self, script: &mut &[u8]) -> Vec<u8> {
        let step = byte(script);
        let kind = u64::from(step & 0x1f);
        let mut fields = self.fields(kind, script);
        fields.insert(0, uint(kind));
        if step & 0x20 != 0 {
            // ENC-3: elements behind those that a receiver knows.
            fields.push(item(script, 3));
        }
        if step & 0x40 != 0 {
            let field = usize::from(byte(script)) % fields.len();
            fields[field] = item(script, 3);
        }
        let mut message = array(&fields);
        if step & 0x80 != 0 {
            spoil(&mut message, script);
        }
        message
    }

    fn fields(&mut self, kind: u64, script: &mut &[u8]) -> Vec<Vec<u8>> {
        match kind {
            1..=4 => vec![uint(number(script))],
            5 => {
                let id = self.opening(script);
                let (deadline, flags) = (uint(number(script)), flags(script));
                vec![id, deadline, flags, name(script), bytes(&body(script))]
            }
            6 => vec![self.id(script), status(script), flags(script), bytes(&body(script))],
            7 => vec![self.id(script), uint(number(script))],
            8 | 10 => vec![self.id(script), status(script)],
            9 => vec![self.id(script), bytes(&body(script))],
            11 => vec![self.id(script), uint(number(script))],
            12 => {
                let mut fields = vec![self.opening(script), uint(number(script)), name(script)];
                match byte(script) {
                    0..=0xbf => {}
                    0xc0..=0xcf => fields.push(uint(1)),
                    _ => fields.extend([uint(1), uint(number(script))]),
                }
                fields
            }
            13 => {
                let id = self.id(script);
                let flag = byte(script);
                let mut fields = vec![id, uint(number(script)), uint((flag & 15).into()), name(script)];
                let chunk = body(script);
                fields.extend([uint(1), uint(number(script)), bytes(&chunk)]);
                if flag & 0x21 != 0 {
                    fields.push(uint((chunk.len() as u64).wrapping_add(number(script))));
                }
                fields
            }
            14 => vec![self.id(script), flags(script), bytes(&body(script))],
            15 => vec![self.id(script), uint((byte(script) & 3).into()), uint(number(script))],
            20..=23 => (0..byte(script) & 3).map(|_| item(script, 3)).collect(),
            _ => Vec::new(),
        }
    }

    /// The id of an opening: most often the next one.
    fn opening(&mut self, script: &mut &[u8]) -> Vec<u8> {
        let id = match byte(script) {
            0..=0xdf => self.next,
            gap @ 0xe0..=0xef => self.next + 2 * u64::from(gap & 15),
            _ => number(script),
        };
        if id >= self.next && id < 1 << 32 {
            self.next = id + 2;
        }
        uint(id)
    }

    /// The id of an exchange that one of the two may have opened: the newest is 0.
    fn id(&self, script: &mut &[u8]) -> Vec<u8> {
        let byte = byte(script);
        let back = u64::from(byte & 0x1f);
        uint(match byte {
            0..=0x5f => self.next.saturating_sub(2 + 2 * back),
            // The other side's have the other parity, from 1 or 2.
            0x60..=0xdf => 2 * back + 1 + self.next % 2,
            _ => number(script),
        })
    }
}

fn flags(script: &mut &[u8]) -> Vec<u8> {
    uint(match byte(script) {
        flags @ 0..=0xef => (flags & 1).into(),
        flags => (flags & 15).into(),
    })
}

fn status(script: &mut &[u8]) -> Vec<u8> {
    uint(match byte(script) {
        0..=0x7f => 0,
        status @ 0x80..=0xef => (status & 0x7f).into(),
        _ => number(script),
    })
}

fn name(script: &mut &[u8]) -> Vec<u8> {
    match byte(script) {
        at @ 0..=0xef => text(NAMES[usize::from(at) % NAMES.len()]),
        0xf0 => text(&"x".repeat(128)),
        0xf1 => text(&"x".repeat(129)),
        _ => {
            let len = byte(script).into();
            raw_text(take(script, len))
        }
    }
}

/// Any item, inside and outside of the profile.  SPEC §8.1
pub fn item(script: &mut &[u8], levels: usize) -> Vec<u8> {
    let step = byte(script);
    let items = |script: &mut &[u8], count| (0..count).map(|_| item(script, levels - 1)).collect::<Vec<_>>();
    match step % 20 {
        0 => uint(number(script)),
        1 => negative(number(script)),
        2 => bytes(&body(script)),
        3 => text(choice(script, &NAMES)),
        4 => vec![choice(script, &[FALSE, TRUE, NULL])],
        5 if levels > 0 => array(&items(script, byte_of(step))),
        6 if levels > 0 => {
            let values = items(script, byte_of(step));
            map(&(0..).map(uint).zip(values).collect::<Vec<_>>())
        }
        7 if levels > 0 => {
            let values = items(script, byte_of(step));
            map(&values.into_iter().map(|value| (uint(number(script)), value)).collect::<Vec<_>>())
        }
        // In a longer form than there is need for.
        8 => {
            let (major, width) = (byte(script) % 6, 1 << (byte(script) % 4));
            long_head(major, number(script), width)
        }
        9 => head(byte(script) % 8, number(script)),
        10 => raw_text(&[choice(script, &[0x80, 0xc0, 0xed, 0xff, 0xf5]), byte(script)]),
        11 => vec![
            choice(script, &[0x1c, 0x5f, 0x7f, 0x9f, 0xbf, 0xdf, 0xf7, 0xf8, 0xf9, 0xfb, 0xff]),
            byte(script),
        ],
        12 => [vec![0xc0], uint(1)].concat(),
        // Deeper than four levels, or just so deep.
        13 => [vec![0x81; usize::from(byte(script) % 6)], uint(0)].concat(),
        14 => array(&vec![uint(0); 30 + usize::from(byte(script) % 5)]),
        15 => map(&(0..22 + u64::from(byte(script) % 5)).map(|key| (uint(key), uint(0))).collect::<Vec<_>>()),
        16 => map(&[(uint(3), uint(0)), (uint(3 - u64::from(byte(script) & 3)), uint(0))]),
        17 => {
            let len = usize::from(byte(script) & 15);
            take(script, len).to_vec()
        }
        _ => uint(0),
    }
}

/// How many items are within.
fn byte_of(step: u8) -> u8 {
    step / 20 % 5
}

/// Changes a message that was good, at one place.
pub fn spoil(message: &mut Vec<u8>, script: &mut &[u8]) {
    let (how, at) = (byte(script), usize::from(byte(script)));
    if message.is_empty() {
        return;
    }
    let at = at % message.len();
    match how {
        0..=0x7f => message[at] ^= 1 << (how & 7),
        0x80..=0x9f => message.truncate(at),
        0xa0..=0xbf => message.insert(at, byte(script)),
        0xc0..=0xdf => drop(message.remove(at)),
        _ => message[at] = byte(script),
    }
}
