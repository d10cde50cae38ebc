//! Encoding and decoding alone, beside copying the bytes that come out: bodies with types.  The codec of the messages
//! themselves is not public; what it costs shows in a frame full of publications.

use std::hint::black_box;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use symbolon::{from_bytes, to_bytes};

use crate::ratio::{Beside, timed};

/// As small as most are.
#[derive(Encode, Decode)]
struct Lamp {
    #[n(0)]
    on: bool,
    #[n(1)]
    brightness: u16,
    #[n(2)]
    name: String,
}

#[derive(Encode, Decode)]
struct Picture(#[n(0)] ByteVec);

pub fn subjects() -> Vec<Beside> {
    let lamp = Lamp { on: true, brightness: 700, name: "above the table".into() };
    let picture = Picture(vec![0x55; 16_000].into());
    let mut subjects = Vec::from(both_ways("small", lamp, 20_000));
    subjects.extend(both_ways("16 KiB", picture, 2_000));
    subjects
}

fn both_ways<T>(name: &str, value: T, times: u64) -> [Beside; 2]
where
    T: Encode<()> + for<'b> Decode<'b, ()> + 'static,
{
    let encoded = to_bytes(&value).expect("it encodes");
    let copies = || {
        let source = encoded.clone();
        timed(move || _ = black_box(black_box(&source).to_vec()))
    };
    let beside =
        |name, ours, bare| Beside { name, bound: None, bytes: encoded.len() as u64, times, ours, bare };
    let source = encoded.clone();
    [
        beside(
            format!("encode/{name}"),
            timed(move || _ = black_box(to_bytes(black_box(&value)).expect("it encodes"))),
            copies(),
        ),
        beside(
            format!("decode/{name}"),
            timed(move || _ = black_box(from_bytes::<T>(black_box(&source)).expect("it decodes"))),
            copies(),
        ),
    ]
}
