//! Descriptions: against the vectors, there and back, and as bytes of any kind.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::iter::empty;
use std::format;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::tests::vectors;

/// As the vectors have it.
fn told(description: &Description<'_>) -> Value {
    let with_text = |mut entry: Value, text: Option<&str>| {
        text.into_iter().for_each(|text| entry["text"] = text.into());
        entry
    };
    let methods = description.methods().map(|method| {
        let chunks = u64::from(method.request_chunks) | u64::from(method.reply_chunks) << 1;
        with_text(json!({ "name": method.name, "chunks": chunks }), method.text)
    });
    let topics = description
        .topics()
        .map(|topic| with_text(json!({ "name": topic.name, "kind": u64::from(topic.is_event) }), topic.text));
    let mut all = json!({ "methods": methods.collect::<Vec<_>>(), "topics": topics.collect::<Vec<_>>() });
    description.name().into_iter().for_each(|name| all["name"] = name.into());
    all
}

fn again(description: &Description<'_>) -> Result<Description<'static>, DescriptionError> {
    Description::encode(description.name(), description.methods(), description.topics())
}

/// DSC-3, DSC-4
#[test]
fn descriptions_of_the_vectors() {
    for vector in vectors("descriptions") {
        let bytes = vector.bytes("description");
        let description = Description::from_bytes(&bytes);
        assert_eq!(description.is_ok(), vector.is_accepted(), "{}: {description:?}", vector.id());
        let Ok(description) = description else { continue };
        assert_eq!(told(&description), *vector.field("fields"), "{}", vector.id());
        let canonical = vector.field("canonical").as_bool().unwrap();
        assert_eq!(again(&description).unwrap().as_bytes() == bytes, canonical, "{}", vector.id());
    }
}

/// The example of SPEC §22.
#[test]
fn the_example_of_the_specification() {
    let methods = [
        MethodDescription::new("lamp/photo").with_chunks(false, true),
        MethodDescription::new("lamp/set").with_text("Switches it."),
    ];
    let topics = [TopicDescription::new("lamp/state", Kind::State)];
    let lamp = Description::encode(Some("Lamp"), methods.into_iter(), topics.into_iter()).unwrap();
    let hex: String = lamp.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(include_str!("../../SPEC.md").contains(&format!("\n{hex}\n")), "{hex}");
}

/// DSC-2: what is longer is none, and is not written.
#[test]
fn a_description_that_is_too_long_is_none() {
    let text = "t".repeat(256);
    let names: Vec<String> = (0..300).map(|number| format!("{number:04}")).collect();
    let methods =
        |count: usize| names[..count].iter().map(|name| MethodDescription::new(name).with_text(&text));
    let longest = (0..300).rev().find_map(|count| Description::encode(None, methods(count), empty()).ok());
    let longest = longest.expect("none is too long").as_bytes().len();
    assert!((Description::MAX_LEN - 300..=Description::MAX_LEN).contains(&longest), "{longest}");
    assert_eq!(Description::encode(None, methods(300), empty()), Err(DescriptionError::TooLong));
    // Of the right form: its last text makes up what is missing.
    let last = |len: usize| {
        Description::encode(None, methods(longest / 267), empty()).map(|d| {
            let mut bytes = d.as_bytes().to_vec();
            bytes.resize(len, 0);
            Description::from_bytes(bytes)
        })
    };
    assert_eq!(last(Description::MAX_LEN), Ok(Err(DescriptionError::Trailing)));
    assert_eq!(last(Description::MAX_LEN + 1), Ok(Err(DescriptionError::TooLong)));
}

#[test]
fn as_many_as_there_may_be_are_listed() {
    let names: Vec<String> = (0..=Description::MAX_ENTRIES).map(|number| format!("{number:04}")).collect();
    let topics = |count: usize| names[..count].iter().map(|name| TopicDescription::new(name, Kind::State));
    let most = Description::encode(None, empty(), topics(Description::MAX_ENTRIES)).unwrap();
    assert_eq!(most.topics().count(), Description::MAX_ENTRIES);
    let more = Description::encode(None, empty(), topics(Description::MAX_ENTRIES + 1));
    assert_eq!(more, Err(DescriptionError::TooMany));
}

/// What is written is held to the same rules as what comes, and the reason is told.
#[test]
fn what_may_not_be_told_is_refused() {
    let encode = |name, methods: &[MethodDescription<'_>]| {
        Description::encode(name, methods.iter().copied(), empty()).err()
    };
    let method = MethodDescription::new;
    let long = "w".repeat(257);
    assert_eq!(encode(Some("Lamp"), &[method("a"), method("b")]), None);
    assert_eq!(encode(Some(""), &[]), Some(DescriptionError::Text));
    assert_eq!(encode(Some(&long[..65]), &[]), Some(DescriptionError::Text));
    assert_eq!(encode(None, &[method("a").with_text("\t")]), Some(DescriptionError::Text));
    assert_eq!(encode(None, &[method("a").with_text(&long)]), Some(DescriptionError::Text));
    assert_eq!(encode(None, &[method("b"), method("a")]), Some(DescriptionError::Order));
    assert_eq!(encode(None, &[method("a"), method("a")]), Some(DescriptionError::Order));
    assert_eq!(encode(None, &[method("a/+")]), Some(DescriptionError::Name(NameError::Wildcard)));
    assert_eq!(encode(None, &[method(Description::METHOD)]), Some(DescriptionError::Reserved));
}

#[test]
fn memory_of_the_callers_holds_it_or_says_how_much_it_takes() {
    let methods = [MethodDescription::new("a"), MethodDescription::new("b").with_chunks(true, false)];
    let owned = Description::encode(Some("Lamp"), methods.into_iter(), empty()).unwrap();
    let needed = owned.as_bytes().len();
    for len in 0..needed {
        let mut memory = vec![0; len];
        let refused = Description::encode_into(&mut memory, Some("Lamp"), methods.into_iter(), empty());
        assert_eq!(refused, Err(DescriptionError::NoRoom(needed)));
    }
    let mut memory = vec![0; needed + 9];
    let lent = Description::encode_into(&mut memory, Some("Lamp"), methods.into_iter(), empty()).unwrap();
    assert_eq!(lent, owned);
    assert_eq!(lent.into_owned(), owned);
    assert_eq!(
        format!("{owned:?}"),
        r#"Description { name: Some("Lamp"), methods: ["a", "b"], topics: [] }"#
    );
}

/// A name, a number, and a text.
type Listed = (String, u8, Option<String>);

fn listed() -> impl Strategy<Value = Vec<Listed>> {
    let entry = ("[a-zé]{1,4}(/[a-z -]{1,9}){0,3}", 0..4_u8, proptest::option::of("[^\\p{Cc}]{1,60}"));
    proptest::collection::btree_map(entry.0, (entry.1, entry.2), 0..40)
        .prop_map(|all| all.into_iter().map(|(name, (number, text))| (name, number, text)).collect())
}

fn described(name: Option<&str>, methods: &[Listed], topics: &[Listed]) -> Description<'static> {
    let methods = methods.iter().map(|(name, number, text)| {
        let method = MethodDescription::new(name).with_chunks(number & 1 != 0, number & 2 != 0);
        MethodDescription { text: text.as_deref(), ..method }
    });
    let topics = topics.iter().map(|(name, number, text)| {
        let topic = TopicDescription::new(name, Kind::State);
        TopicDescription { is_event: number & 1 != 0, text: text.as_deref(), ..topic }
    });
    Description::encode(name, methods, topics).unwrap()
}

proptest! {
    /// What is told is heard, in memory of either kind.
    #[test]
    fn there_and_back(name in proptest::option::of("[^\\p{Cc}]{1,16}"), methods in listed(), topics in listed()) {
        let description = described(name.as_deref(), &methods, &topics);
        let heard = Description::from_bytes(description.as_bytes()).unwrap();
        prop_assert_eq!(heard.name(), name.as_deref());
        let heard_methods = heard.methods().map(|method| {
            let chunks = u8::from(method.request_chunks) | u8::from(method.reply_chunks) << 1;
            (method.name.to_string(), chunks, method.text.map(str::to_string))
        });
        prop_assert!(heard_methods.eq(methods));
        let heard_topics =
            heard.topics().map(|topic| (topic.name.to_string(), u8::from(topic.is_event), topic.text.map(str::to_string)));
        prop_assert!(heard_topics.eq(topics.into_iter().map(|(name, number, text)| (name, number & 1, text))));
        prop_assert_eq!(&again(&heard).unwrap(), &description);
    }

    /// Any bytes are a description or none; one that is lists what it says, and can be told again.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(description) = Description::from_bytes(&bytes) {
            prop_assert!(again(&description).is_ok());
        }
    }

    /// The same of what is nearly one; cut short it is none.
    #[test]
    fn bytes_that_were_spoilt(
        methods in listed(), topics in listed(), at: prop::sample::Index, byte: u8, end: prop::sample::Index,
    ) {
        let mut bytes = described(Some("Lamp"), &methods, &topics).as_bytes().to_vec();
        prop_assert!(Description::from_bytes(&bytes[..end.index(bytes.len())]).is_err());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(description) = Description::from_bytes(&bytes) {
            let Ok(same) = again(&description) else { return Err(TestCaseError::fail("it cannot be told again")) };
            prop_assert_eq!(told(&same), told(&description));
        }
    }
}
