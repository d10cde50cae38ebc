//! All files, and how they are printed: a line for each field, and for each step.

use serde_json::{Value, json};

use super::{
    admission, bodies, cobs_packets, descriptions, encoding, endings, exchanges, framing, handshakes,
    identity, lines, payloads, preambles, publications, refusals, suites, timers, transport,
};
use crate::script::Script;

/// By name.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("admission.json", scripts(admission::scripts())),
        ("bodies.json", scripts(bodies::scripts())),
        ("cobs.json", vectors("cobs", cobs_packets::vectors())),
        ("descriptions.json", vectors("description", descriptions::vectors())),
        ("encoding.json", encoding::file()),
        ("endings.json", scripts(endings::scripts())),
        ("exchanges.json", scripts(exchanges::scripts())),
        ("framing.json", scripts(framing::scripts())),
        ("handshakes.json", vectors("handshake", handshakes::vectors())),
        ("handshakes-refused.json", vectors("mutation", refusals::vectors())),
        ("identity.json", vectors("identity", identity::vectors())),
        ("lines.json", finished(lines::scripts())),
        ("payloads.json", vectors("payload", payloads::vectors())),
        ("preambles.json", scripts(preambles::scripts())),
        ("publications.json", scripts(publications::scripts())),
        ("suites.json", scripts(suites::scripts())),
        ("timers.json", scripts(timers::scripts())),
        ("transport.json", vectors("transport", transport::vectors())),
    ]
}

pub fn vectors(kind: &str, vectors: Vec<Value>) -> Value {
    json!({ "protocol": 1, "kind": kind, "vectors": vectors })
}

/// The scripts, and before them the setups that they name.
fn scripts(scripts: Vec<Script>) -> Value {
    finished(scripts.into_iter().map(Script::finish))
}

fn finished(scripts: impl IntoIterator<Item = (String, Value, Value)>) -> Value {
    let mut setups = serde_json::Map::new();
    let mut list = Vec::new();
    for (name, setup, vector) in scripts {
        let first = setups.entry(name).or_insert_with(|| setup.clone());
        assert_eq!(*first, setup, "{vector}: two setups of one name");
        list.push(vector);
    }
    json!({ "protocol": 1, "kind": "script", "setups": setups, "vectors": list })
}

/// For people as well: what belongs together stands in one line.
pub fn print(file: &Value) -> String {
    let mut text = String::new();
    field(&mut text, 0, file);
    text.push('\n');
    text
}

/// How deep the structure is laid out: file, list of vectors, vector, list of steps.
const DEPTH: usize = 4;

fn field(text: &mut String, depth: usize, value: &Value) {
    let margin = "  ".repeat(depth);
    match value {
        Value::Object(fields) if depth < DEPTH && is_long(value) => {
            text.push('{');
            for (place, (name, value)) in fields.iter().enumerate() {
                *text += if place > 0 { ",\n" } else { "\n" };
                *text += &format!("{margin}  \"{name}\": ");
                field(text, depth + 1, value);
            }
            *text += &format!("\n{margin}}}");
        }
        Value::Array(items) if depth < DEPTH && items.iter().any(Value::is_object) && is_long(value) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                *text += if place > 0 { ",\n" } else { "\n" };
                *text += &format!("{margin}  ");
                field(text, depth + 1, item);
            }
            *text += &format!("\n{margin}]");
        }
        _ => *text += &line(value),
    }
}

fn is_long(value: &Value) -> bool {
    line(value).len() > 120
}

/// In one line, with room between.
fn line(value: &Value) -> String {
    match value {
        Value::Object(fields) if fields.is_empty() => "{}".into(),
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("\"{name}\": {}", line(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(line).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
