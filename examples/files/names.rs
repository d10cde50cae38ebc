//! What a file from the network may be called: a name, never a path.

/// What still fits behind a name where a file system takes 255 bytes: the ending of a part, or a number.
pub const LONGEST: usize = 200;

/// What files end with that are not all there.
pub const PART: &str = ".part";

/// Whether a file of this name may be made in the folder.
///
/// The rules are the same on every system, so that a name that one receiver takes is taken by all.  Hidden files
/// are refused since a folder may be somebody's home, where names such as `.profile` are run; names of parts, since
/// they are the receiver's own.
pub fn is_fine(name: &str) -> bool {
    let ends_as_part = name.to_ascii_lowercase().ends_with(PART);
    !name.is_empty()
        && name.len() <= LONGEST
        && !name.starts_with('.') // also `.` and `..`
        && !ends_as_part
        // Windows drops them from the end, and has streams behind a colon.
        && !name.ends_with([' ', '.'])
        && !name.contains(|char: char| matches!(char, '/' | '\\' | ':') || char.is_control())
}

/// The name under which the `number`th file of this name is kept: `photo.jpg`, `photo (2).jpg`, …
pub fn numbered(name: &str, number: u32) -> String {
    match name.rsplit_once('.') {
        _ if number == 1 => name.to_owned(),
        Some((stem, ending)) => format!("{stem} ({number}).{ending}"),
        None => format!("{name} ({number})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_and_paths_are_not() {
        for name in ["a", "photo.jpg", "two words.tar.gz", "größe.txt", "a..b", "-", "~"] {
            assert!(is_fine(name), "{name:?}");
        }
        let bad = ["", ".", "..", "../a", "a/b", "/etc/passwd", "a\\b", "..\\a", "c:", "c:\\a", "a:stream"];
        for name in
            bad.into_iter().chain([".profile", "a\0", "a\nb", "a\x1b[2J", "a\u{7f}", "a\u{85}", "a.", "a "])
        {
            assert!(!is_fine(name), "{name:?}");
        }
        assert!(!is_fine("a.0123456789abcdef.part") && !is_fine("a.PART"));
        assert!(is_fine(&"x".repeat(LONGEST)) && !is_fine(&"x".repeat(LONGEST + 1)));
    }

    #[test]
    fn a_number_stands_before_the_ending() {
        assert_eq!(numbered("photo.jpg", 1), "photo.jpg");
        assert_eq!(numbered("photo.jpg", 2), "photo (2).jpg");
        assert_eq!(numbered("notes", 12), "notes (12)");
    }
}
