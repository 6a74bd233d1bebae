//! Reads the files that the rules check.

use super::syntax::{self, Code};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;

/// A Rust file.
pub(super) struct SourceFile {
    /// The path relative to the root of the workspace. The separator is `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// The code without tests.
    pub(super) code: Code,
}

impl SourceFile {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: syntax::parse(text) }
    }

    /// All lines with their numbers, from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// The files of a small client for tests: `good` with one more file, or with another text of one of its files. The paths
/// are relative to `directory`.
#[cfg(test)]
pub(super) fn with_file(
    directory: &str,
    good: &[(&str, &str)],
    path: &str,
    text: &str,
) -> Vec<SourceFile> {
    let others = good.iter().copied().filter(|(other, _)| *other != path);
    let files = others.chain([(path, text)]);
    files.map(|(path, text)| SourceFile::new(&format!("{directory}{path}"), text)).collect()
}

/// Reads all Rust files below `root`.
pub(super) fn read_rust(root: &Path) -> Result<Vec<SourceFile>> {
    let files = read(root, "rs")?;
    Ok(files.iter().map(|(path, text)| SourceFile::new(path, text)).collect())
}

/// Reads all files below `root` whose names end in `.{extension}`. Returns their relative paths and texts. Skips
/// hidden directories and `target`.
pub(super) fn read(root: &Path, extension: &str) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    read_directory(root, "", extension, &mut files)?;
    Ok(files)
}

fn read_directory(
    root: &Path,
    relative: &str,
    extension: &str,
    files: &mut Vec<(String, String)>,
) -> Result<()> {
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
            read_directory(root, &path, extension, files)?;
        } else if Path::new(&path).extension().is_some_and(|other| other == extension) {
            let text =
                fs::read_to_string(entry.path()).with_context(|| format!("reading {path}"))?;
            files.push((path, text));
        }
    }
    Ok(())
}
