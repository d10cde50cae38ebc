//! Which topics and filters find each other, against `name::matches` asked of all of them.

use super::*;
use crate::topics::filters::Filters;
use alloc::collections::BTreeMap;
use proptest::prelude::*;

/// Few levels, so that filters often match; with bytes that sort before and behind `/`, `+` and `#`.
const LEVELS: [&str; 10] = ["a", "b", "aa", "a b", "!", "-", "$s", "é", "~", "z"];

fn filter() -> impl Strategy<Value = String> {
    let levels = prop::collection::vec(prop_oneof![3 => 0..LEVELS.len(), 2 => Just(LEVELS.len())], 0..5);
    (levels, any::<bool>()).prop_filter_map("no level", |(levels, open)| {
        let level = |&at: &usize| LEVELS.get(at).copied().unwrap_or("+");
        let levels: Vec<_> = levels.iter().map(level).chain(open.then_some("#")).collect();
        (!levels.is_empty()).then(|| levels.join("/"))
    })
}

fn topic() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&LEVELS[..]), 1..5).prop_map(|levels| levels.join("/"))
}

proptest! {
    /// NAM-3: the walk finds what `name::matches` says, whoever came and went; and never looks at a filter twice.
    #[test]
    fn a_topic_finds_its_filters(
        steps in prop::collection::vec((filter(), prop::option::of(any::<prop::sample::Index>())), 0..80),
        topics in prop::collection::vec(topic(), 1..20),
    ) {
        let mut filters = Filters::default();
        let mut places: BTreeMap<usize, (String, usize)> = BTreeMap::new();
        for (member, (filter, leaves)) in steps.into_iter().enumerate() {
            places.insert(member, (filter.clone(), filters.add(&filter, member)));
            let Some(leaves) = leaves else { continue };
            let leaving = *places.keys().nth(leaves.index(places.len())).expect("within");
            let (filter, place) = places.remove(&leaving).expect("there");
            if let Some(moved) = filters.remove(&filter, place) {
                places.get_mut(&moved).expect("there").1 = place;
            }
        }
        for topic in topics {
            let mut found = filters.matching(&topic);
            found.sort_unstable();
            let matching = places.iter().filter(|(_, (filter, _))| name::matches(filter, &topic));
            let expected: Vec<_> = matching.map(|(member, _)| *member).collect();
            prop_assert_eq!(found, expected, "{}", topic);
            prop_assert!(filters.steps(&topic) <= filters.len());
        }
        // What nobody asks for any more takes no room.
        for member in places.keys().copied().collect::<Vec<_>>() {
            let (filter, place) = places.remove(&member).expect("there");
            if let Some(moved) = filters.remove(&filter, place) {
                places.get_mut(&moved).expect("there").1 = place;
            }
        }
        prop_assert_eq!(filters.len(), 0);
    }

    /// NAM-3: the same from the other side.
    #[test]
    fn a_filter_finds_its_topics(
        names in prop::collection::vec(topic(), 1..60),
        filters in prop::collection::vec(filter(), 1..20),
    ) {
        let mut topics = table();
        for name in names.iter().filter(|name| !name::is_reserved(name)) {
            declare(&mut topics, name, Kind::State);
        }
        for filter in filters {
            prop_assert_eq!(names_of(&topics, &filter), naive(&topics, &filter), "{}", filter);
        }
    }
}

fn names_of(topics: &Topics, filter: &str) -> Vec<String> {
    topics.matching(filter).into_iter().map(|topic| topics.name(topic).into()).collect()
}

fn naive(topics: &Topics, filter: &str) -> Vec<String> {
    let names = topics.by_name.iter().map(|topic| topics.name(*topic));
    names.filter(|name| name::matches(filter, name)).map(Into::into).collect()
}

/// Filters that all match, of any number of levels and with any of them `+`: the worst that a topic of 64 levels, which
/// is all that 128 bytes hold, can meet. A walk through a trie of levels may come to each node; this one looks at no
/// filter twice.
#[test]
fn wildcards_on_every_level_cost_one_step_each() {
    let levels = name::NAME_MAX / 2;
    let topic = vec!["a"; levels].join("/");
    let mut filters = Filters::default();
    let mut add = |filter: String| {
        assert_eq!(name::check_filter(&filter), Ok(()));
        filters.add(&filter, ())
    };
    // The last twelve levels in each way, and none beyond: 4,096 filters that differ late.
    for pattern in 0..4_096_u32 {
        let level =
            |at: usize| if at + 12 >= levels && pattern >> (levels - 1 - at) & 1 == 1 { "+" } else { "a" };
        add((0..levels).map(level).collect::<Vec<_>>().join("/"));
    }
    // The first twelve levels in each way, and then one that does not match: 4,095 filters that nearly do.
    for pattern in 1..4_096_u32 {
        let level = |at: usize| match at {
            12.. if at + 1 == levels => "b",
            0..12 if pattern >> at & 1 == 1 => "+",
            _ => "a",
        };
        add((0..levels).map(level).collect::<Vec<_>>().join("/"));
    }
    assert_eq!(filters.len(), 4_096 + 4_095);
    assert_eq!(filters.matching(&topic).len(), 4_096);
    assert!(filters.steps(&topic) <= filters.len());
}

/// What matches is found in a few steps, however many filters there are.
#[test]
fn what_cannot_match_is_skipped() {
    let mut filters = Filters::default();
    for room in 0..1_000 {
        for thing in ["lamp/state", "lamp/+", "door/#", "+/state", "oven/temperature"] {
            filters.add(&format!("house/room-{room}/{thing}"), room);
        }
    }
    for filter in ["#", "house/#", "house/+/lamp/state", "house/+/oven/#", "+/room-7/#"] {
        filters.add(filter, 1_000);
    }
    let topic = "house/room-7/lamp/state";
    assert_eq!(filters.matching(topic).iter().filter(|room| **room == 7).count(), 3);
    assert_eq!(filters.matching(topic).len(), 3 + 4);
    assert!(filters.steps(topic) <= 20, "{}", filters.steps(topic));
}

/// Of every form; they match many topics, one or none.
const FILTERS: [&str; 25] = [
    "#",
    "+",
    "+/+",
    "site/#",
    "site/+/#",
    "site/3/#",
    "site/+/+",
    "site/+/+/power",
    "site/0/+/power",
    "site/0/cell-28/power",
    "site/0/cell-28/#",
    "site/0/cell-28",
    "event/+",
    "event/#",
    "event/2",
    "event",
    "flat-3",
    "flat-",
    "flat-3/#",
    "+/+/cell-4/power",
    "+/+/+/+/#",
    "$s/#",
    "none/#",
    "site/+",
    "si/#",
];

/// Five thousand topics and all forms of filters, in whichever order they come.
#[test]
fn five_thousand_topics_and_their_filters() {
    let names = (0..5_000).map(|at| match at % 4 {
        0 => format!("site/{}/cell-{}/power", at % 7, at),
        1 => format!("site/{}/cell-{}", at % 7, at),
        2 => format!("event/{at}"),
        _ => format!("flat-{at}"),
    });
    let names: Vec<_> = names.collect();
    for subscribe_at in [0, 2_500, 5_000] {
        let mut topics = declared_with_subscriptions(&names, subscribe_at);
        for filter in FILTERS {
            assert_eq!(names_of(&topics, filter), naive(&topics, filter), "{filter}");
        }
        for name in &names {
            let topic = topics.find(name).expect("declared");
            topics.publish(topic, b"").expect("published");
        }
        for (filter, mut got) in FILTERS.iter().zip(pumped(&mut topics)) {
            got.sort_unstable();
            assert_eq!(got, naive(&topics, filter), "{filter}, subscribed at {subscribe_at}");
        }
    }
}

/// All topics, and a subscription with each filter that came when so many of them were there.
fn declared_with_subscriptions(names: &[String], subscribe_at: usize) -> Topics {
    let limits =
        TopicLimits { topics: 5_000, matches: 1 << 20, matches_per_link: 1 << 20, ..TopicLimits::default() };
    let mut topics = Topics::new(EPOCH, limits);
    for (at, name) in names.iter().enumerate() {
        if at == subscribe_at {
            subscribe_all(&mut topics, &FILTERS);
        }
        declare(&mut topics, name, event(1, Overflow::DropOldest));
    }
    if subscribe_at == names.len() {
        subscribe_all(&mut topics, &FILTERS);
    }
    topics
}

/// The topics of what each subscription is given.
fn pumped(topics: &mut Topics) -> Vec<Vec<String>> {
    let mut got = vec![Vec::new(); FILTERS.len()];
    topics.pump(LINK, |offer| {
        let Offer::Publication { subscription, publication, .. } = offer else { panic!("{offer:?}") };
        assert!(!publication.missed.is_any());
        got[subscription.number() as usize].push(String::from(publication.topic));
        Verdict::Sent
    });
    got
}

fn subscribe_all(topics: &mut Topics, filters: &[&str]) {
    for (id, filter) in (0..).zip(filters) {
        assert_eq!(topics.subscribe(LINK, ExchangeId::from_number(id), filter, None), Ok(()));
    }
}
