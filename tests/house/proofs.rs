//! Which test proves what: every test asserts something, and what SPEC.md and CONTRIBUTING.md promise is named by one.

use std::collections::BTreeSet;
use std::iter;

use crate::layers::{TEST_ATTRIBUTE, blanked, contains_word, end_of_item, is_word, items};
use crate::spec::{defined_ids, ids_in};
use crate::{all_sources, files_under, read, report};

/// What fails where something is not as it should be.  `unwrap` and `expect` do not count: they prepare.
const ASSERTIONS: &[&str] = &[
    "assert!",
    "assert_eq!",
    "assert_ne!",
    "panic!",
    "prop_assert!",
    "prop_assert_eq!",
    "prop_assert_ne!",
    "unwrap_err()",
];

/// A function of the test code.
struct Function {
    file: String,
    name: String,
    is_test: bool,
    /// With the comments and attributes above it.
    text: String,
    /// Without comments and without the contents of literals.
    code: String,
}

impl Function {
    /// Whose functions this one may call by their bare names: those of its file, or of its folder.
    fn scope(&self) -> &str {
        match self.file.match_indices('/').nth(1) {
            Some((second, _)) => &self.file[..second],
            None => &self.file,
        }
    }

    /// By itself: a macro, or a bound that the compiler checks, in a function whose name says so.
    fn asserts(&self) -> bool {
        ASSERTIONS.iter().any(|assertion| contains_word(&self.code, assertion))
            || called(&self.code).iter().any(|name| name.starts_with("assert_"))
    }

    fn may_call(&self, other: &Self) -> bool {
        self.scope() == other.scope() || ["tests/common", "fuzz/src"].contains(&other.scope())
    }
}

/// The tests that assert something, by themselves or through what they call, and the others.
fn tests() -> (Vec<Function>, Vec<Function>) {
    let functions: Vec<Function> =
        test_code().iter().flat_map(|(file, text)| functions(file, text)).collect();
    let mut asserting: Vec<bool> = functions.iter().map(Function::asserts).collect();
    let calls: Vec<BTreeSet<&str>> = functions.iter().map(|function| called(&function.code)).collect();
    loop {
        let more: Vec<usize> = (0..functions.len())
            .filter(|&caller| !asserting[caller])
            .filter(|&caller| {
                let mut callees = (0..functions.len()).filter(|&callee| asserting[callee]);
                callees.any(|callee| {
                    calls[caller].contains(functions[callee].name.as_str())
                        && functions[caller].may_call(&functions[callee])
                })
            })
            .collect();
        if more.is_empty() {
            break;
        }
        more.into_iter().for_each(|caller| asserting[caller] = true);
    }
    let tests = iter::zip(functions, asserting).filter(|(function, _)| function.is_test);
    let (good, idle): (Vec<_>, Vec<_>) = tests.partition(|(_, asserting)| *asserting);
    let first = |pairs: Vec<(Function, bool)>| pairs.into_iter().map(|(function, _)| function).collect();
    (first(good), first(idle))
}

#[test]
fn every_test_asserts_something() {
    let (good, idle) = tests();
    assert!(good.len() > 100, "only {} tests found: this has read nothing", good.len());
    let idle: Vec<String> = idle.iter().map(|test| format!("{}: {}", test.file, test.name)).collect();
    report("tests that assert nothing", &idle);
}

#[test]
fn no_test_is_skipped() {
    let ignored = test_code().into_iter().filter(|(_, text)| blanked(text).contains("#[ignore"));
    report("files with tests that are skipped", &ignored.map(|(file, _)| file).collect::<Vec<_>>());
}

/// Named in the test or right above it; what the head of a file says proves nothing.
#[test]
fn each_id_of_spec_is_named_by_a_test() {
    let (tests, _) = tests();
    let tests = tests.iter().filter(|test| !test.file.starts_with("tests/house/"));
    let named: BTreeSet<String> = tests.flat_map(|test| ids_in(&test.text)).collect();
    let missing: Vec<String> = defined_ids(&read("SPEC.md"))
        .into_iter()
        .filter(|(id, later)| !later && !named.contains(id))
        .map(|(id, _)| id)
        .collect();
    report("ids that no test names", &missing);
}

// Reading tests

/// What is compiled only to test, and what that calls: each file's name and text.
pub fn test_code() -> Vec<(String, String)> {
    let integration = files_under("tests").into_iter();
    let unit = all_sources().into_iter().map(|source| {
        if source.is_test() {
            return (source.name, source.text);
        }
        let chars: Vec<char> = source.text.chars().collect();
        let ranges = items(&blanked(&source.text), TEST_ATTRIBUTE);
        let text = ranges.into_iter().flat_map(|range| chars[range].iter().copied()).collect();
        (source.name, text)
    });
    integration.chain(unit).chain(files_under("fuzz/src")).collect()
}

fn functions(file: &str, text: &str) -> Vec<Function> {
    let code = blanked(text);
    let code_chars: Vec<char> = code.chars().collect();
    let text_chars: Vec<char> = text.chars().collect();
    let text_lines: Vec<&str> = text.split('\n').collect();
    let code_lines: Vec<&str> = code.split('\n').collect();
    let mut found = Vec::new();
    let mut start = 0;
    for (number, line) in code_lines.iter().enumerate() {
        if let Some(name) = function_name(line) {
            let end = end_of_item(&code_chars, start);
            let above = text_lines[..number].iter().rev();
            let above =
                above.take_while(|line| line.trim().starts_with("//") || line.trim().starts_with("#["));
            let first = number - above.count();
            let attributes = code_lines[first..number].join("\n");
            let body: String = text_chars[start..end].iter().collect();
            found.push(Function {
                file: file.to_owned(),
                name: name.to_owned(),
                is_test: ["#[test]", "#[tokio::test"].iter().any(|test| attributes.contains(test)),
                text: format!("{}\n{body}", text_lines[first..number].join("\n")),
                code: code_chars[start..end].iter().collect(),
            });
        }
        start += line.chars().count() + 1;
    }
    found
}

/// Of a line that begins a function.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line
        .trim()
        .split(' ')
        .skip_while(|word| word.starts_with("pub") || ["async", "const"].contains(word));
    let name = words.next().filter(|word| *word == "fn").and_then(|_| words.next())?;
    Some(&name[..name.find(|char| !is_word(char)).unwrap_or(name.len())])
}

/// Every name with an opening parenthesis or generic arguments behind it.
fn called(code: &str) -> BTreeSet<&str> {
    let ends = code.match_indices(['(']).chain(code.match_indices("::<"));
    let names = ends.map(|(end, _)| {
        let start = code[..end].rfind(|char| !is_word(char)).map_or(0, |place| place + 1);
        &code[start..end]
    });
    names.filter(|name| !name.is_empty()).collect()
}
