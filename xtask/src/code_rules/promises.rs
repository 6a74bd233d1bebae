//! The rule for `docs/security.md`: each promise names the test that fails if the promise is false.
//!
//! A table of promises has the heading [`TEST_COLUMN`] in its last column. Each row names one or more tests in this
//! column, as code. The names of tests are the names of Rust functions with a `test` attribute. A name that begins with
//! [`SOAK_PREFIX`] is an attack of `cargo xtask soak`.

use super::Violation;
use super::source::SourceFile;
use std::collections::BTreeSet;

/// The file with the promises.
pub(super) const FILE: &str = "docs/security.md";

const TEST_COLUMN: &str = "test";

/// The beginning of the name of an attack in `cargo xtask soak`. The name of the attack follows.
const SOAK_PREFIX: &str = "soak: ";

/// The directory with the attacks. Their names are strings in this code.
const SOAK_DIRECTORY: &str = "crates/echo-bench/src/soak";

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

/// The names of all functions with a `test` attribute.
fn test_names(sources: &[SourceFile]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for source in sources {
        let mut is_test = false;
        for line in source.text.lines().map(str::trim) {
            if line.starts_with("#[") {
                is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
            } else if let Some(name) = function_name(line) {
                if is_test {
                    names.insert(name);
                }
                is_test = false;
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

fn is_attack(name: &str, sources: &[SourceFile]) -> bool {
    let literal = format!("\"{name}\"");
    sources
        .iter()
        .filter(|source| source.path.starts_with(SOAK_DIRECTORY))
        .any(|source| source.text.contains(&literal))
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
                 #[tokio::test]\nasync fn waits() {}\n",
            ),
            SourceFile::new(
                "crates/echo-bench/src/soak/attack.rs",
                "//! A.\nconst A: &str = \"slow reader\";\n",
            ),
        ];
        let violations = check(document, &sources);
        violations.iter().map(|violation| violation.found.clone()).collect()
    }

    #[test]
    fn existing_tests_and_attacks_are_accepted() {
        let rows = "| A | `works`, `waits` |\n| B | `soak: slow reader` |\n";
        assert_eq!(violations(&format!("{HEADER}{rows}")), [""; 0]);
    }

    #[test]
    fn missing_and_unknown_tests_are_reported() {
        for (cell, found) in [
            ("none", "names no test"),
            ("`no_test`", "names the test `no_test`, which does not exist"),
            ("`soak: fire`", "names the test `soak: fire`, which does not exist"),
        ] {
            assert_eq!(violations(&format!("{HEADER}| A | {cell} |\n")), [found]);
        }
    }

    #[test]
    fn document_without_promises_is_reported() {
        let found = "contains no table with the column `test`";
        assert_eq!(violations("| limit | default |\n|---|---|\n| A | 1 |\n"), [found]);
    }
}
