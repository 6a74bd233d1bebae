//! Rules for a whole file: the comment at its head, and its length.

use super::Violation;
use super::source::SourceFile;

/// The limit for `main.rs` in lines. It parses, sets up logging, calls the library, and returns an exit status.
const MAX_MAIN_LINES: usize = 60;

/// The limit for any other file in lines.
const MAX_LINES: usize = 400;

/// Checks one file.
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
