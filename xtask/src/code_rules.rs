//! The code rules that a program can check. CONTRIBUTING.md explains them.
//!
//! - [`mod@packages`]: which package of the workspace may depend on which;
//! - [`layers`]: which module of the client may import which, and which modules are pure;
//! - [`files`]: the comment at the head of a file, and the length of a file;
//! - [`language`]: words and patterns that the project does not use.

mod files;
mod language;
mod layers;
mod modules;
mod packages;
mod purity;
mod source;
mod syntax;

pub(crate) use packages::packages;

use anyhow::{Result, bail};
use child_process::workspace;
use source::SourceFile;
use std::fmt;

/// A place in the code that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// The path of the file, relative to the root of the workspace.
    file: String,
    /// The line, if the violation is in one line. The first line is 1.
    line: Option<usize>,
    /// What is there: `imports crate::net::resolve`.
    found: String,
    /// The rule that this breaks.
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

/// Checks all rules. The error lists all violations, one in each line.
pub(crate) fn check() -> Result<()> {
    let sources = source::read_all(&workspace::root())?;
    let mut violations = packages::check()?;
    violations.extend(check_sources(&sources));
    if violations.is_empty() {
        return Ok(());
    }
    violations.sort();
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    bail!("{} violations\n{}", lines.len(), lines.join("\n"));
}

fn check_sources(sources: &[SourceFile]) -> Vec<Violation> {
    let mut violations = layers::check(sources);
    for source in sources {
        violations.extend(files::check(source));
        violations.extend(language::check(source));
        violations.extend(purity::check_echo_core(source));
    }
    violations
}
