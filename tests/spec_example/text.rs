//! The text of the appendix, and how bytes and items are written in it.

use core::fmt::Write;

use minicbor::Decoder;
use minicbor::data::Type;

use crate::Example;

impl Example {
    pub fn say(&mut self, text: &str) {
        writeln!(self.text, "\n{text}").unwrap();
    }

    pub fn open(&mut self, title: &str) {
        writeln!(self.text, "\n### {title}\n\n```text").unwrap();
    }

    pub fn close(&mut self) {
        self.line("```");
    }

    pub fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").unwrap();
    }

    /// A label, and a value in lines of 32 bytes.
    pub fn value(&mut self, label: &str, value: &[u8]) {
        for (i, bytes) in value.chunks(32).enumerate() {
            let label = if i == 0 { label } else { "" };
            writeln!(self.text, "{label:31} {}", hex(bytes)).unwrap();
        }
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The next item, as RFC 8949 §8 writes it.
pub fn diagnostic(cbor: &mut Decoder<'_>) -> String {
    match cbor.datatype().expect("an item") {
        Type::Bytes => format!("h'{}'", hex(cbor.bytes().unwrap())),
        Type::String => format!("{:?}", cbor.str().unwrap()),
        Type::Array => {
            let items = cbor.array().unwrap().expect("a length");
            let items: Vec<_> = (0..items).map(|_| diagnostic(cbor)).collect();
            format!("[{}]", items.join(", "))
        }
        Type::Map => {
            let items = cbor.map().unwrap().expect("a length");
            let items = (0..items).map(|_| format!("{}: {}", diagnostic(cbor), diagnostic(cbor)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
        _ => cbor.u64().expect("an unsigned integer").to_string(),
    }
}
