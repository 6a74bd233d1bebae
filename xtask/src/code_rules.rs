//! The code rules that a program can check. CONTRIBUTING.md explains them.
//!
//! - [`mod@packages`]: the allowed dependencies between packages;
//! - [`layers`]: the allowed imports between modules of the client, and the modules that are pure;
//! - [`protocol_names`]: no name of a protocol in generic code of the client;
//! - [`files`]: the first comment and the length of a file, and unfilled placeholders;
//! - [`language`]: words and patterns that the project does not use;
//! - [`promises`]: the tests that `docs/security.md` names.

mod files;
mod language;
mod layers;
mod modules;
mod packages;
mod promises;
mod protocol_names;
mod purity;
mod source;
mod syntax;

pub(crate) use packages::packages;

use anyhow::{Result, bail};
use child_process::workspace;
use source::SourceFile;
use std::fmt;

/// A violation of a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// The path of the file, relative to the root of the workspace.
    file: String,
    /// The line number, from 1. `None` if the violation concerns the whole file.
    line: Option<usize>,
    /// The description of the violation: `imports crate::net::resolve`.
    found: String,
    /// The text of the rule.
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}; RULE: {}", self.found, self.rule)
    }
}

/// Checks all rules. The error contains one line for each violation.
pub(crate) fn check() -> Result<()> {
    let root = workspace::root();
    let mut violations = packages::check()?;
    let sources = source::read_rust(&root)?;
    violations.extend(check_sources(&sources));
    for (path, text) in source::read(&root, "md")? {
        violations.extend(files::check_placeholders(&path, &text));
        if path == promises::FILE {
            violations.extend(promises::check(&text, &sources));
        }
    }
    if violations.is_empty() {
        return Ok(());
    }
    violations.sort();
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    bail!("{} violations\n{}", lines.len(), lines.join("\n"));
}

fn check_sources(sources: &[SourceFile]) -> Vec<Violation> {
    let mut violations = layers::check(sources);
    violations.extend(protocol_names::check(sources));
    for source in sources {
        violations.extend(files::check(source));
        violations.extend(files::check_placeholders(&source.path, &source.text));
        violations.extend(language::check(source));
        violations.extend(purity::check_echo_core(source));
    }
    violations
}
