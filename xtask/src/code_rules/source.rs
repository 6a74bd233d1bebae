//! The Rust files of the workspace.

use super::syntax::{self, Code};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;

/// A Rust file.
pub(super) struct SourceFile {
    /// The path relative to the root of the workspace, with `/` as separator.
    pub(super) path: String,
    pub(super) text: String,
    /// The code without comments, string contents and tests.
    pub(super) code: Code,
}

impl SourceFile {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: syntax::parse(text) }
    }

    /// The numbers and the texts of all lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Reads all Rust files below `root`, without hidden directories and `target`.
pub(super) fn read_all(root: &Path) -> Result<Vec<SourceFile>> {
    let mut sources = Vec::new();
    read_directory(root, "", &mut sources)?;
    Ok(sources)
}

fn read_directory(root: &Path, relative: &str, sources: &mut Vec<SourceFile>) -> Result<()> {
    let directory = root.join(relative);
    let read = || format!("reading {}", directory.display());
    for entry in fs::read_dir(&directory).with_context(read)? {
        let entry = entry.with_context(read)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "target" || name.starts_with('.') {
            continue;
        }
        let path = if relative.is_empty() { name } else { format!("{relative}/{name}") };
        if entry.file_type()?.is_dir() {
            read_directory(root, &path, sources)?;
        } else if Path::new(&path).extension().is_some_and(|extension| extension == "rs") {
            let text =
                fs::read_to_string(entry.path()).with_context(|| format!("reading {path}"))?;
            sources.push(SourceFile::new(&path, &text));
        }
    }
    Ok(())
}
