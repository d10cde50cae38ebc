//! Each policy, resuming, limits and fairness, one by one; `long` the same of bodies that are taken in parts; `model`
//! checks them against a naive table,
//! `filters` the ways from topics to subscriptions and back.

mod filters;
mod long;
mod model;

use super::*;
use crate::exchange::ExchangeId;
use crate::name::NameError;
use crate::publication::{Missed, Outgoing};
use alloc::format;
use alloc::string::String;
use alloc::vec;

const EPOCH: u32 = 7;
const LINK: LinkId = LinkId(1);
const OTHER: LinkId = LinkId(2);

fn table() -> Topics {
    Topics::new(EPOCH, TopicLimits::default())
}

const fn event(depth: u32, overflow: Overflow) -> Kind {
    Kind::Event { depth, overflow }
}

fn declare(topics: &mut Topics, name: &str, kind: Kind) -> TopicId {
    topics.declare(name, kind).expect("a good declaration")
}

fn publish(topics: &mut Topics, topic: TopicId, bodies: &[&str]) {
    for body in bodies {
        topics.publish(topic, body.as_bytes()).expect("published");
    }
}

fn show(offer: Offer<'_>) -> String {
    let (line, unknown, retained) = match offer {
        Offer::Publication { subscription, publication, .. } => {
            let Outgoing { topic, point, missed: Missed { count: missed, unknown }, retained, body } =
                publication;
            let (sequence, body) = (point.sequence, String::from_utf8_lossy(body));
            let line = format!("{subscription} {topic}@{sequence}={body} missed {missed}");
            (line, unknown, retained)
        }
        Offer::Missed { subscription, missed: Missed { count, unknown } } => {
            (format!("{subscription} missed {count}"), unknown, false)
        }
        Offer::Abort { subscription } => (format!("{subscription} abort"), false, false),
        Offer::Rest { subscription, rest } => {
            (format!("{subscription} rest={}", String::from_utf8_lossy(rest)), false, false)
        }
    };
    let unknown = if unknown { " unknown" } else { "" };
    let retained = if retained { " retained" } else { "" };
    line + unknown + retained
}

fn drain(topics: &mut Topics, link: LinkId) -> Vec<String> {
    let mut got = Vec::new();
    topics.pump(link, |offer| {
        got.push(show(offer));
        Verdict::Sent
    });
    assert!(!topics.has_backlog(link));
    got
}

#[test]
fn what_was_declared_is_listed_in_the_order_of_its_names() {
    let mut topics = table();
    let ticks = event(4, Overflow::DropOldest);
    declare(&mut topics, "b", Kind::State);
    declare(&mut topics, "a/b", ticks);
    declare(&mut topics, "a", Kind::State);
    assert_eq!(topics.declare("$a", Kind::State), Err(DeclareError::Reserved));
    assert!(topics.declared().eq([("a", Kind::State), ("a/b", ticks), ("b", Kind::State)]));
}

/// PUB-2
#[test]
fn a_newer_state_replaces_the_one_that_waits_and_keeps_its_place() {
    let mut topics = table();
    let a = declare(&mut topics, "a", Kind::State);
    let b = declare(&mut topics, "b", Kind::State);
    publish(&mut topics, a, &["0"]);
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "#", None), Ok(()));
    assert_eq!(drain(&mut topics, LINK), ["2 a@0=0 missed 0 retained"]);
    publish(&mut topics, a, &["1"]);
    publish(&mut topics, b, &["0"]);
    publish(&mut topics, a, &["2", "3"]);
    assert_eq!(drain(&mut topics, LINK), ["2 a@3=3 missed 2", "2 b@0=0 missed 0"]);
}

/// PUB-1, PUB-2
#[test]
fn drop_oldest_keeps_the_newest_and_drop_newest_the_oldest() {
    let cases = [
        (Overflow::DropOldest, ["2 a@1=1 missed 1", "2 a@2=2 missed 0"]),
        (Overflow::DropNewest, ["2 a@0=0 missed 1", "2 a@1=1 missed 0"]),
    ];
    for (overflow, expected) in cases {
        let mut topics = table();
        let a = declare(&mut topics, "a", event(2, overflow));
        assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "a", None), Ok(()));
        publish(&mut topics, a, &["0", "1", "2"]);
        assert_eq!(drain(&mut topics, LINK), expected);
    }
}

#[test]
fn refuse_fails_and_changes_nothing_while_any_queue_is_full() {
    let mut topics = table();
    let a = declare(&mut topics, "a", event(2, Overflow::Refuse));
    for link in [LINK, OTHER] {
        assert_eq!(topics.subscribe(link, ExchangeId::from_number(2), "a", None), Ok(()));
    }
    publish(&mut topics, a, &["0", "1"]);
    let all = ["2 a@0=0 missed 0", "2 a@1=1 missed 0"];
    assert_eq!(drain(&mut topics, LINK), all);
    assert_eq!(topics.publish(a, b"x"), Err(PublishError::QueueFull));
    assert!(!topics.has_backlog(LINK));
    assert_eq!(drain(&mut topics, OTHER), all);
    assert_eq!(topics.publish(a, b"2").map(|point| point.sequence), Ok(2));
}

/// PUB-4
#[test]
fn a_point_with_wildcards_is_a_bad_request() {
    let mut topics = table();
    let from = Some(Point { epoch: EPOCH, sequence: 0 });
    for filter in ["#", "a/+"] {
        assert_eq!(
            topics.subscribe(LINK, ExchangeId::from_number(2), filter, from),
            Err(Status::BAD_REQUEST)
        );
    }
    for filter in ["", "a//b", "#/a", "a+"] {
        assert_eq!(
            topics.subscribe(LINK, ExchangeId::from_number(2), filter, None),
            Err(Status::BAD_REQUEST)
        );
    }
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "a", from), Ok(()));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "b", None), Err(Status::BAD_REQUEST));
}

/// PUB-2, PUB-5
#[test]
fn resuming_delivers_what_is_kept_and_tells_what_is_not() {
    let cases: [(u32, u64, &[&str]); 6] = [
        (EPOCH, 4, &[]),
        (EPOCH, 3, &["2 a@4=4 missed 0"]),
        (EPOCH, 2, &["2 a@3=3 missed 0", "2 a@4=4 missed 0"]),
        (EPOCH, 0, &["2 a@3=3 missed 2", "2 a@4=4 missed 0"]),
        (EPOCH, 5, &["2 a@3=3 missed 0 unknown", "2 a@4=4 missed 0"]),
        (8, 4, &["2 a@3=3 missed 0 unknown", "2 a@4=4 missed 0"]),
    ];
    for (epoch, sequence, expected) in cases {
        let mut topics = table();
        let a = declare(&mut topics, "a", event(2, Overflow::DropOldest));
        publish(&mut topics, a, &["0", "1", "2", "3", "4"]);
        let from = Some(Point { epoch, sequence });
        assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "a", from), Ok(()));
        assert_eq!(drain(&mut topics, LINK), expected, "{from:?}");
    }
}

/// PUB-5
#[test]
fn resuming_where_nothing_is_kept_tells_unknown_by_itself() {
    let mut topics = table();
    let from = Some(Point { epoch: EPOCH, sequence: u64::MAX });
    declare(&mut topics, "a", Kind::State);
    for filter in ["a", "not/declared"] {
        assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), filter, from), Ok(()));
        assert_eq!(drain(&mut topics, LINK), ["2 missed 0 unknown"]);
        assert_eq!(topics.unsubscribe(LINK, ExchangeId::from_number(2)), None);
    }
}

/// PUB-3
#[test]
fn unsubscribing_returns_what_is_left_to_tell() {
    let mut topics = table();
    let a = declare(&mut topics, "a", event(2, Overflow::DropOldest));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "a", None), Ok(()));
    publish(&mut topics, a, &["0", "1", "2"]);
    let left = Some(Missed { count: 3, unknown: false });
    assert_eq!(topics.unsubscribe(LINK, ExchangeId::from_number(2)), left);
    assert_eq!(topics.unsubscribe(LINK, ExchangeId::from_number(2)), None);
    assert!(!topics.has_backlog(LINK));
    assert_eq!(topics.wake().count(), 0);
}

#[test]
fn a_stalled_subscription_takes_nothing_from_a_live_one() {
    let mut topics = table();
    let a = declare(&mut topics, "a", event(2, Overflow::DropOldest));
    for subscription in [2, 4] {
        assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(subscription), "a", None), Ok(()));
    }
    for number in 0..100 {
        publish(&mut topics, a, &["x"]);
        let mut got = Vec::new();
        topics.pump(LINK, |offer| match offer {
            Offer::Publication { subscription, .. } if subscription.number() == 2 => Verdict::NoCredit,
            live => {
                got.push(show(live));
                Verdict::Sent
            }
        });
        assert_eq!(got, [format!("4 a@{number}=x missed 0")]);
    }
    topics.credited(LINK, ExchangeId::from_number(2));
    assert_eq!(drain(&mut topics, LINK), ["2 a@98=x missed 98", "2 a@99=x missed 0"]);
}

#[test]
fn subscriptions_take_turns_and_a_full_link_goes_on_where_it_stopped() {
    let mut topics = table();
    let a = declare(&mut topics, "a", event(8, Overflow::DropOldest));
    let b = declare(&mut topics, "b", event(8, Overflow::DropOldest));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "a", None), Ok(()));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(4), "b", None), Ok(()));
    publish(&mut topics, a, &["0", "1", "2"]);
    publish(&mut topics, b, &["0"]);
    let mut got = Vec::new();
    while topics.has_backlog(LINK) {
        let mut room = 1;
        topics.pump(LINK, |offer| {
            if room == 0 {
                return Verdict::Full;
            }
            room -= 1;
            got.push(show(offer));
            Verdict::Sent
        });
    }
    let expected = ["2 a@0=0", "4 b@0=0", "2 a@1=1", "2 a@2=2"].map(|line| format!("{line} missed 0"));
    assert_eq!(got, expected);
}

/// What is offered with a publication of the link, as text.
fn behind(topics: &mut Topics, verdict: Verdict) -> Vec<String> {
    let mut bodies = Vec::new();
    topics.pump(LINK, |offer| {
        let Offer::Publication { behind, .. } = offer else { panic!("{offer:?}") };
        if !bodies.is_empty() {
            return Verdict::Full;
        }
        bodies = behind.bodies().map(|body| String::from_utf8_lossy(body).into_owned()).collect();
        assert_eq!(behind.is_empty(), bodies.is_empty());
        if bodies.is_empty() { Verdict::Full } else { verdict }
    });
    bodies
}

#[test]
fn several_leave_together_where_nothing_else_has_its_turn() {
    let mut topics = table();
    let a = declare(&mut topics, "a", event(4, Overflow::DropNewest));
    let b = declare(&mut topics, "b", event(4, Overflow::DropOldest));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "#", None), Ok(()));
    publish(&mut topics, a, &["0", "1", "2", "3", "lost"]);
    assert_eq!(behind(&mut topics, Verdict::Several(1)), ["1", "2", "3"]);
    // What was lost is a gap in the numbers, and the next behind it begins anew.
    publish(&mut topics, a, &["5"]);
    assert_eq!(behind(&mut topics, Verdict::Full), ["3"]);
    // Another topic of the subscription has its turn, and so has another subscription of the link.
    publish(&mut topics, b, &["0"]);
    assert!(behind(&mut topics, Verdict::Full).is_empty());
    assert_eq!(
        drain(&mut topics, LINK),
        ["2 a@2=2 missed 0", "2 b@0=0 missed 0", "2 a@3=3 missed 0", "2 a@5=5 missed 0"]
    );
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(4), "a", None), Ok(()));
    publish(&mut topics, a, &["6", "7"]);
    assert!(behind(&mut topics, Verdict::Full).is_empty());
    // Whoever says more than there were means all of them.
    topics.unsubscribe(LINK, ExchangeId::from_number(4));
    assert_eq!(behind(&mut topics, Verdict::Several(9)), ["7"]);
    assert!(!topics.has_backlog(LINK));
}

/// One without credit is not asked again until some came, and then behind the others; one that leaves takes no
/// other's place.
#[test]
fn the_line_of_a_link_keeps_its_order() {
    let mut topics = table();
    let a = declare(&mut topics, "a", event(8, Overflow::DropOldest));
    for id in [2, 4, 6, 8, 10] {
        assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(id), "a", None), Ok(()));
    }
    publish(&mut topics, a, &["0", "1"]);
    use Verdict::{Full, Gone, NoCredit, Sent};
    let mut asked = Vec::new();
    let mut ask = |topics: &mut Topics, verdicts: &[Verdict]| {
        asked.clear();
        let mut verdicts = verdicts.iter();
        topics.pump(LINK, |offer| {
            let Offer::Publication { subscription, .. } = offer else { panic!("{offer:?}") };
            asked.push(subscription.number());
            verdicts.next().copied().unwrap_or(Full)
        });
        asked.clone()
    };
    assert_eq!(ask(&mut topics, &[NoCredit, Sent, NoCredit, Full]), [2, 4, 6, 8]);
    // Now 8, 10, 4; with credit 6 and 2 as well, each once.
    for id in [6, 2, 6, 12] {
        topics.credited(LINK, ExchangeId::from_number(id));
    }
    // 8, 10, 4, 6, 2; the first leaves, and one in between.
    assert!(topics.unsubscribe(LINK, ExchangeId::from_number(8)).is_some());
    assert!(topics.unsubscribe(LINK, ExchangeId::from_number(6)).is_some());
    assert_eq!(ask(&mut topics, &[NoCredit, NoCredit, Gone]), [10, 4, 2]);
    assert!(!topics.has_backlog(LINK));
    assert!(ask(&mut topics, &[]).is_empty());
    for id in [10, 4] {
        topics.credited(LINK, ExchangeId::from_number(id));
    }
    assert_eq!(ask(&mut topics, &[Sent, Sent, Sent]), [10, 4, 10]);
    assert!(!topics.has_backlog(LINK));
    topics.credited(LINK, ExchangeId::from_number(4));
    assert!(!topics.has_backlog(LINK));
}

/// Sentence 10: what takes the place of a publication that found no credit may be sent with the credit there is, and
/// to tell of a gap needs none.
#[test]
fn one_without_credit_is_asked_again_once_what_it_waited_with_is_replaced() {
    let limits = TopicLimits { bytes: 100, ..TopicLimits::default() };
    let mut topics = Topics::new(EPOCH, limits);
    let old = declare(&mut topics, "old", event(1, Overflow::DropNewest));
    let state = declare(&mut topics, "state", Kind::State);
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "old", None), Ok(()));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(4), "state", None), Ok(()));
    let long = "x".repeat(64);
    publish(&mut topics, old, &[&long]);
    publish(&mut topics, state, &["long"]);
    topics.pump(LINK, |_| Verdict::NoCredit);
    assert!(!topics.has_backlog(LINK));
    publish(&mut topics, state, &["s"]);
    assert_eq!(drain(&mut topics, LINK), ["4 state@1=s missed 1"]);
    // The topic keeps this one instead; there is room for another as long where the first is dropped.
    publish(&mut topics, old, &[""]);
    publish(&mut topics, state, &[&long]);
    assert_eq!(drain(&mut topics, LINK), ["2 missed 2".into(), format!("4 state@2={long} missed 0")]);
}

/// PUB-2
#[test]
fn what_is_too_large_is_missed_and_what_is_gone_is_forgotten() {
    let mut topics = table();
    let a = declare(&mut topics, "a", event(8, Overflow::DropOldest));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "a", None), Ok(()));
    publish(&mut topics, a, &["0", "1"]);
    let mut got = Vec::new();
    topics.pump(LINK, |offer| {
        got.push(show(offer));
        match offer {
            Offer::Publication { .. } => Verdict::TooLarge,
            Offer::Abort { .. } | Offer::Missed { .. } | Offer::Rest { .. } => Verdict::Sent,
        }
    });
    let expected = ["2 a@0=0 missed 0", "2 a@1=1 missed 1", "2 missed 2"];
    assert_eq!(got, expected);
    publish(&mut topics, a, &["2"]);
    topics.pump(LINK, |_| Verdict::Gone);
    assert!(!topics.has_backlog(LINK));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "a", None), Ok(()));
}

#[test]
fn wildcards_get_topics_declared_later_and_never_reserved_ones() {
    let mut topics = table();
    for (id, filter) in [(2, "#"), (4, "+/x"), (6, "$sys/#")] {
        assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(id), filter, None), Ok(()));
    }
    assert_eq!(topics.declare("$sys/x", Kind::State), Err(DeclareError::Reserved));
    // The table declares none itself yet; the protocol's own topics would come this way.
    assert_eq!(topics.subscriptions.matching("$sys/x").len(), 1);
    let mut topics = table();
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "+/x", None), Ok(()));
    let late = declare(&mut topics, "late/x", Kind::State);
    publish(&mut topics, late, &["0"]);
    assert_eq!(drain(&mut topics, LINK), ["2 late/x@0=0 missed 0"]);
}

#[test]
fn one_link_cannot_take_all_matches() {
    let limits = TopicLimits { matches_per_link: 5, ..TopicLimits::default() };
    let mut topics = Topics::new(EPOCH, limits);
    for name in ["a", "b"] {
        declare(&mut topics, name, Kind::State);
    }
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "#", None), Ok(()));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(4), "#", None), Ok(()));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(6), "#", None), Err(Status::UNAVAILABLE));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(6), "a", None), Ok(()));
    assert_eq!(topics.subscribe(OTHER, ExchangeId::from_number(2), "#", None), Ok(()));
}

#[test]
fn ten_thousand_subscriptions_of_one_link_meet_the_limit() {
    let mut topics = table();
    let a = declare(&mut topics, "a", Kind::State);
    let stood = (0..10_000)
        .filter(|&id| topics.subscribe(LINK, ExchangeId::from_number(id), "a", None).is_ok())
        .count();
    assert_eq!(stood, 256);
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(10_000), "a", None), Err(Status::UNAVAILABLE));
    assert_eq!(topics.subscribe(OTHER, ExchangeId::from_number(1), "a", None), Ok(()));
    topics.drop_link(LINK);
    publish(&mut topics, a, &["0"]);
    assert_eq!(topics.wake().collect::<Vec<_>>(), [OTHER]);
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(10_000), "a", None), Ok(()));
}

#[test]
fn declarations_are_checked_and_bounded() {
    let limits = TopicLimits { topics: 2, depth: 4, matches: 1, ..TopicLimits::default() };
    let mut topics = Topics::new(EPOCH, limits);
    let a = declare(&mut topics, "a", Kind::State);
    assert_eq!(topics.declare("a", Kind::State), Ok(a));
    assert_eq!(topics.find("a"), Some(a));
    let of = |depth| event(depth, Overflow::Refuse);
    assert_eq!(topics.declare("a", of(1)), Err(DeclareError::OtherKind));
    assert_eq!(topics.declare("a/#", of(1)), Err(DeclareError::Name(NameError::Wildcard)));
    assert_eq!(topics.declare("b", of(0)), Err(DeclareError::BadDepth));
    assert_eq!(topics.declare("b", of(5)), Err(DeclareError::BadDepth));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "#", None), Ok(()));
    assert_eq!(topics.declare("b", of(4)), Err(DeclareError::Full));
    assert_eq!(topics.find("b"), None);
    assert_eq!(topics.unsubscribe(LINK, ExchangeId::from_number(2)), None);
    declare(&mut topics, "b", of(4));
    assert_eq!(topics.declare("c", of(4)), Err(DeclareError::Full));
}

/// What only a slow subscriber holds goes before a publisher is refused.  PUB-2
#[test]
fn the_limit_of_bytes_costs_the_slow_subscriber_and_not_the_publisher() {
    let limits = TopicLimits { bytes: 4 * 16, body: 32, ..TopicLimits::default() };
    let mut topics = Topics::new(EPOCH, limits);
    let a = declare(&mut topics, "a", event(3, Overflow::DropNewest));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "a", None), Ok(()));
    // Three wait and the topic keeps the newest three: five bodies, where four fit. So 0 goes, after 3 had found no
    // place in the queue; 4 takes the place that 0 left.
    publish(&mut topics, a, &["0", "1", "2", "3", "4"]);
    assert_eq!(drain(&mut topics, LINK), ["2 a@1=1 missed 2", "2 a@2=2 missed 0", "2 a@4=4 missed 0"]);
    assert_eq!(topics.publish(a, &[0; 33]), Err(PublishError::TooLarge));
    publish(&mut topics, a, &[&"x".repeat(32)]);
    assert_eq!(topics.publish(a, &[0; 32]), Err(PublishError::NoRoom));
    publish(&mut topics, a, &["6", "7", "8"]);
    assert!(topics.bodies.held() <= limits.bytes);
    assert_eq!(topics.publish(TopicId(9), b""), Err(PublishError::UnknownTopic));
}

/// What its queue held goes to make room for another topic: there is something to tell, which needs no credit.
#[test]
fn a_link_is_woken_where_room_is_made_at_its_cost() {
    let limits = TopicLimits { bytes: 3 * 16, body: 16, ..TopicLimits::default() };
    let mut topics = Topics::new(EPOCH, limits);
    let a = declare(&mut topics, "a", event(1, Overflow::DropNewest));
    let b = declare(&mut topics, "b", event(2, Overflow::DropOldest));
    assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(2), "a", None), Ok(()));
    publish(&mut topics, a, &["0", "1"]);
    topics.pump(LINK, |_| Verdict::NoCredit);
    topics.wake().for_each(drop);
    publish(&mut topics, b, &["0", "1"]);
    assert_eq!(topics.wake().collect::<Vec<_>>(), [LINK]);
    assert_eq!(drain(&mut topics, LINK), ["2 missed 2"]);
}

#[test]
fn a_body_is_stored_once_and_its_buffer_used_again() {
    let mut topics = table();
    let a = declare(&mut topics, "a", Kind::State);
    for id in 0..50 {
        assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(id), "a", None), Ok(()));
    }
    let mut held = vec![];
    for _ in 0..4 {
        publish(&mut topics, a, &["the same for all"]);
        held.push(topics.bodies.held());
        assert_eq!(drain(&mut topics, LINK).len(), 50);
    }
    assert_eq!(held, [16; 4]);
}
