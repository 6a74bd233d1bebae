//! The limit on open files and sockets of this process.

/// Raises the soft limit to the hard limit, which needs no privileges (getrlimit(2)). Returns the limit that
/// is then in force, or `None` if the system has no such limit or does not report it.
#[cfg(all(unix, not(portable)))]
#[must_use]
pub fn raise_descriptor_limit() -> Option<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    /// macOS has no hard limit, but it rejects a soft limit above `OPEN_MAX`.
    const OPEN_MAX: u64 = 10_240;

    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let raised = [hard, hard.min(OPEN_MAX)]
        .into_iter()
        .filter(|limit| *limit > soft)
        .find(|limit| setrlimit(Resource::RLIMIT_NOFILE, *limit, hard).is_ok());
    Some(raised.unwrap_or(soft))
}

/// Returns `None`: this system does not report a limit.
#[cfg(not(all(unix, not(portable))))]
#[must_use]
pub fn raise_descriptor_limit() -> Option<u64> {
    None
}
