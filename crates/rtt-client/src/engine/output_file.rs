//! [`OutputFile`]: a file that appears completely under its name, or not at all.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fmt, mem};

/// The maximum number of symbolic links that are followed. Linux has the same limit (`path_resolution`(7)).
const MAX_LINKS: usize = 40;

/// The maximum number of attempts to find an unused name. The names are random, so one attempt is usually enough.
const MAX_ATTEMPTS: usize = 16;

/// The paths of all temporary files of this process.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file that appears completely under its name, or not at all.
///
/// The content goes to a temporary file in the same directory. [`OutputFile::finish`] gives it the requested name. Until
/// then, an existing file with this name is unchanged. Dropping the value removes the temporary file.
///
/// - If the path is a symbolic link, the file to which it points is replaced, and the link stays.
/// - A new file has the permissions that the umask allows. The new content of an existing file has the permissions of
///   the old content, and its owner if the system allows this.
/// - A pipe or a device has no content that could be destroyed. The content goes directly to it. This also applies to
///   the open files of this process, for example `/dev/stdout`.
///
/// # Examples
///
/// ```
/// use rtt_client::OutputFile;
/// use std::io::Write as _;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = std::env::temp_dir().join(format!("output-file-{}", std::process::id()));
/// let mut file = OutputFile::create(&path)?;
/// file.write_all(b"complete")?;
/// assert!(!path.exists());
/// file.finish()?;
/// assert_eq!(std::fs::read(&path)?, b"complete");
/// # std::fs::remove_file(&path)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct OutputFile {
    /// The path from the user, for messages.
    path: PathBuf,
    file: File,
    destination: Destination,
}

/// The destination of the content.
#[derive(Debug)]
enum Destination {
    /// The content goes directly to the path.
    Direct,
    /// The content goes to the file `temporary`, which later replaces `target`.
    Replace { temporary: PathBuf, target: PathBuf },
}

/// An operation on an output file failed. The message does not contain the text of the source.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} the file {}", path.display())]
pub struct OutputFileError {
    /// The operation that failed.
    pub operation: FileOperation,
    /// The path from the user.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

/// An operation on an output file. Its text follows the word "cannot" in error messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOperation {
    /// Creating the file.
    Create,
    /// Writing the content.
    Write,
    /// Replacing the old content by the new content.
    Replace,
}

impl fmt::Display for FileOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Write => "write",
            Self::Replace => "replace",
        })
    }
}

impl OutputFile {
    /// Creates the temporary file for `path`. Does not change an existing file. If `path` is a named pipe, waits for its
    /// reader.
    ///
    /// # Errors
    ///
    /// The directory does not exist or is not writable, `path` is a directory, or it is a file that this user must not
    /// write.
    pub fn create(path: &Path) -> Result<Self, OutputFileError> {
        let error = |operation| {
            let path = path.to_owned();
            move |source| OutputFileError { operation, path, source }
        };
        let existing = match fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(error(FileOperation::Create)(source)),
        };
        // Opening for writing does not change the file. It fails if this user must not write the file.
        if let Some(metadata) = &existing {
            let file = OpenOptions::new().append(true).open(path);
            let file = file.map_err(error(FileOperation::Write))?;
            if !metadata.is_file() || leads_to_open_file(path) {
                return Ok(Self { path: path.to_owned(), file, destination: Destination::Direct });
            }
        }
        let target = resolve_links(path).map_err(error(FileOperation::Create))?;
        let (file, temporary) =
            create_temporary_beside(&target).map_err(error(FileOperation::Create))?;
        let destination = Destination::Replace { temporary, target };
        let output = Self { path: path.to_owned(), file, destination };
        if let Some(metadata) = existing {
            copy_permissions(&metadata, &output.file).map_err(error(FileOperation::Create))?;
        }
        Ok(output)
    }

    /// The path from the user.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the complete file its name. An existing file with this name is replaced.
    ///
    /// # Errors
    ///
    /// The content could not be stored, or the file could not be renamed. An existing file is then unchanged.
    pub fn finish(mut self) -> Result<(), OutputFileError> {
        let Destination::Replace { temporary, target } =
            mem::replace(&mut self.destination, Destination::Direct)
        else {
            return Ok(());
        };
        // Some file systems report a full disk only when they store the content.
        let result = match self.file.sync_all() {
            Ok(()) => {
                fs::rename(&temporary, target).map_err(|error| (FileOperation::Replace, error))
            }
            Err(error) => Err((FileOperation::Write, error)),
        };
        if result.is_err() {
            // The error of the file is reported. An error of its removal contains no further information.
            let _ = fs::remove_file(&temporary);
        }
        forget_unfinished(&temporary);
        result.map_err(|(operation, source)| self.error(operation, source))
    }

    /// The error of an operation on this file.
    pub(crate) fn error(&self, operation: FileOperation, source: io::Error) -> OutputFileError {
        OutputFileError { operation, path: self.path.clone(), source }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Destination::Replace { temporary, .. } = &self.destination {
            // There is no place for an error. The file under the requested name is unchanged in any case.
            let _ = fs::remove_file(temporary);
            forget_unfinished(temporary);
        }
    }
}

/// Removes the temporary files of all [`OutputFile`]s. Call this function before the process exits without dropping its
/// values.
pub fn remove_unfinished_files() {
    for temporary in UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // There is no place for an error, because the process exits.
        let _ = fs::remove_file(temporary);
    }
}

fn forget_unfinished(temporary: &Path) {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    unfinished.retain(|path| path != temporary);
}

/// Whether `path` leads to a file through an open file of a process. `/dev/stdout` is a link to `/proc/self/fd/1`. The
/// process that opened the file continues to use it, so another file must not replace it.
fn leads_to_open_file(path: &Path) -> bool {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if path.starts_with("/proc") || path.starts_with("/dev/fd") {
            return true;
        }
        match next_link(&path) {
            Some(next) => path = next,
            None => return false,
        }
    }
    false
}

/// Follows symbolic links. The last link can point to a file that does not exist.
fn resolve_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match next_link(&path) {
            Some(next) => path = next,
            None => return Ok(path),
        }
    }
    // The system reports the same error for a loop.
    fs::metadata(&path).map(|_| path)
}

/// The path to which a symbolic link points. `None` if the path is not a link.
fn next_link(path: &Path) -> Option<PathBuf> {
    let target = fs::read_link(path).ok()?;
    Some(path.parent().unwrap_or(Path::new("")).join(target))
}

/// Creates a new file in the directory of `target`. The name is short, so it is valid even if the name of `target` has
/// the maximum length.
fn create_temporary_beside(target: &Path) -> io::Result<(File, PathBuf)> {
    if target.file_name().is_none() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut attempts = 0;
    loop {
        let temporary =
            target.with_file_name(format!(".rtt-client-{:016x}.tmp", fastrand::u64(..)));
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => {
                let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
                unfinished.push(temporary.clone());
                return Ok((file, temporary));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempts += 1,
            Err(error) => return Err(error),
        }
        if attempts == MAX_ATTEMPTS {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
    }
}

/// Gives `file` the permissions of an existing file.
fn copy_permissions(existing: &Metadata, file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        // Only root may give a file to another user. Without this right, the new file belongs to this user.
        let _ = fchown(file, Some(existing.uid()), Some(existing.gid()));
    }
    file.set_permissions(existing.permissions())
}

#[cfg(test)]
mod tests;
