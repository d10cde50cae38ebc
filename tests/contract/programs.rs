//! Programs that do anything at all.

mod ops;

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use symbolon::{
    Admission, Connection, ExchangeId, Instant, Missed, Point, RequestHead, SendError, Status,
    SubscribeOptions,
};

use self::ops::{Call, ExchangeCall, Op};
use super::common::{Happened, device, seed};
use super::outgoing;

/// The places of the two in a pair of ends.
const INITIATOR: usize = 0;
const RESPONDER: usize = 1;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Sentences 8 and 2, R14, R15, R16: no order of public calls, no bytes and no clock jump panics; the end comes
    /// once, last, after the ends of all that was open.
    #[test]
    fn no_order_of_calls_panics(ask in any::<[bool; 2]>(), program in ops::program()) {
        play(ask, program);
    }
}

fn play(ask: [bool; 2], program: Vec<Op>) {
    let mut now = Instant::from_millis(1_000);
    let mut ends = pair(ask, now);
    for op in program {
        match op {
            Op::About { side, which, call } => {
                if let Some(id) = ends[side].id(which) {
                    ends[side].call_about(now, id, call);
                }
            }
            Op::Call { side, call } => ends[side].call(now, call),
            Op::Carry { side, most } => {
                let [initiator, responder] = &mut ends;
                match side {
                    INITIATOR => carry(now, initiator, responder, most),
                    _ => carry(now, responder, initiator, most),
                }
            }
            Op::Jump(micros) => now = Instant::from_micros(micros),
            Op::Pass(millis) => {
                now = now + Duration::from_millis(millis.into());
                ends.iter_mut().for_each(|end| end.connection.handle_timeout(now));
            }
        }
        ends.iter().for_each(End::look);
    }
    ends.iter_mut().for_each(|end| end.finish(now));
}

/// `ask`: who of them asks its program whether to admit the other.
fn pair(ask: [bool; 2], now: Instant) -> [End; 2] {
    let configs = [1, 2].map(device);
    let admission = |side: usize| {
        if ask[side] { Admission::Ask } else { Admission::expect(configs[1 - side].identity().peer_id()) }
    };
    [
        End::new(Connection::initiator(&configs[INITIATOR], admission(INITIATOR), seed(1), now)),
        End::new(Connection::responder(&configs[RESPONDER], admission(RESPONDER), seed(2), now)),
    ]
}

/// Bytes that wait to be sent at one, and those that fly, to the other: all, or at most so many.
fn carry(now: Instant, from: &mut End, to: &mut End, most: usize) {
    let mut rounds = 0;
    while let Some(bytes) = from.connection.poll_transmit(now) {
        let len = bytes.len().min(most.max(1));
        to.flying.extend(&bytes[..len]);
        from.connection.advance_transmit(len);
        rounds += 1;
        assert!(rounds < 100_000, "it never comes to rest");
        if most < usize::MAX {
            break;
        }
    }
    let bytes = to.flying.make_contiguous();
    let len = bytes.len().min(most);
    let taken = to.connection.handle_input(now, &bytes[..len]);
    assert!(taken <= len);
    to.flying.drain(..taken);
}

/// One side of the pair, the bytes on their way to it, and what its program knows.
struct End {
    connection: Connection,
    flying: VecDeque<u8>,
    ids: Vec<ExchangeId>,
    open: Vec<ExchangeId>,
    closed: bool,
}

impl End {
    fn new(connection: Connection) -> Self {
        Self { connection, flying: VecDeque::new(), ids: Vec::new(), open: Vec::new(), closed: false }
    }

    fn id(&self, which: usize) -> Option<ExchangeId> {
        let place = self.ids.len().checked_sub(1 + which % self.ids.len().max(1))?;
        self.ids.get(place).copied()
    }

    /// Whether it is refused makes no difference here.
    fn call(&mut self, now: Instant, call: Call) {
        let connection = &mut self.connection;
        match call {
            Call::Abort { status } => connection.abort(now, Status::new(status)),
            Call::Admit => drop(connection.admit(now)),
            Call::Advance { len } => connection.advance_transmit(len),
            Call::Close { status } => connection.close(now, Status::new(status)),
            Call::Eof => connection.handle_eof(now),
            Call::Events { most } => self.events(most),
            Call::Goaway => drop(connection.goaway()),
            Call::Junk(bytes) => {
                let taken = connection.handle_input(now, &bytes);
                assert!(taken <= bytes.len());
            }
            Call::Open { method, len, more, deadline_ms } => {
                let deadline = deadline_ms.map(Duration::from_millis);
                let head = RequestHead { method: &method, body: &vec![7; len], more, deadline };
                let id = connection.open(now, &head);
                self.opened(id);
            }
            Call::Refuse => drop(connection.refuse(now)),
            Call::Request { method, len, deadline_ms } => {
                let deadline = deadline_ms.map(Duration::from_millis);
                let id = connection.request(now, &method, &vec![7; len], deadline);
                self.opened(id);
            }
            Call::Subscribe { filter, window, from } => {
                let from = from.map(|(epoch, sequence)| Point { epoch, sequence });
                let mut options = SubscribeOptions::default();
                (options.window, options.from) = (window, from);
                options.largest = if window % 2 == 0 { 0 } else { window };
                let id = connection.subscribe_with(&filter, &options);
                self.opened(id);
            }
            Call::Timeout => {
                if let Some(at) = connection.poll_timeout() {
                    connection.handle_timeout(at);
                }
            }
            Call::TurnAway => connection.turn_away(),
            Call::Writable => drop(connection.poll_writable()),
        }
    }

    fn call_about(&mut self, now: Instant, id: ExchangeId, call: ExchangeCall) {
        let connection = &mut self.connection;
        let body = |len: usize| vec![7; len];
        let _ = match call {
            ExchangeCall::Accept => connection.accept_subscription(id),
            ExchangeCall::BodyIdle { millis } => {
                connection.set_body_idle(now, id, millis.map(Duration::from_millis))
            }
            ExchangeCall::Cancel => connection.cancel(id),
            ExchangeCall::EndSubscription { status } => connection.end_subscription(id, Status::new(status)),
            ExchangeCall::Finish => connection.finish(id),
            ExchangeCall::Missed { count } => {
                connection.publish_missed(id, Missed { count, unknown: count % 2 == 0 })
            }
            ExchangeCall::Publish { topic, len } => connection.publish(id, &outgoing(&topic, &body(len))),
            ExchangeCall::PublishAbort => connection.publish_abort(id),
            ExchangeCall::PublishFirst { topic, len } => {
                connection.publish_first(id, &outgoing(&topic, &body(len))).map(drop)
            }
            ExchangeCall::PublishNext { len } => connection.publish_next(id, &body(len)).map(drop),
            ExchangeCall::Release { cost } => connection.release(id, cost),
            ExchangeCall::Reset { status } => connection.reset(id, Status::new(status)),
            ExchangeCall::Respond { status, len } => connection.respond(id, Status::new(status), &body(len)),
            ExchangeCall::RespondBusy { millis } => {
                connection.respond_busy(id, Duration::from_millis(millis))
            }
            ExchangeCall::RespondMore { len } => connection.respond_more(now, id, &body(len)),
            ExchangeCall::Write { len } => {
                let taken = connection.write(id, &body(len));
                assert!(taken.is_err() || taken.is_ok_and(|taken| taken <= len));
                let _ = connection.poll_writable();
                Ok(())
            }
        };
    }

    fn opened(&mut self, id: Result<ExchangeId, SendError>) {
        if let Ok(id) = id {
            self.ids.push(id);
            self.open.push(id);
        }
    }

    fn events(&mut self, most: usize) {
        for _ in 0..most {
            let seen = self.connection.peek_event().map(Happened::from);
            let event = self.connection.poll_event().map(Happened::from);
            assert_eq!(seen, event, "to look at it takes nothing and changes nothing");
            let Some(event) = event else { return };
            assert!(!self.closed, "nothing follows the end: {event:?}");
            match event {
                Happened::Closed(_) => {
                    assert_eq!(self.open, [], "all that was open has ended first");
                    self.closed = true;
                }
                Happened::Failed(id, _)
                | Happened::Busy(id, _)
                | Happened::Response { id, .. }
                | Happened::SubscriptionEnded(id, _) => {
                    let place = self.open.iter().position(|open| *open == id);
                    self.open.remove(place.expect("each ends once"));
                }
                // Of theirs it is the end of a body; of ours, of all.
                Happened::End(id, _) => {
                    let place = self.open.iter().position(|open| *open == id);
                    let _ = place.map(|place| self.open.remove(place));
                }
                Happened::Request { id, .. }
                | Happened::RequestGoesOn { id, .. }
                | Happened::Subscribe { id, .. } => self.ids.push(id),
                _ => {}
            }
        }
    }

    /// Everything that can be asked at any time.
    fn look(&self) {
        let connection = &self.connection;
        let _ = (connection.is_open(), connection.is_idle(), connection.peer(), connection.buffered());
        let _ = format!("{connection:?}");
    }

    /// Whatever was done, it can be brought to an end.
    fn finish(&mut self, now: Instant) {
        self.connection.close(now, Status::OK);
        self.events(usize::MAX);
        self.connection.handle_eof(now);
        self.events(usize::MAX);
        if !self.closed {
            // The application was asked, and the stream has ended behind that.
            let _ = self.connection.refuse(now);
            self.events(usize::MAX);
        }
        assert!(self.closed, "{:?}", self.connection);
    }
}
