//! Rules for whole files: the first comment, the length, and no unfilled placeholders.

use super::Violation;
use super::source::SourceFile;

/// The maximum number of lines of a `main.rs`.
const MAX_MAIN_LINES: usize = 60;

/// The maximum number of lines of any other file.
const MAX_LINES: usize = 400;

/// The mark before and after the name of a placeholder. The author later replaces a placeholder by a text or a number.
const PLACEHOLDER_MARK: &str = "@@";

/// Checks the first comment and the length of a file.
pub(super) fn check(source: &SourceFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut report = |found: String, rule: String| {
        violations.push(Violation { file: source.path.clone(), line: None, found, rule });
    };
    if !source.text.starts_with("//!") {
        report(
            "begins without `//!`".to_owned(),
            "each file starts with a `//!` comment that states its responsibility".to_owned(),
        );
    }
    let lines = source.text.lines().count();
    let is_main = source.path.rsplit('/').next() == Some("main.rs");
    if is_main && lines > MAX_MAIN_LINES {
        report(
            format!("has {lines} lines"),
            format!("a main.rs has at most {MAX_MAIN_LINES} lines"),
        );
    } else if lines > MAX_LINES {
        report(
            format!("has {lines} lines"),
            format!("a file has at most {MAX_LINES} lines; split it"),
        );
    }
    violations
}

/// Reports the unfilled placeholders in a file.
pub(super) fn check_placeholders(path: &str, text: &str) -> Vec<Violation> {
    let lines = text.lines().enumerate();
    let placeholders = lines.filter_map(|(index, line)| Some((index + 1, placeholder(line)?)));
    placeholders
        .map(|(number, name)| Violation {
            file: path.to_owned(),
            line: Some(number),
            found: format!("contains the placeholder `{name}`"),
            rule: "replace each placeholder with its text".to_owned(),
        })
        .collect()
}

/// The name of the first placeholder in a line. A name has capital letters, digits and `_`, so the header of a hunk
/// in a diff is not a placeholder.
fn placeholder(line: &str) -> Option<&str> {
    let is_name = |text: &&str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    let mut parts = line.split(PLACEHOLDER_MARK).skip(1).peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_some() && is_name(&part) {
            return Some(part);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, text: &str) -> Vec<String> {
        check(&SourceFile::new(path, text)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn file_without_a_header_is_reported() {
        assert_eq!(violations("a.rs", "//! Header.\n"), [""; 0]);
        assert_eq!(
            violations("a.rs", "use a::b;\n"),
            [
                "a.rs: begins without `//!`; RULE: each file starts with a `//!` comment that states its responsibility"
            ]
        );
    }

    #[test]
    fn placeholders_are_reported() {
        let mark = PLACEHOLDER_MARK;
        let violations = |text: &str| -> Vec<String> {
            check_placeholders("a.md", text).iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            violations(&format!("# Title\nabout {mark}RTT_1{mark} µs\n")),
            [
                "a.md:2: contains the placeholder `RTT_1`; RULE: replace each placeholder with its text"
            ]
        );
        for text in ["-1,3 +1,4 ", "", "a b"] {
            assert_eq!(violations(&format!("{mark}{text}{mark}")), [""; 0]);
        }
        assert_eq!(violations(&format!("a{mark}NAME")), [""; 0]);
    }

    #[test]
    fn long_files_are_reported() {
        let text = |lines| "//! Header.\n".repeat(lines);
        assert_eq!(violations("src/a.rs", &text(MAX_LINES)), [""; 0]);
        assert_eq!(
            violations("src/a.rs", &text(MAX_LINES + 1)),
            ["src/a.rs: has 401 lines; RULE: a file has at most 400 lines; split it"]
        );
        assert_eq!(violations("src/main.rs", &text(MAX_MAIN_LINES)), [""; 0]);
        assert_eq!(
            violations("src/main.rs", &text(MAX_MAIN_LINES + 1)),
            ["src/main.rs: has 61 lines; RULE: a main.rs has at most 60 lines"]
        );
    }
}
