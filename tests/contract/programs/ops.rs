//! What a program can do, sensible or not, and how often it does it.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{INITIATOR, RESPONDER};

/// One thing that happens to a pair of connections.
#[derive(Clone, Debug)]
pub enum Op {
    /// Of one side's program, about an exchange that it knows.
    About { side: usize, which: usize, call: ExchangeCall },
    /// Of one side's program.
    Call { side: usize, call: Call },
    /// At most so many bytes that this side has to send.
    Carry { side: usize, most: usize },
    /// The clock, to any place.
    Jump(u64),
    /// Milliseconds.
    Pass(u32),
}

/// What needs no exchange.
#[derive(Clone, Debug)]
pub enum Call {
    Abort {
        status: u16,
    },
    Admit,
    /// Says that bytes were written which were not: the peer will see a hole.
    Advance {
        len: usize,
    },
    Close {
        status: u16,
    },
    Eof,
    Events {
        most: usize,
    },
    Goaway,
    Junk(Vec<u8>),
    Open {
        method: String,
        len: usize,
        more: bool,
        deadline_ms: Option<u64>,
    },
    Refuse,
    Request {
        method: String,
        len: usize,
        deadline_ms: Option<u64>,
    },
    Subscribe {
        filter: String,
        window: u32,
        from: Option<(u32, u64)>,
    },
    Timeout,
    TurnAway,
    Writable,
}

/// What is about one exchange.
#[derive(Clone, Debug)]
pub enum ExchangeCall {
    Accept,
    BodyIdle { millis: Option<u64> },
    Cancel,
    EndSubscription { status: u16 },
    Finish,
    Missed { count: u32 },
    Publish { topic: String, len: usize },
    PublishAbort,
    PublishFirst { topic: String, len: usize },
    PublishNext { len: usize },
    Release { cost: u32 },
    Reset { status: u16 },
    Respond { status: u16, len: usize },
    RespondBusy { millis: u64 },
    RespondMore { len: usize },
    Write { len: usize },
}

/// A program of up to 120 steps; in four of five, the handshake comes first, so that the rest meets a session.
pub fn program() -> impl Strategy<Value = Vec<Op>> {
    (proptest::bool::weighted(0.8), vec(op(), 0..120))
        .prop_map(|(meet, ops)| if meet { [handshake(), ops].concat() } else { ops })
}

fn handshake() -> Vec<Op> {
    let carried = |from: usize, to: usize| {
        let told = [Call::Events { most: 6 }, Call::Admit].map(|call| Op::Call { side: to, call });
        [vec![Op::Carry { side: from, most: usize::MAX }], told.to_vec()].concat()
    };
    let round = [carried(INITIATOR, RESPONDER), carried(RESPONDER, INITIATOR)].concat();
    vec![round; 4].concat()
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![24 => often(), 10 => bodies(), 6 => seldom(), 1 => ends()]
}

fn often() -> impl Strategy<Value = Op> {
    let most = prop_oneof![Just(usize::MAX), 0..600_usize];
    let events = (0..6_usize).prop_map(|most| Call::Events { most });
    let deadline = prop_oneof![Just(None), (0..5_000_u64).prop_map(Some), any::<u64>().prop_map(Some)];
    let request = (name(), len(), deadline).prop_map(|(method, len, deadline_ms)| Call::Request {
        method,
        len,
        deadline_ms,
    });
    let subscribe = (name(), any::<u32>(), any::<Option<(u32, u64)>>())
        .prop_map(|(filter, window, from)| Call::Subscribe { filter, window, from });
    let respond = (status(), len()).prop_map(|(status, len)| ExchangeCall::Respond { status, len });
    let release = any::<u32>().prop_map(|cost| ExchangeCall::Release { cost });
    prop_oneof![
        10 => (side(), most).prop_map(|(side, most)| Op::Carry { side, most }),
        8 => call(events),
        4 => call(request),
        3 => about(respond),
        2 => call(subscribe),
        2 => about(Just(ExchangeCall::Accept)),
        3 => about(publish()),
        2 => about(release),
        2 => about(Just(ExchangeCall::Cancel)),
    ]
}

fn publish() -> impl Strategy<Value = ExchangeCall> {
    prop_oneof![
        (name(), len()).prop_map(|(topic, len)| ExchangeCall::Publish { topic, len }),
        Just(ExchangeCall::PublishAbort),
        (name(), len()).prop_map(|(topic, len)| ExchangeCall::PublishFirst { topic, len }),
        len().prop_map(|len| ExchangeCall::PublishNext { len }),
    ]
}

fn bodies() -> impl Strategy<Value = Op> {
    let open = (name(), len(), any::<bool>(), option::of(0..5_000_u64))
        .prop_map(|(method, len, more, deadline_ms)| Call::Open { method, len, more, deadline_ms });
    let idle = option::of(any::<u64>()).prop_map(|millis| ExchangeCall::BodyIdle { millis });
    prop_oneof![
        4 => call(open),
        6 => about(len().prop_map(|len| ExchangeCall::Write { len })),
        2 => call(Just(Call::Writable)),
        3 => about(len().prop_map(|len| ExchangeCall::RespondMore { len })),
        2 => about(Just(ExchangeCall::Finish)),
        1 => about(status().prop_map(|status| ExchangeCall::Reset { status })),
        1 => about(idle),
    ]
}

fn seldom() -> impl Strategy<Value = Op> {
    let instant = prop_oneof![Just(0), Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()];
    // One in eight, as no session outlives it.
    let hole = any::<usize>().prop_map(|n| Call::Advance { len: if n % 8 == 0 { n } else { 0 } });
    prop_oneof![
        2 => call(Just(Call::Admit)),
        2 => about(any::<u64>().prop_map(|millis| ExchangeCall::RespondBusy { millis })),
        2 => about(any::<u32>().prop_map(|count| ExchangeCall::Missed { count })),
        2 => about(status().prop_map(|status| ExchangeCall::EndSubscription { status })),
        2 => call(Just(Call::Goaway)),
        2 => call(Just(Call::Timeout)),
        2 => (0..20_000_u32).prop_map(Op::Pass),
        2 => instant.prop_map(Op::Jump),
        2 => call(hole),
        1 => Just(Op::Call { side: RESPONDER, call: Call::TurnAway }),
    ]
}

fn ends() -> impl Strategy<Value = Op> {
    prop_oneof![
        call(Just(Call::Refuse)),
        call(status().prop_map(|status| Call::Close { status })),
        call(status().prop_map(|status| Call::Abort { status })),
        call(Just(Call::Eof)),
        call(vec(any::<u8>(), 0..80).prop_map(Call::Junk)),
    ]
}

// What they are made of

fn call(call: impl Strategy<Value = Call>) -> impl Strategy<Value = Op> {
    (side(), call).prop_map(|(side, call)| Op::Call { side, call })
}

fn about(call: impl Strategy<Value = ExchangeCall>) -> impl Strategy<Value = Op> {
    (side(), 0..12_usize, call).prop_map(|(side, which, call)| Op::About { side, which, call })
}

fn side() -> impl Strategy<Value = usize> {
    prop_oneof![Just(INITIATOR), Just(RESPONDER)]
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

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![0..200_usize, 0..200_usize, 0..40_000_usize]
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![0..11_u16, any::<u16>()]
}
