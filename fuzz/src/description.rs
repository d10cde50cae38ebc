//! SPEC §22 once more, against the library's decoder: any bytes are a description or none.

use symbolon::Description;

use super::common::cbor::head;
use super::strict::{Value, item_within};

/// A name, the number behind it, if there is one, and a text.
type Element = (String, Option<u64>, Option<String>);

struct Told {
    name: Option<String>,
    methods: Vec<Element>,
    topics: Vec<Element>,
}

/// The library and the model agree about these bytes; what is a description can be told again, and is the same.
pub fn description(bytes: &[u8]) {
    let (heard, told) = (Description::from_bytes(bytes), told(bytes));
    assert_eq!(heard.is_ok(), told.is_some(), "{heard:?}");
    let (Ok(heard), Some(told)) = (heard, told) else { return };
    assert_eq!(heard.name(), told.name.as_deref());
    let bits = |number: Option<u64>| (number.unwrap_or(0) & 1 != 0, number.unwrap_or(0) & 2 != 0);
    let methods = told.methods.iter().map(|(name, number, text)| (&**name, bits(*number), text.as_deref()));
    assert!(heard.methods().map(|m| (m.name, (m.request_chunks, m.reply_chunks), m.text)).eq(methods));
    let topics =
        told.topics.iter().map(|(name, number, text)| (&**name, *number == Some(1), text.as_deref()));
    assert!(heard.topics().map(|topic| (topic.name, topic.is_event, topic.text)).eq(topics));

    let again = Description::encode(heard.name(), heard.methods(), heard.topics()).expect("it may be told");
    assert!(again.as_bytes().len() <= bytes.len(), "without what is ignored");
    let same = Description::from_bytes(again.as_bytes()).expect("it is one");
    assert!((same.name(), same.methods().count()) == (heard.name(), heard.methods().count()));
    assert!(same.methods().eq(heard.methods()) && same.topics().eq(heard.topics()));
}

fn told(bytes: &[u8]) -> Option<Told> {
    let mut rest = bytes;
    let pairs = counted(&mut rest, 5)?;
    let (mut name, mut methods, mut topics) = (None, None, None);
    let mut least = 0;
    for _ in 0..pairs {
        let key = counted(&mut rest, 0).filter(|key| (least..=23).contains(key))?;
        least = key + 1;
        match key {
            1 => methods = Some(elements(&mut rest)?),
            2 => topics = Some(elements(&mut rest)?),
            _ => {
                let (value, len) = item_within(rest, 3)?;
                rest = &rest[len..];
                if key == 0 {
                    name = Some(words(value, 64)?);
                }
            }
        }
    }
    let (methods, topics) = (methods?, topics?);
    let kinds = topics.iter().all(|(_, kind, _)| matches!(kind, Some(0 | 1)));
    let fine = rest.is_empty() && bytes.len() <= 65_536 && kinds && ascend(&methods) && ascend(&topics);
    fine.then_some(Told { name, methods, topics })
}

/// The number in the head of an item of this kind, in its shortest form.
fn counted(rest: &mut &[u8], major: u8) -> Option<u64> {
    let width = match rest.first()? & 31 {
        info @ 0..=23 => return (rest.split_off_first()? >> 5 == major).then_some(info.into()),
        info @ 24..=27 => 1 << (info - 24),
        _ => return None,
    };
    let number = rest.get(1..=width)?.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    rest.split_off(..=width).filter(|taken| *taken == head(major, number)).map(|_| number)
}

fn elements(rest: &mut &[u8]) -> Option<Vec<Element>> {
    let count = counted(rest, 4).filter(|count| *count <= 1_024)?;
    let mut elements = Vec::new();
    for _ in 0..count {
        let (value, len) = item_within(rest, 2)?;
        *rest = &rest[len..];
        elements.push(element(value)?);
    }
    Some(elements)
}

fn element(value: Value) -> Option<Element> {
    let Value::Map(pairs) = value else { return None };
    let (mut name, mut number, mut text) = (None, None, None);
    for (key, value) in pairs {
        match (key, value) {
            (Value::Unsigned(0), Value::Text(text)) => name = Some(text),
            (Value::Unsigned(1), Value::Unsigned(value)) => number = Some(value),
            (Value::Unsigned(2), value) => text = Some(words(value, 256)?),
            (Value::Unsigned(3..), _) => {}
            _ => return None,
        }
    }
    let name = name.filter(|name| is_listed(name))?;
    Some((name, number, text))
}

/// SPEC §13, without reserved names.
fn is_listed(name: &str) -> bool {
    let is_bad = |c: char| matches!(c, '+' | '#' | '\0'..='\x1f' | '\x7f');
    let is_level = |level: &str| !level.is_empty() && !level.starts_with('$') && !level.contains(is_bad);
    name.len() <= 128 && name.split('/').all(is_level)
}

fn words(value: Value, most: usize) -> Option<String> {
    let Value::Text(text) = value else { return None };
    let fine = (1..=most).contains(&text.len()) && !text.chars().any(|c| c < ' ' || c == '\x7f');
    fine.then_some(text)
}

fn ascend(elements: &[Element]) -> bool {
    elements.windows(2).all(|pair| pair[0].0.as_bytes() < pair[1].0.as_bytes())
}
