//! Writing a description.  SPEC §22

use super::{MethodDescription, REPLY_CHUNKS, REQUEST_CHUNKS, TopicDescription};
use crate::wire::cbor::{Sink, Slot};

pub(super) fn write<'e>(
    out: &mut Slot<'_>,
    name: Option<&str>,
    methods: impl Iterator<Item = MethodDescription<'e>> + Clone,
    topics: impl Iterator<Item = TopicDescription<'e>> + Clone,
) {
    out.map(2 + u64::from(name.is_some()));
    if let Some(name) = name {
        out.unsigned(0);
        out.text(name);
    }
    out.unsigned(1);
    out.array(methods.clone().count() as u64);
    for MethodDescription { name, request_chunks, reply_chunks, text } in methods {
        let bit = |set: bool, bit: u64| if set { bit } else { 0 };
        let chunks = bit(request_chunks, REQUEST_CHUNKS) | bit(reply_chunks, REPLY_CHUNKS);
        write_element(out, name, (chunks > 0).then_some(chunks), text);
    }
    out.unsigned(2);
    out.array(topics.clone().count() as u64);
    for TopicDescription { name, is_event, text } in topics {
        write_element(out, name, Some(is_event.into()), text);
    }
}

fn write_element(out: &mut Slot<'_>, name: &str, number: Option<u64>, text: Option<&str>) {
    out.map(1 + u64::from(number.is_some()) + u64::from(text.is_some()));
    out.unsigned(0);
    out.text(name);
    if let Some(number) = number {
        out.unsigned(1);
        out.unsigned(number);
    }
    if let Some(text) = text {
        out.unsigned(2);
        out.text(text);
    }
}
