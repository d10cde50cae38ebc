//! Placeholder: names and filters, until the real module is merged.  SPEC §13

/// Why a text is no name, or no filter.  SPEC §13
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a name")]
pub struct NameError;

const MAX_LEN: usize = 128;

fn check(text: &str, mut level_is_ok: impl FnMut(&str, bool) -> bool) -> Result<(), NameError> {
    let last = text.split('/').count() - 1;
    let ok = (1..=MAX_LEN).contains(&text.len())
        && text
            .split('/')
            .enumerate()
            .all(|(at, level)| level_is_ok(level, at == last));
    if ok { Ok(()) } else { Err(NameError) }
}

fn is_plain(level: &str) -> bool {
    !level.is_empty()
        && !level
            .chars()
            .any(|c| matches!(c, '+' | '#' | '\0'..='\x1f' | '\x7f'))
}

pub(crate) fn check_name(text: &str) -> Result<(), NameError> {
    check(text, |level, _| is_plain(level))
}

pub(crate) fn check_filter(text: &str) -> Result<(), NameError> {
    check(text, |level, last| {
        level == "+" || (level == "#" && last) || is_plain(level)
    })
}

pub(crate) fn has_wildcards(filter: &str) -> bool {
    filter.split('/').any(|level| level == "+" || level == "#")
}

pub(crate) fn is_reserved(name: &str) -> bool {
    name.split('/').any(|level| level.starts_with('$'))
}

pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        let level = levels.next();
        match (wanted, level) {
            ("#", rest) => return !rest.into_iter().chain(levels).any(|l| l.starts_with('$')),
            ("+", Some(level)) if !level.starts_with('$') => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}
