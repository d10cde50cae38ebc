//! Sentence 6: *How the byte stream is cut makes no difference to the events.*
//!
//! Two applications that act on nothing but events hold a conversation; what each wrote is then replayed to the other,
//! cut in another way each time.

mod common;

use std::sync::LazyLock;

use common::attacker::{Attacker, Knobs, VICTIM};
use common::cbor::message;
use common::{Happened, device_with, seed};
use proptest::prelude::*;
use symbolon::{
    Admission, CloseReason, Config, Connection, ExchangeId, Instant, Missed, Outgoing, PeerMisbehaved, Point,
    RequestHead, Role, Status, StopCause, SubscribeOptions, WireError,
};

const NOW: Instant = Instant::from_millis(1_000);

/// What an application does when this happens.
type App = fn(&mut Connection, &Happened, &mut Memory);

/// What the dialling application has to remember.
#[derive(Default)]
struct Memory {
    slow: Option<ExchangeId>,
    /// What came so far of a publication in parts.
    cost: u32,
    unsubscribed: bool,
    has_copy: bool,
}

/// A side of the conversation: its connection, what its application knows, and what both have done.
struct Side {
    connection: Connection,
    app: App,
    memory: Memory,
    events: Vec<Happened>,
    written: Vec<u8>,
}

impl Side {
    fn new(connection: Connection, app: App) -> Self {
        let mut side =
            Self { connection, app, memory: Memory::default(), events: Vec::new(), written: Vec::new() };
        side.write();
        side
    }

    fn dialler() -> Self {
        Self::new(Connection::initiator(&config(2), Admission::Ask, seed(101), NOW), dial)
    }

    fn lamp() -> Self {
        Self::new(Connection::responder(&config(3), Admission::Ask, seed(102), NOW), serve)
    }

    fn feed(&mut self, mut input: &[u8]) {
        loop {
            let taken = self.connection.handle_input(NOW, input);
            input = &input[taken..];
            let before = self.events.len();
            self.react();
            if input.is_empty() {
                return;
            }
            assert!(taken > 0 || self.events.len() > before, "neither bytes nor events");
        }
    }

    fn react(&mut self) {
        while let Some(event) = self.connection.poll_event().map(Happened::from) {
            (self.app)(&mut self.connection, &event, &mut self.memory);
            self.events.push(event);
            self.write();
        }
        self.write();
    }

    fn write(&mut self) {
        while let Some(bytes) = self.connection.poll_transmit(NOW) {
            let len = bytes.len();
            self.written.extend_from_slice(bytes);
            self.connection.advance_transmit(len);
        }
    }

    /// Hands in a whole stream in pieces of these lengths, the last of them again and again, and its end.
    fn replay(mut self, stream: &[u8], pieces: &[usize]) -> (Vec<Happened>, Vec<u8>) {
        let mut rest = stream;
        let mut pieces = pieces.iter().copied();
        let mut piece = pieces.next().unwrap_or(stream.len());
        while !rest.is_empty() {
            let (first, behind) = rest.split_at(piece.min(rest.len()));
            self.feed(first);
            rest = behind;
            piece = pieces.next().unwrap_or(piece);
        }
        self.connection.handle_eof(NOW);
        self.react();
        (self.events, self.written)
    }
}

fn config(n: u8) -> Config {
    device_with(n, |limits, _| {
        limits.max_frame = 2_000;
        limits.window = 8_000;
    })
}

/// Asks three times, subscribes, asks for something slow and gives it up, and parts after the last publication.
fn dial(connection: &mut Connection, event: &Happened, memory: &mut Memory) {
    match event {
        Happened::Admission(_) => connection.admit(NOW).unwrap(),
        Happened::Connected(_) => {
            for len in [0, 1, 1_500] {
                connection.request(NOW, "echo", &vec![7; len], None).unwrap();
            }
            let mut options = SubscribeOptions::default();
            (options.window, options.largest) = (40_000, 5_000);
            connection.subscribe_with("room/#", &options).unwrap();
            let head = RequestHead { method: "copy", body: b"two parts", more: true, deadline: None };
            let copy = connection.open(NOW, &head).unwrap();
            // Several frames, within the lamp's window: what credit allows leaves when it comes, and not with an event.
            assert_eq!(connection.write(copy, &[3; 5_000]), Ok(5_000));
            assert_eq!(connection.write(copy, b"the end"), Ok(7));
            connection.finish(copy).unwrap();
        }
        Happened::Data(id, _, cost) => connection.release(*id, *cost).unwrap(),
        Happened::Request { id, .. } => connection.respond(*id, Status::NOT_FOUND, b"").unwrap(),
        Happened::Response { id, .. } if id.number() == 6 => {
            let slow = connection.request(NOW, "slow", b"", None).unwrap();
            // It leaves before it is given up, so that the lamp hears of both.
            memory.slow = Some(slow);
        }
        Happened::Continuation { id, cost, more, .. } => {
            memory.cost += cost;
            if !more {
                connection.release(*id, memory.cost).unwrap();
            }
        }
        Happened::Publication { cost, total: Some(_), .. } => memory.cost = *cost,
        Happened::Publication { id, point, cost, .. } => {
            connection.release(*id, *cost).unwrap();
            match point.sequence {
                2 => connection.cancel(memory.slow.expect("asked before")).unwrap(),
                4 => connection.cancel(*id).unwrap(),
                _ => {}
            }
        }
        Happened::Failed(id, _) if id.number() == 8 => memory.unsubscribed = true,
        Happened::End(..) => memory.has_copy = true,
        _ => {}
    }
    if memory.unsubscribed && memory.has_copy {
        connection.close(NOW, Status::OK);
    }
}

/// Answers, publishes two long values and five short ones to whoever subscribes, and asks for a name.
fn serve(connection: &mut Connection, event: &Happened, _: &mut Memory) {
    match event {
        Happened::Admission(_) => connection.admit(NOW).unwrap(),
        Happened::Connected(_) => drop(connection.request(NOW, "name", b"who?", None).unwrap()),
        Happened::Request { id, method, body, .. } if method == "echo" => {
            connection.respond(*id, Status::OK, body).unwrap();
        }
        Happened::RequestGoesOn { id, .. } => connection.respond_more(NOW, *id, b"copied").unwrap(),
        Happened::Data(id, chunk, cost) => {
            assert_eq!(connection.write(*id, chunk), Ok(chunk.len()));
            // The credit for the last of them may find nothing to be for.
            let _ = connection.release(*id, *cost);
        }
        Happened::End(id, Status::OK) => connection.finish(*id).unwrap(),
        Happened::Stop(id, StopCause::Cancel(_)) => {
            connection.respond(*id, Status::CANCELLED, b"").unwrap();
        }
        Happened::Subscribe { id, .. } => {
            connection.accept_subscription(*id).unwrap();
            publish_long(connection, *id);
            for sequence in 0..5 {
                let (point, missed) = (Point { epoch: 1, sequence }, Missed::NONE);
                let body = vec![sequence as u8; 100 * sequence as usize];
                let topic = ["room/1", "room/2/a"][sequence as usize % 2];
                let publication = Outgoing { topic, point, missed, retained: sequence == 0, body: &body };
                connection.publish(*id, &publication).unwrap();
            }
        }
        Happened::Unsubscribe(id) => connection.end_subscription(*id, Status::CANCELLED).unwrap(),
        _ => {}
    }
}

/// Gives up one that is longer than a frame, then sends one.
fn publish_long(connection: &mut Connection, id: ExchangeId) {
    let body = vec![9; 5_000];
    for sequence in [10, 11] {
        let point = Point { epoch: 1, sequence };
        let long = Outgoing { topic: "room/1", point, missed: Missed::NONE, retained: false, body: &body };
        let mut sent = connection.publish_first(id, &long).unwrap();
        if sequence == 10 {
            connection.publish_abort(id).unwrap();
            continue;
        }
        while sent < body.len() {
            sent += connection.publish_next(id, &body[sent..]).unwrap();
        }
    }
}

/// What each side heard, saw and wrote, when all was handed over as it was written.
struct Conversation {
    to_lamp: Vec<u8>,
    to_dialler: Vec<u8>,
    lamp_saw: Vec<Happened>,
    dialler_saw: Vec<Happened>,
}

static CONVERSATION: LazyLock<Conversation> = LazyLock::new(|| {
    let (mut dialler, mut lamp) = (Side::dialler(), Side::lamp());
    let (mut heard_by_lamp, mut heard_by_dialler) = (0, 0);
    while heard_by_lamp < dialler.written.len() || heard_by_dialler < lamp.written.len() {
        let news = dialler.written[heard_by_lamp..].to_vec();
        heard_by_lamp += news.len();
        lamp.feed(&news);
        let news = lamp.written[heard_by_dialler..].to_vec();
        heard_by_dialler += news.len();
        dialler.feed(&news);
    }
    Conversation {
        to_lamp: dialler.written,
        to_dialler: lamp.written,
        lamp_saw: lamp.events,
        dialler_saw: dialler.events,
    }
});

/// The conversation is worth being cut: it holds what it is meant to, and ends well.
#[test]
fn the_conversation_is_a_whole_one() {
    let Conversation { to_lamp, to_dialler, lamp_saw, dialler_saw } = &*CONVERSATION;
    assert!(to_lamp.len() > 1_800 && to_dialler.len() > 1_800);
    let count =
        |events: &[Happened], wanted: fn(&Happened) -> bool| events.iter().filter(|e| wanted(e)).count();
    assert_eq!(count(lamp_saw, |e| matches!(e, Happened::Request { .. })), 4);
    assert_eq!(count(lamp_saw, |e| matches!(e, Happened::Subscribe { .. } | Happened::Unsubscribe(_))), 2);
    assert_eq!(count(lamp_saw, |e| matches!(e, Happened::Response { .. })), 1);
    assert_eq!(count(lamp_saw, |e| matches!(e, Happened::Stop(..))), 1);
    for saw in [lamp_saw, dialler_saw] {
        let mut copied = 0;
        for event in saw {
            if let Happened::Data(_, chunk, _) = event {
                copied += chunk.len();
            }
        }
        assert_eq!(copied, 5_007, "a body is the same however it is cut");
        assert!(count(saw, |e| matches!(e, Happened::Data(..))) > 2);
        assert_eq!(count(saw, |e| matches!(e, Happened::End(_, Status::OK))), 1);
    }
    assert_eq!(count(dialler_saw, |e| matches!(e, Happened::Failed(..))), 2);
    assert_eq!(count(dialler_saw, |e| matches!(e, Happened::Publication { .. })), 2 + 5);
    assert_eq!(count(dialler_saw, |e| matches!(e, Happened::Continuation { .. })), 2);
    assert_eq!(count(dialler_saw, |e| matches!(e, Happened::Aborted(_))), 1);
    assert_eq!(count(dialler_saw, |e| matches!(e, Happened::Response { .. })), 3);
    assert_eq!(lamp_saw.last(), Some(&Happened::Closed(CloseReason::Remote(Status::OK))));
    assert_eq!(dialler_saw.last(), Some(&Happened::Closed(CloseReason::Local(Status::OK))));
}

#[track_caller]
fn makes_no_difference(pieces: &[usize]) {
    let conversation = &*CONVERSATION;
    let (events, written) = Side::lamp().replay(&conversation.to_lamp, pieces);
    assert_eq!(first_difference(&events, &conversation.lamp_saw), None, "{pieces:?}");
    assert!(written == conversation.to_dialler, "{pieces:?}");
    let (events, written) = Side::dialler().replay(&conversation.to_dialler, pieces);
    assert_eq!(first_difference(&events, &conversation.dialler_saw), None, "{pieces:?}");
    assert!(written == conversation.to_lamp, "{pieces:?}");
}

/// The first place at which two sides saw something else, and what each saw there.
fn first_difference<'a>(
    one: &'a [Happened],
    other: &'a [Happened],
) -> Option<(usize, Option<&'a Happened>, Option<&'a Happened>)> {
    let longest = one.len().max(other.len());
    (0..longest).map(|at| (at, one.get(at), other.get(at))).find(|(_, one, other)| one != other)
}

/// FRM-4, F5, F10: pieces of each length from one byte on.
#[test]
fn how_the_byte_stream_is_cut_makes_no_difference_to_the_events() {
    for piece in 1..=300 {
        makes_no_difference(&[piece]);
    }
}

/// FRM-4, F5: all that one side ever says, at once.
#[test]
fn a_whole_stream_in_one_piece_makes_no_difference() {
    makes_no_difference(&[usize::MAX]);
}

/// FRM-4, F5: a single cut, at each place near a boundary of the handshake and of the first frames.
#[test]
fn a_cut_at_each_place_makes_no_difference() {
    for cut in 1..600 {
        makes_no_difference(&[cut, usize::MAX]);
    }
}

/// FRM-4, TRN-4, F5: the same with a stream that ends in a violation, in the middle of a frame.
#[test]
fn nor_does_it_where_the_stream_ends_in_a_violation() {
    fn watch(connection: &mut Connection, event: &Happened, _: &mut Memory) {
        if let Happened::Admission(_) = event {
            connection.admit(NOW).unwrap();
        }
    }
    let side = || Side::new(Connection::responder(&config(VICTIM), Admission::Ask, seed(200), NOW), watch);
    let mut attacker = Attacker::new(Role::Initiator, Knobs::default());
    let mut stream = attacker.begin();
    let mut first = side();
    first.feed(&stream);
    assert!(attacker.hear(&first.written));
    stream.extend(attacker.say());
    let request = |id| message::request(id, 0, 0, "m", &[7; 200]);
    stream.extend(attacker.seal(&[request(2), request(4)].concat()));
    stream.extend(attacker.seal(&[request(6), message::of(16, &[]), request(8)].concat()));
    stream.extend(attacker.seal(&request(10)));

    let (expected, _) = side().replay(&stream, &[usize::MAX]);
    let violation = PeerMisbehaved::Message(WireError::UnknownType(16));
    assert_eq!(expected.len(), 2 + 3 + 1);
    assert_eq!(expected.last(), Some(&Happened::Closed(violation.into())));
    for piece in 1..=300 {
        let (events, _) = side().replay(&stream, &[piece]);
        assert_eq!(events, expected, "{piece}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// FRM-4, F5: pieces of any lengths, none among them.
    #[test]
    fn cuts_at_random_make_no_difference(
        pieces in prop::collection::vec(prop_oneof![0usize..4, 0usize..40, 0usize..2_500], 1..200),
        last in 1usize..2_500,
    ) {
        let pieces = [pieces, vec![last]].concat();
        makes_no_difference(&pieces);
    }
}
