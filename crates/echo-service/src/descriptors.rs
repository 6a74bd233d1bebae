//! How many files and sockets this process may have open.

/// Raises the limit as far as an ordinary process may, from the soft to the hard one (getrlimit(2)), and
/// returns what it is then; nothing where there is no such limit, or it can't be known.
#[cfg(all(unix, not(portable)))]
#[must_use]
pub fn raise_descriptor_limit() -> Option<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    // macOS has no hard limit, and does not let a soft one be higher than this (its `OPEN_MAX`).
    let possible = [hard, hard.min(10_240)];
    let raised = possible.into_iter().filter(|limit| *limit > soft);
    let raised =
        raised.into_iter().find(|limit| setrlimit(Resource::RLIMIT_NOFILE, *limit, hard).is_ok());
    Some(raised.unwrap_or(soft))
}

/// As above: nothing is known here.
#[cfg(not(all(unix, not(portable))))]
#[must_use]
pub fn raise_descriptor_limit() -> Option<u64> {
    None
}
