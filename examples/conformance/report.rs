//! What passed and what did not: by section of SPEC.md for people, as JUnit XML for machines.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::cases::{Case, Outcome};

const SPEC: &str = include_str!("../../SPEC.md");

pub struct Report {
    peer: String,
    entries: Vec<Entry>,
}

struct Entry {
    id: String,
    title: String,
    spec: Vec<String>,
    outcome: Outcome,
}

#[derive(Default)]
struct Count {
    passed: u32,
    failed: u32,
    not_tried: u32,
}

impl Report {
    pub fn of(peer: &str) -> Self {
        Self { peer: peer.to_owned(), entries: Vec::new() }
    }

    pub fn add(&mut self, case: &Case, outcome: Outcome) {
        let (id, title, spec) = (case.id.clone(), case.title.clone(), case.spec.clone());
        self.entries.push(Entry { id, title, spec, outcome });
    }

    /// Something was tried, and nothing failed; where this is strict, everything was tried.
    pub fn is_good(&self, strict: bool) -> bool {
        let mut all = Count::default();
        self.entries.iter().for_each(|entry| all.add(&entry.outcome));
        all.passed > 0 && all.failed == 0 && !(strict && all.not_tried > 0)
    }

    /// By the number of the section; a case counts in each section that it names.
    fn by_section(&self) -> BTreeMap<u32, Count> {
        let mut sections: BTreeMap<u32, Count> = BTreeMap::new();
        for entry in &self.entries {
            let mut named: Vec<u32> = entry.spec.iter().filter_map(|name| section(name)).collect();
            named.sort_unstable();
            named.dedup();
            for number in named {
                sections.entry(number).or_default().add(&entry.outcome);
            }
        }
        sections
    }

    /// One test suite, a test case for each vector; its class is the section that it names first.
    pub fn junit(&self) -> String {
        let mut count = Count::default();
        let mut cases = String::new();
        for entry in &self.entries {
            count.add(&entry.outcome);
            let (id, class) = (escape(&entry.id), escape(&class(entry)));
            let inner = match &entry.outcome {
                Outcome::Passed => String::new(),
                Outcome::Failed(what) => format!("<failure message=\"{}\"/>", escape(what)),
                Outcome::NotTried(why) => format!("<skipped message=\"{}\"/>", escape(why)),
            };
            // Writing to a String does not fail.
            let _ = writeln!(cases, "  <testcase name=\"{id}\" classname=\"{class}\">{inner}</testcase>");
        }
        let tests = self.entries.len();
        let (peer, Count { failed, not_tried, .. }) = (escape(&self.peer), count);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{peer}\" tests=\"{tests}\" \
             failures=\"{failed}\" skipped=\"{not_tried}\">\n{cases}</testsuite>\n"
        )
    }
}

impl Count {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::NotTried(_) => self.not_tried += 1,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n\n{:34} passed  failed  not tried", self.peer, "section of SPEC.md")?;
        for (number, Count { passed, failed, not_tried }) in self.by_section() {
            let name = format!("{number} {}", title(number));
            writeln!(f, "{name:34} {passed:6}  {failed:6}  {not_tried:9}")?;
        }
        let mut all = Count::default();
        self.entries.iter().for_each(|entry| all.add(&entry.outcome));
        let Count { passed, failed, not_tried } = all;
        writeln!(f, "{:34} {passed:6}  {failed:6}  {not_tried:9}", "vectors in all")?;
        for entry in &self.entries {
            let (id, title, spec) = (&entry.id, &entry.title, entry.spec.join(", "));
            match &entry.outcome {
                Outcome::Passed => {}
                Outcome::Failed(what) => writeln!(f, "\nFAILED {id} ({spec}): {title}\n  {what}")?,
                Outcome::NotTried(why) => writeln!(f, "\nnot tried: {id}: {why}")?,
            }
        }
        Ok(())
    }
}

/// The number in `§10.2`.
fn section(name: &str) -> Option<u32> {
    let number = name.strip_prefix('§')?;
    number.split('.').next()?.parse().ok()
}

fn class(entry: &Entry) -> String {
    let number = entry.spec.iter().find_map(|name| section(name)).unwrap_or_default();
    format!("{number} {}", title(number))
}

fn title(number: u32) -> &'static str {
    let heading = format!("## {number} ");
    SPEC.lines().find_map(|line| line.strip_prefix(&heading)).unwrap_or_default()
}

/// XML has no form for control characters.
fn escape(text: &str) -> String {
    let printable = text.replace(|character: char| character.is_control(), "\u{fffd}");
    printable.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
