//! Bodies that a link takes in parts: order, turns, what is given up, and what that counts.  SPEC §14.5

use super::*;

fn id(number: u64) -> ExchangeId {
    ExchangeId::from_number(number)
}

/// A table with a state of this name, and a subscription of `LINK` to all.
fn with_state() -> (Topics, TopicId) {
    let mut topics = table();
    let a = declare(&mut topics, "a", Kind::State);
    assert_eq!(topics.subscribe(LINK, id(2), "#", None), Ok(()));
    (topics, a)
}

/// Pumps with these verdicts, then `Full`; what was offered for each.
fn pump(topics: &mut Topics, verdicts: &[Verdict]) -> Vec<String> {
    let (mut got, mut verdicts) = (Vec::new(), verdicts.iter());
    topics.pump(LINK, |offer| {
        let Some(&verdict) = verdicts.next() else { return Verdict::Full };
        got.push(show(offer));
        verdict
    });
    assert_eq!(verdicts.next(), None, "asked for less: {got:?}");
    got
}

/// PUB-6: parts come in order with nothing of the subscription between; the count of those missed goes with the first.
#[test]
fn a_body_is_offered_until_all_of_it_was_taken() {
    let (mut topics, a) = with_state();
    publish(&mut topics, a, &["old", "abcdefgh"]);
    let b = declare(&mut topics, "b", event(4, Overflow::DropOldest));
    publish(&mut topics, b, &["0"]);
    let verdicts = [3, 2, 0].map(Verdict::Part);
    assert_eq!(pump(&mut topics, &verdicts), ["2 a@1=abcdefgh missed 1", "2 rest=defgh", "2 rest=fgh"]);
    assert!(!topics.has_backlog(LINK), "nothing of some is no credit");
    topics.credited(LINK, id(2));
    assert_eq!(pump(&mut topics, &[Verdict::Part(3), Verdict::Part(1)]), ["2 rest=fgh", "2 b@0=0 missed 0"]);
    assert!(!topics.has_backlog(LINK));
    // Of an empty body, nothing is all.
    publish(&mut topics, a, &[""]);
    assert_eq!(pump(&mut topics, &[Verdict::Part(0)]), ["2 a@2= missed 0"]);
    assert!(!topics.has_backlog(LINK));
}

/// Subscriptions of a link take turns between the parts of each.
#[test]
fn others_have_their_turn_between_parts() {
    let (mut topics, a) = with_state();
    assert_eq!(topics.subscribe(LINK, id(4), "a", None), Ok(()));
    publish(&mut topics, a, &["abcd"]);
    let b = declare(&mut topics, "b", event(4, Overflow::DropOldest));
    assert_eq!(topics.subscribe(LINK, id(6), "b", None), Ok(()));
    publish(&mut topics, b, &["0", "1"]);
    let expected = [
        "2 a@0=abcd missed 0",
        "4 a@0=abcd missed 0",
        "6 b@0=0 missed 0",
        "2 rest=cd",
        "4 rest=cd",
        "6 b@1=1 missed 0",
        "2 b@0=0 missed 0",
        "2 b@1=1 missed 0",
    ];
    assert_eq!(pump(&mut topics, &[Verdict::Part(2); 8]), expected);
    assert!(!topics.has_backlog(LINK));
}

/// PUB-2, PUB-10: one whose parts move is finished, however many newer ones come, of which only the newest follows.
#[test]
fn a_state_whose_parts_move_is_finished() {
    let (mut topics, a) = with_state();
    publish(&mut topics, a, &["abcd"]);
    assert_eq!(pump(&mut topics, &[Verdict::Part(1)]), ["2 a@0=abcd missed 0"]);
    for rest in ["2 rest=bcd", "2 rest=cd", "2 rest=d"] {
        publish(&mut topics, a, &["x", "y", "z"]);
        // It waits for credit, gets it, and one part moves.
        assert_eq!(pump(&mut topics, &[Verdict::NoCredit]), [rest]);
        publish(&mut topics, a, &["w"]);
        topics.credited(LINK, id(2));
        assert_eq!(pump(&mut topics, &[Verdict::Part(1)]), [rest]);
    }
    assert_eq!(drain(&mut topics, LINK), ["2 a@12=w missed 11"]);
    // A link that is full has not stalled for all that is known.
    publish(&mut topics, a, &["abcd"]);
    pump(&mut topics, &[Verdict::Part(1)]);
    publish(&mut topics, a, &["x", "y", "z"]);
    assert_eq!(drain(&mut topics, LINK), ["2 rest=bcd", "2 a@16=z missed 2"]);
}

/// PUB-10: one that waited for credit from one newer value to the next is given up, and not counted: its subscriber does
/// that. The newest is next.
#[test]
fn a_state_that_has_stalled_is_given_up_for_the_newest() {
    let (mut topics, a) = with_state();
    publish(&mut topics, a, &["abcd"]);
    pump(&mut topics, &[Verdict::Part(1), Verdict::NoCredit]);
    publish(&mut topics, a, &["1"]);
    assert_eq!(pump(&mut topics, &[Verdict::NoCredit]), ["2 rest=bcd"]);
    publish(&mut topics, a, &["2"]);
    assert_eq!(topics.bodies.stored(), 1, "its body is free at once");
    assert_eq!(pump(&mut topics, &[Verdict::NoCredit]), ["2 abort"]);
    publish(&mut topics, a, &["3"]);
    topics.credited(LINK, id(2));
    assert_eq!(drain(&mut topics, LINK), ["2 abort", "2 a@3=3 missed 2"]);
}

/// Two in a row are not given up, or a subscriber whose credit comes more slowly than values would see none whole.
#[test]
fn of_two_in_a_row_one_is_finished() {
    let (mut topics, a) = with_state();
    let mut offered = Vec::new();
    for _ in 0..100 {
        publish(&mut topics, a, &["abcdefgh", "abcdefgh"]);
        topics.credited(LINK, id(2));
        // Credit for one message in the time of two values.
        let mut credit = 1;
        topics.pump(LINK, |offer| {
            if credit == 0 {
                return Verdict::NoCredit;
            }
            credit -= 1;
            offered.push(show(offer));
            Verdict::Part(1)
        });
    }
    let begun = offered.iter().filter(|offer| offer.contains('@')).count();
    let aborted = offered.iter().filter(|offer| offer.contains("abort")).count();
    assert!((9..=11).contains(&aborted) && begun - aborted >= 9, "{begun} {aborted}");
}

/// SPEC §14.2: of events none is given up for a newer one, nor is one that is half sent in the queue any more.
#[test]
fn an_event_that_is_half_sent_is_simply_being_sent() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest, Overflow::Refuse] {
        let mut topics = table();
        let a = declare(&mut topics, "a", event(2, overflow));
        assert_eq!(topics.subscribe(LINK, id(2), "a", None), Ok(()));
        publish(&mut topics, a, &["abcd"]);
        assert_eq!(pump(&mut topics, &[Verdict::Part(1), Verdict::NoCredit]).len(), 2);
        publish(&mut topics, a, &["1", "2"]);
        let third = topics.publish(a, b"3");
        assert_eq!(third == Err(PublishError::QueueFull), overflow == Overflow::Refuse);
        let expected = match overflow {
            Overflow::DropOldest => ["2 rest=bcd", "2 a@2=2 missed 1", "2 a@3=3 missed 0"],
            Overflow::DropNewest => ["2 rest=bcd", "2 a@1=1 missed 1", "2 a@2=2 missed 0"],
            Overflow::Refuse => ["2 rest=bcd", "2 a@1=1 missed 0", "2 a@2=2 missed 0"],
        };
        topics.credited(LINK, id(2));
        assert_eq!(drain(&mut topics, LINK), expected);
    }
}

/// A slow subscriber is never the cause of `NoRoom`, whatever it has half: what waits unsent goes first.
#[test]
fn what_is_half_sent_makes_room_in_the_end() {
    let limits = TopicLimits { bytes: 4 * 64, ..TopicLimits::default() };
    let mut topics = Topics::new(EPOCH, limits);
    let [a, b] = ["a", "b"].map(|name| declare(&mut topics, name, event(1, Overflow::DropOldest)));
    let long = |letter: char| String::from(letter).repeat(64);
    assert_eq!(topics.subscribe(LINK, id(2), "a", None), Ok(()));
    assert_eq!(topics.subscribe(LINK, id(4), "b", None), Ok(()));
    publish(&mut topics, a, &[&long('a')]);
    assert_eq!(pump(&mut topics, &[Verdict::Part(1), Verdict::NoCredit]).len(), 2);
    // Kept: one of each. Held besides: the half sent one.
    publish(&mut topics, a, &[&long('x')]);
    publish(&mut topics, b, &[&long('b'), &long('c')]);
    let rest = format!("2 rest={}", "a".repeat(63));
    assert_eq!(pump(&mut topics, &[Verdict::NoCredit, Verdict::NoCredit])[0], rest, "there was room");
    // No queue holds anything that is not kept, and one more than there is room for is kept.
    let c = declare(&mut topics, "c", Kind::State);
    publish(&mut topics, c, &[&long('d')]);
    let d = declare(&mut topics, "d", Kind::State);
    assert_eq!(topics.bodies.held(), 256);
    publish(&mut topics, d, &[&long('e')]);
    assert!(topics.bodies.held() <= 256);
    assert_eq!(topics.wake().count(), 1, "the abort is to be told");
    topics.credited(LINK, id(4));
    let expected = [
        String::from("2 abort"),
        format!("4 b@1={} missed 1", long('c')),
        format!("2 a@1={} missed 0", long('x')),
    ];
    assert_eq!(drain(&mut topics, LINK), expected);
    // What topics keep is another matter.
    let e = declare(&mut topics, "e", Kind::State);
    assert_eq!(topics.publish(e, long('f').as_bytes()), Err(PublishError::NoRoom));
}

/// PUB-3, PUB-10: what is half sent is not counted at the end, and leaves nothing behind, whoever goes.
#[test]
fn whoever_leaves_frees_what_is_half_sent() {
    for aborted in [false, true] {
        let (mut topics, a) = with_state();
        publish(&mut topics, a, &["abcd"]);
        pump(&mut topics, &[Verdict::Part(1), Verdict::NoCredit]);
        publish(&mut topics, a, &["1"]);
        if aborted {
            publish(&mut topics, a, &["2"]);
        }
        let missed = Missed { count: 1 + u32::from(aborted), unknown: false };
        assert_eq!(topics.unsubscribe(LINK, id(2)), Some(missed));
        assert_eq!(topics.bodies.stored(), 1);
        assert!(!topics.has_backlog(LINK));
        // The same id again begins anew.
        assert_eq!(topics.subscribe(LINK, id(2), "#", None), Ok(()));
        assert_eq!(pump(&mut topics, &[Verdict::Part(0)]).len(), 1);
        pump_gone(&mut topics, a);
        assert_eq!(topics.bodies.stored(), 1);
    }
}

/// One that is gone, and a link that is, in the middle of a body.
fn pump_gone(topics: &mut Topics, a: TopicId) {
    for gone in [true, false] {
        let _ = topics.unsubscribe(LINK, id(2));
        assert_eq!(topics.subscribe(LINK, id(2), "#", None), Ok(()));
        publish(topics, a, &["abcd"]);
        let verdict = if gone { Verdict::Gone } else { Verdict::NoCredit };
        assert_eq!(pump(topics, &[Verdict::Part(1), verdict]).len(), 2);
        topics.drop_link(LINK);
    }
}

/// What can never be sent on is given up; being told of that can not be too large.
#[test]
fn a_rest_that_is_too_large_is_given_up() {
    let (mut topics, a) = with_state();
    publish(&mut topics, a, &["abcd"]);
    let verdicts = [Verdict::Part(1), Verdict::TooLarge, Verdict::TooLarge];
    assert_eq!(pump(&mut topics, &verdicts), ["2 a@0=abcd missed 0", "2 rest=bcd", "2 abort"]);
    assert!(!topics.has_backlog(LINK));
    topics.credited(LINK, id(2));
    assert_eq!(drain(&mut topics, LINK), ["2 abort"]);
}

/// SPEC §14.4: who resumes at the last that it has gets the one that was given up, where it is kept.
#[test]
fn who_resumes_has_not_got_what_was_half_sent() {
    let mut topics = table();
    let a = declare(&mut topics, "a", event(4, Overflow::DropOldest));
    assert_eq!(topics.subscribe(LINK, id(2), "a", None), Ok(()));
    publish(&mut topics, a, &["0", "abcd"]);
    pump(&mut topics, &[Verdict::Sent, Verdict::Part(2)]);
    topics.drop_link(LINK);
    let from = Some(Point { epoch: EPOCH, sequence: 0 });
    assert_eq!(topics.subscribe(LINK, id(2), "a", from), Ok(()));
    assert_eq!(drain(&mut topics, LINK), ["2 a@1=abcd missed 0"]);
}
