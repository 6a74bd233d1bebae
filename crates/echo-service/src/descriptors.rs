//! The number of file descriptors that the process can still open.

use crate::raise_descriptor_limit;
use std::fs;

/// Directories with one entry for each open descriptor of the process, on Linux and on other Unix systems.
const DESCRIPTOR_DIRECTORIES: [&str; 2] = ["/proc/self/fd", "/dev/fd"];

/// The assumed number of open descriptors if the system does not report it. A server with one worker and two listeners
/// has about 12.
const ASSUMED_OPEN: usize = 32;

/// Raises the limit on open descriptors as far as possible, and returns how many more descriptors the process can open.
/// `None` if the system does not report the limit.
#[must_use]
pub fn available_descriptors() -> Option<usize> {
    let limit = usize::try_from(raise_descriptor_limit()?).unwrap_or(usize::MAX);
    Some(limit.saturating_sub(open_descriptors().unwrap_or(ASSUMED_OPEN)))
}

fn open_descriptors() -> Option<usize> {
    let directory = DESCRIPTOR_DIRECTORIES.into_iter().find_map(|path| fs::read_dir(path).ok())?;
    // The entries contain the descriptor of the directory, which closes at the end of this function.
    Some(directory.count().saturating_sub(1))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_counted() {
        const FILES: usize = 100;
        let before = open_descriptors().unwrap();
        let files = [(); FILES].map(|()| fs::File::open("/dev/null").unwrap());
        // Other tests in this process open and close a few files meanwhile.
        let difference = open_descriptors().unwrap().abs_diff(before);
        assert!(difference.abs_diff(files.len()) < FILES / 2, "{difference}");
    }
}
