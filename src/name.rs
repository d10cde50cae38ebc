//! Names of methods and topics, and filters over them.  SPEC §13

/// How many bytes a name or a filter has at most.  SPEC §13
pub const NAME_MAX: usize = 128;

/// Why a text is not a name, or not a filter.  SPEC §13
#[cfg_attr(all(feature = "defmt", target_os = "none"), derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It holds a control character: U+0000 to U+001F, or U+007F.
    #[error("the name holds a control character")]
    Control,
    /// It is empty.
    #[error("the name is empty")]
    Empty,
    /// A level is empty: `/` at the start, at the end, or twice in a row.
    #[error("a level of the name is empty")]
    EmptyLevel,
    /// It has more than [`NAME_MAX`] bytes.
    #[error("the name has more than 128 bytes")]
    TooLong,
    /// `+` or `#` stands in a name, or in a filter where it may not: `+` is a whole level, `#` the whole last one.
    #[error("a wildcard stands where none may be")]
    Wildcard,
}

/// Checks that `name` can name a method or a topic.  SPEC §13
///
/// ```
/// use symbolon::name::{NameError, check_name};
///
/// assert_eq!(check_name("kitchen/temperature"), Ok(()));
/// assert_eq!(check_name("kitchen//temperature"), Err(NameError::EmptyLevel));
/// assert_eq!(check_name("kitchen/+"), Err(NameError::Wildcard));
/// ```
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn check_name(name: &str) -> Result<(), NameError> {
    check(name, false)
}

/// Checks that `filter` can be subscribed to: a name in which a whole level may be `+`, and the last `#`.  SPEC §13
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), NameError> {
    check(filter, true)
}

/// Whether `filter` covers `topic`.  SPEC §13
///
/// Bytes are compared; there is no normalisation and no folding of case.  A wildcard never covers a level that
/// begins with `$`.  Both have to be valid; for anything else the answer means nothing.
///
/// ```
/// use symbolon::name::matches;
///
/// assert!(matches("+/temperature", "kitchen/temperature"));
/// assert!(matches("kitchen/#", "kitchen"));
/// assert!(!matches("#", "$sys/load"));
/// assert!(matches("$sys/#", "$sys/load"));
/// ```
pub fn matches(filter: &str, topic: &str) -> bool {
    // A topic has no wildcards, so this filter is one of those without; most are.
    if filter == topic {
        return true;
    }
    let mut levels = levels_of(topic);
    for pattern in levels_of(filter) {
        if pattern == b"#" {
            return !levels.any(is_reserved_level); // SPEC §13
        }
        match levels.next() {
            Some(level) if level == pattern => {}
            Some(level) if pattern == b"+" && !is_reserved_level(level) => {} // SPEC §13
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// Whether `topic` is a name that `filter` covers; only the filter has been checked, and whether it
/// [has wildcards](has_wildcards).
pub(crate) fn covers(filter: &str, wildcards: bool, topic: &str) -> bool {
    // A filter without them is a name, and covers no other.
    if wildcards { check_name(topic).is_ok() && matches(filter, topic) } else { filter == topic }
}

/// Whether `name`, or a filter, has a level that begins with `$`: those belong to the protocol.  SPEC §13
pub fn is_reserved(name: &str) -> bool {
    levels_of(name).any(is_reserved_level)
}

/// Whether `filter` can cover more than one topic.  SPEC §13
pub fn has_wildcards(filter: &str) -> bool {
    levels_of(filter).any(|level| level == b"+" || level == b"#")
}

/// The levels of a name or a filter, as bytes: to look for characters takes more code, and more time in short texts.
pub(crate) fn levels_of(text: &str) -> impl Iterator<Item = &[u8]> {
    text.as_bytes().split(|byte| *byte == b'/')
}

/// Whether a level belongs to the protocol.  SPEC §13
pub(crate) fn is_reserved_level(level: &[u8]) -> bool {
    level.first() == Some(&b'$')
}

fn check(text: &str, wildcards: bool) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty); // SPEC §13
    }
    if text.len() > NAME_MAX {
        return Err(NameError::TooLong); // SPEC §13
    }
    // In one pass, and most bytes with one look: each publication is checked.
    let bytes = text.as_bytes();
    let mut begins = true;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= b'0' && *byte != 0x7f {
            begins = false;
            continue;
        }
        match byte {
            b'/' if begins => return Err(NameError::EmptyLevel), // SPEC §13
            b'+' | b'#' => {
                let next = bytes.get(at + 1);
                let whole = begins && (next.is_none() || *byte == b'+' && next == Some(&b'/'));
                if !(wildcards && whole) {
                    return Err(NameError::Wildcard); // SPEC §13
                }
            }
            0..0x20 | 0x7f => return Err(NameError::Control), // SPEC §13
            _ => {}
        }
        begins = *byte == b'/';
    }
    if begins { Err(NameError::EmptyLevel) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// NAM-1: what a name and a filter are
    #[test]
    fn checks() {
        use NameError::*;
        let longest = "é".repeat(NAME_MAX / 2);
        let longer = "a".repeat(NAME_MAX + 1);
        for (text, name, filter) in [
            ("", Err(Empty), Err(Empty)),
            ("a", Ok(()), Ok(())),
            ("a/b/c", Ok(()), Ok(())),
            ("$sys/x", Ok(()), Ok(())),
            ("a b/é/\u{85}", Ok(()), Ok(())),
            (&longest, Ok(()), Ok(())),
            (&longer, Err(TooLong), Err(TooLong)),
            ("/", Err(EmptyLevel), Err(EmptyLevel)),
            ("/a", Err(EmptyLevel), Err(EmptyLevel)),
            ("a/", Err(EmptyLevel), Err(EmptyLevel)),
            ("a//b", Err(EmptyLevel), Err(EmptyLevel)),
            ("+", Err(Wildcard), Ok(())),
            ("#", Err(Wildcard), Ok(())),
            ("+/a/+/#", Err(Wildcard), Ok(())),
            ("a+", Err(Wildcard), Err(Wildcard)),
            ("a/b#", Err(Wildcard), Err(Wildcard)),
            ("#/a", Err(Wildcard), Err(Wildcard)),
            ("##", Err(Wildcard), Err(Wildcard)),
            ("+#", Err(Wildcard), Err(Wildcard)),
            ("a\0", Err(Control), Err(Control)),
            ("\u{1f}", Err(Control), Err(Control)),
            ("a/\u{7f}/b", Err(Control), Err(Control)),
        ] {
            assert_eq!(check_name(text), name, "name {text:?}");
            assert_eq!(check_filter(text), filter, "filter {text:?}");
        }
    }

    /// NAM-3: what a filter covers
    #[test]
    fn coverage() {
        for (filter, topic, covered) in [
            ("a", "a", true),
            ("a", "A", false),
            ("a", "a/b", false),
            ("a/b", "a", false),
            ("+", "a", true),
            ("+", "a/b", false),
            ("a/+/c", "a/b/c", true),
            ("a/+", "a", false),
            ("#", "a/b", true),
            ("a/#", "a", true),
            ("a/#", "a/b", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("+/#", "a", true),
            ("#", "$sys/x", false),
            ("+/x", "$sys/x", false),
            ("$sys/#", "$sys/x", true),
            ("$sys/#", "$sys", true),
            ("$sys/+", "$sys/$x", false),
            ("$sys/$x", "$sys/$x", true),
            ("a/#", "a/$b", false),
            ("a/#", "a/b/$c", false),
            ("#", "a$", true),
            ("é", "e\u{301}", false),
        ] {
            assert_eq!(matches(filter, topic), covered, "{filter} {topic}");
        }
    }

    #[test]
    fn kinds() {
        assert!(is_reserved("$sys") && is_reserved("a/$b") && is_reserved("$sys/#"));
        assert!(!is_reserved("a$/b") && !is_reserved("#"));
        assert!(has_wildcards("+") && has_wildcards("a/#") && has_wildcards("a/+/b"));
        assert!(!has_wildcards("a/b"));
    }

    /// The text of SPEC §13 as a search through every way to cut the topic.
    fn reference(filter: &[&str], topic: &[&str]) -> bool {
        let free = |level: &&str| !level.starts_with('$');
        match filter.split_first() {
            None => topic.is_empty(),
            Some((&"#", rest)) => (0..=topic.len())
                .any(|taken| topic[..taken].iter().all(free) && reference(rest, &topic[taken..])),
            Some((pattern, rest)) => topic.split_first().is_some_and(|(level, levels)| {
                (pattern == level || *pattern == "+" && free(level)) && reference(rest, levels)
            }),
        }
    }

    /// Few letters, so that random filters often cover random topics.
    fn text(level: &'static str) -> impl Strategy<Value = String> {
        proptest::collection::vec(level, 1..6).prop_map(|levels| levels.join("/"))
    }

    proptest! {
        #[test]
        fn matches_as_the_reference_does(
            levels in text("[ab+$]|\\$a"), all in any::<bool>(), topic in text("[ab$]|\\$a"),
        ) {
            let filter = if all { levels + "/#" } else { levels };
            let patterns: Vec<_> = filter.split('/').collect();
            let levels: Vec<_> = topic.split('/').collect();
            prop_assert_eq!(matches(&filter, &topic), reference(&patterns, &levels));
        }

        /// NAM-3: the short way for a filter without wildcards lets nothing else pass.
        #[test]
        fn covers_is_to_be_a_name_and_to_match(
            levels in text("[ab$+]"), all in any::<bool>(), topic in "[ab/+#$\\x00]{0,6}",
        ) {
            let filter = if all { levels + "/#" } else { levels };
            prop_assert_eq!(check_filter(&filter), Ok(()));
            for topic in [&topic, &filter] {
                let expected = check_name(topic).is_ok() && matches(&filter, topic);
                prop_assert_eq!(covers(&filter, has_wildcards(&filter), topic), expected);
            }
        }

        /// A name is a filter that covers itself; nothing panics on any text.
        #[test]
        fn any_text(text in "[a/+#$\\x00é]{0,140}", other: String) {
            let _ = (matches(&text, &other), matches(&other, &text), check_filter(&other));
            if check_name(&text).is_ok() {
                prop_assert!(check_filter(&text).is_ok() && matches(&text, &text) && !has_wildcards(&text));
            }
        }
    }
}
