//! CBOR and messages by hand, well formed or not: nothing here is shared with the library.

/// The head of an item in its shortest form.
pub fn head(major: u8, value: u64) -> Vec<u8> {
    match value {
        0..=23 => vec![major << 5 | value as u8],
        24..=0xff => long_head(major, value, 1),
        0x100..=0xffff => long_head(major, value, 2),
        0x1_0000..=0xffff_ffff => long_head(major, value, 4),
        _ => long_head(major, value, 8),
    }
}

/// The head of an item with its number in `width` bytes (1, 2, 4 or 8), whether that is the shortest form or not.
pub fn long_head(major: u8, value: u64, width: usize) -> Vec<u8> {
    let info = 24 + width.trailing_zeros() as u8;
    let mut out = vec![major << 5 | info];
    out.extend_from_slice(&value.to_be_bytes()[8 - width..]);
    out
}

pub fn uint(value: u64) -> Vec<u8> {
    head(0, value)
}

/// The number -1 - `value`.
pub fn negative(value: u64) -> Vec<u8> {
    head(1, value)
}

pub fn bytes(content: &[u8]) -> Vec<u8> {
    [head(2, content.len() as u64), content.to_vec()].concat()
}

pub fn text(content: &str) -> Vec<u8> {
    raw_text(content.as_bytes())
}

/// A text of these bytes, UTF-8 or not.
pub fn raw_text(content: &[u8]) -> Vec<u8> {
    [head(3, content.len() as u64), content.to_vec()].concat()
}

pub fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

/// A map of encoded keys and values, in this order.
pub fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let content: Vec<u8> = pairs.iter().flat_map(|(key, value)| [key.as_slice(), value].concat()).collect();
    [head(5, pairs.len() as u64), content].concat()
}

pub const FALSE: u8 = 0xf4;
pub const TRUE: u8 = 0xf5;
pub const NULL: u8 = 0xf6;

/// Messages, as SPEC §9 has them; each field can hold any number.
pub mod message {
    use super::{array, bytes, text, uint};

    /// A message of this type and these encoded fields.
    pub fn of(kind: u64, fields: &[Vec<u8>]) -> Vec<u8> {
        array(&[&[uint(kind)], fields].concat())
    }

    /// A message of this type whose fields are all numbers.
    pub fn numbers(kind: u64, fields: &[u64]) -> Vec<u8> {
        of(kind, &fields.iter().map(|field| uint(*field)).collect::<Vec<_>>())
    }

    pub fn accept() -> Vec<u8> {
        numbers(0, &[])
    }

    pub fn close(status: u64) -> Vec<u8> {
        numbers(1, &[status])
    }

    pub fn goaway(last: u64) -> Vec<u8> {
        numbers(2, &[last])
    }

    pub fn ping(token: u64) -> Vec<u8> {
        numbers(3, &[token])
    }

    pub fn pong(token: u64) -> Vec<u8> {
        numbers(4, &[token])
    }

    pub fn request(id: u64, deadline: u64, flags: u64, method: &str, body: &[u8]) -> Vec<u8> {
        of(5, &[uint(id), uint(deadline), uint(flags), text(method), bytes(body)])
    }

    pub fn response(id: u64, status: u64, flags: u64, body: &[u8]) -> Vec<u8> {
        of(6, &[uint(id), uint(status), uint(flags), bytes(body)])
    }

    pub fn busy(id: u64, retry: u64) -> Vec<u8> {
        numbers(7, &[id, retry])
    }

    pub fn cancel(id: u64, status: u64) -> Vec<u8> {
        numbers(8, &[id, status])
    }

    pub fn data(id: u64, chunk: &[u8]) -> Vec<u8> {
        of(9, &[uint(id), bytes(chunk)])
    }

    pub fn end(id: u64, status: u64) -> Vec<u8> {
        numbers(10, &[id, status])
    }

    pub fn credit(id: u64, limit: u64) -> Vec<u8> {
        numbers(11, &[id, limit])
    }

    pub fn subscribe(id: u64, limit: u64, filter: &str, from: Option<(u64, u64)>) -> Vec<u8> {
        let mut fields = vec![uint(id), uint(limit), text(filter)];
        fields.extend(from.into_iter().flat_map(|(epoch, sequence)| [uint(epoch), uint(sequence)]));
        of(12, &fields)
    }

    /// A publication at epoch 1; `total` stands where `flags` has `more`, or wherever a test wants it.
    pub fn publication(
        id: u64,
        missed: u64,
        flags: u64,
        topic: &str,
        sequence: u64,
        chunk: &[u8],
        total: Option<u64>,
    ) -> Vec<u8> {
        let mut fields =
            vec![uint(id), uint(missed), uint(flags), text(topic), uint(1), uint(sequence), bytes(chunk)];
        fields.extend(total.map(uint));
        of(13, &fields)
    }

    pub fn continuation(id: u64, flags: u64, chunk: &[u8]) -> Vec<u8> {
        of(14, &[uint(id), uint(flags), bytes(chunk)])
    }

    pub fn missed(id: u64, flags: u64, count: u64) -> Vec<u8> {
        numbers(15, &[id, flags, count])
    }

    /// A message to ignore whose content is so many bytes long.
    pub fn padding(len: usize) -> Vec<u8> {
        of(20, &[bytes(&vec![0; len])])
    }
}
