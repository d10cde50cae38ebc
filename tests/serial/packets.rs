//! What goes over the line, and what is dropped there.  SPEC §19.1

use std::time::Duration;

use symbolon::serial::Line;
use symbolon::{Connection, Limits, Role};

use crate::by_hand::{OnLine, decode, encode, on_the_line, packets};
use crate::common::attacker::{ANSWER, OFFER, framed};
use crate::common::cbor::message;
use crate::world::{Random, World};

/// The reference of these tests against SPEC.md, and against itself.
#[test]
fn the_examples_of_the_spec() {
    let spec = include_str!("../../SPEC.md");
    let section =
        spec.split("### 19.1").nth(1).expect("a section").split("### 19.2").next().expect("its end");
    let mut examples = 0;
    for row in section.lines().filter(|row| row.starts_with("| `")) {
        let mut cells = row.split('|').skip(1).map(hex);
        let (packet, line) = (cells.next().expect("a cell"), cells.next().expect("a cell"));
        assert_eq!(on_the_line(&packet), line, "{row}");
        assert_eq!(packets(&line), [packet], "{row}");
        examples += 1;
    }
    assert_eq!(examples, 7);
}

/// Hexadecimal in backticks, where `…` stands for the bytes between its neighbours.
fn hex(cell: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut to = false;
    let cell = cell.split('(').next().expect("the bytes").replace('`', " ");
    for word in cell.split_whitespace() {
        let Ok(byte) = u8::from_str_radix(word, 16) else {
            to = true;
            continue;
        };
        if std::mem::take(&mut to) {
            let from = bytes.last().expect("a byte before") + 1;
            bytes.extend(from..byte);
        }
        bytes.push(byte);
    }
    bytes
}

/// SER-6: what a session says is whole packets, each with its zero byte behind; and one before.
#[test]
fn each_packet_stands_in_zero_bytes() {
    let mut world = World::connected(1);
    for len in [0, 1, 252, 253, 254, 255, 500, 1_500] {
        let body = world.random.bytes(len);
        world.a.running().ask(world.now, &body);
        world.a.running().ask(world.now, &vec![7; len]);
        world.pass(Duration::from_secs(2));
    }
    assert_eq!(world.a.running().answered, 16);
    for record in [&world.a_to_b.record, &world.b_to_a.record] {
        let packets = packets(record);
        assert!(packets.len() >= 10);
        assert_eq!(record[0], 0);
        let zeros = record.iter().filter(|byte| **byte == 0).count();
        assert_eq!(zeros, 2 * packets.len());
        for packet in &packets[1..] {
            assert_eq!(usize::from(u16::from_be_bytes([packet[0], packet[1]])), packet.len() - 2);
            assert_eq!(decode(&encode(packet)).as_ref(), Some(packet));
        }
    }
    assert_eq!(packets(&world.a_to_b.record)[0], OFFER);
    assert_eq!(packets(&world.b_to_a.record)[0], ANSWER);
    assert_eq!((world.a.line.dropped(), world.b.line.dropped()), (0, 0));
}

/// SER-7: both forms of a packet that ends in 254 bytes without a zero.
#[test]
fn a_full_last_block_may_have_an_empty_one_behind() {
    for form in [&[][..], &[1][..]] {
        let mut random = Random::new(3);
        let mut on_line = OnLine::connected(Role::Initiator);
        // Frames until one ends in a full block: its last 254 bytes, and no more, are without a zero.
        let frame = (0..20_000).find_map(|_| {
            let padding = [&[0x82, 20, 0x59, 0x01, 0x68][..], &random.bytes(360)].concat();
            let frame = on_line.attacker.seal_at(0, &padding);
            let run = frame.iter().rev().take_while(|byte| **byte != 0).count();
            (run == 254).then_some(frame)
        });
        let frame = frame.expect("one in a few hundred is such a frame");
        let blocks = encode(&frame);
        assert_eq!(blocks[blocks.len() - 255], 255);
        on_line.side.hear(on_line.now, &[&blocks, form, &[0][..]].concat());
        assert_eq!(on_line.side.line.dropped(), 0);
        on_line.attacker.sending = 1;
        let ping = on_line.attacker.seal(&message::ping(9));
        on_line.say(&ping);
        assert_eq!(on_line.heard(), [message::pong(9)]);
    }
}

/// SER-1: damaged, too long, of no known form: dropped, with no other effect, whether a session runs or not.
#[test]
fn what_is_no_packet_is_dropped() {
    let mut random = Random::new(4);
    for connected in [false, true] {
        let mut world = if connected { World::connected(5) } else { World::new(5) };
        let wrong_length = framed(&[1; 40]);
        let mut wrong: Vec<Vec<u8>> = vec![
            // Breaks off within a block.
            vec![9, 1, 2, 3, 0],
            [vec![255], vec![1; 253], vec![0]].concat(),
            // The same, with all bytes of an offer there.
            b"\x06symb\x01\x01\x03\x01\x00".to_vec(),
            on_the_line(&[]),
            on_the_line(&[0]),
            on_the_line(&OFFER[..7]),
            on_the_line(b"sym0\x01\x00\x00\x01"),
            on_the_line(b"SYMBOLON"),
            on_the_line(b"GET / HTTP/1.1\r\n"),
            on_the_line(&wrong_length[..41]),
            on_the_line(&[&wrong_length[..], b"!"].concat()),
            on_the_line(&framed(&[])),
            on_the_line(&framed(&[5; 60_000])),
            on_the_line(&[1; 70_000]),
            // A responder's answer that nobody waits for.
            on_the_line(&ANSWER),
        ];
        wrong.extend((0..200).map(|_| {
            let len = 1 + random.below(300);
            let noise = random.bytes(len).into_iter().filter(|byte| *byte != 0);
            noise.chain([0x77, 0]).collect()
        }));
        for (place, bytes) in wrong.iter().enumerate() {
            let before = world.b.line.dropped();
            world.b.hear(world.now, bytes);
            assert_eq!(world.b.line.dropped(), before + 1, "{place}");
            assert_eq!(world.b.offers, usize::from(connected), "{place}");
            assert_eq!(world.b.say(world.now), b"", "{place}");
        }
        if connected {
            world.echo();
        } else {
            world.a.dial(world.now);
            world.pass(Duration::from_millis(500));
            assert!(world.both_connected());
        }
    }
}

/// Zero bytes with nothing between them are no packets.
#[test]
fn empty_packets_are_ignored() {
    let mut world = World::connected(6);
    world.b_to_a.inject(world.now, &[0; 1_000]);
    world.a_to_b.inject(world.now, &[0; 1_000]);
    world.echo();
    assert_eq!((world.a.line.dropped(), world.b.line.dropped()), (0, 0));
}

/// SER-8: storage is bounded by what may come at this moment, and grows as bytes come.
#[test]
fn a_packet_is_stored_as_it_comes_and_never_beyond_its_bound() {
    let mut limits = Limits::default();
    (limits.max_frame, limits.buffer_at_rest) = (4_000, 0);
    let mut line = Line::<Connection>::new(&limits);
    let at_rest = line.buffered();
    let now = symbolon::Instant::from_millis(1);
    let mut none = || None;
    // One byte of a block, whose length promises more.
    for byte in [255, 7, 7, 7] {
        assert_eq!(line.handle_input(now, &[byte], &mut none), 1);
    }
    assert!(line.buffered() <= at_rest + 64, "{}", line.buffered());
    for _ in 0..1_000 {
        assert_eq!(line.handle_input(now, &[7; 1_000], &mut none), 1_000);
        assert!(line.buffered() <= at_rest + 514, "{}", line.buffered());
    }
    assert_eq!(line.handle_input(now, &[0], &mut none), 1);
    assert_eq!(line.dropped(), 1);

    let mut world = World::connected(7);
    world.echo();
    let (before, most) = (world.b.line.buffered(), 2 + 2_000);
    for _ in 0..1_000 {
        world.b.hear(world.now, &[7; 1_000]);
        assert!(world.b.line.buffered() <= before + most, "{}", world.b.line.buffered());
    }
    assert!(world.b.line.buffered() > 1_000);
    world.b.hear(world.now, &[0]);
    world.echo();
    assert_eq!(world.b.line.dropped(), 1);
}

/// FRM-4 on a line, and §15: a packet comes in any pieces and at any pace; the frame timer does not run.
#[test]
fn a_packet_may_take_its_time() {
    let mut on_line = OnLine::connected(Role::Initiator);
    let ping = on_line.attacker.seal(&message::ping(1));
    for byte in on_the_line(&ping) {
        on_line.side.hear(on_line.now, &[byte]);
        on_line.pass(Duration::from_millis(700));
    }
    assert!(on_line.heard().concat().windows(3).any(|part| part == message::pong(1)));
    // One that is never finished ends at the next zero byte, and the one behind it is taken.
    on_line.side.hear(on_line.now, &[40, 1, 2, 3]);
    on_line.pass(Duration::from_secs(20));
    on_line.side.hear(on_line.now, &[0]);
    let ping = on_line.attacker.seal(&message::ping(2));
    on_line.say(&ping);
    assert!(on_line.heard().concat().windows(3).any(|part| part == message::pong(2)));
    assert_eq!(on_line.side.line.dropped(), 1);
}
