//! Programs that do anything at all.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use symbolon::{
    Admission, Connection, ExchangeId, Instant, Missed, Point, RequestHead, SendError, Status,
    SubscribeOptions,
};

use super::common::{Happened, device, seed};
use super::outgoing;

/// Everything that a program can do to a pair of connections, sensible or not.
#[derive(Clone, Debug)]
enum Op {
    Abort(bool, u16),
    Accept(bool, usize),
    BodyIdle(bool, usize, Option<u64>),
    Admit(bool),
    Advance(bool, usize),
    Cancel(bool, usize),
    Carry(bool, usize),
    Close(bool, u16),
    End(bool, usize, u16),
    Eof(bool),
    Events(bool, usize),
    Finish(bool, usize),
    Goaway(bool),
    Junk(bool, Vec<u8>),
    Jump(u64),
    Missed(bool, usize, u32),
    Open(bool, String, usize, bool, Option<u64>),
    Pass(u32),
    Publish(bool, usize, String, usize),
    Refuse(bool),
    Release(bool, usize, u32),
    Request(bool, String, usize, Option<u64>),
    Reset(bool, usize, u16),
    Respond(bool, usize, u16, usize),
    RespondBusy(bool, usize, u64),
    RespondMore(bool, usize, usize),
    Subscribe(bool, String, u32, Option<(u32, u64)>),
    Timeout(bool),
    TurnAway(bool),
    Write(bool, usize, usize),
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => Just("t".to_string()),
        3 => Just("#".to_string()),
        1 => Just(String::new()),
        1 => Just("a".repeat(129)),
        1 => ".{0,8}",
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let side = any::<bool>;
    let which = || 0..12_usize;
    let len = || prop_oneof![0..200_usize, 0..200_usize, 0..40_000_usize];
    let status = || prop_oneof![0..11_u16, any::<u16>()];
    let often = prop_oneof![
        10 => (side(), prop_oneof![Just(usize::MAX), 0..600_usize]).prop_map(|(s, n)| Op::Carry(s, n)),
        8 => (side(), 0..6_usize).prop_map(|(s, n)| Op::Events(s, n)),
        4 => (side(), name(), len(), prop_oneof![Just(None), (0..5_000_u64).prop_map(Some),
            any::<u64>().prop_map(Some)]).prop_map(|(s, n, l, d)| Op::Request(s, n, l, d)),
        3 => (side(), which(), status(), len()).prop_map(|(s, w, t, l)| Op::Respond(s, w, t, l)),
        2 => (side(), name(), any::<u32>(), any::<Option<(u32, u64)>>())
            .prop_map(|(s, n, w, f)| Op::Subscribe(s, n, w, f)),
        2 => (side(), which()).prop_map(|(s, w)| Op::Accept(s, w)),
        3 => (side(), which(), name(), len()).prop_map(|(s, w, n, l)| Op::Publish(s, w, n, l)),
        2 => (side(), which(), any::<u32>()).prop_map(|(s, w, c)| Op::Release(s, w, c)),
        2 => (side(), which()).prop_map(|(s, w)| Op::Cancel(s, w)),
    ];
    let bodies = prop_oneof![
        4 => (side(), name(), len(), any::<bool>(), proptest::option::of(0..5_000_u64))
            .prop_map(|(s, n, l, m, d)| Op::Open(s, n, l, m, d)),
        6 => (side(), which(), len()).prop_map(|(s, w, l)| Op::Write(s, w, l)),
        3 => (side(), which(), len()).prop_map(|(s, w, l)| Op::RespondMore(s, w, l)),
        2 => (side(), which()).prop_map(|(s, w)| Op::Finish(s, w)),
        1 => (side(), which(), status()).prop_map(|(s, w, t)| Op::Reset(s, w, t)),
        1 => (side(), which(), proptest::option::of(any::<u64>())).prop_map(|(s, w, d)| Op::BodyIdle(s, w, d)),
    ];
    let seldom = prop_oneof![
        side().prop_map(Op::Admit),
        (side(), which(), any::<u64>()).prop_map(|(s, w, r)| Op::RespondBusy(s, w, r)),
        (side(), which(), any::<u32>()).prop_map(|(s, w, m)| Op::Missed(s, w, m)),
        (side(), which(), status()).prop_map(|(s, w, t)| Op::End(s, w, t)),
        side().prop_map(Op::Goaway),
        side().prop_map(Op::Timeout),
        (0..20_000_u32).prop_map(Op::Pass),
        prop_oneof![Just(0), Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()].prop_map(Op::Jump),
        (side(), any::<usize>()).prop_map(|(s, n)| Op::Advance(s, n)),
        side().prop_map(Op::TurnAway),
    ];
    let ends = prop_oneof![
        side().prop_map(Op::Refuse),
        (side(), status()).prop_map(|(s, t)| Op::Close(s, t)),
        (side(), status()).prop_map(|(s, t)| Op::Abort(s, t)),
        side().prop_map(Op::Eof),
        (side(), proptest::collection::vec(any::<u8>(), 0..80)).prop_map(|(s, b)| Op::Junk(s, b)),
    ];
    prop_oneof![24 => often, 10 => bodies, 6 => seldom, 1 => ends]
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
}

fn play(ask: [bool; 2], ops: Vec<Op>) {
    let configs = [1, 2].map(device);
    let mut now = Instant::from_millis(1_000);
    let admission = |n: usize| {
        if ask[n] { Admission::Ask } else { Admission::expect(configs[1 - n].identity().peer_id()) }
    };
    let mut ends = [
        End::new(Connection::initiator(&configs[0], admission(0), seed(1), now)),
        End::new(Connection::responder(&configs[1], admission(1), seed(2), now)),
    ];
    for op in ops {
        match op {
            Op::Abort(s, status) => ends[usize::from(s)].connection.abort(now, Status::new(status)),
            Op::Accept(s, w) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.accept_subscription(id));
            }
            Op::Admit(s) => drop(ends[usize::from(s)].connection.admit(now)),
            Op::Advance(s, n) => {
                // Says that bytes were written which were not: the peer will see a hole.
                if n % 8 == 0 {
                    ends[usize::from(s)].connection.advance_transmit(n);
                }
            }
            Op::BodyIdle(s, w, millis) => {
                let end = &mut ends[usize::from(s)];
                let idle = millis.map(Duration::from_millis);
                let _ = end.id(w).map(|id| end.connection.set_body_idle(now, id, idle));
            }
            Op::Cancel(s, w) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.cancel(id));
            }
            Op::Carry(s, most) => {
                let [a, b] = &mut ends;
                let (from, to) = if s { (b, a) } else { (a, b) };
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
            Op::Close(s, status) => ends[usize::from(s)].connection.close(now, Status::new(status)),
            Op::End(s, w, status) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.end_subscription(id, Status::new(status)));
            }
            Op::Eof(s) => ends[usize::from(s)].connection.handle_eof(now),
            Op::Events(s, n) => ends[usize::from(s)].events(n),
            Op::Finish(s, w) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.finish(id));
            }
            Op::Goaway(s) => drop(ends[usize::from(s)].connection.goaway()),
            Op::Junk(s, bytes) => {
                let taken = ends[usize::from(s)].connection.handle_input(now, &bytes);
                assert!(taken <= bytes.len());
            }
            Op::Jump(to) => now = Instant::from_micros(to),
            Op::Missed(s, w, count) => {
                let end = &mut ends[usize::from(s)];
                let missed = Missed { count, unknown: count % 2 == 0 };
                let _ = end.id(w).map(|id| end.connection.publish_missed(id, missed));
            }
            Op::Open(s, method, len, more, deadline) => {
                let end = &mut ends[usize::from(s)];
                let deadline = deadline.map(Duration::from_millis);
                let head = RequestHead { method: &method, body: &vec![7; len], more, deadline };
                let id = end.connection.open(now, &head);
                end.opened(id);
            }
            Op::Pass(ms) => {
                now = now + Duration::from_millis(ms.into());
                ends.iter_mut().for_each(|end| end.connection.handle_timeout(now));
            }
            Op::Publish(s, w, topic, len) => {
                let end = &mut ends[usize::from(s)];
                let body = vec![7; len];
                let whole = outgoing(&topic, &body);
                let _ = end.id(w).map(|id| match len % 4 {
                    0 => end.connection.publish_first(id, &whole).map(drop),
                    1 => end.connection.publish_next(id, &body).map(drop),
                    2 => end.connection.publish_abort(id),
                    _ => end.connection.publish(id, &whole),
                });
            }
            Op::Refuse(s) => drop(ends[usize::from(s)].connection.refuse(now)),
            Op::Release(s, w, cost) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.release(id, cost));
            }
            Op::Request(s, method, len, deadline) => {
                let end = &mut ends[usize::from(s)];
                let deadline = deadline.map(Duration::from_millis);
                let id = end.connection.request(now, &method, &vec![7; len], deadline);
                end.opened(id);
            }
            Op::Reset(s, w, status) => {
                let end = &mut ends[usize::from(s)];
                let _ = end.id(w).map(|id| end.connection.reset(id, Status::new(status)));
            }
            Op::RespondMore(s, w, len) => {
                let end = &mut ends[usize::from(s)];
                let body = vec![7; len];
                let _ = end.id(w).map(|id| end.connection.respond_more(now, id, &body));
            }
            Op::Respond(s, w, status, len) => {
                let end = &mut ends[usize::from(s)];
                let body = vec![7; len];
                let _ = end.id(w).map(|id| end.connection.respond(id, Status::new(status), &body));
            }
            Op::RespondBusy(s, w, retry) => {
                let end = &mut ends[usize::from(s)];
                let retry = Duration::from_millis(retry);
                let _ = end.id(w).map(|id| end.connection.respond_busy(id, retry));
            }
            Op::Subscribe(s, filter, window, from) => {
                let end = &mut ends[usize::from(s)];
                let from = from.map(|(epoch, sequence)| Point { epoch, sequence });
                let mut options = SubscribeOptions::default();
                (options.window, options.from) = (window, from);
                options.largest = if window % 2 == 0 { 0 } else { window };
                let id = end.connection.subscribe_with(&filter, &options);
                end.opened(id);
            }
            Op::Timeout(s) => {
                let connection = &mut ends[usize::from(s)].connection;
                if let Some(at) = connection.poll_timeout() {
                    connection.handle_timeout(at);
                }
            }
            Op::TurnAway(s) => {
                if s {
                    ends[1].connection.turn_away();
                }
            }
            Op::Write(s, w, len) => {
                let end = &mut ends[usize::from(s)];
                if let Some(Ok(taken)) = end.id(w).map(|id| end.connection.write(id, &vec![7; len])) {
                    assert!(taken <= len);
                }
                let _ = end.connection.poll_writable();
            }
        }
        for end in &ends {
            let connection = &end.connection;
            let _ = (connection.is_open(), connection.is_idle(), connection.peer(), connection.buffered());
            let _ = format!("{connection:?}");
        }
    }
    // Whatever was done, it can be brought to an end.
    for end in &mut ends {
        end.connection.close(now, Status::OK);
        end.events(usize::MAX);
        end.connection.handle_eof(now);
        end.events(usize::MAX);
        if !end.closed {
            // The application was asked, and the stream has ended behind that.
            let _ = end.connection.refuse(now);
            end.events(usize::MAX);
        }
        assert!(end.closed, "{:?}", end.connection);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Sentences 8 and 2, R14, R15, R16: no order of public calls, no bytes and no clock jump panics; the end comes
    /// once, last, after the ends of all that was open.
    #[test]
    fn no_order_of_calls_panics(
        ask in any::<[bool; 2]>(),
        meet in proptest::bool::weighted(0.8),
        mut ops in proptest::collection::vec(op(), 0..120),
    ) {
        if meet {
            // The handshake first, so that what follows meets a session.
            let mut first = Vec::new();
            for _ in 0..4 {
                for side in [false, true] {
                    first.extend([Op::Carry(side, usize::MAX), Op::Events(!side, 6), Op::Admit(!side)]);
                }
            }
            first.append(&mut ops);
            ops = first;
        }
        play(ask, ops);
    }
}
