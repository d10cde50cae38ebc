//! Two connections in memory.

use symbolon::Connection;

use crate::meter::{metered, reset, usage};
use crate::paths::{Chunks, Conversation, Devices, FanOut, NOW, Publications, Publishers, Subscribing};
use crate::{provider, row, rows_of};

const TIMES: usize = 1_000;
const LINKS: u64 = 1_000;

pub fn rows() {
    let provider = provider();
    for side in [Side::Initiator, Side::Responder] {
        handshake(&Devices::new(provider), side);
    }
    let mut conversation = Conversation::new(provider);
    nothing("request of 64 bytes and its reply, both ends", || _ = conversation.run());
    let mut publications = Publications::one(provider, 64);
    nothing("publication of 64 bytes, both ends", || _ = publications.run());
    let mut longest = Publications::longest(provider);
    nothing("publication of 16 KiB, both ends", || _ = longest.run());
    let mut chunks = Chunks::new(provider, Chunks::OF_A_FRAME);
    nothing("chunk of 16 KiB, both ends", || _ = chunks.run());
    let mut subscribing = Subscribing::new(provider);
    // Filters are kept, and are no messages.
    rows_of("subscribing and leaving, both ends", TIMES, || _ = subscribing.run());
    let mut table = FanOut::new(LINKS);
    (0..100).for_each(|_| table.run_alone());
    nothing("publication in the table of topics, for 1,000 links", || table.run_alone());
    let mut publishers = Publishers::new(provider, 100);
    (0..100).for_each(|_| _ = publishers.run());
    nothing("the same for 100 links, queued and sealed", || _ = publishers.run());
}

/// In the steady state.
fn nothing(name: &str, run: impl FnMut()) {
    rows_of(name, TIMES, run);
    assert_eq!(usage().count, 0, "the core allocates: {name}");
}

#[derive(Clone, Copy)]
enum Side {
    Initiator,
    Responder,
}

/// One side of it; what stays is an idle connection.
fn handshake(devices: &Devices, side: Side) {
    reset();
    let (mut ours, mut other, name) = match side {
        Side::Initiator => (metered(|| devices.initiator()), devices.responder(), "initiator"),
        Side::Responder => (metered(|| devices.responder()), devices.initiator(), "responder"),
    };
    while !(ours.is_connected() && other.is_connected()) {
        while let Some(bytes) = metered(|| ours.poll_transmit(NOW)) {
            let taken = other.handle_input(NOW, bytes);
            metered(|| ours.advance_transmit(taken));
            drain(&mut other);
        }
        while let Some(bytes) = other.poll_transmit(NOW) {
            let taken = metered(|| ours.handle_input(NOW, bytes));
            other.advance_transmit(taken);
            metered(|| drain(&mut ours));
        }
    }
    row(
        &format!(
            "handshake, {name}; what stays is an idle connection beside its struct, whom it admits included"
        ),
        1,
    );
}

fn drain(connection: &mut Connection) {
    while connection.poll_event().is_some() {}
}
