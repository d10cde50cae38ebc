//! SPEC.md's §8 and §9 once more, in a few lines that share nothing with the library: what is a message, and what is none.
//!
//! An item is read by the general rules of CBOR and written again by the one form that SPEC §8.1 allows; where the two
//! differ, it was not canonical.

/// Why a plaintext is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bad {
    /// ENC-1, ENC-2: outside the profile of SPEC §8.1.
    Encoding,
    /// ENC-4, ENC-6, ENC-7, ENC-9, MSG-1, NAM-2: canonical, and no message.
    Form,
}

/// A canonical item; what no field of version 1 has is only known to be there.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Unsigned(u64),
    Negative(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Simple(u8),
}

/// A message: its type, and all of its elements behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub kind: u64,
    pub fields: Vec<Value>,
    /// Of the whole message, as SPEC §11 counts costs.
    pub len: usize,
}

impl Told {
    /// SPEC §8.2, ENC-5.
    pub fn is_ignorable(&self) -> bool {
        (20..=23).contains(&self.kind)
    }

    /// The number in this field, the first behind the type being 0.
    pub fn number(&self, field: usize) -> Option<u64> {
        match self.fields.get(field) {
            Some(Value::Unsigned(number)) => Some(*number),
            _ => None,
        }
    }
}

/// The messages of a plaintext, up to the first that is none.
pub fn messages(mut plaintext: &[u8]) -> (Vec<Told>, Option<Bad>) {
    let mut messages = Vec::new();
    while !plaintext.is_empty() {
        match message(plaintext) {
            Ok(message) => {
                plaintext = &plaintext[message.len..];
                messages.push(message);
            }
            Err(bad) => return (messages, Some(bad)),
        }
    }
    (messages, None)
}

/// The first item, canonical, and its length.
pub fn item(bytes: &[u8]) -> Option<(Value, usize)> {
    item_within(bytes, 4)
}

/// The same where only so many levels may still begin.
pub fn item_within(bytes: &[u8], levels: usize) -> Option<(Value, usize)> {
    let mut rest = bytes;
    let value = read(&mut rest, levels)?;
    let len = bytes.len() - rest.len();
    let mut written = Vec::new();
    write(&value, &mut written);
    (written == bytes[..len]).then_some((value, len))
}

fn message(plaintext: &[u8]) -> Result<Told, Bad> {
    let (value, len) = item(plaintext).ok_or(Bad::Encoding)?;
    let Value::Array(mut fields) = value else { return Err(Bad::Form) };
    if fields.is_empty() {
        return Err(Bad::Form);
    }
    let Value::Unsigned(kind) = fields.remove(0) else { return Err(Bad::Form) };
    if !is_well_formed(kind, &fields) {
        return Err(Bad::Form);
    }
    Ok(Told { kind, fields, len })
}

/// SPEC §9.
fn is_well_formed(kind: u64, fields: &[Value]) -> bool {
    use Field::{Bytes, Flags, Name, UpTo};
    const ID: Field = UpTo(u64::MAX);
    const U64: Field = UpTo(u64::MAX);
    const U32: Field = UpTo(u32::MAX as u64);
    const STATUS: Field = UpTo(u16::MAX as u64);
    let wanted: &[Field] = match kind {
        0 | 20..=23 => &[],
        1 => &[STATUS],
        2..=4 => &[U64],
        5 => &[ID, U32, Flags(1), Name, Bytes],
        6 => &[ID, STATUS, Flags(1), Bytes],
        7 => &[ID, U32],
        8 | 10 => &[ID, STATUS],
        9 => &[ID, Bytes],
        11 => &[ID, U64],
        // MSG-1: four elements with the type, or six.
        12 if fields.len() == 3 => &[ID, U64, Name],
        12 => &[ID, U64, Name, U32, U64],
        13 if matches!(fields.get(2), Some(Value::Unsigned(flags)) if flags & 1 != 0) => {
            &[ID, U32, Flags(7), Name, U32, U64, Bytes, U64]
        }
        13 => &[ID, U32, Flags(7), Name, U32, U64, Bytes],
        14 => &[ID, Flags(3), Bytes],
        15 => &[ID, Flags(2), U32],
        _ => return false,
    };
    fields.len() >= wanted.len() && wanted.iter().zip(fields).all(|(wanted, field)| wanted.takes(field))
}

/// What SPEC §9 says of an element.
enum Field {
    Bytes,
    /// With these bits defined.
    Flags(u64),
    Name,
    UpTo(u64),
}

impl Field {
    fn takes(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bytes, Value::Bytes(_)) => true,
            (Self::Flags(defined), Value::Unsigned(flags)) => flags & !defined == 0,
            (Self::Name, Value::Text(name)) => name.len() <= 128,
            (Self::UpTo(most), Value::Unsigned(number)) => number <= most,
            _ => false,
        }
    }
}

/// Reads by RFC 8949 what the profile knows, in whatever form; `None` for all else.
fn read(rest: &mut &[u8], levels: usize) -> Option<Value> {
    let initial = *rest.split_off_first()?;
    let (major, info) = (initial >> 5, initial & 31);
    if major == 7 {
        return matches!(info, 20..=22).then_some(Value::Simple(info));
    }
    let argument = match info {
        0..=23 => u64::from(info),
        24..=27 => {
            rest.split_off(..1 << (info - 24))?.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
        }
        _ => return None,
    };
    let content = |rest: &mut &[u8]| Some(rest.split_off(..usize::try_from(argument).ok()?)?.to_vec());
    match major {
        0 => Some(Value::Unsigned(argument)),
        1 => Some(Value::Negative(argument)),
        2 => content(rest).map(Value::Bytes),
        3 => String::from_utf8(content(rest)?).ok().map(Value::Text),
        4 if argument <= 32 && levels > 0 => {
            (0..argument).map(|_| read(rest, levels - 1)).collect::<Option<_>>().map(Value::Array)
        }
        5 if argument <= 24 && levels > 0 => {
            let mut pair = |_| Some((read(rest, levels - 1)?, read(rest, levels - 1)?));
            let pairs = (0..argument).map(&mut pair).collect::<Option<Vec<_>>>()?;
            let keys = pairs.iter().map(|(key, _)| match key {
                Value::Unsigned(key) => Some(*key),
                _ => None,
            });
            let keys = keys.collect::<Option<Vec<_>>>()?;
            let ascend = keys.is_sorted_by(|a, b| a < b) && keys.last().is_none_or(|last| *last <= 23);
            ascend.then_some(Value::Map(pairs))
        }
        _ => None,
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    use super::common::cbor::head;
    match value {
        Value::Unsigned(number) => out.extend(head(0, *number)),
        Value::Negative(number) => out.extend(head(1, *number)),
        Value::Bytes(content) => {
            out.extend(head(2, content.len() as u64));
            out.extend(content);
        }
        Value::Text(content) => {
            out.extend(head(3, content.len() as u64));
            out.extend(content.as_bytes());
        }
        Value::Array(items) => {
            out.extend(head(4, items.len() as u64));
            items.iter().for_each(|item| write(item, out));
        }
        Value::Map(pairs) => {
            out.extend(head(5, pairs.len() as u64));
            for (key, value) in pairs {
                write(key, out);
                write(value, out);
            }
        }
        Value::Simple(number) => out.push(0xe0 | number),
    }
}
