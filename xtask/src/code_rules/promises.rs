//! The rule for `docs/security.md`: each promise names the test that fails if the promise is false.
//!
//! A table of promises has the heading [`TEST_COLUMN`] in its last column. Each row names one or more tests in this
//! column, as code. The names of tests are the names of Rust functions with a `test` attribute. An ignored test does
//! not run, so it is not the test of a promise. A name that begins with [`SOAK_PREFIX`] is an attack of `cargo xtask
//! soak`.

use super::Violation;
use super::source::SourceFile;
use super::syntax::{Text, TextKind};
use std::collections::BTreeSet;

/// The file with the promises.
pub(super) const FILE: &str = "docs/security.md";

const TEST_COLUMN: &str = "test";

/// The beginning of the name of an attack in `cargo xtask soak`. The name of the attack follows.
const SOAK_PREFIX: &str = "soak: ";

/// The directory with the attacks.
const SOAK_DIRECTORY: &str = "crates/echo-bench/src/soak";

/// The fields of the attacks that contain their names.
const NAME_FIELDS: [&str; 2] = ["name", "title"];

const RULE: &str = "each promise in docs/security.md names its test";

/// Checks `document`, the text of [`FILE`], against the tests in `sources`.
pub(super) fn check(document: &str, sources: &[SourceFile]) -> Vec<Violation> {
    let tests = test_names(sources);
    let mut violations = Vec::new();
    let mut report = |line, found| {
        violations.push(Violation { file: FILE.to_owned(), line, found, rule: RULE.to_owned() });
    };
    let mut promises = 0;
    let mut is_in_table = false;
    for (number, line) in document.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let Some(last_cell) = last_cell(line) else {
            is_in_table = false;
            continue;
        };
        if last_cell == TEST_COLUMN {
            is_in_table = true;
        } else if is_in_table && !last_cell.starts_with("---") {
            promises += 1;
            let names: Vec<&str> = last_cell.split('`').skip(1).step_by(2).collect();
            if names.is_empty() {
                report(Some(number), "names no test".to_owned());
            }
            for name in names {
                let exists = match name.strip_prefix(SOAK_PREFIX) {
                    Some(attack) => is_attack(attack, sources),
                    None => tests.contains(name),
                };
                if !exists {
                    report(Some(number), format!("names the test `{name}`, which does not exist"));
                }
            }
        }
    }
    if promises == 0 {
        report(None, format!("contains no table with the column `{TEST_COLUMN}`"));
    }
    violations
}

/// The text of the last cell of a table row. `None` if `line` is not a row.
fn last_cell(line: &str) -> Option<&str> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    row.rsplit('|').next().map(str::trim)
}

/// The names of all functions with a `test` attribute and without an `ignore` attribute.
fn test_names(sources: &[SourceFile]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for source in sources {
        let (mut is_test, mut is_ignored) = (false, false);
        for line in source.text.lines().map(str::trim) {
            if line.starts_with("#[") {
                is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
                is_ignored |= line.starts_with("#[ignore");
            } else if let Some(name) = function_name(line) {
                if is_test && !is_ignored {
                    names.insert(name);
                }
                (is_test, is_ignored) = (false, false);
            }
        }
    }
    names
}

/// The name of the function that `line` declares.
fn function_name(line: &str) -> Option<&str> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    Some(line.strip_prefix("fn ")?.split(['(', '<']).next().unwrap_or_default())
}

/// Whether a field of the soak test has the value `name`. Strings in tests do not count.
fn is_attack(name: &str, sources: &[SourceFile]) -> bool {
    let literal = format!("\"{name}\"");
    let soak = sources.iter().filter(|source| {
        source.path.starts_with(SOAK_DIRECTORY) && !source.path.ends_with("/tests.rs")
    });
    soak.flat_map(|source| source.code.texts.iter().map(move |text| (source, text)))
        .filter(|(_, text)| text.kind == TextKind::String && text.content == literal)
        .any(|(source, text)| is_name_field(source, text))
}

/// Whether `literal` is the value of one of [`NAME_FIELDS`], on the same line.
fn is_name_field(source: &SourceFile, literal: &Text) -> bool {
    let line = source.text.lines().nth(literal.line - 1).unwrap_or_default();
    let before = line.split(&literal.content).next().unwrap_or_default();
    let field = before.trim_end().strip_suffix(':');
    field.is_some_and(|field| NAME_FIELDS.iter().any(|name| field.trim() == *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "| promise | test |\n|---|---|\n";

    fn violations(document: &str) -> Vec<String> {
        let sources = [
            SourceFile::new(
                "a.rs",
                "//! A.\n#[test]\n#[cfg(unix)]\nfn works() {}\nfn no_test() {}\n\
                 #[tokio::test]\nasync fn waits() {}\n#[test]\n#[ignore = \"slow\"]\nfn ignored() {}\n\
                 #[ignore]\n#[test]\nfn ignored_too() {}\n#[test]\nfn later() {}\n",
            ),
            SourceFile::new(
                "crates/echo-bench/src/soak/attack.rs",
                "//! A.\nconst A: [Attack; 2] = [\n    Attack {\n        name: \"slow reader\",\n    },\n    \
                 Attack {\n        title: \"fast writer\",\n        text: \"message\",\n    },\n];\n\
                 #[cfg(test)]\nmod tests {\n    const A: Attack = Attack {\n        name: \"dog\",\n    };\n}\n",
            ),
            SourceFile::new(
                "crates/echo-bench/src/soak/report/tests.rs",
                "//! A.\nconst A: Attack = Attack {\n    name: \"cat\",\n};\n",
            ),
            SourceFile::new(
                "b.rs",
                "//! A.\nconst A: Attack = Attack {\n    name: \"bird\",\n};\n",
            ),
        ];
        let violations = check(document, &sources);
        violations.iter().map(|violation| violation.found.clone()).collect()
    }

    #[test]
    fn existing_tests_and_attacks_are_accepted() {
        let rows = "| A | `works`, `waits`, `later` |\n\
                    | B | `soak: slow reader`, `soak: fast writer` |\n";
        assert_eq!(violations(&format!("{HEADER}{rows}")), [""; 0]);
    }

    #[test]
    fn missing_and_unknown_tests_are_reported() {
        assert_eq!(violations(&format!("{HEADER}| A | none |\n")), ["names no test"]);
        for name in [
            "no_test",
            "ignored",
            "ignored_too",
            "soak: fire",
            // A string in another field, in a test, and outside the soak test.
            "soak: message",
            "soak: dog",
            "soak: cat",
            "soak: bird",
        ] {
            let found = format!("names the test `{name}`, which does not exist");
            assert_eq!(violations(&format!("{HEADER}| A | `{name}` |\n")), [found]);
        }
    }

    #[test]
    fn document_without_promises_is_reported() {
        let found = "contains no table with the column `test`";
        assert_eq!(violations("| limit | default |\n|---|---|\n| A | 1 |\n"), [found]);
    }
}
