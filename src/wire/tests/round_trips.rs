//! What is written is what is read, for every encoder.

use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::encoded;
use crate::Status;
use crate::wire::encode::*;
use crate::wire::message::{Continuation, Message, Point, Publication};

/// What a message of any type can be made of.
#[derive(Clone, Debug)]
struct Parts {
    kind: usize,
    numbers: [u64; 3],
    flags: [bool; 3],
    name: String,
    content: Vec<u8>,
}

fn parts() -> impl Strategy<Value = Parts> {
    let numbers = [super::number(), super::number(), super::number()];
    let content = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (65530usize..65600).prop_map(|len| [7].repeat(len)),
    ];
    (0usize..17, numbers, any::<[bool; 3]>(), "[a-zé/+#$\\x00]{0,60}", content)
        .prop_map(|(kind, numbers, flags, name, content)| Parts { kind, numbers, flags, name, content })
}

impl Parts {
    fn publication(&self) -> Publication<'_> {
        let ([id, sequence, total], [unknown, retained, more]) = (self.numbers, self.flags);
        let (missed, epoch) = (total as u32, id as u32);
        let (topic, chunk, point) = (self.name.as_str(), self.content.as_slice(), Point { epoch, sequence });
        Publication { id, missed, unknown, retained, topic, point, chunk, total: more.then_some(total) }
    }

    fn message(&self) -> Message<'_> {
        let ([id, wide, other], [more, flag, _]) = (self.numbers, self.flags);
        let (narrow, status) = (wide as u32, Status::new(wide as u16));
        let (name, body) = (self.name.as_str(), self.content.as_slice());
        let point = Point { epoch: other as u32, sequence: id };
        match self.kind {
            0 => Message::Accept,
            1 => Message::Close { status },
            2 => Message::Goaway { last: wide },
            3 => Message::Ping { token: wide },
            4 => Message::Pong { token: wide },
            5 => Message::Request { id, deadline_ms: narrow, more, method: name, body },
            6 => Message::Response { id, status, more, body },
            7 => Message::Busy { id, retry_ms: narrow },
            8 => Message::Cancel { id, status },
            9 => Message::Data { id, chunk: body },
            10 => Message::End { id, status },
            11 => Message::Credit { id, limit: wide },
            12 => Message::Subscribe { id, limit: wide, filter: name, from: flag.then_some(point) },
            13 => Message::Publication(self.publication()),
            14 => Message::Continuation(Continuation { id, more, abort: flag, chunk: body }),
            15 => Message::Missed { id, unknown: flag, count: narrow },
            _ => Message::Ignorable,
        }
    }
}

proptest! {
    #[test]
    fn round_trip(parts in parts(), behind: Vec<u8>) {
        let message = parts.message();
        let mut bytes = encoded(message);
        let len = bytes.len();
        prop_assert_eq!(message.encoded_len(), len);
        bytes.extend(behind);
        prop_assert_eq!(Message::decode(&bytes), Ok((message, len)));
    }

    /// Attack C15: what is accepted, and has nothing to ignore, is what we would have sent
    #[test]
    fn c15_accepted_is_canonical(parts in parts(), at: prop::sample::Index, byte: u8) {
        let mut bytes = encoded(parts.message());
        // Mostly near the start, where the structure is.
        let at = at.index(bytes.len().min(24));
        bytes[at] = byte;
        if let Ok((message, len)) = Message::decode(&bytes) {
            let again = encoded(message);
            if message != Message::Ignorable && again[0] == bytes[0] {
                prop_assert_eq!(&bytes[..len], &again[..]);
            }
        }
    }

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        if let Ok((_, len)) = Message::decode(&bytes) {
            prop_assert!((1..=bytes.len()).contains(&len));
        }
    }

    /// As `any_bytes`, but what begins like a message gets further
    #[test]
    fn any_elements(elements in 1u8..10, kind in 0u8..24, rest: Vec<u8>) {
        let bytes = [&[0x80 | elements, kind][..], &rest].concat();
        if let Ok((_, len)) = Message::decode(&bytes) {
            prop_assert!((2..=bytes.len()).contains(&len));
        }
    }

    #[test]
    fn request_in_two_parts(parts in parts()) {
        let ([id, deadline, _], more) = (parts.numbers, parts.flags[0]);
        let (deadline_ms, method, body) = (deadline as u32, parts.name.as_str(), parts.content.as_slice());
        let mut bytes = Vec::new();
        request_head(id, deadline_ms, &mut bytes);
        prop_assert!(bytes.len() <= REQUEST_HEAD_MAX);
        let head = bytes.len();
        bytes.resize(head + request_tail_len(method, body), 0);
        request_tail(more, method, body, &mut bytes[head..]);
        prop_assert_eq!(bytes, encoded(Message::Request { id, deadline_ms, more, method, body }));
    }
}
