//! What documents say, against what is there: links, paths, names and figures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use symbolon::Limits;

use crate::layers::{LAYERS, is_word};
use crate::proofs::test_code;
use crate::{read, report, root, sources};

const DOCUMENTS: &[&str] = &[
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "SPEC.md",
    "benches/peers/README.md",
    "examples/conformance/README.md",
    "tests/attacks.md",
    "tests/vectors/README.md",
    "tests/vectors/python/README.md",
];

/// Folders whose paths documents name.
const FOLDERS: &[&str] = &[".ci/", "benches/", "examples/", "fuzz/", "src/", "tests/"];

#[test]
fn links_lead_somewhere() {
    let mut complaints = Vec::new();
    let mut seen = 0;
    for document in DOCUMENTS {
        for link in links(&prose(&read(document))) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            if file.contains("://") {
                continue;
            }
            seen += 1;
            let folder = Path::new(document).parent().unwrap_or_else(|| Path::new(""));
            let file = if file.is_empty() {
                (*document).to_owned()
            } else {
                folder.join(file).display().to_string()
            };
            if !root().join(&file).exists() {
                complaints.push(format!("{document} links to {file}"));
            } else if !anchor.is_empty() && !slugs(&read(&file)).contains(anchor) {
                complaints.push(format!("{document} links to #{anchor}, which is no heading of {file}"));
            }
        }
    }
    assert!(seen > 20, "only {seen} links found: this has read nothing");
    report("links that lead nowhere", &complaints);
}

#[test]
fn each_section_of_spec_stands_in_its_contents() {
    let spec = read("SPEC.md");
    let contents: BTreeSet<String> = links(&spec).into_iter().collect();
    let sections = headings(&spec).into_iter().filter(|(level, _)| *level == 2);
    let missing = sections.filter(|(_, title)| !contents.contains(&format!("#{}", slug(title))));
    report("sections missing in the contents", &missing.map(|(_, title)| title).collect::<Vec<_>>());
}

#[test]
fn paths_in_documents_exist() {
    let mut complaints = Vec::new();
    let mut seen = 0;
    let documents = DOCUMENTS.iter().chain(&["src/lib.rs"]);
    for (document, path) in
        documents.flat_map(|name| paths(&read(name)).into_iter().map(move |path| (name, path)))
    {
        seen += 1;
        if !root().join(&path).exists() {
            complaints.push(format!("{document} names {path}"));
        }
    }
    assert!(seen > 20, "only {seen} paths found: this has read nothing");
    report("paths that do not exist", &complaints);
}

/// CONTRIBUTING.md's table of `src`: a name is looked for beside the one before it, and then in `src` itself.  Each module
/// has its row, and so has each part of the adapters.
#[test]
fn the_table_of_src_names_what_is_there() {
    let src = root().join("src");
    let (mut named, mut complaints) = (BTreeSet::new(), Vec::new());
    for cells in table(&read("CONTRIBUTING.md"), "| in `src` |") {
        let mut before = None;
        for name in spans(&cells[0]) {
            // One of the adapter's may be called as a module of `src` is.
            let beside = before.as_deref().and_then(Path::parent).unwrap_or(&src).join(&name);
            match [beside, src.join(&name)].into_iter().find(|path| path.exists()) {
                Some(path) => {
                    named.insert(path.with_extension(""));
                    before = Some(path);
                }
                None => complaints.push(name),
            }
        }
    }
    report("names in the table of `src`", &complaints);

    let modules = LAYERS.iter().map(|(module, _)| (*module).to_owned());
    let parts = sources().into_iter().filter_map(|source| {
        let part = source.module.strip_prefix("adapter/")?;
        Some(format!("adapter/{}", part.split('/').next()?))
    });
    let all: BTreeSet<String> = modules.chain(parts).collect();
    let missing = all.into_iter().filter(|module| module != "adapter" && !named.contains(&src.join(module)));
    report("modules that the table of `src` lacks", &missing.collect::<Vec<_>>());
}

#[test]
fn the_picture_of_the_layers_shows_each_module() {
    let contributing = read("CONTRIBUTING.md");
    let picture = contributing.split("```").nth(1).expect("a picture");
    let shown: BTreeSet<&str> = picture.split(|char| !is_word(char)).collect();
    let missing = LAYERS.iter().filter(|(module, _)| !shown.contains(module));
    report("modules missing", &missing.map(|(module, _)| (*module).to_owned()).collect::<Vec<_>>());
}

#[test]
fn features_are_those_of_the_manifest() {
    let features = features();
    let names: BTreeSet<&str> =
        features.keys().map(String::as_str).filter(|name| *name != "default").collect();
    let defaults = &features["default"];

    let readme = table(&read("README.md"), "| feature | adds | default |");
    let shown: BTreeSet<String> = readme.iter().flat_map(|cells| spans(&cells[0])).collect();
    assert_eq!(shown.iter().map(String::as_str).collect::<BTreeSet<_>>(), names, "README.md");
    for cells in &readme {
        let is_default = spans(&cells[0]).iter().all(|name| defaults.contains(name));
        assert_eq!(cells[2] == "yes", is_default, "README.md: {}", cells[0]);
    }

    let lib = read("src/lib.rs").replace("//! ", "");
    let lib = table(&lib, "| feature | adds |");
    let shown: BTreeSet<String> = lib.iter().flat_map(|cells| spans(&cells[0])).collect();
    assert_eq!(shown.iter().map(String::as_str).collect::<BTreeSet<_>>(), names, "src/lib.rs");
    for cells in &lib {
        let is_default = spans(&cells[0]).iter().all(|name| defaults.contains(name));
        assert_eq!(cells[0].ends_with("(default)"), is_default, "src/lib.rs: {}", cells[0]);
    }
}

/// What a reader is told to type.
#[test]
fn commands_name_what_is_there() {
    let features = features();
    let mut complaints = Vec::new();
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = read(document);
        let words: Vec<&str> = text.split([' ', '\n', '`', '\'']).collect();
        for pair in words.windows(2) {
            let name = pair[1].trim_end_matches([',', '.', ';', ':', ')']);
            let is_there = match pair[0] {
                "--example" => target("examples", name),
                "--bench" => target("benches", name),
                "--test" => target("tests", name),
                "--features" => name.split(',').all(|feature| features.contains_key(feature)),
                _ => continue,
            };
            seen += 1;
            if !is_there {
                complaints.push(format!("{document}: {} {name}", pair[0]));
            }
        }
    }
    assert!(seen > 5, "only {seen} commands found: this has read nothing");
    report("commands that cannot work", &complaints);
}

#[test]
fn the_readme_shows_each_example() {
    let readme = read("README.md");
    let entries = root().join("examples").read_dir().expect("a folder");
    let examples = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let missing = examples.filter(|name| !readme.contains(&format!("`examples/{name}`")));
    report("examples that README.md leaves out", &missing.collect::<Vec<_>>());
}

#[test]
fn the_table_of_stages_is_that_of_ci() {
    let script = read(".ci/run");
    let stages =
        script.split("stages=(").nth(2).and_then(|rest| rest.split(')').next()).expect("a list of stages");
    let shown: Vec<String> =
        table(&read("CONTRIBUTING.md"), "| stage |").iter().flat_map(|cells| spans(&cells[0])).collect();
    assert_eq!(shown, stages.split_whitespace().collect::<Vec<_>>());
    let missing = shown.iter().filter(|stage| !script.contains(&format!("\n{stage}() {{")));
    report("stages that .ci/run does not define", &missing.cloned().collect::<Vec<_>>());
}

/// CONTRIBUTING.md's sentences: each is named, by its number, in every file or folder that is said to hold it.
#[test]
fn each_sentence_is_held_where_contributing_says() {
    let sentences = table(&read("CONTRIBUTING.md"), "| | the sentence | held by |");
    assert_eq!(sentences.len(), 12, "the text above the table says twelve");
    let tests = test_code();
    let mut complaints = Vec::new();
    for cells in &sentences {
        let number: u8 = cells[0].parse().expect("a number");
        // What is held because it builds at all, or because nothing crashes, bears no comment.
        for place in cells[2].split(", ").filter(|place| !["fuzz", "tests/nostd"].contains(place)) {
            let mut there =
                tests.iter().filter(|(name, _)| name == place || name.starts_with(&format!("{place}/")));
            if !there.any(|(_, text)| names_sentence(text, number)) {
                complaints.push(format!("sentence {number} in {place}"));
            }
        }
    }
    report("sentences that are not named", &complaints);
}

#[test]
fn the_version_is_the_same_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(read("CHANGELOG.md").contains(&format!("## [{version}]")), "CHANGELOG.md knows no {version}");
    let readme = read("README.md");
    let dependency = readme.lines().filter(|line| line.starts_with("symbolon = "));
    let versions: Vec<&str> = dependency.filter_map(|line| line.split('"').nth(1)).collect();
    assert!(!versions.is_empty(), "README.md shows no line `symbolon = \"{version}\"`");
    assert!(versions.iter().all(|shown| *shown == version), "README.md says {versions:?}, not {version}");
}

/// The bytes that README.md tells of are compared in tests/alloc, which measures them.
#[test]
fn figures_of_the_readme_are_those_of_the_code() {
    let readme = read("README.md");
    let frames = |limits: Limits| match limits.max_frame {
        bytes if bytes < 1024 => format!("frames up to {bytes} bytes"),
        bytes => format!("frames up to {} KiB", bytes / 1024),
    };
    let wanted = [
        format!("Rust {} or newer", env!("CARGO_PKG_RUST_VERSION")),
        format!("`Limits::default()`, {}", frames(Limits::default())),
        format!("`Limits::small()`, {}", frames(Limits::small())),
    ];
    for figure in wanted {
        assert!(readme.contains(&figure), "README.md does not say: {figure}");
    }
}

/// Each bound of the core's bench, in its order.
#[test]
fn bounds_of_the_readme_are_those_of_the_bench() {
    let source = read("benches/core/bounds.rs");
    let constants = source.split(": f64 = ").skip(1).filter_map(|rest| rest.split(';').next());
    let bounds: Vec<&str> = constants.map(|bound| bound.trim_end_matches(".0")).collect();
    let rows = table(&read("README.md"), "| ratio to the bare primitives |");
    let shown: Vec<&str> = rows.iter().filter_map(|cells| cells.last()).map(String::as_str).collect();
    assert_eq!(shown, bounds);
}

// Reading documents

/// Without figures and code.
fn prose(text: &str) -> String {
    let lines = text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n");
    lines.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// Each heading's level and text.
fn headings(text: &str) -> Vec<(usize, String)> {
    let prose = text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n");
    let heading = |line: &str| {
        let level = line.chars().take_while(|char| *char == '#').count();
        line[level..].strip_prefix(' ').filter(|_| level > 0).map(|title| (level, title.trim().to_owned()))
    };
    prose.lines().filter_map(heading).collect()
}

/// The anchors of a page as GitHub makes them; a title that comes again gets a number.
fn slugs(text: &str) -> BTreeSet<String> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchor = |(_, title): (usize, String)| {
        let slug = slug(&title);
        let time = times.entry(slug.clone()).or_default();
        *time += 1;
        if *time == 1 { slug } else { format!("{slug}-{}", *time - 1) }
    };
    headings(text).into_iter().map(&mut anchor).collect()
}

fn slug(title: &str) -> String {
    let kept = title.to_lowercase().replace(' ', "-");
    kept.chars().filter(|char| is_word(*char) || *char == '-').collect()
}

/// Everything that has the form of a path into one of [`FOLDERS`].
fn paths(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in FOLDERS {
        for (start, _) in text.match_indices(folder) {
            let is_inside = text[..start].ends_with(|char| is_word(char) || ['/', '.', '-'].contains(&char));
            let rest = &text[start..];
            let end =
                rest.find(|char| !is_word(char) && !['/', '.', '-'].contains(&char)).unwrap_or(rest.len());
            if !is_inside {
                found.insert(rest[..end].trim_end_matches(['/', '.', '-']).to_owned());
            }
        }
    }
    found
}

/// The rows under the line that begins so, each as its cells.
fn table(text: &str, head: &str) -> Vec<Vec<String>> {
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with(head))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "no table begins with {head}");
    rows
}

/// What stands between backquotes.
fn spans(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// As in `Sentence 4, F2` or `Sentences 8 and 2`.
fn names_sentence(text: &str, number: u8) -> bool {
    let lower = text.to_lowercase();
    lower.split("sentence").skip(1).any(|rest| {
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        let numbers = rest.strip_prefix(' ').unwrap_or_default().split(" and ").map_while(|part| {
            let digits = part.chars().take_while(char::is_ascii_digit).count();
            part[..digits].parse::<u8>().ok()
        });
        numbers.into_iter().any(|named| named == number)
    })
}

// Reading Cargo.toml

/// Each feature with what it switches on.
fn features() -> BTreeMap<String, Vec<String>> {
    let manifest = read("Cargo.toml");
    let section =
        manifest.split("\n[features]\n").nth(1).and_then(|rest| rest.split("\n[").next()).expect("features");
    let lines: Vec<&str> = section.lines().filter(|line| !line.starts_with('#')).collect();
    let features = lines.join(" ");
    let feature = |text: &str| {
        let (name, list) = text.split_once('=')?;
        Some((name.trim().to_owned(), list.split('"').skip(1).step_by(2).map(str::to_owned).collect()))
    };
    features.split(']').filter_map(feature).collect()
}

/// Whether there is an example, a bench or a test of this name.
fn target(folder: &str, name: &str) -> bool {
    let files = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/main.rs")];
    files.iter().any(|file| root().join(file).exists())
        || read("Cargo.toml").contains(&format!("name = \"{name}\"\n"))
}
