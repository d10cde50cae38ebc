//! Packets of serial lines.  SPEC §19.1

use serde_json::{Value, json};

use crate::common::attacker::{ANSWER, OFFER, framed};
use crate::messages::hex;

/// Byte for byte as SPEC §19.1 describes it.
pub fn encode(packet: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut block = Vec::new();
    // Behind a block of 254 bytes nothing is owed; else a zero byte stands between blocks.
    let mut owed = true;
    for byte in packet {
        owed = true;
        if *byte == 0 {
            out.push(block.len() as u8 + 1);
            out.append(&mut block);
            continue;
        }
        block.push(*byte);
        if block.len() == 254 {
            out.push(255);
            out.append(&mut block);
            owed = false;
        }
    }
    if owed {
        out.push(block.len() as u8 + 1);
        out.append(&mut block);
    }
    out.push(0);
    out
}

fn counting(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 255) as u8 + 1).collect()
}

fn packet(id: &str, title: &str, packet: &[u8]) -> Value {
    json!({
        "id": format!("cobs/{id}"), "title": title, "spec": ["SER-6", "§19.1"], "result": "accepted",
        "packet": hex(packet), "encoded": hex(&encode(packet)), "canonical": true,
    })
}

fn stream(id: &str, title: &str, rules: &[&str], max: usize, stream: &[u8], packets: &[&[u8]]) -> Value {
    let packets: Vec<String> = packets.iter().map(|packet| hex(packet)).collect();
    let verdict = if packets.is_empty() { "refused" } else { "accepted" };
    let spec: Vec<&str> = rules.iter().copied().chain(["§19.1"]).collect();
    json!({
        "id": format!("cobs/{id}"), "title": title, "spec": spec, "result": verdict,
        "max": max, "stream": hex(stream), "packets": packets,
    })
}

pub fn vectors() -> Vec<Value> {
    let mut all = vec![
        packet("offer", "a preamble", &OFFER),
        packet("answer", "a preamble", &ANSWER),
        packet("table-1", "of the table in §19.1", &[0, 3, 0x11, 0, 0x22]),
        packet("table-2", "of the table in §19.1", &[0x11, 0x22, 0]),
        packet("zeros", "nothing but zeros", &[0; 9]),
        packet("one", "one byte", &[1]),
        packet("one-zero", "one zero", &[0]),
    ];
    for len in [253, 254, 255, 256, 508, 509, 1_000] {
        all.push(packet(&format!("run-{len}"), "a long run without a zero", &counting(len)));
    }
    let zero_behind = [counting(254), vec![0]].concat();
    all.push(packet("run-254-zero", "254 bytes, then a zero", &zero_behind));
    let zero_before = [vec![0], counting(254)].concat();
    all.push(packet("zero-run-254", "a zero, then 254 bytes", &zero_before));
    let mut with_empty = encode(&counting(254));
    with_empty.truncate(with_empty.len() - 1);
    with_empty.extend([1, 0]);
    all.push(json!({
        "id": "cobs/run-254-empty-block", "title": "an empty block behind a full one", "spec": ["SER-7", "§19.1"],
        "result": "accepted", "packet": hex(&counting(254)), "encoded": hex(&with_empty), "canonical": false,
    }));
    all.extend(streams());
    all
}

fn streams() -> Vec<Value> {
    let frame = framed(&counting(40));
    let (offer, sent) = (encode(&OFFER), encode(&frame));
    let long = framed(&counting(512));
    let mut damaged = sent.clone();
    damaged[0] = 50;
    let two = [&offer[..], &sent].concat();
    let noise = [7, 9, 0, 0, 200, 1, 2, 0];
    let full = framed(&counting(253));
    let mut with_block = encode(&full);
    with_block.truncate(with_block.len() - 1);
    with_block.extend([1, 0]);
    vec![
        stream("two", "two packets", &["SER-1"], 514, &two, &[&OFFER, &frame]),
        stream(
            "zeros-between",
            "empty packets between",
            &["SER-1"],
            514,
            &[&[0, 0][..], &offer, &[0, 0], &sent, &[0]].concat(),
            &[&OFFER, &frame],
        ),
        stream(
            "noise-before",
            "noise before a packet",
            &["SER-1"],
            514,
            &[&noise[..], &sent].concat(),
            &[&frame],
        ),
        stream(
            "broken-off",
            "a packet that breaks off, then a whole one",
            &["SER-1"],
            514,
            &[&sent[..9], &[0], &sent].concat(),
            &[&frame],
        ),
        stream(
            "block-too-long",
            "a block that ends before it should",
            &["SER-1"],
            514,
            &[&damaged[..], &offer].concat(),
            &[&OFFER],
        ),
        stream(
            "unfinished",
            "a packet whose zero byte has not come",
            &["SER-1"],
            514,
            &sent[..sent.len() - 1],
            &[],
        ),
        stream(
            "no-delimiter",
            "two packets that have run together",
            &["SER-1"],
            514,
            &[&sent[..sent.len() - 1], &offer].concat(),
            &[],
        ),
        stream(
            "length-short",
            "a frame that is longer than it says",
            &["SER-1"],
            514,
            &encode(&[&frame[..], &[9]].concat()),
            &[],
        ),
        stream(
            "length-long",
            "a frame that is shorter than it says",
            &["SER-1"],
            514,
            &encode(&frame[..41]),
            &[],
        ),
        stream(
            "eight-bytes",
            "eight bytes that are no preamble",
            &["SER-1"],
            514,
            &encode(b"symc\x01\0\0\x01"),
            &[],
        ),
        stream("nine-bytes", "a preamble and a byte", &["SER-1"], 514, &encode(b"symb\x01\0\0\x01\x01"), &[]),
        stream("one-byte", "one byte", &["SER-1"], 514, &encode(&[5]), &[]),
        stream(
            "empty-block",
            "a full block and an empty one behind it",
            &["SER-7"],
            514,
            &with_block,
            &[&full],
        ),
        stream("longest", "as long as the receiver takes", &["SER-8"], 514, &encode(&long), &[&long]),
        stream(
            "too-long",
            "one byte more than the receiver takes",
            &["SER-8"],
            514,
            &[&encode(&framed(&counting(513)))[..], &sent].concat(),
            &[&frame],
        ),
        stream(
            "endless",
            "bytes without end, then a packet",
            &["SER-8"],
            514,
            &[&vec![3; 5_000][..], &[0], &sent].concat(),
            &[&frame],
        ),
        stream(
            "longer-max",
            "a receiver that takes more",
            &["SER-8"],
            1_026,
            &encode(&framed(&counting(1_024))),
            &[&framed(&counting(1_024))],
        ),
    ]
}
