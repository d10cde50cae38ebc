//! tests/attacks.md: its ids, and which tests and scripts cite them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::proofs::test_code;
use crate::{read, report, root, rust_files};

const LIST: &str = "tests/attacks.md";

#[test]
fn each_attack_that_is_cited_is_in_the_list() {
    let listed: BTreeSet<String> = rows().into_iter().collect();
    let mut complaints = Vec::new();
    for (name, text) in rust_files() {
        let unknown = cited(&text).into_iter().filter(|id| !listed.contains(id));
        complaints.extend(unknown.map(|id| format!("{name} cites {id}")));
    }
    for (script, id) in scripts() {
        if !listed.contains(&id) {
            complaints.push(format!("{script} is called {id}"));
        }
    }
    report("attacks that are not in the list", &complaints);
}

#[test]
fn each_attack_of_the_list_is_tried_by_a_test() {
    let tests = test_code().into_iter().filter(|(name, _)| !name.starts_with("tests/house/"));
    let mut tried: BTreeSet<String> = tests.flat_map(|(_, text)| cited(&text)).collect();
    tried.extend(scripts().into_values());
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for id in rows() {
        *times.entry(id).or_default() += 1;
    }
    assert!(times.len() > 50, "only {} attacks found: this has read nothing", times.len());
    let idle = times.iter().filter(|(id, _)| !tried.contains(*id)).map(|(id, _)| format!("no test: {id}"));
    let twice = times.iter().filter(|(_, times)| **times > 1).map(|(id, _)| format!("twice: {id}"));
    report("attacks of the list", &idle.chain(twice).collect::<Vec<_>>());
}

/// The ids that begin the rows of the list.
fn rows() -> Vec<String> {
    let list = read(LIST);
    let first_cells =
        list.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|row| row.split(" |").next());
    first_cells.filter(|cell| is_attack(cell)).map(str::to_owned).collect()
}

/// The ids in the comments, as in `F2, C12` or `C1 to C4`.
fn cited(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, comment) in text.lines().filter_map(|line| line.split_once("//")) {
        let words: Vec<&str> = comment
            .split(|char: char| !char.is_ascii_alphanumeric() && char != '-')
            .filter(|word| !word.is_empty())
            .collect();
        for (place, word) in words.iter().enumerate().filter(|(_, word)| is_attack(word)) {
            found.insert((*word).to_owned());
            let last = words.get(place + 2).filter(|last| words[place + 1] == "to" && is_attack(last));
            found.extend(last.into_iter().flat_map(|last| between(word, last)));
        }
    }
    found
}

fn between(first: &str, last: &str) -> Vec<String> {
    let number = |id: &str| id[1..].parse::<u8>().expect("of an attack");
    (number(first)..number(last)).map(|number| format!("{}{number}", &first[..1])).collect()
}

/// One capital of the five kinds and a number below 100.
fn is_attack(word: &str) -> bool {
    let number = word.strip_prefix(['C', 'F', 'H', 'R', 'T']).unwrap_or_default();
    (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The scripts of the corpora whose names begin with an attack, and that attack.
fn scripts() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let corpora = fs::read_dir(root().join("fuzz/corpus")).expect("the corpora");
    for corpus in corpora.map(|corpus| corpus.expect("a corpus").path()) {
        for script in fs::read_dir(&corpus).expect("a corpus") {
            let name = script.expect("a script").file_name().to_string_lossy().into_owned();
            let id = name.split('-').next().unwrap_or_default().to_uppercase();
            if is_attack(&id) {
                found.insert(format!("{}/{name}", corpus.display()), id);
            }
        }
    }
    assert!(found.len() > 50, "only {} scripts found: this has read nothing", found.len());
    found
}
