//! Messages as JSON, and back: the notation of `tests/vectors/README.md`.

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use serde_json::{Value, json};

/// Types of messages that are looked at one by one.  SPEC §9
pub mod kind {
    pub const PONG: u64 = 4;
    pub const DATA: u64 = 9;
    pub const CREDIT: u64 = 11;
    pub const SUBSCRIBE: u64 = 12;
    pub const PUBLICATION: u64 = 13;
    pub const CONTINUATION: u64 = 14;
    pub const PADDING: u64 = 20;
}

type EncodeError = minicbor::encode::Error<core::convert::Infallible>;

/// The messages of a frame.
pub fn decode(plaintext: &[u8]) -> Result<Vec<Value>, String> {
    let mut cbor = Decoder::new(plaintext);
    let mut messages = Vec::new();
    while cbor.position() < plaintext.len() {
        messages.push(item(&mut cbor).map_err(|error| format!("{}: {error}", hex(plaintext)))?);
    }
    Ok(messages)
}

fn item(cbor: &mut Decoder<'_>) -> Result<Value, minicbor::decode::Error> {
    let lacking = || minicbor::decode::Error::message("a length is missing");
    Ok(match cbor.datatype()? {
        Type::Array => {
            let len = cbor.array()?.ok_or_else(lacking)?;
            (0..len).map(|_| item(cbor)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Type::Map => {
            let len = cbor.map()?.ok_or_else(lacking)?;
            let pair = |_| Ok::<_, minicbor::decode::Error>(json!([item(cbor)?, item(cbor)?]));
            json!({ "map": (0..len).map(pair).collect::<Result<Vec<_>, _>>()? })
        }
        Type::Bytes => json!({ "hex": hex(cbor.bytes()?) }),
        Type::String => cbor.str()?.into(),
        Type::Bool => cbor.bool()?.into(),
        Type::Null => {
            cbor.null()?;
            Value::Null
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => uint(cbor.u64()?),
        _ => json!({ "int": i128::from(cbor.int()?).to_string() }),
    })
}

/// A number, as text where JSON's readers may round it.
pub fn uint(number: u64) -> Value {
    if number < 1 << 53 { number.into() } else { json!({ "uint": number.to_string() }) }
}

/// What this says of a number, in either form; 0 where it is none.
pub fn number(value: &Value) -> u64 {
    let digits = value["uint"].as_str().and_then(|digits| digits.parse().ok());
    digits.or(value.as_u64()).unwrap_or(0)
}

/// The plaintext of a frame with these messages.
pub fn encode(messages: &[Value]) -> Result<Vec<u8>, String> {
    let mut cbor = Encoder::new(Vec::new());
    messages.iter().try_for_each(|message| write(&mut cbor, message)).map_err(|error| error.to_string())?;
    Ok(cbor.into_writer())
}

fn write(cbor: &mut Encoder<Vec<u8>>, value: &Value) -> Result<(), EncodeError> {
    match value {
        Value::Array(items) => {
            cbor.array(items.len() as u64)?;
            return items.iter().try_for_each(|item| write(cbor, item));
        }
        Value::String(text) => cbor.str(text)?,
        Value::Bool(bool) => cbor.bool(*bool)?,
        Value::Null => cbor.null()?,
        Value::Number(number) => cbor.u64(number.as_u64().unwrap_or_default())?,
        Value::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Value::as_str);
            if let Some(Value::Array(pairs)) = object.get("map") {
                cbor.map(pairs.len() as u64)?;
                return pairs.iter().try_for_each(|pair| {
                    write(cbor, &pair[0])?;
                    write(cbor, &pair[1])
                });
            }
            match (text("hex"), text("uint"), text("int")) {
                (Some(digits), ..) => cbor.bytes(&unhex(digits))?,
                (_, Some(digits), _) => cbor.u64(digits.parse().unwrap_or_default())?,
                (.., digits) => {
                    let number = digits.and_then(|digits| digits.parse::<i128>().ok()).unwrap_or_default();
                    cbor.int(number.try_into().unwrap_or_else(|_| 0_u8.into()))?
                }
            }
        }
    };
    Ok(())
}

/// Whether this is what was expected; `{"any": true}` is everything, and of a body that is cut as the sender likes
/// `some_of` is a beginning and `last_of` an end.
pub fn matches(expected: &Value, found: &Value) -> bool {
    let of =
        |field: &str| Some((expected[field].as_str()?, found["hex"].as_str().filter(|hex| !hex.is_empty())?));
    match (expected, found) {
        (Value::Object(object), _) if object.contains_key("any") => true,
        (Value::Object(object), _) if object.contains_key("some_of") => {
            of("some_of").is_some_and(|(whole, part)| whole.starts_with(part))
        }
        (Value::Object(object), _) if object.contains_key("last_of") => {
            of("last_of").is_some_and(|(whole, part)| whole.ends_with(part))
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len()
                && expected.iter().zip(found).all(|(expected, found)| matches(expected, found))
        }
        _ => expected == found,
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Anything else than digits ends the bytes.
pub fn unhex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map_while(byte).collect()
}
