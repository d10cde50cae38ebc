//! Messages in the notation of the files, for the scripts: one function for each type of SPEC §9.

use serde_json::{Value, json};

use crate::messages::{hex, uint};

/// A byte string.
pub fn bytes(content: &[u8]) -> Value {
    json!({ "hex": hex(content) })
}

/// Whatever an implementation chooses.
pub fn any() -> Value {
    json!({ "any": true })
}

pub fn accept() -> Value {
    json!([0])
}

pub fn close(status: u16) -> Value {
    json!([1, status])
}

pub fn goaway(last: u64) -> Value {
    json!([2, uint(last)])
}

pub fn ping(token: u64) -> Value {
    json!([3, uint(token)])
}

pub fn pong(token: u64) -> Value {
    json!([4, uint(token)])
}

pub fn request(id: u64, method: &str, body: &[u8]) -> Value {
    json!([5, uint(id), 0, 0, method, bytes(body)])
}

/// With a body that goes on.
pub fn opening(id: u64, method: &str, body: &[u8]) -> Value {
    json!([5, uint(id), 0, 1, method, bytes(body)])
}

pub fn response(id: u64, status: u16, body: &[u8]) -> Value {
    json!([6, uint(id), status, 0, bytes(body)])
}

/// With a body that goes on; so a subscription is accepted, too.
pub fn answering(id: u64, body: &[u8]) -> Value {
    json!([6, uint(id), 0, 1, bytes(body)])
}

pub fn busy(id: u64, retry: u32) -> Value {
    json!([7, uint(id), retry])
}

pub fn cancel(id: u64, status: u16) -> Value {
    json!([8, uint(id), status])
}

pub fn data(id: u64, chunk: &[u8]) -> Value {
    json!([9, uint(id), bytes(chunk)])
}

/// A beginning of these bytes, cut as the sender likes.
pub fn some_data(id: u64, of: &[u8]) -> Value {
    json!([9, uint(id), { "some_of": hex(of) }])
}

/// Their end.
pub fn last_data(id: u64, of: &[u8]) -> Value {
    json!([9, uint(id), { "last_of": hex(of) }])
}

pub fn end(id: u64, status: u16) -> Value {
    json!([10, uint(id), status])
}

pub fn credit(id: u64, limit: u64) -> Value {
    json!([11, uint(id), uint(limit)])
}

pub fn subscribe(id: u64, limit: u64, filter: &str) -> Value {
    json!([12, uint(id), uint(limit), filter])
}

/// A publication of epoch 7, with these flags and nothing missed.
pub fn publication(id: u64, flags: u8, topic: &str, sequence: u64, chunk: &[u8]) -> Value {
    json!([13, uint(id), 0, flags, topic, 7, uint(sequence), bytes(chunk)])
}

/// The first part of a longer one.
pub fn first_part(id: u64, topic: &str, sequence: u64, chunk: &[u8], total: u64) -> Value {
    json!([13, uint(id), 0, 1, topic, 7, uint(sequence), bytes(chunk), uint(total)])
}

pub fn continuation(id: u64, flags: u8, chunk: &[u8]) -> Value {
    json!([14, uint(id), flags, bytes(chunk)])
}

pub fn missed(id: u64, flags: u8, count: u32) -> Value {
    json!([15, uint(id), flags, count])
}

/// So many bytes to ignore.
pub fn padding(len: usize) -> Value {
    json!([20, bytes(&vec![0; len])])
}
