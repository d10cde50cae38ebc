//! SPEC.md: its ids, and who cites it.

use std::collections::BTreeSet;

use crate::layers::contains_word;
use crate::{read, report, rust_files};

#[test]
fn each_section_of_spec_that_is_cited_exists() {
    let spec = read("SPEC.md");
    let headings: BTreeSet<&str> = spec
        .lines()
        .filter(|line| line.starts_with('#'))
        .filter_map(|line| line.trim_start_matches('#').split_whitespace().next())
        .collect();
    let mut complaints = Vec::new();
    for (name, text) in rust_files() {
        for section in cited_sections(&text) {
            if !headings.contains(section.as_str()) {
                complaints.push(format!("{name} cites SPEC §{section}"));
            }
        }
    }
    report("sections that SPEC.md does not have", &complaints);
}

#[test]
fn each_id_that_is_cited_exists() {
    let spec = read("SPEC.md");
    let defined = defined_ids(&spec);
    let families: BTreeSet<&str> = defined.iter().filter_map(|(id, _)| id.split('-').next()).collect();
    let known: BTreeSet<&str> = defined.iter().map(|(id, _)| id.as_str()).collect();
    let mut complaints = Vec::new();
    for (name, text) in rust_files() {
        for id in ids_in(&text) {
            let family = id.split('-').next().unwrap_or_default();
            if families.contains(family) && !known.contains(id.as_str()) {
                complaints.push(format!("{name} names {id}"));
            }
        }
    }
    report("ids that SPEC.md does not have", &complaints);
}

#[test]
fn each_must_of_spec_has_an_id_of_its_own() {
    let spec = read("SPEC.md");
    let mut complaints = Vec::new();
    for block in blocks(rules(&spec)) {
        for sentence in sentences(&block) {
            let has_must = contains_word(sentence, "MUST");
            if has_must && defined_ids(sentence).is_empty() {
                complaints.push(format!("no id: {sentence}"));
            }
        }
    }
    let mut seen = BTreeSet::new();
    for (id, _) in defined_ids(&spec) {
        if !seen.insert(id.clone()) {
            complaints.push(format!("twice: {id}"));
        }
    }
    report("MUSTs of SPEC.md", &complaints);
}

// Reading SPEC.md

/// From §2 on, where the rules are; without the appendices.
fn rules(spec: &str) -> &str {
    let from = spec.find("\n## 2 ").expect("SPEC.md has a section 2");
    let to = spec.find("\n## Appendix A").expect("SPEC.md has an appendix A");
    &spec[from..to]
}

/// Paragraphs, list items, table rows, each as one line; figures left out.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut in_figure = false;
    for line in text.lines() {
        if line.starts_with("```") {
            in_figure = !in_figure;
        } else if !in_figure {
            if line.is_empty() || line.starts_with(['-', '|', '#']) {
                blocks.push(String::new());
            }
            let block = blocks.last_mut().expect("never empty");
            block.push_str(line.trim());
            block.push(' ');
        }
    }
    blocks
}

fn sentences(block: &str) -> impl Iterator<Item = &str> {
    block.split_inclusive(". ").map(str::trim)
}

/// The ids that stand in square brackets, in order; `true` for those marked `*`.
pub fn defined_ids(text: &str) -> Vec<(String, bool)> {
    let bracketed = text.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    let id = |text: &str| {
        let id = text.trim_end_matches('*');
        (ids_in(id) == [id]).then(|| (id.to_owned(), text.ends_with('*')))
    };
    bracketed.filter_map(id).collect()
}

/// Everything that has the form of an id: three capitals, a hyphen, a number.
pub fn ids_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (hyphen, _) in text.match_indices('-') {
        let family: Vec<char> =
            text[..hyphen].chars().rev().take_while(|char| char.is_ascii_alphanumeric()).collect();
        let digits = text[hyphen + 1..].chars().take_while(char::is_ascii_digit).count();
        let number = &text[hyphen + 1..][..digits];
        if family.len() == 3 && family.iter().all(char::is_ascii_uppercase) && digits > 0 {
            let family: String = family.into_iter().rev().collect();
            found.push(format!("{family}-{number}"));
        }
    }
    found
}

/// The sections behind each `SPEC §`: one, or a list such as `§3, §5` or `§7 to §16`.
fn cited_sections(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (place, start) in text.match_indices("SPEC §") {
        let mut rest = &text[place + start.len()..];
        loop {
            let number: String =
                rest.chars().take_while(|char| char.is_ascii_digit() || *char == '.').collect();
            rest = &rest[number.len()..];
            found.push(number.trim_end_matches('.').to_owned());
            let next = [", §", " to §", " and §"].iter().find_map(|join| rest.strip_prefix(join));
            let Some(next) = next else { break };
            rest = next;
        }
    }
    found
}
