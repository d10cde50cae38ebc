//! Who imports whom, and what stands in code.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::{Source, read, report, sources};

/// Each module of `src`, and the modules that it may import besides itself.  From the leaves up: no module imports one
/// that stands below it in this table, so that each can be read with only those above in mind.
pub const LAYERS: &[(&str, &[&str])] = &[
    ("buffer", &[]),
    ("exchange", &[]),
    ("name", &[]),
    ("role", &[]),
    ("status", &[]),
    ("time", &[]),
    ("crypto", &[]),
    // A device: its keys, its proofs.
    ("identity", &["crypto", "role"]),
    // The handshake and the ciphers; knows no message.
    ("noise", &["buffer", "crypto", "identity", "role"]),
    // Bytes and messages; knows no state and no key.
    ("wire", &["buffer", "name", "status"]),
    ("publication", &["wire"]),
    ("error", &["identity", "name", "status", "wire"]),
    ("config", &["crypto", "identity", "wire"]),
    // One table and one router for a device: they know nothing of links but a number.
    ("topics", &["exchange", "name", "publication", "status", "wire"]),
    ("router", &["identity", "name", "status"]),
    // What a device tells of these two.
    ("description", &["name", "topics", "wire"]),
    // One link.
    (
        "connection",
        &[
            "buffer",
            "config",
            "crypto",
            "error",
            "exchange",
            "identity",
            "name",
            "noise",
            "publication",
            "role",
            "status",
            "time",
            "wire",
        ],
    ),
    // Many links, one after the other, on a line that has none of its own.
    ("serial", &["buffer", "config", "connection", "time", "wire"]),
    // Bodies with types; on top of what a program sees, like an adapter.
    ("typed", PUBLIC),
    // What moves bytes and time.  Everything in it could have been written by a user of the crate.
    ("adapter", PUBLIC),
];

/// In the table: whatever `lib.rs` gives to everybody, and nothing else.
const PUBLIC: &[&str] = &["lib.rs"];

/// The crates that only some modules may name, and those modules.  `std` is besides allowed in whatever stands under
/// `#[cfg(feature = "std")]`.
const OWNERS: &[(&str, &[&str])] = &[
    ("aws_lc_rs", &["crypto"]),
    ("bytes", HOST),
    ("chacha20poly1305", &["crypto"]),
    ("cobs", &["serial"]),
    ("ed25519_dalek", &["crypto"]),
    ("futures_core", &["adapter/tokio"]),
    ("getrandom", &["adapter/host", "identity"]),
    ("mdns_sd", &["adapter/mdns"]),
    ("minicbor", &["typed"]),
    ("sha2", &["crypto"]),
    ("smol_str", &["adapter/host"]),
    ("snow", &["noise"]),
    ("socket2", &["adapter/host"]),
    ("std", STD),
    ("tokio", &["adapter/tokio"]),
    ("x25519_dalek", &["crypto"]),
    ("zeroize", &["crypto", "identity", "noise"]),
];

/// Where there is an operating system, and a heap to spare.
const STD: &[&str] =
    &["adapter/blocking", "adapter/host", "adapter/mdns", "adapter/tokio", "crypto/aws_lc", "identity/file"];

/// The adapters with an operating system below them, and what they share: `embassy` stands beside, and has none of this.
const HOST: &[&str] = &["adapter/blocking", "adapter/host", "adapter/tokio"];

/// What is never written outside tests: it ends a program that did nothing wrong.
const FORBIDDEN: &[&str] =
    &[".unwrap()", "dbg!", "panic!", "print!", "println!", "todo!", "unimplemented!", "unreachable!"];

/// A file is read as a whole, so it must fit into a head.
const LONGEST_FILE: usize = 500;

#[test]
fn modules_import_only_what_stands_above_them() {
    let public = reexports();
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| source.module != "lib") {
        let row = LAYERS.iter().find(|(module, _)| *module == source.top());
        let Some((module, allowed)) = row else {
            complaints.push(format!("{}: no layer is named {}", source.name, source.top()));
            continue;
        };
        for path in paths_from_root(&source.code()) {
            let owner = public.get(&path[0]).unwrap_or(&path[0]).as_str();
            let fine = if *allowed == PUBLIC {
                stands_above(owner, module) && is_public(&path, &public)
            } else {
                allowed.contains(&owner)
            };
            if owner != *module && !fine {
                complaints.push(format!("{} imports crate::{}", source.name, path.join("::")));
            }
        }
    }
    report("imports against the layers", &complaints);
}

fn stands_above(upper: &str, lower: &str) -> bool {
    let place = |module: &str| LAYERS.iter().position(|(name, _)| *name == module);
    place(upper).zip(place(lower)).is_some_and(|(upper, lower)| upper < lower)
}

/// Whether everybody could have imported this, perhaps by a shorter path: a name that `lib.rs` gives away, something
/// inside of one, or the module of such names, as in `use crate::name`.
fn is_public(path: &[String], public: &BTreeMap<String, String>) -> bool {
    let module = &path[0];
    public.contains_key(module)
        || path[1..].iter().any(|name| public.get(name) == Some(module))
        || (path.len() == 1 && public.values().any(|owner| owner == module))
}

#[test]
fn the_table_of_layers_points_one_way() {
    for (module, allowed) in LAYERS.iter().filter(|(_, allowed)| *allowed != PUBLIC) {
        for import in *allowed {
            assert!(stands_above(import, module), "{module} imports {import}, which stands below it");
        }
    }
}

/// Sentence 1: the core reads no clock, no socket and no random numbers, since it cannot name what would read them.
#[test]
fn each_library_has_one_place_that_names_it() {
    let mut complaints = Vec::new();
    for source in sources() {
        let code = source.code();
        for (library, owners) in OWNERS {
            let text = if *library == "std" { without(&code, STD_ATTRIBUTE) } else { code.clone() };
            let owned = owners.iter().any(|owner| source.is_in(owner));
            if !owned && names_crate(&text, library) {
                complaints.push(format!("{} names {library}", source.name));
            }
        }
    }
    report("libraries named outside of their place", &complaints);
}

#[test]
fn nothing_outside_tests_panics_on_purpose() {
    let mut complaints = Vec::new();
    for source in sources() {
        let code = source.code();
        for (number, line) in code.lines().enumerate() {
            for word in FORBIDDEN.iter().filter(|word| contains_word(line, word)) {
                complaints.push(format!("{}:{}: {word}", source.name, number + 1));
            }
        }
    }
    report("in code that is not a test", &complaints);
}

#[test]
fn no_file_is_longer_than_a_reader_keeps_in_mind() {
    let long = |source: &Source| {
        let lines = source.code().trim_end().lines().count();
        (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines", source.name))
    };
    report("files that are too long", &sources().iter().filter_map(long).collect::<Vec<_>>());
}

pub const TEST_ATTRIBUTE: &str = "#[cfg(test)]";
/// As `blanked` leaves it.
const STD_ATTRIBUTE: &str = "#[cfg(feature =      )]";

// Reading Rust, as far as this needs it

/// The same text, with blanks for comments and for what stands in literals; every character keeps its place.
pub fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = chars.clone();
    let mut at = 0;
    while at < chars.len() {
        let (blank, end) = literal_at(&chars, at);
        for place in blank {
            if out[place] != '\n' {
                out[place] = ' ';
            }
        }
        at = end;
    }
    out.into_iter().collect()
}

/// What to blank of the comment or literal that begins at `at`, and where to go on.
fn literal_at(chars: &[char], at: usize) -> (Range<usize>, usize) {
    let rest = &chars[at..];
    let found = |wanted: &str, from: usize| {
        let wanted: Vec<char> = wanted.chars().collect();
        let found = chars[from..].windows(wanted.len()).position(|window| window == wanted);
        found.map_or(chars.len(), |place| from + place)
    };
    match rest {
        ['/', '/', ..] => {
            let end = found("\n", at);
            (at..end, end)
        }
        ['/', '*', ..] => {
            let end = found("*/", at);
            (at..end, end + 2)
        }
        ['r', '#', '"', ..] => {
            let end = found("\"#", at + 3);
            (at..end, end + 2)
        }
        ['"', ..] => {
            let mut end = at + 1;
            while end < chars.len() && chars[end] != '"' {
                end += if chars[end] == '\\' { 2 } else { 1 };
            }
            (at..(end + 1).min(chars.len()), end + 1)
        }
        ['\'', '\\', ..] => {
            let end = found("'", at + 3);
            (at..end, end + 1)
        }
        ['\'', _, '\'', ..] => (at..at + 3, at + 3),
        _ => (at..at, at + 1),
    }
}

/// Where the items lie that bear this attribute, by characters of a text from [`blanked`].
pub fn items(code: &str, attribute: &str) -> Vec<Range<usize>> {
    let chars: Vec<char> = code.chars().collect();
    let wanted: Vec<char> = attribute.chars().collect();
    let mut found: Vec<Range<usize>> = Vec::new();
    for start in 0..chars.len() {
        let inside = found.last().is_some_and(|last| start < last.end);
        if !inside && chars[start..].starts_with(&wanted) {
            found.push(start..end_of_item(&chars, start + wanted.len()));
        }
    }
    found
}

/// Behind the `;` or the block that ends the item whose text goes on at `from`.
pub fn end_of_item(chars: &[char], from: usize) -> usize {
    let mut depth = 0;
    for (place, char) in chars.iter().enumerate().skip(from) {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                let is_group_of_use = chars.get(place + 1) == Some(&';');
                if depth <= 0 && !is_group_of_use {
                    return place + 1;
                }
            }
            ';' if depth == 0 => return place + 1,
            _ => {}
        }
    }
    chars.len()
}

pub fn without(code: &str, attribute: &str) -> String {
    let mut chars: Vec<char> = code.chars().collect();
    for range in items(code, attribute) {
        chars[range].iter_mut().filter(|char| **char != '\n').for_each(|char| *char = ' ');
    }
    chars.into_iter().collect()
}

/// Each path that begins with `crate::`, without that; those of a group one by one.
fn paths_from_root(code: &str) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for (place, root) in code.match_indices("crate::") {
        // `$crate::` in a macro is the same root; `my_crate::` is not.
        if !code[..place].ends_with(is_word) {
            found.extend(paths(&code[place + root.len()..]));
        }
    }
    found
}

/// The paths that a text begins with: one, or those of a group, as in `wire::{self, frame::{TAG, MIN_FRAME}}`.
fn paths(text: &str) -> Vec<Vec<String>> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        return members(group).into_iter().flat_map(paths).collect();
    }
    let end = text.find(|char| !is_word(char)).unwrap_or(text.len());
    let name = &text[..end];
    if name.is_empty() || name == "self" {
        // `x::{self}` is `x`; a trailing comma is nothing.
        return if name.is_empty() { Vec::new() } else { vec![Vec::new()] };
    }
    let rest = text[end..].strip_prefix("::").map(paths).unwrap_or_default();
    let rest = if rest.is_empty() { vec![Vec::new()] } else { rest };
    rest.into_iter().map(|path| [vec![name.to_owned()], path].concat()).collect()
}

/// The members of a group, whose text begins behind its opening brace.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start) = (0, 0);
    let mut members = Vec::new();
    for (place, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                members.push(&group[start..place]);
                start = place + 1;
                if char == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    members
}

/// What `lib.rs` gives to everybody: each name with the module that it comes from.
fn reexports() -> BTreeMap<String, String> {
    let code = blanked(&read("src/lib.rs"));
    let mut found = BTreeMap::new();
    for statement in code.split(';').map(str::trim) {
        let statement = statement.rsplit("#[").next().unwrap_or_default();
        let statement = statement.rsplit_once(']').map_or(statement, |(_, rest)| rest).trim();
        if let Some(module) = statement.strip_prefix("pub mod ") {
            found.insert(module.to_owned(), module.to_owned());
        }
        let Some(path) = statement.strip_prefix("pub use ") else { continue };
        for path in paths(path) {
            if let (Some(module), Some(name)) = (path.first(), path.last()) {
                found.insert(name.clone(), module.clone());
            }
        }
    }
    found
}

fn names_crate(code: &str, library: &str) -> bool {
    code.match_indices(library).any(|(place, _)| {
        let before = code[..place].chars().next_back();
        let is_path = code[place + library.len()..].starts_with("::");
        let is_import = code[..place].ends_with("use ") || code[..place].ends_with("extern crate ");
        let after = code[place + library.len()..].chars().next();
        let starts = !before.is_some_and(|char| is_word(char) || char == ':');
        starts && (is_path || (is_import && !after.is_some_and(is_word)))
    })
}

pub fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(place, _)| {
        let before = line[..place].chars().next_back();
        let after = line[place + word.len()..].chars().next();
        let starts = word.starts_with('.') || !before.is_some_and(is_word);
        let ends = !word.ends_with(is_word) || !after.is_some_and(is_word);
        starts && ends
    })
}

pub fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}
